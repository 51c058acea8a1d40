"""Devices: which GPU a job takes, if any, and how precisely it multiplies there.

Snakemake says how many jobs may have a GPU at a time, not which one. A lease does: one lock file for each place on a
device, held by the process that uses it. The lock dies with the process.
"""

import fcntl
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing torch takes seconds, and not every job needs it
    import torch


def available() -> list[str]:
    """The GPUs that this job may use: none if it was told so (WAVETAG_GPU=0) or if there is none."""
    if os.environ.get("WAVETAG_GPU") == "0":
        return []
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def _silent(line: str) -> None:
    pass


@contextmanager
def lease(
    devices: Sequence[str],
    folder: str | Path | None = None,
    poll: float = 0.5,
    jobs: int = 1,
    tell: Callable[[str], None] = _silent,
) -> Iterator[str]:
    """Hold a place on one of ``devices``, once one is free; ``cpu`` if there is none to choose from.

    The emptiest device is taken. A place is a locked file, named by what CUDA_VISIBLE_DEVICES calls the device: it is
    free again when the process that holds it ends, in whatever way. Under Slurm, which assigns devices itself, the
    places are those of the devices of one Slurm job: cuda:0 of another may be another device.

    Args:
        devices: as ``available`` names them.
        folder: for the lock files; by default one of the user's among the temporary files, so that all of a user's runs
            share the machine's devices.
        poll: seconds between two tries.
        jobs: how many may have one device at a time.
        tell: takes a line each about the wait, if there is one, and about the device.
    """
    if not devices:
        tell(f"on the CPU{': no GPU was asked for' if os.environ.get('WAVETAG_GPU') == '0' else ''}")
        yield "cpu"
        return
    allocation = os.environ.get("SLURM_JOB_ID", "")
    by = ", given by Slurm" if allocation else ""
    whose = {device: f"slurm-{allocation}-{device}" if allocation else _on_machine(device) for device in devices}
    names = {device: re.sub(r"[^A-Za-z0-9-]", "-", name) for device, name in whose.items()}
    folder = Path(folder or Path(tempfile.gettempdir()) / f"wavetag-leases-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    waited = False
    while True:
        for place in range(jobs):  # the first place of every device, before the second of any
            for device in devices:
                with (folder / f"{names[device]}.{place}.lock").open("w") as file:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        continue
                    of = f", place {place + 1} of {jobs}" if jobs > 1 else ""
                    tell(f"on {device}{_physical(device)}{of}{by}")
                    yield device
                    return
        if not waited:
            waited = True
            tell(f"waits for one of {', '.join(devices)}: {jobs} at a time on each, and all are taken")
        time.sleep(poll)


def _on_machine(device: str) -> str:
    """A visible GPU by its name among all of the machine's: which one is ``cuda:0`` depends on what a process sees."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    kind, _, number = device.rpartition(":")
    return f"{kind}:{visible[int(number)]}" if visible != [""] and int(number) < len(visible) else device


def _physical(device: str) -> str:
    """Which of the machine's GPUs a visible one is, where that is not all of them."""
    if not os.environ.get("CUDA_VISIBLE_DEVICES"):
        return ""
    return f" (GPU {_on_machine(device).partition(':')[2]} of the machine)"


def put(tensor: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
    """A tensor of the CPU's on a device. To a GPU from locked pages, so that the copy waits for nothing else."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def precision(setting: str, device: str) -> str:
    """The type in which a device takes the products of a training step, ``float32`` or ``bfloat16``.

    Args:
        setting: one of the two; or ``auto``: bfloat16 where the device multiplies it faster, else float32.
        device: ``cpu``, or a GPU as ``available`` names it.
    """
    if setting != "auto":
        return setting
    import torch

    if device == "cpu":
        can = torch.cpu.get_capabilities()
        fast = can.get("avx512_bf16") or can.get("amx_bf16")
    else:
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    return "bfloat16" if fast else "float32"
