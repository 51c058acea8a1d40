"""Tag vocabularies: their size and order, and what counts as a tag."""

import numpy as np
import pytest

from wavetag import tags

# The report's merges, as its source lists them.
PUBLISHED_MERGES = """
    beat<beats; chant<chanting; choir<choral; classical<clasical, classic; drum<drums;
    electro<electronic, electronica, electric; fast<fast beat, quick;
    female<female singer, female singing, female vocal, female vocals, female voice, woman, woman singing, women;
    flute<flutes; guitar<guitars; hard<hard rock; harpsichord<harpsicord; heavy<heavy metal, metal; horn<horns;
    india<indian; jazz<jazzy; male<male singer, male vocal, male vocals, male voice, man, man singing, men;
    no beat<no drums; no singer<no singing, no vocal, no vocals, no voice, no voices, instrumental; opera<operatic;
    orchestra<orchestral; quiet<silence; singer<singing; space<spacey; string<strings; synth<synthesizer;
    violin<violins; vocal<vocals, voice, voices; strange<weird
"""
MERGED50 = tags.sources("merged50")
EVERY_WORD = sorted({word for words in tags.sources("merged50").values() for word in words})


def test_standard50_has_fifty_tags_with_ties_in_the_published_order():
    order = list(tags.sources("standard50"))
    assert len(set(order)) == 50
    assert (order[0], order[-1]) == ("guitar", "choral")
    for first, second in [("no vocal", "pop"), ("male voice", "female vocal"), ("metal", "female voice")]:
        assert order.index(second) == order.index(first) + 1


def test_merged50_has_fifty_tags_in_alphabetical_order():
    order = list(tags.sources("merged50"))
    assert len(set(order)) == 50
    assert order == sorted(order)


def test_standard50_merges_nothing():
    assert all(words == (tag,) for tag, words in tags.sources("standard50").items())


def test_twenty_nine_groups_of_synonyms_none_in_two_of_them():
    published = dict(group.strip().split("<") for group in PUBLISHED_MERGES.split(";"))
    assert {tag: tuple(words.split(", ")) for tag, words in published.items()} == tags.MERGES
    assert len(tags.MERGES) == 29
    words = [word for group, synonyms in tags.MERGES.items() for word in (group, *synonyms)]
    assert len(words) == len(set(words))


def test_an_unknown_vocabulary_is_refused_with_the_known_ones_named():
    with pytest.raises(ValueError, match=r"'top100' is unknown; there are standard50, merged50"):
        tags.sources("top100")


@pytest.mark.parametrize("word", ["female", "woman", "female vocals"])
def test_any_synonym_counts_as_the_tag(word):
    annotations = np.zeros((2, len(EVERY_WORD)), dtype=np.uint8)
    annotations[1, EVERY_WORD.index(word)] = 1
    labels = tags.labels(annotations, EVERY_WORD, MERGED50)
    assert labels.dtype == np.uint8
    assert not labels[0].any()
    assert [tag for tag, one in zip(tags.MERGED50, labels[1], strict=True) if one] == ["female"]


def test_two_synonyms_on_one_clip_count_once():
    annotations = np.zeros((1, len(EVERY_WORD)), dtype=np.uint8)
    annotations[0, [EVERY_WORD.index(word) for word in ("heavy metal", "metal")]] = 1
    assert tags.labels(annotations, EVERY_WORD, MERGED50).sum() == 1


def test_labels_do_not_depend_on_the_order_of_the_columns():
    rng = np.random.default_rng(0)
    annotations = rng.integers(0, 2, (20, len(EVERY_WORD)))
    shuffled = rng.permutation(len(EVERY_WORD))
    names = [EVERY_WORD[column] for column in shuffled]
    one, other = (
        tags.labels(annotations, EVERY_WORD, MERGED50),
        tags.labels(annotations[:, shuffled], names, MERGED50),
    )
    np.testing.assert_array_equal(one, other)


def test_a_tag_keeps_its_meaning_where_only_one_of_its_synonyms_is_annotated():
    names = [word for word in EVERY_WORD if word != "violin"]
    assert "violins" in names
    labels = tags.labels(np.ones((1, len(names))), names, MERGED50)
    assert labels[0, tags.MERGED50.index("violin")] == 1


def test_a_tag_without_any_annotated_source_is_refused_by_name():
    names = [word for word in EVERY_WORD if word not in ("violin", "violins")]
    with pytest.raises(ValueError, match="'violin' of the vocabulary: none of violin, violins"):
        tags.labels(np.zeros((1, len(names))), names, MERGED50)


def test_chances_of_synonyms_join_as_independent_draws():
    chances = np.zeros((1, len(EVERY_WORD)))
    for word, chance in {"male": 0.1, "man": 0.2, "men": 0.5}.items():
        chances[0, EVERY_WORD.index(word)] = chance
    merged = tags.merged_probabilities(chances, EVERY_WORD, MERGED50)
    assert merged[0, tags.MERGED50.index("male")] == pytest.approx(1 - 0.9 * 0.8 * 0.5)
    assert np.count_nonzero(merged) == 1


def test_chances_agree_with_how_often_the_merged_labels_come_out():
    rng = np.random.default_rng(1)
    chances = rng.uniform(0, 0.5, len(EVERY_WORD))
    drawn = rng.random((20_000, len(EVERY_WORD))) < chances
    share = tags.labels(drawn, EVERY_WORD, MERGED50).mean(axis=0)
    expected = tags.merged_probabilities(chances[None], EVERY_WORD, MERGED50)[0]
    np.testing.assert_allclose(share, expected, atol=0.02)  # five standard errors


COUNTED = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 0, 1, 0]])
NAMES = ("slow", "zither", "bass", "cello")


@pytest.mark.parametrize(
    ("vocabulary", "expected"),
    [
        ("all", ["bass", "cello", "slow", "zither"]),
        ("top:2", ["slow", "cello"]),
        ("top:3", ["slow", "cello", "bass"]),  # bass and zither have a clip each
        (["zither", "bass"], ["zither", "bass"]),
        (["standard50"], None),
    ],
)
def test_a_vocabulary_of_a_dataset_with_tags_of_its_own(vocabulary, expected):
    if expected is None:
        with pytest.raises(ValueError, match="no annotated tag 'standard50'"):
            tags.resolve(vocabulary, NAMES, COUNTED)
    else:
        assert tags.resolve(vocabulary, NAMES, COUNTED) == {tag: (tag,) for tag in expected}


def test_a_named_vocabulary_is_the_same_whatever_is_annotated():
    assert tags.resolve("merged50", NAMES, COUNTED) == MERGED50


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        ("top:5", "only 4 tags are annotated"),
        ("top:0", "there are standard50, merged50, all, top:N and lists of tags"),
        (["ceelo"], "no annotated tag 'ceelo'; there are cello"),
        (["bass", "bass"], "'bass' stands twice"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(vocabulary, message):
    with pytest.raises(ValueError, match=message):
        tags.resolve(vocabulary, NAMES, COUNTED)
