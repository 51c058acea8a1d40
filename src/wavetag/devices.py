"""Devices: which GPU a job takes, if any, and how precisely it multiplies there.

Snakemake says how many jobs may have a GPU at a time, not which one. A lease does: one lock file a device, held by the
process that uses it. The lock dies with the process.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def available() -> list[str]:
    """The GPUs that this job may use: none if it was told so (WAVETAG_GPU=0) or if there is none."""
    if os.environ.get("WAVETAG_GPU") == "0":
        return []
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


@contextmanager
def lease(devices: Sequence[str], folder: str | Path | None = None, poll: float = 0.5) -> Iterator[str]:
    """Hold one of ``devices`` for this process alone, once one is free; ``cpu`` if there is none to choose from.

    Under Slurm, which assigns devices itself, the first visible one is taken without a lock.
    """
    if not devices:
        yield "cpu"
        return
    if "SLURM_JOB_ID" in os.environ:
        yield devices[0]
        return
    folder = Path(folder or Path(tempfile.gettempdir()) / f"wavetag-leases-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    while True:
        for device in devices:
            with (folder / f"{device.replace(':', '-')}.lock").open("w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield device
                return
        time.sleep(poll)


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
