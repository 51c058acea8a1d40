"""Pickled pandas frames from elsewhere, read without letting them run code.

A pickle is a program: it may call whatever it names. The reader here lets it name what a frame of plain values is made
of (pandas' own building blocks, NumPy arrays, built-in containers) and nothing else, and lets it change only objects
that it has made itself. See the warning at the head of the documentation of Python's module ``pickle``.
"""

import io
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from wavetag.datasets.layout import DatasetError

_INTERNALS, _INDEXES = "pandas.core.internals", "pandas.core.indexes"

# What a pickle may name -> where it is now. Older pandas and NumPy had some of it elsewhere.
ALLOWED = {
    **{
        (of, name): ("builtins", name)
        for of in ("builtins", "__builtin__")
        for name in ("slice", "bytearray", "object")
    },
    **{("numpy", name): ("numpy", name) for name in ("dtype", "ndarray")},
    **{
        (f"numpy.{core}.{module}", name): (f"numpy._core.{module}", name)
        for core in ("core", "_core")
        for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
    },
    **{("pandas", name): ("pandas", name) for name in ("DataFrame", "Index", "RangeIndex", "StringDtype")},
    ("pandas.core.frame", "DataFrame"): ("pandas", "DataFrame"),
    (f"{_INDEXES}.base", "Index"): ("pandas", "Index"),
    **{(f"{_INDEXES}.numeric", f"{kind}Index"): ("pandas", "Index") for kind in ("Int64", "UInt64", "Float64")},
    (f"{_INDEXES}.range", "RangeIndex"): ("pandas", "RangeIndex"),
    (f"{_INDEXES}.base", "_new_Index"): (f"{_INDEXES}.base", "_new_Index"),
    (f"{_INTERNALS}.managers", "BlockManager"): (f"{_INTERNALS}.managers", "BlockManager"),
    (_INTERNALS, "BlockManager"): (f"{_INTERNALS}.managers", "BlockManager"),
    ("pandas._libs.internals", "_unpickle_block"): ("pandas._libs.internals", "_unpickle_block"),
    (f"{_INTERNALS}.blocks", "new_block"): ("pandas._libs.internals", "_unpickle_block"),
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"): ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"),
    ("pandas.arrays", "StringArray"): ("pandas.arrays", "StringArray"),
    ("pandas.core.arrays.string_", "StringArray"): ("pandas.arrays", "StringArray"),
    ("pandas.core.arrays.string_", "StringDtype"): ("pandas", "StringDtype"),
}


def _encode(text: str, encoding: str) -> bytes:
    """What protocols below 3 write bytes as: ``_codecs.encode``, for the one encoding that they use."""
    if encoding != "latin1" or not isinstance(text, str):
        raise pickle.UnpicklingError(f"_codecs.encode to {encoding!r} is refused")
    return text.encode("latin1")


def _reconstructor(kind: type, base: type, state: Any) -> Any:
    """What protocols below 2 make objects with: ``copyreg._reconstructor``, for objects that are made empty."""
    if base is not object or state is not None:
        raise pickle.UnpicklingError(f"copyreg._reconstructor of {base!r} is refused")
    return object.__new__(kind)


FUNCTIONS = {
    ("_codecs", "encode"): _encode,
    **{(of, "_reconstructor"): _reconstructor for of in ("copy_reg", "copyreg")},
}


class _Reader(pickle._Unpickler):
    """An unpickler in Python, since the one in C cannot be told what may be changed."""

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in FUNCTIONS:
            return FUNCTIONS[module, name]
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no part of a frame of plain values")
        return super().find_class(*ALLOWED[module, name])

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside itself")

    def get_extension(self, code: int) -> None:
        raise pickle.UnpicklingError("it uses the extension registry")

    def load_build(self) -> None:
        # of a class or a function this would change what everything else in this process uses
        if callable(self.stack[-2]):
            raise pickle.UnpicklingError(f"it changes {self.stack[-2]!r}, which it has not made")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build


def load_frame(path: str | Path) -> pd.DataFrame:
    """Read a pickled DataFrame.

    Raises:
        DatasetError: the file is not there, is no whole pickle, names anything that is not in ``ALLOWED``, or holds
            something else than a DataFrame.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"{path}: no such file")
    try:
        frame = _Reader(io.BytesIO(path.read_bytes())).load()
        if type(frame) is not pd.DataFrame:
            raise pickle.UnpicklingError(f"it holds a {type(frame).__name__}")
        _use(frame)
    except OSError:
        raise
    except BaseException as error:
        # a damaged pickle may raise anything; Ctrl-C stays Ctrl-C
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise DatasetError(f"{path}: not a pickled pandas DataFrame of plain values: {error}") from error
    return frame


def _use(frame: pd.DataFrame) -> None:
    """Touch every value once: a frame that was put together wrongly fails here and not later."""
    if len({len(frame.index), *(len(frame[name]) for name in frame.columns)}) != 1:
        raise pickle.UnpicklingError("its columns are not of one length")
    for name in frame.columns:
        np.asarray(frame[name], dtype=object).tolist()
