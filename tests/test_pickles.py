"""Pickles from elsewhere: frames of plain values are read, everything else is refused without being run."""

import builtins
import copyreg
import operator
import os
import pickle
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wavetag.datasets import pickles
from wavetag.datasets.layout import DatasetError

PLAIN = pd.DataFrame(
    {
        "file_path": ["train/0/one.npy", "train/1/two.npy"],
        "part": ["0", "1"],
        "label": [[0, 1, 0], [1, 0, 0]],
    }
)
FRAMES = {
    "lists": PLAIN,
    "arrays of int64": PLAIN.assign(label=[np.array([0, 1, 0]), np.array([1, 0, 0])]),
    "arrays of uint8": PLAIN.assign(label=[np.array([0, 1, 0], np.uint8), np.array([1, 0, 0], np.uint8)]),
    "arrays of float32": PLAIN.assign(label=[np.array([0, 1, 0], np.float32)] * 2),
    "numbers of NumPy": PLAIN.assign(label=[[np.int64(1), np.float32(0), np.uint8(0)]] * 2),
    "another index": PLAIN.set_index(pd.Index([7, 3])),
    "an index of text": PLAIN.set_index(pd.Index(["a", "b"])),
    "strings as objects": PLAIN.astype({"file_path": object, "part": object}),
    "numbers for parts": PLAIN.assign(part=[0, 1]),
    "no rows": PLAIN.iloc[:0],
}


WRITTEN = Path(__file__).parent / "pickles"  # by other versions of pandas and NumPy


def as_read(frame):
    """Text is of Python's own, and rows are numbered from 0."""
    text = frame.select_dtypes("str").columns
    return frame.reset_index(drop=True).astype(dict.fromkeys(text, object))


