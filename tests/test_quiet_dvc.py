"""DVC as Snakemake's rules run it: nothing but what its stages and its errors say."""

import json
import signal
import subprocess
import sys
import time
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


def test_a_job_that_is_cancelled_ends_its_stage_and_leaves_the_list_of_running_commands_whole(folder):
    (folder / "dvc.yaml").write_text("stages: {hello: {cmd: touch began && sleep 600, deps: [names.txt]}}\n")
    (folder / "names.txt").write_text("all\n")
    with subprocess.Popen([*QUIET, "repro", "-s", "hello"], cwd=folder, text=True, stderr=subprocess.PIPE) as job:
        while not (folder / "began").exists():
            assert job.poll() is None
            time.sleep(0.05)
        assert "hello" in (folder / ".dvc/tmp/rwlock").read_text()
        job.send_signal(signal.SIGTERM)
        _, told = job.communicate(timeout=60)
    assert job.returncode > 0, "it ended by itself"
    assert "failed to reproduce 'hello'" in told
    assert not any(json.loads((folder / ".dvc/tmp/rwlock").read_text()).values())


def test_a_list_of_running_commands_that_was_cut_short_stops_no_other_job(folder):
    (folder / "names.txt").write_text("all\n")
    (folder / ".dvc/tmp").mkdir(exist_ok=True)
    (folder / ".dvc/tmp/rwlock").write_text("")
    ran = subprocess.run([*QUIET, "repro", "-s", "hello"], cwd=folder, text=True, capture_output=True, check=True)
    assert (ran.stdout, ran.stderr) == ("hello to all\n", "")
