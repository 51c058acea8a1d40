"""The pipeline in miniature through a real Slurm of one node with two pretended GPUs: ``profiles/slurm`` as it is.

One training is killed (-9) in the midst of it and one is cancelled; a second copy runs the same without Slurm. Debian:
``python tests/slurm/cluster.py --install``. Where there is no Slurm the tests skip, saying so; with CI set in the
environment it is installed first.
"""

import os
import re
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cluster
import psutil
import pytest

import miniature

pytestmark = pytest.mark.slow

EPOCHS = 12
PATIENCE = 900  # seconds, for a machine with much else to do
CONFIGS = {**miniature.CONFIGS, "mel": {"frontend": "mel"}}  # more trainings than GPUs
POLL = ("--slurm-init-seconds-before-status-checks", "1")  # for jobs of seconds; all else is the profile's
PARTING = 6.0  # seconds: Slurm gives a cancelled job five to end (KillWait), in which the next may have begun
KILLED, CANCELLED, LEFT_ALONE = "base", "linear_bn", "mel"


@dataclass
class Watch(threading.Thread):
    """Looks four times a second at what runs on the cluster.

    Attributes:
        holders: Slurm job -> the devices that its processes were told of (CUDA_VISIBLE_DEVICES).
        clashes: pairs of jobs that held one device at once, for longer than it takes one of them to end.
        most: how many devices were held at once.
        trainings: what the processes that train were told: of GPUs by Slurm, by Snakemake (WAVETAG_GPU).
    """

    on: cluster.Cluster
    holders: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    clashes: set[tuple[str, str]] = field(default_factory=set)
    met: dict[tuple[str, str], float] = field(default_factory=dict)
    most: int = 0
    trainings: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        while not self.ended.wait(0.25):
            held: dict[str, str] = {}
            now = time.monotonic()
            for process in self.on.processes():
                told = cluster.environment(process)
                job, device = told.get("SLURM_JOB_ID"), told.get("CUDA_VISIBLE_DEVICES")
                if job is None or device is None:
                    continue
                self.holders[job].add(device)
                if held.setdefault(device, job) != job:
                    pair = min(held[device], job), max(held[device], job)
                    if now - self.met.setdefault(pair, now) > PARTING:
                        self.clashes.add(pair)
                if of_training(process, "train"):
                    self.trainings.add((device, told.get("WAVETAG_GPU", "")))
            self.most = max(self.most, len(held))


def of_training(process: psutil.Process, *words: str) -> bool:
    """Whether a process is a stage that was called with these words."""
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return "workflow/stage.py" in command and set(words) <= set(command)


def stage(on: cluster.Cluster, name: str) -> tuple[psutil.Process, str]:
    """The process that trains a config, and its Slurm job."""
    for process in on.processes():
        if of_training(process, "train", name):
            return process, cluster.environment(process)["SLURM_JOB_ID"]
    raise AssertionError(f"nothing trains {name}")


