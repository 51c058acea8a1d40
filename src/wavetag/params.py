"""Settings: read from ``params.yaml``, checked as a whole before anything runs, one config at a time."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

LEAST_FRAMES = 16  # what two max-poolings by 4 need

GENERATOR = Path("src/minitune")
DOWNLOADS = Path("data/downloads")  # what lies in it is ours to fill
PARAMS = Path("params.yaml")
SCHEMA = Path("workflow/schemas/params.schema.yaml")


class ParamsError(ValueError):
    """Settings that cannot be: each line names the key, what was given, and what is allowed."""


def load(path: str | Path = PARAMS, schema: str | Path = SCHEMA) -> dict[str, Any]:
    """Read and check the settings of a pipeline.

    Raises:
        ParamsError: with a line for each thing that is wrong.
    """
    path = Path(path)
    params = _read_yaml(path)
    problems = list(schema_problems(params, _read_yaml(Path(schema))))
    if not problems:
        problems = [*_without_rate(params), *_impossible(params)]
    if problems:
        raise ParamsError("\n".join(f"{path}: {problem}" for problem in problems))
    return params


def _without_rate(params: Mapping[str, Any]) -> Iterator[str]:
    """Entries without a sample rate: dvc.yaml looks there for the array that an experiment trains on."""
    for where, entry in _entries(params):
        if "sample_rate" not in entry:
            yield f"{where}: begin it with `<<: *defaults`, as the other entries: sample_rate is missing"


def _entries(params: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(f"experiments.{name}", entry) for name, entry in params["experiments"].items()]


def _wrong_source(dataset: Mapping[str, Any]) -> Iterator[str]:
    """A dataset's source that is not there, before anything has been done with it."""
    name, source = dataset["name"], Path(dataset["source"])
    if name == "minitune" and source != GENERATOR:
        yield f"dataset.source: minitune is generated; its source is {GENERATOR}, {str(source)!r} was given"
    elif name != "minitune" and (source == GENERATOR or not (source.exists() or DOWNLOADS in source.parents)):
        yield f"dataset.source: {str(source)!r} was given, where {name} is to be found: there is no such file or folder"
    if dataset["audio"] is not None and not Path(dataset["audio"]).is_dir():
        yield f"dataset.audio: {dataset['audio']!r} was given: there is no such folder"


def load_suite(folder: str | Path, params: Mapping[str, Any], schema: str | Path = SCHEMA) -> dict[str, Any]:
    """The settings of a suite: ``params`` with the experiments of ``folder/params.yaml`` in place of its own."""
    path = Path(folder) / "params.yaml"
    suite = _read_yaml(path)
    if not isinstance(suite, dict) or set(suite) != {"experiments"}:
        raise ParamsError(f"{path}: a suite has one section, experiments; {suite!r} was given")
    merged = {**params, **suite, "tables": {name: [] for name in params["tables"]}}
    problems = list(schema_problems(merged, _read_yaml(Path(schema)))) or list(_impossible(merged))
    problems += [
        f"{where}: sample_rate is not a suite's to set: its stages take the one of defaults"
        for where, entry in _entries(merged)
        if "sample_rate" in entry
    ]
    if problems:
        raise ParamsError("\n".join(f"{path}: {problem}" for problem in problems))
    return merged


