"""Questions about configs: what their answers are computed from, what is concluded, and how that is said."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from wavetag import command, evaluations, files, findings, params, scoring, search, splits, tags
from wavetag.stages import aggregate, publish
from wavetag.stages import findings as findings_stage

REPOSITORY = Path(__file__).resolve().parents[1]

CLIPS, TAGS = 160, ("guitar", "piano", "no piano", "singer", "slow", "solo")
ARTISTS = [f"artist {clip // 4}" for clip in range(CLIPS)]
LABELS = (np.random.default_rng(0).random((CLIPS, len(TAGS))) < 0.35).astype(np.uint8)
LABELS[:8] = 0  # two artists whose clips have no tag
TAGGED = LABELS.any(axis=1)
SETTINGS = {"frontend": "raw", "batch_norm": False, "scaling": "minmax", "split": "main"}
MINMAX = {"mode": "minmax", "offset": -0.5, "gain": 1 / 32767.5}
NONE = {"mode": "none", "offset": 0.0, "gain": 1 / 32768}
HOW = {"resamples": 200, "seed": 0}


def labels_of(truth=LABELS, names=TAGS, words=None, **more):
    clips = pd.DataFrame({"artist": ARTISTS, "artist_disjoint": (np.arange(CLIPS) % 3 == 0).astype(int)})
    words = words or {name: (name,) for name in names}
    return findings.Labels(splits.Split(clips, tuple(names), truth), words, **more)


LABELS_OF_MAIN = labels_of()


def config(signal, seed=0, seeds=3, labels=LABELS_OF_MAIN, converged=True, scaling=MINMAX, **settings):
    """Predictions whose ROC-AUC rises with the signal."""
    truth = labels.test.labels
    noise = np.random.default_rng(seed).normal(size=(seeds, *truth.shape))
    metrics = {"converged": converged, "scaling": scaling}
    return findings.Config(signal * truth + noise, metrics, {**SETTINGS, **settings}, labels)


CONFIGS = {"good": config(1.5), "base": config(0.5, seed=1), "again": config(0.5, seed=2), "bad": config(0.1, seed=3)}
PAIR = {"ask": "Does it help?", "one": "good", "other": "base"}


def answer(*questions, configs=CONFIGS, truths=None, suite="open", dataset="minitune"):
    return findings.answer(questions, suite, dataset, configs, truths or {}, **HOW)


def entry_of(*questions, **more):
    """The entry of the first question."""
    return answer(*questions, **more)["findings"][0]


def numbers(text):
    """The numbers of a sentence as papers print them, in order."""
    found = re.findall(r"(?<![\w.])[+−]?\d*\.\d{3,4}\b", text)
    return [float(number.replace("−", "-")) for number in found]


def compared(configs, terms, chosen=TAGGED, truth=LABELS, **more):
    scores = {name: CONFIGS[name].predictions[:, chosen] for name in configs}
    return scoring.compare(truth[chosen], scores, terms, np.array(ARTISTS)[chosen].tolist(), **HOW, **more)


def mean_roc_auc(predictions, chosen=TAGGED, truth=LABELS):
    """Mean over seeds and tags, by scikit-learn."""
    return np.mean([roc_auc_score(truth[chosen], of_seed[chosen], average="macro") for of_seed in predictions])


# What is computed, and what is said of it


def test_a_planted_difference_is_said_with_the_numbers_of_the_comparison():
    entry = entry_of(PAIR)
    result = compared(["good", "base"], {"it": {"good": 1, "base": -1}})
    expected, scores = result["it"], result.scores
    assert entry["verdict"] == "better"
    assert entry["difference"] == pytest.approx(
        mean_roc_auc(CONFIGS["good"].predictions) - mean_roc_auc(CONFIGS["base"].predictions)
    )
    assert (entry["low"], entry["high"]) == (expected["low_all"], expected["high_all"])
    assert (entry["low_alone"], entry["high_alone"]) == (expected["low"], expected["high"])
    assert (entry["clips"], entry["artists"], entry["tags"]) == (TAGGED.sum(), 38, 6)
    good, base = scores["good"], scores["base"]
    ends = [expected["difference"], expected["low_all"], expected["high_all"]]
    assert numbers(entry["sentence"]) == [round(value, 3) for value in (good.mean, good.sd, base.mean, base.sd, *ends)]
    assert entry["sentence"].startswith("Does it help? Yes: good .")
    assert "mean ROC-AUC (95 %; artists and seeds resampled; 3 seeds, indicative; " in entry["sentence"]
    assert entry["sentence"].endswith(
        f"{TAGGED.sum()} tagged test clips by 38 artists of minitune, which is generated music)."
    )


@pytest.mark.parametrize(
    ("one", "other", "verdict", "head"),
    [
        ("base", "good", "worse", "No, worse: base"),
        ("base", "again", "within noise", "Within noise: base"),
        ("good", "bad", "better", "Yes: good"),
    ],
)
def test_verdicts_follow_from_whether_the_interval_excludes_zero(one, other, verdict, head):
    entry = entry_of({"ask": "Does it help?", "one": one, "other": other})
    assert entry["verdict"] == verdict
    assert entry["sentence"].startswith(f"Does it help? {head}")
    assert (entry["low"] > 0, entry["high"] < 0) == (verdict == "better", verdict == "worse")


@pytest.mark.parametrize(
    ("ask", "head"),
    [
        ("How does good compare?", "Better: "),
        ("After 30 epochs, is it better?", "Yes: "),
        ("What does it give?", "Better: "),
    ],
)
def test_yes_is_answered_to_what_asks_for_it(ask, head):
    assert entry_of({**PAIR, "ask": ask})["sentence"].startswith(f"{ask} {head}")


def test_of_what_has_not_converged_the_numbers_are_given_and_no_verdict():
    configs = {"good": config(1.5), "base": config(0.5, seed=1, converged=False)}
    entry = entry_of(PAIR, configs=configs)
    assert entry["low"] > 0
    assert entry["verdict"] == "not converged"
    assert entry["sentence"].startswith("Does it help? Not converged, no verdict: good .")
    assert re.search(r"against base \.\d+ ± \.\d+ \(not converged\), \+\.\d+ \[", entry["sentence"])
    assert (entry["one"]["converged"], entry["other"]["converged"]) == (True, False)


def test_scalings_that_do_the_same_are_the_same_by_construction():
    configs = {"good": config(1.5), "base": config(0.5, seed=1, scaling=NONE)}
    one, other = configs["good"], configs["base"]
    configs["base"] = findings.Config(other.predictions, other.metrics, {**SETTINGS, "scaling": "none"}, other.labels)
    entry = entry_of(PAIR, configs=configs)
    assert one.settings["scaling"] == "minmax"
    assert entry["verdict"] == "same by construction"
    assert (
        "The same by construction: of a sample x, minmax makes (x + 0.5) / 32767.5 and none x / 32768"
        in entry["sentence"]
    )
    assert "the training clips touch both ends of int16" in entry["sentence"]
    assert entry["difference"] is not None
    assert len(numbers(entry["sentence"].partition("chance: ")[2])) == 7


@pytest.mark.parametrize(
    ("scaling", "settings"),
    [
        ({"mode": "standard", "offset": 0.0, "gain": 1 / 5330}, {"scaling": "standard"}),
        ({"mode": "log", "offset": -0.5, "gain": 1 / 32767.5}, {"scaling": "log"}),
        ({"mode": "none", "offset": 0.0, "gain": 1 / 32768}, {"scaling": "none", "batch_norm": True}),
        ({"mode": "none", "offset": 40.0, "gain": 1 / 32768}, {"scaling": "none"}),
        ({"mode": "none", "offset": 0.0, "gain": 1.002 / 32768}, {"scaling": "none"}),
    ],
)
def test_configs_that_differ_in_more_than_a_like_scaling_are_compared(scaling, settings):
    configs = {"good": config(1.5), "base": config(0.5, seed=1, scaling=scaling)}
    base = configs["base"]
    configs["base"] = findings.Config(base.predictions, base.metrics, {**SETTINGS, **settings}, base.labels)
    assert entry_of(PAIR, configs=configs)["verdict"] == "better"


def test_networks_with_the_same_settings_and_predictions_are_the_same_by_construction():
    entry = entry_of(PAIR, configs={"good": CONFIGS["base"], "base": CONFIGS["base"]})
    assert (entry["verdict"], entry["difference"]) == ("same by construction", 0)
    assert "by construction: both have the same settings, and so the same networks; good ." in entry["sentence"]
    assert entry_of(PAIR)["verdict"] == "better"  # the same settings, other predictions


def test_with_one_seed_the_answer_is_about_these_networks_and_artists_alone_are_resampled():
    configs = {"good": config(1.5, seeds=1), "base": config(0.5, seed=1)}
    entry = entry_of(PAIR, configs=configs)
    assert not entry["seeds_known"]
    assert entry["sentence"].startswith("Does it help? Yes, for these trained networks only: good .")
    assert "artists resampled; 1 and 3 seeds, indicative;" in entry["sentence"]
    assert "seeds resampled" not in entry["sentence"]
    assert entry["one"]["sd"] is None
    chosen = {name: one.predictions[:, TAGGED] for name, one in configs.items()}
    artists = np.array(ARTISTS)[TAGGED].tolist()
    expected = scoring.compare(LABELS[TAGGED], chosen, {"it": {"good": 1, "base": -1}}, artists, **HOW)["it"]
    assert (entry["low"], entry["high"]) == (expected["low_networks"], expected["high_networks"])


def test_a_spread_over_more_than_three_seeds_is_not_called_indicative():
    entry = entry_of(PAIR, configs={"good": config(1.5, seeds=4), "base": config(0.5, seed=1, seeds=5)})
    assert "4 and 5 seeds;" in entry["sentence"]
    assert "indicative" not in entry["sentence"]


def test_intervals_hold_for_all_comparisons_of_a_group_at_once():
    questions = [{"ask": f"Is {name} better?", "one": name, "other": "base"} for name in ("good", "again", "bad")]
    content = answer(*questions)
    terms = {question["ask"]: {question["one"]: 1, "base": -1} for question in questions}
    expected = compared(list(CONFIGS), terms)
    for entry in content["findings"]:
        result = expected[entry["ask"]]
        assert (entry["low"], entry["high"]) == (result["low_all"], result["high_all"])
        assert entry["low"] < entry["low_alone"] and entry["high_alone"] < entry["high"]
        assert 'simultaneous over the 3 comparisons of "open"' in entry["sentence"]
    apart = answer(*({**question, "group": question["ask"]} for question in questions))
    for entry in apart["findings"]:
        assert (entry["low"], entry["high"]) == pytest.approx((entry["low_alone"], entry["high_alone"]), abs=1e-3)
        assert "simultaneous" not in entry["sentence"]


def test_a_group_on_several_sets_of_clips_has_wider_intervals_than_each_set_alone():
    subset = {"ask": "Does it help singers?", "one": "good", "other": "base", "clips_with": ["singer"]}
    together, alone = entry_of(PAIR, subset), entry_of(PAIR)
    assert together["low"] < alone["low"] and together["high"] > alone["high"]
    assert (together["low_alone"], together["high_alone"]) == (alone["low_alone"], alone["high_alone"])


def test_other_test_views_stand_beside():
    entry = entry_of(PAIR)
    disjoint = np.arange(CLIPS) % 3 == 0
    for view, chosen in {"all": np.ones(CLIPS, dtype=bool), "artist-disjoint": disjoint}.items():
        expected = compared(["good", "base"], {"it": {"good": 1, "base": -1}}, chosen)["it"]
        assert entry["views"][view]["clips"] == chosen.sum()
        assert [entry["views"][view][key] for key in ("difference", "low", "high")] == [
            expected["difference"],
            expected["low_all"],
            expected["high_all"],
        ]


def test_clips_with_tags_are_those_that_have_one_of_them():
    entry = entry_of({**PAIR, "clips_with": ["singer", "slow"]})
    chosen = LABELS[:, [3, 4]].any(axis=1)
    assert entry["clips"] == chosen.sum()
    expected = [mean_roc_auc(CONFIGS[name].predictions, chosen) for name in ("good", "base")]
    assert [entry["one"]["score"], entry["other"]["score"]] == pytest.approx(expected)
    assert f"{chosen.sum()} tagged test clips with singer or slow by " in entry["sentence"]


@pytest.mark.parametrize(
    ("asked", "columns", "said"),
    [
        ({"only_tags": ["no piano"]}, [2], "tag no piano alone"),
        ({"only_tags": ["slow", "guitar"]}, [0, 4], "tags slow and guitar alone"),
        ({"without_tags": ["no piano"]}, [0, 1, 3, 4, 5], "without the tag no piano"),
    ],
)
def test_the_mean_is_over_the_tags_asked_for(asked, columns, said):
    entry = entry_of({**PAIR, **asked})
    expected = mean_roc_auc(CONFIGS["good"].predictions[..., columns], truth=LABELS[:, columns])
    assert entry["one"]["score"] == pytest.approx(expected)
    assert entry["tags"] == len(columns)
    assert said in entry["sentence"]


@pytest.mark.parametrize("metric", ["average_precision", "clip_roc_auc"])
def test_another_metric_is_computed_and_named(metric):
    entry = entry_of({**PAIR, "metric": metric})
    assert entry["metric"] == metric
    scored = [
        scoring.macro_mean(getattr(scoring, metric)(LABELS[TAGGED], of_seed[TAGGED]))
        for of_seed in CONFIGS["good"].predictions
    ]
    assert entry["one"]["score"] == pytest.approx(np.mean(scored))
    assert f"] {findings.METRICS[metric]} (" in entry["sentence"]


def test_a_sum_is_the_interaction_that_its_factors_make():
    factors = {"good": 1, "base": -1, "again": -1, "bad": 1}
    question = {"ask": "Do they work together?", "sum": factors, "means": "the two give more together than apart"}
    entry = entry_of(question)
    scores = {name: mean_roc_auc(CONFIGS[name].predictions) for name in factors}
    assert entry["difference"] == pytest.approx(sum(factor * scores[name] for name, factor in factors.items()))
    assert [(side["name"], side["factor"]) for side in entry["terms"]] == list(factors.items())
    assert entry["sentence"].startswith("Do they work together? Yes: good .")
    assert re.search(
        r"good \S+ ± \S+ − base \S+ ± \S+ − again \S+ ± \S+ \+ bad \S+ ± \S+ = \+\.\d{3} \[", entry["sentence"]
    )
    assert "(above zero, the two give more together than apart; 95 %;" in entry["sentence"]
    mirrored = entry_of({**question, "sum": {name: -factor for name, factor in factors.items()}})
    assert mirrored["verdict"] == "worse"
    assert mirrored["sentence"].startswith("Do they work together? No, the opposite: − good .")


# Vocabularies

WORDS = {"merged50": tags.sources("merged50"), "standard50": tags.sources("standard50")}


def test_a_standard_word_gets_the_prediction_of_the_group_that_it_is_merged_in():
    predictions = np.random.default_rng(0).random((2, 5, 50))
    found, known = findings.translated(predictions, WORDS["merged50"], WORDS["standard50"])
    assert found.shape == (2, 5, 50)
    for place, word in enumerate(tags.STANDARD50):
        group = next((name for name, merged in tags.MERGES.items() if word in (name, *merged)), word)
        assert known[place] == (group in tags.MERGED50)
        if known[place]:
            np.testing.assert_array_equal(found[..., place], predictions[..., tags.MERGED50.index(group)])
    assert known.all()
    male, voice = tags.MERGED50.index("male"), tags.STANDARD50.index("male vocal")
    np.testing.assert_array_equal(found[..., voice], predictions[..., male])


def test_a_merged_tag_gets_the_largest_prediction_among_its_words():
    predictions = np.random.default_rng(0).random((5, 50))
    found, known = findings.translated(predictions, WORDS["standard50"], WORDS["merged50"])
    of_word = dict(zip(tags.STANDARD50, predictions.T, strict=True))
    np.testing.assert_array_equal(
        found[:, tags.MERGED50.index("female")],
        np.max([of_word[word] for word in ("female", "woman", "female vocal", "female voice")], axis=0),
    )
    np.testing.assert_array_equal(found[:, tags.MERGED50.index("rock")], of_word["rock"])
    missing = {tag for tag, is_known in zip(tags.MERGED50, known, strict=True) if not is_known}
    assert {"hard", "no piano", "no beat", "baroque"} <= missing
    assert not {"no singer", "heavy", "india", "strange", "electro"} & missing


def test_a_vocabulary_is_translated_to_itself_unchanged():
    predictions = np.random.default_rng(0).random((5, 50))
    for words in WORDS.values():
        found, known = findings.translated(predictions, words, words)
        assert known.all()
        np.testing.assert_array_equal(found, predictions)


MERGED = labels_of(
    words={
        "guitar": ("guitar", "guitars"),
        "piano": ("piano",),
        "no piano": ("no piano",),
        "singer": ("singer", "singing"),
        "slow": ("slow",),
        "solo": ("solo",),
    }
)
STANDARD_NAMES = ("guitar", "singing", "slow", "weird")
STANDARD_LABELS = np.column_stack([LABELS[:, [0, 3, 4]], np.random.default_rng(5).random(CLIPS) < 0.3]).astype(np.uint8)
STANDARD = labels_of(STANDARD_LABELS, STANDARD_NAMES, vocabulary="mine")
OF_BOTH = {"good": config(1.5, labels=MERGED), "base": config(0.5, seed=1, labels=STANDARD)}


def test_with_a_truth_both_are_scored_on_the_tags_that_both_can_predict():
    entry = entry_of({**PAIR, "truth": "standard50"}, configs=OF_BOTH, truths={"standard50": STANDARD})
    chosen = STANDARD_LABELS.any(axis=1)
    truth = STANDARD_LABELS[:, :3]
    good = OF_BOTH["good"].predictions[..., [0, 3, 4]]
    base = OF_BOTH["base"].predictions[..., :3]
    assert entry["tags"] == 3
    assert entry["clips"] == chosen.sum()
    assert entry["one"]["score"] == pytest.approx(mean_roc_auc(good, chosen, truth))
    assert entry["other"]["score"] == pytest.approx(mean_roc_auc(base, chosen, truth))
    assert (
        "predictions translated to the tags of the split standard50, vocabulary mine, over the 3 of its 4 tags that can"
        " be predicted from every config's;"
    ) in entry["sentence"]


def test_without_a_truth_each_is_scored_on_its_own_tags_on_the_clips_tagged_in_both():
    entry = entry_of(PAIR, configs=OF_BOTH)
    chosen = STANDARD_LABELS.any(axis=1) & TAGGED
    assert entry["clips"] == chosen.sum()
    assert entry["tags"] is None
    assert (entry["one"]["tags"], entry["other"]["tags"]) == (6, 4)
    assert entry["one"]["score"] == pytest.approx(mean_roc_auc(OF_BOTH["good"].predictions, chosen))
    assert entry["other"]["score"] == pytest.approx(mean_roc_auc(OF_BOTH["base"].predictions, chosen, STANDARD_LABELS))
    assert "each on its own tags (6 and 4), clips tagged in both vocabularies" in entry["sentence"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"only_tags": ["no beat"]}, "has no tag 'no beat', of only_tags"),
        ({"without_tags": ["no beat"]}, "has no tag 'no beat', of without_tags"),
        ({"clips_with": ["singer", "opera"]}, "has no tag 'opera', of clips_with"),
    ],
)
def test_a_question_that_the_vocabulary_cannot_answer_is_told_and_the_others_are_answered(asked, why):
    content = answer({**PAIR, **asked, "ask": "Of which tag?"}, PAIR)
    assert [one["ask"] for one in content["unanswered"]] == ["Of which tag?"]
    assert why in content["unanswered"][0]["why"]
    (entry,) = content["findings"]
    assert entry["ask"] == PAIR["ask"]
    assert "simultaneous" not in entry["sentence"]
    assert "Of which tag?" in findings.markdown({"suite": "open", "dataset": "minitune", "generated": True, **content})


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"converged": False}, "not converged"),
        ({"converged": False, "learned": True, "diverged": 0}, "not converged"),
        ({"converged": False, "learned": False}, "has not begun to learn"),
        ({"converged": False, "learned": False, "diverged": 1}, "diverged"),
    ],
)
def test_what_a_training_had_not_come_to_stands_beside_its_score(metrics, told):
    base = config(0.5, seed=1)
    configs = {"good": config(1.5), "base": replace(base, metrics=base.metrics | metrics)}
    entry = entry_of(PAIR, configs=configs)
    assert entry["verdict"] == "not converged"
    assert f"({told}), +" in entry["sentence"]


@pytest.mark.parametrize("fourier_first", [True, False])
def test_a_frozen_fourier_convolution_is_the_linear_spectrogram_by_construction(fourier_first):
    linear = config(0.5, seed=1, frontend="linear", initialise="random", frozen=False)
    fourier = config(0.52, seed=2, frontend="fourier", initialise="fourier", frozen=True)
    one, other = (fourier, linear) if fourier_first else (linear, fourier)
    entry = entry_of(PAIR, configs={"good": one, "base": other})
    assert entry["verdict"] == "same by construction"
    assert "the frozen convolution computes the linear spectrogram" in entry["sentence"]
    tuned = replace(fourier, settings={**fourier.settings, "frozen": False})
    assert entry_of(PAIR, configs={"good": tuned, "base": linear})["verdict"] != "same by construction"


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ([0], "1 of the tags has no score: all these clips have it, or none has"),
        ([0, 1], "2 of the tags have no score: all these clips have them, or none has"),
    ],
)
def test_tags_without_a_score_are_counted(columns, told):
    truth = LABELS.copy()
    truth[:, columns] = 0
    labels = labels_of(truth)
    configs = {"good": config(1.5, labels=labels), "base": config(0.5, seed=1, labels=labels)}
    assert f"; {told};" in entry_of(PAIR, configs=configs)["sentence"]


OWN = "each trained on the clips that have a tag of its own"


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({}, {}, None),
        ({}, {"vocabulary": "standard50"}, OWN),
        ({}, {"vocabulary": ["slow", "solo"]}, OWN),
        ({"population": "all"}, {"population": "all", "vocabulary": "standard50"}, None),
        ({}, {"population": "all"}, "good trained on tagged clips, base on all"),
        ({"population": "all"}, {"vocabulary": "standard50"}, "base trained on tagged clips, good on all"),
    ],
)
def test_that_configs_were_trained_on_other_clips_is_told_where_it_is_so(one, other, told):
    configs = {
        "good": config(1.5, labels=labels_of(**one)),
        "base": config(0.5, seed=1, labels=labels_of(**other)),
    }
    sentence = entry_of(PAIR, configs=configs)["sentence"]
    assert ("trained on" in sentence) == bool(told)
    assert f"; {told};" in sentence or not told


def test_tags_left_out_do_not_change_which_clips_were_trained_on():
    """A split's `without` takes tags away and no clip."""
    configs = {"good": config(1.5), "base": config(0.5, seed=1, labels=labels_of(LABELS[:, 1:], TAGS[1:]))}
    sentence = entry_of(PAIR, configs=configs)["sentence"]
    assert "each on its own tags (6 and 5)" in sentence
    assert "trained on" not in sentence


