"""Splits: which clips train, which validate, which test, and with which labels.

MagnaTagATune's own division is by its sixteen folders ("parts"): twelve, one and three. Songs and albums lie within
one part; artists do not. So the test clips are looked at in three ways (``VIEWS``):

* ``tagged``, those with at least one tag of the vocabulary: the headline;
* ``all`` of them, tagged or not;
* ``artist-disjoint``, of all of them those whose artist is in neither train nor validation.
"""

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wavetag import clips, files, tags

TRAIN, VALID, TEST = "train", "valid", "test"
NAMES = (TRAIN, VALID, TEST)
TAGGED, ALL, ARTIST_DISJOINT = "tagged", "all", "artist-disjoint"
VIEWS = (TAGGED, ALL, ARTIST_DISJOINT)
TEXT_COLUMNS = ("clip_id", "path", "part", "artist", "song", "split")
COLUMNS = ("row", *TEXT_COLUMNS, "windows", "seconds", "artist_disjoint")


@dataclass(frozen=True)
class Split:
    """Some clips and what is true of them.

    Attributes:
        clips: one row a clip, with ``COLUMNS``.
        tags: names, in order.
        labels: uint8 [clips, tags].
    """

    clips: pd.DataFrame
    tags: tuple[str, ...]
    labels: np.ndarray

    def only(self, name: str) -> "Split":
        """The clips of one split."""
        return self.where((self.clips["split"] == name).to_numpy())

    def where(self, chosen: np.ndarray) -> "Split":
        """The clips for which ``chosen``, bool [clips], is true."""
        return Split(self.clips[chosen].reset_index(drop=True), self.tags, self.labels[chosen])

    def view(self, name: str) -> np.ndarray:
        """Which of these clips, all of the test split, are in a view of ``VIEWS``: bool [clips]."""
        if name == TAGGED:
            return self.labels.any(axis=1)
        if name == ARTIST_DISJOINT:
            return self.clips["artist_disjoint"].to_numpy() == 1
        if name == ALL:
            return np.ones(len(self), dtype=bool)
        raise ValueError(f"view {name!r} is unknown; there are {', '.join(VIEWS)}")

    def __len__(self) -> int:
        return len(self.clips)


