"""What the sound half and the tag half of minitune tell each other: who plays what, and what can be heard."""

import hashlib
from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 16_000  # Hz, MagnaTagATune's own
CLIP_SECONDS = 29.1
CLIP_SAMPLES = 465_600


@dataclass(frozen=True)
class Artist:
    """One artist of the catalogue; the rest of the artist's style is drawn from `seed` and `index`."""

    index: int
    genre: str  # a key of `minitune.genres.GENRES`
    name: str
    seed: int


@dataclass(frozen=True)
class Song:
    """One song: key, tempo, chords and instruments belong to it; its clips are sections of it."""

    artist: Artist
    album: int
    track: int


@dataclass(frozen=True)
class Facts:
    """What can be heard in a clip.

    `style`: style word -> strength 0..1.
    `levels`: what plays ('piano', 'drums', 'female voice', ...) -> level in dB relative to the mix.
    `onsets_per_second`: distinct note onsets over all stems, a second.
    `tempo`: beats a minute. `loudness`: RMS of the final samples in dBFS.
    """

    genre: str
    style: dict[str, float]
    levels: dict[str, float]
    onsets_per_second: float
    tempo: float
    loudness: float


def random_for(seed: int, *names: object) -> np.random.Generator:
    """A random stream of its own for (`seed`, path of `names`): the same in every process, in any order."""
    path = "/".join([str(int(seed)), *(str(name) for name in names)])
    digest = hashlib.blake2b(path.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
