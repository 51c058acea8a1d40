"""Clips: the annotated audio files of a dataset, decoded once into one array, with a manifest that a person can read.

The array is int16 ``[clips, samples]`` in NumPy's .npy format, to be memory-mapped. Row r belongs to row r of the
manifest. A file that cannot be decoded is a row of the manifest with its reason; its row of the array is never used.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wavetag import files
from wavetag.datasets import layout
from wavetag.datasets.layout import DatasetError

OK, MISSING, UNDECODABLE = "ok", "missing", "undecodable"
TEXT_COLUMNS = ("clip_id", "path", "part", "artist", "album", "song", "status", "reason")
OUTCOME_COLUMNS = ("samples", "status", "reason", "minimum", "maximum", "rms_dbfs")
MANIFEST_COLUMNS = ("row", "clip_id", "path", "part", "artist", "album", "song", *OUTCOME_COLUMNS)


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


def _read_table(path: Path, needed: tuple[str, ...], all_columns: bool = True, **options: Any) -> pd.DataFrame:
    """The columns that are needed, or all, as text where ``options`` of pandas do not say otherwise.

    Raises:
        DatasetError: no such table, or a row of more or fewer cells than the header: pandas would fill it up, or move
            each cell to its neighbour's column.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; the dataset's folder holds the MagnaTagATune tables and 0/ to f/")
    options = {"sep": "\t", "dtype": str, "keep_default_na": False, **options}
    try:
        names = files.check_cells(path)
        twice = sorted({name for name in names if names.count(name) > 1})
        missing = [name for name in needed if name not in names]
        if not (twice or missing):
            wanted = None if all_columns else [name for name in names if name in needed]
            table = pd.read_csv(path, usecols=wanted, **options)
    except (OSError, ValueError, OverflowError, TypeError, csv.Error) as error:  # most of pandas' own are ValueErrors
        raise DatasetError(f"{path}: not a tab-separated table in UTF-8: {files.one_line(error)}") from error
    if twice:
        raise DatasetError(f"{path}: column {files.one_line(twice[0], 80)!r} stands twice")
    if missing:
        there = files.one_line(", ".join(names[:5]), 200)
        raise DatasetError(f"{path}: no column {', '.join(missing)}; there are {there}, …")
    return table


def read_tag_table(path: str | Path) -> tuple[pd.DataFrame, tuple[str, ...], np.ndarray]:
    """A table in the layout of ``annotations_final.csv``: clip_id, one column a tag, mp3_path.

    Returns:
        (clip_id and path of each row, tag names, float64 [clips, tags])
    """
    path = Path(path)
    table = _read_table(path, ("clip_id", "mp3_path"))
    names = tuple(name for name in table.columns if name not in ("clip_id", "mp3_path"))
    clips = _clips_of(table, path)
    try:
        values = table[list(names)].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise DatasetError(f"{path}: a value that is not a number: {files.one_line(error)}") from error
    return clips, names, values


def _clips_of(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if table["clip_id"].duplicated().any() or table["mp3_path"].duplicated().any():
        raise DatasetError(f"{path}: a clip_id or an mp3_path stands twice")
    return table[["clip_id", "mp3_path"]].rename(columns={"mp3_path": "path"})


def _read_clips(path: Path) -> pd.DataFrame:
    """clip_id and path alone: of many clips the tags take hundreds of megabytes."""
    clips = _clips_of(_read_table(path, ("clip_id", "mp3_path"), all_columns=False), path)
    if len(clips) == 0:
        raise DatasetError(f"{path}: there is no clip in it")
    return clips


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
    file, _ = layout.file_and_segment(path)
    return re.sub(r"-\d+-\d+\.\w+$", "", file)


def describe_clips(folder: str | Path) -> pd.DataFrame:
    """One row an annotated clip, sorted by file and start, with who made it: the manifest before decoding."""
    folder = Path(folder)
    clips = _read_clips(folder / "annotations_final.csv")
    information = _read_table(folder / "clip_info_final.csv", ("clip_id", "artist", "album"))
    information = information.drop_duplicates("clip_id")[["clip_id", "artist", "album"]]
    clips = clips.merge(information, on="clip_id", how="left", validate="one_to_one")
    unknown = clips["artist"].isna()
    if unknown.any():
        first = clips.loc[unknown, "path"].iloc[0]
        raise DatasetError(f"{folder}/clip_info_final.csv: no row for {unknown.sum()} annotated clips, {first} first")
    clips["part"] = clips["path"].str.split("/").str[0]
    clips["song"] = clips["path"].map(song_of)
    in_order = sorted(clips.index, key=lambda index: _place(clips["path"][index]))
    clips = clips.loc[in_order].reset_index(drop=True)
    clips.insert(0, "row", np.arange(len(clips)))
    return clips


def _place(path: str) -> tuple[str, float]:
    file, segment = layout.file_and_segment(path)
    return file, segment[0] if segment else 0.0


def with_outcomes(clips: pd.DataFrame, outcomes: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """The manifest: the clips, and what came of decoding each, in the order of ``OUTCOME_COLUMNS``."""
    found = pd.DataFrame(outcomes, index=clips.index, columns=list(OUTCOME_COLUMNS))
    found = found.astype({"minimum": "Int64", "maximum": "Int64", "rms_dbfs": "float64"})
    return pd.concat([clips, found], axis=1)[list(MANIFEST_COLUMNS)]


def read_manifest(path: str | Path) -> pd.DataFrame:
    """The manifest that ``prepare`` wrote. Raises ``DatasetError`` that names the file if it is not whole."""
    dtypes = {
        **dict.fromkeys(TEXT_COLUMNS, str),
        **{"row": "int64", "samples": "int64", "minimum": "Int64", "maximum": "Int64", "rms_dbfs": "float64"},
    }
    empty = {name: [""] for name in ("minimum", "maximum", "rms_dbfs")}
    manifest = _read_table(Path(path), MANIFEST_COLUMNS, dtype=dtypes, na_values=empty)
    if manifest["row"].tolist() != list(range(len(manifest))):
        raise DatasetError(f"{path}: its rows are not numbered from 0")
    if not manifest["status"].isin([OK, MISSING, UNDECODABLE]).all():
        raise DatasetError(f"{path}: a clip's status is none of {OK}, {MISSING} and {UNDECODABLE}")
    if ((manifest["samples"] > 0) != (manifest["status"] == OK)).any():
        raise DatasetError(f"{path}: a clip that is ok has no samples, or another one has some")
    return manifest


def open_array(path: str | Path) -> np.ndarray:
    """The prepared samples, memory-mapped and read-only: int16 [clips, samples].

    Raises ``DatasetError`` if the file is not such an array, or is shorter than its header says.
    """
    try:
        with Path(path).open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
        # before it is mapped: of a type without a size NumPy divides by zero, which ends the process
        if dtype != np.int16 or len(shape) != 2:
            raise DatasetError(f"{path}: int16 [clips, samples] is needed, {dtype} {list(shape)} is there")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except DatasetError:
        raise
    except Exception as error:  # of a damaged header NumPy raises many kinds
        raise DatasetError(f"{path}: not a whole .npy array ({files.one_line(error)}); prepare it again") from error
