"""Subcommands of ``wavetag`` for trained models, a module each; those beside the pipeline are in ``command``.

A function adds a subcommand's options to a parser and returns what is run with them. What is heavy to import is
imported by what is run, so that ``wavetag --help`` is there at once.
"""

import sys


def complain(name: str, text: str) -> None:
    """Print what a subcommand has to complain of, as one line on standard error, whatever a file's name holds."""
    print(f"wavetag {name}: {' '.join(text.split())}", file=sys.stderr, flush=True)
