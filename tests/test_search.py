"""Searches: scored without the test clips, gone on with after a stop, and honest about what diverged."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from PIL import Image

from wavetag import figures, files, params, scaling, search, search_figures, splits, study, training
from wavetag.stages import choose as choose_stage
from wavetag.stages import search_results

ROOT = Path(__file__).resolve().parents[1]
SUITE = ROOT / "suites" / "search"
DEFAULTS = yaml.safe_load((ROOT / "params.yaml").read_text())["defaults"] | {
    "filters": 8,
    "batch_size": 20,
    "epochs": 2,
    "precision": "float32",
    "seeds": [0],
}
SETTINGS = {"prepare": {"clip_seconds": 2.0, "windows": 2, "sample_rates": [12_000]}, "defaults": DEFAULTS}
SECTION = {
    "trials": 6,
    "epochs": 4,
    "seed": 3,
    "workers": [0],
    "startup_trials": 2,
    "pruner": {"startup_trials": 2, "warmup_epochs": 1},
    "config": {},
    "space": {
        "length/stride": {"choices": ["512/256", "256/256"]},
        "batch_norm": {"choices": [True, False]},
        "learning_rate": {"low": 0.001, "high": 1.0, "log": True},
        "hidden": {"low": 10, "high": 50, "step": 10},
    },
}
PLAN = search.Plan(**{**SECTION, "workers": (0,)})


def attempt(prepared, config, split=None, array=None, **arguments):
    split = prepared.split if split is None else split
    train = prepared.split.only(splits.TRAIN).clips
    statistics = scaling.statistics(prepared.array, train["row"], train["windows"], prepared.window_samples)
    array = prepared.array if array is None else array
    return search.attempt({**DEFAULTS, **config}, SETTINGS, array, split, statistics, **arguments)


def without_test(split):
    return split.where((split.clips["split"] != splits.TEST).to_numpy())


def without_seconds(found):
    return {key: value for key, value in found.items() if key != "seconds"}


# One training of a search.


def test_an_attempt_is_scored_as_the_training_that_it_is(tiny_prepared):
    found = attempt(tiny_prepared, {"select": "loss"}, without_test(tiny_prepared.split))
    rows = found["history"]
    kept = min(rows, key=lambda row: row["valid_loss"])
    assert found["kept_epoch"] == kept["epoch"]
    assert found["valid_roc_auc"] == kept["valid_roc_auc"]
    assert found["updates"] == 2 * 3, "48 clips, 20 in a batch, two epochs"
    assert not found["diverged"]


def test_an_attempt_refuses_test_clips(tiny_prepared):
    with pytest.raises(ValueError, match="given test clips"):
        attempt(tiny_prepared, {}, tiny_prepared.split)


@pytest.mark.parametrize("part", [splits.TRAIN, splits.VALID, splits.TEST])
def test_the_result_depends_on_train_and_valid_and_on_no_test_row(tiny_prepared, tmp_path, part):
    """The split's file is spoiled in the rows of one part, and the clips that these rows are of are noise."""
    before, after = tmp_path / "before.tsv", tmp_path / "after.tsv"
    splits.write(before, tiny_prepared.split)
    spoiled = (tiny_prepared.split.clips["split"] == part).to_numpy()
    labels = tiny_prepared.split.labels.copy()
    labels[spoiled] = 1 - labels[spoiled]
    splits.write(after, replace(tiny_prepared.split, labels=labels))
    noise = np.array(tiny_prepared.array)
    rows = tiny_prepared.split.clips["row"].to_numpy()[spoiled]
    noise[rows] = np.random.default_rng(0).integers(-20_000, 20_000, noise[rows].shape)
    read = [splits.read(path, only=[splits.TRAIN, splits.VALID]) for path in (before, after)]
    found = [attempt(tiny_prepared, {}, split, array) for split, array in zip(read, (None, noise), strict=True)]
    same = without_seconds(found[0]) == without_seconds(found[1])
    assert same == (part == splits.TEST)


def test_what_diverges_is_a_result(tiny_prepared):
    found = attempt(tiny_prepared, {"learning_rate": 1e30, "momentum": 0.99}, without_test(tiny_prepared.split))
    assert found["diverged"]
    assert (found["valid_roc_auc"], found["kept_epoch"], found["epochs"]) == (None, None, 0)
    json.dumps(found, allow_nan=False)


