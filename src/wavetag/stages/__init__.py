"""The scripts that the pipeline runs, one a stage: paths and settings in, files out. The science is in the library."""

import errno
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

EXPECTED = (ValueError, RuntimeError, FileNotFoundError, PermissionError)


def stage(main: Callable[[], None]) -> Callable[[], int]:
    """Turn what can be expected to go wrong into one line on standard error and a status; a bug keeps its traceback."""
    name = Path(sys.modules[main.__module__].__file__).stem

    @wraps(main)
    def run() -> int:
        try:
            main()
        except KeyboardInterrupt:
            print(f"{name}: stopped; run the same command again to go on", file=sys.stderr)
            return 130
        except EXPECTED as error:
            if os.environ.get("WAVETAG_TRACEBACK"):
                raise
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            print(
                f"{name}: no space left on the disk: free some and run the same command again",
                file=sys.stderr,
            )
            return 1
        return 0

    return run


def threads() -> int:
    """How many threads this job may use: what Snakemake says (it exports OMP_NUM_THREADS), else all cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


def say(line: str) -> None:
    """A line of progress, at once, so that a log shows where a run is."""
    print(line, flush=True)
