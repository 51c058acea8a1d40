"""Evaluations on disk."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from wavetag import evaluations, splits

PREDICTIONS = np.random.default_rng(0).random((3, 5, 2))
NAMES = ("roc_auc", "average_precision", "clip_roc_auc")
METRICS = {"roc_auc": 0.75, "roc_auc_ci": [0.7, 0.8], "roc_auc_sd": None, "tags_undefined": ["chant"]}


def test_an_evaluation_is_read_back_as_it_was_written(tmp_path):
    evaluations.write(tmp_path / "base.npz", PREDICTIONS, METRICS)
    read = evaluations.read(tmp_path / "base.npz")
    assert read.metrics == METRICS
    assert read.predictions.dtype == np.float32
    np.testing.assert_array_equal(read.predictions, PREDICTIONS.astype(np.float32))


def test_tags_are_scored_in_each_view_of_the_test_clips():
    """Against scikit-learn, on the clips that a view is of."""
    rng = np.random.default_rng(0)
    labels, predictions = (rng.random((40, 2)) < 0.4).astype(np.uint8), rng.random((2, 40, 2))
    clips = pd.DataFrame({"artist": np.repeat(list("abcdefgh"), 5), "artist_disjoint": np.arange(40) % 2})
    test = splits.Split(clips, ("guitar", "slow"), labels)
    table = evaluations.by_tag(test, predictions, resamples=50, seed=1).set_index(["view", "tag"])
    chosen = {"tagged": labels.any(axis=1), "all": slice(None), "artist-disjoint": np.arange(40) % 2 == 1}
    assert list(table.index) == [(view, tag) for view in splits.VIEWS for tag in ("guitar", "slow")]
    for (view, tag), row in table.iterrows():
        truth, column = labels[chosen[view]], ("guitar", "slow").index(tag)
        expected = [roc_auc_score(truth[:, column], one[chosen[view]][:, column]) for one in predictions]
        assert row["roc_auc"] == pytest.approx(np.mean(expected))
        assert row["positives"] == truth[:, column].sum()
        assert row["roc_auc_ci_low"] < row["roc_auc"] < row["roc_auc_ci_high"]


def test_each_view_has_every_score_and_its_intervals():
    rng = np.random.default_rng(1)
    labels, predictions = (rng.random((40, 3)) < 0.4).astype(np.uint8), rng.random((2, 40, 3))
    clips = pd.DataFrame({"artist": np.repeat(list("abcdefgh"), 5), "artist_disjoint": np.arange(40) % 2})
    scores = evaluations.score_views(splits.Split(clips, ("guitar", "slow", "loud"), labels), predictions, 50, 0, 4)
    assert scores["view"] == "tagged"
    assert set(scores["views"]) == {"all", "artist-disjoint"}
    keys = {f"{name}{end}" for name in NAMES for end in ("", "_sd", "_ci", "_ci_clip")}
    keys |= {"tags_defined", "tags_undefined", "test_clips"}
    assert set(scores) == keys | {"view", "views"}
    for of_view in scores["views"].values():
        assert set(of_view) == keys
    for name in NAMES:
        low, high = scores[f"{name}_ci"]
        assert low < scores[name] < high


def test_a_view_without_a_clip_has_no_rows():
    split = splits.Split(
        pd.DataFrame({"artist": list("vwxyz"), "artist_disjoint": [0] * 5}), ("a", "b"), np.eye(5, 2, dtype=np.uint8)
    )
    assert set(evaluations.by_tag(split, PREDICTIONS)["view"]) == {"tagged", "all"}


def test_the_same_evaluation_gives_the_same_bytes(tmp_path):
    for name in ("one.npz", "two.npz"):
        evaluations.write(tmp_path / name, PREDICTIONS, METRICS)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_a_missing_evaluation_is_refused_with_its_name(tmp_path):
    with pytest.raises(ValueError, match=r"base.npz: no such file: evaluate this config first"):
        evaluations.read(tmp_path / "base.npz")


def cut_short(path):
    evaluations.write(path, PREDICTIONS, METRICS)
    path.write_bytes(path.read_bytes()[:-30])


def change_a_byte(path):
    evaluations.write(path, PREDICTIONS, METRICS)
    content = bytearray(path.read_bytes())
    content[content.index(PREDICTIONS.astype(np.float32).tobytes()) + 7] ^= 1
    path.write_bytes(content)


def of_another_kind(path):
    np.savez(path, predictions=PREDICTIONS)


def one_array(path):
    with path.open("wb") as file:
        np.save(file, PREDICTIONS)


def no_json(path):
    np.savez(path, predictions=PREDICTIONS, metrics=np.array("{"))


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        change_a_byte,
        of_another_kind,
        one_array,
        no_json,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not an archive"),
    ],
)
def test_a_file_that_is_no_whole_evaluation_is_refused_with_its_name(tmp_path, damage):
    path = tmp_path / "base.npz"
    damage(path)
    with pytest.raises(ValueError, match=r"base.npz: not a whole evaluation .*evaluate this config again"):
        evaluations.read(path)
