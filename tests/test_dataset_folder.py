"""A user's own music: tables, one folder a tag, MTG-Jamendo's; what is cut, split, and refused."""

import os
import shutil
import time
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pandas as pd
import pytest
import soundfile

from wavetag import audio, clips
from wavetag.datasets import collection, folder
from wavetag.datasets.layout import PARTS, DatasetError

SECONDS = 1.0  # length of a clip
SPLIT_OF = {part: split for split, parts in folder.PARTS.items() for part in parts}


def sound(path, seconds=0.5, rate=8_000, channels=1, seed=None, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(abs(hash(str(path))) if seed is None else seed)
    soundfile.write(path, rng.uniform(-0.5, 0.5, (int(seconds * rate), channels)), rate, **how)


class Made:
    """What was made of a source."""

    def __init__(self, out, said):
        self.out, self.said = out, said
        self.annotations = clips.read_annotations(out / "annotations_final.csv")
        self.clips = clips.describe_clips(out)
        self.origin = pd.read_csv(out / "origin.tsv", sep="\t", dtype=str, keep_default_na=False)
        of_path = dict(zip(self.annotations.clips["path"], self.annotations.labels, strict=True))
        self.tags = {
            Path(row.file).name: {t for t, one in zip(self.annotations.tags, of_path[row.path], strict=True) if one}
            for row in self.origin.itertuples()
        }


@pytest.fixture
def make(tmp_path):
    """Acquire a source; it has to stay as it is."""

    def state(source):
        return {path: (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in source.rglob("*")}

    def make(source, audio=None, seed=0, vocabulary="all"):
        said, top = [], source if source.is_dir() else source.parent
        before = state(top)
        settings = {"source": str(source), "audio": audio and str(audio), "seed": seed}
        folder.acquire(tmp_path / "out", settings, SECONDS, vocabulary, said.append)
        assert state(top) == before
        return Made(tmp_path / "out", said)

    return make


@pytest.fixture
def music(tmp_path):
    """A folder with twelve songs of four artists, and a function that writes a table beside them."""
    top = tmp_path / "music"
    for number in range(12):
        sound(top / f"{number}.wav", seed=number)
    (top / "link.wav").symlink_to("0.wav")

    def table(text, name="tags.csv"):
        (top / name).write_text(text, encoding="utf-8")
        return top / name

    table.top = top
    return table


def lines(extra=""):
    return "".join(f"{n}.wav,{'rock; Loud' if n % 2 else 'soft'},artist {n // 3}{extra}\n" for n in range(12))


def test_a_table(music, make):
    made = make(music("Path, Tags ,artist\n" + lines()))
    assert made.annotations.tags == ("Loud", "rock", "soft")
    assert made.tags["1.wav"] == {"Loud", "rock"} and made.tags["2.wav"] == {"soft"}
    assert made.clips.set_index("clip_id")["artist"].nunique() == 4
    for row in made.origin.itertuples():
        assert SPLIT_OF[row.path[0]] == row.split
        assert (made.out / row.path).resolve() == Path(row.file)
        assert (made.out / row.path).is_symlink()


def test_artists_stay_together_and_every_split_has_one(music, make):
    made = make(music("path,tags,artist\n" + lines()))
    of_artist = made.origin.groupby("artist")["split"].nunique()
    assert (of_artist == 1).all()
    assert set(made.origin["split"]) == {"train", "valid", "test"}


def test_without_artists_each_file_is_its_own(music, make):
    made = make(music("path,tags\n" + "".join(f"{n}.wav,{'a' if n % 2 else 'b'}\n" for n in range(12))))
    assert made.clips["artist"].nunique() == 12


def test_the_split_does_not_depend_on_the_order_of_the_rows(music, make):
    rows = lines().splitlines()
    one = make(music("path,tags,artist\n" + "\n".join(rows))).origin
    other = make(music("path,tags,artist\n" + "\n".join(rows[::-1]))).origin
    pd.testing.assert_frame_equal(one, other)


def test_a_split_that_is_given_is_followed(music, make):
    words = ["train", "Training", "VAL", "dev", "test", "valid"]
    rows = "".join(f"{n}.wav,a,artist {n // 3},{words[n % 6]}\n" for n in range(12))
    made = make(music("path,tags,artist,split\n" + rows))
    split = {Path(row.file).name: row.split for row in made.origin.itertuples()}
    assert [split[f"{n}.wav"] for n in range(6)] == ["train", "train", "valid", "valid", "test", "valid"]
    assert any("artists are in more than one split" in line for line in made.said)


@pytest.mark.parametrize(
    ("text", "name", "tags"),
    [
        ("path\ttags\n0.wav\ta, b\n1.wav\ta\n2.wav\tb\n", "t.tsv", {"a", "b"}),
        ("path;tags\n0.wav;a|b\n1.wav;a\n2.wav;b\n", "t.csv", {"a", "b"}),
        ('\ufeffpath,tags\n0.wav,"a, b"\n1.wav,a\n2.wav,b\n', "t.csv", {"a", "b"}),
        ("path,tags\n0.wav,path;song;row\n1.wav,song\n2.wav,song\n", "t.csv", {"path", "song", "row"}),
    ],
)
def test_tables_as_people_write_them(music, make, text, name, tags):
    made = make(music(text, name))
    assert made.tags["0.wav"] == tags
    assert len(made.tags) == 3


def test_spellings_that_differ_in_case_are_one_tag(music, make):
    made = make(music("path,tags\n0.wav,Rock\n1.wav,rock\n2.wav,ROCK;rock\n3.wav,Jazz\n"))
    assert made.annotations.tags == ("Jazz", "rock")


def test_long_files_are_cut_and_all_clips_have_the_files_tags_and_split(music, make):
    sound(music.top / "long.wav", seconds=3.7)
    sound(music.top / "not long.wav", seconds=1.4)
    made = make(music("path,tags\nlong.wav,a\nnot long.wav,a\n0.wav,b\n1.wav,b\n"))
    of_long = made.origin[made.origin["file"].str.endswith("/long.wav")]["path"].tolist()
    assert [path.split("#")[1] for path in of_long] == ["t=0,1", "t=1,2", "t=2,3", "t=3,3.7"]
    assert len({path.split("#")[0] for path in of_long}) == 1
    assert len(made.origin) == 7
    assert folder.cut(10.3, 4.0) == [(0.0, 4.0), (4.0, 8.0), (8.0, 10.3)]
    assert folder.cut(9.9, 4.0) == [(0.0, 4.0), (4.0, 8.0)]
    assert folder.cut(12.0, 4.0)[-1] == (8.0, 12.0)


@pytest.mark.parametrize(
    "how",
    [
        {"suffix": ".wav", "subtype": "PCM_U8"},
        {"suffix": ".flac", "channels": 2},
        {"suffix": ".ogg", "rate": 48_000},
        {"suffix": ".aiff", "rate": 96_000, "channels": 6},
        {"suffix": ".mp3", "rate": 16_000},
        {"suffix": ".wav", "subtype": "FLOAT"},
    ],
)
def test_any_format_that_libsndfile_reads(music, make, how):
    name = f"other{how.pop('suffix')}"
    sound(music.top / name, **how)
    made = make(music(f"path,tags\n{name},a\n0.wav,b\n1.wav,b\n"))
    path = next(row.path for row in made.origin.itertuples() if row.file.endswith(name))
    assert len(audio.decode(made.out / path, 12_000)) == pytest.approx(6_000, rel=0.25)


def test_strange_names_become_plain_ones(music, make):
    names = ["é #1?.wav", "50% off & 'more'.wav", "a\tb.wav", "x/y/../0.wav".replace("..", "z"), "A.wav", "a.wav"]
    for name in names:
        sound(music.top / name)
    rows = "".join(f'"{name}",t\n' for name in names)
    made = make(music("path,tags\n" + rows))
    assert len(made.clips) == len(names)
    for path in made.clips["path"]:
        assert not set(path) & set(" #?%&'\"\t\\") and path.count("/") == 1
        assert (made.out / path).is_file()
    lowered = [path[2:].lower() for path in made.clips["path"]]
    assert len(set(lowered)) == len(names), "some disks do not tell A from a"


def test_one_folder_a_tag(tmp_path, make):
    top = tmp_path / "genres"
    for tag in ("blues", "hip hop"):
        for number in range(6):
            sound(top / tag / "cd" / f"{tag}.{number}.wav", seed=number + 10 * (tag == "blues"))
        (top / tag / "cover.jpg").write_bytes(b"no audio")
        (top / tag / ".hidden").write_bytes(b"no audio")
    (top / "hip hop" / "copy.wav").write_bytes((top / "blues/cd/blues.0.wav").read_bytes())
    made = make(top)
    assert made.annotations.tags == ("blues", "hip hop")
    assert len(made.clips) == 12
    assert made.tags["blues.0.wav"] == {"blues", "hip hop"}, "the same sound is one clip, or it would train and test"
    assert any("cover.jpg" in line and ".hidden" not in line for line in made.said)
    assert any("1 files are copies" in line for line in made.said)


def test_a_folder_with_a_table_in_it(music, make):
    music("path,tags\n0.wav,a\n1.wav,b\n2.wav,a\n")
    assert any("taking tags.csv for its table" in line for line in make(music.top).said)


def test_mtg_jamendos_tables(tmp_path, make):
    audio_folder = tmp_path / "audio"
    rows = ["TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"]
    for number in range(8):
        end = ".low.mp3" if number % 2 else ".mp3"
        sound(audio_folder / "14" / f"{number}{end}", rate=16_000)
        tags = "genre---rock\tinstrument---guitar" if number % 3 else "genre---jazz"
        rows.append(f"track_{number}\tartist_{number // 2}\talbum_1\t14/{number}.mp3\t0.5\t{tags}")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/autotagging.tsv").write_text("\n".join(rows) + "\n")
    made = make(tmp_path / "lists/autotagging.tsv", audio_folder)
    assert made.annotations.tags == ("genre---jazz", "genre---rock", "instrument---guitar")
    assert made.tags["1.low.mp3"] == {"genre---rock", "instrument---guitar"}
    assert made.tags["0.mp3"] == {"genre---jazz"}
    assert set(made.clips["artist"]) == {f"artist_{n}" for n in range(4)}


def test_files_that_are_not_there_are_told_and_left_out(music, make):
    rows = "".join(f"gone {n}.wav,a\n" for n in range(7))
    made = make(music("path,tags\n0.wav,a\n1.wav,a\n2.wav,b\n" + rows))
    assert len(made.clips) == 3
    assert any("gone 4.wav and 2 more" in line for line in made.said)


def test_a_file_that_cannot_be_read_stays_for_prepare_to_tell(music, make):
    (music.top / "broken.mp3").write_bytes(b"no audio at all")
    made = make(music("path,tags\n0.wav,a\n1.wav,a\n2.wav,a\nbroken.mp3,b\n"))
    assert len(made.clips) == 4
    assert any("no clip in" in line and "has the tag b" in line for line in made.said)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file,tags\n0.wav,a\n", r"no column path; 'file' looks like it: call it path; there are file, tags"),
        ("path,genre\n0.wav,a\n", r"no column tags; 'genre' looks like it"),
        ("paht,tags\n0.wav,a\n", r"'paht' looks like it"),
        ("path,tags\n0.wav,a\n0.wav,b\n", r"'0.wav' stands in rows 2 and 3"),
        ("path,tags,split\n0.wav,a,train\n1.wav,a,\n", r"row 3: no split, though other rows have one"),
        ("path,tags,split\n0.wav,a,tarin\n", r"row 2: split 'tarin'; allowed are train, valid and test"),
        ("path,tags\n../secret.wav,a\n", r"row 2: the path '../secret.wav' leads out of"),
        ("path,tags\n,a\n", r"row 2: no path"),
        ("path,tags\n0.wav,a,b,c\n", r"row 2: 4 cells where the header has 2"),
        ("path,tags\n", r"no rows"),
        ("path,tags\ngone.wav,a\n", r"gone.wav: no such file, and so it is with all of 1"),
        ("path,tags\n0.wav,\n1.wav,\n2.wav,\n", r"not one tag in it"),
        ("path,tags\n0.wav,a\n1.wav,b\n", r"tags.csv: 2 artists .* at least 3 are needed"),
        ("path,tags\n0.wav,a\n1.wav,b\n2.wav,\n", r"tags.csv: 3 artists .* of which 2 have a readable file with a tag"),
        ("path,tags\n0.wav,a\n./0.wav,b\n", r"'./0.wav' stands in rows 2 and 3"),
        ("path,tags\n0.wav,a\n link.wav ,b\n", r"' link.wav ' stands in rows 2 and 3"),
        ("path,Tags,tags\n0.wav,a,b\n", r"column tags stands 2 times"),
        (
            "path,tags,title\n0.wav,a,x\n1.wav,b,mp3_path\n2.wav,mp3_path,y\n",
            r"tags.csv: '2.wav' has the tag 'mp3_path'",
        ),
        ("path,tags\n0.wav,clip_id\n", r"tags.csv: '0.wav' has the tag 'clip_id'"),
        ('path,tags\n0.wav,a\n"1.wav,a\n2.wav,a\n', r"tags.csv, line 3: unexpected end of data \(line 4\)"),
        ('path,tags\n0.wav,a\n1.wav,"a"b\n', r"tags.csv, line 3: ',' expected after '\"'"),
        ('path,tags\n0.wav,"a\nb"\n', r"tags.csv, row 2: column tags has a line break"),
        ("path,tags,split\n0.wav,a,train\n1.wav,a,train\n", r"tags.csv: split valid, test has no .*valid 0 of 0 files"),
        (
            "path,tags,split\n0.wav,a,train\n1.wav,,valid\n2.wav,a,test\n",
            r"tags.csv: split valid has no .* \(train 1 of 1 files, valid 0 of 1 files, test 1 of 1 files\)",
        ),
    ],
)
def test_what_cannot_be_is_refused(music, make, tmp_path, text, expected):
    with pytest.raises(DatasetError, match=expected):
        make(music(text))
    assert not (tmp_path / "out").exists()


