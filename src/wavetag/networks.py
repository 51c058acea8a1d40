"""The network: a front end on each window of a clip, a small convolutional trunk, one prediction a clip.

Dieleman & Schrauwen, "End-to-end learning for music audio", ICASSP 2014, section 3; the sizes are those of the
report, a replication of 2023. In the trunk's place may be one of the field's later networks (``architectures``).
Reads from top to bottom: ``Trunk``, then ``Tagger``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from wavetag import architectures, frontends
from wavetag.scaling import Scaling

CONV_LENGTH, POOL = 8, 4
POOLING = ("predictions", "features", "window_loss")
TRUNK = "trunk"  # the paper's, among `architectures.NAMES`


def _conv(x: torch.Tensor, conv: nn.Conv1d, groups: int = 1) -> torch.Tensor:
    """A convolution over time that gives as many frames again: [windows, channels, 1, frames] in and out.

    Two-dimensional, since torch has a channels-last layout for these alone. Zeros are put around the frames beforehand,
    the fewer on the left, as torch's "same" does at a greater cost where the length is even.

    Args:
        x: whose type the products are taken in.
        conv: its weights; its filters see the channels of their own group.
        groups: how many.
    """
    weight, bias = conv.weight.to(x.dtype), conv.bias.to(x.dtype)
    padded = functional.pad(x, ((CONV_LENGTH - 1) // 2, CONV_LENGTH // 2))
    if padded.shape[1] == 1:
        return _conv_of_one_channel(padded[:, 0, 0], weight[:, 0], bias)
    return functional.conv2d(padded, weight.unsqueeze(2), bias, groups=groups)


def _conv_of_one_channel(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, together: int = 4) -> torch.Tensor:
    """The same for a single channel, five times as fast: [windows, frames], padded -> [windows, filters, 1, frames].

    Of ``length`` products a frame a CPU makes little. So one row of the matrix product holds all that ``together``
    frames need, and the matrix holds the filters as often, each time a frame later.

    Args:
        x: [windows, frames + length - 1].
        weight: [filters, length].
        bias: [filters].
        together: how many frames.
    """
    filters, length = weight.shape
    frames = x.shape[1] - length + 1
    rows = -(-frames // together)
    x = functional.pad(x, (0, rows * together - frames)).unfold(1, length + together - 1, together)
    later = torch.cat([functional.pad(weight, (frame, together - 1 - frame)) for frame in range(together)])
    y = functional.linear(x.reshape(-1, length + together - 1), later, bias.repeat(together))
    return y.view(-1, rows * together, filters)[:, :frames].transpose(1, 2).unsqueeze(2)


class _Moments(torch.autograd.Function):
    """Mean and variance of each channel: [windows, channels, 1, frames] -> [channels], [channels].

    Summed up piece by piece, in float32 at least. Torch's own batch norm adds up one number after the other where
    channels are last: of the 1.8 million a channel that ``flat`` has, two digits stay, and half of a gradient.
    """

    PIECE = 2**19  # numbers: what stays in a processor's cache

    @staticmethod
    def _pieces(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        windows = max(1, _Moments.PIECE // x[0].numel())
        return x.permute(0, 2, 3, 1).split(windows)  # [windows, 1, frames, channels]

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        wide = torch.promote_types(x.dtype, torch.float32)
        pieces = _Moments._pieces(x)
        shares = [len(piece) / len(x) for piece in pieces]
        means, variances = [], []
        for piece in pieces:
            rows = piece.reshape(-1, x.shape[1]).to(wide)
            means.append(rows.mean(dim=0))
            variances.append((rows - means[-1]).square_().mean(dim=0))
        mean = sum(share * one for share, one in zip(shares, means, strict=True))
        variance = sum(
            share * (within + (one - mean).square())
            for share, within, one in zip(shares, variances, means, strict=True)
        )
        ctx.save_for_backward(x, mean)
        return mean, variance

    @staticmethod
    def backward(ctx, of_mean: torch.Tensor, of_variance: torch.Tensor) -> torch.Tensor:
        x, mean = ctx.saved_tensors
        count = x.numel() // x.shape[1]
        slope = 2 * of_variance / count
        offset = of_mean / count - slope * mean
        gradient = torch.empty_like(x)
        for piece, place in zip(_Moments._pieces(x), _Moments._pieces(gradient), strict=True):
            place.copy_(torch.addcmul(offset, piece.to(mean.dtype), slope))
        return gradient


def _pool(x: torch.Tensor) -> torch.Tensor:
    """The largest of each ``POOL`` frames: [windows, channels, 1, frames] -> [windows, channels, 1, frames / 4]."""
    return functional.max_pool2d(x, (1, POOL))


def _rectify_and_pool(x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    """ReLU, batch norm, max-pooling: [windows, channels, 1, frames] -> [windows, channels, 1, frames / 4].

    Pooling comes as early as it can, so that what follows has a quarter of the frames: without batch norm before the
    ReLU; with it, as soon as mean and variance have been taken of all frames. To normalise is to multiply and to add:
    the largest stays the largest or, where the factor is negative, the smallest becomes it.
    """
    if isinstance(norm, nn.Identity):
        return torch.relu(_pool(x))
    x = torch.relu(x)
    if not norm.training:
        return _pool(norm(x))
    mean, variance = _Moments.apply(x)
    with torch.no_grad():
        count = x.numel() // x.shape[1]
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * count / (count - 1), norm.momentum)
    sign = torch.where(norm.weight < 0, -1.0, 1.0).to(mean.dtype)[:, None, None]
    pooled = _pool(x * sign.to(x.dtype)) if (sign < 0).any() else _pool(x)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    shift = norm.bias - mean * scale
    return (pooled * (sign * scale[:, None, None]) + shift[:, None, None]).to(x.dtype)


class Trunk(nn.Module):
    """Convolutions over time, each with max-pooling by 4, and a hidden layer, all with ReLU.

    Two convolutions of 32 filters and 100 hidden units in the paper and the report. The extras of the report: batch
    norm after each ReLU, dropout on the hidden layer.

    The convolutions and the hidden layer's product are taken in the type of what comes in; the weights keep theirs.
    """

    def __init__(
        self,
        channels: int,
        frames: int,
        batch_norm: bool,
        dropout: float,
        layers: int = 2,
        filters: int = 32,
        hidden: int = 100,
    ):
        super().__init__()
        left = frames // POOL**layers
        if left < 1:
            raise ValueError(f"{frames} frames a window are too few: {layers} max-poolings by {POOL} leave nothing")
        self.layers, self.features = layers, hidden
        for layer in range(1, layers + 1):
            self.add_module(f"conv{layer}", nn.Conv1d(channels if layer == 1 else filters, filters, CONV_LENGTH))
            self.add_module(f"norm{layer}", nn.BatchNorm2d(filters) if batch_norm else nn.Identity())
        self.dense = nn.Linear(filters * left, hidden)
        self.norm_dense = nn.BatchNorm1d(hidden) if batch_norm else nn.Identity()
        self.dropout = architectures.Dropout(dropout)

    def convolved(self, x: torch.Tensor, groups: int = 1) -> torch.Tensor:
        """[windows, channels, frames] -> [windows, filters, 1, frames left]; filters see their own group's channels."""
        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)  # [windows, channels, 1, frames]
        for layer in range(1, self.layers + 1):  # [windows, filters, 1, frames / 4], then a quarter of it
            x = _rectify_and_pool(_conv(x, getattr(self, f"conv{layer}"), groups), getattr(self, f"norm{layer}"))
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[windows, channels, frames] -> features [windows, hidden]."""
        x = self.convolved(x)
        weight, bias = self.dense.weight, self.dense.bias
        x = functional.linear(x.flatten(1), weight.to(x.dtype), bias.to(x.dtype)).to(weight.dtype)
        return self.dropout(self.norm_dense(torch.relu(x)))  # [windows, hidden]


@dataclass(frozen=True)
class Framing:
    """How clips are cut into windows: ``window`` samples each, one every ``hop``, at ``sample_rate`` Hz.

    The last window of a clip is filled up with zeros where the hops do not end with it.
    """

    sample_rate: int
    window: int
    hop: int

    def count(self, samples: int) -> int:
        """Windows of a clip of so many samples."""
        return 1 if samples <= self.window else -(-(samples - self.window) // self.hop) + 1

    def counted(self, seconds: np.ndarray, samples: int) -> np.ndarray:
        """Of clips that sound for so many seconds, [clips], the windows that are not wholly padding: int64 [clips]."""
        begun = np.ceil(np.asarray(seconds) * self.sample_rate / self.hop - 1e-6)
        return np.clip(begun, 1, self.count(samples)).astype(np.int64)

    def cut(self, samples: torch.Tensor) -> torch.Tensor:
        """[clips, samples] -> [clips, windows, window], a view where nothing is to be filled up."""
        missing = (self.count(samples.shape[1]) - 1) * self.hop + self.window - samples.shape[1]
        if missing > 0:
            samples = functional.pad(samples, (0, missing))
        if self.hop == self.window:
            return samples.view(samples.shape[0], -1, self.window)
        return samples.unfold(1, self.window, self.hop)


class Tagger(nn.Module):
    """Samples of clips in, probabilities of tags out.

    Args:
        config: one experiment's settings, as in ``params.yaml``: those of the front end and of the network.
        statistics: of the training clips, for the scaling.
        tags: how many.
        sample_rate: in Hz.
        window_samples: samples a window.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        statistics: dict[str, float],
        tags: int,
        sample_rate: int,
        window_samples: int,
    ):
        super().__init__()
        if config["pool"] not in POOLING:
            raise ValueError(f"pool {config['pool']!r} is unknown; there are {', '.join(POOLING)}")
        self.pool, self.window_samples, self.sample_rate = config["pool"], window_samples, sample_rate
        self.framing = Framing(sample_rate, window_samples, max(1, round(window_samples * (1 - config["overlap"]))))
        self.scaling = Scaling(config["scaling"], statistics)
        self.frontend = frontends.build(config, window_samples, sample_rate)
        shape = (self.frontend.channels, self.frontend.frames)
        self.is_trunk = config["network"] == TRUNK
        if self.is_trunk:
            sizes = (config["conv_layers"], config["conv_filters"], config["hidden"])
            self.trunk = Trunk(*shape, config["batch_norm"], config["dropout"], *sizes)
        else:
            self.trunk = architectures.build(config["network"], *shape, config)
        self.classifier = nn.Linear(self.trunk.features, tags)
        if isinstance(self.frontend, frontends.Raw):
            _kaiming(self.frontend)
        if self.is_trunk:  # the others begin as they were published
            _kaiming(self.trunk)
            _kaiming(self.classifier)

    def front(
        self, samples: torch.Tensor, dtype: torch.dtype = torch.float32, picked: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What the trunk sees of clips.

        Args:
            samples: of int16's scale [clips, samples].
            dtype: of what is given back. The products of a front end that learns are taken in it; spectrograms, and
                the scaling, are computed in float32.
            picked: int [clips, windows], which windows of each clip; None for all.

        Returns:
            [clips, windows, channels, frames].
        """
        scaled = self.scaled(samples, dtype, picked)
        return self.frontend(scaled.flatten(0, 1)).to(dtype).unflatten(0, scaled.shape[:2])

    def scaled(
        self, samples: torch.Tensor, dtype: torch.dtype = torch.float32, picked: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What the front end sees of clips, of each window what its frames take: [clips, windows, samples].

        Takes what ``front`` takes.
        """
        windows = self.framing.cut(samples)
        if picked is not None:
            windows = windows[torch.arange(len(picked), device=windows.device)[:, None], picked.to(windows.device)]
        windows = windows[..., : self.frontend.samples]
        return self.scaling(windows, dtype if self.frontend.learns else torch.float32)

    def features(self, front: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """What the classifier sees: [clips, windows, channels, frames] -> [clips, windows, features]."""
        x = front.flatten(0, 1)
        if self.is_trunk or dtype == torch.float32:
            features = self.trunk(x)
        else:
            with torch.autocast(x.device.type, dtype=dtype):
                features = self.trunk(x)
        return features.to(self.classifier.weight.dtype).unflatten(0, front.shape[:2])

    def tag(self, front: torch.Tensor, windows: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Tag probabilities from what ``front`` gave.

        Args:
            front: [clips, windows, channels, frames].
            windows: int [clips], how many windows of each clip are not wholly padding; the others do not count.
            dtype: in which networks other than the paper's take their products; the paper's takes the front's.

        Returns:
            [clips, tags]; with ``window_loss`` while training [clips, windows, tags], for ``loss`` to take.
        """
        features = self.features(front, dtype)
        if self.pool == "features":
            return torch.sigmoid(self.classifier(mean_over_windows(features, windows)))
        predictions = torch.sigmoid(self.classifier(features))  # [clips, windows, tags]
        if self.pool == "window_loss" and self.training:
            return predictions
        return mean_over_windows(predictions, windows)

    def forward(self, samples: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """Samples of int16's scale [clips, samples] -> tag probabilities, see ``tag``."""
        return self.tag(self.front(samples), windows)


def _kaiming(module: nn.Module) -> None:
    """Kaiming-normal weights and zero biases for every layer within.

    But for weights without values, on the device ``meta``: PyTorch would load its compiler for those, two seconds.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Linear) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


def mean_over_windows(values: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
    """[clips, windows, n] -> [clips, n], the mean over each clip's first ``windows`` windows."""
    counted = (torch.arange(values.shape[1], device=values.device) < windows[:, None]).to(values.dtype)
    return (values * counted.unsqueeze(-1)).sum(dim=1) / counted.sum(dim=1, keepdim=True)


def loss(
    predictions: torch.Tensor, windows: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Binary cross-entropy, the mean over clips and tags.

    Args:
        predictions: probabilities [clips, tags], or [clips, windows, tags], in which case each window that counts is
            held against its clip's labels.
        windows: int [clips].
        labels: [clips, tags] of 0 and 1.
        weights: [clips, tags], what each label counts; one of weight 0 is left out of the mean. None: all count 1.
    """
    if predictions.dim() == 2 and weights is None:
        return functional.binary_cross_entropy(predictions, labels)
    if predictions.dim() == 2:
        each = functional.binary_cross_entropy(predictions, labels, reduction="none")
    else:
        labels = labels.unsqueeze(1).expand_as(predictions)
        each = mean_over_windows(functional.binary_cross_entropy(predictions, labels, reduction="none"), windows)
    return each.mean() if weights is None else (each * weights).sum() / (weights > 0).sum()


def parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