def test_a_stopped_training_did_not_diverge(tiny_prepared, monkeypatch):
    """Without a better epoch for `patience` epochs it ends; so it does here, as nothing is learned at this rate."""
    monkeypatch.setattr(training, "BEGUN", 0.0)  # else patience would not begin
    config = {"learning_rate": 1e-12, "epochs": 6, "patience": 2}
    found = attempt(tiny_prepared, config, without_test(tiny_prepared.split))
    assert found["epochs"] < 6
    assert not found["diverged"]


# Which one is chosen.


def trained(name, roc_auc, loss=0.2, epochs=10, diverged=False):
    return {"name": name, "valid_roc_auc": roc_auc, "valid_loss": loss, "epochs": epochs, "diverged": diverged}


@pytest.mark.parametrize(
    "others",
    [
        [trained("worse", 0.7)],
        [trained("diverged later", 0.9, diverged=True)],
        [trained("diverged at once", None, None, 0, diverged=True)],
        [trained("same score, higher loss", 0.8, 0.3)],
        [trained("same scores, trained longer", 0.8, epochs=20)],
    ],
)
def test_the_best_is_chosen_and_a_tie_is_decided(others):
    assert search.best([*others, trained("best", 0.8)], "grid")["name"] == "best"


def test_of_equals_the_first_is_chosen():
    assert search.best([trained("first", 0.8), trained("second", 0.8)], "grid")["name"] == "first"


def test_where_all_diverged_nothing_is_chosen():
    with pytest.raises(ValueError, match="search grid: every one of 2 trainings diverged"):
        search.best([trained("a", None, None, 0, True), trained("b", 0.5, 1.0, 3, True)], "search grid")


# The section `study`.


def written(tmp_path, change):
    section = json.loads(json.dumps(SECTION))
    change(section)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"experiments": {}, "study": section}))
    return path


def read(path):
    return search.read_study(path, SETTINGS, ROOT / search.SCHEMA, ROOT / params.SCHEMA)


def test_a_study_is_read(tmp_path):
    assert read(written(tmp_path, lambda section: None)) == PLAN


def test_a_range_of_filters_of_which_all_can_be_pooled_is_read(tmp_path):
    def pooled(section):
        section["config"] |= {"feature_pool": "max", "feature_pool_size": 4}
        section["space"]["filters"] = {"low": 16, "high": 64, "step": 8}

    assert read(written(tmp_path, pooled)).space["filters"]["step"] == 8


def test_settings_that_are_drawn_together_are_set_one_by_one():
    drawn = {"length/stride": "512/256", "batch_norm": True, "learning_rate": 0.01}
    config = PLAN.config_of(drawn, DEFAULTS)
    assert (config["length"], config["stride"], config["batch_norm"]) == (512, 256, True)
    assert (config["epochs"], config["seeds"], config["select"]) == (4, [3], "roc_auc")
    assert config.keys() == DEFAULTS.keys()