def test_a_table_in_another_encoding_is_refused(music, make):
    path = music("")
    path.write_bytes("path,tags\nHändel.wav,a\n".encode("latin1"))
    with pytest.raises(DatasetError, match=r"tags.csv: a table has to be text in UTF-8: byte 11 is not"):
        make(path)
    path.write_bytes("path,tags\n0.wav,a\n".encode("utf-16"))
    with pytest.raises(DatasetError, match=r"tags.csv: a table has to be text in UTF-8: it begins as UTF-16 does"):
        make(path.parent)
    path.write_bytes("path,tags\n0.wav,a\n".encode("utf-16-le"))
    with pytest.raises(DatasetError, match=r"tags.csv: a table has to be text in UTF-8: there are null bytes"):
        make(path)


def test_an_empty_folder_is_refused(tmp_path, make):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"no table .* and no folders with audio files"):
        make(tmp_path / "empty")


def test_parts_are_those_of_the_layout():
    assert "".join(folder.PARTS.values()) == PARTS


def with_length(path, frames):
    """Let a FLAC say that it has so many frames: 36 bits that end 26 bytes in."""
    data = bytearray(path.read_bytes())
    data[21] = data[21] & 0xF0 | frames >> 32
    data[22:26] = (frames % 2**32).to_bytes(4)
    path.write_bytes(data)


