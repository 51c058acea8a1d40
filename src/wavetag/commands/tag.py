"""``wavetag tag``: tags of sound files, on the terminal or for programs."""

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from wavetag.commands import complain, name_of, on_terminal

_complain = partial(complain, "tag")
TOP = 5
TIMES = 40  # rows of a terminal's table over time, at most
PLOTS = (".png", ".svg")


def options(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Tag sound files with a trained model: which of its tags are how probable."""
    parser.add_argument("sounds", nargs="+", metavar="FILE or FOLDER", help="of any kind that libsndfile reads")
    parser.add_argument("--model", metavar="NAME or FOLDER", help="by default the best one on the validation clips")
    parser.add_argument("--top", type=int, metavar="N", help=f"the most probable tags alone; {TOP} in tables, else all")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print a JSON list, an object a file")
    forms.add_argument("--csv", action="store_true", help="print comma-separated lines, one a file and tag")
    parser.add_argument("--over-time", action="store_true", help="probabilities of each window, one every hop")
    parser.add_argument(
        "--hop", type=float, metavar="SECONDS", help="from one window to the next; by default a quarter of a window"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="PATH",
        help="draw the taggram: of one file into PATH (.png or .svg), else as PNG into the folder PATH",
    )
    parser.add_argument(
        "--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="files at a time; %(default)s"
    )
    return run


def run(arguments: argparse.Namespace) -> int:
    """Tag what was asked for; 0 if all files have their tags, 1 if one has not."""
    if arguments.top is not None and arguments.top < 1:
        raise ValueError(f"--top {arguments.top}: 1 or more is allowed")
    if arguments.jobs < 1:
        raise ValueError(f"--jobs {arguments.jobs}: 1 or more is allowed")
    if arguments.hop is not None and not (arguments.over_time or arguments.plot):
        raise ValueError("--hop is of --over-time and --plot alone")

    from wavetag import model_folder

    folder = model_folder.find(arguments.model)

    from wavetag import model, tagging

    paths, problems = tagging.gather(arguments.sounds)
    plots = _plots(arguments.plot, paths)
    loaded = model.Model.load(folder)
    loaded.check_hop(arguments.hop)
    for problem in problems:
        _complain(problem)

    import torch

    torch.set_num_threads(1)  # the processes are as many as the cores
    if not (arguments.json or arguments.csv):
        print(_model_line(loaded), file=sys.stderr)
    over_time = arguments.over_time or arguments.plot is not None
    failed = bool(problems)
    with _progress(len(paths)) as done:
        results = tagging.tag_files(loaded, paths, arguments.jobs, over_time, arguments.hop, done)

        def good() -> Iterator[tagging.Tagged]:
            nonlocal failed
            for tagged in results:
                if tagged.heard is None:
                    failed = True
                    _complain(f"{tagged.path}: {tagged.error}")
                    continue
                if tagged.heard.seconds < loaded.window_seconds / 2:
                    _complain(
                        f"{tagged.path}: {length(tagged.heard.seconds)}, where the model listens to"
                        f" {loaded.window_seconds:.3g} s at a time: the rest was taken as silence, and its tags are a"
                        " guess"
                    )
                if plots is not None:
                    failed = not _draw(loaded, tagged, plots[tagged.path], arguments.top) or failed
                yield tagged

        if arguments.json:
            _print_json(good(), arguments)
        elif arguments.csv:
            _print_csv(good(), arguments)
        else:
            tables = list(good())
    if not (arguments.json or arguments.csv):
        _print_table(tables, arguments)
    return int(failed)


def _model_line(loaded: Any) -> str:
    data = loaded.about.get("dataset", {}).get("name", "an unknown dataset")
    known = ", music that a program composed: of recordings it knows little" if data == "minitune" else ""
    return f"model: {loaded.folder}, trained on {data}{known}; {len(loaded.tag_names)} tags"


@contextmanager
def _progress(files: int) -> Iterator[Callable[[], None]]:
    """A bar on the terminal, if there is one and more than one file."""
    if files < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("tagging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=files)
        yield lambda: progress.advance(task)


def _plots(wanted: Path | None, paths: list[Path]) -> dict[Path, Path] | None:
    """Where the taggram of each file goes. Raises ``ValueError`` before anything is computed."""
    if wanted is None:
        return None
    if wanted.suffix.lower() in PLOTS and not wanted.is_dir():
        if len(paths) > 1:
            raise ValueError(f"--plot {wanted}: one file for {len(paths)} taggrams; name a folder")
        if not wanted.absolute().parent.is_dir():
            raise ValueError(f"--plot {wanted}: there is no folder {wanted.parent}")
        return dict.fromkeys(paths, wanted)
    if wanted.is_file() or wanted.suffix:
        raise ValueError(f"--plot {wanted}: a file that ends in {' or '.join(PLOTS)}, or a folder, is allowed")
    found: dict[Path, Path] = {}
    taken: set[str] = set()
    for path in paths:
        name, number = path.stem, 2
        while name.casefold() in taken:
            name, number = f"{path.stem}-{number}", number + 1
        taken.add(name.casefold())
        found[path] = wanted / f"{name}.png"
    return found


def _draw(loaded: Any, tagged: Any, path: Path, top: int | None) -> bool:
    """Draw a taggram; False, and a line that says why, if that was not possible."""
    from wavetag import files, taggram_figure

    try:
        drawing = taggram_figure.draw(tagged.heard, tagged.path.name, loaded.name, top)
        with files.written_whole(path) as temporary:
            taggram_figure.save(drawing, temporary, path.suffix.lower())
    except OSError as error:
        _complain(f"{path}: cannot be written: {error.strerror or error}")
        return False
    return True


def _print_json(results: Iterable[Any], arguments: argparse.Namespace) -> None:
    """A list, each file's object as soon as it is there; closed in any case, so that it stays JSON."""
    first = True
    sys.stdout.write("[")
    try:
        for tagged in results:
            heard = tagged.heard
            top = heard.top(arguments.top)
            found: dict[str, Any] = {
                "file": name_of(tagged.path),
                "seconds": round(heard.seconds, 3),
                "tags": [{"tag": tag, "probability": round(value, 6)} for tag, value in top.items()],
            }
            if arguments.over_time:
                course, places = heard.over_time, [heard.tags.index(tag) for tag in top]
                found["over_time"] = {
                    "window": round(course.seconds, 6),
                    "starts": [round(start, 6) for start in course.starts.tolist()],
                    "tags": list(top),
                    "probabilities": [
                        [round(value, 6) for value in row] for row in course.probabilities[:, places].tolist()
                    ],
                }
            sys.stdout.write(("\n" if first else ",\n") + json.dumps(found, ensure_ascii=False))
            sys.stdout.flush()
            first = False
    finally:
        sys.stdout.write("\n]\n")
        sys.stdout.flush()


def _print_csv(results: Iterable[Any], arguments: argparse.Namespace) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        ["file", "start", "end", "tag", "probability"] if arguments.over_time else ["file", "tag", "probability"]
    )
    for tagged in results:
        heard = tagged.heard
        top = heard.top(arguments.top)
        if not arguments.over_time:
            writer.writerows([name_of(tagged.path), tag, f"{value:.6f}"] for tag, value in top.items())
        else:
            course = heard.over_time
            for start, row in zip(course.starts.tolist(), course.probabilities, strict=True):
                for tag in top:
                    value = row[heard.tags.index(tag)]
                    place = (f"{start:.3f}", f"{start + course.seconds:.3f}")
                    writer.writerow([name_of(tagged.path), *place, tag, f"{value:.6f}"])
        sys.stdout.flush()


