"""Whatever is read from outside is accepted for good reasons, or refused by name: no crash, no hang, no bare error.

Every reader that takes files, words or requests from outside is a target of ``tests/fuzz/targets.py``; here each gets a
little bad input, ``tests/fuzz/run.py`` gives it as much as one likes. Below stands what that has found, one by one.
"""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import trained_models
from fuzz import run, targets
from wavetag import (
    archives,
    audio,
    clips,
    command,
    files,
    model,
    model_folder,
    params,
    pipeline,
    release,
    splits,
    tagger,
)

# How many bad inputs each gets here: those that take long get fewer.
EXAMPLES = {"dvc.yaml": 10, "command line": 4, "own table": 8, "Jamendo table": 8, "requests": 15}
SLOW = dict.fromkeys(("params.yaml", "suite params.yaml", "study", "wavetag use", "settings/NAME.yaml"), 8)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_good_input_is_accepted(name):
    target = targets.TARGETS[name]
    accepted = [targets.tried(target, content, seconds=60) for content in target.good()[:4]]
    assert all(accepted) or name in ("offered clips", "command line", "requests")  # in part of what is not there


@pytest.mark.parametrize("name", targets.TARGETS)
def test_bad_input_is_accepted_or_refused_as_promised(name):
    target = targets.TARGETS[name]

    @settings(
        max_examples=(EXAMPLES | SLOW).get(name, 25),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32))
    def bad(number):
        targets.tried(target, target.bad(random.Random(number)))

    bad()


# The search itself


@pytest.mark.parametrize("what", [2, 3, 4, 5, 7, 8])
def test_each_fault_that_is_looked_for_is_found(what):
    with pytest.raises(targets.Finding):
        targets.tried(targets.PLANTED["planted"], bytes([what, 0]), seconds=0.2)


@pytest.mark.parametrize(("content", "accepted"), [(bytes([10, 0]), True), (bytes([9, 0]), False)])
def test_what_is_as_promised_is_no_finding(content, accepted):
    assert targets.tried(targets.PLANTED["planted"], content) is accepted


def test_a_process_that_dies_or_hangs_is_counted_and_begun_anew(tmp_path, monkeypatch):
    statuses, started = iter([-signal.SIGSEGV, -signal.SIGALRM, 77, 0]), []

    def ends(command, timeout):
        board, status = run.Board(tmp_path / "board"), next(statuses)
        board.begin(b"good")
        board.end(True)
        board.begin(f"bad {len(started)}".encode())
        if status == 0:
            board.end(False)
        started.append(command)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(run.subprocess, "run", ends)
    row = run.run("planted", 60, 1, tmp_path)
    counted = {key: row[key] for key in ("tried", "accepted", "refused", "crashes", "hangs", "other")}
    assert counted == {"tried": 8, "accepted": 4, "refused": 1, "crashes": 2, "hangs": 1, "other": 0}
    assert {path.read_bytes() for path in (tmp_path / "found").iterdir() if not path.suffix} >= {b"bad 0"}


# What it has found: settings


def refused(text, tmp_path, name="params.yaml"):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(params.ParamsError) as error:
        params.read_yaml(path)
    assert str(error.value).startswith(str(path)) and len(str(error.value)) < 2_000
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "text", ["!!timestamp x", "!!bool x", "!!int ''", "!!int x", "a: !!float x", "!!map x", "!!binary é", "2024-02-31"]
)
def test_a_tag_on_what_it_is_not_of_is_told_with_the_files_name(tmp_path, text):
    assert "not valid YAML" in refused(text, tmp_path)


@pytest.mark.parametrize("text", ["[" * 60_000, "- " * 2_000 + "a", "{a: " * 5_000])
def test_brackets_without_end_are_told_and_not_followed(tmp_path, text):
    assert "more than 50 brackets or indentations within one another" in refused(text, tmp_path)


def test_a_small_file_that_stands_for_more_values_than_memory_holds_is_refused_at_once(tmp_path):
    lists = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    merged = ["a0: &a0 {k: v, l: w, m: x}"]
    for level in range(1, 12):
        others = ", ".join([f"*a{level - 1}"] * 10)
        lists.append(f"a{level}: &a{level} [{others}]")
        merged.append(f"a{level}: &a{level} {{<<: [{others}]}}")
    for lines in (lists, merged):
        assert "aliases that stand for more than 100,000 values" in refused("\n".join(lines), tmp_path)


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: *a}", "a: &a [[*a]]"])
def test_what_holds_itself_is_refused(tmp_path, text):
    assert "an alias of what it stands in" in refused(text, tmp_path)


