"""Scores of a tagger: ROC-AUC and average precision per tag, ROC-AUC per clip, their means, and how far chance may go.

Everything here is a pure function on NumPy arrays. `truth` is `[clips, tags]` of 0 and 1, `score` is
`[clips, tags]` (any real number: the larger, the more likely the tag), `scores` with seeds is
`[seeds, clips, tags]`. A **defined** tag has at least one positive and one negative clip; the score of any
other tag is NaN, and means leave it out. Likewise a clip, where it is clips that are scored.

Chance has two sources. **Which artists** made the clips: the Bayesian bootstrap gives every artist (or every
clip) a random positive weight instead of drawing with replacement, so a tag with one positive clip keeps it in
all resamples. All resamples of a tag are scored together, from the weights at and above the scores of its
positives: one sparse matrix product a tag, for all metrics. **Which seeds** trained the networks: `compare`
adds that, from the spread of the seeds' scores.

Sources:
    T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006).
    D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981).
    H. S. Bloom, "Minimum detectable effects", Evaluation Review 19 (1995).
    F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2
    (1946).
    R. Beran, "Balanced simultaneous confidence sets", Journal of the American Statistical Association 83 (1988).
    P. H. Westfall and S. S. Young, "Resampling-based multiple testing" (1993).
    T. Hothorn, F. Bretz and P. Westfall, "Simultaneous inference in general parametric models", Biometrical
    Journal 50 (2008).
"""

from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple, TypedDict

import numpy as np

# Weights are scored in blocks of resamples of at most this many numbers (16 MiB). Besides what goes in and
# comes out, scoring a block holds one copy of it and, for the tag at hand, at most five arrays of its size:
# under 100 MiB, whatever the number of resamples.
BLOCK_NUMBERS = 2**21


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


