"""Decoding a dataset into one array and a manifest, and what happens when it is not as it should be."""

import errno
import os
import re
import signal

import numpy as np
import pandas as pd
import pytest
import soundfile

from conftest import write_mp3, write_tag_table
from wavetag import audio, clips, preparation
from wavetag.datasets import layout

RATE = 12_000
LENGTH = 1_000  # samples kept of each clip


def sine(samples, frequency=500.0, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(samples) / rate)


def write_wav(path, samples, rate=RATE):
    """WAV whatever the suffix: the decoder goes by a file's content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, format="WAV", subtype="PCM_16")


def write_tables(folder, paths, annotated=None):
    """Both tables, clip ids from 100; ``annotated`` replaces the values of the tags 'one' and 'two'."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [(100 + number, [1, 0], path) for number, path in enumerate(paths)]
    write_tag_table(folder / "annotations_final.csv", ["one", "two"], annotated or rows)
    lines = ["clip_id\tartist\talbum\tmp3_path"]
    lines += [f"{100 + number}\tan artist\tan album\t{path}" for number, path in enumerate(paths)]
    (folder / "clip_info_final.csv").write_text("\n".join(lines) + "\n")


def prepare(folder, tmp_path, **settings):
    out = tmp_path / "out"
    manifest = preparation.prepare(folder, out / "clips.npy", out / "manifest.tsv", RATE, LENGTH, **settings)
    return manifest.set_index("path"), clips.open_array(out / "clips.npy")


@pytest.fixture
def dataset(tmp_path):
    """Three clips: too long, too short, and of just the length that is kept. Their rows go by path, not by clip id."""
    folder = tmp_path / "dataset"
    write_tables(folder, ["1/b-b-01-long-0-29.mp3", "0/a-a-01-short-0-29.mp3", "0/a-a-01-just-29-58.mp3"])
    write_wav(folder / "1/b-b-01-long-0-29.mp3", sine(1_500))
    write_wav(folder / "0/a-a-01-short-0-29.mp3", sine(400))
    write_wav(folder / "0/a-a-01-just-29-58.mp3", sine(1_000))
    return folder


def test_rows_go_by_path_and_long_clips_are_cut_and_short_ones_padded(dataset, tmp_path):
    manifest, array = prepare(dataset, tmp_path)
    assert manifest["row"].to_dict() == {
        "0/a-a-01-just-29-58.mp3": 0,
        "0/a-a-01-short-0-29.mp3": 1,
        "1/b-b-01-long-0-29.mp3": 2,
    }
    assert manifest["samples"].tolist() == [1_000, 400, 1_000]
    assert array.dtype == np.int16
    expected = np.rint(sine(1_000) * 32_768)
    np.testing.assert_allclose(array[0], expected, atol=1)
    np.testing.assert_allclose(array[2], expected, atol=1)
    np.testing.assert_allclose(array[1, :400], expected[:400], atol=1)
    assert not array[1, 400:].any()


def test_the_manifest_says_what_each_clip_is(dataset, tmp_path):
    manifest, _ = prepare(dataset, tmp_path)
    row = manifest.loc["0/a-a-01-just-29-58.mp3"]
    assert row[["clip_id", "part", "artist", "album"]].tolist() == ["102", "0", "an artist", "an album"]
    assert row["song"] == "0/a-a-01-just"
    assert (row["status"], row["reason"]) == ("ok", "")


def test_the_manifest_is_read_back_as_it_was(dataset, tmp_path):
    manifest, _ = prepare(dataset, tmp_path)
    again = clips.read_manifest(tmp_path / "out" / "manifest.tsv").set_index("path")
    pd.testing.assert_frame_equal(again, manifest, check_dtype=False)


def test_two_processes_give_the_same_bytes_as_one(tiny_dataset, tmp_path):
    written = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        preparation.prepare(tiny_dataset, out / "clips.npy", out / "manifest.tsv", RATE, 24_000, processes=processes)
        written.append([(out / name).read_bytes() for name in ("clips.npy", "manifest.tsv")])
    assert written[0] == written[1]


