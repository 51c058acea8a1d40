"""Which clips train, validate and test."""

import numpy as np
import pandas as pd
import pytest

from wavetag import clips, splits, tags

PARTS = {"train": "0123456789ab", "valid": "c", "test": "def"}
WORDS = sorted({word for words in tags.sources("merged50").values() for word in words})


@pytest.fixture
def manifest():
    """48 clips: two clips a song, two songs an album, four albums an artist; the artist 'wanderer' is in every part."""
    rows = []
    for clip in range(48):
        part = "0123456789abcdef"[clip // 3]
        rows.append(
            {
                "row": clip,
                "clip_id": str(1_000 - clip),
                "path": f"{part}/song_{clip // 2}-{clip % 2}-29.mp3",
                "part": part,
                "artist": "wanderer" if clip % 3 == 0 else f"artist {part}",
                "album": f"album {part}",
                "song": f"{part}/song_{clip // 2}",
                "samples": 1_000,
                "status": clips.OK,
                "reason": "",
            }
        )
    return pd.DataFrame(rows)


@pytest.fixture
def annotations(manifest):
    """In another order than the manifest. Every third clip has no tag; the clip ids 990 and above are 'woman'."""
    ids = manifest["clip_id"].iloc[::-1].reset_index(drop=True)
    labels = np.zeros((len(ids), len(WORDS)), dtype=np.uint8)
    number = ids.astype(int).to_numpy()
    labels[number % 3 != 0, WORDS.index("guitar")] = 1
    labels[(number >= 990) & (number % 3 != 0), WORDS.index("woman")] = 1
    return clips.Annotations(pd.DataFrame({"clip_id": ids, "path": ids}), tuple(WORDS), labels)


def make(manifest, annotations, parts=PARTS, population="all", window_samples=400, without=()):
    return splits.make(manifest, annotations, "merged50", parts, population, window_samples, 200, without)


def test_every_clip_is_in_the_split_of_its_part(manifest, annotations):
    split = make(manifest, annotations)
    assert [len(split.only(name)) for name in splits.NAMES] == [36, 3, 9]
    for name, parts in PARTS.items():
        assert set(split.only(name).clips["part"]) == set(parts)


@pytest.mark.parametrize("of", ["row", "clip_id", "path", "song"])
def test_no_clip_and_no_song_is_in_two_splits(tiny_prepared, of):
    values = [set(tiny_prepared.split.only(name).clips[of]) for name in splits.NAMES]
    assert all(values)
    assert len(set.union(*values)) == sum(map(len, values))


def test_no_album_is_in_two_splits(manifest, annotations):
    albums = make(manifest, annotations).clips.merge(manifest[["row", "album"]], on="row")
    assert albums.groupby("album")["split"].nunique().max() == 1


def test_labels_belong_to_their_clips_whatever_the_order_of_the_annotations(manifest, annotations):
    split = make(manifest, annotations)
    number = split.clips["clip_id"].astype(int).to_numpy()
    labels = pd.DataFrame(split.labels, columns=list(split.tags))
    np.testing.assert_array_equal(labels["guitar"], number % 3 != 0)
    np.testing.assert_array_equal(labels["female"], (number >= 990) & (number % 3 != 0))
    assert labels.drop(columns=["guitar", "female"]).to_numpy().sum() == 0


def test_tagged_leaves_out_clips_without_a_tag_and_all_does_not(manifest, annotations):
    tagged, everything = (make(manifest, annotations, population=name) for name in ("tagged", "all"))
    assert len(everything) == 48
    in_test = (tagged.clips["split"] == "test").to_numpy()
    assert tagged.labels[~in_test].any(axis=1).all()
    in_test_part = manifest["part"].isin(list("def"))
    assert set(tagged.clips["clip_id"]) == {
        clip for clip, test in zip(manifest["clip_id"], in_test_part, strict=True) if test or int(clip) % 3
    }


def test_the_views_of_the_test_clips(manifest, annotations):
    manifest.loc[manifest["part"] == "e", "artist"] = ["wanderer", "artist c", "newcomer"]
    test = make(manifest, annotations, population="tagged").only("test")
    tagged = [int(clip) % 3 != 0 for clip in test.clips["clip_id"]]
    np.testing.assert_array_equal(test.view("tagged"), tagged)
    assert test.view("all").all() and len(test) == 9
    disjoint = ~test.clips["artist"].isin(["wanderer", "artist c"])
    assert 0 < disjoint.sum() < 9
    np.testing.assert_array_equal(test.view("artist-disjoint"), disjoint)
    counts = splits.view_counts(test).set_index("test view")["clips"]
    assert counts.to_dict() == {"tagged": sum(tagged), "all": 9, "artist-disjoint": disjoint.sum()}
    with pytest.raises(ValueError, match="view 'some' is unknown; there are tagged, all, artist-disjoint"):
        test.view("some")


def test_an_artist_of_untagged_training_clips_alone_is_no_stranger(manifest, annotations):
    """A clip that is left out of training for want of a tag is still one of its artist's."""
    annotations.labels[:] = 0
    annotations.labels[[0, -1, 10], 0] = 1  # a clip each of test, train and validation
    split = make(manifest, annotations, population="tagged")
    assert len(split.only("train")) == 1
    test = split.only("test")
    assert not test.view("artist-disjoint")[(test.clips["artist"] == "wanderer").to_numpy()].any()


def test_tags_may_have_the_names_of_columns(manifest, annotations, tmp_path):
    words = tuple(["song", "row", "split", *WORDS[3:]])
    named = clips.Annotations(annotations.clips, words, annotations.labels)
    split = splits.make(manifest, named, ["song", "row", "guitar"], PARTS, "all", 400, 200)
    splits.write(tmp_path / "split.tsv", split)
    again = splits.read(tmp_path / "split.tsv")
    assert again.tags == ("song", "row", "guitar")
    assert again.clips["split"].tolist() == split.clips["split"].tolist()
    np.testing.assert_array_equal(again.labels, split.labels)


def test_another_population_is_refused(manifest, annotations):
    with pytest.raises(ValueError, match="population 'some' is unknown; there are tagged and all"):
        make(manifest, annotations, population="some")


def test_unusable_clips_are_in_no_split(manifest, annotations):
    manifest.loc[[0, 47], "status"] = [clips.MISSING, clips.UNDECODABLE]
    assert set(make(manifest, annotations).clips["row"]) == set(range(1, 47))


def test_a_part_that_no_split_names_is_left_out(manifest, annotations):
    split = make(manifest, annotations, parts={"train": "01", "valid": "2", "test": "3"})
    assert set(split.clips["part"]) == set("0123")


def test_a_part_in_two_splits_is_refused(manifest, annotations):
    with pytest.raises(ValueError, match="part 'c' is in both train and valid"):
        make(manifest, annotations, parts={"train": "abc", "valid": "c", "test": "d"})


def test_a_split_without_a_usable_clip_is_refused(manifest, annotations):
    manifest.loc[manifest["part"] == "c", "status"] = clips.MISSING
    with pytest.raises(ValueError, match="split valid has no clip: none of parts c has a usable one"):
        make(manifest, annotations)


def test_a_split_without_a_tagged_clip_is_refused_with_the_vocabulary(manifest, annotations):
    of_valid = annotations.clips["clip_id"].isin(manifest.loc[manifest["part"] == "c", "clip_id"]).to_numpy()
    annotations.labels[of_valid] = 0
    with pytest.raises(ValueError, match="split valid has 3 clips, and none with a tag of the vocabulary: ambient"):
        make(manifest, annotations)


@pytest.mark.parametrize(("samples", "windows"), [(1, 1), (400, 1), (401, 2), (1_000, 3)])
def test_windows_counts_those_that_are_not_wholly_padding(manifest, annotations, samples, windows):
    manifest["samples"] = samples
    assert set(make(manifest, annotations).clips["windows"]) == {windows}


def test_seconds_are_how_long_a_clip_sounds(manifest, annotations):
    manifest["samples"] = np.arange(len(manifest)) + 1
    found = make(manifest, annotations).clips
    assert found["seconds"].tolist() == pytest.approx([(row + 1) / 200 for row in found["row"]], abs=1e-6)


def test_tags_left_out_change_no_clip_that_is_kept(manifest, annotations):
    every, fewer = (make(manifest, annotations, population="tagged", without=tags) for tags in ((), ("guitar",)))
    pd.testing.assert_frame_equal(fewer.clips, every.clips)
    assert fewer.tags == tuple(tag for tag in every.tags if tag != "guitar")
    np.testing.assert_array_equal(fewer.labels, np.delete(every.labels, every.tags.index("guitar"), axis=1))
    with pytest.raises(ValueError, match="without: gitar: no such tag"):
        make(manifest, annotations, without=("gitar",))


def test_a_split_is_read_back_as_it_was_written(manifest, annotations, tmp_path):
    manifest.loc[0, "artist"] = "NA"  # an artist's name, not a missing value
    split = make(manifest, annotations)
    splits.write(tmp_path / "split.tsv", split)
    again = splits.read(tmp_path / "split.tsv")
    pd.testing.assert_frame_equal(again.clips, split.clips, check_dtype=False)
    assert again.tags == split.tags
    np.testing.assert_array_equal(again.labels, split.labels)


def test_who_reads_only_train_and_valid_holds_no_test_row(manifest, annotations, tmp_path):
    split = make(manifest, annotations)
    splits.write(tmp_path / "split.tsv", split)
    read = splits.read(tmp_path / "split.tsv", only=["train", "valid"])
    assert set(read.clips["split"]) == {"train", "valid"}
    assert len(read) == len(read.labels) == 39
    assert not set(read.clips["row"]) & set(split.only("test").clips["row"])


def test_counts_say_what_is_in_each_split(manifest, annotations):
    counts = splits.counts(make(manifest, annotations)).set_index("split")
    assert counts["clips"].to_dict() == {"train": 36, "valid": 3, "test": 9}
    assert counts.loc["valid", "artists"] == 2
    assert counts.loc["valid", "songs"] == 2
    assert counts.loc["valid", "labels per clip"] == pytest.approx(2 / 3, abs=0.005)  # shown with two decimals
    assert counts["tags without a positive"].to_dict() == {"train": 48, "valid": 49, "test": 49}


def test_share_of_test_clips_whose_artist_is_in_train(manifest, annotations):
    assert splits.shared_artists(make(manifest, annotations)) == pytest.approx(1 / 3)
