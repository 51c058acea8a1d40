"""choose: the best training of each search, by its validation score."""

import argparse
from pathlib import Path

from wavetag import files, params, search
from wavetag.stages import say, stage

DECIMALS = 6


@stage
def main() -> None:
    """List what was tried, and write a config for each search to be trained from every seed and tested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", type=Path, required=True, help="folder of the suite")
    parser.add_argument("--trials", type=Path, required=True, help="folder with the trainings of the searches")
    parser.add_argument("--study", type=Path, required=True, help="folder with the trials of the study's workers")
    parser.add_argument("--chosen", type=Path, required=True, help="folder for the chosen configs, to write")
    parser.add_argument("--metrics", type=Path, required=True, help="folder for trials.csv, study.csv, importance.json")
    arguments = parser.parse_args()
    settings = params.load_suite(arguments.suite, params.load())
    path = arguments.suite / "params.yaml"
    search.check(settings, path)
    plan = search.read_study(path, settings)

    from wavetag import study

    attempts = search.read_attempts(arguments.trials, settings)
    chosen = {}
    for name in search.SEARCHES:
        best = search.best([one for one in attempts if one["search"] == name], f"search {name}")
        chosen[name] = (best["name"], best, best["config"])
    trials = study.read(arguments.study, plan)
    complete = [{**one, "diverged": False} for one in trials if one["state"] == study.COMPLETE]
    best = search.best(complete, "the study")
    defaults = settings["defaults"]
    config = {**plan.config_of(best["params"], defaults), "epochs": defaults["epochs"]}  # trained as long as others are
    chosen[search.STUDY] = (f"trial {best['trial']}", best, config)
    importances = study.importances(plan, trials)

    for name, (of, best, config) in chosen.items():
        about = {"name": f"chosen_{name}", "search": name, "of": of, "valid_roc_auc": best["valid_roc_auc"]}
        files.write_json(arguments.chosen / f"{name}.json", {**about, "config": {**config, "seeds": defaults["seeds"]}})
        say(f"choose: {name}: {of}, ROC-AUC {best['valid_roc_auc']:.4f} on the validation clips")
    of = {name for name, _, _ in chosen.values()}
    listed = search.listed(attempts, of)
    files.write_table(arguments.metrics / "trials.csv", listed, decimals=DECIMALS)
    files.write_table(arguments.metrics / "study.csv", study.listed(trials, of), decimals=DECIMALS)
    files.write_json(arguments.metrics / "importance.json", files.rounded(importances, DECIMALS))


if __name__ == "__main__":
    raise SystemExit(main())
