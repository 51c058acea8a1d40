"""MagnaTagATune at its full size: how long, and in how much memory, its clips are prepared, split and scaled.

    python benchmarks/scale.py WORK --audio data/raw/minitune [--tables FOLDER] [--clips 25863] [--cores 2]
        [--sample 6000] [--rounds 3]

Makes a stand-in for the real dataset in WORK: its layout, with as many MP3s as asked for (hard links to those of
--audio, over and over), and its tables (annotations_final.csv and clip_info_final.csv from --tables, plain or gzipped;
without them, tables of the same size drawn at random). The three clips that are broken in the real dataset are broken
here. Then, in a clone of this repository in WORK:

1. the stage `prepare` against the same files decoded and resampled by bare calls of soundfile and soxr in as many
   processes, turn by turn: on some of the clips at each sample rate, then on all, bare calls before and after;
2. the pipeline on all of them, from `acquire` to `normalise`, at 12 and at 16 kHz, stage by stage through Snakemake and
   DVC;
3. the same once more, with nothing to do;
4. Snakemake and all that it started killed (-9) half-way through `prepare`, and started again: what it costs, and
   whether the array is the same to the byte;
5. the first minute of training.

Memory is the anonymous memory (RssAnon) of all processes of a step together, at its largest: pages of a memory-mapped
file, which the system takes back when it needs them, are not in it.
"""

import argparse
import hashlib
import os
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from measure import clone, machine, running, stage, timed
from preparing import RATE, bare, decoding_seconds, prepare_seconds

from wavetag import files
from wavetag.datasets import layout

RATES = (RATE, 16_000)
BROKEN = ("35644", "55753", "57881")


def _path(number: int) -> str:
    """Five clips a song, ten songs an album, as many artists as the real dataset has."""
    song, start = number // 5, number % 5 * 29
    return (
        f"{layout.PARTS[number % 16]}/artist_{number // 110}-album_{song // 10}-01-song_{song}-{start}-{start + 29}.mp3"
    )


def read_tables(folder: Path | None, clips: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The real tables' first clips, or tables of the same shape drawn at random."""
    names = (layout.ANNOTATIONS, layout.INFORMATION)
    if folder is None:
        rng = np.random.default_rng(0)
        paths = [_path(number) for number in range(clips)]
        from wavetag import tags

        words = sorted({word for group in tags.sources("merged50").values() for word in group})
        annotations = pd.DataFrame((rng.random((clips, len(words))) < 0.03).astype(int), columns=words)
        annotations.insert(0, "clip_id", np.arange(clips))
        annotations["mp3_path"] = paths
        information = pd.DataFrame(
            {
                "clip_id": np.arange(clips),
                "artist": [p.split("-")[0][2:] for p in paths],
                "album": [p.split("-")[1] for p in paths],
                "mp3_path": paths,
            }
        )
        return annotations.astype(str), information.astype(str)
    read = []
    for name in names:
        path = folder / name
        path = path if path.is_file() else folder / f"{name}.gz"
        read.append(pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False))
    return read[0].iloc[:clips], read[1]


