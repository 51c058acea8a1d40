"""The report: one page to read and listen to: findings, architecture, tables, suites, curves, tags, filters, clips.

The page needs no network, and is whole without its script. What comes from a dataset (titles, tags) is escaped by the
template; drawings are made of numbers, and escape the names that they bear.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from wavetag import architecture_drawing, examples, figures, files, findings, params, web_drawings
from wavetag.settings import flow

TEMPLATES = Path(__file__).with_name("templates")
SCRIPT, STYLE = "report.js", "report.css"
VERDICTS = {  # of a finding -> its sign and its class
    findings.BETTER: ("▲", "better"),
    findings.WORSE: ("▼", "worse"),
    findings.WITHIN_NOISE: ("≈", "noise"),
    findings.NOT_CONVERGED: ("…", "open"),
    findings.NO_INTERVAL: ("–", "open"),
    findings.SAME: ("=", "same"),
}
SUITES = {  # what each is about; of one that is not listed the name alone is shown
    "bridge": "from the report's score to the paper's, one factor at a time",
    "flat": "the report's own spectrogram network",
    "open": "what the paper and the report left open",
    "paper": "the paper's tables and figures, with its settings",
    "scale": "spectrograms without batch norm, at many scales of what enters the logarithm",
    "search": "learning rate and momentum, batch size, early stopping, a tuned spectrogram network",
    "transfer": "fine-tuning against training from scratch, where there are few clips",
}
# In a suite's folder: what it hands on to the page, a table and captions beside pictures.
PUBLISHED, TABLE = "published", "table.md"


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
class Findings:
    """What came of one suite's questions.

    Attributes:
        suite: its name, ``findings.REPORT`` for the report's tables.
        groups: (name, heading, findings) in order; each finding as in findings.json, with ``sign``, ``kind`` (a class)
            and ``whisker`` (SVG).
        unanswered: dicts of ``ask`` and ``why``.
        missing: what is not there, in a sentence with the command to run; empty where nothing is missing.
    """

    suite: str
    groups: tuple[tuple[str, str, tuple[dict[str, Any], ...]], ...] = ()
    unanswered: tuple[dict[str, str], ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class Suite:
    """What a suite published.

    Attributes:
        name: of its folder.
        title: what it is about, in a few words; may be empty.
        table: of its configs, where there is one.
        pictures: name of a picture -> ``title`` and ``caption``.
        missing: what is not there, in a sentence with the command to run; empty where nothing is missing.
    """

    name: str
    title: str
    table: Table | None = None
    pictures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: str = ""


def read_suite(folder: str | Path, settings: Mapping[str, Any]) -> Suite:
    """The table and the figures of a suite, if every score in them is of the settings of now.

    Args:
        folder: of the suite: ``results.json`` says of which settings the scores are, ``published`` holds the rest.
        settings: of the pipeline.

    Raises:
        ValueError: a file is not as the pipeline writes it, or is missing beside the others.
    """
    folder = Path(folder)
    command = findings.made_by(folder.name)
    of_suite = partial(Suite, folder.name, SUITES.get(folder.name, ""))
    path, published = folder / "results.json", folder / PUBLISHED
    try:
        suite = params.load_suite(folder, settings)
    except params.ParamsError as error:
        return of_suite(missing=_not_to_be_run(error))
    content = files.read_json(path) if path.is_file() else {}
    try:
        scores = content.get("configs") or {}
        of_what = {name: scores[name]["settings"] for name in scores}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not as the pipeline writes it ({error!r}): {command}") from error
    if not of_what:
        return of_suite(missing=f"Not run yet: {command} runs it.")
    if of_what != {name: findings.score_settings(suite, name) for name in findings.scored_configs(suite)}:
        return of_suite(missing=f"Made for other settings than are set now: {command} makes it anew.")
    for name in (TABLE, figures.CAPTIONS):
        if not (published / name).is_file():
            raise ValueError(f"{published / name}: no such file: {command} makes it")
    return of_suite(read_table(published / TABLE), files.read_json(published / figures.CAPTIONS))


def _not_to_be_run(error: params.ParamsError) -> str:
    """Why a suite cannot be run, as a sentence."""
    return f"Not to be run with what is set now: {'; '.join(str(error).splitlines())}."


def read_findings(path: str | Path, suite: str, settings: Mapping[str, Any], suites: str | Path) -> Findings:
    """The findings of a suite or of the report's tables, as far as they are of the questions and settings of now.

    Args:
        path: findings.json of the tables, or results.json of a suite; that it is not there, or empty, is told.
        suite: its name, or ``findings.REPORT``.
        settings: of the pipeline.
        suites: folder with the suites.

    Raises:
        ValueError: the file is not as the pipeline writes it.
    """

    @cache
    def settings_of(name: str) -> Mapping[str, Any]:
        return settings if name == findings.REPORT else params.load_suite(Path(suites) / name, settings)

    def of_config(name: str, config: str) -> dict[str, Any]:
        return findings.score_settings(settings_of(name), config)

    try:
        now = findings.current(path, suite, settings_of(suite).get("questions") or [], of_config)
    except params.ParamsError as error:
        return Findings(suite, missing=_not_to_be_run(error))
    try:
        groups = [(group["name"], group["heading"], _drawn(entries)) for group, entries in findings.by_group(now)]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not as the pipeline writes it ({error!r}): {findings.made_by(suite)}") from error
    return Findings(suite, tuple(groups), tuple(now["unanswered"]), " ".join(now["missing"]))


def _drawn(entries: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The findings of a group, ready to be shown: all on the same axis."""
    ends = [entry[key] for entry in entries for key in findings.INTERVAL if entry[key] is not None]
    widest = 1.05 * max(map(abs, ends), default=1.0) or 1.0
    shown = []
    for entry in entries:
        sign, kind = VERDICTS[entry["verdict"]]
        numbers = [entry[key] for key in findings.INTERVAL]
        drawn = web_drawings.whisker(*numbers, (-widest, widest), 0.0)
        shown.append(
            {
                **entry,
                "sign": sign,
                "kind": kind,
                "whisker": Markup(drawn),
                "said": entry["short"].removeprefix(entry["ask"]).strip(),
                "numbers": findings.difference(*numbers),
                "alone": findings.difference(entry["difference"], entry["low_alone"], entry["high_alone"]),
                "measured": findings.METRICS[entry["metric"]],
                "other_views": [
                    (view, findings.difference(*(found[key] for key in findings.INTERVAL)))
                    for view, found in entry["views"].items()
                ],
            }
        )
    return tuple(shown)


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
    """A frame as a table to read, its whole numbers with commas at the thousands."""
    rows = tuple(tuple(_cell(value) for value in row) for row in frame.to_numpy(dtype=object))
    return Table(name, title, tuple(str(column) for column in frame), rows)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | np.integer) and not isinstance(value, bool) else str(value)


