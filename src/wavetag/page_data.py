"""What the report page shows, gathered from what the pipeline made: numbers become tables and drawings."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from wavetag import (
    architecture_drawing,
    clips,
    confusion,
    description,
    description_figures,
    evaluations,
    figures,
    files,
    findings,
    listening,
    networks,
    params,
    report,
    scoring,
    splits,
    tagger,
    web_drawings,
)

FIRST = ("table1", "table2", "comparisons")  # of the tables; others follow by name
MOST_TAGS = 60  # that a heat map has
PAIRS = 12  # that are listed beside one
REDRAWN = {  # figures in reports/figures that the page draws anew from the same numbers
    "configs.png",
    "examples.png",
    "loss_by_epoch.png",
    "roc_auc_by_epoch.png",
    "roc_auc_by_tag.png",
}


def gather(
    settings: Mapping[str, Any],
    tables: Path,
    answers: Path,
    suites: Path,
    figure_folder: Path,
    models: Path,
    predictions: Path,
    clips_path: Path,
    split_path: Path,
    dataset: Path,
    page: Path,
) -> dict[str, Any]:
    """All that ``report.render`` needs; audio and pictures are put into the page's folder.

    Raises:
        ValueError: which file is missing or not as it should be.
    """
    whole = splits.read(split_path)
    every_test = whole.only(splits.TEST)
    tagged = every_test.view(splits.TAGGED)
    test = every_test.where(tagged)
    names = list(settings["experiments"])
    evaluated = {name: evaluations.read(predictions / f"{name}.npz").where(tagged) for name in names}
    curves = {name: figures.read_curves(models / name) for name in names}
    rate = settings["defaults"]["sample_rate"]  # which the clips were prepared at
    featured = figures.best_by_validation(
        {name: found for name, found in curves.items() if params.config(settings, name)["sample_rate"] == rate}
    )
    about = tagger.about(models / featured)
    trained = [tagger.load(models / featured, seed) for seed in about["config"]["seeds"]]
    array = clips.open_array(clips_path)
    probabilities = evaluated[featured].predictions.mean(axis=0, dtype=np.float64)  # [clips, tags]
    layers = architecture_drawing.layers(trained[0], array.shape[1])
    captions = files.read_json(figure_folder / figures.CAPTIONS)
    not_redrawn = {name: caption for name, caption in captions.items() if name not in REDRAWN}
    heard = listening.shown(test, evaluated[featured].predictions, trained, array, dataset, page)
    return {
        "findings": read_all_findings(answers, suites, settings),
        "counts": report.table_of("counts", "Clips", splits.counts(whole)),
        "shared_artists": splits.shared_artists(whole),
        "test_clips": len(test),
        "tables": read_tables(tables),
        "suites": read_suites(suites, settings, page),
        "featured": featured,
        "valid_scores": figures.validation_scores(curves),
        "architecture": architecture(layers, featured),
        "layers": layers,
        "parameters": networks.parameters(trained[0]),
        "scores": config_scores(settings, evaluated),
        "curves": draw_curves(curves, featured),
        "captions": captions,
        "tags": tag_scores(test, evaluated[featured].predictions, settings),
        "together": co_occurrence(whole),
        "confusion": confused(test, probabilities, featured),
        "filters": filter_drawing(models, curves),
        "pictures": copy_figures(figure_folder, not_redrawn, page),
        "examples": heard,
        "tag_names": report.tag_names(heard),
        "licence": listening.licence(settings["dataset"]["name"]),
    }


def read_tables(folder: Path) -> list[report.Table]:
    """The tables in the order of the page."""
    paths = sorted(
        folder.glob("*.md"),
        key=lambda path: (FIRST.index(path.stem) if path.stem in FIRST else len(FIRST), path.stem),
    )
    if not paths:
        raise ValueError(f"--tables {folder}: there is no table (*.md) in it: aggregate the tables first")
    return [report.read_table(path) for path in paths]


def read_all_findings(folder: Path, suites: Path, settings: Mapping[str, Any]) -> list[report.Findings]:
    """Those of the report's tables, then those of each suite, by name."""
    own = report.read_findings(folder / "findings.json", findings.REPORT, settings, suites)
    names = sorted(path.parent.name for path in suites.glob("*/params.yaml"))
    return [own, *(report.read_findings(suites / name / "results.json", name, settings, suites) for name in names)]


def read_suites(folder: Path, settings: Mapping[str, Any], page: Path) -> list[dict[str, Any]]:
    """What each suite published, by name; its pictures are copied into the page."""
    shown = []
    for path in sorted(folder.glob("*/params.yaml")):
        suite = report.read_suite(path.parent, settings)
        pictures = copy_figures(path.parent / report.PUBLISHED, suite.pictures, page, f"{suite.name}_")
        shown.append({**vars(suite), "pictures": pictures})
    return shown


def architecture(layers: list[architecture_drawing.Layer], name: str) -> Markup:
    """The drawing of a config's layers."""
    said = f"Architecture of {name}: {len(layers)} layers from top to bottom, which the table beside it lists"
    return Markup(architecture_drawing.drawing(layers, said))


def config_scores(settings: Mapping[str, Any], evaluated: Mapping[str, evaluations.Evaluation]) -> list[dict[str, Any]]:
    """A row a config: its score, interval, spread and whisker, the best first."""
    rows = []
    for name, evaluation in evaluated.items():
        metrics = evaluation.metrics
        low, high = metrics["roc_auc_ci"] or (None, None)
        rows.append(
            {"name": name, "frontend": params.config(settings, name)["frontend"], **metrics, "low": low, "high": high}
        )
    known = [value for row in rows for value in (row["low"], row["high"], row["roc_auc"]) if value is not None]
    axis = (min([0.49, *known]), max([0.51, *known]))
    for row in rows:
        row["whisker"] = Markup(web_drawings.whisker(row["roc_auc"], row["low"], row["high"], axis, 0.5))
    return sorted(rows, key=lambda row: -(row["roc_auc"] or 0))