@pytest.mark.parametrize("frames", [0, 2**36 - 1, 2**29])
def test_a_flac_that_does_not_say_its_length_is_counted(music, make, frames):
    sound(music.top / "streamed.flac", seconds=3.7)
    with_length(music.top / "streamed.flac", frames)
    made = make(music("path,tags\nstreamed.flac,a\n0.wav,a\n1.wav,a\n"))
    segments = made.origin[made.origin["file"].str.endswith("streamed.flac")]["path"].str.split("#").str[1]
    assert segments.tolist() == ["t=0,1", "t=1,2", "t=2,3", "t=3,3.7"]


def test_segments_of_long_files_keep_their_digits(music, make, monkeypatch):
    monkeypatch.setattr(folder, "_seconds", lambda file: 12_347.654321 if file.name == "0.wav" else 0.5)
    made = make(music("path,tags\n0.wav,a\n1.wav,a\n2.wav,a\n"))
    information = pd.read_csv(made.out / "clip_info_final.csv", sep="\t", dtype=str)
    last = information[information["mp3_path"].str.contains("0.wav#t=12346,")]
    assert last[["segmentStart", "segmentEnd"]].to_numpy().tolist() == [["12346", "12347"]]
    assert information["segmentEnd"].dropna().iloc[-1] == "12347.654321"