def test_progress_counts_every_clip(dataset, tmp_path):
    seen = []
    prepare(dataset, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_stereo_at_another_rate_is_mixed_and_resampled(dataset, tmp_path):
    left = sine(4_800, frequency=500.0, rate=48_000)
    write_wav(dataset / "0/a-a-01-just-29-58.mp3", np.stack([left, np.zeros_like(left)], axis=1), rate=48_000)
    manifest, array = prepare(dataset, tmp_path)
    row = manifest.loc["0/a-a-01-just-29-58.mp3"]
    assert (row["samples"], row["status"]) == (1_000, "ok")
    middle = slice(100, 900)  # the resampler's filter has no past at the first sample and no future at the last
    np.testing.assert_allclose(array[row["row"], middle], 16_384 * sine(1_000)[middle], atol=40)


def test_louder_than_full_scale_is_clipped_and_not_wrapped(tmp_path):
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([1.5, -1.5, 0.25]), RATE, subtype="FLOAT")
    assert audio.decode(path, RATE).tolist() == [32_767, -32_768, 8_192]


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (None, "missing", "no such file"),
        (b"", "undecodable", "empty"),
        (bytes(range(256)) * 20, "undecodable", "undecodable: "),
        ("no samples", "undecodable", "no samples"),
        ("one sample", "undecodable", "no samples"),
        ("not a number", "undecodable", "not finite"),
    ],
)
def test_an_unusable_file_is_a_row_with_its_reason(dataset, tmp_path, content, status, reason):
    path = dataset / "0/a-a-01-just-29-58.mp3"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "no samples":
        write_wav(path, np.zeros(0))
    elif content == "one sample":
        write_wav(path, np.zeros(1), rate=48_000)  # nothing is left of it at 12 kHz
    elif content == "not a number":
        soundfile.write(path, np.array([0.0, np.nan]), RATE, format="WAV", subtype="FLOAT")
    manifest, array = prepare(dataset, tmp_path)
    row = manifest.loc["0/a-a-01-just-29-58.mp3"]
    assert (row["status"], row["samples"]) == (status, 0)
    assert reason in row["reason"]
    assert "\n" not in row["reason"]
    assert not array[row["row"]].any()
    assert (manifest.drop(index=row.name)["status"] == "ok").all()


@pytest.mark.parametrize("path", ["../outside.mp3", "0/../../outside.mp3", "/{tmp}/outside.mp3"])
def test_a_path_that_leaves_the_folder_is_not_read(dataset, tmp_path, path):
    path = path.replace("/{tmp}", str(tmp_path))
    write_wav(tmp_path / "outside.mp3", sine(1_000))
    write_tables(dataset, ["1/b-b-01-long-0-29.mp3", path])
    manifest, array = prepare(dataset, tmp_path)
    assert manifest.loc[path, "status"] == "missing"
    assert manifest.loc[path, "reason"] == "the path leaves the dataset's folder"
    assert not array[manifest.loc[path, "row"]].any()


def test_a_clip_may_be_a_link_as_dvc_makes_them(dataset, tmp_path):
    path = dataset / "0/a-a-01-just-29-58.mp3"
    path.rename(tmp_path / "cached.mp3")
    path.symlink_to(tmp_path / "cached.mp3")
    manifest, _ = prepare(dataset, tmp_path)
    assert manifest.loc["0/a-a-01-just-29-58.mp3", "status"] == "ok"


def test_no_decodable_clip_at_all_is_an_error_and_leaves_no_array(dataset, tmp_path):
    for path in dataset.rglob("*.mp3"):
        path.write_bytes(b"")
    with pytest.raises(clips.DatasetError, match="not one of 3 clips could be decoded; the file is empty"):
        prepare(dataset, tmp_path)
    assert not list((tmp_path / "out").iterdir())


