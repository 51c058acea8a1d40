"""Drawings for the report page: SVG with text as text, in the colours of the page around it, light or dark.

Curves are matplotlib's. Heat maps and whiskers are so few shapes that they are written here. All are to be put into the
page's own HTML: the colours are its custom properties (``--ink``, ``--muted``, ``--line``, ``--heat``, ``--train``,
``--valid``).
"""

import io
import re
from collections.abc import Sequence
from html import escape

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from wavetag import figures

COLOURS = {  # of the figures -> of the page
    figures.INK: "var(--ink)",
    figures.GREY: "var(--muted)",
    figures.PALE: "var(--line)",
    figures.GRID: "var(--grid)",
    figures.TRAIN: "var(--train)",
    figures.VALID: "var(--valid)",
    figures.TRAIN_SEED: "var(--train-seed)",
    figures.VALID_SEED: "var(--valid-seed)",
}
PANEL = (3.5, 2.2)  # inches, each 72 pixels of the page
FAINT = 0.015  # share of the darkest: a cell below it is left out
CELL = 12  # pixels


def curves(score: str, name: str, drawn: figures.Curves, limits: tuple[float, float], place: str) -> str:
    """One config's ``roc_auc`` or ``loss`` by epoch.

    Args:
        score: a key of ``figures.SCORES``.
        name: of the config.
        drawn: its curves.
        limits: of the axis.
        place: a word that no other drawing of the page has.
    """
    history = drawn.history
    settings = {**figures.STYLE, "svg.fonttype": "none", "svg.hashsalt": place, "font.size": 8}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=PANEL, layout="constrained", facecolor="none")
        axis = figure.subplots()
        axis.set_facecolor("none")
        figures._draw_curves(axis, score, drawn, limits[1])
        axis.set(ylim=limits, xlim=(0.5, history["epoch"].max() + 0.5), xlabel="epoch", ylabel=figures.SCORES[score])
        axis.xaxis.set_major_locator(figures.MaxNLocator(6, integer=True, min_n_ticks=1))
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    last = history[history["epoch"] == history["epoch"].max()]
    train, valid = (float(last[f"{part}_{score}"].mean()) for part in ("train", "valid"))
    kept = ", ".join(f"{epoch}" for epoch in drawn.chosen.values())
    said = (
        f"{name}, {figures.SCORES[score]} by epoch. After the last epoch, {history['epoch'].max()}: train {train:.3f},"
        f" validation {valid:.3f}, mean of {history['seed'].nunique()} seeds. Epochs kept: {kept or 'none'}."
    )
    return inline(written.getvalue(), place, said)


