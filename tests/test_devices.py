"""Leases of pretended GPUs, between real processes."""

import itertools
import os
import signal
import subprocess
import sys
import time

import pytest

from wavetag import devices

HOLD = """
import sys
from wavetag import devices
with devices.lease(sys.argv[3:], sys.argv[1], poll=0.02, jobs=int(sys.argv[2])) as device:
    print(device, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def _no_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv("WAVETAG_GPU", raising=False)


@pytest.fixture
def hold(tmp_path):
    """Start a process that holds a lease until it is given a line."""
    started = []

    def hold(*names, jobs=1):
        command = [sys.executable, "-c", HOLD, str(tmp_path / "leases"), str(jobs), *names]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        os.set_blocking(process.stdout.fileno(), False)
        started.append(process)
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def device_of(process, seconds=10.0):
    """What the process says that it holds, waited for; None if it says nothing in that time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        line = process.stdout.readline()
        if line:
            return line.strip()
        time.sleep(0.01)
    return None


def test_without_a_gpu_the_device_is_the_cpu(tmp_path):
    with devices.lease([], tmp_path) as device:
        assert device == "cpu"
    assert not list(tmp_path.iterdir())


def test_two_processes_hold_different_devices_and_a_third_waits(hold):
    names = ("cuda:0", "cuda:1")
    first, second = hold(*names), hold(*names)
    assert {device_of(first), device_of(second)} == set(names)
    third = hold(*names)
    assert device_of(third, seconds=0.7) is None
    second.stdin.write("\n")
    second.stdin.flush()
    assert second.wait(timeout=10) == 0
    assert device_of(third) in names


def test_a_killed_holder_frees_its_device(hold):
    first = hold("cuda:0")
    assert device_of(first) == "cuda:0"
    second = hold("cuda:0")
    assert device_of(second, seconds=0.7) is None
    first.send_signal(signal.SIGKILL)
    assert device_of(second) == "cuda:0"


def test_an_error_inside_a_lease_frees_the_device(tmp_path):
    with pytest.raises(RuntimeError, match="diverged"), devices.lease(["cuda:0"], tmp_path):
        raise RuntimeError("diverged")
    with devices.lease(["cuda:0"], tmp_path) as device:
        assert device == "cuda:0"


