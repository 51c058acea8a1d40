"""Fine-tuning: what is taken over of a trained model, what is not, and that all else in training stays as it is."""

import argparse
import json

import pytest
import torch

from conftest import DEFAULTS
from test_training import CONFIG, Stopped, assert_same, last, run, same_weights
from wavetag import files, fine_tuning, model_folder, networks, splits, tagger, training
from wavetag.stages import train as stage

TINY = CONFIG | {"length": 64, "stride": 64, "filters": 4, "conv_filters": 4, "hidden": 8, "seeds": [3, 5]}
OUTPUTS = ("classifier.weight", "classifier.bias")
torch.set_num_threads(1)


def about(prepared, config=TINY, tags=None):
    return {
        "name": "base",
        "config": config,
        "tags": list(tags or prepared.split.tags),
        "sample_rate": prepared.sample_rate,
        "window_samples": prepared.window_samples,
        "statistics": {"minimum": -32_000, "maximum": 30_000, "mean": 0.0, "standard_deviation": 9_000.0},
    }


def untrained(prepared, config, tags, seed):
    """A training of no epochs, whose best weights are not its last ones."""
    torch.manual_seed(100 + seed)
    of = about(prepared)
    network = networks.Tagger(config, of["statistics"], len(tags), of["sample_rate"], of["window_samples"])
    best = {name: value.detach().clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network.classifier.bias += 1
    history = [dict.fromkeys(("train_loss", "valid_loss", "train_roc_auc", "valid_roc_auc"), 0.5)]
    return training.Training(network, None, [{"seed": seed, "epoch": 1} | history[0]], best, best_epoch=1)


@pytest.fixture
def model(tiny_prepared, tmp_path):
    """A function that writes a model's folder: of some settings and tags, as training leaves it."""

    def write(tags=("rock", "flute", "zither"), **settings):
        config = TINY | settings
        trainings = {seed: untrained(tiny_prepared, config, tags, seed) for seed in config["seeds"]}
        tagger.write(tmp_path / "pretrained/mine", about(tiny_prepared, config, tags), trainings)
        return tmp_path / "pretrained/mine"

    return write


def tuned(folder, **settings):
    return TINY | {"init_from": str(folder)} | settings


def begun(prepared, folder, seed=3, **settings):
    """The network of a seed before its first update: at a rate of almost nothing nothing moves."""
    settings = tuned(folder, learning_rate=1e-30, momentum=0.0, epochs=1) | settings
    start = fine_tuning.start(settings, seed)
    return run(prepared, settings, seed, start=start).network.state_dict()


def alike(one, other):
    return torch.allclose(one, other, rtol=0, atol=1e-25)


def best(folder, seed=3):
    return tagger.load(folder, seed).state_dict()


@pytest.mark.parametrize("settings", [{}, {"frontend": "linear", "batch_norm": True}, {"feature_pool": "none"}])
def test_front_end_trunk_and_scaling_are_the_models_and_outputs_those_of_tags_that_both_have(
    tiny_prepared, model, settings
):
    folder = model(**settings)
    ours, theirs = begun(tiny_prepared, folder, **settings), best(folder)
    random = begun(tiny_prepared, folder, **settings, init_from="pretrained/none")
    assert ours.keys() == theirs.keys()
    kept = [name for name in ours if name not in OUTPUTS and "running" not in name and "batches" not in name]
    assert {"scaling.offset", "scaling.gain", "trunk.conv1.weight", "trunk.dense.bias"} <= set(kept)
    assert all(alike(ours[name], theirs[name]) for name in kept)
    tags = tiny_prepared.split.tags
    rows = [tags.index("rock"), tags.index("flute")]
    others = [row for row in range(len(tags)) if row not in rows]
    for name in OUTPUTS:
        assert alike(ours[name][rows], theirs[name][:2])
        assert alike(ours[name][others], random[name][others])


def test_of_batch_norm_the_running_statistics_are_taken_over_too(tiny_prepared, model):
    folder = model(batch_norm=True)
    config = tuned(folder, batch_norm=True)
    torch.manual_seed(0)
    network = networks.Tagger(config, about(tiny_prepared)["statistics"], 50, 12_000, 12_000)
    with torch.no_grad():
        network.trunk.norm1.running_mean += 3
    fine_tuning.start(config, 3).into(network, tiny_prepared.split.tags)
    assert torch.equal(network.trunk.norm1.running_mean, best(folder)["trunk.norm1.running_mean"])


@pytest.mark.parametrize("settings", [{"dropout": 0.5}, {"frontend": "linear", "batch_norm": True}])
def test_what_is_drawn_at_random_is_drawn_as_without_a_model(tiny_prepared, tmp_path, settings):
    """Begun with the very weights that it would have begun with, a training comes to the same numbers."""
    settings = TINY | settings
    tags = tiny_prepared.split.tags
    torch.manual_seed(0)
    statistics = scaling_of(tiny_prepared)
    network = networks.Tagger(settings, statistics, len(tags), 12_000, 12_000)
    start = fine_tuning.Start(tmp_path, tags, network.state_dict())
    assert_same(run(tiny_prepared, settings, start=start), run(tiny_prepared, settings))


def scaling_of(prepared):
    from test_training import statistics_of

    return statistics_of(prepared)


def test_a_config_that_begins_at_random_has_nothing_to_begin_with(tiny_prepared):
    older = {key: value for key, value in TINY.items() if key != "init_from"}
    for config in (TINY, older):
        assert fine_tuning.start(config, 3) is None
        assert fine_tuning.summary(config, {}, ["rock"]) is None


def test_seeds_begin_with_the_models_networks_in_turn(model):
    folder = model()
    config = tuned(folder, seeds=[9, 3, 4])
    begun = [fine_tuning.start(config, seed).weights for seed in config["seeds"]]
    for weights, seed in zip(begun, (3, 5, 3), strict=True):
        assert same_weights(weights, best(folder, seed))


def one_network(folder):
    """The model as it is handed on: with one network."""
    (folder / "seed_5_best.safetensors").rename(folder / "model.safetensors")
    for path in folder.glob("seed_*"):
        path.unlink()
    return folder


def test_a_folder_with_one_network_begins_them_all(model):
    folder = model()
    theirs = best(folder, 5)
    one_network(folder)
    config = tuned(folder)
    assert all(same_weights(fine_tuning.start(config, seed).weights, theirs) for seed in config["seeds"])
    assert "(1 network)" in fine_tuning.summary(config, SETTINGS, ["rock", "harp"])


SETTINGS = {"prepare": {"clip_seconds": 2.0, "windows": 2}, "dataset": {"name": "tiny"}}


def test_what_it_begins_with_is_said_in_a_line(model):
    folder = model(tags=["zither", "flute", "rock"])
    said = fine_tuning.summary(tuned(folder), SETTINGS, ["rock", "harp", "flute", "bass"])
    assert said == f"begins with {folder} (2 networks), its tags rock, flute: 2 of 4 tags' outputs taken over"
    said = fine_tuning.summary(tuned(folder), SETTINGS, ["harp"])
    assert said == f"begins with {folder} (2 networks): 0 of 1 tags' outputs taken over"


def test_a_model_that_was_trained_with_other_settings_since_is_refused(model):
    folder = model()
    with pytest.raises(model_folder.ModelError, match=r"is of other settings than .*: filters 4, here 8"):
        fine_tuning.summary(tuned(folder, filters=8), SETTINGS, ["rock"])


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-10])


