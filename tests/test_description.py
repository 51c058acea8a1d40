"""Statistics of a prepared dataset, against numbers worked out by hand, and how they are printed and drawn."""

import io
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from wavetag import clips, description, figures, files, splits
from wavetag import description_figures as draw
from wavetag.datasets.layout import DatasetError

RATE, WINDOW, LENGTH = 10, 5, 10  # a clip is one second: two windows
TAGS = ("guitar", "[bold]piano[/]", "sitar")
COLUMNS = ("part", "artist", "song", "samples", "status", "minimum", "maximum", "rms_dbfs", "split", "labels")
CLIPS = [
    ("0", "Ann", "0/a", 10, "ok", -100, 90, -20.0, "train", "110"),
    ("0", "Ann", "0/a", 4, "ok", -50, 100, -30.0, "train", "100"),
    ("1", "Bob", "1/b", 10, "ok", 0, 0, -100.0, "train", "001"),
    ("1", "Bob", "1/b", 10, "ok", -900, 900, -9.0, None, None),  # untagged
    ("c", "Cid", "c/c", 6, "ok", -101, 50, -25.0, "valid", "110"),
    ("c", "Cid", "c/c", 0, "undecodable", None, None, None, None, None),
    ("d", "Ann", "d/d", 7, "ok", -200, 300, -10.0, "test", "100"),
    ("d", "Dee", "d/e", 10, "ok", -100, 100, -12.0, "test", "000"),
    ("d", "Dee", "d/e", 10, "ok", -10, 10, -14.0, "test", "111"),
    ("d", "Dee", "d/f", 0, "missing", None, None, None, None, None),
    ("d", "Dee", "d/f", 0, "missing", None, None, None, None, None),
    ("9", "Eve", "9/g", 10, "ok", -1, 1, -40.0, None, None),  # of a part that is in no split
]


