"""The profiles for clusters, as far as they can be checked without one; tests/slurm/ has a real Slurm for its own."""

import json
import os
import re
import stat
import subprocess
import sys

import pytest
import yaml

import miniature

LOUD = ("--workflow-profile", "none")  # without profiles/default, which is quiet about what each rule asks for
PURPOSES = {path.parent.name for path in miniature.ROOT.glob("suites/*/dvc.yaml")}  # rules that only ask for others

# Runs each job on the spot, and remembers what it was asked for.
KUBECTL = """#!{python}
import json, subprocess, sys
from pathlib import Path

jobs = Path({folder!r})
if sys.argv[1] == "create":
    manifest = json.load(sys.stdin)
    name = f"wavetag-{{len(list(jobs.glob('*.json')))}}"
    (jobs / f"{{name}}.json").write_text(json.dumps(manifest))
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    ended = jobs / f"{{name}}.ended"
    with (jobs / f"{{name}}.log").open("w") as log:
        command = ["sh", "-c", '"$@"; echo $? > "$0.part"; mv "$0.part" "$0"', str(ended), *container["command"]]
        subprocess.Popen(command, cwd=container["workingDir"], stdout=log, stderr=log, start_new_session=True)
    print(f"job.batch/{{name}}")
elif sys.argv[1] == "get":
    ended = jobs / f"{{sys.argv[2].split('/')[1]}}.ended"
    print("/" if not ended.exists() else "1/" if ended.read_text() == "0\\n" else "/1", end="")
"""


def snakemake(*arguments: str) -> subprocess.CompletedProcess:
    """A dry run here."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(command, cwd=miniature.ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_a_key_of_a_profile_that_snakemake_does_not_know_is_told(tmp_path):
    """So that every run with a profile, here and below, says that its keys are known."""
    profile = yaml.safe_load((miniature.ROOT / "profiles/slurm/config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**profile, "slurm-nonsense": 1}))
    run = snakemake("--profile", str(tmp_path), "-n", "data/split/split.tsv")
    assert run.returncode != 0
    assert "nonsense" in run.stdout


@pytest.fixture(scope="module")
def asked() -> dict[str, dict[str, str]]:
    """Rule -> what its jobs ask a cluster for, of all that could run; 7 where the rule leaves it to the profile."""
    defaults = ("--default-resources", "mem_mb=7", "runtime=7")
    run = snakemake("--profile", "profiles/slurm", *LOUD, *defaults, "-n", "--forceall", "--", "all", *PURPOSES)
    assert run.returncode == 0, run.stdout
    found, rule = {}, ""
    for line in run.stdout.splitlines():
        if told := re.fullmatch(r"\s*(?:local)?rule (\w+):", line):
            rule = told[1]
        elif told := re.fullmatch(r"\s+resources: (.*)", line):
            found[rule] = dict(pair.split("=") for pair in told[1].split(", "))
    return found


def test_every_rule_says_how_much_time_and_memory_it_takes(asked):
    texts = (path.read_text() for path in miniature.ROOT.glob("workflow/rules/*.smk"))
    rules = {rule for text in texts for rule in re.findall(r"^rule (\w+):", text, re.M)}
    work = {rule: told for rule, told in asked.items() if rule not in {"all", *PURPOSES}}
    assert set(work) == rules - PURPOSES
    assert not [rule for rule, told in work.items() if "7" in (told["mem_mb"], told["runtime"])]


def test_only_what_trains_asks_for_a_gpu(asked):
    assert {rule for rule, told in asked.items() if told.get("gpu") == "1"} == {
        "train",
        "trial",
        "study",
        "train_chosen",
    }


def test_on_a_cluster_without_gpus_nothing_asks_for_one():
    run = snakemake("--profile", "profiles/slurm", *LOUD, "-n", "--resources", "gpu=0", "--", "all")
    assert run.returncode == 0, run.stdout
    assert "gpu=1" not in run.stdout


@pytest.mark.slow
def test_jobs_go_through_kubectl_with_what_they_ask_for(tmp_path):
    """A stand-in for kubectl: no Kubernetes has seen this profile."""
    jobs, programs = tmp_path / "jobs", tmp_path / "bin"
    jobs.mkdir()
    programs.mkdir()
    kubectl = programs / "kubectl"
    kubectl.write_text(KUBECTL.format(python=sys.executable, folder=str(jobs)))
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    repository = miniature.copy(
        tmp_path / "wave tag", edit=lambda params: params["prepare"].update(sample_rates=[12_000])
    )
    environment = {
        **miniature.ENVIRONMENT,
        "PATH": f"{programs}{os.pathsep}{miniature.ENVIRONMENT['PATH']}",
        "WAVETAG_IMAGE": "registry.example/wavetag",
        "WAVETAG_VOLUME": "music",
    }
    command = ["snakemake", "--profile", "profiles/kubernetes", "--seconds-between-status-checks", "1"]
    miniature.run(repository, *command, "data/split/split.tsv", environment=environment)
    assert (repository / "data/split/tags.txt").is_file()
    manifests = [json.loads(path.read_text()) for path in sorted(jobs.glob("*.json"))]
    containers = [manifest["spec"]["template"]["spec"]["containers"][0] for manifest in manifests]
    assert [container["resources"]["limits"]["cpu"] for container in containers] == ["4", "4", "1"]
    assert all("nvidia.com/gpu" not in container["resources"]["limits"] for container in containers)
    assert all(container["volumeMounts"][0]["mountPath"] == str(repository) for container in containers)
    # one that fails is told as that, and not run for ever
    (repository / "data/split/split.tsv").unlink()
    (repository / "data/split/tags.txt").unlink()
    change = {"split": {**yaml.safe_load((repository / "params.yaml").read_text())["split"], "test": ["0"]}}
    miniature.change(repository, lambda params: params.update(change))
    told = miniature.run(
        repository, *command, "--retries", "0", "data/split/split.tsv", environment=environment, status=1
    )
    assert "split:" in told
