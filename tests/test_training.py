"""Training: the same numbers again, stopped or not, from the training clips alone, and the epoch that is kept."""

import errno
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from conftest import DEFAULTS
from wavetag import files, frontends, networks, scaling, scoring, splits, training

CONFIG = DEFAULTS | {"filters": 8, "learning_rate": 0.02, "momentum": 0.9, "epochs": 3, "select": "loss"}
torch.set_num_threads(1)


class Stopped(Exception):
    """What the tests stop a training with."""


def statistics_of(prepared, array=None):
    train = prepared.split.only(splits.TRAIN).clips
    array = prepared.array if array is None else array
    return scaling.statistics(array, train["row"], train["windows"], prepared.window_samples)


def run(prepared, settings, seed=0, array=None, **arguments):
    array = prepared.array if array is None else array
    return training.run(
        CONFIG | settings,
        seed,
        training.Clips(array, prepared.split.only(splits.TRAIN)),
        training.Clips(array, prepared.split.only(splits.VALID)),
        statistics_of(prepared, array),
        prepared.sample_rate,
        prepared.window_samples,
        **arguments,
    )


def last(trained):
    return trained.network.state_dict()


def same_weights(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def assert_same(one, other):
    assert one.history == other.history
    assert one.best_epoch == other.best_epoch
    assert same_weights(one.best, other.best)
    assert same_weights(last(one), last(other))


RECIPES = {
    "raw": {},
    "raw, dropout": {"dropout": 0.5},
    "linear, batch norm, dropout": {"frontend": "linear", "batch_norm": True, "dropout": 0.5},
    "raw, loss of each window": {"pool": "window_loss", "batch_norm": True},
}
each_recipe = pytest.mark.parametrize("settings", list(RECIPES.values()), ids=list(RECIPES))


each_precision = pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])


@each_recipe
@each_precision
def test_the_same_seed_gives_the_same_numbers_twice(tiny_prepared, settings, precision):
    assert_same(*(run(tiny_prepared, settings, precision=precision) for _ in range(2)))


@each_recipe
def test_bfloat16_learns_as_float32_does_with_weights_and_scores_in_float32(tiny_prepared, settings):
    """The same first weights and batches; with batch norm, 5 steps an epoch of so few clips part quickly."""
    exact, rounded = (run(tiny_prepared, settings, precision=kind) for kind in (torch.float32, torch.bfloat16))
    assert not same_weights(last(exact), last(rounded))
    assert all(value.dtype != torch.bfloat16 for value in last(rounded).values())
    losses = [[row["train_loss"] for row in trained.history] for trained in (exact, rounded)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1 if settings.get("batch_norm") else 0.005)
    valid = training.Clips(tiny_prepared.array, tiny_prepared.split.only("valid"))
    predictions = training.predict(rounded.network, valid, torch.device("cpu"))
    assert training.scores(valid.split.labels, predictions)["loss"] == rounded.history[-1]["valid_loss"]


def test_a_checkpoint_of_another_precision_is_not_taken_up(tiny_prepared, tmp_path):
    checkpoint = tmp_path / "seed_0.pt"
    run(tiny_prepared, {}, checkpoint=checkpoint, precision=torch.bfloat16)
    assert_same(run(tiny_prepared, {}, checkpoint=checkpoint), run(tiny_prepared, {}))


def test_another_seed_gives_other_weights(tiny_prepared):
    one, other = run(tiny_prepared, {}, seed=0), run(tiny_prepared, {}, seed=1)
    assert not same_weights(last(one), last(other))
    assert one.history[0]["train_loss"] != other.history[0]["train_loss"]


@each_recipe
@pytest.mark.parametrize("after", [1, 2])
def test_stopped_after_an_epoch_and_taken_up_is_as_if_never_stopped(tiny_prepared, tmp_path, settings, after):
    checkpoint, epochs = tmp_path / "seed_0.pt", []

    def stop(row, seconds_left):
        if row["epoch"] == after:
            raise Stopped

    with pytest.raises(Stopped):
        run(tiny_prepared, settings, checkpoint=checkpoint, report=stop)
    torch.manual_seed(99)  # another process would not stand where this one stopped
    taken_up = run(tiny_prepared, settings, checkpoint=checkpoint, report=lambda row, left: epochs.append(row["epoch"]))
    assert epochs == list(range(after + 1, 4))
    assert_same(taken_up, run(tiny_prepared, settings))


