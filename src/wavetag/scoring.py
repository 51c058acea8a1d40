"""Scores of a tagger: ROC-AUC and average precision per tag, their means, and how far chance may move them.

Everything here is a pure function on NumPy arrays. `truth` is `[clips, tags]` of 0 and 1, `score` is
`[clips, tags]` (any real number: the larger, the more likely the tag), `scores` with seeds is
`[seeds, clips, tags]`. A **defined** tag has at least one positive and one negative clip; the score of any other
tag is NaN, and means leave it out.

The interval of a score comes from the Bayesian bootstrap: a resample gives every clip (or every artist) a random
positive weight instead of drawing clips with replacement, so a tag with one positive clip keeps it in all
resamples. All resamples of a tag are scored together, from the weight that lies on, between and below the scores of
its positives: one sparse matrix product a tag.

Sources:
    T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006).
    D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981).
    H. S. Bloom, "Minimum detectable effects", Evaluation Review 19 (1995).
"""

from statistics import NormalDist

import numpy as np

# Weights are scored in blocks of resamples of at most this many numbers (8 MiB). Besides what goes in and comes out,
# scoring a block holds one copy of it and, for the tag at hand, at most eight arrays of its size: under 80 MiB.
BLOCK_NUMBERS = 2**20


def roc_auc(truth, score, weights=None):
    """Area under the ROC curve of each tag: the chance that a positive clip scores above a negative one.

    A tie between a positive and a negative counts one half. With weights, each pair of clips counts by the product
    of its two weights, as `sample_weight` does in scikit-learn.

    Args:
        truth: `[clips, tags]`, 0 or 1.
        score: `[clips, tags]`, real numbers without NaN.
        weights: None (all clips count the same), `[clips]` or `[resamples, clips]`, finite and not negative.

    Returns:
        `[tags]`, or `[resamples, tags]` for two-dimensional weights; between 0 and 1, and NaN where the positives or
        the negatives of a tag have no weight (undefined).

    Raises:
        ValueError: for wrong shapes, no clips, truth other than 0 and 1, NaN scores, weights below 0 or not finite.
    """
    return _score_by_tag(truth, score, weights, _area_under_curve)


def average_precision(truth, score, weights=None):
    """Average precision of each tag: the precision at each threshold, averaged by the gain in recall there.

    Clips with the same score enter together, at one threshold, and nothing is interpolated, as in scikit-learn's
    `average_precision_score`. Chance is the share of positives. Where a tag has no negatives the value would be 1
    whatever the scores, so it is undefined here (NaN), as ROC-AUC is: both means run over the same tags.

    Arguments, shapes and errors are those of `roc_auc`.
    """
    return _score_by_tag(truth, score, weights, _average_of_precisions)


def defined(truth):
    """Tell which tags of truth `[clips, tags]` have a positive and a negative clip: bool `[tags]`."""
    truth = _valid_truth(truth)
    positives = truth.sum(axis=0)
    return (positives > 0) & (positives < len(truth))


