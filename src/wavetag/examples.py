"""Examples: test clips that a config tagged best, worst and as usual, chosen by a rule and not by hand.

A clip's score is the average precision of its own tags: all tags ranked by probability (mean over seeds), the clip's
true tags being the positives. **Best** are the highest among clips with at least ``LEAST_TAGS`` true tags, **worst**
the lowest of all, **typical** those nearest the median of all. Among equals the clip with more true tags comes first,
then the one first in the split. No song is shown twice.
A true tag is **found** if it is among the ``SHOWN`` most probable.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from wavetag import scoring, splits

BEST, TYPICAL, WORST = "best", "typical", "worst"
OF_A_FIGURE = {BEST: 1, WORST: 2}  # how many of each kind: as in the report
OF_A_PAGE = {BEST: 3, TYPICAL: 3, WORST: 3}
LEAST_TAGS = 3  # true tags of the best clips: with one, a lucky guess would do
SHOWN = 8  # predicted tags
COLUMNS = ("example", "clip_id", "path", "average_precision", "rank", "tag", "probability", "true", "found")
RULE = (
    "Tags are ranked by probability, mean over seeds; a clip's score is the average precision over its tags. Best: the"
    f" highest, among test clips with at least {LEAST_TAGS} true tags. Worst: the lowest of all. Typical: the nearest"
    f" to the median of all. No song stands twice. A true tag counts as found if it is among the {SHOWN} most probable."
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


def choose(
    truth: np.ndarray,
    probabilities: np.ndarray,
    counts: Mapping[str, int] = OF_A_FIGURE,
    songs: Sequence[str] | None = None,
) -> list[tuple[str, int, float]]:
    """Clips of each kind, the most extreme first; no clip or song twice, and fewer where the clips do not suffice.

    Args:
        truth: [clips, tags] of 0 and 1.
        probabilities: [clips, tags].
        counts: kind -> how many, in the order to choose in.
        songs: of each clip; None: each its own.

    Returns:
        (kind, row of the clip, its average precision).
    """
    precision, true_tags = clip_average_precision(truth, probabilities), truth.sum(axis=1, dtype=int)
    rows = np.flatnonzero(~np.isnan(precision))
    songs = np.arange(len(truth)) if songs is None else np.asarray(songs)
    middle = np.median(precision[rows]) if len(rows) else 0.0
    orders = {
        BEST: sorted(rows[true_tags[rows] >= LEAST_TAGS], key=lambda row: (-precision[row], -true_tags[row], row)),
        WORST: sorted(rows, key=lambda row: (precision[row], -true_tags[row], row)),
        TYPICAL: sorted(rows, key=lambda row: (abs(precision[row] - middle), -true_tags[row], row)),
    }
    chosen, seen = [], set()
    for kind, count in counts.items():
        left = count
        for row in orders[kind]:
            if left and songs[row] not in seen:
                seen.add(songs[row])
                chosen.append((kind, int(row), float(precision[row])))
                left -= 1
    return chosen


def table(test: splits.Split, predictions: np.ndarray, counts: Mapping[str, int] = OF_A_FIGURE) -> pd.DataFrame:
    """The chosen clips, a row for each tag that is among the most probable or true, by rank.

    Args:
        test: the test clips.
        predictions: [seeds, clips, tags].
        counts: kind -> how many clips.

    Returns:
        Frame with ``COLUMNS``; ``rank`` counts from 1, and equal probabilities keep the order of the tags.
    """
    probabilities = predictions.mean(axis=0, dtype=np.float64)  # [clips, tags]
    rows = []
    for kind, row, precision in choose(test.labels, probabilities, counts, test.clips["song"].to_list()):
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
