"""Subcommands of ``wavetag`` for trained models, a module each; those beside the pipeline are in ``command``.

A function adds a subcommand's options to a parser and returns what is run with them. What is heavy to import is
imported by what is run, so that ``wavetag --help`` is there at once.
"""

import sys
from pathlib import Path
from unicodedata import category


def complain(name: str, text: str) -> None:
    """Print what a subcommand has to complain of, as one line on standard error, whatever a file's name holds."""
    print(f"wavetag {name}: {on_terminal(' '.join(text.split()))}", file=sys.stderr, flush=True)


def name_of(path: Path) -> str:
    """The name of a file as text that can be written: bytes of it that are not UTF-8 as \\xff."""
    return _with_escapes(str(path), ("Cs",))


def on_terminal(text: str) -> str:
    """A text in which nothing moves the terminal's cursor: control characters, too, stand as \\x1b."""
    return _with_escapes(text, ("Cs", "Cc"))


def _with_escapes(text: str, categories: tuple[str, ...]) -> str:
    return "".join(_escape(letter) if category(letter) in categories else letter for letter in text)


def _escape(letter: str) -> str:
    number = ord(letter)
    if 0xDC80 <= number <= 0xDCFF:  # Python's stand-in for a byte
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
