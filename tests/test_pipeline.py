"""The whole pipeline for real, in miniature: 48 generated clips, two configs, one epoch, through both tools.

The tests follow one another in one copy of the repository, as a user's commands would. Each states what it needs.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import requests
import yaml

import miniature
from miniature import BIN, ENVIRONMENT, change, metrics, run

pytestmark = pytest.mark.slow


def jobs(output: str) -> dict[str, int]:
    """Rules and how often each is to run, from a dry run's table."""
    counts = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit() and words[0] != "total":
            counts[words[0]] = int(words[1])
    return counts


def words(process: psutil.Process) -> list[str]:
    """The command of a process; none of one that has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The repository as a clone would have it, with miniature settings, committed."""
    return miniature.copy(tmp_path_factory.mktemp("clone") / "wave tag")


@pytest.fixture(scope="module")
def finished(copy) -> Path:
    """The copy, after `snakemake all` has run in it."""
    output = run(copy, "snakemake", "--cores", "2", "all")
    assert "Table I" in output, "the tables are printed at the end"
    assert "Exception" not in output and "Traceback" not in output
    return copy


def test_one_command_gives_the_tables(finished):
    table = (finished / "metrics/tables/table2.md").read_text()
    assert "linear_bn" in table and "base" in table
    assert "minitune is generated music" in table
    assert "flat (not run yet: snakemake --cores 4 flat)" in table
    findings = json.loads((finished / "metrics/findings/findings.json").read_text())["findings"]
    assert [finding["one"]["name"] for finding in findings] == ["linear_bn"]
    assert "Does a spectrogram help?" in run(finished, "wavetag", "findings", "report")
    base = json.loads((finished / "metrics/base.json").read_text())
    assert base["parameters"] == 55_422
    assert base["roc_auc_ci"][0] <= base["roc_auc"] <= base["roc_auc_ci"][1]
    assert (finished / "reports/page/index.html").is_file()


def test_a_second_run_does_nothing(finished):
    output = run(finished, "snakemake", "--cores", "2", "all")
    assert "Nothing to be done" in output
    assert "Exception" not in output and "Traceback" not in output


def test_dvc_finds_everything_up_to_date(finished):
    assert "up to date" in run(finished, "dvc", "status", "dvc.yaml")
    assert "Running stage" not in run(finished, "dvc", "repro")


def test_the_same_seed_gives_the_same_numbers_again(finished):
    before = metrics(finished)
    weights = {path: path.read_bytes() for path in (finished / "models/base").glob("*.safetensors")}
    run(finished, "dvc", "repro", "--force", "--single-item", "train@base")
    run(finished, "dvc", "repro", "--force", "--single-item", "evaluate@base")
    assert metrics(finished) == before
    assert weights and all(path.read_bytes() == content for path, content in weights.items())


def test_a_setting_that_is_edited_while_its_stage_runs_is_not_recorded_for_what_that_made(finished):
    """DVC reads settings when the stage has ended: it would hold the old scores for those of the new settings."""
    original, lock = (finished / "params.yaml").read_text(), (finished / "dvc.lock").read_text()
    scores = metrics(finished)
    command = [BIN / "dvc", "repro", "--force", "--single-item", "evaluate@base"]
    with subprocess.Popen(command, cwd=finished, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE) as running:
        stage = None
        while stage is None:
            assert running.poll() is None
            children = psutil.Process(running.pid).children(recursive=True)
            stage = next((child for child in children if "workflow/stage.py" in words(child)), None)
        while stage.memory_info().rss < 80_000_000:  # it imports torch: what it depends on has been noted
            time.sleep(0.01)
        change(finished, lambda params: params["evaluate"].update(resamples=101))
        told = running.communicate()[1]
    assert running.returncode != 0
    assert "edited while this ran: evaluate (params.yaml)" in told
    assert (finished / "dvc.lock").read_text() == lock
    (finished / "params.yaml").write_text(original)
    run(finished, "snakemake", "--cores", "2", "all")
    assert metrics(finished) == scores
    assert "up to date" in run(finished, "dvc", "status", "dvc.yaml")


def test_one_edited_config_reruns_that_config_alone_and_either_tool_may_do_it(finished):
    original = (finished / "params.yaml").read_text()
    untouched = (finished / "models/linear_bn/history.csv").stat().st_mtime_ns
    change(finished, lambda params: params["experiments"]["base"].update(momentum=0.5))
    planned = jobs(run(finished, "snakemake", "-n", "--quiet", "rules", "--", "all"))
    assert planned == {
        "all": 1,
        **dict.fromkeys(("train", "evaluate", "release", "aggregate", "findings", "figures", "report"), 1),
    }
    output = run(finished, "dvc", "repro")
    ran = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
    of_base = ["train@base", "evaluate@base", "release@base"]
    assert sorted(ran) == sorted([*of_base, "aggregate", "findings", "figures", "report"])
    assert ran[:2] == of_base[:2]
    assert [name for name in ran if name != "release@base"][-1] == "report"  # of which nothing depends on the other
    assert (finished / "models/linear_bn/history.csv").stat().st_mtime_ns == untouched
    assert "roc_auc" in run(finished, "dvc", "metrics", "diff")

    # The other tool finds that done, and the edit undone comes out of DVC's cache without training.
    assert "train base: seed" not in run(finished, "snakemake", "--cores", "2", "all")
    (finished / "params.yaml").write_text(original)
    assert "train base: seed" not in run(finished, "snakemake", "--cores", "2", "all")
    assert "up to date" in run(finished, "dvc", "status", "dvc.yaml")


