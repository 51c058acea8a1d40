"""The files that the report's author had: labels in two pickled frames, a NumPy array a clip.

    MagnaTagATune/annotations/{train,val}_labels.pkl    file_path, part, label
    MagnaTagATune/samples/{train,val}/PART/*.npy        float32 [349500], int16's range, 12 kHz

Parts d, e and f, under ``val``, are the test set; part c, under ``train``, is validation: a clip's part says its split,
as in MagnaTagATune itself. Each array becomes a FLAC file of the same values, so that no later stage, and no browser,
needs to know of arrays.
"""

import io
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from wavetag import files
from wavetag.datasets import layout, pickles
from wavetag.datasets.layout import DatasetError
from wavetag.processes import surviving
from wavetag.tags import MERGED50

SAMPLE_RATE = 12_000  # Hz
SPLITS = ("train", "val")
COLUMNS = ("file_path", "part", "label")
PARTS = {"train": layout.PARTS[:13], "val": layout.PARTS[13:]}
LEAST, MOST = -32_768, 32_767
SCALED = 2  # up to here, values that are not whole are of samples in [-1, 1], a little beyond it perhaps
PROBES, QUIET = 16, 256  # if so many arrays have no value beyond this, they are not of int16's range
_NAME = re.compile(r"(?P<artist>.+?)-(?P<album>.+?)-(?P<track_number>\d+)-(?P<title>.+)-(?P<start>\d+)-(?P<end>\d+)$")


