"""Leases of pretended GPUs, between real processes."""

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
with devices.lease(sys.argv[2:], sys.argv[1], poll=0.02) as device:
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

    def hold(*names):
        command = [sys.executable, "-c", HOLD, str(tmp_path / "leases"), *names]
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


def test_slurm_assigns_devices_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with devices.lease(["cuda:0"], tmp_path) as one, devices.lease(["cuda:0"], tmp_path) as other:
        assert one == other == "cuda:0"
    assert not list(tmp_path.iterdir())


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
