"""Release: one network of a config, with all that is to be known of it, as a folder to use and to hand on."""

import csv
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wavetag import files, model_card, model_folder

KEPT = ("name", "tags", "sample_rate", "window_samples", "statistics", "config", "precision", "tuning")
SCORES = ("roc_auc", "roc_auc_sd", "roc_auc_ci", "average_precision", "average_precision_sd", "average_precision_ci")
OF_CONFIG = ("view", "seeds", "parameters", "converged", "tags_defined", "tags_undefined")
UNKNOWN = {"wavetag": "of an unknown version", "sources": "unknown", "torch": "of an unknown version"}


def release(
    folder: str | Path,
    out: str | Path,
    metrics: Mapping[str, Any] | None = None,
    by_tag: Sequence[Mapping[str, Any]] = (),
    clips: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Write the network that did best on the validation clips, its description and its model card, whole or not at all.

    Args:
        folder: as training left it.
        out: the folder to write.
        metrics: of the config, as ``read_metrics`` gives them; None where it was not scored.
        by_tag: as ``read_table`` gives it.
        clips: how many train, validate and test.

    Returns:
        What its ``config.json`` says.

    Raises:
        model_folder.ModelError: the folder is not as training leaves it.
    """
    folder, out = Path(folder), Path(out)
    about = model_folder.about(folder)
    model_folder.check(about, folder / "config.json")
    if (folder / model_folder.WEIGHTS).is_file():
        raise model_folder.ModelError(f"{folder}: a model that was released already: copy it")
    scores = model_folder.seeds(folder)
    seed = model_folder.best_of(scores, folder)
    weights = model_folder.weights(folder, seed)
    if not weights.is_file():
        raise model_folder.ModelError(f"{weights}: no such file: train this config first")
    dataset = about.get("dataset", {}).get("name")
    if not dataset:
        raise model_folder.ModelError(f"{folder}/config.json: it does not name the dataset (dataset.name)")
    known = model_card.licence(dataset)
    described = {
        **{key: about[key] for key in KEPT if key in about},
        "seed": seed,
        "chosen_epoch": about["chosen_epochs"][str(seed)],
        "validation": files.rounded({"roc_auc": sum(scores.values()) / len(scores), "of_seed": scores[seed]}, 6),
        "dataset": {
            "name": dataset,
            **{key: known[key] for key in ("title", "licence", "fit", "unfit")},
            "licence_id": known["id"],
            "clips": dict(clips or {}),
        },
        "code": {**UNKNOWN, **about.get("code", {})},
    }
    if metrics is not None:
        described["metrics"] = {key: metrics[key] for key in (*OF_CONFIG, *SCORES, "test_clips") if key in metrics}
        described["metrics"]["views"] = {
            name: {key: found[key] for key in (*SCORES, "test_clips") if key in found}
            for name, found in metrics["views"].items()
        }
        of_view = [row for row in by_tag if row["view"] == metrics["view"]]
        described["tag_metrics"] = [{key: row[key] for key in row if key != "view"} for row in of_view]
    try:
        card = model_card.card(described)
        json.dumps(described, allow_nan=False)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = files.one_line(repr(error))
        raise model_folder.ModelError(f"{folder}/config.json: no model card can be made of it: {said}") from error
    with files.folder_written_whole(out) as temporary:
        (temporary / model_folder.WEIGHTS).write_bytes(weights.read_bytes())
        files.write_json(temporary / "config.json", described)
        files.write_text(temporary / "README.md", card)
    return described


def read_metrics(path: str | Path) -> dict[str, Any]:
    """Scores of a config. Raises ``ValueError`` that names the file if it is not there or not as it should be."""
    metrics = files.read_json(path)
    try:
        for scores in (metrics, *metrics["views"].values()):
            for key in ("roc_auc", "average_precision"):
                low, high = scores[f"{key}_ci"]
                spread = scores.get(f"{key}_sd")
                if not all(map(_is_number, (scores[key], low, high, 0.0 if spread is None else spread))):
                    raise ValueError(f"{key} is no number")
            if not isinstance(scores["test_clips"], int):
                raise ValueError("test_clips is no whole number")
        if not isinstance(metrics["seeds"], int) or not isinstance(metrics["converged"], bool) or "view" not in metrics:
            raise ValueError("seeds, converged or view is missing, or something else")
        if not all(map(model_folder.is_line, metrics["views"])):
            raise ValueError("a view's name is no line of text")
        json.dumps(metrics, ensure_ascii=False).encode()  # what JSON can say in escapes and no file can hold
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = files.one_line(repr(error))
        raise ValueError(f"{path}: not the scores of a config: {said}; evaluate it again") from error
    return metrics


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and math.isfinite(value)


def _of_tag(row: Mapping[str, str]) -> dict[str, Any]:
    values = {"roc_auc": row["roc_auc"], "low": row["roc_auc_ci_low"], "high": row["roc_auc_ci_high"]}
    numbers = {key: _number(value) for key, value in values.items()}
    if None in numbers.values():
        numbers = dict.fromkeys(numbers)
    return {"view": row["view"], "tag": row["tag"], "positives": int(row["positives"]), **numbers}


def _number(text: str) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def read_table(path: str | Path) -> list[dict[str, Any]]:
    """Scores tag by tag, of ``metrics/tags/NAME.csv``: view, tag, positives, and roc_auc with low and high.

    Raises ``ValueError`` that names the file if it is not there or not as it should be.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return [_of_tag(row) for row in csv.DictReader(file)]
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file") from error
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        said = files.one_line(repr(error))
        raise ValueError(f"{path}: not the scores of a config's tags: {said}; evaluate it again") from error


def count(split: str | Path) -> dict[str, int]:
    """How many clips of a split's table train, validate and test. Raises ``ValueError`` if it is not there."""
    try:
        with Path(split).open(encoding="utf-8", newline="") as file:
            found = Counter(row["split"] for row in csv.DictReader(file, delimiter="\t"))
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise ValueError(f"{split}: no such file, or no table of a split") from error
    return {name: found[name] for name in ("train", "valid", "test")}
