"""Processes that work side by side, and stop when they are told to or when who started them is gone."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait


def _begin() -> None:
    """What a worker does first."""
    # Ctrl-C reaches the whole group: a worker ends at once, the parent says what there is to say
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent has: a worker that outlived a kill would write beside the next run's."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def pool(processes: int, start: str = "fork") -> ProcessPoolExecutor:
    """A pool of processes, started by ``fork`` (quick) or ``spawn`` (needed where torch has threads already)."""
    context = multiprocessing.get_context(start)
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_begin)
