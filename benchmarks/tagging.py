"""Tagging an hour of MP3 on one core, against bare decoding and resampling of it; and how long `wavetag tag` takes.

    python benchmarks/tagging.py MODEL ... [--minutes 60] [--rounds 3]

MODEL is a model folder, such as taggers/base; with several, each is measured. The hour is made here: chords and noise,
stereo at 44,100 Hz, as MP3 of 128 kbit/s. Bare is libsndfile's decoding in pieces and soxr's resampling of the mean of
the channels to the model's rate, by the same libraries: what has to be done in any case. All on one thread, in turns;
medians. The start is a process of its own that tags a file of three seconds, its imports included.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from measure import in_turns, show

RATE, KILOBITS = 44_100, 128
BLOCK = 2**18  # frames


def music(path: Path, minutes: float) -> Path:
    """Write an MP3 of chords that change twice a second."""
    import lameenc

    rng = np.random.default_rng(0)
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(KILOBITS)
    encoder.set_in_sample_rate(RATE)
    encoder.set_channels(2)
    encoder.silence()
    time_ = np.arange(RATE // 2) / RATE
    with path.open("wb") as file:
        for _ in range(round(minutes * 120)):
            pitches = rng.uniform(80, 3000, (2, 4, 1))
            sound = np.sin(2 * np.pi * pitches * time_).sum(axis=1) * 0.15 + 0.02 * rng.normal(size=(2, len(time_)))
            file.write(bytes(encoder.encode((np.clip(sound, -1, 1).T * 32767).astype("<i2").tobytes())))
        file.write(bytes(encoder.flush()))
    return path


def bare(path: Path, rate: int) -> float:
    """Seconds of decoding and resampling alone."""
    import soundfile
    import soxr

    start = time.perf_counter()
    with soundfile.SoundFile(path) as file:
        resampler = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32")
        for block in file.blocks(BLOCK, dtype="float32", always_2d=True):
            resampler.resample_chunk(block.mean(axis=1))
        resampler.resample_chunk(np.empty(0, np.float32), last=True)
    return time.perf_counter() - start


def tagging(model, path: Path, over_time: bool) -> float:
    """Seconds of tagging a file."""
    start = time.perf_counter()
    model.hear(path, over_time=over_time)
    return time.perf_counter() - start


def starting(folder: Path, path: Path) -> float:
    """Seconds from the command to its end."""
    code = "import sys; from wavetag.command import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "tag", "--csv", "--model", str(folder), str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def importing() -> float:
    """Seconds that Python takes to import torch, and to end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.perf_counter() - start


def rows(models: list[Path], minutes: float, rounds: int) -> Iterator[tuple[str, ...]]:
    """For the table. Ratios are seconds, above 1 is slower than what stands beside it."""
    import torch

    from wavetag import load_model

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        long, short = music(Path(work) / "long.mp3", minutes), music(Path(work) / "short.mp3", 0.05)
        for folder in models:
            model = load_model(folder)
            found = in_turns(
                rounds,
                {
                    "bare": partial(bare, long, model.sample_rate),
                    "tags": partial(tagging, model, long, False),
                    "over time": partial(tagging, model, long, True),
                },
            )
            started = in_turns(rounds, {"start": partial(starting, folder, short), "torch": importing})
            beside = (f"{found['bare']:.2f} s", "bare decoding and resampling")
            what = f"{minutes:g} min of MP3, {folder.name}"
            for key, name in (("tags", "tags"), ("over time", "tags, and over time four times a window")):
                yield f"{what}: {name}", f"{found[key]:.2f} s", *beside, f"{found[key] / found['bare']:.2f}"
            ratio = f"{started['start'] / started['torch']:.2f}"
            yield (
                f"start to end, 3 s of MP3, {folder.name}",
                f"{started['start']:.2f} s",
                f"{started['torch']:.2f} s",
                "import torch",
                ratio,
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    show(rows(arguments.models, arguments.minutes, arguments.rounds))


if __name__ == "__main__":
    main()
