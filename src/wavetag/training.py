"""Training: one network from one seed, an epoch at a time, stopped and taken up again at any epoch's end.

Minibatches of clips, binary cross-entropy, plain SGD with momentum; the validation clips choose the epoch. From top to
bottom: ``Clips`` (where batches come from), ``Training`` (the state), ``run`` (the loop), ``run_stacked`` (the same of
several seeds at once).
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

from wavetag import architectures, devices, files, negatives, networks, processes, sources, stacking
from wavetag.splits import Split

# what a result depends on
MODULES = ("architectures", "frontends", "negatives", "networks", "scaling", "stacking", "training")
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
        return self.network.front(devices.put(self.clips.samples(chosen), self.device), self.given, picked)

    def scaled(self, chosen: np.ndarray, picked: torch.Tensor | None = None) -> torch.Tensor:
        """What the front end sees of clips, see ``networks.Tagger.scaled``."""
        return self.network.scaled(devices.put(self.clips.samples(chosen), self.device), self.given, picked)

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

    def join(self, others: Sequence["Optimizer"]) -> None:
        """Take up the states of the optimizers of a stack's members, all after as many steps."""
        for key, values in others[0].state.items():
            for number, value in enumerate(values):
                if value is not None and key != "steps":
                    value = torch.cat([other.state[key][number] for other in others])
                self.state[key][number] = value

    def part(self, others: Sequence["Optimizer"]) -> None:
        """Give the optimizers of a stack's members each its part of this one's state."""
        for key, values in self.state.items():
            for number, value in enumerate(values):
                whole = value is None or key == "steps"
                parts = [value] * len(others) if whole else value.chunk(len(others))
                for other, part in zip(others, parts, strict=True):
                    other.state[key][number] = part if part is None else part.clone()


@dataclass
class Training:
    """All that one seed's training is, between two epochs."""

    network: networks.Tagger
    optimizer: Optimizer
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    seconds: list[float] = field(default_factory=list)
    generator: torch.Generator | None = None  # of dropout

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self.generator.get_state(),
            "history": self.history,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
        }

    def take_up(self, state: Mapping[str, Any]) -> None:
        """Be what ``state`` told of."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["random"].cpu())
        self.history, self.best, self.best_epoch = state["history"], state["best"], state["best_epoch"]
        self.seconds = state["seconds"]

    def is_best(self, select: str) -> bool:
        """Whether the latest epoch is the one to keep so far, by the rule ``select``; of equal ROC-AUC, less loss."""
        if select == "last" or not self.best:
            return True
        earlier, latest = self.history[:-1], self.history[-1]
        if select == "loss":
            return latest["valid_loss"] < min(epoch["valid_loss"] for epoch in earlier)
        rank = lambda epoch: (epoch["valid_roc_auc"], -epoch["valid_loss"])  # noqa: E731
        return rank(latest) > max(map(rank, earlier))


def save(path: Path, fingerprint: str, trainings: Sequence[Training]) -> None:
    """Write the state of trainings, whole or not at all."""
    content = io.BytesIO()  # torch itself would tell of a full disk in words that nobody understands
    torch.save({"fingerprint": fingerprint, "trainings": [training.state() for training in trainings]}, content)
    files.write_sealed(path, content.getbuffer())


def restore(path: Path, fingerprint: str, trainings: Sequence[Training], device: torch.device) -> bool:
    """Take up what ``save`` wrote, if it is there, whole, and of the same trainings."""
    if not path.is_file():
        return False
    try:
        found = torch.load(io.BytesIO(files.read_sealed(path)), weights_only=True, map_location=device)
        if found["fingerprint"] != fingerprint:
            return False
        states = found["trainings"]
    except Exception as error:  # a damaged checkpoint costs time, no more: say so and begin again
        print(f"{path}: not a whole checkpoint ({type(error).__name__}); what it is of starts from its beginning")
        return False
    for training, state in zip(trainings, states, strict=True):
        training.take_up(state)
    return True


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


@dataclass
class _Pass:
    """One seed's pass over the training clips: in which order, and what it predicted.

    The order is drawn from (seed, epoch), and so are the windows where some are picked.
    """

    config: Mapping[str, Any]
    train: Clips
    treatment: negatives.Treatment
    generator: np.random.Generator
    windows: int  # of a clip

    def __post_init__(self):
        self.predicted = np.full(self.train.split.labels.shape, np.nan, dtype=np.float32)

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Clips of each minibatch, and of the one that follows."""
        order, size = self.treatment.order(self.generator), self.config["batch_size"]
        if 1 in (self.config["train_windows"], self.windows) and len(order) % size == 1:
            order = order[:-1]  # batch norm takes no statistics of a single window
        return itertools.pairwise([*batches(order, size), order[:0]])

    def picked(self, chosen: np.ndarray) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Windows that are drawn of each clip, or None for all, and how many count, int [chosen]."""
        counted, count = self.train.windows(chosen), self.config["train_windows"]
        if not count:
            return None, counted
        return _picked(self.train, chosen, count, self.generator), torch.full_like(counted, count)

    def weights(self, chosen: np.ndarray, device: torch.device) -> torch.Tensor | None:
        """What each label counts in the loss."""
        weights = self.treatment.weights(chosen)
        return None if weights is None else torch.from_numpy(weights).to(device)

    def see(self, chosen: np.ndarray, predictions: torch.Tensor, windows: torch.Tensor) -> bool:
        """Keep what was predicted of clips, [clips, tags] or a prediction a window; whether all are finite numbers."""
        if predictions.dim() == 3:
            predictions = networks.mean_over_windows(predictions, windows)
        self.predicted[chosen] = predictions.cpu().numpy()
        return bool(np.isfinite(self.predicted[chosen]).all())

    def scores(self) -> dict[str, float]:
        """Loss and ROC-AUC of all that was predicted."""
        seen = ~np.isnan(self.predicted[:, 0])  # all, but where clips are drawn with replacement
        return scores(self.train.split.labels[seen], self.predicted[seen])


def train_epoch(training: Training, config: Mapping[str, Any], fronts: Fronts, one: _Pass) -> dict[str, float]:
    """One pass over the training clips. Returns the epoch's loss and ROC-AUC."""
    network, device = training.network, fronts.device
    rate = learning_rate(config, len(training.history) + 1)
    network.train()
    for chosen, following in one.batches():
        fronts.expect(following)
        labels = one.train.labels(chosen).to(device)
        picked, windows = one.picked(chosen)
        windows = windows.to(device)
        predictions = network.tag(fronts(chosen, picked), windows, fronts.dtype)
        if not one.see(chosen, predictions.detach(), windows):  # before the loss, which refuses them, on a GPU for good
            return dict(NOT_FINITE)
        training.optimizer.step(networks.loss(predictions, windows, labels, one.weights(chosen, device)), rate)
    return one.scores()


