"""Training: one network from one seed, an epoch at a time, stopped and taken up again at any epoch's end.

Minibatches of clips, binary cross-entropy, plain SGD with momentum; the validation clips choose the epoch. From top to
bottom: ``Clips`` (where batches come from), ``Training`` (the state), ``run`` (the loop).
"""

import hashlib
import io
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from wavetag import files, negatives, networks, processes, sources
from wavetag.splits import Split

MODULES = ("architectures", "frontends", "negatives", "networks", "scaling", "training")  # what a result depends on
SELECT = ("loss", "roc_auc", "last")
FRONT_BYTES = 2**30  # what a front end with nothing to learn may keep in memory, so as to be computed only once
STILL_FALLING = 0.002  # of a validation loss: by how much its last epochs may lie below the others
BEGUN = 0.55  # validation ROC-AUC that a network passes once it has begun to learn
LEAST_EPOCHS, LEAST_LAST = 20, 5  # of a whole training, and at its end, to tell whether its loss falls

History = Sequence[Mapping[str, float]]  # of one seed: a row an epoch, with its losses and scores
NOT_FINITE = {"loss": math.nan, "roc_auc": math.nan}  # the scores of predictions that are no longer numbers


class Diverged(RuntimeError):
    """The loss was not a finite number before one epoch was done."""


@dataclass(frozen=True)
class Clips:
    """The clips of one split, as batches.

    Attributes:
        array: int16 [clips, samples], may be memory-mapped.
        split: which rows of it, with their labels.
        framing: how clips are cut into windows; None for windows as the split counts them.
    """

    array: np.ndarray
    split: Split
    framing: networks.Framing | None = None

    def __len__(self) -> int:
        return len(self.split)

    @cached_property
    def _rows(self) -> np.ndarray:
        return self.split.clips["row"].to_numpy(dtype=np.int64)

    @cached_property
    def _windows(self) -> np.ndarray:
        if self.framing is None:
            return self.split.clips["windows"].to_numpy(dtype=np.int64)
        return self.framing.counted(self.split.clips["seconds"].to_numpy(), self.array.shape[1])

    def samples(self, chosen: np.ndarray) -> torch.Tensor:
        """int16 [chosen, samples]. The array is read in the order of its rows, which a disk prefers."""
        rows = self._rows[chosen]
        order = np.argsort(rows, kind="stable")
        samples = np.empty((len(rows), self.array.shape[1]), dtype=np.int16)
        for position in order:
            samples[position] = self.array[rows[position]]
        return torch.from_numpy(samples)

    def expect(self, chosen: np.ndarray) -> None:
        """Tell the system that these clips come next: what is not in memory it reads while the network computes."""
        path = getattr(self.array, "filename", None)
        if path is None or not hasattr(os, "posix_fadvise"):
            return
        size = self.array.strides[0]
        with Path(path).open("rb") as file:
            for start in (self.array.offset + self._rows[chosen] * size).tolist():
                os.posix_fadvise(file.fileno(), start, size, os.POSIX_FADV_WILLNEED)

    def windows(self, chosen: np.ndarray) -> torch.Tensor:
        """int64 [chosen]: windows that are not wholly padding."""
        return torch.from_numpy(self._windows[chosen])

    def labels(self, chosen: np.ndarray) -> torch.Tensor:
        """float32 [chosen, tags]."""
        return torch.from_numpy(self.split.labels[chosen].astype(np.float32))


