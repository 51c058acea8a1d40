"""Trained taggers on disk."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import DEFAULTS
from wavetag import networks, tagger, training

CONFIG = DEFAULTS | {
    "length": 64,
    "stride": 64,
    "filters": 4,
    "batch_norm": True,
    "dropout": 0.5,
    "seeds": [3, 5],
}
ABOUT = {
    "name": "base",
    "config": CONFIG,
    "tags": ["rock", "heavy"],
    "sample_rate": 12_000,
    "window_samples": 2_000,
    "statistics": {"minimum": -900, "maximum": 1_100, "mean": 0.0, "standard_deviation": 300.0},
}
SAMPLES = torch.from_numpy(np.random.default_rng(0).integers(-900, 1_100, (3, 4_000)).astype(np.int16))
WINDOWS = torch.tensor([2, 2, 1])
torch.set_num_threads(1)


def trained(seed):
    """A training whose best weights are not its last ones."""
    torch.manual_seed(seed)
    network = networks.Tagger(CONFIG, ABOUT["statistics"], 2, 12_000, 2_000)
    network(SAMPLES, WINDOWS)  # so that batch norm has something to remember
    best = {key: value.detach().clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        network.classifier.bias += 1
    columns = ("train_loss", "valid_loss", "train_roc_auc", "valid_roc_auc")
    history = [{"seed": seed, "epoch": epoch} | dict.fromkeys(columns, seed + epoch / 10) for epoch in (1, 2)]
    return training.Training(network, None, history, best, best_epoch=1)


@pytest.fixture
def trainings():
    return {seed: trained(seed) for seed in CONFIG["seeds"]}


@pytest.fixture
def folder(tmp_path, trainings):
    tagger.write(tmp_path / "models" / "base", ABOUT, trainings)
    return tmp_path / "models" / "base"


@pytest.mark.parametrize("seed", CONFIG["seeds"])
def test_a_loaded_network_predicts_what_the_trained_one_does(folder, trainings, seed):
    network = trainings[seed].network.eval()
    with torch.no_grad():
        assert torch.equal(tagger.load(folder, seed, "last")(SAMPLES, WINDOWS), network(SAMPLES, WINDOWS))
        network.load_state_dict(trainings[seed].best)
        assert torch.equal(tagger.load(folder, seed)(SAMPLES, WINDOWS), network(SAMPLES, WINDOWS))


def test_the_folder_says_what_it_is(folder):
    about = tagger.about(folder)
    assert {key: about[key] for key in ABOUT} == ABOUT
    assert about["chosen_epochs"] == {"3": 1, "5": 1}
    history = pd.read_csv(folder / "history.csv")
    assert history[["seed", "epoch"]].to_numpy().tolist() == [[3, 1], [3, 2], [5, 1], [5, 2]]


def test_curves_are_means_over_seeds_by_epoch(folder):
    curves = tagger.curves(pd.read_csv(folder / "history.csv"))
    assert curves["epoch"].tolist() == [1, 2]
    assert curves["valid_loss"].tolist() == pytest.approx([4.1, 4.2])


def test_the_same_trainings_give_the_same_bytes(folder, trainings, tmp_path):
    tagger.write(tmp_path / "again", ABOUT, trainings)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_writing_again_leaves_nothing_of_the_older_folder(folder, trainings):
    tagger.write(folder, ABOUT, {3: trainings[3]})
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "history.csv", "seed_3_best.safetensors", "seed_3_last.safetensors"}
    assert [path.name for path in folder.parent.iterdir()] == ["base"]


def test_a_full_disk_is_told_as_such_and_keeps_the_older_folder(folder, trainings, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device"):
        tagger.write(folder, ABOUT | {"name": "other"}, trainings)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["base"]


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(tagger.ModelError, match=r"config.json: no such file: .* is not a model folder"):
        tagger.load(tmp_path, 3)


@pytest.mark.parametrize(
    "content", [b"", b'{"config": ', b"\xff\xfe", b"{}", b"[]", b'{"config": {"pool": "predictions"}}']
)
def test_a_config_that_is_not_a_models_is_refused_with_its_name(folder, content):
    (folder / "config.json").write_bytes(content)
    with pytest.raises(tagger.ModelError, match=r"config.json: not (valid JSON|a model's description)"):
        tagger.load(folder, 3)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    "damage", [cut_short, Path.unlink, lambda path: path.write_bytes(b""), lambda path: path.write_text("weights")]
)
def test_missing_or_damaged_weights_are_refused_with_their_name(folder, damage):
    damage(folder / "seed_3_best.safetensors")
    with pytest.raises(tagger.ModelError, match=r"seed_3_best.safetensors: cannot be loaded as this config's weights"):
        tagger.load(folder, 3)
    tagger.load(folder, 5)


def test_weights_of_another_network_are_refused(folder):
    about = json.loads((folder / "config.json").read_text())
    about["config"]["filters"] = 5
    (folder / "config.json").write_text(json.dumps(about))
    with pytest.raises(tagger.ModelError, match=r"seed_3_best.safetensors: cannot be loaded as this config's weights"):
        tagger.load(folder, 3)


def test_a_seed_that_was_not_trained_is_refused(folder):
    with pytest.raises(tagger.ModelError, match=r"seed_4_best.safetensors"):
        tagger.load(folder, 4)