def test_clips_of_one_artist_have_no_interval_and_no_verdict():
    truth = np.zeros_like(LABELS)
    truth[:4] = [[1, 0, 1, 0, 1, 0], [0, 1, 0, 1, 0, 1], [1, 0, 0, 1, 0, 1], [0, 1, 1, 0, 1, 0]]
    labels = labels_of(truth)
    entry = entry_of(PAIR, configs={"good": config(1.5, labels=labels), "base": config(0.5, seed=1, labels=labels)})
    assert (entry["low"], entry["high"], entry["verdict"]) == (None, None, "no interval")
    assert entry["sentence"].startswith("Does it help? No interval, no verdict: ")
    assert "(no interval: one artist)" in entry["sentence"]
    assert json.dumps(entry, allow_nan=False)


# Reading a list of them


def test_what_a_group_shares_is_told_once_and_each_sentence_can_be_quoted_alone():
    questions = [
        {"ask": "Does it help?", "group": "all of it", "one": "good", "other": "base"},
        {"ask": "Does it help singers?", "group": "all of it", "one": "good", "other": "base", "only_tags": ["singer"]},
    ]
    content = answer(*questions)
    (group,) = content["groups"]
    assert group["name"] == "all of it"
    assert group["heading"].startswith('95 %, simultaneous over the 2 comparisons of "all of it"; artists and seeds')
    assert "minitune" in group["heading"]
    for entry in content["findings"]:
        assert "minitune" in entry["sentence"] and "3 seeds" in entry["sentence"]
        assert "minitune" not in entry["short"] and "3 seeds" not in entry["short"]
        assert entry["sentence"].partition(" (")[0] == entry["short"].partition(" (")[0].rstrip(".")
    first, second = (entry["short"] for entry in content["findings"])
    assert first.endswith("mean ROC-AUC.")
    assert second.endswith("mean ROC-AUC (tag singer alone).")
    page = findings.markdown({"suite": "open", "dataset": "minitune", "generated": True, **content})
    assert page.count("simultaneous") == 1
    assert page.count("Other test views: all, 160 clips, ") == 2


