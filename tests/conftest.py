"""Tiny audio and a tiny dataset in MagnaTagATune's layout, made anew for the tests that ask for them."""

from dataclasses import dataclass
from pathlib import Path

import lameenc
import numpy as np
import pytest

from wavetag import clips, params, preparation, splits, tags

DEFAULTS = params.read_yaml(Path(__file__).resolve().parents[1] / "params.yaml")["defaults"]  # of an experiment
RATE = 16_000
PARTS = "0123456789abcdef"
LONGEST = ("test_slurm", "test_pipeline", "test_faults", "test_datasets", "test_onnx_export")  # of minutes each


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first: the others would wait for whichever process is left with one of them."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def tone(frequency: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """float64 [samples] at 16 kHz: a sine in some noise."""
    time = np.arange(int(seconds * RATE)) / RATE
    return 0.4 * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 6)) + 0.02 * rng.normal(size=len(time))


def write_mp3(path: Path, samples: np.ndarray) -> None:
    """Mono MP3 at 16 kHz and 32 kbit/s."""
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(32)
    encoder.set_in_sample_rate(RATE)
    encoder.set_channels(1)
    encoder.silence()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(encoder.encode((samples * 32767).astype("<i2").tobytes()) + encoder.flush()))


def write_tag_table(path: Path, names: list[str], rows: list[tuple[int, np.ndarray, str]]) -> None:
    """Clip id, a column a tag, path: quoted and tab-separated, as in the original."""
    lines = [["clip_id", *names, "mp3_path"]] + [[clip, *values, name] for clip, values, name in rows]
    path.write_text("".join("\t".join(f'"{value}"' for value in line) + "\n" for line in lines))


def make_dataset(folder: Path, clips: int = 64, seconds: float = 2.0) -> Path:
    """A dataset whose tags follow from what sounds: low tones are 'bass', high ones 'flute', and so on at random."""
    rng = np.random.default_rng(7)
    names = [word for words in tags.sources("merged50").values() for word in words]
    rows, information = [], []
    for clip in range(clips):
        high = clip % 2
        song, start = clip // 2, 30 * high
        path = f"{PARTS[song % 16]}/artist_{clip // 8}-album_{clip // 4}-01-song_{song}-{start}-{start + 29}.mp3"
        write_mp3(folder / path, tone(1800.0 if high else 200.0, seconds, rng))
        labels = (rng.random(len(names)) < 0.1).astype(int)
        labels[names.index("flute")], labels[names.index("bass")] = high, 1 - high
        labels[names.index("flutes")] = 0  # a synonym: with it, a low clip would count as 'flute' too
        rows.append((clip, labels, path))
        information.append((clip, f"artist {clip // 8}", f"album {clip // 4}", path))
    write_tag_table(folder / "annotations_final.csv", names, rows)
    lines = ["clip_id\tartist\talbum\tmp3_path"] + ["\t".join(map(str, line)) for line in information]
    (folder / "clip_info_final.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 clips of two seconds, to be read and not changed."""
    return make_dataset(tmp_path_factory.mktemp("dataset"))


@dataclass(frozen=True)
class Prepared:
    """The tiny dataset, decoded and split, at 12 kHz: two windows a clip."""

    array_path: Path
    manifest_path: Path
    split: splits.Split
    sample_rate: int = 12_000
    window_samples: int = 12_000

    @property
    def array(self) -> np.ndarray:
        return clips.open_array(self.array_path)


@pytest.fixture(scope="session")
def tiny_prepared(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """48 clips to train, 4 to validate, 12 to test; to be read and not changed."""
    folder = tmp_path_factory.mktemp("prepared")
    array, manifest = folder / "clips.npy", folder / "manifest.tsv"
    described = preparation.prepare(tiny_dataset, array, manifest, Prepared.sample_rate, 2 * Prepared.window_samples)
    annotations = clips.read_annotations(tiny_dataset / "annotations_final.csv")
    parts = {"train": PARTS[:12], "valid": PARTS[12], "test": PARTS[13:]}
    split = splits.make(
        described, annotations, "merged50", parts, "tagged", Prepared.window_samples, Prepared.sample_rate
    )
    return Prepared(array, manifest, split)
