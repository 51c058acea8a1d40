"""What the benchmarks share: time and memory of a command, a copy of this repository, turns, the name of a machine."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from wavetag import settings

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


class Memory(threading.Thread):
    """The largest anonymous memory of a process and all that it started, looked at ten times a second."""

    def __init__(self, process: int):
        super().__init__(daemon=True)
        self.process, self.largest, self.ended = psutil.Process(process), 0, threading.Event()

    def run(self) -> None:
        """Look until it is ended."""
        while not self.ended.wait(0.1):
            try:
                family = [self.process, *self.process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self.largest = max(self.largest, sum(map(_anonymous, family)))


def _anonymous(process: psutil.Process) -> int:
    """RssAnon in bytes; 0 of a process that has ended meanwhile."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


@contextmanager
def running(folder: Path, *command: str) -> Iterator[tuple[subprocess.Popen, Memory]]:
    """A command in a process group of its own, with an eye on its memory."""
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, start_new_session=True)
        memory = Memory(process.pid)
        memory.start()
        try:
            yield process, memory
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            memory.ended.set()
            memory.join()


def timed(folder: Path, *command: str) -> tuple[float, int]:
    """Seconds and bytes of a command, which is to succeed."""
    start = time.perf_counter()
    with running(folder, *command) as (process, memory):
        status = process.wait()
    if status != 0:
        raise SystemExit(f"{' '.join(command)}: status {status}\n{(folder / 'output.txt').read_text()[-3000:]}")
    return time.perf_counter() - start, memory.largest


def stage(name: str, *arguments: str) -> list[str]:
    """The command of a stage."""
    return [sys.executable, "workflow/stage.py", name, *arguments]


def clone(folder: Path, changes: Sequence[str] = ()) -> None:
    """This repository as it is, without results, as a git repository of its own.

    Args:
        folder: where.
        changes: of its settings, as `wavetag use` takes them.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, listed):
        if not name.startswith(("metrics/", "reports/")) and name != "dvc.lock" and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    who = "-c user.name=wavetag -c user.email=wavetag"
    commands = f"git init -q && git add -A && git {who} commit -qm stand-in"
    subprocess.run(commands, shell=True, cwd=folder, check=True)
    use(folder, changes)


def use(folder: Path, changes: Sequence[str]) -> None:
    """Change the settings of a copy."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        settings.apply(list(changes))
    finally:
        os.chdir(here)


def machine() -> str:
    """What the figures were measured on, in a line."""
    import torch

    cores, memory = len(os.sched_getaffinity(0)), psutil.virtual_memory().total / 2**30
    can = torch.cpu.get_capabilities()
    wide = [name for name in ("avx512_bf16", "amx_bf16", "avx512_f", "avx2") if can.get(name)][:2]
    return (
        f"{can.get('cpu_name') or platform.processor() or platform.machine()} ({', '.join(wide)}), {cores} cores,"
        f" {memory:.0f} GiB, Python {platform.python_version()}, torch {torch.__version__}"
    )


def in_turns(rounds: int, measured: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each, measured in turns, so that a busy machine slows all alike."""
    found: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, measure in measured.items():
            found[name].append(measure())
    return {name: median(values) for name, values in found.items()}


def show(rows: Iterable[Sequence[str]]) -> None:
    """The machine and a part of the table, for those who run one part alone."""
    print(machine())
    for row in rows:
        print("  ".join(row), flush=True)


def answers(*commands: Sequence[str], threads: int = 1) -> list[dict]:
    """What scripts that run side by side print as JSON on their last line."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    running_now = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for command in commands
    ]
    outputs = [process.communicate()[0] for process in running_now]
    for command, process in zip(commands, running_now, strict=True):
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: status {process.returncode}")
    return [json.loads(output.splitlines()[-1]) for output in outputs]
