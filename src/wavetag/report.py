"""The report: one page to read and listen to, with every table, every figure and the example clips.

The page needs no network and no script. What comes from a dataset (paths, tags) is escaped by the template.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from wavetag import examples
from wavetag.datasets import layout

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Table:
    """A table to read: all cells are text."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class FigureFile:
    """A figure: ``address`` is relative to the page."""

    address: str
    title: str
    caption: str


@dataclass(frozen=True)
class Example:
    """A clip to listen to.

    Attributes:
        kind: ``examples.GOOD`` or ``examples.BAD``.
        address: of its audio, relative to the page.
        predicted: the most probable tags; missed: true tags that are not among them. Rows of ``examples.table``.
    """

    kind: str
    path: str
    address: str
    average_precision: float
    predicted: tuple[dict[str, Any], ...]
    missed: tuple[dict[str, Any], ...]


def read_table(path: str | Path) -> Table:
    """Read a Markdown page as ``tables.markdown`` writes it: a title, paragraphs, one aligned table, paragraphs.

    Cells are cut where the line of dashes has its bars, so a bar within a cell is no trouble.

    Raises:
        ValueError: the file is not there, or is not such a page.
    """
    path = Path(path)
    try:
        blocks = [block.splitlines() for block in path.read_text(encoding="utf-8").split("\n\n") if block.strip()]
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file: aggregate the tables first") from error
    places = [number for number, block in enumerate(blocks) if block[0].startswith("|")]
    if len(places) != 1 or not blocks[0][0].startswith("## ") or len(blocks[places[0]]) < 2:
        raise ValueError(f"{path}: not a page with a title (## ...) and one table")
    head, dashes, *body = blocks[places[0]]
    bars = [position for position, letter in enumerate(dashes) if letter == "|"]
    rows = []
    for line in (head, *body):
        if len(line) != len(dashes) or any(line[bar] != "|" for bar in bars):
            raise ValueError(f"{path}: the table's columns are not aligned in the line {line!r}")
        cells = [line[left + 1 : right].strip() for left, right in pairwise(bars)]
        rows.append(tuple(cell.replace("\\|", "|") for cell in cells))
    paragraphs = [" ".join(block) for block in blocks]
    above, below = paragraphs[1 : places[0]], paragraphs[places[0] + 1 :]
    return Table(path.stem, blocks[0][0][3:], rows[0], tuple(rows[1:]), tuple(above), tuple(below))


def table_of(name: str, title: str, frame: pd.DataFrame) -> Table:
    """A frame as a table to read."""
    rows = tuple(tuple(str(value) for value in row) for row in frame.to_numpy(dtype=object))
    return Table(name, title, tuple(str(column) for column in frame), rows)


def config_table(settings: Mapping[str, Any]) -> Table:
    """Each config with what it says for itself."""
    rows = []
    for name, entry in settings["experiments"].items():
        own = {key: value for key, value in entry.items() if value != settings["defaults"][key]}
        rows.append((name, ", ".join(f"{key}: {_plain(value)}" for key, value in own.items()) or "all as in defaults"))
    return Table("configs", "Configs", ("config", "differs from the defaults in"), tuple(rows))


def flat_settings(settings: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each section of the settings but the experiments and tables, as names and values to read."""
    shown = ("dataset", "prepare", "split", "evaluate", "defaults")
    return [(section, [(key, _plain(value)) for key, value in settings[section].items()]) for section in shown]


def read_figures(captions: Mapping[str, Mapping[str, str]], folder: str) -> list[FigureFile]:
    """The figures that ``captions`` names, in its order; ``folder`` is relative to the page."""
    return [FigureFile(address(folder, name), about["title"], about["caption"]) for name, about in captions.items()]


def read_examples(frame: pd.DataFrame, folder: str) -> list[Example]:
    """The example clips.

    Args:
        frame: as ``examples.table`` gives.
        folder: of the dataset, relative to the page.
    """
    found = []
    for piece in examples.clips(frame):
        first, rows = piece.iloc[0], piece.to_dict("records")
        predicted = tuple(row for row in rows if row["rank"] <= examples.SHOWN)
        missed = tuple(row for row in rows if row["true"] and not row["found"])
        where = (first["path"], address(folder, first["path"]))
        found.append(Example(first["example"], *where, float(first["average_precision"]), predicted, missed))
    return found


def address(folder: str, path: str) -> str:
    """A relative address of a clip: what has a meaning in addresses (spaces, #, ?, %) is encoded.

    The end of the path of a clip that is a part of a file stays as it is: browsers play that part.
    """
    file, segment = layout.file_and_segment(path)
    return quote(f"{folder}/{file}") + (layout.fragment(*segment) if segment else "")


def render(
    settings: Mapping[str, Any],
    counts: Table,
    shared_artists: float,
    tables: Sequence[Table],
    figures: Sequence[FigureFile],
    clips: Sequence[Example],
) -> str:
    """The page.

    Args:
        settings: as in params.yaml.
        counts: clips, songs, artists of each split.
        shared_artists: share of the test clips whose artist also has clips in train.
        tables: in the order of the page.
        figures: in the order of the page.
        clips: to listen to.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html").render(
        dataset=settings["dataset"]["name"],
        generated=settings["dataset"]["name"] == "minitune",
        sections=flat_settings(settings),
        configs=config_table(settings),
        seeds=len(settings["defaults"]["seeds"]),
        counts=counts,
        shared_artists=shared_artists,
        tables=tables,
        figures=figures,
        clips=clips,
        shown=examples.SHOWN,
    )


def _plain(value: Any) -> str:
    """A setting in words: lists without brackets, yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
