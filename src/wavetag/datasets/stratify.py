"""Dealing groups out to splits so that every tag is shared alike: iterative stratification.

K. Sechidis, G. Tsoumakas and I. Vlahavas, "On the stratification of multi-label data", ECML PKDD 2011, algorithm 1;
here what is dealt out are groups of clips (an artist's, a file's), each whole.
"""

from collections.abc import Mapping

import numpy as np


def stratified(labels: np.ndarray, weights: np.ndarray, shares: Mapping[str, float], seed: int) -> np.ndarray:
    """Deal groups out to splits.

    The rarest tag is dealt first: each of its groups, the largest first, goes to the split that lacks most of that tag,
    among equals to the one that lacks most clips, then by chance. So is each next tag, and then what has no tag.

    Args:
        labels: [groups, tags], of how many of its clips each group has which tag.
        weights: [groups], how many clips each group has.
        shares: of each split, above 0; they need not sum to 1.
        seed: of the choices among equals.

    Returns:
        int [groups]: the place in ``shares`` of each group's split. Every split has a group.

    Raises:
        ValueError: fewer groups than splits.
    """
    labels, weights = np.asarray(labels, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    wanted = np.array(list(shares.values()), dtype=np.float64) / sum(shares.values())
    if len(weights) < len(wanted):
        raise ValueError(f"{len(weights)} groups cannot be dealt out to {len(wanted)} splits, {', '.join(shares)}")
    rng = np.random.default_rng(seed)
    chance = rng.permutation(len(weights))
    lacking_clips = wanted * weights.sum()  # [splits]
    lacking = wanted[:, None] * labels.sum(axis=0)  # [splits, tags]
    split_of = np.full(len(weights), -1)

    def deal(groups: np.ndarray, sizes: np.ndarray, tag: int | None) -> None:
        """Deal groups out, the largest first."""
        for group in groups[np.lexsort((chance[groups], -sizes))]:
            need = lacking[:, tag] if tag is not None else np.zeros(len(wanted))
            place = np.lexsort((rng.random(len(wanted)), -lacking_clips, -need))[0]
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
    _fill_empty(split_of, weights, len(wanted))
    return split_of


def _fill_empty(split_of: np.ndarray, weights: np.ndarray, splits: int) -> None:
    """Give a split that got nothing the smallest group of the split with most groups."""
    for place in range(splits):
        counts = np.bincount(split_of, minlength=splits)
        if counts[place] == 0:
            groups = np.flatnonzero(split_of == counts.argmax())
            split_of[groups[np.argmin(weights[groups])]] = place
