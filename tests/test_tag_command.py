"""``wavetag tag``: what it prints for whom, what it draws, and what becomes of files that cannot be tagged."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import trained_models
from test_model import music
from trained_models import RATE, TAGS, heeding_ctrl_c
from wavetag import command, load_model, tagging
from wavetag.commands import tag

WAVETAG = [sys.executable, "-c", "import sys; from wavetag.command import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a model and with music, to be read and not changed."""
    top = tmp_path_factory.mktemp("made")
    trained_models.write(top / "models" / "base")
    trained_models.write(top / "models" / "worse", scores=(0.5, 0.6))
    for name, seconds in (("one.wav", 3), ("deep/er/two.flac", 2), ("deep/three.ogg", 4)):
        path = top / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, music(seconds, seed=seconds), RATE)
    return top


@pytest.fixture
def place(made, monkeypatch):
    monkeypatch.chdir(made)
    return made


def ran(capsys, *words: str) -> tuple[int, str, list[str]]:
    """Exit status, standard output, and the lines of standard error."""
    status = command.main(["tag", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err.splitlines()


def expected(path: Path, top: int | None = None) -> dict[str, float]:
    return load_model(Path("models/base")).tags(path, top=top)


def test_a_table_has_a_row_a_file_with_its_most_probable_tags(place, capsys):
    status, out, err = ran(capsys, "music/one.wav", "music/deep/three.ogg", "--top", "2")
    assert status == 0
    assert err == [
        "model: models/base, trained on minitune, music that a program composed: of recordings it knows little; 6 tags"
    ]
    rows = [line for line in out.splitlines() if "music/" in line]
    assert [row.split()[:2] for row in rows] == [["music/one.wav", "0:03"], ["music/deep/three.ogg", "0:04"]]
    for row in rows:
        for name, probability in expected(Path(row.split()[0]), 2).items():
            assert f"{name} {tag.shown(probability)}".replace(" ", "\u00a0") in row
        assert sum(name.replace(" ", "\u00a0") in row for name in TAGS) == 2


def test_json_has_every_tag_of_every_file(place, capsys):
    status, out, err = ran(capsys, "--json", "music")
    assert (status, err) == (0, [])
    found = json.loads(out)
    assert [one["file"] for one in found] == ["music/deep/er/two.flac", "music/deep/three.ogg", "music/one.wav"]
    for one in found:
        tags = {entry["tag"]: entry["probability"] for entry in one["tags"]}
        assert tags == pytest.approx(expected(one["file"]), abs=1e-5)
        assert list(tags) == list(expected(one["file"]))
    assert [one["seconds"] for one in found] == [2, 4, 3]


def test_csv_has_a_line_a_file_and_tag(place, capsys):
    status, out, _ = ran(capsys, "--csv", "music/one.wav", "--top", "3")
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["tag"]: float(row["probability"]) for row in rows} == pytest.approx(
        expected("music/one.wav", 3), abs=1e-5
    )
    assert {row["file"] for row in rows} == {"music/one.wav"}


@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_over_time_there_is_a_probability_a_window_and_tag(place, capsys, form):
    words = ["music/one.wav", "--over-time", "--hop", "0.25", "--top", "2", *([form] if form else [])]
    status, out, _ = ran(capsys, *words)
    assert status == 0
    course = load_model("models/base").tags_over_time("music/one.wav", hop=0.25)
    tags = list(expected("music/one.wav", 2))
    values = course.probabilities[:, [TAGS.index(name) for name in tags]]
    if form == "--json":
        [found] = json.loads(out)
        assert found["over_time"]["tags"] == tags
        assert found["over_time"]["starts"] == pytest.approx(course.starts.tolist())
        assert found["over_time"]["window"] == 0.5
        assert np.array(found["over_time"]["probabilities"]) == pytest.approx(values, abs=1e-5)
    elif form == "--csv":
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [row["tag"] for row in rows] == tags * len(values)
        assert [float(row["start"]) for row in rows[::2]] == pytest.approx(course.starts.tolist())
        assert [float(row["end"]) for row in rows[::2]] == pytest.approx((course.starts + 0.5).tolist())
        assert [float(row["probability"]) for row in rows] == pytest.approx(values.ravel().tolist(), abs=1e-5)
    else:
        rows = [line.split() for line in out.splitlines() if line.strip().startswith("0:")]
        assert [row[0] for row in rows][:3] == ["0:00.0", "0:00.2", "0:00.5"]
        assert [row[1:] for row in rows] == [[tag.shown(value) for value in row] for row in values.tolist()]


def broken(folder: Path) -> list[str]:
    """Files that cannot be tagged, and one that can between them."""
    folder.mkdir()
    (folder / "empty.mp3").touch()
    (folder / "text.wav").write_text("this is no sound\n" * 99)
    (folder / "new\nline.wav").write_text("nor is this")
    soundfile.write(folder / "silent.flac", np.zeros(RATE), RATE)
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    soundfile.write(folder / "whole.wav", music(2), RATE)
    return [str(folder / name) for name in ("gone.wav", *sorted(path.name for path in folder.iterdir()))]


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_file_that_cannot_be_tagged_is_one_line_and_the_rest_go_on(place, capfd, tmp_path, jobs):
    paths = broken(tmp_path / "files")
    status, out, err = ran(capfd, "--json", "--jobs", jobs, *paths)
    assert status == 1
    assert [one["file"] for one in json.loads(out)] == [str(tmp_path / "files/whole.wav")]
    assert [line.partition("files/")[2] for line in err] == [
        "gone.wav: no such file",
        "empty.mp3: the file is empty",
        "nan.wav: undecodable: samples that are not finite numbers",
        "new line.wav: undecodable: Format not recognised.",
        "silent.flac: silent from start to end: there is nothing to tag",
        "text.wav: undecodable: Format not recognised.",
    ]


def test_a_folder_without_sound_and_kinds_that_cannot_be_read_are_told(place, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    for name in ("a.m4a", "b.wma", "cover.jpg", ".hidden.wav"):
        (tmp_path / "mixed" / name).write_bytes(b"x")
    soundfile.write(tmp_path / "mixed" / "c.WAV", music(1), RATE, format="WAV")
    status, out, err = ran(capsys, "--json", str(tmp_path / "empty"), str(tmp_path / "mixed"))
    assert status == 1
    assert err == [
        f"wavetag tag: {tmp_path}/empty: no audio file in this folder",
        f"wavetag tag: {tmp_path}/mixed: 2 files left out that libsndfile does not read (.m4a, .wma): convert them"
        " first",
    ]
    assert [Path(one["file"]).name for one in json.loads(out)] == ["c.WAV"]


def test_a_folder_that_links_to_itself_is_walked_once(place, tmp_path):
    (tmp_path / "a").mkdir()
    soundfile.write(tmp_path / "a" / "one.wav", music(1), RATE)
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    paths, problems = tagging.gather([tmp_path / "a", tmp_path / "a" / "one.wav"])
    assert (paths, problems) == ([tmp_path / "a" / "one.wav"], [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--top", "0"], "--top 0: 1 or more is allowed"),
        (["--jobs", "0"], "--jobs 0: 1 or more is allowed"),
        (["--hop", "0.1"], "--hop is of --over-time and --plot alone"),
        (["--over-time", "--hop", "9"], "hop 9 s: 0.02 to 0.5 s, the length of a window of base, are allowed"),
        (
            ["--model", "bse"],
            "model 'bse': no such model folder, and no model of that name here; there are base, worse",
        ),
        (["--plot", "nowhere/plot.png"], "--plot nowhere/plot.png: there is no folder nowhere"),
        (["--plot", "plot.jpg"], "--plot plot.jpg: a file that ends in .png or .svg, or a folder, is allowed"),
        (["music/deep/three.ogg", "--plot", "plot.png"], "--plot plot.png: one file for 2 taggrams; name a folder"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_tagged(place, capsys, words, message):
    status, out, err = ran(capsys, "music/one.wav", *words)
    assert (status, out, err) == (1, "", [f"wavetag tag: {message}"])


def test_a_model_is_chosen_by_name(place, capsys):
    _, best, err = ran(capsys, "music/one.wav", "--csv")
    assert not err
    assert ran(capsys, "music/one.wav", "--csv", "--model", "base")[1] == best
    _, _, err = ran(capsys, "music/one.wav", "--model", "worse")
    assert err[0].startswith("model: models/worse, ")


def test_without_a_model_it_says_what_to_do(made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, _, err = ran(capsys, str(made / "music/one.wav"))
    assert status == 1
    assert err == [
        "wavetag tag: no model: there is none in taggers or models; `make all` trains some, or say which with --model"
        " FOLDER"
    ]


def test_one_taggram_is_drawn_into_a_file(place, capsys, tmp_path):
    for name in ("plot.png", "plot.svg"):
        assert ran(capsys, "music/one.wav", "--plot", str(tmp_path / name))[0] == 0
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width > 1000
    svg = (tmp_path / "plot.svg").read_text()
    assert svg.startswith("<?xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plot.png", "plot.svg"]


def test_several_taggrams_are_drawn_into_a_folder_and_none_over_another(place, capsys, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "same.wav", music(1), RATE)
    status, _, _ = ran(capsys, str(tmp_path), "--plot", str(tmp_path / "plots"))
    assert status == 0
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["same-2.png", "same.png"]


def test_side_by_side_gives_what_one_after_the_other_gives(place):
    loaded, paths = load_model("models/base"), tagging.gather(["music"])[0] * 5
    counted = []
    alone = list(tagging.tag_files(loaded, paths, 1))
    beside = list(tagging.tag_files(loaded, paths, 3, done=lambda: counted.append(1)))
    assert [tagged.path for tagged in beside] == paths
    assert len(counted) == len(paths)
    for one, other in zip(alone, beside, strict=True):
        assert np.array_equal(one.heard.probabilities, other.heard.probabilities)


def test_a_file_that_kills_its_process_costs_that_file_alone(place, monkeypatch):
    loaded, paths = load_model("models/base"), [Path(f"music/{number}.wav") for number in range(12)]

    def tag_one(model, path, over_time, hop):
        if path.stem == "7":
            os.kill(os.getpid(), signal.SIGKILL)
        return tagging.Tagged(path, None, "was tried")

    monkeypatch.setattr(tagging, "tag_one", tag_one)
    results = list(tagging.tag_files(loaded, paths, 3))
    assert [tagged.path for tagged in results] == paths
    assert [tagged.error for tagged in results] == [
        "undecodable: the process that decoded it died" if path.stem == "7" else "was tried" for path in paths
    ]


def test_a_reader_that_has_seen_enough_ends_it_quietly(place):
    many = ["music/one.wav"] + [f"music/{'x' * 200}{number}.wav" for number in range(2)]
    process = subprocess.Popen(
        [*WAVETAG, "tag", "--csv", "--over-time", "--hop", "0.02", *many],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("file,")
    process.stdout.close()
    err = process.stderr.read()
    process.wait(timeout=60)
    assert "Traceback" not in err
    assert process.returncode != 0


@pytest.mark.slow
def test_stopped_by_a_key_it_ends_at_once_and_leaves_whole_json(place, tmp_path):
    path, written = tmp_path / "long.wav", tmp_path / "found.json"
    soundfile.write(path, np.tile(music(60), 60), RATE)
    words = ["tag", "--json", "--over-time", "--hop", "0.02", "--jobs", "1", "music/one.wav", str(path)]
    with written.open("w") as file:
        process = subprocess.Popen(
            [*WAVETAG, *words], stdout=file, stderr=subprocess.PIPE, text=True, preexec_fn=heeding_ctrl_c
        )
        while "one.wav" not in written.read_text() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "wavetag tag: stopped; run the same command again to go on\n"
    assert [one["file"] for one in json.loads(written.read_text())] == ["music/one.wav"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0.2 s"),
        (1, "0:01"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599.7, "1:00:00"),
        (3725, "1:02:05"),
        (36_000, "10:00:00"),
    ],
)
def test_lengths_are_written_as_on_a_player(seconds, text):
    assert tag.length(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0.0, ".00"), (0.714, ".71"), (0.994, ".99"), (0.996, "1.0"), (1, "1.0")])
def test_probabilities_are_written_short(value, text):
    assert tag.shown(value) == text


def test_a_short_file_is_tagged_and_said_to_be_short(place, capsys, tmp_path):
    soundfile.write(tmp_path / "short.wav", music(0.2), RATE)
    status, out, err = ran(capsys, str(tmp_path / "short.wav"))
    assert status == 0
    assert "short.wav" in out
    assert err[1:] == [
        f"wavetag tag: {tmp_path}/short.wav: 0.2 s, where the model listens to 0.5 s at a time: the rest was taken as"
        " silence, and its tags are a guess"
    ]
