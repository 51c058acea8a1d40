"""Front ends: what a window of audio is turned into before the trunk.

``[windows, samples] -> [windows, channels, frames]``, in memory with a frame's channels side by side: the layout in
which a CPU's convolutions cost a third less.

``raw`` learns its filters (Dieleman & Schrauwen 2014, section 3.2), and so does ``fourier``, which can begin as a
spectrogram. The spectrograms themselves have nothing to learn and run on the network's device: ``mel`` (section 3.1),
``linear``, ``flat``, the report's spectrogram laid end to end, and ``log_mel``, in decibels. ``samples`` does nothing.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

COMPRESSION = 10_000.0  # C of log(1 + C x): section 3.1 of the paper
LINEAR_LENGTH = 256  # samples a segment of the report's spectrogram, without overlap
MEL_BANDS = 128
LEAST_POWER = 1e-10  # that decibels are taken of
LEAST_SQUARE = 1e-12  # added below a square root, whose slope at zero has no end
NONLINEARITIES = ("relu", "log_square", "log_absolute")
FEATURE_POOLS = ("none", "l2", "max")
INITIALISATIONS = ("random", "fourier")


def frames(samples: int, length: int, stride: int) -> int:
    """Whole frames of ``length`` samples, one every ``stride``, in a window of ``samples``."""
    return (samples - length) // stride + 1 if samples >= length else 0


def spanned(frames: int, length: int, stride: int) -> int:
    """Samples from the first of so many frames to the end of the last."""
    return (frames - 1) * stride + length if frames else 0


def _one_of(name: str, given: Any, allowed: tuple[str, ...]) -> Any:
    if given not in allowed:
        raise ValueError(f"{name} {given!r} is unknown; there are {', '.join(allowed)}")
    return given


def _products(samples: torch.Tensor, weight: torch.Tensor, stride: int, frames: int) -> torch.Tensor:
    """A convolution without bias, as one matrix product: [..., windows, samples] -> [..., windows, frames, filters].

    The samples are cut into blocks of ``stride`` and the filters into as many pieces, every block is multiplied by
    every piece, and a frame is the sum over its blocks. No sample is copied for overlapping frames.

    Args:
        samples: whose type the products are taken in.
        weight: [..., filters, length], the length a whole number of strides.
        stride: from one frame to the next.
        frames: how many.
    """
    *of, filters, length = weight.shape
    pieces = length // stride
    blocks = frames + pieces - 1
    cut = samples[..., : blocks * stride].reshape(*of, -1, stride)  # [..., windows x blocks, stride]
    weights = weight.view(*of, filters, pieces, stride).transpose(-3, -2).reshape(*of, -1, stride)
    products = (cut @ weights.to(cut.dtype).mT).view(*of, -1, blocks, pieces, filters)
    return sum(products[..., piece : piece + frames, piece, :] for piece in range(pieces))


def _wide(x: torch.Tensor) -> torch.Tensor:
    """In float32 at least: for squares, roots and logarithms."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Raw(nn.Module):
    """A strided convolution on the samples, then ReLU: filters of ``length`` samples, one output every ``stride``.

    The products are taken in the type of the samples; the weights keep theirs.

    Args:
        window_samples: samples a window.
        length, stride: of the filters, in samples.
        filters: how many.
        nonlinearity: ``relu``, ``log_square``, log(1 + C x^2), or ``log_absolute``, log(1 + C |x|) (Table 2 of the
            paper).
        compression: the C of these.
        feature_pool: of the linear outputs of neighbouring filters, before the nonlinearity (Table 3): ``l2``, the root
            of the sum of their squares, which ReLU leaves as it is, ``max``, the largest, or ``none``.
        feature_pool_size: filters a group; without pooling it has no effect.
        frozen: the filters are not trained.
    """

    def __init__(
        self,
        window_samples: int,
        length: int,
        stride: int,
        filters: int,
        nonlinearity: str = "relu",
        compression: float = COMPRESSION,
        feature_pool: str = "none",
        feature_pool_size: int = 1,
        frozen: bool = False,
    ):
        super().__init__()
        self.nonlinearity = _one_of("nonlinearity", nonlinearity, NONLINEARITIES)
        self.feature_pool = _one_of("feature_pool", feature_pool, FEATURE_POOLS)
        self.group = 1 if feature_pool == "none" else feature_pool_size
        if self.group < 1 or filters % self.group:
            raise ValueError(
                f"feature_pool_size {self.group} was given: groups of so many neighbours do not divide {filters}"
                " filters; a divisor of filters is allowed"
            )
        self.channels, self.frames = filters // self.group, frames(window_samples, length, stride)
        self.samples = spanned(self.frames, length, stride)
        self.length, self.stride, self.compression = length, stride, compression
        self.conv = nn.Conv1d(1, filters, length, stride).requires_grad_(not frozen)
        self.learns = not frozen

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """[windows, samples] -> [windows, channels, frames]."""
        return self._nonlinear(self._pool(self.linear(samples))).transpose(1, 2)

    def linear(self, samples: torch.Tensor) -> torch.Tensor:
        """The filters' outputs: [windows, samples] -> [windows, frames, filters]."""
        bias = self.conv.bias.to(samples.dtype)
        if self.length % self.stride:
            weight = self.conv.weight.to(samples.dtype)
            return functional.conv1d(samples.unsqueeze(1), weight, bias, self.stride).transpose(1, 2)
        return _products(samples, self.conv.weight[:, 0], self.stride, self.frames) + bias

    def of_groups(self, samples: torch.Tensor) -> torch.Tensor:
        """``forward`` of several front ends, where ``conv`` holds the filters of all of them, one after the other.

        Args:
            samples: [front ends, windows, samples], each one's own.

        Returns:
            [front ends, windows, channels, frames].
        """
        groups = len(samples)
        bias = self.conv.bias.to(samples.dtype).view(groups, 1, 1, -1)
        if self.length % self.stride:
            weight = self.conv.weight.to(samples.dtype)
            made = functional.conv1d(samples.transpose(0, 1), weight, None, self.stride, groups=groups)
            linear = made.unflatten(1, (groups, -1)).permute(1, 0, 3, 2)
        else:
            linear = _products(samples, self.conv.weight.view(groups, -1, self.length), self.stride, self.frames)
        return self._nonlinear(self._pool(linear + bias)).transpose(-1, -2)

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        """[..., frames, filters] -> [..., frames, channels]."""
        if self.feature_pool == "none":
            return x
        groups = x.unflatten(-1, (self.channels, self.group))
        if self.feature_pool == "max":
            return groups.amax(dim=-1)
        return torch.sqrt(_wide(groups).square().sum(dim=-1) + LEAST_SQUARE)

    def _nonlinear(self, x: torch.Tensor) -> torch.Tensor:
        if self.nonlinearity == "relu":
            return x if self.feature_pool == "l2" else torch.relu(x)
        x = _wide(x)
        return torch.log1p(self.compression * (x.square() if self.nonlinearity == "log_square" else x.abs()))


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