def space(**drawn):
    return lambda section: section["space"].update({key.replace("__", "/"): value for key, value in drawn.items()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda section: section.update(trails=3), "study.(top level): unknown key 'trails'"),
        (lambda section: section.pop("seed"), "'seed' is missing"),
        (lambda section: section.update(trials=1), "study.trials: 1 is not allowed; at least 2 is"),
        (lambda section: section.update(workers=[1, 2]), "study.workers: [1, 2] is not allowed; they are numbered"),
        (lambda section: section["config"].update(optimiser="adam"), "study.config: (top level): unknown key 'opt"),
        (lambda section: section["config"].update(epochs=3), "study.config: epochs is not a space's to set"),
        (
            lambda section: section["config"].update(init_from="models/base"),
            "study.config: init_from is not a space's to set: the networks of a search begin at random",
        ),
        (lambda section: section["config"].update(hidden=3), "study.space.hidden: hidden is set elsewhere"),
        (space(momentum={"low": 0.9, "high": 1.0}), "study.space.momentum: momentum: 1.0 is not allowed; less than 1"),
        (space(momentum={"low": 0.9, "high": 0.8}), "low 0.9 and high 0.8 are not allowed; low is less than high"),
        (space(momentum={"low": 0.0, "high": 0.8, "log": True}), "low 0.0 has no logarithm"),
        (space(momentum={"low": 0.1, "high": 0.8, "log": True, "step": 0.1}), "log and step do not go together"),
        (space(momentum={"choices": [0.5], "low": 0.1}), "study.space.momentum: unknown key 'low'"),
        (space(momentum={"low": 0.5}), "study.space.momentum: 'high' is missing"),
        (space(frontend={"choices": ["mel", "mfcc"]}), "study.space.frontend: frontend: 'mfcc' is not allowed"),
        (space(bands__filters={"choices": ["64"]}), "study.space.bands/filters: '64' is not allowed; 2 values with /"),
        (space(bands__filters={"low": 1, "high": 2}), "study.space.bands/filters: low 1 and high 2 are not allowed"),
        (lambda section: section.update(startup_trials=7), "study.startup_trials: 7 is not allowed; at most trials, 6"),
        (
            lambda section: section["pruner"].update(startup_trials=7),
            "study.pruner.startup_trials: 7 is not allowed; at most trials, 6, is",
        ),
        (
            lambda section: section["pruner"].update(warmup_epochs=4),
            "study.pruner.warmup_epochs: 4 is not allowed; less than epochs, 4, is",
        ),
        (space(window={"choices": [0.5, 3.0]}), "study.space.window: 3.0 s is longer than a clip, which is 2.0 s"),
        (lambda section: section["config"].update(window=3.0), "study.config.window: 3.0 s is longer than a clip"),
        (
            space(frontend={"choices": ["mel", "raw"]}, network={"choices": ["musicnn"]}, bands={"choices": [96]}),
            "study.space: network musicnn takes 96 channels, as of frontend log_mel with bands 96; frontend raw",
        ),
        (
            space(feature_pool={"choices": ["none", "l2"]}),
            "study.space.feature_pool_size: 1 is not allowed with feature_pool l2; at least 2 is",
        ),
        (
            lambda section: (
                section["config"].update(feature_pool="max", feature_pool_size=4),
                section["space"].update(filters={"low": 16, "high": 64}),
            ),
            "study.config.feature_pool_size: 17 filters are no multiple of 4",
        ),
        (
            space(conv_layers={"choices": [2, 3]}),
            "length 512 with stride 256 needs windows of 16640 samples or more, for 64 frames (conv_layers 3)",
        ),
    ],
)
def test_a_wrong_study_is_refused_before_anything_runs(tmp_path, change, message):
    with pytest.raises(params.ParamsError, match=re.escape(message)):
        read(written(tmp_path, change))


