"""Worker processes, and what becomes of them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROGRAM = r"""
import os, sys, time
from wavetag.processes import pool

def work(number):
    os.write(1, f"{os.getpid()}\n".encode())  # in one piece, whatever the other one writes
    time.sleep(600)

if __name__ == "__main__":
    with pool(2, sys.argv[1]) as workers:
        list(workers.map(work, range(2)))
"""


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_end_when_who_started_them_is_killed(tmp_path: Path, start: str):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), start]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        try:
            workers = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
            assert all(worker.pid not in (parent.pid, os.getpid()) and worker.is_running() for worker in workers)
        finally:
            parent.kill()
    _, alive = psutil.wait_procs(workers, timeout=10)
    for worker in alive:
        worker.kill()
    assert not alive


STAGE = r"""
import os, subprocess, sys, time
from wavetag import processes

if sys.argv[2:]:
    processes.end_with_starter() if sys.argv[1] == "starter" else processes.end_with(int(sys.argv[2]))
    os.write(1, f"{os.getpid()}\n".encode())
else:
    subprocess.Popen([sys.executable, __file__, sys.argv[1], str(os.getpid())])
time.sleep(600)
"""


@pytest.mark.parametrize("whom", ["starter", "scheduler"])
def test_a_stage_ends_when_who_started_or_scheduled_it_is_killed(tmp_path: Path, whom: str):
    program = tmp_path / "program.py"
    program.write_text(STAGE)
    with subprocess.Popen([sys.executable, str(program), whom], stdout=subprocess.PIPE, text=True) as starter:
        try:
            stage = psutil.Process(int(starter.stdout.readline()))
            assert stage.is_running() and stage.ppid() == starter.pid
        finally:
            starter.kill()
    _, alive = psutil.wait_procs([stage], timeout=10)
    for process in alive:
        process.kill()
    assert not alive


def test_workers_give_results_in_order():
    from wavetag.processes import pool

    with pool(2) as workers:
        assert list(workers.map(_slow_if_first, range(5))) == [0, 1, 4, 9, 16]


def _slow_if_first(number: int) -> int:
    time.sleep(0.2 if number == 0 else 0)
    return number**2
