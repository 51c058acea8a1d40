"""Taggrams: a clip's tags over time, as probable as a network finds them in windows that overlap by three quarters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from wavetag import networks

STEPS = 4  # a window begins every fourth part of a window


@dataclass(frozen=True)
class Taggram:
    """Tag probabilities over time.

    Attributes:
        starts: of the windows, in seconds: [windows].
        seconds: length of a window.
        probabilities: [windows, tags].
        tags: their names, in order, where they are known.
    """

    starts: np.ndarray
    seconds: float
    probabilities: np.ndarray
    tags: tuple[str, ...] = ()

    def highest(self, tag: int) -> float:
        """The middle of the window in which a tag is most probable, in seconds."""
        return float(self.starts[self.probabilities[:, tag].argmax()] + self.seconds / 2)


def clock(seconds: float, decimals: int = 0) -> str:
    """Seconds as a player shows them, 1:05 or 1:00:05, with as many decimals as are asked for."""
    minutes, rest = divmod(round(seconds, decimals), 60)
    hours, minutes = divmod(int(minutes), 60)
    width = 3 + decimals if decimals else 2
    shown = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{shown}:{rest:0{width}.{decimals}f}"


@torch.no_grad()
def taggram(trained: Sequence[networks.Tagger], samples: np.ndarray, sounding: int) -> Taggram:
    """The taggram of one clip, the mean over networks.

    Each window is given to the network as a clip of its own, so that every way of pooling takes it.

    Args:
        trained: the networks of one config, one a seed, in evaluation mode.
        samples: of int16's scale [samples], padded with zeros at its end.
        sounding: samples that are not padding; of a window a quarter may be.

    Raises:
        ValueError: the clip is shorter than a window.
    """
    window, rate = trained[0].window_samples, trained[0].sample_rate
    if len(samples) < window:
        raise ValueError(f"a window has {window} samples, the clip {len(samples)}")
    last = max(0, min(sounding + math.ceil(window / STEPS), len(samples)) - window)
    starts = np.arange(last * STEPS // window + 1) * window // STEPS  # each fourth one where the network's own begin
    cut = torch.from_numpy(np.stack([samples[start : start + window] for start in starts]).astype(np.float32))
    one = torch.ones(len(cut), dtype=torch.int64)
    found = np.mean([network(cut, one).double().numpy() for network in trained], axis=0)
    return Taggram(starts / rate, window / rate, found)
