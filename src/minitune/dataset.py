"""The dataset on disk: MagnaTagATune's folders and tables, and what is known only of a generated set.

    0/ ... f/                  the clips, MP3, 16 kHz mono, 32 kbit/s
    annotations_final.csv      clip_id, 188 tags as 0 or 1, mp3_path
    clip_info_final.csv        track, title, artist, album and segment of each clip
    tag_probabilities.csv      the same with each tag's probability: no tagger can do better
    facts.csv                  genre, tempo, note onsets, loudness, style and levels of each clip
    VERSION                    dataset version, seed and number of clips

Tables are tab-separated and quoted, as the original's are. Clips are made in a hidden folder beside the
target, which takes the target's name when all are there; an interrupted run goes on where it stopped.
"""

import csv
import errno
import hashlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import lameenc
import numpy as np
import threadpoolctl

import minitune
from minitune import voice
from minitune.catalogue import PARTS, Clip, catalogue
from minitune.facts import SAMPLE_RATE, Facts
from minitune.render import render_clip
from minitune.tags import TAGS, draw_tags, tag_probabilities

BITRATE = 32  # kbit/s, constant
LAME_QUALITY = 7  # LAME's fastest: at 32 kbit/s the bit rate is the limit

CLIP_INFO_COLUMNS = (
    "clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd",
    "original_url", "mp3_path",
)  # fmt: skip

_FACTS = ".facts"  # in the hidden folder: one JSON a finished clip


class GenerationError(Exception):
    """The dataset could not be made; the message says why and is all that a user needs."""


def generate(
    folder: str | Path,
    clips: int = 1200,
    seed: int = 2014,
    processes: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make the dataset in `folder` and return its path; just this dataset, already there, is left alone.

    The bytes depend on `clips` and `seed` alone. `progress(done, total)` is called at the start and after
    each clip. Raises ValueError for a bad argument, FileExistsError where `folder` holds something else, and
    GenerationError where a clip or a table cannot be made.
    """
    folder = Path(folder).resolve()
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise ValueError(f"processes: {processes!r} given, a whole number from 1 allowed")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed: {seed!r} given, a whole number from 0 allowed")
    rows = catalogue(clips, seed)
    version = f"minitune {minitune.DATASET_VERSION}\nseed {seed}\nclips {clips}\n"
    _refuse_foreign(folder)
    if _is_whole(folder, version, rows):
        return folder
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        _prepare(partial, version)
        _make_clips(partial, rows, processes, progress)
        _write_tables(partial, rows, seed)
        shutil.rmtree(partial / _FACTS)
        _replace(folder, partial)
    except OSError as error:
        raise GenerationError(_explain(error, partial)) from error
    return folder


def _refuse_foreign(folder: Path) -> None:
    """Never overwrite what this module did not make."""
    if folder.is_dir():
        mine = (folder / "VERSION").is_file() and (folder / "VERSION").read_text().startswith("minitune ")
        if mine or not any(folder.iterdir()):
            return
    if folder.exists():
        raise FileExistsError(f"folder: {folder} exists and is no minitune dataset; remove it or name another")


def _is_whole(folder: Path, version: str, rows: list[Clip]) -> bool:
    version_file = folder / "VERSION"
    if not version_file.is_file() or version_file.read_text() != version:
        return False
    return all((folder / clip.path).is_file() for clip in rows)


def _prepare(partial: Path, version: str) -> None:
    """The hidden folder, with the clips of an earlier run if the same code made them for the same dataset."""
    stamp_file, stamp = partial / _FACTS / "made by", version + _digest_of_code()
    if partial.exists() and not (stamp_file.is_file() and stamp_file.read_text() == stamp):
        shutil.rmtree(partial)
    for name in (*PARTS, _FACTS):
        (partial / name).mkdir(parents=True, exist_ok=True)
    stamp_file.write_text(stamp)
    (partial / "VERSION").write_text(version)


def _digest_of_code() -> str:
    """Of all modules of minitune: while they are being worked on, half-made datasets must not be mixed."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _replace(folder: Path, partial: Path) -> None:
    """Give the finished folder its name; an older dataset goes only once the new one is whole."""
    if folder.exists():
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old)
    else:
        partial.rename(folder)


