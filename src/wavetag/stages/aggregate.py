"""aggregate: the tables, from the evaluation of every config in params.yaml."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from wavetag import evaluations, files, params, published, scoring, splits, tables
from wavetag.stages import say, stage

DECIMALS = 6
FLAT_COMMAND = "snakemake --cores 4 flat"


def flat_rows(results: dict[str, Any], suite: dict[str, Any], settings: dict[str, Any]) -> pd.DataFrame:
    """The rows of the report's own spectrogram: scored if the suite was run, else saying that it was not.

    Scores of another dataset, or of other settings, are none: they are kept in git and may be older than what is
    set now.
    """
    names, scores = list(suite["experiments"]), results.get("configs", {})
    now = {name: params.of_a_score(settings, params.config(suite, name)) for name in names}
    measured = {
        name: evaluations.Evaluation(None, scores[name])
        for name in names
        if name in scores and scores[name].get("settings") == now[name]
    }
    rows = [
        tables.table([name], suite, measured, published.REGULARISATION, {})
        if name in measured
        else pd.DataFrame([tables.waiting(name, params.config(suite, name), FLAT_COMMAND)])
        for name in names
    ]
    return pd.concat(rows, ignore_index=True)


def what_shows(evaluated: dict[str, evaluations.Evaluation], test: splits.Split, settings: dict[str, Any]) -> str:
    """A sentence on the smallest difference between two configs that the tagged test clips can show."""
    tagged = test.view(splits.TAGGED)
    test = test.where(tagged)
    base, other = (evaluated[name].where(tagged).predictions for name in ("base", "raw_bn"))
    by_clips, by_both = (
        scoring.smallest_detectable_difference(
            test.labels,
            base,
            other,
            groups=test.clips["artist"].to_numpy(),
            resamples=settings["resamples"],
            seed=settings["seed"],
            over_seeds=over_seeds,
        )
        for over_seeds in (False, len(base) > 1 and len(other) > 1)
    )
    return (
        f"The smallest difference of mean ROC-AUC that these {len(test)} tagged test clips by"
        f" {test.clips['artist'].nunique()} artists can show (base against raw_bn, two-sided 5 %, power 80 %):"
        f" {by_clips:.3f} between these trained networks, {by_both:.3f} between configs that are trained again."
    )


@stage
def main() -> None:
    """Write the tables as CSV and as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="folder with the evaluations")
    parser.add_argument("--split", type=Path, required=True, help="table of the split")
    parser.add_argument("--baselines", type=Path, required=True, help="scores of the linear models and the ceiling")
    parser.add_argument("--flat", type=Path, required=True, help="folder of the suite with the flat spectrogram")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    arguments = parser.parse_args()
    settings = params.load()
    names = list(settings["experiments"])
    split = splits.read(arguments.split)
    test = split.only(splits.TEST)
    counts = {name: len(split.only(name)) for name in (splits.TRAIN, splits.VALID)}
    evaluated = {name: evaluations.read(arguments.predictions / f"{name}.npz") for name in names}
    others = {name: metrics for name, metrics in files.read_json(arguments.baselines).items() if metrics}

    rows = {table: settings["tables"][table] for table in ("table1", "table2")}
    marks = {table: tables.within_noise_of_best(rows[table], evaluated, test, **settings["evaluate"]) for table in rows}
    first = tables.table(rows["table1"], settings, evaluated, published.RAW, others, marks["table1"])
    first["paper_mel"] = first["config"].map(published.PAPER_MEL)
    second = tables.table(rows["table2"], settings, evaluated, published.REGULARISATION, others, marks["table2"])
    flat = flat_rows(
        files.read_json(arguments.flat / "results.json"), params.load_suite(arguments.flat, settings), settings
    )
    second = pd.concat([flat, second], ignore_index=True)
    pairs = [(name, "base") for name in names if name != "base"] if "base" in names else []
    compared = tables.comparisons_by_view(pairs, evaluated, test, **settings["evaluate"])

    above = tables.heading(settings, counts, test, len(settings["defaults"]["seeds"]))
    below = [tables.NOISE]
    below += [what_shows(evaluated, test, settings["evaluate"])] if {"base", "raw_bn"} <= set(names) else []
    flat_below = "The flat spectrogram's configs are a suite's, and are not compared here."
    pages = {
        "table1": (first, "Table I: length and stride of the strided convolution, raw audio", "\n".join(below)),
        "table2": (
            second,
            "Table II: spectrograms and raw audio, batch norm and dropout",
            "\n".join([below[0], flat_below, *below[1:]]),
        ),
        "comparisons": (compared, "Differences between configs, on the same test clips", tables.COMPARISONS),
    }
    with files.folder_written_whole(arguments.out) as folder:
        for name, (frame, title, after) in pages.items():
            files.write_table(folder / f"{name}.csv", frame, decimals=DECIMALS)
            of_configs = name in tables.TITLES
            shown = tables.readable(frame, tables.TITLES[name]) if of_configs else tables.readable_comparisons(frame)
            files.write_text(folder / f"{name}.md", tables.markdown(title, above, shown, after))
    say(f"aggregate: {len(names)} configs in {arguments.out}")


if __name__ == "__main__":
    raise SystemExit(main())