def test_what_begins_with_a_model_is_trained_behind_it_and_again_when_it_changes_and_nothing_else(finished):
    original = (finished / "params.yaml").read_text()
    kept = finished / "pretrained/kept"
    try:
        shutil.copytree(finished / "models/linear_bn", kept)

        def begin(params):
            base, spectrogram = params["experiments"].values()
            params["experiments"]["tuned"] = {**base, "init_from": "models/base"}
            params["experiments"]["tuned_kept"] = {**spectrogram, "init_from": "pretrained/kept"}

        change(finished, begin)
        targets = [f"models/{name}" for name in ("tuned", "tuned_kept")]
        output = run(finished, "snakemake", "--cores", "2", *targets)
        assert "train tuned: begins with models/base (2 networks), its tags" in output
        assert "train tuned_kept: begins with pretrained/kept (2 networks), its tags" in output
        assert ": 50 of 50 tags' outputs taken over" in output
        assert "train base: seed" not in output
        assert json.loads((finished / "models/tuned/config.json").read_text())["config"]["init_from"] == "models/base"
        assert "Nothing to be done" in run(finished, "snakemake", "-n", *targets)

        weights = [(kept / f"seed_{seed}_best.safetensors") for seed in (0, 1)]
        shutil.copy(weights[1], weights[0])
        output = run(finished, "snakemake", "--cores", "2", *targets)
        assert "train tuned_kept: seed" in output and "train tuned: seed" not in output
        change(finished, lambda params: params["experiments"]["base"].update(momentum=0.6))
        output = run(finished, "dvc", "repro", "train@tuned", "train@tuned_kept")
        assert output.index("train base: seed") < output.index("train tuned: seed")
        assert "train tuned_kept: seed" not in output
    finally:
        (finished / "params.yaml").write_text(original)
        for folder in (kept, *(finished / "models").glob("tuned*")):
            shutil.rmtree(folder, ignore_errors=True)
    run(finished, "dvc", "repro")


def test_an_edited_docstring_runs_nothing_again_and_a_figures_code_the_figures_alone(finished):
    """Each edit is looked at by both tools."""
    modules = {name: finished / "src/wavetag" / f"{name}.py" for name in ("training", "figures")}
    original = {name: path.read_text() for name, path in modules.items()}
    try:
        assert original["training"].startswith('"""Training: one network')
        modules["training"].write_text(original["training"].replace("Training: one", "The training of one", 1))
        assert "Nothing to be done" in run(finished, "snakemake", "-n", "--", "all")
        ran = [line for line in run(finished, "dvc", "repro").splitlines() if line.startswith("Running stage")]
        assert ran == ["Running stage 'code':"]
        assert "up to date" in run(finished, "dvc", "status", "dvc.yaml")

        assert original["figures"].count("\nDPI = 150\n") == 1
        modules["figures"].write_text(original["figures"].replace("\nDPI = 150\n", "\nDPI = 100\n"))
        planned = jobs(run(finished, "snakemake", "-n", "--quiet", "rules", "--", "all"))
        assert {"all", "figures", "report", "record_code"} == set(planned)
        output = run(finished, "snakemake", "--cores", "2", "all")
        assert "figures: done" in output
        assert "train base" not in output and "evaluate" not in output
        assert "up to date" in run(finished, "dvc", "status", "dvc.yaml")
    finally:
        for name, text in original.items():
            modules[name].write_text(text)
    run(finished, "dvc", "repro")


def test_code_that_dvc_was_not_told_of_is_recorded_though_all_else_is_done(finished):
    lock = finished / "dvc.lock"
    whole = lock.read_text()
    recorded = yaml.safe_load(whole)["stages"]["code"]["outs"][0]["md5"]
    lock.write_text(whole.replace(recorded, recorded[:8][::-1] + recorded[8:]))
    assert "2 of 2 steps" in run(finished, "snakemake", "--cores", "2", "all")
    assert lock.read_text() == whole
    assert "Nothing to be done" in run(finished, "snakemake", "-n", "all")


def test_without_a_gpu_everything_still_runs(finished):
    """`gpu=0` may not leave a job waiting for a GPU that never comes."""
    run(finished, "snakemake", "-n", "--forceall", "--resources", "gpu=0", "--", "all")


