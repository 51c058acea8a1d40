"""Tables: our scores with their spread, the published numbers beside them, and the differences between configs.

Ours are of the dataset that stands in the heading. The published ones are MagnaTagATune's.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from wavetag import params, published, scoring, splits
from wavetag.evaluations import Evaluation

OTHER_VIEWS = {"all": splits.ALL, "artist_disjoint": splits.ARTIST_DISJOINT}  # end of a column's name -> test view
SCORES = ("roc_auc", "average_precision", *(f"roc_auc_{view}" for view in OTHER_VIEWS))
SCORE_COLUMNS = tuple(f"{score}{end}" for score in SCORES for end in ("", "_sd", "_ci_low", "_ci_high"))
NETWORK_COLUMNS = ("frontend", "length", "stride", "batch_norm", "dropout")
BASELINES = {
    "loudness": "linear model on loudness",
    "mel_statistics": "linear model on the mel spectrum's mean and sd",
    "ceiling": "ceiling: the generator's own P(tag | clip)",
}
# Batch norm x dropout, neither, each and both, for these front ends.
FACTORIAL = {
    "raw": {"neither": "base", "batch_norm": "raw_bn", "dropout": "raw_dropout", "both": "raw_bn_dropout"},
    "linear": {
        "neither": "linear",
        "batch_norm": "linear_bn",
        "dropout": "linear_dropout",
        "both": "linear_bn_dropout",
    },
}


def score_columns(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of one row, from what evaluation wrote: of the tagged test clips, then of the other views."""
    row = _score(metrics, "roc_auc") | _score(metrics, "average_precision")
    for end, view in OTHER_VIEWS.items():
        if view in metrics["views"]:
            row |= _score(metrics["views"][view], "roc_auc", f"_{end}")
    return row


def _score(metrics: Mapping[str, Any], name: str, end: str = "") -> dict[str, Any]:
    values = (metrics[name], metrics[f"{name}_sd"], *metrics[f"{name}_ci"])
    return {f"{name}{end}{what}": value for what, value in zip(("", "_sd", "_ci_low", "_ci_high"), values, strict=True)}


def table(
    names: Sequence[str],
    settings: Mapping[str, Any],
    evaluations: Mapping[str, Evaluation],
    published_rows: Mapping[str, published.Published],
    others: Mapping[str, Mapping[str, Any]],
) -> pd.DataFrame:
    """One row a config, then one for each other model that was scored on the same test clips.

    Args:
        names: of the configs, in order.
        settings: as in params.yaml.
        evaluations: of every config in ``names``.
        published_rows: name -> published numbers.
        others: name -> metrics, of linear models and the ceiling.
    """
    rows = []
    for name in names:
        config = params.config(settings, name)
        metrics = evaluations[name].metrics
        rows.append(
            {
                "config": name,
                **{key: config[key] for key in NETWORK_COLUMNS},
                **score_columns(metrics),
                "parameters": metrics["parameters"],
                **published_rows.get(name, published.Published())._asdict(),
            }
        )
    rows += [{"config": BASELINES.get(name, name), **score_columns(metrics)} for name, metrics in others.items()]
    columns = ["config", *NETWORK_COLUMNS, *SCORE_COLUMNS, "parameters", *published.Published._fields]
    frame = pd.DataFrame(rows, columns=columns)
    for column in ("length", "stride", "parameters"):
        frame[column] = frame[column].astype("Int64")
    return frame


def waiting(name: str, config: Mapping[str, Any], command: str) -> dict[str, Any]:
    """The row of a config that has not been run: it says by which command it would be."""
    row = {"config": f"{name} (not run yet: {command})", **{key: config[key] for key in NETWORK_COLUMNS}}
    return row | published.REGULARISATION.get(name, published.Published())._asdict()