def test_a_suite_without_a_study_is_told_so(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("experiments: {}\n")
    with pytest.raises(params.ParamsError, match="there is no section study"):
        read(path)


@pytest.mark.parametrize(
    ("experiments", "message"),
    [
        ({"grid_a": {}, "batch_1": {}}, "search epochs has none"),
        ({"grid_a": {}, "batch_1": {}, "epochs_1": {}, "width_2": {}}, "experiments.width_2: the first word"),
        ({"grid_a": {}, "batch_1": {}, "epochs_1": {"seeds": [0, 1]}}, "experiments.epochs_1: seeds [0, 1]"),
        ({"grid_a": {"tune": [0.1]}, "batch_1": {}, "epochs_1": {}}, "experiments.grid_a: tune is not a search's"),
        (
            {"grid_a": {"init_from": "models/base"}, "batch_1": {}, "epochs_1": {}},
            "experiments.grid_a: init_from is not a search's to set: the networks of a search begin at random",
        ),
    ],
)
def test_experiments_that_are_no_searchs_are_refused(experiments, message):
    with pytest.raises(params.ParamsError, match=re.escape(message)):
        search.check({**SETTINGS, "experiments": experiments}, "params.yaml")


# The study.


def pretend(drawn, report):
    """A training whose score follows from what was drawn: best at a learning rate of 0.03 with batch norm."""
    distance = abs(np.log10(drawn["learning_rate"]) - np.log10(0.03))
    peak = 0.9 - 0.1 * distance - 0.05 * (not drawn["batch_norm"])
    if drawn["learning_rate"] > 0.5:
        return dict.fromkeys(("valid_roc_auc", "valid_loss", "kept_epoch")) | {"epochs": 0, "diverged": True}
    for epoch in range(1, PLAN.epochs + 1):
        roc_auc = peak - 0.2 / epoch
        report({"epoch": epoch, "valid_roc_auc": roc_auc, "valid_loss": 1 - roc_auc})
    found = {"valid_roc_auc": roc_auc, "valid_loss": 1 - roc_auc, "kept_epoch": epoch}
    return found | {"epochs": PLAN.epochs, "diverged": False}


def comparable(trials):
    return [without_seconds(one) for one in trials]


def test_the_same_seed_gives_the_same_trials(tmp_path):
    plan = replace(PLAN, trials=15)
    one, other = (study.work(plan, 0, tmp_path / name, pretend) for name in ("one", "other"))
    assert comparable(one) == comparable(other)
    assert [trial["trial"] for trial in one] == list(range(15))
    assert len({trial["params"]["learning_rate"] for trial in one}) == 15, "no trial is drawn twice"


def test_another_seed_gives_other_trials(tmp_path):
    one, other = (study.work(replace(PLAN, seed=seed), 0, tmp_path / str(seed), pretend) for seed in (0, 1))
    assert comparable(one) != comparable(other)


@pytest.mark.parametrize("after", [1, 5, 9])
def test_a_stopped_study_goes_on_as_if_it_had_never_been_stopped(tmp_path, after):
    """Stopped while drawn at random, and while drawn by what was found."""
    plan = replace(PLAN, trials=12, startup_trials=4)
    begun = iter(range(100))

    def stopped(drawn, report):
        if next(begun) == after:
            report({"epoch": 1, "valid_roc_auc": 0.5, "valid_loss": 0.5})
            raise KeyboardInterrupt
        return pretend(drawn, report)

    with pytest.raises(KeyboardInterrupt):
        study.work(plan, 0, tmp_path / "a", stopped)
    assert comparable(study.work(plan, 0, tmp_path / "a", pretend)) == comparable(
        study.work(plan, 0, tmp_path / "b", pretend)
    )


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
import test_search
from wavetag import study
def attempt(drawn, report):
    if {folder!r} and len(list(Path({folder!r}).glob("done_*"))) == 3:
        report(dict(epoch=1, valid_roc_auc=0.5, valid_loss=0.5))
        os.kill(os.getpid(), signal.SIGKILL)
    Path({folder!r}, "done_" + str(drawn["learning_rate"])).touch()
    return test_search.pretend(drawn, report)
study.work(test_search.PLAN, 0, {folder!r}, attempt)
"""


def test_a_killed_worker_goes_on(tmp_path):
    """Killed (-9) within its fourth trial, after which half a line stands in the file, as a full disk leaves it."""
    script = KILLED.format(tests=str(ROOT / "tests"), folder=str(tmp_path / "study"))
    (tmp_path / "study").mkdir()
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert killed.returncode == -signal.SIGKILL
    with (tmp_path / "study" / study.JOURNAL).open("a") as journal:
        journal.write('{"op_code":')
    trials = study.work(PLAN, 0, tmp_path / "study", pretend)
    assert comparable(trials) == comparable(study.work(PLAN, 0, tmp_path / "other", pretend))


def test_several_workers_share_one_study(tmp_path):
    """The second begins while the first is in its third trial."""
    plan, others = replace(PLAN, trials=9, workers=(0, 1)), []
    begun = iter(range(100))

    def first(drawn, report):
        if next(begun) == 2:
            others.extend(study.work(replace(plan, trials=7), 1, tmp_path, pretend))
        return pretend(drawn, report)

    own = study.work(plan, 0, tmp_path, first)
    assert [one["trial"] for one in own] == [0, 1, 2, 7, 8]
    assert [one["trial"] for one in others] == [3, 4, 5, 6]
    merged = study.merged([own, others], 9)
    assert [one["trial"] for one in merged] == list(range(9))
    assert {one["worker"] for one in merged} == {0, 1}


def test_more_trials_are_added_to_a_finished_study(tmp_path):
    few = study.work(PLAN, 0, tmp_path, pretend)
    called = []
    more = study.work(replace(PLAN, trials=8), 0, tmp_path, lambda *given: called.append(1) or pretend(*given))
    assert comparable(more[:6]) == comparable(few)
    assert len(called) == 2
    assert comparable(study.merged([more], 6)) == comparable(few)


@pytest.mark.parametrize(
    "change",
    [{"space": {"momentum": {"low": 0.1, "high": 0.9}}}, {"seed": 4}, {"epochs": 5}, {"workers": (0, 1)}],
    ids=str,
)
def test_a_changed_study_is_another_one(change):
    assert study.fingerprint(replace(PLAN, **change), "data") != study.fingerprint(PLAN, "data")
    assert study.fingerprint(PLAN, "other data") != study.fingerprint(PLAN, "data")
    assert study.fingerprint(replace(PLAN, trials=99), "data") == study.fingerprint(PLAN, "data")


def test_hopeless_trials_are_pruned_after_the_warmup_and_divergence_is_told(tmp_path):
    plan = replace(PLAN, trials=25, startup_trials=25)
    trials = study.work(plan, 0, tmp_path, pretend)
    by_state = {state: [one for one in trials if one["state"] == state] for state in search_figures.STATES}
    assert all(by_state.values()), "some of each"
    assert min(one["epochs"] for one in by_state["pruned"]) > plan.pruner["warmup_epochs"]
    assert all(one["epochs"] == plan.epochs for one in by_state["complete"])
    assert all(one["params"]["learning_rate"] > 0.5 for one in by_state["diverged"])
    best = max(one["valid_roc_auc"] for one in by_state["pruned"])
    assert best < max(one["valid_roc_auc"] for one in by_state["complete"])
    for one in by_state["pruned"]:  # by Optuna's rule, worked out anew
        earlier = [other for other in by_state["complete"] if other["trial"] < one["trial"]]
        median = np.median([other["roc_auc_by_epoch"][one["epochs"] - 1] for other in earlier])
        assert max(one["roc_auc_by_epoch"]) < median


def test_workers_of_different_studies_are_told_apart(tmp_path):
    trials = study.work(PLAN, 0, tmp_path, pretend)
    with pytest.raises(ValueError, match="trial 2 twice"):
        study.merged([trials, trials[2:3]], 6)
    with pytest.raises(ValueError, match="trial 5 not at all"):
        study.merged([trials[:5]], 6)


def test_what_makes_the_difference_is_important(tmp_path):
    plan = replace(PLAN, trials=40, startup_trials=40)
    trials = study.work(plan, 0, tmp_path, pretend)
    shares = study.importances(plan, trials)
    assert next(iter(shares)) == "learning_rate"
    assert shares["learning_rate"] > 0.5
    assert shares["hidden"] < 0.1, "it changes nothing"
    assert sum(shares.values()) == pytest.approx(1)
    assert shares == study.importances(plan, trials)


def test_where_all_trials_are_equal_nothing_is_important(tmp_path):
    trials = [{**one, "valid_roc_auc": 0.7} for one in study.work(PLAN, 0, tmp_path, pretend)]
    assert study.importances(PLAN, trials) == {}


def test_a_study_trains_for_real(tiny_prepared, tmp_path):
    """Every trial's scores are those of the same config trained alone."""
    plan = replace(PLAN, trials=3, epochs=2, startup_trials=3)

    def train(drawn, report):
        config = plan.config_of(drawn, DEFAULTS)
        return attempt(tiny_prepared, config, without_test(tiny_prepared.split), report=lambda row, left: report(row))

    for one in study.work(plan, 0, tmp_path, train):
        alone = attempt(tiny_prepared, plan.config_of(one["params"], DEFAULTS), without_test(tiny_prepared.split))
        assert one["state"] == "complete"
        assert one["valid_roc_auc"] == alone["valid_roc_auc"]
        assert one["roc_auc_by_epoch"] == [row["valid_roc_auc"] for row in alone["history"]]


def test_optuna_reads_the_file_that_a_study_is_kept_in(tmp_path):
    """With its own tools, as a user would."""
    trials = study.work(PLAN, 0, tmp_path, pretend)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / study.JOURNAL))
    loaded = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))
    assert loaded.best_value == max(one["valid_roc_auc"] for one in trials if one["state"] == "complete")


