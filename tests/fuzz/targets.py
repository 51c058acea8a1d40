"""What reads from outside, one target a reader: given the bytes of a file it reads them, or refuses them as promised.

A target gives the bytes to the reader as a file and returns whether it was accepted. What the reader gives back is held
against what it promises; what it refuses, it has to refuse by the error that its documentation names, in lines that can
be printed and that name the file. All else is a ``Finding``.
"""

import contextlib
import csv
import io
import json
import math
import os
import pickle
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import yaml

from fuzz import mutations
from wavetag import params

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 20_000  # characters of a message: more helps nobody
SECONDS = 10  # that one input may take
MEMORY = 2**30  # bytes that one input may take


class Finding(AssertionError):
    """What a reader must not do."""


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: of the reader.
        reads: bytes and an empty folder -> whether they were accepted.
        refusals: what it raises for bad input.
        seeds: good files, which bad ones are made of.
        mutate: how.
        native: code that is not Python's reads it: it is to be tried in a process of its own.
        imports: modules that coverage is taken of.
    """

    name: str
    reads: Callable[[bytes, Path], bool]
    refusals: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]
    mutate: mutations.Mutation
    native: bool = False
    imports: tuple[str, ...] = ()

    def bad(self, random: Random) -> bytes:
        """Bad input."""
        return self.mutate(self.good(), random)

    def good(self) -> list[bytes]:
        """Good files."""
        return _made(self.seeds)


@cache
def _made(seeds: Callable[[], list[bytes]]) -> list[bytes]:
    return seeds()


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """What computes for longer is a ``Finding``, as far as Python itself is at work. A busy machine changes nothing."""

    def ring(*_: Any) -> None:
        raise Finding(f"it takes longer than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def tried(target: Target, content: bytes, seconds: float = SECONDS) -> bool:
    """Whether a reader accepts these bytes. Raises ``Finding`` if it does neither that nor what it promises."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_scratch()))
    here = Path.cwd()
    try:
        with _limited(seconds), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return target.reads(content, folder)
    except Finding:
        raise
    except target.refusals as error:
        _check_message(str(error), target, folder)
        return False
    except RecursionError as error:
        raise Finding(f"RecursionError: {error}") from None  # without its thousand frames
    except Exception as error:
        raise Finding(f"{type(error).__name__}: {str(error)[:500]}") from error
    finally:
        os.chdir(here)
        shutil.rmtree(folder, ignore_errors=True)


def _scratch() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _check_message(message: str, target: Target, folder: Path) -> None:
    """Each line of a message is printable and names the file, of which all are in ``folder``; or what was typed."""
    if len(message) > LONGEST:
        raise Finding(f"a message of {len(message)} characters: {message[:200]}")
    try:
        message.encode()
    except UnicodeEncodeError:
        raise Finding(f"a message that cannot be printed: {message[:500]!r}") from None
    if target.name in UNNAMED:
        lines = message.split("\n") if target.refusals == (params.ParamsError,) else [message.replace("\n", "")]
        demand(target.refusals == (params.ParamsError,) or "\n" not in message, f"two lines: {message[:500]!r}")
    else:
        lines = [line if folder.name in line or target.name in line else "" for line in message.split("\n")]
    if not all(lines):
        raise Finding(f"a message with a line that does not name the file: {message[:500]!r}")


