"""The dataset on disk: its files, that its bytes are the same each time, and that it fails in one clear message."""

import csv
import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from minitune import DATASET_VERSION, dataset
from minitune.__main__ import main
from minitune.catalogue import PARTS, catalogue
from minitune.dataset import GenerationError, encode_mp3, generate
from minitune.facts import CLIP_SAMPLES, Facts
from minitune.tags import TAGS

TABLES = ("annotations_final.csv", "clip_info_final.csv", "tag_probabilities.csv", "facts.csv", "VERSION")


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hum(song, section):
    """Stands in for `render_clip`: a tone whose pitch tells which clip it is."""
    pitch = 200 + 10 * song.artist.index + 3 * song.track + section
    samples = 0.3 * np.sin(2 * np.pi * pitch / 16_000 * np.arange(CLIP_SAMPLES)).astype(np.float32)
    return samples, Facts("solo", {"classical": 1.0}, {"flute": -1.5}, 2.0, 90.0, -13.0)


@pytest.fixture
def humming(monkeypatch):
    """The dataset with quick sound; workers are forked, so they see it too."""
    monkeypatch.setattr(dataset, "render_clip", hum)
    monkeypatch.setattr(dataset.voice, "build_bank", lambda: None)
    return monkeypatch


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A real dataset of 32 clips, made by two processes."""
    return generate(tmp_path_factory.mktemp("made") / "music", clips=32, seed=5, processes=2)


def test_the_bytes_do_not_depend_on_the_number_of_processes(made, tmp_path):
    again = generate(tmp_path / "again", clips=32, seed=5, processes=1)
    assert contents(again) == contents(made)


def test_the_layout_is_magnatagatunes(made):
    assert {path.name for path in made.iterdir()} == {*PARTS, *TABLES}
    annotations = read(made / "annotations_final.csv")
    assert list(annotations[0]) == ["clip_id", *TAGS, "mp3_path"]
    files = {path.relative_to(made).as_posix() for path in made.rglob("*.mp3")}
    assert {row["mp3_path"] for row in annotations} == files
    assert len(files) == len(annotations) == 32
    assert {row[tag] for row in annotations for tag in TAGS} == {"0", "1"}
    first = (made / "clip_info_final.csv").read_text().splitlines()[0]
    assert first.replace('"', "").split("\t") == [
        "clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd",
        "original_url", "mp3_path",
    ]  # fmt: skip


def test_all_tables_have_the_same_clips_in_the_same_order(made):
    tables = [read(made / name) for name in TABLES if name.endswith(".csv")]
    ids = [[row["clip_id"] for row in table] for table in tables]
    assert ids == [ids[0]] * 4
    assert ids[0] == [str(clip.clip_id) for clip in catalogue(32, 5)]


def test_the_probabilities_are_those_of_the_tags(made):
    rows = read(made / "tag_probabilities.csv")
    p = np.array([[float(row[tag]) for tag in TAGS] for row in rows])
    drawn = np.array([[int(row[tag]) for tag in TAGS] for row in read(made / "annotations_final.csv")])
    assert p.min() > 0 and p.max() < 1
    spread = np.sqrt((p * (1 - p)).sum())
    assert abs(drawn.sum() - p.sum()) < 5 * spread
    assert p[drawn == 1].mean() > 5 * p[drawn == 0].mean()


def test_every_clip_decodes_to_29_seconds_of_sound(made):
    for path in made.rglob("*.mp3"):
        samples, rate = soundfile.read(path)
        assert rate == 16_000 and samples.ndim == 1
        assert len(samples) >= CLIP_SAMPLES
        assert 0.001 < np.sqrt(np.mean(samples**2)) < 0.7
        assert abs(path.stat().st_size * 8 / len(samples) * 16_000 - 32_000) < 500  # bits a second


def test_version_seed_and_size_stand_in_the_folder(made):
    assert (made / "VERSION").read_text() == f"minitune {DATASET_VERSION}\nseed 5\nclips 32\n"


def test_an_encoded_clip_is_the_clip():
    seconds = np.arange(CLIP_SAMPLES) / 16_000
    clip = (0.4 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    decoded, _ = soundfile.read(io.BytesIO(encode_mp3(clip)))
    spectrum = np.abs(np.fft.rfft(decoded[:CLIP_SAMPLES]))
    assert abs(np.argmax(spectrum) / 29.1 - 440) < 0.1
    # LAME takes 5 % off before it encodes, so that nothing clips.
    ratio = np.sqrt(np.mean(decoded[:CLIP_SAMPLES] ** 2) / np.mean(clip**2))
    assert ratio == pytest.approx(0.95, abs=0.02)


def test_progress_counts_to_the_end(humming, tmp_path):
    seen = []
    generate(tmp_path / "music", clips=32, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 32) for done in range(33)]


def test_a_rendering_error_names_the_clip_and_the_next_run_goes_on(humming, tmp_path):
    fifth = catalogue(32, 2014)[4]

    def broken(song, section):
        if (song, section) == (fifth.song, fifth.section):
            raise ZeroDivisionError("no chord")
        return hum(song, section)

    humming.setattr(dataset, "render_clip", broken)
    with pytest.raises(GenerationError, match=f"clip {fifth.path}: ZeroDivisionError: no chord"):
        generate(tmp_path / "music", clips=32, processes=1)
    assert not (tmp_path / "music").exists()

    humming.setattr(dataset, "render_clip", hum)
    seen = []
    generate(tmp_path / "music", clips=32, progress=lambda done, total: seen.append(done))
    assert seen[0] >= 4  # the clips before it were kept
    whole = generate(tmp_path / "other", clips=32)
    assert contents(tmp_path / "music") == contents(whole)
    assert {path.name for path in tmp_path.iterdir()} == {"music", "other"}


def test_clips_of_another_seed_are_not_taken_over(humming, tmp_path):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "music", clips=32, seed=1, progress=stop)
    seen = []
    generate(tmp_path / "music", clips=32, seed=2, progress=lambda done, total: seen.append(done))
    assert seen[0] == 0


def test_clips_of_other_code_are_not_taken_over(humming, tmp_path):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "music", clips=32, progress=stop)
    humming.setattr(dataset, "_digest_of_code", lambda: "edited")
    seen = []
    generate(tmp_path / "music", clips=32, progress=lambda done, total: seen.append(done))
    assert seen[0] == 0


def test_a_full_disk_says_so(humming, tmp_path):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    humming.setattr(dataset, "_write", full)
    with pytest.raises(GenerationError, match="the disk is full"):
        generate(tmp_path / "music", clips=32)


def test_a_worker_that_dies_is_reported(humming, tmp_path):
    humming.setattr(dataset, "render_clip", lambda song, section: os._exit(9))
    with pytest.raises(GenerationError, match="a worker process died"):
        generate(tmp_path / "music", clips=32)


def test_the_same_dataset_is_not_made_twice_and_another_replaces_it(humming, tmp_path):
    folder = generate(tmp_path / "music", clips=32, seed=1)
    before = contents(folder)
    humming.setattr(dataset, "render_clip", None)  # would fail if it were called
    generate(folder, clips=32, seed=1)
    assert contents(folder) == before

    humming.setattr(dataset, "render_clip", hum)
    generate(folder, clips=33, seed=1)
    assert len(list(folder.rglob("*.mp3"))) == 33
    assert {path.name for path in tmp_path.iterdir()} == {"music"}


def test_a_dataset_that_lost_a_clip_is_made_again(humming, tmp_path):
    folder = generate(tmp_path / "music", clips=32, seed=1)
    before = contents(folder)
    next(folder.rglob("*.mp3")).unlink()
    assert contents(generate(folder, clips=32, seed=1)) == before


def test_a_folder_of_somebody_elses_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="is no minitune dataset"):
        generate(tmp_path, clips=32)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clips": 31}, "clips: 31 given, 32 to 25863 allowed"),
        ({"processes": 0}, "processes: 0 given"),
        ({"seed": -1}, "seed: -1 given"),
    ],
)
def test_bad_arguments_are_named(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        generate(tmp_path / "music", **{"clips": 32} | arguments)
    assert not list(tmp_path.iterdir())


def test_the_command_ends_in_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "music"), "--clips", "7"]) == 1
    assert capsys.readouterr().err == "minitune: clips: 7 given, 32 to 25863 allowed\n"


HUMMING_COMMAND = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests in its background ignores it
sys.path.insert(0, {tests!r})
from test_minitune_dataset import dataset, hum, main
def slow_hum(song, section):
    time.sleep(0.2)
    return hum(song, section)
dataset.render_clip, dataset.voice.build_bank = slow_hum, lambda: None
sys.exit(main({arguments!r}))
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_command_leaves_no_half_dataset_and_goes_on(humming, tmp_path, sign):
    arguments = [str(tmp_path / "music"), "--clips", "32", "--seed", "5"]
    command = HUMMING_COMMAND.format(tests=str(Path(__file__).parent), arguments=arguments)
    run = subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.PIPE, text=True)
    facts = tmp_path / ".music.partial" / ".facts"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(facts.glob("*.json"))) < 3:
        time.sleep(0.05)
    run.send_signal(sign)
    _, err = run.communicate(timeout=30)
    assert not (tmp_path / "music").exists()
    if sign != signal.SIGKILL:
        assert run.returncode == 130
        assert err.strip().splitlines()[-1].startswith("minitune: interrupted; start again to go on")
        assert "Traceback" not in err
    seen = []
    generate(tmp_path / "music", 32, 5, 2, progress=lambda done, total: seen.append(done))
    assert seen[0] >= 3
    assert contents(tmp_path / "music") == contents(generate(tmp_path / "whole", 32, 5))
    assert {path.name for path in tmp_path.iterdir()} == {"music", "whole"}


@pytest.mark.parametrize("damaged", ["0/*.mp3", ".facts/*.json"])
@pytest.mark.parametrize("how", ["a bit", "cut short", "emptied"])
def test_a_clip_that_was_damaged_after_a_stop_is_made_again(humming, tmp_path, damaged, how):
    def stop(done, total):
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "music", 32, 5, 1, progress=stop)
    path = sorted((tmp_path / ".music.partial").glob(damaged))[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"a bit": content, "cut short": content[:-9], "emptied": b""}[how])
    assert contents(generate(tmp_path / "music", 32, 5)) == contents(generate(tmp_path / "whole", 32, 5))