def dataset_of(rows, tags=TAGS):
    """Manifest and split of some clips, each as ``COLUMNS`` say."""
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.insert(0, "row", range(len(table)))
    table["clip_id"] = [str(100 + row) for row in table["row"]]
    table["path"] = [f"{part}/clip-{row}.mp3" for part, row in zip(table["part"], table["row"], strict=True)]
    table["album"] = "an album"
    table["reason"] = table["status"].map({"ok": "", "missing": "no such file", "undecodable": "the file is empty"})
    table = table.astype({"minimum": "Int64", "maximum": "Int64", "rms_dbfs": float})
    chosen = table[table["split"].notna()].reset_index(drop=True)
    trained = set(chosen.loc[chosen["split"] != "test", "artist"])
    chosen["windows"] = -(-chosen["samples"] // WINDOW)
    chosen["seconds"] = chosen["samples"] / RATE
    chosen["artist_disjoint"] = [
        int(one not in trained and of == "test") for one, of in chosen[["artist", "split"]].values
    ]
    labels = np.array([[int(value) for value in word] for word in chosen["labels"]], dtype=np.uint8)
    split = splits.Split(chosen[list(splits.COLUMNS)], tags, labels)
    return table[list(clips.MANIFEST_COLUMNS)], split


@pytest.fixture
def manifest():
    return dataset_of(CLIPS)[0]


@pytest.fixture
def split():
    return dataset_of(CLIPS)[1]


@pytest.fixture
def array():
    """Zeros but for the clips whose range exceeds that of the training clips, -100 to 100."""
    array = np.zeros((len(CLIPS), LENGTH), dtype=np.int16)
    array[4, :6] = [-101, -100, 50, 0, -101, 0]
    array[6] = [-200, 300, 101, 100, -100, 0, 250, 999, 999, 999]  # seven samples, then what must not count
    return array


@pytest.fixture
def described(manifest, split, array):
    return description.describe(manifest, split, array, WINDOW, RATE)


def shown(described, width=80):
    file = io.StringIO()
    description.show(described, file, width)
    return file.getvalue()


def test_clips_by_split(described):
    assert described["clips"]["train"] == {
        "clips": 3,
        "songs": 2,
        "artists": 2,
        "hours": pytest.approx(2.4 / 3600, abs=1e-6),
        "windows": 5,
        "labels_per_clip": pytest.approx(4 / 3, abs=1e-6),
        "tags_without_a_positive": 0,
    }
    assert described["clips"]["valid"]["tags_without_a_positive"] == 1
    assert [described["clips"][name]["clips"] for name in splits.NAMES] == [3, 1, 3]


def test_clips_by_split_and_view_are_those_that_splitting_told(described, split):
    for row in splits.counts(split).to_dict("records"):
        entry = described["clips"][row["split"]]
        assert (entry["clips"], entry["songs"], entry["artists"]) == (row["clips"], row["songs"], row["artists"])
        assert entry["labels_per_clip"] == pytest.approx(row["labels per clip"], abs=0.005)
        assert entry["tags_without_a_positive"] == row["tags without a positive"]
    for row in splits.view_counts(split.only("test")).to_dict("records"):
        entry = described["test_views"][row["test view"]]
        assert (entry["clips"], entry["artists"]) == (row["clips"], row["artists"])


def test_test_clips_by_view(described):
    views = described["test_views"]
    assert {view: entry["clips"] for view, entry in views.items()} == {"tagged": 2, "all": 3, "artist-disjoint": 2}
    assert views["artist-disjoint"]["labels_per_clip"] == 1.5


def test_clips_in_no_split_and_why(described):
    assert described["in_no_split"] == {"untagged": {"train": 1, "valid": 0, "test": 0}, "other_parts": {"9": 1}}
    assert described["left_out"] == [
        {"status": "missing", "reason": "no such file", "clips": 2, "paths": ["d/clip-9.mp3", "d/clip-10.mp3"]},
        {"status": "undecodable", "reason": "the file is empty", "clips": 1, "paths": ["c/clip-5.mp3"]},
    ]


def test_tags_are_sorted_by_count_and_shares_are_of_tagged_clips(described):
    assert [entry["tag"] for entry in described["tags"]] == ["guitar", "[bold]piano[/]", "sitar"]
    guitar, _, sitar = described["tags"]
    assert guitar["count"] == {"train": 2, "valid": 1, "test": 2}
    assert guitar["share"] == {"train": pytest.approx(2 / 3, abs=1e-6), "valid": 1.0, "test": 1.0}
    assert sitar["share"] == {"train": pytest.approx(1 / 3, abs=1e-6), "valid": 0.0, "test": 0.5}


def test_pairs_of_tags(described):
    """Of seven clips: guitar on 5, piano on 3, sitar on 2; guitar and piano on 3, either with sitar on 1.

    The lift is among eight: one of train's part has no tag and is in no split.
    """
    first, second, third = described["pairs"]
    assert first == {
        "tags": ["guitar", "[bold]piano[/]"],
        "clips": 3,
        "clips_of_each": [5, 3],
        "jaccard": 0.6,
        "lift": 1.6,
    }
    assert (second["tags"], second["jaccard"], third["jaccard"]) == (
        ["[bold]piano[/]", "sitar"],
        0.25,
        pytest.approx(1 / 6, abs=1e-6),
    )
    assert second["lift"] == pytest.approx(8 / 6, abs=1e-6)


def test_the_lift_of_independent_tags_is_one_whatever_the_population(split):
    """Two tags, each on every second clip: four clips of which one has neither tag, which training does not use."""
    clips_of_train = split.clips.iloc[[0, 0, 0, 0]].assign(split="train").reset_index(drop=True)
    labels = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=np.uint8)
    every = splits.Split(clips_of_train, TAGS[:2], labels)
    tagged = every.where(labels.any(axis=1))
    assert description.strongest_pairs(every)[0]["lift"] == 1
    assert description.strongest_pairs(tagged, untagged=1)[0]["lift"] == 1


def test_notes_say_which_clips_and_artists_numbers_are_of(described):
    text = " ".join(shown(described).split())
    assert "among all usable clips of the splits' parts, those without a tag too" in text
    assert "leaves out more artists: those of every usable clip of train's and valid's parts" in text


def test_pairs_without_a_common_clip_are_not_listed(split):
    split.labels[:] = np.eye(7, 3, dtype=np.uint8)
    assert description.strongest_pairs(split) == []
    assert not np.isnan(description.co_occurrences(split)[1]).any()


def test_more_than_255_clips_with_both_tags_are_counted(split):
    many = splits.Split(split.clips, TAGS, np.ones((300, 3), dtype=np.uint8))
    both, jaccard = description.co_occurrences(many)
    assert (both == 300).all() and (jaccard == 1).all()


def test_durations(described):
    assert described["durations"]["clip_seconds"] == 1.0
    assert described["durations"]["splits"] == {
        "train": {"minimum": 0.4, "median": 1.0, "maximum": 1.0, "shorter": 1, "padded_by_less": 0},
        "valid": {"minimum": 0.6, "median": 0.6, "maximum": 0.6, "shorter": 1, "padded_by_less": 0},
        "test": {"minimum": 0.7, "median": 1.0, "maximum": 1.0, "shorter": 1, "padded_by_less": 0},
    }


