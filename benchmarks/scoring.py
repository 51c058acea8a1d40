"""Times a bootstrap of ROC-AUC over 50 tags against the same by a loop over scikit-learn.

Both score the same resamples. The loop is run on a few of them and multiplied; the two take turns, so that a busy
machine slows both. Run with one thread: OMP_NUM_THREADS=1 python benchmarks/scoring.py
"""

import argparse
import time

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from wavetag import scoring


def seconds(function):
    """What a call returns, and how long it took."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def rows(clips: int = 5000, tags: int = 50, resamples: int = 1000, looped: int = 4, rounds: int = 3):
    """For the table: what, ours, what it is compared with, the other's, ratio."""
    rng = np.random.default_rng(0)
    shares = np.geomspace(0.01, 0.2, tags)
    truth = rng.random((clips, tags)) < shares
    score = rng.normal(size=truth.shape) + truth
    weights = scoring.bootstrap_weights(None, resamples, 0, clips=clips)
    few = weights[:looped]
    scoring.roc_auc(truth, score)  # imports what it needs
    found = []
    for metric, reference in ((scoring.roc_auc, roc_auc_score), (scoring.average_precision, average_precision_score)):
        ours, loop = [], []
        for _ in range(rounds):
            together, duration = seconds(lambda metric=metric: metric(truth, score, weights))
            ours.append(duration)
            one_by_one, duration = seconds(
                lambda reference=reference: [
                    [reference(truth[:, tag], score[:, tag], sample_weight=row) for tag in range(tags)] for row in few
                ]
            )
            loop.append(duration * resamples / len(few))
        largest = np.abs(together[: len(few)] - one_by_one).max()
        found.append(
            (
                f"{metric.__name__}, {tags} tags, {resamples} resamples, {clips} clips",
                f"{np.median(ours):.2f} s",
                f"loop over scikit-learn (from {looped} resamples), largest difference {largest:.0e}",
                f"{np.median(loop):.0f} s",
                f"{np.median(loop) / np.median(ours):.0f}",
            )
        )
    return found


def main():
    """Print the median times, their ratio, and the largest difference between the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=5000)
    parser.add_argument("--tags", type=int, default=50)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--looped", type=int, default=4, help="resamples that the loop over scikit-learn scores")
    parser.add_argument("--rounds", type=int, default=3)
    for row in rows(**vars(parser.parse_args())):
        print("  ".join(row))


if __name__ == "__main__":
    main()