def test_a_finished_training_is_taken_up_without_another_epoch(tiny_prepared, tmp_path):
    checkpoint = tmp_path / "seed_0.pt"
    done = run(tiny_prepared, {}, checkpoint=checkpoint)
    again = run(tiny_prepared, {}, checkpoint=checkpoint, report=lambda row, left: pytest.fail("trained again"))
    assert_same(done, again)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def fill_with_text(path):
    path.write_text("not a checkpoint")


def empty(path):
    path.write_bytes(b"")


def replace_by_weights_alone(path):
    content = io.BytesIO()
    torch.save({"classifier.weight": torch.zeros(3)}, content)
    files.write_sealed(path, content.getvalue())


def flip_a_bit_of_a_weight(path):
    """Of which torch would not say a word."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_short, fill_with_text, empty, replace_by_weights_alone, flip_a_bit_of_a_weight])
def test_a_damaged_checkpoint_is_told_and_training_begins_again(tiny_prepared, tmp_path, capsys, damage):
    checkpoint = tmp_path / "seed_0.pt"
    undisturbed = run(tiny_prepared, {"epochs": 2}, checkpoint=checkpoint)
    damage(checkpoint)
    again = run(tiny_prepared, {"epochs": 2}, checkpoint=checkpoint)
    assert f"{checkpoint}: not a whole checkpoint" in capsys.readouterr().out
    assert_same(again, undisturbed)


def test_a_full_disk_is_told_as_such_and_keeps_the_last_whole_checkpoint(tiny_prepared, tmp_path, monkeypatch):
    checkpoint = tmp_path / "seed_0.pt"
    run(tiny_prepared, {"epochs": 1}, checkpoint=checkpoint)
    whole = checkpoint.read_bytes()

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device"):
        run(tiny_prepared, {"epochs": 2}, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["seed_0.pt"]


@pytest.mark.parametrize("change", ["config", "seed", "labels", "clips", "array"])
def test_a_checkpoint_of_another_training_is_not_taken_up(tiny_prepared, tmp_path, change):
    checkpoint = tmp_path / "seed_0.pt"
    run(tiny_prepared, {"epochs": 1}, checkpoint=checkpoint)
    prepared, settings, seed, array = tiny_prepared, {"epochs": 1}, 0, None
    split = tiny_prepared.split
    if change == "config":
        settings |= {"momentum": 0.8}
    elif change == "seed":
        seed = 1
    elif change == "labels":
        labels = split.labels.copy()
        labels[0, 0] ^= 1
        prepared = type(tiny_prepared)(None, None, splits.Split(split.clips, split.tags, labels))
        array = tiny_prepared.array
    elif change == "clips":
        fewer = splits.Split(split.clips.iloc[1:].reset_index(drop=True), split.tags, split.labels[1:])
        prepared, array = type(tiny_prepared)(None, None, fewer), tiny_prepared.array
    elif change == "array":
        copy = tmp_path / "prepared_again.npy"
        np.save(copy, np.array(tiny_prepared.array))
        array = np.load(copy, mmap_mode="r")
    epochs = []
    run(prepared, settings, seed, array, checkpoint=checkpoint, report=lambda row, left: epochs.append(row["epoch"]))
    assert epochs == [1]


def test_more_epochs_begin_again_or_go_on_to_the_same_end(tiny_prepared, tmp_path):
    checkpoint = tmp_path / "seed_0.pt"
    run(tiny_prepared, {"epochs": 1}, checkpoint=checkpoint)
    assert_same(run(tiny_prepared, {}, checkpoint=checkpoint), run(tiny_prepared, {}))


@pytest.mark.parametrize("frontend", ["raw", "linear"])
def test_test_clips_are_never_read(tiny_prepared, frontend):
    """Garbage in the test clips' rows changes no weight and no figure."""
    array = np.array(tiny_prepared.array)
    rows = tiny_prepared.split.only("test").clips["row"]
    array[rows] = np.random.default_rng(0).integers(-32_768, 32_767, (len(rows), array.shape[1]))
    poisoned = run(tiny_prepared, {"frontend": frontend}, array=array)
    assert_same(poisoned, run(tiny_prepared, {"frontend": frontend}))


