"""Trained taggers: their networks, written to and read from model folders (``model_folder``)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save

from wavetag import files, networks
from wavetag.files import one_line
from wavetag.model_folder import ModelError, about, check, weights

if TYPE_CHECKING:  # who only loads a network waits for neither
    import pandas as pd

    from wavetag.training import Training

HISTORY_DECIMALS = 6


def write(folder: str | Path, about: Mapping[str, Any], trainings: "Mapping[int, Training]") -> "pd.DataFrame":
    """Write a folder with the networks of all seeds of one config, whole or not at all. Returns the history."""
    import pandas as pd

    from wavetag import training as of_training

    with files.folder_written_whole(folder) as temporary:
        for seed, training in trainings.items():
            for which, values in (("best", training.best), ("last", training.network.state_dict())):
                content = {key: value.detach().cpu().contiguous() for key, value in values.items()}
                # not `save_file`, whose error for a full disk is of its own kind
                weights(temporary, seed, which).write_bytes(save(content))
        history = pd.DataFrame([row for training in trainings.values() for row in training.history])
        files.write_table(temporary / "history.csv", history, decimals=HISTORY_DECIMALS)
        epochs = {str(seed): training.best_epoch for seed, training in trainings.items()}
        files.write_json(temporary / "config.json", {**about, "chosen_epochs": epochs, "code": of_training.code()})
    return history


def history(folder: str | Path) -> "pd.DataFrame":
    """A row for each seed and epoch of the training. Raises ``ModelError`` if it is not there."""
    import pandas as pd

    path = Path(folder) / "history.csv"
    if not path.is_file():
        raise ModelError(f"{path}: no such file: train this config first")
    return pd.read_csv(path)


def load(folder: str | Path, seed: int | None, which: str = "best") -> networks.Tagger:
    """The network of one seed, in evaluation mode.

    Args:
        folder: as ``write`` or ``release`` left it.
        seed: one of the config's seeds; None for the network of a folder with one.
        which: ``best``, the epoch that validation chose, or ``last``.

    Raises:
        ModelError: a file is missing or damaged, or its weights are of another network.
    """
    description = about(folder)
    check(description, Path(folder) / "config.json")
    path = weights(Path(folder), seed, which)

    def made() -> networks.Tagger:
        return networks.Tagger(
            description["config"],
            description["statistics"],
            len(description["tags"]),
            description["sample_rate"],
            description["window_samples"],
        )

    try:
        with torch.device("meta"):  # sizes alone: a description of three lines may ask for all the memory there is
            size = sum(value.numel() * value.element_size() for value in made().state_dict().values())
        if path.is_file() and size > path.stat().st_size:
            raise ModelError(f"{path}: cannot be loaded as this config's weights: it has fewer than config.json says")
        network = made()
    except ModelError:
        raise
    except Exception as error:  # whatever is wrong in it: Python and torch raise many kinds
        raise ModelError(f"{folder}/config.json: not a model's description: {one_line(repr(error))}") from error
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:  # safetensors and torch raise several kinds; each means the same to a user
        raise ModelError(f"{path}: cannot be loaded as this config's weights: {one_line(error)}") from error
    return network.eval()


def curves(history: "pd.DataFrame") -> "pd.DataFrame":
    """Loss and ROC-AUC by epoch, the mean over seeds: what `dvc plots` draws."""
    columns: Sequence[str] = ("train_loss", "valid_loss", "train_roc_auc", "valid_roc_auc")
    return history.groupby("epoch", as_index=False)[list(columns)].mean()
