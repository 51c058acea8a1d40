"""Front ends against SciPy, NumPy loops, and sounds whose spectrum is known."""

import numpy as np
import pytest
import torch
from scipy import signal

from wavetag import frontends

WINDOW = 34_950  # samples at 12 kHz
torch.set_num_threads(1)


def noise(*shape, sd=0.1, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(0, sd, shape), dtype=torch.float32)


def sine(frequency, sample_rate, samples=WINDOW):
    return torch.sin(2 * torch.pi * frequency * torch.arange(samples, dtype=torch.float64) / sample_rate).float()[None]


def scipys_spectrogram(samples):
    """float64 [windows, 129, 136], with the settings of the report."""
    return signal.spectrogram(samples.numpy().astype(np.float64), fs=12_000, nperseg=256, noverlap=0)[2]


@pytest.mark.parametrize(
    ("length", "stride", "expected"),
    [(1024, 1024, 34), (1024, 512, 67), (512, 512, 68), (512, 256, 135), (256, 256, 136)],
)
def test_whole_frames_of_a_window(length, stride, expected):
    assert frontends.frames(WINDOW, length, stride) == expected
    for name in ("raw", "mel", "linear"):
        frontend = frontends.build(name, WINDOW, 12_000, length, stride, filters=4, compression=1e4)
        assert frontend(noise(1, WINDOW)).shape == (1, frontend.channels, expected)
        assert frontend.frames == expected


def test_a_window_shorter_than_a_frame_has_none():
    assert frontends.frames(255, 256, 256) == 0
    assert frontends.frames(256, 256, 256) == 1


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
@pytest.mark.parametrize("length", [256, 512, 1024])
def test_no_mel_band_is_empty(sample_rate, length):
    size = frontends.mel_fft_size(sample_rate, length, 128)
    assert size >= length
    filters = frontends.mel_filters(sample_rate, size, 128)
    assert filters.shape == (128, size // 2 + 1)
    assert (filters.max(axis=1) > 0).all()
    assert filters.max() <= 1
    bands = frontends.Mel(4 * length, sample_rate, length, length)(noise(1, 4 * length))
    assert (bands > 0).all()


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
    frontend = frontends.build(name, 4_096, 12_000, 256, 256, filters=32, compression=100.0)
    assert not list(frontend.parameters())
    assert not frontend.state_dict()
    other = frontends.build(name, 4_096, 12_000, 256, 256, filters=32, compression=10_000.0)
    samples = noise(1, 4_096)
    np.testing.assert_allclose(torch.expm1(frontend(samples)) * 100, torch.expm1(other(samples)), rtol=1e-3, atol=1e-4)


def test_an_unknown_front_end_is_refused():
    with pytest.raises(ValueError, match="front end 'cqt' is unknown; there are raw, mel, linear, flat"):
        frontends.build("cqt", WINDOW, 12_000, 256, 256, 32, 1e4)
