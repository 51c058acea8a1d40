"""Searches for settings: what is tried, how one training is scored on the validation clips, and which one is chosen.

A search never sees a test clip: ``attempt`` refuses them. What is chosen is trained and evaluated as any config is.
Each experiment of the suite is one training of the search that the first word of its name says; the section ``study``
is the space that Optuna draws the spectrogram network's settings from (``study``).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from wavetag import files, params

SEARCHES = {  # first word of an experiment's name -> what differs between the experiments of that search
    "grid": ("learning_rate", "momentum"),
    "batch": ("batch_size",),
    "epochs": ("epochs", "patience"),
}
STUDY = "spectrogram"  # what the network is called that the study chooses
CHOSEN = (*SEARCHES, STUDY)
SCHEMA = Path("workflow/schemas/study.schema.yaml")
OF_THE_STUDY = {  # settings that are no part of a space
    "epochs": "study.epochs says how many",
    "seeds": "study.seed says which, and what is chosen is trained from those of defaults",
    "select": "a study keeps the epoch with the best validation ROC-AUC, which is what it searches for",
    "sample_rate": "searches take the one of defaults",
    "split": "searches take the pipeline's own",
    "tune": "the learning rate is part of the search",
    "init_from": "the networks of a search begin at random",
}
TOGETHER = (  # settings of which not all go together
    *("frontend", "length", "stride", "bands", "filters", "feature_pool", "feature_pool_size"),
    *("network", "conv_layers", "window"),
)
JOINT = "/"  # in a key of the space, and in its choices: settings that are drawn together, as in length/stride


@dataclass(frozen=True)
class Plan:
    """The section ``study``: which trials there are to be.

    Attributes:
        trials: how many to finish, pruned ones included.
        epochs: of a trial that is not pruned.
        seed: of the trainings, of the sampler and of the importances.
        workers: numbers of the processes that share the work.
        startup_trials: drawn at random, before the sampler learns from what was found.
        pruner: ``startup_trials`` that are never pruned, and the ``warmup_epochs`` of every trial.
        config: what all trials share, over the defaults.
        space: key -> ``choices``; or ``low`` and ``high``, with ``log`` or ``step``. A key may join several settings.
    """

    trials: int
    epochs: int
    seed: int
    workers: tuple[int, ...]
    startup_trials: int
    pruner: dict[str, int]
    config: dict[str, Any]
    space: dict[str, dict[str, Any]]

    def config_of(self, drawn: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """A trial's config, with every default filled in."""
        fixed = {"epochs": self.epochs, "seeds": [self.seed], "select": "roc_auc"}
        return {**defaults, **self.config, **settings_of(drawn), **fixed}


def settings_of(drawn: Mapping[str, Any]) -> dict[str, Any]:
    """What was drawn, setting by setting: ``{"length/stride": "512/256"}`` is ``{"length": 512, "stride": 256}``."""
    settings = {}
    for key, value in drawn.items():
        keys = key.split(JOINT)
        values = [yaml.safe_load(part) for part in value.split(JOINT)] if len(keys) > 1 else [value]
        settings |= dict(zip(keys, values, strict=True))
    return settings


def read_study(
    path: str | Path, settings: Mapping[str, Any], schema: str | Path = SCHEMA, of_configs: str | Path = params.SCHEMA
) -> Plan:
    """The section ``study`` of a suite's params.yaml, checked as a whole.

    Args:
        path: of the file.
        settings: of the suite, as ``params.load_suite`` gives them: defaults and the windows' length are theirs.
        schema: of the section.
        of_configs: the schema that says what an experiment's settings may be.

    Raises:
        params.ParamsError: with a line for each thing that is wrong.
    """
    section = (params.read_yaml(Path(path)) or {}).get("study")
    if section is None:
        raise params.ParamsError(f"{path}: there is no section study")
    problems = list(params.schema_problems(section, params.read_schema(Path(schema))))
    if not problems:
        problems = list(_wrong_space(section, settings, params.read_schema(Path(of_configs))))
    if problems:
        raise params.ParamsError("\n".join(f"{path}: study.{problem}" for problem in problems))
    return Plan(**{**section, "workers": tuple(section["workers"])})


