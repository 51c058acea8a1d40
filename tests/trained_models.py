"""Model folders for tests: networks that were not trained, but whose tags differ from sound to sound."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from conftest import DEFAULTS
from wavetag import networks, tagger, training

STATISTICS = {"minimum": -32768, "maximum": 32767, "mean": 0.0, "standard_deviation": 3000.0}
RATE, WINDOW = 12_000, 6_000
TAGS = ("guitar", "no singer", "techno", "fast", "harpsichord", "birds & bees")
SMALL = {"length": 64, "stride": 64, "filters": 8, "seeds": [3, 5]}


def network(
    settings: dict[str, Any] | None = None, seed: int = 0, tags: int = len(TAGS), window: int = WINDOW
) -> networks.Tagger:
    """A network whose probabilities spread over the whole range."""
    torch.manual_seed(seed)
    made = networks.Tagger(DEFAULTS | SMALL | (settings or {}), STATISTICS, tags, RATE, window)
    with torch.no_grad():
        made.classifier.weight *= 6
        made.classifier.bias += torch.linspace(-2, 1, tags)
    return made.eval()


def write(
    folder: Path,
    settings: dict[str, Any] | None = None,
    scores: Sequence[float] = (0.7, 0.8),
    tags: Sequence[str] = TAGS,
    dataset: str = "minitune",
    window: int = WINDOW,
) -> Path:
    """A folder as training leaves it: two seeds, whose second epochs were chosen, with these validation ROC-AUCs."""
    trainings, config = {}, DEFAULTS | SMALL | (settings or {})
    for seed, score in zip(config["seeds"], scores, strict=True):
        made = network(settings, seed, len(tags), window)
        row = {"seed": seed, "train_loss": 0.5, "valid_loss": 0.5, "train_roc_auc": 0.9}
        history = [{**row, "epoch": epoch, "valid_roc_auc": score - (2 - epoch) / 10} for epoch in (1, 2)]
        trainings[seed] = training.Training(made, None, history, made.state_dict(), best_epoch=2)
    about = {
        "name": folder.name,
        "dataset": {"name": dataset},
        "config": config,
        "tags": list(tags),
        "sample_rate": RATE,
        "window_samples": window,
        "statistics": STATISTICS,
        "precision": "float32",
        "tuning": {},
    }
    tagger.write(folder, about, trainings)
    return folder


def heeding_ctrl_c() -> None:
    """Before a child begins: what a shell starts in its background ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
