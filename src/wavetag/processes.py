"""Processes: how they work side by side, stop when they are told to or who started them is gone, and keep memory."""

import ctypes
import ctypes.util
import multiprocessing
import os
import select
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing.connection import wait
from pathlib import Path
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


def surviving(
    work: Callable[[Any], Any], items: Sequence[Any], processes: int, died: Callable[[Any], Any], together: int = 16
) -> Iterator[Any]:
    """What ``work`` makes of each item, in order, side by side; of one that ends its process, what ``died`` says.

    When a process dies, all items that were under way are tried once more, each in a process of its own: so one that is
    killed from outside costs nothing, and a file that crashes the library that decodes it costs that file alone.

    Args:
        work: any function; the processes, which are forked, have it.
        items: each is sent to one of them.
        processes: how many.
        died: item -> result, of one whose process has died twice.
        together: items that are sent at a time, at most.
    """
    together = max(1, min(together, -(-len(items) // (4 * processes))))
    chunks = iter([items[start : start + together] for start in range(0, len(items), together)])
    running: deque[tuple[Future, Sequence[Any]]] = deque()
    workers = pool(processes, "fork", _take, [work])
    try:
        while True:
            for some in islice(chunks, 2 * processes - len(running)):
                running.append((_submitted(workers, some), some))
            if not running:
                return
            future, some = running.popleft()
            try:
                results = future.result()
            except BrokenProcessPool:
                workers.shutdown(wait=True, cancel_futures=True)
                for one in chain(some, *(others for _, others in running)):
                    yield _alone(work, one, died)
                running.clear()
                workers = pool(processes, "fork", _take, [work])
                continue
            yield from results
    finally:
        workers.shutdown(wait=True, cancel_futures=True)


_WORK: Callable[[Any], Any] | None = None  # in a worker process, and nowhere else


def _take(work: Callable[[Any], Any]) -> None:
    global _WORK
    _WORK = work


def _submitted(workers: ProcessPoolExecutor, items: Sequence[Any]) -> Future:
    try:
        return workers.submit(_each, items)
    except BrokenProcessPool as error:  # already, over another
        future: Future = Future()
        future.set_exception(error)
        return future


def _each(items: Sequence[Any]) -> list[Any]:
    assert _WORK is not None
    return [_WORK(item) for item in items]


def _alone(work: Callable[[Any], Any], item: Any, died: Callable[[Any], Any]) -> Any:
    with pool(1, "fork", _take, [work]) as workers:
        try:
            [result] = workers.submit(_each, [item]).result()
        except BrokenProcessPool:
            return died(item)
    return result


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


def snakemakes(folder: Path) -> list[int]:
    """Numbers of the other processes that are a Snakemake at work in a folder; or may be, of another user's.

    A shell in whose command line the word is is none.
    """
    import psutil

    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()[:3]  # snakemake …; python snakemake …; python -m snakemake …
            if process.pid in mine or not any(Path(word).name == "snakemake" for word in words):
                continue
            if not Path(process.cwd()).samefile(folder):
                continue
        except psutil.AccessDenied:
            pass
        except (psutil.Error, OSError):
            continue
        found.append(process.pid)
    return found
