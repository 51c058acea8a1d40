"""The command ``wavetag``: a subcommand for each thing that is done by hand, beside the pipeline.

A subcommand is a function that adds its options to a parser and returns what is run with them. What is heavy to
import is imported by what is run, so that ``wavetag --help`` is there at once.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wavetag.collecting import collect_seldom
from wavetag.commands import check, export, release, serve, tag
from wavetag.stages import status

MADE_BY = "`snakemake --cores 4 all` (or `make all`) makes it"
REPORT = Path("reports/dataset")
SPLIT = Path("data/split/split.tsv")
SUITES = Path("suites")
FINDINGS = Path("metrics/findings/findings.json")

Run = Callable[[argparse.Namespace], int | None]


def describe(parser: argparse.ArgumentParser) -> Run:
    """Print, draw and write statistics of the prepared dataset."""
    parser.add_argument(
        "--sample-rate", type=int, metavar="RATE", help="one of prepare.sample_rates; by default that of defaults"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", default=REPORT, help="for the figures; %(default)s")
    return _describe


def _describe(arguments: argparse.Namespace) -> None:
    from wavetag import clips, description, files, params, settings, splits
    from wavetag import description_figures as draw
    from wavetag.datasets.layout import DatasetError
    from wavetag.figures import save

    _check_out(arguments.out)
    asked = params.load()
    usual, rates, dataset = asked["defaults"]["sample_rate"], asked["prepare"]["sample_rates"], asked["dataset"]["name"]
    rate = usual if arguments.sample_rate is None else arguments.sample_rate
    if rate not in rates:
        raise params.ParamsError(f"--sample-rate {rate}: prepare.sample_rates has {', '.join(map(str, rates))}")
    folder = Path("data/prepared") / str(rate)
    manifest = _read(_manifest, folder / "manifest.tsv")
    split = _read(splits.read, SPLIT)
    array = _read(clips.open_array, folder / "clips.npy")
    if array.shape[1] != params.clip_samples(asked, rate):
        raise DatasetError(
            f"{folder / 'clips.npy'}: clips of {array.shape[1]} samples, where params.yaml asks for"
            f" {params.clip_samples(asked, rate)} ({asked['prepare']['clip_seconds']:g} s at {rate} Hz):"
            f" {MADE_BY} anew"
        )
    window_samples = params.window_samples(asked, rate)
    slack = 0 if rate == usual else description.slack(rate, usual)
    try:
        table = description.measured(manifest, split, array.shape, window_samples, slack)
    except DatasetError as error:
        raise DatasetError(f"{folder} and {SPLIT}: {error}; {MADE_BY} anew") from error
    _check_dataset(manifest, split, folder / "manifest.tsv", asked)
    described = description.describe(manifest, split, array, window_samples, rate, slack)
    drawings = {
        "tags.png": draw.tags(described["tags"], dataset),
        "co_occurrence.png": draw.co_occurrence(split, dataset),
        "durations.png": draw.durations(table, array.shape[1], rate, dataset),
        "loudness.png": draw.loudness(table, dataset),
    }
    for name, drawing in drawings.items():
        with files.written_whole(arguments.out / name) as temporary:
            save(drawing.figure, temporary)
    captions = {name: {"title": drawing.title, "caption": drawing.caption} for name, drawing in drawings.items()}
    about = {"dataset": dataset, "vocabulary": asked["split"]["vocabulary"], "sample_rate": rate}
    files.write_json(arguments.out / "description.json", {**about, **described, "figures": captions})
    print(f"{dataset}, vocabulary {settings.vocabulary(asked)}, {rate} Hz\n")
    description.show(described)
    print(f"{', '.join(drawings)} and description.json are in {arguments.out}")


def _check_out(out: Path) -> None:
    """Refuse a place for figures that is a file, or lies in one, before anything is read."""
    for folder in (out, *out.parents):
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"--out {out}: {folder} is a file; a folder is needed")


def _check_dataset(manifest: Any, split: Any, path: Path, asked: dict[str, Any]) -> None:
    """Refuse what was prepared or split of another dataset, or with other settings, than params.yaml asks for.

    Args:
        manifest: as ``clips.read_manifest`` gives it.
        split: a ``splits.Split``.
        path: of the manifest.
        asked: as ``params.load`` gives it.

    Raises:
        DatasetError: one line that says which of them differs, and in what.
    """
    from wavetag import clips, splits
    from wavetag.datasets import layout
    from wavetag.datasets.layout import DatasetError

    chosen, name = asked["split"], asked["dataset"]["name"]
    annotations = _read(clips.read_annotations, Path("data/raw") / name / layout.ANNOTATIONS)
    there = dict(zip(annotations.clips["clip_id"], annotations.clips["path"], strict=True))
    if there != dict(zip(manifest["clip_id"], manifest["path"], strict=True)):
        raise DatasetError(f"{path}: other clips than those of {name}, which params.yaml asks for; {MADE_BY} anew")
    parts = {part: chosen[part] for part in splits.NAMES}
    # which windows a clip has is `measured`'s to check
    try:
        made = splits.make(manifest, annotations, chosen["vocabulary"], parts, chosen["population"], 1, 1)
    except ValueError as error:
        raise DatasetError(f"split in params.yaml: {error}") from error
    if made.tags != split.tags:
        differing = sorted(set(made.tags) ^ set(split.tags))
        example = f" ({differing[0]!r} is only in one of both)" if differing else " (in another order)"
        raise DatasetError(
            f"{SPLIT}: {len(split.tags)} tags, not as the {len(made.tags)} that split.vocabulary asks for"
            f"{example}; {MADE_BY} anew"
        )
    columns = ["clip_id", "split"]
    if not made.clips[columns].equals(split.clips[columns]):
        raise DatasetError(f"{SPLIT}: other clips than split.train, valid, test and population ask for; {MADE_BY} anew")
    if (made.labels != split.labels).any():
        raise DatasetError(f"{SPLIT}: other labels than those of {name}; {MADE_BY} anew")


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
        help="datasets go first, then other names, then single settings, later ones over earlier ones; params.yaml is"
        " written only if all of it is allowed",
    )
    return _use


def _use(arguments: argparse.Namespace) -> None:
    from wavetag import params, settings

    if not arguments.wanted:
        for name, line in settings.named().items():
            print(f"{name:15}{line}")
        return
    changes = settings.apply(arguments.wanted)
    for key, before, now in changes:
        print(f"{key}: {settings.flow(before)} -> {settings.flow(now)}")
    print("params.yaml has these settings now:" if changes else "params.yaml had these settings already:")
    print(settings.summary(params.load()))


def findings(parser: argparse.ArgumentParser) -> Run:
    """Print what was found out: the questions of the report's tables and of the suites, answered, with intervals."""
    parser.add_argument(
        "suites", nargs="*", metavar="SUITE", help="a suite, or `report` for the report's tables; without any, all"
    )
    parser.add_argument("--group", metavar="TEXT", help="only groups of questions with this text in their name")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON, with all their numbers")
    return _findings


