"""`make bench`: the speed of everything, against what people use today and against the machine's limit, in one table.

    python benchmarks/bench.py [--work .bench] [--rounds 3] [--only PART ...]

docs/performance.md explains each line. The whole job is run first, in a copy of this repository; what it has prepared
is what the others measure on. Ratios are speeds, above 1 is faster than what stands beside it; but of `snakemake all`,
of more data than memory, and of tagging, they are seconds. Medians over rounds taken in turns; the whole job is run
once. WORK has the table in Markdown too, in table.md.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import beyond_memory
import preparing
import scoring
import stacked
import starting
import tagging
import training
import whole_job
from measure import clone, machine
from rich.console import Console
from rich.table import Table

from wavetag import files

PARTS = ("whole_job", "training", "stacking", "prepare", "generate", "scoring", "starting", "memory", "tagging")
COLUMNS = ("what", "here", "compared with", "", "ratio")


def generated(computed: dict[str, list[float]], clips: int) -> list[tuple[str, ...]]:
    """Of `acquire`: what it computes is clips."""
    seconds = sum(computed["acquire"])
    return [(f"generate minitune, {clips} clips", f"{clips / seconds:.1f} clips/s a core", "", "", "")]


def measured(arguments: argparse.Namespace) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Rows, part by part."""
    work, only = arguments.work.absolute(), set(arguments.only)
    repository = work / "repository"
    if {"whole_job", "generate"} & only or not (repository / "data/statistics/12000.json").exists():
        shutil.rmtree(repository, ignore_errors=True)
        clone(repository)
        rows, computed = whole_job.whole(repository, training.CORES)
        yield "whole_job", rows + whole_job.growth(work, training.CORES, [10, 50, 200])
        yield "generate", generated(computed, clips=1_200)
    if "scoring" in only:
        yield "scoring", scoring.rows()
    if "starting" in only:
        yield "starting", list(starting.rows(arguments.rounds))
    if "prepare" in only:
        yield "prepare", preparing.rows(repository, work, arguments.rounds)
    if "training" in only:
        for frontend, clips in (("raw", 1_000), ("linear", 1_000), ("mel", 500), ("flat", 500)):
            rounds = arguments.rounds if frontend == "raw" else 1
            yield "training", training.rows(repository, work, clips, rounds, [frontend])
    if "stacking" in only:
        yield "stacking", stacked.rows(200, arguments.rounds)
    if "memory" in only:
        settings = argparse.Namespace(repository=repository, work=work / "large", clips=2_000, limit_mb=800, rounds=1)
        yield "memory", beyond_memory.rows(settings)
    if "tagging" in only:
        models = [repository / "taggers" / name for name in ("base", "linear_bn")]
        yield "tagging", list(tagging.rows(models, 60, arguments.rounds))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".bench"), help="folder for what is made, some 15 GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    began = time.monotonic()
    table, lines = Table(*COLUMNS, title=machine()), [COLUMNS, ("---",) * len(COLUMNS)]
    for part, rows in measured(arguments):
        print(f"{part}: measured after {(time.monotonic() - began) / 60:.1f} min", flush=True)
        for row in rows:
            table.add_row(*row)
            lines.append(row)
        table.add_section()
    Console(width=180).print(table)
    content = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    files.write_text(arguments.work / "table.md", f"{machine()}\n\n{content}\n")
    print(f"{(time.monotonic() - began) / 60:.1f} min in all")


if __name__ == "__main__":
    main()
