"""Tables: our scores with their spread, the published numbers beside them, and the differences between configs.

Ours are of the dataset that stands in the heading. The published ones are MagnaTagATune's.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from wavetag import params, published, scoring, splits
from wavetag.evaluations import Evaluation
from wavetag.findings import MAIN, difference, figure, is_generated, scored_configs, vocabulary
from wavetag.settings import flow

OTHER_VIEWS = {"all": splits.ALL, "artist_disjoint": splits.ARTIST_DISJOINT}  # end of a column's name -> test view
SCORES = ("roc_auc", "average_precision", *(f"roc_auc_{view}" for view in OTHER_VIEWS))
SCORE_COLUMNS = tuple(f"{score}{end}" for score in SCORES for end in ("", "_sd", "_ci_low", "_ci_high"))
NETWORK_COLUMNS = ("frontend", "length", "stride", "batch_norm", "dropout")
COMPARED = (
    *("contrast", "difference", "low", "high", "low_alone", "high_alone", "sd", "sd_seeds"),
    *("seeds_known", "converged", "shown"),
)
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
    marks: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """One row a config, then one for each other model that was scored on the same test clips.

    Args:
        names: of the configs, in order.
        settings: as in params.yaml.
        evaluations: of every config in ``names``.
        published_rows: name -> published numbers.
        others: name -> metrics, of linear models and the ceiling.
        marks: name -> word, as ``within_noise_of_best`` gives them.
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
                "within_noise": (marks or {}).get(name),
                **published_rows.get(name, published.Published())._asdict(),
            }
        )
    rows += [{"config": BASELINES.get(name, name), **score_columns(metrics)} for name, metrics in others.items()]
    columns = ["config", *NETWORK_COLUMNS, *SCORE_COLUMNS, "parameters", "within_noise", *published.Published._fields]
    frame = pd.DataFrame(rows, columns=columns)
    for column in ("length", "stride", "parameters"):
        frame[column] = frame[column].astype("Int64")
    return frame


def waiting(name: str, config: Mapping[str, Any], command: str) -> dict[str, Any]:
    """The row of a config that has not been run: it says by which command it would be."""
    row = {"config": f"{name} (not run yet: {command})", **{key: config[key] for key in NETWORK_COLUMNS}}
    return row | published.REGULARISATION.get(name, published.Published())._asdict()