def write(folder: Path, name: str, content: bytes) -> Path:
    """A file with these bytes."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def demand(truth: bool, what: str) -> None:
    """A promise about what is accepted."""
    if not truth:
        raise Finding(f"accepted, though {what}")


# Settings


@cache
def _settings() -> dict[str, Any]:
    """params.yaml with two experiments and one question: reading it takes a hundredth of a second."""
    full = yaml.safe_load((ROOT / "params.yaml").read_text())
    defaults = full["defaults"]
    experiments = {"base": defaults, "mel": {**defaults, "frontend": "mel", "length": 1024, "stride": 256, "bands": 64}}
    ask = {"ask": "Does mel beat base?", "group": "fronts", "one": "mel", "other": "base"}
    tables = {"table1": ["base"], "table2": ["mel"]}
    return {**full, "experiments": experiments, "tables": tables, "questions": [ask]}


def _yaml(content: Any) -> bytes:
    return yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False).encode()


def _read_params(content: bytes, folder: Path) -> bool:
    path = write(folder, "params.yaml", content)
    os.chdir(ROOT)
    found = params.load(path)
    for name in found["experiments"]:
        config = params.config(found, name)
        demand(type(name) is str and name.isascii() and name.isidentifier(), f"an experiment is called {name!r}")
        demand(1 <= params.of_config(found, config) <= 3600 * 192_000, "a window has no samples, or too many")
    demand(found["dataset"]["name"] in ("minitune", "magnatagatune", "coursework", "folder"), "of no dataset")
    return True


def _suite() -> dict[str, Any]:
    common = {"sample_rate": 12000, "split": "few", "init_from": "pretrained/none", "seeds": [0]}
    split = {"vocabulary": "merged50", "train": ["0"], "without": ["rock"]}
    ask = {"ask": "Which is better?", "group": "g", "one": "one", "other": "two"}
    experiments = {"one": common, "two": {**common, "frontend": "linear"}}
    return {"splits": {"few": split}, "common": common, "experiments": experiments, "questions": [ask]}


def _read_suite(content: bytes, folder: Path) -> bool:
    write(folder, "suite/params.yaml", content)
    os.chdir(ROOT)
    found = params.load_suite(folder / "suite", _settings())
    demand(all(type(name) is str for name in found["experiments"]), "a name is no text")
    return True


def _search() -> dict[str, Any]:
    space = {
        "learning_rate": {"low": 0.001, "high": 0.1, "log": True},
        "length/stride": {"choices": ["256/256", "512/256"]},
        "filters": {"low": 8, "high": 64, "step": 8},
    }
    study = {
        **{"trials": 4, "epochs": 2, "seed": 0, "workers": [0], "startup_trials": 2},
        **{"pruner": {"startup_trials": 1, "warmup_epochs": 1}, "config": {"scaling": "none"}, "space": space},
    }
    one = {"batch_size": 5, "seeds": [0]}
    experiments = {
        "batch_5": one,
        "grid_a": {"learning_rate": 0.01, "seeds": [0]},
        "epochs_9": {"epochs": 9, "seeds": [0]},
    }
    return {"experiments": experiments, "study": study}


def _read_study(content: bytes, folder: Path) -> bool:
    from wavetag import search

    path = write(folder, "suite/params.yaml", content)
    os.chdir(ROOT)
    found = params.load_suite(folder / "suite", _settings())
    if "study" not in found:
        return True
    search.check(found, path)
    plan = search.read_study(path, found)
    demand(plan.trials >= 2 and bool(plan.space), "there is nothing to try")
    return True


def _stages() -> list[bytes]:
    full = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    return [_yaml({"stages": {name: full[name] for name in ("prepare", "split", "train")}})]


def _read_stages(content: bytes, folder: Path) -> bool:
    """The settings' own half of dvc.yaml: its commands are code, and DVC's to run."""
    from wavetag import pipeline

    write(folder, "dvc.yaml", content)
    os.chdir(folder)
    problems = pipeline._unlike_stages("", _settings())
    if problems:
        raise params.ParamsError("\n".join(f"{folder.name}: {problem}" for problem in problems))
    for stage in pipeline.load_stages([""])[""].values():
        for item in pipeline._items(stage, _settings()):
            pipeline.stage_settings(stage, _settings(), item)
    return True


def _read_wanted(content: bytes, folder: Path) -> bool:
    """The words behind ``wavetag use``."""
    from wavetag import settings

    words = content.decode("utf-8", "surrogateescape").split("\n")
    before = _yaml(_settings())
    path = write(folder, "params.yaml", before)
    os.chdir(ROOT)
    try:
        settings.apply(words, path)
    except params.ParamsError:
        demand(path.read_bytes() == before, "refused, and written")
        raise
    params.load(path)
    return True


def _read_named(content: bytes, folder: Path) -> bool:
    """A file in settings/."""
    from wavetag import settings

    write(folder, "settings/mine.yaml", content)
    path = write(folder, "params.yaml", _yaml(_settings()))
    os.chdir(ROOT)
    settings.apply(["mine"], path, folder=folder / "settings")
    params.load(path)
    return True


# Tables


def _table(rows: list[list[str]], quoted: bool = True, separator: str = "\t") -> bytes:
    made = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(made, delimiter=separator, quoting=quoting, lineterminator="\n").writerows(rows)
    return made.getvalue().encode()


def _annotations() -> list[bytes]:
    rows = [["clip_id", "rock", "no singer", "guitar", "mp3_path"]]
    rows += [[str(n), str(n % 2), "0", "1", f"{n:x}/a-b-01-c-{n}-{n + 29}.mp3"] for n in range(6)]
    cut = [["clip_id", "rock", "mp3_path"], ["1", "1", "0/a.mp3#t=0,29"], ["2", "0", "0/a.mp3#t=29,58.5"]]
    return [_table(rows), _table(rows, quoted=False), _table(cut)]


def _information() -> list[bytes]:
    header = ["clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd"]
    rows = [[str(n), "1", "Song", f"artist {n // 2}", "album", "", "0", "29"] for n in range(6)]
    return [_table([header, *rows]), _table([header, *rows], quoted=False)]


def _read_annotations(content: bytes, folder: Path) -> bool:
    from wavetag import clips

    found = clips.read_annotations(write(folder, "annotations_final.csv", content))
    demand(found.labels.shape == (len(found.clips), len(found.tags)), "labels are not [clips, tags]")
    demand(found.labels.dtype == np.uint8 and found.labels.max(initial=0) <= 1, "a label is neither 0 nor 1")
    for column in ("clip_id", "path"):
        demand(all(type(cell) is str for cell in found.clips[column]), f"a {column} is no text")
    return True


def _read_clips(content: bytes, folder: Path, name: str) -> bool:
    from wavetag import clips

    write(folder, "annotations_final.csv", _annotations()[0])
    write(folder, "clip_info_final.csv", _information()[0])
    write(folder, name, content)
    found = clips.describe_clips(folder)
    for column in ("clip_id", "path", "part", "artist", "album", "song"):
        demand(all(type(cell) is str for cell in found[column]), f"a {column} is no text")
    demand(found["row"].tolist() == list(range(len(found))), "rows are not numbered")
    return True


def _manifest() -> list[bytes]:
    from wavetag import clips

    rows = [list(clips.MANIFEST_COLUMNS)]
    for n in range(5):
        rows.append(
            [str(n), str(n), f"{n}/a.mp3", str(n), "artist", "album", f"{n}/a", "1000", "ok", "", "-9", "9", "-20.5"]
        )
    rows.append(["5", "5", "5/a.mp3", "5", "artist", "album", "5/a", "0", "missing", "no such file", "", "", ""])
    return [_table(rows, quoted=False)]


def _read_manifest(content: bytes, folder: Path) -> bool:
    from wavetag import clips

    found = clips.read_manifest(write(folder, "manifest.tsv", content))
    missing = set(clips.MANIFEST_COLUMNS) - set(found.columns)
    demand(not missing, f"there is no column {missing}")
    demand(
        found["row"].dtype.kind == "i" and found["samples"].dtype.kind == "i", "rows or samples are no whole numbers"
    )
    return True


def _split() -> list[bytes]:
    from wavetag import splits

    rows = [[*splits.COLUMNS, "rock", "no singer"]]
    for n in range(6):
        where = splits.NAMES[n % 3]
        rows.append([str(n), str(n), f"{n}/a.mp3", str(n), "artist", f"{n}/a", where, "2", "2.0", "0", "1", "0"])
    return [_table(rows, quoted=False)]


def _read_split(content: bytes, folder: Path) -> bool:
    from wavetag import splits

    found = splits.read(write(folder, "split.tsv", content))
    demand(found.labels.shape == (len(found.clips), len(found.tags)), "labels are not [clips, tags]")
    demand(found.labels.max(initial=0) <= 1, "a label is neither 0 nor 1")
    demand(set(found.clips["split"]) <= set(splits.NAMES), "a clip is in no split")
    for column in ("row", "windows", "artist_disjoint"):
        demand(found.clips[column].dtype.kind == "i" and (found.clips[column] >= 0).all(), f"{column} counts nothing")
    demand(np.isfinite(found.clips["seconds"].to_numpy(float)).all(), "a clip is endless")
    return True


def _read_statistics(content: bytes, folder: Path) -> bool:
    from wavetag import files

    files.read_json(write(folder, "statistics.json", content))
    return True


def _own_tables() -> list[bytes]:
    rows = [["path", "tags", "split", "artist", "album", "title"]]
    splits = ("train", "valid", "test")
    rows += [[f"{n}.wav", "rock;slow", splits[n % 3], f"artist {n}", "album", "title"] for n in range(6)]
    return [
        _table(rows, False, ","),
        _table(rows, True, ";"),
        _table(rows, False),
        _table([row[:2] for row in rows], False, ","),
    ]


def _jamendo() -> list[bytes]:
    header = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
    rows = [[f"track_{n}", f"artist_{n}", "album", f"{n}.wav", "1.0", "genre---rock", "mood---sad"] for n in range(6)]
    return [_table([header, *rows], False)]


@cache
def _second() -> bytes:
    """A second of a tone."""
    return _sound("WAV")


def _read_own_table(content: bytes, folder: Path, name: str = "music.csv") -> bool:
    """A user's table, as far as the dataset that is made of it."""
    from wavetag.datasets import collection
    from wavetag.datasets import folder as own
    from wavetag.datasets.layout import DatasetError

    for number in range(6):
        write(folder, f"music/{number}.wav", _second() + bytes([number, 0]))
    source = write(folder, f"music/{name}", content)
    before = sorted(folder.glob("music/**/*"))
    told: list[str] = []
    try:
        tracks = collection.read(source, None, told.append)
        demand(len({track.file.resolve() for track in tracks}) == len(tracks), "a file stands twice")
        demand(all(track.file.is_file() for track in tracks), "a file is not there")
        settings = {"source": str(source), "audio": None, "seed": 0}
        own.acquire(folder / "made", settings, 1.0, "all", told.append)
    finally:
        demand(sorted(folder.glob("music/**/*")) == before, "something was written beside the user's files")
    for line in told:
        demand(line.isprintable() or "\x1b" not in line, f"a line that moves the terminal's cursor: {line[:200]!r}")
    for path in (folder / "made").rglob("*"):
        demand(path.resolve().is_relative_to(folder) or path.is_symlink(), f"{path} is outside")
    _read_back(folder / "made", DatasetError)
    return True


