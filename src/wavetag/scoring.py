"""Scores of a tagger: ROC-AUC and average precision per tag, their means, and how far chance may move them.

Everything here is a pure function on NumPy arrays. `truth` is `[clips, tags]` of 0 and 1, `score` is
`[clips, tags]` (any real number: the larger, the more likely the tag), `scores` with seeds is
`[seeds, clips, tags]`. A **defined** tag has at least one positive and one negative clip; the score of any
other tag is NaN, and means leave it out.

The interval of a score comes from the Bayesian bootstrap: a resample gives every clip (or every artist) a
random positive weight instead of drawing clips with replacement, so a tag with one positive clip keeps it in
all resamples. All resamples of a tag are scored together, from the weight that lies on, between and below the
scores of its positives: one sparse matrix product a tag.

Sources:
    T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006).
    D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981).
    H. S. Bloom, "Minimum detectable effects", Evaluation Review 19 (1995).
"""

from statistics import NormalDist

import numpy as np

# Weights are scored in blocks of resamples of at most this many numbers (8 MiB). Besides what goes in and
# comes out, scoring a block holds one copy of it and, for the tag at hand, at most ten arrays of its size:
# under 100 MiB, whatever the number of resamples.
BLOCK_NUMBERS = 2**20


def roc_auc(truth, score, weights=None):
    """Area under the ROC curve of each tag: the chance that a positive clip scores above a negative one.

    A tie between a positive and a negative counts one half. With weights, each pair of clips counts by the
    product of its two weights, as `sample_weight` does in scikit-learn.

    Args:
        truth: `[clips, tags]`, 0 or 1.
        score: `[clips, tags]`, real numbers without NaN.
        weights: None (all clips count the same), `[clips]` or `[resamples, clips]`, finite and not negative.

    Returns:
        `[tags]`, or `[resamples, tags]` for two-dimensional weights; between 0 and 1, and NaN where the
        positives or the negatives of a tag have no weight (undefined).

    Raises:
        ValueError: for wrong shapes, no clips, truth other than 0 and 1, NaN scores, weights below 0 or not
        finite.
    """
    return _score_by_tag(truth, score, weights, _area_under_curve)


