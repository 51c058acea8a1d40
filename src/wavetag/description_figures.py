"""Figures of a dataset: its tags, which of them stand together, how long its clips are and how loud.

As those of ``figures``: each function takes numbers and gives a ``Drawing``, and the same numbers give the same bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator
from scipy.cluster import hierarchy

from wavetag import description, figures, findings, splits
from wavetag.figures import Drawing

COLOURS = {splits.TRAIN: figures.TRAIN, splits.VALID: figures.VALID, splits.TEST: figures.BEST}
NAME = 28  # characters of a tag's name that a figure shows
MOST_WORDS = 10  # tags that a caption lists
MOST_TAGS = 60  # that a heat map 9 inches wide can name
LEAST_DARK = 0.1  # Jaccard index: where no pair reaches it, none is drawn as if it were strong
TALL = 40  # tags in a column, from which on its top and bottom are not seen at once
FEW_TAGS = 12  # so few cells that their values can be written into them


def tags(frequencies: Sequence[Mapping[str, Any]], dataset: str) -> Drawing:
    """The share of each tag in each split, the most frequent tag first.

    Args:
        frequencies: as ``description.tag_frequencies`` gives them.
        dataset: its name.
    """
    title = f"How often each of {len(frequencies)} tags was given, by split"
    never = {name: [entry["tag"] for entry in frequencies if not entry["count"][name]] for name in splits.NAMES}
    missing = [f"No positive in {name}: {_some(words)}." for name, words in never.items() if words]
    caption = (
        "Share of the clips of a split that have the tag, of those that have any tag of the vocabulary. Where the bars"
        " of a tag differ much, what is learned from train is tested on other music."
    )
    return Drawing(_tags(frequencies, dataset, title), title, " ".join([caption, *missing]))


@figures.styled
def _tags(frequencies: Sequence[Mapping[str, Any]], dataset: str, title: str) -> Figure:
    columns = 2 if len(frequencies) > 16 else 1
    each = -(-len(frequencies) // columns)
    lines = ["share of the clips that have any tag of the vocabulary", figures.of_dataset(dataset)]
    figure = figures._canvas(title, lines, 0.25 * each + 0.6, footer=1)
    axes = figure.subplots(1, columns, sharex=True, squeeze=False)[0]
    for number, axis in enumerate(axes):
        shown = frequencies[number * each : (number + 1) * each]
        for offset, name in zip((-0.27, 0, 0.27), splits.NAMES, strict=True):
            shares = [entry["share"][name] or 0 for entry in shown]
            axis.barh(np.arange(len(shown)) + offset, shares, height=0.25, color=COLOURS[name])
        axis.set_yticks(range(len(shown)), [_short(entry["tag"]) for entry in shown])
        axis.tick_params(left=False, labeltop=each > TALL)
        axis.grid(visible=False, axis="y")
        axis.set_ylim(each - 0.4, -0.6)
        axis.xaxis.set_major_locator(MaxNLocator(6))
        axis.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    axes[0].set_xlim(left=0)
    figures._legend(figure, [Patch(color=color, label=name) for name, color in COLOURS.items()])
    return figure


def co_occurrence(split: splits.Split, dataset: str) -> Drawing:
    """A heat map of the Jaccard index of every two tags, ordered so that tags which stand together are neighbours.

    Args:
        split: all of it, or the clips in question. Of more than ``MOST_TAGS`` tags, the most frequent are shown.
        dataset: its name.
    """
    frequent = np.argsort(-split.labels.sum(axis=0, dtype=int), kind="stable")[:MOST_TAGS]
    _, jaccard = description.co_occurrences(split)
    order = frequent[by_similarity(jaccard[np.ix_(frequent, frequent)])]
    some = f"the {len(order)} most frequent of {len(split.tags)} tags" if len(order) < len(split.tags) else "all tags"
    title = "Which tags stand together"
    lines = [
        f"Jaccard index: of the clips with either tag, the share with both; {some}; {len(split)} clips of all splits",
        figures.of_dataset(dataset),
    ]
    drawn = _co_occurrence(jaccard[np.ix_(order, order)], [split.tags[place] for place in order], title, lines)
    caption = (
        f"Jaccard index of every two tags ({some}): the share of the clips with either tag that have both. Tags are"
        " ordered by average-linkage clustering, so that groups of tags that are given together show as blocks on the"
        " diagonal."
    )
    return Drawing(drawn, title, caption)


def by_similarity(similarity: np.ndarray) -> np.ndarray:
    """An order in which what is alike is near: the leaves of an average-linkage clustering.

    Args:
        similarity: symmetric [items, items], from 0 to 1.
    """
    if len(similarity) < 3:
        return np.arange(len(similarity))
    distances = 1 - similarity[np.triu_indices(len(similarity), k=1)]
    return hierarchy.leaves_list(hierarchy.linkage(distances, "average", optimal_ordering=True))


@figures.styled
def _co_occurrence(jaccard: np.ndarray, names: Sequence[str], title: str, lines: Sequence[str]) -> Figure:
    count = len(names)
    size = 9 if count <= 35 else 7
    room = max(len(_short(name)) for name in names) * 0.6 * size / 72 + 0.2  # inches that a name takes
    figure = figures._canvas(title, lines, min(0.6 * count, figures.WIDTH - room - 1.2) + room, footer=0)
    axis = figure.subplots()
    axis.set_anchor("NW")
    apart = np.where(np.eye(count, dtype=bool), np.nan, jaccard)
    darkest = max(np.nanmax(apart, initial=0.0), LEAST_DARK)
    image = axis.imshow(apart, cmap="Blues", vmin=0, vmax=darkest)
    axis.set_facecolor(figures.GRID)
    axis.grid(visible=False)
    axis.set_xticks(range(count), [_short(name) for name in names], rotation=90, fontsize=size)
    axis.set_yticks(range(count), [_short(name) for name in names], fontsize=size)
    axis.tick_params(length=0)
    if count <= FEW_TAGS:
        for row, column in zip(*np.nonzero(~np.eye(count, dtype=bool)), strict=True):
            value = jaccard[row, column]
            ink = "white" if value > 0.6 * darkest else figures.INK
            axis.text(column, row, findings.figure(value, 2), ha="center", va="center", color=ink)
    else:
        figure.colorbar(image, ax=axis, shrink=0.6, aspect=25, label="Jaccard index")
    return figure


def durations(table: pd.DataFrame, clip_samples: int, sample_rate: int, dataset: str) -> Drawing:
    """How long the clips of each split are.

    Args:
        table: as ``description.measured`` gives it.
        clip_samples: samples that are kept of a clip, at most.
        sample_rate: in Hz.
        dataset: its name.
    """
    title = "Durations of the clips"
    samples = {name: rows["samples"].to_numpy() for name, rows in _by_split(table).items()}
    short = {name: description.lacking(values, clip_samples, sample_rate) for name, values in samples.items()}
    more, less = (", ".join(f"{counts[place]} in {name}" for name, counts in short.items()) for place in (0, 1))
    seconds = {name: values / sample_rate for name, values in samples.items()}
    figure = _durations(seconds, short, clip_samples / sample_rate, dataset, title)
    caption = (
        f"Of each clip its first {clip_samples / sample_rate:g} s are kept. Shorter by more than {description.SHORT:g}"
        f" s, and padded with zeros: {more}. Padded by less: {less}. Clips are counted on a logarithmic axis, so that a"
        " single one is seen."
    )
    return Drawing(figure, title, caption)


@figures.styled
def _durations(
    seconds: Mapping[str, np.ndarray],
    short: Mapping[str, tuple[int, int]],
    clip_seconds: float,
    dataset: str,
    title: str,
) -> Figure:
    lines = [f"of each clip its first {clip_seconds:g} s are kept", figures.of_dataset(dataset)]
    figure, axes = _panels(title, lines)
    edges = np.linspace(0, clip_seconds, 31)
    for axis, (name, values) in zip(axes, seconds.items(), strict=True):
        axis.hist(values, bins=edges, color=COLOURS[name])
        axis.set_yscale("symlog", linthresh=1)
        axis.set_ylim(0, max(1.2, axis.get_ylim()[1]))
        axis.yaxis.set_major_formatter(lambda count, _: f"{count:g}")
        axis.yaxis.set_minor_locator(NullLocator())
        more, less = short[name]
        lacking = f"{more} short by more than {description.SHORT:g} s, {less} by less"
        _name_panel(axis, f"{name}: {_clips(len(values))}; {lacking}")
    axes[-1].set_xlim(0, clip_seconds)
    axes[-1].set_xlabel("duration (s)")
    return figure


def loudness(table: pd.DataFrame, dataset: str) -> Drawing:
    """How loud the clips of each split are; digital silence is left out and counted.

    Args:
        table: as ``description.measured`` gives it.
        dataset: its name.
    """
    title = "Loudness of the clips"
    quiet = description.silent(table)
    levels = {name: rows["rms_dbfs"].to_numpy() for name, rows in _by_split(table[~quiet]).items()}
    silent = {name: len(rows) for name, rows in _by_split(table[quiet]).items()}
    figure = _loudness(levels, silent, dataset, title)
    caption = (
        "RMS level of each clip; 0 dB is the level of full scale. Where the splits differ, loudness itself may tell"
        f" them apart. Digital silence, left out: {', '.join(f'{count} in {name}' for name, count in silent.items())}."
    )
    return Drawing(figure, title, caption)


@figures.styled
def _loudness(levels: Mapping[str, np.ndarray], silent: Mapping[str, int], dataset: str, title: str) -> Figure:
    figure, axes = _panels(title, ["RMS level of each clip; the line is the median", figures.of_dataset(dataset)])
    every = np.concatenate(list(levels.values()))
    low, high = (np.floor(every.min()), np.floor(every.max()) + 1) if len(every) else (-60.0, 0.0)
    edges = np.linspace(low, high, 41)
    for axis, (name, values) in zip(axes, levels.items(), strict=True):
        axis.hist(values, bins=edges, color=COLOURS[name])
        axis.set_ylim(0, max(1.2, axis.get_ylim()[1]))
        axis.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
        text = f"{name}: {_clips(len(values))}"
        if len(values):
            axis.axvline(np.median(values), color=figures.INK, lw=1.4)
            text += f", median {np.median(values):.1f} dB".replace("-", "−")
        _name_panel(axis, text + (f", and {silent[name]} of digital silence" if silent[name] else ""))
    axes[-1].set_xlim(low, high)
    axes[-1].set_xlabel("RMS level (dB; 0 dB is full scale)")
    return figure


def _by_split(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {name: table[table["split"] == name] for name in splits.NAMES}


def _panels(title: str, lines: Sequence[str]) -> tuple[Figure, Sequence[Axes]]:
    """A panel for each split, one above the other: only the x axis is shared, as splits differ in size."""
    figure = figures._canvas(title, lines, 5.6, footer=0)
    axes = figure.subplots(len(splits.NAMES), 1, sharex=True)
    for axis in axes:
        axis.set_ylabel("clips")
    return figure, axes


def _name_panel(axis: Axes, text: str) -> None:
    axis.set_title(text, fontsize=9, fontweight="bold", loc="left")


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"


def _some(words: Sequence[str]) -> str:
    more = [f"and {len(words) - MOST_WORDS} more"] if len(words) > MOST_WORDS else []
    return ", ".join([*words[:MOST_WORDS], *more])


def _short(name: str) -> str:
    return name if len(name) <= NAME else f"{name[: NAME - 1]}…"