def test_an_annotation_without_a_clip_info_row_is_refused(dataset, tmp_path):
    lines = (dataset / "clip_info_final.csv").read_text().splitlines()
    (dataset / "clip_info_final.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(clips.DatasetError, match=r"clip_info_final.csv: no row for 1 annotated clips, 0/a-a-01-just"):
        prepare(dataset, tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, [1, 2], "0/a.mp3")], "neither 0 nor 1"),
        ([(1, [1, "nan"], "0/a.mp3")], "neither 0 nor 1"),
        ([(1, [1, "yes"], "0/a.mp3")], "not a number"),
        ([(1, [1, ""], "0/a.mp3")], "not a number"),
        ([(1, [1, 0], "0/a.mp3"), (1, [1, 0], "0/b.mp3")], "stands twice"),
        ([(1, [1, 0], "0/a.mp3"), (2, [1, 0], "0/a.mp3")], "stands twice"),
        ([(1, [1], "0/a.mp3"), (2, [1, 0, 1, 1], "0/b.mp3")], "not a tab-separated table"),
    ],
)
def test_a_wrong_annotation_table_is_refused_with_its_name(tmp_path, rows, message):
    write_tables(tmp_path, ["0/a.mp3"], rows)
    with pytest.raises(clips.DatasetError, match=message) as error:
        clips.read_annotations(tmp_path / "annotations_final.csv")
    assert "annotations_final.csv" in str(error.value)


def test_a_table_without_a_row_is_refused(dataset, tmp_path):
    table = dataset / "annotations_final.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(clips.DatasetError, match=r"annotations_final.csv.*no clip"):
        prepare(dataset, tmp_path)


def test_a_table_without_a_needed_column_is_refused(dataset):
    (dataset / "clip_info_final.csv").write_text("clip_id\tartist\n100\tan artist\n")
    with pytest.raises(clips.DatasetError, match=r"clip_info_final.csv: no column album"):
        clips.describe_clips(dataset)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00"])
def test_a_table_that_is_none_is_refused(dataset, content):
    (dataset / "annotations_final.csv").write_bytes(content)
    with pytest.raises(clips.DatasetError, match=r"annotations_final.csv"):
        clips.describe_clips(dataset)


def test_no_table_at_all_says_what_a_dataset_is(tmp_path):
    with pytest.raises(clips.DatasetError, match=r"annotations_final.csv: no such file.*MagnaTagATune tables"):
        clips.describe_clips(tmp_path)


@pytest.mark.parametrize("older", [None, b"an older array"])
def test_a_full_disk_leaves_no_half_array_and_keeps_an_older_one(dataset, tmp_path, monkeypatch, older):
    out = tmp_path / "out"
    out.mkdir()
    if older:
        (out / "clips.npy").write_bytes(older)

    def full(descriptor, offset, length):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left") as error:
        prepare(dataset, tmp_path)
    assert error.value.errno == errno.ENOSPC
    assert [path.name for path in out.iterdir()] == (["clips.npy"] if older else [])
    assert not older or (out / "clips.npy").read_bytes() == older


def stop_after(clips_done):
    def stop(done, total):
        if done == clips_done:
            raise KeyboardInterrupt

    return stop


def decoded_files(monkeypatch, tmp_path):
    """Gives the names of the files that are decoded from now on, as the processes that decode them write them."""
    told, decode = tmp_path / "decoded.txt", audio.decode_segments
    told.touch()

    def telling(path, *rest):
        with told.open("a") as file:
            file.write(f"{path.name}\n")
        return decode(path, *rest)

    monkeypatch.setattr(audio, "decode_segments", telling)
    return lambda: told.read_text().split()


def test_a_stop_half_way_leaves_no_array_and_the_next_run_goes_on(dataset, tmp_path, monkeypatch):
    whole, array = prepare(dataset, tmp_path / "undisturbed")
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, tmp_path, progress=stop_after(2))
    assert not (tmp_path / "out" / "clips.npy").exists()
    names = decoded_files(monkeypatch, tmp_path)
    manifest, again = prepare(dataset, tmp_path)
    assert names() == ["b-b-01-long-0-29.mp3"]
    pd.testing.assert_frame_equal(manifest, whole)
    np.testing.assert_array_equal(again, array)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clips.npy", "manifest.tsv"]