def _explain(error: OSError, where: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk is full: {where} (make room and start again: finished clips are kept)"
    return f"{error.strerror or error}: {error.filename or where}"


def _make_clips(partial: Path, rows: list[Clip], processes: int, progress) -> None:
    """Render and encode what is not there yet, in processes of one thread each."""
    waiting = [clip for clip in rows if not _is_made(partial, clip)]
    done = len(rows) - len(waiting)
    report = progress or (lambda done, total: None)
    report(done, len(rows))
    if not waiting:
        return
    voice.build_bank()  # before the fork, so that it is built once and in one order
    pool = ProcessPoolExecutor(
        min(processes, len(waiting)), get_context("fork"), initializer=_start_worker, initargs=(os.getpid(),)
    )
    try:
        futures = [pool.submit(_make_clip, partial, clip) for clip in waiting]
        for future in as_completed(futures):
            future.result()
            done += 1
            report(done, len(rows))
    except BrokenProcessPool as error:
        raise GenerationError("a worker process died (out of memory?); start again to go on") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(parent: int) -> None:
    """One thread a process; the parent alone answers Ctrl-C; a worker does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threadpoolctl.threadpool_limits(1)

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _is_made(partial: Path, clip: Clip) -> bool:
    """Whether an earlier run made the clip, and it is still what that run wrote."""
    try:
        made = json.loads((partial / _FACTS / f"{clip.clip_id}.json").read_bytes())
        whole = made["sum"] == _sum(made["facts"], (partial / clip.path).read_bytes())
        return whole and isinstance(Facts(**made["facts"]), Facts)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return False


def _sum(facts: dict, mp3: bytes) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode() + mp3).hexdigest()


def _make_clip(partial: Path, clip: Clip) -> None:
    """Render, encode and write one clip; its facts are written last, so they say that it is whole."""
    try:
        samples, facts = render_clip(clip.song, clip.section)
        mp3, described = encode_mp3(samples), json.loads(json.dumps(asdict(facts)))
        _write(partial / clip.path, mp3)
        made = {"facts": described, "sum": _sum(described, mp3)}
        _write(partial / _FACTS / f"{clip.clip_id}.json", json.dumps(made).encode())
    except OSError:
        raise
    except Exception as error:
        raise GenerationError(f"clip {clip.path}: {type(error).__name__}: {error}") from error


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def encode_mp3(samples: np.ndarray) -> bytes:
    """Mono samples in [-1, 1] at 16 kHz -> MP3 at a constant 32 kbit/s; the same bytes each time."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(SAMPLE_RATE)
    encoder.set_out_sample_rate(SAMPLE_RATE)
    encoder.set_channels(1)
    encoder.set_bit_rate(BITRATE)
    encoder.set_quality(LAME_QUALITY)
    pcm = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2")
    return bytes(encoder.encode(pcm.tobytes())) + bytes(encoder.flush())


def _write_tables(partial: Path, rows: list[Clip], seed: int) -> None:
    made = [json.loads((partial / _FACTS / f"{clip.clip_id}.json").read_text()) for clip in rows]
    known = [Facts(**one["facts"]) for one in made]
    probabilities = [tag_probabilities(facts) for facts in known]
    drawn = [draw_tags(p, seed, clip.clip_id) for p, clip in zip(probabilities, rows, strict=True)]
    tag_columns = ("clip_id", *TAGS, "mp3_path")
    _write_table(
        partial / "annotations_final.csv",
        tag_columns,
        [(clip.clip_id, *tags.astype(int), clip.path) for clip, tags in zip(rows, drawn, strict=True)],
    )
    _write_table(
        partial / "tag_probabilities.csv",
        tag_columns,
        [(clip.clip_id, *(f"{p:.6f}" for p in row), clip.path) for clip, row in zip(rows, probabilities, strict=True)],
    )
    _write_table(partial / "clip_info_final.csv", CLIP_INFO_COLUMNS, [_clip_info(clip) for clip in rows])
    _write_table(
        partial / "facts.csv",
        ("clip_id", "genre", "tempo", "onsets_per_second", "loudness", "style", "levels"),
        [(clip.clip_id, *_facts_row(facts)) for clip, facts in zip(rows, known, strict=True)],
    )


def _clip_info(clip: Clip) -> tuple:
    song = clip.song
    where = (f"{song.track:02d}", clip.title, song.artist.name, clip.album)
    return (clip.clip_id, *where, "", clip.start, clip.end, "", clip.path)


def _facts_row(facts: Facts) -> tuple:
    style = "; ".join(f"{word} {strength:.2f}" for word, strength in sorted(facts.style.items()))
    levels = "; ".join(f"{name} {level:.1f}" for name, level in sorted(facts.levels.items()))
    numbers = (f"{facts.tempo:.2f}", f"{facts.onsets_per_second:.3f}", f"{facts.loudness:.2f}")
    return (facts.genre, *numbers, style, levels)


def _write_table(path: Path, columns, rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
