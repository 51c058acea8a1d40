"""Dealing groups out to splits so that every tag is shared alike: iterative stratification.

K. Sechidis, G. Tsoumakas and I. Vlahavas, "On the stratification of multi-label data", ECML PKDD 2011, algorithm 1;
here what is dealt out are groups of clips (an artist's, a file's), each whole, and chance is a hash of a group's name:
where the paper draws, a group goes where it went before others came or left, so that few of those move.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np


def stratified(
    labels: np.ndarray,
    weights: np.ndarray,
    shares: Mapping[str, float],
    names: Sequence[str],
    seed: int,
    needed: np.ndarray | None = None,
) -> np.ndarray:
    """Deal groups out to splits.

    The rarest tag is dealt first: each of its groups, the largest first, goes to the split that chance has for it if
    that lacks so many clips of the tag; else to the split that lacks most of them, among equals to the one that lacks
    most clips. So is each next tag, and then what has no tag.

    Args:
        labels: [groups, tags], of how many of its clips each group has which tag.
        weights: [groups], how many clips each group has.
        shares: of each split, above 0; they need not sum to 1.
        names: of the groups, each once: with ``seed`` they are all that chance depends on.
        seed: of chance.
        needed: bool [groups], of which every split is to have one; those with a tag, if not given.

    Returns:
        int [groups]: the place in ``shares`` of each group's split. Every split has a group, and a needed one if there
        are as many of these as splits. The order of the groups does not matter.

    Raises:
        ValueError: fewer groups than splits.
    """
    labels, weights = np.asarray(labels, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    wanted = np.array(list(shares.values()), dtype=np.float64) / sum(shares.values())
    if len(weights) < len(wanted):
        raise ValueError(f"{len(weights)} groups cannot be dealt out to {len(wanted)} splits, {', '.join(shares)}")
    turn, lot = _chances(names, seed).T
    drawn = np.searchsorted(np.cumsum(wanted)[:-1], lot, side="right")  # [groups], the split that chance has for each
    lacking_clips = wanted * weights.sum()  # [splits]
    lacking = wanted[:, None] * labels.sum(axis=0)  # [splits, tags]
    split_of = np.full(len(weights), -1)

    def deal(groups: np.ndarray, sizes: np.ndarray, tag: int | None) -> None:
        """Deal groups out, the largest first."""
        for at in np.lexsort((turn[groups], -sizes)):
            group = groups[at]
            need = np.round(lacking_clips if tag is None else lacking[:, tag], 9)  # 1 is not to be 0.9999999999999999
            place = drawn[group]
            if need[place] < sizes[at]:
                place = np.lexsort((-np.round(lacking_clips, 9), -need))[0]
            split_of[group] = place
            lacking[place] -= labels[group]
            lacking_clips[place] -= weights[group]

    while True:
        waiting = split_of < 0
        holders = (labels[waiting] > 0).sum(axis=0)  # [tags]
        if not holders.any():
            break
        tag = int(np.argmin(np.where(holders > 0, holders, np.iinfo(int).max)))
        groups = np.flatnonzero(waiting & (labels[:, tag] > 0))
        deal(groups, labels[groups, tag], tag)
    rest = np.flatnonzero(split_of < 0)
    deal(rest, weights[rest], None)
    needed = labels.any(axis=1) if needed is None else np.asarray(needed, dtype=bool)
    counted = needed if needed.sum() >= len(wanted) else np.ones(len(weights), dtype=bool)
    _fill_empty(split_of, weights, turn, counted, len(wanted))
    return split_of


def _chances(names: Sequence[str], seed: int) -> np.ndarray:
    """Two numbers from 0 to 1 for each name: float64 [names, 2]."""
    digests = [hashlib.sha256(f"{seed} {name}".encode()).digest() for name in names]
    return np.frombuffer(b"".join(digest[:16] for digest in digests), dtype=">u8").reshape(-1, 2) / 2.0**64


def _fill_empty(split_of: np.ndarray, weights: np.ndarray, turn: np.ndarray, counted: np.ndarray, splits: int) -> None:
    """Give a split with none of the counted groups the smallest of the split with most of them."""
    for place in range(splits):
        counts = np.bincount(split_of[counted], minlength=splits)
        if counts[place] == 0:
            groups = np.flatnonzero(counted & (split_of == counts.argmax()))
            split_of[groups[np.lexsort((turn[groups], weights[groups]))[0]]] = place
