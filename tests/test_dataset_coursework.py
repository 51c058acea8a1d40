"""The coursework's files: what is taken, what is refused, and that nothing is written where they lie."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wavetag import audio, clips, files
from wavetag.datasets import coursework
from wavetag.datasets.layout import DatasetError
from wavetag.tags import MERGED50

NAMES = ["the_artist-an_album-01-a_song-0-29", "the_artist-an_album-01-a_song-29-58", "no pattern"]


def rows_of(split, parts, prefix=True):
    rng = np.random.default_rng(len(parts))
    return [
        {
            "file_path": f"{f'{split}/' if prefix else ''}{part}/{name}.npy",
            "part": part,
            "label": rng.integers(0, 2, 50).tolist(),
        }
        for part in parts
        for name in NAMES
    ]


class Source:
    """The files in a folder; frames can be changed before they are written."""

    def __init__(self, folder):
        self.folder = folder / "MagnaTagATune"
        self.rows = {"train": rows_of("train", "0c"), "val": rows_of("val", "df", prefix=False)}
        self.samples = {}
        rng = np.random.default_rng(0)
        for split, rows in self.rows.items():
            for row in rows:
                path = self.folder / "samples" / split / row["part"] / row["file_path"].rsplit("/", 1)[1]
                self.samples[path] = rng.integers(-32_768, 32_768, 600).astype(np.float32)

    def write(self):
        (self.folder / "annotations").mkdir(parents=True, exist_ok=True)
        for split, rows in self.rows.items():
            pd.DataFrame(rows).to_pickle(self.folder / "annotations" / f"{split}_labels.pkl")
        for path, samples in self.samples.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, samples)


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path / "source")


def acquire(source, out, processes=1, top=True):
    source.write()
    said = []
    place = source.folder.parent if top else source.folder
    coursework.acquire(out, {"source": str(place)}, processes, said.append)
    return said


def state(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("processes", [1, 2])
def test_every_clip_keeps_its_samples_labels_and_part(source, tmp_path, processes, top):
    source.write()
    before = state(source.folder)
    acquire(source, tmp_path / "out", processes, top)
    annotations = clips.read_annotations(tmp_path / "out" / "annotations_final.csv")
    assert annotations.tags == MERGED50
    labels = dict(zip(annotations.clips["path"], annotations.labels.tolist(), strict=True))
    assert len(labels) == 12
    for path, samples in source.samples.items():
        part, name = path.parent.name, path.stem
        np.testing.assert_array_equal(audio.decode(tmp_path / "out" / part / f"{name}.flac", 12_000), samples)
        row = next(r for rows in source.rows.values() for r in rows if r["file_path"].endswith(f"{part}/{name}.npy"))
        assert labels[f"{part}/{name}.flac"] == row["label"]
    assert set(state(source.folder)) == set(before)
    assert {path: content for path, (_, content) in state(source.folder).items()} == {
        path: content for path, (_, content) in before.items()
    }


def test_what_the_names_say_is_in_the_tables(source, tmp_path):
    acquire(source, tmp_path / "out")
    described = clips.describe_clips(tmp_path / "out").set_index("path")
    known = described.loc["0/the_artist-an_album-01-a_song-29-58.flac"]
    assert (known["artist"], known["album"], known["song"]) == (
        "the_artist",
        "an_album",
        "0/the_artist-an_album-01-a_song",
    )
    assert described.loc["0/no pattern.flac", "artist"] == ""
    assert described["part"].value_counts().to_dict() == {"0": 3, "c": 3, "d": 3, "f": 3}


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        (np.ones(50, np.float32), True),
        (np.zeros(50, np.uint8), True),
        ([True] * 50, True),
        ([1] * 49, "row 1: label holds 49 values; 50 zeros and ones"),
        ([2] + [0] * 49, "row 1: label holds values other than 0 and 1"),
        ([float("nan")] * 50, "values other than 0 and 1"),
        ("guitar", "label holds 0 values"),
        (None, "row 1: label"),
    ],
)
def test_labels(source, tmp_path, label, allowed):
    source.rows["train"][1]["label"] = label
    if allowed is True:
        acquire(source, tmp_path / "out")
    else:
        with pytest.raises(DatasetError, match=rf"train_labels.pkl, .*{allowed}|{allowed}"):
            acquire(source, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("part", "g", r"row 0: part 'g'; under train, 0 to c are allowed"),
        ("part", "e", r"row 0: part 'e'; under train, 0 to c are allowed"),
        ("file_path", f"0/{'é' * 125}n.npy", "a clip's name has 250 bytes at most"),
        ("part", "1", r"row 0: file_path 'train/0/.*'; train/1/NAME.npy or 1/NAME.npy is allowed"),
        ("file_path", "val/0/x.npy", "file_path 'val/0/x.npy'"),
        ("file_path", "0/../../x.npy", "file_path"),
        ("file_path", "/0/x.npy", "file_path"),
        ("file_path", "0/x.mp3", "file_path"),
        ("file_path", f"0/{NAMES[1]}.npy", "train/0/.* stands twice"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(source, tmp_path, column, value, expected):
    source.rows["train"][0][column] = value
    with pytest.raises(DatasetError, match=expected):
        acquire(source, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


def test_a_missing_column_is_named(source, tmp_path):
    for row in source.rows["val"]:
        del row["label"]
    with pytest.raises(DatasetError, match=r"val_labels.pkl: no column label; there are file_path, part"):
        acquire(source, tmp_path / "out")


def test_the_longest_name_that_a_clip_can_have_is_taken(source, tmp_path):
    name = "é" * 125
    source.rows["train"][0]["file_path"] = f"0/{name}.npy"
    first = next(iter(source.samples))
    source.samples[first.with_name(f"{name}.npy")] = source.samples.pop(first)
    acquire(source, tmp_path / "out")
    assert (tmp_path / "out" / "0" / f"{name}.flac").is_file()


def test_parts_may_be_numbers_where_they_are(source, tmp_path):
    for row in source.rows["train"]:
        if row["part"] == "0":
            row["part"] = 0
    acquire(source, tmp_path / "out")
    assert (tmp_path / "out" / "0" / f"{NAMES[0]}.flac").is_file()


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([0.5, -0.9], np.float32), "values from -0.9 to 0.5; samples of int16's range are allowed"),
        (np.array([1.0001, -1.3], np.float32), "values from -1.3 to 1.0001"),
        (np.array([40_000.0, 0]), "values from 0 to 40000"),
        (np.array([np.nan, 100.0]), "values from nan to nan"),
        (np.array([np.inf, 100.0]), "values from 100 to inf"),
    ],
)
def test_values_of_another_range_are_refused_with_it(source, tmp_path, samples, expected):
    path = next(iter(source.samples))
    source.samples[path] = samples
    with pytest.raises(DatasetError, match=f"{path.name}: {expected}"):
        acquire(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_arrays_that_are_quiet_one_and_all_are_refused_with_their_range(source, tmp_path):
    """Scaled to a standard deviation of 1, say: a single one might be a quiet clip."""
    rng = np.random.default_rng(0)
    source.samples = {path: rng.standard_normal(600).astype(np.float32) for path in source.samples}
    with pytest.raises(DatasetError, match=r"samples: values from -\d.* to \d.* in 12 arrays; samples of int16's"):
        acquire(source, tmp_path / "out")


def test_values_between_whole_numbers_are_rounded_and_silence_is_fine(source, tmp_path):
    fractional, silent = list(source.samples)[:2]
    source.samples[fractional] = np.array([0.4, 100.6, -100.6], np.float32)
    source.samples[silent] = np.zeros(10, np.float32)
    acquire(source, tmp_path / "out")
    read = [audio.decode(tmp_path / "out" / "0" / f"{path.stem}.flac", 12_000) for path in (fractional, silent)]
    assert read[0].tolist() == [0, 101, -101]
    assert not read[1].any()


def test_arrays_that_cannot_be_read_are_told_and_left_out(source, tmp_path):
    gone, objects, square, broken = list(source.samples)[:4]
    source.write()
    said = []
    gone.unlink()
    np.save(objects, np.array([{}]), allow_pickle=True)
    np.save(square, np.zeros((3, 3)))
    broken.write_bytes(broken.read_bytes()[:-9])
    coursework.acquire(tmp_path / "out", {"source": str(source.folder)}, 1, said.append)
    left_out = [line for line in said if line.startswith("left out")]
    assert len(left_out) == 4
    for path in (gone, objects, square, broken):
        assert any(str(path) in line for line in left_out)
        assert not (tmp_path / "out" / path.parent.name / f"{path.stem}.flac").exists()
    assert len(clips.describe_clips(tmp_path / "out")) == 12, (
        "they stay in the tables: prepare says that they are missing"
    )


def test_a_run_that_was_stopped_goes_on(source, tmp_path, monkeypatch):
    source.write()
    converted = stop_after(3, source, tmp_path, monkeypatch)
    coursework.acquire(tmp_path / "out", {"source": str(source.folder)}, 1, lambda line: None)
    assert len(converted) == len(set(converted)) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def stop_after(count, source, tmp_path, monkeypatch):
    """A run that is stopped when so many arrays are converted. Returns the list of all that are, from then on too."""
    original, converted = files.written_whole, []

    def stopping(path):
        if Path(path).suffix == ".flac":
            if len(converted) == count and stopping.stops:
                stopping.stops = False
                raise KeyboardInterrupt
            converted.append(path)
        return original(path)

    stopping.stops = True
    monkeypatch.setattr(files, "written_whole", stopping)
    with pytest.raises(KeyboardInterrupt):
        coursework.acquire(tmp_path / "out", {"source": str(source.folder)}, 1, lambda line: None)
    assert not (tmp_path / "out").exists()
    return converted


def test_arrays_that_changed_after_a_stop_are_converted_again(source, tmp_path, monkeypatch):
    source.write()
    stop_after(6, source, tmp_path, monkeypatch)
    first, second, third = sorted(source.samples)[:3]
    time = first.stat().st_mtime_ns - 10**12
    np.save(first, np.full(600, 999, np.float32))
    os.utime(first, ns=(time, time))  # an older file was put there
    second.unlink()
    third.write_bytes(b"broken")
    (tmp_path / ".out.partial" / "0" / "stray.flac").write_bytes(b"of other clips")
    said = []
    coursework.acquire(tmp_path / "out", {"source": str(source.folder)}, 1, said.append)
    assert (audio.decode(tmp_path / "out" / "0" / f"{first.stem}.flac", 12_000) == 999).all()
    assert sum(line.startswith("left out") for line in said) == 2
    there = sorted(path.name for path in (tmp_path / "out" / "0").iterdir())
    assert there == [f"{first.stem}.flac"]


FULL = """
import resource, sys
from pathlib import Path
from wavetag.datasets import coursework
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
coursework._convert(Path(sys.argv[1]), (sys.argv[2], "0/clip.flac"))
"""


def test_no_file_that_ends_too_early_is_taken_for_whole(tmp_path):
    """libsndfile itself would not say that its last bytes could not be written."""
    np.save(tmp_path / "clip.npy", np.random.default_rng(0).integers(-30_000, 30_000, 20_000).astype(np.float32))
    command = [sys.executable, "-c", FULL, str(tmp_path / "out"), str(tmp_path / "clip.npy")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1 and "OSError" in ended.stderr.splitlines()[-1]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def npz(path):
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"a")


def of_shape(shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return lambda path: path.write_bytes(b"\x93NUMPY\x01\x00v\x00" + header.encode() + bytes(400))


@pytest.mark.parametrize(
    "broken",
    [
        *(npz, zipped, of_shape("(1000000000000,)"), of_shape("(" + "9" * 31 + ",)"), of_shape("(1,")),
        *(of_shape("(-1,)"), lambda path: path.write_bytes(b"PK\3\4"), lambda path: path.write_bytes(b"")),
    ],
)
def test_files_that_are_no_arrays_are_left_out(source, tmp_path, broken):
    source.write()
    path = sorted(source.samples)[0]
    broken(path)
    said = []
    coursework.acquire(tmp_path / "out", {"source": str(source.folder)}, 1, said.append)
    assert any(line.startswith(f"left out: {path}: not a whole .npy array") for line in said)


def test_arrays_that_may_not_be_read_are_an_error_and_not_left_out(source, tmp_path, monkeypatch):
    def denied(file, **more):
        raise PermissionError(13, "Permission denied", file.name)

    monkeypatch.setattr(np.lib.format, "read_array", denied)
    with pytest.raises(PermissionError):
        acquire(source, tmp_path / "out")


def test_a_folder_of_another_layout_is_refused_with_the_one_that_is_needed(tmp_path):
    with pytest.raises(DatasetError, match=r"annotations/train_labels.pkl and val_labels.pkl, and samples/train/PART"):
        coursework.acquire(tmp_path / "out", {"source": str(tmp_path)}, 1, lambda line: None)


def test_arrays_that_are_all_gone_are_an_error(source, tmp_path):
    source.write()
    for path in source.samples:
        path.unlink()
    with pytest.raises(DatasetError, match="not one of the 12 arrays is there"):
        coursework.acquire(tmp_path / "out", {"source": str(source.folder)}, 1, lambda line: None)
