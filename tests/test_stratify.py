"""Groups dealt out to splits: each whole, every tag shared alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavetag.datasets.stratify import stratified

SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}


def names_of(groups):
    return [f"artist {group}" for group in range(groups)]


def random_labels(groups, tags, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 6, groups)
    return rng.binomial(weights[:, None], np.geomspace(0.02, 0.5, tags)), weights


def worst_deviation(labels, split_of):
    """How far, at most, the share of a tag in a split is from what it should be."""
    shares = np.stack([labels[split_of == place].sum(axis=0) for place in range(3)]) / labels.sum(axis=0)
    return np.abs(shares - np.array(list(SHARES.values()))[:, None]).max()


def test_tags_are_shared_as_wanted_and_better_than_by_chance():
    labels, weights = random_labels(200, 20)
    split_of = stratified(labels, weights, SHARES, names_of(len(weights)), 0)
    by_chance = np.random.default_rng(0).choice(3, 200, p=list(SHARES.values()))
    assert worst_deviation(labels, split_of) < 0.5 * worst_deviation(labels, by_chance)
    assert worst_deviation(labels[:, 10:], split_of) < 0.05, "but for the rarest, of which there are too few to share"
    clips = np.bincount(split_of, weights=weights) / weights.sum()
    np.testing.assert_allclose(clips, list(SHARES.values()), atol=0.05)


def test_a_tag_that_ten_groups_have_is_in_every_split():
    labels, weights = np.zeros((100, 1)), np.ones(100)
    labels[::10] = 1
    split_of = stratified(labels, weights, SHARES, names_of(len(weights)), 0)
    assert np.bincount(split_of[::10], minlength=3).tolist() == [7, 1, 2]


@settings(max_examples=60, deadline=None)
@given(groups=st.integers(3, 40), tags=st.integers(1, 6), seed=st.integers(0, 1_000))
def test_every_group_has_a_split_every_split_a_group_and_the_same_seed_the_same(groups, tags, seed):
    labels, weights = random_labels(groups, tags, seed)
    split_of = stratified(labels, weights, SHARES, names_of(groups), seed)
    assert set(split_of) == {0, 1, 2}
    np.testing.assert_array_equal(split_of, stratified(labels, weights, SHARES, names_of(groups), seed))


@settings(max_examples=60, deadline=None)
@given(groups=st.integers(3, 40), tags=st.integers(1, 6), seed=st.integers(0, 1_000))
def test_the_order_of_the_groups_does_not_matter(groups, tags, seed):
    labels, weights = random_labels(groups, tags, seed)
    order, names = np.random.default_rng(seed).permutation(groups), np.array(names_of(groups))
    split_of = stratified(labels, weights, SHARES, names, seed)
    np.testing.assert_array_equal(
        split_of[order], stratified(labels[order], weights[order], SHARES, names[order], seed)
    )


@pytest.mark.parametrize("seed", range(4))
def test_one_group_more_moves_few_of_the_others(seed):
    labels, weights = random_labels(301, 20, seed)
    before = stratified(labels[1:], weights[1:], SHARES, names_of(301)[1:], seed)
    after = stratified(labels, weights, SHARES, names_of(301), seed)
    assert (before != after[1:]).sum() <= 30, "of 300; dealt out anew some 140 would move"


def test_another_seed_gives_another_split():
    labels, weights = random_labels(100, 5)
    one, other = (stratified(labels, weights, SHARES, names_of(100), seed) for seed in (0, 1))
    assert (one != other).sum() > 20


@settings(max_examples=60, deadline=None)
@given(tagged=st.integers(3, 6), groups=st.integers(7, 40), seed=st.integers(0, 1_000))
def test_every_split_has_a_group_with_a_tag(tagged, groups, seed):
    labels, weights = random_labels(groups, 2, seed)
    labels[tagged:] = 0
    labels[:tagged, 0] = np.maximum(labels[:tagged, 0], 1)
    split_of = stratified(labels, weights, SHARES, names_of(groups), seed)
    assert set(split_of[:tagged]) == {0, 1, 2}
    needed = np.arange(groups) >= groups - 3
    split_of = stratified(labels, weights, SHARES, names_of(groups), seed, needed)
    assert set(split_of[needed]) == {0, 1, 2}


def test_fewer_groups_than_splits_are_refused():
    with pytest.raises(ValueError, match="2 groups cannot be dealt out to 3 splits, train, valid, test"):
        stratified(np.ones((2, 1)), np.ones(2), SHARES, names_of(2), 0)
