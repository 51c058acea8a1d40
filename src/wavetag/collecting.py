"""When Python looks for garbage: importing torch, DVC or Snakemake makes some 100,000 objects, all of which stay."""

import atexit
import gc


def collect_seldom() -> None:
    """Let the garbage collector run less often, and not over all that was imported once more when Python ends.

    A process that imports torch or Snakemake and does little else takes a quarter less (benchmarks/starting.py).
    """
    gc.set_threshold(100_000, 20, 20)
    atexit.register(gc.freeze)
