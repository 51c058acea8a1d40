"""Filters of known frequencies are told as such, in numbers and in what is drawn of them."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import signal

from conftest import DEFAULTS
from wavetag import filter_figures, filters, networks, tagger, training
from wavetag.filters import Filters

RATE, LENGTH = 12_000, 256
CONFIG = DEFAULTS | {"length": LENGTH, "stride": LENGTH, "filters": 16, "seeds": [4, 5]}
WINDOW = 34_950
STATISTICS = {"minimum": -900, "maximum": 1_100, "mean": 0.0, "standard_deviation": 300.0}
PITCHES = np.linspace(5_600, 250, 16)  # of the planted filters: the highest first
torch.set_num_threads(1)


def waves(hertz, length=LENGTH, phase=0.3):
    hertz = np.atleast_1d(np.asarray(hertz, dtype=float))
    return np.cos(2 * np.pi * hertz[:, None] * np.arange(length) / RATE + phase)


def noise(count, length=LENGTH):
    return np.random.default_rng(0).normal(size=(count, length))


@pytest.mark.parametrize("length", [256, 300, 512, 1024])
def test_the_dominant_frequency_is_that_of_a_wave(length):
    hertz = np.array([100.0, 440.0, 1_234.5, 3_000.0, 5_800.0])
    found = filters.dominant_frequency(waves(hertz, length), RATE)
    np.testing.assert_allclose(found, hertz, atol=0.25 * RATE / length)  # a quarter of a frequency of its own


def test_no_frequency_of_scipys_spectrum_is_stronger_than_the_dominant_one():
    """Of noise, on a grid a hundred times as fine."""
    grid = np.linspace(0, RATE / 2, 2**15)
    for one in noise(20, 64):
        dominant = filters.dominant_frequency(one[None], RATE)
        of_dominant, of_all = (np.abs(signal.freqz(one, worN=where, fs=RATE)[1]) for where in (dominant, grid))
        assert of_dominant[0] > 0.98 * of_all.max()


def test_a_constant_filter_is_tuned_to_frequency_zero():
    assert filters.dominant_frequency(np.ones((1, 64)), RATE) == 0


def test_spectra_are_divided_by_their_largest_value():
    shapes = filters.spectra(np.vstack([0.001 * waves(440), 50 * waves(2_000), noise(3)]))
    assert shapes.shape == (5, len(filters.frequencies(LENGTH, RATE)))
    np.testing.assert_allclose(shapes.max(axis=1), 1)
    np.testing.assert_allclose(filters.spectra(waves(440))[0], filters.spectra(7 * waves(440))[0])
    assert filters.frequencies(LENGTH, RATE)[[0, -1]].tolist() == [0, RATE / 2]


def test_a_filter_of_zeros_has_no_frequency_and_comes_in_no_order():
    some = np.vstack([waves(2_000), np.zeros((1, LENGTH)), waves(500), waves(1_000)])
    assert np.isnan(filters.dominant_frequency(some, RATE)).tolist() == [False, True, False, False]
    assert filters.order(some, RATE).tolist() == [2, 3, 0]
    assert filters.table(some, RATE).loc[1].isna().sum() == 3
    assert not filters.spectra(some)[1].any()


def test_a_wave_has_most_energy_at_its_frequency_and_noise_little():
    """The main lobe of a rectangular window holds .903 of its energy."""
    assert filters.energy_share(waves([440, 1_234.5, 3_000]), RATE) == pytest.approx(0.903, abs=0.01)
    assert filters.energy_share(noise(200), RATE).max() < 0.1


def test_the_energy_share_is_that_of_a_band_of_the_power_spectrum():
    """Two waves far apart, one of four times the energy."""
    both = waves(1_000) + 0.5 * waves(4_000)
    assert filters.energy_share(both, RATE) == pytest.approx(0.8 * 0.903, abs=0.01)


def test_entropy_is_nothing_for_one_frequency_and_one_for_all():
    on_grid = waves(10 * RATE / LENGTH)
    assert filters.spectral_entropy(on_grid) == pytest.approx(0, abs=1e-9)
    impulse = np.zeros((1, LENGTH + 1))  # an odd length: every frequency but zero stands for two
    impulse[0, 3] = 1
    assert filters.spectral_entropy(impulse) == pytest.approx(1, abs=1e-3)


def test_entropy_of_two_equal_waves_is_that_of_a_coin():
    both = waves(10 * RATE / LENGTH) + waves(50 * RATE / LENGTH)
    assert filters.spectral_entropy(both) == pytest.approx(np.log(2) / np.log(129), abs=1e-6)


@pytest.mark.parametrize("length", [256, 1024])
def test_noise_has_the_entropy_that_is_said_of_it(length):
    assert filters.spectral_entropy(noise(500, length)).mean() == pytest.approx(
        filters.entropy_of_noise(length), abs=0.005
    )


def test_a_summary_counts_what_was_planted():
    some = np.vstack([waves([200, 400, 600, 4_000]), np.zeros((1, LENGTH))])
    found = filters.summary(some, RATE)
    assert (found["filters"], found["zero"], found["below_half"]) == (5, 1, 0.75)
    assert found["median_hz"] == pytest.approx(500, abs=10)
    assert found["entropy"] < 0.5 < found["entropy_of_noise"]
    nothing = filters.summary(np.zeros((2, 8)), RATE)
    assert (nothing["zero"], nothing["median_hz"], nothing["entropy"]) == (2, None, None)


def test_evenly_spaced_places_hold_both_ends():
    assert filters.evenly(100, 4).tolist() == [0, 33, 66, 99]
    assert filters.evenly(3, 12).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("given", "said"),
    [(np.ones(8), r"one of shape \(8,\) was given"), (np.full((2, 8), np.nan), "not finite numbers")],
)
def test_what_is_no_set_of_filters_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        filters.spectra(given)


def test_the_image_holds_the_spectra_in_their_order():
    drawing = filter_figures.of_spectra("base", Filters(waves(PITCHES)), RATE, "minitune")
    axis = drawing.figure.axes[0]
    image = axis.images[0]
    shown = np.asarray(image.get_array())  # [frequencies, filters]
    np.testing.assert_allclose(shown, filters.spectra(waves(PITCHES[::-1])).T)
    assert image.get_extent() == [0.5, 16.5, 0, RATE / 2]
    assert np.all(np.diff(shown.argmax(axis=0)) > 0)
    assert "50 % of the dominant frequencies are below 3000 Hz" in drawing.caption


def test_shapes_are_in_milliseconds_and_named_by_their_frequency():
    drawn = Filters(waves(PITCHES))
    drawing = filter_figures.of_shapes("base", drawn, RATE, "minitune", shown=4)
    axes = [axis for axis in drawing.figure.axes if axis.lines]
    headings = [axis.get_title(loc="left") for axis in axes]
    assert [heading.split(":")[0] for heading in headings] == ["filter 15", "filter 10", "filter 5", "filter 0"]
    assert float(headings[0].split()[-2]) == pytest.approx(250, abs=12)
    times, values = axes[1].lines[0].get_data()
    assert times[-1] == pytest.approx(1_000 * (LENGTH - 1) / RATE)
    np.testing.assert_array_equal(values, drawn.weights[10])


def test_groups_are_drawn_together_with_their_frequencies():
    weights = waves([4_000, 4_000, 500, 500, 1_000, 1_000])
    weights[1::2] = waves([4_000, 500, 1_000], phase=0.3 + np.pi / 2)
    drawing = filter_figures.of_groups("l2", Filters(weights, 2, "l2"), RATE, "minitune")
    axes = [axis for axis in drawing.figure.axes if axis.get_visible()]
    assert [axis.get_title(loc="left")[:8] for axis in axes] == ["group 1:", "group 2:", "group 0:"]
    lines = [line.get_ydata() for line in axes[0].lines if len(line.get_ydata()) == LENGTH]
    np.testing.assert_array_equal(lines, weights[2:4])
    assert "differ by 0 Hz in the median" in drawing.caption
    with pytest.raises(ValueError, match="base: its filters are not pooled"):
        filter_figures.of_groups("base", Filters(weights), RATE, "minitune")


def test_filters_of_zeros_alone_can_be_drawn(tmp_path):
    silent = Filters(np.zeros((4, 64)), 2, "max")
    for draw in (filter_figures.of_spectra, filter_figures.of_shapes, filter_figures.of_groups):
        drawing = draw("dead", silent, RATE, "minitune")
        assert "every filter is zero throughout" in [text.get_text() for text in drawing.figure.texts]


def write_model(folder, planted=None, **settings):
    """A model folder of two seeds; the first one's filters are ``planted``."""
    config, trainings = CONFIG | settings, {}
    for seed in config["seeds"]:
        torch.manual_seed(seed)
        network = networks.Tagger(config, STATISTICS, 2, RATE, WINDOW)
        if planted is not None and seed == config["seeds"][0]:
            with torch.no_grad():
                weight = network.frontend.conv.weight
                weight.copy_(torch.tensor(planted)[:, None])
        columns = ("train_loss", "valid_loss", "train_roc_auc", "valid_roc_auc")
        history = [{"seed": seed, "epoch": 1} | dict.fromkeys(columns, 0.5)]
        best = {key: value.clone() for key, value in network.state_dict().items()}
        trainings[seed] = training.Training(network, None, history, best, best_epoch=1)
    about = {
        "name": folder.name,
        "dataset": {"name": "minitune"},
        "config": config,
        "tags": ["rock", "heavy"],
        "sample_rate": RATE,
        "window_samples": WINDOW,
        "statistics": STATISTICS,
    }
    tagger.write(folder, about, trainings)


