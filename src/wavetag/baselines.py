"""Linear models that stand beside the networks: logistic regression on loudness, and on the mel spectrum.

They say how much of a dataset can be told from statistics of a clip, with no features learnt: a network that does
no better has learnt no more than that. Samples are int16, or floating point in [-1, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

FRAME = 1024  # samples: 85 ms at 12 kHz
QUIETEST = -100.0  # dB below full scale, under the step of int16: digital silence has a level too
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # scikit-learn's C, the inverse of the penalty's weight


def loudness(samples: np.ndarray) -> np.ndarray:
    """Level of a clip in dB below full scale, and its standard deviation over time: [samples] -> [2].

    The first is the RMS of the whole clip, the second is over frames of 1,024 samples; nothing is below -100 dB.
    """
    power = np.mean(np.square(_frames(samples, FRAME), dtype=np.float64), axis=1)
    return np.array([_decibels(power.mean()), _decibels(power).std()])


def mel_statistics(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Means, then standard deviations, over time of the log-mel spectrum: [samples] -> [2 x bands].

    Bands (128) and compression, log(1 + 10000 x), are those of the front end `mel`. Hann windows of 1,024 samples,
    half overlapping, scaled so that white noise of variance v has power v at every frequency.
    """
    from wavetag.frontends import COMPRESSION  # imports torch: two seconds, for those who need it

    window, filters = _mel_analysis(sample_rate)
    spectrum = np.fft.rfft(_frames(samples, FRAME // 2) * window, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    compressed = np.log1p(COMPRESSION * (power @ filters))  # [frames, bands]
    return np.concatenate([compressed.mean(axis=0, dtype=np.float64), compressed.std(axis=0, dtype=np.float64)])


def features(
    name: str,
    array: np.ndarray,
    rows: Sequence[int],
    sample_rate: int,
    lengths: Sequence[int] | None = None,
) -> np.ndarray:
    """Statistics of chosen clips: float64 [chosen, features]. One clip at a time is in memory.

    Args:
        name: `loudness` or `mel_statistics`.
        array: int16 or floating point [clips, samples], which may be memory-mapped.
        rows: which clips, in the order wanted.
        sample_rate: Hz.
        lengths: samples of each chosen clip before its padding; all of the row, if not given.
    """
    from threadpoolctl import threadpool_limits

    if name not in ("loudness", "mel_statistics"):
        raise ValueError(f"name must be loudness or mel_statistics, got {name!r}")
    if array.ndim != 2:
        raise ValueError(f"array must be [clips, samples], got shape {array.shape}")
    if lengths is None:
        lengths = [array.shape[1]] * len(rows)
    if len(lengths) != len(rows) or len(rows) == 0:
        raise ValueError(f"rows and lengths must be as many, at least 1, got {len(rows)} and {len(lengths)}")
    chosen = (array[row][:length] for row, length in zip(rows, lengths, strict=True))
    with threadpool_limits(1):  # a matrix product on more threads may round otherwise
        if name == "loudness":
            return np.stack([loudness(samples) for samples in chosen])
        return np.stack([mel_statistics(samples, sample_rate) for samples in chosen])


@dataclass(frozen=True)
class LinearModel:
    """Logistic regression, one a tag, on standardised features.

    Attributes:
        mean, scale: [features], of the training clips.
        weights: [features, tags].
        intercepts: [tags].
        strength: the C that the validation clips chose.
        validation_loss: the mean log loss of each C on them, over clips and tags.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercepts: np.ndarray
    strength: float
    validation_loss: dict[float, float]

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Chance of each tag: [clips, features] -> [clips, tags]."""
        from scipy.special import expit

        features = _valid_features(features, "features")
        if features.shape[1] != len(self.mean):
            raise ValueError(f"features must have {len(self.mean)} columns, got {features.shape[1]}")
        return expit((features - self.mean) / self.scale @ self.weights + self.intercepts)


def fit_linear(
    features_train: np.ndarray,
    truth_train: np.ndarray,
    features_valid: np.ndarray,
    truth_valid: np.ndarray,
    strengths: Sequence[float] = STRENGTHS,
) -> LinearModel:
    """Fit a logistic regression with L2 penalty for each tag, on features standardised over the training clips.

    One strength serves all tags, the one with the least mean log loss on the validation clips (of equals the
    stronger penalty): tag by tag, a handful of positives would choose noise. A tag with no positive, or no negative,
    in training gets its base rate whatever the features: 0 or 1.

    Args:
        features_train, features_valid: [clips, features], finite.
        truth_train, truth_valid: [clips, tags], 0 or 1.
        strengths: values of scikit-learn's C to choose from.
    """
    from threadpoolctl import threadpool_limits

    features_train = _valid_features(features_train, "features_train")
    features_valid = _valid_features(features_valid, "features_valid")
    truth_train = _valid_truth(truth_train, features_train, "truth_train")
    truth_valid = _valid_truth(truth_valid, features_valid, "truth_valid")
    if features_valid.shape[1] != features_train.shape[1] or truth_valid.shape[1] != truth_train.shape[1]:
        raise ValueError(
            "training and validation clips must have the same features and tags, got"
            f" {features_train.shape[1]} and {features_valid.shape[1]} features,"
            f" {truth_train.shape[1]} and {truth_valid.shape[1]} tags"
        )
    mean, scale = features_train.mean(axis=0), features_train.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)  # a constant feature tells nothing
    best, losses = None, {}
    with threadpool_limits(1):
        for strength in sorted(strengths):
            weights, intercepts = _fit_tags((features_train - mean) / scale, truth_train, strength)
            model = LinearModel(mean, scale, weights, intercepts, strength, losses)
            losses[strength] = _log_loss(truth_valid, model.predict(features_valid))
            if best is None or losses[strength] < losses[best.strength]:
                best = model
    if best is None:
        raise ValueError("strengths must hold at least one value of C, got none")
    return best


def _fit_tags(standardised: np.ndarray, truth: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights [features, tags] and intercepts [tags] for one strength."""
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros((standardised.shape[1], truth.shape[1]))
    # Where a tag is always or never there, an endless intercept gives its base rate.
    intercepts = np.where(truth.all(axis=0), np.inf, -np.inf)
    for tag in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
        # Stricter than scikit-learn's own 1e-4, so that the result hardly hangs on where the search stopped.
        regression = LogisticRegression(C=strength, tol=1e-6, max_iter=5000)
        regression.fit(standardised, truth[:, tag])
        weights[:, tag], intercepts[tag] = regression.coef_[0], regression.intercept_[0]
    return weights, intercepts


def _log_loss(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over clips and tags of the binary cross-entropy; a chance of 0 or 1 counts as 1e-6 from it."""
    predicted = np.clip(predicted, 1e-6, 1 - 1e-6)
    return float(-np.mean(np.where(truth, np.log(predicted), np.log1p(-predicted))))


def _decibels(power: np.ndarray) -> np.ndarray:
    """Power of full scale 1 in dB, at least -100."""
    return 10 * np.log10(np.maximum(power, 10 ** (QUIETEST / 10)))


@cache
def _mel_analysis(sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """The window [1024] and the mel filters [513, bands], float32."""
    from wavetag.frontends import MEL_BANDS, mel_filters

    window = np.hanning(FRAME + 1)[:-1]
    filters = mel_filters(sample_rate, FRAME, MEL_BANDS)
    return (window / np.sqrt(np.sum(window**2))).astype(np.float32), filters.T.astype(np.float32)


def _frames(samples: np.ndarray, stride: int) -> np.ndarray:
    """Overlapping frames of full scale 1: [samples] -> float32 [frames, 1024].

    What is left at the end is dropped; a shorter clip is filled up with zeros to one frame.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or len(samples) == 0:
        raise ValueError(f"samples must be [samples], at least one, got shape {samples.shape}")
    if samples.dtype != np.int16 and samples.dtype.kind != "f":
        raise ValueError(f"samples must be int16, or floating point in [-1, 1], got {samples.dtype}")
    scaled = samples.astype(np.float32) / (32768 if samples.dtype == np.int16 else 1)
    if not np.isfinite(scaled).all():
        raise ValueError("samples must be finite")
    scaled = np.pad(scaled, (0, max(0, FRAME - len(scaled))))
    return np.lib.stride_tricks.sliding_window_view(scaled, FRAME)[::stride]


def _valid_features(features: np.ndarray, name: str) -> np.ndarray:
    """Features as float64 [clips, features], or a ValueError."""
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or features.size == 0:
        raise ValueError(f"{name} must be [clips, features] with at least one of each, got {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError(f"{name} must be finite")
    return features


def _valid_truth(truth: np.ndarray, features: np.ndarray, name: str) -> np.ndarray:
    """Truth as bool [clips, tags], as many clips as features, or a ValueError."""
    truth = np.asarray(truth)
    if truth.ndim != 2 or len(truth) != len(features):
        raise ValueError(f"{name} must be [clips, tags] of {len(features)} clips, got shape {truth.shape}")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"{name} must hold 0 and 1 alone")
    return truth.astype(bool)
