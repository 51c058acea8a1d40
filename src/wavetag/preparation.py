"""Preparation: every annotated file of a dataset decoded once, into one array, with a manifest.

It may be stopped at any moment: an unfinished array and a journal of what is in it, hidden files beside the finished
array's place, let the next run go on.
"""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wavetag import audio, clips, files, sources
from wavetag.clips import MISSING, OK, UNDECODABLE
from wavetag.datasets import layout
from wavetag.datasets.layout import DatasetError
from wavetag.processes import surviving

QUIETEST = -100.0  # dB below full scale, less than the step of int16: digital silence has a level too
BLOCK = 1024  # samples
SYNC_SECONDS = 5.0  # how much of the decoding is lost at most when it is stopped

Task = tuple[str, list[tuple[int, str]]]  # a file, and of each clip in it the row of the array and the path


@dataclass(frozen=True)
class _Decoder:
    """Decodes the clips of one file into their rows of the array: what a worker process is given."""

    folder: Path
    array: Path
    data_start: int
    sample_rate: int
    clip_samples: int

    def __call__(self, task: Task) -> dict[str, Any]:
        """One file and its clips' rows and paths -> what the journal keeps of them."""
        name, clips = task
        state = _state_of(self.folder, name)
        # by its name alone: a clip may be a link to where the user keeps it
        if Path(name).is_absolute() or ".." in Path(name).parts:
            written = self._missing(clips, "the path leaves the dataset's folder")
        elif state is None:
            written = self._missing(clips, "no such file")
        else:
            written = self._decode(self.folder / name, clips)
        outcomes, sums = map(list, zip(*written, strict=True))
        return {"file": name, "state": state, "outcomes": outcomes, "sums": sums}

    def _decode(self, file: Path, clips: list[tuple[int, str]]) -> Iterator[tuple[list[Any], int]]:
        segments = [layout.file_and_segment(path)[1] for _, path in clips]
        decoded = audio.decode_segments(file, self.sample_rate, segments, self.clip_samples)
        for (row, _), samples in zip(clips, decoded, strict=True):
            if isinstance(samples, audio.AudioError):
                # an earlier run may have left samples there
                yield _not_ok(UNDECODABLE, " ".join(str(samples).split())), self._write(row, np.empty(0, np.int16))
                continue
            outcome = [len(samples), OK, "", int(samples.min()), int(samples.max()), round(rms_dbfs(samples), 2)]
            yield outcome, self._write(row, samples)

    def died(self, task: Task) -> dict[str, Any]:
        """The same of a file that ended the process which decoded it."""
        name, clips = task
        outcomes = [_not_ok(UNDECODABLE, "the process that decoded it died")] * len(clips)
        sums = [self._write(row, np.empty(0, np.int16)) for row, _ in clips]
        return {"file": name, "state": _state_of(self.folder, name), "outcomes": outcomes, "sums": sums}

    def _missing(self, clips: list[tuple[int, str]], reason: str) -> Iterator[tuple[list[Any], int]]:
        for row, _ in clips:
            yield _not_ok(MISSING, reason), self._write(row, np.empty(0, np.int16))

    def _write(self, row: int, samples: np.ndarray) -> int:
        """Write a row, padded with zeros; its sum."""
        # pwrite, not a memory map: a full disk is then an error that can be told, not a dead process
        padding = bytes((self.clip_samples - len(samples)) * samples.itemsize)
        size = samples.nbytes + len(padding)
        with self.array.open("rb+") as file:
            written = os.pwritev(file.fileno(), [samples, padding], self.data_start + row * size)
        if written != size:
            raise OSError(f"{self.array}: only {written} of {size} bytes could be written")
        return zlib.crc32(padding, zlib.crc32(samples))


def rms_dbfs(samples: np.ndarray) -> float:
    """Root mean square of int16 [samples] in dB below full scale, at least -100."""
    values = samples.astype(np.float32)
    whole = len(values) // BLOCK * BLOCK
    blocks = values[:whole].reshape(-1, BLOCK)  # sums of float32 are exact enough if they are short
    squares = np.einsum("ij,ij->i", blocks, blocks).sum(dtype=np.float64)  # a product in BLAS would start threads
    squares += np.square(values[whole:], dtype=np.float64).sum()
    power = squares / len(values) / 32768.0**2
    return float(10 * np.log10(max(power, 10 ** (QUIETEST / 10))))


def _not_ok(status: str, reason: str) -> list[Any]:
    return [0, status, reason, None, None, None]


def _state_of(folder: Path, name: str) -> list[int] | None:
    """By what another file of the same name is told, also one that was given the same size and time of change.

    None where there is no file.
    """
    file = folder / name
    if not files.is_file(file):
        return None
    state = file.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns]


