"""Negative tags, 'no piano', 'no singer', 'no beat': what can be done about labels that say what is not there.

Annotators gave them seldom: most clips without a singer are not tagged 'no singer', so that a label of 0 means little.
Ways of treating them in training (the setting ``negative_tags``):

* ``plain``: as any other tag;
* ``mask``: a negative tag counts in the loss of those clips alone that have it, or a tag of what it denies;
* ``weight``: its positives count more, as many times as its negatives are more, ten times at most;
* ``oversample``: clips that have one are drawn three times as often, in as many updates.

Leaving them out of the vocabulary is a fifth: a split of its own.
"""

from collections.abc import Sequence

import numpy as np

TREATMENTS = ("plain", "mask", "weight", "oversample")
MOST_WEIGHT = 10.0
OFTENER = 3.0
VOCAL = (
    *("singer", "singing", "vocal", "vocals", "voice", "voices", "male", "female", "man", "woman"),
    *("male singer", "male vocal", "male voice", "female singer", "female vocal", "female voice"),
    *("choir", "choral", "chant", "opera"),
)
# Negative tag -> tags of what it denies, of both vocabularies.
DENIED = {
    "no singer": VOCAL,
    "no vocals": VOCAL,
    "no vocal": VOCAL,
    "no voice": VOCAL,
    "no piano": ("piano",),
    "no beat": ("beat", "beats", "drum", "drums"),
}


class Treatment:
    """What a treatment does with some training clips.

    Args:
        name: one of ``TREATMENTS``.
        tags: names, in order.
        labels: [clips, tags] of 0 and 1.
    """

    def __init__(self, name: str, tags: Sequence[str], labels: np.ndarray):
        if name not in TREATMENTS:
            raise ValueError(f"negative_tags {name!r} is unknown; there are {', '.join(TREATMENTS)}")
        self.name, self.clips = name, len(labels)
        place = {tag: column for column, tag in enumerate(tags)}
        negative = [place[tag] for tag in DENIED if tag in place]
        self._weights, self._chances = None, None
        if name == "mask":
            self._weights = np.ones(labels.shape, dtype=np.float32)
            for column in negative:
                denied = [place[tag] for tag in DENIED[tags[column]] if tag in place]
                self._weights[:, column] = labels[:, [column, *denied]].any(axis=1)
        elif name == "weight":
            self._weights = np.ones(labels.shape, dtype=np.float32)
            for column in negative:
                positives = labels[:, column].sum()
                ratio = (len(labels) - positives) / max(positives, 1)
                self._weights[labels[:, column] == 1, column] = min(max(ratio, 1.0), MOST_WEIGHT)
        elif name == "oversample":
            chances = np.where(labels[:, negative].any(axis=1), OFTENER, 1.0)
            self._chances = chances / chances.sum()

    def order(self, generator: np.random.Generator) -> np.ndarray:
        """The clips of an epoch, in order: int [clips]. With ``oversample`` some more than once, others not at all."""
        if self._chances is None:
            return generator.permutation(self.clips)
        return generator.choice(self.clips, self.clips, p=self._chances)

    def weights(self, chosen: np.ndarray) -> np.ndarray | None:
        """What each label of some clips counts in the loss: float32 [chosen, tags]; None where all count the same."""
        return None if self._weights is None else self._weights[chosen]