def test_a_file_that_changed_after_a_stop_is_decoded_again(dataset, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, tmp_path, progress=stop_after(2))
    write_wav(dataset / "0/a-a-01-just-29-58.mp3", sine(300))
    names = decoded_files(monkeypatch, tmp_path)
    manifest, array = prepare(dataset, tmp_path)
    assert names() == ["a-a-01-just-29-58.mp3", "b-b-01-long-0-29.mp3"]
    assert manifest.loc["0/a-a-01-just-29-58.mp3", "samples"] == 300
    assert not array[0, 300:].any(), "nothing is left of the longer clip that was there"


def test_a_file_that_can_no_longer_be_decoded_after_a_stop_leaves_nothing_in_the_array(dataset, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, tmp_path, progress=stop_after(2))
    (dataset / "0/a-a-01-just-29-58.mp3").write_bytes(b"no audio")
    (dataset / "0/a-a-01-short-0-29.mp3").unlink()
    manifest, array = prepare(dataset, tmp_path)
    assert manifest["status"].tolist() == ["undecodable", "missing", "ok"]
    assert not array[:2].any()


def test_another_file_of_the_same_size_and_time_is_decoded_again(dataset, tmp_path):
    path = dataset / "0/a-a-01-just-29-58.mp3"
    write_wav(path, sine(500))
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, tmp_path, progress=stop_after(2))
    time = path.stat().st_mtime_ns
    write_wav(path, -sine(500))
    os.utime(path, ns=(time, time))
    _, array = prepare(dataset, tmp_path)
    assert np.array_equal(array[0, :500], audio.decode(path, RATE))


def change_byte(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "array cut short": lambda journal, partial: os.truncate(partial, partial.stat().st_size - 2),
    "array emptied": lambda journal, partial: os.truncate(partial, 0),
    "array's header overwritten": lambda journal, partial: partial.open("rb+").write(bytes(64)),
    "journal not text": lambda journal, partial: journal.open("ab").write(b"\xff\xfe\n"),
    "journal with another line": lambda journal, partial: journal.open("a").write('{"state": 1}\n[]\n7\n'),
    "one bit of a sample": lambda journal, partial: change_byte(partial, partial.stat().st_size // 6),
    "one digit of a level": lambda journal, partial: change_byte(
        journal, journal.read_bytes().rindex(b']], "sums') - 1
    ),
    "journal of fewer clips": lambda journal, partial: journal.write_text(
        re.sub(r'"outcomes": .*', '"outcomes": []}', journal.read_text())
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_damaged_after_a_stop_is_made_again(dataset, tmp_path, damage):
    whole, array = prepare(dataset, tmp_path / "undisturbed")
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, tmp_path, progress=stop_after(2))
    DAMAGES[damage](tmp_path / "out/.clips.npy.journal", tmp_path / "out/.clips.npy.partial")
    manifest, again = prepare(dataset, tmp_path)
    pd.testing.assert_frame_equal(manifest, whole)
    assert (tmp_path / "out/clips.npy").read_bytes() == (tmp_path / "undisturbed/out/clips.npy").read_bytes()
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize("change", ["other rate", "other clips", "journal cut short", "journal gone"])
def test_what_was_begun_for_something_else_is_begun_anew(dataset, tmp_path, monkeypatch, change):
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, tmp_path, progress=stop_after(2))
    journal, out, rate = tmp_path / "out" / ".clips.npy.journal", tmp_path / "out", RATE
    lines = journal.read_text().splitlines(keepends=True)
    if change == "other rate":
        rate = 8_000
    elif change == "other clips":
        write_tables(dataset, ["0/a-a-01-short-0-29.mp3", "0/a-a-01-just-29-58.mp3"])
    elif change == "journal cut short":
        journal.write_text("".join(lines)[:-10])
    else:
        journal.unlink()
    names = decoded_files(monkeypatch, tmp_path)
    manifest = preparation.prepare(dataset, out / "clips.npy", out / "manifest.tsv", rate, LENGTH)
    assert (manifest["status"] == clips.OK).all()
    expected = {"other clips": 2, "journal cut short": 2}
    assert len(names()) == expected.get(change, 3)


def test_clips_are_cut_from_one_file_in_one_pass(tmp_path, monkeypatch):
    folder = tmp_path / "dataset"
    seconds = LENGTH / RATE
    starts = [0.0, seconds, 2 * seconds, 11 * seconds, 30 * seconds]
    paths = [f"0/long.wav{layout.fragment(start, start + seconds)}" for start in starts]
    write_tables(folder, paths)
    rng = np.random.default_rng(0)
    samples = rng.integers(-30_000, 30_000, 12 * LENGTH - 10, dtype=np.int16)
    write_wav(folder / "0/long.wav", samples)
    names = decoded_files(monkeypatch, tmp_path)
    manifest, array = prepare(folder, tmp_path)
    assert names() == ["long.wav"]
    assert manifest.index.tolist() == paths, "by start, not by the start's text"
    assert manifest["status"].tolist() == ["ok"] * 4 + ["undecodable"]
    assert manifest["song"].unique().tolist() == ["0/long.wav"]
    assert manifest["samples"].tolist() == [LENGTH, LENGTH, LENGTH, LENGTH - 10, 0]
    np.testing.assert_array_equal(array[:3].ravel(), samples[: 3 * LENGTH])
    np.testing.assert_array_equal(array[3, :-10], samples[11 * LENGTH :])


@pytest.mark.parametrize("rate", [44_100, 22_050, 16_000, 8_000, 11_111])
def test_clips_of_a_file_at_another_rate_are_resampled_as_in_one_piece(tmp_path, rate):
    """Noise, so that what a filter lacks at a clip's edges would show."""
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "long.wav", 0.3 * rng.standard_normal((5 * rate, 2)), rate)
    whole = audio.decode(tmp_path / "long.wav", 12_000).astype(int)
    segments = [(0, 1), (1, 2), (2, 3.5), (4, 5)]
    pieces = list(audio.decode_segments(tmp_path / "long.wav", 12_000, segments))
    assert [len(piece) for piece in pieces] == [12_000, 12_000, 18_000, 12_000]
    for (start, end), piece in zip(segments, pieces, strict=True):
        assert np.abs(whole[int(start * 12_000) : int(end * 12_000)] - piece).max() <= 1


