"""Models to hand on: the folder, its model card, and that it is all that is needed."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import trained_models
from test_model import music
from trained_models import RATE, TAGS
from wavetag import command, files, load_model, model_card, model_folder, release
from wavetag.stages import release as stage

SCORES = {
    "roc_auc": 0.763448,
    "roc_auc_sd": 0.007734,
    "roc_auc_ci": [0.738115, 0.789413],
    "average_precision": 0.223018,
    "average_precision_sd": 0.00382,
    "average_precision_ci": [0.192855, 0.258064],
    "test_clips": 398,
}
METRICS = {
    "view": "tagged",
    **SCORES,
    "views": {
        "all": {**SCORES, "roc_auc": 0.763005, "test_clips": 412},
        "artist-disjoint": {**SCORES, "test_clips": 163},
    },
    "seeds": 2,
    "parameters": 1234,
    "converged": True,
    "tags_defined": 5,
    "tags_undefined": ["birds & bees"],
    "chosen_epochs": [2, 2],
}
COLUMNS = ("view", "tag", "positives", "negatives", "roc_auc", "roc_auc_ci_low", "roc_auc_ci_high")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A pipeline's folder in which one config was trained and scored."""
    monkeypatch.chdir(tmp_path)
    trained_models.write(Path("models/base"))
    files.write_json("metrics/base.json", METRICS)
    rows = [("tagged", tag, 10 + number, 300, f"0.7{number}", "0.6", "0.8") for number, tag in enumerate(TAGS[:-1])]
    rows += [("tagged", TAGS[-1], 0, 310, "", "", ""), ("all", TAGS[0], 99, 300, "0.9", "0.8", "1.0")]
    Path("metrics/tags").mkdir()
    with Path("metrics/tags/base.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    Path("data/split").mkdir(parents=True)
    lines = ["clip_id\tsplit", "1\ttrain", "2\ttrain", "3\tvalid", "4\ttest", "5\ttest", "6\ttest"]
    Path("data/split/split.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def staged(monkeypatch) -> int:
    words = "--model models/base --metrics metrics/base.json --tags metrics/tags/base.csv --split data/split/split.tsv"
    monkeypatch.setattr(sys, "argv", ["release", *words.split(), "--out", "taggers/base"])
    return stage.main()


def card_of(folder: Path) -> tuple[dict, str]:
    """Its block of metadata, and its text."""
    _, block, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(block), text


def test_the_folder_has_one_network_that_tags_as_the_best_one_does(place, monkeypatch):
    assert staged(monkeypatch) == 0
    assert {path.name for path in Path("taggers/base").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    moved = shutil.move("taggers/base", place / "elsewhere")
    samples = music(3)
    assert np.array_equal(load_model(moved).predict(samples, RATE), load_model("models/base", 5).predict(samples, RATE))
    assert load_model(moved).seed == 5
    assert load_model(moved, 5).seed == 5
    with pytest.raises(model_folder.ModelError, match="seed 5 alone, not of 3"):
        load_model(moved, 3)


def test_the_description_says_all_that_is_needed_to_use_and_to_judge_it(place, monkeypatch):
    staged(monkeypatch)
    about = json.loads(Path("taggers/base/config.json").read_text())
    assert about["tags"] == list(TAGS)
    assert (about["sample_rate"], about["window_samples"]) == (RATE, trained_models.WINDOW)
    assert about["statistics"] == trained_models.STATISTICS
    assert about["config"]["filters"] == 8
    assert (about["seed"], about["chosen_epoch"]) == (5, 2)
    assert about["validation"] == {"roc_auc": 0.75, "of_seed": 0.8}
    assert about["dataset"]["name"] == "minitune"
    assert about["dataset"]["clips"] == {"train": 2, "valid": 1, "test": 3}
    assert "GPL-2" in about["dataset"]["licence"]
    assert about["metrics"]["roc_auc_ci"] == [0.738115, 0.789413]
    assert about["metrics"]["views"]["all"]["roc_auc"] == 0.763005
    assert about["tag_metrics"][0] == {"tag": "guitar", "positives": 10, "roc_auc": 0.7, "low": 0.6, "high": 0.8}
    assert about["tag_metrics"][-1] == {
        "tag": "birds & bees",
        "positives": 0,
        "roc_auc": None,
        "low": None,
        "high": None,
    }
    assert set(about["code"]) == {"wavetag", "sources", "torch"}


def test_the_card_has_the_block_that_hubs_read(place, monkeypatch):
    staged(monkeypatch)
    block, _ = card_of(Path("taggers/base"))
    assert block["license"] == "mit"
    assert (block["library_name"], block["pipeline_tag"]) == ("wavetag", "audio-classification")
    assert block["datasets"] == ["minitune"]
    [index] = block["model-index"]
    [result] = index["results"]
    assert index["name"] == "base"
    assert result["task"]["type"] == "audio-classification"
    assert result["dataset"]["type"] == "minitune"
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
        "roc_auc": 0.763448,
        "average_precision": 0.223018,
    }


def test_the_card_says_for_what_it_is_fit_and_how_well_it_does(place, monkeypatch):
    staged(monkeypatch)
    _, text = card_of(Path("taggers/base"))
    for said in (
        "no recording",
        "Not fit for, not tested on",
        "| tagged test clips | 398 | 0.763 ± 0.008 [0.738, 0.789] | 0.223 ± 0.004 [0.193, 0.258] |",
        "| artist-disjoint test clips | 163 |",
        "that of seed 5, epoch 2, which did best on the validation clips (0.800, mean of the 2 0.750)",
        "one channel at 12,000 Hz, 0.50 s at a time",
        "-32768 and 32767 of int16's scale",
        "| guitar | 10 | 0.700 [0.600, 0.800] |",
        "| birds & bees | 0 | – |",
        "2 clips to train, 1 to validate, 3 to test",
        "frontend: raw",
    ):
        assert said in text, said


@pytest.mark.parametrize(
    ("dataset", "licence", "said"),
    [
        ("magnatagatune", "cc-by-nc-sa-3.0", "CC BY-NC-SA 3.0"),
        ("coursework", "cc-by-nc-sa-3.0", "CC BY-NC-SA 3.0"),
        ("folder", "other", "for who trained this model to say"),
    ],
)
def test_other_training_data_has_its_own_licence_and_limits(tmp_path, dataset, licence, said):
    folder = trained_models.write(tmp_path / "base", dataset=dataset)
    about = release.release(folder, tmp_path / "out")
    block, text = card_of(tmp_path / "out")
    assert block["license"] == licence
    assert "model-index" not in block
    assert said in text
    assert "It was not scored on test clips." in text
    assert about["dataset"]["unfit"] in text


@pytest.mark.parametrize("scaling", ["minmax", "standard", "log", "none"])
@pytest.mark.parametrize("frontend", ["raw", "mel", "linear", "flat", "fourier", "log_mel", "samples"])
def test_every_kind_of_network_has_a_card(tmp_path, frontend, scaling):
    folder = trained_models.write(tmp_path / "base", {"frontend": frontend, "scaling": scaling})
    release.release(folder, tmp_path / "out")
    _, text = card_of(tmp_path / "out")
    assert f"scaling: {scaling}" in text
    assert "None" not in text


def test_settings_are_handed_on_to_the_last_digit(tmp_path):
    folder = trained_models.write(tmp_path / "base", {"weight_decay": 1.5e-8})
    assert release.release(folder, tmp_path / "out")["config"]["weight_decay"] == 1.5e-8


def test_a_tag_cannot_break_the_card(tmp_path):
    tags = ("a|b", "<script>", "*loud*", "[a](b)", "---")
    release.release(trained_models.write(tmp_path / "base", tags=tags), tmp_path / "out")
    block, text = card_of(tmp_path / "out")
    assert block["library_name"] == "wavetag"
    assert r"a\|b, \<script\>, \*loud\*, \[a\](b)" in text


def test_the_same_model_gives_the_same_bytes(place, monkeypatch):
    staged(monkeypatch)
    before = {path.name: path.read_bytes() for path in Path("taggers/base").iterdir()}
    staged(monkeypatch)
    assert {path.name: path.read_bytes() for path in Path("taggers/base").iterdir()} == before


@pytest.mark.parametrize("gone", ["metrics/base.json", "metrics/tags/base.csv", "data/split/split.tsv"])
def test_what_is_missing_is_named(place, monkeypatch, capsys, gone):
    Path(gone).unlink()
    assert staged(monkeypatch) == 1
    assert capsys.readouterr().err.startswith(f"release: {gone}: no such file")
    assert not Path("taggers/base").exists()


def test_damage_is_told_and_leaves_the_older_folder(place, monkeypatch, capsys):
    staged(monkeypatch)
    Path("models/base/seed_5_best.safetensors").unlink()
    assert staged(monkeypatch) == 1
    assert "seed_5_best.safetensors: no such file" in capsys.readouterr().err
    assert load_model("taggers/base").seed == 5


def test_the_command_releases_by_name_with_the_scores_that_lie_beside(place, capsys):
    assert command.main(["release", "base", "mine"]) == 0
    assert "mine/README.md" in capsys.readouterr().out
    assert "0.763 ± 0.008" in Path("mine/README.md").read_text()
    assert command.main(["release", "base", "mine"]) == 1
    assert capsys.readouterr().err == "wavetag release: mine: is there already, and not empty: name a new folder\n"
    assert command.main(["release", "mine", "again"]) == 1
    assert "a model that was released already: copy it" in capsys.readouterr().err


def test_of_a_config_that_was_not_scored_the_command_says_so(place, capsys):
    shutil.rmtree("metrics")
    assert command.main(["release", "models/base", "mine"]) == 0
    assert "metrics/base.json: no such file: the model card will have no scores" in capsys.readouterr().out
    assert "It was not scored on test clips." in Path("mine/README.md").read_text()


def test_a_released_model_is_the_first_that_is_looked_for(place, monkeypatch):
    trained_models.write(Path("models/better"), scores=(0.9, 0.9))
    assert model_folder.find() == Path("models/better")
    staged(monkeypatch)
    assert model_folder.find() == Path("taggers/base")
    assert model_folder.find("base") == Path("taggers/base")


def test_every_dataset_of_the_pipeline_has_its_licence():
    schema = yaml.safe_load((Path(__file__).resolve().parents[1] / "workflow/schemas/params.schema.yaml").read_text())
    assert set(model_card.DATASETS) == set(schema["properties"]["dataset"]["properties"]["name"]["enum"])
