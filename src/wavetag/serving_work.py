"""What a worker of ``wavetag serve`` does: it holds the model, decodes, tags, and gives back what the page is sent.

Its process does nothing else, so that a file that ends it, or never lets it end, costs that file alone. What is heavy
to import is imported there: the server has no need of torch.
"""

import json
import os
import resource
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wavetag import audio

if TYPE_CHECKING:
    from wavetag.model import Heard, Model
    from wavetag.serving_clips import Clips

POINTS = 1000  # of a waveform
CHUNK = 32  # samples that a waveform is made of at a time
CELLS = 250_000  # of a taggram, windows times tags, at most: 6 bytes each
MEMORY = 4 * 2**30  # bytes that a worker may map beside what it has when it begins

Segment = tuple[float, float] | None

_MODEL: "Model | None" = None  # in a worker process, and nowhere else


def begin(folder: Path, memory: int = MEMORY) -> dict[str, Any]:
    """Load the model; what is asked for later is asked of it.

    Args:
        folder: of the model.
        memory: bytes that may be mapped from then on.

    Returns:
        What the page says of the model; ``process``, the number of this one.

    Raises:
        wavetag.model_folder.ModelError: it cannot be loaded.
    """
    import torch

    from wavetag import model, model_folder

    global _MODEL
    torch.set_num_threads(1)  # the workers are as many as may work at a time
    _MODEL = model.Model.load(folder)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = mapped + memory
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    dataset = _MODEL.about.get("dataset")
    name = dataset.get("name") if isinstance(dataset, dict) else None
    score = model_folder.validation(folder)
    return {
        "process": os.getpid(),
        "model": _MODEL.name,
        "seed": _MODEL.seed,
        "dataset": name if isinstance(name, str) else None,
        "tags": len(_MODEL.tag_names),
        "sample_rate": _MODEL.sample_rate,
        "window_seconds": round(_MODEL.window_seconds, 3),
        "validation_roc_auc": round(score, 3) if score == score else None,
    }


def clips(folder: Path, split: Path | None) -> "Clips":
    """See ``serving_clips.of``."""
    from wavetag import serving_clips

    return serving_clips.of(folder, split, _loaded().tag_names)


def tag(path: Path, segment: Segment, most_seconds: float) -> bytes:
    """Tags, taggram and waveform of a file as JSON.

    Args:
        path: of the file, of any kind that libsndfile reads.
        segment: of it, from where to where in seconds; None for the whole.
        most_seconds: refuse what is longer.

    Returns:
        ``seconds``; ``tags``, a list of ``tag`` and ``probability``, the most probable first; ``taggram``: ``starts``
        and ``window`` in seconds, ``tags`` in that order, ``probabilities`` [windows][tags], rounded, and ``every``: of
        so many windows one is there; ``waveform``: ``low`` and ``high`` of up to 1000 equal parts, full scale is 1.

    Raises:
        audio.AudioError: nothing can be heard in it, and why.
    """
    model = _loaded()
    try:
        # first without the network: of a file that is refused not much is computed
        low, high = waveform(audio.no_longer(pieces(path, segment, model.sample_rate), most_seconds, model.sample_rate))
        heard = _hear(model, path, segment, most_seconds)
    except (audio.AudioError, MemoryError, OSError) as error:
        raise _told(error, path) from None
    found = _payload(heard)
    found["waveform"] = {"low": low, "high": high}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def listen(path: Path, segment: Segment, most_seconds: float, target: Path) -> None:
    """Write what the model hears as WAV: one channel, 16 bits, at its rate. Errors: as of ``tag``.

    Args:
        path, segment, most_seconds: as of ``tag``.
        target: a file that is there; if it is not any more, nobody waits for it.
    """
    rate = _loaded().sample_rate
    try:
        with target.open("r+b") as opened, wave.open(opened, "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            for piece in audio.no_longer(pieces(path, segment, rate), most_seconds, rate):
                file.writeframesraw(piece.astype("<i2").tobytes())
    except (audio.AudioError, MemoryError, OSError) as error:
        raise _told(error, path) from None


def pieces(path: Path, segment: Segment, rate: int) -> Iterator[np.ndarray]:
    """Samples of a file or of a part of it, int16, some at a time."""
    if segment is None:
        yield from audio.blocks(path, rate)
        return
    [samples] = audio.decode_segments(path, rate, [segment])
    if isinstance(samples, audio.AudioError):
        raise samples
    yield samples


def waveform(given: Iterable[np.ndarray], points: int = POINTS) -> tuple[list[float], list[float]]:
    """Lowest and highest sample of equal parts of a sound, as shares of full scale.

    Args:
        given: int16 samples, piece by piece; of each 32 samples two are held.
        points: parts, at most.
    """
    held, found = np.empty(0, np.int16), []
    for piece in given:
        held = np.concatenate([held, piece])
        whole = len(held) // CHUNK * CHUNK
        found.append(_extremes(held[:whole].reshape(-1, CHUNK)))
        held = held[whole:]
    if len(held):
        found.append(_extremes(held[None]))
    chunks = np.concatenate(found)
    parts = min(points, len(chunks))
    begins = np.arange(parts) * len(chunks) // parts
    low, high = np.minimum.reduceat(chunks[:, 0], begins), np.maximum.reduceat(chunks[:, 1], begins)
    return tuple(np.round(side / audio.INT16_FULL_SCALE, 3).tolist() for side in (low, high))


def _extremes(rows: np.ndarray) -> np.ndarray:
    """int16 [rows, 2]: the lowest and the highest of each."""
    return np.stack([rows.min(axis=1), rows.max(axis=1)], axis=1)


def _hear(model: "Model", path: Path, segment: Segment, most_seconds: float) -> "Heard":
    if segment is None:
        return model.hear(path, over_time=True, most_seconds=most_seconds)
    [samples] = pieces(path, segment, model.sample_rate)
    return model.hear(samples, model.sample_rate, over_time=True)


def _payload(heard: "Heard") -> dict[str, Any]:
    top, course = heard.top(), heard.over_time
    assert course is not None
    places = [heard.tags.index(name) for name in top]
    every = max(1, -(-len(course.starts) * len(top) // CELLS))
    shown = course.probabilities[::every, places].astype(np.float64)
    return {
        "seconds": round(heard.seconds, 3),
        "tags": [{"tag": name, "probability": round(value, 4)} for name, value in top.items()],
        "taggram": {
            "starts": np.round(course.starts[::every], 3).tolist(),
            "window": round(course.seconds, 3),
            "every": every,
            "tags": list(top),
            "probabilities": np.round(shown, 3).tolist(),
        },
    }


def _told(error: Exception, path: Path) -> audio.AudioError:
    """What is wrong with a file, without saying where it lies: that is of no use to who sent it."""
    if isinstance(error, MemoryError):
        return audio.AudioError("decoding it takes more memory than is allowed")
    if isinstance(error, OSError):
        return audio.AudioError(f"cannot be read: {error.strerror or 'an error of the system'}")
    return audio.AudioError(str(error).replace(str(path), "the file"))


def _loaded() -> "Model":
    assert _MODEL is not None, "begin has not been called in this process"
    return _MODEL
