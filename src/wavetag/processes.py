"""Processes: how they work side by side, stop when they are told to or who started them is gone, and keep memory."""

import ctypes
import ctypes.util
import multiprocessing
import os
import select
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Any

SNAKEMAKE = "WAVETAG_SNAKEMAKE"  # environment variable: the process that scheduled this one


def _begin(initializer: Callable[..., None] | None = None, *arguments: Any) -> None:
    """What a worker does first."""
    # Ctrl-C reaches the whole group: a worker ends at once, the parent says what there is to say
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _end_with_parent() -> None:
    """End this process when its parent has: a worker that outlived a kill would write beside the next run's."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def end_with_starter() -> None:
    """End this process as soon as the one that started it has, killed or not (on Linux; elsewhere it goes on).

    A stage that outlived its DVC would go on writing what the next run's DVC has already begun to write.
    """
    library = ctypes.util.find_library("c")
    prctl = getattr(ctypes.CDLL(library), "prctl", None) if library else None
    if prctl is not None:
        starter, set_signal_of_parents_death = os.getppid(), 1  # PR_SET_PDEATHSIG of prctl.h
        prctl(set_signal_of_parents_death, signal.SIGKILL)
        if os.getppid() != starter:
            os._exit(1)


def end_with(process: int) -> None:
    """End this process as soon as another has, which need not be its parent (on Linux; elsewhere it goes on)."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        os._exit(1)
    except (AttributeError, OSError):
        return

    def watch() -> None:
        select.select([handle], [], [])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def pool(
    processes: int, start: str = "fork", initializer: Callable[..., None] | None = None, arguments: Sequence[Any] = ()
) -> ProcessPoolExecutor:
    """A pool of processes.

    Args:
        processes: how many.
        start: ``fork`` (quick) or ``spawn`` (needed where torch has threads already).
        initializer, arguments: what each process calls first, and with what; ``fork`` copies none of it.
    """
    context = multiprocessing.get_context(start)
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(initializer, *arguments))


def keep_memory() -> None:
    """Tell glibc to keep freed memory, and not to give it back to the system after each operation.

    A training step's tensors of some 15 MB are else mapped, zeroed and unmapped anew each time, which doubles the time
    of a step on a CPU. Does nothing under another C library.
    """
    library = ctypes.util.find_library("c")
    mallopt = getattr(ctypes.CDLL(library), "mallopt", None) if library else None
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)
