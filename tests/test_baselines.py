"""Linear baselines: statistics of tones and noise that are known beforehand, and fits against scikit-learn."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.signal

from wavetag import baselines, frontends
from wavetag.scoring import roc_auc

RATE = 12_000


def sine(hertz, amplitude=1.0, seconds=3.0):
    """[samples]: a tone at 12 kHz."""
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


def as_int16(samples):
    return np.round(samples * 32767).astype(np.int16)


# Loudness


def test_a_full_scale_sine_has_a_level_of_minus_three_decibels_and_does_not_vary():
    level, spread = baselines.loudness(sine(375))  # 32 periods a frame
    assert level == pytest.approx(-3.0103, abs=1e-3)
    assert spread == pytest.approx(0, abs=1e-3)


def test_half_the_amplitude_is_six_decibels_less():
    difference = baselines.loudness(sine(375, 0.5))[0] - baselines.loudness(sine(375))[0]
    assert difference == pytest.approx(-6.0206, abs=1e-3)


def test_the_spread_tells_a_clip_that_changes():
    """Half of the frames at 0 dB, half at -20: their standard deviation is 10 dB, the mean power is 0.505."""
    steps = np.repeat([1.0, 0.1], 10 * baselines.FRAME)
    np.testing.assert_allclose(baselines.loudness(steps), [10 * np.log10(0.505), 10], atol=1e-4)


def test_silence_has_a_level_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(baselines.loudness(np.zeros(5000, np.int16)), [-100, 0])
        assert np.isfinite(baselines.mel_statistics(np.zeros(5000, np.int16), RATE)).all()


def test_int16_and_floating_point_of_the_same_clip_agree():
    samples = as_int16(sine(440, 0.3))
    for statistics in (baselines.loudness, lambda clip: baselines.mel_statistics(clip, RATE)):
        np.testing.assert_allclose(statistics(samples), statistics(samples / 32768), rtol=1e-5, atol=1e-5)


# The mel spectrum


def test_the_spectrum_is_that_of_scipy():
    samples = np.random.default_rng(0).normal(0, 0.1, 20_000)
    _, _, density = scipy.signal.spectrogram(
        samples, RATE, "hann", nperseg=1024, noverlap=512, detrend=False, mode="psd", scaling="density"
    )
    power = density * RATE
    power[1:-1] /= 2  # SciPy folds the negative frequencies onto all but the first and the last
    mel = np.log1p(10_000 * frontends.mel_filters(RATE, 1024, 128) @ power)
    expected = np.concatenate([mel.mean(axis=1), mel.std(axis=1)])
    np.testing.assert_allclose(baselines.mel_statistics(samples, RATE), expected, rtol=1e-4)


def test_a_tone_stands_out_in_the_band_of_its_frequency():
    """The mel of 1,000 Hz, 1,000, is 50.7 of the 129 steps up to 6,000 Hz: the 51st band."""
    means = baselines.mel_statistics(sine(1000, 0.1), RATE)[:128]
    step = 2595 * np.log10(1 + 6000 / 700) / 129
    assert means.argmax() == round(1000 / step) - 1 == 50


def test_a_steady_tone_varies_less_than_a_beating_one():
    steady, beating = sine(1000, 0.2), sine(1000, 0.1) + sine(1003, 0.1)
    spread = [baselines.mel_statistics(clip, RATE)[128:][50] for clip in (steady, beating)]
    assert spread[0] < 0.01
    assert spread[1] > 0.5


# Many clips


def test_features_are_those_of_each_clip_in_the_order_asked_for_without_its_padding(tmp_path):
    rng = np.random.default_rng(1)
    array = as_int16(0.1 * rng.uniform(-1, 1, (4, 6000)))
    array[2, 3000:] = 0  # padding
    np.save(tmp_path / "clips.npy", array)
    mapped = np.load(tmp_path / "clips.npy", mmap_mode="r")
    for name, one in (
        ("loudness", baselines.loudness),
        ("mel_statistics", lambda clip: baselines.mel_statistics(clip, RATE)),
    ):
        values = baselines.features(name, mapped, [3, 2, 0], RATE, lengths=[6000, 3000, 6000])
        # to rounding: a product's last digit depends on how its factors lie in memory
        np.testing.assert_allclose(values, [one(array[3]), one(array[2, :3000]), one(array[0])], rtol=1e-6)
        np.testing.assert_allclose(baselines.features(name, mapped, [1], RATE), [one(array[1])], rtol=1e-6)


def test_features_hold_one_clip_in_memory(tmp_path):
    clips, samples = 40, 200_000
    array = np.lib.format.open_memmap(tmp_path / "clips.npy", "w+", np.int16, (clips, samples))  # 16 MB
    baselines.features("mel_statistics", array, [0], RATE)  # imports what it needs
    tracemalloc.start()
    baselines.features("mel_statistics", array, range(3), RATE)
    _, of_three = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    baselines.features("mel_statistics", array, range(clips), RATE)
    _, of_all = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert of_all < of_three + clips * 256 * 8 * 3  # no more than the results


# The regression


def simulated(rng, clips, tags=3):
    """Features on odd scales, of which the first decides the tags."""
    features = rng.normal(size=(clips, 5)) * [1, 100, 0.01, 3, 1] + [0, 50, 0, -7, 2]
    truth = rng.random((clips, tags)) < 1 / (1 + np.exp(2 - 1.5 * features[:, :1]))
    return features, truth


def test_each_tag_is_scikit_learns_regression_on_standardised_features():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(2)
    features, truth = simulated(rng, 300)
    new, _ = simulated(rng, 50)
    model = baselines.fit_linear(features, truth, features, truth, strengths=[0.1])
    for tag in range(3):
        reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-10, max_iter=5000))
        expected = reference.fit(features, truth[:, tag]).predict_proba(new)[:, 1]
        np.testing.assert_allclose(model.predict(new)[:, tag], expected, atol=1e-5)
    assert (roc_auc(truth, model.predict(features)) > 0.8).all()


def test_validation_chooses_the_strength_by_its_log_loss():
    from sklearn.metrics import log_loss

    rng = np.random.default_rng(3)
    train, valid = simulated(rng, 40), simulated(rng, 200)
    noise_train, noise_valid = rng.normal(size=(40, 30)), rng.normal(size=(200, 30))
    arguments = np.hstack([train[0], noise_train]), train[1], np.hstack([valid[0], noise_valid]), valid[1]
    model = baselines.fit_linear(*arguments)
    assert set(model.validation_loss) == set(baselines.STRENGTHS)
    assert model.strength == min(model.validation_loss, key=model.validation_loss.get)
    assert min(baselines.STRENGTHS) < model.strength < max(baselines.STRENGTHS)
    for strength, loss in model.validation_loss.items():
        alone = baselines.fit_linear(*arguments, strengths=[strength]).predict(arguments[2])
        expected = np.mean([log_loss(valid[1][:, tag], alone[:, tag]) for tag in range(3)])
        assert loss == pytest.approx(expected, rel=1e-6)


def test_validation_clips_do_not_move_the_standardisation():
    rng = np.random.default_rng(4)
    features, truth = simulated(rng, 100)
    valid, truth_valid = simulated(rng, 50)
    fits = [baselines.fit_linear(features, truth, other, truth_valid, [1.0]) for other in (valid, 1000 * valid)]
    np.testing.assert_array_equal(fits[0].predict(features), fits[1].predict(features))


def test_a_tag_never_or_always_there_in_training_gets_its_base_rate():
    rng = np.random.default_rng(5)
    features, truth = simulated(rng, 60)
    truth[:, 1], truth[:, 2] = False, True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = baselines.fit_linear(features, truth, *simulated(rng, 30))
        predicted = model.predict(features)
    assert (predicted[:, 1] == 0).all()
    assert (predicted[:, 2] == 1).all()
    assert np.isfinite(list(model.validation_loss.values())).all()


def test_a_constant_feature_tells_nothing_and_the_same_clips_give_the_same_model():
    rng = np.random.default_rng(6)
    features, truth = simulated(rng, 80)
    with_constant = np.hstack([features, np.full((80, 1), 0.1)])
    models = [baselines.fit_linear(with_constant, truth, with_constant, truth) for _ in range(2)]
    assert np.abs(models[0].weights[-1]).max() < 1e-9
    np.testing.assert_array_equal(models[0].weights, models[1].weights)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: baselines.loudness(np.zeros((2, 9))), r"samples must be \[samples\], .* got shape \(2, 9\)"),
        (lambda: baselines.loudness(np.zeros(0)), r"got shape \(0,\)"),
        (lambda: baselines.loudness(np.zeros(9, np.int32)), "samples must be int16, or floating point.* got int32"),
        (lambda: baselines.loudness(np.full(9, np.nan)), "samples must be finite"),
        (lambda: baselines.features("chroma", np.zeros((1, 9)), [0], RATE), "name must be .* got 'chroma'"),
        (lambda: baselines.features("loudness", np.zeros(9), [0], RATE), r"array must be \[clips, samples\]"),
        (lambda: baselines.features("loudness", np.zeros((1, 9)), [0], RATE, [9, 9]), "got 1 and 2"),
        (lambda: fit(features_train=np.full((4, 2), np.inf)), "features_train must be finite"),
        (lambda: fit(features_valid=np.zeros((4, 3))), "got 2 and 3 features, 1 and 1 tags"),
        (lambda: fit(truth_train=np.zeros((3, 1))), r"truth_train must be \[clips, tags\] of 4 clips"),
        (lambda: fit(truth_valid=np.full((4, 1), 2)), "truth_valid must hold 0 and 1 alone"),
        (lambda: fit(strengths=[]), "strengths must hold at least one value"),
        (lambda: fit().predict(np.zeros((1, 3))), "features must have 2 columns, got 3"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def fit(**changed):
    """A fit on four clips, with some arguments changed."""
    features, truth = np.arange(8.0).reshape(4, 2), np.array([[0], [1], [0], [1]])
    arguments = {"features_train": features, "truth_train": truth, "features_valid": features, "truth_valid": truth}
    return baselines.fit_linear(**(arguments | changed))