def test_clips_shorter_than_what_is_read_around_them_are_those_of_the_file(tmp_path):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "short.wav", 0.3 * rng.standard_normal(22_050), 44_100)
    whole = audio.decode(tmp_path / "short.wav", 12_000).astype(int)
    segments = [(0.0, 0.01), (0.01, 0.02), (0.02, 0.1), (0.1, 0.11), (0.12, 0.3)]
    for (start, end), piece in zip(
        segments, audio.decode_segments(tmp_path / "short.wav", 12_000, segments), strict=True
    ):
        assert np.abs(whole[round(start * 12_000) : round(end * 12_000)] - piece).max() <= 1


def test_a_clip_beside_one_that_is_not_finite_is_decoded(tmp_path):
    samples = np.full(3 * 16_000, 0.5)
    samples[16_000] = np.nan
    soundfile.write(tmp_path / "long.wav", samples, 16_000, subtype="FLOAT")
    first, second, third = audio.decode_segments(tmp_path / "long.wav", 12_000, [(0, 1), (1, 2), (2, 3)])
    assert isinstance(second, audio.AudioError) and "not finite" in str(second)
    assert (first[1_000:-1_000] == 16_384).all() and (third[1_000:-1_000] == 16_384).all()


def test_samples_without_a_header_are_undecodable(dataset, tmp_path):
    """soundfile asks of a .raw what only its user knows."""
    write_tables(dataset, ["0/a.raw", "1/b-b-01-long-0-29.mp3"])
    (dataset / "0/a.raw").write_bytes(bytes(100))
    manifest, _ = prepare(dataset, tmp_path)
    assert manifest["status"].tolist() == ["undecodable", "ok"]
    assert "samplerate must be specified" in manifest["reason"].iloc[0]


