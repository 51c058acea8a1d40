"""study: one worker of the study that tunes the spectrogram network."""

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wavetag import clips, devices, files, params, search, splits
from wavetag.stages import say, stage


@stage
def main() -> None:
    """Run trials until the study has as many as it is to have; one that was stopped goes on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, required=True, help="folder of the suite")
    parser.add_argument("--worker", type=int, required=True, help="number of this worker")
    parser.add_argument("--clips", type=Path, required=True, help="array of the prepared clips")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--statistics", type=Path, required=True, help="statistics of the training clips")
    parser.add_argument("--out", type=Path, required=True, help="this worker's trials, to write")
    parser.add_argument("--checkpoints", type=Path, default=Path(".checkpoints/search"), help="where the study is kept")
    arguments = parser.parse_args()
    settings = params.load_suite(arguments.suite, params.load())
    plan = search.read_study(arguments.suite / "params.yaml", settings)
    if arguments.worker not in plan.workers:
        raise ValueError(f"--worker {arguments.worker}: study.workers are {', '.join(map(str, plan.workers))}")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's products do not repeat

    import torch

    from wavetag import study, training

    torch.set_num_threads(1)  # so that numbers do not depend on how many threads a job is given
    array = clips.open_array(arguments.clips)
    split = splits.read(arguments.split, only=[splits.TRAIN, splits.VALID])
    statistics = files.read_json(arguments.statistics)
    shared = plan.config_of({}, settings["defaults"])
    jobs, tell = settings.get("jobs_per_gpu", 1), lambda line: say(f"study, worker {arguments.worker}: {line}")
    with devices.lease(devices.available(), jobs=jobs, tell=tell) as device:
        precision = devices.precision(shared["precision"], device)
        parts = [training.Clips(array, split.only(part)) for part in (splits.TRAIN, splits.VALID)]
        about = {"statistics": statistics, "prepare": settings["prepare"], "device": device.split(":")[0]}
        of_training = training.fingerprint(shared, plan.seed, *parts, {**about, "precision": precision})
        name = study.fingerprint(plan, of_training)

        def attempt(drawn: dict[str, Any], report: Callable[..., None]) -> Mapping[str, Any]:
            config = plan.config_of(drawn, settings["defaults"])
            placing = {"device": device, "precision": precision}
            return search.attempt(
                config, settings, array, split, statistics, **placing, report=lambda row, seconds_left: report(row)
            )

        trials = study.work(
            plan,
            arguments.worker,
            arguments.checkpoints / f"study_{name}",
            attempt,
            lambda line: say(f"study, worker {arguments.worker}: {line}"),
        )
    files.write_json(arguments.out, trials)
    say(f"study, worker {arguments.worker}: {len(trials)} of the {plan.trials} trials are its own")


if __name__ == "__main__":
    raise SystemExit(main())
