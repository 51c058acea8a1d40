"""The scripts that the pipeline runs, one a stage: paths and settings in, files out. The science is in the library."""

import errno
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path

EXPECTED = (ValueError, RuntimeError, FileNotFoundError, PermissionError)


def stage(main: Callable[[], None]) -> Callable[[], int]:
    """Make a script of a stage's ``main``: it ends with a status, and what can be expected to go wrong is one line."""
    name = Path(sys.modules[main.__module__].__file__).stem

    @wraps(main)
    def run() -> int:
        ended = status(name, main)
        if ended == 0:
            say(f"{name}: done in {_seconds_since_start():.1f} s, {_computed():.1f} s of computing")
        return ended

    return run


def _seconds_since_start() -> float:
    """Of this process, its imports included."""
    import psutil

    return time.time() - psutil.Process().create_time()


def _computed() -> float:
    """Seconds that a processor worked for this process and for those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def status(name: str, run: Callable[[], int | None]) -> int:
    """Run something: what it returns or 0, 130 if it was stopped, 1 after an error that can be expected.

    Such an error is one line on standard error, unless WAVETAG_TRACEBACK is set. A bug keeps its traceback.
    """
    try:
        return run() or 0
    except KeyboardInterrupt:
        print(f"{name}: stopped; run the same command again to go on", file=sys.stderr)
        return 130
    except EXPECTED as error:
        if os.environ.get("WAVETAG_TRACEBACK"):
            raise
        from wavetag.commands import on_terminal

        lines = map(on_terminal, str(error).split("\n"))  # names of files among it, and what was in them
        print(f"{name}: " + "\n".join(lines), file=sys.stderr)
        return 1
    except BrokenPipeError:  # who read the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            print(f"{name}: {str(error.filename)[:80]!r}…: longer than a name can be", file=sys.stderr)
            return 1
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"{name}: no space left on the disk: free some and run the same command again", file=sys.stderr)
        return 1


def threads() -> int:
    """How many threads this job may use: what Snakemake says (it exports OMP_NUM_THREADS), else all cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


def say(line: str) -> None:
    """A line of progress, at once, so that a log shows where a run is."""
    print(line, flush=True)
