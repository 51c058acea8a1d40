"""python -m minitune OUT: make the embedded dataset."""

import argparse
import signal
import sys
import time

from minitune.dataset import GenerationError, generate


def _progress():
    """A callback that keeps one line up to date on a terminal, and writes a line each tenth into a log."""
    started = time.monotonic()
    first = None
    terminal = sys.stderr.isatty()

    def report(done: int, total: int) -> None:
        nonlocal first
        first = done if first is None else first
        made, seconds = done - first, time.monotonic() - started
        left = f", {seconds / made * (total - done):.0f} s left" if made > 0 and done < total else ""
        line = f"minitune: {done} of {total} clips{left}"
        if terminal:
            print(f"\r{line:<60}", end="" if done < total else "\n", file=sys.stderr, flush=True)
        elif done * 10 // total != (done - 1) * 10 // total or done == first:
            print(line, file=sys.stderr, flush=True)

    return report


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, or 1 after one line that says what was wrong (130 after Ctrl-C)."""
    parser = argparse.ArgumentParser(
        prog="python -m minitune",
        description="Compose and play a music dataset in MagnaTagATune's layout.",
    )
    parser.add_argument("out", help="folder to make (an older minitune dataset there is replaced)")
    parser.add_argument("--clips", type=int, default=1200, help="how many clips of 29.1 s (default 1200)")
    parser.add_argument("--seed", type=int, default=2014, help="other seeds give other music (default 2014)")
    parser.add_argument("--processes", type=int, default=2, help="the result does not depend on it (default 2)")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's kill ends as cleanly as Ctrl-C
    try:
        folder = generate(options.out, options.clips, options.seed, options.processes, _progress())
    except (ValueError, FileExistsError, GenerationError) as error:
        print(f"minitune: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nminitune: interrupted; start again to go on with the clips that are done", file=sys.stderr)
        return 130
    print(f"minitune: {options.clips} clips in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
