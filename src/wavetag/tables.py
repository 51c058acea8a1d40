"""Tables: our scores with their spread, the published numbers beside them, and the differences between configs.

Ours are of the dataset that stands in the heading. The published ones are MagnaTagATune's.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from wavetag import params, published, scoring
from wavetag.evaluations import Evaluation

SCORE_COLUMNS = (
    "roc_auc",
    "roc_auc_sd",
    "roc_auc_ci_low",
    "roc_auc_ci_high",
    "average_precision",
    "average_precision_sd",
    "average_precision_ci_low",
    "average_precision_ci_high",
)
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
    """The scores of one row, from what evaluation wrote."""
    row = {}
    for score in ("roc_auc", "average_precision"):
        row |= {score: metrics[score], f"{score}_sd": metrics[f"{score}_sd"]}
        row[f"{score}_ci_low"], row[f"{score}_ci_high"] = metrics[f"{score}_ci"]
    return row


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
    frame = pd.DataFrame(rows)
    for column in ("length", "stride", "parameters"):
        frame[column] = frame[column].astype("Int64")
    return frame


def waiting(name: str, config: Mapping[str, Any], command: str) -> dict[str, Any]:
    """The row of a config that has not been run: it says by which command it would be."""
    row = {"config": f"{name} (not run yet: {command})", **{key: config[key] for key in NETWORK_COLUMNS}}
    return row | published.REGULARISATION.get(name, published.Published())._asdict()


def contrast(
    coefficients: Mapping[str, float],
    evaluations: Mapping[str, Evaluation],
    weights: np.ndarray,
    truth: np.ndarray,
) -> dict[str, float]:
    """A weighted sum of several configs' mean ROC-AUC, with a 95 % bootstrap interval: all on the same resamples.

    Args:
        coefficients: config -> factor, such as {"raw_bn": 1, "base": -1} for a difference.
        evaluations: of these configs.
        weights: [resamples, clips], as ``scoring.bootstrap_weights`` gives.
        truth: [clips, tags].
    """
    estimate, resampled = 0.0, np.zeros(len(weights))
    for name, factor in coefficients.items():
        for predictions in evaluations[name].predictions:
            share = factor / len(evaluations[name].predictions)
            estimate += share * float(scoring.macro_mean(scoring.roc_auc(truth, predictions)))
            resampled += share * scoring.macro_mean(scoring.roc_auc(truth, predictions, weights))
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {
        "difference": estimate,
        "low": float(low),
        "high": float(high),
        "sd": float(resampled.std(ddof=1)),
    }


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
    ("synergistic" is the replication's word).
    """
    weights = scoring.bootstrap_weights(artists, resamples, seed)
    contrasts = {f"{one} - {other}": {one: 1, other: -1} for one, other in pairs}
    for frontend, cells in FACTORIAL.items():
        if not set(cells.values()) <= set(evaluations):
            continue
        neither, norm, dropout, both = cells["neither"], cells["batch_norm"], cells["dropout"], cells["both"]
        half = 0.5
        contrasts[f"{frontend}: batch norm"] = {norm: half, neither: -half, both: half, dropout: -half}
        contrasts[f"{frontend}: dropout"] = {dropout: half, neither: -half, both: half, norm: -half}
        contrasts[f"{frontend}: interaction"] = {both: 1, norm: -1, dropout: -1, neither: 1}
    rows = [
        {"contrast": label, **contrast(coefficients, evaluations, weights, truth)}
        for label, coefficients in contrasts.items()
    ]
    frame = pd.DataFrame(rows, columns=["contrast", "difference", "low", "high", "sd"])
    frame["shown"] = (frame["low"] > 0) | (frame["high"] < 0)
    return frame


def heading(settings: Mapping[str, Any], clips: Mapping[str, int], seeds: int) -> str:
    """What every table says above its rows."""
    dataset = settings["dataset"]["name"]
    lines = [
        f"Ours: mean over the defined tags of {settings['split']['vocabulary']}, test clips of {dataset}"
        f" ({clips['train']} clips to train, {clips['valid']} to validate, {clips['test']} to test),"
        f" mean of {seeds} seeds ± their standard deviation, [95 % bootstrap interval, artists resampled]."
    ]
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
        if column in ("roc_auc", "average_precision"):
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
        "roc_auc": "ROC-AUC (ours)",
        "average_precision": "average precision (ours)",
        "report": "report (published)",
        "paper": "paper, raw (published)",
        "paper_mel": "paper, mel (published)",
        "replication": "replication (published)",
    },
    "table2": {
        "config": "config",
        "frontend": "front end",
        "batch_norm": "batch norm",
        "dropout": "dropout",
        "roc_auc": "ROC-AUC (ours)",
        "average_precision": "average precision (ours)",
        "report": "report (published)",
        "paper": "paper (published)",
    },
    "comparisons": {
        "contrast": "difference of mean ROC-AUC",
        "difference": "ours",
        "low": "95 % from",
        "high": "to",
        "shown": "interval excludes 0",
    },
}


def markdown(title: str, above: str, frame: pd.DataFrame, below: str = "") -> str:
    """A Markdown page: a title, a paragraph, a table aligned for reading as plain text too, and a paragraph."""
    widths = [max(len(str(column)), *(len(cell) for cell in frame[column]), 3) for column in frame]
    line = lambda cells: "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)) + " |"  # noqa: E731
    rows = [
        line(frame.columns),
        line(["-" * width for width in widths]),
        *(line(row) for row in frame.to_numpy()),
    ]
    return "\n".join([f"## {title}", "", above, "", *rows, *(["", below] if below else []), ""])