def macro_mean(per_tag):
    """Mean over the last axis of those tags that are not NaN; NaN, without a warning, where no tag is left.

    A float for `[tags]`, an array `[...]` for `[..., tags]`.
    """
    per_tag = np.asarray(per_tag, dtype=float)
    known = ~np.isnan(per_tag)
    count = known.sum(axis=-1)
    total = np.where(known, per_tag, 0.0).sum(axis=-1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return float(mean) if mean.ndim == 0 else mean


def bootstrap_weights(groups, resamples, seed, clips=None):
    """Weights of the Bayesian bootstrap, one row a resample.

    Each group draws an independent exponential weight that all its clips share; a row is then scaled so that it sums
    to the number of clips. Without groups each clip is a group of its own.

    Args:
        groups: `[clips]` of integers or strings (the artist of each clip), or None.
        resamples: number of rows, at least 1.
        seed: of NumPy's default generator; the same seed gives the same rows, and more resamples add rows at the end.
        clips: number of clips, needed where `groups` is None.

    Returns:
        float64 `[resamples, clips]`, all above 0.
    """
    group_of_clip = _valid_groups(groups, clips)
    if not isinstance(resamples, int | np.integer) or resamples < 1:
        raise ValueError(f"resamples must be a whole number of at least 1, got {resamples!r}")
    generator = np.random.default_rng(seed)
    draws = generator.standard_exponential((resamples, group_of_clip.max() + 1))
    # The generator can return 0, though hardly ever; a weight of 0 could lose a tag's only positive.
    weights = np.maximum(draws, 1e-12)[:, group_of_clip]
    return weights * (len(group_of_clip) / weights.sum(axis=1, keepdims=True))


def _score_by_tag(truth, score, weights, measure):
    """Apply `measure(positive, negative) -> [columns]` to each tag and each row of weights."""
    truth, score, weights = _valid_truth(truth), np.asarray(score), _valid_weights(weights, len(truth))
    _check_score(score, truth.shape, "score")
    clips, tags = truth.shape
    rows = np.ones((1, clips)) if weights is None else np.atleast_2d(weights)
    ranks = [_rank(truth[:, tag], score[:, tag]) for tag in range(tags)]
    result = np.full((len(rows), tags), np.nan)
    block = max(1, BLOCK_NUMBERS // clips)
    for start in range(0, len(rows), block):
        columns = np.ascontiguousarray(rows[start : start + block].T)  # [clips, block]
        for tag, rank in enumerate(ranks):
            if rank is not None:
                positive, negative = (matrix @ columns for matrix in rank)
                result[start : start + block, tag] = measure(positive, negative)
    return result if weights is not None and weights.ndim == 2 else result[0]


def _rank(truth, score):
    """Place the clips of one tag around its levels, the distinct scores of its positives in ascending order.

    Returns two sparse matrices that add up the weights of clips, or None for an undefined tag:
    positives `[levels, clips]`, one row a level, and negatives `[2 * levels + 1, clips]`, where row 2k + 1 is tied
    with level k, row 2k lies between the levels k - 1 and k, and the last row is above all.
    """
    from scipy.sparse import csr_matrix  # a quarter of a second, for those who score

    positive, negative = np.flatnonzero(truth), np.flatnonzero(~truth)
    if len(positive) == 0 or len(negative) == 0:
        return None
    levels, level_of_positive = np.unique(score[positive], return_inverse=True)
    below = np.searchsorted(levels, score[negative], side="left")
    not_above = np.searchsorted(levels, score[negative], side="right")
    clips = len(truth)
    return (
        csr_matrix((np.ones(len(positive)), (level_of_positive, positive)), (len(levels), clips)),
        csr_matrix((np.ones(len(negative)), (below + not_above, negative)), (2 * len(levels) + 1, clips)),
    )


def _area_under_curve(positive, negative):
    """ROC-AUC from the weights at each level; see `_rank`: `[levels, n]`, `[2 * levels + 1, n]` -> `[n]`."""
    below, tied = np.cumsum(negative, axis=0)[0:-1:2], negative[1::2]
    won = (positive * (below + tied / 2)).sum(axis=0)
    return _ratio(won, positive.sum(axis=0) * negative.sum(axis=0))


def _average_of_precisions(positive, negative):
    """Average precision from the weights at each level; see `_rank`: `[levels, n]`, `[2 * levels + 1, n]` -> `[n]`."""
    true_positives = np.cumsum(positive[::-1], axis=0)  # from the highest level down
    false_positives = np.cumsum(negative[::-1], axis=0)[1::2]
    found = true_positives + false_positives
    # Above the first clip that has any weight nothing is found yet; no recall is gained there either.
    precision = np.divide(true_positives, found, out=np.zeros_like(found), where=found > 0)
    total = (positive[::-1] * precision).sum(axis=0)
    mean = _ratio(total, positive.sum(axis=0))
    return np.where(negative.sum(axis=0) > 0, mean, np.nan)


def _ratio(part, whole):
    """Divide where the whole is above 0; NaN elsewhere."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def _valid_truth(truth):
    """Truth as bool `[clips, tags]`, or a ValueError."""
    truth = np.asarray(truth)
    if truth.ndim != 2 or truth.size == 0:
        raise ValueError(f"truth must be [clips, tags] with at least one of each, got shape {truth.shape}")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("truth must hold 0 and 1 alone")
    return truth.astype(bool)


def _check_score(score, shape, name):
    """Refuse scores of another shape than the truth's, or with NaN."""
    if score.shape != shape:
        raise ValueError(f"{name} must have the shape of truth, {shape}, got {score.shape}")
    if score.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got {score.dtype}")
    if np.isnan(score).any():
        raise ValueError(f"{name} must not hold NaN, got {np.isnan(score).sum()} of them")


def _valid_weights(weights, clips):
    """Weights as float64 `[clips]` or `[resamples, clips]`, or None; or a ValueError."""
    if weights is None:
        return None
    weights = np.asarray(weights, dtype=float)
    if weights.ndim not in (1, 2) or weights.shape[-1] != clips or weights.size == 0:
        raise ValueError(f"weights must be [clips] or [resamples, clips] of {clips} clips, got shape {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("weights must be finite and not negative")
    return weights


def _valid_groups(groups, clips):
    """Number the groups from 0: int `[clips]`, or a ValueError."""
    if groups is None:
        if clips is None or clips < 1:
            raise ValueError(f"clips must be at least 1 where groups is None, got {clips!r}")
        return np.arange(clips)
    groups = np.asarray(groups)
    return np.unique(groups, return_inverse=True)[1]
