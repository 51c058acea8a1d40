"""The field's later networks, from what a front end gives to the features of a window.

``[windows, channels, frames] -> [windows, features]``: each is everything but the last layer, which makes tags of its
``features`` (see ``networks.Tagger``). Spectrograms are to come in decibels (``log_mel``), and a window of them is an
image of one channel, [1, bands, frames]; ``sample_cnn`` takes samples. Where M. Won et al. changed a network for their
comparison of 2020, theirs is built: there all of them were trained alike, and weights were given away. See ``SOURCES``.

Weights begin as in torch by default, since that comparison and its code state nothing else; those of ``sample_cnn`` as
in its authors' code.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

WON = 'M. Won et al., "Evaluation of CNN-based Automatic Music Tagging Models", SMC 2020'
SOURCES = {
    "fcn": f'K. Choi et al., "Automatic tagging using deep convolutional neural networks", ISMIR 2016; {WON}',
    "crnn": 'K. Choi et al., "Convolutional recurrent neural networks for music classification", ICASSP 2017,'
    f" Figure 1(d); {WON}",
    "musicnn": 'J. Pons et al., "End-to-end learning for music audio tagging at scale", ISMIR 2018, the spectrogram'
    f' model; J. Pons and X. Serra, "musicnn", ISMIR 2019, late-breaking demo; {WON}',
    "sample_cnn": 'J. Lee et al., "Sample-level deep convolutional neural networks for music auto-tagging using raw'
    ' waveforms", SMC 2017, the 3^9 model of 59,049 samples',
    "short_chunk_resnet": f"{WON}, the short-chunk CNN with residual connections",
}
NAMES = tuple(SOURCES)


class _Conv1d(nn.Conv1d):
    """Over time, an odd length, as many frames as before: [windows, channels, 1, frames] in and out.

    Computed in two dimensions, since torch has a channels-last layout for these alone.
    """

    def __init__(self, channels: int, filters: int, length: int):
        super().__init__(channels, filters, length, padding=length // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.weight.unsqueeze(2), self.bias, padding=(0, self.padding[0]))


class _Timbral(nn.Conv2d):
    """Over so many bands and seven frames, with as many frames as before: [windows, 1, bands, frames] in.

    The frames of a filter are taken as its channels: of a single channel, a CPU takes three times as long for a step.
    """

    def __init__(self, filters: int, bands: int):
        super().__init__(1, filters, (bands, 7), padding=(0, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        beside = functional.pad(x[:, 0], (3, 3)).unfold(2, 7, 1)  # [windows, bands, frames, 7]
        return functional.conv2d(beside.permute(0, 3, 1, 2), self.weight.permute(0, 3, 2, 1), self.bias)


class _Blocks(nn.Conv1d):
    """Over samples cut into blocks, an output a block: [windows, 1, 1, samples] -> [windows, filters, 1, blocks].

    As a matrix product, of which a frame's filters come to lie side by side. What does not fill a block is left out.
    """

    def __init__(self, filters: int, length: int):
        super().__init__(1, filters, length, stride=length)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        blocks = x.shape[3] // self.stride[0]
        x = x[..., : blocks * self.stride[0]].reshape(len(x), 1, blocks, -1)
        return functional.linear(x, self.weight[:, 0], self.bias).permute(0, 3, 1, 2)


class _Layer(nn.Module):
    """A convolution, batch norm, ReLU, max-pooling: [windows, channels, bands, frames] in and out."""

    def __init__(self, conv: nn.Module, pool: tuple[int, int] = (1, 1)):
        super().__init__()
        self.conv, self.norm, self.pool = conv, nn.BatchNorm2d(conv.out_channels), pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        if self.pool != (1, 1):
            x = functional.max_pool2d(x, self.pool)  # the same before ReLU as after it, which is left with less to do
        return torch.relu(x)


class _Residual(nn.Module):
    """Two 3 x 3 convolutions, the first one every other place, beside one alone: half the bands, half the frames."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after)
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after)
        self.shortcut, self.shortcut_norm = nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[windows, channels, bands, frames] -> [windows, channels, bands / 2, frames / 2], rounded up."""
        y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(y + self.shortcut_norm(self.shortcut(x)))


class Dropout(nn.Dropout):
    """Dropout that may draw from a generator of its own, the numbers that it would draw from torch's.

    Networks that are trained side by side in one process then draw what each would draw alone.
    """

    generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of any shape."""
        if self.generator is None or not self.training or self.p == 0:
            return super().forward(x)
        return x * torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator).div_(1 - self.p)