def _print_table(results: list[Any], arguments: argparse.Namespace) -> None:
    from rich.console import Console

    # Where nobody looks, lines are as long as they are.
    console = Console() if sys.stdout.isatty() else Console(width=10_000)
    if arguments.over_time:
        for tagged in results:
            console.print(_over_time(tagged, arguments.top or TOP))
    elif results:
        console.print(_table(results, arguments.top or TOP))


def _table(results: list[Any], top: int) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("length", justify="right")
    table.add_column("tags, most probable first", overflow="fold")
    for tagged in results:
        tags = Text("  ").join(
            Text.assemble(tag.replace(" ", "\u00a0"), "\u00a0", (shown(value), "bold"))
            for tag, value in tagged.heard.top(top).items()
        )
        table.add_row(Text(on_terminal(str(tagged.path))), length(tagged.heard.seconds), tags)
    return table


def _over_time(tagged: Any, top: int) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    heard, course = tagged.heard, tagged.heard.over_time
    tags = list(heard.top(top))
    places = [heard.tags.index(tag) for tag in tags]
    every = -(-len(course.starts) // TIMES)
    title = f"{on_terminal(str(tagged.path))}: windows of {course.seconds:.2f} s"
    title += f", every {every}th of {len(course.starts)} (--csv has all)" if every > 1 else ""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(title), title_justify="left")
    table.add_column("from", justify="right")
    for tag in tags:
        table.add_column(Text(tag), justify="right")
    for start, row in list(zip(course.starts, course.probabilities, strict=True))[::every]:
        table.add_row(length(start, 1), *[shown(float(row[place])) for place in places])
    return table


def shown(probability: float) -> str:
    """A probability as .71."""
    return "1.0" if probability >= 0.995 else f"{probability:.2f}"[1:]


def length(seconds: float, decimals: int = 0) -> str:
    """Seconds as 3:05 or 1:00:07, with as many decimals as are asked for."""
    if decimals == 0 and seconds < 1:
        return f"{seconds:.1f} s"
    from wavetag.taggrams import clock

    return clock(seconds, decimals)
