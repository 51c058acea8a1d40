"""Whether what stages wrote is still what they wrote: files held against the sums in dvc.lock, and what a kill left.

Snakemake goes by the times of files alone. A file that was damaged after its stage, one that a wrong clock dated, one
that another commit's dvc.lock knows nothing of is none of its concern; DVC, which would see it, it calls only for what
looks out of date. So before Snakemake plans, and when it is done, all that DVC would make again is made to look old.

A file's sum is taken once and kept with the file's size, times and inode: it is read again when one of these changes.
"""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pathspec
import psutil
import yaml

from wavetag import files, sources

STATE = Path(".params")  # where settings' snapshots are, too
SUMS = STATE / "sums.json"
OBJECTS = Path(".dvc/cache/files/md5")
OBJECT = re.compile(r"[0-9a-f]{30}(\.dir)?")
SUM = re.compile(r"[0-9a-f]{32}(\.dir)?")
RUNS = Path(".dvc/cache/runs")
RUNNING = Path(".dvc/tmp/rwlock")  # which commands of DVC are under way
REPOSITORY = Path(".dvc/tmp/lock")  # DVC's own lock, held but for while a command runs
PATIENCE = 60.0  # seconds for another DVC to let go of a lock
METADATA = Path(".snakemake/metadata")
TIMESTAMP = ".snakemake_timestamp"
LONG_AGO = 1.0  # seconds since 1970: older than anything that a stage reads
FOLDER = ".dir"  # how DVC's sums of folders end
NAMED = 5  # damaged files that are told of one by one
Told = Callable[[str], None]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class IntegrityError(Exception):
    """A file of the pipeline's own is damaged and cannot be made again; the message names it."""


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# -- sums --------------------------------------------------------------------------------------------------------------


class Sums:
    """MD5 sums of files and folders as DVC takes them, each file read once as long as it does not change."""

    def __init__(self, path: Path = SUMS) -> None:
        self.path = path
        self.known: dict[str, list[Any]] = {}
        self.fresh: dict[str, list[Any]] = {}
        self.ignored = _ignored()
        with suppress(FileNotFoundError, ValueError):  # damaged: all is read again
            kept = json.loads(path.read_bytes())
            if isinstance(kept, dict):
                self.known = kept

    def of(self, path: str | Path) -> str | None:
        """The sum of a file or folder; None where there is none."""
        path = Path(path)
        if not path.is_dir():
            return self._of_file(str(path)) if path.is_file() else None
        entries = [
            {"md5": self._of_entry(file), "relpath": file.relative_to(path).as_posix()} for file in self.files(path)
        ]
        entries.sort(key=lambda entry: entry["relpath"])
        return _md5(json.dumps(entries).encode()) + FOLDER

    def files(self, path: Path) -> Iterator[Path]:
        """A file, or those of a folder that DVC counts."""
        if not path.is_dir():
            yield path
            return
        for folder, _, names in os.walk(path, followlinks=True):
            for name in names:
                file = Path(folder, name)
                if not self.ignored.match_file(file):
                    yield file

    def read(self, paths: Iterable[str | Path]) -> None:
        """Take the sums of many files; those that are to be read, side by side."""
        wanted = [str(file) for path in paths for file in self.files(Path(path)) if file.is_file()]
        unread = [path for path in wanted if self._known(path, _state(path)) is None]
        with ThreadPoolExecutor(min(4, len(os.sched_getaffinity(0)))) as pool:
            list(pool.map(self._of_file, unread))

    def _of_entry(self, file: Path) -> str:
        """The sum of a file of a folder; of a link that leads nowhere, or a file just removed, what no sum is."""
        try:
            return self._of_file(str(file))
        except FileNotFoundError:
            return ""

    def _of_file(self, path: str) -> str:
        state = _state(path)
        digest = self._known(path, state)
        if digest is None:
            with Path(path).open("rb") as file:
                digest = hashlib.file_digest(file, _new_md5).hexdigest()
        self.fresh[path] = [*state, digest]
        return digest

    def _known(self, path: str, state: list[int]) -> str | None:
        entry = self.fresh.get(path) or self.known.get(path)
        return entry[4] if isinstance(entry, list) and len(entry) == 5 and entry[:4] == state else None

    def forget(self, path: str | Path) -> None:
        """No file of this name any more."""
        self.fresh.pop(str(path), None)
        self.known.pop(str(path), None)

    def save(self) -> None:
        """Keep them for the next time: of what was asked for now."""
        if self.fresh != self.known:
            files.write_text(self.path, json.dumps(self.fresh))


def _state(path: str) -> list[int]:
    status = Path(path).stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _new_md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _ignored() -> pathspec.PathSpec:
    lines = Path(".dvcignore").read_text(encoding="utf-8").splitlines() if Path(".dvcignore").is_file() else []
    return pathspec.PathSpec.from_lines("gitignore", [*lines, TIMESTAMP])


# -- what dvc.lock says ------------------------------------------------------------------------------------------------


