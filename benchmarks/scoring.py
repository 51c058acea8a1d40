"""Times the scores of a test set, with 1,000 resamples for their intervals, against a loop over scikit-learn.

Both score the same resamples. The loop is run on a few of them and multiplied; the two take turns, so that a busy
machine slows both. "All of it" is what evaluating a config writes: three scores on three views of the test clips, with
intervals by artists and by clips, and those of every tag; the loop that it is compared with scores the same numbers.
Run with one thread: OMP_NUM_THREADS=1 python benchmarks/scoring.py
"""

import argparse
import time

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from wavetag import evaluations, scoring, splits

PAIRS = ((scoring.roc_auc, roc_auc_score), (scoring.average_precision, average_precision_score))
ARTISTS = 75  # as MagnaTagATune's test clips have; the shares are its too
TAGGED, DISJOINT = 0.824, 0.356


def seconds(function):
    """What a call returns, and how long it took."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def test_set(clips: int, tags: int, seeds: int, rng: np.random.Generator) -> tuple[splits.Split, np.ndarray]:
    """Test clips of which so many are tagged, and predictions, [seeds, clips, tags]."""
    labels = rng.random((clips, tags)) < np.geomspace(0.01, 0.3, tags)
    labels[np.arange(clips), rng.integers(0, tags, clips)] = True
    labels = np.concatenate([labels, np.zeros((round(clips * (1 / TAGGED - 1)), tags), dtype=bool)])
    shares = rng.lognormal(size=ARTISTS)
    artists = rng.choice(ARTISTS, len(labels), p=shares / shares.sum())
    disjoint = artists < ARTISTS * DISJOINT
    table = pd.DataFrame({"artist": artists.astype(str), "artist_disjoint": disjoint.astype(int)})
    split = splits.Split(table, tuple(f"tag {number}" for number in range(tags)), labels.astype(np.uint8))
    predictions = (rng.normal(size=(seeds, *labels.shape)) + labels).astype(np.float32)
    return split, predictions


def loop(reference, truth, score, weights):
    """The reference's score of each tag with each row of weights: [resamples, tags]."""
    columns = range(truth.shape[1])
    return [[reference(truth[:, tag], score[:, tag], sample_weight=row) for tag in columns] for row in weights]


def rows(clips: int = 4392, tags: int = 50, resamples: int = 1000, looped: int = 4, rounds: int = 3):
    """For the table: what, ours, what it is compared with, the other's, ratio."""
    test, predictions = test_set(clips, tags, 5, np.random.default_rng(0))
    views = {name: test.view(name) for name in splits.VIEWS}
    truth, score = (values[views[splits.TAGGED]] for values in (test.labels, predictions[0]))
    weights = scoring.bootstrap_weights(None, resamples, 0, clips=len(truth))
    scoring.roc_auc(truth, score)  # imports what it needs
    found = []
    for metric, reference in PAIRS:
        ours, theirs = [], []
        for _ in range(rounds):
            together, taken = seconds(lambda metric=metric: metric(truth, score, weights))
            ours.append(taken)
            one_by_one, taken = seconds(lambda reference=reference: loop(reference, truth, score, weights[:looped]))
            theirs.append(taken * resamples / looped)
        largest = np.abs(together[:looped] - one_by_one).max()
        what = f"{metric.__name__}, {tags} tags, {resamples} resamples, {clips} clips"
        found.append(compared(what, ours, theirs, looped, largest))

    ours, theirs = [], []
    per_clip, known = scoring.clip_roc_auc(truth, score), ~truth.all(axis=1)
    for _ in range(rounds):
        ours.append(seconds(lambda: scoring.clip_roc_auc(truth, score))[1])
        expected, taken = seconds(lambda: list(map(roc_auc_score, truth[known], score[known])))
        theirs.append(taken)
    largest = np.abs(per_clip[known] - expected).max()
    found.append(compared(f"clip_roc_auc, {tags} tags, {clips} clips", ours, theirs, None, largest))

    ours, theirs = {seeds: [] for seeds in (1, 3, 5)}, []
    for _ in range(rounds):
        for seeds, of_seeds in ours.items():
            of_seeds.append(seconds(lambda seeds=seeds: all_of_it(test, predictions[:seeds], resamples))[1])
        each = 0.0
        for chosen in views.values():
            part = test.labels[chosen], predictions[0, chosen]
            few = scoring.bootstrap_weights(None, looped, 0, clips=chosen.sum())
            for _, reference in PAIRS:
                each += seconds(lambda reference=reference, part=part, few=few: loop(reference, *part, few))[1]
        theirs.append(each / looped * 2 * resamples)  # artists and clips
    for seeds, of_seeds in ours.items():
        what = f"all of it, {tags} tags, {resamples} resamples, {clips} tagged clips, seeds: {seeds}"
        found.append(compared(what, of_seeds, [seeds * taken for taken in theirs], looped, None))
    return found


def all_of_it(test: splits.Split, predictions: np.ndarray, resamples: int) -> None:
    """What evaluating a config computes."""
    evaluations.score_views(test, predictions, resamples, 0, 6)
    evaluations.by_tag(test, predictions, resamples, 0)


def compared(what, ours, theirs, looped, largest):
    """One row of the table."""
    against = "loop over scikit-learn" + (f" (from {looped} resamples)" if looped else "")
    against += "" if largest is None else f", largest difference {largest:.0e}"
    ours, theirs = np.median(ours), np.median(theirs)
    return what, duration(ours), against, duration(theirs), f"{theirs / ours:.0f}"


def duration(taken):
    """Seconds to two figures or more."""
    return f"{taken:.0f} s" if taken >= 10 else f"{taken:.2g} s"


def main():
    """Print the median times, their ratio, and the largest difference between the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=4392, help="tagged ones; there are a fifth more")
    parser.add_argument("--tags", type=int, default=50)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--looped", type=int, default=4, help="resamples that the loop over scikit-learn scores")
    parser.add_argument("--rounds", type=int, default=3)
    for row in rows(**vars(parser.parse_args())):
        print("  ".join(row))


if __name__ == "__main__":
    main()
