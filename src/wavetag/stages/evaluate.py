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
    of_test = training.Clips(clips.open_array(arguments.clips), test)
    seeds = about["config"]["seeds"]
    loaded = [tagger.load(arguments.model, seed) for seed in seeds]
    predictions = np.stack([training.predict(network, of_test, torch.device("cpu")) for network in loaded])
    scores = evaluations.score_views(test, predictions, settings["resamples"], settings["seed"], DECIMALS)
    chosen = [about["chosen_epochs"][str(seed)] for seed in seeds]
    metrics = {
        **scores,
        "parameters": networks.parameters(loaded[0]),
        "epochs": about["config"]["epochs"],
        "chosen_epochs": chosen,
        "seeds": len(seeds),
        "dataset": about["dataset"]["name"],
    }
    evaluations.write(arguments.predictions, predictions, metrics)
    files.write_json(arguments.metrics, metrics)
    files.write_table(arguments.tags, evaluations.by_tag(test, predictions), decimals=DECIMALS)
    low, high = metrics["roc_auc_ci"]
    say(
        f"evaluate {about['name']}: ROC-AUC {metrics['roc_auc']:.4f} ({low:.4f} to {high:.4f})"
        f" on {metrics['test_clips']} tagged test clips of {metrics['dataset']}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
