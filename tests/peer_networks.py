"""Two published taggers rebuilt to hold the weights that Won et al. trained on the real MagnaTagATune.

FCN (Choi et al. 2016) and musicnn (Pons et al. 2018), in the variants of Won et al., "Evaluation of
CNN-based Automatic Music Tagging Models", SMC 2020. The weights are not part of the project: `PEERS` says
where they are looked for, and what uses them skips where they are absent.
"""

from pathlib import Path

import numpy as np
import pandas
import soundfile
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional

PEERS = Path(__file__).resolve().parents[2] / "shared" / "peers"
SAMPLE_RATE = 16_000
FFT, HOP, BANDS = 512, 256, 96

# The networks' output order: the 50 most frequent tags of MagnaTagATune, most frequent first. Not by the
# alphabet: so read, the one real clip (techno) would be 'cello', and 200 generated clips score .49 for .72.
# fmt: off
TAGS = [
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano",
    "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing",
    "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal",
    "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice", "new age", "dance",
    "male voice", "female vocal", "beats", "harp", "cello", "no voice", "weird", "country", "metal",
    "female voice", "choral",
]
# fmt: on


class Spectrogram(nn.Module):
    """Power spectrogram; only its window is stored."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.zeros(FFT))

    def forward(self, samples):
        """[clips, samples] -> [clips, FFT // 2 + 1, frames]."""
        spectrum = torch.stft(samples, FFT, HOP, window=self.window, center=True, return_complex=True)
        return spectrum.abs() ** 2


class MelScale(nn.Module):
    """Sums frequencies into mel bands; only its filter bank is stored."""

    def __init__(self):
        super().__init__()
        self.register_buffer("fb", torch.zeros(FFT // 2 + 1, BANDS))

    def forward(self, power):
        """[clips, frequencies, frames] -> [clips, bands, frames]."""
        return torch.einsum("cft,fb->cbt", power, self.fb)


class LogMel(nn.Module):
    """Mel power in dB."""

    def __init__(self):
        super().__init__()
        self.spectrogram = Spectrogram()
        self.mel_scale = MelScale()

    def forward(self, samples):
        """[clips, samples] in [-1, 1] -> [clips, bands, frames] in dB."""
        return 10 * torch.log10(self.mel_scale(self.spectrogram(samples)).clamp(min=1e-10))


class Convolution2d(nn.Module):
    """Convolution, batch norm, ReLU over [clips, channels, bands, frames]."""

    def __init__(self, channels_in, channels_out, shape, padding):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, shape, padding=padding)
        self.bn = nn.BatchNorm2d(channels_out)

    def forward(self, x):
        """Same layout as the input."""
        return functional.relu(self.bn(self.conv(x)))


class Convolution1d(nn.Module):
    """Convolution that keeps the length, batch norm, ReLU over [clips, channels, frames]."""

    def __init__(self, channels_in, channels_out, length):
        super().__init__()
        self.conv = nn.Conv1d(channels_in, channels_out, length, padding=length // 2)
        self.bn = nn.BatchNorm1d(channels_out)

    def forward(self, x):
        """Same layout as the input."""
        return functional.relu(self.bn(self.conv(x)))


class FCN(nn.Module):
    """Five 3 x 3 convolutions with max-pooling down to one cell; takes a whole clip."""

    window = 29 * SAMPLE_RATE
    pools = ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))

    def __init__(self):
        super().__init__()
        self.spec, self.spec_bn = LogMel(), nn.BatchNorm2d(1)
        self.layer1 = Convolution2d(1, 64, (3, 3), (1, 1))
        self.layer2 = Convolution2d(64, 128, (3, 3), (1, 1))
        self.layer3 = Convolution2d(128, 128, (3, 3), (1, 1))
        self.layer4 = Convolution2d(128, 128, (3, 3), (1, 1))
        self.layer5 = Convolution2d(128, 64, (3, 3), (1, 1))
        self.dense = nn.Linear(64, len(TAGS))

    def forward(self, samples):
        """[clips, window] -> [clips, 50] probabilities."""
        x = self.spec_bn(self.spec(samples)[:, None])
        layers = (self.layer1, self.layer2, self.layer3, self.layer4, self.layer5)
        for layer, pool in zip(layers, self.pools, strict=True):
            x = functional.max_pool2d(layer(x), pool)
        return torch.sigmoid(self.dense(x.flatten(1)))


class Musicnn(nn.Module):
    """Timbral (vertical) and temporal (horizontal) filters, three residual convolutions; takes 3 s."""

    window = 3 * SAMPLE_RATE

    def __init__(self):
        super().__init__()
        self.spec, self.spec_bn = LogMel(), nn.BatchNorm2d(1)
        timbral = [Convolution2d(1, 204, (height, 7), (0, 3)) for height in (67, 38)]
        temporal = [Convolution1d(1, 51, length) for length in (129, 65, 33)]
        self.layers = nn.ModuleList([*timbral, *temporal])
        self.layer1 = Convolution1d(561, 64, 7)
        self.layer2 = Convolution1d(64, 64, 7)
        self.layer3 = Convolution1d(64, 64, 7)
        self.dense1, self.bn = nn.Linear(1506, 200), nn.BatchNorm1d(200)
        self.dense2 = nn.Linear(200, len(TAGS))

    def forward(self, samples):
        """[windows, window] -> [windows, 50] probabilities."""
        x = self.spec_bn(self.spec(samples)[:, None])  # [windows, 1, bands, frames]
        front = [layer(x).amax(dim=2) for layer in self.layers[:2]]
        front += [layer(x.mean(dim=2)) for layer in self.layers[2:]]
        front = torch.cat(front, dim=1)  # [windows, 561, frames]
        first = self.layer1(front)
        second = self.layer2(first) + first
        third = self.layer3(second) + second
        x = torch.cat([front, first, second, third], dim=1)  # [windows, 753, frames]
        x = torch.cat([x.amax(dim=2), x.mean(dim=2)], dim=1)
        return torch.sigmoid(self.dense2(functional.relu(self.bn(self.dense1(x)))))


NETWORKS = {"fcn": FCN, "musicnn": Musicnn}


def load_network(name, folder=PEERS):
    """The network `name` ("fcn" or "musicnn") with its published weights; every tensor finds its place."""
    network = NETWORKS[name]()
    weights = torch.load(Path(folder) / f"sota_mtat_{name}.pth", weights_only=True, map_location="cpu")
    network.load_state_dict(weights, strict=True)
    return network.eval()


@torch.inference_mode()
def predict_tags(network, path, every=1):
    """Probabilities [50] of `TAGS` for one MP3 at 16 kHz: the mean over each `every`-th whole window."""
    samples, rate = soundfile.read(path, dtype="float32")
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise ValueError(f"{path}: the networks take {SAMPLE_RATE} Hz mono, not {rate} Hz, {samples.shape}")
    windows = len(samples) // network.window
    batch = torch.from_numpy(samples[: windows * network.window].reshape(windows, network.window))
    # In small batches it is quicker.
    predictions = torch.cat([network(part) for part in batch[::every].split(3)])
    return predictions.mean(dim=0).numpy().astype(np.float64)


def score_dataset(network, folder, clips=None, every=1):
    """ROC-AUC of each tag in `TAGS` on a dataset in MagnaTagATune's layout, its annotations being the truth.

    `clips`: how many clips, spread evenly over the table; all by default. `every`: see `predict_tags`. Returns
    {tag: (ROC-AUC, positives)} for the tags with at least two positive and two negative clips among them.
    """
    folder = Path(folder)
    table = pandas.read_csv(folder / "annotations_final.csv", sep="\t")
    if clips is not None and clips < len(table):
        table = table.iloc[np.linspace(0, len(table) - 1, clips).astype(int)]
    predictions = np.stack([predict_tags(network, folder / path, every) for path in table["mp3_path"]])
    scores = {}
    for tag, predicted in zip(TAGS, predictions.T, strict=True):
        truth = table[tag].to_numpy()
        if 2 <= truth.sum() <= len(truth) - 2:
            scores[tag] = roc_auc_score(truth, predicted), int(truth.sum())
    return scores