@pytest.mark.parametrize("key", ["1", "null", "true", "no", "1.5", "2024-01-01"])
def test_keys_are_text(tmp_path, key):
    assert "is no text: quote it" in refused(f"experiments:\n  {key}: {{}}\n", tmp_path)


@pytest.mark.parametrize("number", ["9" * 101, "0x" + "f" * 5_000, "0b" + "1" * 20_000, ":".join(["1"] * 3_000)])
def test_numbers_that_nobody_means_are_refused_before_they_are_computed(tmp_path, number):
    assert "at most 100 are allowed" in refused(f"a: {number}", tmp_path)


def test_a_folder_in_a_files_place_is_told(tmp_path):
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(params.ParamsError, match=r"params.yaml: cannot be read: Is a directory"):
        params.read_yaml(tmp_path / "params.yaml")


def test_several_keys_that_are_missing_are_told_once(tmp_path):
    (tmp_path / "params.yaml").write_text("dataset: {name: minitune}\n")
    with pytest.raises(params.ParamsError) as error:
        params.load(tmp_path / "params.yaml")
    lines = str(error.value).split("\n")
    assert len(lines) == len(set(lines)) == 2 and all("is missing" in line for line in lines)


def test_a_word_that_is_no_text_is_told_as_its_bytes():
    with pytest.raises(params.ParamsError, match=r"a=\\udcff: not valid YAML") as error:
        params.parsed("\udcff", "a=\udcff")
    str(error.value).encode()


def test_an_error_moves_no_cursor_whatever_is_in_it(capsys):
    from wavetag import stages

    def fails():
        raise ValueError("a\x1b[2J.csv: wrong\nb: wrong, too")

    assert stages.status("split", fails) == 1
    assert capsys.readouterr().err == "split: a\\x1b[2J.csv: wrong\nb: wrong, too\n"


def test_a_message_is_no_longer_than_can_be_read():
    error = params.ParamsError("\n".join([f"params.yaml: {'x' * 70_000}"] * 100))
    lines = str(error).split("\n")
    assert len(lines) == params.MOST_LINES + 1 and lines[-1].endswith("(and 85 more)")
    assert max(map(len, lines)) < params.LONGEST_LINE + 30


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("experiments.base.bands", 10**9),
        ("experiments.base.length", 10**30),
        ("experiments.base.hidden", 2**40),
        ("experiments.base.sample_rate", 10**400),
        ("experiments.base.window", 1e300),
        ("experiments.base.epochs", 10**12),
        ("dataset.seed", 2**70),
        ("evaluate.resamples", 10**12),
        ("split.vocabulary", "top:" + "9" * 50),
        ("split.train", ["0\n"]),
    ],
)
def test_a_setting_that_would_take_all_memory_or_time_is_refused_before_anything_is_computed(tmp_path, where, value):
    *sections, last = where.split(".")
    content = json.loads(json.dumps(targets._settings()))
    place = content
    for name in sections:
        place = place[name]
    place[last] = value
    path = tmp_path / "params.yaml"
    # numbers longer than what YAML may hold stand as in the file of an `evaluate` that computes them
    path.write_bytes(targets._yaml(content)) if value != 10**400 else path.write_text("a: " + "9" * 400)
    with pytest.raises(params.ParamsError, match=str(path)):
        params.load(path)


@pytest.mark.parametrize("name", ["base\n", "base\nx", "x y", "x;y", "$(x)", "{x}", "../x", "Base", "é"])
def test_names_that_stand_in_commands_are_letters_digits_and_underscores(tmp_path, name):
    content = json.loads(json.dumps(targets._settings()))
    content["experiments"][name] = content["experiments"]["base"]
    (tmp_path / "params.yaml").write_bytes(targets._yaml(content))
    with pytest.raises(params.ParamsError, match="a name of small letters, digits and _"):
        params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "stage",
    ["[]", "x", "{do: 1}", "{foreach: [a]}", "{deps: {a: b}}", "{params: 5}", "{params: [[a]]}", "{params: [{a: b}]}"],
)
def test_a_stage_of_another_shape_is_one_line(tmp_path, monkeypatch, stage):
    (tmp_path / "dvc.yaml").write_text(f"stages:\n  train: {stage}\n")
    settings = targets._settings()
    monkeypatch.chdir(tmp_path)
    [problem] = pipeline._unlike_stages("", settings)
    assert problem.startswith("dvc.yaml: stages.train: ")


