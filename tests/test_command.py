"""The command ``wavetag``: what it prints and writes, its exit statuses, and what it says when something is wrong."""

import errno
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from wavetag import clips, command, figures, files, params, splits

ROOT = Path(__file__).resolve().parents[1]
RATE = params.load(ROOT / "params.yaml", ROOT / params.SCHEMA)["defaults"]["sample_rate"]
PREPARED, SPLIT, REPORT = Path(f"data/prepared/{RATE}"), Path("data/split/split.tsv"), Path("reports/dataset")
TAGS = ("guitar", "no piano", "sitar")
MADE = {"tags.png", "co_occurrence.png", "durations.png", "loudness.png", "description.json"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A top folder in which nothing has been prepared yet, to work in."""
    (tmp_path / params.SCHEMA).parent.mkdir(parents=True)
    shutil.copy(ROOT / params.SCHEMA, tmp_path / params.SCHEMA)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def prepared(folder):
    """Six clips, prepared and split; the last one cannot be decoded, the one before exceeds the training range once."""
    settings = params.load()
    length, window = params.clip_samples(settings, RATE), params.window_samples(settings, RATE)
    names = [f"{part}/artist-album-0{number}-song-0-29.mp3" for number, part in enumerate("01cdee")]
    table = pd.DataFrame({"row": range(6), "clip_id": [str(7 + row) for row in range(6)], "path": names})
    table["part"] = table["path"].str[0]
    table["artist"], table["album"], table["song"] = "Ann", "an album", table["path"]
    table["samples"], table["status"], table["reason"] = length, clips.OK, ""
    table["minimum"], table["maximum"] = pd.array([-100] * 6, dtype="Int64"), pd.array([100] * 6, dtype="Int64")
    table["rms_dbfs"] = [-20.0, -21.5, -19.0, -18.0, -17.0, -16.0]
    table.loc[4, "maximum"] = 101
    table.loc[5, ["samples", "status", "reason"]] = [0, clips.UNDECODABLE, "the file is empty"]
    table.loc[5, ["minimum", "maximum", "rms_dbfs"]] = None
    files.write_table(PREPARED / "manifest.tsv", table[list(clips.MANIFEST_COLUMNS)])
    array = np.lib.format.open_memmap(PREPARED / "clips.npy", mode="w+", dtype=np.int16, shape=(6, length))
    array[4, 3] = 101
    array.flush()
    chosen = table[:5].assign(split=["train", "train", "valid", "test", "test"], windows=length // window)
    labels = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=np.uint8)
    splits.write(SPLIT, splits.Split(chosen.assign(artist_disjoint=0)[list(splits.COLUMNS)], TAGS, labels))
    return folder


def in_folder(path):
    return {found.name for found in Path(path).iterdir()}


def error_of(capsys):
    """The one line on standard error."""
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    return line


def test_describe_prints_draws_and_writes(prepared, capsys):
    assert command.main(["describe"]) == 0
    assert in_folder(REPORT) == MADE
    captured = capsys.readouterr()
    assert captured.err == ""
    for words in (*TAGS, "1 undecodable: the file is empty", "artist-disjoint", str(REPORT)):
        assert words in captured.out
    described = files.read_json(REPORT / "description.json")
    assert described["dataset"] == params.load()["dataset"]["name"]
    assert [described["clips"][name]["clips"] for name in splits.NAMES] == [2, 1, 2]
    assert described["range"]["test"]["samples_outside"] == 1
    assert set(described["figures"]) == MADE - {"description.json"}
    for name in described["figures"]:
        with Image.open(REPORT / name) as image:
            assert image.width == 1350 and image.height > 200
        assert described["figures"][name]["caption"]


def test_describe_says_the_same_every_time_and_leaves_other_files_as_they_are(prepared, capsys):
    read = {path: path.read_bytes() for path in Path("data").rglob("*") if path.is_file()}
    REPORT.mkdir(parents=True)
    (REPORT / "notes.txt").write_text("the user's")
    written = []
    for _ in range(2):
        assert command.main(["describe"]) == 0
        written.append([(REPORT / name).read_bytes() for name in sorted(MADE)] + [capsys.readouterr().out])
    assert written[0] == written[1]
    assert in_folder(REPORT) == MADE | {"notes.txt"}
    assert {path: path.read_bytes() for path in Path("data").rglob("*") if path.is_file()} == read


def test_describe_takes_other_folders(prepared, monkeypatch):
    monkeypatch.setattr(figures, "save", lambda figure, path: Path(path).write_bytes(b"a figure"))
    PREPARED.rename("elsewhere")
    SPLIT.rename("other.tsv")
    assert command.main(["describe", "--prepared", "elsewhere", "--split", "other.tsv", "--out", "a/b"]) == 0
    assert in_folder("a/b") == MADE
    assert not REPORT.exists()


def test_before_anything_is_prepared_the_first_missing_file_and_its_maker_are_named(folder, capsys):
    assert command.main(["describe"]) == 1
    expected = f"wavetag describe: {PREPARED}/manifest.tsv: no such file; `snakemake --cores 4 all` (or `make all`)"
    assert error_of(capsys).startswith(expected)
    assert not REPORT.exists()


@pytest.mark.parametrize("missing", [PREPARED / "manifest.tsv", PREPARED / "clips.npy", SPLIT])
def test_each_missing_file_is_named(prepared, capsys, missing):
    missing.unlink()
    assert command.main(["describe"]) == 1
    assert error_of(capsys).startswith(f"wavetag describe: {missing}: no such file; `snakemake --cores 4 all`")


@pytest.mark.parametrize("broken", [PREPARED / "manifest.tsv", PREPARED / "clips.npy", SPLIT])
@pytest.mark.parametrize("content", [b"", b"something else\n1\n", b"\xff\xfe\x00\t\n"])
def test_each_file_of_another_kind_is_named(prepared, capsys, broken, content):
    broken.write_bytes(content)
    assert command.main(["describe"]) == 1
    assert error_of(capsys).startswith(f"wavetag describe: {broken}: ")


def test_a_manifest_without_the_levels_is_named_with_what_it_lacks(prepared, capsys):
    path = PREPARED / "manifest.tsv"
    pd.read_csv(path, sep="\t").drop(columns=["rms_dbfs"]).to_csv(path, sep="\t", index=False)
    assert command.main(["describe"]) == 1
    line = error_of(capsys)
    assert str(path) in line and "rms_dbfs" in line


def test_an_array_of_other_clips_is_refused(prepared, capsys):
    np.save(PREPARED / "clips.npy", np.zeros((6, 100), dtype=np.int16))
    assert command.main(["describe"]) == 1
    line = error_of(capsys)
    assert f"{PREPARED}/clips.npy: clips of 100 samples" in line and "params.yaml" in line


def test_a_split_of_other_clips_is_refused(prepared, capsys):
    SPLIT.write_text(SPLIT.read_text().replace("song-0-29", "song-29-58").replace("\t7\t", "\t8000\t"))
    assert command.main(["describe"]) == 1
    line = error_of(capsys)
    assert line.startswith(f"wavetag describe: {PREPARED} and {SPLIT}: 1 clips of the split") and "make all" in line


def test_away_from_the_top_folder_params_yaml_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["describe"]) == 1
    assert error_of(capsys).startswith("wavetag describe: params.yaml: no such file")


def test_a_stop_is_told_and_has_its_status(prepared, capsys, monkeypatch):
    monkeypatch.setattr(params, "load", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert command.main(["describe"]) == 130
    assert error_of(capsys) == "wavetag describe: stopped; run the same command again"


def test_a_full_disk_is_told_and_leaves_no_half_file(prepared, capsys, monkeypatch):
    def full(figure, path):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(figures, "save", full)
    assert command.main(["describe"]) == 1
    assert "no space left on the disk" in error_of(capsys)
    assert in_folder(REPORT) == set()


def test_a_bug_keeps_its_traceback(prepared, monkeypatch):
    monkeypatch.setattr(params, "load", lambda: {})
    with pytest.raises(KeyError):
        command.main(["describe"])


def test_without_a_subcommand_there_is_help(capsys):
    assert command.main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: wavetag")
    for name in command.SUBCOMMANDS:
        assert f"\n    {name} " in out


@pytest.mark.parametrize(
    ("words", "status"),
    [(["--version"], 0), (["--help"], 0), (["describe", "--help"], 0), (["paint"], 2), (["describe", "--nothing"], 2)],
)
def test_status_of_what_argparse_answers(words, status):
    with pytest.raises(SystemExit) as stopped:
        command.main(words)
    assert stopped.value.code == status


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit):
        command.main(["--version"])
    assert capsys.readouterr().out == f"wavetag {version('wavetag')}\n"


def test_help_loads_nothing_heavy():
    code = "import sys; from wavetag import command; command.main([]); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "wavetag.command" in loaded
    assert not {"numpy", "pandas", "matplotlib", "torch", "rich"} & set(loaded)
