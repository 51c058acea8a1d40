"""A trained model in a user's hands: files or samples in, tags out.

A sound is decoded to one channel at the model's rate and cut into windows as in training. The last one is filled up
with zeros, and counts if at least half of it sounds or if it is the only one (``windows_of``). Memory does not grow
with the length of a file.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wavetag import audio, model_folder, networks, tagger
from wavetag.taggrams import STEPS, Taggram

Sound = str | Path | np.ndarray
LEAST_HOP = 0.02  # seconds
TOGETHER = 60  # seconds of sound that a network is given at a time
LOUDEST = 10.0  # of floating-point samples, whose full scale is 1: what is louder was not meant so
MOST_RATE = 10_000_000  # Hz
LONGEST = 100_000_000  # samples of an array: 37 minutes at 44,100 Hz and then some; longer ones are for files


@dataclass(frozen=True)
class Heard:
    """What a model makes of one sound.

    Attributes:
        tags: names, in the model's order.
        probabilities: float32 [tags], the mean over windows.
        embedding: float32 [features], the mean over windows of what the last layer takes.
        seconds: length of the sound.
        windows: how many were listened to.
        over_time: the taggram, if it was asked for.
    """

    tags: tuple[str, ...]
    probabilities: np.ndarray
    embedding: np.ndarray
    seconds: float
    windows: int
    over_time: Taggram | None = None

    def top(self, count: int | None = None) -> dict[str, float]:
        """Tag -> probability, the most probable first; all of them, or so many."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return {self.tags[place]: float(self.probabilities[place]) for place in order}


