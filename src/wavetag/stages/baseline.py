"""baseline: linear models on loudness and on the mel spectrum, and the ceiling where the dataset knows it."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from wavetag import baselines, clips, evaluations, files, params, splits, tags
from wavetag.stages import say, stage

DECIMALS = 6


def ceiling(path: Path, test: splits.Split, vocabulary: str | list[str]) -> np.ndarray | None:
    """The chances by which a generated dataset's tags were drawn, [clips, tags]; None where there are none."""
    if not path.is_file():
        return None
    table, names, probabilities = clips.read_tag_table(path)
    position = {clip_id: row for row, clip_id in enumerate(table["clip_id"])}
    rows = [position[clip_id] for clip_id in test.clips["clip_id"]]
    return tags.merged_probabilities(probabilities[rows], names, tags.sources(vocabulary, test.tags))


@stage
def main() -> None:
    """Fit the linear models on the training clips and score them, and the ceiling, as the networks are scored."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="folder with the dataset")
    parser.add_argument("--clips", type=Path, required=True, help="array of the prepared clips")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--metrics", type=Path, required=True, help="scores to write")
    parser.add_argument("--tags", type=Path, required=True, help="scores tag by tag, to write")
    arguments = parser.parse_args()
    settings = params.load()
    rate = settings["defaults"]["sample_rate"]
    array = clips.open_array(arguments.clips)
    parts = {name: splits.read(arguments.split, only=[name]) for name in splits.NAMES}
    test = parts[splits.TEST]

    predictions = {}
    for name in ("loudness", "mel_statistics"):
        features = {
            part: baselines.features(
                name,
                array,
                split.clips["row"].to_numpy(),
                rate,
                lengths=split.clips["windows"].to_numpy() * params.window_samples(settings, rate),
            )
            for part, split in parts.items()
        }
        model = baselines.fit_linear(
            features[splits.TRAIN],
            parts[splits.TRAIN].labels,
            features[splits.VALID],
            parts[splits.VALID].labels,
        )
        predictions[name] = model.predict(features[splits.TEST])
    known = ceiling(arguments.dataset / "tag_probabilities.csv", test, settings["split"]["vocabulary"])
    if known is not None:
        predictions["ceiling"] = known

    evaluate, metrics, by_tag = settings["evaluate"], {}, []
    for name, predicted in predictions.items():
        metrics[name] = evaluations.score_views(
            test, predicted[None], evaluate["resamples"], evaluate["seed"], DECIMALS
        )
        by_tag.append(evaluations.by_tag(test, predicted[None], **evaluate).assign(model=name))
        say(
            f"baseline {name}: ROC-AUC {metrics[name]['roc_auc']:.4f} on {metrics[name]['test_clips']} tagged test"
            f" clips of {settings['dataset']['name']}"
        )
    files.write_json(arguments.metrics, metrics)
    files.write_table(arguments.tags, pd.concat(by_tag), decimals=DECIMALS)


if __name__ == "__main__":
    raise SystemExit(main())