def read_record(root: str, told: Told = _tell) -> dict[str, Any]:
    """The stages of a root's dvc.lock: name -> cmd, deps, outs. Nothing where there is no such file.

    A copy is kept of what was whole. DVC writes the file in place: one that it was killed over, or that a full disk cut
    short, is put back as it was when last seen; one that a DVC is just writing is waited for.

    Raises:
        IntegrityError: the file is damaged, and there is no copy; or a merge left its marks in it.
    """
    path, copy = Path(f"{root}dvc.lock"), STATE / f"{root}dvc.lock.json"
    try:
        kept = json.loads(copy.read_bytes())
        if _md5(kept["text"].encode()) != kept["sum"]:
            kept = None
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        kept = None
    if not path.is_file():
        return {}
    content = path.read_bytes()
    if kept and kept["sum"] == _md5(content):
        return kept["stages"]
    try:
        stages = _parsed(content)
    except _NotARecord:
        with held(REPOSITORY):  # by whichever DVC writes it: it may be whole by now
            content = path.read_bytes()
            try:
                stages = _parsed(content)
            except _NotARecord as error:
                if re.search(rb"^(<<<<<<<|>>>>>>>) ", content, re.MULTILINE):
                    raise IntegrityError(
                        f"{path}: a merge left its marks (<<<<<<<) in it: take one side, as by `git checkout --ours"
                        f" {path}`: what does not fit it is then made again"
                    ) from error
                if not kept:
                    raise IntegrityError(
                        f"{path}: damaged ({' '.join(str(error).split())[:100]}): put back a whole one, as by `git"
                        f" checkout {path}`, or remove it: what DVC's cache does not hold is then made again"
                    ) from error
                told(f"{path} was damaged: it is again as it was when last whole; what was made since is made again")
                files.write_text(path, kept["text"])
                return kept["stages"]
    files.write_text(copy, json.dumps({"sum": _md5(content), "text": content.decode(), "stages": stages}))
    return stages


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold one of DVC's own locks, as DVC does by its settings (``core.hardlink_lock``).

    Raises:
        IntegrityError: another process has held it for a minute.
    """
    from dvc.config import Config
    from dvc.lock import LockError, make_lock

    lock.parent.mkdir(parents=True, exist_ok=True)
    links = Config.from_cwd(validate=False).get("core", {}).get("hardlink_lock", False)
    guard = make_lock(str(lock), tmp_dir=str(lock.parent), hardlink_lock=links)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            guard.lock()
            break
        except LockError as error:
            if time.monotonic() > deadline:
                raise IntegrityError(f"{lock}: a DVC at work has held it for {PATIENCE:.0f} s: try again") from error
    try:
        yield
    finally:
        guard.unlock()


def _parsed(content: bytes) -> dict[str, Any]:
    """The stages of a dvc.lock. Raises ``_NotARecord``."""
    try:
        return _stages(yaml.load(content.decode(), Loader=_Loader))  # noqa: S506 (it is a SafeLoader)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise _NotARecord(str(error)) from error


class _NotARecord(ValueError):
    """YAML, but not what DVC writes."""


def _stages(content: Any) -> dict[str, Any]:
    stages = content.get("stages", {}) if isinstance(content, dict) else None
    if not isinstance(stages, dict) or content.get("schema") != "2.0":
        raise _NotARecord("not as DVC writes it")
    for name, stage in stages.items():
        if not isinstance(name, str) or not isinstance(stage, dict):
            raise _NotARecord(f"{name} is no stage")
        for entry in [*(stage.get("deps") or ()), *(stage.get("outs") or ())]:
            known = isinstance(entry, dict) and isinstance(entry.get("path"), str)
            if not (known and SUM.fullmatch(str(entry.get("md5")))):
                raise _NotARecord(f"a file of {name} has no path or no sum")
    return {name: {of: _sums(stage.get(of)) for of in ("deps", "outs")} for name, stage in stages.items()}


def _sums(entries: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {entry["path"]: entry["md5"] for entry in entries or ()}


# -- the check ---------------------------------------------------------------------------------------------------------


@dataclass
class Found:
    """What a check found, and made to look old."""

    damaged: dict[str, str] = field(default_factory=dict)  # file or folder -> the stage that wrote other content
    objects: list[str] = field(default_factory=list)  # damaged ones of DVC's cache, removed
    old: list[str] = field(default_factory=list)  # stages that DVC will look at again

    @property
    def lines(self) -> list[str]:
        """One for each damaged file, or a few and how many more."""
        told = [f"{path}: not what its stage, {stage}, wrote (by dvc.lock)" for path, stage in self.damaged.items()]
        told += [f"{path}: damaged in DVC's cache, and removed" for path in self.objects]
        return told if len(told) <= NAMED + 1 else [*told[:NAMED], f"… and {len(told) - NAMED} more"]


def check(outs: Mapping[str, Mapping[str, Sequence[str]]], told: Told = _tell, read_all: bool = False) -> Found:
    """Hold what is on disk against dvc.lock, and let Snakemake see as old what is not what it was, or unknown.

    Args:
        outs: root ("" or a suite's folder with a slash) -> stage as dvc.lock names it -> paths that it writes.
        told: called with a line for what is worth saying.
        read_all: read files that look as when they were last read, too.

    Raises:
        IntegrityError: a dvc.lock is damaged beyond repair.
    """
    found, sums = Found(), Sums()
    if read_all:
        sums.known = {}
    records = {root: read_record(root, told) for root in outs}
    written = {out: name for root in outs for name, paths in outs[root].items() for out in paths}
    objects = [path for path in OBJECTS.glob("*/*") if OBJECT.fullmatch(path.name)]
    present = {path for path in written if Path(path).exists()}
    # what else jobs depend on: snapshots of settings, code
    make_past([*present, *map(str, STATE.rglob("*")), *map(str, sources.CODE.rglob("*"))])
    sums.read([*objects, *present])
    for path in objects:
        if sums.of(path) != (path.parent.name + path.name).removesuffix(FOLDER):
            path.unlink()
            sums.forget(path)
            found.objects.append(str(path))
    current = {path: sums.of(path) for path in present}
    above = {str(folder) for path in present for folder in Path(path).parents}
    also: dict[str, str | None] = {}  # what stages read that is in, or holds, what others write

    def now(dep: str) -> str | None:
        """The sum of what a stage read, if stages wrote it; of anything else DVC or Snakemake will see to."""
        if dep in current:
            return current[dep]
        if dep not in also:
            written_by_stages = dep in above or any(str(folder) in current for folder in Path(dep).parents)
            also[dep] = sums.of(dep) if written_by_stages else None
        return also[dep]

    for root, stages in outs.items():
        for name, paths in stages.items():
            here = [path for path in paths if path in present]
            if not here:
                continue
            recorded = records[root].get(name, {"deps": {}, "outs": {}})
            others = [path for path in here if current[path] != recorded["outs"].get(path)]
            found.damaged |= {path: name for path in others if path in recorded["outs"]}
            if others or any(now(dep) not in (None, known) for dep, known in recorded["deps"].items()):
                found.old.append(name)
                make_old(here)
    sums.save()
    return found


def make_past(paths: Iterable[str]) -> None:
    """Date what is dated in the future now: whatever is made from it, Snakemake would take it for older, and stop."""
    moment = time.time()
    for path in paths:
        for carrier in (Path(path), Path(path) / TIMESTAMP):
            if carrier.exists() and carrier.stat().st_mtime > moment:
                os.utime(carrier, (moment, moment))


def make_old(paths: Iterable[str]) -> None:
    """Let Snakemake take files and folders that are there for older than all that they depend on."""
    for path in paths:
        for carrier in (Path(path), Path(path) / TIMESTAMP):
            if carrier.exists() and carrier.stat().st_mtime != LONG_AGO:
                os.utime(carrier, (LONG_AGO, LONG_AGO))


# -- what a kill left --------------------------------------------------------------------------------------------------


def tidy(told: Told = _tell) -> None:
    """See to what killed processes leave behind and DVC stumbles over."""
    wait_for_orphans(told)
    remove_torn_list()
    remove_torn_records()
    for folder in RUNS.glob("*/*"):  # DVC makes the folder first, and ends with an error if it finds it empty
        with suppress(OSError):
            folder.rmdir()


def remove_torn_records() -> None:
    """Remove what Snakemake noted of a job if it is no longer text: it would end with an error that names no file."""
    for path in METADATA.rglob("*"):
        if path.is_file():
            try:
                json.loads(path.read_bytes())
            except ValueError:
                path.unlink()


def wait_for_orphans(told: Told = _tell, poll: float = 0.5) -> None:
    """Wait for stages that go on though the Snakemake that started them was killed: they hold what they write."""
    said: set[int] = set()
    while orphans := list(_orphans()):
        for process in orphans:
            if process.pid not in said:
                said.add(process.pid)
                told(f"waiting for a stage of an earlier run that was killed: process {process.pid}")
        time.sleep(poll)


def _orphans() -> Iterator[psutil.Process]:
    here = Path.cwd()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            words = process.cmdline()
            if "--wait-for-lock" not in words or Path(process.cwd()) != here:
                continue
            if not any("snakemake" in word for parent in process.parents() for word in parent.cmdline()):
                yield process


def remove_torn_list() -> None:
    """Remove DVC's list of running commands if it is cut short: DVC would refuse to do anything."""
    if _list_is_whole():
        return
    with suppress(IntegrityError), held(RUNNING.with_name("rwlock.lock")):  # a DVC that holds it is at work on the list
        if not _list_is_whole():
            RUNNING.unlink()


def _list_is_whole() -> bool:
    try:
        return isinstance(json.loads(RUNNING.read_bytes()), dict)
    except FileNotFoundError:
        return True
    except ValueError:
        return False
