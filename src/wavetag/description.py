"""Description: statistics of a prepared and split dataset that a person looks at before training on it.

Everything here takes a manifest, a split and the memory-mapped array, and gives numbers; ``show`` prints them.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from wavetag import clips, files, splits
from wavetag.datasets.layout import DatasetError

PAIRS = 10  # of tags, the strongest
FIRST_PATHS = 3  # of the clips left out, printed; the JSON has them all
QUANTILES = (0, 5, 25, 50, 75, 95, 100)  # per cent
SHORT = 0.1  # s: encoders and cutting leave a clip some samples short of what it is to have
DECIMALS = 6
LEAST_WIDTH = 80  # characters: in fewer, digits of the numbers would be cut off
MEASURES = ("samples", "minimum", "maximum", "rms_dbfs")  # columns of the manifest that a split lacks
NEVER_CLIPS = (
    "Scaling is affine and never clips: a sample outside the training clips' range is scaled to beyond ±1 and kept."
)

Numbers = dict[str, Any]


def describe(
    manifest: pd.DataFrame,
    split: splits.Split,
    array: np.ndarray,
    window_samples: int,
    sample_rate: int,
    slack: int = 0,
) -> Numbers:
    """Every statistic, as JSON takes it: no number in it is infinite or NaN; what is undefined is None.

    Args:
        manifest: as ``clips.read_manifest`` gives it.
        split: of the same clips.
        array: int16 [clips, samples], may be memory-mapped: single rows are read, and only those that may hold samples
            outside the training clips' range.
        window_samples: samples in a window.
        sample_rate: in Hz.
        slack: as ``measured`` takes it.

    Raises:
        DatasetError: manifest, split and array are not of one another, or there is no training clip.
    """
    table = measured(manifest, split, array.shape, window_samples, slack)
    outside = in_no_split(manifest, split)
    description = {
        "clips": {name: _counts(split, _in(table, name), table, sample_rate) for name in splits.NAMES},
        "test_views": {view: _counts(split, chosen, table, sample_rate) for view, chosen in _views(split).items()},
        "in_no_split": outside,
        "left_out": left_out(manifest),
        "tags": tag_frequencies(split),
        "pairs": strongest_pairs(split, sum(outside["untagged"].values())),
        "durations": durations(table, array.shape[1], sample_rate),
        "loudness": loudness(table),
        "artists": {"shared": shared(table, "artist"), "of_test_clips_in_train": artists_known_from_training(split)},
        "songs": {"shared": shared(table, "song")},
    }
    # the share outside the range may be one sample of many millions: not rounded
    return {**files.rounded(description, DECIMALS), "range": sample_range(table, array)}


def slack(sample_rate: int, usual_rate: int) -> int:
    """By how many samples a clip may be longer or shorter at a rate than at the usual one: each is rounded."""
    return 1 + math.ceil(sample_rate / usual_rate)


def measured(
    manifest: pd.DataFrame, split: splits.Split, shape: tuple[int, ...], window_samples: int, slack: int = 0
) -> pd.DataFrame:
    """The clips of a split, in its order, with what the manifest says of each (``MEASURES``).

    Args:
        manifest: as ``clips.read_manifest`` gives it.
        split: of the same clips.
        shape: of the array.
        window_samples: samples in a window.
        slack: where the split was made at another rate, samples by which a clip's length may differ; ``windows`` stays
            as the split has it, which is what networks are given at either rate.

    Raises:
        DatasetError: manifest, split and array are not of one another, or there is no training clip.
    """
    if len(manifest) != shape[0]:
        raise DatasetError(f"the manifest has {len(manifest)} clips, the array {shape[0]}: prepare them again")
    usable = manifest.loc[manifest["status"] == clips.OK, ["row", "clip_id", *MEASURES]]
    table = split.clips.merge(usable, on=["row", "clip_id"], how="left", validate="one_to_one")
    unknown = table["samples"].isna()
    if unknown.any():
        first = table.loc[unknown, "path"].iloc[0]
        raise DatasetError(f"{unknown.sum()} clips of the split are not usable ones of the manifest, {first} first")
    samples = table["samples"].astype(int)
    least, most = -(-(samples - slack) // window_samples), -(-(samples + slack) // window_samples)
    if not table["windows"].between(least, most).all():
        raise DatasetError(f"the split was made with other windows than of {window_samples} samples: split again")
    if not _in(table, splits.TRAIN).any():
        raise DatasetError("there is no training clip in the split")
    return table.astype({"samples": int, "minimum": int, "maximum": int})


def _in(table: pd.DataFrame, name: str) -> np.ndarray:
    return (table["split"] == name).to_numpy()


def _views(split: splits.Split) -> dict[str, np.ndarray]:
    """View -> which clips of the whole split are in it: bool [clips]."""
    in_test = _in(split.clips, splits.TEST)
    chosen = {}
    for view in splits.VIEWS:
        chosen[view] = in_test.copy()
        chosen[view][in_test] = split.only(splits.TEST).view(view)
    return chosen


def _counts(split: splits.Split, chosen: np.ndarray, table: pd.DataFrame, sample_rate: int) -> Numbers:
    labels, rows = split.labels[chosen], table[chosen]
    return {
        "clips": len(rows),
        "songs": rows["song"].nunique(),
        "artists": rows["artist"].nunique(),
        "hours": float(rows["samples"].sum() / sample_rate / 3600),
        "windows": int(rows["windows"].sum()),
        "labels_per_clip": float(labels.sum(axis=1).mean()) if len(rows) else None,
        "tags_without_a_positive": int((~labels.any(axis=0)).sum()),
    }


def in_no_split(manifest: pd.DataFrame, split: splits.Split) -> Numbers:
    """How many usable clips are in no split, and why.

    Returns:
        ``untagged``: split -> clips of its parts that have no tag of the vocabulary; ``other_parts``: part -> clips,
        of the parts of which no split has a clip.
    """
    usable = manifest[manifest["status"] == clips.OK]
    outside = usable.loc[~usable["clip_id"].isin(split.clips["clip_id"]), "part"]
    split_of = dict(zip(split.clips["part"], split.clips["split"], strict=True))
    names = outside.map(split_of)
    return {
        "untagged": {name: int((names == name).sum()) for name in splits.NAMES},
        "other_parts": {part: int(count) for part, count in outside[names.isna()].value_counts().sort_index().items()},
    }


def left_out(manifest: pd.DataFrame) -> list[Numbers]:
    """The annotated clips that could not be decoded: status, reason, clips and their paths; the most frequent first."""
    unusable = manifest[manifest["status"] != clips.OK]
    groups = [
        {"status": status, "reason": reason, "clips": len(group), "paths": group["path"].tolist()}
        for (status, reason), group in unusable.groupby(["status", "reason"])
    ]
    return sorted(groups, key=lambda group: -group["clips"])


def tag_frequencies(split: splits.Split) -> list[Numbers]:
    """How often each tag was given in each split, the most frequent first.

    ``share`` is of the clips of the split that have a tag of the vocabulary. Only so are splits comparable: the test
    split has clips without one, train and validation may have none.
    """
    counts = {name: split.only(name).labels.sum(axis=0, dtype=int) for name in splits.NAMES}
    tagged = {name: int(split.only(name).labels.any(axis=1).sum()) for name in splits.NAMES}
    order = np.argsort(-sum(counts.values()), kind="stable")
    return [
        {
            "tag": split.tags[place],
            "count": {name: int(counts[name][place]) for name in splits.NAMES},
            "share": {name: _ratio(counts[name][place], tagged[name]) for name in splits.NAMES},
        }
        for place in order
    ]


def co_occurrences(split: splits.Split) -> tuple[np.ndarray, np.ndarray]:
    """On how many clips each two tags are, int [tags, tags], and their Jaccard index, float [tags, tags].

    The Jaccard index is the share of the clips with either tag that have both: 0 where there is no such clip.
    """
    labels = split.labels.astype(float)  # multiplied as uint8, counts beyond 255 would wrap
    both = np.rint(labels.T @ labels).astype(int)
    either = both.diagonal()[:, None] + both.diagonal() - both
    return both, both / np.maximum(either, 1)


def strongest_pairs(split: splits.Split, untagged: int = 0, count: int = PAIRS) -> list[Numbers]:
    """The pairs of tags with the highest Jaccard index, of those that share a clip at all.

    ``lift`` is how many times more clips have both tags than would if the tags were independent, among all usable clips
    of the splits' parts: the test split has clips without a tag, train and validation may have none.

    Args:
        split: all of it.
        untagged: usable clips of the splits' parts that are in no split, as ``in_no_split`` counts them.
        count: of pairs, at most.
    """
    clip_count = len(split) + untagged
    both, jaccard = co_occurrences(split)
    first, second = np.triu_indices(len(split.tags), k=1)
    order = np.lexsort((-both[first, second], -jaccard[first, second]))[:count]
    return [
        {
            "tags": [split.tags[a], split.tags[b]],
            "clips": int(both[a, b]),
            "clips_of_each": [int(both[a, a]), int(both[b, b])],
            "jaccard": float(jaccard[a, b]),
            "lift": float(both[a, b] * clip_count / (both[a, a] * both[b, b])),
        }
        for a, b in zip(first[order], second[order], strict=True)
        if both[a, b]
    ]


def durations(table: pd.DataFrame, clip_samples: int, sample_rate: int) -> Numbers:
    """How long the clips of each split are, in seconds, and how many are shorter than what is kept of a clip.

    ``shorter`` counts those that lack more than ``SHORT`` seconds, ``padded_by_less`` the others that lack something.

    Args:
        table: as ``measured`` gives it.
        clip_samples: samples that are kept of a clip, at most.
        sample_rate: in Hz.
    """
    by_split = {}
    for name in splits.NAMES:
        samples = table.loc[_in(table, name), "samples"]
        seconds = samples / sample_rate
        by_split[name] = {
            "minimum": _or_none(seconds.min()),
            "median": _or_none(seconds.median()),
            "maximum": _or_none(seconds.max()),
            **dict(zip(("shorter", "padded_by_less"), lacking(samples, clip_samples, sample_rate), strict=True)),
        }
    return {"clip_seconds": clip_samples / sample_rate, "splits": by_split}


def lacking(samples: Sequence[int], clip_samples: int, sample_rate: int) -> tuple[int, int]:
    """How many clips lack more than ``SHORT`` seconds of what is kept of a clip, and how many lack less, but something.

    Args:
        samples: [clips].
        clip_samples: samples that are kept of a clip, at most.
        sample_rate: in Hz.
    """
    lack = clip_samples - np.asarray(samples)
    short = lack > SHORT * sample_rate
    return int(short.sum()), int((~short & (lack > 0)).sum())


def silent(table: pd.DataFrame) -> np.ndarray:
    """Which clips are digital silence, every sample zero: bool [clips]."""
    return ((table["minimum"] == 0) & (table["maximum"] == 0)).to_numpy()


def loudness(table: pd.DataFrame) -> Numbers:
    """Quantiles of the clips' RMS level in each split, in dB below full scale; digital silence is counted apart."""
    by_split = {}
    for name in splits.NAMES:
        levels = table.loc[_in(table, name) & ~silent(table), "rms_dbfs"]
        found = np.percentile(levels, QUANTILES) if len(levels) else [None] * len(QUANTILES)
        by_split[name] = {
            "quantiles": {str(percent): level for percent, level in zip(QUANTILES, found, strict=True)},
            "silent": int((_in(table, name) & silent(table)).sum()),
        }
    return by_split