def tukey(length: int, tapered: float = 0.25) -> np.ndarray:
    """A periodic Tukey window: SciPy's ``get_window(("tukey", 0.25), length)``, to the bit.

    Written out, as a program that loads a trained model would wait a second for ``scipy.signal``.

    Args:
        length: in samples.
        tapered: the share of it that is not 1.

    Returns:
        float64 [length].
    """
    if length < 2:
        return np.ones(length)
    place = np.arange(length + 1)
    width = int(np.floor(tapered * length / 2))
    rising, falling = place[: width + 1], place[length - width :]
    window = np.ones(length + 1)
    window[: width + 1] = 0.5 * (1 + np.cos(np.pi * (-1 + 2.0 * rising / tapered / length)))
    window[length - width :] = 0.5 * (1 + np.cos(np.pi * (-2.0 / tapered + 1 + 2.0 * falling / tapered / length)))
    return window[:-1]


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
        window = tukey(length)
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


class LogMel(_Spectrogram):
    """A power mel spectrogram in decibels, 10 log10(max(p, 1e-10)), its bands as channels.

    The front end of M. Won et al., "Evaluation of CNN-based automatic music tagging models" (SMC 2020): a Hann window,
    frames centred on every ``stride``-th sample from the first on, the window mirrored at both ends.

    Args:
        window_samples: samples a window.
        sample_rate: in Hz.
        length, stride: of the Hann window, in samples.
        bands: of the mel scale.
        fft_size: frequencies that each frame is taken apart into, times two; by default ``mel_fft_size``.
    """

    def __init__(
        self,
        window_samples: int,
        sample_rate: int,
        length: int = 512,
        stride: int = 256,
        bands: int = 96,
        fft_size: int | None = None,
    ):
        fft_size = fft_size or mel_fft_size(sample_rate, length, bands)
        if fft_size < length:
            raise ValueError(f"fft_size {fft_size} was given: it is to be at least the length, which is {length}")
        if window_samples <= fft_size // 2:
            raise ValueError(
                f"a window of {window_samples} samples is too short for log_mel: it has to be longer than half the"
                f" FFT's {fft_size}"
            )
        window, left = np.hanning(length + 1)[:-1], (fft_size - length) // 2
        super().__init__(np.pad(window, (left, fft_size - length - left)), stride, fft_size)
        self.margin = fft_size // 2
        self.channels, self.frames = bands, frames(window_samples + 2 * self.margin, fft_size, stride)
        self.samples = window_samples
        filters = torch.tensor(mel_filters(sample_rate, fft_size, bands).T, dtype=torch.float32)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Samples in [-1, 1], [windows, samples] -> decibels [windows, bands, frames]."""
        mirrored = functional.pad(samples, (self.margin, self.margin), mode="reflect")
        power = self.power(mirrored, constant_detrend=False) @ self.filters
        return 10 * torch.log10(power.clamp(min=LEAST_POWER)).transpose(1, 2)


def fourier_filters(length: int) -> np.ndarray:
    """The filters whose outputs' squares are the spectrum of ``Linear``, in pairs: two neighbours a frequency.

    Its window, the mean that it takes away from each segment and its one-sided density are in the filters. They are of
    the size of Kaiming's for ReLU, a squared norm of 2: the density is the sum of a pair's squares / (2 x rate), at any
    rate. Where a frequency has no sine, at zero and half the rate, its second filter is zero, and stays so in training.

    Returns:
        float64 [2 (length // 2 + 1), length].
    """
    window = tukey(length)
    angles = 2 * np.pi * (np.outer(np.arange(length // 2 + 1), np.arange(length)) % length) / length
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # [frequencies, 2, length]
    waves[:, 1][np.abs(np.sin(angles)).max(axis=1) < 1e-9] = 0
    filters = window * waves * np.sqrt(2 * density(window, 1, length))[:, None, None]
    return (filters - filters.mean(axis=-1, keepdims=True)).reshape(-1, length)


class Fourier(nn.Module):
    """A strided convolution that can be the ``linear`` spectrogram, and can learn: pairs of filters, log(1 + C p).

    p is the sum of squares of a pair's outputs, L2 pooling without its root, in the units of ``Linear``. There are as
    many pairs as frequencies, ``length // 2 + 1``, and no biases.

    Args:
        window_samples: samples a window.
        sample_rate: in Hz.
        length, stride: of the filters, in samples.
        compression: the C.
        initialise: ``fourier``: the output is that of ``Linear``; ``random``: from torch's generator, normally
            distributed, each pair of a size that white noise has the same mean p as with the Fourier pair in its place.
        frozen: the filters stay as they are.
    """

    def __init__(
        self,
        window_samples: int,
        sample_rate: int,
        length: int,
        stride: int,
        compression: float = COMPRESSION,
        initialise: str = "random",
        frozen: bool = False,
    ):
        super().__init__()
        _one_of("initialise", initialise, INITIALISATIONS)
        self.channels, self.frames = length // 2 + 1, frames(window_samples, length, stride)
        self.samples = spanned(self.frames, length, stride)
        self.length, self.stride, self.compression = length, stride, compression
        self.scale = 1 / (2 * sample_rate)
        weight = torch.tensor(fourier_filters(length), dtype=torch.float32)  # [filters, length]
        if initialise == "random":
            power = weight.unflatten(0, (-1, 2)).square().sum(dim=(1, 2), keepdim=True)  # of unit white noise, a pair
            weight = (torch.randn(self.channels, 2, length) * torch.sqrt(power / (2 * length))).flatten(0, 1)
        self.weight = nn.Parameter(weight.unsqueeze(1), requires_grad=not frozen)  # [filters, 1, length]
        self.learns = not frozen

    def power(self, samples: torch.Tensor) -> torch.Tensor:
        """Samples in [-1, 1], [windows, samples] -> sums of squares [windows, frames, channels]."""
        if self.length % self.stride:
            weight = self.weight.to(samples.dtype)
            outputs = functional.conv1d(samples.unsqueeze(1), weight, stride=self.stride).transpose(1, 2)
        else:
            outputs = _products(samples, self.weight[:, 0], self.stride, self.frames)
        return _wide(outputs).square().unflatten(-1, (self.channels, 2)).sum(dim=-1) * self.scale

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """[windows, samples] -> [windows, channels, frames]."""
        return torch.log1p(self.compression * self.power(samples)).transpose(1, 2)


class Samples(nn.Module):
    """The samples themselves, as one channel.

    It has no weights and yet counts as learning: as float32, kept for all epochs, the samples would take twice the
    memory of the array that they come from, and all that it would save is the scaling.
    """

    learns = True

    def __init__(self, window_samples: int):
        super().__init__()
        self.channels, self.frames, self.samples = 1, window_samples, window_samples

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """[windows, samples] -> [windows, 1, samples]."""
        return samples.unsqueeze(1)


FRONTENDS = ("raw", "mel", "linear", "flat", "fourier", "log_mel", "samples")


def build(config: Mapping[str, Any], window_samples: int, sample_rate: int) -> nn.Module:
    """The front end of an experiment.

    Its attributes ``channels`` and ``frames`` say what it gives, ``samples`` how many of a window it looks at, from the
    first on, ``learns`` whether its output is to be computed anew each time: where nothing is trained it may be kept.

    Args:
        config: its settings, as in ``params.yaml``; those of other things than the front end do not matter.
        window_samples: samples a window.
        sample_rate: in Hz.

    Raises:
        ValueError: there is no such front end, or not with these settings.
    """
    name = _one_of("front end", config["frontend"], FRONTENDS)
    length, stride, compression = config["length"], config["stride"], config["compression"]
    if name == "raw":
        return Raw(
            window_samples,
            length,
            stride,
            config["filters"],
            config["nonlinearity"],
            compression,
            config["feature_pool"],
            config["feature_pool_size"],
            config["frozen"],
        )
    if name == "fourier":
        learning = (config["initialise"], config["frozen"])
        return Fourier(window_samples, sample_rate, length, stride, compression, *learning)
    if name == "mel":
        return Mel(window_samples, sample_rate, length, stride, config["bands"], compression)
    if name == "log_mel":
        return LogMel(window_samples, sample_rate, length, stride, config["bands"])
    if name == "samples":
        return Samples(window_samples)
    kind = Linear if name == "linear" else Flat
    return kind(window_samples, sample_rate, length, stride, compression)
