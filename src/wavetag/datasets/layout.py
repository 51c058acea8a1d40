"""The layout that every dataset is brought into: MagnaTagATune's own tables and folders.

    0/ ... f/                  audio files, or links to them
    annotations_final.csv      clip_id, a column of 0 and 1 for each tag, mp3_path
    clip_info_final.csv        track, title, artist, album and segment of each clip

Tables are tab-separated and quoted. A clip that is a part of a longer file has a path that ends in a temporal media
fragment, ``#t=START,END`` in seconds (W3C, Media Fragments URI 1.0, section 4.2.1), as browsers play it.
"""

import csv
import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from wavetag import files

PARTS = "0123456789abcdef"
ANNOTATIONS, INFORMATION = "annotations_final.csv", "clip_info_final.csv"
INFORMATION_COLUMNS = (
    *("clip_id", "track_number", "title", "artist", "album"),
    *("url", "segmentStart", "segmentEnd", "original_url", "mp3_path"),
)
_FRAGMENT = re.compile(r"#t=(\d{1,9}(?:\.\d{1,9})?),(\d{1,9}(?:\.\d{1,9})?)$")  # nine digits are thirty years


class DatasetError(ValueError):
    """A dataset that is not as it should be: which file, what was found, what is needed."""


def fragment(start: float, end: float) -> str:
    """The end of the path of a clip that is a part of a file, from ``start`` to ``end`` in seconds."""
    return f"#t={decimals(start)},{decimals(end)}"


def decimals(seconds: float) -> str:
    """A number of seconds as it stands in paths and tables: to the microsecond, without zeros at its end."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def file_and_segment(path: str) -> tuple[str, tuple[float, float] | None]:
    """The file of a clip, and from where to where in it, in seconds; None for the whole file."""
    found = _FRAGMENT.search(path)
    if found is None:
        return path, None
    return path[: found.start()], (float(found[1]), float(found[2]))


@contextmanager
def made_whole(folder: Path, stamp: str = "") -> Iterator[Path]:
    """A hidden folder beside ``folder``, which takes its name when the block ends without an exception.

    What an earlier, interrupted run with the same ``stamp`` (what the dataset is made of) left in the hidden folder is
    still there: whoever fills it decides what to keep. Without a stamp the folder is empty.

    Raises:
        DatasetError: ``folder`` is a file.
    """
    folder = Path(folder).resolve()  # it may be a link to a larger disk
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f"{folder}: a file stands where the dataset's folder is to be")
    temporary, begun = folder.with_name(f".{folder.name}.partial"), folder.with_name(f".{folder.name}.begun")
    if not stamp or not begun.is_file() or begun.read_text(encoding="utf-8") != stamp:
        shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True, exist_ok=True)
    files.write_text(begun, stamp)
    yield temporary
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    begun.unlink()


def keep_only(folder: Path, paths: Iterable[str]) -> None:
    """Delete every file that is not among ``paths``: what was begun of others, and what was not finished."""
    wanted = set(paths)
    for file in folder.rglob("*"):
        if not file.is_dir() and file.relative_to(folder).as_posix() not in wanted:
            file.unlink()


def stamp(paths: Iterable[Path]) -> str:
    """A digest over path, size and time of change of every file, and of every file in every folder, of ``paths``."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                state = file.stat()
                digest.update(f"{file}\0{state.st_size}\0{state.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def refuse_overlap(folder: Path, *sources: str | Path | None) -> None:
    """Refuse sources that are, hold, or lie in the folder of the dataset, which is deleted before it is made anew."""
    folder = Path(folder).resolve()
    for source in filter(None, sources):
        place = Path(source).expanduser().resolve()
        if place == folder or place in folder.parents or folder in place.parents:
            raise DatasetError(
                f"{source}: what is there would be lost: the dataset is made in {folder}; put your files elsewhere"
            )


def link(temporary: Path, path: str, source: Path) -> None:
    """Let ``path`` in the dataset be a link to a file of the user's. Nothing is written where that file lies."""
    target = temporary / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(Path(source).absolute())


def write_tables(folder: Path, tags: Sequence[str], clips: pd.DataFrame, labels: np.ndarray) -> None:
    """Write both tables.

    Args:
        folder: of the dataset.
        tags: names, in the order of the columns.
        clips: one row a clip: clip_id and path, and any of ``INFORMATION_COLUMNS``; what is missing is written empty.
        labels: [clips, tags] of 0 and 1.

    Raises:
        DatasetError: a clip_id or path stands twice, or a tag is empty, stands twice, holds a tab or a line break, or
            has the name of one of the table's own columns.
    """
    for column in ("clip_id", "path"):
        twice = clips.loc[clips[column].duplicated(), column]
        if len(twice):
            raise DatasetError(f"{column} {twice.iloc[0]!r} stands for two clips")
    for tag in tags:
        if tag in ("clip_id", "mp3_path") or tag != tag.strip() or not tag or re.search(r"[\t\r\n]", tag):
            raise DatasetError(f"tag {tag!r}: a tag is a line of text, and neither clip_id nor mp3_path")
    if len(set(tags)) != len(tags):
        raise DatasetError("a tag stands twice: " + ", ".join(sorted({tag for tag in tags if tags.count(tag) > 1})))
    annotations = pd.DataFrame(np.asarray(labels, dtype=np.uint8), columns=list(tags))
    annotations.insert(0, "clip_id", clips["clip_id"].to_numpy())
    annotations = pd.concat([annotations, clips["path"].reset_index(drop=True).rename("mp3_path")], axis=1)
    information = clips.rename(columns={"path": "mp3_path"}).reindex(columns=list(INFORMATION_COLUMNS), fill_value="")
    for name, table in ((ANNOTATIONS, annotations), (INFORMATION, information)):
        text = table.to_csv(None, sep="\t", index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")
        files.write_text(folder / name, text)