def test_music_of_another_dataset_is_not_called_generated():
    content = answer(PAIR, dataset="magnatagatune")
    assert "generated" not in content["findings"][0]["sentence"]
    assert "artists of magnatagatune)." in content["findings"][0]["sentence"]


def test_published_numbers_follow_as_such():
    entry = entry_of({**PAIR, "published": {"one": ".83 ± .01 (report)", "other": ".82 (paper)"}})
    assert entry["sentence"].endswith(". Published on MagnaTagATune: .83 ± .01 (report) against .82 (paper).")
    one = entry_of({**PAIR, "published": {"one": ".83 (report)"}})
    assert one["sentence"].endswith("Published on MagnaTagATune: .83 (report) for good.")
    assert "ublished" not in entry_of(PAIR)["sentence"]


def test_published_numbers_of_a_suites_configs_are_known():
    configs = {"raw_log_square": CONFIGS["good"], "raw_1024_1024": CONFIGS["base"]}
    question = {"ask": "Does it help?", "one": "raw_log_square", "other": "raw_1024_1024"}
    entry = entry_of(question, configs=configs, suite="paper")
    assert entry["sentence"].endswith("Published on MagnaTagATune: .7508 (paper) against .8366 (paper).")
    for other in ({"only_tags": ["slow"]}, {"metric": "average_precision"}):
        assert "ublished" not in entry_of({**question, **other}, configs=configs, suite="paper")["sentence"]
    configs = {
        "raw_512_256": CONFIGS["good"],
        "base": CONFIGS["base"],
        "raw_bn": CONFIGS["bad"],
        "mel": CONFIGS["again"],
    }
    of_report = {"ask": "Does it help?", "one": "raw_512_256", "other": "base"}
    assert entry_of(of_report, configs=configs, suite="report")["sentence"].endswith(
        "Published on MagnaTagATune: .8267 (report), .8408 (paper), .8282 (replication) against"
        " .8285 (report), .8487 (paper), .8267 ± .0027 (replication)."
    )
    with_norm = entry_of({**of_report, "one": "raw_bn"}, configs=configs, suite="report")
    assert with_norm["sentence"].endswith("MagnaTagATune: .83 ± .01 (report) against .83 ± .01 (report).")
    assert "ublished" not in entry_of({**of_report, "one": "mel"}, configs=configs, suite="report")["sentence"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.678, ".678"), (1.0, "1.000"), (0.9996, "1.000"), (-0.0123, "−.012"), (None, "–"), (float("nan"), "–")],
)
def test_scores_are_written_as_papers_print_them(value, text):
    assert findings.figure(value) == text


