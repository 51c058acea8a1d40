"""Faults, one at a time, in a miniature of the pipeline; after each an ordinary rerun, and what it came to.

    python tests/faults/harness.py --trials 300 --seed 1 --log trials.jsonl

Each trial begins in a copy of a finished run in which one stage is to run again. It is started as a user would start
it, the fault comes at a drawn moment, and then `make all` or `dvc repro` is run once. That has to come to the very
files of the undisturbed run, or to stop and name the bad file; once that is put right, the next run has to come to
them. Whatever a killed stage left under its final name has to be whole. The dataset and the arrays, which `make all`
makes only where something that runs reads them, have to come from `dvc repro` then.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))
import undisturbed as of_miniature
from undisturbed import HOOKS, Miniature

KINDS = ("kill_stage", "kill_dvc", "kill_snakemake", "disk_full", "truncate", "flip", "permissions", "clock")
WHERE = ("input", "output", "unfinished", "record", "cache")  # of a damaged file
ENDINGS = (
    "recovered", "refused", "silent damage", "half-written", "not named", "stuck", "hung", "not injected", "skipped",
)  # fmt: skip
RECORDS = ("dvc.lock", ".params", ".dvc/tmp/rwlock", ".dvc/cache/runs", ".snakemake/metadata")
KILLS = ("kill_stage", "kill_dvc", "kill_snakemake", "disk_full")  # what may cut writing short
GOOD = ("recovered", "refused", "not injected", "skipped")
ATTEMPTS = 6  # a process may be gone before the moment comes: then it is drawn anew
DAY = 86_400
MOUNT = 256  # MiB of the disk that is filled
UNTIL_ROOM = 120  # seconds until somebody sees that the disk is full
NOT_ASKED_FOR = re.compile(r"data/raw/\w+|data/prepared/\d+/clips\.npy")  # by `make all`, if nothing that runs reads it
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


@dataclass
class Trial:
    """What is done, drawn from the seed; and what came of it."""

    number: int
    kind: str
    stage: str
    seed: str
    at: dict[str, Any] = field(default_factory=dict)  # the moment, if it is not to be drawn
    before: str = ""  # the stage had not run, or on other data
    first: str = ""  # command that the fault meets
    again: str = ""  # command of the rerun
    moment: str = ""  # as drawn
    fault: str = ""  # what was done, and to what
    hit: str = ""  # where the process was
    ending: str = ""
    statuses: list[int] = field(default_factory=list)
    detail: str = ""
    attempts: int = 1
    seconds: float = 0.0


class Run:
    """One trial under way."""

    def __init__(
        self, trial: Trial, whole: Miniature, place: Path, limit: float, more: Mapping[str, str] | None = None
    ) -> None:
        self.trial, self.whole, self.limit = trial, whole, limit
        self.place, self.folder, self.mark = place, place / "wave tag", place / "mark"
        self.draw = random.Random(trial.seed)
        self.bad: list[str] = []  # files that a refusal may name
        self.repair: list[Callable[[], None]] = []
        self.more = dict(more or {})  # environment
        self.earlier: dict[str, dict[str, str]] = {}
        self.revoked: list[tuple[Path, int]] = []  # and the mode that was theirs
        self.mounted = False
        self.process: subprocess.Popen | None = None
        self.began = 0.0

    # -- the three parts of a trial ------------------------------------------------------------------------------------

    def __call__(self) -> Trial:
        trial, started = self.trial, time.monotonic()
        try:
            self.prepare()
            getattr(self, trial.kind)()
            if trial.kind in KILLS and not any(self.mine()) and (half := self.half_written()):
                trial.ending, trial.detail = "half-written", "; ".join(half)
            if not trial.ending:
                self.rerun()
        except Hung as error:
            trial.ending, trial.detail = "hung", str(error)
        except Skipped as error:
            trial.ending, trial.detail = "skipped", str(error)
        finally:
            self.end_processes()
            for path, mode in self.revoked:
                if path.exists():
                    path.chmod(mode)
            self.clear()
            trial.seconds = round(time.monotonic() - started, 1)
        return trial

    def prepare(self) -> None:
        """The copy, with the stage to be run again."""
        trial = self.trial
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        self.mark.mkdir()
        if trial.kind == "disk_full":
            self.mount()
        shutil.copytree(self.whole.folder, self.folder, symlinks=True, dirs_exist_ok=True)
        self.undo()
        choices = ["snakemake"] if trial.kind == "kill_snakemake" else ["snakemake", "dvc"]
        trial.first, trial.again = self.draw.choice(choices), self.draw.choice(["make all", "dvc repro"])
        self.earlier = self.state_of_outs()

    def undo(self) -> None:
        """Let the stage be one that has not run, or has run on other data: then all that follows has to run, too."""
        trial = self.trial
        if trial.kind == "clock" or self.draw.random() < 0.25:
            trial.before = "on other data"
            of_miniature.make_stale(self.folder, self.whole, trial.stage, time.time() - 3600)
        else:
            trial.before = "not"
            of_miniature.undo(self.folder, trial.stage)

    def state_of_outs(self) -> dict[str, dict[str, str]]:
        """Of each file or folder that the stage writes: what is there, path -> sum."""
        found = of_miniature.results(self.folder, {"stages": {"": self.whole.lock["stages"][self.trial.stage]}})
        outs = self.whole.outs(self.trial.stage)
        return {out: {path: name for path, name in found.items() if of_miniature.overlap(path, out)} for out in outs}

    def half_written(self) -> list[str]:
        """What has its final name and is neither what was there before nor what the stage writes.

        Nor a part of what was there: DVC removes that file by file before a stage runs, and the rerun has to see it.
        """
        now, wanted = self.state_of_outs(), self.whole.results
        whole = {out: {path: name for path, name in wanted.items() if of_miniature.overlap(path, out)} for out in now}
        return [
            out for out, state in now.items() if state != whole[out] and not state.items() <= self.earlier[out].items()
        ]

    def rerun(self) -> None:
        """The ordinary rerun, and what it came to."""
        trial = self.trial
        status, told = self.run(self.command(trial.again))
        trial.statuses.append(status)
        if status == 0:
            wrong, lacking = self.unlike(), self.not_asked_for() if trial.again == "make all" else []
            if wrong and lacking and not self.unlike(lacking):
                trial.detail = f"but for {', '.join(lacking)}, which was left to dvc repro; "
                status, told = self.run(self.command("dvc repro"))
                trial.statuses.append(status)
                wrong = [*self.unlike(), *([f"dvc repro: status {status}"] if status else [])]
            trial.ending = "silent damage" if wrong else "recovered"
            trial.detail += "; ".join(wrong[:6])
            if wrong:
                self.keep(told)
            return
        errors = "\n".join(line for line in told.splitlines() if not line.startswith("Updating lock file"))
        errors = errors.replace(f"{self.folder}/", "")
        named = [path for path in self.bad if says(errors, path)]
        if not named and "is being blocked by" in told:  # DVC: with the file, and the process that is at it
            named = ["a process of the killed run that was still at it"]
            self.repair.append(self.wait_for_the_rest)
        trial.ending = "refused" if named else "not named"
        self.keep(told)
        if not named:
            return
        trial.detail = f"named {named[0]}"
        while self.repair:
            self.repair.pop()()
        status, told = self.run(self.command(trial.again))
        trial.statuses.append(status)
        if status != 0 or (wrong := self.unlike()):
            self.keep(told)
            trial.ending, trial.detail = "stuck", f"{trial.detail}; put right: status {status}; {'; '.join(wrong[:6])}"

    def not_asked_for(self) -> list[str]:
        """What `make all` asks for only where something that runs reads it, and nothing of which is there."""
        outs = [out for stage in self.whole.stages for out in self.whole.outs(stage)]
        return [
            out for out in outs if NOT_ASKED_FOR.fullmatch(out) and not any(of_miniature.files_in(self.folder / out))
        ]

    def unlike(self, but: Sequence[str] = ()) -> list[str]:
        """What is not as the undisturbed run left it: files of all stages, and what dvc.lock says of them.

        Args:
            but: outs that do not count, nor what dvc.lock says of a stage that has no others.
        """
        found, wanted = of_miniature.results(self.folder, self.whole.lock), self.whole.results
        wanted = {
            path: name for path, name in wanted.items() if not any(of_miniature.overlap(path, out) for out in but)
        }
        wrong = [f"{path} is missing" for path in sorted(wanted.keys() - found.keys())]
        wrong += [f"{path} is too much" for path in sorted(found.keys() - wanted.keys())]
        wrong += [f"{path} differs" for path in sorted(wanted.keys() & found.keys()) if wanted[path] != found[path]]
        try:
            lock = of_miniature.record(of_miniature.read_lock(self.folder))
        except Exception as error:
            return [*wrong, f"dvc.lock: {type(error).__name__}"]
        counting = {stage for stage in self.whole.stages if not set(self.whole.outs(stage)) <= set(but)}
        known = {key: name for key, name in of_miniature.record(self.whole.lock).items() if key[0] in counting}
        wrong += [f"dvc.lock: {' '.join(key)}" for key in sorted(known) if lock.get(key) != known[key]]
        return wrong

    # -- commands ------------------------------------------------------------------------------------------------------

    def command(self, name: str) -> list[str]:
        if name == "make all":
            return of_miniature.make("all")
        if name == "dvc repro":
            return ["dvc", "repro"]
        if name == "dvc":
            return ["dvc", "repro", "-s", self.trial.stage]
        return ["snakemake", "--cores", "2", "--", self.whole.outs(self.trial.stage)[0]]

    def environment(self, **more: str) -> dict[str, str]:
        mark = {"WAVETAG_TRIAL": str(self.place)}
        return of_miniature.environment(self.folder, self.whole.home) | mark | self.more | more

    def start(self, command: Sequence[str], **more: str) -> None:
        more = {"PYTHONPATH": str(HOOKS), **more} if self.more else more
        self.began = time.time()
        log = (self.place / f"log.{len(self.trial.statuses)}").open("w")
        self.process = subprocess.Popen(
            [*(of_miniature.as_user() or ()), *command],
            cwd=self.folder,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def wait(self) -> tuple[int, str]:
        """Status of the command that was started, once it has ended, and what it told."""
        try:
            status = self.process.wait(self.limit)
        except subprocess.TimeoutExpired:
            raise Hung(f"{' '.join(self.process.args)}: not done after {self.limit:.0f} s") from None
        return status, (self.place / f"log.{len(self.trial.statuses)}").read_text(errors="replace")

    def run(self, command: Sequence[str], **more: str) -> tuple[int, str]:
        self.start(command, **more)
        return self.wait()

    def mine(self) -> Iterator[psutil.Process]:
        """The processes that this trial started and that are left."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("WAVETAG_TRIAL") == str(self.place):
                    yield process

    def wait_for_the_rest(self) -> None:
        deadline = time.monotonic() + self.limit
        while any(self.mine()):
            if time.monotonic() > deadline:
                raise Hung("a process of the killed run did not end")
            time.sleep(0.2)

    def end_processes(self) -> None:
        for process in self.mine():
            with suppress(psutil.Error):
                process.kill()
        if self.process is not None:
            self.process.wait()

    # -- moments -------------------------------------------------------------------------------------------------------

    def until(self, role: str) -> int | None:
        """Start the first command and let it run to a drawn moment of one of its processes.

        Returns:
            The process, which may wait for what comes now; None if it ended before.
        """
        trial, draw = self.trial, self.draw
        fault: dict[str, Any] = {"folder": str(self.folder), "mark": str(self.mark), "role": role, **trial.at}
        seconds = self.whole.seconds.get(trial.stage, 2.0)
        if role == "stage":
            fault["stage"] = trial.stage
        if trial.at:
            trial.moment = f"{role}: {trial.at}"
        elif draw.random() < 0.5 and (role != "stage" or trial.stage in self.whole.moments):
            most = self.whole.moments[trial.stage] if role == "stage" else {"dvc": 60, "snakemake": 40}[role]
            fault["event"] = draw.randint(1, max(1, most))
            fault["delay"] = draw.choice([0.0, draw.uniform(0.0, 0.05)])
            trial.moment = f"{role}: file event {fault['event']} + {fault['delay'] * 1000:.0f} ms"
        else:
            start = {"stage": 0.0, "dvc": 1.2, "snakemake": 5.0}[role]
            fault["seconds"] = round(draw.uniform(0.1, start + 1.1 * seconds), 3)
            trial.moment = f"{role}: after {fault['seconds']:.2f} s"
        self.start(self.command(trial.first), WAVETAG_FAULT=json.dumps(fault), PYTHONPATH=str(HOOKS))
        deadline = time.monotonic() + self.limit
        reached = self.mark / "reached"
        while time.monotonic() < deadline:
            if reached.exists():
                met = json.loads(reached.read_text())
                trial.hit = f"{met['what']} ({met['number']})"
                return met["pid"]
            if self.process.poll() is not None:
                return None
            time.sleep(0.005)
        raise Hung(f"{' '.join(self.process.args)}: not done after {self.limit:.0f} s")

    def go_on(self) -> None:
        (self.mark / "done").touch()

    # -- kinds of faults -----------------------------------------------------------------------------------------------

    def may_be_torn(self) -> None:
        """A kill, or a full disk, may cut short what DVC writes in place; `dvc repro` then names it."""
        self.bad += ["dvc.lock", ".dvc/tmp/rwlock"]

        def put_right() -> None:
            self.wait_for_the_rest()
            (self.folder / ".dvc/tmp/rwlock").unlink(missing_ok=True)
            subprocess.run(["git", "checkout", "-q", "dvc.lock"], cwd=self.folder, env=self.environment(), check=True)

        self.repair.append(put_right)

    def kill(self, role: str) -> None:
        trial = self.trial
        self.may_be_torn()
        process = self.until(role)
        if process is None:
            trial.statuses.append(self.wait()[0])
            trial.ending = "not injected"
            return
        alone = self.draw.random() < 0.5
        trial.fault = f"{role} killed, {'alone' if alone else 'and all with it'}"
        if alone:
            os.kill(process, signal.SIGKILL)
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.end_processes()
        self.go_on()
        if alone and self.process.pid == process:
            time.sleep(self.draw.choice([0.0, self.draw.uniform(0.0, 3.0)]))  # what it started may go on meanwhile
            trial.statuses.append(self.process.wait())
        else:
            trial.statuses.append(self.wait()[0])

    def kill_stage(self) -> None:
        self.kill("stage")

    def kill_dvc(self) -> None:
        self.kill("dvc")

    def kill_snakemake(self) -> None:
        self.kill("snakemake")

    def disk_full(self) -> None:
        """The disk is full but for a few kilobytes from the moment on, and empty again at the rerun."""
        trial = self.trial
        self.may_be_torn()
        role = self.draw.choice(["stage", "stage", "stage", "dvc"])
        ballast = self.folder / ".ballast"
        if self.until(role) is None:
            trial.statuses.append(self.wait()[0])
            trial.ending = "not injected"
            return
        left = self.draw.choice([0, self.draw.randint(0, 400)])
        self.fill(ballast, left)
        trial.fault = f"disk full but for {left} KiB"
        self.go_on()
        try:
            self.process.wait(UNTIL_ROOM)
        except subprocess.TimeoutExpired:  # DVC tries its own notes, a database, over and over
            trial.detail = f"still there after {UNTIL_ROOM} s, and was given room"
            ballast.unlink()
        trial.statuses.append(self.wait()[0])
        ballast.unlink(missing_ok=True)

    def fill(self, ballast: Path, left: int) -> None:
        """Leave so many KiB of the disk; a process may be writing meanwhile."""
        ballast.touch()
        for _ in range(100):
            free = shutil.disk_usage(self.folder).free // 4096 - left // 4
            if free <= 0:
                return
            with suppress(OSError), ballast.open("ab") as file:
                os.posix_fallocate(file.fileno(), file.tell(), free * 4096)
                return

    def damage(self, harm: Callable[[Path], str]) -> None:
        """A file is damaged: before the stage runs, while it runs, or when it has run or was killed."""
        trial, draw = self.trial, self.draw
        where = WHERE[(trial.number // 7 + draw.randint(0, len(WHERE) - 1)) % len(WHERE)]
        if where == "input" and not self.whole.data_deps(trial.stage):
            where = "output"
        if where == "cache" and not self.files_of("cache", self.whole.folder):
            where = "output"  # what DVC does not keep
        if where == "unfinished" and trial.stage not in self.whole.moments:
            where = "output"
        if where == "input" and draw.random() < 0.5:
            process = self.until("stage")
            self.harm(harm, self.files_of("input"))
            self.go_on()
            trial.statuses.append(self.wait()[0])
            trial.hit = trial.hit if process else "after the run"
            return
        if where == "input":
            trial.moment = "before the run"
            self.harm(harm, self.files_of("input"))
            trial.statuses.append(self.run(self.command(trial.first))[0])
            return
        if where == "unfinished":
            process = self.until("stage")
            if process is not None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.end_processes()
                trial.statuses.append(self.process.wait())
                self.harm(harm, self.files_of("unfinished") or self.files_of("record"))
                return
            where = "output"
        else:
            self.start(self.command(trial.first))
        trial.moment = "after the run"
        trial.statuses.append(self.wait()[0])
        self.harm(harm, self.files_of(where))
        if where == "cache" and trial.fault:
            for out in self.whole.outs(trial.stage):
                path = self.folder / out
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            trial.again = "make all"
            trial.fault += ", outs deleted"

    def files_of(self, where: str, folder: Path | None = None) -> list[Path]:
        """The files that one of ``WHERE`` means, in the trial's folder if no other."""
        folder, whole, stage = folder or self.folder, self.whole, self.trial.stage
        if where == "input":
            paths = [folder / dep for dep in whole.data_deps(stage)]
        elif where == "output":
            paths = [folder / out for out in whole.outs(stage)]
        elif where == "unfinished":
            places = [folder / ".checkpoints", *{(folder / out).parent for out in whole.outs(stage)}]
            hidden = {path for place in places for path in place.glob(".*") if place.is_dir()}
            paths = [folder / ".checkpoints", *sorted(path for path in hidden if path.name != ".gitignore")]
        elif where == "record":
            paths = [folder / name for name in RECORDS]
        else:
            outs = of_miniature.read_lock(folder)["stages"].get(stage, {}).get("outs", ())
            sums = [name for out in outs for name in self.sums(folder, out["md5"])]
            paths = [folder / ".dvc/cache/files/md5" / name[:2] / name[2:] for name in sums]
        return [file for path in paths for file in of_miniature.files_in(path) if file.stat().st_size]

    @staticmethod
    def sums(folder: Path, name: str) -> list[str]:
        """A sum, and those of the files of a folder of that sum."""
        path = folder / ".dvc/cache/files/md5" / name[:2] / name[2:]
        if not name.endswith(".dir") or not path.is_file():
            return [name]
        return [name, *(entry["md5"] for entry in json.loads(path.read_text()))]

    def harm(self, harm: Callable[[Path], str], files: Sequence[Path]) -> None:
        """Damage one of the files, and be ready to put it right."""
        trial = self.trial
        if not files:
            trial.ending, trial.detail = "not injected", "no such file"
            return
        path = self.draw.choice(files)
        content, status = path.read_bytes(), path.stat()
        path.chmod(0o644)
        name = path.relative_to(self.folder).as_posix()
        trial.fault = f"{name}: {harm(path)}"
        path.chmod(status.st_mode & 0o777)
        self.bad.append(name)

        def repair() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        self.repair.append(repair)

    def truncate(self) -> None:
        def shorten(path: Path) -> str:
            size = path.stat().st_size
            left = self.draw.choice([0, size // 2, size - 1, self.draw.randrange(size)])
            os.truncate(path, left)
            return f"{left} of {size} bytes left"

        self.damage(shorten)

    def flip(self) -> None:
        def flip(path: Path) -> str:
            content = bytearray(path.read_bytes())
            places = sorted(self.draw.randrange(len(content)) for _ in range(self.draw.choice([1, 1, 64])))
            for place in places:
                content[place] ^= 1 << self.draw.randrange(8)
            with path.open("rb+") as file:
                file.write(content)
            return f"{len(places)} bits flipped, byte {places[0]} first"

        self.damage(flip)

    def permissions(self) -> None:
        """A file or folder may no longer be read or written: from the start on, from a moment on, or at the rerun."""
        if of_miniature.as_user() is None:
            raise Skipped("root may do everything, and setpriv cannot take that from it here")
        trial, draw, folder = self.trial, self.draw, self.folder
        when = draw.choice(["before", "during", "after"])
        outs = [folder / out for out in self.whole.outs(trial.stage)]
        places = [folder / dep for dep in self.whole.data_deps(trial.stage)]
        places.append(folder / draw.choice(self.whole.deps(trial.stage)))
        places += [*outs, *{out.parent for out in outs}]
        places += [folder / name for name in ("dvc.lock", ".params", ".dvc/tmp", ".dvc/cache", "logs", ".snakemake")]
        process = None
        if when == "during":
            process = self.until("stage")
        elif when == "after":
            trial.statuses.append(self.run(self.command(trial.first))[0])
        path = draw.choice([path for path in places if path.exists() and path != folder])
        if path.is_dir() and draw.random() < 0.5:
            path = draw.choice([path, *path.iterdir()])
        mode = path.stat().st_mode & 0o777
        revoked = draw.choice([0o000, 0o444 if not path.is_dir() else 0o555])
        path.chmod(revoked)
        name = path.relative_to(folder).as_posix()
        trial.fault = f"{name}: mode {mode:o} -> {revoked:o}"
        self.bad.append(name)
        self.revoked.append((path, mode))
        self.repair.append(lambda: path.chmod(mode) if path.exists() else None)
        if when == "before":
            trial.statuses.append(self.run(self.command(trial.first))[0])
        elif when == "during":
            self.go_on()
            trial.statuses.append(self.wait()[0])
            trial.hit = trial.hit if process else "after the run"
        trial.moment = trial.moment or when

    def clock(self) -> None:
        """The clock is wrong while the stage runs, and shows in the times of its files; or it is wrong at the rerun."""
        trial, draw = self.trial, self.draw
        jump = draw.choice([-400 * DAY, -DAY, -2 * 3600, 2 * 3600, DAY, 400 * DAY])
        wrong = {}
        if FAKETIME:
            wrong = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{jump:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        if draw.random() < 0.25:
            trial.statuses.append(self.run(self.command(trial.first))[0])
            of_miniature.age(self.folder, jump)  # the same to whoever compares times
            trial.fault = f"clock {jump / 3600:+.0f} h at the rerun"
            return
        began = time.time()
        trial.statuses.append(self.run(self.command(trial.first), **wrong)[0])
        took = time.time() - began
        for path in self.folder.rglob("*"):  # libfaketime does not reach what the kernel writes down
            if not path.is_symlink() and began <= path.stat().st_mtime <= began + took + 1:
                status = path.stat()
                os.utime(path, (status.st_atime + jump, status.st_mtime + jump))
        trial.fault = f"clock {jump / 3600:+.0f} h while the stage ran{'' if FAKETIME else ' (times of files only)'}"

    # -- the disk ------------------------------------------------------------------------------------------------------

    def mount(self) -> None:
        self.folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={MOUNT}m", "tmpfs", str(self.folder)]
        if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            raise Skipped("no tmpfs can be mounted here")
        self.mounted = True

    def clear(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)
        if self.trial.ending in GOOD:
            shutil.rmtree(self.place, ignore_errors=True)
            return
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self, told: str) -> None:
        """What the rerun told, to be looked at where the trial went wrong."""
        (self.place / "told").write_text(told)


def says(errors: str, path: str) -> bool:
    """Whether an error names a file, or says that permission was denied for one in it; not that something is in it."""
    itself, within = re.compile(rf"(?<![\w/.-]){re.escape(path)}(?![\w/-]|\.\w)"), f"{path}/"
    denied = re.compile(r"Permission denied|Errno 13|not permitted|PermissionError")
    return any(itself.search(line) or (within in line and denied.search(line)) for line in errors.splitlines())


class Hung(Exception):
    """A command did not end."""


class Skipped(Exception):
    """The fault cannot be made here."""


def plan(stages: Sequence[str], kinds: Sequence[str], trials: int, seed: int) -> list[Trial]:
    """Every kind in every stage once, in drawn order, then again."""
    draw = random.Random(seed)
    planned: list[Trial] = []
    while len(planned) < trials:
        cells = [(kind, stage) for kind in kinds for stage in stages]
        draw.shuffle(cells)
        planned += [
            Trial(len(planned) + place, kind, stage, f"{seed}/{len(planned) + place}/{kind}/{stage}")
            for place, (kind, stage) in enumerate(cells)
        ]
    return planned[:trials]


def table(done: Sequence[Trial], stages: Sequence[str]) -> str:
    """Kinds by stages: how many trials of each, and how they ended."""
    kinds = [kind for kind in KINDS if any(trial.kind == kind for trial in done)]
    counts = Counter((trial.kind, trial.stage) for trial in done if trial.fault)
    width = max(map(len, stages), default=5)
    lines = [" ".join([f"{'faults':<{width}}", *kinds])]
    for stage in stages:
        lines.append(" ".join([f"{stage:<{width}}", *(f"{counts[kind, stage]:>{len(kind)}}" for kind in kinds)]))
    endings = Counter((trial.kind, trial.ending) for trial in done)
    for ending in ENDINGS:
        lines.append(" ".join([f"{ending:<{width}}", *(f"{endings[kind, ending]:>{len(kind)}}" for kind in kinds)]))
    injected = [trial for trial in done if trial.fault]
    totals = Counter(trial.ending for trial in done)
    lines += [f"trials: {len(done)}", f"faults injected: {len(injected)}"]
    lines += [f"{ending}: {totals[ending]}" for ending in ENDINGS]
    return "\n".join(lines)


def run(
    trials: Sequence[Trial], whole: Miniature, work: Path, side_by_side: int = 2, log: Path | None = None,
    limit: float = 1800, told: Callable[[str], None] = print, more: Mapping[str, str] | None = None,
) -> list[Trial]:  # fmt: skip
    """Run trials, those of the log that are done already not again. Returns all."""
    done = {}
    if log is not None and log.exists():
        known = [Trial(**json.loads(line)) for line in log.read_text().splitlines()]
        done = {trial.seed: trial for trial in known}

    def one(trial: Trial) -> Trial:
        if trial.seed in done:
            return done[trial.seed]
        for attempt in range(ATTEMPTS):
            tried = replace(trial, seed=f"{trial.seed}/{attempt}", statuses=[])
            ended = Run(tried, whole, work / f"trial {trial.number}", limit, more)()
            if ended.ending != "not injected":
                break
        ended = replace(ended, seed=trial.seed, attempts=attempt + 1)
        if log is not None:
            with log.open("a") as file:
                file.write(json.dumps(asdict(ended)) + "\n")
        told(f"{ended.number}: {ended.kind} {ended.stage}: {ended.fault or '-'}: {ended.ending} {ended.detail[:200]}")
        return ended

    with ThreadPoolExecutor(side_by_side) as pool:
        return list(pool.map(one, trials))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--stages", nargs="+", help="as dvc.lock names them; all")
    parser.add_argument("--only", nargs="+", type=int, help="numbers of trials")
    parser.add_argument("--log", type=Path, help="JSON lines, a trial each; what is in it is not done again")
    parser.add_argument("--work", type=Path, help="folder for the miniature and the trials, kept")
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument("--clips", type=int, default=32, help="of the miniature's dataset")
    parser.add_argument("--small", action="store_true", help="as far as the scores and taggers, without suites")
    parser.add_argument("--in-place", action="store_true", help="with the atomic rename taken out: has to fail")
    arguments = parser.parse_args()
    work = (arguments.work or Path(tempfile.mkdtemp(prefix="faults."))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    whole = Miniature(work / "whole run" / "wave tag")
    whole.build(arguments.clips, arguments.small)
    stages = arguments.stages or whole.stages
    trials = plan(stages, arguments.kinds, arguments.trials, arguments.seed)
    if arguments.only:
        trials = [trial for trial in trials if trial.number in arguments.only]
    more = {"WAVETAG_WRITE_IN_PLACE": "1"} if arguments.in_place else {}
    told = partial(print, flush=True)
    done = run(trials, whole, work, arguments.side_by_side, arguments.log, told=told, more=more)
    print(table(done, stages))
    return 0 if all(trial.ending in GOOD for trial in done) else 1


if __name__ == "__main__":
    sys.exit(main())
