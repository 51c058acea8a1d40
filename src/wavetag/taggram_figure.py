"""The taggram of one file as a figure: its tags over time, as the model hears them in windows that overlap."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from wavetag import figures, taggrams
from wavetag.model import Heard

TOP = 15
COLOURS = "magma"
TITLE = 90  # characters of a file's name that fit
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds between two marks of the time


@figures.styled
def draw(heard: Heard, name: str, model: str, top: int | None = None) -> Figure:
    """Tags over time, the most probable on top.

    Args:
        heard: with its taggram.
        name: of the file.
        model: its name.
        top: how many tags.
    """
    course = heard.over_time
    if course is None:
        raise ValueError("there is no taggram: ask for it with over_time")
    tags = heard.top(top or TOP)
    places = [heard.tags.index(tag) for tag in tags]
    values = course.probabilities[:, places].T
    hop = float(course.starts[1] - course.starts[0]) if len(course.starts) > 1 else course.seconds
    title = name if len(name) <= TITLE else f"{name[: TITLE - 1]}…"
    lines = [
        f"Tag probabilities by {model} in windows of {course.seconds:.1f} s, one every {hop:.2f} s, drawn at their"
        " middle; in brackets the file's mean."
    ]
    figure = figures._canvas(title, lines, 0.25 * len(tags) + 0.7, footer=0)
    axes = figure.subplots()
    middle = course.starts + course.seconds / 2
    left, right = middle[0] - hop / 2, middle[-1] + hop / 2
    # the darkest to the lightest colour is the whole range of a probability, so that two files can be compared
    image = axes.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        cmap=COLOURS,
        vmin=0,
        vmax=1,
        extent=(left, right, len(tags) - 0.5, -0.5),
    )
    axes.set_yticks(range(len(tags)), [f"{tag} ({value:.2f})" for tag, value in tags.items()])
    axes.grid(visible=False)
    end = max(heard.seconds, right)
    axes.set_xlim(0, end)
    step = next((step for step in STEPS if end / step <= 10), STEPS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(lambda seconds, _: taggrams.clock(seconds))
    axes.set_xlabel("time (minutes:seconds)")
    axes.tick_params(left=False)
    bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, aspect=15)
    bar.set_label("probability")
    bar.outline.set_visible(False)
    return figure


def save(figure: Figure, path: str | Path, kind: str) -> None:
    """Write a figure: ``.png``, or ``.svg``, which holds no date."""
    if kind == ".png":
        figures.save(figure, path)
        return
    with matplotlib.rc_context({**figures.STYLE, "svg.hashsalt": "wavetag"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
