"""Figures: curves by epoch, scores by tag and by config, and single clips with their tags.

Each function takes numbers and gives a ``Drawing``: a figure and the words that go with it. Nothing here depends on a
screen, on matplotlib's settings of whoever runs it, or on the time: the same numbers give the same bytes.
"""

import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from PIL import Image

from wavetag import examples, files, findings

WIDTH = 9.0  # inches: type of 9 points is still read where a page shows the figure 850 pixels wide
DPI = 150
CAPTIONS = "captions.json"  # beside the figures of a folder
COLOURS = 256  # of a PNG: a third of the bytes of full colour, and the eye sees no difference
LINE = 0.19  # inches, of one line of text
LEGEND_LINE = 0.22
CHARACTERS = 130  # that fit in one line of text
INK, GREY, PALE, GRID = "#222222", "#6b6b6b", "#b8b8b8", "#e4e4e4"
# Okabe and Ito's colours, which the colour-blind can tell apart; the other front ends' stand well apart from them.
TRAIN, VALID = "#0072b2", "#d55e00"
TRAIN_SEED, VALID_SEED = "#9cc6e0", "#f0bd99"  # the same, lighter
BEST, WORST = "#00805c", "#d55e00"
FRONTENDS = {
    "raw": "#0072b2",
    "mel": "#00805c",
    "linear": "#d55e00",
    "flat": "#aa4499",
    "log_mel": "#8b1cf5",
    "fourier": "#593a0d",
    "samples": "#3c25a4",
}
LINES = ((0, (1, 1.5)), (0, (4, 2)), "solid", (0, (6, 2, 1, 2)), (0, (2, 4)))
STYLE = {
    **{key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith(("backend", "toolbar"))},
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a tag or a file's name is a dollar
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "xtick.color": PALE,
    "ytick.color": PALE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
styled = matplotlib.rc_context(STYLE)  # as a decorator
SCORES = {"roc_auc": "mean ROC-AUC", "loss": "loss (binary cross-entropy)"}


class Drawing(NamedTuple):
    """A figure, its title, and a caption that says what to look for."""

    figure: Figure
    title: str
    caption: str


@dataclass(frozen=True)
class Curves:
    """How one config was trained.

    Attributes:
        history: a row for each ``seed`` and ``epoch``, with ``train_`` and ``valid_`` ``loss`` and ``roc_auc``.
        chosen: seed -> the epoch that was kept.
    """

    history: pd.DataFrame
    chosen: Mapping[int, int]


def read_curves(folder: Path) -> Curves:
    """The history of one config's training, from its model folder. Raises ``ValueError`` that names what is missing."""
    chosen = files.read_json(folder / "config.json")["chosen_epochs"]
    path = folder / "history.csv"
    if not path.is_file():
        raise ValueError(f"{path}: no such file: train this config first")
    return Curves(pd.read_csv(path), {int(seed): epoch for seed, epoch in chosen.items()})


def validation_scores(configs: Mapping[str, Curves]) -> dict[str, float]:
    """Validation ROC-AUC of each config at the epochs that were kept, the mean over seeds; NaN where it has none."""
    scores = {}
    for name, curves in configs.items():
        by_epoch = curves.history.set_index(["seed", "epoch"])["valid_roc_auc"]
        scores[name] = float(np.mean([by_epoch.get(kept, np.nan) for kept in curves.chosen.items()] or [np.nan]))
    return scores


def best_by_validation(configs: Mapping[str, Curves]) -> str:
    """The config with the highest of ``validation_scores``: no test clip has a say. Of equals, the first.

    Raises:
        ValueError: no config has a score.
    """
    scores = {name: score for name, score in validation_scores(configs).items() if np.isfinite(score)}
    if not scores:
        raise ValueError("no config has a validation ROC-AUC at the epochs that were kept")
    return max(scores, key=scores.get)


def save(figure: Figure, path: str | Path) -> None:
    """Write a PNG of at most ``COLOURS`` colours, which holds no date and no version."""
    drawn = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None})
    with Image.open(drawn) as image:
        # Of the ways to choose colours, this one does not sacrifice those that only a few pixels have.
        reduced = image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        reduced.save(path, format="png", optimize=True)


