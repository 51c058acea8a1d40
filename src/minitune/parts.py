"""The words in which genres are written: parts, choices between parts, and what a genre is."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class AnyOf:
    """An option of which each song draws one value."""

    values: tuple

    def draw(self, rng: np.random.Generator):
        """One of the values."""
        return self.values[rng.integers(len(self.values))]


def any_of(*values) -> AnyOf:
    """One of these, drawn a song."""
    return AnyOf(values)


@dataclass(frozen=True)
class Part:
    """What one player does: an instrument ('a|b': one of them, drawn a song) and a pattern.

    `level` in dB beside the other parts; `song`: chance that a song has it; `clip`: chance that it
    plays in a section of such a song; `style`: style words that it adds; `options` go to the pattern.
    """

    instrument: str
    pattern: Callable
    level: float = 0.0
    song: float = 1.0
    clip: float = 0.92
    effect: Callable | None = None
    range: tuple[int, int] | None = None
    style: dict[str, float] = field(default_factory=dict)
    options: dict = field(default_factory=dict)


def part(instrument, pattern, level=0.0, song=1.0, clip=0.92, effect=None, range=None, style=None, **options):
    """A `Part`; further keywords are options of the pattern (a value or `any_of(...)`)."""
    return Part(instrument, pattern, level, song, clip, effect, range, style or {}, options)


@dataclass(frozen=True)
class OneOf:
    """Line-ups of which each song has one: (weight, parts)."""

    lineups: tuple[tuple[float, tuple[Part, ...]], ...]


def one_of(*lineups) -> OneOf:
    """Each line-up: a part, or (weight, part, part, ...)."""
    return OneOf(tuple((1.0, (lineup,)) if isinstance(lineup, Part) else (lineup[0], lineup[1:]) for lineup in lineups))


@dataclass(frozen=True)
class Genre:
    """A genre: how many clips, what song is played how, by whom.

    `share`: relative share of the clips. `tempo`: beats a minute. `modes`, `progressions`: of `theory`.
    `level`: dB by which its records differ from the mean (small: loudness should say little about genre).
    `rates`: chances of playing at half, whole and double feel. `timing`: looseness of the players in seconds.
    `voices`: which singers (a key of `voice.SINGERS`). `female`: chance that the artist's singer is a woman.
    """

    share: float
    style: dict[str, float]
    tempo: tuple[float, float]
    modes: str
    progressions: str
    room: str
    parts: tuple[Part | OneOf, ...]
    level: float = 0.0
    rates: tuple[float, float, float] = (0.15, 0.7, 0.15)
    timing: float = 0.007
    meters: tuple[int, ...] = (4, 4, 4, 3)
    voices: str = "english"
    female: float = 0.5

    def cast(self, rng: np.random.Generator) -> list[Part]:
        """The parts of a song: line-ups chosen, optional parts in or out; never empty."""
        chosen: list[Part] = []
        for item in self.parts:
            if isinstance(item, OneOf):
                weights = np.array([weight for weight, _ in item.lineups])
                candidates = item.lineups[rng.choice(len(weights), p=weights / weights.sum())][1]
            else:
                candidates = (item,)
            chosen += [candidate for candidate in candidates if rng.random() < candidate.song]
        first = self.parts[0]
        return chosen or [first if isinstance(first, Part) else first.lineups[0][1][0]]
