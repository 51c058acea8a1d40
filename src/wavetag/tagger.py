"""Trained taggers on disk: a folder that says itself what it is.

``config.json`` holds the settings, the tags in order, the sample rate, the statistics that samples are scaled by, and
each seed's epoch. ``seed_S_best.safetensors`` and ``seed_S_last.safetensors`` hold weights. ``history.csv`` has a
row for each seed and epoch.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import load_file, save

from wavetag import files, networks
from wavetag.training import Training

HISTORY_DECIMALS = 6


class ModelError(ValueError):
    """A model folder that is not whole, or not of this kind."""


def write(folder: str | Path, about: Mapping[str, Any], trainings: Mapping[int, Training]) -> pd.DataFrame:
    """Write a folder with the networks of all seeds of one config, whole or not at all. Returns the history."""
    with files.folder_written_whole(folder) as temporary:
        for seed, training in trainings.items():
            for which, weights in (("best", training.best), ("last", training.network.state_dict())):
                content = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
                # not `save_file`, whose error for a full disk is of its own kind
                _weights(temporary, seed, which).write_bytes(save(content))
        history = pd.DataFrame([row for training in trainings.values() for row in training.history])
        files.write_table(temporary / "history.csv", history, decimals=HISTORY_DECIMALS)
        epochs = {str(seed): training.best_epoch for seed, training in trainings.items()}
        files.write_json(temporary / "config.json", {**about, "chosen_epochs": epochs})
    return history


def _weights(folder: Path, seed: int, which: str) -> Path:
    return folder / f"seed_{seed}_{which}.safetensors"


def about(folder: str | Path) -> dict[str, Any]:
    """What ``config.json`` says."""
    path = Path(folder) / "config.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file: {folder} is not a model folder") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not valid JSON: {error}") from error


def history(folder: str | Path) -> pd.DataFrame:
    """A row for each seed and epoch of the training. Raises ``ModelError`` if it is not there."""
    path = Path(folder) / "history.csv"
    if not path.is_file():
        raise ModelError(f"{path}: no such file: train this config first")
    return pd.read_csv(path)


def load(folder: str | Path, seed: int, which: str = "best") -> networks.Tagger:
    """The network of one seed, in evaluation mode.

    Args:
        folder: as ``write`` left it.
        seed: one of the config's seeds.
        which: ``best``, the epoch that validation chose, or ``last``.

    Raises:
        ModelError: a file is missing or damaged, or its weights are of another network.
    """
    description = about(folder)
    try:
        network = networks.Tagger(
            description["config"],
            description["statistics"],
            len(description["tags"]),
            description["sample_rate"],
            description["window_samples"],
        )
    except (KeyError, TypeError) as error:
        raise ModelError(f"{folder}/config.json: not a model's description: {error!r}") from error
    path = _weights(Path(folder), seed, which)
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:  # safetensors and torch raise several kinds; each means the same to a user
        raise ModelError(f"{path}: cannot be loaded as this config's weights: {error}") from error
    return network.eval()


def curves(history: pd.DataFrame) -> pd.DataFrame:
    """Loss and ROC-AUC by epoch, the mean over seeds: what `dvc plots` draws."""
    columns: Sequence[str] = ("train_loss", "valid_loss", "train_roc_auc", "valid_roc_auc")
    return history.groupby("epoch", as_index=False)[list(columns)].mean()