def shared(table: pd.DataFrame, column: str) -> Numbers:
    """How many values of a column (artist, song) each two splits have in common; of a split with itself, all it has."""
    values = {name: set(table.loc[_in(table, name), column]) for name in splits.NAMES}
    return {one: {other: len(values[one] & values[other]) for other in splits.NAMES} for one in splits.NAMES}


def artists_known_from_training(split: splits.Split) -> Numbers:
    """View -> share of its test clips whose artist has a clip in train; of ``all``: ``splits.shared_artists``."""
    trained = set(split.only(splits.TRAIN).clips["artist"])
    known = split.clips["artist"].isin(trained).to_numpy()
    return {view: _ratio(known[chosen].sum(), chosen.sum()) for view, chosen in _views(split).items()}


def sample_range(table: pd.DataFrame, array: np.ndarray) -> Numbers:
    """Smallest and largest sample of each split, and how many samples lie outside the training clips' range.

    Exact, though little is read: a row of the array only where the clip's own range exceeds that of the training clips.
    The padding behind a clip's samples does not count.

    Args:
        table: as ``measured`` gives it.
        array: int16 [clips, samples], may be memory-mapped.
    """
    training = table[_in(table, splits.TRAIN)]
    low, high = training["minimum"].min(), training["maximum"].max()
    by_split = {}
    for name in splits.NAMES:
        rows = table[_in(table, name)]
        beyond = rows[(rows["minimum"] < low) | (rows["maximum"] > high)]
        outside = sum(
            _outside(array[row, :samples], low, high)
            for row, samples in zip(beyond["row"], beyond["samples"], strict=True)
        )
        by_split[name] = {
            "minimum": int(rows["minimum"].min()) if len(rows) else None,
            "maximum": int(rows["maximum"].max()) if len(rows) else None,
            "samples": int(rows["samples"].sum()),
            "clips_outside": len(beyond),
            "samples_outside": outside,
            "share_outside": _ratio(outside, rows["samples"].sum()),
        }
    return by_split