class _Network(nn.Module):
    """What all have in common: which windows they take, and dropout of half of the features.

    Products are taken in the type of ``torch.autocast`` where that is on, else in that of the weights.
    """

    name: str
    features: int  # of a window
    channels: int  # bands; one of samples
    least: int  # frames of a window
    most: int | None = None
    unit = "bands", "frames"

    def __init__(self, channels: int, frames: int):
        super().__init__()
        if channels != self.channels or frames < self.least or frames > (self.most or frames):
            length = f"{self.least:,} to {self.most:,}" if self.most else f"{self.least:,} or more"
            raise ValueError(
                f"{self.name} takes windows of {self.channels} {self.unit[0]} and {length} {self.unit[1]}; this one has"
                f" {channels} and {frames:,}"
            )
        self.dropout = Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[windows, channels, frames] -> [windows, features], of the weights' type."""
        dtype = next(self.parameters()).dtype
        return self.dropout(self._features(x.to(dtype)).to(dtype))


class _OfSpectrograms(_Network):
    """Batch norm over the whole spectrogram comes first, with one mean and one variance."""

    def __init__(self, channels: int, frames: int):
        super().__init__(channels, frames)
        self.input_norm = nn.BatchNorm2d(1)

    def _image(self, x: torch.Tensor) -> torch.Tensor:
        """[windows, bands, frames] -> [windows, 1, bands, frames], for torch a tensor whose channels lie last."""
        return self.input_norm(x.contiguous().unsqueeze(1)).squeeze(1).unsqueeze(3).permute(0, 3, 1, 2)


def _layers(channels: tuple[int, ...], pools: tuple[tuple[int, int], ...]) -> nn.Sequential:
    """3 x 3 convolutions from each number of channels to the next, with the pooling of each: bands, frames."""
    convs = [nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(channels)]
    return nn.Sequential(*[_Layer(conv, pool) for conv, pool in zip(convs, pools, strict=True)])


class FCN(_OfSpectrograms):
    """Five 3 x 3 convolutions, pooled until a clip of 29 s is one place.

    Of the frames, the poolings reach the first 1,280: 27 s at 12 kHz, 20 s at 16 kHz. 447,732 parameters with 50 tags.
    """

    name, channels, features = "fcn", 96, 64
    least, most = 1_280, 2_559

    def __init__(self, channels: int, frames: int):
        super().__init__(channels, frames)
        self.layers = _layers((1, 64, 128, 128, 128, 64), ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4)))

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(self._image(x)).flatten(1)  # from [windows, 64, 1, 1]


class CRNN(_OfSpectrograms):
    """Four 3 x 3 convolutions, pooled until no bands are left, then two recurrent layers of 32 over the places in time.

    A clip of 29 s has 14 places at 12 kHz, 18 at 16 kHz; the last state counts. 394,100 parameters with 50 tags.
    """

    name, channels, features = "crnn", 96, 32
    least = 96

    def __init__(self, channels: int, frames: int):
        super().__init__(channels, frames)
        self.layers = _layers((1, 64, 128, 128, 128), ((2, 2), (3, 3), (4, 4), (4, 4)))
        self.recurrent = nn.GRU(128, 32, num_layers=2, batch_first=True)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        places = self.layers(self._image(x)).squeeze(2).transpose(1, 2)  # [windows, places, 128]
        with torch.autocast(x.device.type, enabled=False):  # few products, one after the other
            states, _ = self.recurrent(places.to(x.dtype))
        return states[:, -1]


