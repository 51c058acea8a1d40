"""A small model, some sounds, and a server of ``wavetag serve`` in a thread of its own, on 127.0.0.1 alone."""

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import soundfile
import torch

from conftest import DEFAULTS, tone, write_mp3
from wavetag import networks, serving, serving_clips, tagger
from wavetag.datasets import layout
from wavetag.serving_crew import Crew

RATE, WINDOW = 12_000, 2_400  # 0.2 seconds
TAGS = ("rock", "<img src=x onerror=alert(1)>", 'a "quoted" & tag', "choir", *(f"tag {number}" for number in range(12)))
TITLE, ARTIST = "<b>Bold</b> & <script>alert(1)</script>", "</li><i>someone</i>"
MISPLACED = ("../outside.mp3", "/etc/passwd.mp3", "0/notes.txt", "0/not there.mp3")


def write_model(folder: Path) -> Path:
    """An untrained network whose tags are not equally probable."""
    config = DEFAULTS | {"length": 64, "stride": 64, "filters": 8, "seeds": [0]}
    statistics = {"minimum": -20_000, "maximum": 20_000, "mean": 0.0, "standard_deviation": 5000.0}
    torch.manual_seed(4)
    network = networks.Tagger(config, statistics, len(TAGS), RATE, WINDOW)
    with torch.no_grad():
        network.classifier.weight.normal_(0, 3)
        network.classifier.bias.normal_(0, 1)
    about = {
        **{"name": "small", "dataset": {"name": "minitune"}, "config": config, "tags": list(TAGS)},
        **{"sample_rate": RATE, "window_samples": WINDOW, "statistics": statistics},
    }
    losses = dict.fromkeys(("train_loss", "valid_loss", "train_roc_auc", "valid_roc_auc"), 0.75)
    trained = SimpleNamespace(
        **{"network": network, "best": network.state_dict(), "best_epoch": 1, "epochs_run": 1},
        history=[{"seed": 0, "epoch": 1, **losses}],
    )
    tagger.write(folder, about, {0: trained})
    return folder


def sound(frequency: float = 440.0, seconds: float = 2.0, rate: int = 16_000) -> np.ndarray:
    """A tone that grows louder, with a step in the middle: no two places of it sound alike."""
    samples = tone(frequency, seconds * rate / 16_000, np.random.default_rng(int(frequency)))
    samples[len(samples) // 2 :] *= 0.3
    return samples * np.linspace(0.2, 1, len(samples))


def encoded(samples: np.ndarray, rate: int = 16_000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """As a file of some kind."""
    written = io.BytesIO()
    soundfile.write(written, samples, rate, format=kind, subtype=subtype)
    return written.getvalue()


def bomb(hours: float) -> bytes:
    """Silence with a click at its start, as FLAC: a hundredth of a byte a sample."""
    written = io.BytesIO()
    with soundfile.SoundFile(written, "w", 8000, 1, format="FLAC", subtype="PCM_16") as file:
        file.write(np.array([1000, -1000] * 100, np.int16))
        block = np.zeros(8000 * 60, np.int16)
        for _ in range(int(hours * 60)):
            file.write(block)
    return written.getvalue()


def write_dataset(folder: Path) -> Path:
    """An MP3 file, a part of a WAV file, an AIFF file; and paths in its table that are not to be followed."""
    for part in "01":
        (folder / part).mkdir(parents=True)
    write_mp3(folder / "0/tone-0-2.mp3", sound(300))
    (folder / "1/long.wav").write_bytes(encoded(sound(500, 6.0)))
    (folder / "1/other.aiff").write_bytes(encoded(sound(700), kind="AIFF"))
    (folder / "0/notes.txt").write_text("not a sound")
    write_mp3(folder.parent / "outside.mp3", sound(300))
    paths = ["0/tone-0-2.mp3", f"1/long.wav{layout.fragment(1, 3.5)}", "1/other.aiff", *MISPLACED]
    clips = pd.DataFrame({"clip_id": [str(number) for number in range(len(paths))], "path": paths})
    clips["title"], clips["artist"] = [TITLE, "A part", "Another kind", *MISPLACED], ARTIST
    clips["segmentStart"], clips["segmentEnd"] = "0", "2"
    layout.write_tables(folder, TAGS[:2], clips, np.ones((len(paths), 2), np.uint8))
    return folder


@dataclass
class Site:
    """A server that runs.

    Attributes:
        address: with a slash at its end.
        server: to look into.
        uploads: its folder.
    """

    address: str
    server: serving.Server
    uploads: Path

    def processes(self) -> list[int]:
        """Numbers of the workers' processes."""
        return [worker.facts["process"] for worker in self.server.crew.workers]


@contextmanager
def running(model: Path, uploads: Path, limits: serving.Limits, jobs: int, clips: Path | None = None) -> Iterator[Site]:
    """Serve while the block runs."""
    uploads.mkdir()
    crew = Crew(model, jobs, limits.work_seconds)
    with serving.bind("127.0.0.1", 0) as listening:
        try:
            facts = crew.begin()
            offered = None if clips is None else serving_clips.of(clips, None, TAGS)
            server = serving.Server(crew, facts, offered, limits, listening, "127.0.0.1", uploads)
            loop, stop, listens = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
            thread = threading.Thread(target=loop.run_until_complete, args=[server.run(stop, listens.set)], daemon=True)
            thread.start()
            assert listens.wait(30)
            try:
                yield Site(serving.address(listening), server, uploads)
            finally:
                loop.call_soon_threadsafe(stop.set)
                thread.join(30)
                assert not thread.is_alive()
                loop.close()
        finally:
            crew.end()
