"""The benchmarks: that each can be started, and what they share. What they measure is not asserted."""

import subprocess
import sys
from pathlib import Path

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


def test_the_machine_is_named():
    assert "cores" in machine() and "torch" in machine()