def clip_roc_auc(truth, score):
    """Area under the ROC curve within each clip: the chance that a tag it has scores above one that it has not.

    A tie counts one half. `roc_auc` asks whether the clips of a tag are in order, this whether the tags of a clip
    are: only here do scores have to be comparable from tag to tag.

    Args:
        truth, score: as in `roc_auc`.

    Returns:
        `[clips]`, NaN for a clip with no tag or with all; `macro_mean` takes the mean of the others.
    """
    truth, score = _valid_truth(truth), np.asarray(score)
    _check_score(score, truth.shape, "score")
    order = np.argsort(score, axis=1)
    score, truth = np.take_along_axis(score, order, axis=1), np.take_along_axis(truth, order, axis=1)
    # Equal scores share the mean of their places, counted from 0: half of the first and the last of them.
    place = np.arange(truth.shape[1])
    first, last = np.ones(truth.shape, dtype=bool), np.ones(truth.shape, dtype=bool)
    first[:, 1:] = last[:, :-1] = score[:, 1:] != score[:, :-1]
    first = np.maximum.accumulate(np.where(first, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(last, place, place[-1])[:, ::-1], axis=1)[:, ::-1]
    positives = truth.sum(axis=1)
    won_twice = ((first + last) * truth).sum(axis=1) - positives * (positives - 1)  # twice Mann and Whitney's U
    return _ratio(won_twice / 2, (positives * (truth.shape[1] - positives)).astype(float))


METRICS = (roc_auc, average_precision, clip_roc_auc)


def defined(truth):
    """Tell which tags of truth `[clips, tags]` have a positive and a negative clip: bool `[tags]`."""
    truth = _valid_truth(truth)
    positives = truth.sum(axis=0)
    return (positives > 0) & (positives < len(truth))


def macro_mean(values, weights=None):
    """Mean over the last axis of what is not NaN; NaN, without a warning, where nothing is left.

    Args:
        values: `[..., n]`, scores of tags or of clips.
        weights: None (all count the same), or `[..., n]`, not negative.

    Returns:
        A float for one axis, an array `[...]` for more.
    """
    values = np.asarray(values, dtype=float)
    weights = np.where(np.isnan(values), 0.0, 1.0 if weights is None else weights)
    total = weights.sum(axis=-1)
    sums = (np.nan_to_num(values) * weights).sum(axis=-1)
    mean = np.divide(sums, total, out=np.full(np.shape(total), np.nan), where=total > 0)
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
    weights = _draws(group_of_clip, resamples, seed)[:, group_of_clip]
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
    the effective number of groups (Kish) that hold its positives or its negatives, the smaller, at least 2. For
    `clip_roc_auc` it is the number that holds the clips. No end lies beyond 0 or 1.

    What is covered is the mean score over test sets of this size, for the networks at hand: the spread over
    training seeds is not in it. It stays too narrow (some 90 % at a level of 95 %) where most tags lie with
    two or three artists: nothing in such a test set tells how other artists would do.

    Args:
        truth: `[clips, tags]`, 0 or 1.
        scores: `[seeds, clips, tags]` or `[clips, tags]`. All seeds of a resample get the same weights.
        groups: `[clips]`, the artist of each clip: clips of one artist are not independent, so artists are
            resampled. None resamples clips, which is too narrow where artists differ.
        resamples, seed: as in `bootstrap_weights`.
        level: chance of covering, between 0 and 1.
        metric: one of `METRICS`.

    Returns:
        (low, high); both NaN with fewer than two groups, or with no defined tag.
    """
    truth, scores = _valid_truth(truth), _with_seeds(scores, truth, "scores")
    return _sample(truth, scores, _chance(groups, resamples, seed, len(truth)), [metric])[0].interval(level)


class Comparison(TypedDict):
    """A contrast of configs: a sum of their mean scores, each times a factor; see `compare`.

    Keys:
        difference: the sum.
        low, high: its interval by both sources of chance: for the configs, trained again, on other artists.
        low_all, high_all: the same, for all contrasts of the family at once.
        low_networks, high_networks: its interval by artists alone: for these trained networks.
        se_artists, se_seeds: the standard error by each source; that by seeds is NaN where it is unknown.
        critical: standard errors from the difference to an end of the simultaneous interval, were all normal; at 95 %
            it is 1.96 for a family of one, and grows with the family.
        seeds_known: whether a config of the family has two seeds; if none has, every interval here is by artists
            alone.
    """

    difference: float
    low: float
    high: float
    low_all: float
    high_all: float
    low_networks: float
    high_networks: float
    se_artists: float
    se_seeds: float
    critical: float
    seeds_known: bool


class Mean(NamedTuple):
    """A config's own score: its mean over seeds, their standard deviation (n - 1; NaN for one), their number."""

    mean: float
    sd: float
    seeds: int


class Family(dict):
    """label -> `Comparison`, and in the attribute `scores`, config -> `Mean`."""

    def __init__(self, comparisons, scores):
        super().__init__(comparisons)
        self.scores = scores


def compare(truth, scores, terms, groups, resamples=1000, seed=0, level=0.95, metric=roc_auc, tags=None) -> Family:
    """Contrasts between configs, as one family: how large each is, and how far chance may move it.

    **Artists.** All configs are scored on the same resamples, with the corrections of `bootstrap_interval`. What
    makes a resample hard is so for all of them and cancels.

    **Seeds.** Trained again, a config's mean over k seeds moves by sd / sqrt(k). A few seeds often happen to
    agree, so sd is the config's own or that of the family, pooled over its configs, whichever is larger. In each
    resample every config moves by a normal draw of that size, and a contrast's sum of them is divided by
    sqrt(chi2 / df), as in Student's t. df is Satterthwaite's for the contrast: the pooled sd counts with the sum
    of k - 1 over configs, an own sd with its k - 1. So few seeds widen the interval, above all that of a contrast
    that rests on one unruly config; the family's degrees of freedom would be too many for it. What single networks
    do with single artists is in both sources, so the intervals are rather wide than narrow. In simulations at 95 %,
    with three seeds, 96 % of them covered where configs were alike, 95 % where all were compared with one whose spread
    was five times theirs, and 93 % where that spread outdid the artists' threefold.

    **All at once.** A resample's deviation of a contrast is measured by the distance to that end of the contrast's
    own interval; all intervals are stretched by the quantile, over resamples, of the largest such measure (the
    max-t of Westfall and Young, and Hothorn et al., balanced as by Beran). Contrasts that move together cost
    little.

    Args:
        truth: `[clips, tags]` of 0 and 1; or config -> `[clips, tags of the config]`, of the same clips.
        scores: config -> `[seeds, clips, tags]` or `[clips, tags]`; the numbers of seeds may differ.
        terms: label -> config -> factor. For a difference {"a": 1, "b": -1}; for an interaction
            {"both": 1, "first": -1, "second": -1, "neither": 1}. The family is the configs named here.
        groups, resamples, seed, level, metric: as in `bootstrap_interval`.
        tags: those that count: an index into the tags of `truth` (numbers or bool), or config -> index. None, or
            none for a config, is all.

    Returns:
        label -> `Comparison`; NaN where a score in the sum is undefined, and for intervals with one group. Its
        attribute `scores` is config -> `Mean`, for every config in `scores`.
    """
    _check_open_unit(level, "level")
    truth, scores = _columns_that_count(truth, scores, tags)
    named = {name for factors in terms.values() for name in factors}
    if not all(terms.values()) or not named <= set(scores):
        raise ValueError(f"terms must name at least one of {', '.join(scores)} each, and no other, got {terms}")
    family = [name for name in scores if name in named]
    chance = _chance(groups, resamples, seed, len(next(iter(truth.values()), ())) or None)
    samples = {name: _sample(truth[name], scores[name], chance, [metric])[0] for name in family}
    means = {}
    for name in scores:
        by_seed = samples[name].by_seed if name in family else _by_seed(truth[name], scores[name], metric)
        by_seed = macro_mean(by_seed)
        means[name] = Mean(float(by_seed.mean()), _sd(by_seed), len(by_seed))
    if not terms:
        return Family({}, means)

    factors = np.array([[of_label.get(name, 0) for name in family] for of_label in terms.values()], dtype=float)
    differences = _sums(factors, [means[name].mean for name in family])
    by_artists = _sums(factors, [macro_mean(samples[name].deviations) for name in family])  # [contrasts, resamples]
    by_seeds, se_seeds = _moved_by_seeds(factors, [means[name] for name in family], resamples, seed)
    seeds_known = not np.isnan(se_seeds).any()
    together = by_artists + by_seeds
    low, high = _ends(together, level)
    stretch = _stretch(together, low, high, level)
    low_networks, high_networks = _ends(by_artists, level)
    columns = {
        "difference": differences,
        "low": differences + low,
        "high": differences + high,
        "low_all": differences + stretch * low,
        "high_all": differences + stretch * high,
        "low_networks": differences + low_networks,
        "high_networks": differences + high_networks,
        "se_artists": np.sqrt(np.square(by_artists).mean(axis=-1)),
        "se_seeds": se_seeds,
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    shared = {"critical": NormalDist().inv_cdf((1 + level) / 2) * stretch, "seeds_known": seeds_known}
    comparisons = [Comparison(**dict(zip(columns, row, strict=True)), **shared) for row in rows]
    return Family(zip(terms, comparisons, strict=True), means)


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
        truth, scores_a, scores_b, groups, resamples, seed, metric: as in `compare`.
        significance, power: between 0 and 1.
        over_seeds: False takes the standard error by artists: chance is in the choice of clips alone and the
            answer concerns these trained networks. True adds that by seeds, so it concerns the two configs, trained
            again; both need at least two seeds.
    """
    for name, value in {"significance": significance, "power": power}.items():
        _check_open_unit(value, name)
    scores = {"scores_a": scores_a, "scores_b": scores_b}
    family = compare(truth, scores, {"a - b": {"scores_a": 1, "scores_b": -1}}, groups, resamples, seed, metric=metric)
    standard_error = family["a - b"]["se_artists"]
    if over_seeds:
        for name, mean in family.scores.items():
            if mean.seeds == 1:
                raise ValueError(f"{name} must hold at least two seeds where over_seeds is True, got one")
        standard_error = float(np.hypot(standard_error, family["a - b"]["se_seeds"]))
    normal = NormalDist()
    return (normal.inv_cdf(1 - significance / 2) + normal.inv_cdf(power)) * standard_error


def score_table(truth, scores, tags, groups, resamples=1000, seed=0) -> dict:
    """The scores of a config, as its metrics file holds them.

    Args:
        truth: `[clips, tags]`, 0 or 1.
        scores: `[seeds, clips, tags]` or `[clips, tags]`.
        tags: the names of the tags, in order.
        groups: `[clips]`, the artist of each clip.
        resamples, seed: as in `bootstrap_weights`.

    Returns:
        For METRIC in `roc_auc`, `average_precision` and `clip_roc_auc`: METRIC, the mean over seeds of the mean over
        tags (or clips); METRIC_sd, over seeds, with n - 1, None for one seed; METRIC_ci and METRIC_ci_clip,
        [low, high] at 95 %, artists and clips resampled. And `tags_defined`, a number, and `tags_undefined`,
        names. A number that is undefined is None, so that the table can be written as JSON.
    """
    truth, scores = _valid_truth(truth), _with_seeds(scores, truth, "scores")
    known = defined(truth)
    tags = _valid_tags(tags, truth)
    if groups is None:
        raise ValueError("groups must name the artist of each clip, got None")
    by_artist, by_clip = (
        _sample(truth, scores, _chance(of_clips, resamples, seed, len(truth)), METRICS) for of_clips in (groups, None)
    )
    table = {}
    for metric, artists, clips in zip(METRICS, by_artist, by_clip, strict=True):
        name, by_seed = metric.__name__, macro_mean(artists.by_seed)
        table[name] = _number(by_seed.mean())
        table[f"{name}_sd"] = _number(_sd(by_seed))
        table[f"{name}_ci"] = [_number(end) for end in artists.interval()]
        table[f"{name}_ci_clip"] = [_number(end) for end in clips.interval()]
    table["tags_undefined"] = [tag for tag, is_known in zip(tags, known, strict=True) if not is_known]
    table["tags_defined"] = int(known.sum())
    return table


def per_tag_table(truth, scores, tags, groups=None, resamples=1000, seed=0) -> list[dict]:
    """The scores of each tag, one row a tag, in the order of `tags`.

    Args:
        truth, scores, tags, resamples, seed: as in `score_table`.
        groups: `[clips]`, the artist of each clip; None gives no intervals.

    Returns:
        Rows of tag, positives, negatives, and for METRIC in `roc_auc` and `average_precision`: METRIC and METRIC_sd,
        the mean and the standard deviation (n - 1) over seeds; with groups also METRIC_ci_low and METRIC_ci_high, at
        95 %, artists resampled as in `bootstrap_interval`; and widened as Student's t is for so many artists as
        carry the tag: with two or three, it may be all there is between 0 and 1. None where undefined, and for
        the deviation of one seed.
    """
    truth, scores = _valid_truth(truth), _with_seeds(scores, truth, "scores")
    tags, metrics = _valid_tags(tags, truth), (roc_auc, average_precision)
    if groups is None:
        by_seed, ends = [_by_seed(truth, scores, metric) for metric in metrics], None
    else:
        samples = _sample(truth, scores, _chance(groups, resamples, seed, len(truth)), metrics)
        by_seed, ends = [sample.by_seed for sample in samples], [sample.interval_by_part() for sample in samples]
    rows = []
    for column, tag in enumerate(tags):
        positives = int(truth[:, column].sum())
        row = {"tag": tag, "positives": positives, "negatives": len(truth) - positives}
        for number, metric in enumerate(metrics):
            name, values = metric.__name__, by_seed[number][:, column]
            row[name], row[f"{name}_sd"] = _number(values.mean()), _number(_sd(values))
            if ends is not None:
                row[f"{name}_ci_low"], row[f"{name}_ci_high"] = (_number(end[column]) for end in ends[number])
        rows.append(row)
    return rows


class _Tally(NamedTuple):
    """Weights around the levels of one tag: the distinct scores of its positives, the highest first.

    Attributes:
        positive: `[levels, n]`, of the positives at each level.
        false: `[levels, n]`, of the negatives at the level and above.
        tied: `[levels, n]`, of the negatives at the level, or None where there is none.
        negatives: `[n]`, of all negatives.
    """

    positive: np.ndarray
    false: np.ndarray
    tied: np.ndarray | None
    negatives: np.ndarray


def _area_under_curve(tally):
    """ROC-AUC: `[n]`."""
    lost = tally.false if tally.tied is None else tally.false - tally.tied / 2
    pairs = tally.positive.sum(axis=0) * tally.negatives
    return 1 - _ratio(np.einsum("ln,ln->n", tally.positive, lost), pairs)


def _average_of_precisions(tally):
    """Average precision: `[n]`."""
    precision = _add_up(tally.positive.copy())
    # Above the first clip that has any weight nothing is found yet; no recall is gained there either.
    precision /= np.maximum(precision + tally.false, np.finfo(float).tiny)
    mean = _ratio(np.einsum("ln,ln->n", tally.positive, precision), tally.positive.sum(axis=0))
    return np.where(tally.negatives > 0, mean, np.nan)


_OF_TAGS = {roc_auc: _area_under_curve, average_precision: _average_of_precisions}


def _score_by_tag(truth, score, weights, measure):
    """Apply `measure(tally) -> [n]` to each tag and each row of weights."""
    truth, score, weights = _valid_truth(truth), np.asarray(score), _valid_weights(weights, len(truth))
    _check_score(score, truth.shape, "score")
    rows = np.ones((1, len(truth))) if weights is None else np.atleast_2d(weights)
    result = _measure(truth, score, np.arange(len(truth)), rows.T, [measure])[0]
    return result if weights is not None and weights.ndim == 2 else result[0]


def _measure(truth, score, group_of_clip, weights, measures):
    """Each measure of each tag, the groups weighted by each column of `weights` `[groups, n]`.

    Returns `[measures, n, tags]`, NaN for undefined tags.
    """
    ranks = [_rank(truth[:, tag], score[:, tag], group_of_clip, len(weights)) for tag in range(truth.shape[1])]
    result = np.full((len(measures), weights.shape[1], len(ranks)), np.nan)
    block = max(1, BLOCK_NUMBERS // len(truth))
    for start in range(0, weights.shape[1], block):
        columns = np.ascontiguousarray(weights[:, start : start + block])
        for tag, rank in enumerate(ranks):
            if rank is not None:
                tally = _tally(*rank, columns)
                for number, measure in enumerate(measures):
                    result[number, start : start + block, tag] = measure(tally)
    return result


def _rank(truth, score, group_of_clip, groups):
    """Place the clips of one tag around its levels, as `_Tally` counts them.

    Returns the number of levels and a sparse matrix that adds up the weights of groups, or None for an undefined
    tag. Its rows are the levels, for the positives there; the levels and one more, for the negatives that lie there
    or below, down to the next (the last row is below all levels); and, where there is any, the levels again,
    for the negatives tied with them.
    """
    from scipy.sparse import csr_matrix  # a quarter of a second, for those who score

    positive, negative = np.flatnonzero(truth), np.flatnonzero(~truth)
    if len(positive) == 0 or len(negative) == 0:
        return None
    values, level = np.unique(score[positive], return_inverse=True)
    levels = len(values)
    not_above = np.searchsorted(values, score[negative], side="right")
    is_tied = values[np.maximum(not_above, 1) - 1] == score[negative]
    rows = [levels - 1 - level, 2 * levels - not_above]
    clips = [positive, negative]
    if is_tied.any():
        rows.append(3 * levels + 1 - not_above[is_tied])
        clips.append(negative[is_tied])
    rows, clips = np.concatenate(rows), np.concatenate(clips)
    shape = ((3 if is_tied.any() else 2) * levels + 1, groups)
    return levels, csr_matrix((np.ones(len(rows)), (rows, group_of_clip[clips])), shape)


def _tally(levels, matrix, weights):
    """Add up the weights `[groups, n]` of the clips that `_rank` placed."""
    sums = matrix @ weights
    false = _add_up(sums[levels : 2 * levels + 1])
    tied = sums[2 * levels + 1 :]
    return _Tally(sums[:levels], false[:-1], tied if len(tied) else None, false[-1])


def _add_up(rows):
    """Running sums over the first axis, in place. NumPy's own are a third as fast where rows are long."""
    if rows.shape[1] < 100:
        return np.cumsum(rows, axis=0, out=rows)
    for row in range(1, len(rows)):
        rows[row] += rows[row - 1]
    return rows


class _Chance(NamedTuple):
    """Resamples of clips.

    Attributes:
        group_of_clip: int `[clips]`.
        weights: of the groups, `[groups, 1 + resamples]`; the first column has all equal and gives the estimate.
    """

    group_of_clip: np.ndarray
    weights: np.ndarray


class _Sample(NamedTuple):
    """A metric on the resamples. Its parts are the tags; of `clip_roc_auc` there is one, the mean over clips.

    Attributes:
        by_seed: `[seeds, parts]`, the estimates.
        deviations: `[resamples, parts]`, how far each resample moves the mean over seeds, as `bootstrap_interval`
            says; NaN with one group.
        groups: `[parts]`, the effective number that each part rests on.
    """

    by_seed: np.ndarray
    deviations: np.ndarray
    groups: np.ndarray

    def interval(self, level=0.95):
        """Of the mean over seeds and parts: (low, high)."""
        ends = _ends(macro_mean(self.deviations), level)
        return tuple(float(np.clip(macro_mean(self.by_seed).mean() + end, 0, 1)) for end in ends)

    def interval_by_part(self, level=0.95):
        """Of each part's mean over seeds: (low `[parts]`, high `[parts]`).

        What one part's groups do is known from them alone, so its ends are further out than the quantiles, as
        Student's t with one degree of freedom fewer than groups is further out than the normal.
        """
        from scipy.special import stdtrit

        of_normal = NormalDist().inv_cdf((1 + level) / 2)
        further = stdtrit(self.groups - 1, (1 + level) / 2) / of_normal
        estimate = self.by_seed.mean(axis=0)
        return tuple(np.clip(estimate + further * end, 0, 1) for end in _ends(self.deviations.T, level))


def _draws(group_of_clip, resamples, seed):
    """Exponential weights of the groups, `[resamples, groups]`, all above 0."""
    if not isinstance(resamples, int | np.integer) or resamples < 1:
        raise ValueError(f"resamples must be a whole number of at least 1, got {resamples!r}")
    draws = np.random.default_rng(seed).standard_exponential((resamples, group_of_clip.max() + 1))
    # The generator can return 0, though hardly ever; a weight of 0 could lose a tag's only positive.
    return np.maximum(draws, 1e-12)


def _chance(groups, resamples, seed, clips):
    """The resamples of `bootstrap_weights`, but by group."""
    group_of_clip = _valid_groups(groups, clips)
    draws = _draws(group_of_clip, resamples, seed)
    return _Chance(group_of_clip, np.concatenate([np.ones((1, draws.shape[1])), draws]).T)


def _sample(truth, scores, chance, metrics):
    """Each metric on the resamples: a list of `_Sample`."""
    if not set(metrics) <= set(METRICS):
        raise ValueError(f"metric must be one of {', '.join(metric.__name__ for metric in METRICS)}, got {metrics}")
    of_tags = [metric for metric in metrics if metric in _OF_TAGS]
    measures = [_OF_TAGS[metric] for metric in of_tags]
    values = {metric: [] for metric in metrics}  # metric -> of each seed, [1 + resamples, parts]
    effective = dict.fromkeys(of_tags, _effective_groups(chance.group_of_clip, truth, ~truth))
    for score in scores:
        if of_tags:
            of_seed = _measure(truth, score, *chance, measures)
            for metric, of_metric in zip(of_tags, of_seed, strict=True):
                values[metric].append(of_metric)
        if clip_roc_auc in metrics:
            per_clip = clip_roc_auc(truth, score)
            values[clip_roc_auc].append(macro_mean(per_clip, chance.weights.T[:, chance.group_of_clip])[:, np.newaxis])
    if clip_roc_auc in metrics:
        effective[clip_roc_auc] = _effective_groups(chance.group_of_clip, ~np.isnan(per_clip)[:, np.newaxis])
    samples = []
    for metric in metrics:
        resampled = sum(of_seed[1:] for of_seed in values[metric]) / len(scores)
        k = effective[metric]
        deviations = (resampled - resampled.mean(axis=0)) * np.sqrt((k + 1) / (k - 1))
        if len(chance.weights) == 1:
            deviations[:] = np.nan
        samples.append(_Sample(np.array([of_seed[0] for of_seed in values[metric]]), deviations, k))
    return samples


def _effective_groups(group_of_clip, *sides):
    """Kish's number of the groups that hold the clips of a side (bool `[clips, parts]`): `[parts]`, at least 2.

    It is (sum of n)^2 / sum of n^2, with n the clips a group; the scarcer side decides.
    """
    order = np.argsort(group_of_clip, kind="stable")
    starts = np.searchsorted(group_of_clip[order], np.arange(group_of_clip.max() + 1))
    effective = np.inf
    for side in sides:
        held = np.add.reduceat(side[order], starts, axis=0, dtype=float)  # [groups, parts]
        effective = np.minimum(effective, held.sum(axis=0) ** 2 / np.maximum(np.square(held).sum(axis=0), 1))
    return np.maximum(effective, 2)


def _ends(deviations, level):
    """The quantiles, over the last axis, that leave out (1 - level) / 2 at each end."""
    _check_open_unit(level, "level")
    return np.quantile(deviations, [(1 - level) / 2, (1 + level) / 2], axis=-1)


def _stretch(deviations, low, high, level):
    """By how much the intervals of a family must be stretched for all to hold at once; NaN if none has an interval.

    Args:
        deviations: `[contrasts, resamples]`.
        low, high: `[contrasts]`, the ends of each one's own interval.
    """
    known = ~np.isnan(low)
    if not known.any():
        return float("nan")
    deviations, low, high = deviations[known], low[known, np.newaxis], high[known, np.newaxis]
    above = np.divide(deviations, high, out=np.zeros_like(deviations), where=high > 0)
    below = np.divide(deviations, low, out=np.zeros_like(deviations), where=low < 0)
    return max(1.0, float(np.quantile(np.maximum(above, below).max(axis=0), level)))


def _moved_by_seeds(factors, means, resamples, seed):
    """How far other training seeds may move each contrast, as `compare` says.

    Args:
        factors: `[contrasts, configs]`.
        means: the `Mean` of each config.

    Returns:
        `[contrasts, resamples]` and the standard errors `[contrasts]`; 0 and NaN where no config has two seeds.
    """
    from scipy.special import gammaincinv

    seeds, sds = np.array([mean.seeds for mean in means]), np.array([mean.sd for mean in means])
    own = np.nan_to_num(sds) ** 2
    freedom = np.where(np.isnan(sds), 0, seeds - 1)
    if freedom.sum() == 0:
        return np.zeros((len(factors), resamples)), np.full(len(factors), np.nan)
    pooled = (freedom * own).sum() / freedom.sum()
    is_larger = own > pooled
    parts = factors**2 * np.maximum(own, pooled) / seeds  # variances, [contrasts, configs]
    total, shared = parts.sum(axis=1), parts[:, ~is_larger].sum(axis=1)
    spread = shared**2 / freedom.sum() + (parts[:, is_larger] ** 2 / freedom[is_larger]).sum(axis=1)
    of_contrast = np.divide(total**2, spread, out=np.full(len(factors), float(freedom.sum())), where=spread > 0)
    of_contrast = np.minimum(of_contrast, freedom.sum())[:, np.newaxis]  # degrees of freedom

    generator = np.random.default_rng(seed).spawn(1)[0]
    normal = (
        generator.standard_normal((len(means), resamples)) * np.sqrt(np.maximum(own, pooled) / seeds)[:, np.newaxis]
    )
    chi2 = 2 * gammaincinv(of_contrast / 2, 1 - generator.random(resamples))
    return factors @ normal / np.sqrt(chi2 / of_contrast), np.sqrt(total)


def _sums(factors, values):
    """Each row of factors times values `[configs, ...]`, added up; those without a factor are left out, NaN or not."""
    values = np.array(values, dtype=float)
    chosen = factors != 0
    return np.array([of_row[used] @ values[used] for of_row, used in zip(factors, chosen, strict=True)])


def _columns_that_count(truth, scores, tags):
    """Truth and scores of each config, checked, with the tags that count: config -> array, twice."""
    truths, chosen, clips = {}, {}, None
    for name, of_config in scores.items():
        if isinstance(truth, Mapping) and name not in truth:
            raise ValueError(f"truth must be of each config, got none of {name}")
        whole = _valid_truth(truth[name] if isinstance(truth, Mapping) else truth)
        clips = len(whole) if clips is None else clips
        if len(whole) != clips:
            raise ValueError(
                f"truth must be of the same clips for each config, got {clips} and, of {name}, {len(whole)}"
            )
        truths[name], chosen[name] = whole, _with_seeds(of_config, whole, f"scores of {name}")
        index = tags.get(name) if isinstance(tags, Mapping) else tags
        if index is not None:
            try:
                truths[name], chosen[name] = whole[:, index], chosen[name][:, :, index]
            except IndexError as error:
                raise ValueError(f"tags must index the {whole.shape[1]} tags of {name}: {error}") from error
            if truths[name].ndim != 2 or truths[name].size == 0:
                raise ValueError(f"tags must leave at least one of the {whole.shape[1]} tags of {name}, got {index!r}")
    return truths, chosen


def _by_seed(truth, scores, metric):
    """The parts of the metric, unweighted: `[seeds, tags]`, or `[seeds, clips]`."""
    return np.stack([metric(truth, score) for score in scores])


def _sd(values):
    """Standard deviation over the first axis, with n - 1; NaN for one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _number(value):
    """A plain float, None for NaN."""
    return None if np.isnan(value) else float(value)


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
