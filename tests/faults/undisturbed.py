"""The pipeline in miniature, run once undisturbed: what every trial starts from and is held against."""

import compileall
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import miniature

ROOT = Path(__file__).resolve().parents[2]
HOOKS = Path(__file__).resolve().parent / "hooks"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
TIMESTAMP = ".snakemake_timestamp"  # Snakemake's mark in folders, no part of a result


@cache
def as_user() -> tuple[str, ...] | None:
    """What a command begins with, so that permissions stop it, root or not. None: root, and nothing does."""
    if os.getuid() != 0:
        return ()
    prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", "--")
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).chmod(0o000)
        if shutil.which("setpriv") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
            read = subprocess.run([*prefix, "cat", file.name], capture_output=True)
            return prefix if read.returncode != 0 else None
    return None


def environment(folder: Path, home: Path) -> dict[str, str]:
    """Of all commands in a trial: one thread, a home and a DVC state of its own."""
    dropped = ("OMP_", "GIT_", "DVC_", "WAVETAG_", "PYTHON", "SNAKEMAKE", "XDG_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    names = {f"GIT_{role}_{what}": "wavetag" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {
        **kept,
        **names,
        "HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{folder / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
        "DVC_SITE_CACHE_DIR": str(folder / ".dvc/tmp/site"),
        "GIT_CONFIG_COUNT": "1",  # the folder may be another user's
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }


def shrink(params: dict[str, Any], clips: int) -> None:
    """Settings with which every stage takes a second or a few."""
    params["dataset"]["clips"] = clips
    params["evaluate"]["resamples"] = 100
    params["prepare"] |= {"sample_rates": [12000], "clip_seconds": 5.825, "windows": 2}
    params["defaults"] |= {"epochs": 2, "seeds": [0, 1], "frontend": "linear", "batch_norm": True}
    params["experiments"] = {"base": dict(params["defaults"])}
    params["tables"] = {"table1": ["base"], "table2": ["base"]}
    params["questions"] = []


def clone(folder: Path, clips: int, small: bool) -> None:
    """The working tree as a fresh clone with miniature settings would have it, committed, with one suite.

    A small one goes as far as the scores and the taggers, and has no suites.
    """
    miniature.clone(folder, () if small else ("flat",), ["tests/"])
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    shrink(params, clips)
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    if small:
        keep_first_part(folder)
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    commit(folder, "miniature")


def keep_first_part(folder: Path) -> None:
    """Take the rules of results.smk, and their stages, out of the pipeline."""
    rules = (folder / "workflow/rules/results.smk").read_text()
    pipeline = yaml.safe_load((folder / "dvc.yaml").read_text())
    for name in re.findall(r"^rule (\w+):", rules, re.MULTILINE):
        pipeline["stages"].pop(name, None)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    lines = (folder / "Snakefile").read_text().splitlines(keepends=True)
    kept = [line for line in lines if "results.smk" not in line and line.strip() != "RESULTS,"]
    assert len(lines) - len(kept) == 2, "the Snakefile includes results.smk and asks for RESULTS"
    (folder / "Snakefile").write_text("".join(kept))


def commit(folder: Path, message: str) -> None:
    """Everything that git does not ignore."""
    told = environment(folder, folder)
    if not (folder / ".git").exists():
        subprocess.run(["git", "init", "-q"], cwd=folder, env=told, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, env=told, check=True)
    subprocess.run(["git", "commit", "-qm", message], cwd=folder, env=told, check=True)


def make(*goals: str) -> list[str]:
    """`make` in a trial, with the environment that is there."""
    return ["make", "-s", "-o", ".venv/.installed", "CORES=2", *goals]


def files_in(path: Path) -> Iterator[Path]:
    """A file, or all files of a folder, in order."""
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file() and file.name != TIMESTAMP)
    elif path.is_file():
        yield path


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def dvc_md5(path: Path) -> str:
    """The sum that DVC gives a file or a folder."""
    if not path.is_dir():
        return md5(path.read_bytes())
    entries = [{"md5": md5(file.read_bytes()), "relpath": file.relative_to(path).as_posix()} for file in files_in(path)]
    return md5(json.dumps(sorted(entries, key=lambda entry: entry["relpath"])).encode()) + ".dir"


