"""A user's own music: tables, one folder a tag, MTG-Jamendo's; what is cut, split, and refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from wavetag import audio, clips
from wavetag.datasets import folder
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
        return {path: (path.lstat().st_mtime_ns, path.is_dir() or path.read_bytes()) for path in source.rglob("*")}

    def make(source, audio=None, seed=0):
        said, top = [], source if source.is_dir() else source.parent
        before = state(top)
        settings = {"source": str(source), "audio": audio and str(audio), "seed": seed}
        folder.acquire(tmp_path / "out", settings, SECONDS, said.append)
        assert state(top) == before
        return Made(tmp_path / "out", said)

    return make


@pytest.fixture
def music(tmp_path):
    """A folder with twelve songs of four artists, and a function that writes a table beside them."""
    top = tmp_path / "music"
    for number in range(12):
        sound(top / f"{number}.wav", seed=number)

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
        ("path,tags\n0.wav,path;song;row\n1.wav,song\n2.wav,\n", "t.csv", {"path", "song", "row"}),
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
    names = ["é #1?.wav", "50% off & 'more'.wav", "a\nb.wav", "x/y/../0.wav".replace("..", "z"), "A.wav", "a.wav"]
    for name in names:
        sound(music.top / name)
    rows = "".join(f'"{name}",t\n' for name in names)
    made = make(music("path,tags\n" + rows))
    assert len(made.clips) == len(names)
    for path in made.clips["path"]:
        assert not set(path) & set(" #?%&'\"\n\\") and path.count("/") == 1
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
    made = make(music("path,tags\n0.wav,a\n1.wav,a\nbroken.mp3,b\n"))
    assert len(made.clips) == 3
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
        ("path,tags\n0.wav,a\n1.wav,b\n", r"2 artists .* at least 3 are needed"),
    ],
)
def test_what_cannot_be_is_refused(music, make, tmp_path, text, expected):
    with pytest.raises(DatasetError, match=expected):
        make(music(text))
    assert not (tmp_path / "out").exists()


def test_a_table_in_another_encoding_is_refused(music, make):
    path = music("")
    path.write_bytes("path,tags\nHändel.wav,a\n".encode("latin1"))
    with pytest.raises(DatasetError, match=r"tags.csv: not a table of text in UTF-8"):
        make(path)


def test_an_empty_folder_is_refused(tmp_path, make):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"no table .* and no folders with audio files"):
        make(tmp_path / "empty")


def test_parts_are_those_of_the_layout():
    assert "".join(folder.PARTS.values()) == PARTS
