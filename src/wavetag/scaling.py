"""Scaling: from int16 samples to what a network takes in, by statistics of the training clips alone.

The array of samples is never rewritten: a network scales each window itself, and its weights carry the statistics.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

MODES = ("minmax", "standard", "log", "none")
INT16_FULL_SCALE = 32768.0


def statistics(array: np.ndarray, rows: Sequence[int], windows: Sequence[int], window_samples: int) -> dict[str, float]:
    """Minimum, maximum, mean and standard deviation of the samples of some clips.

    Args:
        array: int16 [clips, samples], may be memory-mapped: one clip is read at a time.
        rows: which clips.
        windows: how many windows of each hold audio; the padding behind them does not count.
        window_samples: samples in a window.

    Raises:
        ValueError: no clips, or clips of one constant value, which cannot be scaled.
    """
    if len(rows) == 0:
        raise ValueError("no clips to take statistics of")
    low, high, count, total, squares = math.inf, -math.inf, 0, 0, 0
    for row, number in zip(rows, windows, strict=True):
        samples = array[row, : number * window_samples].astype(np.int64)
        low, high = min(low, int(samples.min())), max(high, int(samples.max()))
        count, total, squares = (
            count + samples.size,
            total + int(samples.sum()),
            squares + int((samples**2).sum()),
        )
    if low == high:
        raise ValueError(f"every sample of the {len(rows)} training clips is {low}: nothing to scale by")
    mean = total / count
    deviation = math.sqrt(count * squares - total**2) / count  # whole numbers up to the root: nothing cancels
    return {
        "minimum": low,
        "maximum": high,
        "mean": mean,
        "standard_deviation": deviation,
        "clips": len(rows),
    }


class Scaling(nn.Module):
    """Affine scaling of samples, for ``log`` followed by sign(x) log(1 + C|x|) / log(1 + C).

    ``minmax`` and ``log`` take the training clips' extremes to -1 and 1, ``standard`` their mean and standard
    deviation to 0 and 1, ``none`` int16's full scale to -1 and 1, as a decoder gives it. Samples beyond the training
    clips' range are not clipped.
    """

    def __init__(self, mode: str, statistics: dict[str, float], compression: float = 10_000.0):
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"scaling {mode!r} is unknown; there are {', '.join(MODES)}")
        if mode == "none":
            offset, gain = 0.0, 1 / INT16_FULL_SCALE
        elif mode == "standard":
            offset, gain = statistics["mean"], 1 / statistics["standard_deviation"]
        else:
            offset = (statistics["minimum"] + statistics["maximum"]) / 2
            gain = 2 / (statistics["maximum"] - statistics["minimum"])
        self.compression = compression if mode == "log" else None
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32))
        self.register_buffer("gain", torch.tensor(gain, dtype=torch.float32))

    def forward(self, samples: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Samples of int16's scale, of any shape -> of the same shape, computed in float32, rounded to ``dtype``."""
        if samples.device.type != "cpu" or samples.dim() < 2:
            return self._scaled(samples).to(dtype)
        # a pass over all samples is a good part of a training step: clip by clip, they stay in the processor's cache
        scaled = torch.empty(samples.shape, dtype=dtype)  # without gaps, whatever the samples are a part of
        for some, place in zip(samples, scaled, strict=True):
            place.copy_(self._scaled(some))
        return scaled

    def _scaled(self, samples: torch.Tensor) -> torch.Tensor:
        # `.to` copies even a float32 input, so that the caller's samples stay as they are
        scaled = samples.to(torch.float32, copy=True).mul_(self.gain).sub_(self.offset * self.gain)
        if self.compression is not None:
            scaled = scaled.sign() * torch.log1p(self.compression * scaled.abs()) / math.log1p(self.compression)
        return scaled
