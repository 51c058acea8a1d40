"""The clips that the page of ``wavetag serve`` offers: of a dataset, or of any folder with sound files.

A worker finds them; the server, which is told of them, does without what is imported for that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from wavetag import files

MOST = 200  # that are offered
LONGEST_TEXT = 200  # characters of a title


@dataclass(frozen=True)
class Clip:
    """A clip that can be chosen.

    Attributes:
        path: of its file.
        segment: of the file, from where to where in seconds; None for the whole.
        name: what it is called, if it has no title.
        title, artist: empty where they are not known.
        part: of its song, in seconds, as a dataset says it; empty where it does not.
        tags: those of the model's that it has by the dataset; None where that is not known.
    """

    path: Path
    segment: tuple[float, float] | None
    name: str
    title: str = ""
    artist: str = ""
    part: str = ""
    tags: tuple[str, ...] | None = None

    def told(self) -> dict[str, Any]:
        """What the page is told of it, which is not where it lies."""
        return {
            **{"name": self.name, "title": self.title, "artist": self.artist, "part": self.part},
            "tags": None if self.tags is None else list(self.tags),
            "whole": self.segment is None,
        }


@dataclass(frozen=True)
class Clips:
    """Clips, of how many they were chosen, and what they are."""

    clips: tuple[Clip, ...]
    of: int
    said: str


def of(folder: Path, split: Path | None, tags: Sequence[str], most: int = MOST) -> Clips:
    """Clips of a folder, evenly from all of it if there are more than are to be offered.

    Of a dataset those that its table names, and of these the test clips if the split is there and is of this dataset;
    of another folder its sound files, by name.

    Args:
        folder: with sound files.
        split: a file that the pipeline wrote, if it is there.
        tags: those of the model.
        most: as many at most.

    Raises:
        wavetag.datasets.layout.DatasetError: the folder is not there, has no sound file, or its table is not one.
    """
    from wavetag import tagging
    from wavetag.datasets import layout

    if not folder.is_dir():
        raise layout.DatasetError(f"{folder}: no such folder")
    if (folder / layout.ANNOTATIONS).is_file():
        return _of_dataset(folder, split, set(tags), most)
    paths, problems = tagging.gather([folder])
    if not paths:
        raise layout.DatasetError("; ".join(problems))
    chosen = [Clip(path, None, _short(path.relative_to(folder).as_posix())) for path in _spread(paths, most)]
    return Clips(tuple(chosen), len(paths), f"sound files of {folder.resolve().name}")


def _of_dataset(folder: Path, split: Path | None, tags: set[str], most: int) -> Clips:
    from wavetag.datasets import layout

    paths, labels, said = _paths(folder / layout.ANNOTATIONS), {}, f"clips of {folder.resolve().name}"
    test = _test_clips(split)
    if test is not None and len(test) and set(test.clips["path"]) <= set(paths):
        paths, said = list(test.clips["path"]), f"test {said}"
        for path, row in zip(paths, test.labels, strict=True):
            labels[path] = tuple(name for name, true in zip(test.tags, row, strict=True) if true and name in tags)
    paths = _plain(paths)
    about = _information(folder)
    found = []
    for path in _spread(paths, most):
        file, segment = layout.file_and_segment(path)
        if files.is_file(folder / file):
            name = _short(PurePosixPath(file).name)
            found.append(Clip(folder / file, segment, name, *about.get(path, ("", "", "")), labels.get(path)))
    if not found:
        raise layout.DatasetError(f"{folder}: none of the files that its table names is there")
    return Clips(tuple(found), len(paths), said)


def _paths(table: Path) -> list[str]:
    """Of all clips, in order."""
    import pandas as pd

    from wavetag.datasets import layout

    try:
        column = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False, usecols=["mp3_path"])["mp3_path"]
    except ValueError as error:  # pandas' own are such, and UnicodeDecodeError
        raise layout.DatasetError(f"{table}: not the table of a dataset: {error}") from error
    return sorted(column)


def _test_clips(split: Path | None) -> Any:
    """A ``splits.Split`` of the test clips; None where there is none that can be read."""
    from wavetag import splits

    try:
        return splits.read(split, [splits.TEST]) if split is not None and split.is_file() else None
    except (OSError, ValueError, LookupError, StopIteration):
        return None


def _plain(paths: Sequence[str]) -> list[str]:
    """Those that lead to sound files within the folder, or to links there."""
    from wavetag import tagging
    from wavetag.datasets import layout

    known, found = tagging.suffixes(), []
    for path in paths:
        file = PurePosixPath(layout.file_and_segment(path)[0])
        if not file.is_absolute() and ".." not in file.parts and file.suffix.lower() in known:
            found.append(path)
    return found


def _information(folder: Path) -> dict[str, tuple[str, str, str]]:
    """Title, artist and part of each clip, by path; nothing where the table is missing or another."""
    import pandas as pd

    from wavetag.datasets import layout

    path = folder / layout.INFORMATION
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        return {}
    columns = ["mp3_path", "title", "artist", "segmentStart", "segmentEnd"]
    rows = table.reindex(columns=columns, fill_value="").itertuples(index=False)
    return {row[0]: (_short(row[1]), _short(row[2]), _part(row[3], row[4])) for row in rows}


def _part(start: str, end: str) -> str:
    try:
        first, last = float(start), float(end)
    except ValueError:
        return ""
    return f"{first:g}–{last:g} s" if 0 <= first < last < math.inf else ""


def _spread(all_of_them: list[Any], most: int) -> list[Any]:
    """As many, evenly from first to last."""
    if len(all_of_them) <= most:
        return all_of_them
    return [all_of_them[place * len(all_of_them) // most] for place in range(most)]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
