"""Settings: read from ``params.yaml``, checked as a whole before anything runs, one config at a time."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

POOL = 4  # of frames, after each of the trunk's convolutions
SHAPES = {  # networks in the trunk's place: the channels that they take, the least and the most frames of a window
    "fcn": (96, 1_280, 2_559),
    "crnn": (96, 96, None),
    "musicnn": (96, 1, None),
    "short_chunk_resnet": (128, 1, None),
    "sample_cnn": (1, 3**10, 2 * 3**10 - 1),
}
RANDOM = "pretrained/none"  # init_from of what begins at random: a folder, for both tools to depend on
STARTS = (
    f"allowed are {RANDOM}, a model's folder, such as pretrained/NAME, and that of another experiment, models/NAME or"
    " suites/SUITE/models/NAME"
)
SHAPES_OF = {  # the settings that make a front end what it is
    "raw": ("length", "stride", "filters", "nonlinearity", "feature_pool"),
    "mel": ("length", "stride", "bands", "compression"),
    "log_mel": ("length", "stride", "bands"),
    "samples": (),
    **dict.fromkeys(("linear", "flat", "fourier"), ("length", "stride", "compression")),
}
SHAPES_OF_TRUNK = ("conv_layers", "conv_filters", "hidden", "batch_norm")  # the other networks have theirs

GENERATOR = Path("src/minitune")
DOWNLOADS = Path("data/downloads")  # what lies in it is ours to fill
RAW = Path("data/raw")  # acquire replaces the datasets in it
PARAMS = Path("params.yaml")
SCHEMA = Path("workflow/schemas/params.schema.yaml")
WORDS = {
    "array": "a list",
    "object": "a mapping of keys to values",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text; what YAML reads as something else, such as 80 or no, is to be quoted",
    "null": "null",
}
LISTS = {  # what they look like, for who has given something else
    "seeds": "[0, 1, 2]",
    "sample_rates": "[12000, 16000]",
    **dict.fromkeys(("train", "valid", "test"), '["0", "a"]'),
    **dict.fromkeys(("table1", "table2"), "[base, mel]"),
}
VOCABULARIES = "merged50, standard50, all, top:N (N at least 1) and lists of tags, each once"

MOST_VALUES = 100_000  # of a file of settings, with all aliases written out: ours have some thousands
LONGEST_NUMBER = 100  # digits
DEEPEST = 50  # brackets within one another
LONGEST_LINE, MOST_LINES = 1_000, 15  # of a message, in characters and beside one that says how many there are more

OF_SUITES = ("common", "splits", "study", "questions")  # what a suite may have besides experiments
BASES = ("defaults", "common")  # what entries begin with


class ParamsError(ValueError):
    """Settings that cannot be: each line names the key, what was given, and what is allowed.

    Of what is too long to be read the beginning is told.
    """

    def __init__(self, text: str):
        text = text.encode(errors="backslashreplace").decode()  # words of a command line may be no UTF-8
        lines = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in text.split("\n")]
        if (more := len(lines) - MOST_LINES) > 0:
            lines[MOST_LINES:] = [f"{lines[MOST_LINES][:LONGEST_LINE]} (and {more} more)"]
        super().__init__("\n".join(lines))


def load(path: str | Path = PARAMS, schema: str | Path = SCHEMA) -> dict[str, Any]:
    """Read and check the settings of a pipeline.

    Raises:
        ParamsError: with a line for each thing that is wrong.
    """
    path = Path(path)
    params = read_yaml(path)
    problems = list(schema_problems(params, read_schema(Path(schema))))
    if not problems:
        problems = [*_only_of_suites(params), *_without_rate(params), *_impossible(params), *_wrong_starts(params)]
    if not problems:
        problems = list(_question_problems(params, "report"))
    if problems:
        raise ParamsError("\n".join(f"{path}: {problem}" for problem in problems))
    return params


def _only_of_suites(params: Mapping[str, Any]) -> Iterator[str]:
    for key in OF_SUITES:
        if key in params and key != "questions":
            yield f"(top level): {key!r} is a section of suites alone (suites/NAME/params.yaml)"
    for where, entry in _entries(params):
        if "split" in entry and entry["split"] != "main":
            yield f"{where}.split: splits other than main are for suites; {entry['split']!r} was given"


def _without_rate(params: Mapping[str, Any]) -> Iterator[str]:
    """Entries without a sample rate: dvc.yaml looks there for the array that an experiment trains on."""
    for where, entry in _entries(params):
        if "sample_rate" not in entry:
            yield f"{where}: begin it with `<<: *defaults`, as the other entries: sample_rate is missing"


def _entries(params: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(f"experiments.{name}", entry) for name, entry in params["experiments"].items()]


def _wrong_source(dataset: Mapping[str, Any]) -> Iterator[str]:
    """A dataset's source that cannot be one, before anything has been done with it."""
    name, source, audio = dataset["name"], dataset["source"], dataset["audio"]
    path = Path(source)
    if name == "minitune":
        if path != GENERATOR:
            yield f"dataset.source: minitune is generated; its source is {GENERATOR}, {source!r} was given"
    elif path == GENERATOR:
        yield f"dataset.source: {source!r} composes minitune; say where {name} is: dataset.source=FOLDER"
    elif source.startswith("~"):
        # neither DVC nor Snakemake expands it, and both depend on the source
        yield f"dataset.source: {source!r} was given; write it in full: {_expanded(source)}"
    elif not (path.exists() or (name == "magnatagatune" and DOWNLOADS in path.parents)):
        yield f"dataset.source: {source!r} was given, where {name} is to be found: there is no such file or folder"
    else:
        yield from _of_ours("dataset.source", source)
    if audio is not None:
        if not audio or not _expanded(audio).is_dir():
            yield f"dataset.audio: {audio!r} was given: there is no such folder"
        elif name != "minitune":
            yield from _of_ours("dataset.audio", audio)