def test_a_clip_that_lacks_some_samples_is_not_short():
    """MagnaTagATune's have 349,488 samples of 349,500 at 12 kHz; a tenth of a second is 1,200 samples."""
    assert description.lacking([349_500, 349_488, 349_488, 348_300, 348_299, 100], 349_500, 12_000) == (2, 3)


def test_a_split_of_another_rate_may_round_a_clip_to_a_window_more(manifest, split, array):
    """At the rate of the split the clip of row 4 ends at an edge; at this one it has a sample more than a window."""
    split.clips.loc[split.clips["row"] == 4, "windows"] = 1
    with pytest.raises(DatasetError, match="other windows than of 5 samples"):
        description.measured(manifest, split, array.shape, WINDOW)
    table = description.measured(manifest, split, array.shape, WINDOW, slack=1)
    assert table.loc[table["row"] == 4, "windows"].tolist() == [1]
    split.clips["windows"] = 3
    with pytest.raises(DatasetError, match="other windows than of 5 samples"):
        description.measured(manifest, split, array.shape, WINDOW, slack=1)


def test_loudness_leaves_out_digital_silence_and_counts_it(described):
    assert described["loudness"]["train"] == {
        "quantiles": {"0": -30.0, "5": -29.5, "25": -27.5, "50": -25.0, "75": -22.5, "95": -20.5, "100": -20.0},
        "silent": 1,
    }
    assert described["loudness"]["test"]["quantiles"]["50"] == -12.0
    assert described["loudness"]["test"]["silent"] == 0


@pytest.mark.parametrize("level", [-np.inf, -100.0])
def test_a_split_of_silence_alone_has_no_quantiles(manifest, split, array, level):
    valid = manifest["row"] == 4
    manifest.loc[valid, ["minimum", "maximum"]] = 0
    manifest.loc[valid, "rms_dbfs"] = level
    found = description.describe(manifest, split, array, WINDOW, RATE)
    assert found["loudness"]["valid"]["silent"] == 1
    assert set(found["loudness"]["valid"]["quantiles"].values()) == {None}
    json.dumps(found, allow_nan=False)


def test_artists_and_songs_that_splits_share(described, split):
    artists = described["artists"]["shared"]
    assert [[artists[one][other] for other in splits.NAMES] for one in splits.NAMES] == [
        [2, 0, 1],
        [0, 1, 0],
        [1, 0, 2],
    ]
    known = described["artists"]["of_test_clips_in_train"]
    assert known == {"tagged": 0.5, "all": pytest.approx(1 / 3, abs=1e-6), "artist-disjoint": 0.0}
    assert known["all"] == pytest.approx(splits.shared_artists(split), abs=1e-6)
    songs = described["songs"]["shared"]
    assert [[songs[one][other] for other in splits.NAMES] for one in splits.NAMES] == [[2, 0, 0], [0, 1, 0], [0, 0, 2]]


def test_a_song_in_two_splits_is_seen(manifest, split, array):
    split.clips.loc[split.clips["split"] == "valid", "song"] = "0/a"
    songs = description.describe(manifest, split, array, WINDOW, RATE)["songs"]["shared"]
    assert songs["train"]["valid"] == songs["valid"]["train"] == 1


def test_samples_outside_the_training_range_are_counted_without_the_padding(described):
    """Training clips: -100 to 100. The clip of row 6 has 7 samples; the three 999 behind them do not count."""
    assert described["range"]["train"] == {
        "minimum": -100,
        "maximum": 100,
        "samples": 24,
        "clips_outside": 0,
        "samples_outside": 0,
        "share_outside": 0.0,
    }
    valid, test = described["range"]["valid"], described["range"]["test"]
    assert (valid["minimum"], valid["maximum"], valid["clips_outside"], valid["samples_outside"]) == (-101, 50, 1, 2)
    assert valid["share_outside"] == 2 / 6
    assert (test["minimum"], test["maximum"], test["clips_outside"], test["samples_outside"]) == (-200, 300, 1, 4)
    assert test["share_outside"] == 4 / 27


def test_the_share_outside_the_range_is_that_of_all_samples_read():
    """Against the plain way: every sample of every clip."""
    rng = np.random.default_rng(3)
    rows, array = [], np.zeros((60, LENGTH), dtype=np.int16)
    for clip in range(60):
        samples = int(rng.integers(1, LENGTH + 1))
        array[clip, :samples] = np.clip(rng.normal(0, 3_000, samples), -32_768, 32_767)
        held = array[clip, :samples]
        name = splits.NAMES[clip % 3]
        rows.append((name[0], "Ann", name, samples, "ok", held.min(), held.max(), -20.0, name, "100"))
    manifest, split = dataset_of(rows)
    held = {
        name: np.concatenate([array[row, : rows[row][3]] for row in range(60) if rows[row][8] == name])
        for name in splits.NAMES
    }
    train = held["train"]
    found = description.describe(manifest, split, array, WINDOW, RATE)["range"]
    for name, samples in held.items():
        expected = np.mean((samples < train.min()) | (samples > train.max()))
        assert found[name]["share_outside"] == pytest.approx(expected, rel=1e-12)
        assert (found[name]["minimum"], found[name]["maximum"]) == (samples.min(), samples.max())
    assert found["test"]["samples_outside"] > 0


