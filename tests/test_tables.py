"""Tables: ours with spread, theirs beside, and differences with their sign."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wavetag import params, published, scoring, splits, tables
from wavetag.evaluations import Evaluation
from wavetag.stages import aggregate

REPOSITORY = Path(__file__).resolve().parents[1]
DEFAULTS = {"frontend": "raw", "length": 256, "stride": 256, "batch_norm": False, "dropout": 0.0, "seeds": [0, 1, 2]}
EXPERIMENTS = {
    "raw_1024_512": {"length": 1024, "stride": 512},
    "base": {},
    "raw_bn": {"batch_norm": True},
    "linear": {"frontend": "linear", "dropout": 0.5},
}
SETTINGS = {
    "dataset": {"name": "minitune"},
    "split": {"vocabulary": "merged50"},
    "defaults": DEFAULTS,
    "experiments": EXPERIMENTS,
}
OTHERS = {"loudness": 0.55, "ceiling": 0.95, "something new": 0.6}


def metrics_of(roc_auc, **more):
    return {
        "roc_auc": roc_auc,
        "roc_auc_sd": 0.004,
        "roc_auc_ci": [roc_auc - 0.02, roc_auc + 0.03],
        "average_precision": roc_auc / 2,
        "average_precision_sd": None,
        "average_precision_ci": [roc_auc / 2 - 0.05, roc_auc / 2 + 0.05],
        "views": {},
        **more,
    }


EVALUATED = {
    name: Evaluation(None, metrics_of(0.7 + number / 100, parameters=55_422 + number))
    for number, name in enumerate(EXPERIMENTS)
}


def make(names=("raw_1024_512", "base"), others=OTHERS, rows=published.RAW):
    return tables.table(names, SETTINGS, EVALUATED, rows, {name: metrics_of(value) for name, value in others.items()})


def test_a_row_a_config_in_the_order_asked_for_then_the_other_models():
    frame = make(("base", "raw_1024_512"))
    assert frame["config"].tolist()[:2] == ["base", "raw_1024_512"]
    assert "loudness" in frame["config"][2]
    assert "P(tag | clip)" in frame["config"][3]
    assert frame["config"][4] == "something new"
    assert frame["roc_auc"].tolist() == pytest.approx([0.71, 0.70, 0.55, 0.95, 0.6])
    assert frame.loc[0, ["roc_auc_ci_low", "roc_auc_ci_high"]].tolist() == pytest.approx([0.69, 0.74])
    assert frame.loc[1, ["length", "stride", "parameters"]].tolist() == [1024, 512, 55_422]


def test_published_numbers_stand_beside_the_configs_that_they_are_of():
    frame = make().set_index("config")
    assert frame.loc["base", ["report", "paper", "replication"]].tolist() == [".8285", ".8487", ".8267 ± .0027"]
    assert frame.loc["raw_1024_512", ["report", "paper", "replication"]].tolist() == [".8130", ".8365", ".8192"]
    assert frame.iloc[2:][["report", "paper", "replication"]].isna().all(axis=None)


def test_a_config_of_which_nothing_was_published_has_dashes():
    frame = make(("base", "raw_bn"), rows={"base": published.RAW["base"]})
    shown = tables.readable(frame, tables.TITLES["table1"])
    assert shown["report (published)"].tolist() == [".8285", "–", "–", "–", "–"]


def test_published_figures_are_those_of_the_paper_and_the_report():
    """Read off the two works' tables: the first and the last row of Table I, and Table II."""
    assert published.RAW["raw_1024_1024"] == (".8147", ".8366", ".8052")
    assert published.PAPER_MEL == {
        "raw_1024_1024": ".8690",
        "raw_1024_512": ".8726",
        "raw_512_512": ".8793",
        "raw_512_256": ".8793",
        "base": ".8815",
    }
    assert published.REGULARISATION["flat_bn_dropout"].report == ".86 ± .01"
    assert published.REGULARISATION["flat"].report == ".73 ± .01"


@pytest.mark.parametrize(("names", "others"), [((), OTHERS), ((), {}), (("base",), {})])
def test_a_table_may_lack_configs_or_other_models(names, others):
    frame = make(names, others)
    assert len(frame) == len(names) + len(others)
    shown = tables.readable(frame, tables.TITLES["table1"])
    assert list(shown.columns) == [title for column, title in tables.TITLES["table1"].items() if column != "paper_mel"]
    assert tables.markdown("Table", "above", shown)


