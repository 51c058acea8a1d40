"""Files are whole or not there, and the same content gives the same bytes."""

import os
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from wavetag import files


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, OSError, SystemExit])
@pytest.mark.parametrize("older", [None, "older"])
def test_a_block_that_does_not_end_leaves_the_old_file_and_nothing_beside_it(tmp_path, stop, older):
    path = tmp_path / "table.csv"
    if older:
        path.write_text(older)
    with pytest.raises(stop), files.written_whole(path) as temporary:
        temporary.write_text("half of the new")
        assert not path.exists() or path.read_text() == older
        raise stop
    assert [file.name for file in tmp_path.iterdir()] == (["table.csv"] if older else [])
    assert not older or path.read_text() == older


def test_a_block_that_ends_replaces_the_old_file(tmp_path):
    path = tmp_path / "new folder" / "table.csv"
    for content in ("one", "two"):
        with files.written_whole(path) as temporary:
            assert temporary.parent == path.parent  # on the same disk, or it could not be renamed
            temporary.write_text(content)
        assert path.read_text() == content
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]


def test_a_block_that_wrote_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), files.written_whole(tmp_path / "table.csv"):
        pass


def test_arrays_are_read_back_and_give_the_same_bytes_at_any_time(tmp_path):
    arrays = {"predictions": np.random.default_rng(0).random((3, 4), np.float32), "metrics": np.array('{"a": 1}')}
    for name in ("one.npz", "two.npz"):
        files.write_arrays(tmp_path / name, **arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:  # no time of writing in it
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    with np.load(tmp_path / "one.npz") as read:
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array)


def test_json_is_read_back_in_its_order(tmp_path):
    value = {"b": [1, 2.5, None], "a": {"ä": True}}
    files.write_json(tmp_path / "value.json", value)
    assert files.read_json(tmp_path / "value.json") == value
    assert list(files.read_json(tmp_path / "value.json")) == ["b", "a"]
    assert (tmp_path / "value.json").read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_of_a_number_that_is_none_is_refused_and_leaves_no_file(tmp_path, number):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "value.json", {"score": number})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe"])
def test_json_that_is_not_whole_is_refused_with_its_name(tmp_path, content):
    (tmp_path / "value.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"value.json: not valid JSON"):
        files.read_json(tmp_path / "value.json")


def test_json_that_is_not_there_is_refused_with_its_name(tmp_path):
    with pytest.raises(ValueError, match=r"value.json: no such file"):
        files.read_json(tmp_path / "value.json")


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_a_table_is_separated_by_its_suffix_and_rounded_on_request(tmp_path, suffix, separator):
    path = tmp_path / f"table{suffix}"
    files.write_table(path, pd.DataFrame({"tag": ["rock"], "score": [2 / 3], "clips": [5]}), decimals=3)
    assert path.read_text().splitlines() == [
        separator.join(line) for line in (("tag", "score", "clips"), ("rock", "0.667", "5"))
    ]


def test_rounded_goes_into_dicts_and_lists_and_leaves_all_but_floats():
    value = {
        "mean": 0.123456,
        "ci": (0.1111, np.float32(0.2222)),
        "n": 12345,
        "yes": True,
        "no": None,
        "text": "1.23456",
    }
    expected = {"mean": 0.12, "ci": [0.11, 0.22], "n": 12345, "yes": True, "no": None, "text": "1.23456"}
    assert files.rounded(value, 2) == expected
    assert type(files.rounded(np.float64(1.234), 2)) is float


def test_what_a_killed_process_left_half_written_is_removed_by_the_next(tmp_path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left, under_way = tmp_path / f".table.csv.{int(ended.stdout)}.part", tmp_path / f".table.csv.{os.getppid()}.part"
    for path in (left, under_way):
        path.write_text("half")
    files.write_text(tmp_path / "table.csv", "whole")
    assert not left.exists()
    assert under_way.exists()


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127])
def test_the_longest_names_that_files_can_have_are_written(tmp_path, name):
    files.write_text(tmp_path / name, "one")
    files.write_text(tmp_path / name, "two")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "two"


def test_a_folder_takes_the_place_of_the_one_before_once_it_is_whole(tmp_path):
    folder = tmp_path / "made" / "figures"
    for content in ("old", "new"):
        with files.folder_written_whole(folder) as written:
            (written / f"{content}.txt").write_text(content)
    assert [path.name for path in folder.iterdir()] == ["new.txt"]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_whose_writing_fails_stays_as_it_was(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "old.txt").write_text("old")
    (tmp_path / ".figures.part").mkdir()  # of a process that was killed
    (tmp_path / ".figures.part" / "half.txt").write_text("half")
    with pytest.raises(KeyboardInterrupt), files.folder_written_whole(folder) as written:
        assert not list(written.iterdir())
        (written / "new.txt").write_text("new")
        raise KeyboardInterrupt
    assert [path.name for path in folder.iterdir()] == ["old.txt"]
    assert list(tmp_path.iterdir()) == [folder]


def test_sealed_bytes_are_read_back_and_refused_by_name_if_one_bit_is_another(tmp_path):
    path = tmp_path / "state"
    files.write_sealed(path, b"content")
    assert files.read_sealed(path) == b"content"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="state: damaged"):
            files.read_sealed(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="state: damaged"):
            files.read_sealed(path)
