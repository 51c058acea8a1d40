"""`make all` after a run that was killed: Snakemake's lock goes, unless its Snakemake is still there."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = """#!/bin/sh
if [ "$1" = wait ]; then echo; read -r line; fi
echo "$@" >> calls
"""


@pytest.fixture
def clone(tmp_path) -> Path:
    """A folder with a Makefile, a lock of Snakemake's, and a Snakemake that only writes down how it was called."""
    folder = tmp_path / "wave tag"
    for name in (".venv/bin", ".snakemake/locks"):
        (folder / name).mkdir(parents=True)
    for name in ("Makefile", "workflow/idle.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "src").symlink_to(ROOT / "src")
    (folder / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / ".venv/bin/python").chmod(0o755)
    (folder / ".snakemake/locks/0.input.lock").touch()
    (folder / ".venv/.installed").touch()
    (folder / ".venv/bin/snakemake").write_text(SNAKEMAKE)
    (folder / ".venv/bin/snakemake").chmod(0o755)
    return folder


def calls(folder: Path) -> list[str]:
    subprocess.run(["make", "-s", "-o", ".venv/.installed", "CORES=3", "all"], cwd=folder, check=True)
    return (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize("running", ["no other", "one in another clone", "one here", "one here, of Python"])
def test_a_lock_that_a_kill_left_is_removed_and_that_of_a_run_under_way_is_not(clone, tmp_path, running):
    folder = {"one in another clone": tmp_path, "one here": clone, "one here, of Python": clone}.get(running)
    if folder is None:
        assert calls(clone) == ["--cores 1 --unlock --quiet", "--cores 3 all"]
        return
    command = [str(clone / ".venv/bin/snakemake"), "wait"]
    if running == "one here, of Python":  # as pip starts it where its path has a space
        (clone / "snakemake").write_text("print(flush=True); input()\n")
        command = [sys.executable, str(clone / "snakemake")]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert calls(clone) == [*(["--cores 1 --unlock --quiet"] if folder == tmp_path else []), "--cores 3 all"]
        other.stdin.write(b"\n")
        other.stdin.close()


def test_without_a_lock_there_is_nothing_to_unlock(clone):
    (clone / ".snakemake/locks/0.input.lock").unlink()
    assert calls(clone) == ["--cores 3 all"]