def test_a_difference_shows_the_sign_of_both_ends():
    assert findings.difference(0.0934, 0.071, 0.1149) == "+.093 [+.071, +.115]"
    assert findings.difference(-0.012, -0.031, 0.005) == "−.012 [−.031, +.005]"
    assert findings.difference(0.02, 0.0003, 0.04) == "+.0200 [+.0003, +.0400]"
    assert findings.difference(None, None, None) == "–"


# Settings

ROOT = {"experiments": {"base": {}, "raw_bn": {}, "mel": {}}, "split": {"vocabulary": "merged50"}}
SUITE = {
    "experiments": {"base_long": {}, "mel_long": {}},
    "split": {"vocabulary": "merged50"},
    "splits": {"main": {}, "standard50": {"vocabulary": "standard50"}, "mine": {"vocabulary": ["my tag"]}},
}
OTHERS = {"report": ROOT, "long": SUITE}
ASKED = {"ask": "Is it?", "one": "base_long", "other": "mel_long"}
WITH_SUM = {"ask": "Is it?", "sum": {"base_long": 1, "mel_long": -1}, "means": "more"}


def problems(*questions, settings=SUITE, suite="long", others=OTHERS):
    return list(findings.problems({**settings, "questions": list(questions)}, suite, others))


@pytest.mark.parametrize(
    "question",
    [
        ASKED,
        WITH_SUM,
        {**ASKED, "other": "report/base"},
        {**ASKED, "truth": "standard50", "only_tags": ["weird"]},
        {**WITH_SUM, "sum": {"base_long": 0.1, "mel_long": 0.2, "report/base": -0.3}},
        {**ASKED, "truth": "main"},
        {**ASKED, "clips_with": ["my tag", "no singer"]},
        {**ASKED, "without_tags": ["no piano"], "metric": "clip_roc_auc", "published": {"one": ".8"}},
    ],
)
def test_questions_that_can_be_asked_have_no_problem(question):
    assert problems(question) == []


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ({**ASKED, "ask": "It is."}, "ask: 'It is.' is not a question"),
        (
            {**ASKED, "one": "base_lnog"},
            "no config 'base_lnog' (did you mean base_long?); there are base_long, mel_long",
        ),
        ({**ASKED, "one": "base"}, "no config 'base' (did you mean report/base?)"),
        ({**ASKED, "one": "report/bas"}, "no config 'report/bas' (did you mean base?); there are base, raw_bn, mel"),
        ({**ASKED, "one": "lnog/base"}, "there is no suite 'lnog'; there are report, long"),
        ({**ASKED, "other": "base_long"}, "one and other are both 'base_long'"),
        ({"ask": "Is it?", "one": "base_long"}, "one was given; either one and other, or sum and means, are needed"),
        ({"ask": "Is it?"}, "none of them was given; either one and other"),
        ({**ASKED, "sum": {"base_long": 1}}, "one and other and sum was given"),
        ({"ask": "Is it?", "sum": {"base_long": 1, "mel_long": -1}}, "means is missing"),
        ({**WITH_SUM, "sum": {"base_long": 1, "mel_long": 0}}, "sum: a factor is 0"),
        ({**WITH_SUM, "sum": {"base_long": 1}}, "sum: base_long alone was given; at least two configs are needed"),
        ({**WITH_SUM, "sum": {"base_long": 1, "mel_long": 1}}, "sum: the factors 1 and 1 add up to 2; to 0 they have"),
        ({**WITH_SUM, "sum": {"base_long": 0.5, "mel_long": -1}}, "the factors 0.5 and -1 add up to -0.5"),
        (
            {**WITH_SUM, "sum": {"base_long": 1, "mel_long": -2, "long/base_long": 1}},
            "'base_long' and 'long/base_long' are one config; two are needed",
        ),
        ({**ASKED, "other": "long/base_long"}, "'base_long' and 'long/base_long' are one config"),
        ({**ASKED, "means": "more"}, "means is of a sum; with one and other it is not allowed"),
        ({**WITH_SUM, "published": {"one": ".8"}}, "published is of one and other"),
        ({**ASKED, "truth": "standard"}, "truth: there is no split 'standard'; there are main, standard50, mine"),
        (
            {**ASKED, "only_tags": ["no sniger"]},
            "only_tags: no vocabulary has a tag 'no sniger'; did you mean 'no singer'",
        ),
        ({**ASKED, "clips_with": ["xyzzy"]}, "clips_with: no vocabulary has a tag 'xyzzy'"),
        ({**ASKED, "only_tags": ["slow"], "without_tags": ["fast"]}, "only_tags and without_tags were both given"),
        ({**ASKED, "metric": "accuracy"}, "metric: 'accuracy' is not allowed; allowed are roc_auc, average_precision"),
    ],
)
def test_what_is_wrong_with_a_question_is_told_with_what_is_allowed(question, told):
    (problem,) = problems(question)
    assert problem.startswith("questions.0: ")
    assert told in problem


