"""Figures of searches: learning rate by momentum, batch sizes, longer training, and the study that tuned a network.

As those of ``figures``: each function takes numbers and gives a ``Drawing``, and the same numbers give the same bytes.
All scores are of the validation clips. An attempt is what ``search.attempt`` gives, with ``name`` and ``config``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from wavetag import figures, findings
from wavetag.figures import Drawing

Attempt = Mapping[str, Any]
SCORE = "validation ROC-AUC"
COLOURS = "viridis"
DARK = 0.55  # share of the colour scale up to which text on it is white
STATES = {"complete": figures.TRAIN, "pruned": figures.PALE, "diverged": figures.WORST}  # of a study's trials


def grid(attempts: Sequence[Attempt], chosen: str, default: tuple[float, float], dataset: str) -> Drawing:
    """Learning rate by momentum as a heat map, the values in its cells.

    Args:
        attempts: one for each pair of the two.
        chosen: name of the one that was.
        default: learning rate and momentum that are marked where they are among them.
        dataset: its name.
    """
    title = "Validation ROC-AUC by learning rate and momentum"
    sound = [one for one in attempts if not one["diverged"]]
    lost = len(attempts) - len(sound)
    best = next(one for one in attempts if one["name"] == chosen)
    caption = (
        f"One training a cell, from one seed. Chosen: learning rate {best['config']['learning_rate']:g} with momentum"
        f" {best['config']['momentum']:g} ({findings.figure(best['valid_roc_auc'])})."
        f" {f'{lost} of {len(attempts)} diverged' if lost else 'None diverged'}."
        " A gradient's steps add up to about learning rate / (1 - momentum): pairs with the same ratio are much alike."
        " Another seed would move each score too, so that cells of nearly the same score are equals."
    )
    return Drawing(_grid(attempts, chosen, default, title, [figures.of_dataset(dataset)]), title, caption)


@figures.styled
def _grid(
    attempts: Sequence[Attempt], chosen: str, default: tuple[float, float], title: str, lines: list[str]
) -> Figure:
    rates = sorted({one["config"]["learning_rate"] for one in attempts})
    momenta = sorted({one["config"]["momentum"] for one in attempts})
    cells = np.full((len(momenta), len(rates)), np.nan)
    figure = figures._canvas(title, lines, 0.6 * len(momenta) + 0.6, footer=1)
    axis = figure.subplots()
    scores = [one["valid_roc_auc"] for one in attempts if not one["diverged"]]
    low, high = min(scores), max(scores)
    for one in attempts:
        row, column = momenta.index(one["config"]["momentum"]), rates.index(one["config"]["learning_rate"])
        outline = {"fill": False, "zorder": 3}
        if one["diverged"]:
            _hatch(axis, column, row)
            text, ink = "diverged", figures.WORST
        else:
            cells[row, column] = one["valid_roc_auc"]
            dark = (one["valid_roc_auc"] - low) / max(high - low, 1e-9) < DARK
            text, ink = findings.figure(one["valid_roc_auc"]), "white" if dark else figures.INK
        axis.text(column, row, text, ha="center", va="center", color=ink, zorder=4)
        if one["name"] == chosen:
            axis.add_patch(Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, ec=figures.WORST, lw=2.5, **outline))
        if (one["config"]["learning_rate"], one["config"]["momentum"]) == default:
            dashed = {"ec": "white", "lw": 1.5, "ls": (0, (3, 2))}
            axis.add_patch(Rectangle((column - 0.42, row - 0.36), 0.84, 0.72, **dashed, **outline))
    drawn = axis.imshow(cells, cmap=matplotlib.colormaps[COLOURS], vmin=low, vmax=high, aspect="auto", origin="lower")
    axis.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    axis.set_yticks(range(len(momenta)), [f"{momentum:g}" for momentum in momenta])
    axis.set(xlabel="learning rate", ylabel="momentum")
    axis.grid(visible=False)
    axis.tick_params(length=0)
    figure.colorbar(drawn, ax=axis, pad=0.02).set_label(SCORE)
    handles = [
        Patch(fc="none", ec=figures.WORST, lw=2.5, label="chosen"),
        Patch(fc="none", ec=figures.GREY, lw=1.2, ls=(0, (3, 2)), label="the default"),
        Patch(fc="white", ec=figures.PALE, hatch="////", label="diverged: the loss was no number any more"),
    ]
    figures._legend(figure, handles)
    return figure


def _hatch(axis: Axes, column: int, row: int) -> None:
    style = {"fc": "white", "ec": figures.PALE, "hatch": "////", "lw": 0, "zorder": 2}
    axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **style))


def batches(attempts: Sequence[Attempt], chosen: str, dataset: str) -> Drawing:
    """Batch sizes: the validation score, and what it took in updates and seconds.

    Args:
        attempts: one for each batch size.
        chosen: name of the one that was.
        dataset: its name.
    """
    title = "Validation ROC-AUC by batch size"
    ordered = sorted(attempts, key=lambda one: one["config"]["batch_size"])
    best = next(one for one in attempts if one["name"] == chosen)
    caption = (
        f"One training each, from one seed, all with the same epochs and learning rate: twice the batch is half the"
        f" updates. Chosen: {best['config']['batch_size']} ({findings.figure(best['valid_roc_auc'])}). Seconds are of"
        " the trainings here, beside whatever else the machine did."
    )
    return Drawing(_batches(ordered, chosen, title, [figures.of_dataset(dataset)]), title, caption)


@figures.styled
def _batches(attempts: Sequence[Attempt], chosen: str, title: str, lines: list[str]) -> Figure:
    figure = figures._canvas(title, lines, 2.8, footer=1)
    panels = figure.subplots(1, 3)
    labels = [f"{one['config']['batch_size']}" for one in attempts]
    colors = [figures.WORST if one["name"] == chosen else figures.TRAIN for one in attempts]
    scores = [np.nan if one["diverged"] else one["valid_roc_auc"] for one in attempts]
    panels[0].scatter(range(len(labels)), scores, c=colors, s=36, zorder=3)
    panels[0].plot(range(len(labels)), scores, color=figures.PALE, lw=1, zorder=2)
    panels[0].margins(0.12, 0.2)
    for place, score in enumerate(scores):
        known = np.isfinite(score)
        text, height = (findings.figure(score), score) if known else ("diverged", panels[0].get_ylim()[0])
        panels[0].annotate(text, (place, height), (0, 7), textcoords="offset points", ha="center", fontsize=8)
    for panel, key, words in zip(panels[1:], ("updates", "seconds"), ("updates", "seconds of training"), strict=True):
        panel.bar(range(len(labels)), [one[key] for one in attempts], color=colors, width=0.6)
        panel.set_title(words, fontsize=9, fontweight="bold", loc="left")
        panel.grid(visible=False, axis="x")
    panels[0].set_title(SCORE, fontsize=9, fontweight="bold", loc="left")
    for panel in panels:
        panel.set_xticks(range(len(labels)), labels)
        panel.set_xlabel("clips in a batch")
    figures._legend(
        figure, [Patch(color=figures.WORST, label="chosen"), Patch(color=figures.TRAIN, label="the others")]
    )
    return figure


def stopping(attempts: Sequence[Attempt], dataset: str) -> Drawing:
    """Longer trainings by epoch, loss and ROC-AUC, with the epoch that each kept.

    Args:
        attempts: one for each, with and without early stopping.
        dataset: its name.
    """
    title = "Longer training, with and without early stopping"
    told = [
        f"{one['name']} diverged in its first epoch" if not one["history"] else
        f"{one['name']} trained {one['epochs']} epochs, kept the {one['kept_epoch']}. and has"
        f" {findings.figure(one['valid_roc_auc'])}"
        for one in attempts
    ]  # fmt: skip
    caption = (
        f"{'; '.join(told)}. From the same seed both go the same way until one of them stops. What comes after the"
        " epoch that is kept is spent for nothing, unless a later one would have been better."
    )
    return Drawing(_stopping(attempts, title, [figures.of_dataset(dataset)]), title, caption)


@figures.styled
def _stopping(attempts: Sequence[Attempt], title: str, lines: list[str]) -> Figure:
    figure = figures._canvas(title, lines, 2.4 * len(attempts) + 0.3, footer=1)
    panels = figure.subplots(len(attempts), 2, sharex=True, sharey="col", squeeze=False)
    for (of_auc, of_loss), one in zip(panels, attempts, strict=True):
        for panel, score in ((of_auc, "roc_auc"), (of_loss, "loss")):
            panel.set_title(one["name"], fontsize=9, fontweight="bold", loc="left")
            panel.set_ylabel(figures.SCORES[score])
            panel.tick_params(labelleft=True)
            history = one["history"]
            epochs = [row["epoch"] for row in history]
            for part, color in (("train", figures.TRAIN), ("valid", figures.VALID)):
                values = np.array([row[f"{part}_{score}"] for row in history], dtype=float)  # None: NaN
                panel.plot(epochs, values, color=color, lw=1.8)
                if part == "valid" and one["kept_epoch"]:
                    kept = {"mfc": figures.VALID, "mec": figures.INK, "ms": 6, "zorder": 4}
                    panel.plot(one["kept_epoch"], values[one["kept_epoch"] - 1], "o", **kept)
            if epochs and epochs[-1] < one["config"]["epochs"]:
                panel.axvline(epochs[-1], color=figures.GREY, lw=1, ls=figures.LINES[1])
                word = "diverged" if one["diverged"] else "stopped"
                place = (epochs[-1], 0.04)
                panel.annotate(word, place, (4, 0), panel.get_xaxis_transform(), "offset points", color=figures.GREY)
    for panel in panels[-1]:
        panel.set_xlabel("epoch")
        panel.set_xlim(0.5, max(one["config"]["epochs"] for one in attempts) + 0.5)
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    handles = [
        Line2D([], [], color=figures.TRAIN, lw=2, label="train"),
        Line2D([], [], color=figures.VALID, lw=2, label="validation"),
        Line2D([], [], color="none", marker="o", mfc=figures.VALID, mec=figures.INK, ms=6, label="epoch kept"),
    ]
    figures._legend(figure, handles)
    return figure


def study(trials: Sequence[Mapping[str, Any]], random: int, chosen: int, dataset: str) -> Drawing:
    """The study's trials in order, with the best so far.

    Args:
        trials: as ``study.merged`` gives them.
        random: how many of the first were drawn at random.
        chosen: number of the one that was.
        dataset: its name.
    """
    title = "The study of the spectrogram network, trial by trial"
    counts = {state: sum(one["state"] == state for one in trials) for state in STATES}
    best = next(one for one in trials if one["trial"] == chosen)
    caption = (
        f"{', '.join(f'{count} {state}' for state, count in counts.items())} of {len(trials)} trials. The first"
        f" {random} were drawn at random, the others where earlier ones were good. Chosen: trial {chosen}"
        f" ({findings.figure(best['valid_roc_auc'])}). A pruned trial is shown with its best epoch until then."
        " The highest of so many scores is flattered by chance: what it is worth, the test clips say."
    )
    return Drawing(_study(trials, random, chosen, title, [figures.of_dataset(dataset)]), title, caption)


@figures.styled
def _study(trials: Sequence[Mapping[str, Any]], random: int, chosen: int, title: str, lines: list[str]) -> Figure:
    figure = figures._canvas(title, lines, 3.4, footer=1)
    axis = figure.subplots()
    known = [one for one in trials if one["valid_roc_auc"] is not None]
    for state, color in STATES.items():
        of_state = [one for one in known if one["state"] == state]
        style = {"c": color, "s": 28, "zorder": 3, "edgecolors": figures.GREY, "linewidths": 0.5}
        axis.scatter([one["trial"] for one in of_state], [one["valid_roc_auc"] for one in of_state], **style)
    complete = [one for one in known if one["state"] == "complete"]
    best = np.maximum.accumulate([one["valid_roc_auc"] for one in complete])
    places = [one["trial"] for one in complete]
    axis.step([*places, len(trials) - 1], [*best, best[-1]], where="post", color=figures.VALID, lw=1.8, zorder=2)
    winner = next(one for one in known if one["trial"] == chosen)
    ring = {"mfc": "none", "mec": figures.WORST, "mew": 2, "ms": 11, "zorder": 4}
    axis.plot(chosen, winner["valid_roc_auc"], "o", **ring)
    for one in trials:
        if one["valid_roc_auc"] is None:
            place = (one["trial"], 0.02)
            axis.annotate("×", place, xycoords=axis.get_xaxis_transform(), color=figures.WORST, ha="center")
    if random < len(trials):
        axis.axvline(random - 0.5, color=figures.GREY, lw=1, ls=figures.LINES[1])
    axis.set(xlabel="trial", ylabel=SCORE, xlim=(-0.8, len(trials) - 0.2))
    axis.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    handles = [
        *(
            Line2D([], [], color=color, marker="o", ls="", mec=figures.GREY, label=state)
            for state, color in STATES.items()
        ),
        Line2D([], [], color=figures.VALID, lw=2, label="best so far"),
        Line2D([], [], color="none", marker="o", mfc="none", mec=figures.WORST, mew=2, ms=9, label="chosen"),
        Line2D([], [], color=figures.GREY, ls=figures.LINES[1], label="left: at random"),
    ]
    figures._legend(figure, handles)
    return figure


def importance(shares: Mapping[str, float], trials: int, dataset: str) -> Drawing:
    """How much of the trials' differences each setting accounts for.

    Args:
        shares: setting -> its share of 1, as ``study.importances`` gives them.
        trials: how many they are computed from.
        dataset: its name.
    """
    title = "Which settings made a difference in the study"
    if shares:
        first = next(iter(sorted(shares.items(), key=lambda item: -item[1])))
        found = f"Most of all {first[0]} ({first[1]:.0%})."
    else:
        found = "All trials have the same score: nothing made a difference."
    caption = (
        f"{found} Share of the variance of the validation ROC-AUC over the space that a setting accounts for by itself,"
        f" by fANOVA (Hutter et al. 2014) from {trials} trials, pruned ones with their best epoch until then. So few"
        " trials tell the large shares from the small ones, not the small ones from one another; and as the sampler"
        " draws again what did well, a value that happened to come with it takes a part of the credit."
    )
    return Drawing(_importance(shares, title, [figures.of_dataset(dataset)]), title, caption)


@figures.styled
def _importance(shares: Mapping[str, float], title: str, lines: list[str]) -> Figure:
    figure = figures._canvas(title, lines, 0.27 * max(2, len(shares)) + 0.6, footer=0)
    axis = figure.subplots()
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    axis.barh(range(len(ordered)), [share for _, share in ordered], color=figures.TRAIN, height=0.65)
    for place, (_, share) in enumerate(ordered):
        axis.annotate(f"{share:.0%}", (share, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axis.set_yticks(range(len(ordered)), [key for key, _ in ordered])
    axis.set_ylim(max(2, len(ordered)) - 0.4, -0.6)
    axis.set_xlim(0, 1.1 * max([*shares.values(), 0.1]))
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("share of the variance of the validation ROC-AUC")
    return figure