def with_weights(path, change):
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    change(weights)
    save_file(weights, path)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (cut_short, "cannot be read as a trained network's weights"),
        (lambda path: path.unlink(), "no such file, though config.json names its seed"),
        (lambda path: path.write_text("weights"), "cannot be read as a trained network's weights"),
        (
            lambda path: with_weights(path, lambda weights: weights["trunk.dense.bias"].fill_(float("nan"))),
            "not all weights are finite numbers",
        ),
        (
            lambda path: with_weights(path, lambda weights: weights.pop("trunk.dense.bias")),
            "not the weights of this experiment's network: trunk.dense.bias is missing",
        ),
        (
            lambda path: with_weights(path, lambda weights: weights.update({"trunk.more": torch.zeros(1)})),
            "not the weights of this experiment's network, which has no trunk.more",
        ),
        (
            lambda path: with_weights(path, lambda weights: weights.update({"classifier.bias": torch.zeros(2)})),
            r"classifier.bias has shape \[2\], not \[3\]",
        ),
        (
            lambda path: with_weights(path, lambda weights: weights.update({"trunk.dense.bias": torch.zeros(9)})),
            r"trunk.dense.bias has shape \[9\], not \[8\]",
        ),
    ],
)
def test_damaged_weights_are_refused_in_a_line_that_names_the_file(tiny_prepared, model, damage, told):
    folder = model()
    damage(folder / "seed_3_best.safetensors")
    with pytest.raises(model_folder.ModelError, match=rf"seed_3_best.safetensors: .*{told}"):
        begun(tiny_prepared, folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [("{", "not valid JSON"), ("{}", "not a model's description"), (None, "names no seeds"), ("", "not valid JSON")],
)
def test_a_folder_that_does_not_say_what_it_is_is_refused(model, content, told):
    folder = model()
    path = folder / "config.json"
    if content is None:
        content = json.dumps({**json.loads(path.read_text()), "chosen_epochs": {}})
    path.write_text(content)
    for ask in (lambda: fine_tuning.start(tuned(folder), 3), lambda: fine_tuning.summary(tuned(folder), SETTINGS, [])):
        with pytest.raises(model_folder.ModelError, match=rf"config.json: .*{told}"):
            ask()


