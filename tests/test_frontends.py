"""Front ends against SciPy, NumPy loops, and sounds whose spectrum is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import signal

from conftest import DEFAULTS
from wavetag import frontends

WINDOW = 34_950  # samples at 12 kHz
TABLE = [(1024, 1024), (1024, 512), (512, 512), (512, 256), (256, 256)]  # of the paper: length, stride
CONFIG = DEFAULTS
PEERS = Path(__file__).resolve().parents[2] / "shared" / "peers"  # others' weights, not part of the project
torch.set_num_threads(1)


def build(name, window=WINDOW, sample_rate=12_000, **settings):
    return frontends.build(CONFIG | {"frontend": name} | settings, window, sample_rate)


def parameters(module):
    return sum(weight.numel() for weight in module.parameters())


def noise(*shape, sd=0.1, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(0, sd, shape), dtype=torch.float32)


def sine(frequency, sample_rate, samples=WINDOW):
    return torch.sin(2 * torch.pi * frequency * torch.arange(samples, dtype=torch.float64) / sample_rate).float()[None]


def scipys_spectrogram(samples):
    """float64 [windows, 129, 136], with the settings of the report."""
    return signal.spectrogram(samples.numpy().astype(np.float64), fs=12_000, nperseg=256, noverlap=0)[2]


@pytest.mark.parametrize(
    ("length", "stride", "expected"),
    [(*of_table, frames) for of_table, frames in zip(TABLE, (34, 67, 68, 135, 136), strict=True)],
)
def test_whole_frames_of_a_window(length, stride, expected):
    assert frontends.frames(WINDOW, length, stride) == expected
    for name in ("raw", "mel", "linear", "fourier"):
        frontend = build(name, length=length, stride=stride, filters=4)
        assert frontend(noise(1, WINDOW)).shape == (1, frontend.channels, expected)
        assert frontend.frames == expected


def test_a_window_shorter_than_a_frame_has_none():
    assert frontends.frames(255, 256, 256) == 0
    assert frontends.frames(256, 256, 256) == 1


@pytest.mark.parametrize("length", [*range(1, 70), 100, 255, 256, 257, 300, 512, 1000, 1024, 2048])
def test_the_tukey_window_is_scipys_to_the_bit(length):
    assert np.array_equal(frontends.tukey(length), signal.get_window(("tukey", 0.25), length))


def test_linear_is_scipys_spectrogram_with_a_compressed_scale():
    samples = noise(3, WINDOW) + 0.3 * sine(440.0, 12_000) + 0.05  # a tone and an offset, which is to be taken away
    expected = scipys_spectrogram(samples)
    frontend = frontends.Linear(WINDOW, 12_000)
    np.testing.assert_allclose(frontend.spectrogram(samples), expected, rtol=1e-3, atol=1e-6 * expected.max())
    np.testing.assert_allclose(frontend(samples), np.log1p(10_000 * expected), rtol=1e-3, atol=1e-5)


def test_linear_of_an_odd_length_counts_its_highest_frequency_twice_too():
    samples = noise(1, 1_000)
    _, _, expected = signal.spectrogram(samples.numpy().astype(np.float64), fs=16_000, nperseg=101, noverlap=51)
    found = frontends.Linear(1_000, 16_000, length=101, stride=50).spectrogram(samples)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6 * expected.max())


def test_flat_is_the_linear_spectrogram_frequency_by_frequency():
    samples = noise(2, WINDOW)
    frontend = frontends.Flat(WINDOW, 12_000)
    flat = frontend(samples)
    assert flat.shape == (2, 1, 17_544)
    assert (frontend.channels, frontend.frames) == (1, 17_544)
    expected = np.log1p(10_000 * scipys_spectrogram(samples))
    np.testing.assert_allclose(flat[:, 0, :136], expected[:, 0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(flat[:, 0, 5 * 136 + 7], expected[:, 5, 7], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(flat[:, 0], expected.reshape(2, -1), rtol=1e-3, atol=1e-5)


def test_what_enters_the_logarithm_is_small_for_noise_of_a_tenth():
    """One-sided density of white noise: 2 sd^2 / sample rate; times 10,000 it is .016."""
    density = frontends.Linear(WINDOW, 12_000).spectrogram(noise(20, WINDOW))
    assert 10_000 * density[:, 1:-1].mean().item() == pytest.approx(2 * 0.1**2 / 12_000 * 10_000, rel=0.02)
    assert 10_000 * density.mean().item() == pytest.approx(0.016, abs=0.001)


@pytest.mark.parametrize("sample_rate", [12_000, 16_000])
@pytest.mark.parametrize("bands", [96, 128])
@pytest.mark.parametrize(("length", "stride"), TABLE)
@pytest.mark.parametrize("name", ["mel", "log_mel"])
def test_no_mel_band_is_empty(name, length, stride, bands, sample_rate):
    size = frontends.mel_fft_size(sample_rate, length, bands)
    assert size >= length
    filters = frontends.mel_filters(sample_rate, size, bands)
    assert filters.shape == (bands, size // 2 + 1)
    assert (filters.max(axis=1) > 0).all()
    assert filters.max() <= 1
    frontend = build(name, 4 * length, sample_rate, length=length, stride=stride, bands=bands)
    assert frontend.filters.shape == (size // 2 + 1, bands)
    found = frontend(noise(1, 4 * length))
    assert found.shape == (1, bands, frontend.frames)
    assert (found > (0 if name == "mel" else -100)).all()


def test_mel_bands_are_triangles_between_their_neighbours_centres():
    """A hand-made case: four bands up to 4 kHz, with a frequency every hertz."""
    filters = frontends.mel_filters(8_000, 8_000, 4)
    mel = np.linspace(0, 2595 * np.log10(1 + 4_000 / 700), 6)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    for band in range(4):
        lower, centre, upper = hertz[band : band + 3]
        expected = np.interp(np.arange(4_001), [lower, centre, upper], [0, 1, 0])
        np.testing.assert_allclose(filters[band], expected, atol=1e-9)


@pytest.mark.parametrize("sample_rate", [12_000, 16_000])
@pytest.mark.parametrize("frequency", [300.0, 1_000.0, 4_000.0])
def test_a_sine_lights_the_mel_band_of_its_frequency(sample_rate, frequency):
    frontend = frontends.Mel(WINDOW, sample_rate, 1024, 512)
    loudest = frontend(sine(frequency, sample_rate)).mean(dim=2).argmax().item()
    nyquist = 2595 * np.log10(1 + sample_rate / 2 / 700)
    expected = 2595 * np.log10(1 + frequency / 700) / nyquist * 129 - 1  # band k is centred at (k + 1) / 129 of the way
    assert loudest == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("frequency", [0.0, 93.75, 1_500.0, 5_953.125])
def test_a_cosine_lights_the_linear_channel_of_its_frequency(frequency):
    """Channels are 46.875 Hz apart; the channel of frequency zero stays dark, as each frame's mean is taken away."""
    spectrogram = frontends.Linear(WINDOW, 12_000).spectrogram(sine(frequency + 1e-9, 12_000) + 1)
    if frequency == 0:
        assert spectrogram.max() < 1e-9
    else:
        assert spectrogram.mean(dim=2).argmax().item() == round(frequency / 46.875)