def read_lock(folder: Path) -> dict[str, Any]:
    return yaml.load((folder / "dvc.lock").read_text(), LOADER)


def write_lock(folder: Path, lock: dict[str, Any]) -> None:
    (folder / "dvc.lock").write_text(yaml.dump(lock, Dumper=DUMPER, sort_keys=False, width=100_000))


class Miniature:
    """A finished run, and what is known of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder.parent / "home"
        self.marks = folder.parent / "marks"

    def build(self, clips: int, small: bool = False) -> None:
        """Make it, if it is not there. Raises ``RuntimeError`` if the undisturbed run does not end well."""
        if (self.folder.parent / "whole").exists():
            return
        for path in (self.folder, self.home, self.marks):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        clone(self.folder, clips, small)
        fault = {"folder": str(self.folder), "mark": str(self.marks), "role": "stage", "count": True}
        told = environment(self.folder, self.home) | {"WAVETAG_FAULT": json.dumps(fault), "PYTHONPATH": str(HOOKS)}
        finished = subprocess.run(make("all"), cwd=self.folder, env=told, text=True, capture_output=True)
        if finished.returncode != 0:
            raise RuntimeError(f"the undisturbed run failed:\n{finished.stdout[-4000:]}\n{finished.stderr[-4000:]}")
        commit(self.folder, "results")
        age(self.folder, 30 * 86_400)  # so that there is room for clocks that were behind
        compileall.compile_dir(self.folder / "src", quiet=1)
        (self.folder.parent / "whole").touch()

    @cached_property
    def lock(self) -> dict[str, Any]:
        return read_lock(self.folder)

    @cached_property
    def stages(self) -> list[str]:
        """In the order in which they can run."""
        names = list(self.lock["stages"])
        ordered: list[str] = []
        while len(ordered) < len(names):
            ordered += [
                name
                for name in names
                if name not in ordered and all(other in ordered or other == name for other in self.before(name))
            ]
        return ordered

    def outs(self, stage: str) -> list[str]:
        return [out["path"] for out in self.lock["stages"][stage]["outs"]]

    def deps(self, stage: str) -> list[str]:
        return [dep["path"] for dep in self.lock["stages"][stage]["deps"]]

    def before(self, stage: str) -> list[str]:
        """The stages that make what it reads."""
        made = [(other, out) for other in self.lock["stages"] if other != stage for out in self.outs(other)]
        return sorted({other for other, out in made for dep in self.deps(stage) if overlap(out, dep)})

    def data_deps(self, stage: str) -> list[str]:
        """What a stage reads that another has made."""
        made = [out for other in self.lock["stages"] for out in self.outs(other)]
        return [dep for dep in self.deps(stage) if any(overlap(dep, out) for out in made)]

    def with_descendants(self, stage: str) -> list[str]:
        found = {stage}
        for other in self.stages:
            if found & set(self.before(other)):
                found.add(other)
        return [name for name in self.stages if name in found]

    @cached_property
    def moments(self) -> dict[str, int]:
        """Stage -> how many moments the hook counted in its longest process."""
        counts: dict[str, int] = defaultdict(int)
        for path in self.marks.glob("moments.*"):
            first, *lines = path.read_text().splitlines()
            counts[first] = max(counts[first], len(lines))
        return counts

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Stage -> how long it took."""
        found = {}
        for path in self.marks.glob("took.*"):
            stage, seconds = path.read_text().rsplit(" ", 1)
            found[stage] = max(found.get(stage, 0.0), float(seconds))
        return found

    @cached_property
    def results(self) -> dict[str, str]:
        """Path of every file that a stage makes -> its SHA-256 sum."""
        return results(self.folder, self.lock)