def test_the_tables_questions_are_of_their_own_configs():
    asked = {"ask": "Is it?", "one": "raw_bn", "other": "long/base_long"}
    (problem,) = problems(asked, settings=ROOT, suite="report")
    assert problem.startswith("questions.0: long/base_long: the tables' questions are of their own configs")
    assert problems({**asked, "other": "report/base"}, settings=ROOT, suite="report") == []


def test_a_question_is_asked_once():
    assert problems(ASKED, {**ASKED, "one": "report/base"}) == [
        "questions.1: 'Is it?' is asked twice; each question once is allowed"
    ]


def test_where_the_dataset_says_which_tags_there_are_none_is_refused_beforehand():
    settings = {**SUITE, "split": {"vocabulary": "top:20"}}
    assert problems({**ASKED, "only_tags": ["xyzzy"]}, settings=settings) == []


def test_without_the_other_suites_their_configs_are_left_unchecked():
    assert problems({**ASKED, "other": "report/nothing"}, others=None) == []
    assert len(problems({**ASKED, "other": "nothing"}, others=None)) == 1


def study_suite(**changes):
    """A suite that searches, as ``params.load_suite`` gives it."""
    rest = {key: {} for key in ("dataset", "evaluate", "defaults", "study")}
    experiments = {"grid_a": {"momentum": 0.9}, "grid_b": {}, "batch_5": {"batch_size": 5}}
    prepare = {"clip_seconds": 29.1, "windows": 10}
    suite = {**rest, "experiments": experiments, "prepare": prepare, "split": {"vocabulary": "merged50"}}
    return {**suite, **changes}