def test_validation_clips_move_no_weight_of_the_last_epoch(tiny_prepared):
    array = np.array(tiny_prepared.array)
    array[tiny_prepared.split.only("valid").clips["row"]] //= 3
    other, plain = run(tiny_prepared, {"batch_norm": True}, array=array), run(tiny_prepared, {"batch_norm": True})
    assert same_weights(last(other), last(plain))
    assert other.history[0]["valid_loss"] != plain.history[0]["valid_loss"]


def with_scores(monkeypatch, losses, roc_aucs):
    """Let validation say these figures, epoch by epoch."""
    said = iter(zip(losses, roc_aucs, strict=True))
    true_scores = training.scores

    def scores(labels, predictions):
        if len(labels) != 4:
            return true_scores(labels, predictions)
        loss, roc_auc = next(said)
        return {"loss": loss, "roc_auc": roc_auc}

    monkeypatch.setattr(training, "scores", scores)


@pytest.mark.parametrize(("select", "epoch"), [("loss", 2), ("roc_auc", 3), ("last", 4)])
def test_the_epoch_kept_is_the_one_that_the_rule_picks(tiny_prepared, monkeypatch, select, epoch):
    """The first of equals: loss is least in epochs 2 and 3, ROC-AUC highest in 3 and 4."""
    with_scores(monkeypatch, [0.5, 0.3, 0.3, 0.6], [0.6, 0.5, 0.9, 0.9])
    trained = run(tiny_prepared, {"epochs": 4, "select": select})
    assert trained.best_epoch == epoch
    monkeypatch.undo()
    assert same_weights(trained.best, last(run(tiny_prepared, {"epochs": epoch})))


def test_a_row_of_the_history_is_what_the_networks_predictions_score(tiny_prepared):
    from sklearn.metrics import log_loss, roc_auc_score

    trained = run(tiny_prepared, {"select": "last"})
    valid = tiny_prepared.split.only("valid")
    clips_of_valid = training.Clips(tiny_prepared.array, valid)
    predictions = training.predict(trained.network, clips_of_valid, torch.device("cpu"))
    defined = [tag for tag in range(50) if 0 < valid.labels[:, tag].sum() < len(valid)]
    row = trained.history[-1]
    expected = np.mean([roc_auc_score(valid.labels[:, tag], predictions[:, tag]) for tag in defined])
    assert row["valid_roc_auc"] == pytest.approx(expected)
    expected = log_loss(valid.labels.ravel(), predictions.ravel().astype(np.float64))
    assert row["valid_loss"] == pytest.approx(expected, rel=1e-5)
    assert [one["epoch"] for one in trained.history] == [1, 2, 3]


def test_the_learning_rate_decays_after_every_so_many_epochs(tiny_prepared):
    settings = {"epochs": 5, "decay": 0.1, "decay_every": 2, "learning_rate": 0.02}
    rates = [row["learning_rate"] for row in run(tiny_prepared, settings).history]
    assert rates == pytest.approx([0.02, 0.02, 0.002, 0.002, 0.0002])


def test_the_optimizer_obeys_the_learning_rate(tiny_prepared):
    """A second epoch at a rate of almost nothing moves nothing."""
    frozen = run(tiny_prepared, {"epochs": 2, "decay": 1e-30, "decay_every": 1, "momentum": 0.0})
    once = run(tiny_prepared, {"epochs": 1, "momentum": 0.0})
    torch.testing.assert_close(last(frozen), last(once), rtol=0, atol=1e-25)