def _read_back(made: Path, error: type[Exception]) -> None:
    """A dataset that was made has to be one that is read."""
    from wavetag import clips

    try:
        clips.read_annotations(made / "annotations_final.csv")
        clips.describe_clips(made)
    except error as problem:
        raise Finding(f"a dataset was made that cannot be read: {problem}") from problem


def _read_offered(content: bytes, folder: Path, name: str) -> bool:
    """The tables of a dataset whose clips ``wavetag serve`` offers."""
    from wavetag import serving_clips

    write(folder, "annotations_final.csv", _annotations()[0])
    write(folder, "clip_info_final.csv", _information()[0])
    for number in range(6):
        write(folder, f"{number:x}/a-b-01-c-{number}-{number + 29}.mp3", b"x")
    write(folder, name, content)
    split = folder / "split.tsv" if name == "split.tsv" else None
    offered = serving_clips.of(folder, split, ["rock"])
    for clip in offered.clips:
        demand(clip.path.resolve().is_relative_to(folder), f"{clip.path} is outside")
        json.dumps(clip.told(), allow_nan=False).encode()
    return True


# Pickles and arrays


def _pickles() -> list[bytes]:
    labels = [np.eye(50, dtype=np.int64)[n] for n in range(3)]
    names = [f"train/{n}/artist-album-01-song-0-29.npy" for n in range(3)]
    frame = pd.DataFrame({"file_path": names, "part": list("012"), "label": labels}).astype(object)
    listed = frame.assign(label=[label.tolist() for label in labels])
    return [pickle.dumps(frame, protocol) for protocol in (2, 4, 5)] + [
        pickle.dumps(listed, 4),
        pickle.dumps(listed, 0),
    ]


