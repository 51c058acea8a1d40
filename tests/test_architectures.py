"""The field's later networks: their sizes, their layers one by one, and what others trained with them.

The others' weights and the real clip are not part of the project; where they are absent, what needs them skips.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import peer_networks
from wavetag import architectures, frontends, networks

TECHNO = peer_networks.PEERS.parent / "magnatagatune" / "e/joram-moments_of_clarity-08-solipsism-59-88.mp3"
TAGS = 50
# Bands and frames of a window as published: at 16 kHz, one frame every 256 samples; the last two in 3.7 s.
WINDOWS = {
    "fcn": (96, 1_813),
    "crnn": (96, 1_813),
    "musicnn": (96, 188),
    "sample_cnn": (1, 59_049),
    "short_chunk_resnet": (128, 231),
}
SMALL = WINDOWS | {"fcn": (96, 1_280), "crnn": (96, 200), "musicnn": (96, 20), "short_chunk_resnet": (128, 40)}
torch.set_num_threads(1)


def make(name, windows=SMALL, seed=0):
    torch.manual_seed(seed)
    return architectures.build(name, *windows[name], {"dropout": 0.0, "batch_norm": False})


def window_of(name, windows=2, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn((windows, *SMALL[name]), generator=generator, dtype=torch.float64)
    return (values / 10 if name == "sample_cnn" else 20 * values - 10).to(dtype)  # samples; decibels


def convolution(before, after, size):
    """Numbers that a convolution and its batch norm learn."""
    return before * after * size + after + 2 * after


COUNTED = {  # by the layers that the publications list, from the input on
    "fcn": 2
    + convolution(1, 64, 9)
    + convolution(64, 128, 9)
    + 2 * convolution(128, 128, 9)
    + convolution(128, 64, 9)
    + 64 * TAGS
    + TAGS,
    "crnn": 2
    + convolution(1, 64, 9)
    + convolution(64, 128, 9)
    + 2 * convolution(128, 128, 9)
    + 3 * (128 * 32 + 32 * 32 + 2 * 32)  # a gated recurrent unit has three such gates
    + 3 * (32 * 32 + 32 * 32 + 2 * 32)
    + 32 * TAGS
    + TAGS,
    "musicnn": 2
    + convolution(1, 204, 67 * 7)
    + convolution(1, 204, 38 * 7)
    + sum(convolution(1, 51, length) for length in (129, 65, 33))
    + convolution(204 + 204 + 51 + 51 + 51, 64, 7)
    + 2 * convolution(64, 64, 7)
    + convolution(2 * (561 + 64 + 64 + 64), 200, 1)
    + 200 * TAGS
    + TAGS,
    "sample_cnn": convolution(1, 128, 3)
    + 2 * convolution(128, 128, 3)
    + convolution(128, 256, 3)
    + 5 * convolution(256, 256, 3)
    + convolution(256, 512, 3)
    + convolution(512, 512, 1)
    + 512 * TAGS
    + TAGS,
    "short_chunk_resnet": 2
    + 2 * convolution(1, 128, 9)
    + convolution(128, 128, 9)
    + 3 * convolution(128, 128, 9)
    + 2 * convolution(128, 256, 9)
    + convolution(256, 256, 9)
    + 3 * 3 * convolution(256, 256, 9)
    + 2 * convolution(256, 512, 9)
    + convolution(512, 512, 9)
    + convolution(512, 512, 1)
    + 512 * TAGS
    + TAGS,
}


@pytest.mark.parametrize("name", architectures.NAMES)
def test_as_many_parameters_as_the_published_layers_have(name):
    network = make(name, WINDOWS)
    count = networks.parameters(network) + network.features * TAGS + TAGS
    assert count == COUNTED[name]
    assert f"{count:,} parameters with 50 tags" in " ".join(type(network).__doc__.split())


def norm(x, layer):
    return functional.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)


def conv2d(x, layer, pool):
    x = functional.conv2d(x, layer.conv.weight, layer.conv.bias, padding=1)
    return functional.max_pool2d(torch.relu(norm(x, layer.norm)), pool)


def conv1d(x, layer, pool=1, **settings):
    x = functional.conv1d(x, layer.conv.weight, layer.conv.bias, **settings)
    return functional.max_pool1d(torch.relu(norm(x, layer.norm)), pool)


def fcn(network, x):
    x = norm(x[:, None], network.input_norm)
    for layer, pool in zip(network.layers, [(2, 4), (2, 4), (2, 4), (3, 5), (4, 4)], strict=True):
        x = conv2d(x, layer, pool)
    return x[:, :, 0, 0]


def crnn(network, x):
    x = norm(x[:, None], network.input_norm)
    for layer, pool in zip(network.layers, [2, 3, 4, 4], strict=True):
        x = conv2d(x, layer, pool)
    sequence = x[:, :, 0].transpose(1, 2)
    weights = network.recurrent.state_dict()
    for layer in range(2):
        of_input, of_state = weights[f"weight_ih_l{layer}"], weights[f"weight_hh_l{layer}"]
        bias_input, bias_state = weights[f"bias_ih_l{layer}"], weights[f"bias_hh_l{layer}"]
        state, states = x.new_zeros(len(x), 32), []
        for given in sequence.unbind(1):
            reset, update, new = (given @ of_input.T + bias_input).chunk(3, dim=1)
            old_reset, old_update, old_new = (state @ of_state.T + bias_state).chunk(3, dim=1)
            update = torch.sigmoid(update + old_update)
            state = (1 - update) * torch.tanh(new + torch.sigmoid(reset + old_reset) * old_new) + update * state
            states.append(state)
        sequence = torch.stack(states, dim=1)
    return sequence[:, -1]


def musicnn(network, x):
    x = norm(x[:, None], network.input_norm)
    front = []
    for layer in network.timbral:
        y = functional.conv2d(x, layer.conv.weight, layer.conv.bias, padding=(0, 3))
        front.append(torch.relu(norm(y, layer.norm)).max(dim=2).values)
    front += [
        conv1d(x.mean(dim=2), layer, padding=length // 2)
        for layer, length in zip(network.temporal, (129, 65, 33), strict=True)
    ]
    front = torch.cat(front, dim=1)
    first = conv1d(front, network.layers[0], padding=3)
    second = first + conv1d(first, network.layers[1], padding=3)
    third = second + conv1d(second, network.layers[2], padding=3)
    x = torch.cat([front, first, second, third], dim=1)
    x = torch.cat([x.max(dim=2).values, x.mean(dim=2)], dim=1)
    return torch.relu(norm(network.dense(x), network.dense_norm))


def sample_cnn(network, x):
    first, *middle, last = network.layers
    x = conv1d(x, first, stride=3)
    frames = [x.shape[2]]
    for layer in middle:
        x = conv1d(x, layer, pool=3, padding=1)
        frames.append(x.shape[2])
    assert frames == [3**exponent for exponent in range(9, -1, -1)]
    return conv1d(x, last)[:, :, 0]


def short_chunk_resnet(network, x):
    x = norm(x[:, None], network.input_norm)
    for layer in network.layers:
        y = functional.conv2d(x, layer.conv1.weight, layer.conv1.bias, stride=2, padding=1)
        y = functional.conv2d(torch.relu(norm(y, layer.norm1)), layer.conv2.weight, layer.conv2.bias, padding=1)
        beside = functional.conv2d(x, layer.shortcut.weight, layer.shortcut.bias, stride=2, padding=1)
        x = torch.relu(norm(y, layer.norm2) + norm(beside, layer.shortcut_norm))
    assert x.shape[1:3] == (512, 1)
    return torch.relu(norm(network.dense(x[:, :, 0].max(dim=2).values), network.dense_norm))


@pytest.mark.parametrize("spelled_out", [fcn, crnn, musicnn, sample_cnn, short_chunk_resnet])
def test_the_layers_of_the_publication_in_float64(spelled_out):
    name = spelled_out.__name__
    network = make(name).double()
    with torch.no_grad():
        for module in network.modules():  # batch norm that does something
            if hasattr(module, "running_var"):
                nn.init.uniform_(module.weight, -1.0, 2.0)
                nn.init.normal_(module.bias)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
        given = window_of(name, dtype=torch.float64)
        found = network.eval()(given)
        assert found.std(dim=0).max() > 0  # it tells the windows apart
        torch.testing.assert_close(found, spelled_out(network, given))


@pytest.mark.parametrize("name", architectures.NAMES)
def test_every_weight_learns_and_half_of_the_features_are_dropped(name):
    network = make(name).train()
    given = window_of(name, windows=4)
    features = network(given)
    assert features.shape == (4, network.features)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(features.sum(), network.parameters()))
    dropped = (network.dropout(torch.ones(200, network.features)) == 0).float().mean().item()
    assert dropped == pytest.approx(0.5, abs=0.03)
    assert not torch.equal(network(given), network(given))
    network.eval()
    torch.testing.assert_close(network(given), network(given), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["crnn", "musicnn", "sample_cnn", "short_chunk_resnet"])
@pytest.mark.parametrize("narrow", [False, True])
def test_products_in_bfloat16_give_nearly_the_same_features_as_float32(name, narrow):
    network = make(name).train()
    network.dropout.p = 0.0
    given = window_of(name, windows=6)
    expected = network(given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(given.bfloat16() if narrow else given)
    assert found.dtype == torch.float32
    assert (found - expected).abs().mean() < 0.1 * expected.std()


@pytest.mark.parametrize("name", architectures.NAMES)
def test_where_the_windows_channels_lie_in_memory_changes_nothing(name):
    network, given = make(name).eval(), window_of(name)
    other = given.transpose(1, 2).contiguous().transpose(1, 2)
    torch.testing.assert_close(network(other), network(given), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "channels", "frames", "message"),
    [
        ("fcn", 96, 1_279, "fcn takes windows of 96 bands and 1,280 to 2,559 frames; this one has 96 and 1,279"),
        ("fcn", 96, 2_560, "this one has 96 and 2,560"),
        ("fcn", 128, 1_813, "this one has 128 and 1,813"),
        ("crnn", 96, 95, "crnn takes windows of 96 bands and 96 or more frames; this one has 96 and 95"),
        ("musicnn", 128, 188, "musicnn takes windows of 96 bands and 1 or more frames; this one has 128 and 188"),
        ("sample_cnn", 1, 59_048, "sample_cnn takes windows of 1 channel and 59,049 to 118,097 samples; this one has"),
        ("sample_cnn", 96, 59_049, "this one has 96 and 59,049"),
        ("short_chunk_resnet", 96, 231, "short_chunk_resnet takes windows of 128 bands and 1 or more frames"),
        ("vgg", 96, 188, "network 'vgg' is unknown; there are fcn, crnn, musicnn, sample_cnn, short_chunk_resnet"),
    ],
)
def test_windows_that_a_network_cannot_take_are_refused(name, channels, frames, message):
    with pytest.raises(ValueError, match=message):
        architectures.build(name, channels, frames, {})


@pytest.mark.parametrize(
    ("name", "frames"),
    [("fcn", 1_280), ("fcn", 2_559), ("crnn", 96), ("musicnn", 1), ("sample_cnn", 118_097), ("short_chunk_resnet", 1)],
)
def test_the_shortest_and_longest_windows_that_are_not_refused_pass(name, frames):
    channels = WINDOWS[name][0]
    network = architectures.build(name, channels, frames, {}).eval()
    with torch.no_grad():
        assert network(torch.randn(1, channels, frames)).isfinite().all()


@pytest.mark.parametrize(
    ("sample_rate", "seconds"), [(12_000, 29.1), (16_000, 29.1), (12_000, 29.125), (16_000, 29.125)]
)
def test_whole_clips_fit_at_both_sample_rates(sample_rate, seconds):
    frontend = frontends.LogMel(round(seconds * sample_rate), sample_rate, bands=96)
    for name in ("fcn", "crnn"):
        architectures.build(name, frontend.channels, frontend.frames, {})


def test_weights_of_sample_cnn_begin_he_uniform():
    for layer in make("sample_cnn").layers:
        bound = (6 / layer.conv.weight[0].numel()) ** 0.5
        assert layer.conv.weight.abs().max() <= bound
        assert layer.conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
        assert not layer.conv.bias.any()


published = pytest.mark.skipif(not peer_networks.PEERS.is_dir(), reason="the published networks are not here")


@published
@pytest.mark.parametrize("name", peer_networks.NETWORKS)
def test_every_published_tensor_has_its_place_in_our_network(name):
    weights = torch.load(peer_networks.PEERS / f"sota_mtat_{name}.pth", weights_only=True, map_location="cpu")
    network = peer_networks.Peer(name, weights)
    ours = network.state_dict() | {f"frontend.{key}": buffer for key, buffer in network.frontend.named_buffers()}
    assert sorted(tuple(tensor.shape) for tensor in ours.values()) == sorted(
        tuple(tensor.shape) for tensor in weights.values()
    )
    weights["layer9.conv.weight"] = torch.zeros(1)
    with pytest.raises(ValueError, match=f"{name}: layer9.conv.weight of the published weights have no place in ours"):
        peer_networks.Peer(name, weights)


@published
@pytest.mark.skipif(not TECHNO.is_file(), reason="the real clip is not here")
@pytest.mark.parametrize(
    ("name", "expected"), [("fcn", ["fast", "techno"]), ("crnn", ["techno"]), ("musicnn", ["techno"])]
)
def test_a_published_network_hears_techno_in_a_real_techno_clip(name, expected):
    """Of the 50 tags it has this one alone. To the published FCN it is fast first: whoever builds the network."""
    predicted = peer_networks.predict_tags(peer_networks.load_network(name), TECHNO)
    best = [peer_networks.TAGS[i] for i in np.argsort(-predicted)]
    assert best[: len(expected)] == expected
