"""What the copy of an experiment takes from the repository, on two stages of a pipeline of two."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from wavetag import queued

DVC = str(Path(sys.executable).with_name("dvc"))
PIPELINE = {
    "stages": {
        "acquire": {
            "cmd": "mkdir raw && cp song.mp3 raw && ln -s $PWD/song.mp3 raw/linked.mp3",
            "deps": ["song.mp3"],
            "params": ["clips"],
            "outs": [{"raw": {"cache": False}}],
        },
        "prepare": {
            "cmd": "cat raw/* > clips.npy && ls raw > manifest.tsv",
            "deps": ["raw"],
            "outs": [{"clips.npy": {"cache": False}}, "manifest.tsv"],
        },
    }
}


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """The folder of a queued experiment, as DVC makes it, in a repository whose stages have run; it is entered."""
    (tmp_path / "song.mp3").write_bytes(b"a song")
    (tmp_path / "params.yaml").write_text("clips: 1\n")
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    subprocess.run([DVC, "init", "-q", "--no-scm"], cwd=tmp_path, check=True)
    subprocess.run([DVC, "repro", "-q"], cwd=tmp_path, check=True)
    folder = tmp_path / ".dvc/tmp/exps/tmp0"
    folder.mkdir(parents=True)
    for name in ("song.mp3", "params.yaml", "dvc.yaml", "dvc.lock"):
        shutil.copy2(tmp_path / name, folder)
    subprocess.run([DVC, "init", "-q", "--no-scm"], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    return folder


def test_a_copy_links_what_dvc_does_not_keep(copy, tmp_path):
    assert queued.origin(copy) == tmp_path
    assert queued.taken("acquire") and queued.taken("prepare")
    assert (copy / "raw/song.mp3").samefile(tmp_path / "raw/song.mp3")
    assert (copy / "raw/linked.mp3").is_symlink() and (copy / "raw/linked.mp3").samefile(tmp_path / "song.mp3")
    assert (copy / "clips.npy").samefile(tmp_path / "clips.npy")
    manifest = copy / "manifest.tsv"  # DVC makes it a file of its cache, and read-only
    assert not manifest.samefile(tmp_path / "manifest.tsv")
    assert manifest.read_bytes() == (tmp_path / "manifest.tsv").read_bytes()


@pytest.mark.parametrize("place", ["tmp0", "standalone/tmp_x"])  # of --queue and of --temp
def test_the_repository_of_a_copy_is_found(tmp_path, place):
    folder = tmp_path / ".dvc/tmp/exps" / place
    folder.mkdir(parents=True)
    assert queued.origin(folder) == tmp_path
    assert queued.origin(folder / "src") is None and queued.origin(tmp_path / "exps" / "tmp0") is None


def test_the_repository_itself_takes_nothing(copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert queued.origin(tmp_path) is None
    assert not queued.taken("acquire")


@pytest.mark.parametrize("other", ["a setting", "an input", "the repository's file", "no file"])
def test_what_the_copy_would_make_otherwise_is_not_taken(copy, tmp_path, other):
    if other == "a setting":
        (copy / "params.yaml").write_text("clips: 2\n")
    elif other == "an input":
        (copy / "song.mp3").write_bytes(b"another")
    elif other == "the repository's file":
        (tmp_path / "raw/song.mp3").write_bytes(b"b song")
    else:
        shutil.rmtree(tmp_path / "raw")
    assert not queued.taken("acquire")
    assert not (copy / "raw").exists()
    assert not list(copy.glob("*.part"))
