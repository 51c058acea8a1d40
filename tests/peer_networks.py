"""Our networks with the weights that Won et al. trained on the real MagnaTagATune.

FCN, CRNN and musicnn, in the variants of Won et al., "Evaluation of CNN-based Automatic Music Tagging Models",
SMC 2020. The weights are not part of the project: `PEERS` says where they are looked for, and what uses them
skips where they are absent.
"""

from pathlib import Path

import numpy as np
import pandas
import soundfile
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from wavetag import architectures, frontends

PEERS = Path(__file__).resolve().parents[2] / "shared" / "peers"
SAMPLE_RATE = 16_000
SECONDS = {"fcn": 29, "crnn": 29, "musicnn": 3}  # of a window
NETWORKS = tuple(SECONDS)

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


def from_published(name, weights):
    """What a published network holds, under our names.

    Args:
        name: "fcn", "crnn" or "musicnn".
        weights: of its file, by name; each tensor taken is taken out, so that what is left over has found no place.

    Returns:
        (spectrogram, features, classifier), by name: what stands in `frontends.LogMel`, in the network of
        `architectures` and in the layer behind it. Nothing but the names changes, and the side of the filter bank.
    """
    spectrogram = {"window": weights.pop("spec.spectrogram.window"), "filters": weights.pop("spec.mel_scale.fb")}
    renamed = {"spec_bn": "input_norm"}
    if name == "musicnn":
        renamed |= {f"layers.{i}": f"timbral.{i}" for i in range(2)}
        renamed |= {f"layers.{i}": f"temporal.{i - 2}" for i in range(2, 5)}
        renamed |= {f"layer{i}": f"layers.{i - 1}" for i in range(1, 4)}
        renamed |= {"dense1": "dense", "bn": "dense_norm", "dense2": "classifier"}
    else:
        renamed |= {f"layer{i}": f"layers.{i - 1}" for i in range(1, 5 if name == "crnn" else 6)}
        renamed |= {"layer5": "recurrent"} if name == "crnn" else {}
        renamed |= {"dense": "classifier"}
    features, classifier = {}, {}
    for published, ours in renamed.items():
        for key in [key for key in weights if key.startswith(published + ".")]:
            rest = key.removeprefix(published).replace(".bn.", ".norm.")
            place = classifier if ours == "classifier" else features
            place[(ours + rest).removeprefix("classifier.")] = weights.pop(key)
    return spectrogram, features, classifier


class Peer(nn.Module):
    """A published network: our front end, our network and a last layer, as in `networks.Tagger`."""

    def __init__(self, name, weights):
        super().__init__()
        weights = dict(weights)
        spectrogram, features, classifier = from_published(name, weights)
        if weights:
            raise ValueError(f"{name}: {', '.join(weights)} of the published weights have no place in ours")
        self.window = round(SECONDS[name] * SAMPLE_RATE)
        self.frontend = frontends.LogMel(self.window, SAMPLE_RATE, length=512, stride=256, bands=96)
        for buffer, published in spectrogram.items():  # ours is not loaded but computed: it is to be the same
            torch.testing.assert_close(getattr(self.frontend, buffer), published, rtol=0, atol=2e-5)
        self.trunk = architectures.build(name, self.frontend.channels, self.frontend.frames)
        self.trunk.load_state_dict(features, strict=True)
        self.classifier = nn.Linear(self.trunk.features, len(TAGS))
        self.classifier.load_state_dict(classifier, strict=True)

    def forward(self, samples):
        """[windows, window] in [-1, 1] -> [windows, 50] probabilities."""
        return torch.sigmoid(self.classifier(self.trunk(self.frontend(samples))))


def load_network(name, folder=PEERS):
    """The network `name` with its published weights; every tensor finds its place."""
    weights = torch.load(Path(folder) / f"sota_mtat_{name}.pth", weights_only=True, map_location="cpu")
    return Peer(name, weights).eval()


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