def _read_pickle(content: bytes, folder: Path) -> bool:
    from wavetag.datasets import coursework

    write(folder, "annotations/train_labels.pkl", content)
    write(folder, "annotations/val_labels.pkl", _validation())
    clips, labels = coursework.read_labels(folder)
    demand(labels.shape == (len(clips), 50) and labels.max(initial=0) <= 1, "labels are not [clips, 50] of 0 and 1")
    for path in (*clips["path"], *clips["sub"]):
        demand(".." not in Path(path).parts and not Path(path).is_absolute(), f"{path!r} leads out")
    return True


@cache
def _validation() -> bytes:
    frame = pd.DataFrame({"file_path": ["val/d/x.npy"], "part": ["d"], "label": [np.zeros(50)]}).astype(object)
    return pickle.dumps(frame, 4)


def _arrays() -> list[bytes]:
    sound = np.random.default_rng(0).integers(-9000, 9000, 400)
    return [mutations._npy(sound.astype(kind)) for kind in ("<f4", "<i2", ">f8")]


def _read_samples(content: bytes, folder: Path) -> bool:
    from wavetag import audio
    from wavetag.datasets import coursework

    array = write(folder, "samples/train/0/a.npy", content)
    reason = coursework._convert(folder, (str(array), "0/a.flac"))
    if reason:
        raise ValueError(reason)
    demand(len(audio.decode(folder / "0/a.flac", coursework.SAMPLE_RATE)) > 0, "nothing can be heard")
    return True


def _read_array(content: bytes, folder: Path) -> bool:
    from wavetag import clips

    array = clips.open_array(write(folder, "clips.npy", content))
    demand(array.dtype == np.int16 and array.ndim == 2, "it is not int16 [clips, samples]")
    int(np.asarray(array[-1:]).astype(np.int64).sum())
    return True


def _prepared() -> list[bytes]:
    return [mutations._npy(np.arange(24, dtype=np.int16).reshape(shape)) for shape in ((4, 6), (24, 1))]


def _evaluations() -> list[bytes]:
    made = io.BytesIO()
    metrics = {"roc_auc": 0.5, "roc_auc_ci": [0.4, 0.6], "tags": ["a", "b"], "views": {}}
    predictions = np.random.default_rng(0).random((2, 5, 2)).astype(np.float32)
    np.savez(made, predictions=predictions, metrics=np.array(json.dumps(metrics)))
    return [made.getvalue()]


def _read_evaluation(content: bytes, folder: Path) -> bool:
    from wavetag import evaluations

    found = evaluations.read(write(folder, "base.npz", content))
    demand(isinstance(found.metrics, dict), "its metrics are no mapping")
    demand(found.predictions.ndim == 3 and found.predictions.dtype == np.float32, "it is not [seeds, clips, tags]")
    return True


