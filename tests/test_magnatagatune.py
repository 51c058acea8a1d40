"""Facts of MagnaTagATune, from its own tables and one of its clips. Neither is part of this repository."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from conftest import tone, write_mp3
from wavetag import audio, clips, params, preparation, splits, tags

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT.parent / "shared" / "magnatagatune"
TABLES = ("annotations_final.csv", "clip_info_final.csv")
CLIP = SOURCE / "e" / "joram-moments_of_clarity-08-solipsism-59-88.mp3"
BROKEN = ("35644", "55753", "57881")
SETTINGS = params.load(ROOT / "params.yaml", ROOT / params.SCHEMA)
PARTS = {name: SETTINGS["split"][name] for name in splits.NAMES}

pytestmark = pytest.mark.skipif(
    not all((SOURCE / f"{name}.gz").is_file() for name in TABLES) or not CLIP.is_file(),
    reason=f"MagnaTagATune's tables and clip are not at {SOURCE.parent.name}/{SOURCE.name} beside the repository",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("magnatagatune")
    for name in TABLES:
        with gzip.open(SOURCE / f"{name}.gz") as packed, (folder / name).open("wb") as table:
            shutil.copyfileobj(packed, table)
    return folder


@pytest.fixture(scope="module")
def annotations(folder):
    return clips.read_annotations(folder / "annotations_final.csv")


@pytest.fixture(scope="module")
def manifest(folder):
    """As it would be after decoding: all but the three broken clips usable."""
    manifest = clips.describe_clips(folder)
    broken = manifest["clip_id"].isin(BROKEN)
    return manifest.assign(
        samples=np.where(broken, 0, 349_488),
        status=np.where(broken, clips.UNDECODABLE, clips.OK),
        reason=np.where(broken, "the file is empty", ""),
    )


def make(manifest, annotations, vocabulary, population):
    return splits.make(manifest, annotations, vocabulary, PARTS, population, 34_950, 12_000)


def sizes(split):
    return [len(split.only(name)) for name in splits.NAMES]


def test_annotations_hold_188_tags_and_25_863_clips(annotations):
    assert len(annotations.tags) == 188
    assert annotations.labels.shape == (25_863, 188)


def test_clips_with_and_without_audio(folder):
    information = pd.read_csv(folder / "clip_info_final.csv", sep="\t", dtype=str, keep_default_na=False)
    assert len(information) == 31_382
    assert (information["mp3_path"] == "").sum() == 5_519
    assert (information["mp3_path"] != "").sum() == 25_863


def test_the_merged_tags_are_all_annotated(annotations):
    words = {word for words in tags.sources("merged50").values() for word in words}
    assert words <= set(annotations.tags)
    assert {word for group in tags.MERGES.items() for word in (group[0], *group[1])} <= set(annotations.tags)


def test_the_repositorys_settings_are_twelve_parts_one_and_three_and_ten_windows_a_clip():
    assert {name: "".join(parts) for name, parts in PARTS.items()} == {
        **{"train": "0123456789ab", "valid": "c", "test": "def"}
    }
    assert params.clip_samples(SETTINGS, 12_000) == 349_500
    assert params.window_samples(SETTINGS, 12_000) == 34_950
    assert params.window_samples(SETTINGS, 16_000) == 46_600


def test_clips_of_each_part(manifest):
    counts = manifest["part"].value_counts().sort_index()
    assert "".join(counts.index) == "0123456789abcdef"
    expected = [1108, 1543, 1562, 1238, 2421, 1604, 1788, 1163, 1144, 1773, 1417, 1948, 1825, 1677, 1547, 2105]
    assert counts.tolist() == expected


def test_artists_albums_and_songs(manifest):
    assert manifest["artist"].nunique() == 230
    assert manifest["album"].nunique() == 446
    assert manifest["song"].nunique() == 5405


def test_clips_of_each_split_before_the_broken_ones_are_left_out(manifest, annotations):
    everything = manifest.assign(status=clips.OK)
    assert sizes(make(everything, annotations, "merged50", "all")) == [18_709, 1_825, 5_329]


@pytest.mark.parametrize(
    ("vocabulary", "population", "expected"),
    [
        ("standard50", "all", [18_706, 1_825, 5_329]),
        ("standard50", "tagged", [15_247, 1_529, 4_332]),
        ("merged50", "tagged", [15_425, 1_538, 4_392]),
    ],
)
def test_clips_of_each_split_without_the_broken_ones(manifest, annotations, vocabulary, population, expected):
    split = make(manifest, annotations, vocabulary, population)
    view = "tagged" if population == "tagged" else "all"
    test = split.only("test")
    assert [*sizes(split)[:2], test.view(view).sum()] == expected
    assert sum(expected) == {18_706: 25_860, 15_247: 21_108, 15_425: 21_355}[expected[0]]
    assert len(test) == 5_329, "the test split has every clip, for its views to choose from"


@pytest.mark.slow
@pytest.mark.parametrize(("vocabulary", "expected"), [("standard50", [15_247, 1_529]), ("merged50", [15_425, 1_538])])
def test_the_broken_clips_are_left_out_because_they_cannot_be_decoded(prepared, annotations, vocabulary, expected):
    """All 25,863 files are decoded, each of a tenth of a second, and the three broken ones found so."""
    unusable = prepared[prepared["status"] != clips.OK]
    assert set(unusable["clip_id"]) == set(BROKEN)
    assert set(unusable["status"]) == {clips.UNDECODABLE}
    assert set(unusable["part"]) <= set(PARTS["train"])
    assert unusable["reason"].str.contains("empty|undecodable").all()
    split = make(prepared, annotations, vocabulary, "tagged")
    assert sizes(split) == [*expected, 5_329]
    tagged = split.only("test").view("tagged").sum()
    assert tagged == {"standard50": 4_332, "merged50": 4_392}[vocabulary]


@pytest.fixture(scope="module")
def prepared(folder, tmp_path_factory):
    """The whole dataset as it was prepared, with a file of a tenth of a second for each clip: its manifest."""
    dataset, out = tmp_path_factory.mktemp("full"), tmp_path_factory.mktemp("prepared")
    one = dataset / "one.mp3"
    write_mp3(one, tone(440.0, 0.1, np.random.default_rng(0)))
    for name in TABLES:
        shutil.copy(folder / name, dataset)
    for part in "0123456789abcdef":
        (dataset / part).mkdir()
    contents = dict(zip(BROKEN, (b"", b"ID3", b"<html>not found</html>"), strict=True))
    for clip in clips.describe_clips(dataset).itertuples():
        if clip.clip_id in contents:
            (dataset / clip.path).write_bytes(contents[clip.clip_id])
        else:
            os.link(one, dataset / clip.path)
    processes = len(os.sched_getaffinity(0))
    return preparation.prepare(dataset, out / "clips.npy", out / "manifest.tsv", 12_000, 1_200, processes)


def test_a_split_list_in_wide_use_lacks_three_clips_that_train_here(manifest, annotations):
    train = make(manifest, annotations, "standard50", "tagged").only("train")
    assert train.clips["clip_id"].isin(["29", "11268", "11269"]).sum() == 3
    assert len(train) - 3 == 15_244


def test_test_clips_with_a_tag(manifest, annotations):
    test = make(manifest, annotations, "merged50", "all").only("test")
    labels = pd.DataFrame(test.labels, columns=list(test.tags))
    expected = {"rock": 564, "heavy": 190, "hard": 107, "no piano": 71, "no singer": 515}
    assert labels[list(expected)].sum().to_dict() == expected
    assert labels[["rock", "heavy", "hard"]].all(axis=1).sum() == 81


def test_validation_has_three_choral_clips(manifest, annotations):
    valid = make(manifest, annotations, "standard50", "all").only("valid")
    assert valid.labels[:, valid.tags.index("choral")].sum() == 3


def test_artists_cross_from_train_to_test_and_songs_do_not(manifest, annotations):
    split = make(manifest, annotations, "merged50", "all")
    assert splits.shared_artists(split) == pytest.approx(0.616, abs=0.0005)
    artists = {name: set(split.only(name).clips["artist"]) for name in splits.NAMES}
    assert len(artists["test"]) == 75
    assert len(artists["test"] & artists["train"]) == 45
    songs = [set(split.only(name).clips["song"]) for name in splits.NAMES]
    assert len(set.union(*songs)) == sum(map(len, songs))


@pytest.mark.parametrize("population", ["tagged", "all"])
def test_test_clips_by_artists_in_neither_train_nor_validation(manifest, annotations, population):
    test = make(manifest, annotations, "merged50", population).only("test")
    disjoint = test.where(test.view("artist-disjoint"))
    assert len(disjoint) == 1_897
    assert disjoint.clips["artist"].nunique() == 27


def test_albums_do_not_cross_splits(manifest):
    of_part = {part: name for name, parts in PARTS.items() for part in parts}
    assert (
        manifest.assign(split=manifest["part"].map(of_part)).groupby(["artist", "album"])["split"].nunique().max() == 1
    )


def test_standard50_are_the_fifty_most_frequent_tags_in_order_of_frequency(annotations):
    counts = pd.Series(annotations.labels.sum(axis=0, dtype=int), index=list(annotations.tags))
    in_order = counts[list(tags.STANDARD50)]
    assert in_order.is_monotonic_decreasing
    assert counts.drop(list(tags.STANDARD50)).max() <= in_order.min()
    ties = {995: ("no vocal", "pop"), 644: ("male voice", "female vocal"), 505: ("metal", "female voice")}
    for count, pair in ties.items():
        assert in_order[in_order == count].index.tolist() == list(pair)


def test_merged50_are_the_fifty_most_frequent_tags_after_merging(annotations):
    of_word = {word: tag for tag, words in tags.MERGES.items() for word in words}
    merged = pd.DataFrame(annotations.labels.T, index=[of_word.get(tag, tag) for tag in annotations.tags])
    counts = merged.groupby(level=0).max().sum(axis=1)
    assert sorted(counts.nlargest(50).index) == list(tags.MERGED50)
    assert counts.nlargest(51).iloc[49] > counts.nlargest(51).iloc[50], "no tie decides which tags are in"
    assert not set(tags.MERGES) - set(counts.index)


def test_a_real_clip_decodes_to_its_published_length_and_not_to_what_its_header_says():
    header = soundfile.info(CLIP)
    assert (header.samplerate, header.channels, header.frames) == (16_000, 1, 468_340)
    assert round(CLIP.stat().st_size * 8 / header.duration, -3) == 32_000, "bits a second"
    assert 465_984 / header.samplerate == 29.124
    assert audio.decode(CLIP, 16_000).shape == (465_984,)
    assert audio.decode(CLIP, 12_000).shape == (349_488,)


def test_a_real_clip_is_prepared_as_ten_windows_with_its_own_labels(folder, annotations, tmp_path):
    dataset = tmp_path / "dataset"
    (dataset / "e").mkdir(parents=True)
    shutil.copy(CLIP, dataset / "e")
    path = f"e/{CLIP.name}"
    for name in TABLES:
        table = pd.read_csv(folder / name, sep="\t", dtype=str, keep_default_na=False)
        table[table["mp3_path"] == path].to_csv(dataset / name, sep="\t", index=False)
    manifest = preparation.prepare(dataset, tmp_path / "clips.npy", tmp_path / "manifest.tsv", 12_000, 349_500)
    row = manifest.iloc[0]
    assert (row["clip_id"], row["part"], row["samples"], row["status"]) == ("37386", "e", 349_488, "ok")
    assert row["song"] == "e/joram-moments_of_clarity-08-solipsism"
    array = clips.open_array(tmp_path / "clips.npy")
    assert array.shape == (1, 349_500) == (1, 10 * 34_950)
    assert 34_950 / 12_000 == 2.9125
    assert not array[0, 349_488:].any()
    assert array[0, :349_488].std() > 1000
    of_clip = annotations.labels[(annotations.clips["clip_id"] == "37386").to_numpy()][0]
    assert of_clip[annotations.tags.index("techno")] == 1