def test_a_score_is_shown_with_its_spread_and_interval():
    row = {"roc_auc": 0.7814, "roc_auc_sd": 0.0042, "roc_auc_ci_low": 0.76, "roc_auc_ci_high": 1.0}
    assert tables.score(row, "roc_auc") == ".781 ± .004 [.760, 1.000]"
    assert tables.score(row | {"roc_auc_sd": None}, "roc_auc") == ".781 [.760, 1.000]"
    assert tables.score(row | {"roc_auc": float("nan")}, "roc_auc") == "–"
    assert tables.score({}, "roc_auc") == "–"


def test_a_table_for_reading_has_words_for_yes_and_no_and_dashes_for_nothing():
    shown = tables.readable(make(("raw_bn", "base")), tables.TITLES["table2"]).set_index("config")
    assert shown.loc["raw_bn", ["front end", "batch norm", "dropout"]].tolist() == ["raw", "yes", "0"]
    assert shown.loc["base", "batch norm"] == "no"
    assert shown.loc["something new", ["front end", "batch norm", "dropout"]].tolist() == ["–", "–", "–"]
    assert shown.loc["base", "ROC-AUC, tagged (ours)"] == ".710 ± .004 [.690, .740]"
    assert shown.loc["base", "average precision, tagged (ours)"] == ".355 [.305, .405]"


def test_a_config_that_was_not_run_waits_with_its_command_and_the_published_number():
    config = DEFAULTS | {"frontend": "flat"}
    waiting = pd.DataFrame([tables.waiting("flat", config, "snakemake --cores 4 flat")])
    frame = pd.concat([waiting, make(("base",), rows=published.REGULARISATION)], ignore_index=True)
    shown = tables.readable(frame, tables.TITLES["table2"])
    assert shown.loc[0, "config"] == "flat (not run yet: snakemake --cores 4 flat)"
    assert shown.loc[0, ["front end", "batch norm", "ROC-AUC, tagged (ours)"]].tolist() == ["flat", "no", "–"]
    assert shown.loc[0, "report (published)"] == ".73 ± .01"
    assert shown.loc[1, "ROC-AUC, tagged (ours)"].startswith(".71")


def test_each_view_of_the_test_clips_has_columns_of_its_own():
    views = {"all": metrics_of(0.6), "artist-disjoint": metrics_of(0.55)}
    evaluated = {"base": Evaluation(None, {**metrics_of(0.7, parameters=1), "views": views})}
    frame = tables.table(["base"], SETTINGS, evaluated, {}, {})
    assert frame.loc[0, ["roc_auc", "roc_auc_all", "roc_auc_artist_disjoint"]].tolist() == [0.7, 0.6, 0.55]
    shown = tables.readable(frame, tables.TITLES["table1"])
    assert shown.loc[0, "ROC-AUC, artist-disjoint (ours)"] == ".550 ± .004 [.530, .580]"


def test_a_view_without_a_clip_is_a_dash():
    shown = tables.readable(make(), tables.TITLES["table1"])
    assert set(shown["ROC-AUC, all (ours)"]) == {"–"}


def some_test_clips(labels, disjoint):
    """Test clips with these labels; which of them are of artists that are in neither train nor validation."""
    names = [f"artist {number}" for number in range(len(labels))]
    table = pd.DataFrame({"artist": names, "artist_disjoint": np.asarray(disjoint, dtype=int)})
    return splits.Split(table, tuple(f"tag {number}" for number in range(np.shape(labels)[1])), np.asarray(labels))


def test_the_heading_says_that_minitunes_numbers_are_not_magnatagatunes():
    clips, test = {"train": 900, "valid": 150}, some_test_clips([[1, 0], [0, 1], [0, 0]], [1, 1, 0])
    above = tables.heading(SETTINGS, clips, test, 3)
    assert "900 clips to train, 150 to validate" in above
    assert "tagged, the 2 test clips" in above
    assert "all, the 3 there are; artist-disjoint, the 2 of all" in above
    assert "mean of 3 seeds" in above
    assert "not MagnaTagATune's" in above
    assert "has no score" not in above
    real = tables.heading({**SETTINGS, "dataset": {"name": "magnatagatune"}}, clips, test, 3)
    assert "magnatagatune" in real
    assert "not MagnaTagATune's" not in real