# Figures and tables.


def planted(name, roc_auc, epochs=4, diverged=False, **config):
    epochs = 0 if roc_auc is None else epochs
    history = [
        {
            "epoch": epoch,
            **dict.fromkeys(("train_loss", "valid_loss"), 1 / epoch),
            **dict.fromkeys(("train_roc_auc", "valid_roc_auc"), (roc_auc or 0) - 0.1 / epoch),
        }
        for epoch in range(1, epochs + 1)
    ]
    found = {"valid_roc_auc": roc_auc, "valid_loss": roc_auc and 1 - roc_auc, "kept_epoch": epochs or None}
    cost = {"epochs": epochs, "updates": 57 * epochs, "seconds": 0.3 * epochs, "diverged": diverged}
    about = {"name": name, "search": search.search_of(name), "config": {**DEFAULTS, **config}}
    return {**about, **found, **cost, "history": history}


def cells(figure):
    return {text.get_text() for axis in figure.axes for text in axis.texts}


def test_the_heat_map_shows_every_pair_and_what_diverged():
    attempts = [
        planted("grid_a", 0.711, learning_rate=0.01, momentum=0.9),
        planted("grid_b", 0.822, learning_rate=0.05, momentum=0.9),
        planted("grid_c", 0.533, learning_rate=0.01, momentum=0.99),
        planted("grid_d", None, learning_rate=0.05, momentum=0.99, diverged=True),
    ]
    drawing = search_figures.grid(attempts, "grid_b", (0.05, 0.94), "minitune")
    assert cells(drawing.figure) == {".711", ".822", ".533", "diverged"}
    assert "learning rate 0.05 with momentum 0.9 (.822)" in drawing.caption
    assert "1 of 4 diverged" in drawing.caption


