"""Seconds an epoch: training as it is done here, the usual script of the field, and the machine's own limit.

    python benchmarks/training.py REPOSITORY WORK [--clips 1000] [--rounds 3] [--frontends raw linear mel flat]

REPOSITORY is where `make all` has prepared minitune. In WORK its clips are written as one float32 .npy each. Every
figure comes from processes of its own, in turns. "Here" is two seeds side by side on one thread each, as `snakemake
--cores 2` trains them: its figure is the seconds from one epoch to the next, divided by two, and includes reading,
both scores, validation and the checkpoint. The scripts use all cores for one network.
"""

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measure import Memory, answers, in_turns, show

RATE, VALID = 12_000, 100
FLAT_STEPS = 8  # of plain layers: as many as fit into a benchmark
CORES = len(os.sched_getaffinity(0))


def _labels_of(repository: Path, clips: int) -> tuple[Any, Any]:
    """Splits of so many training clips and ``VALID`` validation clips. Which clips they are does not matter here."""
    from wavetag import splits

    split = splits.read(repository / "data/split/split.tsv")
    if len(split) < clips + VALID:
        raise SystemExit(f"{clips + VALID} clips are needed, {repository}/data/split/split.tsv has {len(split)}")
    number = np.arange(len(split))
    return split.where(number < clips), split.where((number >= clips) & (number < clips + VALID))


def write_files(repository: Path, folder: Path, rows: Iterable[int]) -> None:
    """One float32 .npy a clip, scaled to [-1, 1]: what the usual script reads. Rows beyond the last begin anew."""
    from wavetag import clips as arrays

    array = arrays.open_array(repository / f"data/prepared/{RATE}/clips.npy")
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        path = folder / f"{row}.npy"
        if not path.exists():
            np.save(path, array[row % len(array)].astype(np.float32) / 32_768)


def train_here(
    repository: Path,
    array: Path,
    parts: Iterable[Any],
    changes: dict[str, Any],
    precision: str,
    checkpoint: Path | None,
) -> list[float]:
    """Seconds of each epoch but the first, which has the spectrograms that are kept, by `training.run`.

    Args:
        repository: whose settings and statistics.
        array: of the clips.
        parts: the splits to train and to validate on.
        changes: of the default config.
        precision: as in params.yaml.
        checkpoint: written after each epoch; None for none.
    """
    import torch

    from wavetag import clips, devices, files, params, training

    settings = params.load(repository / "params.yaml", repository / params.SCHEMA)
    opened, ends = clips.open_array(array), []
    training.run(
        settings["defaults"] | changes,
        0,
        *(training.Clips(opened, part) for part in parts),
        files.read_json(repository / f"data/statistics/{RATE}.json"),
        RATE,
        params.window_samples(settings, RATE),
        checkpoint=checkpoint,
        precision=getattr(torch, devices.precision(precision, "cpu")),
        report=lambda row, left: ends.append(time.perf_counter()),
    )
    return [after - before for before, after in itertools.pairwise(ends)]


def here(arguments: argparse.Namespace) -> dict[str, Any]:
    """Epochs as `train` has them."""
    import torch

    torch.set_num_threads(arguments.threads)
    repository, checkpoint = arguments.repository, arguments.work / f"checkpoint_{os.getpid()}.pt"
    parts = _labels_of(repository, arguments.clips)
    changes = {"frontend": arguments.frontend, "epochs": arguments.epochs}
    array = repository / f"data/prepared/{RATE}/clips.npy"
    seconds = train_here(repository, array, parts, changes, arguments.precision, checkpoint)
    checkpoint.unlink()
    return {"seconds": seconds}


