"""MagnaTagATune: the official archives, downloaded or where the user has put them, whole or already unpacked.

E. Law, K. West, M. Mandel, M. Bay and J. S. Downie, "Evaluation of algorithms using games: the case of music tagging",
ISMIR 2009. The music is licensed CC BY-NC-SA 3.0.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from wavetag import archives, clips, downloads, files
from wavetag.datasets import layout
from wavetag.datasets.layout import DatasetError
from wavetag.params import DOWNLOADS

TABLES = (layout.ANNOTATIONS, layout.INFORMATION)
ARCHIVES = ("mp3.zip.001", "mp3.zip.002", "mp3.zip.003")
MD5 = {
    "annotations_final.csv": "f04fa01752a8cc64f6e1ca142a0fef1d",
    "clip_info_final.csv": "03ef3cb8ddcfe53fdcdb8e0cda005be2",
    "mp3.zip.001": "179c91c8c2a6e9b3da3d4e69d306fd3b",
    "mp3.zip.002": "acf8265ff2e35c6ff22210e46457a824",
    "mp3.zip.003": "582dc649cabb8cd991f09e14b99349a5",
}


def acquire(folder: Path, settings: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Bring the dataset into its own layout; a run that was stopped goes on.

    Args:
        folder: the dataset to make.
        settings: ``source`` is the folder where the five files are or, within ``data/downloads``, where they are to be
            downloaded to from the addresses in ``urls``; or a folder where they have been unpacked already.
        say: is told what is worth knowing, a line at a time.

    Raises:
        DatasetError: something is missing, or an archive is not the official one.
        downloads.DownloadError, archives.ArchiveError: as these modules say.
    """
    source = Path(settings["source"]).expanduser()
    audio = _unpacked(source)
    if DOWNLOADS in source.parents and not _whole(source, audio):
        _download(source, settings["urls"], say)
    if audio is None and not _archives(source):
        missing = [name for name in ARCHIVES if not (source / name).is_file()]
        raise DatasetError(
            f"{source}: no {', '.join(missing)}, and no folders 0 to f; with `dataset.source:"
            f" {DOWNLOADS}/magnatagatune` they are downloaded"
        )
    paths = _check_tables(source, say).clips["path"]
    if audio and _archives(source) and not _whole(source, audio):
        say(f"{audio}: not all of {len(paths)} clips are there; taking the archives beside it")
        audio = None
    parts = [] if audio else _archives(source)
    for part in parts:
        _check_archive(part, say)
    of = [source / name for name in TABLES] + parts
    with layout.made_whole(folder, stamp=str(audio) if audio else layout.stamp(of)) as temporary:
        layout.keep_only(temporary, paths)
        for name in TABLES:
            shutil.copyfile(source / name, temporary / name)
        if audio:
            say(f"{_link(temporary, audio, paths)} of {len(paths)} clips linked to {audio}")
        else:
            count = archives.unpack(parts, temporary, say, only=set(paths))
            if count == 0:
                raise DatasetError(f"{parts[0]}: not one of {len(paths)} annotated clips is in it, {paths[0]} first")
            say(f"{count} of {len(paths)} clips unpacked")


def _whole(source: Path, audio: Path | None) -> bool:
    """Whether there are both tables and, unpacked, every clip that they name."""
    if audio is None or not all((source / name).is_file() for name in TABLES):
        return False
    return all((audio / path).is_file() for path in clips.read_annotations(source / layout.ANNOTATIONS).clips["path"])


def _download(source: Path, urls: Mapping[str, str], say: Callable[[str], None]) -> None:
    for name in (*TABLES, *ARCHIVES):
        if name not in urls:
            raise DatasetError(f"dataset.urls: no address for {name}")
        say(f"{name}: {urls[name]}")
        downloads.fetch(urls[name], source / name, MD5[name], say)


def _unpacked(source: Path) -> Path | None:
    """The folder with parts 0 to f in it, if they have been unpacked: the source, or ``mp3`` in it."""
    for folder in (source, source / "mp3"):
        if any((folder / part).is_dir() for part in layout.PARTS):
            return folder
    return None


def _archives(source: Path) -> list[Path]:
    """The parts of the archive, or the one that they have been joined to; nothing if they are not all there."""
    parts, joined = [source / name for name in ARCHIVES], source / "mp3.zip"
    if all(part.is_file() for part in parts):
        return parts
    return [joined] if joined.is_file() else []


def _check_archive(part: Path, say: Callable[[str], None]) -> None:
    if part.name not in MD5:
        say(f"{part.name}: joined already; each clip in it is checked by its own sum")
        return
    say(f"{part.name}: checking its MD5 sum")
    found = downloads.md5_of(part)
    if found != MD5[part.name]:
        size = part.stat().st_size
        raise DatasetError(f"{part}: {size} bytes with the MD5 sum {found}; the official file's is {MD5[part.name]}")


def _check_tables(source: Path, say: Callable[[str], None]) -> clips.Annotations:
    """Refuse tables that cannot be read, and tell of those that can but are not the official files."""
    for name in TABLES:
        if not (source / name).is_file():
            raise DatasetError(f"{source / name}: no such file; both {' and '.join(TABLES)} are needed")
        if downloads.md5_of(source / name) != MD5[name]:
            say(f"{source / name}: its MD5 sum is not the official file's; taken as it is")
    annotations = clips.read_annotations(source / layout.ANNOTATIONS)
    say(f"{len(annotations.clips)} clips annotated with {len(annotations.tags)} tags")
    return annotations


def _link(folder: Path, audio: Path, paths) -> int:
    """Link the clips that are there. Those that are not are no clips: `prepare` says so of each."""
    count = 0
    for path in paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise DatasetError(f"{layout.ANNOTATIONS}: the path {path!r} leads out of the dataset")
        if files.is_file(audio / path):
            layout.link(folder, path, audio / path)
            count += 1
    if count == 0:
        raise DatasetError(f"{audio}: not one of {len(paths)} clips is there, {paths.iloc[0]} first")
    return count