def _outside(samples: np.ndarray, low: int, high: int) -> int:
    return int(np.count_nonzero((samples < low) | (samples > high)))


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def show(description: Numbers, file: TextIO | None = None, width: int | None = None) -> None:
    """Print a description as tables.

    Args:
        description: as ``describe`` gives it.
        file: to print to; standard output if None.
        width: in characters; that of the terminal if None, and never less than ``LEAST_WIDTH``.
    """
    # a tag, a path or a reason may look like rich's own markup
    console = Console(file=file or sys.stdout, width=width, markup=False, emoji=False, highlight=False)
    console.width = max(console.width, LEAST_WIDTH)
    for title, rows, note in _sections(description):
        console.print(title, style="bold")
        if rows:
            console.print(_table(rows))
        if note:
            console.print(note, style="dim", soft_wrap="\n" in note)
        console.print()


def _sections(description: Numbers) -> list[tuple[str, list[Numbers], str]]:
    """Title, rows and a note below them, in the order in which they are printed."""
    tags = description["tags"]
    clip_seconds = description["durations"]["clip_seconds"]
    known = description["artists"]["of_test_clips_in_train"]
    by_view = ", ".join(f"{_percent(share)} of {view}" for view, share in known.items())
    return [
        ("Clips by split", _count_rows("split", description["clips"]), ""),
        ("Test clips by view", _count_rows("test view", description["test_views"]), ""),
        ("Annotated clips that are in no split", [], _outside_note(description)),
        (
            f"Tags ({len(tags)})",
            [_tag_row(entry) for entry in tags],
            "Shares are of the clips of a split that have a tag of the vocabulary.",
        ),
        (
            "Tags most often together, by Jaccard index",
            [_pair_row(pair) for pair in description["pairs"]],
            "Jaccard: of the clips with either tag, the share with both. Lift: how many times more clips have both than"
            " would by chance, among all usable clips of the splits' parts, those without a tag too. All else is over"
            " the clips of all splits."
            if description["pairs"]
            else "No clip has two tags.",
        ),
        (
            "Durations (s)",
            [
                {
                    "split": name,
                    **{key: _number(entry[key], 3) for key in ("minimum", "median", "maximum")},
                    f"short by more\nthan {SHORT:g} s": str(entry["shorter"]),
                    "short\nby less": str(entry["padded_by_less"]),
                }
                for name, entry in description["durations"]["splits"].items()
            ],
            f"Of each clip, its first {clip_seconds:g} s are kept; a shorter one is padded with zeros.",
        ),
        (
            "Loudness (RMS level in dB; 0 dB is full scale)",
            [
                {
                    "split": name,
                    **{f"{percent} %": _number(level, 1) for percent, level in entry["quantiles"].items()},
                    "silent": str(entry["silent"]),
                }
                for name, entry in description["loudness"].items()
            ],
            "Quantiles over the clips that are not digital silence.",
        ),
        (
            "Artists in both splits",
            _matrix_rows(description["artists"]["shared"]),
            f"Of the clips as they are used. Test clips whose artist is in train, by view: {by_view}. The view"
            " artist-disjoint leaves out more artists: those of every usable clip of train's and valid's parts, also of"
            " clips that are in no split because they have no tag.",
        ),
        ("Songs in both splits", _matrix_rows(description["songs"]["shared"]), ""),
        (
            "Range of the samples (int16)",
            [
                {
                    "split": name,
                    "minimum": _number(entry["minimum"], 0),
                    "maximum": _number(entry["maximum"], 0),
                    "clips\noutside": str(entry["clips_outside"]),
                    "samples\noutside": str(entry["samples_outside"]),
                    "share": "–" if entry["share_outside"] is None else f"{entry['share_outside']:.2g}",
                }
                for name, entry in description["range"].items()
            ],
            f"Outside: beyond the training clips' range. {NEVER_CLIPS}",
        ),
    ]


