"""train: the networks of one config, one for each of its seeds."""

import argparse
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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


def run(job: Job, config: Mapping[str, Any], seed: int, checkpoint: str, report: Callable[..., None]) -> Any:
    """One training on one thread, so that its numbers do not depend on how many threads there are."""
    from wavetag import fine_tuning, training

    places, placing = _arguments(job, config, checkpoint)
    return training.run(config, seed, *places, **placing, report=report, start=fine_tuning.start(config, seed))


def _arguments(job: Job, config: Mapping[str, Any], checkpoint: str) -> tuple[list[Any], dict[str, Any]]:
    """What the functions that train take besides a config and its seeds, in order and by name."""
    import torch

    from wavetag import training

    torch.set_num_threads(1)
    array = clips.open_array(job.clips)
    split = splits.read(job.split, only=[splits.TRAIN, splits.VALID])
    parts = [training.Clips(array, split.only(part)) for part in (splits.TRAIN, splits.VALID)]
    places = [*parts, job.statistics, config["sample_rate"], params.of_config(job.settings, config)]
    precision = getattr(torch, job.precision)
    return places, {"checkpoint": job.checkpoints / checkpoint, "device": job.device, "precision": precision}


def try_rate(job: Job, rate: float) -> float | None:
    """Best validation ROC-AUC of the first seed, trained for a while at a learning rate; None where that diverged."""
    from wavetag import training

    config = {**job.config, "learning_rate": rate, "epochs": job.config["tune_epochs"], "patience": None}

    def report(row: dict[str, float], seconds_left: float) -> None:
        progress = f"epoch {row['epoch']} of {config['epochs']}, ROC-AUC {row['valid_roc_auc']:.3f} (valid)"
        say(f"train {job.name}: learning rate {rate:g} tried, {progress}")

    try:
        tried = run(job, config, job.config["seeds"][0], f"rate_{rate:g}.pt", report)
    except training.Diverged:
        say(f"train {job.name}: learning rate {rate:g} tried, not a finite loss")
        return None
    return max(row["valid_roc_auc"] for row in tried.history)


def train(job: Job, seed: int) -> Any:
    """Train one seed."""
    seeds = job.config["seeds"]
    after = len(seeds) - 1 - seeds.index(seed)

    def report(row: dict[str, float], seconds_left: float) -> None:
        left = seconds_left + after * seconds_left / max(1, job.config["epochs"] - row["epoch"]) * job.config["epochs"]
        _say_epoch(job, row, left)

    return run(job, job.config, seed, f"seed_{seed}.pt", report)


def _say_epoch(job: Job, row: Mapping[str, float], left: float) -> None:
    seeds, seed = job.config["seeds"], row["seed"]
    say(
        f"train {job.name}: seed {seed} ({seeds.index(seed) + 1} of {len(seeds)}),"
        f" epoch {row['epoch']} of {job.config['epochs']},"
        f" loss {row['train_loss']:.4f} / {row['valid_loss']:.4f},"
        f" ROC-AUC {row['train_roc_auc']:.3f} / {row['valid_roc_auc']:.3f} (train / valid),"
        f" about {int(left // 60)}:{int(left % 60):02d} left"
    )


def as_a_stack(config: Mapping[str, Any], device: str) -> bool:
    """Whether a config's seeds are trained as one network: where that is wanted, or by itself on a GPU."""
    if config["stack"] == "auto":
        return device != "cpu" and len(config["seeds"]) > 1 and params.stacks(config)
    return config["stack"]


def train_stack(job: Job) -> list[Any]:
    """Train all seeds side by side as one network."""
    from wavetag import fine_tuning, training

    config, seeds = job.config, job.config["seeds"]
    places, placing = _arguments(job, config, "seeds.pt")
    starts = [fine_tuning.start(config, seed) for seed in seeds]
    report = lambda row, seconds_left: _say_epoch(job, row, seconds_left * len(seeds))  # noqa: E731
    return training.run_stacked(config, seeds, *places, **placing, report=report, starts=starts)