@contextmanager
def running(folder: Path, environment: Mapping[str, str], *command: str) -> Iterator[subprocess.Popen]:
    """A command whose output goes into a file; killed if the block ends before it."""
    with (
        (folder / "output.txt").open("w") as output,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def reached(folder: Path, name: str, words: str) -> bool:
    """Whether the training of a config has come to where its log has these words."""
    log = folder / f"logs/train_{name}.log"
    return log.is_file() and words in log.read_text()


def slurm_jobs(on: cluster.Cluster) -> list[dict[str, str]]:
    """What Slurm knows of each job that it was given: key -> value."""
    found = []
    for line in on.run("scontrol", "show", "job", "--oneliner").splitlines():
        found.append(dict(re.findall(r"(\w+)=(\S*)", line)))
    return found


@dataclass
class Finished:
    """A copy in which `snakemake --profile profiles/slurm all` has run, one that Slurm has not seen, what was noted."""

    folder: Path
    local: Path
    output: str
    jobs: list[dict[str, str]]
    watch: Watch
    killed: str
    cancelled: str
    again: str

    def of_rule(self, rule: str, config: str = "") -> list[dict[str, str]]:
        """The jobs of a rule."""
        return [job for job in self.jobs if rule in job["Comment"] and config in job["Comment"]]


def few_epochs(params) -> None:
    params["dataset"]["clips"] = 32
    params["prepare"]["sample_rates"] = [12_000]
    for settings in (params["defaults"], *params["experiments"].values()):
        settings.update(epochs=EPOCHS, patience=None)


@pytest.fixture(scope="module")
def on() -> Iterator[cluster.Cluster]:
    try:
        if os.environ.get("CI"):
            cluster.install()
        with cluster.cluster(gpus=2) as started:
            yield started
    except cluster.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def finished(on, tmp_path_factory) -> Finished:
    folder = miniature.copy(tmp_path_factory.mktemp("slurm") / "wave tag", CONFIGS, few_epochs)
    local = miniature.copy(tmp_path_factory.mktemp("local") / "wave tag", CONFIGS, few_epochs)
    environment = {**miniature.ENVIRONMENT, **{name: on.environment[name] for name in ("SLURM_CONF", cluster.MARK)}}
    command = ["snakemake", "--profile", "profiles/slurm", *POLL, "all"]
    undisturbed = ["snakemake", "--cores", "1", *(f"metrics/{name}.json" for name in (*CONFIGS, "baselines"))]
    watch = Watch(on)
    watch.start()
    with running(folder, environment, *command) as run, running(local, miniature.ENVIRONMENT, *undisturbed) as other:
        hit = {}
        while len(hit) < 2:  # in whichever order Slurm starts them
            assert run.poll() is None, "Snakemake has ended before"
            if KILLED not in hit and reached(folder, KILLED, "seed 1 (2 of 2), epoch 3 of"):
                process, hit[KILLED] = stage(on, KILLED)
                process.send_signal(signal.SIGKILL)
            if CANCELLED not in hit and reached(folder, CANCELLED, "seed 0 (1 of 2), epoch 3 of"):
                hit[CANCELLED] = stage(on, CANCELLED)[1]
                on.run("scancel", hit[CANCELLED])
            time.sleep(0.02)
        statuses = [run.wait(PATIENCE), other.wait(PATIENCE)]
    watch.ended.set()
    watch.join()
    told = (folder / "output.txt").read_text()
    assert statuses == [0, 0], told[-6000:]
    jobs = slurm_jobs(on)
    again = miniature.run(folder, *command, environment=environment)
    return Finished(folder, local, told, jobs, watch, hit[KILLED], hit[CANCELLED], again)


def test_one_command_gives_the_tables(finished):
    assert "Table I" in finished.output
    assert "linear_bn" in (finished.folder / "metrics/tables/table2.md").read_text()
    assert (finished.folder / "reports/page/index.html").is_file()


def test_the_same_command_again_does_nothing(finished):
    assert "Nothing to be done" in finished.again


def test_dvc_finds_everything_up_to_date(finished):
    assert "up to date" in miniature.run(finished.folder, "dvc", "status", "dvc.yaml")


def test_a_killed_training_and_a_cancelled_one_are_retried_and_finished(finished):
    states = {job["JobId"]: job["JobState"] for job in finished.jobs}
    assert states[finished.killed] == "FAILED"
    assert states[finished.cancelled] == "CANCELLED"
    for config, first in ((KILLED, finished.killed), (CANCELLED, finished.cancelled)):
        second = [job["JobId"] for job in finished.of_rule("rule_train", config) if job["JobId"] != first]
        assert [states[job] for job in second] == ["COMPLETED"]
    assert sorted(states.values()) == ["CANCELLED", *["COMPLETED"] * (len(states) - 2), "FAILED"]


def test_a_retried_training_goes_on_where_it_was_killed(finished):
    log = (finished.folder / f"logs/train_{KILLED}.log").read_text()
    assert "seed 0" not in log
    first = re.search(r"seed 1 \(2 of 2\), epoch (\d+) of", log)
    assert int(first[1]) > 3


def test_the_metrics_are_those_of_an_undisturbed_run_without_slurm(finished):
    assert set(miniature.metrics(finished.folder)) == {"baselines.json", *(f"{name}.json" for name in CONFIGS)}
    assert miniature.metrics(finished.folder) == miniature.metrics(finished.local)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_weights_are_those_of_an_undisturbed_run_without_slurm(finished, name):
    weights = sorted(path.name for path in (finished.local / "models" / name).glob("*.safetensors"))
    assert len(weights) == 4
    for weight in weights:
        made, expected = (folder / "models" / name / weight for folder in (finished.folder, finished.local))
        assert made.read_bytes() == expected.read_bytes()


def test_no_two_jobs_hold_a_gpu_at_once(finished):
    trained = [job["JobId"] for job in finished.of_rule("rule_train")]
    assert len(trained) == len(CONFIGS) + 2
    assert {job: len(devices) for job, devices in finished.watch.holders.items()} == dict.fromkeys(trained, 1)
    assert not finished.watch.clashes


def test_both_gpus_are_used_side_by_side(finished):
    assert finished.watch.most == 2
    assert set.union(*finished.watch.holders.values()) == {"0", "1"}


def test_a_training_is_told_to_take_the_gpu_that_slurm_gave_it(finished):
    """Though no driver lists one."""
    assert {gpu for _, gpu in finished.watch.trainings} == {"1"}


def test_short_rules_share_a_job(finished):
    """Else each would wait in the queue for a few seconds of work."""
    of_groups = [job for job in finished.jobs if "rule_train" not in job["Comment"]]
    assert len(of_groups) == len(("data", "baseline", "results")) + len(CONFIGS)


def test_composing_and_decoding_have_several_processors(finished):
    assert [job["NumCPUs"] for job in finished.jobs if "rule_data" in job["Comment"]] == ["4"]


def test_a_training_asks_for_one_processor_and_one_gpu_and_at_its_second_attempt_for_more_time_and_memory(finished):
    for config, first in ((KILLED, finished.killed), (CANCELLED, finished.cancelled)):
        jobs = finished.of_rule("rule_train", config)
        assert all(job["NumCPUs"] == "1" and job["TresPerJob"] == "gres:gpu:1" for job in jobs)
        asked = {job["JobId"] == first: (minutes(job["TimeLimit"]), megabytes(job["MinMemoryNode"])) for job in jobs}
        assert asked[False] == tuple(2 * amount for amount in asked[True])


def minutes(limit: str) -> int:
    """Of a time as Slurm writes it: 01:30:00, or 1-01:30:00 with days."""
    days, _, hours = limit.rpartition("-")
    hour, minute, _ = map(int, hours.split(":"))
    return (int(days or 0) * 24 + hour) * 60 + minute


def megabytes(amount: str) -> float:
    """Of memory as Slurm writes it: 4000M, or 4G."""
    return float(amount[:-1]) * {"M": 1, "G": 1024}[amount[-1]]