def mp3(path, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    samples = sine(int(seconds * 16_000), rate=16_000) + 0.2 * rng.standard_normal(int(seconds * 16_000))
    write_mp3(path, np.clip(samples, -1, 1))


def test_an_mp3_that_is_read_in_blocks_is_decoded_as_in_one_piece(tmp_path, monkeypatch):
    """The decoder must not start afresh at a block: that changes samples."""
    monkeypatch.setattr(audio, "BLOCK", 65_536)
    mp3(tmp_path / "long.mp3", 15)
    whole, rate = soundfile.read(tmp_path / "long.mp3", dtype="float32")
    assert len(whole) > 3 * audio.BLOCK
    expected = np.clip(np.rint(whole * 32_768), -32_768, 32_767)
    np.testing.assert_array_equal(audio.decode(tmp_path / "long.mp3", rate), expected)
    pieces = audio.decode_segments(tmp_path / "long.mp3", rate, [(0, 5), (5, 10), (10, 14)])
    np.testing.assert_array_equal(np.concatenate(list(pieces)), expected[: 14 * rate])


def test_the_manifest_has_range_and_level_of_each_clip(dataset, tmp_path):
    write_wav(dataset / "0/a-a-01-short-0-29.mp3", np.array([0.5, -0.25] * 100))
    write_wav(dataset / "0/a-a-01-just-29-58.mp3", np.zeros(500))
    (dataset / "1/b-b-01-long-0-29.mp3").write_bytes(b"no audio")
    prepare(dataset, tmp_path)
    manifest = clips.read_manifest(tmp_path / "out" / "manifest.tsv").set_index("path")
    short, silent, broken = (
        manifest.loc[f"{name}.mp3"] for name in ("0/a-a-01-short-0-29", "0/a-a-01-just-29-58", "1/b-b-01-long-0-29")
    )
    assert (short["minimum"], short["maximum"]) == (-8_192, 16_384)
    assert short["rms_dbfs"] == pytest.approx(10 * np.log10((0.25 + 0.0625) / 2), abs=0.01)
    assert (silent["minimum"], silent["maximum"], silent["rms_dbfs"]) == (0, 0, -100)
    assert broken[["minimum", "maximum", "rms_dbfs"]].isna().all()


def test_a_truncated_array_is_refused(dataset, tmp_path):
    prepare(dataset, tmp_path)
    path = tmp_path / "out" / "clips.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(clips.DatasetError, match=r"clips.npy: not a whole .npy array"):
        clips.open_array(path)


@pytest.mark.parametrize("array", [np.zeros((2, 3)), np.zeros(3, np.int16), np.array([[None]])])
def test_an_array_of_another_kind_is_refused(tmp_path, array):
    np.save(tmp_path / "other.npy", array)
    with pytest.raises(clips.DatasetError, match=r"other.npy"):
        clips.open_array(tmp_path / "other.npy")


def test_the_array_cannot_be_written_to_by_who_reads_it(dataset, tmp_path):
    _, array = prepare(dataset, tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def killer(monkeypatch, tmp_path, name, times):
    """Lets the first ``times`` processes that decode a file of this name die of it."""
    died, decode = tmp_path / "died.txt", audio.decode_segments
    died.touch()

    def deadly(path, *rest):
        if path.name == name and died.stat().st_size < times:
            with died.open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return decode(path, *rest)

    monkeypatch.setattr(audio, "decode_segments", deadly)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_file_that_kills_its_process_is_a_row_with_its_reason(dataset, tmp_path, monkeypatch, processes):
    whole, _ = prepare(dataset, tmp_path / "undisturbed")
    killer(monkeypatch, tmp_path, "a-a-01-short-0-29.mp3", times=10)
    manifest, array = prepare(dataset, tmp_path, processes=processes)
    bad = manifest.loc["0/a-a-01-short-0-29.mp3"]
    assert (bad["status"], bad["reason"]) == ("undecodable", "the process that decoded it died")
    assert not array[bad["row"]].any()
    good = ["0/a-a-01-just-29-58.mp3", "1/b-b-01-long-0-29.mp3"]
    pd.testing.assert_frame_equal(manifest.loc[good], whole.loc[good])


def test_a_process_that_is_killed_once_costs_no_clip(dataset, tmp_path, monkeypatch):
    whole, array = prepare(dataset, tmp_path / "undisturbed")
    killer(monkeypatch, tmp_path, "a-a-01-short-0-29.mp3", times=1)
    manifest, again = prepare(dataset, tmp_path, processes=2)
    pd.testing.assert_frame_equal(manifest, whole)
    np.testing.assert_array_equal(again, array)
