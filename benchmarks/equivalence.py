"""Whether training as it is done here ends where training in plain layers ends: ROC-AUC on the test clips, in pairs.

    python benchmarks/equivalence.py [--configs base raw_bn_dropout] [--epochs 30] [--seeds 10] [--precision bfloat16]

Each pair begins from the same weights and sees the same batches in the same order: one is `training.run`, the other the
network of plain.py in float32, with its own layers and its own loop. Both keep the epoch with the least loss on the
validation clips. With dropout the two draw different masks. Equivalent is said where the 95 % interval of the mean
difference (Student's t over the seeds) lies within --margin. Needs what `make all` prepares.
"""

import argparse
from functools import partial
from typing import Any

import numpy as np
import plain
import torch
from scipy import stats
from torch.nn import functional

from wavetag import clips, files, networks, params, processes, scoring, splits, training

RATE = 12_000


def _data(settings: dict[str, Any]) -> tuple[dict[str, training.Clips], dict[str, float], int]:
    array = clips.open_array(f"data/prepared/{RATE}/clips.npy")
    split = splits.read("data/split/split.tsv")
    of = {name: training.Clips(array, split.only(name)) for name in (splits.TRAIN, splits.VALID, splits.TEST)}
    return of, files.read_json(f"data/statistics/{RATE}.json"), params.window_samples(settings, RATE)


def _front(of: training.Clips, statistics: dict[str, float], config: dict[str, Any], window: int) -> np.ndarray:
    """float32 [clips, windows, channels, frames]: what the plain network is given."""
    low, high = statistics["minimum"], statistics["maximum"]
    spectrogram = plain.SPECTROGRAMS[config["frontend"]]
    found = []
    for row in of.split.clips["row"]:
        scaled = ((of.array[row].astype(np.float32) - (low + high) / 2) * (2 / (high - low))).astype(np.float32)
        found.append(spectrogram(scaled.reshape(-1, window)).astype(np.float32))
    return np.stack(found)


def plainly(config: dict[str, Any], seed: int) -> np.ndarray:
    """The plain network, trained: its predictions for the test clips."""
    of, statistics, window = _data(params.load())
    labels = {name: torch.from_numpy(clips_of.split.labels.astype(np.float32)) for name, clips_of in of.items()}
    fronts = {name: torch.from_numpy(_front(clips_of, statistics, config, window)) for name, clips_of in of.items()}
    torch.manual_seed(seed)
    ours = networks.Tagger(config, statistics, labels[splits.TRAIN].shape[1], RATE, window)
    regularised = {"batch_norm": config["batch_norm"], "dropout": config["dropout"]}
    of_samples = {key: config[key] for key in ("length", "stride", "filters")} if ours.frontend.learns else {}
    network = plain.PlainTagger(
        *fronts[splits.TRAIN].shape[2:], ours.classifier.out_features, **of_samples, **regularised
    )
    plain.copy_weights(ours, network)
    optimizer = torch.optim.SGD(network.parameters(), lr=config["learning_rate"], momentum=config["momentum"])

    @torch.no_grad()
    def predict(name: str) -> torch.Tensor:
        network.eval()
        return torch.cat([network(some) for some in fronts[name].split(10)])

    best, chosen = np.inf, None
    for epoch in range(1, config["epochs"] + 1):
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate(config, epoch)
        network.train()
        order = np.random.default_rng([seed, epoch]).permutation(len(of[splits.TRAIN]))
        for some in training.batches(order, config["batch_size"]):
            plain.step(network, optimizer, fronts[splits.TRAIN][some], labels[splits.TRAIN][some])
        loss = functional.binary_cross_entropy(predict(splits.VALID), labels[splits.VALID]).item()
        if loss < best:
            best, chosen = loss, predict(splits.TEST).numpy()
    return chosen


def as_here(config: dict[str, Any], precision: str, seed: int) -> np.ndarray:
    """The network as `train` trains it: its predictions for the test clips."""
    of, statistics, window = _data(params.load())
    kind = getattr(torch, precision)
    trained = training.run(config, seed, of[splits.TRAIN], of[splits.VALID], statistics, RATE, window, precision=kind)
    trained.network.load_state_dict(trained.best)
    return training.predict(trained.network, of[splits.TEST], torch.device("cpu"))


def _pair(config: dict[str, Any], precision: str, seed: int) -> tuple[float, float]:
    torch.set_num_threads(1)
    test = splits.read("data/split/split.tsv", only=[splits.TEST])
    tagged = test.labels.any(axis=1)
    return tuple(
        float(scoring.macro_mean(scoring.roc_auc(test.labels[tagged], predictions[tagged])))
        for predictions in (as_here(config, precision, seed), plainly(config, seed))
    )


def main() -> None:
    """Print each pair, and for each config the mean difference with its interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=["base"])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--precision", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--margin", type=float, default=0.005)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    settings = params.load()
    for name in arguments.configs:
        config = params.config(settings, name) | {"epochs": arguments.epochs}
        with processes.pool(arguments.processes, "spawn") as workers:
            pairs = list(workers.map(partial(_pair, config, arguments.precision), range(arguments.seeds)))
        for seed, (ours, other) in enumerate(pairs):
            print(
                f"{name}, seed {seed}: {arguments.precision} {ours:.4f}, plain float32 {other:.4f}, {ours - other:+.4f}"
            )
        difference = np.subtract(*np.transpose(pairs))
        half = stats.t.ppf(0.975, len(pairs) - 1) * difference.std(ddof=1) / np.sqrt(len(pairs))
        low, high = difference.mean() - half, difference.mean() + half
        verdict = (
            "equivalent" if -arguments.margin <= low and high <= arguments.margin else "not shown to be equivalent"
        )
        means = " and ".join(f"{mean:.4f}" for mean in np.mean(pairs, axis=0))
        print(
            f"{name}, {arguments.epochs} epochs, {len(pairs)} seeds: means {means}, difference {difference.mean():+.4f}"
            f" ({low:+.4f} to {high:+.4f}): {verdict} within ±{arguments.margin}",
            flush=True,
        )


if __name__ == "__main__":
    main()
