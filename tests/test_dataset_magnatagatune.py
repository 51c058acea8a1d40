"""MagnaTagATune's files, tiny ones, as archives, unpacked, and on a server."""

import hashlib
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import make_dataset
from wavetag import clips, downloads
from wavetag.datasets import layout, magnatagatune
from wavetag.datasets.layout import DatasetError


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("unpacked"), clips=32, seconds=0.2)


@pytest.fixture
def packed(unpacked, tmp_path, monkeypatch):
    """The five files; their sums are taken for the official ones."""
    folder = tmp_path / "packed"
    folder.mkdir()
    with zipfile.ZipFile(folder / "mp3.zip", "w") as archive:
        for path in sorted(unpacked.glob("?/*.mp3")):
            archive.write(path, path.relative_to(unpacked).as_posix())
    content = (folder / "mp3.zip").read_bytes()
    (folder / "mp3.zip").unlink()
    third = len(content) // 3
    for number, start in enumerate((0, third, 2 * third), start=1):
        end = None if number == 3 else start + third
        (folder / f"mp3.zip.00{number}").write_bytes(content[start:end])
    for name in magnatagatune.TABLES:
        (folder / name).write_bytes((unpacked / name).read_bytes())
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(magnatagatune, "MD5", sums)
    return folder


def acquire(source, out, urls=()):
    said = []
    magnatagatune.acquire(out, {"source": str(source), "urls": dict(urls)}, said.append)
    return said


def state(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def assert_whole(out, unpacked):
    described = clips.describe_clips(out)
    assert len(described) == 32
    for path in described["path"]:
        assert (out / path).read_bytes() == (unpacked / path).read_bytes()
    assert sorted(path.name for path in out.iterdir()) == sorted([*layout.PARTS, *magnatagatune.TABLES])
    assert sorted(path.name for path in out.parent.iterdir() if path.name.startswith(f".{out.name}")) == []


def test_archives_are_checked_and_unpacked_and_stay_as_they_were(packed, unpacked, tmp_path):
    before = state(packed)
    acquire(packed, tmp_path / "out")
    assert_whole(tmp_path / "out", unpacked)
    assert state(packed) == before


def test_a_joined_archive_is_unpacked_too(packed, unpacked, tmp_path):
    parts = [packed / name for name in magnatagatune.ARCHIVES]
    (packed / "mp3.zip").write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()
    acquire(packed, tmp_path / "out")
    assert_whole(tmp_path / "out", unpacked)


@pytest.mark.parametrize("place", ["", "mp3"])
def test_what_is_unpacked_already_is_linked_to(unpacked, tmp_path, place):
    source = tmp_path / "source"
    (source / place).mkdir(parents=True)
    for part in layout.PARTS:
        (source / place / part).symlink_to(unpacked / part)
    for name in magnatagatune.TABLES:
        (source / name).write_bytes((unpacked / name).read_bytes())
    said = acquire(source, tmp_path / "out")
    assert_whole(tmp_path / "out", unpacked)
    assert all((tmp_path / "out" / path).is_symlink() for path in clips.describe_clips(tmp_path / "out")["path"])
    assert any("MD5 sum is not the official file's; taken as it is" in line for line in said)


def test_missing_clips_are_left_to_prepare_to_tell(unpacked, tmp_path):
    source = tmp_path / "source"
    (source / "0").mkdir(parents=True)
    one = next((unpacked / "0").iterdir())
    (source / "0" / one.name).write_bytes(one.read_bytes())
    for name in magnatagatune.TABLES:
        (source / name).write_bytes((unpacked / name).read_bytes())
    assert any("1 of 32 clips linked" in line for line in acquire(source, tmp_path / "out"))
    (source / "0" / one.name).unlink()
    with pytest.raises(DatasetError, match="not one of 32 clips is there"):
        acquire(source, tmp_path / "other")


def test_an_archive_that_is_not_the_official_one_is_refused_before_anything_is_unpacked(packed, tmp_path):
    path = packed / "mp3.zip.002"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DatasetError, match=rf"mp3.zip.002: {path.stat().st_size} bytes with the MD5 sum"):
        acquire(packed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["mp3.zip.003", "annotations_final.csv"])
def test_a_missing_file_is_named(packed, tmp_path, name):
    (packed / name).unlink()
    with pytest.raises(DatasetError, match=name):
        acquire(packed, tmp_path / "out")


def test_a_table_that_leads_out_of_the_folder_is_refused(unpacked, tmp_path):
    source = tmp_path / "source"
    (source / "0").mkdir(parents=True)
    for name in magnatagatune.TABLES:
        text = (unpacked / name).read_text()
        (source / name).write_text(text.replace('"0/', '"../0/'))
    with pytest.raises(DatasetError, match=r"the path '\.\./0/.*' leads out of the dataset"):
        acquire(source, tmp_path / "out")


@pytest.fixture
def urls(packed):
    """Addresses of the five files on a server on loopback."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(packed))
    handler.log_message = lambda *arguments: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {name: f"http://127.0.0.1:{server.server_port}/{name}" for name in magnatagatune.MD5}
    server.shutdown()
    server.server_close()


def test_what_is_not_there_is_downloaded_once(packed, unpacked, urls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = Path("data/downloads/magnatagatune")
    acquire(source, tmp_path / "out", urls)
    assert_whole(tmp_path / "out", unpacked)
    assert {path.name for path in source.iterdir()} == set(urls)
    before = state(source)
    acquire(source, tmp_path / "again", dict.fromkeys(urls, "http://127.0.0.1:9/nothing"))
    assert_whole(tmp_path / "again", unpacked)
    assert state(source) == before


def test_a_wrong_download_is_refused(packed, urls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = urls | {"mp3.zip.002": urls["mp3.zip.001"]}
    with pytest.raises(downloads.DownloadError, match=r"another file than mp3.zip.002"):
        acquire(Path("data/downloads/magnatagatune"), tmp_path / "out", wrong)
    assert not (tmp_path / "out").exists()


def test_nothing_is_downloaded_into_a_folder_of_the_users(urls, tmp_path):
    source = tmp_path / "mine"
    source.mkdir()
    with pytest.raises(DatasetError, match=r"no mp3.zip.001, .*; with `dataset.source: data/downloads/magnatagatune`"):
        acquire(source, tmp_path / "out", urls)
    assert not list(source.iterdir())