def test_a_checkpoint_of_another_beginning_is_not_taken_up(tiny_prepared, model, tmp_path):
    folder, checkpoint = model(), tmp_path / "seed_3.pt"
    config = tuned(folder, epochs=1)
    epochs = []
    for seeds in ([3], [5, 3]):  # so that seed 3 begins with the first network, then with the second
        start = fine_tuning.start({**config, "seeds": seeds}, 3)
        run(tiny_prepared, config, 3, checkpoint=checkpoint, start=start, report=lambda row, left: epochs.append(row))
    assert len(epochs) == 2
    run(tiny_prepared, config, 3, checkpoint=checkpoint, start=start, report=lambda row, left: pytest.fail("again"))


def test_stopped_and_taken_up_it_is_as_if_never_stopped(tiny_prepared, model, tmp_path):
    config = tuned(model(), dropout=0.5)
    start, checkpoint = fine_tuning.start(config, 3), tmp_path / "seed_3.pt"

    def stop(row, seconds_left):
        raise Stopped

    with pytest.raises(Stopped):
        run(tiny_prepared, config, 3, checkpoint=checkpoint, start=start, report=stop)
    torch.manual_seed(99)
    epochs = []
    again = run(
        tiny_prepared,
        config,
        3,
        checkpoint=checkpoint,
        start=fine_tuning.start(config, 3),
        report=lambda row, left: epochs.append(row["epoch"]),
    )
    assert epochs == [2, 3]
    assert_same(again, run(tiny_prepared, config, 3, start=start))


# The stage


def train(prepared, folder, config):
    """What the stage does, with an array and a split on disk."""
    splits.write(folder / "split.tsv", prepared.split)
    files.write_json(folder / "statistics.json", scaling_of(prepared))
    paths = {"split": folder / "split.tsv", "statistics": folder / "statistics.json", "model": folder / "model"}
    paths |= {"curves": folder / "curves.csv", "timings": None, "checkpoints": folder / "checkpoints"}
    stage.train_all("tuned", config, SETTINGS, argparse.Namespace(clips=prepared.array_path, **paths))
    return folder / "model"


def test_the_stage_tunes_every_seed_says_so_and_keeps_what_it_began_with(
    tiny_prepared, model, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = model()
    config = tuned(folder, epochs=2, precision="float32", tune=[0.02, 0.01], tune_epochs=1, sample_rate=12_000)
    result = train(tiny_prepared, tmp_path, config)
    said = capsys.readouterr().out
    assert f"train tuned: begins with {folder} (2 networks), its tags flute, rock: 2 of 50 tags' outputs" in said
    description = tagger.about(result)
    assert description["config"]["init_from"] == str(folder)
    assert description["tags"] == list(tiny_prepared.split.tags)
    assert description["statistics"] == tagger.about(folder)["statistics"] != scaling_of(tiny_prepared)
    config |= {"learning_rate": description["config"]["learning_rate"]}
    for seed in config["seeds"]:
        alone = run(tiny_prepared, config, seed, start=fine_tuning.start(config, seed))
        assert same_weights(tagger.load(result, seed, "last").state_dict(), last(alone))
    assert best(result)["scaling.gain"] == best(folder)["scaling.gain"]


@pytest.mark.parametrize("name", ["config.json", "seed_5_best.safetensors"])
def test_the_stage_refuses_a_folder_that_is_not_whole_before_it_trains(
    tiny_prepared, model, tmp_path, monkeypatch, capsys, name
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = model()
    (folder / name).unlink()
    with pytest.raises(model_folder.ModelError, match=rf"{name}: no such file"):
        train(tiny_prepared, tmp_path, tuned(folder))
    assert "epoch" not in capsys.readouterr().out


def test_the_defaults_begin_at_random():
    from wavetag import params

    assert DEFAULTS["init_from"] == params.RANDOM
