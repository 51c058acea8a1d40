"""A user's own music: a table with paths and tags, one folder a tag, or MTG-Jamendo's tables.

The dataset that is made holds links to the files, and ``origin.tsv``, which says of each clip from which file it is and
in which split. A split that pleases can be kept: its column ``split`` may be copied into the table.

MTG-Jamendo: D. Bogdanov, M. Won, P. Tovstogan, A. Porter and X. Serra, "The MTG-Jamendo dataset for automatic music
tagging", Machine Learning for Music Discovery Workshop, ICML 2019.
"""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wavetag import files
from wavetag.datasets import layout, stratify
from wavetag.datasets.layout import DatasetError

TABLE_SUFFIXES = (".csv", ".tsv")
SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}
PARTS = {"train": layout.PARTS[:12], "valid": layout.PARTS[12], "test": layout.PARTS[13:]}
SPLIT_WORDS = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
}
COLUMNS = ("path", "tags", "split", "artist", "album", "title")
MEANT = {  # what people call the columns that are needed
    **dict.fromkeys(("file", "filename", "file_path", "filepath", "file name"), "path"),
    **dict.fromkeys(("tag", "label", "labels", "genre", "genres"), "tags"),
}
JAMENDO = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")
LONG = 1.5  # times the length of a clip: what is longer is cut
LEAST_REST = 0.5  # of a clip: a shorter rest is left out
NAMED = 5  # of the files that are left out so many are named


@dataclass(frozen=True)
class Track:
    """A file of the user's.

    Attributes:
        name: as the user calls it: its path from the table or folder.
        split: train, valid or test; empty if it is to be dealt out.
    """

    file: Path
    name: str
    tags: tuple[str, ...]
    split: str = ""
    artist: str = ""
    album: str = ""
    title: str = ""


def acquire(folder: Path, settings: Mapping[str, Any], clip_seconds: float, say: Callable[[str], None]) -> None:
    """Bring a user's music into the common layout, as links; nothing is written where it lies.

    Args:
        folder: the dataset to make.
        settings: ``source`` is the table or the folder, ``audio`` where a table's paths begin if not at the table,
            ``seed`` that of the split.
        clip_seconds: length of a clip: longer files are cut into clips of it.
        say: is told what is worth knowing, a line at a time.

    Raises:
        DatasetError: a table or folder that is not as one of the three is.
    """
    tracks = _one_spelling(_there(read(Path(settings["source"]).expanduser(), settings["audio"], say), say))
    names = _safe_names([track.name for track in tracks])
    with ThreadPoolExecutor(8) as pool:  # headers of files, perhaps on a slow disk
        segments = list(pool.map(lambda track: cut(_seconds(track.file), clip_seconds), tracks))
    # without an artist a file is its own: what shares an artist is not in two splits
    artists = [track.artist or name for track, name in zip(tracks, names, strict=True)]
    counts = np.array([len(of_track) for of_track in segments])
    tags = sorted({tag for track in tracks for tag in track.tags})
    if not tags:
        raise DatasetError(f"{settings['source']}: not one tag in it")
    labels = np.array([[tag in track.tags for tag in tags] for track in tracks], dtype=np.uint8)
    parts = _parts(tracks, artists, labels, counts, tags, settings["seed"], say)
    rows, of_track = [], np.repeat(np.arange(len(tracks)), counts)
    for track, name, artist, part, pieces in zip(tracks, names, artists, parts, segments, strict=True):
        for piece in pieces:
            rows.append(
                {
                    "path": f"{part}/{name}" + (layout.fragment(*piece) if piece else ""),
                    "file": str(track.file.absolute()),
                    "split": next(split for split, of_split in PARTS.items() if part in of_split),
                    "artist": artist,
                    "album": track.album,
                    "title": track.title or track.file.stem,
                    "segmentStart": f"{piece[0]:g}" if piece else "",
                    "segmentEnd": f"{piece[1]:g}" if piece else "",
                }
            )
    clips = pd.DataFrame(rows)
    clips.insert(0, "clip_id", [str(number) for number in range(1, len(clips) + 1)])
    say(f"{len(tracks)} files, {len(clips)} clips, {len(tags)} tags, {len(set(artists))} artists")
    with layout.made_whole(folder) as temporary:
        for track, name, part in zip(tracks, names, parts, strict=True):
            layout.link(temporary, f"{part}/{name}", track.file)
        layout.write_tables(temporary, tags, clips.drop(columns=["file", "split"]), labels[of_track])
        files.write_table(temporary / "origin.tsv", clips[["clip_id", "path", "file", "split", "artist"]])