def config_table(settings: Mapping[str, Any]) -> Table:
    """Each config with what it says for itself."""
    rows = []
    for name, entry in settings["experiments"].items():
        own = {key: value for key, value in entry.items() if value != settings["defaults"][key]}
        rows.append((name, ", ".join(f"{key}: {flow(value)}" for key, value in own.items()) or "all as in defaults"))
    return Table("configs", "Configs", ("config", "differs from the defaults in"), tuple(rows))


def flat_settings(settings: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each section of the settings but the experiments, tables and questions: names, and values as in YAML."""
    shown = ("dataset", "prepare", "split", "evaluate", "defaults")
    return [(section, [(key, flow(value)) for key, value in settings[section].items()]) for section in shown]


def render(settings: Mapping[str, Any], **content: Any) -> str:
    """The page.

    Args:
        settings: as in params.yaml.
        content: what else the template names; ``page_data.gather`` gathers it.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["commands"] = _commands
    environment.filters["breakable"] = _breakable
    environment.filters["minus"] = lambda text: re.sub(r"(?<![\w.-])-(?=\.?\d)", "−", text)
    environment.filters["count"] = "{:,}".format
    environment.filters["shape"] = architecture_drawing.shape_in_words
    environment.filters["score"] = lambda value, decimals=3: findings.figure(value, decimals)
    return environment.get_template("report.html").render(
        dataset=settings["dataset"]["name"],
        generated=findings.is_generated(settings["dataset"]["name"]),
        sections=flat_settings(settings),
        configs=config_table(settings),
        seeds=len(settings["defaults"]["seeds"]),
        shown=examples.SHOWN,
        rule=examples.RULE,
        verdicts=VERDICTS,
        **content,
    )


def _commands(text: str) -> Markup:
    """Escaped text, with what stands in backticks as code."""
    parts = text.split("`")
    marked = [Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)]
    return Markup("").join(marked)


def _breakable(name: str) -> Markup:
    """An escaped name that a narrow column may break behind an underscore."""
    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


def tag_names(clips: Sequence[Any]) -> list[str]:
    """Every tag that is true of, or shown with, one of the example clips, by name."""
    return sorted({row["tag"] for clip in clips for row in clip.rows})