def average_precision(truth, score, weights=None):
    """Average precision of each tag: the precision at each threshold, averaged by the gain in recall there.

    Clips with the same score enter together, at one threshold, and nothing is interpolated, as in
    scikit-learn's `average_precision_score`. Chance is the share of positives. Where a tag has no negatives
    the value would be 1 whatever the scores, so it is undefined here (NaN), as ROC-AUC is: both means run
    over the same tags.

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

    Each group draws an independent exponential weight that all its clips share; a row is then scaled so that
    it sums to the number of clips. Without groups each clip is a group of its own.

    Args:
        groups: `[clips]` of integers or strings (the artist of each clip), or None.
        resamples: number of rows, at least 1.
        seed: of NumPy's default generator; the same seed gives the same rows, and more resamples add rows at
        the end.
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


def bootstrap_interval(
    truth, scores, groups=None, resamples=1000, seed=0, level=0.95, metric=roc_auc
) -> tuple[float, float]:
    """Interval of a mean score (over seeds, of the macro mean): how far another choice of clips may move it.

    The interval is the estimate plus the quantiles of the resamples' deviations from their own mean. Two
    corrections are in it. Average precision is larger the fewer positives there are, and uneven weights act
    like fewer positives, so the resamples lie above the estimate: deviations from their mean do not. And the
    Bayesian bootstrap of a mean of k values has a variance of (k - 1) / (k + 1) times the right one, which
    tells where the positives of a tag are few: each tag's deviations are divided by the root of that, with k
    the effective number of groups (Kish) that hold its positives or its negatives, the smaller, at least 2.

    What is covered is the mean score over test sets of this size, for the networks at hand: the spread over
    training seeds is not in it. It stays too narrow (some 90 % at a level of 95 %) where most tags lie with
    two or three artists: nothing in such a test set tells how other artists would do.

    Args:
        truth: `[clips, tags]`, 0 or 1.
        scores: `[seeds, clips, tags]` or `[clips, tags]`. All seeds of a resample get the same weights.
        groups: `[clips]`, the artist of each clip: clips of one artist are not independent, so artists are
        resampled.
            None resamples clips, which is too narrow where artists differ.
        resamples, seed: as in `bootstrap_weights`.
        level: chance of covering, between 0 and 1.
        metric: `metric(truth, score, weights) -> [resamples, tags]`, such as `roc_auc` and
        `average_precision`.

    Returns:
        (low, high); both NaN with fewer than two groups, or with no defined tag.
    """
    truth, scores = _valid_truth(truth), _with_seeds(scores, truth, "scores")
    deviations = _deviations(truth, scores, groups, resamples, seed, metric)
    return _interval(_mean_over_seeds(truth, scores, metric), deviations, level)


def contrasts(truth, scores, terms, groups=None, resamples=1000, seed=0, level=0.95, metric=roc_auc) -> dict:
    """Sums of mean scores of several configs, each times a factor, all scored on the same resamples.

    Args:
        scores: config -> scores, as in `bootstrap_interval`; the numbers of seeds may differ.
        terms: label -> config -> factor. For a difference {"a": 1, "b": -1}; for an interaction
            {"both": 1, "first": -1, "second": -1, "neither": 1}.
        truth, groups, resamples, seed, level, metric: as in `bootstrap_interval`.

    Returns:
        label -> {"difference": the sum, "low": ..., "high": ..., "sd": standard error, from the choice of clips
        alone}
    """
    truth = _valid_truth(truth)
    needed = {name for factors in terms.values() for name in factors}
    if not all(terms.values()) or not needed <= set(scores):
        raise ValueError(f"terms must name at least one of {', '.join(scores)} each, and no other, got {terms}")
    scores = {name: _with_seeds(scores[name], truth, f"scores of {name}") for name in needed}
    means = {name: _mean_over_seeds(truth, of_config, metric) for name, of_config in scores.items()}
    spread = {
        name: _deviations(truth, of_config, groups, resamples, seed, metric) for name, of_config in scores.items()
    }
    results = {}
    for label, factors in terms.items():
        estimate = sum(factor * means[name] for name, factor in factors.items())
        deviations = sum(factor * spread[name] for name, factor in factors.items())
        low, high = _interval(estimate, deviations, level)
        standard_error = float(np.sqrt(np.square(deviations).mean()))
        results[label] = {"difference": estimate, "low": low, "high": high, "sd": standard_error}
    return results


def paired_difference(
    truth, scores_a, scores_b, groups=None, resamples=1000, seed=0, level=0.95, metric=roc_auc
) -> dict:
    """How much better a is than b: the contrast of a less b, with an interval.

    What makes the clips of a resample hard is so for both and cancels, so the interval is narrower than the
    two single ones suggest. The spread over training seeds is not in it.

    Returns:
        {"difference": ..., "low": ..., "high": ..., "sd": ...}
    """
    scores, terms = {"a": scores_a, "b": scores_b}, {"a less b": {"a": 1, "b": -1}}
    return contrasts(truth, scores, terms, groups, resamples, seed, level, metric)["a less b"]


def smallest_detectable_difference(
    truth,
    scores_a,
    scores_b,
    groups=None,
    resamples=1000,
    seed=0,
    significance=0.05,
    power=0.8,
    metric=roc_auc,
    over_seeds=False,
) -> float:
    """The smallest true difference between two configs that this test set would show.

    Bloom's minimum detectable effect: (z(1 - significance / 2) + z(power)) times the standard error of the
    difference, which is 2.80 standard errors for a two-sided test at 5 % with a power of 80 %: were the true
    difference that large, four of five such test sets would find it significant.

    Args:
        truth, scores_a, scores_b, groups, resamples, seed, metric: as in `paired_difference`.
        significance, power: between 0 and 1.
        over_seeds: False takes the paired bootstrap's standard error: chance is in the choice of clips alone
            and the answer concerns these trained networks. True adds the variance of the two means over
            training seeds, so it concerns the two configs, trained again; both need at least two seeds.
    """
    for name, value in {"significance": significance, "power": power}.items():
        _check_open_unit(value, name)
    standard_error = paired_difference(truth, scores_a, scores_b, groups, resamples, seed, metric=metric)["sd"]
    variance = standard_error**2
    if over_seeds:
        for name, scores in {"scores_a": scores_a, "scores_b": scores_b}.items():
            of_mean = variance_over_seeds(truth, scores, metric)
            if np.isnan(of_mean):
                raise ValueError(f"{name} must hold at least two seeds where over_seeds is True, got one")
            variance += of_mean
    normal = NormalDist()
    return (normal.inv_cdf(1 - significance / 2) + normal.inv_cdf(power)) * variance**0.5


def variance_over_seeds(truth, scores, metric=roc_auc) -> float:
    """Variance of a config's mean score that is due to the choice of its training seeds; NaN with one seed."""
    of_seeds = _macro_by_seed(truth, _with_seeds(scores, _valid_truth(truth), "scores"), metric)
    return float(np.var(of_seeds, ddof=1)) / len(of_seeds) if len(of_seeds) > 1 else float("nan")


