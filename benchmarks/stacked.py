"""Seconds an epoch of three seeds: as one stacked network, and one after the other, on one thread or on a GPU.

    python benchmarks/stacked.py [--device cpu] [--clips 200] [--rounds 3]

The clips are noise: how long a step takes does not depend on what it hears. Rounds are taken in turns.
"""

import argparse
from statistics import median

import numpy as np
import pandas as pd

RATE, SAMPLES, SEEDS, TAGS = 12_000, 349_500, (0, 1, 2), 50
CONFIGS = {
    "raw": {},
    "raw, batch norm": {"batch_norm": True},
    "linear": {"frontend": "linear"},
    "mel, batch norm, dropout": {"frontend": "mel", "batch_norm": True, "dropout": 0.5},
}


def rows(clips: int, rounds: int, device: str = "cpu") -> list[tuple[str, ...]]:
    """Rows for ``bench.COLUMNS``: seconds an epoch of a seed, and the ratio."""
    import torch

    from wavetag import devices, params, scaling, splits, training

    torch.set_num_threads(1)
    defaults = params.load()["defaults"]
    rng = np.random.default_rng(0)
    array = rng.integers(-20_000, 20_000, (clips + 20, SAMPLES), dtype=np.int16)
    about = {"row": np.arange(len(array)), "windows": 10, "seconds": SAMPLES / RATE}
    labels = (rng.random((len(array), TAGS)) < 0.1).astype(np.uint8)
    split = splits.Split(pd.DataFrame(about), tuple(map(str, range(TAGS))), labels)
    parts = [
        training.Clips(array, split.where(about["row"] < clips)),
        training.Clips(array, split.where(about["row"] >= clips)),
    ]
    statistics = scaling.statistics(array[:2], [0, 1], [10, 10], SAMPLES // 10)
    found = []
    for name, changes in CONFIGS.items():
        config = defaults | changes | {"epochs": 3, "patience": None, "learning_rate": 1e-4}
        where = {"device": device, "precision": getattr(torch, devices.precision(config["precision"], device))}
        shared = (*parts, statistics, RATE, SAMPLES // 10)
        alone, stacked = [], []
        for _ in range(rounds):
            ran = [training.run(config, seed, *shared, **where) for seed in SEEDS]
            alone += [seconds for one in ran for seconds in one.seconds[1:]]
            ran = training.run_stacked(config, SEEDS, *shared, **where)
            stacked += [seconds for one in ran for seconds in one.seconds[1:]]
        ratio = f"{median(alone) / median(stacked):.2f}"
        one, other = f"{median(stacked):.2f} s", f"{median(alone):.2f} s"
        found.append((f"{name}: an epoch of one of 3 seeds, {clips} clips", one, "one after the other", other, ratio))
    return found


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:0")
    parser.add_argument("--clips", type=int, default=200, help="to train on")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for row in rows(arguments.clips, arguments.rounds, arguments.device):
        print(" | ".join(row), flush=True)


if __name__ == "__main__":
    main()
