"""The whole job: `snakemake --cores N all` against the work that it cannot do without, and what more configs cost.

    python benchmarks/whole_job.py WORK [--cores 2] [--configs 10 50 200] [--grow-only]

In a copy of this repository in WORK, from nothing:

1. `snakemake all`, against the sum of its stages' pure work divided by the cores. Pure work is the processor time that
   a stage says it used (the last line of its log), less that of an interpreter which only imports the same modules.
   What is left over is DVC, Snakemake, imports, and cores without work;
2. the same again with nothing to do, by Snakemake and by DVC; one config changed;
3. with so many configs, pretended: their outputs are empty files, which `dvc commit` and `snakemake --touch` are told
   to take as done. A dry run with all to do, the graph, a run with nothing to do; and what DVC needs to read its lock
   file, record one stage and write the file anew, as it does around each job.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from measure import BIN, clone, show, timed, use

STARTS = {
    "acquire": "wavetag.stages.acquire, minitune.dataset",
    "prepare": "wavetag.stages.prepare, soundfile, soxr",
    "split": "wavetag.stages.split",
    "normalise": "wavetag.stages.normalise, torch",
    "train": "wavetag.stages.train, wavetag.tagger",
    "evaluate": "wavetag.stages.evaluate, wavetag.tagger",
    "baseline": "wavetag.stages.baseline, wavetag.frontends, sklearn.linear_model",
    "aggregate": "wavetag.stages.aggregate",
    "figures": "wavetag.stages.figures, wavetag.figures, wavetag.tagger",
    "report": "wavetag.stages.report, wavetag.report",
}


def snakemake(cores: int, *arguments: str) -> list[str]:
    """A command of Snakemake."""
    return [str(BIN / "snakemake"), "--cores", str(cores), *arguments]


def computing(repository: Path, since: float) -> dict[str, list[float]]:
    """Processor seconds by stage, of the stages that ended after a time."""
    found: dict[str, list[float]] = {}
    for log in (repository / "logs").glob("*.log"):
        if log.stat().st_mtime < since:
            continue
        for name, seconds in re.findall(r"^(\w+): done in [\d.]+ s, ([\d.]+) s of computing$", log.read_text(), re.M):
            found.setdefault(name, []).append(float(seconds))
    return found


def starting(repository: Path) -> dict[str, float]:
    """Processor seconds that an interpreter takes to import workflow/stage.py and what each stage imports: the least
    of three."""
    found = {}
    for stage, modules in STARTS.items():
        seconds = []
        for _ in range(3):
            before = os.times()
            command = [sys.executable, "-c", f"import stage, {modules}"]
            subprocess.run(
                command, cwd=repository, check=True, env={**os.environ, "PYTHONPATH": f"src{os.pathsep}workflow"}
            )
            after = os.times()
            seconds.append(sum(after[2:4]) - sum(before[2:4]))
        found[stage] = min(seconds)
    return found


def pure_work(computed: dict[str, list[float]], starts: dict[str, float]) -> float:
    """Processor seconds without imports."""
    return sum(max(0.0, one - starts[stage]) for stage, jobs in computed.items() for one in jobs)


def whole(repository: Path, cores: int) -> tuple[list[tuple[str, ...]], dict[str, list[float]]]:
    """Rows of the table, and the processor seconds of every stage."""
    starts = starting(repository)
    began = time.time()
    seconds, memory = timed(repository, *snakemake(cores, "all"))
    computed = computing(repository, began)
    work = pure_work(computed, starts)
    for stage, jobs in sorted(computed.items()):
        print(f"  {stage}: {len(jobs)} jobs, {sum(jobs):.1f} s of computing, {starts[stage]:.2f} s each to import")
    jobs = sum(map(len, computed.values()))
    rows = [
        (
            f"snakemake --cores {cores} all, {jobs} jobs",
            f"{seconds:.0f} s, {memory / 1e6:.0f} MB",
            f"pure work / {cores}",
            f"{work / cores:.0f} s",
            f"{seconds / (work / cores):.2f}",
        )
    ]
    nothing = [timed(repository, *snakemake(cores, "all"))[0] for _ in range(3)]
    of_dvc = timed(repository, str(BIN / "dvc"), "repro", "-q")[0]
    rows.append(
        ("the same, nothing to do", f"{median(nothing):.1f} s", "dvc repro, nothing to do", f"{of_dvc:.1f} s", "")
    )
    use(repository, ["experiments.raw_bn.learning_rate=0.04"])
    began = time.time()
    seconds, _ = timed(repository, *snakemake(cores, "all"))
    changed = computing(repository, began)
    work = pure_work(changed, starts)
    label = f"one config changed, {sum(map(len, changed.values()))} jobs"
    rows.append(
        (label, f"{seconds:.1f} s", "its pure work, one after the other", f"{work:.1f} s", f"{seconds / work:.2f}")
    )
    return rows, computed


def _with_configs(repository: Path, configs: int) -> None:
    path = repository / "params.yaml"
    text = path.read_text()
    start, end = text.index("experiments:\n"), text.index("\ntables:")
    names = [
        line.split(":")[0].strip() for line in text[start:end].splitlines()[1:] if ":" in line and "#" not in line[:5]
    ]
    more = [
        f"  more_{number}: {{<<: *defaults, learning_rate: {0.01 + number / 10_000:.4f}}}"
        for number in range(configs - len(names))
    ]
    kept = names[:configs]
    lines = [line for line in text[start:end].splitlines() if line.split(":")[0].strip() in {"experiments", *kept}]
    tables = f"\ntables:\n  table1: [{kept[0]}]\n  table2: [{kept[-1]}]\n"
    path.write_text(text[:start] + "\n".join([*lines, *more]) + "\n" + tables)


def _pretend(repository: Path) -> None:
    """Write an empty output for all that the stages of dvc.yaml would write, and have both tools believe it."""
    script = (
        "from dvc.repo import Repo\n"
        "for stage in Repo().index.stages:\n"
        "    if not stage.addressing.startswith('suites'):\n"
        "        for out in stage.outs: print(out.fs_path)\n"
    )
    listed = subprocess.run(
        [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.split()
    for path in map(Path, listed):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
        else:
            path.mkdir(exist_ok=True)
            (path / "pretended").touch()
    (repository / "data/raw/minitune/annotations_final.csv").touch()
    timed(repository, str(BIN / "dvc"), "commit", "-f", "-q", "dvc.yaml")


def growth(work: Path, cores: int, counts: list[int]) -> list[tuple[str, ...]]:
    """Rows of the table."""
    rows = []
    for count in counts:
        repository = work / f"configs_{count}"
        shutil.rmtree(repository, ignore_errors=True)
        clone(repository)
        _with_configs(repository, count)
        dry = timed(repository, *snakemake(cores, "--quiet", "all", "-n", "all"))[0]
        graph = timed(repository, *snakemake(cores, "--dag", "dot", "all"))[0]
        _pretend(repository)
        timed(repository, *snakemake(cores, "--touch", "--quiet", "all", "--", "all"))
        nothing = timed(repository, *snakemake(cores, "--", "all"))[0]
        told = (repository / "output.txt").read_text()
        if "Nothing to be done" not in told:
            raise SystemExit(f"{count} configs: there should be nothing to do\n{told[-2000:]}")
        of_dvc = timed(repository, str(BIN / "dvc"), "repro", "-q")[0]
        of_a_job = timed(repository, str(BIN / "dvc"), "commit", "-f", "-q", "dvc.yaml:split")[0]
        rows.append(
            (
                f"{count} configs",
                f"dry run {dry:.1f} s, graph {graph:.1f} s, nothing to do {nothing:.1f} s",
                "dvc repro, nothing to do; recording one small stage",
                f"{of_dvc:.1f} s; {of_a_job:.1f} s",
                "",
            )
        )
    return rows


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--configs", type=int, nargs="*", default=[10, 50, 200])
    parser.add_argument("--grow-only", action="store_true", help="leave out the whole job itself")
    arguments = parser.parse_args()
    repository = arguments.work / "repository"
    rows: list[tuple[str, ...]] = []
    if not arguments.grow_only:
        shutil.rmtree(repository, ignore_errors=True)
        clone(repository)
        rows += whole(repository, arguments.cores)[0]
    show(rows + growth(arguments.work, arguments.cores, arguments.configs))


if __name__ == "__main__":
    main()
