"""What the filters of a network's first layer are tuned to: spectra, dominant frequencies, how narrow they are.

Functions on arrays ``[filters, length]`` of samples. A layer of torch multiplies a filter with the samples as it is,
unreversed: its shape is that of the sound to which it answers most. A filter that is zero throughout answers to
nothing: it has no frequency, and its measures are NaN.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

FINER = 8  # times as many frequencies as the filters have themselves, by zeros put behind them, at least


class Filters(NamedTuple):
    """Of one network.

    Attributes:
        weights: float64 [filters, length].
        group: how many neighbours were pooled, 1 for none.
        pooled: how they were.
        frozen: they are as they were before training.
    """

    weights: np.ndarray
    group: int = 1
    pooled: str = "none"
    frozen: bool = False


def of_network(network: Any) -> Filters:
    """Those of a ``networks.Tagger``. Raises ``ValueError`` if its front end has none."""
    from wavetag import frontends

    frontend = network.frontend
    if isinstance(frontend, frontends.Raw):
        weight, group, pooled = frontend.conv.weight, frontend.group, frontend.feature_pool
    elif isinstance(frontend, frontends.Fourier):
        weight, group, pooled = frontend.weight, 2, "l2"
    else:
        kind = type(frontend).__name__
        raise ValueError(f"its front end, {kind}, has no filters that are learned; those of raw and fourier are")
    return Filters(weight.detach().double().cpu().numpy()[:, 0], group, pooled, not frontend.learns)


def _fine(length: int) -> int:
    return FINER * 2 ** math.ceil(math.log2(length))


def _magnitudes(filters: np.ndarray, fft_size: int) -> np.ndarray:
    filters = np.asarray(filters, dtype=np.float64)
    if filters.ndim != 2 or not filters.size:
        raise ValueError(f"filters are an array [filters, length]; one of shape {filters.shape} was given")
    if not np.isfinite(filters).all():
        raise ValueError("filters hold values that are not finite numbers")
    return np.abs(np.fft.rfft(filters, fft_size))


def frequencies(length: int, rate: float) -> np.ndarray:
    """In Hz, of what ``spectra`` gives for filters of that length: from zero to half the rate."""
    return np.fft.rfftfreq(_fine(length), 1 / rate)


def spectra(filters: np.ndarray) -> np.ndarray:
    """Magnitude spectra of [filters, length], each divided by its largest value: float64 [filters, frequencies]."""
    magnitudes = _magnitudes(filters, _fine(np.shape(filters)[-1]))
    largest = magnitudes.max(axis=1, keepdims=True)
    return np.divide(magnitudes, largest, out=np.zeros_like(magnitudes), where=largest > 0)


def dominant_frequency(filters: np.ndarray, rate: float) -> np.ndarray:
    """Where each filter's spectrum is largest, in Hz: float64 [filters].

    Frequency zero counts as any other. The grid has eight or more steps to each of the filters' own, which is finer
    than a filter can tell frequencies apart.
    """
    shapes = spectra(filters)
    return np.where(shapes.any(axis=1), frequencies(np.shape(filters)[-1], rate)[shapes.argmax(axis=1)], np.nan)


def order(filters: np.ndarray, rate: float) -> np.ndarray:
    """Numbers of the filters by dominant frequency, from low to high, without those that are zero throughout."""
    dominant = dominant_frequency(filters, rate)
    ranked = np.argsort(dominant, kind="stable")
    return ranked[: np.isfinite(dominant).sum()]


def evenly(count: int, chosen: int) -> np.ndarray:
    """Up to ``chosen`` of the places 0 to ``count`` - 1, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, chosen)).round().astype(int))


def _energies(filters: np.ndarray, fft_size: int) -> np.ndarray:
    """One-sided, each filter's adding up to one: [filters, frequencies]."""
    energies = _magnitudes(filters, fft_size) ** 2
    energies[:, 1 : (fft_size + 1) // 2] *= 2  # all but zero, and the highest of an even size, stand for two
    total = energies.sum(axis=1, keepdims=True)
    return np.divide(energies, total, out=np.full_like(energies, np.nan), where=total > 0)


def energy_share(filters: np.ndarray, rate: float) -> np.ndarray:
    """Share of each filter's energy within rate / length Hz of its dominant frequency: float64 [filters].

    That is the main lobe of a sine as long as the filter, which has .90 of its energy there.
    """
    length = np.shape(filters)[-1]
    grid, dominant = frequencies(length, rate), dominant_frequency(filters, rate)
    near = np.abs(grid - dominant[:, None]) <= rate / length * (1 + 1e-9)
    return np.where(near, _energies(filters, _fine(length)), 0).sum(axis=1) + 0 * dominant


def spectral_entropy(filters: np.ndarray) -> np.ndarray:
    """Entropy of each filter's energy over its own ``length // 2 + 1`` frequencies: float64 [filters].

    0: one frequency; 1: all alike. White noise has ``entropy_of_noise``.
    """
    length = np.shape(filters)[-1]
    energies = _energies(filters, length)
    terms = -energies * np.log(np.where(energies > 0, energies, 1))
    return terms.sum(axis=1) / math.log(length // 2 + 1)


def entropy_of_noise(length: int) -> float:
    """Mean spectral entropy of filters of white noise, as they are before training.

    Their energies are exponentially distributed, for which the entropy falls short of its logarithm by 1 - Euler's
    constant.
    """
    return 1 - (1 - float(np.euler_gamma)) / math.log(length // 2 + 1)


def table(filters: np.ndarray, rate: float) -> pd.DataFrame:
    """A row a filter: ``filter`` (its number, from 0), ``dominant_hz``, ``energy_share``, ``entropy``."""
    return pd.DataFrame(
        {
            "filter": np.arange(len(filters)),
            "dominant_hz": dominant_frequency(filters, rate),
            "energy_share": energy_share(filters, rate),
            "entropy": spectral_entropy(filters),
        }
    )


def summary(filters: np.ndarray, rate: float) -> Mapping[str, float | int | None]:
    """What one sentence can say of all filters.

    Returns:
        ``filters``: how many; ``zero``: how many of these are zero throughout, and left out of the rest;
        ``below_half``: share whose dominant frequency is in the lower half of the band, below rate / 4;
        ``median_hz``: of the dominant frequencies; ``energy_share`` and ``entropy``: means; ``entropy_of_noise``: what
        the latter is of random filters. None where no filter is left.
    """
    rows = table(filters, rate).dropna()
    mean = lambda values: float(np.mean(values)) if len(values) else None  # noqa: E731
    return {
        "filters": len(filters),
        "zero": len(filters) - len(rows),
        "below_half": mean(rows["dominant_hz"] < rate / 4),
        "median_hz": float(rows["dominant_hz"].median()) if len(rows) else None,
        "energy_share": mean(rows["energy_share"]),
        "entropy": mean(rows["entropy"]),
        "entropy_of_noise": entropy_of_noise(np.shape(filters)[-1]),
    }