def results(folder: Path, lock: dict[str, Any]) -> dict[str, str]:
    """The same of another folder."""
    outs = [out["path"] for stage in lock["stages"].values() for out in stage["outs"]]
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for out in outs
        for file in files_in(folder / out)
    }


def record(lock: dict[str, Any]) -> dict[str, Any]:
    """What dvc.lock says that was made from what."""
    return {
        (name, of, entry["path"]): entry["md5"]
        for name, stage in lock["stages"].items()
        for of in ("deps", "outs")
        for entry in stage.get(of, ())
    }


def overlap(one: str, other: str) -> bool:
    """Whether one path is the other, or in it."""
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def remove_objects(folder: Path, sums: Iterable[str]) -> None:
    """Take sums, and what the folders among them hold, out of DVC's cache."""
    for name in sums:
        path = folder / ".dvc/cache/files/md5" / name[:2] / name[2:]
        if not path.is_file():
            continue
        if name.endswith(".dir"):
            remove_objects(folder, [entry["md5"] for entry in json.loads(path.read_text())])
        path.unlink()


def forget_runs(folder: Path, command: str) -> None:
    """Take the runs of a command out of DVC's run cache."""
    for path in list((folder / ".dvc/cache/runs").rglob("*")):
        if path.is_file() and yaml.load(path.read_text(), LOADER).get("cmd") == command:
            path.unlink()
            path.parent.rmdir()


def age(folder: Path, seconds: float) -> None:
    """Let everything have been written so much earlier."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            status = path.stat()
            os.utime(path, (status.st_atime - seconds, status.st_mtime - seconds))


def undo(folder: Path, stage: str) -> None:
    """Let a stage be one that has not run: no outs, no record, nothing in DVC's cache."""
    lock = read_lock(folder)
    entry = lock["stages"].pop(stage)
    for out in entry["outs"]:
        path = folder / out["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    remove_objects(folder, [out["md5"] for out in entry["outs"]])
    forget_runs(folder, entry["cmd"])
    snapshot(folder, stage).unlink(missing_ok=True)
    write_lock(folder, lock)


def snapshot(folder: Path, stage: str) -> Path:
    """The file by which Snakemake sees that a stage's settings have changed."""
    return folder / ".params" / f"{stage.replace('@', '_')}.json"


def make_stale(folder: Path, miniature: Miniature, stage: str, long_ago: float) -> None:
    """Let a stage and all that follow from it be what a run of other data left: other bytes, of which dvc.lock knows.

    So that anything taken from before shows: no byte of it is what an undisturbed run gives.
    """
    lock = read_lock(folder)
    names = miniature.with_descendants(stage)
    remove_objects(folder, [out["md5"] for out in lock["stages"][stage]["outs"]])
    forget_runs(folder, lock["stages"][stage]["cmd"])
    stale: dict[str, str] = {}
    for name in names:
        for out in lock["stages"][name]["outs"]:
            path = folder / out["path"]
            for file in files_in(path):
                content = file.read_bytes()
                file.write_bytes(bytes(255 - byte for byte in content[:4096]) + content[4096:] or b"?")
                os.utime(file, (long_ago, long_ago))
            for mark in (path, *(path.rglob(TIMESTAMP) if path.is_dir() else ())):
                os.utime(mark, (long_ago, long_ago))
            out["md5"] = stale[out["path"]] = dvc_md5(path)
    for name in names:
        for dep in lock["stages"][name]["deps"]:
            if dep["path"] in stale:
                dep["md5"] = stale[dep["path"]]
            elif any(overlap(dep["path"], path) for path in stale):
                dep["md5"] = dvc_md5(folder / dep["path"])
    for dep in lock["stages"][stage]["deps"]:  # of data that has changed since
        if dep["path"] in miniature.data_deps(stage) or stage == miniature.stages[0]:
            dep["md5"] = md5(b"of other data") + (".dir" if dep["md5"].endswith(".dir") else "")
    snapshot(folder, stage).unlink(missing_ok=True)
    write_lock(folder, lock)