def train_epoch_stacked(
    trainings: Sequence[Training], config: Mapping[str, Any], fronts: Sequence[Fronts], passes: Sequence[_Pass]
) -> list[dict[str, float]]:
    """The same for networks of several seeds, all of which have done as many epochs, as one network."""
    device, finite = fronts[0].device, [True] * len(trainings)
    rate = learning_rate(config, len(trainings[0].history) + 1)
    for training in trainings:
        training.network.train()
    stack = stacking.Stack([training.network for training in trainings])
    optimizer = _optimizer(stack.network, config)
    optimizer.join([training.optimizer for training in trainings])
    for of_all in zip(*(one.batches() for one in passes), strict=True):
        picks = [one.picked(chosen) for one, (chosen, _) in zip(passes, of_all, strict=True)]
        windows = torch.stack([counted for _, counted in picks]).to(device)
        both = [(front, chosen, picked) for front, (chosen, _), (picked, _) in zip(fronts, of_all, picks, strict=True)]
        for front, (_, following) in zip(fronts, of_all, strict=True):
            front.expect(following)
        if stack.network.frontend.learns:
            front = stack.learned([front.scaled(chosen, picked) for front, chosen, picked in both])
        else:
            front = stack.fixed([front(chosen, picked) for front, chosen, picked in both])
        predictions = stack.tag(front, windows)
        losses = []
        for number, (one, (chosen, _), own) in enumerate(zip(passes, of_all, predictions, strict=True)):
            # what is no longer a number takes no part; the loss would refuse it, and the others go on
            finite[number] = finite[number] and one.see(chosen, own.detach(), windows[number])
            if finite[number]:
                labels = one.train.labels(chosen).to(device)
                losses.append(networks.loss(own, windows[number], labels, one.weights(chosen, device)))
        if not losses:
            break
        optimizer.step(sum(losses), rate)
    stack.write_back()
    optimizer.part([training.optimizer for training in trainings])
    return [one.scores() if well else dict(NOT_FINITE) for one, well in zip(passes, finite, strict=True)]