class Musicnn(_OfSpectrograms):
    """Filters as high as many bands, for timbre, and as long as many frames, for time; then three convolutions.

    What all these layers give is pooled over the window, by maximum and by mean, for a hidden layer of 200. Published
    with windows of 3 s. 784,300 parameters with 50 tags.
    """

    name, channels, features = "musicnn", 96, 200
    least = 1

    def __init__(self, channels: int, frames: int):
        super().__init__(channels, frames)
        heights = (67, 38)  # .7 and .4 of the bands
        self.timbral = nn.ModuleList(_Layer(_Timbral(204, height), (channels - height + 1, 1)) for height in heights)
        self.temporal = nn.ModuleList(_Layer(_Conv1d(1, 51, length)) for length in (129, 65, 33))
        self.layers = nn.ModuleList(_Layer(_Conv1d(before, 64, 7)) for before in (2 * 204 + 3 * 51, 64, 64))
        self.dense, self.dense_norm = nn.Linear(2 * (561 + 3 * 64), 200), nn.BatchNorm1d(200)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        x = self._image(x)
        timbral = [layer(x) for layer in self.timbral]  # [windows, 204, 1, frames]
        temporal = [layer(x.mean(dim=2, keepdim=True)) for layer in self.temporal]  # [windows, 51, 1, frames]
        outputs = [torch.cat(timbral + temporal, dim=1)]  # [windows, 561, 1, frames]
        for layer in self.layers:
            y = layer(outputs[-1])  # [windows, 64, 1, frames]
            outputs.append(y if len(outputs) == 1 else y + outputs[-1])
        x = torch.cat(outputs, dim=1)  # [windows, 753, 1, frames]
        x = torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)
        return torch.relu(self.dense_norm(self.dense(x)))


class SampleCNN(_Network):
    """Eleven convolutions over time, all but the last of three samples or frames and with a third of them left.

    59,049 = 3^10 samples become one place, and any more up to twice as many are not looked at: 2.7 s at the published
    22,050 Hz, 3.7 s at 16 kHz, 4.9 s at 12 kHz. 1,869,874 parameters with 50 tags.
    """

    name, channels, features = "sample_cnn", 1, 512
    least, most = 3**10, 2 * 3**10 - 1
    unit = "channel", "samples"

    def __init__(self, channels: int, frames: int):
        super().__init__(channels, frames)
        filters = (128, 128, 128, 256, 256, 256, 256, 256, 256, 512)
        self.layers = nn.Sequential(
            _Layer(_Blocks(filters[0], 3)),
            *[_Layer(_Conv1d(before, after, 3), (1, 3)) for before, after in pairwise(filters)],
            _Layer(_Conv1d(512, 512, 1)),
        )
        for layer in self.layers:  # as in the authors' code, https://github.com/jongpillee/sampleCNN
            nn.init.kaiming_uniform_(layer.conv.weight, nonlinearity="relu")
            nn.init.zeros_(layer.conv.bias)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.unsqueeze(2)).flatten(1)  # from [windows, 512, 1, 1]


class ShortChunkResNet(_OfSpectrograms):
    """Seven residual layers of 3 x 3 convolutions that halve bands and frames, the maximum over time, 512 hidden units.

    Published with windows of 3.7 s. 12,104,244 parameters with 50 tags.
    """

    name, channels, features = "short_chunk_resnet", 128, 512
    least = 1

    def __init__(self, channels: int, frames: int):
        super().__init__(channels, frames)
        filters = (1, 128, 128, 256, 256, 256, 256, 512)
        self.layers = nn.Sequential(*[_Residual(before, after) for before, after in pairwise(filters)])
        self.dense, self.dense_norm = nn.Linear(512, 512), nn.BatchNorm1d(512)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers(self._image(x)).amax(dim=(2, 3))  # of [windows, 512, 1, frames / 128]
        return torch.relu(self.dense_norm(self.dense(x)))


def build(name: str, channels: int, frames: int, config: Mapping[str, Any] | None = None) -> nn.Module:
    """The network of that name, of ``NAMES``, for windows of so many channels (bands) and frames.

    Args:
        name: of ``NAMES``.
        channels: bands of a spectrogram; 1 of samples.
        frames: of a window; its samples, if these are what comes in.
        config: an experiment's settings. None of them is needed: layers, batch norm and dropout (.5, of the features)
            are the publications', whatever ``dropout`` and ``batch_norm`` say.

    Returns:
        A module whose attribute ``features`` says how many numbers it makes of a window.

    Raises:
        ValueError: there is no such network, or it does not take such windows.
    """
    networks = {network.name: network for network in (FCN, CRNN, Musicnn, SampleCNN, ShortChunkResNet)}
    if name not in networks:
        raise ValueError(f"network {name!r} is unknown; there are {', '.join(networks)}")
    return networks[name](channels, frames)