def test_of_a_suite_that_searches_the_chosen_configs_are_scored_and_may_be_asked_of():
    settings = params.load_suite(REPOSITORY / "suites/search", repository_settings(), REPOSITORY / params.SCHEMA)
    assert findings.scored_configs(settings) == [f"chosen_{name}" for name in search.CHOSEN]
    assert findings.scored_configs(ROOT) == ["base", "raw_bn", "mel"]
    suite, asked = study_suite(), {"ask": "Is it?", "one": "chosen_grid", "other": "report/base"}
    assert problems(asked, settings=suite, suite="search") == []
    assert problems({**ASKED, "other": "search/chosen_grid"}, others={**OTHERS, "search": suite}) == []
    (problem,) = problems({**asked, "one": "grid_a"}, settings=suite, suite="search")
    assert problem.endswith("there are chosen_grid, chosen_batch, chosen_spectrogram")


def repository_settings():
    return params.load(REPOSITORY / "params.yaml", REPOSITORY / params.SCHEMA)


@pytest.mark.parametrize(
    "changed",
    [
        {"study": {"trials": 3}},
        {"experiments": {**study_suite()["experiments"], "grid_b": {"momentum": 0.5}}},
        {"defaults": {"epochs": 9}},
        {"prepare": {"clip_seconds": 10.0, "windows": 10}},
    ],
)
def test_a_chosen_configs_score_is_of_all_that_was_searched(changed):
    before, after = (
        findings.score_settings(suite, "chosen_batch") for suite in (study_suite(), study_suite(**changed))
    )
    assert before != after
    assert before == findings.score_settings(study_suite(), "chosen_batch")
    with pytest.raises(params.ParamsError, match="no config 'batch_5'; there are chosen_grid"):
        findings.score_settings(study_suite(), "batch_5")


def test_findings_count_only_for_the_questions_and_settings_that_they_are_of():
    def settings_of(suite, name):
        return {"suite": suite, "epochs": 10 if name != "base" else epochs}

    questions = [PAIR, {**PAIR, "ask": "Again?", "group": "other", "one": "again", "other": "bad"}]
    epochs = 10
    before = findings.digests(questions, "open", settings_of)
    content = answer(*questions)
    for group in content["groups"]:
        group["of"] = before[group["name"]]
    now = findings.of_now(content, before)
    assert (len(now["findings"]), now["stale"]) == (2, [])
    epochs = 20
    now = findings.of_now(content, findings.digests(questions, "open", settings_of))
    assert ([entry["ask"] for entry in now["findings"]], now["stale"]) == (["Again?"], ["open"])
    epochs = 10
    reworded = [{**PAIR, "ask": "Does it help at all?"}, *questions[1:]]
    now = findings.of_now(content, findings.digests(reworded, "open", settings_of))
    assert ([entry["ask"] for entry in now["findings"]], now["stale"]) == (["Again?"], ["open"])


