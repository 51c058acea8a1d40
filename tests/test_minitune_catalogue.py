"""Who is in the dataset and in which part."""

import itertools
from collections import Counter, defaultdict

import pytest

from minitune.catalogue import PARTS, SPLITS, catalogue, genre_sequence
from minitune.genres import GENRES

SPLIT_OF_PART = {part: split for split, parts in SPLITS.items() for part in parts}


@pytest.fixture(scope="module")
def clips():
    return catalogue(1200, seed=2014)


@pytest.mark.parametrize("count", [32, 33, 100, 641, 1200, 25_863])
def test_any_size_has_that_many_clips_with_paths_and_ids_of_their_own(count):
    rows = catalogue(count, seed=7)
    assert len(rows) == count
    assert len({clip.path for clip in rows}) == count
    assert len({clip.clip_id for clip in rows}) == count
    assert {SPLIT_OF_PART[clip.part] for clip in rows} == {"train", "validation", "test"}


@pytest.mark.parametrize("count", [0, 31, 25_864])
def test_too_few_or_too_many_clips_are_refused(count):
    with pytest.raises(ValueError, match=f"clips: {count} given, 32 to 25863 allowed"):
        catalogue(count, seed=2014)


def test_paths_are_spelt_as_in_magnatagatune(clips):
    for clip in clips:
        part, _, name = clip.path.partition("/")
        assert part in PARTS
        artist, album, track, title, start, end = name.removesuffix(".mp3").split("-")
        assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") for word in (artist, album, title))
        assert int(track) == clip.song.track and len(track) == 2
        assert int(end) - int(start) == 29


def test_segments_of_a_song_do_not_overlap(clips):
    starts = defaultdict(list)
    for clip in clips:
        starts[clip.song].append(clip.start)
    assert all(later - earlier >= 29 for s in starts.values() for earlier, later in itertools.pairwise(s))
    several = [s for s in starts.values() if len(s) > 1]
    assert len(several) > 0.9 * len(starts)


def test_an_album_lies_in_one_part(clips):
    parts = defaultdict(set)
    for clip in clips:
        parts[clip.song.artist.name, clip.song.album].add(clip.part)
    assert {len(found) for found in parts.values()} == {1}


def test_about_half_of_the_test_clips_are_by_artists_of_the_training_parts(clips):
    by_split = defaultdict(list)
    for clip in clips:
        by_split[SPLIT_OF_PART[clip.part]].append(clip.song.artist.name)
    share = sum(name in set(by_split["train"]) for name in by_split["test"]) / len(by_split["test"])
    assert 0.4 < share < 0.7  # the original: .616


def test_validation_and_test_are_large_enough(clips):
    sizes = Counter(SPLIT_OF_PART[clip.part] for clip in clips)
    assert sizes["validation"] >= 165
    assert sizes["test"] >= 385
    assert sizes["train"] >= 590
    assert set(PARTS) == {clip.part for clip in clips}


@pytest.mark.parametrize("seed", [0, 1, 2014])
def test_every_genre_is_in_training_validation_and_test(seed):
    splits = defaultdict(set)
    for clip in catalogue(1200, seed):
        splits[clip.song.artist.genre].add(SPLIT_OF_PART[clip.part])
    assert set(splits) == set(GENRES)
    assert {len(found) for found in splits.values()} == {3}


def test_genres_have_their_share_after_any_number_of_artists():
    total = sum(genre.share for genre in GENRES.values())
    sequence = genre_sequence(300)
    for length in (1, 10, 139, 300):
        counts = Counter(sequence[:length])
        for name, genre in GENRES.items():
            assert abs(counts[name] - length * genre.share / total) < 1.5


def test_the_catalogue_is_a_function_of_clips_and_seed(clips):
    assert catalogue(1200, seed=2014) == clips
    other = catalogue(1200, seed=2015)
    assert {clip.path for clip in other}.isdisjoint({clip.path for clip in clips})


def test_an_artist_does_not_name_two_albums_alike():
    titles = defaultdict(set)
    for clip in catalogue(5000, seed=3):
        titles[clip.song.artist.name, clip.album].add(clip.song.album)
    assert {len(albums) for albums in titles.values()} == {1}