def test_batch_sizes_stand_in_their_order_with_their_cost():
    sizes = (80, 5, 20)
    attempts = [planted(f"batch_{size}", 0.5 + size / 1000, batch_size=size) for size in sizes]
    drawing = search_figures.batches(attempts, "batch_80", "minitune")
    scores, updates, seconds = drawing.figure.axes
    assert [label.get_text() for label in scores.get_xticklabels()] == ["5", "20", "80"]
    assert cells(drawing.figure) == {".505", ".520", ".580"}
    assert [bar.get_height() for bar in updates.patches] == [228] * 3
    assert [bar.get_height() for bar in seconds.patches] == pytest.approx([1.2] * 3)


def test_a_training_that_was_stopped_is_marked_where_it_was():
    attempts = [planted("epochs_30", 0.8, 30), planted("epochs_30_stopped", 0.8, 9)]
    for one in attempts:
        one["config"]["epochs"] = 30
    drawing = search_figures.stopping(attempts, "minitune")
    assert [sorted({text.get_text() for text in axis.texts}) for axis in drawing.figure.axes] == [
        [],
        [],
        ["stopped"],
        ["stopped"],
    ]
    assert "epochs_30_stopped trained 9 epochs" in drawing.caption


def test_figures_of_a_study_hold_all_its_trials(tmp_path):
    trials = study.work(replace(PLAN, trials=25, startup_trials=25), 0, tmp_path, pretend)
    chosen = search.best([{**one, "diverged": one["state"] != "complete"} for one in trials], "the study")["trial"]
    axis = search_figures.study(trials, 10, chosen, "minitune").figure.axes[0]
    shown = sum(len(points.get_offsets()) for points in axis.collections)
    assert shown + sum(text.get_text() == "×" for text in axis.texts) == 25
    shares = {"hidden": 0.1, "learning_rate": 0.9}
    drawing = search_figures.importance(shares, 25, "minitune")
    assert [label.get_text() for label in drawing.figure.axes[0].get_yticklabels()] == ["learning_rate", "hidden"]
    assert "Most of all learning_rate (90%)" in drawing.caption


# The suite as it stands in the repository.


@pytest.fixture
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_suite_searches_what_the_report_names(in_root):
    settings = params.load_suite(SUITE, params.load())
    search.check(settings, SUITE / "params.yaml")
    configs = {name: params.config(settings, name) for name in settings["experiments"]}
    of = {
        name: [config for key, config in configs.items() if search.search_of(key) == name] for name in search.SEARCHES
    }
    pairs = {(config["learning_rate"], config["momentum"]) for config in of["grid"]}
    rates, momenta = ({pair[axis] for pair in pairs} for axis in (0, 1))
    assert len(pairs) == len(of["grid"]) == len(rates) * len(momenta)
    assert (min(rates), max(rates), min(momenta), max(momenta)) == (0.01, 0.2, 0.9, 0.99)
    assert (0.05, 0.94) in pairs, "the report's own"
    assert len({config["batch_size"] for config in of["batch"]}) == 5
    assert [(config["epochs"], bool(config["patience"])) for config in of["epochs"]] == [(30, False), (30, True)]
    plan = search.read_study(SUITE / "params.yaml", settings)
    assert plan.space["frontend/bands"] == {"choices": ["linear/128", "mel/64", "mel/96", "mel/128"]}
    assert len(plan.workers) > 1