def save_all(drawings: Mapping[str, Drawing], folder: Path) -> None:
    """Write drawings, by the names of their files, and ``CAPTIONS``: the title and caption of each."""
    for name, drawing in drawings.items():
        save(drawing.figure, folder / name)
    captions = {name: {"title": drawing.title, "caption": drawing.caption} for name, drawing in drawings.items()}
    files.write_json(folder / CAPTIONS, captions)


def of_dataset(name: str) -> str:
    """Which dataset the numbers are of: in every figure."""
    return "dataset: minitune (generated music), not MagnaTagATune" if name == "minitune" else f"dataset: {name}"


def by_epoch(score: str, configs: Mapping[str, Curves], dataset: str) -> Drawing:
    """``roc_auc`` or ``loss`` by epoch, train and validation, a panel a config (the report's Figures 2 and 3).

    Args:
        score: a key of ``SCORES``.
        configs: name -> its curves.
        dataset: its name.
    """
    title = f"{SCORES[score][0].upper()}{SCORES[score][1:]} by epoch"
    return Drawing(_by_epoch(score, configs, dataset, title), title, _epoch_caption(score, configs))


@styled
def _by_epoch(score: str, configs: Mapping[str, Curves], dataset: str, title: str) -> Figure:
    columns = min(4, len(configs))
    rows = -(-len(configs) // columns)
    panel = 1.75 if rows > 1 else 3.0
    figure = _canvas(title, [of_dataset(dataset)], rows * panel + 0.3, footer=1)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    limits = axis_limits(score, configs.values())
    epochs = max(curves.history["epoch"].max() for curves in configs.values())
    for axis, (name, curves) in zip(axes, configs.items(), strict=False):
        shown = name if len(name) <= 24 else f"{name[:23]}…"
        axis.set_title(shown, fontsize=9, fontweight="bold", loc="left")
        _draw_curves(axis, score, curves, limits[1])
    axes[0].set(ylim=limits, xlim=(0.5, epochs + 0.5))
    axes[0].xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    for empty in axes[len(configs) :]:
        empty.set_visible(False)
    for lowest in axes[len(configs) - columns : len(configs)]:  # of each column
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel("epoch")
    handles = [
        Line2D([], [], color=TRAIN, lw=2, label="train"),
        Line2D([], [], color=VALID, lw=2, label="validation"),
        Line2D([], [], color=PALE, lw=1, label="thin: one seed (thick: their mean)"),
        Line2D([], [], color="none", marker="o", mfc=VALID, mec=INK, ms=5, label="epoch kept, of each seed"),
    ]
    _legend(figure, handles)
    return figure


def _draw_curves(axis: Axes, score: str, curves: Curves, top: float) -> None:
    """One panel. What lies above ``top`` is cut off, and the panel says so."""
    history = curves.history
    for part, color, light in (("train", TRAIN, TRAIN_SEED), ("valid", VALID, VALID_SEED)):
        column = f"{part}_{score}"
        for _, one in history.groupby("seed"):
            axis.plot(one["epoch"], one[column], color=light, lw=0.8, zorder=2)
        mean = history.groupby("epoch")[column].mean()
        single = {"marker": "_", "ms": 9, "mew": 2} if len(mean) == 1 else {}
        axis.plot(mean.index, mean, color=color, lw=2, zorder=3, **single)
    for seed, epoch in curves.chosen.items():
        kept = history[(history["seed"] == seed) & (history["epoch"] == epoch)]
        style = {"color": VALID, "mec": INK, "mew": 0.7, "ms": 5, "zorder": 4, "clip_on": False}
        axis.plot(kept["epoch"], kept[f"valid_{score}"].clip(upper=top), "o", **style)
    values = history[[f"train_{score}", f"valid_{score}"]].to_numpy()
    notes = [f"cut off: up to {np.nanmax(values):.3g}"] if np.nanmax(values, initial=-np.inf) > top else []
    notes += ["some values are not numbers"] if not np.isfinite(values).all() else []
    axis.text(0.98, 0.97, "\n".join(notes), transform=axis.transAxes, ha="right", va="top", fontsize=8, color=GREY)


def axis_limits(score: str, configs: Iterable[Curves]) -> tuple[float, float]:
    """Limits of the shared axis.

    ROC-AUC: all values. Loss: all but each config's first epoch, in which it falls from where chance put it, and what
    towers over the rest (more than three times the median of each config's largest loss), so that one config that did
    not train leaves the others readable.
    """
    histories = [curves.history for curves in configs]
    if score == "loss":
        later = [history[history["epoch"] > history["epoch"].min()] for history in histories]
        histories = [after if len(after) else history for after, history in zip(later, histories, strict=True)]
    values = [history[[f"train_{score}", f"valid_{score}"]].to_numpy(dtype=float) for history in histories]
    values = [part[np.isfinite(part)] for part in values if np.isfinite(part).any()]
    if not values:
        return 0.0, 1.0
    low, high = min(part.min() for part in values), max(part.max() for part in values)
    if score == "loss":
        usual = 3 * float(np.median([part.max() for part in values]))
        high = max(part[part <= usual].max(initial=low) for part in values)
    margin = max(0.05 * (high - low), 0.005)
    return float(low - margin), float(high + margin)


def _epoch_caption(score: str, configs: Mapping[str, Curves]) -> str:
    kept = {name: np.mean(list(curves.chosen.values())) for name, curves in configs.items() if curves.chosen}
    if score == "loss":
        look = "Where validation turns up while train falls on, the network overfits."
        if kept:
            early, late = min(kept, key=kept.get), max(kept, key=kept.get)
            look += f" The epoch kept is earliest for {early} ({kept[early]:.1f}, mean over seeds)"
            look += f" and latest for {late} ({kept[late]:.1f})." if late != early else "."
    else:
        last = {
            name: curves.history[curves.history["epoch"] == curves.history["epoch"].max()]
            for name, curves in configs.items()
        }
        gaps = {name: float((rows["train_roc_auc"] - rows["valid_roc_auc"]).mean()) for name, rows in last.items()}
        wide, narrow = max(gaps, key=gaps.get), min(gaps, key=gaps.get)
        look = (
            "The gap between train and validation is what is learned by heart; after the last epoch it is"
            f" {gaps[wide]:.3f} for {wide}"
        )
        look += f" (widest) and {gaps[narrow]:.3f} for {narrow} (narrowest)." if wide != narrow else "."
    return f"One panel a config, all on the same axes. {look}"


def best_and_worst(rows: Sequence[Mapping], count: int = 3) -> tuple[list[str], list[str], list[str]]:
    """Names of the best tags (best first), of the worst (worst first), and of the undefined.

    Args:
        rows: as ``scoring.per_tag_table`` gives.
        count: of each, at most; no tag is both, so with few tags there are fewer.
    """
    known = sorted((row for row in rows if row["roc_auc"] is not None), key=lambda row: -row["roc_auc"])
    count = min(count, len(known) // 2)
    names = [row["tag"] for row in known]
    undefined = [row["tag"] for row in rows if row["roc_auc"] is None]
    return names[:count], names[::-1][:count], undefined


def by_tag(name: str, rows: Sequence[Mapping], dataset: str) -> Drawing:
    """ROC-AUC of each tag, sorted, with the spread over seeds (the report's Figure 4).

    Args:
        name: of the config.
        rows: as ``scoring.per_tag_table`` gives.
        dataset: its name.
    """
    score = {row["tag"]: row["roc_auc"] for row in rows}
    best, worst, undefined = best_and_worst(rows)
    listed = [", ".join(f"{tag} {findings.figure(score[tag])}" for tag in tags) or "none" for tags in (best, worst)]
    title = f"ROC-AUC of each tag on the tagged test clips: {name}"
    lines = [f"best: {listed[0]}    worst: {listed[1]}"]
    if undefined:
        lines.append(f"undefined, as every one of them or none has the tag: {', '.join(undefined)}")
    figure = _by_tag(rows, best, worst, title, [*lines, of_dataset(dataset)])
    caption = (
        f"Config {name}. Best: {listed[0]}; worst: {listed[1]}. In parentheses: how many test clips have the tag; where"
        " these are few, chance moves the score by more than the spread over seeds tells."
        + (f" Undefined: {', '.join(undefined)}." if undefined else "")
    )
    return Drawing(figure, title, caption)


@styled
def _by_tag(rows: Sequence[Mapping], best: list[str], worst: list[str], title: str, lines: list[str]) -> Figure:
    known = sorted((row for row in rows if row["roc_auc"] is not None), key=lambda row: -row["roc_auc"])
    columns = 2 if len(known) > 16 else 1
    each = max(1, -(-len(known) // columns))
    figure = _canvas(title, lines, 0.2 * each + 0.6, footer=1)
    axes = figure.subplots(1, columns, sharex=True, squeeze=False)[0]
    for number, axis in enumerate(axes):
        shown = known[number * each : (number + 1) * each]
        for place, row in enumerate(shown):
            color = BEST if row["tag"] in best else WORST if row["tag"] in worst else GREY
            bar = {"fmt": "o", "ms": 4.5, "color": color, "elinewidth": 1.6, "capsize": 2.5}
            axis.errorbar(row["roc_auc"], place, xerr=row["roc_auc_sd"], **bar)
        axis.set_yticks(range(len(shown)), [f"{row['tag']} ({row['positives']})" for row in shown])
        for label, row in zip(axis.get_yticklabels(), shown, strict=True):
            if row["tag"] in best or row["tag"] in worst:
                label.set(color=BEST if row["tag"] in best else WORST, fontweight="bold")
        axis.set_ylim(each - 0.4, -0.6)
        axis.axvline(0.5, color=PALE, lw=1)
        axis.set_xlabel("ROC-AUC (.5 is chance)")
    axes[0].set_xlim(max(axes[0].get_xlim()[0], -0.02), 1.02)  # no score lies outside, though mean ± sd may
    handles = [
        Line2D([], [], color=BEST, marker="o", ls="", label="best"),
        Line2D([], [], color=WORST, marker="o", ls="", label="worst"),
        Line2D([], [], color=GREY, marker="o", label="mean over seeds ± standard deviation"),
        Line2D([], [], color="none", label="(number): test clips with the tag"),
    ]
    _legend(figure, handles)
    return figure


def by_config(rows: pd.DataFrame, others: Mapping[str, float], clips: int, dataset: str) -> Drawing:
    """Mean test ROC-AUC of every config.

    Args:
        rows: a row a config: ``config``, ``frontend``, ``roc_auc``, ``low``, ``high`` (the interval) and ``seeds``, a
            list with each seed's score. NaN where undefined.
        others: label -> score of other models on the same clips, drawn as lines.
        clips: number of tagged test clips.
        dataset: its name.
    """
    title = "Mean ROC-AUC of each config on the tagged test clips"
    caption = f"{clips} tagged test clips."
    known = rows.dropna(subset=["roc_auc"])
    if len(known) > 1:
        best, worst = known.loc[known["roc_auc"].idxmax()], known.loc[known["roc_auc"].idxmin()]
        caption += (
            f" Highest: {best['config']} ({findings.figure(best['roc_auc'])}); lowest: {worst['config']}"
            f" ({findings.figure(worst['roc_auc'])})."
        )
    caption += (
        " The bar is the 95 % bootstrap interval, artists resampled: how far other test clips could move the mean. The"
        " bars of two configs may overlap though their difference is shown: both were scored on the same clips, see the"
        " table of differences."
    )
    lines = [f"{clips} tagged test clips; {of_dataset(dataset)}"]
    return Drawing(_by_config(rows, others, title, lines), title, caption)


@styled
def _by_config(rows: pd.DataFrame, others: Mapping[str, float], title: str, lines: list[str]) -> Figure:
    figure = _canvas(title, lines, 0.27 * len(rows) + 0.8, footer=1 + -(-len(others) // 2))
    axis = figure.subplots()
    for place, row in enumerate(rows.to_dict("records")):
        color = FRONTENDS.get(row["frontend"], INK)
        axis.plot([row["low"], row["high"]], [place, place], color=color, lw=5, alpha=0.3, solid_capstyle="butt")
        axis.plot(row["seeds"], [place] * len(row["seeds"]), "o", ms=4, mfc="white", mec=color, mew=1)
        axis.plot(row["roc_auc"], place, "|", ms=13, mew=2.2, color=color)
        spread = "" if len(row["seeds"]) < 2 else f" ± {findings.figure(np.std(row['seeds'], ddof=1))}"
        text = f"{findings.figure(row['roc_auc'])}{spread}"
        axis.text(1.01, place, text, transform=axis.get_yaxis_transform(), va="center", fontsize=9)
    handles = [
        Line2D([], [], color=FRONTENDS[name], marker="|", ms=10, mew=2.2, ls="", label=f"{name} (mean of seeds)")
        for name in FRONTENDS
        if (rows["frontend"] == name).any()
    ]
    handles += [
        Line2D([], [], color=GREY, marker="o", mfc="white", ls="", ms=4, label="one seed"),
        Line2D([], [], color=GREY, alpha=0.3, lw=5, label="95 % interval"),
    ]
    models = []
    for number, (label, score) in enumerate(others.items()):
        line = {"color": INK, "lw": 1.1, "ls": LINES[number % len(LINES)]}
        axis.axvline(score, zorder=1, **line)
        models.append(Line2D([], [], label=f"{label}: {findings.figure(score)}", **line))
    axis.set_yticks(range(len(rows)), rows["config"])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.margins(x=0.03)
    axis.set_xlabel("mean ROC-AUC over the defined tags")
    _legend(figure, handles, lines_below=-(-len(models) // 2))
    if models:
        _legend(figure, models, columns=2)
    return figure


def of_examples(name: str, frame: pd.DataFrame, dataset: str) -> Drawing:
    """The example clips with their most probable tags, true tags that were found highlighted.

    Args:
        name: of the config.
        frame: as ``examples.table`` gives.
        dataset: its name.
    """
    title = f"Test clips that {name} tagged best and worst"
    return Drawing(_of_examples(frame, dataset, title), title, f"Config {name}. {examples.RULE}")


@styled
def _of_examples(frame: pd.DataFrame, dataset: str, title: str) -> Figure:
    pieces = examples.clips(frame)
    titles = [_example_title(piece) for piece in pieces]
    heights = [LINE * (text.count("\n") + 1) + 0.21 * examples.SHOWN + 0.45 for text in titles]
    lines = [*textwrap.wrap(examples.RULE, CHARACTERS), of_dataset(dataset)]
    figure = _canvas(title, lines, sum(heights) + 0.3, footer=1)
    if not pieces:
        figure.text(0.5, 0.5, "no test clip has a tag", ha="center", color=GREY)
        return figure
    grid = figure.add_gridspec(len(pieces), 2, width_ratios=(1.45, 1), height_ratios=heights)
    for number, (piece, text) in enumerate(zip(pieces, titles, strict=True)):
        bars, words = figure.add_subplot(grid[number, 0]), figure.add_subplot(grid[number, 1])
        shown = piece[piece["rank"] <= examples.SHOWN]
        places = range(len(shown))
        bars.barh(places, shown["probability"], color=[BEST if true else PALE for true in shown["true"]], height=0.7)
        bars.set_yticks(places, [f"{rank}  {tag}" for rank, tag in zip(shown["rank"], shown["tag"], strict=True)])
        for label, true in zip(bars.get_yticklabels(), shown["true"], strict=True):
            label.set(color=BEST if true else INK, fontweight="bold" if true else "normal")
        for place, probability in zip(places, shown["probability"], strict=True):
            inside = probability > 0.9
            offset, ink = (-0.01, "white") if inside else (0.01, INK)
            bars.text(
                probability + offset,
                place,
                findings.figure(probability, 2),
                va="center",
                ha="right" if inside else "left",
                color=ink,
            )
        bars.set(xlim=(0, 1), ylim=(examples.SHOWN - 0.4, -0.6))
        bars.tick_params(labelbottom=number == len(pieces) - 1, left=False)
        bars.grid(visible=False, axis="y")
        bars.set_title(
            text, loc="left", fontsize=9, fontweight="bold", color=WORST if text.startswith(examples.WORST) else BEST
        )
        _list_true(words, piece)
    bars.set_xlabel("probability")
    handles = [
        Patch(color=BEST, label="true tag"),
        Patch(color=PALE, label="predicted, but not among the clip's tags"),
    ]
    _legend(figure, handles)
    return figure


def _example_title(piece: pd.DataFrame) -> str:
    first = piece.iloc[0]
    heading = (
        f"{first['example']}: average precision {findings.figure(first['average_precision'])}, clip {first['clip_id']}"
    )
    return "\n".join([heading, *textwrap.wrap(first["path"], 100)[:3]])


def _list_true(axis: Axes, piece: pd.DataFrame) -> None:
    """The clip's true tags by rank, in two columns where they are many."""
    axis.set_axis_off()
    true = piece[piece["true"]]
    axis.text(
        0.08, 1.0, f"true tags: {int(true['found'].sum())} of {len(true)} found", va="top", transform=axis.transAxes
    )
    many = 16
    for place, row in enumerate(true.head(many).to_dict("records")):
        across, down = divmod(place, examples.SHOWN)
        word = (
            f"{row['tag']}"
            if row["found"]
            else f"{row['tag']}: rank {row['rank']} ({findings.figure(row['probability'], 2)})"
        )
        ink = {"color": BEST if row["found"] else WORST, "fontweight": "bold" if row["found"] else "normal"}
        axis.text(0.08 + 0.5 * across, 0.86 - 0.11 * down, word, va="top", transform=axis.transAxes, **ink)


def _canvas(title: str, lines: Sequence[str], height: float, footer: int) -> Figure:
    """A figure with a title and lines of text, a body of ``height`` inches, and ``footer`` lines of legend below."""
    lines = [part for line in lines for part in textwrap.wrap(line, CHARACTERS)]
    above, below = 0.12 + 0.25 + LINE * len(lines) + 0.08, LEGEND_LINE * footer + 0.12
    whole = height + above + below
    figure = Figure(figsize=(WIDTH, whole), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(rect=(0.008, below / whole, 0.984, height / whole), hspace=0.06, wspace=0.03)
    figure.text(0.012, 1 - 0.12 / whole, title, va="top", fontsize=12, fontweight="bold")
    for number, line in enumerate(lines):
        figure.text(0.012, 1 - (0.39 + LINE * number) / whole, line, va="top", color=GREY)
    return figure


def _legend(figure: Figure, handles: Sequence[Line2D | Patch], columns: int = 6, lines_below: int = 0) -> None:
    """A legend below the body, in the room that ``_canvas`` left, above ``lines_below`` lines of another one."""
    legend = figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, LEGEND_LINE * lines_below / figure.get_figheight()),
        ncols=columns,
        handlelength=1.8,
        columnspacing=1.6,
    )
    legend.set_in_layout(False)