def _plain_parts(arguments: argparse.Namespace) -> tuple[Any, list[Any]]:
    """The network in plain layers, and its data sets."""
    import plain
    import torch

    from wavetag import networks, params

    settings = params.load(arguments.repository / "params.yaml", arguments.repository / params.SCHEMA)
    config = settings["defaults"] | {"frontend": arguments.frontend}
    parts = _labels_of(arguments.repository, arguments.clips)
    sets = [
        plain.ClipFiles(
            [arguments.work / "npy" / f"{row}.npy" for row in part.clips["row"]],
            part.labels,
            spectrogram=plain.SPECTROGRAMS[arguments.frontend],
        )
        for part in parts
    ]
    torch.manual_seed(0)
    window = params.window_samples(settings, RATE)
    statistics = {"minimum": -32_768, "maximum": 32_767}
    ours = networks.Tagger(config, statistics, parts[0].labels.shape[1], RATE, window)
    raw = ours.frontend.learns
    shape = (1, window) if raw else (ours.frontend.channels, ours.frontend.frames)
    of_samples = {key: config[key] for key in ("length", "stride", "filters")} if raw else {}
    return plain.PlainTagger(*shape, ours.classifier.out_features, **of_samples), sets


def script(arguments: argparse.Namespace) -> dict[str, Any]:
    """Epochs by the usual script."""
    import plain
    import torch

    torch.set_num_threads(arguments.threads)
    network, (train, valid) = _plain_parts(arguments)
    epochs = plain.epochs(network, train, valid, arguments.workers)
    return {"seconds": [next(epochs) for _ in range(arguments.epochs)]}


def steps(arguments: argparse.Namespace) -> dict[str, Any]:
    """The plain network's steps alone, on batches in memory, for as long as an epoch has."""
    import plain
    import torch

    torch.set_num_threads(arguments.threads)
    network, (train, _) = _plain_parts(arguments)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.94)
    count = FLAT_STEPS if arguments.frontend == "flat" else arguments.clips // 10
    batches = list(itertools.islice(torch.utils.data.DataLoader(train, batch_size=10), min(count, 40)))
    network.train()
    plain.step(network, optimizer, *batches[0])
    seconds = []
    for _ in range(arguments.epochs):
        start = time.perf_counter()
        for batch in itertools.islice(itertools.cycle(batches), count):
            plain.step(network, optimizer, *batch)
        seconds.append((time.perf_counter() - start) / count * arguments.clips / 10)
    return {"seconds": seconds}


def limit(arguments: argparse.Namespace) -> dict[str, Any]:
    """An epoch's counted operations at the rate of a large matrix product on all threads."""
    import plain
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(CORES)
    network, (train, _) = _plain_parts(arguments)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    batch = next(iter(torch.utils.data.DataLoader(train, batch_size=10)))
    with FlopCounterMode(display=False) as counter:
        plain.step(network, optimizer, *batch)
    found = {"flop": counter.get_total_flops()}
    for kind in (torch.float32, torch.bfloat16):
        one, other = (torch.randn(2048, 2048).to(kind) for _ in range(2))
        seconds = []
        for _ in range(8):
            start = time.perf_counter()
            one @ other
            seconds.append(time.perf_counter() - start)
        rate = 2 * 2048**3 / median(seconds[2:])
        found[str(kind)] = {"rate": rate, "seconds": counter.get_total_flops() / rate * arguments.clips / 10}
    return found


KINDS = {"here": here, "script": script, "steps": steps, "limit": limit}


def one(arguments: argparse.Namespace) -> None:
    """Measure one kind in this process, with an eye on its memory."""
    memory = Memory(os.getpid())
    memory.start()
    found = KINDS[arguments.kind](arguments)
    memory.ended.set()
    memory.join()
    print(json.dumps(found | {"memory": memory.largest}))


class Measure:
    """Calls of this script for one front end and number of clips."""

    def __init__(self, repository: Path, work: Path, clips: int, frontend: str):
        self.command = [sys.executable, __file__, str(repository), str(work), "--clips", str(clips)]
        self.command += ["--frontends", frontend]
        self.memory: dict[str, int] = {}

    def of(self, label: str, kind: str, *more: str, side_by_side: int = 1, threads: int = CORES) -> float:
        """Seconds an epoch."""
        command = [*self.command, "--kind", kind, "--threads", str(threads), *more]
        found = answers(*[command] * side_by_side, threads=threads)
        self.memory[label] = max(self.memory.get(label, 0), sum(one["memory"] for one in found))
        return median(value for one in found for value in one["seconds"]) / side_by_side

    def limit(self) -> dict[str, Any]:
        """What the machine could do."""
        return answers([*self.command, "--kind", "limit"], threads=CORES)[0]


