"""trial: one training of a search, scored on the validation clips; its weights are not kept."""

import argparse
import os
import shutil
from pathlib import Path

from wavetag import clips, devices, files, params, search, splits
from wavetag.stages import say, stage


@stage
def main() -> None:
    """Train one experiment of a search from its seed. That the loss diverges is a result, not a failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, required=True, help="folder of the suite")
    parser.add_argument("--name", required=True, help="of the experiment")
    parser.add_argument("--clips", type=Path, required=True, help="array of the prepared clips")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--statistics", type=Path, required=True, help="statistics of the training clips")
    parser.add_argument("--out", type=Path, required=True, help="history and validation scores, to write")
    parser.add_argument(
        "--checkpoints", type=Path, default=Path(".checkpoints/search"), help="where to keep what is unfinished"
    )
    arguments = parser.parse_args()
    settings = params.load_suite(arguments.suite, params.load())
    search.check(settings, arguments.suite / "params.yaml")
    name, config = arguments.name, params.config(settings, arguments.name)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's products do not repeat

    import torch

    torch.set_num_threads(1)  # so that numbers do not depend on how many threads a job is given

    def report(row: dict[str, float], seconds_left: float) -> None:
        say(
            f"trial {name}: epoch {row['epoch']} of {config['epochs']}, loss {row['train_loss']:.4f} /"
            f" {row['valid_loss']:.4f}, ROC-AUC {row['train_roc_auc']:.3f} / {row['valid_roc_auc']:.3f} (train / valid)"
        )

    checkpoints = arguments.checkpoints / name
    jobs, tell = settings.get("jobs_per_gpu", 1), lambda line: say(f"trial {name}: {line}")
    with devices.lease(devices.available(), jobs=jobs, tell=tell) as device:
        found = search.attempt(
            config,
            settings,
            clips.open_array(arguments.clips),
            splits.read(arguments.split, only=[splits.TRAIN, splits.VALID]),
            files.read_json(arguments.statistics),
            checkpoints / "training.pt",
            device,
            devices.precision(config["precision"], device),
            report,
        )
    if found["diverged"]:
        say(f"trial {name}: the loss stopped being a finite number after {found['epochs']} epochs")
    about = {"name": name, "search": search.search_of(name), "config": config}
    files.write_json(arguments.out, {**about, **found})
    shutil.rmtree(checkpoints, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
