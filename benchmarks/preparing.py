"""Clips a second of `prepare`, against bare decoding and resampling, and against `librosa.load`.

    python benchmarks/preparing.py REPOSITORY WORK [--rounds 3]

REPOSITORY is where `make all` has generated minitune. All three work in as many processes as there are cores, turn by
turn. `librosa.load(path, sr=...)` is what most scripts of the field call. scale.py does the same for 25,863 clips.
"""

import argparse
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from measure import BIN, in_turns, machine, timed

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


def clips_a_second(decode, paths: list[Path], cores: int = CORES) -> float:
    """By as many processes, with what they import, as of the stage."""
    start = time.perf_counter()
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(decode, paths, chunksize=16))
    return len(paths) / (time.perf_counter() - start)


def rows(repository: Path, work: Path, rounds: int) -> list[tuple[str, ...]]:
    """For the table."""
    dataset = repository / "data/raw/minitune"
    paths = sorted(dataset.glob("[0-9a-f]/*.mp3"))
    memory = []

    def prepare() -> float:
        out = work / "prepared"
        command = [str(BIN / "python"), "workflow/stage.py", "prepare", "--sample-rate", str(RATE)]
        command += [
            "--dataset",
            str(dataset),
            "--clips",
            str(out / "clips.npy"),
            "--manifest",
            str(out / "manifest.tsv"),
        ]
        seconds, largest = timed(repository, *command)
        memory.append(largest)
        shutil.rmtree(out)
        return len(paths) / seconds

    found = in_turns(
        rounds,
        {
            "here": prepare,
            "bare": partial(clips_a_second, bare, paths),
            "librosa": partial(clips_a_second, by_librosa, paths),
        },
    )
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
    print(machine())
    for row in rows(arguments.repository.absolute(), arguments.work.absolute(), arguments.rounds):
        print("  ".join(row), flush=True)


if __name__ == "__main__":
    main()
