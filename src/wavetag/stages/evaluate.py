"""evaluate: the networks of one config on the test clips, once."""

import argparse
from pathlib import Path

import numpy as np

from wavetag import clips, evaluations, files, params, processes, splits
from wavetag.stages import say, stage

DECIMALS = 6


@stage
def main() -> None:
    """Predict the test clips' tags with every seed's network and score the predictions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder with the networks")
    parser.add_argument("--clips", type=Path, required=True, help="array of the prepared clips")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions to write")
    parser.add_argument("--metrics", type=Path, required=True, help="scores to write")
    parser.add_argument("--tags", type=Path, required=True, help="scores tag by tag, to write")
    arguments = parser.parse_args()
    settings = params.load()["evaluate"]

    import torch

    from wavetag import networks, tagger, training

    torch.set_num_threads(1)  # so that the predictions do not depend on how many threads a job is given
    processes.keep_memory()
    about = tagger.about(arguments.model)
    test = splits.read(arguments.split, only=[splits.TEST])
    seeds = about["config"]["seeds"]
    loaded = [tagger.load(arguments.model, seed) for seed in seeds]
    of_test = training.Clips(clips.open_array(arguments.clips), test, loaded[0].framing)
    predictions = np.stack([training.predict(network, of_test, torch.device("cpu")) for network in loaded])
    scores = evaluations.score_views(test, predictions, settings["resamples"], settings["seed"], DECIMALS)
    chosen = [about["chosen_epochs"][str(seed)] for seed in seeds]
    history = tagger.history(arguments.model)
    of_seeds = [history[history["seed"] == seed].to_dict("records") for seed in seeds]
    scaling = loaded[0].scaling
    metrics = {
        **scores,
        "parameters": networks.parameters(loaded[0]),
        "epochs": about["config"]["epochs"],
        "epochs_run": [len(of_seed) for of_seed in of_seeds],
        "chosen_epochs": chosen,
        "converged": all(training.converged(of_seed, about["config"]) for of_seed in of_seeds),
        "learned": all(training.learned(of_seed) for of_seed in of_seeds),
        "diverged": sum(training.diverged(of_seed, about["config"]) for of_seed in of_seeds),
        "learning_rate": about["config"]["learning_rate"],
        "tuning": about["tuning"],
        "split": about["config"].get("split", "main"),
        "scaling": {
            "mode": about["config"]["scaling"],
            "offset": float(scaling.offset),
            "gain": float(scaling.gain),
        },
        "tags": list(test.tags),
        "seeds": len(seeds),
        "dataset": about["dataset"]["name"],
    }
    evaluations.write(arguments.predictions, predictions, metrics)
    files.write_json(arguments.metrics, metrics)
    files.write_table(arguments.tags, evaluations.by_tag(test, predictions, **settings), decimals=DECIMALS)
    low, high = metrics["roc_auc_ci"]
    say(
        f"evaluate {about['name']}: ROC-AUC {metrics['roc_auc']:.4f} ({low:.4f} to {high:.4f})"
        f" on {metrics['test_clips']} tagged test clips of {metrics['dataset']}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