def test_checking_questions_loads_nothing_heavy():
    code = (
        "import sys; from wavetag import findings;"
        "asked = {'experiments': {'a': {}}, 'questions': [{'ask': 'Is it?', 'one': 'a', 'other': 'b'}]};"
        "print(list(findings.problems(asked, 'x')));"
        "print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "there is no config 'b'" in out
    assert not {"numpy", "pandas", "torch", "scipy", "rich"} & set(out.split())


# The stage, and what is handed on

MADE = {"findings.json", "findings.md", "table.csv", "table.md"}


def write_split(path, labels, names):
    """A split of which every clip tests, but for one to train and one to validate."""
    clips = len(labels)
    table = pd.DataFrame({"row": range(clips), "clip_id": [str(clip) for clip in range(clips)], "windows": 10})
    for column in ("path", "part", "song"):
        table[column] = [f"{column} {clip}" for clip in range(clips)]
    table["artist"], table["seconds"] = [f"artist {clip // 4}" for clip in range(clips)], 29.1
    table["split"] = ["train", "valid", *["test"] * (clips - 2)]
    table["artist_disjoint"] = (table["split"] == "test").astype(int)
    path.parent.mkdir(parents=True, exist_ok=True)
    splits.write(path, splits.Split(table[list(splits.COLUMNS)], names, labels))
    return splits.read(path).only(splits.TEST)


def write_evaluation(folder, name, signal, test, scaling=MINMAX, **more):
    noise = np.random.default_rng(len(name)).normal(size=(2, *test.labels.shape))
    predictions = (signal * test.labels + noise).astype(np.float32)
    metrics = {
        **evaluations.score_views(test, predictions, 50, 0, 6),
        **{"converged": True, "scaling": scaling, "tags": list(test.tags), "dataset": "minitune", "seeds": 2},
        **{"parameters": 55_422, "epochs": 10, "epochs_run": [10, 10], "chosen_epochs": [9, 10], **more},
    }
    evaluations.write(folder / "data/predictions" / f"{name}.npz", predictions, metrics)
    files.write_json(folder / "metrics" / f"{name}.json", metrics)


QUESTIONS = [
    {"ask": "Does batch norm help?", "one": "raw_bn", "other": "base"},
    {"ask": "Does it tell who sings?", "one": "raw_bn", "other": "base", "only_tags": ["singer"]},
]
OF_SUITE = [
    {"ask": "Do standard tags help?", "one": "standard", "other": "merged", "truth": "standard50"},
    {"ask": "Is it better than the table's?", "group": "others", "one": "merged", "other": "report/base"},
    {"ask": "Is it of the vocabulary?", "one": "merged", "other": "report/base", "only_tags": ["weird"]},
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A top folder with two configs and a suite with two, evaluated."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / params.SCHEMA).parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / params.SCHEMA, params.SCHEMA)
    settings = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    settings["experiments"] = {"base": settings["defaults"], "raw_bn": {**settings["defaults"], "batch_norm": True}}
    settings |= {"tables": {"table1": ["base"], "table2": ["base", "raw_bn"]}, "questions": QUESTIONS}
    settings["evaluate"]["resamples"] = 100
    files.write_text("params.yaml", yaml.safe_dump(settings))
    common = {"sample_rate": 12000, "split": "main", "epochs": 3}
    suite = {
        "common": common,
        "splits": {"main": {}, "standard50": {"vocabulary": "standard50"}},
        "experiments": {"merged": common, "standard": {**common, "split": "standard50"}},
        "questions": OF_SUITE,
    }
    files.write_text("suites/mine/params.yaml", yaml.safe_dump(suite))
    rng = np.random.default_rng(0)
    merged, standard = ((rng.random((62, 50)) < 0.3).astype(np.uint8) for _ in range(2))
    main = write_split(tmp_path / "data/split/split.tsv", merged, tags.MERGED50)
    write_split(tmp_path / "suites/mine/data/splits/main/split.tsv", merged, tags.MERGED50)
    other = write_split(tmp_path / "suites/mine/data/splits/standard50/split.tsv", standard, tags.STANDARD50)
    write_evaluation(tmp_path, "base", 0.3, main)
    write_evaluation(tmp_path, "raw_bn", 1.0, main)
    write_evaluation(tmp_path / "suites/mine", "merged", 0.5, main)
    write_evaluation(tmp_path / "suites/mine", "standard", 1.5, other)
    return tmp_path


def run(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", ["stage.py", *map(str, arguments)])
    return module.main()


def run_suite(monkeypatch):
    return run(monkeypatch, findings_stage, "--suite", "suites/mine", "--out", "suites/mine/metrics/findings")


def test_the_stage_answers_the_pipelines_questions(folder, monkeypatch):
    assert run(monkeypatch, findings_stage, "--out", "metrics/findings") == 0
    assert {path.name for path in Path("metrics/findings").iterdir()} == MADE - {"table.csv", "table.md"}
    content = files.read_json("metrics/findings/findings.json")
    assert [content[key] for key in ("dataset", "generated", "suite")] == ["minitune", True, "report"]
    assert [entry["ask"] for entry in content["findings"]] == [question["ask"] for question in QUESTIONS]
    first = content["findings"][0]
    assert first["verdict"] == "better"
    metrics = files.read_json("metrics/raw_bn.json")
    assert (first["one"]["score"], first["one"]["sd"]) == pytest.approx(
        (metrics["roc_auc"], metrics["roc_auc_sd"]), abs=2e-6
    )
    assert first["short"] in Path("metrics/findings/findings.md").read_text()


def test_the_stage_answers_a_suites_questions_across_vocabularies_and_suites(folder, monkeypatch, capsys):
    assert run_suite(monkeypatch) == 0
    assert {path.name for path in Path("suites/mine/metrics/findings").iterdir()} == MADE
    content = files.read_json("suites/mine/metrics/findings/findings.json")
    translated, across = content["findings"]
    assert translated["tags"] == 50
    assert (
        "translated to the tags of the split standard50, vocabulary standard50, over all its 50 tags;"
        " each trained on the clips that have a tag of its own;"
    ) in translated["sentence"]
    assert across["other"]["name"] == "report/base"
    assert across["other"]["score"] == pytest.approx(files.read_json("metrics/base.json")["roc_auc"], abs=2e-6)
    assert [one["ask"] for one in content["unanswered"]] == ["Is it of the vocabulary?"]
    assert (
        "not answered: Is it of the vocabulary? the vocabulary of merged has no tag 'weird'" in capsys.readouterr().out
    )
    table = pd.read_csv("suites/mine/metrics/findings/table.csv")
    assert table["config"].tolist() == ["merged", "standard"]
    assert table["differs"].tolist() == ["–", "split: standard50"]
    assert table["within_noise"].tolist() == ["best", "best"]  # over other tags: not compared
    page = Path("suites/mine/metrics/findings/table.md").read_text()
    assert "epochs: 3" in page and "Split standard50: standard50 (1 clips to train" in page


def test_the_same_evaluations_give_the_same_findings(folder, monkeypatch):
    written = []
    for _ in range(2):
        run_suite(monkeypatch)
        written.append([path.read_bytes() for path in sorted(Path("suites/mine/metrics/findings").iterdir())])
    assert written[0] == written[1]


def other_tags(folder):
    write_evaluation(folder, "base", 0.3, splits.read("suites/mine/data/splits/standard50/split.tsv").only(splits.TEST))


def other_clips(folder):
    rng = np.random.default_rng(0)
    labels = (rng.random((42, 50)) < 0.3).astype(np.uint8)
    test = write_split(folder / "suites/mine/data/splits/standard50/split.tsv", labels, tags.STANDARD50)
    write_evaluation(folder / "suites/mine", "standard", 1.5, test)


def without_evaluation(folder):
    (folder / "data/predictions/base.npz").unlink()


def without_convergence(folder):
    path = folder / "data/predictions/base.npz"
    evaluation = evaluations.read(path)
    metrics = {key: value for key, value in evaluation.metrics.items() if key != "converged"}
    evaluations.write(path, evaluation.predictions, metrics)


def without_split(folder):
    (folder / "suites/mine/data/splits/standard50/split.tsv").unlink()


def other_dataset(folder):
    test = splits.read("data/split/split.tsv").only(splits.TEST)
    write_evaluation(folder, "base", 0.3, test, dataset="magnatagatune")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            other_tags,
            "data/predictions/base.npz: predictions of 60 clips and 50 tags, which are not those of the split",
        ),
        (other_clips, "configs of splits with other test clips"),
        (without_evaluation, "data/predictions/base.npz: no such file: `snakemake --cores 4 all` makes it"),
        (without_convergence, "data/predictions/base.npz: its metrics lack converged: `snakemake --cores 4 all`"),
        (without_split, "standard50/split.tsv: no such file: `snakemake --cores 4 mine` makes it"),
        (other_dataset, "data/predictions/base.npz: of magnatagatune, not minitune"),
    ],
)
def test_what_the_stage_cannot_answer_from_is_named(folder, monkeypatch, capsys, change, told):
    change(folder)
    assert run_suite(monkeypatch) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not Path("suites/mine/metrics/findings/findings.json").exists()


@pytest.fixture
def searched(folder):
    """A suite that searched, and what it chose; its other trainings are scored nowhere."""
    suite = {
        "experiments": {"grid_a": {"momentum": 0.9, "seeds": [0]}, "grid_b": {"momentum": 0.8, "seeds": [0]}},
        "study": {"trials": 2},
        "questions": [{"ask": "Does the grid help?", "one": "chosen_grid", "other": "report/base"}],
    }
    files.write_text("suites/search/params.yaml", yaml.safe_dump(suite))
    defaults, test = params.load()["defaults"], splits.read("data/split/split.tsv").only(splits.TEST)
    for name, config in {"grid": {"momentum": 0.8}, "spectrogram": {"frontend": "mel", "hidden": 200}}.items():
        chosen = {"name": f"chosen_{name}", "config": {**defaults, **config}}
        files.write_json(f"suites/search/data/chosen/{name}.json", chosen)
        write_evaluation(folder / "suites/search", f"chosen_{name}", 2.0 if name == "grid" else 0.4, test)
    return folder