def make(
    manifest: pd.DataFrame,
    annotations: clips.Annotations,
    vocabulary: str | Sequence[str],
    parts: Mapping[str, Collection[str]],
    population: str,
    window_samples: int,
    sample_rate: int,
    without: Collection[str] = (),
) -> Split:
    """Divide the decodable clips by part.

    Args:
        manifest: as ``preparation.prepare`` made it.
        annotations: of the same clips.
        vocabulary: a tag vocabulary, as ``tags.resolve`` takes it.
        parts: split name -> its folders.
        population: of train and validation: ``tagged`` keeps clips with at least one tag of the vocabulary, ``all``
            keeps every clip. The test split has every clip.
        window_samples: length of a window. ``windows`` counts those of a clip that are not wholly padding.
        sample_rate: of the manifest's samples, in Hz. ``seconds`` is how long a clip sounds.
        without: tags of the vocabulary to leave out. Which clips are kept does not depend on it.

    Raises:
        ValueError: a part that stands in two splits; a split without a clip, or without a tagged one.
    """
    part_split = {}
    for name, folders in parts.items():
        for folder in folders:
            if folder in part_split:
                raise ValueError(f"part {folder!r} is in both {part_split[folder]} and {name}")
            part_split[folder] = name
    if population not in (TAGGED, ALL):
        raise ValueError(f"population {population!r} is unknown; there are {TAGGED} and {ALL}")
    table = manifest[manifest["status"] == clips.OK].assign(split=lambda table: table["part"].map(part_split))
    table = table[table["split"].notna()].reset_index(drop=True)
    of_clip = {clip_id: row for row, clip_id in enumerate(annotations.clips["clip_id"])}
    annotated = annotations.labels[table["clip_id"].map(of_clip).to_numpy(dtype=int)]
    words = tags.resolve(vocabulary, annotations.tags, annotations.labels)
    labels = tags.labels(annotated, annotations.tags, words)
    in_test = (table["split"] == TEST).to_numpy()
    known_artists = set(table.loc[~in_test, "artist"])
    table["windows"] = -(-table["samples"] // window_samples)
    table["seconds"] = (table["samples"] / sample_rate).round(6)
    table["artist_disjoint"] = (in_test & ~table["artist"].isin(known_artists)).astype(int)
    tagged = labels.any(axis=1)
    for name in NAMES:
        of_split = table["split"] == name
        if not of_split.any():
            raise ValueError(f"split {name} has no clip: none of parts {', '.join(parts[name])} has a usable one")
        if not tagged[of_split].any():
            raise ValueError(
                f"split {name} has {of_split.sum()} clips, and none with a tag of the vocabulary:"
                f" {', '.join(list(words)[:5])}{', …' if len(words) > 5 else ''}"
            )
    if unknown := sorted(set(without) - set(words)):
        raise ValueError(f"without: {', '.join(unknown)}: no such tag in the vocabulary {', '.join(words)}")
    kept = tagged | in_test | (population == ALL)
    left = [column for column, tag in enumerate(words) if tag not in without]
    names = tuple(tag for tag in words if tag not in without)
    return Split(table.loc[kept, list(COLUMNS)].reset_index(drop=True), names, labels[kept][:, left])


def write(path: str | Path, split: Split) -> None:
    """Write a split as one .tsv: ``COLUMNS``, then a column a tag."""
    labels = pd.DataFrame(split.labels, columns=list(split.tags))
    files.write_table(path, pd.concat([split.clips[list(COLUMNS)], labels], axis=1))


def read(path: str | Path, only: Collection[str] = NAMES) -> Split:
    """Read a split. Rows of other splits than ``only`` are dropped at once: who trains never holds a test row.

    Raises:
        ValueError: the file is not there, or is not as ``write`` leaves it.
    """
    try:
        columns = files.check_cells(path)
        if tuple(columns[: len(COLUMNS)]) != COLUMNS:
            raise ValueError(f"its columns are not {', '.join(COLUMNS)}, and a column a tag")
        # by place: a tag may have the name of a column
        places = [*COLUMNS, *range(len(columns) - len(COLUMNS))]
        types = {**dict.fromkeys(places, "int64"), **dict.fromkeys(TEXT_COLUMNS, str), "seconds": "float64"}
        table = pd.read_csv(path, sep="\t", header=0, names=places, dtype=types, keep_default_na=False)
        counted = table[[name for name in places if name not in (*TEXT_COLUMNS, "seconds")]]
        if (counted < 0).any(axis=None) or not (table["seconds"] >= 0).all() or np.isinf(table["seconds"]).any():
            raise ValueError("a row, a number of windows or a length is none")
        if not set(table["split"]) <= set(NAMES) or (table[places[len(COLUMNS) :]] > 1).any(axis=None):
            raise ValueError(f"a clip is in none of {', '.join(NAMES)}, or a label is neither 0 nor 1")
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file: make the split first") from error
    except (OSError, ValueError, TypeError, OverflowError, csv.Error) as error:
        raise ValueError(f"{path}: not a split as `split` writes it: {files.one_line(error)}") from error
    table = table[table["split"].isin(list(only))].reset_index(drop=True)
    labels = table[places[len(COLUMNS) :]].to_numpy(dtype=np.uint8)
    return Split(table[list(COLUMNS)].set_axis(list(COLUMNS), axis=1), tuple(columns[len(COLUMNS) :]), labels)


def counts(split: Split) -> pd.DataFrame:
    """How many clips, songs, artists and labels there are in each split, and how many tags have no positive there."""
    rows = []
    for name in NAMES:
        part = split.only(name)
        rows.append(
            {
                "split": name,
                "clips": len(part),
                "songs": part.clips["song"].nunique(),
                "artists": part.clips["artist"].nunique(),
                "labels per clip": round(float(part.labels.sum(axis=1).mean()), 2),
                "tags without a positive": int((part.labels.sum(axis=0) == 0).sum()),
            }
        )
    return pd.DataFrame(rows)


def view_counts(test: Split) -> pd.DataFrame:
    """How many test clips, artists and labels there are in each view."""
    rows = []
    for name in VIEWS:
        seen = test.where(test.view(name))
        labels = round(float(seen.labels.sum(axis=1).mean()), 2) if len(seen) else 0.0
        artists = seen.clips["artist"].nunique()
        rows.append({"test view": name, "clips": len(seen), "artists": artists, "labels per clip": labels})
    return pd.DataFrame(rows)


def shared_artists(split: Split) -> float:
    """Share of the test clips whose artist has a clip in train."""
    trained = set(split.only(TRAIN).clips["artist"])
    return float(split.only(TEST).clips["artist"].isin(trained).mean())
