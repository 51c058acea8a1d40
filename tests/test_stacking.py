"""Networks of several seeds trained as one stack: each comes to what it comes to alone."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import DEFAULTS
from wavetag import networks, scaling, splits, stacking, training

CONFIG = DEFAULTS | {"filters": 8, "learning_rate": 0.02, "momentum": 0.9, "epochs": 3, "seeds": [3, 0, 7]}
SLOW = {"learning_rate": 0.001}
torch.set_num_threads(1)

RECIPES = {
    "raw": {},
    "overlapping filters": {"length": 512, "stride": 256},
    "filters that are no whole number of strides": {"length": 300, "stride": 256},
    "regularised": {"batch_norm": True, "dropout": 0.5, "weight_decay": 1e-4},
    "pooled filters": {
        "nonlinearity": "log_square",
        "feature_pool": "l2",
        "feature_pool_size": 2,
        "learning_rate": 0.001,
    },
    "frozen filters": {"frozen": True},
    "mel": {"frontend": "mel", "batch_norm": True, "bands": 16},
    "linear": {"frontend": "linear", "dropout": 0.2, "optimizer": "adam"},
    "one channel": {"frontend": "flat", "batch_norm": True},
    "features pooled": {"pool": "features"},
    "a loss for each window": {"pool": "window_loss", "train_windows": 1},
    "negative tags": {"negative_tags": "oversample", "decay": 0.5, "decay_every": 1},
    "masked": {"negative_tags": "mask"},
}


class Stopped(Exception):
    """What the tests stop a training with."""


def parts(prepared):
    return [training.Clips(prepared.array, prepared.split.only(name)) for name in (splits.TRAIN, splits.VALID)]


def shared(prepared):
    clips = prepared.split.only(splits.TRAIN).clips
    statistics = scaling.statistics(prepared.array, clips["row"], clips["windows"], prepared.window_samples)
    return [*parts(prepared), statistics, prepared.sample_rate, prepared.window_samples]


def alone(prepared, settings, **arguments):
    config = CONFIG | settings
    return [training.run(config, seed, *shared(prepared), **arguments) for seed in config["seeds"]]


def stacked(prepared, settings, **arguments):
    config = CONFIG | settings
    return training.run_stacked(config, config["seeds"], *shared(prepared), **arguments)


def assert_close(one, other, tolerance=1e-4):
    """What ReLU and maxima make of rounding grows from step to step: of trainings that are not too quick."""
    assert [row["seed"] for row in one.history] == [row["seed"] for row in other.history]
    for row, expected in zip(one.history, other.history, strict=True):
        for key, value in row.items():
            assert value == pytest.approx(expected[key], abs=2e-3 if "roc_auc" in key else 1e-4), key
    assert one.best_epoch == other.best_epoch
    state, expected = one.network.state_dict(), other.network.state_dict()
    assert state.keys() == expected.keys()
    for name, value in state.items():
        assert torch.allclose(value, expected[name], rtol=1e-3, atol=tolerance), name


def assert_same(one, other):
    assert one.history == other.history
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name]), name


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "one channel"])
def test_each_seed_comes_to_what_it_comes_to_alone(tiny_prepared, recipe):
    settings = RECIPES[recipe] | {"epochs": 2, "learning_rate": 0.001}
    both = list(zip(stacked(tiny_prepared, settings), alone(tiny_prepared, settings), strict=True))
    assert len(both) == 3
    for one, other in both:
        assert_close(one, other)
    losses = [[row["train_loss"] for row in one.history] for one, _ in both]
    assert all(abs(first - second) > 1e-3 for first, second in losses), (
        "an epoch changes more than what counts as equal"
    )
    assert abs(losses[0][0] - losses[1][0]) > 1e-3, "seeds are networks of their own"


@pytest.mark.parametrize("settings", RECIPES.values(), ids=RECIPES.keys())
def test_a_members_gradients_are_its_own_and_know_nothing_of_the_others(tiny_prepared, settings):
    """In float64, where rounding is out of sight."""
    train, _, statistics, rate, window = shared(tiny_prepared)
    config, members = CONFIG | settings, []
    for seed in range(3):
        torch.manual_seed(seed)
        member = networks.Tagger(config, statistics, len(train.split.tags), rate, window).double()
        member.trunk.dropout.generator = torch.Generator().manual_seed(seed)
        members.append(member)
    chosen = [np.array([0, 5, 9]), np.array([1, 2, 3]), np.array([40, 9, 0])]
    windows = torch.stack([train.windows(of) for of in chosen])
    scaled = [member.scaled(train.samples(of)).double() for member, of in zip(members, chosen, strict=True)]
    fronts = [
        member.frontend(of.flatten(0, 1)).unflatten(0, of.shape[:2]) for member, of in zip(members, scaled, strict=True)
    ]
    stack = stacking.Stack(members)
    front = stack.learned(scaled) if members[0].frontend.learns else stack.fixed(fronts)
    learned = {name: weight for name, weight in stack.network.named_parameters() if weight.requires_grad}
    found = stack.tag(front, windows)[1]
    together = torch.autograd.grad(found.sum(), list(learned.values()))
    members[1].trunk.dropout.generator.manual_seed(1)
    expected = members[1].tag(fronts[1], windows[1])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    own = torch.autograd.grad(expected.sum(), [members[1].get_parameter(name) for name in learned])
    for name, of_all, of_one in zip(learned, together, own, strict=True):
        first, middle, last = of_all.chunk(3)
        assert not first.any() and not last.any(), name
        torch.testing.assert_close(middle, of_one, rtol=1e-9, atol=1e-12)


def test_the_same_seeds_give_the_same_numbers_again(tiny_prepared):
    settings = {"batch_norm": True, "dropout": 0.5}
    for one, other in zip(stacked(tiny_prepared, settings), stacked(tiny_prepared, settings), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("after", [1, 2])
def test_stopped_after_an_epoch_and_taken_up_is_as_if_never_stopped(tiny_prepared, tmp_path, after):
    settings, checkpoint, epochs = {"batch_norm": True, "dropout": 0.5}, tmp_path / "seeds.pt", []

    def stop(row, seconds_left):
        if row["epoch"] == after:
            raise Stopped

    with pytest.raises(Stopped):
        stacked(tiny_prepared, settings, checkpoint=checkpoint, report=stop)
    torch.manual_seed(99)
    report = lambda row, left: epochs.append((row["seed"], row["epoch"]))  # noqa: E731
    taken_up = stacked(tiny_prepared, settings, checkpoint=checkpoint, report=report)
    assert epochs == [(seed, epoch) for epoch in range(after + 1, 4) for seed in CONFIG["seeds"]]
    for one, other in zip(taken_up, stacked(tiny_prepared, settings), strict=True):
        assert_same(one, other)


def test_a_seed_that_is_done_leaves_and_the_others_go_on(tiny_prepared, monkeypatch):
    of_each = []
    whole = training.train_epoch_stacked

    def watched(trainings, *arguments):
        of_each.append(len(trainings))
        return whole(trainings, *arguments)

    def ended(history, config):
        return len(history) >= {3: 1, 0: 3, 7: 2}.get(history[0]["seed"] if history else None, 3)

    monkeypatch.setattr(training, "train_epoch_stacked", watched)
    monkeypatch.setattr(training, "ended", ended)
    found = stacked(tiny_prepared, SLOW)
    assert of_each == [3, 2, 1]
    assert [len(one.history) for one in found] == [1, 3, 2]
    for one, other in zip(found, alone(tiny_prepared, SLOW), strict=True):
        assert_close(one, other)


def test_a_seed_that_diverges_takes_nothing_from_the_others(tiny_prepared, tmp_path, monkeypatch):
    """The second network's weights become what no number is, in the second epoch's second step."""
    expected, steps, checkpoint = alone(tiny_prepared, SLOW), [], tmp_path / "seeds.pt"
    whole = stacking.Stack.tag

    def broken(stack, front, windows):
        found = whole(stack, front, windows)
        steps.append(len(stack.members))
        if len(steps) == 7:  # 48 clips are five minibatches an epoch
            found = found * torch.tensor([1.0, torch.nan, 1.0])[:, None, None]
        return found

    monkeypatch.setattr(stacking.Stack, "tag", broken)
    found = stacked(tiny_prepared, SLOW, checkpoint=checkpoint)
    assert steps == [3] * 10 + [2] * 5
    assert [len(one.history) for one in found] == [3, 1, 3]
    for number in (0, 2):
        assert_close(found[number], expected[number])
    assert found[1].history[0] == pytest.approx(expected[1].history[0], abs=1e-3)
    again = stacked(tiny_prepared, SLOW, checkpoint=checkpoint, report=lambda *row: pytest.fail("trained again"))
    assert [one.history for one in again] == [one.history for one in found]


def test_all_that_diverge_at_once_is_told_of(tiny_prepared):
    with pytest.raises(training.Diverged, match="seed 3: the loss was not a finite number in the first epoch"):
        stacked(tiny_prepared, {"learning_rate": 1e30})


@pytest.mark.parametrize("settings", [{"frontend": "fourier"}, {"frontend": "log_mel", "network": "fcn"}])
def test_what_cannot_be_stacked_is_refused_before_it_is_trained(tiny_prepared, settings, monkeypatch):
    monkeypatch.setattr(training, "Fronts", lambda *arguments: pytest.fail("begun"))
    monkeypatch.setattr(stacking, "stacks", lambda network: False)
    with pytest.raises(ValueError, match="cannot be stacked: that takes network trunk behind raw"):
        stacked(tiny_prepared, {})


def test_a_full_disk_keeps_the_last_whole_checkpoint_of_all(tiny_prepared, tmp_path, monkeypatch):
    checkpoint = tmp_path / "seeds.pt"
    stacked(tiny_prepared, {"epochs": 1}, checkpoint=checkpoint)
    whole = checkpoint.read_bytes()

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device"):
        stacked(tiny_prepared, {"epochs": 2}, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == whole