def _optimizer(network: networks.Tagger, config: Mapping[str, Any]) -> Optimizer:
    return Optimizer(network.parameters(), config["momentum"], config["optimizer"], config["weight_decay"])


class Start(Protocol):
    """What a network begins with in place of random weights: ``fine_tuning.Start``."""

    digest: str  # another one for other weights

    def into(self, network: networks.Tagger, tags: Sequence[str]) -> None:
        """Put it into a network, whose tags are given."""


class _Seed:
    """One seed's training, from its first epoch to its last, whoever computes the epochs."""

    def __init__(
        self,
        config: Mapping[str, Any],
        seed: int,
        train: Clips,
        valid: Clips,
        about: Mapping[str, Any],
        device: torch.device,
        precision: torch.dtype,
        start: Start | None,
    ):
        torch.manual_seed(seed)
        shape = (about["statistics"], len(train.split.tags), about["sample_rate"], about["window_samples"])
        network = networks.Tagger(config, *shape).to(device)
        if start is not None:
            start.into(network, train.split.tags)
        generator = torch.Generator(device)
        if device.type == "cpu":
            generator.set_state(torch.get_rng_state())  # goes on where the first weights were drawn
        else:
            generator.manual_seed(seed)
        for module in network.modules():
            if isinstance(module, architectures.Dropout):
                module.generator = generator
        self.training = Training(network, _optimizer(network, config), generator=generator)
        self.config, self.seed, self.device, self.precision = config, seed, device, precision
        self.train, self.valid = (replace(clips, framing=network.framing) for clips in (train, valid))
        about = {**about, "device": device.type, "precision": str(precision)}
        about |= {"start": start.digest} if start is not None else {}
        self.name = fingerprint(config, seed, self.train, self.valid, about)
        self.treatment = negatives.Treatment(config["negative_tags"], train.split.tags, train.split.labels)
        self.broken = False
        self.fronts: tuple[Fronts, Fronts] | None = None

    @property
    def ended(self) -> bool:
        """Whether there is no epoch to come."""
        return self.broken or ended(self.training.history, self.config)

    def begin(self, others: Sequence["_Seed"] = ()) -> None:
        """Make what the trunk sees, or take another seed's, which is the same where no weights come before it."""
        network = self.training.network
        of_its_own = any(True for _ in network.frontend.parameters())  # frozen filters, too, are drawn from the seed
        shared = [other.fronts for other in others if other.fronts and not of_its_own]
        scored_in = torch.float32 if network.is_trunk else self.precision
        self.fronts = (
            shared[0]
            if shared
            else (
                Fronts(network, self.train, self.device, self.precision),
                Fronts(network, self.valid, self.device, scored_in),
            )
        )

    def epoch(self) -> _Pass:
        """The pass that comes next."""
        generator = np.random.default_rng([self.seed, len(self.training.history) + 1])
        return _Pass(self.config, self.train, self.treatment, generator, self.fronts[0].windows)

    def see(self, in_train: Mapping[str, float], seconds: float) -> dict[str, float] | None:
        """Score an epoch on the validation clips and keep it: its row of the history; None if its loss is no number.

        Args:
            in_train: what the pass came to.
            seconds: that it took.
        """
        training, epoch, started = self.training, len(self.training.history) + 1, time.monotonic()
        self.broken = not math.isfinite(in_train["loss"])
        if not self.broken:
            network, valid = training.network, self.valid
            found = predict(network, valid, self.device, self.fronts[1], self.config["valid_windows"])
            in_valid = scores(valid.split.labels, found)
            self.broken = not math.isfinite(in_valid["loss"])
        if self.broken:
            return None
        row = {"seed": self.seed, "epoch": epoch, "learning_rate": learning_rate(self.config, epoch)}
        row |= {f"train_{key}": value for key, value in in_train.items()}
        row |= {f"valid_{key}": value for key, value in in_valid.items()}
        training.history.append(row)
        if training.is_best(self.config["select"]):
            training.best = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
            training.best_epoch = epoch
        training.seconds.append(seconds + time.monotonic() - started)
        return row

    def seconds_left(self) -> float:
        """By the look of it, if no patience ends the training."""
        done = len(self.training.history)
        return (self.config["epochs"] - done) * float(np.median(self.training.seconds))

    def result(self) -> Training:
        """The training at its end.

        Raises:
            Diverged: the loss was not a finite number in its first epoch.
        """
        config, training = self.config, self.training
        if not training.history:
            raise Diverged(
                f"seed {self.seed}: the loss was not a finite number in the first epoch; learning_rate"
                f" {config['learning_rate']} with momentum {config['momentum']} and scaling {config['scaling']} may be"
                " too much for this front end"
            )
        for module in training.network.modules():  # a generator cannot be handed to another process
            if isinstance(module, architectures.Dropout):
                module.generator = None
        training.generator = None
        return training


