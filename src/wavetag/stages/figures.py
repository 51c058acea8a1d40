"""figures: curves by epoch, scores by tag and by config, and clips tagged well and badly."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from wavetag import evaluations, examples, files, params, scoring, splits, tables
from wavetag.stages import say, stage

DECIMALS = 6


def config_rows(
    settings: dict[str, Any], evaluated: dict[str, evaluations.Evaluation], test: splits.Split
) -> pd.DataFrame:
    """Score, interval and each seed's score, a row a config, as ``figures.by_config`` takes them."""
    rows = []
    for name, evaluation in evaluated.items():
        metrics = evaluation.metrics
        by_seed = [scoring.macro_mean(scoring.roc_auc(test.labels, scores)) for scores in evaluation.predictions]
        frontend, (low, high) = params.config(settings, name)["frontend"], metrics["roc_auc_ci"]
        rows.append((name, frontend, metrics["roc_auc"], low, high, by_seed))
    frame = pd.DataFrame(rows, columns=["config", "frontend", "roc_auc", "low", "high", "seeds"])
    return frame.astype({"roc_auc": float, "low": float, "high": float})


@stage
def main() -> None:
    """Draw every figure anew, for the configs of params.yaml."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with the model folders")
    parser.add_argument("--predictions", type=Path, required=True, help="folder with the evaluations")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--baselines", type=Path, help="scores of the linear models and the ceiling, to draw as lines")
    parser.add_argument("--out", type=Path, required=True, help="folder for the figures, written anew")
    arguments = parser.parse_args()

    from wavetag import figures

    settings = params.load()
    dataset, names = settings["dataset"]["name"], list(settings["experiments"])
    every_test = splits.read(arguments.split, only=[splits.TEST])
    tagged = every_test.view(splits.TAGGED)
    test = every_test.where(tagged)
    evaluated = {name: evaluations.read(arguments.predictions / f"{name}.npz").where(tagged) for name in names}
    curves = {name: figures.read_curves(arguments.models / name) for name in names}
    featured = figures.best_by_validation(curves)
    baselines = files.read_json(arguments.baselines) if arguments.baselines else {}
    others = {
        tables.BASELINES.get(name, name): metrics["roc_auc"]
        for name, metrics in baselines.items()
        if metrics and metrics["roc_auc"] is not None
    }
    shown = examples.table(test, evaluated[featured].predictions)
    by_tag = scoring.per_tag_table(test.labels, evaluated[featured].predictions, test.tags)
    drawings = {
        "roc_auc_by_epoch.png": figures.by_epoch("roc_auc", curves, dataset),
        "loss_by_epoch.png": figures.by_epoch("loss", curves, dataset),
        "configs.png": figures.by_config(config_rows(settings, evaluated, test), others, len(test), dataset),
        "roc_auc_by_tag.png": figures.by_tag(featured, by_tag, dataset),
        "examples.png": figures.of_examples(featured, shown, dataset),
    }

    with files.folder_written_whole(arguments.out) as folder:
        figures.save_all(drawings, folder)
        files.write_table(folder / "examples.csv", shown, decimals=DECIMALS)
    say(f"figures: {', '.join(drawings)} in {arguments.out}")


if __name__ == "__main__":
    raise SystemExit(main())
