"""What a stage says when it cannot go on, and which code and which Python run it."""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wavetag import params, training
from wavetag.stages import say, stage, threads

REPOSITORY = Path(__file__).resolve().parents[1]
STAGE = REPOSITORY / "workflow" / "stage.py"
NAME = Path(__file__).stem


def run(*arguments, python=(), script=STAGE, cwd=REPOSITORY):
    command = [sys.executable, *python, str(script), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("arguments", [(), ("trian",), ("__init__",), ("../stages/train",)])
def test_an_unknown_stage_is_refused_with_the_known_ones_named(arguments):
    ended = run(*arguments)
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        "usage: python workflow/stage.py STAGE [ARGUMENTS]; the stages are acquire, aggregate,"
    )
    assert "train" in ended.stderr


def test_every_stage_of_dvc_is_one():
    import yaml

    usage = run().stderr
    for path in (REPOSITORY / "dvc.yaml", *REPOSITORY.glob("suites/*/dvc.yaml")):
        for about in yaml.safe_load(path.read_text())["stages"].values():
            words = about.get("do", about)["cmd"].split()
            script = next(number for number, word in enumerate(words) if word.endswith("workflow/stage.py"))
            assert words[script + 1] in usage


@pytest.mark.parametrize("python", [("-I", "-S"), ("-S",)])
def test_a_python_without_the_packages_is_told_apart_from_a_bug(python):
    ended = run("split", python=python)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert f"split: {sys.executable} has no package 'numpy'" in ended.stderr
    assert "`make all`" in ended.stderr


def test_the_code_beside_the_script_is_what_runs(tmp_path):
    """`dvc exp run --temp` runs a copy of the repository under the Python in which the original is installed."""
    shutil.copytree(REPOSITORY / "src" / "wavetag", tmp_path / "src" / "wavetag")
    (tmp_path / "workflow").mkdir()
    shutil.copy(STAGE, tmp_path / "workflow")
    stages = tmp_path / "src" / "wavetag" / "stages"
    (stages / "where.py").write_text("import wavetag\n\ndef main():\n    print(wavetag.__file__)\n")
    ended = run("where", script=tmp_path / "workflow" / "stage.py", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == str(tmp_path / "src" / "wavetag" / "__init__.py")


def test_a_stage_outside_the_repository_says_where_it_is_run_from(tmp_path):
    ended = run("split", "--dataset", "a", "--manifest", "b", "--out", "c", "--tags", "d", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith(
        "split: params.yaml: no such file; the pipeline is run from the repository's top folder"
    )


def test_a_stage_whose_input_is_missing_says_so_in_one_line(tmp_path):
    arguments = [
        "--sample-rate",
        "12000",
        "--clips",
        tmp_path / "none.npy",
        "--split",
        tmp_path / "none.tsv",
        "--out",
        tmp_path / "out.json",
    ]
    ended = run("normalise", *arguments)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("normalise: ")
    assert "none.tsv" in ended.stderr
    assert not (tmp_path / "out.json").exists()


def raising(error):
    @stage
    def main():
        """Fail."""
        raise error

    return main


@pytest.mark.parametrize(
    "error",
    [
        ValueError("scaling 'max' is unknown"),
        params.ParamsError("params.yaml: stride: 0 is not allowed"),
        training.Diverged("seed 0: the loss was not a finite number"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "clips.npy"),
        PermissionError(errno.EACCES, "Permission denied", "models"),
    ],
)
def test_what_can_be_expected_to_go_wrong_is_one_line_and_status_1(error, capsys, monkeypatch):
    monkeypatch.delenv("WAVETAG_TRACEBACK", raising=False)
    assert raising(error)() == 1
    said = capsys.readouterr()
    assert said.err == f"{NAME}: {error}\n"
    assert not said.out


def test_a_traceback_can_be_had_on_request(monkeypatch):
    monkeypatch.setenv("WAVETAG_TRACEBACK", "1")
    with pytest.raises(ValueError, match="scaling"):
        raising(ValueError("scaling 'max' is unknown"))()


def test_ctrl_c_is_one_line_and_status_130(capsys):
    assert raising(KeyboardInterrupt())() == 130
    assert capsys.readouterr().err == f"{NAME}: stopped; run the same command again to go on\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line_and_status_1(number, capsys):
    assert raising(OSError(number, os.strerror(number)))() == 1
    said = capsys.readouterr().err
    assert said == f"{NAME}: no space left on the disk: free some and run the same command again\n"


@pytest.mark.parametrize(
    "error", [TypeError("a bug"), KeyError("a bug"), AttributeError("a bug"), OSError(errno.EIO, "a broken disk")]
)
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error), match=r"a bug|a broken disk"):
        raising(error)()


def test_a_stage_that_ends_well_has_status_0_and_says_its_progress_at_once(capsys):
    @stage
    def main():
        """Succeed."""
        say("prepare: 1 of 3 clips decoded")

    assert main() == 0
    assert main.__doc__ == "Succeed."
    progress, end = capsys.readouterr().out.splitlines()
    assert progress == "prepare: 1 of 3 clips decoded"
    assert re.fullmatch(r"test_stages: done in \d+\.\d s, \d+\.\d s of computing", end)


def test_threads_are_what_snakemake_says_else_all_that_this_process_may_use(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads() == len(os.sched_getaffinity(0))
