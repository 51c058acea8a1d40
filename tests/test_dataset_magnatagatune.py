"""MagnaTagATune's files, tiny ones, as archives, unpacked, and on a server."""

import hashlib
import os
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import make_dataset
from wavetag import archives, clips, downloads, params
from wavetag.datasets import layout, magnatagatune
from wavetag.datasets.layout import DatasetError

ROOT = Path(__file__).resolve().parents[1]


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


def test_the_official_files_are_known_by_their_published_sums():
    assert magnatagatune.MD5 == {
        "annotations_final.csv": "f04fa01752a8cc64f6e1ca142a0fef1d",
        "clip_info_final.csv": "03ef3cb8ddcfe53fdcdb8e0cda005be2",
        "mp3.zip.001": "179c91c8c2a6e9b3da3d4e69d306fd3b",
        "mp3.zip.002": "acf8265ff2e35c6ff22210e46457a824",
        "mp3.zip.003": "582dc649cabb8cd991f09e14b99349a5",
    }
    assert set(params.load(ROOT / "params.yaml", ROOT / params.SCHEMA)["dataset"]["urls"]) == set(magnatagatune.MD5)


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


def test_a_half_unpacked_folder_beside_whole_archives_is_not_taken(packed, unpacked, tmp_path):
    one = next((unpacked / "0").iterdir())
    (packed / "0").mkdir()
    (packed / "0" / one.name).write_bytes(one.read_bytes()[:30])
    said = acquire(packed, tmp_path / "out")
    assert any("not all of 32 clips are there; taking the archives" in line for line in said)
    assert_whole(tmp_path / "out", unpacked)


def test_whole_parts_are_taken_and_not_a_joined_archive_that_may_not_be(packed, unpacked, tmp_path):
    (packed / "mp3.zip").write_bytes((packed / "mp3.zip.001").read_bytes())
    acquire(packed, tmp_path / "out")
    assert_whole(tmp_path / "out", unpacked)


def test_archives_that_changed_after_a_stop_are_unpacked_anew(packed, unpacked, tmp_path, monkeypatch):
    """Of the same sizes: an older and a newer clip must not stand in one dataset."""
    parts = [packed / name for name in magnatagatune.ARCHIVES]
    joined = packed / "mp3.zip"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()

    def unpack_some(parts, folder, say, only):
        for path in sorted(only)[:5]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(bytes((unpacked / path).stat().st_size))
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(archives, "unpack", unpack_some)
        with pytest.raises(KeyboardInterrupt):
            acquire(packed, tmp_path / "out")
    time = joined.stat().st_mtime_ns + 10**9
    os.utime(joined, ns=(time, time))
    acquire(packed, tmp_path / "out")
    assert_whole(tmp_path / "out", unpacked)


def test_the_folder_may_be_a_link_to_another_disk(packed, unpacked, tmp_path):
    (tmp_path / "large disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "large disk")
    acquire(packed, tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert_whole(tmp_path / "out", unpacked)


def test_a_file_where_the_folder_is_to_be_is_left_alone(packed, tmp_path):
    (tmp_path / "out").write_text("the user's")
    with pytest.raises(DatasetError, match="a file stands where the dataset's folder is to be"):
        acquire(packed, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "the user's"


@pytest.mark.parametrize("place", ["out", "out/in it", ".", "link to out"])
def test_a_source_that_would_be_deleted_is_refused(tmp_path, place):
    (tmp_path / "out" / "in it").mkdir(parents=True)
    (tmp_path / "link to out").symlink_to(tmp_path / "out")
    for sources in ((tmp_path / place,), (tmp_path / "elsewhere", tmp_path / place)):
        with pytest.raises(DatasetError, match="what is there would be lost"):
            layout.refuse_overlap(tmp_path / "out", *sources)
    layout.refuse_overlap(tmp_path / "out", tmp_path / "elsewhere", None)


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
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
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