class Model:
    """One trained network with all that is needed to use it. It keeps no state between calls.

    Attributes:
        name: of its config.
        tag_names: in the order of its outputs.
        sample_rate: at which it listens, in Hz: files and arrays of any other are resampled.
        window_seconds: how much it listens to at a time.
        about: all that its folder says of it.
        network: the ``torch`` module, in evaluation mode.
    """

    def __init__(self, network: networks.Tagger, about: Mapping[str, Any], folder: Path, seed: int | None = None):
        self.network, self.about, self.folder = network.eval(), about, folder
        self.seed = about.get("seed") if seed is None else seed
        self.name: str = str(about.get("name", folder.name))
        self.tag_names: tuple[str, ...] = tuple(about["tags"])
        self.sample_rate: int = about["sample_rate"]
        self.window_seconds: float = network.framing.window / self.sample_rate

    @classmethod
    def load(cls, folder: str | Path, seed: int | None = None) -> "Model":
        """Read a model folder: see ``wavetag.load_model``."""
        folder = Path(folder)
        about = model_folder.about(folder)
        if seed is None:
            seed = model_folder.best_seed(folder)
        elif (folder / model_folder.WEIGHTS).is_file():
            if seed != about.get("seed"):
                raise model_folder.ModelError(
                    f"{folder}: it has the network of seed {about.get('seed')} alone, not of {seed}"
                )
            seed = None
        network = tagger.load(folder, seed)
        if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
            raise model_folder.ModelError(f"{folder}: not all weights of its network are finite numbers")
        return cls(network, about, folder, seed)

    def tags(self, sound: Sound, sample_rate: int | None = None, top: int | None = None) -> dict[str, float]:
        """Tags of a file or of samples, the most probable first: name -> probability.

        Args:
            sound: path of a file that libsndfile reads, or samples, see ``predict``.
            sample_rate: of samples, in Hz.
            top: how many; all by default.

        Raises:
            wavetag.audio.AudioError: the file is not there, cannot be decoded, or is silent throughout.
            ValueError: samples that cannot be meant.
        """
        return self.hear(sound, sample_rate).top(top)

    def predict(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Tag probabilities of samples, float32 [tags], in the order of ``tag_names``.

        Args:
            samples: [samples], or [samples, channels], which are mixed. Floating-point numbers have full scale 1.0,
                integers that of their type (int16: 32768; uint8: 128 is silence), as in files.
            sample_rate: in Hz; samples of another rate than the model's are resampled.

        Raises:
            ValueError: no samples, samples that are not finite, far louder than full scale, of an unknown type or
                shape, or a rate that cannot be one.
        """
        return self._listen(self._from_array(samples, sample_rate)).probabilities

    def embedding(self, sound: Sound, sample_rate: int | None = None) -> np.ndarray:
        """What the last layer makes tags of, float32 [features]: the trunk's 100 hidden units, the mean over windows.

        Args, errors: as ``tags``.
        """
        return self.hear(sound, sample_rate).embedding

    def tags_over_time(self, sound: Sound, sample_rate: int | None = None, hop: float | None = None) -> Taggram:
        """Tag probabilities of each window of a sound: see ``wavetag.taggrams.Taggram``.

        Args:
            sound, sample_rate: as of ``tags``.
            hop: seconds from one window to the next; by default a quarter of a window.
        """
        taggram = self.hear(sound, sample_rate, over_time=True, hop=hop).over_time
        assert taggram is not None
        return taggram

    def hear(
        self,
        sound: Sound,
        sample_rate: int | None = None,
        over_time: bool = False,
        hop: float | None = None,
        most_seconds: float | None = None,
    ) -> Heard:
        """All that the other methods give, in one pass over a sound.

        Args:
            sound, sample_rate: as of ``tags``.
            over_time: whether to make the taggram too.
            hop: of it, in seconds.
            most_seconds: refuse a file that is longer.

        Raises: as ``tags``.
        """
        self.check_hop(hop)
        if isinstance(sound, str | Path):
            if sample_rate is not None:
                raise ValueError("sample_rate is of samples alone: a file says its own")
            pieces = audio.blocks(sound, self.sample_rate)
        elif sample_rate is None:
            raise ValueError("sample_rate is needed: of samples alone it cannot be told")
        else:
            pieces = self._from_array(sound, sample_rate)
        if most_seconds is not None:
            pieces = audio.no_longer(pieces, most_seconds, self.sample_rate)
        return self._listen(_not_silent(pieces), over_time, hop)

    def check_hop(self, hop: float | None) -> None:
        """Refuse a hop, in seconds, of which windows would be endlessly many, or would leave something out."""
        if hop is not None and not LEAST_HOP <= hop <= self.window_seconds:
            raise ValueError(
                f"hop {hop:g} s: {LEAST_HOP:g} to {self.window_seconds:g} s, the length of a window of {self.name}, are"
                " allowed"
            )

    def _from_array(self, samples: Any, sample_rate: int) -> Iterator[np.ndarray]:
        """As ``audio.blocks`` gives the samples of a file."""
        return iter([audio.converted(_checked(samples, sample_rate), int(sample_rate), self.sample_rate)])

    @torch.inference_mode()
    def _listen(self, pieces: Iterable[np.ndarray], over_time: bool = False, hop: float | None = None) -> Heard:
        """Cut samples of int16's scale, at the model's rate, into windows and give these to the network."""
        framing, network = self.network.framing, self.network
        together = max(1, TOGETHER * self.sample_rate // framing.window)
        step = framing.window // STEPS if hop is None else round(hop * self.sample_rate)
        tagged = _Windows(framing.window, framing.hop, together)
        timed = _Windows(framing.window, max(1, step), together) if over_time else None
        features = np.zeros(network.classifier.in_features)
        probabilities, count, samples, course = np.zeros(len(self.tag_names)), 0, 0, []

        def take(batches: Iterable[np.ndarray]) -> None:
            nonlocal count
            for windows in batches:
                of_windows = self._features(windows)
                features[:] += of_windows.double().sum(dim=0).numpy()
                probabilities[:] += self._probabilities(of_windows).double().sum(dim=0).numpy()
                count += len(windows)

        for piece in pieces:
            samples += len(piece)
            take(tagged.add(piece))
            if timed is not None:
                course += [self._probabilities(self._features(windows)) for windows in timed.add(piece)]
        take(tagged.rest())
        embedding = features / count
        if network.pool == "features":
            mean = self._probabilities(torch.from_numpy(embedding.astype(np.float32))[None])[0].numpy()
        else:
            mean = probabilities / count
        if not np.isfinite(mean).all():  # batch norm's variances below zero, say
            raise model_folder.ModelError(f"{self.folder}: its network gives no finite probabilities")
        heard = Heard(
            self.tag_names,
            mean.astype(np.float32),
            embedding.astype(np.float32),
            samples / self.sample_rate,
            count,
        )
        if timed is None:
            return heard
        course += [self._probabilities(self._features(windows)) for windows in timed.rest()]
        found = torch.cat(course).numpy()
        starts = np.arange(len(found)) * timed.hop / self.sample_rate
        return replace(heard, over_time=Taggram(starts, self.window_seconds, found, self.tag_names))

    def _features(self, windows: np.ndarray) -> torch.Tensor:
        """Samples of int16's scale [windows, samples] -> [windows, features]."""
        samples = torch.from_numpy(windows.astype(np.float32))
        return self.network.features(self.network.front(samples))[:, 0]

    def _probabilities(self, features: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.network.classifier(features))


class _Windows:
    """Cuts what comes piece by piece into windows, some at a time.

    Args:
        window, hop: in samples.
        together: windows that are given at a time.
    """

    def __init__(self, window: int, hop: int, together: int):
        self.window, self.hop, self.together = window, hop, together
        self.held = np.empty(0, np.int16)
        self.skip, self.given = 0, 0

    def add(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Whole batches, int16 [windows, samples], with these samples behind those of before."""
        self.held = np.concatenate([self.held, samples])
        while (batch := self._cut(self.together)) is not None:
            yield batch

    def rest(self) -> Iterator[np.ndarray]:
        """What is left: whole windows, then one filled up with zeros if it counts, see ``windows_of``."""
        count = windows_of(self.given * self.hop + len(self.held), self.window, self.hop) - self.given
        missing = (count - 1) * self.hop + self.window - len(self.held)
        if count > 0:
            self.held = np.pad(self.held, (0, max(0, missing)))
            yield self._cut(count)

    def _cut(self, count: int) -> np.ndarray | None:
        if len(self.held) < (count - 1) * self.hop + self.window:
            return None
        views = np.lib.stride_tricks.sliding_window_view(self.held, self.window)[:: self.hop][:count]
        self.held = self.held[count * self.hop :]
        self.given += count
        return views


def windows_of(samples: int, window: int, hop: int) -> int:
    """How many windows are listened to: until one reaches the end; that one if at least half of it sounds, or alone."""
    reaching = -(-max(0, samples - window) // hop)
    half_full = max(0, samples - -(-window // 2)) // hop
    return min(reaching, half_full) + 1


def _not_silent(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same pieces; an error behind them if none had a sound: a network would answer all the same."""
    silent = True
    for piece in pieces:
        silent = silent and not piece.any()
        yield piece
    if silent:
        raise audio.AudioError("silent from start to end: there is nothing to tag")


def _checked(samples: Any, sample_rate: Any) -> np.ndarray:
    """Samples as float32 [samples], full scale 1.0. Raises ``ValueError`` for what cannot be meant."""
    try:
        rate = float(sample_rate)
    except (TypeError, ValueError):
        rate = math.nan
    if not audio.LEAST_RATE <= rate <= MOST_RATE or rate != int(rate):
        allowed = f"in Hz, a whole number from {audio.LEAST_RATE:,} to {MOST_RATE:,}"
        raise ValueError(f"sample_rate {sample_rate!r}: {allowed}, is needed")
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"samples of shape {list(array.shape)}: [samples] or [samples, channels] is needed")
    if array.ndim == 2 and array.shape[1] > array.shape[0]:
        raise ValueError(f"samples of shape {list(array.shape)} have more channels than samples: transpose them")
    if array.size > LONGEST:
        raise ValueError(f"{array.size:,} samples: at most {LONGEST:,} at a time; write them into a file")
    if array.dtype == np.uint8:
        array = (array.astype(np.float32) - 128) / 128
    elif array.dtype.kind == "i":
        array = (array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
    elif array.dtype.kind == "f":
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError("samples that are not finite numbers")
        if (peak := float(np.abs(array).max())) > LOUDEST:
            raise ValueError(
                f"floating-point samples up to {peak:,.6g}: their full scale is 1.0; give int16 samples as int16"
            )
    else:
        raise ValueError(f"samples of type {array.dtype}: floating-point numbers, uint8 or signed integers are needed")
    return array if array.ndim == 1 else array.mean(axis=1)
