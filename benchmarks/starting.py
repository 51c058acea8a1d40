"""Times a process that imports torch, DVC or Snakemake and ends, as our commands do it and bare.

Ours looks for garbage seldom, and not once more when it ends (``wavetag.collecting``). The two take turns.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

from measure import in_turns, show

IMPORTED = {"torch": "import torch", "dvc": "from dvc.repo import Repo", "snakemake": "from snakemake import cli"}
OURS = "from wavetag.collecting import collect_seldom; collect_seldom(); "


def seconds(code: str) -> float:
    """How long a Python with this to do takes, from start to end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def rows(rounds: int = 5) -> Iterator[tuple[str, ...]]:
    """For the table: what, ours, what it is compared with, the other's, ratio."""
    for name, code in IMPORTED.items():
        found = in_turns(rounds, {"here": partial(seconds, OURS + code), "bare": partial(seconds, code)})
        here, bare = found["here"], found["bare"]
        yield f"start, import {name}, end", f"{here:.2f} s", "bare", f"{bare:.2f} s", f"{bare / here:.2f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    show(rows(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