def test_only_rows_that_may_be_outside_the_range_are_read(manifest, split, array):
    class Watched:
        shape, rows = array.shape, []

        def __getitem__(self, key):
            self.rows.append(key[0])
            return array[key]

    description.describe(manifest, split, Watched(), WINDOW, RATE)
    assert Watched.rows == [4, 6]


def test_the_json_is_read_back_as_it_was(described, tmp_path):
    files.write_json(tmp_path / "description.json", described)
    assert files.read_json(tmp_path / "description.json") == described


def one_clip():
    return *dataset_of([("0", "Ann", "0/a", 10, "ok", -5, 5, -20.0, "train", "110")]), np.zeros((1, LENGTH), np.int16)


def test_one_clip_alone_is_described_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manifest, split, array = one_clip()
        found = description.describe(manifest, split, array, WINDOW, RATE)
        json.dumps(found, allow_nan=False)
        assert found["clips"]["test"]["labels_per_clip"] is None
        assert found["range"]["test"]["minimum"] is None
        assert found["tags"][0]["share"] == {"train": 1.0, "valid": None, "test": None}
        assert "–" in shown(found)


def change_window(manifest, split):
    return manifest, split, 3


def change_manifest(manifest, split):
    manifest.loc[6, "clip_id"] = "another"
    return manifest, split, WINDOW


def shorten_manifest(manifest, split):
    return manifest.iloc[:-1], split, WINDOW


def without_training(manifest, split):
    return manifest, split.where((split.clips["split"] != "train").to_numpy()), WINDOW


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_window, "the split was made with other windows than of 3 samples"),
        (change_manifest, "1 clips of the split are not usable ones of the manifest, d/clip-6.mp3 first"),
        (shorten_manifest, "the manifest has 11 clips, the array 12"),
        (without_training, "no training clip"),
    ],
)
def test_what_is_not_of_one_another_is_refused(manifest, split, array, change, message):
    manifest, split, window = change(manifest, split)
    with pytest.raises(DatasetError, match=message):
        description.describe(manifest, split, array, window, RATE)


