"""Processes that work side by side, and stop when they are told to."""

import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor


def _end_on_interrupt() -> None:
    """Ctrl-C reaches the whole group: a worker ends at once, the parent says what there is to say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def pool(processes: int, start: str = "fork") -> ProcessPoolExecutor:
    """A pool of processes, started by ``fork`` (quick) or ``spawn`` (needed where torch has threads already)."""
    context = multiprocessing.get_context(start)
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_end_on_interrupt)