def draw_curves(curves: Mapping[str, figures.Curves], featured: str) -> list[tuple[str, list[Markup]]]:
    """(config, its drawings of ROC-AUC and loss), the featured one first; all on the same axes."""
    limits = {score: figures.axis_limits(score, curves.values()) for score in figures.SCORES}
    order = [featured, *(name for name in curves if name != featured)]
    return [
        (
            name,
            [
                Markup(web_drawings.curves(score, name, curves[name], limits[score], f"curve{number}-{score}"))
                for score in figures.SCORES
            ],
        )
        for number, name in enumerate(order)
    ]


def tag_scores(test: splits.Split, predictions: np.ndarray, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a tag: its scores with intervals, and whisker, the best first."""
    artists, evaluate = test.clips["artist"].to_numpy(), settings["evaluate"]
    rows = scoring.per_tag_table(test.labels, predictions, test.tags, artists, evaluate["resamples"], evaluate["seed"])
    ends = [row[key] for row in rows for key in ("roc_auc_ci_low", "roc_auc_ci_high", "roc_auc")]
    known = [end for end in ends if end is not None]
    axis = (min([0.45, *known]), 1.0)
    for row in rows:
        ends = (row["roc_auc"], row["roc_auc_ci_low"], row["roc_auc_ci_high"])
        row["whisker"] = Markup(web_drawings.whisker(*ends, axis, 0.5))
    return sorted(rows, key=lambda row: (row["roc_auc"] is None, -(row["roc_auc"] or 0)))


def co_occurrence(split: splits.Split) -> dict[str, Any]:
    """The heat map of which tags stand together, ordered by likeness, and the strongest pairs."""
    frequent = np.argsort(-split.labels.sum(axis=0, dtype=int), kind="stable")[:MOST_TAGS]
    _, jaccard = description.co_occurrences(split)
    order = frequent[description_figures.by_similarity(jaccard[np.ix_(frequent, frequent)])]
    shown = jaccard[np.ix_(order, order)].astype(float)
    np.fill_diagonal(shown, np.nan)
    pairs = description.strongest_pairs(split, count=PAIRS)
    listed = "; ".join(f"{' and '.join(pair['tags'])} {pair['jaccard']:.2f}" for pair in pairs[:3])
    said = (
        f"Heat map of {len(order)} by {len(order)} tags: Jaccard index. Strongest: {listed}. More in the table below."
    )
    names = [split.tags[place] for place in order]
    return {
        "drawing": Markup(web_drawings.heat_map(shown, names, said)),
        "pairs": pairs,
        "clips": len(split),
        "order": order,
    }


def confused(test: splits.Split, probabilities: np.ndarray, name: str) -> dict[str, Any]:
    """The heat map of which tag is given in whose place, and the strongest pairs."""
    rate, taken = confusion.rates(test.labels, probabilities)
    frequent = np.argsort(-test.labels.sum(axis=0, dtype=int), kind="stable")[:MOST_TAGS]
    both = np.nan_to_num(rate)
    likeness = (both + both.T) / max(2 * both.max(initial=0.0), 1e-9)
    order = frequent[description_figures.by_similarity(likeness[np.ix_(frequent, frequent)])]
    pairs = confusion.strongest(rate, taken, test.tags, PAIRS)
    listed = "; ".join(f"{pair['true']} for {pair['given']} {pair['rate']:.2f}" for pair in pairs[:3])
    said = (
        f"Heat map: how often {name} takes the tag of the row for that of the column. Most often: {listed or 'none'}."
        " More in the table below."
    )
    names = [test.tags[place] for place in order]
    drawn = web_drawings.heat_map(rate[np.ix_(order, order)], names, said, ("true, not given", "given in its place"))
    return {"drawing": Markup(drawn), "pairs": pairs, "least": confusion.LEAST}


def filter_drawing(models: Path, curves: Mapping[str, figures.Curves]) -> dict[str, Any] | None:
    """Spectra of the first layer's filters, of the config that is best by validation among those that have any."""
    from wavetag import filters

    scores = figures.validation_scores(curves)
    for name in sorted(scores, key=lambda name: -np.nan_to_num(scores[name])):
        about = tagger.about(models / name)
        seed = about["config"]["seeds"][0]
        try:
            found = filters.of_network(tagger.load(models / name, seed))
        except tagger.ModelError:
            raise
        except ValueError:  # its front end has none
            continue
        rate = about["sample_rate"]
        order = filters.order(found.weights, rate)
        said = f"Magnitude spectra of {len(order)} filters of {name}, ordered by dominant frequency"
        drawn = web_drawings.filter_spectra(filters.spectra(found.weights)[order], rate, said)
        return {"name": name, "seed": seed, "drawing": Markup(drawn), "summary": filters.summary(found.weights, rate)}
    return None


def copy_figures(
    folder: Path, captions: Mapping[str, Mapping[str, str]], page: Path, prefix: str = ""
) -> list[dict[str, str]]:
    """Figures copied into the page, numbered behind a prefix, with title and caption.

    Raises:
        ValueError: one that has a caption is not there.
    """
    copied = []
    for number, (name, caption) in enumerate(captions.items()):
        address = f"figures/{prefix}{number:02d}{Path(name).suffix}"
        (page / address).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(folder / name, page / address)
        except FileNotFoundError as error:
            raise ValueError(f"{folder / name}: no such file, though {folder / figures.CAPTIONS} names it") from error
        copied.append({"address": address, **caption})
    return copied
