"""The networks that train fast against the same networks in plain layers: predictions and gradients."""

import numpy as np
import plain
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from conftest import DEFAULTS
from wavetag import networks

CONFIG = DEFAULTS | {"scaling": "none"}
WINDOW, TAGS, CLIPS, WINDOWS = 34_950, 50, 10, 3
KINDS = {
    "raw 256/256": {},
    "raw 512/256": {"length": 512},
    "raw 1024/512": {"length": 1024, "stride": 512},
    "raw 300/200": {"length": 300, "stride": 200},  # not a whole number of strides
    "raw, batch norm": {"batch_norm": True},
    "linear": {"frontend": "linear"},
    "linear, batch norm": {"frontend": "linear", "batch_norm": True},
    "flat": {"frontend": "flat"},
    "flat, batch norm": {"frontend": "flat", "batch_norm": True},
}
each_kind = pytest.mark.parametrize("settings", list(KINDS.values()), ids=list(KINDS))
torch.set_num_threads(1)


def samples_and_labels():
    rng = np.random.default_rng(1)
    time = np.arange(WINDOWS * WINDOW) / 12_000
    tones = np.sin(2 * np.pi * rng.uniform(80, 3_000, (CLIPS, 1)) * time) * rng.uniform(0.1, 0.6, (CLIPS, 1))
    samples = np.round(32_768 * (tones + 0.02 * rng.normal(size=tones.shape))).clip(-32_768, 32_767).astype(np.int16)
    return torch.from_numpy(samples), torch.from_numpy(rng.integers(0, 2, (CLIPS, TAGS)).astype(np.float32))


def two(settings, double=False):
    """A network, and the plain one with the same weights."""
    torch.manual_seed(0)
    config = CONFIG | settings
    network = networks.Tagger(config, {}, TAGS, 12_000, WINDOW)
    if config["frontend"] == "raw":
        of_samples = {name: config[name] for name in ("length", "stride", "filters")}
        other = plain.PlainTagger(1, WINDOW, TAGS, **of_samples, batch_norm=config["batch_norm"])
    else:
        shape = (network.frontend.channels, network.frontend.frames)
        other = plain.PlainTagger(*shape, TAGS, batch_norm=config["batch_norm"])
    for module in network.modules():  # biases of zero, and norms of one, would hide what is done with them
        if isinstance(module, nn.Conv1d | nn.Linear):
            nn.init.uniform_(module.bias, -0.1, 0.1)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.weight, -1.0, 1.5)
    plain.copy_weights(network, other)
    return (network.double(), other.double()) if double else (network, other)


def plain_front(settings, samples):
    windows = (samples.double() / 32_768).view(CLIPS, WINDOWS, WINDOW).numpy()
    spectrogram = plain.SPECTROGRAMS[(CONFIG | settings)["frontend"]]
    return torch.from_numpy(np.stack([spectrogram(clip) for clip in windows]))


def gradients(network, predictions, labels):
    loss = functional.binary_cross_entropy(predictions, labels.to(predictions.dtype))
    return torch.autograd.grad(loss, list(network.parameters()))


def relative(found, expected):
    """The largest relative error of a gradient, each weight's as a whole."""
    return [
        ((one.reshape(other.shape) - other).norm() / other.norm()).item()
        for one, other in zip(found, expected, strict=True)
    ]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@each_kind
def test_predictions_and_gradients_are_those_of_plain_layers(settings):
    """In float64, where nothing but rounding is left."""
    (network, other), (samples, labels) = two(settings, double=True), samples_and_labels()
    front = plain_front(settings, samples)
    windows = torch.full((CLIPS,), WINDOWS)
    if network.frontend.learns:
        found = network.tag(network.front(samples, torch.float64), windows)
    else:  # the spectrogram itself is held against SciPy in test_frontends.py
        found = network.tag(front, windows)
    expected = other(front)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)  # samples are scaled in float32
    errors = relative(gradients(network, found, labels), gradients(other, expected, labels))
    assert max(errors) < 1e-5


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@each_kind
def test_in_float32_too_from_samples_to_gradients(settings):
    (network, other), (samples, labels) = two(settings), samples_and_labels()
    found = network(samples, torch.full((CLIPS,), WINDOWS))
    expected = other(plain_front(settings, samples).float())
    # torch sums up batch norm's statistics one by one where channels are last: of half a million numbers, 3 digits stay
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    errors = relative(gradients(network, found, labels), gradients(other, expected, labels))
    assert max(errors) < (
        2e-2 if "batch_norm" in settings else 1e-3
    )  # where two frames are all but equal, max-pooling may take another


def half(network, samples):
    return network.tag(network.front(samples, torch.bfloat16), torch.full((CLIPS,), WINDOWS))


@each_kind
def test_in_bfloat16_predictions_and_gradients_are_those_of_float32_to_its_precision(settings):
    """bfloat16 has 8 bits: numbers are rounded by up to 1/512 of themselves, many times over on the way."""
    (network, _), (samples, labels) = two(settings), samples_and_labels()
    expected, found = network(samples, torch.full((CLIPS,), WINDOWS)), half(network, samples)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0.04)
    exact, rounded = gradients(network, expected, labels), gradients(network, found, labels)
    assert all(gradient.dtype == torch.float32 for gradient in rounded)
    exact, rounded = (torch.cat([gradient.flatten() for gradient in each]) for each in (exact, rounded))
    assert functional.cosine_similarity(exact, rounded, dim=0) > 0.95
    assert not torch.equal(found, expected)  # it was taken in bfloat16 indeed


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_batch_norm_remembers_what_torchs_does():
    (network, other), (samples, _) = two({"batch_norm": True}, double=True), samples_and_labels()
    for _ in range(2):
        network.tag(network.front(samples, torch.float64), torch.full((CLIPS,), WINDOWS))
        other(plain_front({}, samples))
    found = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    expected = [module for module in other.modules() if isinstance(module, _BatchNorm)]
    for one, of_torch in zip(found, expected, strict=True):
        assert one.num_batches_tracked == of_torch.num_batches_tracked == 2
        torch.testing.assert_close(one.running_mean, of_torch.running_mean, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(one.running_var, of_torch.running_var, rtol=1e-5, atol=1e-7)


def test_moments_of_many_numbers_keep_their_digits():
    """Of 1.8 million a channel, as `flat` has; and of pieces of unequal size."""
    torch.manual_seed(0)
    x = torch.relu(torch.randn(103, 2, 1, 17_544) * 0.5 + 1).contiguous(memory_format=torch.channels_last)
    mean, variance = networks._Moments.apply(x)
    variances, means = torch.var_mean(x.double(), (0, 2, 3), correction=0)
    torch.testing.assert_close(mean.double(), means, rtol=1e-6, atol=0)
    torch.testing.assert_close(variance.double(), variances, rtol=1e-6, atol=0)


def test_moments_have_the_gradients_of_finite_differences(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(networks._Moments, "PIECE", 2 * 3 * 5)
    x = torch.randn(5, 3, 1, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(networks._Moments.apply, (x,))


@pytest.mark.parametrize("together", [1, 3, 4, 7])
@pytest.mark.parametrize("frames", [1, 4, 17])
def test_a_convolution_of_one_channel_is_a_convolution(frames, together):
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(shape, dtype=torch.float64) for shape in ((2, frames + 7), (3, 8), (3,)))
    expected = functional.conv1d(x.unsqueeze(1), weight.unsqueeze(1), bias)
    torch.testing.assert_close(networks._conv_of_one_channel(x, weight, bias, together).squeeze(2), expected)