def _of_ours(key: str, given: str) -> Iterator[str]:
    """A place of the user's that is, holds or lies in the folder whose datasets acquire replaces, or the repository."""
    places = {_expanded(given).absolute(), _expanded(given).resolve()}  # as written, and where links lead
    raw = {RAW.absolute(), RAW.resolve()}
    within = any(place.is_relative_to(folder) for place in places for folder in raw)
    around = any(folder.is_relative_to(place) for place in places for folder in {*raw, Path.cwd()})
    if within or around:
        yield (
            f"{key}: {given!r} was given, which {'is or lies in' if within else 'holds'} {RAW}, whose datasets are"
            " replaced; places outside the pipeline's own folders are allowed"
        )


def _expanded(path: str) -> Path:
    """As acquire takes a path; with a user in it who is not known, as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def load_suite(folder: str | Path, params: Mapping[str, Any], schema: str | Path = SCHEMA) -> dict[str, Any]:
    """The settings of a suite: ``params`` with the experiments of ``folder/params.yaml`` in place of its own.

    Besides ``experiments`` a suite may have ``questions``; ``splits``, each with the keys of ``split`` in which it
    differs from the pipeline's; ``common``, what its entries begin with; and ``study``.

    Raises:
        ParamsError: with a line for each thing that is wrong.
    """
    path = Path(folder) / "params.yaml"
    suite = read_yaml(path)
    if not isinstance(suite, dict):
        raise ParamsError(f"{path}: (top level): {_shown(suite)} is not a mapping of keys to values")
    allowed = ("experiments", *OF_SUITES)
    if unknown := ", ".join(repr(key) for key in suite if key not in allowed):
        raise ParamsError(f"{path}: (top level): unknown key {unknown}; allowed are {', '.join(allowed)}")
    if "experiments" not in suite:
        raise ParamsError(f"{path}: (top level): 'experiments' is missing")
    rest = {key: value for key, value in params.items() if key not in OF_SUITES}
    merged = {**rest, **suite, "tables": {name: [] for name in params["tables"]}}
    problems = list(schema_problems(merged, read_schema(Path(schema)))) or list(_of_a_suite(merged))
    if problems:
        raise ParamsError("\n".join(f"{path}: {problem}" for problem in problems))
    rates, prepared = {entry.get("sample_rate") for _, entry in _entries(merged)} - {None}, params["prepare"]
    if missing := sorted(rates - set(prepared["sample_rates"])):
        raise ParamsError(
            f"{path}: takes clips at {', '.join(map(str, missing))} Hz, which are not prepared: add to"
            f" prepare.sample_rates in params.yaml, which has {', '.join(map(str, prepared['sample_rates']))}"
        )
    problems = [*_impossible(merged), *_wrong_starts(merged, _from_top(folder), params), *_without_dep(folder, merged)]
    problems += _question_problems(merged, Path(folder).name)
    if problems:
        raise ParamsError("\n".join(f"{path}: {problem}" for problem in problems))
    return merged


def _of_a_suite(suite: Mapping[str, Any]) -> Iterator[str]:
    """Where a suite's entries say which clips they take: all, if it has splits of its own, else none.

    And which model they begin with: all, if one does.
    """
    begun = any("init_from" in entry for _, entry in _entries(suite))

    def problems(entry: Mapping[str, Any]) -> Iterator[str]:
        for key in ("sample_rate", "split"):
            if "splits" not in suite and key in entry:
                yield f": {key} is not a suite's to set that has no splits: its stages take the pipeline's"
            elif "splits" in suite and key not in entry:
                yield f": {key} is missing: begin the entry with `<<: *common`, as the others"
        if begun and "init_from" not in entry:
            yield f": init_from is missing, which other entries say; {RANDOM} is at random"
        if "splits" in suite and entry.get("split") not in (None, *suite["splits"]):
            yield f".split: there is no split {entry['split']!r}; there are {', '.join(suite['splits'])}"

    yield from _of_entries(suite, problems, ("common",))


def _from_top(folder: str | Path) -> str:
    """A suite's folder as paths in settings begin, with a slash behind it."""
    full, here = Path(folder).absolute(), Path.cwd()
    return f"{(full.relative_to(here) if full.is_relative_to(here) else full).as_posix()}/"