def run_stage(monkeypatch, *arguments):
    from wavetag.stages import filters as stage

    monkeypatch.setattr(sys, "argv", ["filters", *map(str, arguments)])
    return stage.main()


def test_the_stage_draws_the_filters_of_the_first_seed(tmp_path, monkeypatch):
    models, out = tmp_path / "models", tmp_path / "reports" / "filters"
    write_model(models / "base", waves(PITCHES))
    write_model(models / "l2", waves(PITCHES), feature_pool="l2", feature_pool_size=2)
    write_model(models / "fourier", frontend="fourier", initialise="fourier", frozen=True)
    out.mkdir(parents=True)
    (out / "of_an_older_config.png").touch()
    assert run_stage(monkeypatch, "--models", models, "--names", "base,l2,fourier", "--out", out) == 0
    drawn = {path.name for path in out.glob("*.png")}
    both = {f"filters_{name}_{kind}.png" for name in ("base", "l2", "fourier") for kind in ("spectra", "shapes")}
    assert drawn == both | {"filters_l2_groups.png", "filters_fourier_groups.png"}
    for name in drawn:
        with Image.open(out / name) as image:
            assert image.width == 1_350
    captions = json.loads((out / "captions.json").read_text())
    assert set(captions) == drawn and all(set(one) == {"title", "caption"} for one in captions.values())

    rows = pd.read_csv(out / "filters.csv")
    assert list(rows) == ["config", "seed", "filter", "dominant_hz", "energy_share", "entropy"]
    base = rows[rows["config"] == "base"]
    assert set(base["seed"]) == {4}
    np.testing.assert_allclose(base["dominant_hz"], PITCHES, atol=12)
    fourier = rows[rows["config"] == "fourier"]
    assert len(fourier) == 258
    cosines = fourier["dominant_hz"].to_numpy()[2:-2:2]
    np.testing.assert_allclose(cosines, np.arange(1, 128) * RATE / LENGTH, atol=0.5 * RATE / LENGTH)

    found = json.loads((out / "filters.json").read_text())
    assert list(found) == ["base", "l2", "fourier"]
    assert (found["base"]["seed"], found["base"]["filters"], found["base"]["below_half"]) == (4, 16, 0.5)
    assert (found["fourier"]["zero"], found["fourier"]["frozen"]) == (2, True)
    assert not list(out.parent.glob(".*"))


def test_the_same_filters_give_the_same_bytes(tmp_path, monkeypatch):
    write_model(tmp_path / "models" / "base")
    for out in ("one", "two"):
        run_stage(monkeypatch, "--models", tmp_path / "models", "--names", "base", "--out", tmp_path / out)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_model_without_filters_is_told(tmp_path, monkeypatch, capsys):
    write_model(tmp_path / "models" / "mel", frontend="mel")
    arguments = ("--models", tmp_path / "models", "--out", tmp_path / "out", "--names")
    assert run_stage(monkeypatch, *arguments, "mel") == 1
    assert "models/mel: its front end, Mel, has no filters that are learned; those of" in capsys.readouterr().err
    assert run_stage(monkeypatch, *arguments, "base") == 1
    assert "models/base is not a model folder" in capsys.readouterr().err
    assert run_stage(monkeypatch, *arguments, "base,,mel") == 1
    assert "--names 'base,,mel' was given" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
