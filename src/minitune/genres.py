"""The genres, one entry each, as a musician would note them down. Adding a genre is adding an entry.

Read an entry so: who plays which pattern, at what level (dB), in what share of the songs (`song`) and, in
such a song, in what share of its sections (`clip`). Line-ups in `one_of` exclude each other.
"""

from minitune.parts import Genre, any_of, one_of, part
from minitune.patterns import arpeggio, bass_line, drums, melody, strum
from minitune.studio import distortion

GENRES = {
    "solo": Genre(
        share=0.13,
        style={"classical": 1},
        tempo=(50, 140),
        modes="major|minor",
        progressions="classical",
        room="hall",
        parts=(
            one_of(
                (2, part("piano", arpeggio, step=0.5), part("piano", melody, 1, density=1.0)),
                part("violin", melody, density=any_of(0.7, 1.2)),
            ),
        ),
    ),
    "rock": Genre(
        share=0.07,
        style={"rock": 1},
        tempo=(80, 165),
        modes="major|minor",
        progressions="songs",
        room="dry",
        parts=(
            part("drum kit", drums, grooves="rock"),
            part("bass guitar", bass_line, -3),
            part("overdriven guitar", strum, 0, power=True, effect=distortion(1.5, 6)),
        ),
    ),
}