def at_best_rate(job: Job, processes: int) -> tuple[Job, dict[str, float | None]]:
    """The job at the best of the learning rates that it is to try first, and what each came to."""
    rates = job.config["tune"]
    if not rates:
        return job, {}
    found = dict(zip(rates, each(try_rate, job, rates, processes), strict=True))
    if all(value is None for value in found.values()):
        raise ValueError(f"train {job.name}: the loss was not a finite number at any of the learning rates {rates}")
    best = max(rates, key=lambda rate: -1.0 if found[rate] is None else found[rate])
    say(f"train {job.name}: learning rate {best:g} was the best of {len(rates)} by validation")
    tried = {f"{rate:g}": value for rate, value in found.items()}
    return replace(job, config={**job.config, "learning_rate": best}), tried


def each(of_one: Callable[[Job, Any], Any], job: Job, items: Sequence[Any], processes: int) -> Iterator[Any]:
    """What ``of_one`` gives for each item, in order; each is kept in its checkpoint as soon as it is done."""
    if processes <= 1:
        yield from map(partial(of_one, job), items)
        return
    with pool(processes, "spawn") as workers:
        yield from workers.map(partial(of_one, job), items)


def add_paths(parser: argparse.ArgumentParser) -> None:
    """What training reads and writes, as arguments."""
    parser.add_argument("--clips", type=Path, required=True, help="array of the prepared clips")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--statistics", type=Path, required=True, help="statistics of the training clips")
    parser.add_argument("--model", type=Path, required=True, help="folder for the networks, to write")
    parser.add_argument("--curves", type=Path, required=True, help="loss and ROC-AUC by epoch, to write")
    parser.add_argument("--timings", type=Path, help="seconds an epoch, to write")
    parser.add_argument(
        "--checkpoints", type=Path, default=Path(".checkpoints"), help="where to keep what is unfinished"
    )


def train_all(name: str, config: dict[str, Any], settings: dict[str, Any], paths: argparse.Namespace) -> None:
    """Train every seed of a config and write what ``paths`` (``add_paths``) asks for."""
    statistics = files.read_json(paths.statistics)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's products do not repeat

    from wavetag import fine_tuning, tagger

    tags = list(splits.read(paths.split, only=[splits.TRAIN]).tags)
    if begins := fine_tuning.summary(config, settings, tags):
        say(f"train {name}: {begins}")
        statistics = fine_tuning.statistics(config)
    checkpoints = paths.checkpoints / name
    jobs, tell = settings.get("jobs_per_gpu", 1), lambda line: say(f"train {name}: {line}")
    with devices.lease(devices.available(), jobs=jobs, tell=tell) as device:
        precision = devices.precision(config["precision"], device)
        where = (paths.clips, paths.split, statistics, checkpoints)
        job = Job(name, config, settings, *where, device, precision)
        processes = 1 if device != "cpu" else min(threads(), len(config["seeds"]))
        stacked = as_a_stack(config, device)
        how = "as one network" if stacked else f"{processes} at a time"
        say(f"train {name}: {settings['dataset']['name']}, in {precision}, {len(config['seeds'])} seeds, {how}")
        job, tried = at_best_rate(job, processes)
        config = job.config
        found = train_stack(job) if stacked else each(train, job, config["seeds"], processes)
        trainings = dict(zip(config["seeds"], found, strict=True))
    about = {
        "name": name,
        "dataset": {"name": settings["dataset"]["name"]},
        "config": config,
        "tags": tags,
        "sample_rate": config["sample_rate"],
        "window_samples": params.of_config(settings, config),
        "statistics": statistics,
        "precision": precision,
        "tuning": tried,
    }
    history = tagger.write(paths.model, about, trainings)
    files.write_table(paths.curves, tagger.curves(history), decimals=tagger.HISTORY_DECIMALS)
    if paths.timings:
        seconds = {str(seed): [round(epoch, 3) for epoch in training.seconds] for seed, training in trainings.items()}
        files.write_json(paths.timings, {"device": device, "precision": precision, "seconds_by_epoch": seconds})
    shutil.rmtree(checkpoints, ignore_errors=True)


@stage
def main() -> None:
    """Train every seed of a config; what was already trained before a stop is not trained again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="of the experiment")
    parser.add_argument("--suite", type=Path, help="folder of the suite, if the experiment is in one")
    add_paths(parser)
    arguments = parser.parse_args()
    settings = params.load()
    if arguments.suite:
        settings = params.load_suite(arguments.suite, settings)
        arguments.checkpoints /= arguments.suite  # two suites may have experiments of one name
    train_all(arguments.name, params.config(settings, arguments.name), settings, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
