"""Tag vocabularies: which tags are predicted, in which order, and which synonyms count as one tag.

MagnaTagATune has 188 tags, many of them synonyms. Two vocabularies of 50 are in use:

* ``standard50``, the 50 most frequent of the 188, in order of frequency. Later publications score on it.
* ``merged50``, the one of the report, a replication of 2023: 29 groups of synonyms are merged, each under one
  word, and the 50 most frequent of what results are taken, in alphabetical order.

The orders are part of the data. There are ties in the counts, so that sorting by count would not give them back.

For datasets with tags of their own there are ``all``, ``top:N``, and a list of tags. Each tag then stands for itself.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

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


def sources(vocabulary: str | Sequence[str], names: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """For each tag of a vocabulary, in order, the annotated tags that it stands for.

    Args:
        vocabulary: the name of one, or anything else that ``resolve`` knows.
        names: the tags, in order, of a vocabulary that is not a named one; each stands for itself.
    """
    if isinstance(vocabulary, str) and vocabulary in VOCABULARIES:
        tags, merges = VOCABULARIES[vocabulary]
        return {tag: (tag, *merges.get(tag, ())) for tag in tags}
    if not names:
        raise ValueError(f"vocabulary {vocabulary!r} is unknown; there are {', '.join(VOCABULARIES)}")
    return {name: (name,) for name in names}


def resolve(
    vocabulary: str | Sequence[str], names: Sequence[str], annotations: np.ndarray
) -> dict[str, tuple[str, ...]]:
    """A vocabulary in the terms of a dataset.

    Args:
        vocabulary: ``standard50``, ``merged50``, ``all`` (every annotated tag, alphabetically), ``top:N`` (the N most
            frequent over all annotated clips, ties alphabetically), or a list of annotated tags.
        names: the annotated tags, in the order of the columns.
        annotations: [clips, names] of 0 and 1.

    Returns:
        For each tag, in order, the annotated tags that it stands for.

    Raises:
        ValueError: an unknown vocabulary or tag, a tag that stands twice, or more tags asked for than there are.
    """
    if not isinstance(vocabulary, str):
        return sources((), _listed(vocabulary, names))
    top = re.fullmatch(r"top:([1-9]\d*)", vocabulary)
    if vocabulary in VOCABULARIES:
        return sources(vocabulary)
    if vocabulary == "all":
        return sources((), sorted(names))
    if not top:
        known = ", ".join(VOCABULARIES)
        raise ValueError(f"vocabulary {vocabulary!r} is unknown; there are {known}, all, top:N and lists of tags")
    if int(top[1]) > len(names):
        raise ValueError(f"vocabulary {vocabulary}: only {len(names)} tags are annotated")
    counts = dict(zip(names, np.asarray(annotations).sum(axis=0, dtype=int), strict=True))
    return sources((), sorted(names, key=lambda name: (-counts[name], name))[: int(top[1])])


def _listed(vocabulary: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    """A list of tags, as it is, when each is annotated and stands once."""
    for tag in vocabulary:
        if tag not in names:
            close = get_close_matches(tag, names, n=3)
            raise ValueError(
                f"vocabulary: no annotated tag {tag!r}" + (f"; there are {', '.join(close)}" if close else "")
            )
        if list(vocabulary).count(tag) > 1:
            raise ValueError(f"vocabulary: {tag!r} stands twice")
    return vocabulary


def _columns(names: Sequence[str], vocabulary: Mapping[str, Sequence[str]]) -> list[list[int]]:
    """For each tag of the vocabulary the positions of its sources among ``names``."""
    position = {name: column for column, name in enumerate(names)}
    columns = []
    for tag, words in vocabulary.items():
        found = [position[word] for word in words if word in position]
        if not found:
            raise ValueError(
                f"no annotated tag stands for {tag!r} of the vocabulary: none of {', '.join(words)} is there;"
                " `split: vocabulary: all` takes the tags that are"
            )
        columns.append(found)
    return columns


def labels(annotations: np.ndarray, names: Sequence[str], vocabulary: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Annotations in the terms of a vocabulary.

    Args:
        annotations: [clips, names] of 0 and 1.
        names: the annotated tags, in the order of the columns.
        vocabulary: for each tag the annotated tags that it stands for, as ``resolve`` and ``sources`` give it.

    Returns:
        uint8 [clips, tags]: 1 where any of the tag's sources is 1.
    """
    annotations = np.asarray(annotations)
    merged = [annotations[:, columns].max(axis=1) for columns in _columns(names, vocabulary)]
    return np.stack(merged, axis=1).astype(np.uint8)


def merged_probabilities(
    probabilities: np.ndarray, names: Sequence[str], vocabulary: Mapping[str, Sequence[str]]
) -> np.ndarray:
    """Chances of a vocabulary's tags from the chances of their sources, drawn independently.

    Args:
        probabilities: [clips, names] in [0, 1].
        names: the annotated tags, in the order of the columns.
        vocabulary: for each tag the annotated tags that it stands for.

    Returns:
        float64 [clips, tags]: 1 - prod(1 - p) over a tag's sources.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    merged = [1 - np.prod(1 - probabilities[:, columns], axis=1) for columns in _columns(names, vocabulary)]
    return np.stack(merged, axis=1)
