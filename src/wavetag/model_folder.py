"""Model folders: what says itself what it is, so that it can be handed on.

As training leaves it, with the networks of all seeds: ``config.json`` holds the settings, the tags in order, the sample
rate, the statistics that samples are scaled by, the version of the code, and each seed's epoch.
``seed_S_best.safetensors`` and ``seed_S_last.safetensors`` hold weights. ``history.csv`` has a row for each seed and
epoch.

As it is handed on (``release``), with one network: ``config.json``, ``model.safetensors``, and ``README.md``, its model
card. Both kinds can be loaded (``tagger``); neither holds anything that is executed.
"""

import csv
import glob
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import category

from wavetag import files

WEIGHTS = "model.safetensors"  # of a folder with one network
FOLDERS = ("taggers", "models")  # of the pipeline, in which a model is looked for by its name
OTHERS = ("pretrained", "suites/*/models")
MOST_WINDOW = 2**24  # samples: a window longer than 17 minutes at 16 kHz is a mistake, or malice
KEYS = {  # of config.json, without which there is no network
    "config": dict,
    "statistics": dict,
    "tags": list,
    "sample_rate": int,
    "window_samples": int,
}
OTHER_KEYS = {"name": str, "dataset": dict, "chosen_epochs": dict, "validation": dict, "code": dict}
SIZES = {  # of config, and the most of each
    **{"length": 2**20, "stride": 2**20, "filters": 2**16, "bands": 4096, "feature_pool_size": 2**16},
    **{"conv_layers": 8, "conv_filters": 2**16, "hidden": 2**16},
}
MOST_FILTERS = 2**25  # bands times samples of a frame: their filters take a quarter of a gigabyte
MOST_BYTES = 2**24  # of config.json: ours have some thousands
LONGEST_NAME = 1_000  # characters


class ModelError(ValueError):
    """A model folder that is not whole, or not of this kind."""


def is_line(text: str) -> bool:
    """Whether a text is one line without control characters, such as move a terminal's cursor."""
    return not any(category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text)


def weights(folder: Path, seed: int | None, which: str = "best") -> Path:
    """The file with the weights of a seed's network, ``best`` or ``last``; of the only one where seed is None."""
    return folder / (WEIGHTS if seed is None else f"seed_{seed}_{which}.safetensors")


def about(folder: str | Path) -> dict[str, Any]:
    """What ``config.json`` says; ``check`` tells whether it is enough. Raises ``ModelError`` if it cannot be read."""
    path = Path(folder) / "config.json"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelError(f"{path}: not a model's description: {path.stat().st_size:,} bytes")
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)
        # what JSON's \u can say and no file, terminal or table can hold
        json.dumps(found, ensure_ascii=False).encode()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(f"{path}: no such file: {folder} is not a model folder") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError:  # without its thousand frames
        raise ModelError(f"{path}: not valid JSON: brackets within brackets, too deep to be read") from None
    except ModelError:
        raise
    except ValueError as error:  # json's own, of text that is not UTF-8, and of numbers of thousands of digits
        raise ModelError(f"{path}: not valid JSON: {files.one_line(error)}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: not a model's description: a mapping of keys to values is needed")
    return found


def check(about: Mapping[str, Any], path: Path) -> None:
    """Refuse a description that no network can be built by, before anything is.

    And one that would take memory without end to build, or whose names would move a terminal's cursor.
    """
    for key, kind in KEYS.items():
        if not isinstance(about.get(key), kind) or isinstance(about[key], bool):
            raise ModelError(f"{path}: not a model's description: {key!r} is missing, or is no {kind.__name__}")
    for key, kind in OTHER_KEYS.items():
        if not isinstance(about.get(key, kind()), kind):
            raise ModelError(f"{path}: not a model's description: {key!r} is no {kind.__name__}")
    tags = about["tags"]
    if not tags or not all(isinstance(tag, str) for tag in tags) or len(set(tags)) < len(tags):
        raise ModelError(f"{path}: 'tags' is to be a list of names, each once")
    for name in (*tags, about.get("name", ""), about.get("dataset", {}).get("name", "")):
        if not isinstance(name, str) or len(name) > LONGEST_NAME or not is_line(name):
            raise ModelError(
                f"{path}: {str(name)[:80]!r} is no name; one is a line of at most {LONGEST_NAME} characters"
            )
    config = about["config"]
    for key, most in SIZES.items():
        value = config.get(key, 1)
        if not isinstance(value, int) or not 1 <= value <= most:
            raise ModelError(f"{path}: config.{key}: {str(value)[:80]!r}; a whole number from 1 to {most:,} is allowed")
    if config.get("bands", 1) * config.get("length", 1) > MOST_FILTERS:
        raise ModelError(f"{path}: {config['bands']} bands of {config['length']} samples: too many to compute")
    if not 1 <= about["window_samples"] <= MOST_WINDOW or not 1000 <= about["sample_rate"] <= 1_000_000:
        raise ModelError(
            f"{path}: windows of {about['window_samples']} samples at {about['sample_rate']} Hz: 1 to {MOST_WINDOW}"
            " samples at 1,000 to 1,000,000 Hz are allowed"
        )


