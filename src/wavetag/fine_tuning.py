"""Fine-tuning: a network begins with the front end and trunk of a trained one, and with its outputs for tags of both.

An experiment's network number k begins with the model's network number k, at the epoch that validation chose; where the
model has fewer, they are taken in turn. What the model has no output for begins at random, as ever.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from wavetag import files, model_folder, networks, params, sources
from wavetag.model_folder import ModelError

OUTPUTS = "classifier."  # begins the names of the weights that have a row a tag


@dataclass(frozen=True)
class Start:
    """What one network begins with.

    Attributes:
        path: of the file that the weights are from, for messages.
        tags: of the model, a row of its classifier each.
        weights: all of its network's, as ``networks.Tagger`` names them, scaling and batch norm included.
    """

    path: Path
    tags: Sequence[str]
    weights: Mapping[str, torch.Tensor]

    @cached_property
    def digest(self) -> str:
        """A short name for all that a training depends on here."""
        digest = hashlib.sha256("\n".join(self.tags).encode() + save(dict(self.weights)))
        digest.update(sources.of_module("fine_tuning"))
        return digest.hexdigest()

    def into(self, network: networks.Tagger, tags: Sequence[str]) -> None:
        """Put the weights into a network whose classifier has a row for each of ``tags``.

        Raises:
            ModelError: they are another network's; nothing has been changed then.
        """
        begun = {name: value.clone() for name, value in network.state_dict().items()}
        rows = [(tags.index(tag), row) for row, tag in enumerate(self.tags) if tag in tags]
        for name, value in begun.items():
            given = self.weights.get(name)
            fits = value.shape if not name.startswith(OUTPUTS) else (len(self.tags), *value.shape[1:])
            if given is None or given.shape != fits:
                has = "is missing" if given is None else f"has shape {[*given.shape]}, not {[*fits]}"
                raise ModelError(f"{self.path}: not the weights of this experiment's network: {name} {has}")
            if name.startswith(OUTPUTS):
                for own, row in rows:
                    value[own] = given[row]
            else:
                value.copy_(given)
        if unknown := sorted(self.weights.keys() - begun.keys()):
            raise ModelError(f"{self.path}: not the weights of this experiment's network, which has no {unknown[0]}")
        network.load_state_dict(begun)


def start(config: Mapping[str, Any], seed: int) -> Start | None:
    """What the network of one of a config's seeds begins with; None where that is at random.

    Args:
        config: one experiment, with every default filled in.
        seed: one of its seeds.

    Raises:
        ModelError: the model's folder is not whole, or its weights are not numbers.
    """
    folder = config.get("init_from", params.RANDOM)
    if folder == params.RANDOM:
        return None
    about, paths = _networks(folder)
    path = paths[config["seeds"].index(seed) % len(paths)]
    try:
        weights = load_file(path)
    except Exception as error:  # safetensors raises several kinds; each means the same to a user
        raise ModelError(f"{path}: cannot be read as a trained network's weights: {files.one_line(error)}") from error
    if not all(torch.isfinite(value).all() for value in weights.values()):
        raise ModelError(f"{path}: not all weights are finite numbers; a network cannot begin with them")
    return Start(path, about["tags"], weights)


def summary(config: Mapping[str, Any], settings: Mapping[str, Any], tags: Sequence[str]) -> str | None:
    """What a config's networks begin with, in words; None where that is at random.

    Args:
        config: one experiment, with every default filled in.
        settings: that it is of: how long its windows are.
        tags: that it is to learn.

    Raises:
        ModelError: the model's folder is not whole, or of other settings than this experiment.
    """
    folder = config.get("init_from", params.RANDOM)
    if folder == params.RANDOM:
        return None
    about, paths = _networks(folder)
    if differing := params.unlike(settings, config, about):
        raise ModelError(f"{folder} is of other settings than the experiment that is to begin with it: {differing}")
    both = [tag for tag in tags if tag in about["tags"]]
    taken = f"{len(both)} of {len(tags)} tags' outputs taken over"
    shown = f", its tags {', '.join(both[:5])}{', …' if len(both) > 5 else ''}" if both else ""
    count = f"{len(paths)} network{'s' if len(paths) > 1 else ''}"
    return f"begins with {folder} ({count}){shown}: {taken}"


def statistics(config: Mapping[str, Any]) -> dict[str, float]:
    """Those that samples are scaled by where a config begins with a model: the model's, which its weights have learned.

    Raises:
        ModelError: the model's folder is not whole.
    """
    about, _ = _networks(config["init_from"])
    return about["statistics"]


def _networks(folder: str | Path) -> tuple[dict[str, Any], list[Path]]:
    """What a model's folder says of it, and the weights of its networks at their chosen epochs, in order."""
    folder = Path(folder)
    about = model_folder.about(folder)
    model_folder.check(about, folder / "config.json")
    if (only := model_folder.weights(folder, None)).is_file():
        return about, [only]
    seeds = about.get("chosen_epochs")
    if not isinstance(seeds, dict) or not seeds:
        raise ModelError(f"{folder}/config.json: it names no seeds (chosen_epochs), and there is no {only.name}")
    try:
        paths = [model_folder.weights(folder, int(seed)) for seed in seeds]
    except ValueError as error:
        raise ModelError(f"{folder}/config.json: chosen_epochs has a seed that is no whole number") from error
    for path in paths:
        if not path.is_file():
            raise ModelError(f"{path}: no such file, though config.json names its seed; is the folder whole?")
    return about, paths
