"""Teach a computer to tag music, from raw audio and from spectrograms, and show how well it does.

To tag with a trained model::

    from wavetag import load_model

    model = load_model("taggers/base")
    model.tags("song.mp3", top=5)  # {"guitar": 0.71, ...}
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wavetag.model import Model

__all__ = ["load_model"]


def load_model(folder: "str | Path", seed: int | None = None) -> "Model":
    """A trained model, ready to tag: see ``wavetag.model.Model`` for what it can be asked.

    Args:
        folder: of a model, as training or ``wavetag release`` wrote it.
        seed: of a folder with several networks, which; by default the one that did best on the validation clips.

    Raises:
        wavetag.model_folder.ModelError: it is not there, not whole, or not a model's.
    """
    from wavetag import model

    return model.Model.load(folder, seed)
