"""Figures show what was planted in the numbers; which files there are follows params.yaml."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from sklearn.metrics import average_precision_score

from wavetag import evaluations, examples, figures, files, frontends, scoring, splits

ROOT = Path(__file__).resolve().parents[1]
TAGS = ("guitar", "no $beat", "<b>rock</b>", "piano", "sitar", "techno", "flute", "choir", "harp", "violin")
DRAWN = {"configs.png", "examples.png", "loss_by_epoch.png", "roc_auc_by_epoch.png", "roc_auc_by_tag.png"}


def clips_to_test(labels: np.ndarray, tags: tuple[str, ...] = TAGS) -> splits.Split:
    rows = range(len(labels))
    clips = pd.DataFrame(
        {
            "row": rows,
            "clip_id": [str(100 + row) for row in rows],
            "path": [f"d/artist & co-album-01-song {row}-0-29.mp3" for row in rows],
            "part": "d",
            "artist": [f"artist {row // 2}" for row in rows],
            "song": [f"song {row}" for row in rows],
            "split": splits.TEST,
            "windows": 10,
            "seconds": 29.1,
            "artist_disjoint": 0,
        }
    )
    return splits.Split(clips, tags, labels)


@pytest.fixture
def planted() -> tuple[splits.Split, np.ndarray]:
    """Sixteen clips. Clip 5 is ranked perfectly, with three tags; 7 too, with one; 9 and 2 are the worst."""
    rng = np.random.default_rng(0)
    labels = np.zeros((16, len(TAGS)), dtype=np.uint8)
    predictions = rng.uniform(0.4, 0.6, size=(2, 16, len(TAGS)))
    for row in range(16):
        # Two true tags, at the third and fifth place: average precision (1/3 + 2/5) / 2.
        order = rng.permutation(len(TAGS))
        labels[row, order[[2, 4]]] = 1
        predictions[:, row, order] = np.linspace(0.9, 0.1, len(TAGS))
    labels[5], labels[7], labels[9], labels[2] = 0, 0, 0, 0
    labels[5, [0, 3, 6]] = 1
    predictions[:, 5] = np.where(labels[5], 0.8, 0.2)
    labels[7, 4] = 1
    predictions[:, 7] = np.where(labels[7], 0.9, 0.1)
    labels[9, 8] = 1
    predictions[:, 9] = np.linspace(0.3, 0.9, len(TAGS))
    predictions[:, 9, 8] = 0.01  # the last of ten
    labels[2, [1, 5]] = 1
    predictions[:, 2] = 0.5
    predictions[:, 2, [1, 5]] = [0.1, 0.2]  # the last two
    return clips_to_test(labels), predictions


def test_a_clips_score_is_scikit_learns(planted):
    test, predictions = planted
    of_clips = examples.clip_average_precision(test.labels, predictions[0])
    expected = [
        average_precision_score(truth, scores) for truth, scores in zip(test.labels, predictions[0], strict=True)
    ]
    np.testing.assert_allclose(of_clips, expected)


def test_the_planted_clips_are_chosen(planted):
    test, predictions = planted
    chosen = examples.choose(test.labels, predictions.mean(axis=0))
    assert [(kind, row) for kind, row, _ in chosen] == [("best", 5), ("worst", 9), ("worst", 2)]
    assert [precision for _, _, precision in chosen] == pytest.approx([1.0, 1 / 10, (1 / 9 + 2 / 10) / 2])


def test_typical_clips_are_those_nearest_the_median(planted):
    test, predictions = planted
    chosen = examples.choose(test.labels, predictions.mean(axis=0), examples.OF_A_PAGE)
    assert [kind for kind, _, _ in chosen] == ["best"] + ["typical"] * 3 + ["worst"] * 3
    usual = (1 / 3 + 2 / 5) / 2  # twelve of the sixteen clips
    assert [precision for kind, _, precision in chosen if kind == "typical"] == pytest.approx([usual] * 3)
    assert len({row for _, row, _ in chosen}) == len(chosen)


def test_no_song_is_shown_twice(planted):
    test, predictions = planted
    songs = ["one"] * 8 + ["another"] * 8
    chosen = examples.choose(test.labels, predictions.mean(axis=0), {"worst": 3}, songs)
    assert [row for _, row, _ in chosen] == [9, 2]


def test_the_featured_config_is_the_best_on_the_validation_clips_at_the_epochs_that_were_kept():
    early, late = history(), history()
    late["valid_roc_auc"] += 0.01
    configs = {"late": figures.Curves(late, {0: 1, 1: 1, 2: 1}), "early": figures.Curves(early, {0: 5, 1: 5, 2: 4})}
    assert figures.validation_scores(configs)["early"] == pytest.approx(0.5 + 0.25 * (1 + 1 + 0.8) / 3)
    assert figures.best_by_validation(configs) == "early"
    with pytest.raises(ValueError, match="no config has a validation ROC-AUC"):
        figures.best_by_validation({"untrained": figures.Curves(early, {})})


def test_a_clip_without_tags_or_a_single_clip_is_no_trouble():
    nothing = np.zeros((3, 4), dtype=np.uint8)
    assert examples.choose(nothing, np.full((3, 4), 0.5)) == []
    one = np.array([[1, 1, 1, 0]], dtype=np.uint8)
    assert examples.choose(one, np.array([[0.9, 0.8, 0.7, 0.1]])) == [("best", 0, 1.0)]


def test_the_table_holds_what_was_found_and_what_was_missed(planted):
    frame = examples.table(*planted)
    assert list(frame.columns) == list(examples.COLUMNS)
    good, worst, second = examples.clips(frame)
    assert set(good.loc[good["true"], "tag"]) == {"guitar", "piano", "flute"}
    assert good.loc[good["true"], "found"].all()
    missed = worst[worst["true"] & ~worst["found"]]
    assert missed[["tag", "rank"]].to_numpy().tolist() == [["harp", 10]]
    assert missed["probability"].item() == pytest.approx(0.01)
    assert worst["path"].iloc[0] == "d/artist & co-album-01-song 9-0-29.mp3"
    assert len(good) == examples.SHOWN
    assert second[~second["found"] & second["true"]]["tag"].tolist() == ["techno", "no $beat"]


def test_the_planted_tags_are_best_and_worst():
    rows = [{"tag": str(number), "roc_auc": number / 10} for number in (3, 9, 1, 5, 8, 2, 7)]
    rows.append({"tag": "never", "roc_auc": None})
    assert figures.best_and_worst(rows) == (["9", "8", "7"], ["1", "2", "3"], ["never"])


def test_no_tag_is_best_and_worst_at_once():
    rows = [{"tag": str(number), "roc_auc": number / 10} for number in (3, 9, 1)]
    assert figures.best_and_worst(rows) == (["9"], ["1"], [])
    assert figures.best_and_worst([{"tag": "never", "roc_auc": None}]) == ([], [], ["never"])


def test_every_tag_is_within_its_panel():
    rows = [{"tag": str(number), "positives": 3, "roc_auc": 1 - number / 40, "roc_auc_sd": 0.2} for number in range(30)]
    first, second = figures.by_tag("base", rows, "minitune").figure.axes
    assert first.get_xlim() == second.get_xlim()
    low, high = first.get_xlim()
    assert low < 1 - 29 / 40
    assert 1 < high < 1.1
    shown = [label.get_text() for axis in (first, second) for label in axis.get_yticklabels()]
    assert shown == [f"{number} (3)" for number in range(30)]


def history(seeds: int = 3, epochs: int = 5, top: float = 0.3) -> pd.DataFrame:
    """Losses and scores on straight lines: train falls to .1, validation ends at .2."""
    rows = []
    for seed in range(seeds):
        for epoch in range(1, epochs + 1):
            share = epoch / epochs
            losses = {"train_loss": top - share * (top - 0.1), "valid_loss": top - share * (top - 0.2)}
            scores = {"train_roc_auc": 0.5 + 0.4 * share, "valid_roc_auc": 0.5 + 0.25 * share}
            rows.append({"seed": seed, "epoch": epoch, "learning_rate": 0.05, **losses, **scores})
    return pd.DataFrame(rows)


def test_a_config_that_did_not_train_leaves_the_others_readable():
    usual = [figures.Curves(history(), {}) for _ in range(3)]
    wild = figures.Curves(history(top=30), {})
    low, high = figures.axis_limits("loss", [*usual, wild])
    later = history().query("epoch > 1")["valid_loss"].max()
    assert low < 0.1
    assert later <= high < 1
    assert figures.axis_limits("loss", usual)[1] < 0.4


def test_the_first_epoch_of_a_loss_does_not_stretch_the_axis():
    fallen = history()
    fallen.loc[fallen["epoch"] == 1, ["train_loss", "valid_loss"]] = 0.9
    assert figures.axis_limits("loss", [figures.Curves(fallen, {})])[1] < 0.4
    only = history(epochs=1)
    assert figures.axis_limits("loss", [figures.Curves(only, {})])[1] >= only["valid_loss"].max()


def test_values_that_are_no_numbers_are_left_out_of_the_axis():
    broken = history()
    broken.loc[2:, ["train_loss", "valid_loss"]] = np.nan
    assert np.isfinite(figures.axis_limits("loss", [figures.Curves(broken, {})])).all()
    broken[["train_loss", "valid_loss"]] = np.nan
    assert figures.axis_limits("loss", [figures.Curves(broken, {})]) == (0.0, 1.0)
    assert figures.by_epoch("loss", {"broken": figures.Curves(broken, {0: 1})}, "minitune").figure


@pytest.mark.parametrize("configs", [1, 2, 5, 30])
def test_curves_have_a_panel_a_config_and_a_dot_a_seed(configs):
    curves = {f"config_{number}": figures.Curves(history(), {0: 2, 1: 3, 2: 3}) for number in range(configs)}
    drawing = figures.by_epoch("roc_auc", curves, "minitune")
    panels = [axis for axis in drawing.figure.axes if axis.get_visible()]
    assert [axis.get_title(loc="left") for axis in panels] == list(curves)
    dots = [line for line in panels[0].lines if line.get_marker() == "o"]
    assert sorted(float(line.get_xdata()[0]) for line in dots) == [2, 3, 3]
    assert sorted(float(line.get_ydata()[0]) for line in dots) == pytest.approx([0.6, 0.65, 0.65])


def test_the_mean_of_the_seeds_is_the_thick_line():
    uneven = history(seeds=2)
    uneven.loc[uneven["seed"] == 1, "valid_roc_auc"] += 0.1
    axis = figures.by_epoch("roc_auc", {"base": figures.Curves(uneven, {})}, "minitune").figure.axes[0]
    thick = [line for line in axis.lines if line.get_linewidth() == 2 and line.get_color() == figures.VALID]
    assert len(thick) == 1
    np.testing.assert_allclose(thick[0].get_ydata(), 0.5 + 0.25 * np.arange(1, 6) / 5 + 0.05)


@pytest.mark.parametrize(
    ("dataset", "said"), [("minitune", "not MagnaTagATune"), ("magnatagatune", "dataset: magnatagatune")]
)
def test_every_figure_says_of_which_dataset_it_is(planted, dataset, said):
    test, predictions = planted
    rows = scoring.per_tag_table(test.labels, predictions, test.tags)
    frame = pd.DataFrame([("base", "raw", 0.8, 0.7, 0.9, [0.8])], columns=CONFIG_COLUMNS)
    drawings = [
        figures.by_epoch("loss", {"base": figures.Curves(history(), {0: 1})}, dataset),
        figures.by_tag("base", rows, dataset),
        figures.by_config(frame, {}, len(test), dataset),
        figures.of_examples("base", examples.table(test, predictions), dataset),
    ]
    for drawing in drawings:
        assert any(said in text.get_text() for text in drawing.figure.texts), drawing.title


def test_every_front_end_has_a_colour_of_its_own():
    assert set(figures.FRONTENDS) == set(frontends.FRONTENDS)
    assert len(set(figures.FRONTENDS.values())) == len(frontends.FRONTENDS)


CONFIG_COLUMNS = ["config", "frontend", "roc_auc", "low", "high", "seeds"]


def test_few_colours_are_enough(tmp_path):
    """A thin mark of a colour that hardly any pixel has keeps that colour."""
    drawing = figures.by_epoch("loss", {"base": figures.Curves(history(seeds=1, epochs=1), {0: 1})}, "minitune")
    figures.save(drawing.figure, tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as image:
        colours = np.array([colour for _, colour in image.convert("RGB").getcolors(1 << 24)])
    for wanted in (figures.TRAIN, figures.VALID, figures.PALE):
        components = [int(wanted[place : place + 2], 16) for place in (1, 3, 5)]
        assert np.abs(colours - components).max(axis=1).min() <= 2, wanted


def test_captions_name_what_stands_out(planted):
    frame = pd.DataFrame(
        [("base", "raw", 0.8, 0.7, 0.9, [0.8]), ("mel", "mel", 0.9, 0.8, 0.95, [0.89, 0.91])], columns=CONFIG_COLUMNS
    )
    caption = figures.by_config(frame, {"ceiling": 0.95}, 16, "minitune").caption
    assert "Highest: mel (.900); lowest: base (.800)" in caption
    early, late = figures.Curves(history(), {0: 2, 1: 2}), figures.Curves(history(), {0: 4, 1: 5})
    caption = figures.by_epoch("loss", {"early": early, "late": late}, "minitune").caption
    assert "earliest for early (2.0, mean over seeds) and latest for late (4.5)" in caption
    wide = history()
    wide["train_roc_auc"] += 0.05
    caption = figures.by_epoch("roc_auc", {"a": early, "b": figures.Curves(wide, {})}, "minitune").caption
    assert "0.200 for b (widest) and 0.150 for a (narrowest)" in caption


@pytest.fixture
def run(tmp_path, monkeypatch, planted):
    """A folder as a pipeline with two configs leaves it, and the figures stage to run in it."""
    test, predictions = planted
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["experiments"] = {
        "base": {"sample_rate": 12_000, "seeds": [0, 1]},
        "mel": {"sample_rate": 12_000, "frontend": "mel", "seeds": [0, 1]},
    }
    settings["tables"] = {"table1": [], "table2": []}
    settings["questions"] = []
    write_settings(tmp_path, settings)
    (tmp_path / "workflow").symlink_to(ROOT / "workflow")
    splits.write(tmp_path / "split.tsv", test)
    for name in settings["experiments"]:
        metrics = scoring.score_table(test.labels, predictions, test.tags, test.clips["artist"].to_numpy(), 20)
        evaluations.write(tmp_path / "predictions" / f"{name}.npz", predictions, metrics)
        files.write_table(tmp_path / "models" / name / "history.csv", history(seeds=2))
        files.write_json(tmp_path / "models" / name / "config.json", {"chosen_epochs": {"0": 3, "1": 4}})
    files.write_json(tmp_path / "baselines.json", {"loudness": {"roc_auc": 0.6}, "ceiling": None})
    monkeypatch.chdir(tmp_path)
    command = "figures --models models --predictions predictions --split split.tsv --out reports/figures"

    def stage(*more: str) -> int:
        from wavetag.stages import figures as of_figures

        monkeypatch.setattr(sys, "argv", [*command.split(), *more])
        return of_figures.main()

    return stage


def write_settings(folder: Path, settings: dict) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_stage_writes_every_figure_and_the_same_bytes_again(run, tmp_path):
    folder = tmp_path / "reports" / "figures"
    assert run("--baselines", "baselines.json") == 0
    first = sums(folder)
    assert set(first) == DRAWN | {"captions.json", "examples.csv"}
    for name in DRAWN:
        assert (folder / name).stat().st_size < 200_000
        with Image.open(folder / name) as image:
            assert image.width == 1350
            assert len(image.convert("RGB").getcolors(1 << 24)) > 10
    assert set(json.loads((folder / "captions.json").read_text())) == DRAWN
    assert run("--baselines", "baselines.json") == 0
    assert sums(folder) == first


def test_nothing_of_a_removed_config_stays(run, tmp_path):
    folder = tmp_path / "reports" / "figures"
    folder.mkdir(parents=True)
    (folder / "old.png").touch()
    settings = yaml.safe_load((tmp_path / "params.yaml").read_text())
    del settings["experiments"]["base"]
    write_settings(tmp_path, settings)
    assert run() == 0  # though predictions and model of base are still there
    assert set(sums(folder)) == DRAWN | {"captions.json", "examples.csv"}
    captions = json.loads((folder / "captions.json").read_text())
    assert captions["examples.png"]["title"] == "Test clips that mel tagged best and worst"
    assert "base" not in captions["loss_by_epoch.png"]["caption"]


def test_what_is_missing_is_named_and_the_old_figures_stay(run, tmp_path, capsys):
    old = tmp_path / "reports" / "figures" / "old.png"
    old.parent.mkdir(parents=True)
    old.touch()
    (tmp_path / "models" / "mel" / "history.csv").unlink()
    assert run() == 1
    assert "models/mel/history.csv: no such file" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "reports").rglob("*.*")] == ["old.png"]