def ways(measure: Measure, frontend: str) -> dict[str, Callable[[], float]]:
    """What is measured of a front end, in turns."""
    epochs = ("--epochs", "2" if frontend == "flat" else "4")
    found = {
        "here": partial(measure.of, "here", "here", *epochs, side_by_side=CORES, threads=1),
    }
    if frontend == "flat":
        return {"here": found["here"], "steps": partial(measure.of, "steps", "steps")}
    found["script, workers"] = partial(measure.of, "script, workers", "script", "--workers", str(CORES))
    if frontend == "raw":
        in_float32 = ("here, float32", "here", *epochs, "--precision", "float32")
        found["here, float32"] = partial(measure.of, *in_float32, side_by_side=CORES, threads=1)
        found["script"] = partial(measure.of, "script", "script", "--workers", "0", "--epochs", "2")
        found["steps"] = partial(measure.of, "steps", "steps", "--epochs", "2")
        found["steps, side by side"] = partial(
            measure.of, "steps, side by side", "steps", "--epochs", "2", side_by_side=CORES, threads=1
        )
    return found


SAID = {
    "here, float32": "the same in float32",
    "script, workers": f"(a) script, DataLoader with {CORES} workers",
    "script": "(b) script, DataLoader without workers",
    "steps": "(c) plain steps on batches in memory",
    "steps, side by side": f"(c') the same, {CORES} processes of one thread",
}


def rows(repository: Path, work: Path, clips: int, rounds: int, frontends: list[str]) -> list[tuple[str, ...]]:
    """For the table: what, ours, what it is compared with, the other's, ratio."""
    write_files(
        repository, work / "npy", itertools.chain(*(part.clips["row"] for part in _labels_of(repository, clips)))
    )
    table = []
    for frontend in frontends:
        measure = Measure(repository, work, clips, frontend)
        found = in_turns(rounds, ways(measure, frontend))
        took = {name: f"{seconds:.2f} s, {measure.memory[name] / 1e6:.0f} MB" for name, seconds in found.items()}
        what, ours = f"train {frontend}, {clips} clips, an epoch", found.pop("here")
        for name, seconds in found.items():
            table.append((what, took["here"], SAID[name], took[name], f"{seconds / ours:.1f}"))
        if frontend in ("raw", "flat"):
            limit = measure.limit()
            for kind, of in ((kind, limit[f"torch.{kind}"]) for kind in ("float32", "bfloat16")):
                label = f"(d) {limit['flop'] / 1e9:.2f} GFLOP a step at {of['rate'] / 1e9:.0f} GFLOP/s, {kind}"
                table.append((what, took["here"], label, f"{of['seconds']:.2f} s", f"{of['seconds'] / ours:.2f}"))
        if frontend == "raw":
            few = Measure(repository, work, clips // 4, frontend)
            few.of("here", "here", "--epochs", "2", side_by_side=CORES, threads=1)
            sizes = [one.memory["here"] / 1e6 for one in (measure, few)]
            label = f"with {clips // 4} clips"
            table.append(
                (
                    f"memory of train raw, {clips} clips",
                    f"{sizes[0]:.0f} MB",
                    label,
                    f"{sizes[1]:.0f} MB",
                    f"{sizes[0] / sizes[1]:.2f}",
                )
            )
    return table


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--clips", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frontends", nargs="+", default=["raw", "linear", "mel", "flat"])
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=CORES, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="auto", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.kind:
        arguments.frontend = arguments.frontends[0]
        one(arguments)
        return
    show(rows(arguments.repository, arguments.work, arguments.clips, arguments.rounds, arguments.frontends))


if __name__ == "__main__":
    main()
