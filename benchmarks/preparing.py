"""Clips a second of `prepare`, against bare decoding and resampling, and against `librosa.load`.

    python benchmarks/preparing.py REPOSITORY WORK [--rounds 3]

REPOSITORY is where `make all` has generated minitune. All three work in as many processes as there are cores, turn by
turn. `librosa.load(path, sr=...)` is what most scripts of the field call. scale.py does the same for 25,863 clips.
"""

import argparse
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

from measure import in_turns, show, stage, timed

RATE = 12_000
CORES = len(os.sched_getaffinity(0))


def bare(path: Path, rate: int = RATE) -> int:
    """What has to be done in any case: decode, and resample where the rate is another."""
    import soundfile
    import soxr

    samples, of_file = soundfile.read(path, dtype="float32")
    return len(soxr.resample(samples, of_file, rate) if rate != of_file else samples)


def by_librosa(path: Path, rate: int = RATE) -> int:
    """The same by the field's usual call."""
    import librosa

    return len(librosa.load(path, sr=rate)[0])


def decoding_seconds(decode: Callable[[Path], int], paths: list[Path], cores: int = CORES) -> float:
    """Of decoding in as many processes, with what they import, as of the stage."""
    start = time.perf_counter()
    with ProcessPoolExecutor(cores) as pool:
        sum(pool.map(decode, paths, chunksize=16))
    return time.perf_counter() - start


def prepare_seconds(repository: Path, dataset: Path, out: Path, rate: int = RATE) -> tuple[float, int]:
    """Of the stage `prepare`, and its memory in bytes. What it makes is deleted."""
    paths = {"--dataset": dataset, "--clips": out / "clips.npy", "--manifest": out / "manifest.tsv"}
    arguments = ["--sample-rate", rate, *chain(*paths.items())]
    measured = timed(repository, *stage("prepare", *map(str, arguments)))
    shutil.rmtree(out)
    return measured


def rows(repository: Path, work: Path, rounds: int) -> list[tuple[str, ...]]:
    """For the table."""
    dataset = repository / "data/raw/minitune"
    paths = sorted(dataset.glob("[0-9a-f]/*.mp3"))
    memory = []

    def prepare() -> float:
        seconds, largest = prepare_seconds(repository, dataset, work / "prepared")
        memory.append(largest)
        return seconds

    seconds = in_turns(
        rounds,
        {
            "here": prepare,
            "bare": partial(decoding_seconds, bare, paths),
            "librosa": partial(decoding_seconds, by_librosa, paths),
        },
    )
    found = {name: len(paths) / taken for name, taken in seconds.items()}
    what, ours = f"prepare, {len(paths)} clips", f"{found['here']:.0f} clips/s, {max(memory) / 1e6:.0f} MB"
    return [
        (what, ours, "soundfile + soxr, bare", f"{found['bare']:.0f} clips/s", f"{found['here'] / found['bare']:.2f}"),
        (what, ours, "librosa.load", f"{found['librosa']:.0f} clips/s", f"{found['here'] / found['librosa']:.2f}"),
    ]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    show(rows(arguments.repository.absolute(), arguments.work.absolute(), arguments.rounds))


if __name__ == "__main__":
    main()
