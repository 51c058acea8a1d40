"""Release: one network of a config, with all that is to be known of it, as a folder to use and to hand on."""

import csv
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
    by_tag: Sequence[Mapping[str, str]] = (),
    clips: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Write the network that did best on the validation clips, its description and its model card, whole or not at all.

    Args:
        folder: as training left it.
        out: the folder to write.
        metrics: of the config, as in ``metrics/NAME.json``; None where it was not scored.
        by_tag: rows of ``metrics/tags/NAME.csv``.
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
    dataset = about["dataset"]["name"]
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
        described["tag_metrics"] = [_of_tag(row) for row in by_tag if row["view"] == metrics["view"]]
    card = model_card.card(described)
    with files.folder_written_whole(out) as temporary:
        (temporary / model_folder.WEIGHTS).write_bytes(weights.read_bytes())
        files.write_json(temporary / "config.json", described)
        files.write_text(temporary / "README.md", card)
    return described


def _of_tag(row: Mapping[str, str]) -> dict[str, Any]:
    values = {"roc_auc": row["roc_auc"], "low": row["roc_auc_ci_low"], "high": row["roc_auc_ci_high"]}
    numbers = {key: _number(value) for key, value in values.items()}
    if None in numbers.values():
        numbers = dict.fromkeys(numbers)
    return {"tag": row["tag"], "positives": int(row["positives"]), **numbers}


def _number(text: str) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def read_table(path: str | Path) -> list[dict[str, str]]:
    """Rows of ``metrics/tags/NAME.csv``. Raises ``ValueError`` that names the file if it is not there."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file") from error


def count(split: str | Path) -> dict[str, int]:
    """How many clips of a split's table train, validate and test. Raises ``ValueError`` if it is not there."""
    try:
        with Path(split).open(encoding="utf-8", newline="") as file:
            found = Counter(row["split"] for row in csv.DictReader(file, delimiter="\t"))
    except (FileNotFoundError, KeyError) as error:
        raise ValueError(f"{split}: no such file, or no table of a split") from error
    return {name: found[name] for name in ("train", "valid", "test")}
