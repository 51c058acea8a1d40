"""Splits: which clips train, which validate, which test, and with which labels.

MagnaTagATune's own division is by its sixteen folders ("parts"): twelve, one and three. Songs and albums lie within
one part; artists do not.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wavetag import clips, files, tags

TRAIN, VALID, TEST = "train", "valid", "test"
NAMES = (TRAIN, VALID, TEST)
COLUMNS = ("row", "clip_id", "path", "part", "artist", "song", "split", "windows")


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
        chosen = (self.clips["split"] == name).to_numpy()
        return Split(self.clips[chosen].reset_index(drop=True), self.tags, self.labels[chosen])

    def __len__(self) -> int:
        return len(self.clips)


def make(
    manifest: pd.DataFrame,
    annotations: clips.Annotations,
    vocabulary: str,
    parts: Mapping[str, Collection[str]],
    population: str,
    window_samples: int,
) -> Split:
    """Divide the decodable clips by part.

    Args:
        manifest: as ``clips.prepare`` made it.
        annotations: of the same clips.
        vocabulary: name of the tag vocabulary.
        parts: split name -> its folders.
        population: ``tagged`` keeps clips with at least one tag of the vocabulary, ``all`` keeps every clip.
        window_samples: length of a window. ``windows`` counts those of a clip that are not wholly padding.

    Raises:
        ValueError: a part that stands in two splits; a split without a clip.
    """
    part_split = {}
    for name, folders in parts.items():
        for folder in folders:
            if folder in part_split:
                raise ValueError(f"part {folder!r} is in both {part_split[folder]} and {name}")
            part_split[folder] = name
    of_clip = {clip_id: row for row, clip_id in enumerate(annotations.clips["clip_id"])}
    table = manifest[manifest["status"] == clips.OK].copy()
    annotated = annotations.labels[table["clip_id"].map(of_clip).to_numpy(dtype=int)]
    labels = tags.labels(annotated, annotations.tags, vocabulary)
    table["split"] = table["part"].map(part_split)
    table["windows"] = -(-table["samples"] // window_samples)
    kept = table["split"].notna().to_numpy(copy=True)
    if population == "tagged":
        kept &= labels.any(axis=1)
    elif population != "all":
        raise ValueError(f"population {population!r} is unknown; there are tagged and all")
    split = Split(table.loc[kept, list(COLUMNS)].reset_index(drop=True), tuple(tags.sources(vocabulary)), labels[kept])
    for name in NAMES:
        if not (split.clips["split"] == name).any():
            raise ValueError(f"split {name} has no clip: none of parts {', '.join(parts[name])} has a usable one")
    return split


def write(path: str | Path, split: Split) -> None:
    """Write a split as one .tsv: ``COLUMNS``, then a column a tag."""
    labels = pd.DataFrame(split.labels, columns=list(split.tags))
    files.write_table(path, pd.concat([split.clips, labels], axis=1))


def read(path: str | Path, only: Collection[str] = NAMES) -> Split:
    """Read a split. Rows of other splits than ``only`` are dropped at once: who trains never holds a test row."""
    text = {name: str for name in ("clip_id", "path", "part", "artist", "song", "split")}
    table = pd.read_csv(path, sep="\t", dtype=text, keep_default_na=False)
    table = table[table["split"].isin(list(only))].reset_index(drop=True)
    names = tuple(name for name in table.columns if name not in COLUMNS)
    return Split(table[list(COLUMNS)], names, table[list(names)].to_numpy(dtype=np.uint8))


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


def shared_artists(split: Split) -> float:
    """Share of the test clips whose artist has a clip in train."""
    trained = set(split.only(TRAIN).clips["artist"])
    return float(split.only(TEST).clips["artist"].isin(trained).mean())