def batches(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Consecutive pieces of ``order``, the last one shorter where it does not divide."""
    for start in range(0, len(order), size):
        yield order[start : start + size]


class Fronts:
    """What the trunk sees of each clip: computed at each call, or once where nothing is learned before the trunk.

    The spectrogram of a clip is the same in every epoch. Kept, if it fits into ``FRONT_BYTES``, it costs its FFTs once.

    Args:
        dtype: in which the network takes its products.
    """

    def __init__(
        self, network: networks.Tagger, clips: Clips, device: torch.device, dtype: torch.dtype = torch.float32
    ):
        self.network, self.clips, self.device, self.dtype = network, clips, device, dtype
        self.given = dtype if network.is_trunk else torch.float32  # other networks' products are cast one by one
        frontend = network.frontend
        self.windows = network.framing.count(clips.array.shape[1])
        size = len(clips) * self.windows * frontend.channels * frontend.frames * self.given.itemsize
        keep = not frontend.learns and size <= FRONT_BYTES
        self.kept = self._spectrograms(np.arange(len(clips))) if keep else None

    @torch.no_grad()
    def _spectrograms(self, chosen: np.ndarray, picked: torch.Tensor | None = None) -> torch.Tensor:
        """[chosen, windows, frames, channels], clip by clip, so that what is worked on stays in the cache."""
        windows = self.windows if picked is None else picked.shape[1]
        shape = (len(chosen), windows, self.network.frontend.frames, self.network.frontend.channels)
        found = torch.empty(shape, dtype=self.given, device=self.device)
        for clip, place in enumerate(found):
            of_clip = None if picked is None else picked[clip : clip + 1]
            place.copy_(self._front(chosen[clip : clip + 1], of_clip)[0].transpose(-1, -2))
        return found

    def _front(self, chosen: np.ndarray, picked: torch.Tensor | None = None) -> torch.Tensor:
        return self.network.front(self.clips.samples(chosen).to(self.device), self.given, picked)

    def expect(self, chosen: np.ndarray) -> None:
        """Say which clips come next."""
        if self.kept is None:
            self.clips.expect(chosen)

    def __call__(self, chosen: np.ndarray, picked: torch.Tensor | None = None) -> torch.Tensor:
        """[chosen, windows, channels, frames]; of each clip the windows ``picked``, int [chosen, windows], or all."""
        if self.network.frontend.learns:
            return self._front(chosen, picked)
        if self.kept is None:
            return self._spectrograms(chosen, picked).transpose(-1, -2)
        rows = torch.from_numpy(chosen)
        kept = self.kept[rows] if picked is None else self.kept[rows[:, None], picked]
        return kept.transpose(-1, -2)


@torch.no_grad()
def predict(
    network: networks.Tagger,
    clips: Clips,
    device: torch.device,
    fronts: Fronts | None = None,
    windows: int | None = None,
) -> np.ndarray:
    """Tag probabilities of every clip, float32 [clips, tags], the network in evaluation mode.

    A clip's result does not depend on the clips beside it: batch norm and dropout are off. With ``windows`` it is the
    mean over so many of its windows, evenly spaced, in place of all.
    """
    network.eval()
    fronts, predictions = fronts or Fronts(network, clips, device), []
    for chosen in batches(np.arange(len(clips)), 10):
        counted, picked = clips.windows(chosen), None
        if windows is not None:
            picked = ((torch.arange(windows) + 0.5) / windows * counted[:, None]).long()
            counted = torch.full_like(counted, windows)
        predictions.append(network.tag(fronts(chosen, picked), counted.to(device), fronts.dtype).cpu())
    return torch.cat(predictions).numpy()


def cross_entropy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Binary cross-entropy, the mean over clips and tags; a logarithm is cut at -100, as in torch."""
    predictions = predictions.astype(np.float64)
    with np.errstate(divide="ignore"):
        positive = np.maximum(np.log(predictions), -100)
        negative = np.maximum(np.log1p(-predictions), -100)
    return float(-np.mean(labels * positive + (1 - labels) * negative))


def mean_roc_auc(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Mean ROC-AUC over the tags with a positive and a negative clip, by ranks; a tie counts half. NaN for no such tag.

    ``scoring`` has the same with weights, for results. Here it stands again so that a change in how results are judged
    trains nothing anew.
    """
    found = []
    for truth, predicted in zip(labels.T.astype(bool), predictions.T, strict=True):
        positives, negatives = truth.sum(), (~truth).sum()
        if positives and negatives:
            _, place, counts = np.unique(predicted, return_inverse=True, return_counts=True)
            ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
            found.append((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))
    return float(np.mean(found)) if found else math.nan


def scores(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Loss and mean ROC-AUC over the tags that are defined (NaN where no tag is, or a prediction is not a number)."""
    if not np.isfinite(predictions).all():
        return dict(NOT_FINITE)
    return {"loss": cross_entropy(labels, predictions), "roc_auc": mean_roc_auc(labels, predictions)}


class Optimizer:
    """SGD with momentum, v ← momentum v + gradient, weight ← weight - learning rate v; or Adam (Kingma & Ba 2015).

    By torch's own functions; their class ``torch.optim.SGD`` imports torch's compiler first: a second for every process
    that trains. Weight decay adds a multiple of the weights to the gradient.
    """

    NAMES = ("sgd", "adam")

    def __init__(
        self, parameters: Iterable[torch.Tensor], momentum: float, name: str = "sgd", weight_decay: float = 0.0
    ):
        if name not in self.NAMES:
            raise ValueError(f"optimizer {name!r} is unknown; there are {', '.join(self.NAMES)}")
        self.parameters = [weight for weight in parameters if weight.requires_grad]
        self.momentum, self.name, self.weight_decay = momentum, name, weight_decay
        if name == "sgd":
            self.state = {"velocities": [None] * len(self.parameters)}
        else:
            zeros = [[torch.zeros_like(weight) for weight in self.parameters] for _ in range(2)]
            steps = [torch.zeros(()) for _ in self.parameters]
            self.state = {"means": zeros[0], "squares": zeros[1], "steps": steps}

    def step(self, loss: torch.Tensor, rate: float) -> None:
        """One update, with the gradients of ``loss`` at a learning rate."""
        gradients = list(torch.autograd.grad(loss, self.parameters))
        of_both = {"lr": rate, "weight_decay": self.weight_decay, "maximize": False}
        with torch.no_grad():
            if self.name == "sgd":
                settings = {"momentum": self.momentum, "dampening": 0.0, "nesterov": False}
                sgd(self.parameters, gradients, self.state["velocities"], **of_both, **settings)
            else:
                moments = (self.state["means"], self.state["squares"], [], self.state["steps"])
                settings = {"amsgrad": False, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
                adam(self.parameters, gradients, *moments, **of_both, **settings)

    def state_dict(self) -> dict[str, Any]:
        """What the next step depends on besides the weights."""
        return dict(self.state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self.state = {key: list(values) for key, values in state.items()}


def _random_state(device: torch.device) -> list[torch.Tensor]:
    """The state of torch's generators: the CPU's, and that of the GPU in use. Which GPU a job gets may change."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _set_random_state(state: list[torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(state[0].cpu())
    if device.type == "cuda" and len(state) > 1:
        torch.cuda.set_rng_state(state[1].cpu(), device)


@dataclass
class Training:
    """All that one seed's training is, between two epochs."""

    network: networks.Tagger
    optimizer: Optimizer
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    seconds: list[float] = field(default_factory=list)

    def save(self, path: Path, fingerprint: str) -> None:
        """Write everything that the next epoch depends on, whole or not at all."""
        state = {
            "fingerprint": fingerprint,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": _random_state(next(self.network.parameters()).device),
            "history": self.history,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
        }
        content = io.BytesIO()  # torch itself would tell of a full disk in words that nobody understands
        torch.save(state, content)
        with files.written_whole(path) as temporary:
            temporary.write_bytes(content.getbuffer())

    def restore(self, path: Path, fingerprint: str, device: torch.device) -> bool:
        """Take up what ``save`` wrote, if it is there, whole, and of the same training."""
        if not path.is_file():
            return False
        try:
            state = torch.load(path, weights_only=True, map_location=device)
            same = state["fingerprint"] == fingerprint
        except Exception as error:  # a damaged checkpoint costs time, no more: say so and begin again
            print(f"{path}: not a whole checkpoint ({type(error).__name__}); this seed starts from its beginning")
            return False
        if not same:
            return False
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        _set_random_state(state["random"], device)
        self.history, self.best, self.best_epoch = state["history"], state["best"], state["best_epoch"]
        self.seconds = state["seconds"]
        return True

    def is_best(self, select: str) -> bool:
        """Whether the latest epoch is the one to keep so far, by the rule ``select``; of equal ROC-AUC, less loss."""
        if select == "last" or not self.best:
            return True
        earlier, latest = self.history[:-1], self.history[-1]
        if select == "loss":
            return latest["valid_loss"] < min(epoch["valid_loss"] for epoch in earlier)
        rank = lambda epoch: (epoch["valid_roc_auc"], -epoch["valid_loss"])  # noqa: E731
        return rank(latest) > max(map(rank, earlier))


def fingerprint(config: Mapping[str, Any], seed: int, train: Clips, valid: Clips, about: Mapping[str, Any]) -> str:
    """A short name for all that a training's result depends on: a checkpoint of anything else is not taken up."""
    digest = hashlib.sha256(json.dumps([dict(config), seed, dict(about), torch.__version__], sort_keys=True).encode())
    for clips in (train, valid):
        digest.update(clips.split.clips["row"].to_numpy().tobytes() + clips.split.labels.tobytes())
    for module in MODULES:
        digest.update(sources.of_module(module))
    filename = getattr(train.array, "filename", None)
    if filename is not None:
        status = Path(filename).stat()
        digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()


def code() -> dict[str, str]:
    """What code trains here: versions, and the first digits of the SHA-256 sum of all its modules' code."""
    digest = hashlib.sha256(b"".join(sources.of_module(module) for module in MODULES))
    return {
        "wavetag": version("wavetag"),
        "sources": digest.hexdigest()[:12],
        "torch": version("torch").partition("+")[0],
    }


def learning_rate(config: Mapping[str, Any], epoch: int) -> float:
    """Of an epoch, counted from 1: multiplied by ``decay`` after every ``decay_every`` epochs."""
    return config["learning_rate"] * config["decay"] ** ((epoch - 1) // config["decay_every"])


def learned(history: History) -> bool:
    """Whether a network has begun to learn at all: its validation ROC-AUC passed ``BEGUN`` in some epoch."""
    return any(epoch["valid_roc_auc"] >= BEGUN for epoch in history)


def _falls(history: History, last: int) -> bool:
    """Whether the last epochs brought the validation loss below all before by more than ``STILL_FALLING`` of it."""
    losses = [epoch["valid_loss"] for epoch in history]
    return min(losses[-last:]) <= (1 - STILL_FALLING) * min(losses[:-last])


def ended(history: History, config: Mapping[str, Any]) -> bool:
    """Whether all epochs are done, or ``patience`` is over.

    It is over when, in so many epochs, the score that chooses the epoch did not get better, nor did the validation loss
    fall: either alone may go on when the other stands still. It begins once the network has begun to learn, ``BEGUN``:
    raw audio may take ten epochs to.

    Args:
        history: of one seed, its epochs so far.
        config: its settings.
    """
    done, patience = len(history), config["patience"]
    if done >= config["epochs"]:
        return True
    if patience is None or done <= patience or not learned(history):
        return False
    key, better = ("valid_roc_auc", max) if config["select"] == "roc_auc" else ("valid_loss", min)
    values = [epoch[key] for epoch in history]
    return done - 1 - values.index(better(values)) >= patience and not _falls(history, patience)


def converged(history: History, config: Mapping[str, Any]) -> bool:
    """Whether a network's training has come to what it can: its validation loss has stopped falling.

    So it has where ``patience`` ended the training (``ended``). Of one that went on to its last epoch the last fifth is
    looked at, five epochs at least, of twenty at least: fewer say nothing. And it has begun to learn. One that diverged
    has not converged.

    Args:
        history: of one seed, its epochs.
        config: its settings.
    """
    if len(history) < config["epochs"]:
        return ended(history, config)
    if len(history) < LEAST_EPOCHS or not learned(history):
        return False
    return not _falls(history, max(LEAST_LAST, len(history) // 5))


def diverged(history: History, config: Mapping[str, Any]) -> bool:
    """Whether a training broke off because its loss was no longer a number: neither all its epochs nor patience."""
    return not ended(history, config)


def _picked(train: Clips, chosen: np.ndarray, count: int, generator: np.random.Generator) -> torch.Tensor:
    """``count`` windows of each clip, drawn at random from those that are not wholly padding: int64 [chosen, count]."""
    windows = train.windows(chosen).numpy()[:, None]
    return torch.from_numpy((generator.random((len(chosen), count)) * windows).astype(np.int64))


def train_epoch(
    training: Training,
    config: Mapping[str, Any],
    seed: int,
    train: Clips,
    fronts: Fronts,
    treatment: negatives.Treatment,
) -> dict[str, float]:
    """One pass over the training clips in an order drawn from (seed, epoch). Returns the epoch's loss and ROC-AUC."""
    network, optimizer, device = training.network, training.optimizer, fronts.device
    epoch = len(training.history) + 1
    generator = np.random.default_rng([seed, epoch])
    order = treatment.order(generator)
    if 1 in (config["train_windows"], fronts.windows) and len(order) % config["batch_size"] == 1:
        order = order[:-1]  # batch norm takes no statistics of a single window
    predicted = np.full(train.split.labels.shape, np.nan, dtype=np.float32)
    network.train()
    for chosen, following in itertools.pairwise([*batches(order, config["batch_size"]), order[:0]]):
        fronts.expect(following)
        windows, labels = train.windows(chosen), train.labels(chosen).to(device)
        picked = None
        if config["train_windows"]:
            picked = _picked(train, chosen, config["train_windows"], generator)
            windows = torch.full_like(windows, config["train_windows"])
        windows = windows.to(device)
        predictions = network.tag(fronts(chosen, picked), windows, fronts.dtype)
        of_clips = predictions.detach()
        if of_clips.dim() == 3:  # one prediction a window
            of_clips = networks.mean_over_windows(of_clips, windows)
        predicted[chosen] = of_clips.cpu().numpy()
        if not np.isfinite(predicted[chosen]).all():  # before the loss, which refuses them, on a GPU for good
            return dict(NOT_FINITE)
        weights = treatment.weights(chosen)
        weights = None if weights is None else torch.from_numpy(weights).to(device)
        optimizer.step(networks.loss(predictions, windows, labels, weights), learning_rate(config, epoch))
    seen = ~np.isnan(predicted[:, 0])  # all, but where clips are drawn with replacement
    return scores(train.split.labels[seen], predicted[seen])


class Start(Protocol):
    """What a network begins with in place of random weights: ``fine_tuning.Start``."""

    digest: str  # another one for other weights

    def into(self, network: networks.Tagger, tags: Sequence[str]) -> None:
        """Put it into a network, whose tags are given."""


def run(
    config: Mapping[str, Any],
    seed: int,
    train: Clips,
    valid: Clips,
    statistics: dict[str, float],
    sample_rate: int,
    window_samples: int,
    checkpoint: str | Path | None = None,
    device: str | torch.device = "cpu",
    precision: torch.dtype = torch.float32,
    report: Callable[[dict[str, float], float], None] = lambda epoch, seconds_left: None,
    start: Start | None = None,
) -> Training:
    """Train one network from one seed.

    Args:
        config: one experiment, with every default filled in.
        seed: of the first weights, the order of the clips, and dropout.
        train, valid: clips of the two splits.
        statistics: of the training clips.
        sample_rate: in Hz.
        window_samples: samples a window.
        checkpoint: a file written after each epoch and taken up at the start, if it is of the same training.
        device: where the network is.
        precision: the type in which the products of a training step are taken, from the samples to the hidden layer.
            Weights and their updates are float32 in any case, and so is what validation is scored by, but for networks
            other than the paper's, which cost a thousand times as much.
        report: called after each epoch with its row of the history and the seconds that are left by the look of it.
        start: what the network begins with, put into it once it has drawn its own; None: at random.

    Returns:
        The training at its end. ``history`` has a row an epoch; ``best`` holds the chosen epoch's weights. Where the
        loss stops being a finite number, training ends there and the best epoch before it counts.

    Raises:
        Diverged: that was in the first epoch.
    """
    device = torch.device(device)
    if device.type == "cpu":
        processes.keep_memory()
    else:  # on a CPU all that is used here repeats anyway, and the call takes a second: it imports torch's compiler
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # a pass over memory that is never read
    torch.manual_seed(seed)
    network = networks.Tagger(config, statistics, len(train.split.tags), sample_rate, window_samples).to(device)
    if start is not None:
        start.into(network, train.split.tags)
    optimizer = Optimizer(network.parameters(), config["momentum"], config["optimizer"], config["weight_decay"])
    training = Training(network, optimizer)
    train, valid = replace(train, framing=network.framing), replace(valid, framing=network.framing)
    about = {"statistics": statistics, "sample_rate": sample_rate, "window_samples": window_samples}
    about |= {"device": device.type, "precision": str(precision)}
    about |= {"start": start.digest} if start is not None else {}
    name = fingerprint(config, seed, train, valid, about)
    if checkpoint is not None:
        training.restore(Path(checkpoint), name, device)
    treatment = negatives.Treatment(config["negative_tags"], train.split.tags, train.split.labels)
    if not ended(training.history, config):
        of_train = Fronts(network, train, device, precision)
        of_valid = Fronts(network, valid, device, torch.float32 if network.is_trunk else precision)
    while not ended(training.history, config):
        started = time.monotonic()
        epoch = len(training.history) + 1
        in_train = train_epoch(training, config, seed, train, of_train, treatment)
        if not math.isfinite(in_train["loss"]):
            break
        in_valid = scores(valid.split.labels, predict(network, valid, device, of_valid, config["valid_windows"]))
        if not math.isfinite(in_valid["loss"]):
            break
        row = {"seed": seed, "epoch": epoch, "learning_rate": learning_rate(config, epoch)}
        row |= {f"train_{key}": value for key, value in in_train.items()}
        row |= {f"valid_{key}": value for key, value in in_valid.items()}
        training.history.append(row)
        if training.is_best(config["select"]):
            training.best = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
            training.best_epoch = epoch
        training.seconds.append(time.monotonic() - started)
        if checkpoint is not None:
            training.save(Path(checkpoint), name)
        report(row, (config["epochs"] - epoch) * float(np.median(training.seconds)))
    if not training.history:
        raise Diverged(
            f"seed {seed}: the loss was not a finite number in the first epoch; learning_rate {config['learning_rate']}"
            f" with momentum {config['momentum']} and scaling {config['scaling']} may be too much for this front end"
        )
    return training