def run_stage(monkeypatch, main, **arguments):
    words = [f"--{key}={value}" for key, value in arguments.items() if not isinstance(value, list)]
    lists = [word for key, value in arguments.items() if isinstance(value, list) for word in (f"--{key}", *value)]
    monkeypatch.setattr(sys, "argv", ["stage", *map(str, words), *map(str, lists)])
    assert main() == 0


def test_what_was_tried_becomes_choices_tables_and_figures(tmp_path, monkeypatch):
    """From planted trainings of every experiment in the suite and planted trials, through both stages."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "workflow").symlink_to(ROOT / "workflow")
    (tmp_path / "suites").mkdir()
    shutil.copytree(SUITE, tmp_path / "suites/search", ignore=lambda folder, names: set(names) - {"params.yaml"})
    monkeypatch.chdir(tmp_path)
    settings = params.load_suite("suites/search", params.load())
    plan = search.read_study("suites/search/params.yaml", settings)
    for place, name in enumerate(settings["experiments"]):
        config = params.config(settings, name)
        lost = config["learning_rate"] == 0.2 and config["momentum"] == 0.99
        one = planted(name, None if lost else 0.6 + place / 1000, config["epochs"], lost)
        files.write_json(f"trials/{name}.json", {**one, "config": config})
    trials = study.work(plan, 0, "study_file", pretend)
    files.write_json("study/worker_0.json", trials)
    files.write_json("study/worker_1.json", [])

    places = {"suite": "suites/search", "trials": "trials", "study": "study", "chosen": "chosen", "metrics": "metrics"}
    run_stage(monkeypatch, choose_stage.main, **places)
    chosen = {name: files.read_json(f"chosen/{name}.json") for name in search.CHOSEN}
    listed = pd.read_csv("metrics/trials.csv").set_index("name")
    assert list(listed.index) == list(settings["experiments"])
    for name in search.SEARCHES:
        of_search = listed[(listed["search"] == name) & ~listed["diverged"]]
        assert (
            list(of_search.index[of_search["chosen"]]) == [chosen[name]["of"]] == [of_search["valid_roc_auc"].idxmax()]
        )
        own = params.config(settings, chosen[name]["of"])
        assert chosen[name]["config"] == {**own, "seeds": settings["defaults"]["seeds"]}
    by_trial = pd.read_csv("metrics/study.csv")
    assert len(by_trial) == plan.trials
    complete = by_trial[by_trial["state"] == "complete"].set_index("trial")["valid_roc_auc"]
    assert chosen["spectrogram"]["of"] == f"trial {complete.idxmax()}"
    trained = {key: chosen["spectrogram"]["config"][key] for key in ("epochs", "patience", "seeds")}
    assert trained == {key: settings["defaults"][key] for key in trained}, "it is trained as the others are"
    assert files.read_json("metrics/importance.json").keys() == plan.space.keys()

    scores = {"views": {}}
    for score in ("roc_auc", "average_precision"):
        scores |= {score: 0.7, f"{score}_sd": 0.01, f"{score}_ci": [0.6, 0.8]}
    for name in (*(f"chosen_{name}" for name in search.CHOSEN), "base"):
        files.write_json(f"metrics/{name}.json", scores)
    places |= {"untuned": ["metrics/base.json"], "reports": "reports", "tables": "tables"}
    run_stage(monkeypatch, search_results.main, **places)
    captions = files.read_json("reports/captions.json")
    assert (
        captions.keys()
        == {path.name for path in Path("reports").glob("*.png")}
        == {"grid.png", "batch.png", "epochs.png", "study.png", "importance.png"}
    )
    for name in captions:
        with Image.open(f"reports/{name}") as image:
            assert image.width == figures.WIDTH * figures.DPI
    text = Path("tables/chosen.md").read_text()
    assert all(f"chosen_{name}" in text for name in search.CHOSEN)
    assert "not searched for" in text
    before = {path: path.read_bytes() for path in Path("reports").iterdir()}
    run_stage(monkeypatch, search_results.main, **places)
    assert {path: path.read_bytes() for path in Path("reports").iterdir()} == before