def score_table(truth, scores, tags, groups, resamples=1000, seed=0) -> dict:
    """The scores of a config, as its metrics file holds them.

    Args:
        truth: `[clips, tags]`, 0 or 1.
        scores: `[seeds, clips, tags]` or `[clips, tags]`.
        tags: the names of the tags, in order.
        groups: `[clips]`, the artist of each clip.
        resamples, seed: as in `bootstrap_weights`.

    Returns:
        For METRIC in `roc_auc` and `average_precision`: METRIC, the mean over seeds of the macro mean;
        METRIC_sd, over seeds, with n - 1, None for one seed; METRIC_ci and METRIC_ci_clip, [low, high] at
        95 %, artists and clips resampled. And `tags_defined`, a number, and `tags_undefined`, names. A number
        that is undefined is None, so that the table can be written as JSON.
    """
    truth, scores = _valid_truth(truth), _with_seeds(scores, truth, "scores")
    known = defined(truth)
    tags = _valid_tags(tags, truth)
    if groups is None:
        raise ValueError("groups must name the artist of each clip, got None")
    table = {}
    for metric in (roc_auc, average_precision):
        name = metric.__name__
        of_seeds = _macro_by_seed(truth, scores, metric)
        by_artist = bootstrap_interval(truth, scores, groups, resamples, seed, metric=metric)
        by_clip = bootstrap_interval(truth, scores, None, resamples, seed, metric=metric)
        table[name] = _number(of_seeds.mean())
        table[f"{name}_sd"] = _spread(of_seeds)
        table[f"{name}_ci"] = [_number(end) for end in by_artist]
        table[f"{name}_ci_clip"] = [_number(end) for end in by_clip]
    table["tags_undefined"] = [tag for tag, is_known in zip(tags, known, strict=True) if not is_known]
    table["tags_defined"] = int(known.sum())
    return table


def per_tag_table(truth, scores, tags) -> list[dict]:
    """The scores of each tag, one row a tag, in the order of `tags`.

    Returns:
        Rows of tag, positives, negatives, roc_auc, roc_auc_sd, average_precision, average_precision_sd: means
        and standard deviations (n - 1) over seeds; None where undefined, and for the deviation of one seed.
    """
    truth, scores = _valid_truth(truth), _with_seeds(scores, truth, "scores")
    tags = _valid_tags(tags, truth)
    by_metric = {
        metric.__name__: np.stack([metric(truth, score) for score in scores])  # [seeds, tags]
        for metric in (roc_auc, average_precision)
    }
    rows = []
    for index, tag in enumerate(tags):
        positives = int(truth[:, index].sum())
        row = {"tag": tag, "positives": positives, "negatives": len(truth) - positives}
        for name, values in by_metric.items():
            row[name] = _number(values[:, index].mean())
            row[f"{name}_sd"] = _spread(values[:, index])
        rows.append(row)
    return rows


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
    positives `[levels, clips]`, one row a level, and negatives `[2 * levels + 1, clips]`, where row 2k + 1 is
    tied with level k, row 2k lies between the levels k - 1 and k, and the last row is above all.
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
    """Average precision from the weights at each level; shapes as in `_area_under_curve`."""
    true_positives = np.cumsum(positive[::-1], axis=0)  # from the highest level down
    false_positives = np.cumsum(negative[::-1], axis=0)[1::2]
    found = true_positives + false_positives
    # Above the first clip that has any weight nothing is found yet; no recall is gained there either.
    precision = np.divide(true_positives, found, out=np.zeros_like(found), where=found > 0)
    total = (positive[::-1] * precision).sum(axis=0)
    mean = _ratio(total, positive.sum(axis=0))
    return np.where(negative.sum(axis=0) > 0, mean, np.nan)


