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
    padded = functional.pad(x, ((CONV_LENGTH - 1) // 2, CONV_LENGTH // 2))
    return functional.conv2d(padded, conv.weight.unsqueeze(2), conv.bias)


class Trunk(nn.Module):
    """Two convolutions over time, each with max-pooling by 4, and a hidden layer of 100, all with ReLU.

    The extras of the report: batch norm after each ReLU, dropout on the hidden layer.
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
        x = functional.max_pool2d(
            self.norm1(torch.relu(_conv(x, self.conv1))), (1, POOL)
        )  # [windows, 32, 1, frames / 4]
        x = functional.max_pool2d(
            self.norm2(torch.relu(_conv(x, self.conv2))), (1, POOL)
        )  # [windows, 32, 1, frames / 16]
        x = self.norm3(torch.relu(self.dense(x.flatten(1))))  # [windows, 100]
        return self.dropout(x)


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

    def front(self, samples: torch.Tensor) -> torch.Tensor:
        """What the trunk sees of clips: samples of int16's scale [clips, windows x window_samples] ->
        [clips, windows, channels, frames]."""
        clips = samples.shape[0]
        windows = self.scaling(samples).view(-1, self.window_samples)  # [clips x windows, window_samples]
        return self.frontend(windows).unflatten(0, (clips, -1))

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