def _checkpoints() -> list[bytes]:
    import torch

    made = io.BytesIO()
    state = {"history": [{"epoch": 1}], "best": {"w": torch.ones(3)}, "random": torch.ones(2)}
    torch.save({"fingerprint": "another", "trainings": [state]}, made)
    return [made.getvalue()]


def _read_checkpoint(content: bytes, folder: Path) -> bool:
    import torch

    from wavetag import files, training

    path = folder / "seed_0.pt"
    files.write_sealed(path, content)  # as one who wants it to be read would
    begun = [training.Training(torch.nn.Linear(2, 2), None)]
    demand(not training.restore(path, "mine", begun, torch.device("cpu")), "it is of another training")
    return True


# Archives


def _archives() -> list[bytes]:
    import zipfile

    made = []
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", compression) as archive:
            for name in ("0/a.mp3", "0/b.mp3", "1/c.mp3"):
                archive.writestr(name, name.encode() * 100 + np.random.default_rng(1).bytes(300))
        made.append(content.getvalue())
    return made


def _read_archive(content: bytes, folder: Path) -> bool:
    """In two parts, as MagnaTagATune's is in three."""
    from wavetag import archives

    middle = len(content) // 2
    parts = [write(folder, "mp3.zip.001", content[:middle]), write(folder, "mp3.zip.002", content[middle:])]
    out = folder / "within" / "out"
    try:
        archives.unpack(parts, out, lambda line: None)
    finally:
        everything = [path for path in folder.rglob("*") if not path.is_dir()]
        stray = [path for path in everything if path not in parts and not path.is_relative_to(out)]
        demand(not stray, f"it was written to {stray[:1]}")
        demand(not any(path.is_symlink() or not path.is_file() for path in everything), "a link or a device was made")
        demand(sum(path.stat().st_size for path in everything) <= 22 * len(content) + 1000, "it was a bomb")
    return True


# Sound


