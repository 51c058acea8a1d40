"""The command ``wavetag``: what it prints and writes, its exit statuses, and what it says when something is wrong."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from wavetag import clips, command, figures, files, findings, params, splits, tags
from wavetag.datasets import layout

ROOT = Path(__file__).resolve().parents[1]
RATE = params.load(ROOT / "params.yaml", ROOT / params.SCHEMA)["defaults"]["sample_rate"]
PREPARED, SPLIT, REPORT = Path(f"data/prepared/{RATE}"), Path("data/split/split.tsv"), Path("reports/dataset")
RAW = Path("data/raw/minitune")
TAGS = ("guitar", "no piano", "sitar")
LABELS = [[1, 1, 0], [0, 0, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]]
MADE = {"tags.png", "co_occurrence.png", "durations.png", "loudness.png", "description.json"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A top folder in which nothing has been prepared yet, to work in."""
    (tmp_path / params.SCHEMA).parent.mkdir(parents=True)
    shutil.copy(ROOT / params.SCHEMA, tmp_path / params.SCHEMA)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def prepared(folder):
    """Six clips, prepared and split; the last one cannot be decoded, the one before exceeds the training range once."""
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("vocabulary: merged50", f"vocabulary: [{', '.join(TAGS)}]"))
    settings = params.load()
    length, window = params.clip_samples(settings, RATE), params.window_samples(settings, RATE)
    names = [f"{part}/artist-album-0{number}-song-0-29.mp3" for number, part in enumerate("01cdee")]
    table = pd.DataFrame({"row": range(6), "clip_id": [str(7 + row) for row in range(6)], "path": names})
    table["part"] = table["path"].str[0]
    table["artist"], table["album"], table["song"] = "Ann", "an album", table["path"]
    table["samples"], table["status"], table["reason"] = length, clips.OK, ""
    table["minimum"], table["maximum"] = pd.array([-100] * 6, dtype="Int64"), pd.array([100] * 6, dtype="Int64")
    table["rms_dbfs"] = [-20.0, -21.5, -19.0, -18.0, -17.0, -16.0]
    table.loc[4, "maximum"] = 101
    table.loc[5, ["samples", "status", "reason"]] = [0, clips.UNDECODABLE, "the file is empty"]
    table.loc[5, ["minimum", "maximum", "rms_dbfs"]] = None
    files.write_table(PREPARED / "manifest.tsv", table[list(clips.MANIFEST_COLUMNS)])
    annotated = np.array([*LABELS, [0, 1, 0]], dtype=np.uint8)
    annotated = np.hstack([annotated, annotated[:, :1]])
    layout.write_tables(RAW, (*TAGS, "rare"), table[["clip_id", "path", "artist", "album"]], annotated)
    array = np.lib.format.open_memmap(PREPARED / "clips.npy", mode="w+", dtype=np.int16, shape=(6, length))
    array[4, 3] = 101
    array.flush()
    chosen = table[:5].assign(split=["train", "train", "valid", "test", "test"], windows=length // window)
    chosen["seconds"] = length / RATE
    labels = np.array(LABELS, dtype=np.uint8)
    splits.write(SPLIT, splits.Split(chosen.assign(artist_disjoint=0)[list(splits.COLUMNS)], TAGS, labels))
    return folder


def in_folder(path):
    return {found.name for found in Path(path).iterdir()}


def error_of(capsys):
    """The one line on standard error."""
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    return line


def test_describe_prints_draws_and_writes(prepared, capsys):
    assert command.main(["describe"]) == 0
    assert in_folder(REPORT) == MADE
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == f"minitune, vocabulary of 3 listed tags, {RATE} Hz"
    assert captured.err == ""
    for words in (*TAGS, "1 undecodable: the file is empty", "artist-disjoint", str(REPORT)):
        assert words in captured.out
    described = files.read_json(REPORT / "description.json")
    assert [described[key] for key in ("dataset", "vocabulary", "sample_rate")] == ["minitune", list(TAGS), RATE]
    assert [described["clips"][name]["clips"] for name in splits.NAMES] == [2, 1, 2]
    assert described["range"]["test"]["samples_outside"] == 1
    assert set(described["figures"]) == MADE - {"description.json"}
    for name in described["figures"]:
        with Image.open(REPORT / name) as image:
            assert image.width == 1350 and image.height > 200
        assert described["figures"][name]["caption"]


def test_describe_says_the_same_every_time_and_leaves_other_files_as_they_are(prepared, capsys):
    read = {path: path.read_bytes() for path in Path("data").rglob("*") if path.is_file()}
    REPORT.mkdir(parents=True)
    (REPORT / "notes.txt").write_text("the user's")
    written = []
    for _ in range(2):
        assert command.main(["describe"]) == 0
        written.append([(REPORT / name).read_bytes() for name in sorted(MADE)] + [capsys.readouterr().out])
    assert written[0] == written[1]
    assert in_folder(REPORT) == MADE | {"notes.txt"}
    assert {path: path.read_bytes() for path in Path("data").rglob("*") if path.is_file()} == read


@pytest.fixture
def quick(monkeypatch):
    """Figures are not drawn in full."""
    monkeypatch.setattr(figures, "save", lambda figure, path: Path(path).write_bytes(b"a figure"))


def test_describe_writes_where_it_is_told(prepared, quick):
    assert command.main(["describe", "--out", "a/b"]) == 0
    assert in_folder("a/b") == MADE
    assert not REPORT.exists()


@pytest.mark.parametrize("out", ["file", "file/below/it"])
def test_a_file_in_the_place_of_the_folder_for_figures_is_named(folder, capsys, out):
    Path("file").write_text("the user's")
    assert command.main(["describe", "--out", out]) == 1
    assert error_of(capsys) == f"wavetag describe: --out {out}: file is a file; a folder is needed"
    assert Path("file").read_text() == "the user's"


def replace_setting(before, after):
    text = Path("params.yaml").read_text()
    assert before in text
    Path("params.yaml").write_text(text.replace(before, after, 1))


def test_describe_shows_another_sample_rate_with_the_same_split(prepared, quick, capsys):
    """A clip that at the usual rate ends at a window's edge has a sample more at the other: one window more."""
    assert params.load()["prepare"]["sample_rates"] == [RATE, 16_000]
    manifest = clips.read_manifest(PREPARED / "manifest.tsv")
    length, window = params.clip_samples(params.load(), 16_000), params.window_samples(params.load(), 16_000)
    manifest.loc[manifest["status"] == clips.OK, "samples"] = length
    manifest.loc[0, "samples"] = 9 * window + 1
    files.write_table("data/prepared/16000/manifest.tsv", manifest)
    np.lib.format.open_memmap("data/prepared/16000/clips.npy", mode="w+", dtype=np.int16, shape=(6, length)).flush()
    split = splits.read(SPLIT)
    split.clips.loc[0, "windows"] = 9
    splits.write(SPLIT, split)
    assert command.main(["describe", "--sample-rate", "16000"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "minitune, vocabulary of 3 listed tags, 16000 Hz"
    described = files.read_json(REPORT / "description.json")
    assert described["sample_rate"] == 16_000
    assert described["durations"]["clip_seconds"] == 29.125
    split.clips.loc[0, "windows"] = 8
    splits.write(SPLIT, split)
    assert command.main(["describe", "--sample-rate", "16000"]) == 1
    assert f"the split was made with other windows than of {window} samples" in error_of(capsys)


def test_a_sample_rate_that_is_not_prepared_is_refused_with_those_that_are(prepared, capsys):
    assert command.main(["describe", "--sample-rate", "8000"]) == 1
    assert error_of(capsys) == "wavetag describe: --sample-rate 8000: prepare.sample_rates has 12000, 16000"


def test_what_is_prepared_of_one_dataset_is_not_shown_as_another(prepared, capsys):
    """So it is after `make all` on minitune and `wavetag use magnatagatune`."""
    replace_setting("name: minitune", "name: magnatagatune")
    replace_setting("source: src/minitune", "source: data/downloads/magnatagatune")
    assert command.main(["describe"]) == 1
    assert error_of(capsys).startswith(
        "wavetag describe: data/raw/magnatagatune/annotations_final.csv: no such file; `"
    )
    RAW.rename("data/raw/magnatagatune")
    path = Path("data/raw/magnatagatune/annotations_final.csv")
    for name in ('"8"', "song-0-29"):
        content = path.read_text()
        path.write_text(content.replace(name, name.replace("8", "80").replace("song", "a song"), 1))
        assert command.main(["describe"]) == 1
        line = error_of(capsys)
        assert line.startswith(f"wavetag describe: {PREPARED}/manifest.tsv: other clips than those of magnatagatune")
        assert line.endswith("`snakemake --cores 4 all` (or `make all`) makes it anew")
        path.write_text(content)
    assert not REPORT.exists()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("[guitar, no piano, sitar]", "[guitar, no piano]", "3 tags, not as the 2 that split.vocabulary asks"),
        ("[guitar, no piano, sitar]", "all", "3 tags, not as the 4 that split.vocabulary asks for ('rare' is"),
        (
            "[guitar, no piano, sitar]",
            "[sitar, guitar, no piano]",
            "split.vocabulary asks for (in another order)",
        ),
        ('["d", "e", "f"]', '["d", "f"]', "other clips than split.train, valid, test and population ask for"),
    ],
)
def test_a_split_that_was_made_with_other_settings_is_refused(prepared, capsys, before, after, told):
    replace_setting(before, after)
    assert command.main(["describe"]) == 1
    line = error_of(capsys)
    assert line.startswith(f"wavetag describe: {SPLIT}: ") and told in line and "makes it anew" in line


def test_a_split_of_another_population_is_refused(prepared, quick, capsys):
    """A training clip without a tag, which only the population `all` takes in."""
    path = RAW / "annotations_final.csv"
    path.write_text(path.read_text().replace('"8"\t"0"\t"0"\t"1"', '"8"\t"0"\t"0"\t"0"'))
    split = splits.read(SPLIT)
    splits.write(SPLIT, split.where((split.clips["row"] != 1).to_numpy()))
    assert command.main(["describe"]) == 0
    capsys.readouterr()
    replace_setting("population: tagged", "population: all")
    assert command.main(["describe"]) == 1
    assert f"{SPLIT}: other clips than split.train, valid, test and population ask for" in error_of(capsys)


def test_labels_of_another_run_are_refused(prepared, capsys):
    split = splits.read(SPLIT)
    split.labels[0] = [0, 0, 1]
    splits.write(SPLIT, split)
    assert command.main(["describe"]) == 1
    assert f"{SPLIT}: other labels than those of minitune" in error_of(capsys)


def test_use_prints_what_changed_and_what_is_asked_for_now(folder, capsys):
    assert command.main(["use", "defaults.seeds=[3]"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "defaults.seeds: [0, 1, 2] -> [3]",
        "params.yaml has these settings now:",
        "minitune from src/minitune, vocabulary merged50, 12000 and 16000 Hz, scaling minmax; experiments: 14,"
        " epochs: 100, seeds: 3",
    ]
    assert command.main(["use", "defaults.seeds=[3]"]) == 0
    assert capsys.readouterr().out.startswith("params.yaml had these settings already:\nminitune from")


def test_tags_that_yaml_reads_otherwise_are_used_from_the_command_line_to_the_split(folder, capsys):
    assert command.main(["use", 'split.vocabulary=["80s", "no"]']) == 0
    assert "split.vocabulary: merged50 -> [80s, 'no']" in capsys.readouterr().out
    words = params.load()["split"]["vocabulary"]
    assert list(tags.resolve(words, ("no", "rock", "80s"), np.eye(3))) == ["80s", "no"]


@pytest.mark.parametrize("words", [["use"], ["use", "paper"], ["use", "defaults.epochs=3"]])
def test_use_away_from_the_top_folder_is_an_error(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert command.main(words) == 1
    assert "this is run from the repository's top folder" in error_of(capsys)


# wavetag findings


def entry(ask, verdict="better", group="all of it"):
    """A finding as findings.json has it, as far as it is printed."""
    short = f"{ask} Yes: raw_bn .678 ± .014 against base .585 ± .006, +.093 [+.071, +.115] mean ROC-AUC."
    return {"ask": ask, "group": group, "verdict": verdict, "short": short, "sentence": short}


@pytest.fixture
def found(folder):
    """Questions of the tables and of a suite, answered; another suite has not been run."""
    (folder / "suites").mkdir()
    asked = {"first": "Does it help, and would it help as much if it were asked at some length?", "second": "And else?"}
    questions = [
        {"ask": asked["first"], "group": "all of it", "one": "raw_bn", "other": "base"},
        {"ask": asked["second"], "group": "the rest", "one": "mel", "other": "base"},
    ]
    settings = yaml.safe_load(Path("params.yaml").read_text())
    files.write_text("params.yaml", yaml.safe_dump({**settings, "questions": questions}))
    suite_questions = [{"ask": "Is 20 better?", "group": "epochs", "one": "more", "other": "report/base"}]
    for name in ("done", "waiting"):
        suite = {"experiments": {"more": {"epochs": 20}}, "questions": suite_questions}
        files.write_text(f"suites/{name}/params.yaml", yaml.safe_dump(suite))
    write_found(asked)
    return folder


def write_found(asked):
    root = params.load()
    suites = {"report": root, "done": params.load_suite("suites/done", root)}

    def settings_of(suite, name):
        return params.of_a_score(suites[suite], params.config(suites[suite], name))

    def content(suite, entries):
        of_groups = findings.digests(suites[suite]["questions"], suite, settings_of)
        groups = [{"name": name, "heading": f"Told of {name}", "of": of} for name, of in of_groups.items()]
        return {"dataset": "minitune", "suite": suite, "groups": groups, "findings": entries, "unanswered": []}

    tables = [entry(asked["first"]), entry(asked["second"], "within noise", "the rest")]
    files.write_json(command.FINDINGS, content("report", tables))
    done = content("done", [entry("Is 20 better?", "worse", "epochs")])
    files.write_json("suites/done/results.json", {"configs": {}, "findings": done})


def test_findings_are_printed_by_suite_and_group_with_what_has_not_been_run(found, capsys):
    assert command.main(["findings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == ["report", "done", "waiting"]
    assert "  All of it" in lines and "  Told of all of it." in lines and "  Epochs" in lines
    assert sum("+.093 [+.071, +.115]" in line for line in lines) == 3
    assert all(line.endswith("mean ROC-AUC.") for line in lines if "+.093" in line)  # piped: a line each
    assert lines[lines.index("waiting") + 1] == "  Not run yet: `snakemake --cores 4 waiting` runs it."
    assert "\x1b" not in "".join(lines)


def test_findings_wrap_on_a_terminal(found, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    assert command.main(["findings", "report"]) == 0
    out = capsys.readouterr().out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert out != plain
    assert max(map(len, plain.splitlines())) <= 80
    assert "+.093 [+.071, +.115]" in " ".join(plain.split())


def test_findings_of_some_suites_and_groups_are_printed(found, capsys):
    assert command.main(["findings", "done"]) == 0
    assert "report" not in capsys.readouterr().out
    assert command.main(["findings", "--group", "REST"]) == 0
    out = capsys.readouterr().out
    assert "And else?" in out and "Does it help" not in out and "Is 20" not in out


def test_findings_as_json_have_all_their_numbers(found, capsys):
    assert command.main(["findings", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["report", "done", "waiting"]
    assert told["done"]["findings"] == [entry("Is 20 better?", "worse", "epochs")]
    assert told["waiting"]["missing"] == ["Not run yet: `snakemake --cores 4 waiting` runs it."]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["findings", "opne"], "there is no suite 'opne'; there are report, done, waiting"),
        (["findings", "done", "--group", "xyz"], "--group xyz: no group of done has this in its name"),
    ],
)
def test_a_suite_or_group_that_is_not_there_is_named(found, capsys, words, told):
    assert command.main(words) == 1
    assert error_of(capsys) == f"wavetag findings: {told}"


def test_findings_of_other_settings_or_questions_are_not_shown_as_those_of_now(found, capsys):
    text = Path("params.yaml").read_text()
    changed = yaml.safe_load(text)
    changed["experiments"]["mel"]["epochs"] = 99
    files.write_text("params.yaml", yaml.safe_dump(changed))
    assert command.main(["findings"]) == 0
    out = capsys.readouterr().out
    assert "And else?" not in out and "Does it help" in out and "Is 20" in out
    told = "Made for other questions or settings than are set now: the rest. `snakemake --cores 4 all` makes them anew."
    assert told in out
    changed["experiments"]["base"]["epochs"] = 99  # which the suite's question names too
    files.write_text("params.yaml", yaml.safe_dump(changed))
    assert command.main(["findings"]) == 0
    out = capsys.readouterr().out
    assert "Does it help" not in out and "Is 20" not in out
    assert "than are set now: epochs. `snakemake --cores 4 done` makes them anew." in out


FOUND = {"groups": [], "findings": [entry("Is it?")], "unanswered": []}


def without(key):
    return {**FOUND, "findings": [{name: value for name, value in entry("Is it?").items() if name != key}]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "no mapping of keys to values"),
        ("x", "no mapping of keys to values"),
        ({}, "no list of groups"),
        ({**FOUND, "findings": 3}, "no list of findings"),
        ({**FOUND, "groups": [{"name": "a"}]}, "groups.0 lacks heading, of"),
        ({**FOUND, "unanswered": ["Is it?"]}, "unanswered.0 lacks ask, group, why"),
        (without("short"), "findings.0 lacks short"),
        ({**FOUND, "findings": [entry("Is it?", verdict="so so")]}, "findings.0: verdict 'so so'"),
        ({**FOUND, "findings": [entry("Is it?") | {"ask": "Or?"}]}, "findings.0: short does not begin with what was"),
    ],
)
def test_findings_that_are_not_as_the_pipeline_writes_them_are_named(found, capsys, content, problem):
    files.write_json(command.FINDINGS, content)
    files.write_json("suites/done/results.json", {"configs": {}, "findings": content})
    for suite, path in (("report", command.FINDINGS), ("done", "suites/done/results.json")):
        assert command.main(["findings", suite]) == 1
        assert error_of(capsys).startswith(f"wavetag findings: {path}: not as the pipeline writes it ({problem}")


def test_results_of_another_shape_are_named_and_none_yet_are_none(found, capsys):
    for content in ([], "x"):
        files.write_json("suites/done/results.json", content)
        assert command.main(["findings", "done"]) == 1
        assert error_of(capsys).startswith("wavetag findings: suites/done/results.json: not as the pipeline writes it")
    for content in ({}, {"configs": {}, "findings": None}):
        files.write_json("suites/done/results.json", content)
        assert command.main(["findings", "done"]) == 0
        assert "Not run yet" in capsys.readouterr().out


def test_a_finding_without_an_interval_is_printed(found, capsys):
    content = json.loads(Path("suites/done/results.json").read_text())
    content["findings"]["findings"][0]["verdict"] = "no interval"
    files.write_json("suites/done/results.json", content)
    assert command.main(["findings", "done"]) == 0
    assert "Is 20 better?" in capsys.readouterr().out


def test_a_suite_that_compares_with_what_is_not_there_says_so(found, capsys):
    path = Path("suites/done/params.yaml")
    path.write_text(path.read_text().replace("report/base", "report/bsae"))
    assert command.main(["findings", "done"]) == 1
    assert error_of(capsys).startswith(
        "wavetag findings: suites/done/params.yaml: questions.0: there is no config 'report/bsae' (did you mean base?)"
    )


def test_a_suite_whose_clips_are_not_prepared_says_so(found, capsys):
    common = {"sample_rate": 22050, "split": "main"}
    suite = {"common": common, "splits": {"main": {}}, "experiments": {"more": common}}
    files.write_text("suites/waiting/params.yaml", yaml.safe_dump(suite))
    told = "suites/waiting/params.yaml: takes clips at 22050 Hz, which are not prepared"
    assert command.main(["findings", "waiting", "done"]) == 1
    assert error_of(capsys).startswith(f"wavetag findings: {told}")
    assert command.main(["findings"]) == 0
    out = capsys.readouterr().out
    assert told in out and "Is 20 better?" in out


def test_a_suite_that_asks_nothing_says_so(found, capsys):
    files.write_text("suites/waiting/params.yaml", yaml.safe_dump({"experiments": {"more": {"epochs": 20}}}))
    assert command.main(["findings", "waiting"]) == 0
    assert "Nothing is asked" in capsys.readouterr().out


def test_before_anything_is_prepared_the_first_missing_file_and_its_maker_are_named(folder, capsys):
    assert command.main(["describe"]) == 1
    expected = f"wavetag describe: {PREPARED}/manifest.tsv: no such file; `snakemake --cores 4 all` (or `make all`)"
    assert error_of(capsys).startswith(expected)
    assert not REPORT.exists()


@pytest.mark.parametrize("missing", [PREPARED / "manifest.tsv", PREPARED / "clips.npy", SPLIT])
def test_each_missing_file_is_named(prepared, capsys, missing):
    missing.unlink()
    assert command.main(["describe"]) == 1
    assert error_of(capsys).startswith(f"wavetag describe: {missing}: no such file; `snakemake --cores 4 all`")


@pytest.mark.parametrize("broken", [PREPARED / "manifest.tsv", PREPARED / "clips.npy", SPLIT])
@pytest.mark.parametrize("content", [b"", b"something else\n1\n", b"\xff\xfe\x00\t\n"])
def test_each_file_of_another_kind_is_named(prepared, capsys, broken, content):
    broken.write_bytes(content)
    assert command.main(["describe"]) == 1
    assert error_of(capsys).startswith(f"wavetag describe: {broken}: ")


def test_a_manifest_without_the_levels_is_named_with_what_it_lacks(prepared, capsys):
    path = PREPARED / "manifest.tsv"
    pd.read_csv(path, sep="\t").drop(columns=["rms_dbfs"]).to_csv(path, sep="\t", index=False)
    assert command.main(["describe"]) == 1
    line = error_of(capsys)
    assert str(path) in line and "rms_dbfs" in line


def test_an_array_of_other_clips_is_refused(prepared, capsys):
    np.save(PREPARED / "clips.npy", np.zeros((6, 100), dtype=np.int16))
    assert command.main(["describe"]) == 1
    line = error_of(capsys)
    assert f"{PREPARED}/clips.npy: clips of 100 samples" in line and "params.yaml" in line


def test_a_split_of_other_clips_is_refused(prepared, capsys):
    SPLIT.write_text(SPLIT.read_text().replace("song-0-29", "song-29-58").replace("\t7\t", "\t8000\t"))
    assert command.main(["describe"]) == 1
    line = error_of(capsys)
    assert line.startswith(f"wavetag describe: {PREPARED} and {SPLIT}: 1 clips of the split") and "make all" in line


def test_away_from_the_top_folder_params_yaml_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["describe"]) == 1
    assert error_of(capsys).startswith("wavetag describe: params.yaml: no such file")


def test_a_stop_is_told_and_has_its_status(prepared, capsys, monkeypatch):
    monkeypatch.setattr(params, "load", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert command.main(["describe"]) == 130
    assert error_of(capsys) == "wavetag describe: stopped; run the same command again to go on"


def test_a_full_disk_is_told_and_leaves_no_half_file(prepared, capsys, monkeypatch):
    def full(figure, path):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(figures, "save", full)
    assert command.main(["describe"]) == 1
    assert "no space left on the disk" in error_of(capsys)
    assert in_folder(REPORT) == set()


def test_a_bug_keeps_its_traceback(prepared, monkeypatch):
    monkeypatch.setattr(params, "load", lambda: {})
    with pytest.raises(KeyError):
        command.main(["describe"])


def test_without_a_subcommand_there_is_help(capsys):
    assert command.main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: wavetag")
    for name in command.SUBCOMMANDS:
        assert f"\n    {name} " in out


@pytest.mark.parametrize(
    ("words", "status"),
    [(["--version"], 0), (["--help"], 0), (["describe", "--help"], 0), (["paint"], 2), (["describe", "--nothing"], 2)],
)
def test_status_of_what_argparse_answers(words, status):
    with pytest.raises(SystemExit) as stopped:
        command.main(words)
    assert stopped.value.code == status


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit):
        command.main(["--version"])
    assert capsys.readouterr().out == f"wavetag {version('wavetag')}\n"


def test_help_loads_nothing_heavy():
    code = "import sys; from wavetag import command; command.main([]); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "wavetag.command" in loaded
    assert not {"numpy", "pandas", "matplotlib", "torch", "rich"} & set(loaded)