def _set_up(device: torch.device) -> None:
    """Make numbers repeat, and a CPU's steps quick."""
    if device.type == "cpu":
        processes.keep_memory()
    else:  # on a CPU all that is used here repeats anyway, and the call takes a second: it imports torch's compiler
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # a pass over memory that is never read


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
    _set_up(device)
    about = {"statistics": statistics, "sample_rate": sample_rate, "window_samples": window_samples}
    one = _Seed(config, seed, train, valid, about, device, precision, start)
    if checkpoint is not None:
        restore(Path(checkpoint), one.name, [one.training], device)
    if not one.ended:
        one.begin()
    while not one.ended:
        started = time.monotonic()
        in_train = train_epoch(one.training, config, one.fronts[0], one.epoch())
        row = one.see(in_train, time.monotonic() - started)
        if row is not None:
            if checkpoint is not None:
                save(Path(checkpoint), one.name, [one.training])
            report(row, one.seconds_left())
    return one.result()


def run_stacked(
    config: Mapping[str, Any],
    seeds: Sequence[int],
    train: Clips,
    valid: Clips,
    statistics: dict[str, float],
    sample_rate: int,
    window_samples: int,
    checkpoint: str | Path | None = None,
    device: str | torch.device = "cpu",
    precision: torch.dtype = torch.float32,
    report: Callable[[dict[str, float], float], None] = lambda epoch, seconds_left: None,
    starts: Sequence[Start | None] | None = None,
) -> list[Training]:
    """Train networks from several seeds side by side, as one stack: each as ``run`` would, to rounding.

    A seed whose training has ended leaves the stack, the others go on.

    Args:
        seeds: of each network.
        checkpoint: one file for all.
        report: called after each epoch of each seed.
        starts: what each network begins with.

    The other arguments are those of ``run``, and so are the results, in the order of the seeds.

    Raises:
        Diverged: the loss of one was not a finite number in its first epoch; the others are trained to their ends then,
            and kept in the checkpoint.
        ValueError: networks of this config cannot be stacked.
    """
    device = torch.device(device)
    _set_up(device)
    about = {"statistics": statistics, "sample_rate": sample_rate, "window_samples": window_samples}
    every = [
        _Seed(config, seed, train, valid, about, device, precision, start)
        for seed, start in zip(seeds, starts or [None] * len(seeds), strict=True)
    ]
    if not stacking.stacks(every[0].training.network):
        raise ValueError(
            f"networks with frontend {config['frontend']} and network {config['network']} cannot be stacked:"
            " that takes network trunk behind raw, or behind a front end that does not learn"
        )
    name = hashlib.sha256("\n".join(one.name for one in every).encode()).hexdigest()
    trainings = [one.training for one in every]
    if checkpoint is not None:
        restore(Path(checkpoint), name, trainings, device)
    for one in every:
        # one that diverged ended earlier than the others
        one.broken = not one.ended and len(one.training.history) < max(len(each.history) for each in trainings)
    for number, one in enumerate(every):
        if not one.ended:
            one.begin(every[:number])
    while now := [one for one in every if not one.ended]:
        started = time.monotonic()
        fronts, passes = [one.fronts[0] for one in now], [one.epoch() for one in now]
        found = train_epoch_stacked([one.training for one in now], config, fronts, passes)
        seconds = (time.monotonic() - started) / len(now)
        rows = [(one, one.see(in_train, seconds)) for one, in_train in zip(now, found, strict=True)]
        if checkpoint is not None:
            save(Path(checkpoint), name, trainings)
        for one, row in rows:
            if row is not None:
                report(row, one.seconds_left())
    return [one.result() for one in every]
