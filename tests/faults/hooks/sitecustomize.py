"""Loaded by every Python of a trial: at the drawn moment of the drawn process it waits for the harness to act.

WAVETAG_FAULT is JSON: `folder` of the trial, `mark` (a folder of the harness's), `role` (stage, dvc, snakemake), for a
stage its name, and `event` (the number of the moment: a file opened for writing, renamed, removed or synced inside the
trial's folder; of those with the text `about`, if there is one) with `delay` (seconds after it), or `seconds` (after
the process began). With `count`, the moments are counted and no more.

WAVETAG_WRITE_IN_PLACE takes the temporary names out of wavetag.files.
"""

import atexit
import importlib.abc
import importlib.util
import json
import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

WATCHED = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")


def role() -> str:
    """What this process is of a trial: stage, dvc, snakemake, or nothing that a fault is meant for."""
    words = [Path(word).name for word in sys.orig_argv[1:3]]
    roles = {"stage.py": "stage", "quiet_dvc.py": "dvc", "dvc": "dvc", "snakemake": "snakemake"}
    return next((roles[word] for word in words if word in roles), "")


class Moments:
    """Counts what this process does to files, and acts at the drawn number."""

    def __init__(self, wanted: dict) -> None:
        self.wanted, self.number, self.busy = wanted, 0, False
        self.inside, self.mark = f"{wanted['folder']}/", Path(wanted["mark"])

    def audit(self, event: str, arguments: tuple) -> None:
        if self.busy or event not in WATCHED or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        path = os.fsdecode(arguments[0])
        path = path if path.startswith("/") else f"{Path.cwd()}/{path}"
        if path.startswith(self.inside) and "__pycache__" not in path:
            self.happened(f"{event} {path.removeprefix(self.inside)}")

    def happened(self, what: str) -> None:
        if self.wanted.get("about", "") not in what:
            return
        self.number += 1
        if self.wanted.get("count"):
            self.note(f"moments.{os.getpid()}", f"{what}\n")
        elif self.number == self.wanted.get("event"):
            if self.wanted["delay"]:
                threading.Thread(target=self.later, args=(self.wanted["delay"], what), daemon=True).start()
            else:
                self.act(what)

    def later(self, seconds: float, what: str) -> None:
        time.sleep(seconds)
        self.act(what)

    def act(self, what: str) -> None:
        """Tell the harness where this process is, and wait for it to have done what it does (kill this, say)."""
        self.busy = True
        try:
            (self.mark / "claimed").touch(exist_ok=False)
        except FileExistsError:  # another process was there first
            return
        (self.mark / "reached.part").write_text(json.dumps({"pid": os.getpid(), "what": what, "number": self.number}))
        (self.mark / "reached.part").rename(self.mark / "reached")
        while not (self.mark / "done").exists():
            time.sleep(0.002)
        self.busy = False

    def count(self) -> None:
        """A stage's name first, then its moments; and, at its end, how long it took."""
        began, stage = time.monotonic(), os.environ.get("DVC_STAGE", "")
        self.note(f"moments.{os.getpid()}", f"{stage}\n")
        atexit.register(lambda: self.note(f"took.{os.getpid()}", f"{stage} {time.monotonic() - began:.3f}"))

    def note(self, name: str, text: str) -> None:
        self.busy = True
        with (self.mark / name).open("a") as file:
            file.write(text)
        self.busy = False


def install(wanted: dict) -> None:
    """Watch this process, if it is the one."""
    if role() != wanted["role"] or ("stage" in wanted and os.environ.get("DVC_STAGE") != wanted["stage"]):
        return
    moments = Moments(wanted)
    if "seconds" in wanted:
        threading.Thread(target=moments.later, args=(wanted["seconds"], "a moment"), daemon=True).start()
        return
    if wanted.get("count"):
        moments.count()
    sys.addaudithook(moments.audit)
    synced = os.fsync

    def fsync(file) -> None:
        moments.happened("fsync")
        synced(file)

    os.fsync = fsync


class InPlace(importlib.abc.MetaPathFinder):
    """Imports wavetag.files without its temporary names: what is begun has its final name."""

    def find_spec(self, name, path, target=None):
        if name != "wavetag.files":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        whole = spec.loader.exec_module

        def exec_module(module) -> None:
            whole(module)
            module.written_whole = self.file
            module.folder_written_whole = self.folder

        spec.loader.exec_module = exec_module
        return spec

    @staticmethod
    @contextmanager
    def file(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        yield Path(path)

    @staticmethod
    @contextmanager
    def folder(path):
        Path(path).mkdir(parents=True, exist_ok=True)
        yield Path(path)


if os.environ.get("WAVETAG_WRITE_IN_PLACE"):
    sys.meta_path.insert(0, InPlace())
if os.environ.get("WAVETAG_FAULT"):
    install(json.loads(os.environ["WAVETAG_FAULT"]))