# Tables


def test_a_message_about_a_table_is_one_line(tmp_path):
    path = targets.write(tmp_path, "annotations_final.csv", b"clip_id\trock\tmp3_path\n1\t1\ta\tb\n1\t1\n")
    with pytest.raises(clips.DatasetError, match=r"annotations_final.csv: ") as error:
        clips.read_annotations(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["1\t1\t0/a.mp3\tx", "2\t0\t0/b.mp3\tx"], "ends in line 2 has 4 cells, where the header has 3"),
        (["1\t1\t0/a.mp3", "2\t0"], "ends in line 3 has 2 cells, where the header has 3"),
    ],
)
def test_cells_do_not_move_to_their_neighbours_columns(tmp_path, rows, told):
    """pandas takes the first of too many cells for the row's name, and fills up too few."""
    path = targets.write(tmp_path, "annotations_final.csv", "\n".join(["clip_id\trock\tmp3_path", *rows]).encode())
    with pytest.raises(clips.DatasetError, match=told):
        clips.read_annotations(path)


def test_a_column_that_stands_twice_is_no_tag_of_another_name(tmp_path):
    path = targets.write(tmp_path, "annotations_final.csv", b"clip_id\trock\trock\tmp3_path\n1\t1\t0\t0/a.mp3\n")
    with pytest.raises(clips.DatasetError, match="column 'rock' stands twice"):
        clips.read_annotations(path)


def test_a_segment_without_end_is_part_of_a_name():
    from wavetag.datasets import layout

    path = f"0/a.mp3#t=0,{'9' * 400}"
    assert layout.file_and_segment(path) == (path, None)


MANIFEST = targets._manifest()[0].decode()


@pytest.mark.parametrize(
    "text",
    [
        *("", "\xff", MANIFEST[:-9] + '"', MANIFEST.replace("samples", "sample"), MANIFEST.replace("\tok\t", "\t")),
        *(MANIFEST.replace("\t1000\t", f"\t{value}\t") for value in ("x", "-1", "1.5", "")),
        MANIFEST.replace("\n0\t", "\n7\t"),
    ],
)
def test_a_damaged_manifest_is_refused_by_name(tmp_path, text):
    path = targets.write(tmp_path, "manifest.tsv", text.encode("latin-1"))
    with pytest.raises(clips.DatasetError, match=r"manifest.tsv"):
        clips.read_manifest(path)


SPLIT = targets._split()[0].decode()


@pytest.mark.parametrize(
    "text",
    [
        *("", "\xff", SPLIT.replace("windows", "window"), SPLIT.replace("train", "trian")),
        *(SPLIT.replace("\t2.0\t", f"\t{value}\t") for value in ("inf", "nan", "x")),
        *(SPLIT.replace("\t1\t0\n", f"\t{cells}\n") for cells in ("2\t0", "1", "1\t0\t0", "\t0")),
        *(SPLIT.replace("\n0\t", f"\n{value}\t") for value in ("-1", "9" * 40, "")),
    ],
)
def test_a_damaged_split_is_refused_by_name(tmp_path, text):
    path = targets.write(tmp_path, "split.tsv", text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"split.tsv: "):
        splits.read(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5_000, "{", "\xff"])
def test_json_that_cannot_be_read_is_refused_by_name(tmp_path, text):
    path = targets.write(tmp_path, "statistics.json", text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"statistics.json: not valid JSON: "):
        files.read_json(path)


# Arrays and archives


