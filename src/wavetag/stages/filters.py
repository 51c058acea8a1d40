"""filters: what the first layers of networks have learned, drawn and in numbers (the paper's Figures 2, 3 and 4)."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from wavetag import files
from wavetag.stages import say, stage

DECIMALS = 6


def first_seed(folder: Path) -> tuple[dict[str, Any], int, Any]:
    """What a model folder says of itself, its first seed, and the filters of that seed's network.

    Raises:
        ValueError: the folder is not a model's, or its network has no filters.
    """
    from wavetag import filters, tagger

    about = tagger.about(folder)
    try:
        seed = about["config"]["seeds"][0]
    except (KeyError, IndexError, TypeError) as error:
        raise tagger.ModelError(f"{folder}/config.json: it names no seeds: {error!r}") from error
    network = tagger.load(folder, seed)
    try:
        return about, seed, filters.of_network(network)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error


@stage
def main() -> None:
    """Draw the filters of every config that is named, of its first seed, anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with the model folders")
    parser.add_argument("--names", required=True, help="of the configs, a model folder each, with commas between them")
    parser.add_argument("--out", type=Path, required=True, help="folder for the figures and tables, written anew")
    arguments = parser.parse_args()
    if not all(name.strip() for name in arguments.names.split(",")):
        raise ValueError(f"--names {arguments.names!r} was given; names with commas between them are allowed")

    from wavetag import figures, filter_figures, filters

    drawings, tables, summaries = {}, [], {}
    for name in dict.fromkeys(name.strip() for name in arguments.names.split(",")):
        about, seed, learned = first_seed(arguments.models / name)
        rate, dataset = about["sample_rate"], about["dataset"]["name"]
        kinds = {"spectra": filter_figures.of_spectra, "shapes": filter_figures.of_shapes}
        if learned.group > 1:
            kinds["groups"] = filter_figures.of_groups
        for kind, draw in kinds.items():
            drawing = draw(name, learned, rate, dataset)
            caption = f"{drawing.caption} Of the network of seed {seed}, the first."
            drawings[f"filters_{name}_{kind}.png"] = drawing._replace(caption=caption)
        rows = filters.table(learned.weights, rate)
        tables.append(rows.assign(config=name, seed=seed)[["config", "seed", *rows.columns]])
        about_filters = {"seed": seed, "sample_rate": rate, "frozen": learned.frozen}
        summaries[name] = {**about_filters, **filters.summary(learned.weights, rate)}

    with files.folder_written_whole(arguments.out) as folder:
        figures.save_all(drawings, folder)
        files.write_table(folder / "filters.csv", pd.concat(tables), decimals=DECIMALS)
        files.write_json(folder / "filters.json", files.rounded(summaries, DECIMALS))
    say(f"filters: {', '.join(drawings)} in {arguments.out}")


if __name__ == "__main__":
    raise SystemExit(main())
