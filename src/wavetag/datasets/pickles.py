"""Pickled pandas frames from elsewhere, read without letting them run code.

A pickle is a program: it calls what it names, and pandas and NumPy, which were never made for hostile arguments, can be
made to crash or worse by what they are called with. So nothing that a pickle names is called here. Each name that a
frame of plain values is made of leads to a stand-in, which keeps what it was given; every other name is refused. The
frame is then put together from what the stand-ins hold, sizes and types checked. See the warning at the head of the
documentation of Python's module ``pickle``.

What is read: frames that pandas 1.3 or later has written, with columns of numbers, text (not in pyarrow's memory), or
lists and arrays of them.
"""

import io
import pickle
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import pandas as pd

from wavetag.datasets.layout import DatasetError

NUMBER = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])$")  # a NumPy dtype of numbers
OBJECTS = re.compile(r"\|?O8?$")
SCALARS = (bool, int, float, str, bytes, type(None))
MOST_ITEMS = 1_000  # of a list in a column: lists may be shared, and a small file unfold to a large frame
ARRAYS = ("_reconstruct", "_frombuffer")  # what NumPy's arrays are made by


class _Made:
    """What a pickle would have made: the name that it called, the arguments, and the state that it set afterwards."""

    name: ClassVar[str] = ""

    def __new__(cls, *arguments: Any) -> "_Made":
        made = object.__new__(cls)  # here and not in __init__, which unpicklers do not always call
        made.arguments, made.state = arguments, None
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *arguments: Any) -> "_Made":
        """What pandas 1.3 makes its blocks by: functools.partial(new_block, ndim=2)(values, placement)."""
        if self.name != "partial" or self.arguments != (_STAND_INS["new_block"],):
            _refuse(f"it calls a {_called(self)}")
        return _STAND_INS["new_block"](*arguments)


def _stand_in(name: str) -> type[_Made]:
    return type(name, (_Made,), {"name": name})


_NAMES = {  # what a pickle may name -> modules that it is in, in one version or another
    "DataFrame": ("pandas", "pandas.core.frame"),
    "BlockManager": ("pandas.core.internals.managers", "pandas.core.internals"),
    "_unpickle_block": ("pandas._libs.internals",),
    "new_block": ("pandas.core.internals.blocks",),
    "_new_Index": ("pandas.core.indexes.base",),
    "Index": ("pandas", "pandas.core.indexes.base"),
    **dict.fromkeys(("Int64Index", "UInt64Index", "Float64Index"), ("pandas.core.indexes.numeric",)),
    "RangeIndex": ("pandas", "pandas.core.indexes.range"),
    "__pyx_unpickle_NDArrayBacked": ("pandas._libs.arrays",),
    "StringArray": ("pandas.arrays", "pandas.core.arrays.string_"),
    "StringDtype": ("pandas", "pandas.core.arrays.string_"),
    **dict.fromkeys(("dtype", "ndarray"), ("numpy",)),
    **dict.fromkeys(("_reconstruct", "scalar"), ("numpy.core.multiarray", "numpy._core.multiarray")),
    "_frombuffer": ("numpy.core.numeric", "numpy._core.numeric"),
    **dict.fromkeys(("slice", "object", "bytearray"), ("builtins", "__builtin__")),
    "_reconstructor": ("copyreg", "copy_reg"),
    "encode": ("_codecs",),
    "partial": ("functools",),
}
_STAND_INS = {name: _stand_in(name) for name in _NAMES}
ALLOWED = {(module, name): _STAND_INS[name] for name, modules in _NAMES.items() for module in modules}


def _refuse(what: str) -> NoReturn:
    raise pickle.UnpicklingError(what)