@pytest.mark.parametrize(("length", "sd"), [(256, 1.0), (1024, 0.1)])
def test_white_noise_has_the_same_density_in_mel_as_in_linear(length, sd):
    """Variance over half the rate at every frequency: a band holds that times the sum of its filter."""
    frontend = frontends.Mel(WINDOW, 12_000, length, length)
    bands = torch.expm1(frontend(noise(40, WINDOW, sd=sd))).mean(dim=(0, 2)) / 10_000
    filters = frontends.mel_filters(12_000, frontend.fft_size, 128)[8:-8]  # away from the one-sided ends
    np.testing.assert_allclose(bands[8:-8], sd**2 / 6_000 * filters.sum(axis=1), rtol=0.1)


def test_mel_is_the_filtered_power_of_hann_windowed_frames():
    """One frame at a time, in NumPy."""
    samples, length, stride = noise(1, 2_000), 512, 256
    size = frontends.mel_fft_size(16_000, length, 128)
    hann = signal.get_window("hann", length)
    found = frontends.Mel(2_000, 16_000, length, stride)(samples)[0].numpy()
    for frame in range((2_000 - length) // stride + 1):
        framed = samples[0, frame * stride : frame * stride + length].numpy() * hann
        power = 2 * np.abs(np.fft.rfft(framed, size)) ** 2 / np.sum(hann**2) / 16_000
        power[[0, -1]] /= 2
        expected = np.log1p(10_000 * frontends.mel_filters(16_000, size, 128) @ power)
        np.testing.assert_allclose(found[:, frame], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("length", "stride"), [(8, 8), (8, 4), (8, 2), (8, 5), (4, 8)])
def test_raw_is_a_strided_product_with_its_filters(length, stride):
    """One frame at a time, in NumPy, in a window that the frames do not fill."""
    torch.manual_seed(0)
    frontend = frontends.Raw(102, length, stride, filters=3)
    samples = noise(2, 102)
    found = frontend(samples).detach().numpy()
    weight, bias = frontend.conv.weight.detach().numpy(), frontend.conv.bias.detach().numpy()
    frames = (102 - length) // stride + 1
    expected = np.zeros((2, 3, frames))
    for window in range(2):
        for frame in range(frames):
            piece = samples[window, stride * frame : stride * frame + length].numpy()
            expected[window, :, frame] = np.maximum(0, weight[:, 0] @ piece + bias)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (found == 0).any()


@pytest.mark.parametrize("name", ["mel", "linear", "flat"])
def test_a_spectrogram_learns_nothing_saves_nothing_and_obeys_its_compression(name):
    frontend = build(name, 4_096, compression=100.0)
    assert not list(frontend.parameters())
    assert not frontend.state_dict()
    other = build(name, 4_096, compression=10_000.0)
    samples = noise(1, 4_096)
    np.testing.assert_allclose(torch.expm1(frontend(samples)) * 100, torch.expm1(other(samples)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("sample_rate", "window"), [(12_000, 34_950), (16_000, 46_600)])
def test_raw_has_the_weights_of_the_paper_and_their_samples(sample_rate, window):
    frontend = build("raw", window, sample_rate)
    assert parameters(frontend) == 32 * 256 + 32
    assert frontend.learns
    assert (frontend.channels, frontend.frames, frontend.samples) == (32, window // 256, window // 256 * 256)


def linear_outputs(frontend, samples):
    """One frame at a time, in NumPy: [windows, filters, frames]."""
    weight, bias = frontend.conv.weight.detach().numpy()[:, 0], frontend.conv.bias.detach().numpy()
    starts = range(0, samples.shape[1] - frontend.length + 1, frontend.stride)
    pieces = np.stack([samples[:, start : start + frontend.length].numpy() for start in starts], axis=2)
    return np.einsum("fl,wlt->wft", weight.astype(np.float64), pieces) + bias[:, None]


@pytest.mark.parametrize("stride", [4, 8, 5])
@pytest.mark.parametrize(
    ("nonlinearity", "expected"),
    [
        ("relu", lambda x: np.where(x > 0, x, 0)),
        ("log_square", lambda x: np.log(1 + 100 * x**2)),
        ("log_absolute", lambda x: np.log(1 + 100 * np.abs(x))),
    ],
)
def test_nonlinearities_are_those_of_the_papers_second_table(nonlinearity, expected, stride):
    frontend = build("raw", 102, length=8, stride=stride, filters=6, nonlinearity=nonlinearity, compression=100.0)
    samples = noise(2, 102)
    found = frontend(samples).detach()
    np.testing.assert_allclose(found, expected(linear_outputs(frontend, samples)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [4, 8, 5])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_neighbouring_filters_are_pooled_before_the_relu(size, stride):
    """The third table: with L2 pooling the sign does not count, with max-pooling the ReLU comes last."""
    samples = noise(2, 102)
    for kind in ("l2", "max"):
        frontend = build("raw", 102, length=8, stride=stride, filters=8, feature_pool=kind, feature_pool_size=size)
        assert frontend.channels == 8 // size
        linear = linear_outputs(frontend, samples)
        groups = np.stack([linear[:, group : group + size] for group in range(0, 8, size)], axis=1)
        expected = np.linalg.norm(groups, axis=2) if kind == "l2" else np.maximum(0, groups.max(axis=2))
        np.testing.assert_allclose(frontend(samples).detach(), expected, rtol=1e-4, atol=2e-6)


def test_pooled_outputs_go_through_the_nonlinearity():
    settings = {"filters": 8, "feature_pool": "l2", "feature_pool_size": 2}
    torch.manual_seed(0)
    pooled = build("raw", 1_024, **settings)
    torch.manual_seed(0)
    compressed = build("raw", 1_024, **settings, nonlinearity="log_absolute", compression=10.0)
    samples = noise(1, 1_024)
    torch.testing.assert_close(compressed(samples), torch.log1p(10 * pooled(samples)))


@pytest.mark.parametrize("nonlinearity", ["relu", "log_square", "log_absolute"])
@pytest.mark.parametrize("kind", ["none", "l2", "max"])
def test_silence_has_a_finite_gradient(kind, nonlinearity):
    """A square root's slope at zero has no end."""
    frontend = build("raw", 512, feature_pool=kind, feature_pool_size=2, nonlinearity=nonlinearity)
    torch.nn.init.zeros_(frontend.conv.bias)
    frontend(torch.zeros(1, 512)).sum().backward()
    assert torch.isfinite(frontend.conv.weight.grad).all()
    assert torch.isfinite(frontend.conv.bias.grad).all()


def test_l2_pooling_in_bfloat16_sums_in_float32():
    frontend = build("raw", 512, feature_pool="l2", feature_pool_size=4)
    found = frontend(noise(1, 512).bfloat16())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, frontend(noise(1, 512)), rtol=0.02, atol=0.01)


def test_groups_that_do_not_divide_the_filters_are_refused():
    with pytest.raises(ValueError, match=r"feature_pool_size 3 was given.* do not divide 32 filters"):
        build("raw", feature_pool="l2", feature_pool_size=3)
    assert build("raw", feature_pool="none", feature_pool_size=3).channels == 32


@pytest.mark.parametrize(("length", "stride"), [*TABLE, (101, 50), (300, 200)])
def test_fourier_begins_as_the_linear_spectrogram(length, stride):
    samples = noise(2, WINDOW) + 0.3 * sine(440.0, 12_000) + 0.05
    settings = {"length": length, "stride": stride}
    found = build("fourier", initialise="fourier", **settings)(samples)
    torch.testing.assert_close(found, build("linear", **settings)(samples), rtol=0, atol=1e-4)


@pytest.mark.parametrize("sample_rate", [12_000, 16_000])
def test_fourier_is_scipys_spectrogram(sample_rate):
    samples = noise(1, 8_192) + 0.05
    _, _, expected = signal.spectrogram(samples.numpy().astype(np.float64), fs=sample_rate, nperseg=256, noverlap=0)
    found = build("fourier", 8_192, sample_rate, initialise="fourier")(samples).detach()
    np.testing.assert_allclose(found, np.log1p(10_000 * expected), rtol=1e-3, atol=1e-5)


def test_random_filters_have_the_architecture_and_the_power_of_fourier_ones():
    """White noise through each pair; the first, of frequency zero, has less in both."""
    samples = noise(400, 2_560)
    random, fourier = (build("fourier", 2_560, initialise=one) for one in ("random", "fourier"))
    assert parameters(random) == parameters(fourier) == 2 * 129 * 256
    powers = [frontend.power(samples).mean(dim=(0, 1)).detach() for frontend in (random, fourier)]
    ratio = (powers[0] / powers[1]).numpy()
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert ratio == pytest.approx(1, abs=0.3)
    assert powers[1][64].item() == pytest.approx(2 * 0.1**2 / 12_000, rel=0.1)


def test_random_filters_are_those_of_torchs_generator():
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(build("fourier", initialise="random").weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(("name", "settings"), [("raw", {}), ("fourier", {"initialise": "fourier"}), ("fourier", {})])
def test_a_frozen_front_end_is_not_trained_but_saved(name, settings):
    free, frozen = build(name, **settings), build(name, frozen=True, **settings)
    assert free.learns and all(weight.requires_grad for weight in free.parameters())
    assert not frozen.learns and not any(weight.requires_grad for weight in frozen.parameters())
    assert list(frozen.state_dict()) == list(free.state_dict()) != []
    frozen.load_state_dict(free.state_dict())
    samples = noise(1, WINDOW)
    assert torch.equal(frozen(samples), free(samples))
    assert not frozen(samples).requires_grad


def test_fourier_filters_learn():
    frontend = build("fourier", 2_560, initialise="fourier")
    frontend(noise(1, 2_560)).sum().backward()
    moved = frontend.weight.grad[:, 0].norm(dim=1) > 0
    assert moved.sum() == 2 * 129 - 2  # a sine of frequency zero, or half the rate, is no filter, and remains none


def test_log_mel_is_in_decibels_of_mirrored_frames():
    """One frame at a time, in NumPy: Won et al.'s settings, in a window that the frames do not fill."""
    samples = noise(1, 2_100)
    frontend = frontends.LogMel(2_100, 16_000)
    found = frontend(samples)
    assert (frontend.fft_size, frontend.channels, frontend.frames, frontend.samples) == (512, 96, 9, 2_100)
    mirrored = np.pad(samples[0].numpy().astype(np.float64), 256, mode="reflect")
    for frame in range(2_100 // 256 + 1):
        framed = mirrored[256 * frame : 256 * frame + 512] * signal.get_window("hann", 512)
        mel = frontends.mel_filters(16_000, 512, 96) @ np.abs(np.fft.rfft(framed)) ** 2
        np.testing.assert_allclose(found[0, :, frame], 10 * np.log10(mel), atol=1e-3)


def test_log_mel_of_a_longer_fft_is_torchs_stft():
    samples = noise(2, 3_000)
    frontend = frontends.LogMel(3_000, 16_000, length=400, stride=160, bands=40, fft_size=1024)
    hann = torch.hann_window(400)
    spectrum = torch.stft(samples, 1024, 160, 400, hann, center=True, return_complex=True).abs().square()
    expected = 10 * torch.log10(torch.einsum("bf,wft->wbt", frontend.filters.T, spectrum))
    torch.testing.assert_close(frontend(samples), expected, rtol=0, atol=1e-3)


def test_silence_is_a_hundred_decibels_below_one():
    found = build("log_mel", 2_048)(torch.zeros(1, 2_048))
    assert (found == -100).all()


def test_log_mel_is_the_input_of_published_networks():
    path = PEERS / "sota_mtat_fcn.pth"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    weights = torch.load(path, weights_only=True, map_location="cpu")
    frontend = frontends.LogMel(46_600, 16_000)
    torch.testing.assert_close(frontend.window, weights["spec.spectrogram.window"], rtol=0, atol=1e-6)
    torch.testing.assert_close(frontend.filters, weights["spec.mel_scale.fb"], rtol=0, atol=2e-5)


def test_log_mel_refuses_what_it_cannot_frame():
    with pytest.raises(ValueError, match="a window of 128 samples is too short for log_mel"):
        build("log_mel", 128)
    with pytest.raises(ValueError, match="fft_size 256 was given: it is to be at least the length, which is 512"):
        frontends.LogMel(WINDOW, 12_000, fft_size=256)


def test_samples_are_passed_on():
    frontend = build("samples")
    samples = noise(2, WINDOW)
    assert torch.equal(frontend(samples), samples.unsqueeze(1))
    assert (frontend.channels, frontend.frames, frontend.samples) == (1, WINDOW, WINDOW)
    assert frontend.learns  # not kept in memory over the epochs: that would take twice the clips' own
    assert not parameters(frontend)


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="front end 'cqt' is unknown; there are raw, mel, linear, flat, fourier, log_"):
        build("cqt")
    with pytest.raises(ValueError, match="nonlinearity 'tanh' is unknown; there are relu, log_square, log_absolute"):
        build("raw", nonlinearity="tanh")
    with pytest.raises(ValueError, match="feature_pool 'mean' is unknown; there are none, l2, max"):
        build("raw", feature_pool="mean")
    with pytest.raises(ValueError, match="initialise 'mel' is unknown; there are random, fourier"):
        build("fourier", initialise="mel")