def read(tmp_path, content):
    path = tmp_path / "labels.pkl"
    path.write_bytes(content)
    return pickles.load_frame(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_of_plain_values_is_read_as_pandas_reads_it(tmp_path, name, protocol):
    frame = read(tmp_path, pickle.dumps(FRAMES[name], protocol))
    pd.testing.assert_frame_equal(frame, as_read(FRAMES[name]), check_column_type=False)


@pytest.mark.parametrize("version", ["1.3.5", "1.5.3", "2.0.3", "2.2.3"])
def test_frames_that_older_pandas_wrote_are_read(version):
    """Two rows of three, so that their index is one of numbers; one label is a list, one an array."""
    frame = pickles.load_frame(WRITTEN / f"pandas_{version}.pkl")
    assert frame["file_path"].tolist() == ["train/0/one.npy", "train/1/two.npy"]
    assert frame["part"].tolist() == ["0", "1"]
    assert [list(label) for label in frame["label"]] == [[0, 1, 0], [1, 0, 0]]


def test_text_in_pyarrows_memory_is_refused_by_name():
    with pytest.raises(DatasetError, match=r"pyarrow.pkl: not a pickled .* it names pandas.arrays.ArrowStringArray"):
        pickles.load_frame(WRITTEN / "pandas_3.0.6_pyarrow.pkl")


class Calls:
    """Pickled, it is a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def hostile(mark):
    """What would leave a file at ``mark`` if it ran, and the name that is to be refused."""
    touch = f"touch '{mark}'"
    code = f"open({str(mark)!r}, 'w')"
    return {
        "posix.system": Calls(os.system, touch),
        "subprocess.run": Calls(subprocess.run, ["touch", str(mark)]),
        "builtins.eval": Calls(eval, code),
        "builtins.exec": Calls(exec, code),
        "builtins.__import__": Calls(builtins.__import__, "os"),
        "builtins.getattr": Calls(getattr, "os", "system"),
        "builtins.open": Calls(open, str(mark), "w"),
        "_operator.attrgetter": Calls(operator.attrgetter("system"), "os"),
        "functools.partial": Calls(partial(os.system, touch)),
        "numpy.load": Calls(np.load, str(mark), None, True),
        "numpy.save": Calls(np.save, str(mark), 1),
        "pandas.io.pickle.read_pickle": Calls(pd.read_pickle, str(mark)),
        "pandas.core.computation.eval.eval": Calls(pd.eval, f"@{code}"),
    }


@pytest.mark.parametrize("within", ["alone", "a label", "a column"])
@pytest.mark.parametrize("name", hostile(""))
def test_what_would_run_something_is_refused_by_name_and_does_not_run(tmp_path, name, within):
    mark = tmp_path / "it ran"
    evil = hostile(mark)[name]
    content = {"alone": evil, "a label": PLAIN.assign(label=[evil, evil]), "a column": {"file_path": [evil]}}[within]
    with pytest.raises(DatasetError, match=r"labels.pkl: not a pickled pandas DataFrame") as error:
        read(tmp_path, pickle.dumps(content))
    named = [known for known in hostile("") if known.rsplit(".", 1)[-1] in str(error.value)]
    assert "it names" in str(error.value) and named
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8c\x06pandas\x8c\x12io.common.os.system\x93\x8c\x04true\x85R.",  # a name with dots, protocol 4
        b"cpandas\nread_pickle\n(S'/etc/passwd'\ntR.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'true'\no.",  # OBJ
        b"Psomething outside\n.",  # a persistent id
        b"\x80\x02\x82\x01.",  # the extension registry
    ],
)
def test_other_ways_to_name_things_are_refused_too(tmp_path, content):
    with pytest.raises(DatasetError):
        read(tmp_path, content)


def test_the_extension_registry_is_not_used(tmp_path):
    copyreg.add_extension("os", "system", 240)
    try:
        with pytest.raises(DatasetError, match="extension registry"):
            read(tmp_path, b"\x80\x02\x82\xf0(S'true'\ntR.")
    finally:
        copyreg.remove_extension("os", "system", 240)


def test_nothing_that_a_pickle_may_name_is_what_it_says(monkeypatch, tmp_path):
    """All of it leads to stand-ins: neither pandas nor NumPy is called by the reader, or changed."""
    assert all(issubclass(kind, pickles._Made) for kind in pickles.ALLOWED.values())
    modules = {module for module, _ in pickles.ALLOWED}
    assert {module.split(".")[0] for module in modules} == {
        *("builtins", "__builtin__", "copyreg", "copy_reg", "_codecs", "functools", "numpy", "pandas")
    }
    with pytest.raises(DatasetError, match=r"it changes <class '.*RangeIndex'>, which it has not made"):
        read(tmp_path, b"cpandas\nRangeIndex\n(N}S'step'\nI1\nstb.")


class Built:
    """Pickled, an array or a type whose state is set to something."""

    def __init__(self, kind, state):
        self.kind, self.state = kind, state

    def __reduce__(self):
        if self.kind is np.dtype:
            return np.dtype, ("f8", False, True), self.state
        return np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), self.state


EIGHT = b"12345678"
NEGATIVE = Built(np.dtype, (3, "<", None, None, None, -(2**31), -1, 0))
OF_MANY = Built(np.dtype, (3, "<", (np.dtype("f8"), (2**62,)), None, None, 8, 8, 63))
IMPOSSIBLE = {  # states that NumPy takes on trust
    "more than it holds": (1, (10**9,), np.dtype("f8"), False, b"short"),
    "objects made of bytes": (1, (1,), np.dtype("O"), False, EIGHT),
    "a negative size": (1, (-1,), np.dtype("f8"), False, EIGHT),
    "a thousand axes": (1, (1,) * 1000, np.dtype("f8"), False, EIGHT),
    "a type of a negative size": (1, (1,), NEGATIVE, False, EIGHT),
    "a type made of many": (1, (1,), OF_MANY, False, EIGHT),
    "too short a state": (1,),
    "no state": None,
}


class FrameOf:
    """Pickled, a frame of one column whose values are something."""

    def __init__(self, values):
        self.values = values

    def __reduce__(self):
        block = Calls(pd._libs.internals._unpickle_block, self.values, slice(0, 1, 1), 2)
        axes = [pd.Index(["label"], dtype=object), pd.RangeIndex(1)]
        manager = Calls(pd.core.internals.managers.BlockManager, (block,), axes)
        return copyreg._reconstructor, (pd.DataFrame, object, None), {"_mgr": manager}


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize("within", ["a label", "a column"])
def test_arrays_in_states_that_cannot_be_are_refused(tmp_path, name, within):
    built = Built(np.ndarray, IMPOSSIBLE[name])
    frame = PLAIN.assign(label=[built, built]) if within == "a label" else FrameOf(built)
    with pytest.raises(DatasetError, match="not a pickled pandas DataFrame"):
        read(tmp_path, pickle.dumps(frame, 4))


def test_a_frame_put_together_by_hand_is_read(tmp_path):
    """What the tests beside this one exchange the values of."""
    frame = read(tmp_path, pickle.dumps(FrameOf(np.array([[7]])), 4))
    assert frame.to_dict("list") == {"label": [7]}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((1, 2)), r"values \[1, 2\] for 1 rows"),
        (np.zeros((2, 1)), "2 columns"),
        (np.zeros((1, 1), "M8[s]"), "an array of 'M8'"),
        (np.zeros((1, 1), "c8"), "an array of 'c8'"),
        (np.zeros((1, 1), "V8"), "an array of 'V8'"),
        (np.zeros(1, [("a", "i4")]), "an array of 'V4'"),
        (pd.Categorical(["a"]), "it names pandas.*Categorical"),
        (7, "a int where _reconstruct"),
    ],
)
def test_values_of_other_sizes_and_kinds_are_refused(tmp_path, values, reason):
    with pytest.raises(DatasetError, match=reason):
        read(tmp_path, pickle.dumps(FrameOf(values), 4))


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], [{}], {1}, np.zeros((1, 1)), [np.zeros(1)], object])
def test_values_that_are_not_plain_are_refused(tmp_path, value):
    with pytest.raises(DatasetError, match=r"a value that is|it names builtins.(set|object)"):
        read(tmp_path, pickle.dumps(PLAIN.assign(label=[value, value])))


@pytest.mark.parametrize("partly", [partial(np.load), partial(copyreg._reconstructor, pd.DataFrame), partial(pd.Index)])
def test_partial_is_for_blocks_alone(tmp_path, partly):
    with pytest.raises(DatasetError, match=r"it names numpy.load|it calls a partial"):
        read(tmp_path, pickle.dumps(FrameOf(Calls(partly, 1)), 4))


def unfolding(levels):
    """A list that is small in a pickle and 2 ** levels items long when it is written out."""
    items = []
    for _ in range(levels):
        items = [items, items]
    return items


SMALL_BUT_LONG = {
    "as a shape": Built(np.ndarray, (1, (unfolding(60),), np.dtype("f8"), False, b"")),
    "as a label": unfolding(60),
    "as a label of many": [0] * 2_000,
}


@pytest.mark.parametrize("name", SMALL_BUT_LONG)
def test_small_pickles_of_long_values_are_refused_at_once(tmp_path, name):
    value = SMALL_BUT_LONG[name]
    with pytest.raises(DatasetError, match=r"a list|of the shape") as error:
        read(tmp_path, pickle.dumps(PLAIN.assign(label=[value, value])))
    assert len(str(error.value)) < 1_000


def test_a_long_value_that_is_changed_is_not_written_out(tmp_path):
    with pytest.raises(DatasetError, match=r"it changes .*, which it has not made") as error:
        read(tmp_path, pickle.dumps(unfolding(60), 2)[:-1] + b"}b.")
    assert len(str(error.value)) < 1_000


def test_no_room_is_made_for_bytes_that_do_not_come(tmp_path):
    content = b"\x80\x05\x96" + (10**15).to_bytes(8, "little") + b"short."
    with pytest.raises(DatasetError, match=f"it ends before {10**15} bytes have come"):
        read(tmp_path, content)


def test_a_list_within_itself_ends(tmp_path):
    endless = []
    endless.append(endless)
    with pytest.raises(DatasetError, match="a value that is a list in a list"):
        read(tmp_path, pickle.dumps(PLAIN.assign(label=[endless, endless])))


def test_bytes_are_decoded_by_the_one_encoding_that_pickles_use(tmp_path):
    content = pickle.dumps(PLAIN.assign(label=[np.array([1]), np.array([0])]), 2)
    assert b"latin1" in content
    with pytest.raises(DatasetError, match=r"_codecs\.encode to 'zip_in'"):
        read(tmp_path, content.replace(b"latin1", b"zip_in"))


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, "text", None])
def test_something_else_than_a_frame_is_refused(tmp_path, content):
    with pytest.raises(DatasetError, match=f"it holds a {type(content).__name__}"):
        read(tmp_path, pickle.dumps(content))


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(PLAIN)[:-20], pickle.dumps(PLAIN)[:30]])
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    with pytest.raises(DatasetError, match=r"labels.pkl: not a pickled"):
        read(tmp_path, content)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DatasetError, match=r"none.pkl: no such file"):
        pickles.load_frame(tmp_path / "none.pkl")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4), cut=st.floats(0.5, 1))
def test_whatever_bytes_come_it_is_a_frame_or_an_error(tmp_path, changes, cut):
    content = bytearray(pickle.dumps(FRAMES["arrays of int64"]))
    for place, value in changes:
        content[int(place * (len(content) - 1))] = value
    if cut < 0.9:
        content = content[: int(cut * len(content))]
    try:
        assert type(read(tmp_path, bytes(content))) is pd.DataFrame
    except DatasetError as error:
        assert "labels.pkl" in str(error)