def comparisons(
    pairs: Iterable[tuple[str, str]],
    evaluations: Mapping[str, Evaluation],
    truth: np.ndarray,
    artists: np.ndarray,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Paired differences, and batch norm x dropout with its interaction, artists resampled.

    An interaction is both - batch norm - dropout + neither: above zero the two give more together than apart
    ("synergistic" is the report's word). An effect of one is the mean over the other's two levels.

    Columns: ``low`` and ``high``, the 95 % interval for these trained networks (the choice of clips); ``sd``, its
    standard error; ``sd_seeds``, the standard error that is due to the choice of seeds; ``shown``, whether it
    is more than 1.96 times both together, as it must be to speak of the configs and not of these networks.
    """
    terms = {f"{one} - {other}": {one: 1, other: -1} for one, other in pairs}
    for frontend, cells in FACTORIAL.items():
        if set(cells.values()) <= set(evaluations):
            neither, norm, dropout, both = (cells[key] for key in ("neither", "batch_norm", "dropout", "both"))
            terms[f"{frontend}: batch norm"] = {norm: 0.5, neither: -0.5, both: 0.5, dropout: -0.5}
            terms[f"{frontend}: dropout"] = {dropout: 0.5, neither: -0.5, both: 0.5, norm: -0.5}
            terms[f"{frontend}: interaction"] = {both: 1, norm: -1, dropout: -1, neither: 1}
    predictions = {name: evaluation.predictions for name, evaluation in evaluations.items()}
    results = scoring.contrasts(truth, predictions, terms, artists, resamples, seed)
    variances = {name: scoring.variance_over_seeds(truth, of_seeds) for name, of_seeds in predictions.items()}
    rows = []
    for label, result in results.items():
        of_seeds = sum(factor**2 * variances[name] for name, factor in terms[label].items()) ** 0.5
        spread = 1.96 * (result["sd"] ** 2 + of_seeds**2) ** 0.5
        rows.append({"contrast": label, **result, "sd_seeds": of_seeds, "shown": abs(result["difference"]) > spread})
    return pd.DataFrame(rows, columns=["contrast", "difference", "low", "high", "sd", "sd_seeds", "shown"])


def comparisons_by_view(
    pairs: Iterable[tuple[str, str]],
    evaluations: Mapping[str, Evaluation],
    test: splits.Split,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """``comparisons`` on each view of the test clips that has a clip, with a column ``view``.

    Args:
        test: the test clips, all of them; evaluations are of the same.
    """
    pairs, parts = list(pairs), []
    for view in splits.VIEWS:
        seen = test.view(view)
        if seen.any():
            part = test.where(seen)
            of_view = {name: evaluation.where(seen) for name, evaluation in evaluations.items()}
            artists = part.clips["artist"].to_numpy()
            compared = comparisons(pairs, of_view, part.labels, artists, resamples, seed)
            compared.insert(0, "view", view)
            parts.append(compared)
    return pd.concat(parts, ignore_index=True)


def readable_comparisons(frame: pd.DataFrame) -> pd.DataFrame:
    """``comparisons_by_view`` for reading: a row a contrast, three columns a view."""
    shown = {"difference of mean ROC-AUC (ours)": list(dict.fromkeys(frame["contrast"]))}
    for view, rows in frame.groupby("view", sort=False):
        records = rows.to_dict("records")
        shown[f"{view} [95 %, artists resampled]"] = [
            "–" if pd.isna(row["difference"]) else f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
            for row in records
        ]
        shown[f"{view}: standard error by seeds"] = [_figure(row["sd_seeds"]) for row in records]
        shown[f"{view}: beyond both chances"] = [
            "–" if pd.isna(row["difference"]) else _plain(row["shown"]) for row in records
        ]
    return pd.DataFrame(shown)


def undefined_tags(test: splits.Split) -> dict[str, list[str]]:
    """View -> the tags that every clip of it has, or none: they have no ROC-AUC and are left out of its mean."""
    undefined = {}
    for view in splits.VIEWS:
        labels = test.labels[test.view(view)]
        same = labels.all(axis=0) | ~labels.any(axis=0)
        undefined[view] = [tag for tag, constant in zip(test.tags, same, strict=True) if constant]
    return undefined


def heading(settings: Mapping[str, Any], clips: Mapping[str, int], test: splits.Split, seeds: int) -> str:
    """What every table says above its rows.

    Args:
        settings: as in params.yaml.
        clips: how many train and validate.
        test: the test clips, all of them.
        seeds: how many networks a config has.
    """
    views = {name: int(test.view(name).sum()) for name in splits.VIEWS}
    undefined = {name: missing for name, missing in undefined_tags(test).items() if missing and views[name]}
    dataset, vocabulary = settings["dataset"]["name"], settings["split"]["vocabulary"]
    tags = vocabulary if isinstance(vocabulary, str) else f"{len(vocabulary)} listed tags"
    lines = [
        f"Ours: mean over the defined tags of {tags} on the test clips of {dataset}"
        f" ({clips['train']} clips to train, {clips['valid']} to validate),"
        f" mean of {seeds} seeds ± their standard deviation, [95 % bootstrap interval, artists resampled].",
        f"Test views: tagged, the {views[splits.TAGGED]} test clips with at least one of these tags (meant where no"
        f" view is named); all, the {views[splits.ALL]} there are; artist-disjoint, the {views[splits.ARTIST_DISJOINT]}"
        " of all whose artist is in neither train nor validation.",
    ]
    if undefined:
        without = "; ".join(
            f"{name} without {', '.join(missing)} ({len(test.tags) - len(missing)} of {len(test.tags)} tags are left)"
            for name, missing in undefined.items()
        )
        lines.append(f"A tag that every clip of a view has, or none, has no score there: {without}.")
    if dataset == "minitune":
        lines.append(
            "minitune is generated music. Its numbers are not MagnaTagATune's: the columns headed 'published' are, and"
            " can be compared with ours in their order only."
        )
    return "\n".join(lines)


def _figure(value: Any, decimals: int = 3) -> str:
    """A score as papers print it: without the zero before the point."""
    if pd.isna(value):
        return "–"
    text = f"{value:.{decimals}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def score(row: Mapping[str, Any], name: str) -> str:
    """A score with its spread, as in ``.781 ± .004 [.760, .801]``."""
    if pd.isna(row.get(name)):
        return "–"
    spread = "" if pd.isna(row[f"{name}_sd"]) else f" ± {_figure(row[f'{name}_sd'])}"
    interval = f" [{_figure(row[f'{name}_ci_low'])}, {_figure(row[f'{name}_ci_high'])}]"
    return _figure(row[name]) + spread + interval


def readable(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """A table for reading: the columns asked for, a score and its spread in one cell, a dash where nothing is known."""
    shown = {}
    for column, title in columns.items():
        if column in SCORES:
            shown[title] = [score(row, column) for row in frame.to_dict("records")]
        elif column in frame:
            shown[title] = ["–" if pd.isna(value) else _plain(value) for value in frame[column]]
    return pd.DataFrame(shown)


def _plain(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


TITLES = {
    "table1": {
        "config": "config",
        "length": "length",
        "stride": "stride",
        "roc_auc": "ROC-AUC, tagged (ours)",
        "average_precision": "average precision, tagged (ours)",
        "roc_auc_all": "ROC-AUC, all (ours)",
        "roc_auc_artist_disjoint": "ROC-AUC, artist-disjoint (ours)",
        "report": "report (published)",
        "paper": "paper, raw (published)",
        "paper_mel": "paper, mel (published)",
        "replication": "another replication (published)",
    },
    "table2": {
        "config": "config",
        "frontend": "front end",
        "batch_norm": "batch norm",
        "dropout": "dropout",
        "roc_auc": "ROC-AUC, tagged (ours)",
        "average_precision": "average precision, tagged (ours)",
        "roc_auc_all": "ROC-AUC, all (ours)",
        "roc_auc_artist_disjoint": "ROC-AUC, artist-disjoint (ours)",
        "report": "report (published)",
        "paper": "paper (published)",
    },
}


def markdown(title: str, above: str, frame: pd.DataFrame, below: str = "") -> str:
    """A Markdown page: a title, a paragraph, a table aligned for reading as plain text too, and a paragraph."""
    frame = frame.map(lambda cell: cell.replace("|", "\\|"))  # a bare bar would end the cell
    widths = [max(len(str(column)), *(len(cell) for cell in frame[column]), 3) for column in frame]
    line = lambda cells: "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)) + " |"  # noqa: E731
    rows = [
        line(frame.columns),
        line(["-" * width for width in widths]),
        *(line(row) for row in frame.to_numpy()),
    ]
    return "\n".join([f"## {title}", "", above, "", *rows, *(["", below] if below else []), ""])
