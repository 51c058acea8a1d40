"""Scaling by statistics of the training clips alone."""

import numpy as np
import pytest
import torch

from wavetag import scaling, splits

STATISTICS = {"minimum": -200, "maximum": 600, "mean": 50.0, "standard_deviation": 80.0, "clips": 3}


def of_training_clips(prepared, array):
    train = prepared.split.only(splits.TRAIN).clips
    return scaling.statistics(array, train["row"], train["windows"], prepared.window_samples)


def test_statistics_are_numpys_over_the_training_clips(tiny_prepared):
    rows = tiny_prepared.split.only("train").clips["row"].to_numpy()
    samples = tiny_prepared.array[rows].astype(np.float64)
    found = of_training_clips(tiny_prepared, tiny_prepared.array)
    assert (found["minimum"], found["maximum"]) == (samples.min(), samples.max())
    assert found["mean"] == pytest.approx(samples.mean(), rel=1e-9)
    assert found["standard_deviation"] == pytest.approx(samples.std(), rel=1e-9)
    assert found["clips"] == len(rows) == 48


@pytest.mark.parametrize("name", ["test", "valid"])
def test_changing_a_clip_that_does_not_train_moves_nothing(tiny_prepared, name):
    array = np.array(tiny_prepared.array)
    array[tiny_prepared.split.only(name).clips["row"]] = 32_767
    assert of_training_clips(tiny_prepared, array) == of_training_clips(tiny_prepared, tiny_prepared.array)


def test_changing_a_training_clip_moves_all_statistics(tiny_prepared):
    array, before = np.array(tiny_prepared.array), of_training_clips(tiny_prepared, tiny_prepared.array)
    array[tiny_prepared.split.only("train").clips["row"].iloc[7], 5:10] = [-32_768, 32_767, 32_767, 32_767, 32_767]
    after = of_training_clips(tiny_prepared, array)
    assert all(after[key] != before[key] for key in ("minimum", "maximum", "mean", "standard_deviation"))


def test_windows_of_padding_do_not_count():
    array = np.zeros((2, 12), dtype=np.int16)
    array[0], array[1, :4] = np.arange(100, 112), np.arange(200, 204)
    found = scaling.statistics(array, [0, 1], [3, 1], window_samples=4)
    samples = np.concatenate([array[0], array[1, :4]])
    assert found["minimum"] == 100
    assert found["mean"] == samples.mean()
    assert found["standard_deviation"] == pytest.approx(samples.std())


def test_sums_of_loud_clips_do_not_overflow():
    array = np.full((3, 300_000), 32_767, dtype=np.int16)
    array[:, ::2] = -32_768
    found = scaling.statistics(array, range(3), [1, 1, 1], 300_000)
    assert found["mean"] == -0.5
    assert found["standard_deviation"] == 32_767.5


def test_a_tiny_deviation_around_a_large_mean_is_not_lost():
    array = np.full((1, 1_000_000), 32_767, dtype=np.int16)
    array[0, 0] = 32_766
    found = scaling.statistics(array, [0], [1], 1_000_000)
    assert found["standard_deviation"] == pytest.approx(array.astype(np.float64).std(), rel=1e-6)


def test_no_clips_or_constant_clips_are_refused():
    with pytest.raises(ValueError, match="no clips"):
        scaling.statistics(np.zeros((2, 4), np.int16), [], [], 4)
    with pytest.raises(ValueError, match="every sample of the 2 training clips is 7"):
        scaling.statistics(np.full((2, 4), 7, np.int16), [0, 1], [1, 1], 4)


@pytest.mark.parametrize(
    ("mode", "samples", "expected"),
    [
        ("minmax", [-200, 200, 600, 0], [-1, 0, 1, -0.5]),
        ("standard", [50, 130, -30, 90], [0, 1, -1, 0.5]),
        ("none", [-32_768, 0, 16_384, 32_767], [-1, 0, 0.5, 32_767 / 32_768]),
        ("log", [-200, 200, 600], [-1, 0, 1]),
        ("log", [240, 160], [np.log(1 + 1_000) / np.log(10_001), -np.log(1 + 1_000) / np.log(10_001)]),
    ],
)
def test_each_mode_maps_samples_as_it_says(mode, samples, expected):
    scaled = scaling.Scaling(mode, STATISTICS)(torch.tensor(samples, dtype=torch.int16))
    assert scaled.dtype == torch.float32
    np.testing.assert_allclose(scaled.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["minmax", "log"])
def test_samples_beyond_the_training_range_are_not_clipped(mode):
    low, high = scaling.Scaling(mode, STATISTICS)(torch.tensor([-1_000, 1_400], dtype=torch.int16)).tolist()
    assert low < -1.01
    assert high > 1.01


@pytest.mark.parametrize("mode", scaling.MODES)
@pytest.mark.parametrize("kind", [torch.int16, torch.float32])
def test_the_samples_given_stay_as_they_are(mode, kind):
    samples = torch.arange(-50, 50).to(kind).reshape(2, 5, 10)
    before = samples.clone()
    assert scaling.Scaling(mode, STATISTICS)(samples).shape == samples.shape
    assert torch.equal(samples, before)


def test_weights_on_disk_carry_the_scaling():
    other = scaling.Scaling("minmax", {**STATISTICS, "maximum": 32_767})
    other.load_state_dict(scaling.Scaling("minmax", STATISTICS).state_dict())
    assert other(torch.tensor([600])).item() == pytest.approx(1)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="scaling 'max' is unknown; there are minmax, standard, log, none"):
        scaling.Scaling("max", STATISTICS)