@pytest.mark.parametrize(
    ("vocabulary", "expected"),
    [
        ("top:20", r"tags.csv: vocabulary top:20: only 3 tags are annotated"),
        ("merged50", r"tags.csv: no annotated tag stands for 'ambient'"),
        (["soft", "rokc"], r"tags.csv: vocabulary: no annotated tag 'rokc'; there are rock"),
        (
            ["rare"],
            r"tags.csv: split .* has no readable file with a tag of the vocabulary \(train .* take another vocab",
        ),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_refused(music, make, vocabulary, expected):
    rows = "".join(f"{n}.wav,{'rock' if n else 'soft; rare'}\n" for n in range(12))
    with pytest.raises(DatasetError, match=expected):
        make(music("path,tags\n" + rows), vocabulary=vocabulary)


def test_of_three_files_with_a_tag_each_split_gets_one(music, make):
    rows = "".join(f"{n}.wav,{'rock' if n < 3 else ''}\n" for n in range(12))
    for seed in range(5):
        made = make(music("path,tags\n" + rows), seed=seed)
        split = {Path(row.file).name: row.split for row in made.origin.itertuples()}
        assert {split[f"{n}.wav"] for n in range(3)} == {"train", "valid", "test"}


def test_the_split_does_not_depend_on_the_vocabulary(music, make):
    rows = "".join(f"{n}.wav,{'rock' if n % 2 else 'soft'}; {'loud' if n % 3 else 'thin'}\n" for n in range(12))
    source = music("path,tags\n" + rows)
    pd.testing.assert_frame_equal(
        make(source, vocabulary="all").origin, make(source, vocabulary=["loud", "rock"]).origin
    )


def test_empty_files_are_no_copies_of_one_another(music, make):
    for name in ("broken.mp3", "too.mp3"):
        (music.top / name).write_bytes(b"")
    rows = "0.wav,a,one\n1.wav,a,two\n2.wav,a,three\nbroken.mp3,a,one\ntoo.mp3,a,two\n"
    assert set(make(music("path,tags,artist\n" + rows)).origin["split"]) == {"train", "valid", "test"}


def test_files_that_cannot_be_read_do_not_make_a_split(music, make):
    (music.top / "broken.mp3").write_bytes(b"no audio at all")
    (music.top / "samples.raw").write_bytes(b"whose rate is not known")
    rows = "0.wav,a,train\n1.wav,a,valid\nbroken.mp3,a,test\nsamples.raw,a,test\n"
    with pytest.raises(DatasetError, match=r"split test has no readable file .* test 0 of 2 files"):
        make(music("path,tags,split\n" + rows))
    assert ".raw" not in collection._readable_suffixes()


def test_long_names_are_bounded_in_bytes(music, make):
    names = [f"{'あ' * 70}/{'い' * 70}{n}.wav" for n in range(3)] + [f"{'う' * 70}/x.{'長' * 80}"]
    for name in names[:3]:
        sound(music.top / name)
    (music.top / names[3]).parent.mkdir()
    shutil.copy(music.top / "0.wav", music.top / names[3])
    rows = "".join(f"{name},a\n" for name in names)
    made = make(music("path,tags\n" + rows + "a" * 300 + ".wav,a\n"))
    assert len(made.clips) == 4
    assert any("a" * 300 in line and "not there, left out" in line for line in made.said)


def test_names_that_are_not_text_are_told_and_left_out(tmp_path, make):
    for number in range(3):
        sound(tmp_path / "genres" / "rock" / f"{number}.wav", seed=number)
    shutil.copy(tmp_path / "genres/rock/0.wav", os.fsencode(tmp_path / "genres/rock") + b"/caf\xe9.wav")
    shutil.copy(tmp_path / "genres/rock/0.wav", tmp_path / "genres/rock/two\nlines.wav")
    (tmp_path / "genres" / os.fsdecode(b"caf\xe9.jpg")).touch()
    made = make(tmp_path / "genres")
    assert len(made.clips) == 3
    [line] = [line for line in made.said if "not one line of text in UTF-8, left out" in line]
    assert r"caf\xe9.wav" in line and line.encode()


@pytest.mark.parametrize("column", ["tags", "title", "comment"])
def test_a_quotation_mark_does_not_swallow_rows(music, make, column):
    others = "path" if column == "tags" else "tags\tpath"
    cells = "0.wav" if column == "tags" else "a\t0.wav"
    rows = [f"{others}\t{column}", f'{cells}\t"live', f'{cells}\tx"', f"{cells}\tx"]
    with pytest.raises(DatasetError, match=rf"row 2: column {column} has a line break, 'live"):
        make(music("\n".join(rows), "t.tsv"))


def test_a_comment_may_have_lines(music, make):
    rows = "".join(f'{n}.wav,a,"two\nlines"\n' for n in range(3))
    assert len(make(music("path,tags,comment\n" + rows)).clips) == 3


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_end_where_the_table_says(music, make, end):
    rows = ["path,tags,title", "0.wav,a,one\u2028two", "1.wav,a,one\vtwo", " 2.wav ,a,x", ""]
    path = music("")
    path.write_bytes(end.join(rows).encode())
    assert len(make(path).clips) == 3


@pytest.mark.parametrize(
    ("cell", "tags"), [("a, b;c|d", {"a, b", "c|d"}), ("a, b|c", {"a, b", "c"}), ("a, b;", {"a, b"})]
)
def test_only_one_mark_separates_the_tags_of_a_cell(music, make, cell, tags):
    made = make(music(f'path,tags\n0.wav,"{cell}"\n1.wav,x\n2.wav,x\n'))
    assert made.tags["0.wav"] == tags


def jamendo(rows):
    return "\n".join(["TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS", *rows]) + "\n"


def test_mtg_jamendos_three_tables_of_a_split_are_one_dataset(music, make):
    splits = {"train": range(8), "validation": range(8, 9), "test": range(9, 12)}
    for split, numbers in splits.items():
        rows = [f"track_{n}\tartist_{n}\talbum_{n}\t{n}.wav\t0.5\tgenre---rock\tmood/theme---calm" for n in numbers]
        music(jamendo(["", *rows, "\t\t\t\t"]), f"autotagging_genre-{split}.tsv")
    made = make(music.top)
    assert made.annotations.tags == ("genre---rock", "mood/theme---calm")
    split = {Path(row.file).name: row.split for row in made.origin.itertuples()}
    assert [split[f"{n}.wav"] for n in (0, 7, 8, 9, 11)] == ["train", "train", "valid", "test", "test"]
    music(jamendo(["track_0\tartist_0\talbum_0\t8.wav\t0.5\tgenre---rock"]), "autotagging_genre-test.tsv")
    with pytest.raises(DatasetError, match=r"'8.wav' stands in row 3, and in autotagging_genre-test.tsv, row 2"):
        make(music.top)
    music("path,tags\n0.wav,a\n", "mine.csv")
    with pytest.raises(DatasetError, match=r"4 tables, .*mine.csv: name the one that is meant"):
        make(music.top)


def test_a_short_row_of_mtg_jamendos_names_file_and_row(music, make):
    row = "track_0\tartist_0\talbum_0\t0.wav\t0.5\tgenre---rock"
    with pytest.raises(DatasetError, match=r"autotagging.tsv, row 4: 2 cells; needed are TRACK_ID"):
        make(music(jamendo([row, "", "track_1\tartist_1"]), "autotagging.tsv"))


def test_which_table_of_a_folder_is_taken(music, make):
    music("path,tags\n0.wav,a\n1.wav,b\n2.wav,a\n")
    music("name,birthday\nx,y\n", "artists.csv")
    music("path,tags\n0.wav,a\n", ".hidden.csv")
    (music.top / "folder.csv").mkdir()
    said = make(music.top).said
    assert any("taking tags.csv for its table" in line for line in said)
    assert any("not used: artists.csv: no column path; there are name, birthday" in line for line in said)
    music("path\ttags\n0.wav\ta\n", "other.tsv")
    with pytest.raises(DatasetError, match=r"2 tables, other.tsv, tags.csv: name the one that is meant"):
        make(music.top)


def test_what_is_not_taken_of_a_folder_with_one_folder_a_tag_is_told(tmp_path, make):
    top = tmp_path / "genres"
    for number in range(4):
        sound(top / "rock" / f"{number}.wav", seed=number)
        sound(top / "rock" / ".trash" / f"{number}.wav", seed=10 + number)
        sound(tmp_path / "elsewhere" / f"{number}.wav", seed=20 + number)
    sound(top / "loose.wav")
    (top / "rock" / "linked").symlink_to(tmp_path / "elsewhere")
    (top / "rock" / "gone.wav").symlink_to("nowhere")
    (top / "list.csv").write_text("file,genre\n0.wav,rock\n")
    made = make(top)
    assert len(made.clips) == 4
    for told in (
        "not used: list.csv: no column path; 'file' looks like it",
        "left out: " + str(top / "loose.wav"),
        "links to folders, not followed: " + str(top / "rock/linked"),
        "not there, left out: " + str(top / "rock/gone.wav"),
    ):
        assert any(told in line for line in made.said), told


def test_copies_are_in_one_split(music, make):
    rows = "".join(f"{n}.wav,a,artist {n}\n" for n in range(12))
    for number in range(6):
        shutil.copy(music.top / f"{number}.wav", music.top / f"copy {number}.wav")
    rows += "".join(f"copy {n}.wav,a,someone else {n}\n" for n in range(6))
    made = make(music("path,tags,artist\n" + rows))
    split = {Path(row.file).name: row.split for row in made.origin.itertuples()}
    assert all(split[f"{n}.wav"] == split[f"copy {n}.wav"] for n in range(6))


def test_copies_that_a_given_split_parts_are_told(music, make):
    shutil.copy(music.top / "0.wav", music.top / "copy.wav")
    made = make(music("path,tags,split\n0.wav,a,train\n1.wav,a,valid\n2.wav,a,test\ncopy.wav,a,test\n"))
    [line] = [line for line in made.said if "copies of one another, but in more than one split" in line]
    assert "0.wav" in line and "copy.wav" in line and "2.wav" not in line


def test_artists_whose_copies_are_shared_are_one_group():
    artists, copies = ["d", "c", "c", "b", "a", "e"], [1, 1, 2, 2, 3, 4]
    assert folder.groups_of(artists, copies) == ["b", "b", "b", "b", "a", "e"]


def test_spellings_of_an_artist_and_of_a_tag_are_one(music, make):
    artists = [normalize("NFC", "Björk"), normalize("NFD", "björk"), " BJÖRK ", "Sigur  Rós", "sigur rós"]
    tags = [normalize("NFC", "café"), normalize("NFD", "café"), "Café", "hip  hop", "Hip hop"]
    rows = "".join(f"{n}.wav,{tag},{artist}\n" for n, (tag, artist) in enumerate(zip(tags, artists, strict=True)))
    made = make(music("path,tags,artist\n" + rows + "9.wav,hip hop,x\n"))
    assert made.annotations.tags == ("café", "hip hop")
    assert made.clips["artist"].nunique() == 3


@pytest.mark.parametrize(("in_table", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_path_is_found_in_either_unicode_form(music, make, in_table, on_disk):
    sound(music.top / "Café" / normalize(on_disk, "Motörhead.wav"))
    made = make(music(f"path,tags\nCafé/{normalize(in_table, 'Motörhead.wav')},a\n0.wav,a\n1.wav,a\n"))
    assert len(made.clips) == 3


def test_a_song_more_moves_few_of_the_others(music, make):
    numbers = range(60)
    for number in numbers:
        sound(music.top / f"{number}.wav", seconds=0.1, seed=number)

    def splits(numbers):
        made = make(music("path,tags\n" + "".join(f"{n}.wav,{'rock' if n % 3 else 'soft'}\n" for n in numbers)))
        return {row.file: row.split for row in made.origin.itertuples()}

    before, after = splits(numbers[1:]), splits(numbers)
    assert sum(before[file] != after[file] for file in before) <= 3


def test_the_split_depends_on_the_seed(music, make):
    table = music("path,tags\n" + "".join(f"{n}.wav,a\n" for n in range(12)))
    assert len({tuple(make(table, seed=seed).origin["split"]) for seed in range(5)}) > 1


def test_tracks_tsv_is_a_source_that_keeps_the_split(tmp_path, make):
    top = tmp_path / "genres"
    for number in range(12):
        sound(top / ("pop, soft" if number % 3 else '"rock"') / f' "{number}"\t#.wav', seed=number)
    shutil.copy(top / "pop, soft" / ' "1"\t#.wav', top / '"rock"' / "copy.wav")
    first = make(top)
    (tmp_path / "kept").mkdir()
    shutil.copy(first.out / "tracks.tsv", tmp_path / "kept" / "kept.tsv")
    again = make(tmp_path / "kept" / "kept.tsv", seed=1)
    assert again.annotations.tags == ('"rock"', "pop, soft") and again.tags == first.tags
    splits = [dict(zip(made.origin["file"], made.origin["split"], strict=True)) for made in (first, again)]
    assert splits[0] == splits[1]
    assert (again.out / "tracks.tsv").read_text() == (tmp_path / "kept" / "kept.tsv").read_text()


def test_tracks_tsv_keeps_what_a_table_says(music, make):
    rows = "".join(f'{n}.wav,"slow, soft;low",Artist {n % 4},Album,"A ""title"""\n' for n in range(12))
    first = make(music("path,tags,artist,album,title\n" + rows))
    text = (first.out / "tracks.tsv").read_text()
    again = make(music(text, "kept.tsv"))
    assert (again.out / "tracks.tsv").read_text() == text
    pd.testing.assert_frame_equal(again.clips[["artist", "album"]], first.clips[["artist", "album"]])


def test_a_tag_that_tracks_tsv_cannot_hold_is_refused(tmp_path, make):
    for number in range(3):
        sound(tmp_path / "genres" / "a;b" / f"{number}.wav", seed=number)
    with pytest.raises(DatasetError, match=r"genres: 'a;b/0.wav' has the tag 'a;b'"):
        make(tmp_path / "genres")


def test_many_artists_go_round_the_parts_in_no_time():
    begun = time.perf_counter()
    parts = folder.parts_in_turn(["train"] * 100_000, [f"artist {n // 2}" for n in range(100_000)])
    assert parts[:6] == ["0", "0", "1", "1", "2", "2"] and parts[24] == "0"
    assert time.perf_counter() - begun < 5, "each artist was compared with all before"
