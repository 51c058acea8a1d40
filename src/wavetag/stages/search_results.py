"""search_results: tables and figures of the searches, and what their choices are worth on the test clips."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from wavetag import files, params, search, tables
from wavetag.stages import say, stage

DECIMALS = 6
ON_VALIDATION = (
    "All scores in this table are of the validation clips, one training each: no search has seen a test clip."
)
TITLES = {
    "config": "config",
    "of": "chosen of its search",
    "settings": "settings",
    "valid_roc_auc": "validation ROC-AUC there (one seed)",
    "roc_auc": "test ROC-AUC, tagged (ours)",
    "average_precision": "average precision, tagged (ours)",
    "roc_auc_all": "ROC-AUC, all (ours)",
    "roc_auc_artist_disjoint": "ROC-AUC, artist-disjoint (ours)",
}


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with every cell as text: scores to three places, a dash where there is nothing."""

    def cell(value: Any) -> str:
        if pd.isna(value):
            return "–"
        if isinstance(value, bool):
            return "yes" if value else "no"
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    shown = frame.astype(object).map(cell)
    for column in ("valid_roc_auc", "valid_loss"):
        shown[column] = [_three_places(value) for value in frame[column]]
    return shown


def _three_places(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f}"


def outcome(
    chosen: Mapping[str, Mapping[str, Any]],
    scored: Mapping[str, Mapping[str, Any]],
    untuned: Mapping[str, Mapping[str, Any]],
    defaults: Mapping[str, Any],
) -> pd.DataFrame:
    """What each search chose with its test scores, and the pipeline's own networks below."""
    rows = []
    for name, about in chosen.items():
        own = {key: value for key, value in about["config"].items() if value != defaults[key]}
        shown = [f"{key}: {value:.3g}" if isinstance(value, float) else f"{key}: {value}" for key, value in own.items()]
        row = {"config": about["name"], "of": about["of"], "settings": ", ".join(shown) or "–"}
        row["valid_roc_auc"] = about["valid_roc_auc"]
        rows.append(row | tables.score_columns(scored[name]))
    rows += [{"config": name, "of": "not searched for", **tables.score_columns(of)} for name, of in untuned.items()]
    return pd.DataFrame(rows)


@stage
def main() -> None:
    """Write the tables and draw the figures, anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, required=True, help="folder of the suite")
    parser.add_argument("--trials", type=Path, required=True, help="folder with the trainings of the searches")
    parser.add_argument("--study", type=Path, required=True, help="folder with the trials of the study's workers")
    parser.add_argument("--chosen", type=Path, required=True, help="folder with the chosen configs")
    parser.add_argument("--metrics", type=Path, required=True, help="folder with the scores and what `choose` listed")
    parser.add_argument("--untuned", type=Path, nargs="+", required=True, help="scores to compare with")
    parser.add_argument("--reports", type=Path, required=True, help="folder for the figures, written anew")
    parser.add_argument("--tables", type=Path, required=True, help="folder for the tables, written anew")
    arguments = parser.parse_args()
    settings = params.load_suite(arguments.suite, params.load())
    plan = search.read_study(arguments.suite / "params.yaml", settings)

    from wavetag import figures, search_figures, study

    dataset, defaults = settings["dataset"]["name"], settings["defaults"]
    attempts = search.read_attempts(arguments.trials, settings)
    by_search = {name: [one for one in attempts if one["search"] == name] for name in search.SEARCHES}
    trials = study.read(arguments.study, plan)
    chosen = {name: files.read_json(arguments.chosen / f"{name}.json") for name in search.CHOSEN}
    shares = files.read_json(arguments.metrics / "importance.json")
    scored = {name: files.read_json(arguments.metrics / f"{about['name']}.json") for name, about in chosen.items()}
    untuned = {path.stem: files.read_json(path) for path in arguments.untuned}
    default = (defaults["learning_rate"], defaults["momentum"])
    random, winner = min(plan.startup_trials, plan.trials), int(chosen[search.STUDY]["of"].removeprefix("trial "))
    drawings = {
        "grid.png": search_figures.grid(by_search["grid"], chosen["grid"]["of"], default, dataset),
        "batch.png": search_figures.batches(by_search["batch"], chosen["batch"]["of"], dataset),
        "epochs.png": search_figures.stopping(by_search["epochs"], dataset),
        "study.png": search_figures.study(trials, random, winner, dataset),
        "importance.png": search_figures.importance(shares, len(trials), dataset),
    }
    results = outcome(chosen, scored, untuned, defaults)
    of_dataset = f"{figures.of_dataset(dataset)}."

    with files.folder_written_whole(arguments.tables) as folder:
        files.write_table(folder / "chosen.csv", results, decimals=DECIMALS)
        above = (
            f"What each search chose on the validation clips, trained from {len(defaults['seeds'])} seeds and scored on"
            f" the test clips, once; below, the pipeline's own. {of_dataset}"
        )
        shown = results.assign(valid_roc_auc=[_three_places(value) for value in results["valid_roc_auc"]])
        text = tables.markdown("What the searches chose", above, tables.readable(shown, TITLES))
        files.write_text(folder / "chosen.md", text)
        for name, title in (("trials", "Searches, training by training"), ("study", "The study, trial by trial")):
            listed = readable(pd.read_csv(arguments.metrics / f"{name}.csv"))
            files.write_text(folder / f"{name}.md", tables.markdown(title, f"{ON_VALIDATION} {of_dataset}", listed))
        importances = pd.DataFrame({"setting": list(shares), "share": [f"{share:.3f}" for share in shares.values()]})
        above = f"Share of the variance of the validation ROC-AUC, by fANOVA from {len(trials)} trials. {of_dataset}"
        files.write_text(folder / "importance.md", tables.markdown("Importance of each setting", above, importances))

    with files.folder_written_whole(arguments.reports) as folder:
        figures.save_all(drawings, folder)
    say(f"search_results: {', '.join(drawings)} in {arguments.reports}; tables in {arguments.tables}")


if __name__ == "__main__":
    raise SystemExit(main())
