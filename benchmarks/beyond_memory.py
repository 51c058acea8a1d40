"""Training on more data than fits into memory: an epoch with the page cache limited, against one with all of it cached.

    python benchmarks/beyond_memory.py REPOSITORY WORK [--clips 4000] [--limit-mb 1500] [--rounds 2]

REPOSITORY is where `make all` has prepared minitune, whose clips are repeated in WORK: as the int16 array that is
trained on here, and as one float32 .npy a clip for the usual script (plain.py). Each epoch runs in a process that a
control group allows so much memory, page cache included; the files are dropped from the cache beforehand. Needs root on
Linux, and says so where it has not got what it needs.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from measure import in_turns, show
from training import CORES, RATE, train_here, write_files

VALID = 20


class Unavailable(RuntimeError):
    """The memory of a process cannot be limited here."""


@contextmanager
def control_group(limit: int | None) -> Iterator[Path | None]:
    """The file to which a process writes its number so as to be limited to so many bytes; None for no limit."""
    if limit is None:
        yield None
        return
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if controllers == "memory":
            parent, name = Path(f"/sys/fs/cgroup/memory{path}"), "memory.limit_in_bytes"
        elif number == "0" and Path(f"/sys/fs/cgroup{path}/memory.max").exists():
            parent, name = Path(f"/sys/fs/cgroup{path}"), "memory.max"
        else:
            continue
        folder = parent / f"wavetag_{os.getpid()}"
        try:
            folder.mkdir()
            (folder / name).write_text(str(limit))
        except OSError as error:
            raise Unavailable(f"memory cannot be limited here ({error})") from error
        try:
            yield folder / "cgroup.procs"
        finally:
            folder.rmdir()
        return
    raise Unavailable("there is no control group for memory here")


def drop(paths: list[Path]) -> None:
    """Take files out of the page cache."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def make(repository: Path, work: Path, clips: int) -> None:
    """The array and the files."""
    from wavetag import clips as arrays

    array = arrays.open_array(repository / f"data/prepared/{RATE}/clips.npy")
    work.mkdir(parents=True, exist_ok=True)
    total = clips + VALID
    if not (work / "clips.npy").exists():
        large = np.lib.format.open_memmap(work / "part.npy", "w+", array.dtype, (total, array.shape[1]))
        for row in range(total):
            large[row] = array[row % len(array)]
        large.flush()
        (work / "part.npy").rename(work / "clips.npy")
    write_files(repository, work / "files", range(total))


def _parts(repository: Path, clips: int):
    from wavetag import splits

    split = splits.read(repository / "data/split/split.tsv")
    for rows in (np.arange(clips), np.arange(clips, clips + VALID)):
        chosen = rows % len(split)
        table = split.clips.iloc[chosen].reset_index(drop=True)
        table["row"], table["windows"] = rows, 10
        yield splits.Split(table, split.tags, split.labels[chosen])


def here(arguments: argparse.Namespace) -> list[float]:
    """The second of two epochs, by `training.run`."""
    import torch

    from wavetag import training

    torch.set_num_threads(1)
    if arguments.kind == "here_unexpecting":
        training.Clips.expect = lambda self, chosen: None
    parts = _parts(arguments.repository, arguments.clips)
    return train_here(arguments.repository, arguments.work / "clips.npy", parts, {"epochs": 2}, "auto", None)


def script(arguments: argparse.Namespace) -> list[float]:
    """The same by the usual script without workers."""
    import plain
    import torch

    torch.set_num_threads(CORES)
    sets = [
        plain.ClipFiles([arguments.work / f"files/{row}.npy" for row in part.clips["row"]], part.labels)
        for part in _parts(arguments.repository, arguments.clips)
    ]
    network = plain.PlainTagger(1, sets[0][0][0].shape[-1], sets[0].labels.shape[1], length=256, stride=256)
    epochs = plain.epochs(network, *sets, workers=0)
    return [next(epochs) for _ in range(2)][1:]


KINDS = {"here": here, "here_unexpecting": here, "script": script}


def epoch(arguments: argparse.Namespace, kind: str, limit: int | None) -> float:
    """Seconds of a second epoch, in a process of its own: the first has filled the cache as far as it may."""
    of_kind = [arguments.work / "clips.npy"] if kind != "script" else sorted((arguments.work / "files").glob("*.npy"))
    drop(of_kind)
    command = [sys.executable, __file__, str(arguments.repository), str(arguments.work)]
    command += ["--clips", str(arguments.clips), "--kind", kind]
    with control_group(limit) as group:
        join = (lambda: group.write_text(str(os.getpid()))) if group else None
        done = subprocess.run(command, preexec_fn=join, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])[0]


def rows(arguments: argparse.Namespace) -> list[tuple[str, ...]]:
    """For the table."""
    limit = arguments.limit_mb * 1_000_000
    try:
        with control_group(limit):
            pass
    except Unavailable as error:
        return [("more data than memory", f"not measured: {error}", "", "", "")]
    make(arguments.repository, arguments.work, arguments.clips)
    found = in_turns(
        arguments.rounds,
        {
            "free": partial(epoch, arguments, "here", None),
            "limited": partial(epoch, arguments, "here", limit),
            "unexpecting": partial(epoch, arguments, "here_unexpecting", limit),
            "script": partial(epoch, arguments, "script", None),
            "script, limited": partial(epoch, arguments, "script", limit),
        },
    )
    sizes = [(arguments.clips + VALID) * 349_500 * size / 1e9 for size in (2, 4)]
    what = f"{arguments.clips} clips, {sizes[0]:.1f} GB, {arguments.limit_mb} MB of memory"
    ours = f"{found['limited']:.1f} s an epoch"
    others = {
        "free": "the same, all in memory",
        "unexpecting": "the same, not told what comes next",
        "script": f"script, {sizes[1]:.1f} GB, all in memory",
        "script, limited": f"script, {sizes[1]:.1f} GB, as little memory",
    }
    return [
        (what, ours, said, f"{found[key]:.1f} s", f"{found[key] / found['limited']:.2f}")
        for key, said in others.items()
    ]


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--clips", type=int, default=4_000)
    parser.add_argument("--limit-mb", type=int, default=1_500)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.kind:
        print(json.dumps(KINDS[arguments.kind](arguments)))
        return
    show(rows(arguments))


if __name__ == "__main__":
    main()