def stand_in(folder: Path, audio: Path, tables: Path | None, clips: int) -> list[Path]:
    """The dataset. Returns its MP3s that can be decoded."""
    annotations, information = read_tables(tables, clips)
    sources = sorted(audio.glob("[0-9a-f]/*.mp3"))
    if not sources:
        raise SystemExit(f"--audio {audio}: no MP3 in folders 0 to f there")
    paths = []
    for number, (clip_id, name) in enumerate(zip(annotations["clip_id"], annotations["mp3_path"], strict=True)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if clip_id in BROKEN:
            path.write_bytes(b"")
            continue
        if not path.exists():
            os.link(sources[number % len(sources)].resolve(), path)
        paths.append(path)
    files.write_table((folder / layout.ANNOTATIONS).with_suffix(".tsv"), annotations)
    files.write_table((folder / layout.INFORMATION).with_suffix(".tsv"), information)
    for name in (layout.ANNOTATIONS, layout.INFORMATION):
        (folder / name).with_suffix(".tsv").rename(folder / name)
    return paths


def digest(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def told(label: str, ours: list[float], theirs: list[float], memory: int) -> None:
    """Print what was measured."""
    listed = [", ".join(f"{value:.1f}" for value in values) for values in (ours, theirs)]
    print(
        f"prepare {label}: {median(ours):.1f} s, bare soundfile + soxr {median(theirs):.1f} s, ratio"
        f" {median(ours) / median(theirs):.2f}, {memory / 1e6:.0f} MB (ours {listed[0]}; bare {listed[1]})",
        flush=True,
    )


def against_bare(repository: Path, dataset: Path, paths: list[Path], out: Path, cores: int, rounds: int) -> None:
    """Turn by turn, at each rate."""
    for rate in RATES:
        ours, theirs = [], []
        for _ in range(rounds):
            theirs.append(decoding_seconds(partial(bare, rate=rate), paths, cores))
            ours.append(prepare_seconds(repository, dataset, out, rate))
        seconds, memory = zip(*ours, strict=True)
        told(f"of {len(paths)} clips at {rate} Hz, {rounds} rounds", list(seconds), theirs, max(memory))


def all_against_bare(repository: Path, dataset: Path, paths: list[Path], out: Path, cores: int) -> float:
    """Once, bare calls before and after. Returns the seconds of `prepare`."""
    before = decoding_seconds(bare, paths, cores)
    seconds, memory = prepare_seconds(repository, dataset, out, RATE)
    told(f"of {len(paths)} clips at {RATE} Hz", [seconds], [before, decoding_seconds(bare, paths, cores)], memory)
    return seconds


def whole(repository: Path, cores: int) -> None:
    """The pipeline up to `normalise`, then the same with nothing to do."""
    command = [str(Path(sys.executable).with_name("snakemake")), "--cores", str(cores)]
    for target, label in (
        ("data/raw/magnatagatune", "acquire"),
        *((f"data/prepared/{rate}/clips.npy", f"prepare at {rate} Hz") for rate in RATES),
        ("data/split/split.tsv", "split"),
        *((f"data/statistics/{rate}.json", f"normalise at {rate} Hz") for rate in RATES),
        (f"data/statistics/{RATE}.json", "all of these once more"),
    ):
        seconds, memory = timed(repository, *command, target)
        print(f"  snakemake, {label}: {seconds:.1f} s, {memory / 1e6:.0f} MB", flush=True)
    for name in (f"prepare_{RATE}", "split"):
        lines = (repository / f"logs/{name}.log").read_text().splitlines()
        print("".join(f"    {line}\n" for line in lines if "decoded" not in line), end="", flush=True)


def interrupted(repository: Path, undisturbed: float, cores: int) -> None:
    """`prepare` through Snakemake, killed half-way with all that it started, and started again."""
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "--cores", str(cores)]
    array = repository / f"data/prepared/{RATE}/clips.npy"
    expected = digest(array)
    shutil.rmtree(array.parent)
    start = time.perf_counter()
    with running(repository, *snakemake, str(array.relative_to(repository))) as (process, _):
        time.sleep(undisturbed / 2)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    before = time.perf_counter() - start
    assert not array.exists(), "killed too late"
    timed(repository, *snakemake, "--unlock")
    after, _ = timed(repository, *snakemake, str(array.relative_to(repository)))
    line = (repository / f"logs/prepare_{RATE}.log").read_text().splitlines()[0]
    same = "the same" if digest(array) == expected else "ANOTHER"
    print(f"prepare killed (-9) after {before:.1f} s and started again: {after:.1f} s more, the array is {same};")
    print(f"  it went on with: {line}", flush=True)


def training(repository: Path, seconds: float) -> None:
    """The first minute of training."""
    arguments = [
        "--name",
        "base",
        "--clips",
        f"data/prepared/{RATE}/clips.npy",
        "--split",
        "data/split/split.tsv",
        "--statistics",
        f"data/statistics/{RATE}.json",
        "--model",
        "m",
        "--curves",
        "c.csv",
        "--timings",
        "t.json",
    ]
    with running(repository, *stage("train", *arguments)) as (process, memory):
        time.sleep(seconds)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode != 0:
            raise SystemExit((repository / "output.txt").read_text()[-3000:])
        process.wait()
    print(f"train base, its first {seconds:.0f} s: {memory.largest / 1e6:.0f} MB", flush=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for what is made, on a disk with 50 GB for all clips")
    parser.add_argument("--audio", type=Path, required=True, help="dataset whose MP3s are repeated")
    parser.add_argument("--tables", type=Path, help="folder with MagnaTagATune's tables")
    parser.add_argument("--clips", type=int, default=25_863)
    parser.add_argument("--sample", type=int, default=6_000, help="clips of the comparison turn by turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.cores)
    work = arguments.work.absolute()
    source, repository = work / "source", work / "repository"
    print(f"{machine()}; {arguments.cores} processes")
    paths = stand_in(source, arguments.audio, arguments.tables, arguments.clips)
    if not repository.exists():
        clone(repository, ["magnatagatune", f"dataset.source={source}", f"prepare.sample_rates={list(RATES)}"])
    sample = stand_in(work / "sample", arguments.audio, arguments.tables, arguments.sample)
    against_bare(repository, work / "sample", sample, work / "prepared", arguments.cores, arguments.rounds)
    undisturbed = all_against_bare(repository, source, paths, work / "prepared", arguments.cores)
    print(f"the pipeline on {arguments.clips} clips:")
    whole(repository, arguments.cores)
    shutil.rmtree(repository / f"data/prepared/{RATES[1]}")  # room for what follows
    interrupted(repository, undisturbed, arguments.cores)
    training(repository, 60)


if __name__ == "__main__":
    main()
