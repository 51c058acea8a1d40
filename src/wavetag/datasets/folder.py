"""A user's own music in the common layout: what is cut, and how it is split.

The dataset that is made holds links to the files, and two tables beside MagnaTagATune's:

    origin.tsv    of each clip from which file it is and in which split
    tracks.tsv    of each file its tags and split: a source of its own, which keeps the split when files come and go
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pandas as pd

from wavetag import audio, files, processes
from wavetag import tags as vocabularies
from wavetag.datasets import collection, layout, stratify
from wavetag.datasets.collection import Track
from wavetag.datasets.layout import DatasetError

SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}
PARTS = {"train": layout.PARTS[:12], "valid": layout.PARTS[12], "test": layout.PARTS[13:]}
LONG = 1.5  # times the length of a clip: what is longer is cut
LEAST_REST = 0.5  # of a clip: a shorter rest is left out
PROCESSES = 4  # that read headers
LONGEST_STEM, LONGEST_SUFFIX = 120, 16  # bytes of UTF-8: file systems take 255
# A header that says more than these is not believed.
MOST_SECONDS = 360_000  # a hundred hours
MOST_FRAMES_A_BYTE = 100  # speech at 8 kbit/s has some 50


def acquire(
    folder: Path,
    settings: Mapping[str, Any],
    clip_seconds: float,
    vocabulary: str | Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Bring a user's music into the common layout, as links; nothing is written where it lies.

    Args:
        folder: the dataset to make.
        settings: ``source`` is the table or the folder, ``audio`` where a table's paths begin if not at the table,
            ``seed`` that of the split.
        clip_seconds: length of a clip: longer files are cut into clips of it.
        vocabulary: the tags that will be predicted, as ``tags.resolve`` takes them: each split has to have one.
        say: is told what is worth knowing, a line at a time.

    Raises:
        DatasetError: a table or folder that is not as one of the three is, a vocabulary that it does not have, or a
            split in which no file has a tag of it.
    """
    source = settings["source"]
    tracks = collection.read(Path(source).expanduser(), settings["audio"], say)
    tags = _tags_of(source, tracks)
    names = _safe_names([track.name for track in tracks])
    # headers of files, perhaps on a slow disk, and perhaps such as crash the library that reads them
    seconds = list(processes.surviving(_seconds, [track.file for track in tracks], PROCESSES, died=lambda _: 0.0))
    segments = [cut(of_file, clip_seconds) for of_file in seconds]
    counts = np.array([len(of_track) for of_track in segments])
    labels = _labels(tracks, tags)
    readable = np.array(seconds) > 0
    useful = readable & _with_tag(source, vocabulary, tags, labels, counts)
    # without an artist a file is its own: what shares an artist is not in two splits
    artists = [track.artist or name for track, name in zip(tracks, names, strict=True)]
    copies = collection.copies([track.file for track in tracks])
    if tracks[0].split:
        splits = [track.split for track in tracks]
        _tell_crossing(tracks, artists, copies, say)
    else:
        # whatever the vocabulary: another one is not to change the split
        tagged = readable & labels.any(axis=1)
        splits = _deal_out(source, groups_of(artists, copies), labels, counts, tagged, settings["seed"])
    _refuse_useless(source, splits, useful)
    _tell_missing(splits, tags, labels, say)
    parts = parts_in_turn(splits, artists)
    rows, of_track = [], np.repeat(np.arange(len(tracks)), counts)
    for track, name, artist, split, part, pieces in zip(tracks, names, artists, splits, parts, segments, strict=True):
        for piece in pieces:
            rows.append(
                {
                    "path": f"{part}/{name}" + (layout.fragment(*piece) if piece else ""),
                    "file": str(track.file.absolute()),
                    "split": split,
                    "artist": artist,
                    "album": track.album,
                    "title": track.title or track.file.stem,
                    "segmentStart": layout.decimals(piece[0]) if piece else "",
                    "segmentEnd": layout.decimals(piece[1]) if piece else "",
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
        files.write_table(temporary / "tracks.tsv", _table_of(tracks, splits))


def _table_of(tracks: Sequence[Track], splits: Sequence[str]) -> pd.DataFrame:
    """A table that is itself a source: one row a file, each tag ended by ``;``, so that a comma in one is its own."""
    rows = []
    for track, split in zip(tracks, splits, strict=True):
        tags = "".join(f"{tag};" for tag in track.tags)
        rows.append((str(track.file.absolute()), tags, split, track.artist, track.album, track.title))
    return pd.DataFrame(rows, columns=list(collection.COLUMNS))


def _tags_of(source: str, tracks: Sequence[Track]) -> list[str]:
    """All tags there are, sorted. Raises ``DatasetError`` where there is none, or one that no table can have."""
    for track in tracks:
        for tag in track.tags:
            if tag in ("clip_id", "mp3_path") or ";" in tag:
                raise DatasetError(
                    f"{source}: {track.name!r} has the tag {tag!r}; clip_id, mp3_path and what has a ; cannot be tags"
                )
    tags = sorted({tag for track in tracks for tag in track.tags})
    if not tags:
        raise DatasetError(f"{source}: not one tag in it")
    return tags


def _labels(tracks: Sequence[Track], tags: Sequence[str]) -> np.ndarray:
    """Which track has which tag: uint8 [tracks, tags]."""
    column = {tag: place for place, tag in enumerate(tags)}
    labels = np.zeros((len(tracks), len(tags)), dtype=np.uint8)
    for row, track in enumerate(tracks):
        labels[row, [column[tag] for tag in track.tags]] = 1
    return labels


def _with_tag(
    source: str, vocabulary: str | Sequence[str], tags: Sequence[str], labels: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Which tracks have a tag of the vocabulary, once it is known to fit: bool [tracks]."""
    try:
        words = vocabularies.resolve(vocabulary, tags, np.repeat(labels, counts, axis=0))
        return vocabularies.labels(labels, tags, words).any(axis=1)
    except ValueError as error:
        raise DatasetError(f"{source}: {error}") from error


def _safe_names(names: Sequence[str]) -> list[str]:
    """A file name for each that is readable, has nothing that addresses or shells take amiss, and is there once."""
    taken: set[str] = set()
    safe = []
    for name in names:
        path = Path(normalize("NFC", name.strip().lstrip("/")))
        stem = re.sub(r"[^\w.-]+", "_", path.with_suffix("").as_posix())
        stem = stem.strip("._").encode()[-LONGEST_STEM:].decode(errors="ignore") or "clip"
        suffix = re.sub(r"[^\w.]", "_", path.suffix.lower()).encode()[:LONGEST_SUFFIX].decode(errors="ignore")
        chosen, number = f"{stem}{suffix}", 1
        while chosen.casefold() in taken:
            number += 1
            chosen = f"{stem}-{number}{suffix}"
        taken.add(chosen.casefold())
        safe.append(chosen)
    return safe


def _seconds(file: Path) -> float:
    """How long a file is by its header, or by its samples where that cannot be; 0 for one that cannot be read.

    Of what cannot be read `prepare` will say why.
    """
    import soundfile

    try:
        with audio.stream(file) as header:
            frames, rate = header.frames, header.samplerate
        most = min(MOST_SECONDS * rate, MOST_FRAMES_A_BYTE * file.stat().st_size)
        return (frames if frames <= most else _counted_frames(file)) / rate
    # TypeError: of samples without a header
    except (audio.AudioError, soundfile.SoundFileError, RuntimeError, TypeError, OSError):
        return 0.0


def _counted_frames(file: Path) -> int:
    """How many frames there are in a file, a block at a time; a FLAC that was streamed does not say."""
    with audio.stream(file) as opened:
        at_once, frames = max(1, audio.BLOCK // opened.channels), 0
        while block := len(opened.read(at_once, dtype="float32")):
            frames += block
    return frames


def cut(seconds: float, clip_seconds: float) -> list[tuple[float, float] | None]:
    """From where to where the clips of a file go, in seconds; [None] for a file that is one clip."""
    if seconds <= LONG * clip_seconds:
        return [None]
    whole = int(seconds / clip_seconds + 1e-9)
    clips = [(number * clip_seconds, (number + 1) * clip_seconds) for number in range(whole)]
    if seconds - whole * clip_seconds >= LEAST_REST * clip_seconds:
        clips.append((whole * clip_seconds, seconds))
    return clips


def groups_of(artists: Sequence[str], copies: Sequence[Hashable]) -> list[str]:
    """A name for each track, the same for those that must not be in two splits.

    Args:
        artists: of each track: what shares one stays together.
        copies: a key for each track: so do those with the same, and with them all that their artists have.
    """
    joined = {artist: artist for artist in artists}

    def first(artist: str) -> str:
        while joined[artist] != artist:
            joined[artist] = artist = joined[joined[artist]]
        return artist

    of_copies: dict[Hashable, str] = {}
    for artist, copy in zip(artists, copies, strict=True):
        one, other = sorted((first(artist), first(of_copies.setdefault(copy, artist))))
        joined[other] = one
    return [first(artist) for artist in artists]


def _deal_out(
    source: str,
    groups: Sequence[str],
    labels: np.ndarray,
    counts: np.ndarray,
    tagged: np.ndarray,
    seed: int,
) -> list[str]:
    """The split of each track: those of a group stay together, and each split gets a tagged one."""
    names, of_track = np.unique(groups, return_inverse=True)
    of_group, weights = np.zeros((len(names), labels.shape[1])), np.zeros(len(names))
    np.add.at(of_group, of_track, labels * counts[:, None])
    np.add.at(weights, of_track, counts)
    needed = np.bincount(of_track, weights=tagged) > 0
    if needed.sum() < len(SHARES):
        raise DatasetError(
            f"{source}: {len(names)} artists (or files without one; who share a file are one), of which"
            f" {needed.sum()} have a readable file with a tag: at least {len(SHARES)} are needed, one each for"
            f" {', '.join(SHARES)}"
        )
    places = stratify.stratified(of_group, weights, SHARES, names.tolist(), seed, needed)
    return [list(SHARES)[places[group]] for group in of_track]


def _refuse_useless(source: str, splits: Sequence[str], useful: np.ndarray) -> None:
    """Each split needs a readable file with a tag of the vocabulary."""
    files_of, useful_of = Counter(splits), Counter(np.array(splits)[useful].tolist())
    without = [split for split in SHARES if not useful_of[split]]
    if without:
        found = ", ".join(f"{split} {useful_of[split]} of {files_of[split]} files" for split in SHARES)
        raise DatasetError(
            f"{source}: split {', '.join(without)} has no readable file with a tag of the vocabulary ({found}); each"
            " split needs one: take another vocabulary, or say the split in the table"
        )


def _tell_crossing(
    tracks: Sequence[Track], artists: Sequence[str], copies: Sequence[Hashable], say: Callable[[str], None]
) -> None:
    """Say what a split that is given does not keep apart."""
    splits_of: dict[tuple[str, Hashable], set[str]] = {}
    for track, artist, copy in zip(tracks, artists, copies, strict=True):
        splits_of.setdefault(("artist", artist), set()).add(track.split)
        splits_of.setdefault(("copy", copy), set()).add(track.split)
    crossing = [key for key, splits in splits_of.items() if len(splits) > 1]
    crossing_artists = [artist for what, artist in crossing if what == "artist"]
    if crossing_artists:
        say(f"{len(crossing_artists)} artists are in more than one split, {crossing_artists[0]!r} for one")
    crossing_files = [
        track.file for track, copy in zip(tracks, copies, strict=True) if len(splits_of["copy", copy]) > 1
    ]
    collection.tell(crossing_files, "copies of one another, but in more than one split", say)


def _tell_missing(splits: Sequence[str], tags: Sequence[str], labels: np.ndarray, say: Callable[[str], None]) -> None:
    for split in SHARES:
        chosen = np.array([own == split for own in splits])
        missing = [tag for tag, there in zip(tags, labels[chosen].any(axis=0), strict=True) if not there]
        if missing:
            say(f"no clip in {split} has the tag {', '.join(missing)}")


def parts_in_turn(splits: Sequence[str], artists: Sequence[str]) -> list[str]:
    """The part (0 to f) of each track, which says its split: a split's artists go round its parts."""
    taken: Counter[str] = Counter()
    parts: dict[tuple[str, str], str] = {}
    for split, artist in zip(splits, artists, strict=True):
        if (split, artist) not in parts:
            parts[split, artist] = PARTS[split][taken[split] % len(PARTS[split])]
            taken[split] += 1
    return [parts[pair] for pair in zip(splits, artists, strict=True)]