def read(source: Path, audio: str | None, say: Callable[[str], None]) -> list[Track]:
    """The tracks of a source, sorted by name, each once; whether they are there is not looked at."""
    if source.is_dir():
        tables = [path for path in sorted(source.iterdir()) if path.suffix.lower() in TABLE_SUFFIXES]
        if len(tables) != 1:
            return _one_folder_a_tag(source, say)
        say(f"{source}: taking {tables[0].name} for its table")
        source = tables[0]
    elif not source.is_file():
        raise DatasetError(f"{source}: no such file or folder")
    rows = _read_rows(source)
    base = Path(audio).expanduser() if audio else source.parent
    header = [name.strip() for name in rows[0]]
    tracks = list(_jamendo(rows, base) if tuple(header[:5]) == JAMENDO[:5] else _table(source, header, rows, base, say))
    numbers: dict[Path, int] = {}
    for number, track in tracks:
        if track.file in numbers:
            raise DatasetError(f"{source}: {track.name!r} stands in rows {numbers[track.file]} and {number}")
        numbers[track.file] = number
    unsplit = [number for number, track in tracks if not track.split]
    if unsplit and len(unsplit) < len(tracks):
        raise DatasetError(
            f"{source}, row {unsplit[0]}: no split, though other rows have one; give it for all or for none"
        )
    return sorted((track for _, track in tracks), key=lambda track: track.name)


def _read_rows(path: Path) -> list[list[str]]:
    """The cells of a table, its header first."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        tabs = path.suffix.lower() == ".tsv" or ("\t" in first and "," not in first)
        delimiter = "\t" if tabs else ";" if "," not in first and ";" in first else ","
        rows = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=not tabs))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a table of text in UTF-8: {error}") from error
    if len(rows) < 2:
        raise DatasetError(f"{path}: no rows; a header with path and tags, and a row a file, are needed")
    return rows


def _table(
    source: Path, header: Sequence[str], rows: Sequence[Sequence[str]], base: Path, say: Callable[[str], None]
) -> Iterator[tuple[int, Track]]:
    names = [name.lower() for name in header]
    for needed in ("path", "tags"):
        if needed not in names:
            meant = [name for name in names if MEANT.get(name) == needed] or get_close_matches(needed, names, 1)
            hint = f"; {meant[0]!r} looks like it: call it {needed}" if meant else ""
            raise DatasetError(f"{source}: no column {needed}{hint}; there are {', '.join(header)}")
    ignored = [name for name in header if name.lower() not in COLUMNS]
    if ignored:
        say(f"{source}: not used: column {', '.join(ignored)}")
    for number, cells in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise DatasetError(f"{source}, row {number}: {len(cells)} cells where the header has {len(header)}")
        row = dict(zip(names, cells, strict=True))
        split = row.get("split", "").strip()
        if split and split.lower() not in SPLIT_WORDS:
            raise DatasetError(f"{source}, row {number}: split {split!r}; allowed are train, valid and test")
        about = {name: row.get(name, "").strip() for name in ("artist", "album", "title")}
        yield (
            number,
            Track(
                _within(base, row["path"], f"{source}, row {number}"),
                row["path"],
                _tags(re.split(r"[;|,]", row["tags"])),
                SPLIT_WORDS.get(split.lower(), ""),
                **about,
            ),
        )


def _jamendo(rows: Sequence[Sequence[str]], base: Path) -> Iterator[tuple[int, Track]]:
    """MTG-Jamendo's rows end in as many cells as there are tags; its smaller files are called NAME.low.mp3."""
    for number, cells in enumerate(rows[1:], start=2):
        _, artist, album, path = cells[:4]
        file = _within(base, path, f"row {number}")
        low = file.with_suffix(f".low{file.suffix}")
        yield (
            number,
            Track(file if file.is_file() or not low.is_file() else low, path, _tags(cells[5:]), "", artist, album),
        )


def _within(base: Path, path: str, where: str) -> Path:
    """A path of a table: as it is, or below ``base``."""
    if not path.strip():
        raise DatasetError(f"{where}: no path")
    if not Path(path).is_absolute() and ".." in Path(path).parts:
        raise DatasetError(f"{where}: the path {path!r} leads out of {base}")
    return base / path


def _tags(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in (" ".join(word.split()) for word in words) if word))


def _one_folder_a_tag(source: Path, say: Callable[[str], None]) -> list[Track]:
    """A file that is in two of the folders is one track with both tags: else it would train and test."""
    import soundfile

    readable = {f".{name.lower()}" for name in soundfile.available_formats()}
    readable |= {".mp3", ".oga", ".opus", ".aif", ".aifc", ".snd", ".wave"}
    tracks: dict[tuple[int, str], Track] = {}
    found, skipped = [], []
    for tag in sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")):
        for file in sorted(path for path in tag.rglob("*") if path.is_file()):
            if file.suffix.lower() in readable:
                found.append((tag.name, file))
            elif not file.name.startswith("."):
                skipped.append(file)
    if not found:
        raise DatasetError(f"{source}: no table (.csv, .tsv) and no folders with audio files in it, one folder a tag")
    _tell(skipped, "no audio by their names, skipped", say)
    sizes = Counter(file.stat().st_size for _, file in found)
    for tag, file in found:
        size = file.stat().st_size
        key = (size, _digest(file) if sizes[size] > 1 else "")
        if key in tracks:
            tracks[key] = replace(tracks[key], tags=_tags([*tracks[key].tags, tag]))
        else:
            tracks[key] = Track(file, file.relative_to(source).as_posix(), _tags([tag]))
    if len(found) > len(tracks):
        say(f"{len(found) - len(tracks)} files are copies of others: their tags are joined")
    return sorted(tracks.values(), key=lambda track: track.name)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _there(tracks: Sequence[Track], say: Callable[[str], None]) -> list[Track]:
    """Those tracks whose files are there."""
    there = [track for track in tracks if track.file.is_file()]
    if not there:
        raise DatasetError(f"{tracks[0].file}: no such file, and so it is with all of {len(tracks)}")
    _tell([track.file for track in tracks if not track.file.is_file()], "not there, left out", say)
    return there


