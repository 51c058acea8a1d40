"""The drawing of the architecture is of the network that runs; a taggram is what the network says over time."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from conftest import DEFAULTS
from wavetag import architecture_drawing, architectures, frontends, networks, taggrams

STATISTICS = {"minimum": -32768, "maximum": 32767, "mean": 0.0, "standard_deviation": 5000.0, "clips": 1}
WINDOW, WINDOWS = 34_950, 3


def network(window: int = WINDOW, **config) -> networks.Tagger:
    torch.manual_seed(0)
    return networks.Tagger({**DEFAULTS, **config}, STATISTICS, 50, 12_000, window).eval()


def test_the_reports_network_is_drawn_with_its_shapes_and_its_55422_parameters():
    found = architecture_drawing.layers(network(), WINDOWS * WINDOW)
    assert [(layer.shape, layer.of, layer.parameters) for layer in found] == [
        ((34_950,), "window", 0),
        ((32, 136), "window", 8_224),
        ((32, 34), "window", 8_224),
        ((32, 8), "window", 8_224),
        ((100,), "window", 25_700),
        ((50,), "window", 5_050),
        ((50,), "clip", 0),
    ]
    assert sum(layer.parameters for layer in found) == 55_422
    assert [layer.steps for layer in found[2:6]] == [
        ["max-pooling by 4", "ReLU"],
        ["max-pooling by 4", "ReLU"],
        ["ReLU"],
        ["sigmoid"],
    ]
    assert "filters of 256 samples, one output every 256" in found[1].detail


def test_batch_norm_and_where_windows_are_pooled_are_seen():
    found = architecture_drawing.layers(network(batch_norm=True, pool="features"), WINDOWS * WINDOW)
    assert [layer.name for layer in found[-3:]] == ["dense layer", "mean over windows", "dense layer"]
    assert [layer.of for layer in found[-3:]] == ["window", "clip", "clip"]
    assert found[2].steps == ["ReLU", "batch norm", "max-pooling by 4"]


@pytest.mark.parametrize("frontend", frontends.FRONTENDS)
def test_every_front_end_is_drawn(frontend):
    if frontend == "samples":
        pytest.skip("it is for the networks that take samples")
    one = network(frontend=frontend)
    found = architecture_drawing.layers(one, WINDOWS * WINDOW)
    shape = tuple(size for size in (one.frontend.channels, one.frontend.frames) if size > 1)
    assert found[1].shape == shape
    assert sum(layer.parameters for layer in found) == networks.parameters(one)


@pytest.mark.parametrize("name", architectures.NAMES)
def test_every_architecture_is_drawn_with_all_its_parameters(name):
    window = {"fcn": 349_500, "sample_cnn": 3**10}.get(name, WINDOW)
    frontend = "samples" if name == "sample_cnn" else "log_mel"
    bands = 96 if name in ("fcn", "crnn", "musicnn") else 128
    one = network(window, network=name, frontend=frontend, bands=bands)
    found = architecture_drawing.layers(one, 2 * window)
    assert sum(layer.parameters for layer in found) == networks.parameters(one)
    assert found[-1].shape == (50,)
    assert len(found) > 6


def test_weights_that_are_never_used_are_no_part_of_a_drawing():
    one = network()
    one.trunk.forgotten = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="8 of the network's 55430 weights were never used"):
        architecture_drawing.layers(one, WINDOWS * WINDOW)


def test_the_drawing_holds_every_layer_and_its_shape():
    found = architecture_drawing.layers(network(), WINDOWS * WINDOW)
    drawn = architecture_drawing.drawing(found, "<title> & more")
    assert drawn.count("<rect") == len(found)
    assert re.findall(r'class="shape">([^<]*)<', drawn)[1:3] == ["32 × 136 a window", "32 × 34 a window"]
    assert "&lt;title&gt; &amp; more" in drawn
    assert "8,224 parameters" in drawn


@pytest.mark.parametrize("pool", networks.POOLING)
def test_every_fourth_window_of_a_taggram_is_one_of_the_networks_own(pool):
    one, another = network(pool=pool), network(pool=pool, batch_norm=True)
    samples = np.random.default_rng(0).integers(-9000, 9000, WINDOWS * WINDOW).astype(np.int16)
    found = taggrams.taggram([one, another], samples, len(samples))
    assert found.probabilities.shape == (4 * (WINDOWS - 1) + 1, 50)
    np.testing.assert_allclose(np.diff(found.starts), WINDOW / 12_000 / 4, atol=1e-4)
    with torch.no_grad():
        whole = torch.from_numpy(samples.astype(np.float32))[None]
        if pool != "features":  # whose clip is not the mean of its windows' predictions
            means = [tagger(whole, torch.tensor([WINDOWS]))[0] for tagger in (one, another)]
            expected = torch.stack(means).mean(0)
            np.testing.assert_allclose(found.probabilities[::4].mean(axis=0), expected, atol=1e-5)
        first = torch.stack([tagger(whole[:, :WINDOW], torch.tensor([1]))[0] for tagger in (one, another)]).mean(0)
    np.testing.assert_allclose(found.probabilities[0], first, atol=1e-5)


def test_a_taggram_ends_with_the_sound():
    samples = np.zeros(WINDOWS * WINDOW, dtype=np.int16)
    found = taggrams.taggram([network()], samples, WINDOW + WINDOW // 2)
    assert len(found.starts) == 4  # of the last window a quarter is padding
    assert len(taggrams.taggram([network()], samples, 100).starts) == 1
    with pytest.raises(ValueError, match="a window has 34950 samples, the clip 100"):
        taggrams.taggram([network()], samples[:100], 100)


def test_the_highest_of_a_tag_is_the_middle_of_its_window():
    one = taggrams.Taggram(np.array([0.0, 1.0, 2.0]), 2.0, np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.3]]))
    assert one.highest(0) == 2.0
    assert one.highest(1) == 1.0