def config(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One experiment with every default filled in.

    Raises:
        ParamsError: there is no experiment of that name.
    """
    experiments = params["experiments"]
    if name not in experiments:
        raise ParamsError(f"experiments: there is no {name!r}; there are {', '.join(experiments)}")
    return {**params["defaults"], **experiments[name]}


def clip_samples(params: Mapping[str, Any], sample_rate: int) -> int:
    """Samples that are kept of each clip, at a rate in Hz."""
    return round(params["prepare"]["clip_seconds"] * sample_rate)


def window_samples(params: Mapping[str, Any], sample_rate: int) -> int:
    """Samples in a window, at a rate in Hz."""
    return clip_samples(params, sample_rate) // params["prepare"]["windows"]


def _defaults_without_effect(params: Mapping[str, Any]) -> Iterator[str]:
    """Defaults that not one of the entries takes, though several agree on another value and say it themselves.

    So it is after `dvc exp run -S defaults.KEY=VALUE`: DVC writes the older value into each entry, and nothing changes.
    """
    entries = params["experiments"].values()
    if len(entries) < 2 or not all(entry.keys() >= params["defaults"].keys() for entry in entries):
        return
    for key, value in params["defaults"].items():
        own = [entry[key] for entry in entries]
        if value not in own and all(other == own[0] for other in own):
            yield (
                f"defaults.{key}: {value!r} has no effect, each entry under experiments says {own[0]!r} itself; with"
                f" `dvc exp run`, set experiments.NAME.{key} instead"
            )


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: no such file; the pipeline is run from the repository's top folder") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from error


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice is an error: the second would silently win."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # a list or a mapping: PyYAML itself refuses it as a key
            is_merge = key_node.tag == "tag:yaml.org,2002:merge"  # the << of `<<: *defaults`
            key = "<<" if is_merge else self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def schema_problems(value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    """What in ``value`` the JSON schema refuses, a sentence each: the key, what was given, what is allowed."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # stricter than JSON: 256.0 is no whole number, and YAML's .nan and .inf are no numbers at all
    types = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_whole, "number": _is_finite})
    errors = extend(Draft202012Validator, type_checker=types)(schema).iter_errors(value)
    for error in sorted(errors, key=lambda error: [str(part) for part in error.absolute_path]):
        key = ".".join(str(part) for part in error.absolute_path) or "(top level)"
        yield f"{key}: {_sentence(error)}"


def _is_whole(checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(checker: Any, value: Any) -> bool:
    return _is_whole(checker, value) or (isinstance(value, float) and math.isfinite(value))


def _sentence(error: Any) -> str:
    rule, given, allowed = error.validator, error.instance, error.validator_value
    if rule == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = ", ".join(repr(key) for key in given if key not in known)
        return f"unknown key {unknown}; allowed are {', '.join(known)}"
    if rule == "required":
        return f"{', '.join(repr(key) for key in allowed if key not in given)} is missing"
    if rule == "enum":
        return f"{given!r} is not allowed; allowed are {', '.join(map(str, allowed))}"
    if rule == "type":
        hint = ""
        if isinstance(given, str) and allowed in ("number", "integer") and _is_number(given):
            hint = " (YAML 1.1 reads a number such as 1e-3 as text: write 1.0e-3 or 0.001, without quotes)"
        return f"{given!r} is not of type {allowed}{hint}"
    if rule in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        words = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
        return f"{given!r} is not allowed; {words.get(rule, 'less than')} {allowed} is"
    return error.message


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _impossible(params: Mapping[str, Any]) -> Iterator[str]:
    """What no schema can say: values that are each allowed, but not together."""
    prepare, split = params["prepare"], params["split"]
    yield from _wrong_source(params["dataset"])
    uneven = [rate for rate in prepare["sample_rates"] if clip_samples(params, rate) % prepare["windows"]]
    if uneven:
        yield (
            f"prepare: {prepare['windows']} windows do not divide {clip_samples(params, uneven[0])} samples evenly"
            f" ({prepare['clip_seconds']} s at {uneven[0]} Hz)"
        )
    for where, settings in (("defaults", params["defaults"]), *_entries(params)):
        rate = settings.get("sample_rate")
        if rate is not None and rate not in prepare["sample_rates"]:
            rates = ", ".join(map(str, prepare["sample_rates"]))
            yield f"{where}: sample_rate {rate} is not among prepare.sample_rates, which are {rates}"
    folders = [folder for name in ("train", "valid", "test") for folder in split[name]]
    for folder in sorted({folder for folder in folders if folders.count(folder) > 1}):
        yield f"split: part {folder!r} stands in two of train, valid and test"
    for table, names in params["tables"].items():
        for name in names:
            if name not in params["experiments"]:
                yield f"tables.{table}: there is no experiment {name!r}; there are {', '.join(params['experiments'])}"
    yield from _defaults_without_effect(params)
    for name in params["experiments"]:
        settings = config(params, name)
        window = window_samples(params, settings["sample_rate"])
        needed = 1 if settings["frontend"] == "flat" else LEAST_FRAMES
        least = settings["length"] + (needed - 1) * settings["stride"]
        if window < least:
            yield (
                f"experiments.{name}: length {settings['length']} with stride {settings['stride']} needs windows of"
                f" {least} samples or more, for {needed} frames; a window has {window}"
            )