def _without_dep(folder: str | Path, suite: Mapping[str, Any]) -> Iterator[str]:
    """A suite whose entries begin with models, and whose training does not depend on these."""
    path, needed = Path(folder) / "dvc.yaml", "${item.init_from}"
    begun = [name for name, entry in suite["experiments"].items() if entry.get("init_from", RANDOM) != RANDOM]
    if not begun or not path.is_file():
        return
    stage = read_yaml(path)
    for key in ("stages", "train", "do", "deps"):
        stage = stage.get(key) if isinstance(stage, dict) else None
    if needed not in (stage or ()):
        yield f"experiments.{begun[0]}.init_from: a model to begin with: add {needed} to the deps of train in {path}"


def _of_entries(
    params: Mapping[str, Any], problems: Callable[[Mapping[str, Any]], Iterable[str]], bases: Sequence[str] = BASES
) -> Iterator[str]:
    """What is wrong with entries, a line each; what some have from what they begin with is told once, of that.

    Args:
        params: of the pipeline or of a suite.
        problems: an entry -> what is wrong with it, each beginning with what stands behind the entry's name: a colon,
            or a point and a key.
        bases: names of the sections that entries begin with.
    """
    of_bases = {base: list(problems(params[base])) for base in bases if base in params}
    found = (
        next((base for base, known in of_bases.items() if problem in known), where) + problem
        for where, entry in _entries(params)
        for problem in problems(entry)
    )
    yield from dict.fromkeys(found)


def _question_problems(params: Mapping[str, Any], suite: str) -> Iterator[str]:
    """What is wrong with the questions, but for configs of other suites: those are missed when they are wanted."""
    if params.get("questions"):
        from wavetag import findings

        yield from findings.problems(params, suite)


