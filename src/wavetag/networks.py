"""The network: a front end on each window of a clip, a small convolutional trunk, one prediction a clip.

Dieleman & Schrauwen, "End-to-end learning for music audio", ICASSP 2014, section 3; the sizes are those of the
report, a replication of 2023.
Reads from top to bottom: ``Trunk``, then ``Tagger``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from wavetag import frontends
from wavetag.scaling import Scaling

CONV_FILTERS, CONV_LENGTH, POOL, HIDDEN = 32, 8, 4, 100
POOLING = ("predictions", "features", "window_loss")


def _conv(x: torch.Tensor, conv: nn.Conv1d) -> torch.Tensor:
    """A convolution over time that gives as many frames again: [windows, channels, 1, frames] in and out.

    Two-dimensional, since torch has a channels-last layout for these alone. Zeros are put around the frames beforehand,
    the fewer on the left, as torch's "same" does at a greater cost where the length is even.
    """
    weight, bias = conv.weight.to(x.dtype), conv.bias.to(x.dtype)
    padded = functional.pad(x, ((CONV_LENGTH - 1) // 2, CONV_LENGTH // 2))
    if conv.in_channels == 1:
        return _conv_of_one_channel(padded[:, 0, 0], weight[:, 0], bias)
    return functional.conv2d(padded, weight.unsqueeze(2), bias)


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
    """Two convolutions over time, each with max-pooling by 4, and a hidden layer of 100, all with ReLU.

    The extras of the report: batch norm after each ReLU, dropout on the hidden layer.

    The convolutions and the hidden layer's product are taken in the type of what comes in; the weights keep theirs.
    """

    def __init__(self, channels: int, frames: int, batch_norm: bool, dropout: float):
        super().__init__()
        if frames // POOL // POOL < 1:
            raise ValueError(f"{frames} frames a window are too few: two max-poolings by {POOL} leave nothing")
        self.conv1 = nn.Conv1d(channels, CONV_FILTERS, CONV_LENGTH)
        self.norm1 = nn.BatchNorm2d(CONV_FILTERS) if batch_norm else nn.Identity()
        self.conv2 = nn.Conv1d(CONV_FILTERS, CONV_FILTERS, CONV_LENGTH)
        self.norm2 = nn.BatchNorm2d(CONV_FILTERS) if batch_norm else nn.Identity()
        self.dense = nn.Linear(CONV_FILTERS * (frames // POOL // POOL), HIDDEN)
        self.norm3 = nn.BatchNorm1d(HIDDEN) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[windows, channels, frames] -> features [windows, 100]."""
        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)  # [windows, channels, 1, frames]
        x = _rectify_and_pool(_conv(x, self.conv1), self.norm1)  # [windows, 32, 1, frames / 4]
        x = _rectify_and_pool(_conv(x, self.conv2), self.norm2)  # [windows, 32, 1, frames / 16]
        weight, bias = self.dense.weight, self.dense.bias
        x = functional.linear(x.flatten(1), weight.to(x.dtype), bias.to(x.dtype)).to(weight.dtype)
        return self.dropout(self.norm3(torch.relu(x)))  # [windows, 100]


class Tagger(nn.Module):
    """Samples of clips in, probabilities of tags out.

    Args:
        config: one experiment's settings (``frontend``, ``length``, ``stride``, ``filters``, ``batch_norm``,
            ``dropout``, ``scaling``, ``compression``, ``pool``), as in ``params.yaml``.
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
        self.scaling = Scaling(config["scaling"], statistics)
        self.frontend = frontends.build(
            config["frontend"],
            window_samples,
            sample_rate,
            config["length"],
            config["stride"],
            config["filters"],
            config["compression"],
        )
        self.trunk = Trunk(self.frontend.channels, self.frontend.frames, config["batch_norm"], config["dropout"])
        self.classifier = nn.Linear(HIDDEN, tags)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def front(self, samples: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """What the trunk sees of clips.

        Args:
            samples: of int16's scale [clips, windows x window_samples].
            dtype: of what is given back. The products of a front end that learns are taken in it; spectrograms, and
                the scaling, are computed in float32.

        Returns:
            [clips, windows, channels, frames].
        """
        windows = samples.view(samples.shape[0], -1, self.window_samples)[..., : self.frontend.samples]
        scaled = self.scaling(windows, dtype if self.frontend.learns else torch.float32)  # what frames take, no more
        return self.frontend(scaled.flatten(0, 1)).to(dtype).unflatten(0, windows.shape[:2])

    def tag(self, front: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """Tag probabilities from what ``front`` gave.

        Args:
            front: [clips, windows, channels, frames].
            windows: int [clips], how many windows of each clip are not wholly padding; the others do not count.

        Returns:
            [clips, tags]; with ``window_loss`` while training [clips, windows, tags], for ``loss`` to take.
        """
        features = self.trunk(front.flatten(0, 1)).unflatten(0, front.shape[:2])  # [clips, windows, 100]
        if self.pool == "features":
            return torch.sigmoid(self.classifier(mean_over_windows(features, windows)))
        predictions = torch.sigmoid(self.classifier(features))  # [clips, windows, tags]
        if self.pool == "window_loss" and self.training:
            return predictions
        return mean_over_windows(predictions, windows)

    def forward(self, samples: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """Samples of int16's scale [clips, windows x window_samples] -> tag probabilities, see ``tag``."""
        return self.tag(self.front(samples), windows)


def mean_over_windows(values: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
    """[clips, windows, n] -> [clips, n], the mean over each clip's first ``windows`` windows."""
    counted = (torch.arange(values.shape[1], device=values.device) < windows[:, None]).to(values.dtype)
    return (values * counted.unsqueeze(-1)).sum(dim=1) / counted.sum(dim=1, keepdim=True)


def loss(predictions: torch.Tensor, windows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, the mean over clips and tags.

    Args:
        predictions: probabilities [clips, tags], or [clips, windows, tags], in which case each window that counts is
            held against its clip's labels.
        windows: int [clips].
        labels: [clips, tags] of 0 and 1.
    """
    if predictions.dim() == 2:
        return functional.binary_cross_entropy(predictions, labels)
    each = functional.binary_cross_entropy(predictions, labels.unsqueeze(1).expand_as(predictions), reduction="none")
    return mean_over_windows(each, windows).mean()


def parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