def _findings(arguments: argparse.Namespace) -> None:
    import json

    from wavetag import findings, params, pipeline

    root = params.load()
    there = [findings.REPORT, *(path.parent.name for path in sorted(SUITES.glob("*/params.yaml")))]
    for name in arguments.suites:
        if name not in there:
            raise ValueError(f"there is no suite {name!r}; there are {', '.join(there)}")
    suites, wrong = pipeline.load_suites(root)
    if asked := [wrong[name] for name in dict.fromkeys(arguments.suites) if name in wrong]:
        raise params.ParamsError("\n".join(asked))
    settings, told = {findings.REPORT: root, **suites}, {}
    wanted = list(dict.fromkeys(arguments.suites)) or there
    for name in wanted:
        if name in wrong:
            told[name] = {**findings.NOTHING, "missing": [_sentence(line) for line in wrong[name].splitlines()]}
        else:
            told[name] = _findings_of(name, settings)
    if arguments.group is not None:
        told = {name: _of_group(content, arguments.group) for name, content in told.items()}
        if not any(content["groups"] or content["missing"] for content in told.values()):
            raise ValueError(f"--group {arguments.group}: no group of {', '.join(wanted)} has this in its name")
    if arguments.json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for name, content in told.items():
        findings.show(name, content, content["missing"])


def _findings_of(name: str, settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A suite's groups, findings and unanswered questions, as far as they are of the settings of now, and what is not.

    Args:
        name: of the suite, or ``findings.REPORT``.
        settings: of the pipeline and of each suite, by name.
    """
    from wavetag import findings

    path = FINDINGS if name == findings.REPORT else SUITES / name / "results.json"
    questions = settings[name].get("questions") or []
    return findings.current(
        path, name, questions, lambda suite, config: findings.score_settings(settings[suite], config)
    )


def _of_group(content: dict[str, Any], text: str) -> dict[str, Any]:
    """What of some findings is of groups with a text in their name."""
    names = [group["name"] for group in content["groups"] if text.casefold() in group["name"].casefold()]
    kept = {key: [one for one in content[key] if one["group"] in names] for key in ("findings", "unanswered")}
    groups = [group for group in content["groups"] if group["name"] in names]
    return {"groups": groups, **kept, "missing": content["missing"]}


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


SUBCOMMANDS: dict[str, Callable[[argparse.ArgumentParser], Run]] = {
    "check": check.options,
    "describe": describe,
    "export": export.options,
    "findings": findings,
    "release": release.options,
    "serve": serve.options,
    "tag": tag.options,
    "use": use,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; 0 if all went well, 1 after an error, which is one line on standard error, 130 when stopped.

    Args:
        argv: the words behind ``wavetag``; by default those of the command line.
    """
    if argv is None:
        collect_seldom()
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
    return status(f"wavetag {arguments.name}", partial(arguments.run, arguments))