class _Reader(pickle._Unpickler):
    """An unpickler that makes stand-ins. The one in Python, since the one in C cannot be told what may be changed."""

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> type[_Made]:
        if (module, name) not in ALLOWED:
            _refuse(f"it names {module}.{name}, which is no part of a frame of numbers, text, and lists of them")
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        _refuse("it refers to something outside itself")

    def get_extension(self, code: int) -> NoReturn:
        _refuse("it uses the extension registry")

    def load_build(self) -> None:
        if not isinstance(self.stack[-2], _Made):  # of a stand-in's class this would change all that are to come
            _refuse(f"it changes {reprlib.repr(self.stack[-2])}, which it has not made")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self) -> None:
        # Python's own makes room for as many bytes as the pickle says before it looks whether they are there
        size = int.from_bytes(self.read(8), "little")
        content = self.read(size)
        if len(content) != size:
            _refuse(f"it ends before {size} bytes have come")
        self.append(bytearray(content))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def load_frame(path: str | Path) -> pd.DataFrame:
    """Read a pickled DataFrame.

    Returns:
        Its columns, in their order; its rows are numbered anew from 0. Columns of numbers are NumPy's, all others hold
        objects: text, numbers, None, and lists, tuples and one-dimensional arrays of them.

    Raises:
        DatasetError: the file is not there, is no whole pickle, or is one of anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"{path}: no such file")
    content = path.read_bytes()
    try:
        return _frame(_Reader(io.BytesIO(content)).load())
    except Exception as error:  # a damaged pickle may raise anything
        raise DatasetError(
            f"{path}: not a pickled pandas DataFrame of numbers, text, and lists of them: {str(error) or repr(error)};"
            " a frame of yours can be written anew with frame.astype(object).to_pickle(...)"
        ) from error


def _made(value: Any, *names: str) -> _Made:
    """The stand-in, if it is one of those."""
    if not (isinstance(value, _Made) and value.name in names):
        _refuse(f"a {_called(value)} where {' or '.join(names)} is needed")
    return value


def _called(value: Any) -> str:
    return value.name if isinstance(value, _Made) else type(value).__name__


def _frame(value: Any) -> pd.DataFrame:
    if not isinstance(value, _Made):
        _refuse(f"it holds a {_called(value)}")
    made = _made(value, "DataFrame", "_reconstructor")
    # protocols below 2 make objects by copyreg._reconstructor(class, object, None)
    if made.name == "_reconstructor" and made.arguments != (_STAND_INS["DataFrame"], _STAND_INS["object"], None):
        _refuse("it holds no DataFrame")
    if not isinstance(made.state, dict) or "_mgr" not in made.state:
        _refuse("its values are not as pandas 1.3 or later writes them")
    manager = _made(made.state["_mgr"], "BlockManager")
    if len(manager.arguments) != 2:
        _refuse("its values are not as pandas 1.3 or later writes them")
    blocks, (names, rows) = manager.arguments
    columns, count = _index(names), _length(rows)
    values: dict[int, Any] = {}
    for block in blocks:
        for place, column in _block(block, count):
            if place in values or not 0 <= place < len(columns):
                _refuse(f"column {place} of {len(columns)} stands twice, or is none")
            values[place] = column
    if len(values) != len(columns) or not all(type(name) is str for name in columns):
        _refuse(f"values of {len(values)} columns for the names {reprlib.repr(columns)}")
    if len(set(columns)) != len(columns):
        _refuse("two of its columns have one name")
    return pd.DataFrame({name: values[place] for place, name in enumerate(columns)}, index=range(count))


def _block(value: Any, rows: int) -> list[tuple[int, pd.Series]]:
    """Columns that pandas keeps in one array, and the place of each."""
    values, placement, *_ = _made(value, "_unpickle_block", "new_block").arguments
    array = _array(values)
    array = array.reshape(1, -1) if array.ndim == 1 else array  # of text, each column is an array of its own
    places = _places(placement, len(array))
    if array.ndim != 2 or array.shape[1] != rows:
        _refuse(f"values [{', '.join(map(str, array.shape))}] for {rows} rows")
    return [(place, _column(column)) for place, column in zip(places, array, strict=True)]


def _column(values: np.ndarray) -> pd.Series:
    if values.dtype != object:
        return pd.Series(values)
    return pd.Series([_plain(value) for value in values], dtype=object)


def _places(value: Any, count: int) -> list[int]:
    if isinstance(value, _Made) and value.name == "slice":
        start, stop, step = value.arguments
        if any(type(number) is not int for number in (start, stop, step)) or step == 0:
            _refuse("a slice of something else than whole numbers")
        places = range(start, stop, step)
    else:
        places = _array(value).tolist()
    if len(places) != count:
        _refuse(f"{len(places)} places for {count} columns")
    return list(places)


def _index(value: Any) -> Sequence[Any]:
    """The labels of the columns, or of the rows."""
    kind, state = _made(value, "_new_Index").arguments
    if kind is _STAND_INS["RangeIndex"]:
        return range(*(int(state[key]) for key in ("start", "stop", "step")))
    return _array(state["data"]).tolist()


def _length(value: Any) -> int:
    return len(_index(value))


def _array(value: Any) -> np.ndarray:
    """NumPy's array, of numbers or of objects; pandas' arrays of text become one of objects."""
    made = _made(value, *ARRAYS, "__pyx_unpickle_NDArrayBacked")
    if made.name == "__pyx_unpickle_NDArrayBacked":
        kind, state = made.arguments[0], made.state or made.arguments[2]
        if kind is not _STAND_INS["StringArray"]:
            _refuse(f"an array of the kind {kind.name}")
        return _array(next(part for part in state if isinstance(part, _Made) and part.name in ARRAYS))
    if made.name == "_frombuffer":
        content, described, shape, order = made.arguments[:4]
    else:
        shape, described, by_columns, content = made.state[-4:]
        order = "F" if by_columns else "C"
    dtype, shape = _dtype(described), _shape(shape)
    if dtype.hasobject:
        if not isinstance(content, list):
            _refuse("an array of objects without a list of them")
        flat = _objects(content)
    else:
        flat = np.frombuffer(_bytes(content), dtype=dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _objects(items: Sequence[Any]) -> np.ndarray:
    """One-dimensional, also where the items are lists of one length."""
    array = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        array[place] = item
    return array


def _shape(value: Any) -> tuple[int, ...]:
    if type(value) is not tuple or any(type(size) is not int or size < 0 for size in value) or len(value) > 2:
        _refuse(f"an array of the shape {reprlib.repr(value)}")
    return value


def _dtype(value: Any) -> np.dtype:
    made = _made(value, "dtype")
    text = made.arguments[0]
    if type(text) is not str or not (NUMBER.match(text) or OBJECTS.match(text)):
        _refuse(f"an array of {reprlib.repr(text)}")
    if made.state is None:
        return np.dtype(text)
    _, order, *others = made.state
    if others[:5] != [None, None, None, -1, -1]:
        _refuse(f"an array of {text!r} that is something else")
    return np.dtype(text).newbyteorder(order) if order in ("<", ">") else np.dtype(text)


def _bytes(value: Any) -> bytes:
    """Bytes; in protocols below 3 they stand as text in Latin-1, below 5 bytearrays as calls."""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    made = _made(value, "encode", "bytearray")
    if made.name == "bytearray":
        return _bytes(made.arguments[0]) if made.arguments else b""
    text, encoding = made.arguments
    if encoding != "latin1" or type(text) is not str:
        _refuse(f"_codecs.encode to {reprlib.repr(encoding)}")
    return text.encode("latin1")


def _plain(value: Any, within: bool = False) -> Any:
    """A value of a column: a number, text or None, or a list, tuple or array of them, and nothing deeper."""
    if isinstance(value, SCALARS):
        return value
    if isinstance(value, _Made) and value.name == "scalar":
        return _scalar(value)
    if not within and type(value) in (list, tuple):
        return type(value)(_plain_items(value))
    if not within and isinstance(value, _Made) and value.name in ARRAYS:
        array = _array(value)
        if array.ndim != 1:
            _refuse(f"a value that is an array [{', '.join(map(str, array.shape))}]")
        return array if array.dtype != object else _objects(_plain_items(array))
    _refuse(f"a value that is a {_called(value)}{' in a list' if within else ''}")


def _plain_items(values: Sequence[Any]) -> list[Any]:
    if len(values) > MOST_ITEMS:
        _refuse(f"a list of {len(values)} items where {MOST_ITEMS} at most are read")
    return [_plain(value, within=True) for value in values]


def _scalar(made: _Made) -> np.generic:
    described, content = made.arguments
    dtype = _dtype(described)
    if dtype.hasobject:
        _refuse("a number that is an object")
    [value] = np.frombuffer(_bytes(content), dtype=dtype)
    return value
