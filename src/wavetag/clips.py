"""Clips: the annotated audio files of a dataset, decoded once into one array, with a manifest that a person can read.

The array is int16 ``[clips, samples]`` in NumPy's .npy format, to be memory-mapped. Row r belongs to row r of the
manifest. A file that cannot be decoded is a row of the manifest with its reason; its row of the array is never used.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wavetag import audio, files
from wavetag.processes import pool

OK, MISSING, UNDECODABLE = "ok", "missing", "undecodable"
MANIFEST_COLUMNS = (
    "row",
    "clip_id",
    "path",
    "part",
    "artist",
    "album",
    "song",
    "samples",
    "status",
    "reason",
)


class DatasetError(ValueError):
    """A dataset that is not as it should be: which file, what was found, what is needed."""


@dataclass(frozen=True)
class Annotations:
    """Who tagged what.

    Attributes:
        clips: one row a clip: clip_id, path.
        tags: names of the annotated tags.
        labels: uint8 [clips, tags].
    """

    clips: pd.DataFrame
    tags: tuple[str, ...]
    labels: np.ndarray


def _read_table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; the dataset's folder holds the MagnaTagATune tables and 0/ to f/")
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not a tab-separated table in UTF-8: {error}") from error
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise DatasetError(f"{path}: no column {', '.join(missing)}; there are {', '.join(table.columns[:5])}, …")
    return table


def read_tag_table(path: str | Path) -> tuple[pd.DataFrame, tuple[str, ...], np.ndarray]:
    """A table in the layout of ``annotations_final.csv``: clip_id, one column a tag, mp3_path.

    Returns:
        (clip_id and path of each row, tag names, float64 [clips, tags])
    """
    path = Path(path)
    table = _read_table(path, ("clip_id", "mp3_path"))
    names = tuple(name for name in table.columns if name not in ("clip_id", "mp3_path"))
    if table["clip_id"].duplicated().any() or table["mp3_path"].duplicated().any():
        raise DatasetError(f"{path}: a clip_id or an mp3_path stands twice")
    try:
        values = table[list(names)].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise DatasetError(f"{path}: a value that is not a number: {error}") from error
    clips = table[["clip_id", "mp3_path"]].rename(columns={"mp3_path": "path"})
    return clips, names, values


def read_annotations(path: str | Path) -> Annotations:
    """Read ``annotations_final.csv``. Raises ``DatasetError`` if it has no clip, or a value that is neither 0 nor 1."""
    clips, names, values = read_tag_table(path)
    if len(clips) == 0:
        raise DatasetError(f"{path}: there is no clip in it")
    if not np.isin(values, (0, 1)).all():
        raise DatasetError(f"{path}: a tag's value is neither 0 nor 1")
    return Annotations(clips, names, values.astype(np.uint8))


def song_of(path: str) -> str:
    """The song that a clip is cut from: its path without the segment's start and end in seconds."""
    return path.rsplit("-", 2)[0]


def describe_clips(folder: str | Path) -> pd.DataFrame:
    """One row an annotated clip, sorted by path, with who made it: the manifest before anything is decoded."""
    folder = Path(folder)
    clips = read_annotations(folder / "annotations_final.csv").clips
    information = _read_table(folder / "clip_info_final.csv", ("clip_id", "artist", "album"))
    information = information.drop_duplicates("clip_id")[["clip_id", "artist", "album"]]
    clips = clips.merge(information, on="clip_id", how="left", validate="one_to_one")
    unknown = clips["artist"].isna()
    if unknown.any():
        first = clips.loc[unknown, "path"].iloc[0]
        raise DatasetError(f"{folder}/clip_info_final.csv: no row for {unknown.sum()} annotated clips, {first} first")
    clips["part"] = clips["path"].str.split("/").str[0]
    clips["song"] = clips["path"].map(song_of)
    clips = clips.sort_values("path", ignore_index=True)
    clips.insert(0, "row", np.arange(len(clips)))
    return clips


