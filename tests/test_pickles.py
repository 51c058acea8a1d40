"""Pickles from elsewhere: frames of plain values are read, everything else is refused without being run."""

import builtins
import copyreg
import operator
import os
import pickle
import subprocess
from functools import partial

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


def read(tmp_path, content):
    path = tmp_path / "labels.pkl"
    path.write_bytes(content)
    return pickles.load_frame(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_of_plain_values_is_read_as_pandas_reads_it(tmp_path, name, protocol):
    frame = read(tmp_path, pickle.dumps(FRAMES[name], protocol))
    pd.testing.assert_frame_equal(frame, FRAMES[name])


def test_the_names_that_older_numpy_and_pandas_have_for_the_same_things_are_known(tmp_path):
    content = pickle.dumps(PLAIN.astype({"file_path": object, "part": object}), 2)
    for now, before in (
        (b"cpandas\nDataFrame\n", b"cpandas.core.frame\nDataFrame\n"),
        (b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"),
        (b"cpandas\nRangeIndex\n", b"cpandas.core.indexes.range\nRangeIndex\n"),
        (b"cpandas\nIndex\n", b"cpandas.core.indexes.base\nIndex\n"),
    ):
        assert now in content
        content = content.replace(now, before)
    pd.testing.assert_frame_equal(read(tmp_path, content), PLAIN.astype({"file_path": object, "part": object}))


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


def test_what_everybody_uses_is_not_changed(tmp_path):
    """BUILD on a class sets the class's own attributes, for this whole process."""
    before = dict(vars(pd.RangeIndex))
    changing = b"cpandas\nRangeIndex\n(N}S'step'\nI1\nstb."
    with pytest.raises(DatasetError, match=r"it changes <class 'pandas.*RangeIndex'>, which it has not made"):
        read(tmp_path, changing)
    assert dict(vars(pd.RangeIndex)) == before


def test_bytes_are_decoded_by_the_one_encoding_that_pickles_use(tmp_path):
    with pytest.raises(DatasetError, match=r"_codecs\.encode to 'zip' is refused"):
        read(tmp_path, b"c_codecs\nencode\n(S'a'\nS'zip'\ntR.")


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
