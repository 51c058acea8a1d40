"""Negative tags: what each treatment does with labels, on cases worked out by hand."""

import numpy as np
import pytest

from wavetag import negatives

TAGS = ("guitar", "no singer", "male", "no piano", "piano")
LABELS = np.array(
    [
        [1, 0, 0, 0, 0],  # neither of the two says anything of singers or of the piano
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 1],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ],
    dtype=np.uint8,
)
EVERY = np.arange(len(LABELS))


def test_masked_negative_tags_count_where_something_is_known():
    weights = negatives.Treatment("mask", TAGS, LABELS).weights(EVERY)
    assert weights[:, 1].tolist() == [0, 1, 1, 0, 0, 0]  # tagged 'no singer', or 'male'
    assert weights[:, 3].tolist() == [0, 0, 1, 1, 0, 0]  # tagged 'no piano', or 'piano'
    assert (weights[:, [0, 2, 4]] == 1).all()


def test_positives_of_negative_tags_weigh_as_much_as_their_negatives():
    weights = negatives.Treatment("weight", TAGS, LABELS).weights(EVERY)
    assert weights[1, 1] == weights[3, 3] == 5  # one positive of six
    assert weights.sum() == LABELS.size + 4 + 4
    many = np.zeros((100, len(TAGS)), dtype=np.uint8)
    many[0, 1] = 1
    assert negatives.Treatment("weight", TAGS, many).weights(np.array([0]))[0, 1] == negatives.MOST_WEIGHT


def test_clips_with_a_negative_tag_are_drawn_three_times_as_often():
    treatment, generator = negatives.Treatment("oversample", TAGS, LABELS), np.random.default_rng(0)
    drawn = np.bincount(np.concatenate([treatment.order(generator) for _ in range(4_000)]), minlength=6)
    assert drawn.sum() == 6 * 4_000
    assert drawn / drawn.sum() == pytest.approx(np.array([1, 3, 1, 3, 1, 1]) / 10, abs=0.01)


@pytest.mark.parametrize("name", ["plain", "mask", "weight"])
def test_otherwise_every_clip_is_taken_once(name):
    order = negatives.Treatment(name, TAGS, LABELS).order(np.random.default_rng(1))
    assert sorted(order) == EVERY.tolist()


def test_plain_leaves_all_labels_as_they_are():
    assert negatives.Treatment("plain", TAGS, LABELS).weights(EVERY) is None


def test_an_unknown_treatment_is_refused():
    with pytest.raises(ValueError, match="'ignore' is unknown; there are plain, mask, weight, oversample"):
        negatives.Treatment("ignore", TAGS, LABELS)
