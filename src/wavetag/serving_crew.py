"""The workers of ``wavetag serve``: so many files are worked on at a time, and each may cost its own worker alone.

Each worker is a pool of one process. When it dies, or takes too long and is ended, the one file that it had fails, and
it is begun anew for the next. The processes are forked from one that has imported what they need and nothing else: not
from the server, whose threads and open connections they would inherit.
"""

import asyncio
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from wavetag import processes, serving_work

LONGEST_FOLDER = 60  # bytes, of one for temporary files in which a socket can lie: its address has 107 at most
GRACE = 2.0  # seconds for which work goes on that nobody waits for any more: to begin a worker anew takes about as long


def _begin_forkserver() -> None:
    """Let the processes be forked from one with what they need; Ctrl-C, which reaches it too, is not for it."""
    forkserver.set_forkserver_preload(["wavetag.tagging", "wavetag.serving_work"])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as it is, it is inherited
    temporary = tempfile.tempdir
    try:
        if len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER:
            tempfile.tempdir = "/tmp"
        forkserver.ensure_running()
    finally:
        tempfile.tempdir = temporary
        signal.signal(signal.SIGINT, before)


def _end_forkserver() -> None:
    """So that it does not fork for who is not there any more, and complain of that."""
    import psutil

    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any("multiprocessing.forkserver" in word for word in child.cmdline()):
                child.kill()


class WorkError(RuntimeError):
    """A worker has died."""


class TooSlowError(WorkError):
    """A worker has taken too long, and was ended."""


class Worker:
    """A process that holds the model.

    Attributes:
        facts: what it said when it began: see ``serving_work.begin``.
    """

    def __init__(self, folder: Path):
        self.folder, self.facts = folder, {}
        self._pool: ProcessPoolExecutor | None = None

    @property
    def begun(self) -> bool:
        """Whether there is a process, as far as is known."""
        return self._pool is not None

    def begin(self) -> None:
        """Start the process, and wait until it has loaded the model.

        Raises:
            wavetag.model_folder.ModelError: it cannot be loaded.
            WorkError: the process died over it.
        """
        self._pool = processes.pool(1, "forkserver")
        try:
            self.facts = self._pool.submit(serving_work.begin, self.folder).result()
        except BrokenProcessPool:
            self.end()
            raise WorkError("a worker died when it loaded the model") from None
        except KeyboardInterrupt:
            _end_forkserver()
            raise
        except BaseException:
            self.end()
            raise

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future:
        """Let it do something. Raises ``BrokenProcessPool`` if it has died since."""
        assert self._pool is not None
        return self._pool.submit(work, *arguments)

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._pool is None:
            return
        for process in multiprocessing.active_children():
            if process.pid == self.facts.get("process"):
                process.kill()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None


class Crew:
    """Some workers, and who waits for one.

    Args:
        folder: of the model.
        count: of the workers.
        most_seconds: that one may take for one file.
    """

    def __init__(self, folder: Path, count: int, most_seconds: float):
        self.workers = [Worker(folder) for _ in range(count)]
        self.most_seconds = most_seconds
        self._free: asyncio.Queue[Worker] = asyncio.Queue()
        self._tasks: set[asyncio.Task] = set()

    def begin(self) -> dict[str, Any]:
        """Start them, from the main thread; what they say of the model. Raises: as ``Worker.begin``."""
        _begin_forkserver()
        for worker in self.workers:
            worker.begin()
            self._free.put_nowait(worker)
        return self.workers[0].facts

    def do_first(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Let one do something before the server listens; what comes of it."""
        return self.workers[0].submit(work, *arguments).result()

    async def do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Let the next that is free do something; what comes of it.

        Who is cancelled is not waited for: what was begun is ended soon, and its worker is free again.

        Raises:
            WorkError: the worker died.
            TooSlowError: it took too long.
            Exception: any that the work raised.
        """
        worker = await self._free.get()
        task = asyncio.create_task(self._do(worker, work, arguments))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._over(worker, task))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_later(GRACE, task.cancel)
            raise

    async def _do(self, worker: Worker, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            future = worker.submit(work, *arguments) if worker.begun else None
        except BrokenProcessPool:  # in its sleep
            worker.end()
            future = None
        if future is None:
            await asyncio.to_thread(worker.begin)
            future = worker.submit(work, *arguments)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.most_seconds)
        except BrokenProcessPool:
            worker.end()
            raise WorkError("a worker died") from None
        except TimeoutError:
            worker.end()
            raise TooSlowError(f"it took longer than {self.most_seconds:g} s") from None
        except asyncio.CancelledError:
            worker.end()
            raise

    def _over(self, worker: Worker, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        self._free.put_nowait(worker)
        if not task.cancelled():
            task.exception()  # somebody has seen it, or has gone

    def end(self) -> None:
        """End all of them at once."""
        for task in self._tasks:
            task.cancel()
        for worker in self.workers:
            worker.end()
