"""The benchmarks: that each can be started, and what they share. What they measure is not asserted."""

import os
import subprocess
import sys
import time
from pathlib import Path

import needs
import pytest
from measure import in_turns, machine

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if path.name not in ("measure.py", "plain.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_each_says_what_it_does(script):
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_what_is_measured_takes_turns_and_the_median_counts():
    calls = []

    def measure(name, values):
        values = iter(values)

        def one():
            calls.append(name)
            return next(values)

        return one

    found = in_turns(3, {"here": measure("here", [3.0, 1.0, 2.0]), "there": measure("there", [9.0, 8.0, 10.0])})
    assert found == {"here": 2.0, "there": 9.0}
    assert calls == ["here", "there"] * 3


def test_needs_sees_the_stages_that_the_rules_run():
    command = ["workflow/quiet_dvc.py", "--wait-for-lock", "repro", "-s", "suites/open/dvc.yaml:train@crnn"]
    seen = needs.Stages(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()", *command], stdin=subprocess.PIPE) as stage:
        seen.start()
        deadline = time.monotonic() + 60
        while not seen.largest and time.monotonic() < deadline:
            time.sleep(0.05)
        stage.communicate(b"\n")
    seen.ended.set()
    seen.join()
    assert list(seen.largest) == [("suites/open/", "train", "crnn")] and max(seen.largest.values()) > 0
    rules = (path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    commands = [line for text in rules for line in text.splitlines() if "repro -s" in line]
    assert commands and all("python workflow/quiet_dvc.py " in line for line in commands)


def test_the_machine_is_named():
    assert "cores" in machine() and "torch" in machine()
