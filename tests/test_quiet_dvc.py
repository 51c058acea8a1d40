"""DVC as Snakemake's rules run it: nothing but what its stages and its errors say."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
QUIET = [sys.executable, str(ROOT / "workflow/quiet_dvc.py")]


@pytest.fixture
def folder(tmp_path) -> Path:
    subprocess.run([Path(sys.executable).with_name("dvc"), "init", "-q", "--no-scm"], cwd=tmp_path, check=True)
    (tmp_path / "dvc.yaml").write_text("stages: {hello: {cmd: echo hello to all, deps: [names.txt]}}\n")
    return tmp_path


def test_a_stage_speaks_for_itself(folder):
    (folder / "names.txt").write_text("all\n")
    ran = subprocess.run([*QUIET, "repro", "-s", "hello"], cwd=folder, text=True, capture_output=True, check=True)
    assert (ran.stdout, ran.stderr) == ("hello to all\n", "")
    again = subprocess.run([*QUIET, "repro", "-s", "hello"], cwd=folder, text=True, capture_output=True, check=True)
    assert (again.stdout, again.stderr) == ("", "")


def test_what_dvc_will_not_run_is_said(folder):
    ran = subprocess.run([*QUIET, "repro", "-s", "hello"], cwd=folder, text=True, capture_output=True)
    assert ran.returncode != 0 and ran.stdout == ""
    assert ran.stderr.startswith("ERROR: failed to reproduce 'hello'") and "names.txt" in ran.stderr