def _count_rows(heading: str, counts: Mapping[str, Numbers]) -> list[Numbers]:
    return [
        {
            heading: name,
            "clips": str(entry["clips"]),
            "songs": str(entry["songs"]),
            "artists": str(entry["artists"]),
            "hours": _number(entry["hours"], 2),
            "labels\nper clip": _number(entry["labels_per_clip"], 2),
            "tags without\na positive": str(entry["tags_without_a_positive"]),
        }
        for name, entry in counts.items()
    ]


def _outside_note(description: Numbers) -> str:
    untagged, other = (description["in_no_split"][key] for key in ("untagged", "other_parts"))
    lines = [f"  {count} of {name}'s parts: no tag of the vocabulary" for name, count in untagged.items() if count]
    lines += [f"  {count} of part {part}, which is in no split" for part, count in other.items()]
    for group in description["left_out"]:
        lines.append(f"  {group['clips']} {group['status']}: {group['reason']}")
        lines += [f"    {path}" for path in group["paths"][:FIRST_PATHS]]
        more = group["clips"] - FIRST_PATHS
        lines += [f"    and {more} more: description.json has them all"] if more > 0 else []
    return "\n".join(lines) or "  none"


def _tag_row(entry: Numbers) -> Numbers:
    row = {"tag": entry["tag"]}
    for name in splits.NAMES:
        row |= {name: str(entry["count"][name]), f"{name}\nshare": _percent(entry["share"][name])}
    return row


def _pair_row(pair: Numbers) -> Numbers:
    return {
        "tags": "\n".join(f"{tag} ({clips})" for tag, clips in zip(pair["tags"], pair["clips_of_each"], strict=True)),
        "clips\nwith both": str(pair["clips"]),
        "Jaccard": _number(pair["jaccard"], 3),
        "lift": _number(pair["lift"], 1),
    }


def _matrix_rows(matrix: Mapping[str, Mapping[str, int]]) -> list[Numbers]:
    return [{"split": one, **{other: str(count) for other, count in row.items()}} for one, row in matrix.items()]


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _table(rows: Sequence[Mapping[str, str]]) -> Table:
    """The first column holds names: folded where numbers leave too little room, never cut."""
    table = Table()
    for number, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if number else "left", overflow="fold", no_wrap=number > 0)
    for row in rows:
        table.add_row(*row.values())
    return table
