"""What a generated dataset is like: its labels, its ceiling, and what trivial taggers score on it.

python benchmarks/minitune_check.py DATASET [--real annotations_final.csv.gz] [--audio]

Prints clips by part, artists shared by training and test, how frequent the tags are (with --real, beside the real
MagnaTagATune's), the ceiling (the generator's own P(tag | clip), scored as a tagger would be) and logistic
regressions on loudness and (--audio) on the mean and standard deviation of the mel spectrum. Exit status 1
where a tag of either vocabulary has no positive clip in training or test.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas
import soundfile
from scipy import signal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from minitune.catalogue import SPLITS
from minitune.tags import TAGS
from wavetag import tags


def split_masks(paths: pandas.Series) -> dict[str, np.ndarray]:
    """Split name -> bool [clips], by the part in which a clip lies."""
    return {split: paths.str[0].isin(list(parts)).to_numpy() for split, parts in SPLITS.items()}


def print_parts(info: pandas.DataFrame, masks: dict[str, np.ndarray]) -> None:
    """Clips by part and split, and how many test clips are by artists who are also in training."""
    print("clips by part:", info["mp3_path"].str[0].value_counts().sort_index().to_dict())
    print("clips by split:", {split: int(mask.sum()) for split, mask in masks.items()})
    known = set(info["artist"][masks["train"]])
    print(f"test clips by artists of training: {info['artist'][masks['test']].isin(known).mean():.3f}")


def print_frequencies(vocabulary: str, truth: np.ndarray, real: np.ndarray | None, masks) -> list[str]:
    """A line a tag: share of the clips (the real set's beside it), positives by split; returns those without."""
    print(f"{vocabulary}: % of the clips{', of the real ones' if real is not None else ''}, positives by split")
    without = []
    for column, tag in enumerate(tags.sources(vocabulary)):
        counts = {split: int(truth[mask, column].sum()) for split, mask in masks.items()}
        beside = f"{100 * real[:, column].mean():6.1f}" if real is not None else ""
        print(f"  {tag:14s} {100 * truth[:, column].mean():6.1f} {beside}   {counts}")
        without += [tag] if 0 in (counts["train"], counts["test"]) else []
    return without


def mean_score(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean ROC-AUC over the tags (columns) that have positives and negatives."""
    defined = truth.any(axis=0) & ~truth.all(axis=0)
    return float(roc_auc_score(truth[:, defined], predicted[:, defined], average="macro"))


def linear_score(features: np.ndarray, truth: np.ndarray, masks) -> float:
    """Mean test ROC-AUC of one logistic regression a tag."""
    train, test = masks["train"], masks["test"]
    predicted = np.zeros((test.sum(), truth.shape[1]))
    for tag in range(truth.shape[1]):
        if truth[train, tag].any():
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
            predicted[:, tag] = model.fit(features[train], truth[train, tag]).decision_function(features[test])
    return mean_score(truth[test], predicted)


def mel_statistics(path: Path) -> np.ndarray:
    """Mean and standard deviation over time of 64 log-mel bands: [128]."""
    samples, rate = soundfile.read(path, dtype="float32")
    frequencies, _, power = signal.spectrogram(samples, rate, nperseg=1024, noverlap=0)
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), 66) / 2595) - 1)
    rise = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    bands = np.log(np.clip(np.minimum(rise, fall), 0, None) @ power + 1e-10)
    return np.concatenate([bands.mean(axis=1), bands.std(axis=1)])


def main() -> int:
    """Print everything for one dataset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--real", type=Path, help="the real set's annotations, to print its frequencies beside")
    parser.add_argument("--audio", action="store_true", help="decode all clips for the mel baseline")
    options = parser.parse_args()

    def table(name):
        return pandas.read_csv(options.dataset / name, sep="\t")

    info, facts = table("clip_info_final.csv"), table("facts.csv")
    annotations = table("annotations_final.csv")[list(TAGS)].to_numpy()
    probabilities = table("tag_probabilities.csv")[list(TAGS)].to_numpy()
    real = pandas.read_csv(options.real, sep="\t")[list(TAGS)].to_numpy() if options.real else None
    masks = split_masks(info["mp3_path"])
    print_parts(info, masks)
    features = {"loudness": facts[["loudness"]].to_numpy()}
    if options.audio:
        features["mel mean and sd"] = np.stack([mel_statistics(options.dataset / p) for p in info["mp3_path"]])
    without = []
    for vocabulary in tags.VOCABULARIES:
        truth = tags.labels(annotations, TAGS, tags.sources(vocabulary)).astype(bool)
        real_truth = tags.labels(real, TAGS, tags.sources(vocabulary)) if real is not None else None
        without += print_frequencies(vocabulary, truth, real_truth, masks)
        known = tags.merged_probabilities(probabilities, TAGS, tags.sources(vocabulary))
        print(f"  ceiling: ROC-AUC {mean_score(truth[masks['test']], known[masks['test']]):.3f}")
        for name, values in features.items():
            print(f"  logistic regression on {name}: ROC-AUC {linear_score(values, truth, masks):.3f}")
    print("tags without a positive clip in training or test:", ", ".join(without) or "none")
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