def test_a_wrong_setting_stops_both_tools_before_anything_runs(finished):
    original = (finished / "params.yaml").read_text()
    try:
        change(finished, lambda params: params["experiments"]["base"].update(strid=0))
        for command in (("snakemake", "--cores", "2", "all"), ("dvc", "repro")):
            output = run(finished, *command, status=1 if command[0] == "snakemake" else 255)
            assert "unknown key 'strid'" in output
            assert "train base: seed" not in output
    finally:
        (finished / "params.yaml").write_text(original)
    assert "train base: seed" not in run(finished, "dvc", "repro"), "what had been made comes back out of the cache"
    assert (finished / "models/base/seed_0_best.safetensors").is_file()


def test_settings_on_the_command_line_are_refused(finished):
    """DVC would not see them."""
    output = run(finished, "snakemake", "-n", "--config", "split=1", "--", "all", status=1)
    assert "params.yaml alone" in output


def test_an_experiment_is_tried_and_compared_with_dvc(finished, tmp_path):
    folder = tmp_path / "clone"
    shutil.copytree(finished, folder, symlinks=True)
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "results")
    output = run(folder, "dvc", "exp", "run", "-S", "experiments.base.momentum=0.5")
    assert "train@base" in output
    assert "train linear_bn: seed" not in output
    lines = run(folder, "dvc", "metrics", "diff", "--json").splitlines()
    changed = json.loads(next(line for line in lines if line.startswith("{")))
    assert changed["metrics/base.json"]["roc_auc"]["diff"] != 0
    assert "metrics/linear_bn.json" not in changed
    assert "momentum" in run(folder, "dvc", "params", "diff")
    run(folder, "dvc", "plots", "diff", "HEAD", "--out", "plots")
    assert "metrics/curves/base.csv" in (folder / "plots/index.html").read_text()
    assert "0.5" in run(folder, "dvc", "exp", "show", "--only-changed", "--csv")


def test_a_training_that_was_killed_goes_on_and_gives_the_same_numbers(finished, tmp_path):
    """Killed (-9) after its first seed, by either tool's command; only the second seed is trained then."""
    arguments = ["--clips", "data/prepared/12000/clips.npy", "--split", "data/split/split.tsv"]
    arguments += ["--statistics", "data/statistics/12000.json", "--checkpoints", str(tmp_path / "checkpoints")]
    arguments += ["--model", str(tmp_path / "model"), "--curves", str(tmp_path / "curves.csv")]
    command = [sys.executable, "workflow/stage.py", "train", "--name", "base", *arguments]
    command += ["--timings", str(tmp_path / "timings.json")]
    one_thread = {**ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=finished, env=one_thread, text=True, stdout=subprocess.PIPE) as training:
        for line in training.stdout:
            if "seed 0 (1 of 2), epoch 1 of 1" in line:
                training.kill()
    assert not (tmp_path / "model").exists()
    again = subprocess.run(command, cwd=finished, env=one_thread, text=True, capture_output=True, check=True)
    assert "seed 1" in again.stdout
    assert "seed 0" not in again.stdout
    for name in ("seed_0_best.safetensors", "seed_1_best.safetensors", "history.csv"):
        assert (tmp_path / "model" / name).read_bytes() == (finished / "models/base" / name).read_bytes()


def round_trip(finished: Path, folder: Path, *remote: str) -> None:
    """Push to a remote, clone, pull: then nothing is left to do."""
    made, clone = folder / "made", folder / "a clone"
    shutil.copytree(finished, made, symlinks=True)
    run(made, "dvc", "remote", "add", "-d", "storage", remote[0])
    for setting in remote[1:]:
        run(made, "dvc", "remote", "modify", "storage", *setting.split("="))
    run(made, "git", "add", "-A")
    run(made, "git", "commit", "-qm", "results")
    assert "pushed" in run(made, "dvc", "push")
    shutil.rmtree(made / ".dvc/cache")
    run(folder, "git", "clone", "-q", str(made), str(clone))
    run(clone, "dvc", "pull", "dvc.yaml")
    assert "Nothing to be done" in run(clone, "snakemake", "--cores", "2", "all")
    assert metrics(clone) == metrics(finished)
    weights = "models/base/seed_0_best.safetensors"
    assert (clone / weights).read_bytes() == (finished / weights).read_bytes()
    assert not (clone / "data/raw").exists() and not (clone / "data/prepared/12000/clips.npy").exists()


def test_who_pulls_results_from_a_folder_computes_nothing(finished, tmp_path):
    round_trip(finished, tmp_path, str(tmp_path / "storage"))


def test_who_pulls_results_from_s3_computes_nothing(finished, tmp_path, monkeypatch):
    """Against a server on this machine that speaks S3."""
    needed = "pip install -r tests/remotes/requirements.lock brings what this test needs"
    pytest.importorskip("dvc_s3", reason=needed)
    server = pytest.importorskip("moto.server", reason=needed)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setitem(ENVIRONMENT, name, "testing")
    monkeypatch.setitem(ENVIRONMENT, "AWS_DEFAULT_REGION", "us-east-1")
    storage = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    storage.start()
    try:
        host, port = storage.get_host_and_port()
        address = f"http://{host}:{port}"
        assert requests.put(f"{address}/wavetag", timeout=10).status_code == 200
        round_trip(finished, tmp_path, "s3://wavetag/results", f"endpointurl={address}")
    finally:
        storage.stop()
