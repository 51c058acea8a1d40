"""Zip archives in parts, and such as should not be unpacked."""

import stat
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from wavetag import archives

SOUNDS = {f"{part}/a-b-0{part}-c-0-29.mp3": np.random.default_rng(part).bytes(20_000 + part) for part in range(8)}


def make_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


def cut(path, *places):
    """The file in parts that end at these places; the file itself is gone then."""
    content, parts = path.read_bytes(), []
    for number, (start, end) in enumerate(zip((0, *places), (*places, None), strict=True), start=1):
        parts.append(path.with_name(f"{path.name}.{number:03}"))
        parts[-1].write_bytes(content[start:end])
    path.unlink()
    return parts


def unpack(parts, folder, **more):
    return archives.unpack(parts, folder, lambda line: None, **more)


def there(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("places", [(), (1,), (50_000, 50_001), (70_000, 163_000)])
def test_parts_are_unpacked_as_one_archive(tmp_path, places):
    parts = cut(make_zip(tmp_path / "mp3.zip", SOUNDS), *places)
    assert unpack(parts, tmp_path / "out") == len(SOUNDS)
    assert there(tmp_path / "out") == SOUNDS


def test_only_the_wanted_members_are_unpacked(tmp_path):
    wanted = {*list(SOUNDS)[:2], "not/there.mp3"}
    assert unpack([make_zip(tmp_path / "mp3.zip", SOUNDS)], tmp_path / "out", only=wanted) == 2
    assert set(there(tmp_path / "out")) == set(list(SOUNDS)[:2])


def test_what_an_interrupted_call_unpacked_is_left_alone(tmp_path, monkeypatch):
    archive, opened = make_zip(tmp_path / "mp3.zip", SOUNDS), []
    original = zipfile.ZipFile.open

    def open_three(self, member, *rest, **more):
        if len(opened) == 3:
            raise KeyboardInterrupt
        opened.append(member.filename)
        return original(self, member, *rest, **more)

    monkeypatch.setattr(zipfile.ZipFile, "open", open_three)
    with pytest.raises(KeyboardInterrupt):
        unpack([archive], tmp_path / "out")
    assert there(tmp_path / "out") == dict(list(SOUNDS.items())[:3])
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda *all, **more: opened.append(all[1].filename) or original(*all, **more)
    )
    unpack([archive], tmp_path / "out")
    assert opened == list(SOUNDS)
    assert there(tmp_path / "out") == SOUNDS


