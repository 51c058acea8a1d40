"""Whether what stages wrote is still that: sums, dvc.lock, DVC's cache, and what a kill leaves."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from wavetag import files, integrity
from wavetag.integrity import IntegrityError, Sums, check, read_record

OUTS = {"": {"split": ["data/split.tsv"], "train@base": ["models/base", "metrics/base.csv"], "figures": ["figures"]}}


def said(line: str) -> None:
    raise AssertionError(line)


def entry(path: str) -> dict[str, str]:
    return {"path": path, "hash": "md5", "md5": Sums().of(path), "size": 1}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Three stages that have run: a table, a model from it, figures from all models; with dvc.lock and cache."""
    monkeypatch.chdir(tmp_path)
    for name in ("models/base", "metrics", "data", "figures"):
        Path(name).mkdir(parents=True)
    Path("data/split.tsv").write_text("clip\n")
    Path("models/base/seed_0.safetensors").write_bytes(bytes(range(100)))
    Path("models/base/history.csv").write_text("epoch\n1\n")
    Path("models/base/.snakemake_timestamp").touch()
    Path("metrics/base.csv").write_text("epoch\n")
    Path("figures/one.png").write_bytes(b"png")
    write_lock()
    check(OUTS, said)
    return tmp_path


def write_lock() -> None:
    deps = {"split": [], "train@base": ["data/split.tsv"], "figures": ["models", "data/split.tsv"]}
    stages = {
        name: {"cmd": name, "deps": [entry(dep) for dep in deps[name]], "outs": [entry(out) for out in outs]}
        for name, outs in OUTS[""].items()
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def is_old(path: str) -> bool:
    carrier = Path(path) / integrity.TIMESTAMP
    return (carrier if carrier.exists() else Path(path)).stat().st_mtime == integrity.LONG_AGO


def flip(path: str, keep_times: bool = False) -> None:
    status = Path(path).stat()
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 4
    Path(path).write_bytes(content)
    if keep_times:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_sums_are_those_of_dvc(tmp_path, monkeypatch):
    from dvc.repo import Repo
    from dvc_data.hashfile.build import build

    monkeypatch.chdir(tmp_path)
    for name, content in {"b/2.txt": b"two", "b/1.txt": b"", "a.bin": bytes(70_000), "b/c/é ü.csv": b"x,y\n"}.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(content)
    (tmp_path / ".dvcignore").write_text("# comment\n.snakemake_timestamp\n__pycache__\n")
    (tmp_path / "out/.snakemake_timestamp").touch()
    (tmp_path / "out/__pycache__").mkdir()
    (tmp_path / "out/__pycache__/a.pyc").write_bytes(b"compiled")
    subprocess.run([str(Path(sys.executable).with_name("dvc")), "init", "-q", "--no-scm", "-f"], check=True)
    (tmp_path / ".dvcignore").write_text("# comment\n.snakemake_timestamp\n__pycache__\n")
    with Repo(".") as repo:
        for name in ("out", "out/a.bin", "out/b"):
            path = str(tmp_path / name)
            _, _, built = build(repo.cache.local, path, repo.fs, "md5", ignore=repo.dvcignore, dry_run=True)
            assert Sums().of(name) == built.hash_info.value
    assert Sums().of("not there") is None


def test_a_file_is_read_again_only_when_it_has_changed(folder, monkeypatch):
    read = []
    digest = integrity.hashlib.file_digest
    monkeypatch.setattr(integrity.hashlib, "file_digest", lambda file, of: read.append(file.name) or digest(file, of))
    check(OUTS, said)
    assert read == []
    flip("models/base/history.csv", keep_times=True)
    assert check(OUTS, said).damaged == {"models/base": "train@base"}
    assert read == ["models/base/history.csv"]


def test_a_bit_that_a_bad_disk_changed_is_found_by_reading_all(folder, monkeypatch):
    """No time of the file tells of it."""
    path, before = Path("models/base/history.csv"), integrity.Sums()
    flip(str(path))
    status = path.stat()
    before.known[str(path)][:4] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    files.write_text(integrity.SUMS, json.dumps(before.known))
    assert not check(OUTS, said).damaged
    assert check(OUTS, said, read_all=True).damaged == {"models/base": "train@base"}


def test_what_is_as_it_was_is_left_alone(folder):
    found = check(OUTS, said)
    assert found == integrity.Found()
    assert not any(is_old(path) for paths in OUTS[""].values() for path in paths)


@pytest.mark.parametrize("path", ["data/split.tsv", "models/base/seed_0.safetensors", "figures/one.png"])
@pytest.mark.parametrize("damage", ["a bit", "cut short", "emptied"])
def test_a_damaged_file_is_named_and_looks_old_with_all_that_its_stage_wrote(folder, path, damage):
    flip(path) if damage == "a bit" else os.truncate(path, {"cut short": 2, "emptied": 0}[damage])
    found = check(OUTS, said)
    out, stage = next(
        (out, stage) for stage, outs in OUTS[""].items() for out in outs if out == path or path.startswith(f"{out}/")
    )
    assert found.damaged == {out: stage}
    assert found.lines == [f"{out}: not what its stage, {stage}, wrote (by dvc.lock)"]
    assert all(is_old(out) for out in OUTS[""][stage])


def test_a_file_too_many_in_a_folder_counts_as_damage(folder):
    Path("figures/two.png").write_bytes(b"png")
    assert check(OUTS, said).damaged == {"figures": "figures"}


def test_what_was_made_from_other_data_looks_old_and_is_not_called_damaged(folder):
    """As after a stage that ran under a clock that was behind: its files are older than what was made from its last."""
    Path("data/split.tsv").write_text("another clip\n")
    lock = yaml.safe_load(Path("dvc.lock").read_text())
    lock["stages"]["split"]["outs"] = [entry("data/split.tsv")]
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    found = check(OUTS, said)
    assert not found.damaged and found.lines == []
    assert sorted(found.old) == ["figures", "train@base"]
    assert is_old("models/base") and not is_old("data/split.tsv")


def test_what_dvc_does_not_know_of_looks_old(folder):
    lock = yaml.safe_load(Path("dvc.lock").read_text())
    del lock["stages"]["figures"]
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    found = check(OUTS, said)
    assert found.old == ["figures"] and not found.damaged
    assert is_old("figures")


def test_many_damaged_files_are_not_named_one_by_one():
    found = integrity.Found(damaged={f"models/{number}": "train" for number in range(20)})
    assert len(found.lines) == integrity.NAMED + 1
    assert found.lines[-1] == "… and 15 more"


@pytest.mark.parametrize(
    "damage",
    [b"", b"schema: '2.0'\nstages:\n  split:\n    cmd: x\n    deps:\n    - path: a\n      m", b"\xff\xfe", b"[1, 2]"],
)
def test_a_torn_lock_file_is_put_back_as_it_was_when_last_whole(folder, damage):
    whole, told = Path("dvc.lock").read_bytes(), []
    Path("dvc.lock").write_bytes(damage)
    assert set(read_record("", told.append)) == set(OUTS[""])
    assert Path("dvc.lock").read_bytes() == whole
    assert len(told) == 1 and told[0].startswith("dvc.lock was damaged")


@pytest.mark.parametrize("copy", ["gone", "damaged", "not JSON"])
def test_a_torn_lock_file_without_a_whole_copy_is_refused_by_name(folder, copy):
    content = Path("dvc.lock").read_bytes()
    Path("dvc.lock").write_bytes(content[: content.rindex(b"md5: ") + 20])
    kept = integrity.STATE / "dvc.lock.json"
    if copy == "gone":
        kept.unlink()
    elif copy == "damaged":
        kept.write_text(kept.read_text().replace("split", "spilt", 1))
        content = json.loads(kept.read_text())
        kept.write_text(json.dumps({**content, "text": content["text"] + " "}))
    else:
        os.truncate(kept, 30)
    with pytest.raises(IntegrityError, match=r"^dvc.lock: damaged .*git checkout dvc.lock"):
        read_record("", said)


def test_a_lock_file_that_dvc_is_just_writing_is_waited_for(folder, monkeypatch):
    """As by `snakemake -n` in a second terminal: what a copy has is older."""
    content = Path("dvc.lock").read_bytes()
    held = threading.Event()

    def write():
        with integrity.held(integrity.REPOSITORY):
            Path("dvc.lock").write_bytes(content[:100])
            held.set()
            time.sleep(1)
            Path("dvc.lock").write_bytes(content + b"# of a later stage\n")

    writer = threading.Thread(target=write)
    writer.start()
    held.wait()
    assert set(read_record("", pytest.fail)) == set(OUTS[""])
    writer.join()
    assert Path("dvc.lock").read_bytes().endswith(b"# of a later stage\n")
    monkeypatch.setattr(integrity, "PATIENCE", 0.0)
    with integrity.held(integrity.REPOSITORY):
        Path("dvc.lock").write_bytes(content[:100])
        with pytest.raises(IntegrityError, match="a DVC at work has held it"):
            read_record("", said)
    assert Path("dvc.lock").read_bytes() == content[:100]


def test_what_a_merge_left_is_not_overwritten(folder):
    marked = b"<<<<<<< HEAD\n" + Path("dvc.lock").read_bytes() + b"=======\n>>>>>>> other\n"
    Path("dvc.lock").write_bytes(marked)
    with pytest.raises(IntegrityError, match="a merge left its marks"):
        read_record("", said)
    assert Path("dvc.lock").read_bytes() == marked


def test_a_link_that_leads_nowhere_makes_its_folder_look_old(folder):
    Path("models/base/song.mp3").symlink_to(folder / "gone.mp3")
    assert check(OUTS, said).damaged == {"models/base": "train@base"}
    assert is_old("models/base")


def test_a_damaged_object_of_dvcs_cache_is_removed_and_half_written_ones_are_none_of_this(folder):
    content = b"weights"
    name = integrity._md5(content)
    objects = [integrity.OBJECTS / name[:2] / name[2:], integrity.OBJECTS / "ab" / ("0" * 30)]
    half_written = integrity.OBJECTS / "ab" / ".half.tmp"
    for path in (*objects, half_written):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    found = check(OUTS, said)
    assert found.objects == [str(objects[1])] and f"{objects[1]}: damaged" in found.lines[0]
    assert objects[0].exists() and half_written.exists() and not objects[1].exists()


@pytest.mark.parametrize(
    ("content", "stays"), [('{"read": {}, "write": {}}', True), ('{"read": {"a', False), ("", False)]
)
def test_dvcs_list_of_running_commands_is_removed_if_it_is_cut_short(folder, content, stays):
    integrity.RUNNING.parent.mkdir(parents=True)
    integrity.RUNNING.write_text(content)
    integrity.remove_torn_list()
    assert integrity.RUNNING.exists() == stays
    if stays:  # with core.hardlink_lock the lock file of a list that nobody has is not there
        assert not integrity.RUNNING.with_name("rwlock.lock").exists()


@pytest.mark.parametrize(
    ("content", "stays"), [(b'{"rule": "all"}', True), (b'{"rule": "\xac"}', False), (b'{"r', False)]
)
def test_what_snakemake_noted_of_a_job_is_removed_if_it_cannot_be_read(folder, content, stays):
    path = integrity.METADATA / "@long" / "bmFtZQ=="
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    integrity.tidy(said)
    assert path.exists() == stays


def test_an_empty_folder_of_dvcs_run_cache_is_removed(folder):
    for name in ("ab/empty", "cd/full"):
        (integrity.RUNS / name).mkdir(parents=True)
    (integrity.RUNS / "cd/full/run").touch()
    integrity.tidy(said)
    assert [path.name for path in integrity.RUNS.glob("*/*")] == ["full"]


def test_a_stage_that_outlived_its_snakemake_is_waited_for(folder):
    told: list[str] = []
    command = [sys.executable, "-c", "import time; time.sleep(1.5)", "--wait-for-lock"]
    started = time.monotonic()
    with subprocess.Popen(command) as orphan:
        time.sleep(0.2)
        integrity.wait_for_orphans(told.append, poll=0.1)
        # who started it, here, is no Snakemake, and has to fetch its status before it is gone
        assert orphan.poll() == 0 or time.monotonic() - started >= 1.5
    assert told == [f"waiting for a stage of an earlier run that was killed: process {orphan.pid}"]


def test_what_a_clock_that_was_ahead_has_dated_is_dated_now(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("data/split.tsv", "models/base/weights"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("whole")
    ahead = time.time() + 86_400
    for name in ("data/split.tsv", "models/base"):
        os.utime(name, (ahead, ahead))
    integrity.make_past(["data/split.tsv", "models/base", "figures"])
    assert all(Path(name).stat().st_mtime <= time.time() for name in ("data/split.tsv", "models/base"))
    before = Path("data/split.tsv").stat().st_mtime
    integrity.make_past(["data/split.tsv"])
    assert Path("data/split.tsv").stat().st_mtime == before