SOUNDS = {
    "WAV": ("PCM_16", "FLOAT", "ULAW", "IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "NMS_ADPCM_16"),
    "FLAC": ("PCM_16",),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III",),
    "AIFF": ("PCM_16", "IMA_ADPCM", "DWVW_16"),
    "CAF": ("ALAC_16", "PCM_16"),
    "AU": ("G723_24",),
    "SVX": ("PCM_16",),
    "NIST": ("PCM_16",),
    "VOC": ("PCM_16",),
    "W64": ("PCM_16",),
    "MAT4": ("PCM_16",),
    "MAT5": ("PCM_16",),
    "PAF": ("PCM_24",),
    "PVF": ("PCM_16",),
    "XI": ("DPCM_16",),
    "SDS": ("PCM_16",),
    "IRCAM": ("PCM_16",),
    "AVR": ("PCM_16",),
    "HTK": ("PCM_16",),
    "WVE": ("ALAW",),
    "MPC2K": ("PCM_16",),
    "RF64": ("PCM_16",),
}


def _sound(kind: str, subtype: str | None = None, seconds: float = 0.25, rate: int = 16_000) -> bytes:
    import soundfile

    time = np.arange(int(seconds * rate)) / rate
    made = io.BytesIO()
    soundfile.write(made, 0.4 * np.sin(2 * np.pi * 440 * time), rate, format=kind, subtype=subtype)
    return made.getvalue()


def _sounds() -> list[bytes]:
    import soundfile

    made = []
    for kind, subtypes in SOUNDS.items():
        for subtype in subtypes:
            for rate in (16_000, 8_000):
                with contextlib.suppress(soundfile.SoundFileError, ValueError):  # some kinds have one rate alone
                    made.append(_sound(kind, subtype, rate=rate))
                    break
    return made


RATE, MOST = 12_000, 12_000  # Hz and samples, of what is decoded


def _read_sound(content: bytes, folder: Path) -> bool:
    """All that reads a sound file, which has to say the same of it each time."""
    from wavetag import audio
    from wavetag.datasets import folder as own

    path = write(folder, "sound.wav", content)
    seconds = own._seconds(path)
    demand(math.isfinite(seconds) and seconds >= 0, f"it lasts {seconds} s")
    demand(len(own.cut(min(seconds, own.MOST_SECONDS), 29.1)) >= 1, "it has no clips")
    segments = [(0.0, 0.1), (0.1, 0.15)]
    parts = list(audio.decode_segments(path, RATE, segments, MOST))
    demand(len(parts) == len(segments), "a segment has no outcome")
    for (start, end), part in zip(segments, parts, strict=True):
        if not isinstance(part, audio.AudioError):
            _check_samples(part, min(MOST, math.ceil((end - start) * RATE) + 1))
    count = 0
    try:
        for piece in audio.no_longer(audio.blocks(path, RATE), 60.0, RATE):
            _check_samples(piece, 2**24)
            count += len(piece)
    except audio.AudioError as error:
        demand("\n" not in str(error), f"a reason of two lines: {str(error)!r}")
    _check_samples(audio.decode(path, RATE, MOST), MOST)
    return True


def _check_samples(samples: np.ndarray, most: int) -> None:
    demand(samples.dtype == np.int16 and samples.ndim == 1, "samples are not int16 [samples]")
    demand(0 < len(samples) <= most, f"there are {len(samples)} samples where {most} are the most")


# Model folders


@cache
def _model() -> dict[str, bytes]:
    """A folder as it is handed on, and one as training leaves it: file name -> content."""
    import trained_models
    from wavetag import release

    with tempfile.TemporaryDirectory() as work:
        trained = trained_models.write(Path(work) / "base")
        release.release(trained, Path(work) / "released")
        found = {f"trained/{path.name}": path.read_bytes() for path in trained.iterdir()}
        return found | {f"released/{path.name}": path.read_bytes() for path in (Path(work) / "released").iterdir()}


def _read_model(content: bytes, folder: Path, name: str) -> bool:
    """A model as ``wavetag tag`` takes it: loaded, and given a second of sound."""
    from wavetag import model, model_folder

    kind = name.partition("/")[0]
    for known, good in _model().items():
        if known.startswith(f"{kind}/"):
            write(folder, known, good)
    write(folder, name, content)
    found = model_folder.find(str(folder / kind))
    loaded = model.Model.load(found)
    time = np.arange(loaded.sample_rate) / loaded.sample_rate
    tagged = loaded.tags(0.3 * np.sin(2 * np.pi * 440 * time), loaded.sample_rate)
    demand(len(tagged) == len(loaded.tag_names), "not each tag has a probability")
    demand(all(0 <= value <= 1 for value in tagged.values()), "a probability is none")
    json.dumps(tagged, ensure_ascii=False, allow_nan=False).encode()
    demand(not any("\x1b" in tag or "\n" in tag for tag in tagged), "a tag moves the terminal's cursor")
    demand("\x1b" not in loaded.name and "\n" not in loaded.name, "its name moves the terminal's cursor")
    math.isfinite(model_folder.validation(found))
    return True


def _read_start(content: bytes, folder: Path, name: str) -> bool:
    """A model that an experiment is to begin with."""
    from wavetag import fine_tuning

    for known, good in _model().items():
        write(folder, known, good)
    write(folder, name, content)
    os.chdir(folder)
    config = {**_settings()["defaults"], **json.loads(_model()["released/config.json"])["config"]}
    config |= {"init_from": str(folder / "released"), "seeds": [0], "window": 0.5}
    fine_tuning.summary(config, _settings(), ["guitar"])
    start = fine_tuning.start(config, 0)
    assert start is not None
    demand(len(start.tags) > 0 and len(start.digest) == 64, "it has no tags")
    return True


def _read_released(content: bytes, folder: Path, name: str) -> bool:
    """What ``release`` makes a folder and a model card of."""
    from wavetag import release

    for known, good in _model().items():
        write(folder, known, good)
    write(folder, "metrics/base.json", _metrics()[0])
    write(folder, "metrics/tags/base.csv", _by_tag()[0])
    write(folder, "split.tsv", _split()[0])
    write(folder, name, content)
    metrics = release.read_metrics(folder / "metrics/base.json")
    rows = release.read_table(folder / "metrics/tags/base.csv")
    release.release(folder / "trained", folder / "out", metrics, rows, release.count(folder / "split.tsv"))
    card = (folder / "out/README.md").read_text()
    block = yaml.safe_load(card.split("---\n")[1])
    demand(isinstance(block, dict) and block["library_name"] == "wavetag", "its card has another head")
    demand("<script" not in card.split("yaml\n")[0], "its card has markup of a stranger's")
    return True


def _metrics() -> list[bytes]:
    scores = {
        **{"roc_auc": 0.7, "roc_auc_sd": 0.01, "roc_auc_ci": [0.6, 0.8], "test_clips": 9},
        **{"average_precision": 0.2, "average_precision_sd": 0.01, "average_precision_ci": [0.1, 0.3]},
    }
    of = {"view": "tagged", "seeds": 2, "parameters": 9, "converged": True, "tags_defined": 2, "tags_undefined": 0}
    return [json.dumps({**scores, **of, "views": {"all": scores}}).encode()]


def _by_tag() -> list[bytes]:
    header = ["view", "tag", "positives", "roc_auc", "roc_auc_ci_low", "roc_auc_ci_high"]
    rows = [["tagged", tag, "3", "0.7", "0.6", "0.8"] for tag in ("guitar", "fast")]
    return [_table([header, *rows, ["tagged", "slow", "0", "", "", ""]], False, ",")]


# The command line


COMMANDS = (
    "tag\nsound.wav\n--model\nmodel\n--top\n3\n--jobs\n1",
    "tag\nsound.wav\n--model\nmodel\n--json\n--over-time\n--hop\n0.1\n--jobs\n1",
    "tag\nsound.wav\n--model\nmodel\n--csv",
    "use\ndefaults.epochs=3\nexperiments.base.length=512",
    "use\nmagnatagatune\ndataset.source=data/downloads/magnatagatune",
    "describe\n--sample-rate\n12000\n--out\nout",
    "findings\nreport\n--group\nx\n--json",
    "release\nmodel\nout\n--metrics\nmetrics.json",
    "export\n--model\nmodel\n--onnx\nx.onnx",
    "serve\n--host\nlocalhost\n--port\n1\n--most-seconds\n-1\n--jobs\n0",
)


def _read_command(content: bytes, folder: Path) -> bool:
    """Words behind ``wavetag``: a status, and if it is 1, a line; no traceback."""
    from wavetag import command

    words = content.decode("utf-8", "replace").split("\n")
    if "export" in words or ("serve" in words and "-1" not in words):
        return False  # these would begin to work
    for known, good in _model().items():
        if known.startswith("released/"):
            write(folder / "model", known.removeprefix("released/"), good)
    write(folder, "sound.wav", _second())
    write(folder, "params.yaml", _yaml(_settings()))
    for name in ("settings", "workflow", "src", "pretrained"):
        (folder / name).symlink_to(ROOT / name)
    os.chdir(folder)
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
            status = command.main(words)
    except SystemExit as ended:
        status = ended.code
    demand(status in (0, 1, 2), f"it ends with {status!r}")
    if status == 1:
        demand(bool(told.getvalue().strip()), "it ends with 1 and says nothing")
    told.getvalue().encode()
    return status == 0


# Requests

HOST = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


def _requests() -> list[bytes]:
    part = b"--b\r\nContent-Disposition: form-data; name=f; filename=s.wav\r\n\r\n"
    made = []
    for sound in (_second()[:9_000], _sound("FLAC"), b"no sound"):
        body = part + sound + b"\r\n--b--\r\n"
        kind = f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
        made.append(f"POST /tag {HOST}{kind}".encode() + body)
    gets = ("/", "/about", "/clips", "/try.js")
    return made + [f"GET {path} {HOST}\r\n".encode() for path in gets]


@cache
def _site() -> Any:
    """A server that runs until the process ends."""
    import atexit

    import serving_site
    from wavetag import serving

    stack, work = contextlib.ExitStack(), Path(tempfile.mkdtemp(prefix="fuzz-site-"))
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    atexit.register(stack.close)
    limits = serving.Limits(megabytes=1, seconds=60, stall_seconds=2, upload_seconds=3)
    model = serving_site.write_model(work / "model")
    return stack.enter_context(serving_site.running(model, work / "uploads", limits, 1))


def _ask(content: bytes, folder: Path) -> bool:
    """Bytes to the port of ``wavetag serve``: an answer that is no error of its own, or none at all."""
    import socket
    from urllib.parse import urlsplit

    site = _site()
    place = urlsplit(site.address)
    answer = b""
    connection = socket.create_connection((place.hostname, place.port), timeout=5)
    with connection, contextlib.suppress(ConnectionError, TimeoutError):  # it may wait for what does not come
        connection.sendall(content)
        while piece := connection.recv(2**16):
            answer += piece
    demand(b" 500 " not in answer[:20], f"it answers {answer[-300:]!r}")
    return answer.startswith(b"HTTP/1.1 200")


def _targets() -> dict[str, Target]:
    from wavetag.archives import ArchiveError
    from wavetag.audio import AudioError
    from wavetag.datasets.layout import DatasetError
    from wavetag.model_folder import ModelError

    text, wrong = mutations.text, (params.ParamsError,)

    def json_of(name: str) -> Callable[[], list[bytes]]:
        return lambda: [json.dumps(json.loads(_model()[name])).encode()]

    def of(reads: Callable[..., bool], name: str) -> Callable[[bytes, Path], bool]:
        return lambda content, folder: reads(content, folder, name)

    made = [
        Target("params.yaml", _read_params, wrong, lambda: [_yaml(_settings())], mutations.as_yaml),
        Target("suite params.yaml", _read_suite, wrong, lambda: [_yaml(_suite())], mutations.as_yaml),
        Target("study", _read_study, wrong, lambda: [_yaml(_search())], mutations.as_yaml),
        Target("dvc.yaml", _read_stages, wrong, _stages, mutations.as_yaml),
        Target(
            *("wavetag use", _read_wanted, wrong),
            lambda: [
                b"experiments.base.length=512",
                b"report\nexperiments.base.epochs=3\nsplit.vocabulary=[rock, pop]",
            ],
            mutations.as_words,
        ),
        Target(
            *("settings/NAME.yaml", _read_named, wrong),
            lambda: [
                b"# mine\nsplit:\n  vocabulary: all\nevaluate:\n  resamples: 300\nprepare:\n  sample_rates: [12000]\n"
            ],
            mutations.as_yaml,
        ),
        Target("annotations", _read_annotations, (DatasetError,), _annotations, text),
        Target("clips", of(_read_clips, "annotations_final.csv"), (DatasetError,), _annotations, text),
        Target("clip information", of(_read_clips, "clip_info_final.csv"), (DatasetError,), _information, text),
        Target("manifest.tsv", _read_manifest, (DatasetError,), _manifest, text),
        Target("split.tsv", _read_split, (ValueError,), _split, text),
        Target(
            *("statistics.json", _read_statistics, (ValueError,)),
            lambda: [b'{"minimum": -5, "maximum": 5, "mean": 0.5, "standard_deviation": 2.0, "clips": 9}'],
            mutations.as_json,
        ),
        Target("own table", _read_own_table, (DatasetError,), _own_tables, text),
        Target("Jamendo table", of(_read_own_table, "music.tsv"), (DatasetError,), _jamendo, text),
        Target("offered clips", of(_read_offered, "annotations_final.csv"), (DatasetError,), _annotations, text),
        Target("offered titles", of(_read_offered, "clip_info_final.csv"), (DatasetError,), _information, text),
        Target("offered split", of(_read_offered, "split.tsv"), (DatasetError,), _split, text),
        Target("pickled labels", _read_pickle, (DatasetError,), _pickles, mutations.as_pickle),
        Target("arrays of samples", _read_samples, (ValueError,), _arrays, mutations.as_npy, native=True),
        Target("clips.npy", _read_array, (DatasetError,), _prepared, mutations.as_npy),
        Target("predictions", _read_evaluation, (ValueError,), _evaluations, mutations.as_npz),
        Target("checkpoint", _read_checkpoint, (), _checkpoints, mutations.binary, native=True),
        Target("archive", _read_archive, (ArchiveError,), _archives, mutations.as_zip),
        Target("sound", _read_sound, (AudioError,), _sounds, mutations.as_sound, native=True),
        Target(
            *("config.json", of(_read_model, "released/config.json"), (ModelError,)),
            json_of("released/config.json"),
            mutations.as_json,
            native=True,
        ),
        Target(
            *("model.safetensors", of(_read_model, "released/model.safetensors"), (ModelError,)),
            lambda: [_model()["released/model.safetensors"]],
            mutations.as_safetensors,
            native=True,
        ),
        Target(
            *("trained config.json", of(_read_model, "trained/config.json"), (ModelError,)),
            json_of("trained/config.json"),
            mutations.as_json,
            native=True,
        ),
        Target(
            *("history.csv", of(_read_model, "trained/history.csv"), (ModelError,)),
            lambda: [_model()["trained/history.csv"]],
            text,
            native=True,
        ),
        Target(
            *("init_from config.json", of(_read_start, "released/config.json"), (ModelError,)),
            json_of("released/config.json"),
            mutations.as_json,
            native=True,
        ),
        Target(
            *("init_from weights", of(_read_start, "released/model.safetensors"), (ModelError,)),
            lambda: [_model()["released/model.safetensors"]],
            mutations.as_safetensors,
            native=True,
        ),
        Target(
            *("released config.json", of(_read_released, "trained/config.json"), (ValueError,)),
            json_of("trained/config.json"),
            mutations.as_json,
        ),
        Target("released scores", of(_read_released, "metrics/base.json"), (ValueError,), _metrics, mutations.as_json),
        Target("released tags", of(_read_released, "metrics/tags/base.csv"), (ValueError,), _by_tag, text),
        Target("requests", _ask, (), _requests, mutations.as_form, native=True),
        Target(
            *("command line", _read_command, ()),
            lambda: [command.encode() for command in COMMANDS],
            mutations.as_words,
            native=True,
        ),
    ]
    return {target.name: target for target in made}


# The file is named by who reads many: a row of the manifest, a line of `wavetag tag`; words are no file.
UNNAMED = {"sound", "wavetag use", "arrays of samples"}
TARGETS = _targets()


def _planted(content: bytes, folder: Path) -> bool:
    """A reader with all the faults that are looked for."""
    path, what = write(folder, "planted", content), int.from_bytes(content[:2], "little") % 41
    if what == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == 2:
        raise KeyError("another kind of error")
    if what == 3:
        raise ValueError("a message that names no file")
    if what == 4:
        raise ValueError(f"{path}: a message\nof two lines")
    if what == 5:
        demand(False, "it should not be")
    if what == 6:
        bytearray(4 * MEMORY)
    if what == 7:
        while True:
            pass
    if what == 8:
        raise ValueError(f"{path}: \ud800")
    if what % 2:
        raise ValueError(f"{path}: refused as it should be")
    return True


def _number(seeds: list[bytes], random: Random) -> bytes:
    return random.randbytes(2)


# What the search itself is tested with
PLANTED = {"planted": Target("planted", _planted, (ValueError,), lambda: [bytes(2)], _number, native=True)}