def split_of(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The settings of one of a suite's splits: the pipeline's, and in what it differs from them."""
    return {**params["split"], **params["splits"][name]}


def of_a_score(settings: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """All settings that an experiment's scores depend on: two scores with the same ones are of the same thing.

    To begin at random is not among them: so did all before it could be set. Of what begins with another experiment's
    model, that one's settings are.
    """
    prepare = {key: settings["prepare"][key] for key in ("clip_seconds", "windows")}
    sections = {key: settings[key] for key in ("dataset", "split", "splits", "evaluate") if key in settings}
    of_score = {**sections, "prepare": prepare, "experiment": _without_random(config)}
    if begun := _begun(settings, config):
        of_score["begins_with"] = {name: _without_random(of_other) for name, of_other in begun.items()}
    return of_score


def _begun(settings: Mapping[str, Any], experiment: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The experiments whose models one begins with, the nearest first: name -> config."""
    found: dict[str, dict[str, Any]] = {}
    while (name := Path(experiment.get("init_from", RANDOM)).name) in settings["experiments"] and name not in found:
        experiment = found[name] = config(settings, name)
    return found


def _without_random(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config, or several in sections, without an ``init_from`` that says at random."""
    return {
        key: _without_random(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if (key, value) != ("init_from", RANDOM)
    }


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


def of_config(params: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """Samples in a window of one experiment, at its sample rate."""
    if config["window"] is None:
        return window_samples(params, config["sample_rate"])
    return round(config["window"] * config["sample_rate"])


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


def read_yaml(path: Path) -> Any:
    """The content of a YAML file in which no key stands twice. Raises ``ParamsError``, one line that names the file."""
    try:
        return parsed(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: no such file; the pipeline is run from the repository's top folder") from error
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from error


def read_schema(path: Path) -> Any:
    """A JSON schema of ours, read once. Raises ``ParamsError``, one line that names the file."""
    return _read_once(path, Path.cwd())


@cache
def _read_once(path: Path, folder: Path) -> Any:
    return read_yaml(path)


def parsed(text: str, name: str) -> Any:
    """What YAML says, no key twice. Raises ``ParamsError``, one line that begins with ``name``."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (it is a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        problem = (error.problem or error.context or "").replace(repr("\0"), "its end")
        raise ParamsError(f"{name}: not valid YAML: {' '.join(problem.split())}{place}") from error
    except Exception as error:  # of a tag before what it is not of, !!int x or !!timestamp x, PyYAML raises many kinds
        raise ParamsError(f"{name}: not valid YAML: {' '.join(str(error).split()) or repr(error)}") from error


class _Loader(yaml.SafeLoader):
    """Safe YAML for settings: keys are text, each once (the second would silently win), and numbers can be printed.

    Aliases let a small file stand for more values than memory holds, or for one that holds itself: neither is built.
    """

    def get_single_node(self):
        node = super().get_single_node()
        if node is not None:
            self._count(node, {})
        return node

    def _count(self, node, counts):
        """Values of a node as if each alias were written out; None in ``counts`` while they are being counted."""
        if isinstance(node, yaml.ScalarNode):
            return 1
        if node in counts and counts[node] is None:
            raise yaml.composer.ComposerError(None, None, "an alias of what it stands in", node.start_mark)
        if node not in counts:
            counts[node] = None
            within = chain(*node.value) if isinstance(node, yaml.MappingNode) else node.value
            counts[node] = 1 + sum(self._count(one, counts) for one in within)
            if counts[node] > MOST_VALUES:
                problem = f"aliases that stand for more than {MOST_VALUES:,} values"
                raise yaml.composer.ComposerError(None, None, problem, node.start_mark)
        return counts[node]

    def fetch_flow_collection_start(self, kind):
        self._refuse_deep(self.flow_level)  # at once: PyYAML takes seconds for each thousand brackets
        super().fetch_flow_collection_start(kind)

    def add_indent(self, column):
        self._refuse_deep(len(self.indents))
        return super().add_indent(column)

    def _refuse_deep(self, level):
        if level >= DEEPEST:
            problem = f"more than {DEEPEST} brackets or indentations within one another"
            raise yaml.scanner.ScannerError(None, None, problem, self.get_mark())

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
            if not isinstance(key, str):
                problem = f"the key {_shown(key)} is no text: quote it, '{key_node.value[:20]}'"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node):
        if len(node.value) > LONGEST_NUMBER:
            problem = f"a number of {len(node.value):,} digits: at most {LONGEST_NUMBER} are allowed"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def schema_problems(value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    """What in ``value`` the JSON schema refuses, a sentence each: the key, what was given, what is allowed."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # stricter than JSON: 256.0 is no whole number, and YAML's .nan and .inf are no numbers at all
    types = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_whole, "number": _is_finite})
    errors = extend(Draft202012Validator, type_checker=types)(schema).iter_errors(value)
    in_order = sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])
    yield from _told_once(([str(part) for part in error.absolute_path], _sentence(error)) for error in in_order)


def _told_once(problems: Iterable[tuple[Sequence[str], str]]) -> Iterator[str]:
    """Key and sentence of each as a line; what entries have from what they begin with is told of that alone."""
    of_bases = set()
    # of each of several keys that are missing jsonschema has an error of its own, whose sentence names them all
    for path, sentence in dict.fromkeys((tuple(path), sentence) for path, sentence in problems):
        if path and path[0] in BASES:
            of_bases.add((*path[1:], sentence))
        elif path[:1] == ("experiments",) and (*path[2:], sentence) in of_bases:
            continue
        yield f"{'.'.join(path) or '(top level)'}: {sentence}"


def _is_whole(checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(checker: Any, value: Any) -> bool:
    return _is_whole(checker, value) or (isinstance(value, float) and math.isfinite(value))


def _sentence(error: Any) -> str:
    rule, given, allowed = error.validator, error.instance, error.validator_value
    if error.absolute_path and error.absolute_path[-1] == "init_from":
        return f"{_shown(given)} is not allowed; {STARTS}"
    if rule == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = ", ".join(repr(key) for key in given if key not in known)
        return f"unknown key {unknown}; allowed are {', '.join(known)}"
    if rule == "required":
        return f"{', '.join(repr(key) for key in allowed if key not in given)} is missing"
    if rule == "pattern" and "description" in error.schema:
        return f"{given!r} is not allowed; allowed is {error.schema['description']}"
    if rule == "enum":
        return f"{given!r} is not allowed; allowed are {', '.join(map(str, allowed))}"
    if rule == "type":
        kinds = [allowed] if isinstance(allowed, str) else allowed
        hint = ""
        if isinstance(given, str) and kinds[0] in ("number", "integer") and is_number(given):
            hint = " (YAML 1.1 reads a number such as 1e-3 as text: write 1.0e-3 or 0.001, without quotes)"
        elif kinds == ["array"] and error.absolute_path and error.absolute_path[-1] in LISTS:
            hint = f", such as {LISTS[error.absolute_path[-1]]}"
        return f"{_shown(given)} is not {' or '.join(WORDS[kind] for kind in reversed(kinds))}{hint}"
    if rule == "anyOf":  # there is one, of split.vocabulary
        others = [item for item in given if not isinstance(item, str)] if isinstance(given, list) else []
        read = ", ".join(map(_shown, others))
        hint = f' ({read}: so YAML reads words such as no, on and 80; quote them, as in ["no", "80"])' if others else ""
        return f"{_shown(given)} is not allowed; allowed are {VOCABULARIES}{hint}"
    if rule in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        words = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
        return f"{given!r} is not allowed; {words.get(rule, 'less than')} {allowed} is"
    return error.message


def _shown(value: Any) -> str:
    """As YAML writes it where Python writes it otherwise."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def is_number(text: str) -> bool:
    """Whether Python, and so YAML 1.2, reads a number in it."""
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
    rates = ", ".join(map(str, prepare["sample_rates"]))
    yield from _told_once(
        (where.split("."), f"sample_rate {rate} is not among prepare.sample_rates, which are {rates}")
        for where, settings in (("defaults", params["defaults"]), *_entries(params))
        if (rate := settings.get("sample_rate")) is not None and rate not in prepare["sample_rates"]
    )
    folders = [folder for name in ("train", "valid", "test") for folder in split[name]]
    for folder in sorted({folder for folder in folders if folders.count(folder) > 1}):
        yield f"split: part {folder!r} stands in two of train, valid and test"
    for name in params.get("splits") or {}:
        own = split_of(params, name)
        twice = [part for part in own["train"] if part in (*own["valid"], *own["test"])]
        if "train" in params["splits"][name]:
            yield from (f"splits.{name}.train: part {part!r} is to validate or to test" for part in sorted(twice))
    for table, names in params["tables"].items():
        for name in names:
            if name not in params["experiments"]:
                yield f"tables.{table}: there is no experiment {name!r}; there are {', '.join(params['experiments'])}"
    yield from _defaults_without_effect(params)
    yield from _of_entries(params, lambda entry: entry_problems(params, {**params["defaults"], **entry}))


def stacks(config: Mapping[str, Any]) -> bool:
    """Whether the networks of an experiment's seeds can be trained as one (``stacking``)."""
    return config["network"] == "trunk" and config["frontend"] != "fourier"


def entry_problems(params: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    """What an experiment cannot be together, as its network would say too, but before anything has run.

    Args:
        params: of the pipeline or of a suite: how long clips and windows are.
        settings: of the experiment, with every default filled in.

    Yields:
        Each problem, beginning with what stands behind the experiment's name: a colon, or a point and a key.
    """
    window = of_config(params, settings)
    if settings["select"] == "last" and settings["patience"] is not None:
        yield (
            f": patience {settings['patience']} with select last keeps an epoch that is so many past the best; with"
            " patience, select loss or roc_auc"
        )
    if window > clip_samples(params, settings["sample_rate"]):
        yield (
            f".window: {settings['window']} s is longer than a clip, which is {params['prepare']['clip_seconds']} s"
            " (prepare.clip_seconds)"
        )
    if settings["frontend"] == "raw" and settings["feature_pool"] != "none":
        pool, size, filters = settings["feature_pool"], settings["feature_pool_size"], settings["filters"]
        if size < 2:
            yield f".feature_pool_size: {size} is not allowed with feature_pool {pool}; at least 2 is"
        elif filters % size:
            yield f".feature_pool_size: {filters} filters are no multiple of {size}"
    if problem := misfit(settings, window):
        yield f": {problem}"
    if settings["stack"] is True and not stacks(settings):
        yield (
            f".stack: true is not allowed with network {settings['network']} and frontend {settings['frontend']}; it is"
            " with network trunk, and any frontend but fourier"
        )


def _wrong_starts(params: Mapping[str, Any], root: str = "", above: Mapping[str, Any] | None = None) -> Iterator[str]:
    """What is wrong with the models that experiments begin with.

    Args:
        params: of the pipeline or of a suite.
        root: the suite's folder with a slash behind it; "" for the pipeline.
        above: the pipeline's, of a suite.
    """
    if (given := params["defaults"]["init_from"]) != RANDOM:
        yield f"defaults.init_from: {given!r} is an experiment's to set; here {RANDOM} alone is allowed"
        return
    trained = {f"models/{name}": (above, name) for name in above["experiments"]} if above else {}
    own = {f"{root}models/{name}": (params, name) for name in params["experiments"]}

    def problems(entry: Mapping[str, Any]) -> Iterator[str]:
        settings = {**params["defaults"], **entry}
        if (start := settings["init_from"]) != RANDOM:
            yield from (f".init_from: {problem}" for problem in _wrong_start(params, settings, start, trained | own))

    yield from _of_entries(params, problems)
    for name, entry in params["experiments"].items():
        chain = [name]
        while (start := entry.get("init_from")) in own and (following := own[start][1]) not in chain:
            chain.append(following)
            entry = params["experiments"][following]
        if start in own and own[start][1] == name:
            pairs = zip(chain, [*chain[1:], name], strict=True)
            circle = ", ".join(f"{one} begins with {other}" for one, other in pairs)
            yield f"experiments.{name}.init_from: {circle}: none can be trained first; {STARTS}"


def _wrong_start(
    params: Mapping[str, Any],
    settings: Mapping[str, Any],
    start: str,
    trained: Mapping[str, tuple[Mapping[str, Any], str]],
) -> Iterator[str]:
    """Why an experiment cannot begin with a model.

    Args:
        params: of the experiment.
        settings: its own, with every default filled in.
        start: the model's folder.
        trained: folder -> settings and name of an experiment, of those that may be trained first.
    """
    path = Path(start)
    if start in trained:
        of, name = trained[start]
        model = config(of, name)
        about = {"config": model, "sample_rate": model["sample_rate"], "window_samples": of_config(of, model)}
    elif not start or path.is_absolute() or ".." in path.parts or path.as_posix() != start or start[0] == "~":
        yield f"{start!r} is no folder's path from the repository's top, as pretrained/NAME is; {STARTS}"
        return
    elif path.parts[0] == "taggers":  # the stage release makes them; they may be this experiment's own
        yield f"{start!r} is made of a model: begin with models/{path.name}, or a copy in pretrained/; {STARTS}"
        return
    elif path.parent.name == "models" and path.parts[0] in ("models", "suites"):
        there = [Path(folder).name for folder in trained if Path(folder).parent == path.parent]
        close = [f"{path.parent}/{name}" for name in get_close_matches(path.name, there, 3)]
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        why = "no experiment's" if there else "another suite's: put a copy of it into pretrained/"
        yield f"{start!r} is {why}{hint}; {STARTS}"
        return
    else:
        from wavetag import model_folder

        try:
            about = model_folder.about(path)
            model_folder.check(about, path / "config.json")
        except model_folder.ModelError as error:
            yield f"{start!r} was given: {error}; {STARTS}"
            return
    if differing := unlike(params, settings, about):
        yield f"{start} is of other settings: {differing}"


def unlike(params: Mapping[str, Any], settings: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """In which settings that its front end and trunk depend on an experiment differs from a model; "" if in none.

    Args:
        params: of the experiment: how long clips and windows are.
        settings: its own, with every default filled in.
        about: of the model, as its config.json says: ``config``, ``sample_rate`` and ``window_samples``. What an older
            one does not say is not held against it.
    """
    model, front = about["config"], settings["frontend"]
    keys = ["scaling", "frontend", "network"]
    if model.get("frontend", front) == front:
        keys += SHAPES_OF.get(front, ())
        if front == "raw" and settings["feature_pool"] != "none":
            keys.append("feature_pool_size")
        if front == "raw" and settings["nonlinearity"] != "relu":
            keys.append("compression")
    if settings["network"] == model.get("network", settings["network"]) == "trunk":
        keys += SHAPES_OF_TRUNK
    pairs = {key: (model.get(key, settings[key]), settings[key]) for key in keys}
    rate, window = settings["sample_rate"], of_config(params, settings)
    pairs["sample_rate"] = (about.get("sample_rate", rate), rate)
    if pairs["sample_rate"][0] == rate:
        pairs["window"] = (about.get("window_samples", window), window)
    units = {"sample_rate": " Hz", "window": " samples"}

    def shown(key: str, value: Any) -> str:
        return f"{value if isinstance(value, str) else _shown(value)}{units.get(key, '')}"

    return "; ".join(
        f"{key} {shown(key, there)}, here {shown(key, here)}" for key, (there, here) in pairs.items() if there != here
    )


def misfit(settings: Mapping[str, Any], window: int) -> str | None:
    """Why a network cannot take what its front end makes of a window; None if it can.

    Args:
        settings: of an experiment, with every default filled in.
        window: its samples.
    """
    front, network = settings["frontend"], settings["network"]
    framing = f"length {settings['length']} with stride {settings['stride']}"
    if front == "log_mel" and window <= (half := _fft_size(settings) // 2):
        return f"frontend log_mel needs windows of {half + 1} samples or more, over half its FFT; a window has {window}"
    frames = _frames(settings, window)
    if network == "trunk":
        if frames >= (needed := POOL ** settings["conv_layers"]):
            return None
        if front == "flat":  # whose frames lie end to end
            needed = -(-needed // (settings["length"] // 2 + 1))
        least, what = _samples(settings, needed), f"frontend {front}" if front in ("samples", "log_mel") else framing
        frames = f"{needed} frames (conv_layers {settings['conv_layers']})"
        return f"{what} needs windows of {least} samples or more, for {frames}; a window has {window}"
    channels, least, most = SHAPES[network]
    if (given := _channels(settings)) != channels:
        what = (
            "1 channel, as of frontend samples"
            if channels == 1
            else f"{channels} channels, as of frontend log_mel with bands {channels}"
        )
        return f"network {network} takes {what}; frontend {front} gives {given}"
    if least <= frames <= (most or frames):
        return None
    allowed = f"{least:,} to {most:,}" if most else f"{least:,} or more"
    if front == "samples":
        return f"network {network} takes windows of {allowed} samples; a window has {frames:,}"
    return f"network {network} takes windows of {allowed} frames; {framing} makes {frames:,} of {window:,} samples"


def _frames(settings: Mapping[str, Any], window: int) -> int:
    """Frames that the network sees of so many samples, as ``frontends`` makes them."""
    front, length, stride = settings["frontend"], settings["length"], settings["stride"]
    if front == "samples":
        return window
    if front == "log_mel":  # centred on every stride-th sample
        return window // stride + 1
    whole = (window - length) // stride + 1 if window >= length else 0
    return whole * (length // 2 + 1) if front == "flat" else whole


def _samples(settings: Mapping[str, Any], frames: int) -> int:
    """The least samples of which a front end makes so many frames, those of ``flat`` before they lie end to end."""
    if settings["frontend"] == "samples":
        return frames
    least = (frames - 1) * settings["stride"]
    return max(least, _fft_size(settings) // 2 + 1) if settings["frontend"] == "log_mel" else least + settings["length"]


def _channels(settings: Mapping[str, Any]) -> int:
    """Channels that the network sees, as ``frontends`` makes them."""
    front = settings["frontend"]
    if front == "raw":
        return settings["filters"] // (1 if settings["feature_pool"] == "none" else settings["feature_pool_size"])
    if front in ("mel", "log_mel"):
        return settings["bands"]
    return settings["length"] // 2 + 1 if front in ("linear", "fourier") else 1


def _fft_size(settings: Mapping[str, Any]) -> int:
    """The smallest power of two, at least ``length``, whose FFT leaves no mel band without a frequency."""
    return _least_fft_size(settings["sample_rate"], settings["length"], settings["bands"])


@cache
def _least_fft_size(rate: int, length: int, bands: int) -> int:
    top, size = math.log10(1 + rate / 2 / 700), 2 ** (length - 1).bit_length()
    edges = [700 * (10 ** (top * number / (bands + 1)) - 1) for number in range(bands + 2)]
    # a band is empty between its edges where no multiple of rate / size lies between them
    while any(
        (math.floor(low * size / rate) + 1) * rate / size >= high
        for low, high in zip(edges[:-2], edges[2:], strict=True)
    ):
        size *= 2
    return size