def seeds(folder: str | Path) -> dict[int, float]:
    """Of each seed whose networks are in a folder, the validation ROC-AUC at its chosen epoch.

    Raises:
        ModelError: there is no history, or not of those epochs.
    """
    folder = Path(folder)
    path, chosen = folder / "history.csv", about(folder).get("chosen_epochs", {})
    if not path.is_file():
        raise ModelError(f"{path}: no such file: train this config first")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = {(row["seed"], row["epoch"]): float(row["valid_roc_auc"]) for row in csv.DictReader(file)}
        return {int(seed): rows[seed, str(epoch)] for seed, epoch in chosen.items()}
    except (OSError, KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        said = files.one_line(repr(error))
        raise ModelError(f"{path}: not the history of the epochs in config.json: {said}") from error


def best_seed(folder: str | Path) -> int | None:
    """The seed whose network did best on the validation clips, of equals the first; None where there is one network.

    Raises:
        ModelError: as ``seeds``, or there is none.
    """
    if (Path(folder) / WEIGHTS).is_file():
        return None
    return best_of(seeds(folder), folder)


def best_of(scores: Mapping[int, float], folder: str | Path) -> int:
    """The seed with the highest of the ``seeds`` of a folder. Raises ``ModelError`` where there is none."""
    if not scores:
        raise ModelError(f"{folder}/config.json: it names no seeds")
    return highest(scores)


def highest(scores: Mapping[Any, float]) -> Any:
    """The key of the highest score, of equals the first; one that is NaN is below all others."""
    return max(scores, key=lambda key: (not math.isnan(scores[key]), scores[key]))


def find(wanted: str | None = None, root: str | Path = ".") -> Path:
    """The folder of a model, by path or by the name of its config; without either the best one by validation.

    Args:
        wanted: a folder, or a name in one of ``FOLDERS`` or ``OTHERS``.
        root: the repository, or another folder with a folder ``taggers`` or ``models``.

    Raises:
        ModelError: there is none, or several of that name.
    """
    root = Path(root)
    if wanted is None:
        return _best(root)
    if files.is_file(Path(wanted) / "config.json"):
        return Path(wanted)
    if files.is_there(wanted) and Path(wanted).is_dir():
        raise ModelError(f"{wanted}: not a model folder: it has no config.json")
    name = wanted.strip("/")
    if any(len(part.encode(errors="replace")) > files.LONGEST_NAME for part in Path(name).parts):
        name = ""  # no folder has it
    for pattern in (*FOLDERS, *OTHERS):
        found = _folders(root, [pattern], glob.escape(name) or "?")
        if len(found) > 1:
            raise ModelError(f"model {wanted!r}: there are {', '.join(map(str, found))}; say which")
        if found:
            return found[0]
    there = sorted({path.name for path in _folders(root, FOLDERS + OTHERS)})
    said = f"there are {', '.join(there)}" if there else "there is none; `make all` trains some"
    place = "here" if root == Path() else f"in {root}"
    raise ModelError(f"model {wanted!r}: no such model folder, and no model of that name {place}; {said}")


def _folders(root: Path, patterns: Sequence[str], name: str = "*") -> list[Path]:
    return sorted(path.parent for pattern in patterns for path in root.glob(f"{pattern}/{name}/config.json"))


def _best(root: Path) -> Path:
    """Of the first kind of folder that has models, the one with the highest validation ROC-AUC, mean over seeds."""
    for kind in FOLDERS:
        scores = {folder: validation(folder) for folder in _folders(root, [kind])}
        if scores:
            return highest(scores)
    raise ModelError(
        f"no model: there is none in {' or '.join(str(root / kind) for kind in FOLDERS)}; `make all` trains some, or"
        " say which with --model FOLDER"
    )


def validation(folder: Path) -> float:
    """Validation ROC-AUC of a model's config at the chosen epochs, the mean over seeds; NaN where none is known."""
    if (folder / WEIGHTS).is_file():
        of_model = about(folder).get("validation")
        value = of_model.get("roc_auc") if isinstance(of_model, dict) else None
        return value if isinstance(value, float | int) else math.nan
    scores = list(seeds(folder).values())
    return sum(scores) / len(scores) if scores else math.nan
