"""The usual way to train such a network, as a script of the field has it: what ours is measured against.

One float32 ``.npy`` a clip, ``np.load`` in ``Dataset.__getitem__`` (where a spectrogram is computed too), a
``DataLoader``, plain ``nn`` layers in float32, ``nn.BCELoss`` on sigmoids, validation after each epoch, scikit-learn's
ROC-AUC. The same networks, written a second time: the tests compare the two, gradients included.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, Dataset

COMPRESSION = 10_000.0


class PlainTagger(nn.Module):
    """The network in plain layers: [clips, windows, channels, frames] -> probabilities [clips, tags].

    Args:
        channels: of the input, 1 for samples.
        frames: of the input a window; samples, for samples.
        tags: how many.
        length, stride, filters: of the strided convolution on samples; without a length there is none.
        batch_norm: after each ReLU of the trunk.
        dropout: before the last layer.
    """

    def __init__(
        self,
        channels: int,
        frames: int,
        tags: int,
        length: int | None = None,
        stride: int = 1,
        filters: int = 32,
        batch_norm: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        if length is not None:
            layers += [nn.Conv1d(channels, filters, length, stride), nn.ReLU()]
            channels, frames = filters, (frames - length) // stride + 1
        for _ in range(2):
            layers += [nn.Conv1d(channels, 32, 8, padding="same"), nn.ReLU()]
            layers += [nn.BatchNorm1d(32)] if batch_norm else []
            layers += [nn.MaxPool1d(4)]
            channels, frames = 32, frames // 4
        layers += [nn.Flatten(), nn.Linear(32 * frames, 100), nn.ReLU()]
        layers += [nn.BatchNorm1d(100)] if batch_norm else []
        layers += [nn.Dropout(dropout), nn.Linear(100, tags), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers)
        for layer in layers:
            if isinstance(layer, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The mean of the windows' predictions."""
        return self.layers(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(dim=1)


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """From one of the two ways to write a network to the other: their weights stand in the same order."""
    with torch.no_grad():
        for of_source, of_target in zip(source.parameters(), target.parameters(), strict=True):
            of_target.copy_(of_source.reshape(of_target.shape))


def no_spectrogram(windows: np.ndarray) -> np.ndarray:
    """[windows, samples] -> [windows, 1, samples]."""
    return windows[:, None]


def scipy_spectrogram(windows: np.ndarray, sample_rate: int = 12_000) -> np.ndarray:
    """[windows, samples] -> [windows, 129, frames], the report's spectrogram by its own call of SciPy,
    log(1 + 10,000 x)."""
    from scipy.signal import spectrogram

    return np.log1p(COMPRESSION * spectrogram(windows, sample_rate, nperseg=256, noverlap=0)[2])


def librosa_mel(windows: np.ndarray, sample_rate: int = 12_000) -> np.ndarray:
    """[windows, samples] -> [windows, 128, frames], mel bands by librosa, log(1 + 10,000 x)."""
    import librosa

    shape = {"n_fft": 2048, "win_length": 256, "hop_length": 256, "n_mels": 128, "center": True}
    power = librosa.feature.melspectrogram(y=windows, sr=sample_rate, **shape)
    return np.log1p(COMPRESSION * power)[..., : windows.shape[1] // 256]


def flat_spectrogram(windows: np.ndarray, sample_rate: int = 12_000) -> np.ndarray:
    """[windows, samples] -> [windows, 1, 129 x frames], the report's spectrogram, frequency by frequency."""
    return scipy_spectrogram(windows, sample_rate).reshape(len(windows), 1, -1)


SPECTROGRAMS = {
    "raw": no_spectrogram,
    "linear": scipy_spectrogram,
    "mel": librosa_mel,
    "flat": flat_spectrogram,
}


class ClipFiles(Dataset):
    """One ``.npy`` a clip.

    Args:
        files: float32 [windows x samples] each, scaled to [-1, 1].
        labels: [clips, tags].
        windows: of a clip.
        spectrogram: of a clip's windows, one of ``SPECTROGRAMS``.
    """

    def __init__(
        self,
        files: list[Path],
        labels: np.ndarray,
        windows: int = 10,
        spectrogram: Callable[[np.ndarray], np.ndarray] = no_spectrogram,
    ):
        self.files, self.labels, self.windows, self.spectrogram = files, labels, windows, spectrogram

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        samples = np.load(self.files[index]).reshape(self.windows, -1)
        return self.spectrogram(samples), self.labels[index].astype(np.float32)


def mean_roc_auc(labels: np.ndarray, predictions: np.ndarray) -> float:
    """The mean over the tags that have both positives and negatives."""
    tags = [tag for tag in range(labels.shape[1]) if 0 < labels[:, tag].sum() < len(labels)]
    return float(np.mean([roc_auc_score(labels[:, tag], predictions[:, tag]) for tag in tags]))


def step(network: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """One update. Returns the predictions before it."""
    optimizer.zero_grad()
    predictions = network(x)
    nn.BCELoss()(predictions, labels).backward()
    optimizer.step()
    return predictions.detach()


def epochs(network: nn.Module, train: Dataset, valid: Dataset, workers: int, rate: float = 0.05) -> Iterator[float]:
    """Train, an epoch at each call, for ever. Yields the seconds of each."""
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.94)
    of_train = DataLoader(train, batch_size=10, shuffle=True, num_workers=workers)
    of_valid = DataLoader(valid, batch_size=10, num_workers=workers)
    while True:
        start = time.perf_counter()
        network.train()
        seen = [(step(network, optimizer, x, labels), labels) for x, labels in of_train]
        predictions, labels = (torch.cat(one) for one in zip(*seen, strict=True))
        mean_roc_auc(labels.numpy(), predictions.numpy())
        network.eval()
        with torch.no_grad():
            seen = [(network(x), labels) for x, labels in of_valid]
        predictions, labels = (torch.cat(one) for one in zip(*seen, strict=True))
        nn.BCELoss()(predictions, labels)
        mean_roc_auc(labels.numpy(), predictions.numpy())
        yield time.perf_counter() - start
