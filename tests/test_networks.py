"""The network: its size, its pooling over windows, and what must not change a clip's prediction."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from conftest import DEFAULTS
from wavetag import networks

CONFIG = DEFAULTS
STATISTICS = {"minimum": -32_768, "maximum": 32_767, "mean": 0.0, "standard_deviation": 3_000.0, "clips": 1}
WINDOW = 34_950
SHORT = 5_000  # samples of a window, where the real length does not matter: 19 frames
torch.set_num_threads(1)


def make(window=SHORT, sample_rate=12_000, tags=50, seed=0, **settings):
    torch.manual_seed(seed)
    return networks.Tagger(CONFIG | settings, STATISTICS, tags, sample_rate, window)


def clips_of(clips, windows, window=SHORT, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(-20_000, 20_000, (clips, windows * window)).astype(np.int16))


@pytest.mark.parametrize(
    ("window", "sample_rate", "filters", "expected"),
    [
        (34_950, 12_000, 32, 55_422),
        (34_950, 12_000, 128, 104_670),
        (46_600, 16_000, 32, 65_022),
        (46_600, 16_000, 128, 114_270),
    ],
)
def test_parameters_of_the_raw_network_at_256_256(window, sample_rate, filters, expected):
    assert networks.parameters(make(window, sample_rate, filters=filters)) == expected


def test_the_first_dense_layer_of_flat_has_35_072_inputs():
    assert make(WINDOW, frontend="flat").trunk.dense.in_features == 35_072


@pytest.mark.parametrize("frontend", ["raw", "mel", "linear", "flat"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_every_front_end_gives_a_probability_for_each_clip_and_tag(frontend, batch_norm):
    network = make(frontend=frontend, batch_norm=batch_norm, dropout=0.5, tags=7)
    predictions = network(clips_of(3, 2), torch.tensor([2, 2, 1]))
    assert predictions.shape == (3, 7)
    assert ((predictions >= 0) & (predictions <= 1)).all()  # and no NaN, which compares as neither


def test_the_shortest_settings_of_the_report_and_the_longest_fit_a_window():
    for length, stride in [(1024, 1024), (1024, 512), (512, 512), (512, 256), (256, 256)]:
        assert make(WINDOW, length=length, stride=stride).trunk.dense.out_features == 100


@pytest.mark.parametrize("frontend", ["raw", "mel", "linear"])
def test_too_short_windows_are_refused(frontend):
    with pytest.raises(ValueError, match="15 frames a window are too few"):
        make(window=16 * 256 - 1, frontend=frontend)
    make(window=16 * 256, frontend=frontend)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="pool 'max' is unknown; there are predictions, features, window_loss"):
        make(pool="max")


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("frames", [19, 136])
def test_the_trunk_is_two_same_convolutions_pooled_by_four_and_a_dense_layer(batch_norm, frames):
    """Spelled out with torch's one-dimensional layers, in float64."""
    torch.manual_seed(0)
    trunk = networks.Trunk(5, frames, batch_norm, dropout=0.5).double()
    trunk(torch.randn(20, 5, frames, dtype=torch.float64))  # training mode: gives batch norm something to remember
    trunk.eval()
    given = torch.randn(3, 5, frames, dtype=torch.float64)
    x = given
    for conv, norm in [(trunk.conv1, trunk.norm1), (trunk.conv2, trunk.norm2)]:
        x = torch.relu(functional.conv1d(x, conv.weight, conv.bias, padding="same"))
        assert x.shape[2] in (frames, frames // 4)
        if batch_norm:
            x = functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
            assert norm.running_mean.abs().min() > 0
        x = functional.max_pool1d(x, 4)
    x = torch.relu(functional.linear(x.flatten(1), trunk.dense.weight, trunk.dense.bias))
    if batch_norm:
        norm = trunk.norm_dense
        x = functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    torch.testing.assert_close(trunk(given), x)


def numpys_predictions(network, samples, windows):
    """What the last two layers make of the features of each window, in NumPy."""
    with torch.no_grad():
        front = network.front(samples)
        features = network.trunk(front.flatten(0, 1)).reshape(*front.shape[:2], 100).numpy().astype(np.float64)
    weight = network.classifier.weight.detach().numpy().astype(np.float64)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    clips = []
    for of_clip, number in zip(features, windows, strict=True):
        if network.pool == "features":
            clips.append(sigmoid(of_clip[:number].mean(axis=0) @ weight.T))
        else:
            clips.append(sigmoid(of_clip[:number] @ weight.T).mean(axis=0))
    return np.stack(clips)


@pytest.mark.parametrize("pool", networks.POOLING)
def test_a_clips_prediction_is_the_mean_over_its_windows(pool):
    network = make(pool=pool).eval()
    samples, windows = clips_of(3, 4), torch.tensor([4, 1, 3])
    with torch.no_grad():
        found = network(samples, windows).numpy()
    np.testing.assert_allclose(found, numpys_predictions(network, samples, windows.tolist()), atol=1e-6)


def test_pooling_predictions_and_pooling_features_differ():
    samples, windows = clips_of(2, 4), torch.tensor([4, 4])
    one, other = (make(pool=pool).eval()(samples, windows) for pool in ("predictions", "features"))
    assert (one - other).abs().max() > 1e-4


@pytest.mark.parametrize("pool", networks.POOLING)
@pytest.mark.parametrize("frontend", ["raw", "linear"])
def test_what_stands_in_a_window_of_padding_changes_nothing(pool, frontend):
    network = make(pool=pool, frontend=frontend, batch_norm=True).eval()
    windows = torch.tensor([2, 3])
    silent, garbage = clips_of(2, 3), clips_of(2, 3)
    silent[0, 2 * SHORT :] = 0
    garbage[0, 2 * SHORT :] = 12_345
    torch.testing.assert_close(network(silent, windows), network(garbage, windows), rtol=0, atol=0)


@pytest.mark.parametrize("frontend", ["raw", "mel", "linear"])
def test_a_clips_prediction_does_not_depend_on_the_clips_beside_it(frontend):
    network = make(frontend=frontend, batch_norm=True, dropout=0.5)
    samples, windows = clips_of(8, 3), torch.tensor([3] * 8)
    network.train()
    network(samples, windows)  # so that the running statistics are not those of a new network
    network.eval()
    together = network(samples, windows)
    alone = torch.cat([network(samples[clip : clip + 1], windows[:1]) for clip in range(8)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_weights_begin_kaiming_normal_and_biases_at_zero():
    network = make(WINDOW, filters=128)
    for module in (
        network.frontend.conv,
        network.trunk.conv1,
        network.trunk.conv2,
        network.trunk.dense,
        network.classifier,
    ):
        fan_in = module.weight[0].numel()
        assert module.weight.mean().item() == pytest.approx(
            0, abs=0.005 + 4 / math.sqrt(module.weight.numel() * fan_in)
        )
        assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.05)
        assert not module.bias.any()


def test_batch_norm_stands_behind_each_relu_and_dropout_before_the_last_layer():
    plain, both = make(), make(batch_norm=True, dropout=0.5)
    norms = [module.num_features for module in both.modules() if isinstance(module, _BatchNorm)]
    assert norms == [32, 32, 100]
    assert networks.parameters(both) - networks.parameters(plain) == 2 * (32 + 32 + 100)
    dropped = both.train().trunk(torch.randn(200, 32, 19))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert (both.eval().trunk(torch.randn(200, 32, 19)) == 0).float().mean() < 0.1  # some units are dead


def test_loss_is_binary_cross_entropy():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 2, (20, 6)), rng.uniform(0.01, 0.99, (20, 6)).astype(np.float32)
    found = networks.loss(torch.from_numpy(predictions), torch.full((20,), 3), torch.from_numpy(labels).float())
    expected = np.mean([log_loss(labels[:, tag], predictions[:, tag], labels=[0, 1]) for tag in range(6)])
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_loss_window_by_window_holds_each_window_that_counts_against_its_clips_labels():
    rng = np.random.default_rng(1)
    labels, predictions = rng.integers(0, 2, (4, 5)), rng.uniform(0.01, 0.99, (4, 3, 5)).astype(np.float32)
    windows = [3, 1, 2, 3]
    each = -np.where(labels[:, None] == 1, np.log(predictions), np.log(1 - predictions)).mean(
        axis=2
    )  # [clips, windows]
    expected = np.mean([of_clip[:number].mean() for of_clip, number in zip(each, windows, strict=True)])
    found = networks.loss(torch.from_numpy(predictions), torch.tensor(windows), torch.from_numpy(labels).float())
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_window_loss_gives_a_prediction_a_window_while_training_alone():
    network, samples, windows = make(pool="window_loss"), clips_of(2, 3), torch.tensor([3, 3])
    of_windows = network.train()(samples, windows)
    assert of_windows.shape == (2, 3, 50)
    torch.testing.assert_close(network.eval()(samples, windows), of_windows.mean(dim=1))


@pytest.mark.parametrize(
    ("window", "hop", "samples", "starts"),
    [
        (4, 4, 12, [0, 4, 8]),
        (4, 2, 12, [0, 2, 4, 6, 8]),
        (4, 4, 10, [0, 4, 8]),
        (4, 3, 11, [0, 3, 6, 9]),
        (4, 4, 3, [0]),
    ],
)
def test_clips_are_cut_into_windows_that_cover_them(window, hop, samples, starts):
    framing = networks.Framing(12_000, window, hop)
    clip = torch.arange(1, samples + 1)[None]
    cut = framing.cut(clip)
    assert cut.shape == (1, len(starts), window)
    padded = torch.cat([clip[0], torch.zeros(window, dtype=clip.dtype)])
    for start, found in zip(starts, cut[0], strict=True):
        assert torch.equal(found, padded[start : start + window])


def test_windows_that_begin_after_the_audio_has_ended_do_not_count():
    framing = networks.Framing(10, window=4, hop=2)
    assert framing.counted(np.array([1.2, 0.6, 0.5, 0.0, 9.0]), 12).tolist() == [5, 3, 3, 1, 5]


def test_a_clip_in_overlapping_windows_is_the_mean_over_them():
    network = make(overlap=0.5).eval()
    samples = torch.randint(-9_000, 9_000, (2, 3 * network.window_samples), dtype=torch.int16)
    shifted = samples[:, network.window_samples // 2 :][:, : 2 * network.window_samples]
    plain = make().eval()
    plain.load_state_dict(network.state_dict())
    whole, between = plain(samples, torch.tensor([3, 3])), plain(shifted, torch.tensor([2, 2]))
    expected = (3 * whole + 2 * between) / 5
    assert torch.allclose(network(samples, torch.tensor([5, 5])), expected, atol=1e-6)


def test_a_label_of_weight_zero_does_not_count_and_one_of_two_counts_twice():
    predictions = torch.tensor([[0.2, 0.7], [0.9, 0.4]])
    labels, windows = torch.tensor([[0.0, 1.0], [1.0, 1.0]]), torch.tensor([1, 1])
    weights = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    each = [-math.log(0.8), -2 * math.log(0.7), -math.log(0.4)]
    found = networks.loss(predictions, windows, labels, weights).item()
    assert found == pytest.approx(sum(each) / 3, abs=1e-6)
    by_window = predictions.unsqueeze(1).repeat(1, 2, 1)
    assert networks.loss(by_window, windows * 2, labels, weights).item() == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({}, 55_422),
        ({"filters": 128}, 104_670),
        # conv 32 -> 64 -> 64 of length 8, 136 frames / 16 = 8, 200 hidden units
        ({"conv_filters": 64, "hidden": 200}, 8_224 + 16_448 + 32_832 + 102_600 + 10_050),
        # a third convolution, 136 frames / 64 = 2
        ({"conv_layers": 3}, 8_224 + 3 * 8_224 + 6_500 + 5_050),
    ],
)
def test_larger_networks_have_the_weights_that_their_sizes_give(settings, count):
    network = networks.Tagger(CONFIG | settings, STATISTICS, 50, 12_000, 34_950)
    assert networks.parameters(network) == count
