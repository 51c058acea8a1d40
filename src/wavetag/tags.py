"""Tag vocabularies: which tags are predicted, in which order, and which synonyms count as one tag.

MagnaTagATune has 188 tags, many of them synonyms. Two vocabularies of 50 are in use:

* ``standard50``, the 50 most frequent of the 188, in order of frequency. Later publications score on it.
* ``merged50``, the one of the replication that is reproduced here: 29 groups of synonyms are merged, each under one
  word, and the 50 most frequent of what results are taken, in alphabetical order.

The orders are part of the data. There are ties in the counts, so that sorting by count would not give them back.
"""

from collections.abc import Sequence

import numpy as np

STANDARD50 = tuple(
    [
        "guitar",
        "classical",
        "slow",
        "techno",
        "strings",
        "drums",
        "electronic",
        "rock",
        "fast",
        "piano",
        "ambient",
        "beat",
        "violin",
        "vocal",
        "synth",
        "female",
        "indian",
        "opera",
        "male",
        "singing",
        "vocals",
        "no vocals",
        "harpsichord",
        "loud",
        "quiet",
        "flute",
        "woman",
        "male vocal",
        "no vocal",
        "pop",
        "soft",
        "sitar",
        "solo",
        "man",
        "classic",
        "choir",
        "voice",
        "new age",
        "dance",
        "male voice",
        "female vocal",
        "beats",
        "harp",
        "cello",
        "no voice",
        "weird",
        "country",
        "metal",
        "female voice",
        "choral",
    ]
)

MERGED50 = tuple(
    [
        "ambient",
        "baroque",
        "bass",
        "beat",
        "cello",
        "chant",
        "choir",
        "classical",
        "country",
        "dance",
        "drum",
        "eastern",
        "electro",
        "fast",
        "female",
        "flute",
        "folk",
        "foreign",
        "guitar",
        "hard",
        "harp",
        "harpsichord",
        "heavy",
        "india",
        "jazz",
        "loud",
        "male",
        "modern",
        "new age",
        "no beat",
        "no piano",
        "no singer",
        "opera",
        "orchestra",
        "piano",
        "pop",
        "quiet",
        "rock",
        "singer",
        "sitar",
        "slow",
        "soft",
        "solo",
        "strange",
        "string",
        "synth",
        "techno",
        "trance",
        "violin",
        "vocal",
    ]
)

# Each merged tag and the tags that it takes in besides its own name.
MERGES = {
    "beat": ("beats",),
    "chant": ("chanting",),
    "choir": ("choral",),
    "classical": ("clasical", "classic"),
    "drum": ("drums",),
    "electro": ("electronic", "electronica", "electric"),
    "fast": ("fast beat", "quick"),
    "female": (
        *("female singer", "female singing", "female vocal", "female vocals", "female voice"),
        *("woman", "woman singing", "women"),
    ),
    "flute": ("flutes",),
    "guitar": ("guitars",),
    "hard": ("hard rock",),
    "harpsichord": ("harpsicord",),
    "heavy": ("heavy metal", "metal"),
    "horn": ("horns",),
    "india": ("indian",),
    "jazz": ("jazzy",),
    "male": (
        *("male singer", "male vocal", "male vocals", "male voice"),
        *("man", "man singing", "men"),
    ),
    "no beat": ("no drums",),
    "no singer": ("no singing", "no vocal", "no vocals", "no voice", "no voices", "instrumental"),
    "opera": ("operatic",),
    "orchestra": ("orchestral",),
    "quiet": ("silence",),
    "singer": ("singing",),
    "space": ("spacey",),
    "string": ("strings",),
    "synth": ("synthesizer",),
    "violin": ("violins",),
    "vocal": ("vocals", "voice", "voices"),
    "strange": ("weird",),
}

# name -> (tags in order, merges)
VOCABULARIES: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "standard50": (STANDARD50, {}),
    "merged50": (MERGED50, MERGES),
}


def sources(vocabulary: str) -> dict[str, tuple[str, ...]]:
    """For each tag of a vocabulary, in order, the annotated tags that it stands for.

    Raises ``ValueError`` if there is no vocabulary of that name.
    """
    if vocabulary not in VOCABULARIES:
        raise ValueError(f"vocabulary {vocabulary!r} is unknown; there are {', '.join(VOCABULARIES)}")
    tags, merges = VOCABULARIES[vocabulary]
    return {tag: (tag, *merges.get(tag, ())) for tag in tags}


def _columns(names: Sequence[str], vocabulary: str) -> list[list[int]]:
    """For each tag of the vocabulary the positions of its sources among ``names``."""
    position = {name: column for column, name in enumerate(names)}
    columns = []
    for tag, words in sources(vocabulary).items():
        found = [position[word] for word in words if word in position]
        if not found:
            raise ValueError(
                f"no annotated tag stands for {tag!r} of {vocabulary}: none of {', '.join(words)} is there"
            )
        columns.append(found)
    return columns


def labels(annotations: np.ndarray, names: Sequence[str], vocabulary: str) -> np.ndarray:
    """Annotations in the terms of a vocabulary.

    Args:
        annotations: [clips, names] of 0 and 1.
        names: the annotated tags, in the order of the columns.
        vocabulary: ``standard50`` or ``merged50``.

    Returns:
        uint8 [clips, tags]: 1 where any of the tag's sources is 1.
    """
    annotations = np.asarray(annotations)
    merged = [annotations[:, columns].max(axis=1) for columns in _columns(names, vocabulary)]
    return np.stack(merged, axis=1).astype(np.uint8)


def merged_probabilities(probabilities: np.ndarray, names: Sequence[str], vocabulary: str) -> np.ndarray:
    """Chances of a vocabulary's tags from the chances of their sources, drawn independently.

    Args:
        probabilities: [clips, names] in [0, 1].
        names: the annotated tags, in the order of the columns.
        vocabulary: ``standard50`` or ``merged50``.

    Returns:
        float64 [clips, tags]: 1 - prod(1 - p) over a tag's sources.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    merged = [1 - np.prod(1 - probabilities[:, columns], axis=1) for columns in _columns(names, vocabulary)]
    return np.stack(merged, axis=1)
