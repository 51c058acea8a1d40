"""The two descriptions of the pipeline are one: what Snakemake schedules is what DVC runs, reads and writes."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from wavetag import pipeline

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "wavetag"
# These modules carry data, settings and messages between stages; what they carry is itself a dependency.
# How code is told from what is said about it (`sources`) changes no result.
CARRIERS = {"__init__", "processes", "files", "params", "settings", "devices", "sources"}
CARRIERS |= {"stages/__init__", "datasets/__init__"}
# Used for one thing in some stages: reading the array that `prepare` made is not decoding audio.
TABLES = {"acquire", "prepare", "split", "baseline"}
ONLY_IN = {
    "audio": {"prepare"},
    "clips": TABLES,
    "datasets/layout": {*TABLES, "report"},
    "tags": {"acquire", "split", "baseline", "findings"},
}


def within(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def agrees(path: str, others: set[str]) -> bool:
    """Whether a path is among others, or in one of these, or the folder that one of these is in."""
    return any(within(path, other) or within(other, path) for other in others)


@pytest.fixture(scope="module")
def dvc_stages() -> dict[str, dict]:
    """Address of each DVC stage -> what it reads and writes, paths from the repository's top folder."""
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo

    stages = {}
    with Repo(str(ROOT)) as repo:
        for stage in repo.index.stages:
            folder = Path(stage.path).parent.relative_to(ROOT)
            address = stage.name if folder == Path() else f"{folder}/dvc.yaml:{stage.name}"
            data = [dependency for dependency in stage.deps if not isinstance(dependency, ParamsDependency)]
            stages[address] = {
                kind: {str(Path(item.fs_path).relative_to(ROOT)) for item in items}
                for kind, items in (("outs", stage.outs), ("deps", data))
            }
    # Snakemake has it run before it schedules anything (`pipeline.record_code`), not by a rule
    assert stages.pop("code") == {"outs": {"data/code"}, "deps": {"src/wavetag"}}
    return stages


@pytest.fixture(scope="module")
def snakemake_jobs() -> dict[str, dict]:
    """The same from Snakemake's own account of what it would run: address of the DVC stage -> inputs and outputs."""
    targets = ["all", *(path.parent.name for path in ROOT.glob("suites/*/dvc.yaml"))]
    options = ["-n", "-p", "--forceall", "--workflow-profile", "none"]
    command = [sys.executable, "-m", "snakemake", *options, *targets]
    run = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.returncode == 0, run.stdout
    jobs, job = {}, {}
    for line in run.stdout.splitlines():
        key, _, value = line.strip().partition(": ")
        if key in ("input", "output"):
            job[key] = {path for path in value.split(", ") if not path.startswith(".params/")}
        address = re.search(r"repro -s (\S+)", line)
        if address:
            jobs[address.group(1).removeprefix("dvc.yaml:")] = {"outs": job["output"], "deps": job["input"]}
            job = {}
    return jobs


def test_both_tools_run_the_same_stages(dvc_stages, snakemake_jobs):
    assert set(snakemake_jobs) == set(dvc_stages)


def test_each_stage_writes_the_same_files_in_both(dvc_stages, snakemake_jobs):
    assert {address: job["outs"] for address, job in snakemake_jobs.items()} == {
        address: stage["outs"] for address, stage in dvc_stages.items()
    }


def test_what_is_held_against_dvcs_record_is_what_dvc_says_that_stages_write(dvc_stages, monkeypatch):
    monkeypatch.chdir(ROOT)
    settings, _ = pipeline.load_settings()
    stages = pipeline.load_stages(settings)
    for root in settings:
        written = {
            f"{root}dvc.yaml:{name}" if root else name: paths
            for name, paths in pipeline.outs(settings[root], stages[root]).items()
            if name != "code"
        }
        assert {address: set(paths) for address, paths in written.items()} == {
            address: stage["outs"]
            for address, stage in dvc_stages.items()
            if address.rpartition(":")[0] == (f"{root}dvc.yaml" if root else "")
        }


def test_each_stage_reads_the_same_files_in_both(dvc_stages, snakemake_jobs):
    for address, job in snakemake_jobs.items():
        declared = dvc_stages[address]["deps"]
        assert not [path for path in job["deps"] if not agrees(path, declared)], f"{address}: unknown to DVC"
        assert not [path for path in declared if not agrees(path, job["deps"])], f"{address}: unknown to Snakemake"


def test_what_begins_with_a_model_is_trained_behind_it_in_both(dvc_stages, snakemake_jobs):
    for stages in (dvc_stages, snakemake_jobs):
        deps = {
            name: stages[f"suites/transfer/dvc.yaml:train@{name}"]["deps"]
            for name in ("tuned_linear", "scratch_linear")
        }
        assert "suites/transfer/models/pretrain_linear" in deps["tuned_linear"]
        assert not [path for path in deps["scratch_linear"] if "models" in Path(path).parts]
        assert any(within(path, "pretrained/none") for path in deps["scratch_linear"])


def test_a_plain_dvc_repro_needs_no_suite(dvc_stages):
    """`dvc repro` runs what `snakemake all` runs: nothing in the pipeline reads what a suite's stage writes."""
    of_suites = {path for address, stage in dvc_stages.items() if ":" in address for path in stage["outs"]}
    for address, stage in dvc_stages.items():
        if ":" not in address:
            assert not [path for path in stage["deps"] if agrees(path, of_suites)], address


def imported(module: str) -> set[str]:
    """The modules of the package that a module imports, anywhere in its text."""
    found = set()
    for node in ast.walk(ast.parse((SOURCE / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "wavetag":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wavetag."):
            name = node.module.removeprefix("wavetag.").replace(".", "/")
            found.add(f"{name}/__init__" if (SOURCE / name).is_dir() else name)
    return found


def closure(module: str) -> set[str]:
    modules, waiting = set(), {module}
    while waiting:
        modules |= waiting
        waiting = set().union(*(imported(name) for name in waiting - CARRIERS)) - modules
    return modules


STAGE_FILES = {"dvc.yaml": ROOT / "dvc.yaml", **{path.parent.name: path for path in ROOT.glob("suites/*/dvc.yaml")}}
STAGES = [(label, name) for label, path in STAGE_FILES.items() for name in yaml.safe_load(path.read_text())["stages"]]


@pytest.mark.parametrize(("label", "name"), STAGES)
def test_a_stage_depends_on_the_modules_that_it_runs(label, name):
    stage = yaml.safe_load(STAGE_FILES[label].read_text())["stages"][name]
    declared = {path for path in stage.get("do", stage)["deps"] if path.startswith(("data/code/", "src/wavetag/"))}
    runs = closure(f"stages/{name}") - CARRIERS
    runs -= {module for module, stages in ONLY_IN.items() if name not in stages}
    missing = {f"data/code/{module}.py" for module in runs} - declared
    assert not missing or (name == "code" and "src/wavetag" in stage["deps"])
    assert not [path for path in declared if not (ROOT / path.replace("data/code/", "src/wavetag/")).exists()]


def test_snakemake_finds_nothing_to_improve():
    """But for an environment a rule: one locked environment serves them all."""
    command = [sys.executable, "-m", "snakemake", "--lint"]
    run = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    found = {line.strip() for line in run.stdout.splitlines() if line.startswith("    * ")}
    assert found == {"* Specify a conda environment or container for each rule.:"}, run.stdout