def test_a_job_that_was_given_no_gpu_has_none(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.available() == ["cuda:0", "cuda:1"]
    monkeypatch.setenv("WAVETAG_GPU", "0")
    assert devices.available() == []
    monkeypatch.setenv("WAVETAG_GPU", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.available() == []


def test_precision_is_what_the_setting_says_or_what_the_device_is_fast_at(monkeypatch):
    import torch

    for can, expected in [({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16"), ({}, "float32")]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda can=can: can)
        assert devices.precision("auto", "cpu") == expected
        assert devices.precision("float32", "cpu") == "float32"
        assert devices.precision("bfloat16", "cpu") == "bfloat16"
    for capability, expected in [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert devices.precision("auto", "cuda:0") == expected


RUNS = """
import sys, time
from wavetag import devices
print("ready", flush=True)
sys.stdin.readline()
with devices.lease(sys.argv[3:], sys.argv[1], poll=0.01, jobs=int(sys.argv[2])) as device:
    print("begin", device, time.monotonic(), flush=True)
    time.sleep(0.3)
    print("end", device, time.monotonic(), flush=True)
"""


def most_at_once(spans):
    """The most of (begin, end) that overlap."""
    marks = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    return max(itertools.accumulate(step for _, step in marks))


@pytest.mark.parametrize("jobs", [1, 2])
def test_eight_jobs_share_three_devices_though_some_are_killed(tmp_path, jobs):
    """Every job has a device for itself, or for as many as may share it, and those that are killed leave theirs."""
    names = ["cuda:0", "cuda:1", "cuda:2"]
    command = [sys.executable, "-c", RUNS, str(tmp_path / "leases"), str(jobs), *names]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(8)]
    assert [process.stdout.readline() for process in started] == ["ready\n"] * 8
    for process in started:  # all at once
        process.stdin.write("\n")
        process.stdin.flush()
    killed, spans = started[:2], {name: [] for name in names}
    begun = {}
    for process in killed:  # while they hold a device
        _, device, begin = process.stdout.readline().split()
        begun[process] = (device, float(begin), time.monotonic())
        process.kill()
        process.wait()
    for process in started:
        output = process.stdout.read()  # not communicate(), which passes over what readline() has read ahead
        process.wait(timeout=60)
        if process in killed and "end" not in output:
            device, begin, end = begun[process]
        else:
            lines = [line.split() for line in output.splitlines()]
            if process in begun:
                lines.insert(0, ["begin", begun[process][0], begun[process][1]])
            (_, device, begin), (_, _, end) = lines
        spans[device].append((float(begin), float(end)))
    assert sum(map(len, spans.values())) == 8, "every job ran"
    assert all(spans.values()), "no device stood idle"
    assert max(most_at_once(of) for of in spans.values()) <= jobs
    assert [process.returncode for process in started[2:]] == [0] * 6


def test_the_emptiest_device_is_taken(hold, monkeypatch):
    held = []
    for _ in range(6):
        process = hold("cuda:0", "cuda:1", "cuda:2", jobs=2)
        held.append(device_of(process))
    assert held[:3] == held[3:] == ["cuda:0", "cuda:1", "cuda:2"]
    assert device_of(hold("cuda:0", "cuda:1", "cuda:2", jobs=2), seconds=0.7) is None


def test_a_gpu_has_one_place_by_whatever_name_a_process_sees_it(tmp_path, monkeypatch):
    monkeypatch.setattr(devices.time, "sleep", lambda seconds: pytest.fail("waits"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with devices.lease(["cuda:0"], tmp_path):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        with devices.lease(["cuda:1", "cuda:0"], tmp_path) as other:
            assert other == "cuda:0", "the other is taken"
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, 2")
            with devices.lease(["cuda:0", "cuda:1"], tmp_path) as third:
                assert third == "cuda:1"
            with pytest.raises(pytest.fail.Exception), devices.lease(["cuda:0"], tmp_path):
                pass
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-1/2/3")
    with devices.lease(["cuda:0"], tmp_path):
        assert (tmp_path / "cuda-MIG-GPU-1-2-3.0.lock").exists()


def test_the_log_says_which_device_and_what_was_waited_for(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    told = []
    with devices.lease(["cuda:1"], tmp_path, jobs=2, tell=told.append):
        pass
    assert told == ["on cuda:1 (GPU 5 of the machine), place 1 of 2"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    told.clear()
    with devices.lease(["cuda:0"], tmp_path):

        def wait(seconds):
            raise TimeoutError

        monkeypatch.setattr(devices.time, "sleep", wait)
        with pytest.raises(TimeoutError), devices.lease(["cuda:0"], tmp_path, tell=told.append):
            pass
    assert told == ["waits for one of cuda:0: 1 at a time on each, and all are taken"]
    told.clear()
    with devices.lease([], tell=told.append):
        pass
    monkeypatch.setenv("WAVETAG_GPU", "0")
    with devices.lease([], tell=told.append):
        pass
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with devices.lease(["cuda:0"], tmp_path, tell=told.append):
        pass
    assert told == ["on the CPU", "on the CPU: no GPU was asked for", "on cuda:0, given by Slurm"]


def test_under_slurm_only_the_trainings_of_one_job_share_devices(tmp_path, monkeypatch):
    """To each job its first GPU is cuda:0."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with (
        devices.lease(["cuda:0", "cuda:1"], tmp_path) as first,
        devices.lease(["cuda:0", "cuda:1"], tmp_path) as second,
    ):
        monkeypatch.setenv("SLURM_JOB_ID", "8")
        with devices.lease(["cuda:0", "cuda:1"], tmp_path) as of_another:
            assert (first, second, of_another) == ("cuda:0", "cuda:1", "cuda:0")


def test_to_a_gpu_samples_go_from_locked_pages():
    """Pretended: what is asked of a tensor, in order."""

    class Pretended:
        asked = ()

        def pin_memory(self):
            self.asked += ("pin_memory",)
            return self

        def to(self, device, non_blocking=False):
            self.asked += (str(device), non_blocking)
            return self

    import torch

    assert devices.put(Pretended(), torch.device("cuda:1")).asked == ("pin_memory", "cuda:1", True)
    assert devices.put(Pretended(), torch.device("cpu")).asked == ("cpu", False)