def test_what_searches_chose_is_compared_and_handed_on(searched, monkeypatch, capsys):
    out = "suites/search/metrics/findings"
    assert run(monkeypatch, findings_stage, "--suite", "suites/search", "--out", out) == 0
    (entry,) = files.read_json(f"{out}/findings.json")["findings"]
    assert (entry["one"]["name"], entry["verdict"]) == ("chosen_grid", "better")
    table = pd.read_csv(f"{out}/table.csv")
    assert table["config"].tolist() == ["chosen_grid", "chosen_spectrogram"]
    assert table["differs"].tolist() == ["momentum: 0.8", "frontend: mel, hidden: 200"]
    assert run(monkeypatch, publish, *published_from("search")) == 0
    assert list(files.read_json("suites/search/results.json")["configs"]) == ["chosen_grid", "chosen_spectrogram"]
    capsys.readouterr()
    assert command.main(["findings", "search"]) == 0
    assert "Does the grid help? Yes: chosen_grid" in capsys.readouterr().out
    text = Path("suites/search/params.yaml").read_text()
    Path("suites/search/params.yaml").write_text(text.replace("momentum: 0.9", "momentum: 0.5"))
    assert command.main(["findings", "search"]) == 0
    assert "Made for other questions or settings than are set now: search." in capsys.readouterr().out


def test_a_chosen_config_that_is_another_is_named(searched, monkeypatch, capsys):
    files.write_json("suites/search/data/chosen/grid.json", {"name": "chosen_batch", "config": {}})
    out = "suites/search/metrics/findings"
    assert run(monkeypatch, findings_stage, "--suite", "suites/search", "--out", out) == 1
    assert "data/chosen/grid.json: not a config 'chosen_grid' as a search writes it" in capsys.readouterr().err


def published_from(suite, *more):
    folder = f"suites/{suite}"
    where = ("--results", f"{folder}/results.json", "--published", f"{folder}/published")
    return ("--suite", folder, *where, "--done", f"{folder}/data/done.txt", *more)


def test_scores_and_findings_are_handed_on_with_the_settings_that_they_are_of(folder, monkeypatch, capsys):
    assert run_suite(monkeypatch) == 0
    assert run(monkeypatch, publish, *published_from("mine")) == 0
    results = files.read_json("suites/mine/results.json")
    assert set(results) == {"configs", "findings"}
    assert results["findings"] == files.read_json("suites/mine/metrics/findings/findings.json")
    settings = params.load_suite("suites/mine", params.load())
    for name in ("merged", "standard"):
        scores = files.read_json(f"suites/mine/metrics/{name}.json")
        assert results["configs"][name] == {
            **scores,
            "settings": params.of_a_score(settings, params.config(settings, name)),
        }
    assert Path("suites/mine/data/done.txt").read_text().split() == ["merged", "standard"]
    capsys.readouterr()
    assert command.main(["findings", "mine"]) == 0
    printed = capsys.readouterr().out
    for entry in results["findings"]["findings"]:
        assert entry["short"] in printed
    assert "Not answered: Is it of the vocabulary?" in printed


def test_without_findings_a_suite_is_not_handed_on(folder, monkeypatch, capsys):
    assert run(monkeypatch, publish, *published_from("mine")) == 1
    assert "suites/mine/metrics/findings/findings.json: no such file" in capsys.readouterr().err
    assert not Path("suites/mine/results.json").exists()


PICTURES = {"one.png": {"title": "One", "caption": "Look."}, "two.png": {"title": "Two", "caption": "Look again."}}


def draw(folder, captions):
    for name in captions:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    files.write_json(folder / "captions.json", captions)


def test_table_and_figures_are_handed_on_whole_and_what_is_stale_goes(folder, monkeypatch, capsys):
    published, drawn = Path("suites/mine/published"), Path("suites/mine/reports")
    draw(published, {"of old.png": {"title": "Old", "caption": "Old."}})
    draw(drawn, PICTURES)
    run_suite(monkeypatch)
    assert run(monkeypatch, publish, *published_from("mine", "--figures", drawn)) == 0
    assert {path.name for path in published.iterdir()} == {"table.md", "captions.json", *PICTURES}
    assert files.read_json(published / "captions.json") == PICTURES
    assert (published / "two.png").read_bytes() == b"two.png"
    table = Path("suites/mine/metrics/findings/table.md").read_bytes()
    assert (published / "table.md").read_bytes() == table

    before = {path: path.read_bytes() for path in [*published.iterdir(), Path("suites/mine/results.json")]}
    (drawn / "two.png").unlink()
    assert run(monkeypatch, publish, *published_from("mine", "--figures", drawn)) == 1
    assert "suites/mine/reports/two.png: no such file" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in [*published.iterdir(), Path("suites/mine/results.json")]} == before
    assert {path.name for path in published.parent.iterdir() if path.name.startswith(".")} == set()


def test_a_suite_that_draws_nothing_hands_on_its_table(folder, monkeypatch):
    run_suite(monkeypatch)
    assert run(monkeypatch, publish, *published_from("mine")) == 0
    assert {path.name for path in Path("suites/mine/published").iterdir()} == {"table.md", "captions.json"}
    assert files.read_json("suites/mine/published/captions.json") == {}


def test_the_tables_mark_what_is_within_noise_of_the_best_and_compare_all_rows_at_once(folder, monkeypatch):
    files.write_json("metrics/baselines.json", {"loudness": files.read_json("metrics/base.json"), "ceiling": None})
    files.write_text("suites/flat/params.yaml", yaml.safe_dump({"experiments": {"flat": {"frontend": "flat"}}}))
    suite = params.load_suite("suites/flat", params.load())
    scores = files.read_json("metrics/base.json") | {"settings": params.of_a_score(suite, params.config(suite, "flat"))}
    files.write_json("suites/flat/results.json", {"configs": {"flat": scores}, "findings": None})
    places = {"predictions": "data/predictions", "split": "data/split/split.tsv", "baselines": "metrics/baselines.json"}
    places |= {"flat": "suites/flat", "out": "metrics/tables"}
    assert run(monkeypatch, aggregate, *(word for key, place in places.items() for word in (f"--{key}", place))) == 0
    table = pd.read_csv("metrics/tables/table2.csv", keep_default_na=False).set_index("config")["within_noise"]
    assert table.to_dict() == {"flat": "", "base": "no", "raw_bn": "best", "linear model on loudness": ""}
    compared = pd.read_csv("metrics/tables/comparisons.csv")
    assert compared["contrast"].unique().tolist() == ["raw_bn - base"]
    assert compared.loc[0, "shown"] and compared.loc[0, "low"] > 0
    for name, words in {
        "table1": "Within noise of the best",
        "table2": "can show",
        "comparisons": "simultaneous",
    }.items():
        assert words in Path(f"metrics/tables/{name}.md").read_text()
