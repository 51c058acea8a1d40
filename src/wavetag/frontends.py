"""Front ends: what a window of audio is turned into before the trunk.

``[windows, samples] -> [windows, channels, frames]``, in memory with a frame's channels side by side: the layout in
which a CPU's convolutions cost a third less.

``raw`` learns its filters (Dieleman & Schrauwen 2014, section 3.2). The spectrograms have nothing to learn and run on
the network's device: ``mel`` (section 3.1), ``linear``, and ``flat``, the report's spectrogram laid end to end.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

COMPRESSION = 10_000.0  # C of log(1 + C x): section 3.1 of the paper
LINEAR_LENGTH = 256  # samples a segment of the report's spectrogram, without overlap
MEL_BANDS = 128


def frames(samples: int, length: int, stride: int) -> int:
    """Whole frames of ``length`` samples, one every ``stride``, in a window of ``samples``."""
    return (samples - length) // stride + 1 if samples >= length else 0


def spanned(frames: int, length: int, stride: int) -> int:
    """Samples from the first of so many frames to the end of the last."""
    return (frames - 1) * stride + length if frames else 0


class Raw(nn.Module):
    """A strided convolution on the samples, then ReLU: filters of ``length`` samples, one output every ``stride``.

    The products are taken in the type of the samples; the weights keep theirs.
    """

    learns = True

    def __init__(self, window_samples: int, length: int, stride: int, filters: int):
        super().__init__()
        self.channels, self.frames = filters, frames(window_samples, length, stride)
        self.samples = spanned(self.frames, length, stride)
        self.length, self.stride = length, stride
        self.conv = nn.Conv1d(1, filters, length, stride)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """[windows, samples] -> [windows, filters, frames]."""
        if self.length % self.stride:
            weight, bias = self.conv.weight.to(samples.dtype), self.conv.bias.to(samples.dtype)
            return torch.relu(functional.conv1d(samples.unsqueeze(1), weight, bias, self.stride))
        return torch.relu(self._by_blocks(samples) + self.conv.bias.to(samples.dtype)).transpose(1, 2)

    def _by_blocks(self, samples: torch.Tensor) -> torch.Tensor:
        """The convolution without its bias, as one matrix product: [windows, samples] -> [windows, frames, filters].

        The samples are cut into blocks of ``stride`` and the filters into as many pieces, every block is multiplied by
        every piece, and a frame is the sum over its blocks. No sample is copied for overlapping frames.
        """
        pieces = self.length // self.stride
        blocks = self.frames + pieces - 1
        cut = samples[:, : blocks * self.stride].reshape(-1, self.stride)  # [windows x blocks, stride]
        weights = self.conv.weight.view(-1, pieces, self.stride).transpose(0, 1).reshape(-1, self.stride)
        products = (cut @ weights.to(cut.dtype).t()).view(-1, blocks, pieces, self.channels)
        return sum(products[:, piece : piece + self.frames, piece] for piece in range(pieces))


class _Spectrogram(nn.Module):
    """Power spectra of frames under a window, as buffers that are computed anew and never saved."""

    learns = False

    def __init__(self, window: np.ndarray, stride: int, fft_size: int):
        super().__init__()
        self.length, self.stride, self.fft_size = len(window), stride, fft_size
        self.register_buffer("window", torch.tensor(window, dtype=torch.float32), persistent=False)

    def power(self, samples: torch.Tensor, constant_detrend: bool) -> torch.Tensor:
        """[windows, samples] -> squared magnitudes [windows, frames, fft_size // 2 + 1]."""
        framed = samples.unfold(-1, self.length, self.stride)
        if constant_detrend:
            framed = framed - framed.mean(dim=-1, keepdim=True)
        spectrum = torch.fft.rfft(framed * self.window, n=self.fft_size)
        return spectrum.real.square() + spectrum.imag.square()


def density(window: np.ndarray, sample_rate: int, fft_size: int) -> np.ndarray:
    """What squared magnitudes are multiplied by to be a power spectral density, in units squared per Hz.

    One-sided, as in SciPy: all frequencies but zero, and for an even size the highest, stand for their negative too.
    White noise of variance v has density v / (rate / 2) at every frequency.

    Returns:
        float64 [fft_size // 2 + 1].
    """
    factors = np.full(fft_size // 2 + 1, 2 / (sample_rate * np.sum(window**2)))
    factors[0] /= 2
    if fft_size % 2 == 0:
        factors[-1] /= 2
    return factors


class Linear(_Spectrogram):
    """The report's spectrogram, log(1 + C x), its frequencies as channels.

    The power spectral density that ``scipy.signal.spectrogram(x, fs, nperseg=256, noverlap=0)`` gives with all else at
    its default: a Tukey window of .25, each segment's mean taken away, one-sided, in units squared per Hz.
    """

    def __init__(
        self,
        window_samples: int,
        sample_rate: int,
        length: int = LINEAR_LENGTH,
        stride: int = LINEAR_LENGTH,
        compression: float = COMPRESSION,
    ):
        from scipy.signal import get_window

        window = get_window(("tukey", 0.25), length)
        super().__init__(window, stride, length)
        self.channels, self.frames = length // 2 + 1, frames(window_samples, length, stride)
        self.samples = spanned(self.frames, length, stride)
        self.compression = compression
        factors = torch.tensor(density(window, sample_rate, length), dtype=torch.float32)
        self.register_buffer("density", factors, persistent=False)

    def spectrogram(self, samples: torch.Tensor) -> torch.Tensor:
        """Samples in [-1, 1], [windows, samples] -> power spectral density [windows, frequencies, frames]."""
        return (self.power(samples, constant_detrend=True) * self.density).transpose(1, 2)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """[windows, samples] -> [windows, frequencies, frames]."""
        return torch.log1p(self.compression * self.spectrogram(samples))


class Flat(Linear):
    """The report's input: the ``linear`` spectrogram, frequency by frequency, as one sequence on one channel."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.channels, self.frames = 1, self.channels * self.frames

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """[windows, samples] -> [windows, 1, frequencies x frames], frequency-major."""
        return super().forward(samples).flatten(1).unsqueeze(1)


def mel_filters(sample_rate: int, fft_size: int, bands: int, lowest: float = 0.0) -> np.ndarray:
    """Triangular filters of peak 1, evenly spaced on the mel scale 2595 log10(1 + f / 700), up to half the rate.

    Returns:
        float64 [bands, fft_size // 2 + 1]. With too short an FFT the lowest bands fall between two frequencies
        and are empty: see ``mel_fft_size``.
    """
    mel_of = lambda hertz: 2595 * np.log10(1 + hertz / 700)  # noqa: E731
    edges = 700 * (10 ** (np.linspace(mel_of(lowest), mel_of(sample_rate / 2), bands + 2) / 2595) - 1)
    frequencies = np.arange(fft_size // 2 + 1) * sample_rate / fft_size
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - lower) / (centre - lower)
    falling = (upper - frequencies) / (upper - centre)
    return np.maximum(0, np.minimum(rising, falling))


def mel_fft_size(sample_rate: int, length: int, bands: int) -> int:
    """The smallest power of two, at least ``length``, whose FFT leaves no mel band empty."""
    size = 2 ** math.ceil(math.log2(length))
    while (mel_filters(sample_rate, size, bands).max(axis=1) <= 0).any():
        size *= 2
    return size


class Mel(_Spectrogram):
    """A mel spectrogram, log(1 + C x), its bands as channels (section 3.1 of the paper).

    Power spectral density under a Hann window, in the units of ``Linear``: the paper does not state its own. Frames
    shorter than the FFT needs are padded with zeros.
    """

    def __init__(
        self,
        window_samples: int,
        sample_rate: int,
        length: int,
        stride: int,
        bands: int = MEL_BANDS,
        compression: float = COMPRESSION,
    ):
        window = np.hanning(length + 1)[:-1]
        super().__init__(window, stride, mel_fft_size(sample_rate, length, bands))
        self.channels, self.frames = bands, frames(window_samples, length, stride)
        self.samples = spanned(self.frames, length, stride)
        self.compression = compression
        filters = (mel_filters(sample_rate, self.fft_size, bands) * density(window, sample_rate, self.fft_size)).T
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32), persistent=False)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """[windows, samples] -> [windows, bands, frames]."""
        power = self.power(samples, constant_detrend=False) @ self.filters
        return torch.log1p(self.compression * power).transpose(1, 2)


FRONTENDS = ("raw", "mel", "linear", "flat")


def build(
    name: str,
    window_samples: int,
    sample_rate: int,
    length: int,
    stride: int,
    filters: int,
    compression: float,
) -> nn.Module:
    """The front end of that name.

    Its attributes ``channels`` and ``frames`` say what it gives, ``samples`` how many of a window it looks at, from the
    first on, ``learns`` whether it has weights.
    """
    if name == "raw":
        return Raw(window_samples, length, stride, filters)
    if name == "mel":
        return Mel(window_samples, sample_rate, length, stride, compression=compression)
    if name == "linear":
        return Linear(window_samples, sample_rate, length, stride, compression)
    if name == "flat":
        return Flat(window_samples, sample_rate, length, stride, compression)
    raise ValueError(f"front end {name!r} is unknown; there are {', '.join(FRONTENDS)}")
