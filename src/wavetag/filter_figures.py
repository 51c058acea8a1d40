"""The paper's Figures 2, 3 and 4: what a network's first layer has learned, as ``figures.Drawing``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from wavetag import figures, filters, findings
from wavetag.figures import Drawing, styled
from wavetag.filters import Filters

SHOWN = 12  # filters, or groups of them
COLUMNS = 4
PANEL = 1.25  # inches
COLORS = ("#0072b2", "#d55e00", "#00805c", "#aa4499", "#e69f00", "#56b4e9")
MOST_TOLD = 4  # frequencies in the heading of a panel


def of_spectra(name: str, drawn: Filters, rate: int, dataset: str) -> Drawing:
    """Magnitude spectra of all filters, by dominant frequency (the paper's Figure 2).

    Args:
        name: of the config.
        drawn: its filters.
        rate: in Hz.
        dataset: its name.
    """
    title = f"Magnitude spectra of the first layer's filters: {name}"
    found = filters.summary(drawn.weights, rate)
    lines = [_about(drawn, rate), _tuning(found, rate), figures.of_dataset(dataset)]
    caption = (
        f"Config {name}. Each column is one filter's spectrum, divided by its largest value; columns are ordered by"
        " dominant frequency, where it is largest. A spectrum that is dark in one place answers to one frequency; the"
        f" line is where the bands of a mel scale would lie. {_tuning(found, rate)}"
    )
    if found["zero"]:
        caption += f" Not drawn: {found['zero']} that are zero throughout."
    return Drawing(_of_spectra(drawn.weights, rate, title, lines), title, caption)


@styled
def _of_spectra(weights: np.ndarray, rate: int, title: str, lines: Sequence[str]) -> Figure:
    figure = figures._canvas(title, lines, 4.4, footer=1)
    axis = figure.subplots()
    ordered = weights[filters.order(weights, rate)]
    if not len(ordered):
        return _nothing(figure)
    edges = (0.5, len(ordered) + 0.5, 0, rate / 2)
    settings = {"origin": "lower", "aspect": "auto", "cmap": "Greys", "vmin": 0, "vmax": 1}
    image = axis.imshow(filters.spectra(ordered).T, extent=edges, **settings)
    numbers = np.arange(1, len(ordered) + 1)
    top = np.log10(1 + rate / 2 / 700)
    axis.plot(numbers, 700 * (10 ** (top * numbers / (len(ordered) + 1)) - 1), color=COLORS[1], lw=1.2)
    axis.grid(visible=False)
    axis.set(xlabel="filters, ordered by dominant frequency", ylabel="frequency in Hz")
    bar = figure.colorbar(image, ax=axis, pad=0.01, aspect=30)
    bar.set_label("magnitude, of the filter's largest")
    bar.outline.set_visible(False)
    figures._legend(figure, [Line2D([], [], color=COLORS[1], lw=1.2, label="centres of as many mel bands")])
    return figure


def of_shapes(name: str, drawn: Filters, rate: int, dataset: str, shown: int = SHOWN) -> Drawing:
    """Some of the filters in the time domain, evenly spaced along the order of ``of_spectra`` (the paper's Figure 3).

    Args:
        name: of the config.
        drawn: its filters.
        rate: in Hz.
        dataset: its name.
        shown: how many, at most.
    """
    title = f"Filters of the first layer: {name}"
    ordered = filters.order(drawn.weights, rate)
    chosen = ordered[filters.evenly(len(ordered), shown)] if len(ordered) else ordered
    lines = [_about(drawn, rate), figures.of_dataset(dataset)]
    caption = (
        f"Config {name}. {len(chosen)} of {len(ordered)} filters, evenly spaced along the order of their dominant"
        " frequencies, which each panel names. Each has its own vertical scale. What looks like a wave is tuned to a"
        " pitch; what looks like noise has not moved far from where chance put it."
    )
    dominant = filters.dominant_frequency(drawn.weights, rate)
    pieces = [drawn.weights[[number]] for number in chosen]
    headings = [f"filter {number}: {_hertz(dominant[[number]])}" for number in chosen]
    return Drawing(_panels(pieces, headings, rate, title, lines), title, caption)


def of_groups(name: str, drawn: Filters, rate: int, dataset: str, shown: int = SHOWN) -> Drawing:
    """Some of the groups that are pooled together, each one's filters in a panel (the paper's Figure 4).

    Args:
        name: of the config.
        drawn: its filters, pooled.
        rate: in Hz.
        dataset: its name.
        shown: how many groups, at most: evenly spaced in the order of their lowest dominant frequency.

    Raises:
        ValueError: the filters are not pooled.
    """
    if drawn.group < 2:
        raise ValueError(f"{name}: its filters are not pooled, so there are no groups to draw")
    title = f"Filters that are pooled together: {name}"
    groups = drawn.weights.reshape(-1, drawn.group, drawn.weights.shape[1])
    dominant = filters.dominant_frequency(drawn.weights, rate).reshape(-1, drawn.group)
    heard = np.flatnonzero(np.isfinite(dominant).any(axis=1))
    ordered = heard[np.argsort(np.nanmin(dominant[heard], axis=1), kind="stable")]
    chosen = ordered[filters.evenly(len(ordered), shown)] if len(ordered) else ordered
    apart = np.nanmax(dominant[heard], axis=1) - np.nanmin(dominant[heard], axis=1)
    lines = [_about(drawn, rate), figures.of_dataset(dataset)]
    caption = (
        f"Config {name}. {len(chosen)} of {len(groups)} groups of {drawn.group} neighbouring filters, pooled by"
        f" {_pooling(drawn)}; each panel draws one group and names the dominant frequencies. Where these agree while"
        " the waves are shifted against each other, the group answers to a pitch at any phase."
    )
    if len(heard):
        caption += f" Within a group they differ by {np.median(apart):.0f} Hz in the median."
    headings = [f"group {number}: {_hertz(dominant[number])}" for number in chosen]
    return Drawing(_panels([groups[number] for number in chosen], headings, rate, title, lines), title, caption)


@styled
def _panels(
    pieces: Sequence[np.ndarray], headings: Sequence[str], rate: int, title: str, lines: Sequence[str]
) -> Figure:
    """A panel for each array of filters [filters, length], in milliseconds."""
    rows = max(1, -(-len(pieces) // COLUMNS))
    figure = figures._canvas(title, lines, PANEL * rows + 0.3, footer=0)
    if not pieces:
        return _nothing(figure)
    axes = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).ravel()
    for axis, piece, heading in zip(axes, pieces, headings, strict=False):
        for number, one in enumerate(piece):
            time = np.arange(len(one)) / rate * 1_000
            axis.plot(time, one, color=COLORS[number % len(COLORS)], lw=0.9)
        axis.set_title(heading, fontsize=8, loc="left", pad=3)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.axhline(0, color=figures.PALE, lw=0.7, zorder=1)
        axis.margins(x=0)
    for empty in axes[len(pieces) :]:
        empty.set_visible(False)
    for lowest in axes[max(0, len(pieces) - COLUMNS) : len(pieces)]:  # of each column
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel("ms")
    return figure


def _nothing(figure: Figure) -> Figure:
    for axis in figure.axes:
        axis.remove()
    figure.text(0.5, 0.5, "every filter is zero throughout", ha="center", color=figures.GREY)
    return figure


def _hertz(dominant: np.ndarray) -> str:
    """Frequencies as a heading names them."""
    told = ["zero" if np.isnan(one) else f"{one:.0f}" for one in dominant[:MOST_TOLD]]
    return ", ".join(told) + (", …" if len(dominant) > MOST_TOLD else "") + " Hz"


def _pooling(drawn: Filters) -> str:
    return {"l2": "the root of the sum of their squares (L2)", "max": "their maximum"}[drawn.pooled]


def _about(drawn: Filters, rate: int) -> str:
    count, length = drawn.weights.shape
    said = f"{count} filters of {length} samples, {1_000 * length / rate:.1f} ms at {rate / 1_000:g} kHz"
    return said + (", as they were before training: frozen" if drawn.frozen else "")


def _tuning(found: Mapping[str, Any], rate: int) -> str:
    if found["entropy"] is None:
        return "Every filter is zero throughout."
    below = f"{100 * found['below_half']:.0f} % of the dominant frequencies are below {rate / 4:g} Hz, half the band"
    entropy = f"mean spectral entropy {findings.figure(found['entropy'], 2)} (random filters: {_noise(found)})"
    return f"{below}; median {found['median_hz']:.0f} Hz; {entropy}."


def _noise(found: Mapping[str, Any]) -> str:
    return findings.figure(found["entropy_of_noise"], 2)