def test_steps_are_those_of_sgd_with_momentum(tiny_prepared):
    """All training clips in one batch, three times: v = m v + g, w = w - r v, written out here."""
    settings = {"batch_size": 48, "momentum": 0.9, "learning_rate": 0.05, "select": "last"}
    trained = run(tiny_prepared, settings)
    train = training.Clips(tiny_prepared.array, tiny_prepared.split.only("train"))
    everything = np.arange(48)
    torch.manual_seed(0)
    network = networks.Tagger(CONFIG, statistics_of(tiny_prepared), 50, 12_000, 12_000)
    velocity = [torch.zeros_like(weight) for weight in network.parameters()]
    for _ in range(3):
        predictions = network(train.samples(everything), train.windows(everything))
        loss = functional.binary_cross_entropy(predictions, train.labels(everything))
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        with torch.no_grad():
            for weight, gradient, speed in zip(network.parameters(), gradients, velocity, strict=True):
                weight -= 0.05 * speed.mul_(0.9).add_(gradient)
    torch.testing.assert_close(last(trained), network.state_dict(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("batch_size", [10, 48])
def test_divergence_in_the_first_epoch_is_an_error_that_says_what_to_change(tiny_prepared, batch_size):
    """With one batch an epoch it shows only once validation is scored."""
    with pytest.raises(training.Diverged, match=r"seed 0: the loss was not a finite number .* learning_rate 1e\+30"):
        run(tiny_prepared, {"learning_rate": 1e30, "batch_size": batch_size})


@pytest.mark.parametrize("batch_size", [10, 48])
def test_divergence_later_on_keeps_the_best_epoch_before(tiny_prepared, monkeypatch, batch_size):
    plain_rate = training.learning_rate
    rate = lambda config, epoch: 1e30 if epoch == 3 else plain_rate(config, epoch)  # noqa: E731
    monkeypatch.setattr(training, "learning_rate", rate)
    settings = {"epochs": 5, "batch_size": batch_size, "select": "last"}
    diverged = run(tiny_prepared, settings)
    monkeypatch.undo()
    assert [row["epoch"] for row in diverged.history] == [1, 2]
    assert diverged.best_epoch == 2
    assert same_weights(diverged.best, last(run(tiny_prepared, settings | {"epochs": 2})))


@pytest.mark.parametrize("frontend", ["linear", "mel", "flat"])
def test_a_front_end_kept_in_memory_gives_the_same_training(tiny_prepared, monkeypatch, frontend):
    settings = {"frontend": frontend, "batch_norm": True, "epochs": 1}
    kept = run(tiny_prepared, settings)
    monkeypatch.setattr(training, "FRONT_BYTES", 0)
    computed = run(tiny_prepared, settings)
    for one, other in zip(kept.history, computed.history, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    torch.testing.assert_close(kept.best, computed.best, rtol=1e-3, atol=1e-4)


def test_only_a_front_end_with_nothing_to_learn_is_kept_and_only_where_it_fits(tiny_prepared, monkeypatch):
    train = training.Clips(tiny_prepared.array, tiny_prepared.split.only("train"))
    fronts = {
        name: training.Fronts(run(tiny_prepared, {"frontend": name, "epochs": 1}).network, train, torch.device("cpu"))
        for name in ("raw", "linear")
    }
    assert fronts["raw"].kept is None
    kept = fronts["linear"].kept
    assert len(kept) == 48
    monkeypatch.setattr(training, "FRONT_BYTES", kept.nbytes - 1)
    assert training.Fronts(fronts["linear"].network, train, torch.device("cpu")).kept is None
    monkeypatch.setattr(training, "FRONT_BYTES", kept.nbytes)
    again = training.Fronts(fronts["linear"].network, train, torch.device("cpu"))
    chosen = np.array([5, 0, 47])
    torch.testing.assert_close(again(chosen), fronts["linear"].network.front(train.samples(chosen)))


def test_samples_come_in_the_order_asked_for(tiny_prepared):
    split = tiny_prepared.split.only("train")
    chosen = np.array([40, 3, 3, 17])
    train = training.Clips(tiny_prepared.array, split)
    expected = tiny_prepared.array[split.clips["row"].to_numpy()[chosen]]
    np.testing.assert_array_equal(train.samples(chosen).numpy(), expected)
    np.testing.assert_array_equal(train.labels(chosen).numpy(), split.labels[chosen])


def test_the_clips_of_the_next_batch_are_expected(tiny_prepared, monkeypatch):
    """Of a file, as bytes; of an array in memory there is nothing to expect."""
    asked = []
    monkeypatch.setattr(os, "posix_fadvise", lambda file, start, size, advice: asked.append((start, size, advice)))
    train = training.Clips(tiny_prepared.array, tiny_prepared.split.only("train"))
    training.Clips(np.array(train.array), train.split).expect(np.array([1, 2]))
    assert not asked
    train.expect(np.array([40, 3]))
    content = tiny_prepared.array_path.read_bytes()
    for clip, (start, size, advice) in zip([40, 3], asked, strict=True):
        row = train.split.clips["row"].to_numpy()[clip]
        assert content[start : start + size] == tiny_prepared.array[row].tobytes()
        assert advice == os.POSIX_FADV_WILLNEED
    asked.clear()
    run(tiny_prepared, {"epochs": 2})
    assert len(asked) == 2 * (48 - 10)  # all but the first batch of each epoch
    asked.clear()
    run(tiny_prepared, {"epochs": 2, "frontend": "linear"})  # its spectrograms are kept
    assert not asked


def test_every_epoch_takes_each_training_clip_once_in_an_order_of_its_own(tiny_prepared, monkeypatch):
    orders = []
    front = training.Fronts.__call__

    def noted(fronts, chosen, picked=None):
        if len(fronts.clips) == 48:
            orders[-1].append(chosen)
        return front(fronts, chosen, picked)

    monkeypatch.setattr(training.Fronts, "__call__", noted)
    orders.append([])
    run(tiny_prepared, {"epochs": 2}, report=lambda row, left: orders.append([]))
    orders[-1:] = [[]]
    run(tiny_prepared, {"epochs": 1}, seed=1)
    orders = [np.concatenate(order).tolist() for order in orders]
    assert all(sorted(order) == list(range(48)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3  # two epochs of one seed, one of another


def test_batches_hold_every_clip_once():
    pieces = list(training.batches(np.random.default_rng(0).permutation(23), 10))
    assert [len(piece) for piece in pieces] == [10, 10, 3]
    assert sorted(np.concatenate(pieces)) == list(range(23))


def test_prediction_leaves_the_network_in_evaluation_mode_whatever_it_was(tiny_prepared):
    network = run(tiny_prepared, {"batch_norm": True, "dropout": 0.5, "epochs": 1}).network
    valid = training.Clips(tiny_prepared.array, tiny_prepared.split.only("valid"))
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    one, other = (training.predict(network, valid, torch.device("cpu")) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert same_weights(before, network.state_dict())


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_cross_entropy_of_certain_predictions_stays_finite(kind):
    found = training.cross_entropy(np.array([[1, 0]]), np.array([[0.0, 0.5]], dtype=kind))
    assert found == pytest.approx((100 + np.log(2)) / 2)


@pytest.mark.parametrize("settings", [{}, {"frontend": "linear"}], ids=["raw", "linear"])
def test_it_learns_what_can_be_heard(tiny_prepared, settings):
    """Low tones are tagged 'bass', high ones 'flute': of clips not trained on too."""
    trained = run(tiny_prepared, settings | {"batch_norm": True, "filters": 32, "epochs": 15, "select": "last"})
    test = tiny_prepared.split.only("test")
    predictions = training.predict(trained.network, training.Clips(tiny_prepared.array, test), torch.device("cpu"))
    for tag in ("bass", "flute"):
        column = test.tags.index(tag)
        positive = test.labels[:, column] == 1
        assert positive.sum() == 6
        won = predictions[positive, column][:, None] > predictions[~positive, column][None]
        assert won.mean() > 0.9
    assert trained.history[-1]["train_loss"] < trained.history[0]["train_loss"]


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_its_steps_are_torchs_own_to_the_last_bit(name, decay):
    torch.manual_seed(0)
    one, other = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
    other.load_state_dict(one.state_dict())
    start = lambda: training.Optimizer(one.parameters(), momentum=0.9, name=name, weight_decay=decay)  # noqa: E731
    ours, settings = start(), {"lr": 0.1, "weight_decay": decay}
    if name == "sgd":
        torchs = torch.optim.SGD(other.parameters(), momentum=0.9, **settings)
    else:
        torchs = torch.optim.Adam(other.parameters(), **settings)
    for step in range(4):
        x = torch.randn(7, 5)
        if step == 2:  # taken up by another
            state, ours = ours.state_dict(), start()
            ours.load_state_dict(state)
        ours.step(one(x).square().mean(), rate=0.1 / (step + 1))
        for group in torchs.param_groups:
            group["lr"] = 0.1 / (step + 1)
        torchs.zero_grad()
        other(x).square().mean().backward()
        torchs.step()
        assert same_weights(one.state_dict(), other.state_dict())


def test_frozen_filters_stay_as_they_begin(tiny_prepared):
    settings = {"frontend": "fourier", "initialise": "fourier", "epochs": 2}
    frozen, tuned = (
        run(tiny_prepared, settings | {"frozen": frozen}).network.frontend.weight for frozen in (True, False)
    )
    begin = frontends.fourier_filters(256).reshape(frozen.shape)
    assert torch.allclose(frozen, torch.as_tensor(begin, dtype=frozen.dtype))
    assert not torch.allclose(tuned, frozen)


def epochs(losses, roc_aucs):
    """Epochs with these validation scores."""
    return [{"valid_loss": loss, "valid_roc_auc": auc} for loss, auc in zip(losses, roc_aucs, strict=True)]


def ended(losses, roc_aucs, **settings):
    """Whether a training with these validation scores, an epoch each, has come to its end."""
    return training.ended(epochs(losses, roc_aucs), CONFIG | {"epochs": 9, "patience": 2} | settings)


def test_training_ends_when_validation_has_stood_still_for_so_long():
    assert not ended([0.5, 0.4, 0.41], [0.6, 0.7, 0.7])
    assert ended([0.5, 0.4, 0.41, 0.40], [0.6, 0.7, 0.7, 0.8])
    assert not ended([0.5, 0.4, 0.41, 0.40], [0.6, 0.7, 0.7, 0.8], patience=None)
    assert ended([0.5] * 9, [0.5] * 9)  # all epochs are done
    assert not ended([], [])


def test_where_roc_auc_chooses_both_it_and_the_loss_have_to_stand_still():
    assert ended([0.5, 0.4, 0.41, 0.42], [0.6, 0.7, 0.7, 0.6], select="roc_auc")
    assert not ended([0.5, 0.4, 0.41, 0.42], [0.6, 0.7, 0.7, 0.8], select="roc_auc")  # ROC-AUC gets better
    assert not ended([0.5, 0.4, 0.41, 0.39], [0.6, 0.7, 0.7, 0.6], select="roc_auc")  # the loss falls
    assert ended([0.5, 0.4, 0.41, 0.3999], [0.6, 0.7, 0.7, 0.6], select="roc_auc")  # by less than matters


def test_patience_begins_once_the_network_has_begun_to_learn():
    assert not ended([0.3] * 6, [0.5, 0.52, 0.51, 0.5, 0.5, 0.54])
    assert ended([0.3] * 6, [0.5, 0.52, 0.51, 0.5, 0.5, 0.56])


def test_a_training_that_has_ended_early_is_not_taken_up_again(tiny_prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "BEGUN", 0.0)
    settings = {
        "epochs": 12,
        "patience": 2,
        "learning_rate": 1e-12,
    }  # nothing is learned: the first epoch stays the best
    first = run(tiny_prepared, settings, checkpoint=tmp_path / "seed.pt")
    assert len(first.history) == 3
    again = run(tiny_prepared, settings, checkpoint=tmp_path / "seed.pt")
    assert again.history == first.history


def of_epochs(losses, roc_auc=0.6):
    return epochs(losses, [roc_auc] * len(losses))


FLAT, FALLING = [0.5, 0.4, 0.3] + [0.3] * 17, list(np.linspace(0.5, 0.3, 20))


@pytest.mark.parametrize(
    ("losses", "settings", "expected"),
    [
        (FLAT, {}, True),
        (FALLING, {}, False),
        ([*FLAT[:-1], 0.2999], {}, True),  # it falls by less than matters
        (FLAT[:19], {"epochs": 19}, False),  # too few epochs to tell
        (FLAT[:8], {"patience": 4}, True),  # patience ended it
        ([*np.linspace(0.5, 0.3, 40), *[0.31] * 8], {"patience": 8, "epochs": 60}, True),
        ([*np.linspace(0.5, 0.3, 40), *[0.31] * 7, 0.2], {"patience": 8, "epochs": 60}, False),  # it broke off
        (FLAT[:8], {}, False),  # it broke off
    ],
)
def test_a_network_has_converged_when_its_validation_loss_no_longer_falls(losses, settings, expected):
    config = CONFIG | {"epochs": 20, "patience": None} | settings
    assert training.converged(of_epochs(losses), config) is expected
    assert not training.converged(of_epochs(losses, roc_auc=0.51), config), "it has not begun to learn"


def test_a_training_that_broke_off_has_diverged():
    config = CONFIG | {"epochs": 20, "patience": 3}
    assert training.diverged(of_epochs([0.3, 0.2, 0.21]), config)
    assert not training.diverged(of_epochs([0.3, 0.2, 0.21, 0.2, 0.2]), config)  # patience ended it
    assert not training.diverged(of_epochs(FALLING), config)


def test_windows_are_drawn_from_those_that_hold_audio():
    split = splits.Split(pd.DataFrame({"row": [0, 1], "windows": [1, 4]}), ("a",), np.array([[0], [1]], dtype=np.uint8))
    clips = training.Clips(np.zeros((2, 40), dtype=np.int16), split)
    picked = training._picked(clips, np.array([1, 0]), 50, np.random.default_rng(0)).numpy()
    assert set(picked[0]) == {0, 1, 2, 3}
    assert set(picked[1]) == {0}


@pytest.mark.parametrize("frontend", ["raw", "linear"])
def test_drawn_windows_are_those_of_the_clips(tiny_prepared, frontend):
    network = networks.Tagger(CONFIG | {"frontend": frontend}, statistics_of(tiny_prepared), 50, 12_000, 12_000)
    clips = training.Clips(tiny_prepared.array, tiny_prepared.split.only("train"), network.framing)
    fronts = training.Fronts(network, clips, torch.device("cpu"))
    chosen, picked = np.array([5, 2]), torch.tensor([[1], [0]])
    some, every = fronts(chosen, picked), fronts(chosen)
    assert torch.equal(some[0, 0], every[0, 1])
    assert torch.equal(some[1, 0], every[1, 0])


@pytest.mark.parametrize("settings", [{"train_windows": 1}, {"negative_tags": "oversample"}, {"overlap": 0.5}])
def test_it_repeats_whatever_is_drawn(tiny_prepared, settings):
    one, other = (run(tiny_prepared, settings | {"epochs": 2}) for _ in range(2))
    assert one.history == other.history
    assert same_weights(one.network.state_dict(), other.network.state_dict())


def test_an_epochs_roc_auc_is_what_results_are_scored_by():
    rng = np.random.default_rng(3)
    labels = (rng.random((40, 6)) < [0, 0.1, 0.3, 0.5, 0.9, 1]).astype(np.uint8)
    predictions = rng.integers(0, 9, labels.shape) / 9  # many ties
    expected = scoring.macro_mean(scoring.roc_auc(labels, predictions))
    assert training.mean_roc_auc(labels, predictions) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(training.mean_roc_auc(labels[:, [0]], predictions[:, [0]]))
