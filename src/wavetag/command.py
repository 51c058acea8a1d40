"""The command ``wavetag``: a subcommand for each thing that is done by hand, beside the pipeline.

A subcommand is a function that adds its options to a parser and returns what is run with them. What is heavy to
import is imported by what is run, so that ``wavetag --help`` is there at once.
"""

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wavetag.stages import EXPECTED

MADE_BY = "`snakemake --cores 4 all` (or `make all`) makes it"
REPORT = Path("reports/dataset")

Run = Callable[[argparse.Namespace], None]


def describe(parser: argparse.ArgumentParser) -> Run:
    """Print, draw and write statistics of the prepared dataset."""
    parser.add_argument(
        "--prepared",
        type=Path,
        metavar="FOLDER",
        help="with clips.npy and manifest.tsv; by default data/prepared/RATE, the rate as in params.yaml's defaults",
    )
    parser.add_argument("--split", type=Path, metavar="FILE", default=Path("data/split/split.tsv"), help="%(default)s")
    parser.add_argument("--out", type=Path, metavar="FOLDER", default=REPORT, help="for the figures; %(default)s")
    return _describe


def _describe(arguments: argparse.Namespace) -> None:
    from wavetag import clips, description, files, params, splits
    from wavetag import description_figures as draw
    from wavetag.datasets.layout import DatasetError
    from wavetag.figures import save

    settings = params.load()
    rate, dataset = settings["defaults"]["sample_rate"], settings["dataset"]["name"]
    folder = arguments.prepared or Path("data/prepared") / str(rate)
    manifest = _read(_manifest, folder / "manifest.tsv")
    split = _read(splits.read, arguments.split)
    array = _read(clips.open_array, folder / "clips.npy")
    if array.shape[1] != params.clip_samples(settings, rate):
        raise DatasetError(
            f"{folder / 'clips.npy'}: clips of {array.shape[1]} samples, where params.yaml asks for"
            f" {params.clip_samples(settings, rate)} ({settings['prepare']['clip_seconds']:g} s at {rate} Hz):"
            f" {MADE_BY}"
        )
    window_samples = params.window_samples(settings, rate)
    try:
        table = description.measured(manifest, split, array.shape, window_samples)
    except DatasetError as error:
        raise DatasetError(f"{folder} and {arguments.split}: {error}; {MADE_BY} anew") from error
    described = description.describe(manifest, split, array, window_samples, rate)
    drawings = {
        "tags.png": draw.tags(described["tags"], dataset),
        "co_occurrence.png": draw.co_occurrence(split, dataset),
        "durations.png": draw.durations(table, array.shape[1] / rate, rate, dataset),
        "loudness.png": draw.loudness(table, dataset),
    }
    for name, drawing in drawings.items():
        with files.written_whole(arguments.out / name) as temporary:
            save(drawing.figure, temporary)
    captions = {name: {"title": drawing.title, "caption": drawing.caption} for name, drawing in drawings.items()}
    files.write_json(arguments.out / "description.json", {"dataset": dataset, **described, "figures": captions})
    description.show(described)
    print(f"{', '.join(drawings)} and description.json are in {arguments.out}")


def _manifest(path: Path) -> Any:
    from wavetag import clips

    manifest = clips.read_manifest(path)
    missing = [name for name in clips.MANIFEST_COLUMNS if name not in manifest.columns]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    return manifest


def _read(read: Callable[[Path], Any], path: Path) -> Any:
    """What ``read`` makes of a file of the pipeline; an error that names the file if it is not there or another."""
    from wavetag.datasets.layout import DatasetError

    if not path.is_file():
        raise DatasetError(f"{path}: no such file; {MADE_BY}")
    try:
        return read(path)
    except DatasetError:
        raise
    except (ValueError, KeyError, StopIteration) as error:
        raise DatasetError(f"{path}: not as the pipeline writes it ({error}); {MADE_BY} anew") from error


def use(parser: argparse.ArgumentParser) -> Run:
    """Put named settings, or single ones, into params.yaml; without arguments, list the names."""
    parser.add_argument(
        "wanted",
        nargs="*",
        metavar="NAME or SECTION.KEY=VALUE",
        help="later ones go over earlier ones; params.yaml is written only if all of it is allowed",
    )
    return _use


def _use(arguments: argparse.Namespace) -> None:
    from wavetag import settings

    if not arguments.wanted:
        for name, line in settings.named().items():
            print(f"{name:15}{line}")
        return
    changes = settings.apply(arguments.wanted)
    for key, before, now in changes:
        print(f"{key}: {before} -> {now}")
    print("params.yaml has these settings now" if changes else "params.yaml had these settings already")


SUBCOMMANDS: dict[str, Callable[[argparse.ArgumentParser], Run]] = {"describe": describe, "use": use}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; 0 if all went well, 1 after an error, which is one line on standard error, 130 when stopped.

    Args:
        argv: the words behind ``wavetag``; by default those of the command line.
    """
    parser = argparse.ArgumentParser(prog="wavetag", description="What is done by hand, beside the pipeline.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('wavetag')}")
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for name, add_options in SUBCOMMANDS.items():
        subparser = subparsers.add_parser(name, help=add_options.__doc__, description=add_options.__doc__)
        subparser.set_defaults(run=add_options(subparser), name=name)
    arguments = parser.parse_args(argv)
    if "run" not in arguments:
        parser.print_help()
        return 0
    return _status(f"wavetag {arguments.name}", arguments)


def _status(name: str, arguments: argparse.Namespace) -> int:
    """Run, and turn what can be expected to go wrong into one line, as stages do; a bug keeps its traceback."""
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        print(f"{name}: stopped; run the same command again", file=sys.stderr)
        return 130
    except EXPECTED as error:
        if os.environ.get("WAVETAG_TRACEBACK"):
            raise
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"{name}: no space left on the disk: free some and run the same command again", file=sys.stderr)
        return 1
    return 0
