"""Confusion among tags where a clip has several: which tag is given in whose place.

The definition is this project's own, as a confusion matrix needs one class a clip and there is none here. A clip with k
true tags is given its k most probable ones. Tag a is **taken for** b on a clip if a is true and not given, b is given
and not true. The **rate** is the share of the clips with a, but without b, on which that happens: 0 for a perfect
ranking, however many tags stand together.
"""

import numpy as np

LEAST = 5  # clips on which a pair that is listed happened: of fewer a rate says little


def given(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The most probable tags of each clip, as many as it has: bool [clips, tags]. Of equals, the first.

    Args:
        truth: [clips, tags] of 0 and 1.
        probabilities: [clips, tags].
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    return ranks < np.asarray(truth).sum(axis=1, dtype=int)[:, None]


def rates(truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each tag is taken for each other.

    Args:
        truth: [clips, tags] of 0 and 1.
        probabilities: [clips, tags].

    Returns:
        The rate [tags, tags], row: the tag that was true and not given, column: the one given in its place; NaN where
        no clip has the one without the other, and on the diagonal. And the number of clips on which it happened.
    """
    truth = np.asarray(truth, dtype=bool)
    chosen = given(truth, probabilities)
    taken = (truth & ~chosen).T.astype(float) @ (chosen & ~truth).astype(float)
    could = truth.T.astype(float) @ (~truth).astype(float)
    with np.errstate(invalid="ignore"):
        rate = np.where(could > 0, taken / np.maximum(could, 1), np.nan)
    np.fill_diagonal(rate, np.nan)
    return rate, np.rint(taken).astype(int)


def strongest(rate: np.ndarray, clips: np.ndarray, tags: tuple[str, ...], count: int, least: int = LEAST) -> list[dict]:
    """The pairs with the highest rates, of those that happened on at least ``least`` clips.

    Returns:
        Dicts of ``true``, ``given``, ``rate`` and ``clips``; of equals those with more clips first.
    """
    rows, columns = np.nonzero(clips >= least)
    order = np.lexsort((columns, rows, -clips[rows, columns], -rate[rows, columns]))[:count]
    return [
        {"true": tags[a], "given": tags[b], "rate": float(rate[a, b]), "clips": int(clips[a, b])}
        for a, b in zip(rows[order], columns[order], strict=True)
    ]