class _Journal:
    """What is decoded already, on disk, so that a run that was stopped goes on where it was.

    A line a file, after a first line with what the array is to be. Lines are written after the samples that they speak
    of have reached the disk. A line that is not whole is passed over, and so is one that is damaged or whose samples
    are: it ends with its own sum and holds that of each row.
    """

    def __init__(self, path: Path, array: Path, wanted: Mapping[str, Any], header: bytes, row_size: int, rows: int):
        self.path, self.array, self.wanted = path, array, json.dumps(wanted)
        self.header, self.row_size = header, row_size
        self.size = len(header) + rows * row_size  # of the array's file, in bytes
        self.waiting: list[str] = []
        self.written = time.monotonic()

    def read(self) -> dict[str, dict[str, Any]]:
        """File -> its line; nothing where the array was to be another, or is gone."""
        if not (self.path.is_file() and self._has_array()):
            return {}
        first, *lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
        if first != self.wanted:
            return {}
        known = {}
        for line in lines:
            text, _, seal = line.rpartition("\t")
            if text and seal == _seal(text):
                entry = json.loads(text)
                known[entry["file"]] = entry
        return known

    def holds(self, rows: Sequence[int], entry: Mapping[str, Any]) -> bool:
        """Whether the array's rows are what an entry says."""
        with self.array.open("rb") as file:
            places = [len(self.header) + row * self.row_size for row in rows]
            return [zlib.crc32(os.pread(file.fileno(), self.row_size, place)) for place in places] == entry["sums"]

    def _has_array(self) -> bool:
        if not self.array.is_file() or self.array.stat().st_size != self.size:
            return False
        with self.array.open("rb") as file:
            return file.read(len(self.header)) == self.header

    def begin(self) -> None:
        files.write_text(self.path, self.wanted + "\n")

    def add(self, entry: Mapping[str, Any]) -> None:
        text = json.dumps(entry)
        self.waiting.append(f"{text}\t{_seal(text)}\n")
        if time.monotonic() - self.written > SYNC_SECONDS:
            self.write()

    def write(self) -> None:
        with self.array.open("rb+") as file:
            os.fsync(file.fileno())
            # what is on the disk need not fill the memory: the system would look for more, page by page
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + "".join(self.waiting))  # the first line break ends a line that a kill cut short
            file.flush()
            os.fsync(file.fileno())
        self.waiting, self.written = [], time.monotonic()


def _seal(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()


def _allocate(path: Path, header: bytes, size: int) -> None:
    """Make the array's file at its full size, so that a full disk shows at once."""
    try:
        with path.open("wb") as file:
            file.write(header)
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _header(clips: int, clip_samples: int) -> bytes:
    header = BytesIO()
    shape = {"descr": "<i2", "fortran_order": False, "shape": (clips, clip_samples)}
    np.lib.format.write_array_header_1_0(header, shape)
    return header.getvalue()


def prepare(
    folder: str | Path,
    array_path: str | Path,
    manifest_path: str | Path,
    sample_rate: int,
    clip_samples: int,
    processes: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Decode every annotated clip of a dataset into one array, and write the manifest.

    Args:
        folder: the dataset, in MagnaTagATune's layout.
        array_path: int16 .npy [clips, clip_samples], a shorter clip padded with zeros.
        manifest_path: .tsv, one row a clip (``clips.MANIFEST_COLUMNS``): ``samples`` counts those before the padding,
            ``minimum`` and ``maximum`` are of int16's scale, ``rms_dbfs`` is the clip's level in dB below full scale.
        sample_rate: in Hz.
        clip_samples: samples kept of each clip, at that rate.
        processes: how many decode at the same time. The result does not depend on it.
        progress: called with (clips done, clips in all).

    Returns:
        The manifest.

    Raises:
        DatasetError: the tables are not as they should be, or not one clip could be decoded.
    """
    folder, array_path = Path(folder), Path(array_path)
    manifest = clips.describe_clips(folder)
    tasks = _tasks(manifest)
    partial, journal_path = (array_path.with_name(f".{array_path.name}.{end}") for end in ("partial", "journal"))
    header = _header(len(manifest), clip_samples)
    row_size = clip_samples * np.dtype(np.int16).itemsize
    wanted = _wanted(manifest, sample_rate, clip_samples)
    journal = _Journal(journal_path, partial, wanted, header, row_size, len(manifest))
    known, rows_of = journal.read(), {name: [row for row, _ in clips] for name, clips in tasks}
    entries = {
        name: entry
        for name, entry in known.items()
        if len(entry["sums"]) == len(rows_of.get(name, ()))
        and entry["state"] == _state_of(folder, name)
        and journal.holds(rows_of[name], entry)
    }
    if not entries:
        array_path.parent.mkdir(parents=True, exist_ok=True)
        journal_path.unlink(missing_ok=True)
        _allocate(partial, header, journal.size)
        journal.begin()
    waiting = [task for task in tasks if task[0] not in entries]
    done = sum(len(entry["outcomes"]) for entry in entries.values())
    progress(done, len(manifest))
    decoder = _Decoder(folder, partial, len(header), sample_rate, clip_samples)
    try:
        # in processes of their own: a file that crashes what decodes it is a row of the manifest, as any other bad one
        for entry in surviving(decoder, waiting, max(1, processes), decoder.died):
            entries[entry["file"]] = entry
            journal.add(entry)
            done += len(entry["outcomes"])
            progress(done, len(manifest))
    finally:
        journal.write()
    outcomes = [outcome for name, _ in tasks for outcome in entries[name]["outcomes"]]
    manifest = clips.with_outcomes(manifest, outcomes)
    if not (manifest["status"] == OK).any():
        partial.unlink()
        journal_path.unlink()
        raise DatasetError(f"{folder}: not one of {len(manifest)} clips could be decoded; {outcomes[0][2]}")
    files.write_table(manifest_path, manifest)
    partial.replace(array_path)
    journal_path.unlink()
    return manifest


def _tasks(manifest: pd.DataFrame) -> list[Task]:
    rows = zip(manifest["row"].tolist(), manifest["path"].tolist(), strict=True)
    return [(name, list(clips)) for name, clips in groupby(rows, lambda row: layout.file_and_segment(row[1])[0])]


def _wanted(manifest: pd.DataFrame, sample_rate: int, clip_samples: int) -> dict[str, Any]:
    """What an array is to hold, and by which code: one begun for anything else is begun anew."""
    code = [sources.of_module(module).decode() for module in ("preparation", "audio")]
    return {
        "clips": _digest(manifest["path"]),
        "code": _digest(code),
        "sample_rate": sample_rate,
        "clip_samples": clip_samples,
    }