def inline(text: str, place: str, said: str) -> str:
    """A file of matplotlib's as a part of a page.

    Args:
        text: of the SVG file.
        place: put before each of its ids, so that they are unique in the page.
        said: for who does not see it.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{place}-\1"', text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{place}-", text)
    for colour, variable in COLOURS.items():
        text = text.replace(colour, variable)
    text = re.sub(r"\n\s*", "\n", text)
    head = f'<svg class="plot" role="img" aria-label="{escape(said)}"'
    text = re.sub(r'<svg\b(?P<rest>[^>]*?) width="[^"]*"', rf"{_plain(head)}\g<rest>", text, count=1)
    return re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1).strip()


def _plain(text: str) -> str:
    """Text that a replacement takes as it is."""
    return text.replace("\\", r"\\")


def cells(values: np.ndarray, most: float, names: tuple[Sequence[str], Sequence[str]] | None = None) -> str:
    """Rectangles of one unit each, the darker the higher: what heat maps and taggrams are made of.

    Args:
        values: [rows, columns]; NaN is left out.
        most: value of the darkest.
        names: of rows and columns, said of each cell.
    """
    shares = np.nan_to_num(np.clip(values / most, 0, 1)) if most > 0 else np.zeros_like(values)
    parts = []
    for row, column in zip(*np.nonzero(shares >= FAINT), strict=True):
        place = f'<rect x="{column}" y="{row}" width="1" height="1" fill-opacity="{shares[row, column]:.2f}"'
        if names is None:
            parts.append(f"{place}/>")
        else:
            said = f"{names[0][row]}, {names[1][column]}: {values[row, column]:.2f}"
            parts.append(f"{place}><title>{escape(said)}</title></rect>")
    return "".join(parts)


def heat_map(values: np.ndarray, names: Sequence[str], said: str, axes: tuple[str, str] = ("", "")) -> str:
    """A square heat map of tags by tags.

    Args:
        values: [tags, tags], from 0; NaN is left out.
        names: of the tags.
        said: for who does not see it.
        axes: what rows and columns are.
    """
    short = [name if len(name) <= 22 else f"{name[:21]}…" for name in names]
    room = max(7 * max(map(len, short), default=0) + 14, 6 * max(map(len, axes)) + 24)
    count = len(names)
    size, most = count * CELL, float(np.nanmax(values, initial=0.0))
    text = []
    for number, name in enumerate(short):
        middle = room + (number + 0.5) * CELL
        text.append(f'<text x="{room - 5}" y="{middle + 3.5:g}" text-anchor="end">{escape(name)}</text>')
        text.append(f'<text transform="translate({middle + 3.5:g} {room - 5}) rotate(-90)">{escape(name)}</text>')
    if any(axes):
        text.append(f'<text class="axis" x="4" y="{room - 18}">↓ {escape(axes[0])}</text>')
        text.append(f'<text class="axis" x="4" y="{room - 6}">→ {escape(axes[1])}</text>')
    whole = room + size + 4
    return (
        f'<svg class="heat" viewBox="0 0 {whole} {whole}" width="{whole}" role="img" aria-label="{escape(said)}">'
        f'<rect class="ground" x="{room}" y="{room}" width="{size}" height="{size}"/>'
        f'<g class="cells" transform="translate({room} {room}) scale({CELL})">{cells(values, most, (names, names))}</g>'
        f"{''.join(text)}</svg>"
    )


def filter_spectra(spectra: np.ndarray, rate: float, said: str, rows: int = 64) -> str:
    """Magnitude spectra of filters side by side, low frequencies below (the paper's Figure 2).

    Args:
        spectra: [filters, frequencies] from zero to half the rate, each of maximum 1, in the order to show.
        rate: in Hz.
        said: for who does not see it.
        rows: of cells, each the maximum of some frequencies.
    """
    pieces = np.array_split(spectra, min(rows, spectra.shape[1]), axis=1)
    shown = np.stack([piece.max(axis=1) for piece in pieces])[::-1]  # [rows, filters]
    left, height, width = 58, 260, 560
    across, down = width / shown.shape[1], height / shown.shape[0]
    text = [
        f'<text x="{left - 6}" y="{4 + height * (1 - share):g}" dy="{0.8 if share == 1 else 0.3}em" text-anchor="end">'
        f"{rate / 2 * share / 1000:.3g} kHz</text>"
        for share in (0, 0.5, 1)
    ]
    text.append(f'<text x="{left}" y="{height + 22}">{len(spectra)} filters, by dominant frequency →</text>')
    return (
        f'<svg class="heat" viewBox="0 0 {left + width + 4} {height + 30}" width="{left + width + 4}" role="img"'
        f' aria-label="{escape(said)}"><rect class="ground" x="{left}" y="4" width="{width}" height="{height}"/>'
        f'<g class="cells" transform="translate({left} 4) scale({across:.4f} {down:.4f})">{cells(shown, 1.0)}</g>'
        f"{''.join(text)}</svg>"
    )


def whisker(middle: float | None, low: float | None, high: float | None, axis: tuple[float, float], mark: float) -> str:
    """A dot with its interval in a cell of a table, as wide as the cell; what the cell's number says is not repeated.

    Args:
        middle: the value; None leaves the cell empty.
        low, high: of its interval; None for none.
        axis: from where to where.
        mark: value of the upright line: chance, or no difference.
    """
    if middle is None or not np.isfinite(middle):
        return ""
    place = lambda value: f"{100 * min(max((value - axis[0]) / (axis[1] - axis[0]), 0), 1):.1f}%"  # noqa: E731
    parts = (
        [f'<line class="mark" x1="{place(mark)}" x2="{place(mark)}" y1="0" y2="16"/>'] if _within(mark, axis) else []
    )
    if low is not None and high is not None:
        parts.append(f'<line class="interval" x1="{place(low)}" x2="{place(high)}" y1="8" y2="8"/>')
    parts.append(f'<circle cx="{place(middle)}" cy="8" r="4"/>')
    return f'<svg class="whisker" height="16" aria-hidden="true">{"".join(parts)}</svg>'


def _within(value: float, axis: tuple[float, float]) -> bool:
    return axis[0] <= value <= axis[1]


def taggram(probabilities: np.ndarray, said: str) -> str:
    """Tags over time, stretched to what is around it.

    Args:
        probabilities: [windows, tags], in the order of the rows.
        said: for who does not see it.
    """
    windows, tags = probabilities.shape
    return (
        f'<svg class="taggram" viewBox="0 0 {windows} {tags}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(said)}"><g class="cells">{cells(probabilities.T, 1.0)}</g></svg>'
    )