def test_the_heading_names_the_tags_that_have_no_score_in_a_view():
    test = some_test_clips([[1, 0, 1], [0, 1, 1], [0, 0, 0]], [0, 1, 0])
    above = tables.heading(SETTINGS, {"train": 9, "valid": 1}, test, 3)
    assert "tagged without tag 2 (2 of 3 tags are left)" in above
    assert "artist-disjoint without tag 0, tag 1, tag 2 (0 of 3 tags are left)" in above
    assert "all without" not in above
    assert tables.undefined_tags(test)["all"] == []


def cells(line):
    """The cells of a Markdown row, as GitHub's Markdown reads it: a bar ends a cell unless a backslash is before it."""
    return [cell.strip().replace("\0", "|") for cell in line.strip()[1:-1].replace("\\|", "\0").split("|")]


def test_markdown_rows_all_have_the_cells_of_their_table():
    shown = tables.readable(make(), tables.TITLES["table1"])
    page = tables.markdown("Table I", "What stands above.", shown, "What stands below.")
    lines = page.splitlines()
    assert lines[:4] == ["## Table I", "", "What stands above.", ""]
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(shown)
    assert len({len(line) for line in rows}) == 1  # aligned for reading as plain text
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert set("".join(rows[1].split())) == {"|", "-"}
    read = [cells(row) for row in rows]
    assert read[0] == list(shown.columns)
    assert read[2:] == shown.to_numpy().tolist()
    assert page.endswith("What stands below.\n")


def test_a_csv_table_holds_the_same_numbers():
    frame = make()
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    np.testing.assert_allclose(again["roc_auc"], frame["roc_auc"])


# Planted differences