def acquire(folder: Path, settings: Mapping[str, Any], processes: int, say: Callable[[str], None]) -> None:
    """Bring the files into the common layout; a run that was stopped goes on.

    Args:
        folder: the dataset to make.
        settings: ``source`` is the folder that holds ``MagnaTagATune/``, or that folder.
        processes: how many convert at the same time.
        say: is told what is worth knowing, a line at a time.

    Raises:
        DatasetError: something that is needed is missing or is not as above, before anything is converted where that
            can be known; or values of another range than int16's.
    """
    source = _top(Path(settings["source"]).expanduser())
    clips, labels = read_labels(source)
    say(f"{len(clips)} clips in {source}/annotations")
    tasks = [(str(source / "samples" / clip.sub), clip.path) for clip in clips.itertuples()]
    _probe(source, [Path(array) for array, _ in tasks])
    with layout.made_whole(folder, stamp=str(source)) as temporary:
        layout.keep_only(temporary, clips["path"])
        refused = 0
        for done, reason in enumerate(_convert_all(temporary, tasks, processes), start=1):
            if reason:
                refused += 1
                say(f"left out: {reason}")
            if done % max(1, len(tasks) // 20) == 0:
                say(f"{done} of {len(tasks)} arrays looked at")
        say(f"{len(tasks) - refused} arrays converted, {refused} left out")
        layout.write_tables(temporary, MERGED50, clips.drop(columns="sub"), labels)


def _probe(source: Path, arrays: list[Path]) -> None:
    """Look at some arrays before all are converted: what is wrong with all of them is wrong with these."""
    there = [path for path in arrays if path.is_file()]
    if not there:
        raise DatasetError(f"{source}/samples: not one of the {len(arrays)} arrays is there, {arrays[0]} first")
    lows, highs = [], []
    for path in there[:: -(-len(there) // PROBES)]:
        try:
            samples = _load(path)
        except ValueError:
            continue  # one that is broken is left out later, and told
        as_int16(samples, path)
        lows.append(float(samples.min()))
        highs.append(float(samples.max()))
    if lows and max(-min(lows), max(highs)) < QUIET:
        raise DatasetError(
            f"{source}/samples: values from {min(lows):g} to {max(highs):g} in {len(lows)} arrays; samples of int16's"
            f" range are allowed, {LEAST} to {MOST}, not scaled"
        )


def _top(source: Path) -> Path:
    for folder in (source / "MagnaTagATune", source):
        if (folder / "annotations").is_dir() and (folder / "samples").is_dir():
            return folder
    raise DatasetError(
        f"{source}: no MagnaTagATune/annotations and MagnaTagATune/samples; there should be"
        " annotations/train_labels.pkl and val_labels.pkl, and samples/train/PART/*.npy and samples/val/PART/*.npy"
    )


def read_labels(source: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Both frames: the clips, sorted by path, and their labels uint8 [clips, 50], in the order of merged50."""
    rows, labels = [], []
    for name in SPLITS:
        path = source / "annotations" / f"{name}_labels.pkl"
        frame = pickles.load_frame(path)
        missing = [column for column in COLUMNS if column not in frame.columns]
        if missing:
            there = ", ".join(map(str, frame.columns))
            raise DatasetError(f"{path}: no column {', '.join(missing)}; there are {there}")
        for number, row in enumerate(zip(*(frame[column] for column in COLUMNS), strict=True)):
            where = f"{path}, row {number}"
            rows.append(_clip(*row[:2], name, where))
            labels.append(_label(row[2], where))
    if not rows:
        raise DatasetError(f"{source}/annotations: both frames are empty")
    clips = pd.DataFrame(rows)
    twice = clips.loc[clips["path"].duplicated(), "sub"]
    if len(twice):
        raise DatasetError(f"{source}/annotations: {twice.iloc[0]} stands twice")
    order = clips["path"].argsort(kind="stable").to_numpy()
    clips = clips.iloc[order].reset_index(drop=True)
    clips.insert(0, "clip_id", [str(number) for number in range(1, len(clips) + 1)])
    return clips, np.array(labels, dtype=np.uint8)[order]


def _clip(file_path: Any, part: Any, name: str, where: str) -> dict[str, str]:
    """Paths of a clip, and what its name says of it."""
    part = str(part)
    if part not in PARTS[name] or len(part) != 1:
        allowed = PARTS[name]
        raise DatasetError(f"{where}: part {part!r}; under {name}, {allowed[0]} to {allowed[-1]} are allowed")
    parts = PurePosixPath(str(file_path)).parts
    inner = parts[1:] if parts[:1] == (name,) else parts
    if len(inner) != 2 or inner[0] != part or inner[1] in (".", "..") or not inner[1].endswith(".npy"):
        raise DatasetError(f"{where}: file_path {file_path!r}; {name}/{part}/NAME.npy or {part}/NAME.npy is allowed")
    stem = inner[1].removesuffix(".npy")
    if len(f"{stem}.flac".encode()) > files.LONGEST_NAME:
        most = files.LONGEST_NAME - len(".flac")
        raise DatasetError(f"{where}: file_path {file_path[:80]!r}…; a clip's name has {most} bytes at most")
    said = _NAME.match(stem)
    about = said.groupdict() if said else {"title": stem, "artist": "", "album": "", "track_number": ""}
    about |= {"segmentStart": about.pop("start", ""), "segmentEnd": about.pop("end", "")}
    return {"path": f"{part}/{stem}.flac", "sub": f"{name}/{part}/{inner[1]}", **about}


def _label(label: Any, where: str) -> np.ndarray:
    try:
        values = np.asarray(label, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (len(MERGED50),) or not np.isin(values, (0, 1)).all():
        found = f"{values.size} values" if values.shape != (len(MERGED50),) else "values other than 0 and 1"
        raise DatasetError(f"{where}: label holds {found}; {len(MERGED50)} zeros and ones are allowed")
    return values


def _convert_all(folder: Path, tasks: list[tuple[str, str]], processes: int):
    convert = partial(_convert, folder)
    if processes <= 1:
        yield from map(convert, tasks)
        return
    yield from surviving(convert, tasks, processes, died=lambda task: f"{task[0]}: the process that read it died")


def _convert(folder: Path, task: tuple[str, str]) -> str:
    """One array to one FLAC file, unless it is there already. Returns why it is left out, or nothing.

    The file gets the array's time of change, by which a later run knows that it is of that array.
    """
    import soundfile

    array, path = Path(task[0]), folder / task[1]
    changed = array.stat().st_mtime_ns if array.is_file() else None
    if path.is_file() and path.stat().st_mtime_ns == changed:
        return ""
    path.unlink(missing_ok=True)
    try:
        samples = _load(array)
    except ValueError as error:
        return f"{array}: {error}"
    encoded = io.BytesIO()  # libsndfile does not say when a disk is full
    soundfile.write(encoded, as_int16(samples, array), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    with files.written_whole(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())
        os.utime(temporary, ns=(changed, changed))
    return ""


def _load(path: Path) -> np.ndarray:
    """An array of numbers [samples]. Raises ``ValueError`` that says what else is there."""
    try:
        with path.open("rb") as file:
            samples = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError as error:
        raise ValueError("no such file") from error
    except OSError:
        raise  # of the disk, not of the array
    except Exception as error:  # of a damaged header NumPy raises many kinds
        raise ValueError(f"not a whole .npy array: {files.one_line(error)}") from error
    if samples.ndim != 1 or len(samples) == 0 or samples.dtype.kind not in "fiu":
        raise ValueError(f"numbers [samples] are needed, {samples.dtype} {list(samples.shape)} is there")
    return samples


def as_int16(samples: np.ndarray, name: str | Path) -> np.ndarray:
    """Samples of int16's range as int16, rounded by half a step at most.

    Raises:
        DatasetError: values that are not finite, beyond int16's range, or all small and not whole: those were scaled.
    """
    low, high = float(samples.min()), float(samples.max())
    scaled = low >= -SCALED and high <= SCALED and not np.array_equal(samples, np.rint(samples))
    if not (np.isfinite(low) and np.isfinite(high) and low >= LEAST and high <= MOST) or scaled:
        raise DatasetError(
            f"{name}: values from {low:g} to {high:g}; samples of int16's range are allowed,"
            f" {LEAST} to {MOST}, not scaled"
        )
    return np.rint(samples).astype(np.int16)
