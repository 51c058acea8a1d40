"""From facts to tags: the table of rates, and that the drawn tags follow it."""

import csv
import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from minitune.facts import Facts
from minitune.genres import GENRES
from minitune.instruments import INSTRUMENTS
from minitune.parts import Part
from minitune.tags import (
    FALSE_POSITIVE,
    MISSING,
    RATES,
    TAGS,
    draw_tags,
    salience,
    strengths,
    tag_probabilities,
)

REAL = Path(__file__).resolve().parents[2] / "shared" / "magnatagatune" / "annotations_final.csv.gz"


def facts(style=None, levels=None, onsets=5.0, tempo=100.0, loudness=-17.0):
    return Facts("rock", style or {}, levels or {}, onsets, tempo, loudness)


def probability(tag, **known):
    return tag_probabilities(facts(**known))[TAGS.index(tag)]


def test_there_are_188_different_tags():
    assert len(TAGS) == len(set(TAGS)) == 188


@pytest.mark.skipif(not REAL.exists(), reason="the real MagnaTagATune tables are not here")
def test_the_tags_are_magnatagatunes_columns():
    with gzip.open(REAL, "rt") as file:
        header = next(csv.reader(file, delimiter="\t"))
    assert ["clip_id", *TAGS, "mp3_path"] == header


def test_the_table_names_only_known_tags_and_holds_probabilities():
    for causes in RATES.values():
        for recalls in causes.values():
            assert set(recalls) <= set(TAGS)
            assert all(0 < recall < 1 for recall in recalls.values())


def test_every_cause_in_the_table_can_happen():
    parts = [
        part
        for genre in GENRES.values()
        for item in genre.parts
        for part in ([item] if isinstance(item, Part) else [p for _, lineup in item.lineups for p in lineup])
    ]
    words = {word for source in (*GENRES.values(), *parts) for word in source.style} | {"solo"}
    names = {name for instrument in INSTRUMENTS.values() for name in instrument.counts_as}
    assert set(RATES["style"]) <= words
    assert set(RATES["heard"]) <= names | {"female voice", "male voice"}
    assert set(RATES["missing"]) == set(MISSING)


def test_every_style_word_of_a_genre_brings_a_tag():
    for name, genre in GENRES.items():
        assert set(genre.style) <= set(RATES["style"]), name


def test_salience_rises_between_20_and_6_db_below_the_mix():
    assert salience(-25) == salience(-20) == 0
    assert salience(-13) == pytest.approx(0.5)
    assert salience(-6) == salience(0) == 1


def test_a_tag_without_a_cause_is_a_false_positive():
    assert probability("birds") == pytest.approx(FALSE_POSITIVE)


def test_causes_act_independently():
    flute, oboe = RATES["heard"]["flute"]["flute"], RATES["heard"]["oboe"]["flute"]
    heard = probability("flute", levels={"flute": -13.0, "oboe": 0.0})
    assert heard == pytest.approx(1 - (1 - FALSE_POSITIVE) * (1 - flute / 2) * (1 - oboe))


def test_what_plays_too_softly_is_missing():
    assert probability("no vocals", levels={"voice": -21.0}) > 0.05
    assert probability("no vocals", levels={"voice": -15.0}) == pytest.approx(FALSE_POSITIVE)


@pytest.mark.parametrize(
    ("tag", "name", "values"),
    [
        ("slow", "onsets", (1, 2, 3, 9)),
        ("fast", "onsets", (12, 9, 8, 3)),
        ("loud", "loudness", (-9, -12, -14, -20)),
        ("quiet", "loudness", (-28, -24, -21, -12)),
    ],
)
def test_manners_follow_their_measure(tag, name, values):
    found = [probability(tag, **{name: value}) for value in values]
    assert all(more > less for more, less in pairwise(found))


def test_a_choir_hides_who_sings():
    alone = strengths(facts(levels={"female voice": 0.0}))["heard"]["female voice"]
    in_choir = strengths(facts(levels={"female voice": 0.0, "choir": 0.0}))["heard"]["female voice"]
    assert alone == 1 and in_choir == pytest.approx(0.25)


def test_drawn_tags_are_as_frequent_as_the_table_says():
    known = facts({"rock": 1.0}, {"guitar": -3.0, "drums": -8.0, "voice": -6.0, "male voice": -6.0}, 9.0)
    p = tag_probabilities(known)
    draws = 4000
    counts = np.sum([draw_tags(p, 2014, clip_id) for clip_id in range(draws)], axis=0)
    # Five standard deviations of the binomial: one of 188 tags strays so far once in 10,000 such tests.
    assert np.all(np.abs(counts - draws * p) <= 5 * np.sqrt(draws * p * (1 - p)) + 1)


def test_tags_are_drawn_independently_of_each_other():
    p = tag_probabilities(facts(levels={"female voice": 0.0, "voice": 0.0}))
    drawn = np.array([draw_tags(p, 1, clip_id) for clip_id in range(4000)])
    female, woman = (drawn[:, TAGS.index(tag)] for tag in ("female", "woman"))
    assert abs(np.corrcoef(female, woman)[0, 1]) < 5 / np.sqrt(len(drawn))


def test_a_clips_draw_depends_on_seed_and_clip_alone():
    p = np.full(188, 0.5)
    assert np.array_equal(draw_tags(p, 1, 2), draw_tags(p, 1, 2))
    assert not np.array_equal(draw_tags(p, 1, 2), draw_tags(p, 1, 3))
    assert not np.array_equal(draw_tags(p, 1, 2), draw_tags(p, 2, 2))