def _deviations(truth, scores, groups, resamples, seed, metric):
    """How far each resample moves the mean score, `[resamples]`, as `bootstrap_interval` says.

    NaN with one group.
    """
    clips = len(truth)
    group_of_clip = _valid_groups(groups, clips)
    weights = bootstrap_weights(group_of_clip, resamples, seed)
    if group_of_clip.max() == 0:
        return np.full(resamples, np.nan)
    per_tag = sum(metric(truth, score, weights) for score in scores) / len(scores)  # [resamples, tags]
    around_mean = per_tag - per_tag.mean(axis=0)
    return macro_mean(around_mean * _widening(truth, group_of_clip))


def _widening(truth, group_of_clip):
    """Factor by which each tag's deviations are too small, from the effective number of its groups: `[tags]`.

    Kish's number of the groups that hold a tag's clips is (sum of n)^2 / sum of n^2, with n the clips a
    group; the scarcer of positives and negatives decides.
    """
    effective = np.full(truth.shape[1], np.inf)
    for side in (truth, ~truth):
        held = np.zeros((group_of_clip.max() + 1, truth.shape[1]))
        np.add.at(held, group_of_clip, side)
        effective = np.minimum(effective, held.sum(axis=0) ** 2 / np.maximum(np.square(held).sum(axis=0), 1))
    effective = np.maximum(effective, 2)
    return np.sqrt((effective + 1) / (effective - 1))


def _interval(estimate, deviations, level):
    """The estimate plus the quantiles of the deviations that leave out (1 - level) / 2 at each end."""
    _check_open_unit(level, "level")
    tail = (1 - level) / 2
    low, high = estimate + np.quantile(deviations, [tail, 1 - tail])
    return float(low), float(high)


def _macro_by_seed(truth, scores, metric):
    """Macro mean of each seed: `[seeds]`."""
    return np.array([macro_mean(metric(truth, score)) for score in scores])


def _mean_over_seeds(truth, scores, metric):
    """Mean over seeds of the macro mean: float."""
    return float(_macro_by_seed(truth, scores, metric).mean())


def _number(value):
    """A plain float, None for NaN."""
    return None if np.isnan(value) else float(value)


def _spread(values):
    """Standard deviation with n - 1 as a plain float; None for one value or NaN."""
    return _number(np.std(values, ddof=1)) if len(values) > 1 else None


def _ratio(part, whole):
    """Divide where the whole is above 0; NaN elsewhere. Rounding may not lift a share above 1."""
    return np.minimum(np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0), 1)


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


def _with_seeds(scores, truth, name):
    """Scores as `[seeds, clips, tags]`, or a ValueError."""
    scores = np.asarray(scores)
    if scores.ndim == 2:
        scores = scores[np.newaxis]
    if scores.ndim != 3 or len(scores) == 0:
        raise ValueError(f"{name} must be [seeds, clips, tags] or [clips, tags], got shape {scores.shape}")
    for score in scores:
        _check_score(score, truth.shape, name)
    return scores


def _valid_tags(tags, truth):
    """The tags as a list, one a column of truth, or a ValueError."""
    tags = list(tags)
    if len(tags) != truth.shape[1]:
        raise ValueError(f"tags must name the {truth.shape[1]} columns of truth, got {len(tags)} names")
    return tags


def _check_open_unit(value, name):
    """Refuse what is not strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, got {value!r}")


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
    if groups.ndim != 1 or len(groups) == 0 or (clips is not None and len(groups) != clips):
        wanted = "[clips]" if clips is None else f"[clips] of {clips} clips"
        raise ValueError(f"groups must be {wanted}, got shape {groups.shape}")
    values = groups.tolist()
    if not (all(isinstance(value, int) for value in values) or all(isinstance(value, str) for value in values)):
        raise ValueError("groups must hold integers or strings alone: a clip without an artist needs a name of its own")
    return np.unique(groups, return_inverse=True)[1]