def shared_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What every config of a suite has in place of the pipeline's defaults.

    What a search chose is of no entry of the settings: nothing is said of it.
    """
    defaults = _defaults(settings)
    first, *rest = [defaults | settings["experiments"].get(name, {}) for name in scored_configs(settings)]
    in_all = {key: value for key, value in first.items() if all(_same(value, entry.get(key)) for entry in rest)}
    return _differing(in_all, defaults)


def own_settings(settings: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """In what a config differs from the defaults and, in a suite, from what its configs begin with, as text."""
    usual = _defaults(settings) | (settings.get("common") or {}) | shared_settings(settings)
    return settings_text(_differing(config, usual)) or "–"


def _defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {"split": MAIN} | settings["defaults"]


def _differing(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not _same(value, usual.get(key))}


def settings_text(values: Mapping[str, Any]) -> str:
    """Settings on a line, as params.yaml writes them."""
    return ", ".join(f"{key}: {flow(value)}" for key, value in values.items())


def _same(one: Any, other: Any) -> bool:
    """Whether two values of a setting are one: ``True`` is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def suite_table(
    suite: str,
    settings: Mapping[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
    evaluations: Mapping[str, Evaluation],
    marks: Mapping[str, str],
) -> pd.DataFrame:
    """One row for each config of a suite that is scored.

    Args:
        suite: its name.
        settings: of the suite, as ``params.load_suite`` gives them.
        configs: name -> settings of the config, in order, with every default filled in.
        evaluations: of every config.
        marks: name -> word, as ``within_noise_of_best`` gives them.
    """
    rows = []
    for name, config in configs.items():
        metrics = evaluations[name].metrics
        rows.append(
            {
                "config": name,
                "differs": own_settings(settings, config),
                "parameters": metrics["parameters"],
                **score_columns(metrics),
                "clip_roc_auc": metrics["clip_roc_auc"],
                "clip_roc_auc_sd": metrics["clip_roc_auc_sd"],
                "epochs_run": _by_seed(metrics["epochs_run"]),
                "chosen_epochs": _by_seed(metrics["chosen_epochs"]),
                "seeds": metrics["seeds"],
                "converged": "converged" if metrics["converged"] else "not converged",
                "within_noise": marks[name],
                "published": str(published.of(suite, name) or "") or None,
            }
        )
    columns = ["config", "differs", "parameters", *SCORE_COLUMNS, "clip_roc_auc", "clip_roc_auc_sd"]
    columns += ["epochs_run", "chosen_epochs", "seeds", "converged", "within_noise", "published"]
    return pd.DataFrame(rows, columns=columns)


def _by_seed(values: Sequence[int]) -> str:
    """Each seed's number, once if it is the same for all."""
    return str(values[0]) if len(set(values)) == 1 else ", ".join(map(str, values))


def suite_heading(settings: Mapping[str, Any], split: Mapping[str, splits.Split], suite: str) -> str:
    """What stands above a suite's table.

    Args:
        settings: of the suite.
        split: name -> all clips of the split, for each that its configs are trained on.
        suite: its name.
    """
    dataset = settings["dataset"]["name"]
    lines = [
        f"Suite {suite} on {dataset}: mean over the defined tags and over seeds ± the seeds' standard deviation, [95 %"
        " bootstrap interval, artists resampled]; with 3 seeds or fewer the standard deviation is indicative.",
    ]
    shared = shared_settings(settings)
    most = _differing(settings.get("common") or {}, _defaults(settings) | shared)
    begins = [settings_text(shared)] if shared else []
    begins += [f"where its row does not say otherwise, {settings_text(most)}"] if most else []
    if begins:
        lines.append(f"Every config begins with the pipeline's defaults and, in their place, {'; '.join(begins)}.")
    for name, clips in split.items():
        words, test = vocabulary(settings, name), clips.only(splits.TEST)
        counts = {view: int(test.view(view).sum()) for view in splits.VIEWS}
        lines.append(
            f"Split {name}: {words if isinstance(words, str) else f'{len(words)} listed tags'}"
            f" ({len(clips.only(splits.TRAIN))} clips to train, {len(clips.only(splits.VALID))} to validate);"
            f" test views: tagged {counts[splits.TAGGED]} clips (meant where no view is named), all"
            f" {counts[splits.ALL]}, artist-disjoint {counts[splits.ARTIST_DISJOINT]}."
        )
    return "\n".join([*lines, NOISE, *_of_generated(dataset)])


def comparisons(
    pairs: Iterable[tuple[str, str]],
    evaluations: Mapping[str, Evaluation],
    truth: np.ndarray,
    artists: np.ndarray,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Paired differences, and batch norm x dropout with its interaction; artists and seeds resampled together.

    An interaction is both - batch norm - dropout + neither: above zero the two give more together than apart
    ("synergistic" is the report's word). An effect of one is the mean over the other's two levels.

    Columns: ``low`` and ``high``, the 95 % interval, simultaneous over all rows; ``low_alone`` and ``high_alone``, that
    of each row by itself; ``sd``, the standard error that is due to the choice of artists, and ``sd_seeds``, to that of
    seeds; ``seeds_known``, whether every config has two seeds or more (else the row is about these trained networks);
    ``converged``, whether every config has; ``shown``, whether the simultaneous interval excludes zero.
    """
    terms = {f"{one} - {other}": {one: 1, other: -1} for one, other in pairs}
    for frontend, cells in FACTORIAL.items():
        if set(cells.values()) <= set(evaluations):
            neither, norm, dropout, both = (cells[key] for key in ("neither", "batch_norm", "dropout", "both"))
            terms[f"{frontend}: batch norm"] = {norm: 0.5, neither: -0.5, both: 0.5, dropout: -0.5}
            terms[f"{frontend}: dropout"] = {dropout: 0.5, neither: -0.5, both: 0.5, norm: -0.5}
            terms[f"{frontend}: interaction"] = {both: 1, norm: -1, dropout: -1, neither: 1}
    if not terms:
        return pd.DataFrame(columns=list(COMPARED))
    needed = {name for factors in terms.values() for name in factors}
    predictions = {name: evaluations[name].predictions for name in evaluations if name in needed}
    compared = scoring.compare(truth, predictions, terms, artists, resamples, seed)
    rows = []
    for label, result in compared.items():
        row = {
            "contrast": label,
            "difference": result["difference"],
            "low": result["low_all"],
            "high": result["high_all"],
            "low_alone": result["low"],
            "high_alone": result["high"],
            "sd": result["se_artists"],
            "sd_seeds": result["se_seeds"],
            "seeds_known": all(len(predictions[name]) > 1 for name in terms[label]),
            "converged": all(evaluations[name].metrics["converged"] for name in terms[label]),
            "shown": excludes_zero(result["low_all"], result["high_all"]),
        }
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COMPARED))


def excludes_zero(low: float, high: float) -> bool:
    """Whether an interval lies on one side of zero; one that is not known does not."""
    return bool(low > 0 or high < 0)


def within_noise_of_best(
    names: Sequence[str], evaluations: Mapping[str, Evaluation], test: splits.Split, resamples: int, seed: int
) -> dict[str, str]:
    """Which configs cannot be told from the best one, on the tagged test clips: name -> a word.

    Each is compared with the best of those that have converged; the intervals hold for all of them at once. The words
    are ``best``, ``yes`` (its interval with the best reaches zero), ``no``, and ``not converged``, of which nothing is
    said.

    Args:
        names: of configs with the same tags.
        evaluations: of them, on all test clips.
        test: the test clips, all of them.
        resamples, seed: as in ``scoring.compare``.
    """
    words = {name: "not converged" for name in names if not evaluations[name].metrics["converged"]}
    rest = [name for name in names if name not in words]
    if rest:
        best = max(rest, key=lambda name: _or_lowest(evaluations[name].metrics["roc_auc"]))
        words[best] = "best"
        terms = {name: {best: 1, name: -1} for name in rest if name != best}
        tagged = test.view(splits.TAGGED)
        predictions = {name: evaluations[name].where(tagged).predictions for name in rest}
        part = test.where(tagged)
        artists = part.clips["artist"].to_numpy()
        compared = scoring.compare(part.labels, predictions, terms, artists, resamples, seed) if terms else {}
        for name, result in compared.items():
            words[name] = "no" if excludes_zero(result["low_all"], result["high_all"]) else "yes"
    return {name: words[name] for name in names}


def _or_lowest(score: float | None) -> float:
    return -math.inf if score is None else score


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
    """``comparisons_by_view`` for reading: a row a contrast, two columns a view."""
    shown = {"difference of mean ROC-AUC (ours)": list(dict.fromkeys(frame["contrast"]))}
    for view, rows in frame.groupby("view", sort=False):
        records = rows.to_dict("records")
        shown[f"{view} [95 %, simultaneous]"] = [
            "–" if pd.isna(row["difference"]) else difference(row["difference"], row["low"], row["high"])
            for row in records
        ]
        shown[f"{view}: beyond chance"] = [_beyond(row) for row in records]
    return pd.DataFrame(shown)


def _beyond(row: Mapping[str, Any]) -> str:
    """Whether a difference is shown, in a word or two."""
    if pd.isna(row["difference"]):
        return "–"
    if not row["converged"]:
        return "not converged"
    return _plain(row["shown"]) + ("" if row["seeds_known"] else ", these networks")


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
    return "\n".join([*lines, *_of_generated(dataset)])


def _of_generated(dataset: str) -> list[str]:
    if not is_generated(dataset):
        return []
    return [
        "minitune is generated music. Its numbers are not MagnaTagATune's: the columns headed 'published' are, and can"
        " be compared with ours in their order only."
    ]


def score(row: Mapping[str, Any], name: str) -> str:
    """A score with its spread, as in ``.781 ± .004 [.760, .801]``."""
    if pd.isna(row.get(name)):
        return "–"
    spread = "" if pd.isna(row[f"{name}_sd"]) else f" ± {figure(row[f'{name}_sd'])}"
    if pd.isna(row.get(f"{name}_ci_low")):
        return figure(row[name]) + spread
    interval = f" [{figure(row[f'{name}_ci_low'])}, {figure(row[f'{name}_ci_high'])}]"
    return figure(row[name]) + spread + interval


def readable(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """A table for reading: the columns asked for, a score and its spread in one cell, a dash where nothing is known."""
    shown = {}
    for column, title in columns.items():
        if column in (*SCORES, "clip_roc_auc"):
            shown[title] = [score(row, column) for row in frame.to_dict("records")]
        elif column == "parameters":
            shown[title] = ["–" if pd.isna(value) else f"{value:,}" for value in frame[column]]
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
        "within_noise": "within noise of the best",
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
        "within_noise": "within noise of the best",
        "report": "report (published)",
        "paper": "paper (published)",
    },
    "suite": {
        "config": "config",
        "differs": "differs in",
        "parameters": "parameters",
        "roc_auc": "ROC-AUC, tagged (ours)",
        "average_precision": "average precision, tagged (ours)",
        "clip_roc_auc": "ROC-AUC of a clip's tags (ours)",
        "roc_auc_all": "ROC-AUC, all (ours)",
        "roc_auc_artist_disjoint": "ROC-AUC, artist-disjoint (ours)",
        "epochs_run": "epochs run",
        "chosen_epochs": "epoch chosen",
        "seeds": "seeds",
        "converged": "converged",
        "within_noise": "within noise of the best",
        "published": "published, MagnaTagATune",
    },
}
COMPARISONS = (
    "Intervals: 95 %, simultaneous over all rows of a test view; artists and seeds resampled together. Beyond chance:"
    " whether the interval excludes zero; with a config of one seed that is about these trained networks alone. Of a"
    " config that has not converged there are numbers and no verdict."
)
NOISE = (
    "Within noise of the best: whether the 95 % interval of the difference to the best config of the table that has"
    " converged reaches zero (tagged test clips; artists and seeds resampled; simultaneous over the table). Of a config"
    " that has not converged it is not said."
)


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