CLIPS, TAGS = 240, 12
ARTISTS = np.repeat([f"artist {number}" for number in range(60)], CLIPS // 60)
TRUTH = (np.random.default_rng(0).random((CLIPS, TAGS)) < 0.3).astype(np.uint8)


def scored(signal, seed=0, seeds=3, converged=True):
    """Predictions whose ROC-AUC rises with the signal; the noise is shared between configs of the same seed."""
    noise = np.random.default_rng(seed).normal(size=(seeds, CLIPS, TAGS))
    return Evaluation(signal * TRUTH + noise, {"converged": converged})


def roc_auc_of(evaluation):
    return np.mean([scoring.macro_mean(scoring.roc_auc(TRUTH, predictions)) for predictions in evaluation.predictions])


def compare(evaluated, pairs=()):
    return tables.comparisons(pairs, evaluated, TRUTH, ARTISTS, resamples=300, seed=0).set_index("contrast")


def test_a_planted_difference_has_its_sign_and_an_interval_that_excludes_none():
    evaluated = {"good": scored(1.2), "base": scored(0.6)}
    compared = compare(evaluated, [("good", "base"), ("base", "good")])
    row, mirrored = compared.loc["good - base"], compared.loc["base - good"]
    assert row["difference"] == pytest.approx(roc_auc_of(evaluated["good"]) - roc_auc_of(evaluated["base"]))
    assert 0 < row["low"] < row["difference"] < row["high"]
    assert row["seeds_known"] and row["converged"]
    assert row["shown"]
    assert mirrored["difference"] == pytest.approx(-row["difference"])
    assert mirrored["high"] < 0
    assert mirrored["shown"]


def test_differences_stand_for_each_view_of_the_test_clips():
    labels, disjoint = TRUTH.copy(), np.arange(CLIPS) % 3 == 0
    labels[:20] = 0
    clips = pd.DataFrame({"artist": ARTISTS, "artist_disjoint": disjoint.astype(int)})
    test = splits.Split(clips, tuple(f"tag {number}" for number in range(TAGS)), labels)
    evaluated, pairs = {"good": scored(1.2), "base": scored(0.6)}, iter([("good", "base")])
    frame = tables.comparisons_by_view(pairs, evaluated, test, resamples=100, seed=0)
    assert frame["view"].tolist() == list(splits.VIEWS)
    for view, row in frame.set_index("view").iterrows():
        seen = test.view(view)
        good, base = (
            np.mean([scoring.macro_mean(scoring.roc_auc(labels[seen], one[seen])) for one in evaluation.predictions])
            for evaluation in evaluated.values()
        )
        assert row["difference"] == pytest.approx(good - base)
    shown = tables.readable_comparisons(frame)
    assert shown["difference of mean ROC-AUC (ours)"].tolist() == ["good - base"]
    assert shown.shape[1] == 1 + 3 * 2
    assert shown.loc[0, "artist-disjoint [95 %, simultaneous]"].startswith("+.")
    assert shown.loc[0, "tagged: beyond chance"] == "yes"


def test_intervals_of_the_table_hold_for_all_its_rows_at_once():
    evaluated = {name: scored(0.6, seed=number) for number, name in enumerate(("base", "one", "two", "three"))}
    terms = {f"{name} - base": {name: 1, "base": -1} for name in ("one", "two", "three")}
    compared = compare(evaluated, [(name, "base") for name in ("one", "two", "three")])
    predictions = {name: evaluation.predictions for name, evaluation in evaluated.items()}
    expected = scoring.compare(TRUTH, predictions, terms, ARTISTS, resamples=300, seed=0)
    for label, row in compared.iterrows():
        assert (row["low"], row["high"]) == (expected[label]["low_all"], expected[label]["high_all"])
        assert row["low"] < row["low_alone"] < row["high_alone"] < row["high"]


@pytest.mark.parametrize(
    ("base", "word"), [({"seeds": 1}, "yes, these networks"), ({"converged": False}, "not converged"), ({}, "yes")]
)
def test_what_a_difference_is_about_stands_beside_it(base, word):
    frame = tables.comparisons(
        [("good", "base")], {"good": scored(1.5), "base": scored(0.3, **base)}, TRUTH, ARTISTS, resamples=100, seed=0
    )
    shown = tables.readable_comparisons(frame.assign(view="tagged"))
    assert shown.loc[0, "tagged: beyond chance"] == word


# Within noise of the best


def test_rows_that_cannot_be_told_from_the_best_are_marked():
    signals = {"worst": 0.2, "best": 1.5, "as good": 1.5}
    evaluated = {name: scored(signal, seed=number) for number, (name, signal) in enumerate(signals.items())}
    evaluated["unfinished"] = scored(3.0, seed=5, converged=False)
    for one in evaluated.values():
        one.metrics["roc_auc"] = roc_auc_of(one)
    clips = pd.DataFrame({"artist": ARTISTS, "artist_disjoint": 0})
    test = splits.Split(clips, tuple(f"tag {number}" for number in range(TAGS)), TRUTH)
    marks = tables.within_noise_of_best(list(evaluated), evaluated, test, resamples=200, seed=0)
    best, other = sorted(("best", "as good"), key=lambda name: -evaluated[name].metrics["roc_auc"])
    assert marks == {"worst": "no", best: "best", other: "yes", "unfinished": "not converged"}
    assert list(marks) == list(evaluated)
    assert tables.within_noise_of_best(["worst"], evaluated, test, resamples=200, seed=0) == {"worst": "best"}
    none = tables.within_noise_of_best(["unfinished"], evaluated, test, resamples=200, seed=0)
    assert none == {"unfinished": "not converged"}


def test_a_table_shows_which_rows_are_within_noise_of_the_best():
    frame = tables.table(["base", "raw_bn"], SETTINGS, EVALUATED, {}, {}, {"base": "yes", "raw_bn": "best"})
    shown = tables.readable(frame, tables.TITLES["table2"])
    assert shown["within noise of the best"].tolist() == ["yes", "best"]


# A suite's table


def test_a_suites_table_has_a_row_a_config_with_what_differs():
    settings = {
        **SETTINGS,
        "defaults": {**DEFAULTS, "epochs": 10, "tune": []},
        "common": {"length": 512},
        "experiments": {
            "raw_1024_1024": {"length": 512, "tune": [0.1, 0.01]},
            "raw_log_square": {"length": 512, "batch_norm": True, "epochs": 20},
            "plain": {"length": 512},
        },
    }
    more = {"clip_roc_auc": 0.8, "clip_roc_auc_sd": 0.01, "seeds": 3, "parameters": 55_422}
    metrics = {
        "raw_1024_1024": {"epochs_run": [10, 8, 9], "chosen_epochs": [10, 8, 9], "converged": False},
        "raw_log_square": {
            "parameters": 1_869_874,
            "epochs_run": [20, 20, 20],
            "chosen_epochs": [5, 6, 5],
            "converged": True,
        },
        "plain": {"epochs_run": [10, 10, 10], "chosen_epochs": [10, 10, 10], "converged": True},
    }
    evaluated = {name: Evaluation(None, metrics_of(0.7, **{**more, **own})) for name, own in metrics.items()}
    marks = {"raw_1024_1024": "not converged", "raw_log_square": "best", "plain": "yes"}
    configs = {name: {**settings["defaults"], **own} for name, own in settings["experiments"].items()}
    frame = tables.suite_table("paper", settings, configs, evaluated, marks)
    assert frame["differs"].tolist() == ["tune: [0.1, 0.01]", "batch_norm: true, epochs: 20", "–"]
    shown = tables.readable(frame, tables.TITLES["suite"])
    assert shown["epochs run"].tolist() == ["10, 8, 9", "20", "10"]
    assert shown["epoch chosen"].tolist() == ["10, 8, 9", "5, 6, 5", "10"]
    assert shown["parameters"].tolist() == ["55,422", "1,869,874", "55,422"]
    assert shown["converged"].tolist() == ["not converged", "converged", "converged"]
    assert shown["within noise of the best"].tolist() == list(marks.values())
    assert shown["published, MagnaTagATune"].tolist() == [".8366 (paper)", ".7508 (paper)", "–"]
    assert shown["ROC-AUC of a clip's tags (ours)"].tolist() == [".800 ± .010"] * 3
    assert list(shown.columns) == list(tables.TITLES["suite"].values())


def test_a_suites_heading_names_its_splits_what_all_configs_have_and_generated_music():
    settings = {
        **SETTINGS,
        "common": {"length": 512, "dropout": 0.5, "stride": 256, "seeds": [0]},
        "experiments": {
            "one": {"length": 512, "dropout": 0.5, "stride": 256, "seeds": [0], "frontend": "mel", "split": "main"},
            "another": {"length": 512, "dropout": 0.0, "stride": 256, "seeds": [0], "frontend": "mel"},
        },
        "splits": {"main": {}, "standard50": {"vocabulary": "standard50"}},
    }
    test = some_test_clips([[1, 0], [0, 1], [0, 0]], [1, 1, 0])
    test.clips["split"] = splits.TEST
    above = tables.suite_heading(settings, {"main": test, "standard50": test}, "open")
    begins = (
        "Every config begins with the pipeline's defaults and, in their place, frontend: mel, length: 512, seeds: [0]"
    )
    assert f"{begins}; where its row does not say otherwise, dropout: 0.5.\n" in above
    rows = {name: tables.own_settings(settings, settings["experiments"][name]) for name in settings["experiments"]}
    assert rows == {"one": "–", "another": "dropout: 0.0"}
    searched = {**settings, "common": None, "study": {}}
    assert "begins with" not in tables.suite_heading(searched, {"main": test}, "search")
    assert "Split standard50: standard50 (0 clips to train, 0 to validate); test views: tagged 2 clips" in above
    assert "Split main: merged50" in above
    assert "not MagnaTagATune's" in above


# Published numbers of the suites


def test_published_numbers_belong_to_a_suite_and_a_config():
    assert published.of("paper", "raw_1024_1024") == (".8366", "paper", None)
    assert str(published.of("open", "musicnn")) == ".9106, average precision .4493 (Won et al. 2020)"
    assert published.of("bridge", "step8_population").roc_auc == ".8487"
    assert published.of("flat", "flat").roc_auc == ".73 ± .01"
    for suite, name in (("open", "raw_1024_1024"), ("report", "base"), ("paper", "base")):
        assert published.of(suite, name) is None
    table1 = {name: published.of("paper", f"mel_{name}").roc_auc for name in ("1024_1024", "512_512", "256_256")}
    assert table1 == {"1024_1024": ".8690", "512_512": ".8793", "256_256": ".8815"}


def test_two_configs_of_the_reports_tables_have_numbers_of_the_same_source():
    assert published.of_pair("raw_bn", "base") == (".83 ± .01 (report)", ".83 ± .01 (report)")
    assert published.of_pair("mel", "base") == (None, None)
    assert published.of_pair("raw_bn", "raw_512_512") == (None, None)
    assert published.of_pair("raw_512_512", "base")[0] == ".8250 (report), .8386 (paper), .8127 (replication)"


# Batch norm and dropout, neither, each and both


def test_two_equal_configs_differ_by_nothing_that_can_be_shown():
    compared = compare({"one": scored(0.6, seed=1), "base": scored(0.6, seed=2)}, [("one", "base")])
    row = compared.loc["one - base"]
    assert row["low"] < 0 < row["high"]
    assert not row["shown"]


@pytest.mark.parametrize("frontend", ["raw", "linear"])
@pytest.mark.parametrize("both", [1.5, 0.7])
def test_the_interaction_is_what_both_give_beyond_the_sum_of_each(frontend, both):
    cells = tables.FACTORIAL[frontend]
    signals = {"neither": 0.5, "batch_norm": 0.8, "dropout": 0.6, "both": both}
    evaluated = {cells[cell]: scored(signal) for cell, signal in signals.items()}
    compared = compare(evaluated)
    assert set(compared.index) == {f"{frontend}: {effect}" for effect in ("batch norm", "dropout", "interaction")}
    auc = {cell: roc_auc_of(evaluated[name]) for cell, name in cells.items()}
    interaction = auc["both"] - auc["batch_norm"] - auc["dropout"] + auc["neither"]
    norm = (auc["batch_norm"] - auc["neither"] + auc["both"] - auc["dropout"]) / 2
    dropout = (auc["dropout"] - auc["neither"] + auc["both"] - auc["batch_norm"]) / 2
    assert compared.loc[f"{frontend}: interaction", "difference"] == pytest.approx(interaction)
    assert compared.loc[f"{frontend}: batch norm", "difference"] == pytest.approx(norm)
    assert compared.loc[f"{frontend}: dropout", "difference"] == pytest.approx(dropout)
    assert (interaction > 0) == (both == 1.5)


def test_the_cells_of_the_factorial_are_what_their_names_say():
    settings = params.load(REPOSITORY / "params.yaml", REPOSITORY / params.SCHEMA)
    for frontend, cells in tables.FACTORIAL.items():
        for cell, name in cells.items():
            config = params.config(settings, name)
            assert config["frontend"] == frontend
            assert config["batch_norm"] == (cell in ("batch_norm", "both"))
            assert (config["dropout"] > 0) == (cell in ("dropout", "both"))


def test_without_all_four_cells_there_is_no_interaction_and_without_pairs_no_row():
    cells = tables.FACTORIAL["raw"]
    three = {cells[cell]: scored(0.5) for cell in ("neither", "batch_norm", "dropout")}
    compared = compare(three)
    assert len(compared) == 0
    empty = tables.readable_comparisons(compared.reset_index().assign(view=[]))
    assert tables.markdown("Differences", "", empty)


def test_scores_of_the_flat_suite_count_only_for_the_settings_that_they_are_of():
    """They are kept in git: another dataset, or other settings, must not be given them."""
    settings = params.load(REPOSITORY / "params.yaml", REPOSITORY / params.SCHEMA)
    suite = {**settings, "experiments": {"flat": settings["defaults"] | {"frontend": "flat"}}}
    kept = metrics_of(0.76, parameters=1) | {"settings": params.of_a_score(settings, suite["experiments"]["flat"])}
    kept = json.loads(json.dumps({"configs": {"flat": kept}, "findings": None}))
    assert aggregate.flat_rows(kept, suite, settings).loc[0, "roc_auc"] == 0.76
    waiting = "flat (not run yet: snakemake --cores 4 flat)"
    other_dataset = {**settings, "dataset": settings["dataset"] | {"name": "magnatagatune"}}
    assert aggregate.flat_rows(kept, suite, other_dataset).loc[0, "config"] == waiting
    more = {"epochs": settings["defaults"]["epochs"] + 1}
    longer = {**suite, "experiments": {"flat": suite["experiments"]["flat"] | more}}
    assert aggregate.flat_rows(kept, longer, settings).loc[0, "config"] == waiting
    assert aggregate.flat_rows({}, suite, settings).loc[0, "config"] == waiting