def _wrong_space(section: Mapping[str, Any], settings: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterable[str]:
    """What a schema cannot say of a study: numbers, keys and values that cannot be, alone or together."""
    entry_schema = {"$defs": schema["$defs"], **schema["$defs"]["config"]}
    if section["workers"] != list(range(len(section["workers"]))):
        yield f"workers: {section['workers']} is not allowed; they are numbered from 0, as in [0, 1]"
    trials, epochs, pruner = section["trials"], section["epochs"], section["pruner"]
    for key, startup in (("startup_trials", section), ("pruner.startup_trials", pruner)):
        if (count := startup["startup_trials"]) > trials:
            yield f"{key}: {count} is not allowed; at most trials, {trials}, is"
    if pruner["warmup_epochs"] >= epochs:
        yield f"pruner.warmup_epochs: {pruner['warmup_epochs']} is not allowed; less than epochs, {epochs}, is"
    seen = set(section["config"])
    problems = [*_refused("config", section["config"], entry_schema)]
    for key, drawn in section["space"].items():
        where, keys = f"space.{key}", key.split(JOINT)
        for twice in sorted(seen & set(keys)):
            problems.append(f"{where}: {twice} is set elsewhere in the study too")
        seen |= set(keys)
        if "choices" not in drawn and (len(keys) > 1 or drawn["low"] >= drawn["high"]):
            given = f"low {drawn['low']} and high {drawn['high']}"
            allowed = "choices are" if len(keys) > 1 else "low is less than high"
            problems.append(f"{where}: {given} are not allowed; {allowed}")
            continue
        if "log" in drawn and "step" in drawn:
            problems.append(f"{where}: log and step do not go together")
            continue
        if drawn.get("log") and drawn["low"] <= 0:
            problems.append(f"{where}: low {drawn['low']} has no logarithm; more than 0 is allowed")
            continue
        for value in drawn.get("choices") or (drawn["low"], drawn["high"]):
            if len(keys) > 1 and not (isinstance(value, str) and value.count(JOINT) == len(keys) - 1):
                problems.append(f"{where}: {value!r} is not allowed; {len(keys)} values with {JOINT} between them are")
                continue
            problems += _refused(where, settings_of({key: value}), entry_schema)
    yield from dict.fromkeys(problems)
    if not problems:
        yield from dict.fromkeys(_impossible(section, settings))


def _refused(where: str, given: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterable[str]:
    for key in sorted(given.keys() & OF_THE_STUDY.keys()):
        yield f"{where}: {key} is not a space's to set: {OF_THE_STUDY[key]}"
    yield from (f"{where}: {problem}" for problem in params.schema_problems(dict(given), schema))


def _impossible(section: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterable[str]:
    """Draws that are no experiment: whose windows are too short or too long for the network, say."""
    drawn = {key: about for key, about in section["space"].items() if set(key.split(JOINT)) & set(TOGETHER)}
    for together in product(*map(_values, drawn.values())):
        draw = dict(zip(drawn, together, strict=True))
        config = {**settings["defaults"], **section["config"], **settings_of(draw), "select": "roc_auc"}
        for problem in params.entry_problems(settings, config):
            of_all = not drawn or problem.partition(":")[0].removeprefix(".") in section["config"]
            yield f"{'config' if of_all else 'space'}{problem}"


def _values(drawn: Mapping[str, Any]) -> Sequence[Any]:
    """Of what is drawn the values to check: all choices, or of a range its ends.

    And of whole numbers the second: where it and the first are multiples of a number, as pooling has it, so are all.
    """
    if "choices" in drawn:
        return drawn["choices"]
    low, high = drawn["low"], drawn["high"]
    second = low + (drawn.get("step") or 1)
    whole = all(isinstance(value, int) for value in (low, second, high)) and second < high
    return (low, second, high) if whole else (low, high)


def search_of(name: str) -> str:
    """The search that an experiment belongs to: the first word of its name."""
    return name.split("_")[0]


def check(settings: Mapping[str, Any], path: str | Path) -> None:
    """Refuse experiments that are no search's.

    Args:
        settings: of the suite.
        path: of its params.yaml, for messages.

    Raises:
        params.ParamsError: with a line for each thing that is wrong.
    """
    problems, names = [], {search: [] for search in SEARCHES}
    for name in settings["experiments"]:
        where, config = f"experiments.{name}", params.config(settings, name)
        if search_of(name) not in SEARCHES:
            problems.append(f"{where}: the first word of a name says its search; allowed are {', '.join(SEARCHES)}")
            continue
        names[search_of(name)].append(name)
        if len(config["seeds"]) != 1:
            problems.append(f"{where}: seeds {config['seeds']} is not allowed; a search trains from one, as in [0]")
        for key in ("sample_rate", "split", "tune", "init_from"):
            if config.get(key) != settings["defaults"].get(key):
                problems.append(f"{where}: {key} is not a search's to set: {OF_THE_STUDY[key]}")
    problems += [f"experiments: search {search} has none" for search, found in names.items() if not found]
    if problems:
        raise params.ParamsError("\n".join(f"{path}: {problem}" for problem in problems))


def attempt(
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    array: Any,
    split: Any,
    statistics: Mapping[str, float],
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    precision: str = "float32",
    report: Callable[[dict[str, float], float], None] = lambda row, seconds_left: None,
) -> dict[str, Any]:
    """Train one config from its first seed and score it on the validation clips. No weights are kept.

    Args:
        config: with every default filled in.
        settings: as in params.yaml.
        array: int16 [clips, samples].
        split: ``splits.Split`` of the clips to train and to validate, and of no others.
        statistics: of the training clips.
        checkpoint: a file to go on from, see ``training.run``.
        device: where the network is.
        precision: name of the type in which a training step multiplies.
        report: called after each epoch, see ``training.run``. What it raises ends the training.

    Returns:
        ``valid_roc_auc`` and ``valid_loss`` of the epoch that the config's ``select`` keeps, ``kept_epoch`` (from 1),
        ``diverged`` (the loss stopped being a finite number, in the first epoch or later; the scores are of what was
        kept before, None where that is nothing), ``epochs`` that were trained, ``updates``, ``seconds``, and
        ``history``, a row an epoch.

    Raises:
        ValueError: the split has test clips, or no tag has both positive and negative validation clips.
    """
    import torch

    from wavetag import splits, training

    if (split.clips["split"] == splits.TEST).any():
        raise ValueError("a search was given test clips; only those to train and to validate are allowed")
    parts = [training.Clips(array, split.only(part)) for part in (splits.TRAIN, splits.VALID)]
    rate = config["sample_rate"]
    placing = {"checkpoint": checkpoint, "device": device, "precision": getattr(torch, precision)}
    window = params.of_config(settings, config)
    steps = math.ceil(len(parts[0]) / config["batch_size"])
    try:
        trained = training.run(
            config, config["seeds"][0], *parts, dict(statistics), rate, window, **placing, report=report
        )
    except training.Diverged:
        nothing = {"valid_roc_auc": None, "valid_loss": None, "kept_epoch": None, "diverged": True}
        return {**nothing, "epochs": 0, "updates": 0, "seconds": 0.0, "history": []}
    kept = trained.history[trained.best_epoch - 1]
    if not math.isfinite(kept["valid_roc_auc"]):
        raise ValueError("no tag has validation clips with and without it: there is no ROC-AUC to search by")
    return {
        "valid_roc_auc": kept["valid_roc_auc"],
        "valid_loss": kept["valid_loss"],
        "kept_epoch": trained.best_epoch,
        "diverged": training.diverged(trained.history, config),
        "epochs": len(trained.history),
        "updates": steps * len(trained.history),
        "seconds": round(sum(trained.seconds), 2),
        "history": [_without_nan(row) for row in trained.history],
    }


def _without_nan(row: Mapping[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in row.items()}


def read_attempts(folder: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the stage ``trial`` wrote of every experiment of the suite, in order."""
    return [files.read_json(folder / f"{name}.json") for name in settings["experiments"]]


def best(attempts: Sequence[Mapping[str, Any]], what: str) -> Mapping[str, Any]:
    """The attempt with the highest validation ROC-AUC; what diverged, at whatever epoch, does not count.

    Of several with the same one the lower loss decides, then the fewer epochs, then the order.

    Raises:
        ValueError: all diverged; ``what`` names them.
    """
    sound = [one for one in attempts if not one["diverged"] and one["valid_roc_auc"] is not None]
    if not sound:
        raise ValueError(f"{what}: every one of {len(attempts)} trainings diverged; there is none to choose")
    return min(sound, key=lambda one: (-one["valid_roc_auc"], one["valid_loss"], one["epochs"]))


def listed(attempts: Iterable[Mapping[str, Any]], chosen: Iterable[str]) -> Any:
    """The attempts as a table, one a row: the settings that differ, the scores, and what they cost.

    Args:
        attempts: as ``attempt`` gives them, with ``name``, ``search`` and ``config``.
        chosen: names of those that were.
    """
    import pandas as pd

    keys = list(dict.fromkeys(key for keys in SEARCHES.values() for key in keys))
    scores = ("valid_roc_auc", "valid_loss", "kept_epoch", "updates", "seconds", "diverged")
    rows = [
        {
            "name": one["name"],
            "search": one["search"],
            **{key: one["config"][key] for key in keys},
            "epochs_trained": one["epochs"],
            **{key: one[key] for key in scores},
            "chosen": one["name"] in set(chosen),
        }
        for one in attempts
    ]
    return pd.DataFrame(rows).astype({"patience": "Int64", "kept_epoch": "Int64"})