@dataclass(frozen=True)
class _Decoder:
    """Decodes one clip into its row of the array: what a worker process is given."""

    folder: Path
    array: Path
    data_start: int
    sample_rate: int
    clip_samples: int

    def __call__(self, task: tuple[int, str]) -> tuple[int, str, str]:
        row, path = task
        file = self.folder / path
        # by its name alone: a clip may be a link, into DVC's cache for one
        if Path(path).is_absolute() or ".." in Path(path).parts:
            return 0, MISSING, "the path leaves the dataset's folder"
        if not file.is_file():
            return 0, MISSING, "no such file"
        try:
            samples = audio.decode(file, self.sample_rate, self.clip_samples)
        except audio.AudioError as error:
            return 0, UNDECODABLE, " ".join(str(error).split())
        # pwrite, not a memory map: a full disk is then an error that can be told, not a dead process
        start = self.data_start + row * self.clip_samples * samples.itemsize
        with self.array.open("rb+") as file:
            written = os.pwrite(file.fileno(), samples.tobytes(), start)
        if written != samples.nbytes:
            raise OSError(f"{self.array}: only {written} of {samples.nbytes} bytes could be written")
        return len(samples), OK, ""


def _allocate(path: Path, clips: int, clip_samples: int) -> int:
    """Make the array's file at its full size, so that a full disk shows at once. Returns where the samples start."""
    with path.open("wb") as file:
        header = {"descr": "<i2", "fortran_order": False, "shape": (clips, clip_samples)}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        start = file.tell()
        os.posix_fallocate(file.fileno(), 0, start + clips * clip_samples * 2)
    return start


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
        manifest_path: .tsv, one row a clip (``MANIFEST_COLUMNS``); ``samples`` counts those before the padding.
        sample_rate: in Hz.
        clip_samples: samples kept of each clip, at that rate.
        processes: how many decode at the same time. The result does not depend on it.
        progress: called with (clips done, clips in all).

    Returns:
        The manifest.

    Raises:
        DatasetError: the tables are not as they should be, or not one clip could be decoded.
    """
    folder = Path(folder)
    manifest = describe_clips(folder)
    with files.written_whole(array_path) as temporary:
        start = _allocate(temporary, len(manifest), clip_samples)
        decoder = _Decoder(folder, temporary, start, sample_rate, clip_samples)
        outcomes = []
        tasks = list(zip(manifest["row"].tolist(), manifest["path"].tolist(), strict=True))
        for outcome in _map(decoder, tasks, processes):
            outcomes.append(outcome)
            progress(len(outcomes), len(tasks))
        manifest[["samples", "status", "reason"]] = pd.DataFrame(outcomes, index=manifest.index)
        if not (manifest["status"] == OK).any():
            raise DatasetError(f"{folder}: not one of {len(manifest)} clips could be decoded; {outcomes[0][2]}")
    manifest = manifest[list(MANIFEST_COLUMNS)]
    files.write_table(manifest_path, manifest)
    return manifest


def _map(decoder: _Decoder, tasks: list[tuple[int, str]], processes: int) -> Iterator[tuple[int, str, str]]:
    if processes <= 1:
        yield from map(decoder, tasks)
        return
    with pool(processes) as workers:
        yield from workers.map(decoder, tasks, chunksize=16)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """The manifest that ``prepare`` wrote."""
    text = {name: str for name in ("clip_id", "path", "part", "artist", "album", "song", "status", "reason")}
    return pd.read_csv(path, sep="\t", dtype=text, keep_default_na=False)


def open_array(path: str | Path) -> np.ndarray:
    """The prepared samples, memory-mapped and read-only: int16 [clips, samples].

    Raises ``DatasetError`` if the file is not such an array, or is shorter than its header says.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DatasetError(f"{path}: not a whole .npy array ({error}); prepare it again") from error
    if array.dtype != np.int16 or array.ndim != 2:
        raise DatasetError(f"{path}: int16 [clips, samples] is needed, {array.dtype} {list(array.shape)} is there")
    return array