@pytest.mark.parametrize("kind", ["|V0", "|S0", "<f4", "|O"])
def test_an_array_of_another_type_is_refused_before_it_is_mapped(tmp_path, kind):
    """To map an array of a type without a size divides by zero, in C: the process ends."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': (2, 3), }}\n".encode()
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    path = targets.write(tmp_path, "clips.npy", content)
    with pytest.raises(clips.DatasetError, match=r"clips.npy: "):
        clips.open_array(path)


@pytest.mark.parametrize("name", ["a/" * 30_000 + "b", "b" * 60_000, "a/" * 600 + "b"])
def test_a_members_path_that_is_too_long_is_refused_at_once(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "mp3.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(archives.ArchiveError, match=r"mp3.zip: its member .* has no name that a file can have"):
        archives.unpack([tmp_path / "mp3.zip"], tmp_path / "out", lambda line: None)


def test_a_message_about_an_archive_does_not_repeat_all_that_is_wrong(tmp_path):
    with zipfile.ZipFile(tmp_path / "mp3.zip", "w") as archive:
        archive.writestr("a", b"x")
    content = bytearray((tmp_path / "mp3.zip").read_bytes())
    content[26:28] = (20_000).to_bytes(2, "little")  # the length of the name that stands beside the member
    (tmp_path / "mp3.zip").write_bytes(bytes(content[:31]) + b"n" * 40_000 + bytes(content[31:]))
    with pytest.raises(archives.ArchiveError, match=r"mp3.zip: ") as error:
        archives.unpack([tmp_path / "mp3.zip"], tmp_path / "out", lambda line: None)
    assert len(str(error.value)) < 1_500


# Sound


def test_a_midi_sample_dump_is_not_taken(tmp_path, capfd):
    """Of a damaged one libsndfile tells on standard output: amid what `wavetag tag --json` prints."""
    sound = bytearray(targets._sound("SDS"))
    sound[60:200] = bytes(140)
    path = targets.write(tmp_path, "sound.wav", bytes(sound))
    with pytest.raises(audio.AudioError, match="a MIDI sample dump"):
        audio.decode(path, 12_000)
    from wavetag.datasets import folder

    assert folder._seconds(path) == 0
    assert capfd.readouterr() == ("", "")


def test_a_rate_that_no_sound_has_is_refused(tmp_path):
    content = bytearray(targets._sound("WAV"))
    content[24:28] = (2**31 - 1).to_bytes(4, "little")
    path = targets.write(tmp_path, "sound.wav", bytes(content))
    with pytest.raises(audio.AudioError, match=r"a sample rate of 2147483647 Hz: 1000000 Hz or less is taken"):
        audio.decode(path, 12_000)


# Model folders


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return trained_models.write(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def released(trained, tmp_path):
    release.release(trained, tmp_path / "released")
    return tmp_path / "released"


def change(folder, **keys):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


@pytest.mark.parametrize(
    "keys",
    [
        {"tags": ["\x1b[2J", *trained_models.TAGS[1:]]},
        {"tags": ["two\nlines", *trained_models.TAGS[1:]]},
        {"name": "\x1b]0;title\x07"},
        {"name": ["a"]},
        {"dataset": "minitune"},
        {"dataset": {"name": 5}},
        {"validation": [0.5]},
        {"chosen_epochs": [1]},
        {"window_samples": 2**40},
        {"tags": ["\ud800", *trained_models.TAGS[1:]]},
    ],
)
def test_a_description_that_cannot_be_is_refused_by_name(released, keys):
    change(released, **keys)
    with pytest.raises(model_folder.ModelError, match=r"config.json: "):
        model.Model.load(released)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5_000 + "}", '"\\ud800"', " " * (2**24 + 1)])
def test_a_description_that_is_no_json_is_refused_by_name(released, text):
    (released / "config.json").write_text(text)
    with pytest.raises(model_folder.ModelError, match=r"config.json: not"):
        model.Model.load(released)


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden": 65_536, "conv_filters": 65_536, "conv_layers": 8},
        {"bands": 10**9, "frontend": "mel"},
        {"bands": 4096, "length": 2**20, "frontend": "mel"},
        {"length": 2**40},
        {"filters": -1},
        {"stride": 0},
        {"hidden": True},
        {"conv_filters": "32"},
    ],
)
def test_three_lines_do_not_ask_for_all_the_memory_there_is(released, sizes):
    config = json.loads((released / "config.json").read_text())["config"]
    change(released, config=config | sizes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(model_folder.ModelError, match=r"released/"):
        tagger.load(released, None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes


def with_weights(folder, values):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file({**weights, **{name: values(weights[name]) for name in weights if "classifier" in name}}, folder / "w")
    (folder / "w").rename(folder / "model.safetensors")


def test_weights_that_are_no_numbers_are_refused(released):
    with_weights(released, lambda value: value * float("nan"))
    with pytest.raises(model_folder.ModelError, match=r"released: not all weights of its network are finite numbers"):
        model.Model.load(released)


def test_a_network_that_gives_no_probabilities_says_so(released):
    with_weights(released, lambda value: value.sign() * 3e38)
    loaded = model.Model.load(released)
    sound = 0.3 * np.sin(np.arange(12_000) / 5)
    with pytest.raises(model_folder.ModelError, match="its network gives no finite probabilities"):
        loaded.tags(sound, 12_000)


def test_a_message_of_torch_is_one_line(released):
    change(released, tags=[*trained_models.TAGS, "one more"])
    with pytest.raises(model_folder.ModelError, match=r"model.safetensors: cannot be loaded") as error:
        tagger.load(released, None)
    assert "\n" not in str(error.value)


def test_scores_of_another_shape_are_refused_by_name(tmp_path):
    good = json.loads(targets._metrics()[0])
    bad = [[], {}, good | {"views": 5}, good | {"roc_auc_ci": [1]}, good | {"seeds": "2"}, good | {"test_clips": None}]
    bad.append(good | {"view": "\ud800"})
    for content in bad:
        path = targets.write(tmp_path, "base.json", json.dumps(content).encode())
        with pytest.raises(ValueError, match=r"base.json: not the scores of a config"):
            release.read_metrics(path)
    table = targets.write(tmp_path, "base.csv", targets._by_tag()[0].replace(b"positives", b"positive"))
    with pytest.raises(ValueError, match=r"base.csv: not the scores of a config's tags"):
        release.read_table(table)


def test_what_a_model_card_says_of_a_model_is_no_markup(trained, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(trained, folder)
    config = json.loads((folder / "config.json").read_text())["config"]
    change(
        folder,
        name="<script>alert(1)</script>",
        config=config | {"init_from": "models/<b>", "note": "\n```\n<script>alert(2)</script>\n"},
        code={"wavetag": "<i>", "sources": "x", "torch": "[a](javascript:b)"},
    )
    release.release(folder, tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    before, settings, after = card.partition("\n````yaml\n")
    assert settings and after.endswith("````\n") and after.count("````") == 1
    assert r"# \<script\>alert(1)" in before and r"the model \<b\>" in before and r"wavetag \<i\>" in before
    assert "<script>" not in before.split("---\n", 2)[2]


def test_a_folder_to_write_whose_name_is_too_long_is_told(trained, capsys):
    assert command.main(["release", str(trained), "9" * 5_000]) == 1
    told = capsys.readouterr().err
    assert told.startswith("wavetag release: '999") and told.endswith("longer than a name can be\n") and len(told) < 200


def test_a_name_that_is_longer_than_names_can_be_is_told(tmp_path, capsys):
    assert command.main(["tag", "a" * 5_000, "--model", "b" * 5_000]) == 1
    assert "no such model folder" in capsys.readouterr().err


NAMES = {b"\xff.wav": "\\xff.wav", b"a\x1b[2Jb.wav": "a\\x1b[2Jb.wav", b"c\nd.wav": "c\\x0ad.wav"}


@pytest.mark.parametrize("form", ["--json", "--csv", "--top=3", "--over-time"])
def test_a_name_that_is_no_text_stops_nothing_and_moves_no_cursor(released, tmp_path, form, capsys):
    for name in NAMES:
        (tmp_path / os.fsdecode(name)).write_bytes(targets._second())
        (tmp_path / os.fsdecode(b"bad " + name)).write_bytes(b"no sound")
    assert command.main(["tag", str(tmp_path), "--model", str(released), form, "--jobs", "1"]) == 1
    printed, told = capsys.readouterr()
    for name in NAMES.values():
        assert f"bad {name}: undecodable" in told.replace("c d.wav", "c\\x0ad.wav")
    if form == "--json":
        found = {entry["file"].rsplit("/", 1)[-1] for entry in json.loads(printed)}
        assert found == {"\\xff.wav", "a\x1b[2Jb.wav", "c\nd.wav"}
    elif form == "--csv":
        assert "\\xff.wav,guitar," in printed
    else:
        assert "\x1b" not in printed
        assert all(name in printed.replace("\n", "").replace(" ", "") for name in NAMES.values())