@pytest.mark.parametrize("name", ["../out.mp3", "/etc/out.mp3", "0/../../out.mp3", "0\\..\\..\\out.mp3", "c:/out.mp3"])
def test_a_member_that_leads_out_of_the_folder_is_refused_before_anything_is_written(tmp_path, name):
    archive = make_zip(tmp_path / "mp3.zip", SOUNDS)
    with zipfile.ZipFile(archive, "a") as opened:
        member = zipfile.ZipInfo("x")
        member.filename = name
        opened.writestr(member, b"x")
    with pytest.raises(archives.ArchiveError, match="would lie outside of the folder"):
        unpack([archive], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mp3.zip"]


def test_a_link_is_refused(tmp_path):
    archive = make_zip(tmp_path / "mp3.zip", SOUNDS)
    with zipfile.ZipFile(archive, "a") as opened:
        member = zipfile.ZipInfo("0/link.mp3")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(member, "/etc/passwd")
    with pytest.raises(archives.ArchiveError, match=r"'0/link\.mp3' is a link"):
        unpack([archive], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_stands_twice_is_refused(tmp_path):
    archive = make_zip(tmp_path / "mp3.zip", SOUNDS)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(next(iter(SOUNDS)), b"other")
    with pytest.raises(archives.ArchiveError, match="stands twice"):
        unpack([archive], tmp_path / "out")


def test_a_bomb_is_refused(tmp_path):
    archive = make_zip(tmp_path / "mp3.zip", {"0/long.mp3": bytes(10_000_000)})
    with pytest.raises(archives.ArchiveError, match="10000000 bytes in an archive of"):
        unpack([archive], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_member_is_named_and_not_left_half(tmp_path):
    archive = make_zip(tmp_path / "mp3.zip", SOUNDS, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    third = list(SOUNDS)[2]
    place = content.index(SOUNDS[third]) + 10_000
    content[place] ^= 1
    archive.write_bytes(content)
    with pytest.raises(archives.ArchiveError, match=f"its member {third!r} is damaged: Bad CRC-32"):
        unpack([archive], tmp_path / "out")
    assert there(tmp_path / "out") == dict(list(SOUNDS.items())[:2])


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["."], "'.' has no name that a file can have"),
        ([""], "'' has no name that a file can have"),
        (["0/" + "é" * 130 + ".mp3"], "has no name that a file can have"),
        (["0/a.mp3", "./0//a.mp3"], "'./0//a.mp3' stands twice"),
        (["0/a.mp3", "0/a.mp3/b.mp3"], "'0/a.mp3' is both a file and a folder"),
    ],
)
def test_names_that_files_cannot_have_are_refused_before_anything_is_written(tmp_path, names, reason):
    archive = make_zip(tmp_path / "mp3.zip", SOUNDS)
    with zipfile.ZipFile(archive, "a") as opened:
        for name in names:
            member = zipfile.ZipInfo("x")
            member.filename = name
            opened.writestr(member, b"x")
    with pytest.raises(archives.ArchiveError, match=reason):
        unpack([archive], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_damage_to_any_kind_of_compression_is_told_by_name(tmp_path, compression):
    archive = make_zip(tmp_path / "mp3.zip", SOUNDS, compression)
    with zipfile.ZipFile(archive) as opened:
        places = [member.header_offset for member in opened.infolist()]
    content, rng = archive.read_bytes(), np.random.default_rng(0)
    for start, end in zip(places, [*places[1:], places[-1] + 20_000], strict=True):
        damaged = bytearray(content)
        for place in rng.integers(start + 60, end - 10, 20):
            damaged[place] ^= 255
        archive.write_bytes(damaged)
        with pytest.raises(archives.ArchiveError, match=r"mp3.zip: .*is damaged|no whole zip archive"):
            unpack([archive], tmp_path / f"out {start}")


def test_a_member_that_is_shorter_than_it_says_is_damaged(tmp_path):
    archive = make_zip(tmp_path / "mp3.zip", {"0/a.mp3": bytes(range(200))}, zipfile.ZIP_DEFLATED)
    content = archive.read_bytes()
    archive.write_bytes(content.replace((200).to_bytes(4, "little"), (300).to_bytes(4, "little")))
    with pytest.raises(archives.ArchiveError, match=r"'0/a.mp3' is damaged: 200 bytes where 300 should be"):
        unpack([archive], tmp_path / "out")
    assert there(tmp_path / "out") == {}


def test_an_archive_that_points_before_its_start_is_refused(tmp_path):
    archive = make_zip(tmp_path / "mp3.zip", SOUNDS)
    content = bytearray(archive.read_bytes())
    content[-6:-2] = (2**31).to_bytes(4, "little")  # where the list of members begins
    archive.write_bytes(content)
    with pytest.raises(archives.ArchiveError, match="no whole zip archive"):
        unpack([archive], tmp_path / "out")


@pytest.mark.parametrize("keep", [0, 10, 100_000, -1])
def test_a_truncated_archive_is_refused(tmp_path, keep):
    archive = make_zip(tmp_path / "mp3.zip", SOUNDS)
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(archives.ArchiveError, match=r"mp3.zip: no whole zip archive"):
        unpack([archive], tmp_path / "out")


def test_a_member_that_asks_for_all_memory_is_refused_by_name(tmp_path):
    """The size of its dictionary stands in an LZMA member's first bytes: 4 GiB, where a process may have one."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("0/a.mp3", b"a" * 1000)
    content = bytearray(path.read_bytes())
    size = content.index(b"\x05\x00\x5d") + 3  # behind the length of the properties and the first of them
    content[size : size + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    limited = (
        "import resource, sys; from pathlib import Path; from wavetag import archives\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "try: archives.unpack([Path(sys.argv[1])], Path(sys.argv[2]), print)\n"
        "except archives.ArchiveError as error: print(error)\n"
    )
    command = [sys.executable, "-c", limited, str(path), str(tmp_path / "out")]
    told = subprocess.run(command, text=True, capture_output=True, check=True).stdout
    assert told == f"{path}: its member '0/a.mp3' asks for more memory than there is\n"
