"""Examples: test clips that a config tagged well and badly, chosen by a rule and not by hand.

A clip's score is the average precision of its own tags: all tags ranked by probability (mean over seeds), the clip's
true tags being the positives. **Good** is the best clip among those with at least ``LEAST_TAGS`` true tags, **bad** are
the two worst of all. Among equals the clip with more true tags comes first, then the one first in the split.
A true tag is **found** if it is among the ``SHOWN`` most probable.
"""

import numpy as np
import pandas as pd

from wavetag import scoring, splits

GOOD, BAD = "good", "bad"
BAD_CLIPS = 2
LEAST_TAGS = 3  # true tags of the good clip: with one, a lucky guess would do
SHOWN = 8  # predicted tags
COLUMNS = ("example", "clip_id", "path", "average_precision", "rank", "tag", "probability", "true", "found")
RULE = (
    f"Tags are ranked by probability, mean over seeds. Good: the test clip with the highest average precision over its"
    f" tags, among clips with at least {LEAST_TAGS} true tags. Bad: the two with the lowest. A true tag counts as found"
    f" if it is among the {SHOWN} most probable."
)


def clip_average_precision(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Average precision of each clip over the tags.

    Args:
        truth: [clips, tags] of 0 and 1.
        probabilities: [clips, tags].

    Returns:
        [clips], NaN for a clip that has no tag or every tag.
    """
    return scoring.average_precision(truth.T, probabilities.T)


def choose(truth: np.ndarray, probabilities: np.ndarray) -> list[tuple[str, int, float]]:
    """The good clip, then the bad ones, the worst first; no clip twice, and fewer where the clips do not suffice.

    Args:
        truth: [clips, tags] of 0 and 1.
        probabilities: [clips, tags].

    Returns:
        (``GOOD`` or ``BAD``, row of the clip, its average precision).
    """
    precision, true_tags = clip_average_precision(truth, probabilities), truth.sum(axis=1, dtype=int)
    rows = np.flatnonzero(~np.isnan(precision))
    best = sorted(rows[true_tags[rows] >= LEAST_TAGS], key=lambda row: (-precision[row], -true_tags[row], row))[:1]
    others = [row for row in rows if row not in best]
    worst = sorted(others, key=lambda row: (precision[row], -true_tags[row], row))[:BAD_CLIPS]
    chosen = [(GOOD, row) for row in best] + [(BAD, row) for row in worst]
    return [(kind, int(row), float(precision[row])) for kind, row in chosen]


def table(test: splits.Split, predictions: np.ndarray) -> pd.DataFrame:
    """The chosen clips, a row for each tag that is among the most probable or true, by rank.

    Args:
        test: the test clips.
        predictions: [seeds, clips, tags].

    Returns:
        Frame with ``COLUMNS``; ``rank`` counts from 1, and equal probabilities keep the order of the tags.
    """
    probabilities = predictions.mean(axis=0, dtype=np.float64)  # [clips, tags]
    rows = []
    for kind, row, precision in choose(test.labels, probabilities):
        clip = test.clips.iloc[row]
        for rank, tag in enumerate(np.argsort(-probabilities[row], kind="stable"), start=1):
            true = bool(test.labels[row, tag])
            if rank > SHOWN and not true:
                continue
            about_tag = (rank, test.tags[tag], probabilities[row, tag], true, true and rank <= SHOWN)
            rows.append((kind, clip["clip_id"], clip["path"], precision, *about_tag))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def clips(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """``table`` in pieces, one a clip, in order."""
    return [piece for _, piece in frame.groupby(["example", "clip_id", "path"], sort=False)]