def _tell(paths: Sequence[Path], what: str, say: Callable[[str], None]) -> None:
    if paths:
        more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
        say(f"{what}: {', '.join(map(str, paths[:NAMED]))}{more}")


def _one_spelling(tracks: Sequence[Track]) -> list[Track]:
    """Tags that differ in upper and lower case alone are one, spelt as most often, then as first in the alphabet."""
    counts = Counter(tag for track in tracks for tag in track.tags)
    spelling: dict[str, str] = {}
    for tag in sorted(counts, key=lambda tag: (-counts[tag], tag)):
        spelling.setdefault(tag.casefold(), tag)
    return [replace(track, tags=_tags([spelling[tag.casefold()] for tag in track.tags])) for track in tracks]


def _safe_names(names: Sequence[str]) -> list[str]:
    """A file name for each that is readable, has nothing that addresses or shells take amiss, and is there once."""
    taken: set[str] = set()
    safe = []
    for name in names:
        path = Path(name.lstrip("/"))
        stem = re.sub(r"[^\w.-]+", "_", path.with_suffix("").as_posix()).strip("._")[-120:] or "clip"
        suffix = re.sub(r"[^\w.]", "_", path.suffix.lower())
        chosen, number = f"{stem}{suffix}", 1
        while chosen.casefold() in taken:
            number += 1
            chosen = f"{stem}-{number}{suffix}"
        taken.add(chosen.casefold())
        safe.append(chosen)
    return safe


def _seconds(file: Path) -> float:
    """How long a file is by its header; 0 for one that cannot be read, of which `prepare` will say why."""
    import soundfile

    try:
        return soundfile.info(str(file)).duration
    except (soundfile.SoundFileError, RuntimeError):
        return 0.0


def cut(seconds: float, clip_seconds: float) -> list[tuple[float, float] | None]:
    """From where to where the clips of a file go, in seconds; [None] for a file that is one clip."""
    if seconds <= LONG * clip_seconds:
        return [None]
    whole = int(seconds / clip_seconds + 1e-9)
    clips = [(number * clip_seconds, (number + 1) * clip_seconds) for number in range(whole)]
    if seconds - whole * clip_seconds >= LEAST_REST * clip_seconds:
        clips.append((whole * clip_seconds, seconds))
    return clips


def _parts(
    tracks: Sequence[Track],
    artists: Sequence[str],
    labels: np.ndarray,
    counts: np.ndarray,
    tags: Sequence[str],
    seed: int,
    say: Callable[[str], None],
) -> list[str]:
    """The part (0 to f) of each track, which says its split."""
    if tracks[0].split:
        splits = [track.split for track in tracks]
        of_artist: dict[str, set[str]] = {}
        for artist, split in zip(artists, splits, strict=True):
            of_artist.setdefault(artist, set()).add(split)
        crossing = [artist for artist, of_one in of_artist.items() if len(of_one) > 1]
        if crossing:
            say(f"{len(crossing)} artists are in more than one split, {crossing[0]!r} for one")
    else:
        splits = _deal_out(artists, labels, counts, seed)
    for split in SHARES:
        chosen = np.array([own == split for own in splits])
        missing = [tag for tag, there in zip(tags, labels[chosen].any(axis=0), strict=True) if not there]
        if missing:
            say(f"no clip in {split} has the tag {', '.join(missing)}")
    order: dict[tuple[str, str], int] = {}
    for split, artist in zip(splits, artists, strict=True):
        order.setdefault((split, artist), sum(known == split for known, _ in order))
    return [
        PARTS[split][order[split, artist] % len(PARTS[split])] for split, artist in zip(splits, artists, strict=True)
    ]


def _deal_out(artists: Sequence[str], labels: np.ndarray, counts: np.ndarray, seed: int) -> list[str]:
    """The split of each track: those of an artist stay together."""
    groups, of_track = np.unique(artists, return_inverse=True)
    if len(groups) < len(SHARES):
        raise DatasetError(
            f"{len(groups)} artists (or files without one) cannot be split into {', '.join(SHARES)}:"
            " at least 3 are needed"
        )
    of_group, weights = np.zeros((len(groups), labels.shape[1])), np.zeros(len(groups))
    np.add.at(of_group, of_track, labels * counts[:, None])
    np.add.at(weights, of_track, counts)
    places = stratify.stratified(of_group, weights, SHARES, seed)
    return [list(SHARES)[places[group]] for group in of_track]
