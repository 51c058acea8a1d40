"""Files and folders that are either whole or not there: written under a temporary name, then renamed."""

import csv
import errno
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

LONGEST_NAME = 255  # bytes that the name of a file may have


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path``, which takes its name when the block ends without an exception.

    On any exception, Ctrl-C and a full disk among them, the temporary file is removed and ``path`` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_hidden(path.name)}.{os.getpid()}.part")
    _remove_leftovers(path)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(folder: str | Path) -> Iterator[Path]:
    """An empty folder beside ``folder``, which takes its place and name when the block ends without an exception.

    On any exception it is removed, and ``folder`` is as it was. What a killed process left of it is begun anew.
    """
    folder = Path(folder)
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_file(path: str | Path) -> bool:
    """Whether there is such a file; of a name that is longer than names can be there is none."""
    return is_there(path) and Path(path).is_file()


def is_there(path: str | Path) -> bool:
    """Whether there is such a file or folder; of a name that is longer than names can be there is none."""
    try:
        return Path(path).exists()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def _hidden(name: str) -> str:
    """How the temporary names of a file begin, with room for how they end."""
    return "." + name.encode()[: LONGEST_NAME - 55].decode(errors="ignore")


def _remove_leftovers(path: Path) -> None:
    """Remove what processes that are gone had begun to write of ``path``: a killed one cannot tidy up after itself."""
    for leftover in path.parent.glob(f"{glob.escape(_hidden(path.name))}.*.part"):
        process = leftover.name.split(".")[-2]
        if process.isdigit() and not Path(f"/proc/{process}").exists():
            leftover.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON, indented, keys in the order given, numbers that are not finite refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_table(path: str | Path, table: Any, decimals: int | None = None) -> None:
    """Write a pandas frame as comma- or tab-separated text (by the suffix), whole or not at all."""
    separator = "\t" if Path(path).suffix == ".tsv" else ","
    number_format = None if decimals is None else f"%.{decimals}f"
    write_text(path, table.to_csv(None, sep=separator, index=False, lineterminator="\n", float_format=number_format))


def write_arrays(path: str | Path, **arrays: np.ndarray) -> None:
    """Write named arrays as .npz: the same arrays always give the same bytes."""
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def write_sealed(path: str | Path, content: bytes | memoryview) -> None:
    """Write bytes and their SHA-256 sum behind them, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_bytes(b"".join([content, hashlib.sha256(content).digest()]))


def read_sealed(path: str | Path) -> bytes:
    """Read what ``write_sealed`` wrote. Raises ``ValueError`` that names the file if one bit of it is another."""
    content = Path(path).read_bytes()
    length = len(content) - hashlib.sha256().digest_size
    if length < 0 or hashlib.sha256(content[:length]).digest() != content[length:]:
        raise ValueError(f"{path}: damaged: its sum is not that of its content")
    return content[:length]


def read_json(path: str | Path) -> Any:
    """Read JSON. Raises ``ValueError`` that names the file if it is not there or not whole."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError:  # without its thousand frames
        raise ValueError(f"{path}: not valid JSON: brackets within brackets, too deep to be read") from None
    except ValueError as error:  # json's own, of text that is not UTF-8, and of numbers of thousands of digits
        raise ValueError(f"{path}: not valid JSON: {one_line(error)}") from error


def check_cells(path: str | Path, separator: str = "\t") -> list[str]:
    """The header of a table in which each row has as many cells as it.

    pandas fills a shorter row up, and takes the first cells of longer ones for their names.

    Raises:
        ValueError: a row has more or fewer.
        csv.Error, OSError: it is no table, or not there.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=separator)
        header = next(rows, [])
        for row in rows:
            if row and len(row) != len(header):
                where = f"the row that ends in line {rows.line_num}"
                raise ValueError(f"{where} has {len(row)} cells, where the header has {len(header)}")
    return header


def one_line(said: object, most: int = 500) -> str:
    """What somebody else's error says, for a message of ours: in one line, its beginning if it is long."""
    line = " ".join(str(said).split())
    return line if len(line) <= most else f"{line[:most]}…"


def rounded(value: Any, decimals: int) -> Any:
    """``value`` with every float in it rounded, in dicts and lists too: figures that a person reads and compares."""
    if isinstance(value, dict):
        return {key: rounded(item, decimals) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, decimals) for item in value]
    return round(float(value), decimals) if isinstance(value, float | np.floating) else value