def test_what_is_printed_fits_into_80_columns_and_names_every_tag(described):
    text = shown(described)
    assert max(map(len, text.splitlines())) <= 80
    for words in (*TAGS, "artist-disjoint", "scaling", "2 missing: no such file", "d/clip-10.mp3", "1 of part 9"):
        assert words.lower() in text.lower()
    (row,) = (line for line in text.splitlines() if "sitar" in line and "%" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["sitar", "1", "33.3%", "0", "0.0%", "1", "50.0%"]


def test_in_a_narrow_terminal_no_digit_is_cut_off(described):
    assert shown(described, width=30) == shown(described, width=80)


def test_a_long_tag_is_folded_and_not_cut(manifest, split, array):
    name = "".join(f"part{number:02d}" for number in range(15))
    split = splits.Split(split.clips, (name, *TAGS[1:]), split.labels)
    text = shown(description.describe(manifest, split, array, WINDOW, RATE))
    assert "…" not in text
    first_cells = "".join(line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│"))
    assert name in first_cells


def test_only_the_first_paths_of_many_clips_left_out_are_printed(described):
    paths = [f"d/gone-{number}.mp3" for number in range(9)]
    described["left_out"] = [{"status": "missing", "reason": "no such file", "clips": 9, "paths": paths}]
    text = shown(described)
    assert "d/gone-2.mp3" in text and "d/gone-3.mp3" not in text and "and 6 more" in text


def drawings(manifest, split, array):
    table = description.measured(manifest, split, array.shape, WINDOW)
    return {
        "tags": draw.tags(description.tag_frequencies(split), "minitune"),
        "co_occurrence": draw.co_occurrence(split, "minitune"),
        "durations": draw.durations(table, LENGTH, RATE, "minitune"),
        "loudness": draw.loudness(table, "minitune"),
    }


def texts(figure):
    return {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}


def test_every_figure_is_drawn_and_says_whose_numbers_it_shows(manifest, split, array, tmp_path):
    for name, drawing in drawings(manifest, split, array).items():
        figures.save(drawing.figure, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.format == "PNG"
            assert image.width == figures.WIDTH * figures.DPI
            assert 200 < image.height < 1.2 * image.width
            assert len(image.convert("L").getcolors()) > 10
        assert "dataset: minitune (generated music), not MagnaTagATune" in texts(drawing.figure)
        assert drawing.title and drawing.caption


def test_figures_tell_what_is_missing_or_silent(manifest, split, array):
    drawn = drawings(manifest, split, array)
    assert "No positive in valid: sitar." in drawn["tags"].caption
    assert "train: 2 clips, median −25.0 dB, and 1 of digital silence" in texts(drawn["loudness"].figure)
    assert "train: 3 clips; 1 short by more than 0.1 s, 0 by less" in texts(drawn["durations"].figure)
    assert "Shorter by more than 0.1 s, and padded with zeros: 1 in train, 1 in valid" in drawn["durations"].caption
    assert "Padded by less: 0 in train" in drawn["durations"].caption


def test_bars_are_as_long_as_the_shares(split):
    figure = draw.tags(description.tag_frequencies(split), "some").figure
    train, valid, test = ([bar.get_width() for bar in bars] for bars in figure.axes[0].containers)
    assert train == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    assert valid == [1, 1, 0]
    assert test == [1, 0.5, 0.5]


def test_bars_of_the_histograms_count_every_clip(manifest, split, array):
    drawn = drawings(manifest, split, array)
    for name, counts in (("durations", [3, 1, 3]), ("loudness", [2, 1, 3])):
        axes = drawn[name].figure.axes
        assert [sum(bar.get_height() for bar in axis.patches) for axis in axes] == counts


def one_silent_clip_of_one_tag():
    rows = [("0", "Ann", "0/a", 10, "ok", 0, 0, -np.inf, "train", "1")]
    return *dataset_of(rows, ("only",)), np.zeros((1, LENGTH), np.int16)


@pytest.mark.parametrize("smallest", [one_clip, one_silent_clip_of_one_tag])
def test_the_smallest_datasets_can_be_drawn(smallest):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for drawing in drawings(*smallest()).values():
            drawing.figure.draw_without_rendering()


def test_tags_that_stand_together_are_neighbours(split):
    order = [3, 0, 5, 1, 4, 2]  # equally frequent: frequency alone would leave them so
    labels = np.repeat(np.eye(3, dtype=np.uint8), 2, axis=1)[:, order]
    figure = draw.co_occurrence(splits.Split(split.clips, tuple(f"tag {tag}" for tag in order), labels), "some").figure
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    places = {int(name.removeprefix("tag ")): place for place, name in enumerate(names)}
    assert sorted(places) == list(range(6))
    assert all(abs(places[tag] - places[tag + 1]) == 1 for tag in (0, 2, 4))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == names
    shown_values = np.asarray(figure.axes[0].images[0].get_array().filled(-1))
    assert shown_values[places[2], places[3]] == 1 and shown_values[places[2], places[0]] == 0
    assert (shown_values.diagonal() == -1).all()


def test_of_more_than_sixty_tags_the_most_frequent_are_shown(split):
    names = tuple(f"tag {number}" for number in range(70))
    labels = np.triu(np.ones((70, 70), dtype=np.uint8))  # tag n is on n + 1 clips
    drawing = draw.co_occurrence(splits.Split(split.clips, names, labels), "some")
    seen = {label.get_text() for label in drawing.figure.axes[0].get_yticklabels()}
    assert seen == set(names[10:])
    assert "the 60 most frequent of 70 tags" in drawing.caption
    assert any("the 60 most frequent of 70 tags" in text for text in texts(drawing.figure))


def test_two_hundred_tags_with_long_names_are_drawn_legibly(split):
    names = tuple(f"tag {number}: a name that is much too long for an axis" for number in range(200))
    many = splits.Split(split.clips, names, np.ones((len(split), 200), dtype=np.uint8))
    figure = draw.tags(description.tag_frequencies(many), "some").figure
    figure.draw_without_rendering()
    assert figure.get_figheight() > 100 * 0.2, "a line of text for each of 100 tags in a column"
    left, right = figure.axes
    assert left.get_window_extent().width > 0.2 * figure.bbox.width, "names leave room for bars"
    assert len(left.get_yticklabels()) + len(right.get_yticklabels()) == 200


def test_the_same_numbers_give_the_same_bytes(split, tmp_path):
    for name in ("first", "second"):
        figures.save(draw.co_occurrence(split, "some").figure, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
