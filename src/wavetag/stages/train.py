"""train: the networks of one config, one for each of its seeds."""

import argparse
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wavetag import clips, devices, files, params, splits
from wavetag.processes import pool
from wavetag.stages import say, stage, threads


@dataclass(frozen=True)
class Job:
    """What a process needs to train one seed."""

    name: str
    config: dict[str, Any]
    settings: dict[str, Any]
    clips: Path
    split: Path
    statistics: dict[str, float]
    checkpoints: Path
    device: str
    precision: str


def train(job: Job, seed: int) -> Any:
    """Train one seed on one thread, so that its numbers do not depend on how many threads there are."""
    import torch

    from wavetag import training

    torch.set_num_threads(1)
    array = clips.open_array(job.clips)
    split = splits.read(job.split, only=[splits.TRAIN, splits.VALID])
    seeds = job.config["seeds"]
    after = len(seeds) - 1 - seeds.index(seed)

    def report(row: dict[str, float], seconds_left: float) -> None:
        left = seconds_left + after * seconds_left / max(1, job.config["epochs"] - row["epoch"]) * job.config["epochs"]
        say(
            f"train {job.name}: seed {seed} ({seeds.index(seed) + 1} of {len(seeds)}),"
            f" epoch {row['epoch']} of {job.config['epochs']},"
            f" loss {row['train_loss']:.4f} / {row['valid_loss']:.4f},"
            f" ROC-AUC {row['train_roc_auc']:.3f} / {row['valid_roc_auc']:.3f} (train / valid),"
            f" about {int(left // 60)}:{int(left % 60):02d} left"
        )

    return training.run(
        job.config,
        seed,
        training.Clips(array, split.only(splits.TRAIN)),
        training.Clips(array, split.only(splits.VALID)),
        job.statistics,
        job.config["sample_rate"],
        params.window_samples(job.settings, job.config["sample_rate"]),
        checkpoint=job.checkpoints / f"seed_{seed}.pt",
        device=job.device,
        precision=getattr(torch, job.precision),
        report=report,
    )


def train_all(job: Job, processes: int) -> Iterator[Any]:
    """The trainings of all seeds, in order; each is kept in its checkpoint as soon as it is done."""
    seeds = job.config["seeds"]
    if processes <= 1:
        yield from map(partial(train, job), seeds)
        return
    with pool(processes, "spawn") as workers:
        yield from workers.map(partial(train, job), seeds)


@stage
def main() -> None:
    """Train every seed of a config; what was already trained before a stop is not trained again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="of the experiment")
    parser.add_argument("--suite", type=Path, help="folder of the suite, if the experiment is in one")
    parser.add_argument("--clips", type=Path, required=True, help="array of the prepared clips")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--statistics", type=Path, required=True, help="statistics of the training clips")
    parser.add_argument("--model", type=Path, required=True, help="folder for the networks, to write")
    parser.add_argument("--curves", type=Path, required=True, help="loss and ROC-AUC by epoch, to write")
    parser.add_argument("--timings", type=Path, required=True, help="seconds an epoch, to write")
    parser.add_argument(
        "--checkpoints", type=Path, default=Path(".checkpoints"), help="where to keep what is unfinished"
    )
    arguments = parser.parse_args()
    settings = params.load()
    if arguments.suite:
        settings = params.load_suite(arguments.suite, settings)
    config = params.config(settings, arguments.name)
    statistics = files.read_json(arguments.statistics)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's products do not repeat

    from wavetag import tagger

    with devices.lease(devices.available()) as device:
        checkpoints = arguments.checkpoints / arguments.name
        precision = devices.precision(config["precision"], device)
        where = (arguments.clips, arguments.split, statistics, checkpoints)
        job = Job(arguments.name, config, settings, *where, device, precision)
        processes = 1 if device != "cpu" else min(threads(), len(config["seeds"]))
        dataset = settings["dataset"]["name"]
        seeds = f"{len(config['seeds'])} seeds, {processes} at a time"
        say(f"train {arguments.name}: {dataset}, on {device} in {precision}, {seeds}")
        trainings = dict(zip(config["seeds"], train_all(job, processes), strict=True))
    about = {
        "name": arguments.name,
        "dataset": {"name": settings["dataset"]["name"]},
        "config": config,
        "tags": list(splits.read(arguments.split, only=[splits.TRAIN]).tags),
        "sample_rate": config["sample_rate"],
        "window_samples": params.window_samples(settings, config["sample_rate"]),
        "statistics": statistics,
        "precision": precision,
    }
    history = tagger.write(arguments.model, about, trainings)
    files.write_table(arguments.curves, tagger.curves(history), decimals=tagger.HISTORY_DECIMALS)
    seconds = {str(seed): [round(epoch, 3) for epoch in training.seconds] for seed, training in trainings.items()}
    files.write_json(arguments.timings, {"device": device, "precision": precision, "seconds_by_epoch": seconds})
    shutil.rmtree(checkpoints, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
