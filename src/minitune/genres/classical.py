"""Classical music: alone, in ensembles, sung."""

from minitune.parts import Genre, any_of, one_of, part
from minitune.patterns import (
    arpeggio,
    bass_line,
    chant,
    counterpoint,
    held_drone,
    melody,
    pad,
    scatter,
    tremolo,
)

HIGH = (65, 86)  # the range of tunes above an accompaniment
STEPS = any_of(0.25, 0.5, 0.5)
DENSITY = any_of(0.5, 0.8, 1.3)

CLASSICAL = {
    "solo": Genre(
        share=0.13,
        style={"classical": 1},
        tempo=(50, 150),
        modes="major|minor|harmonic minor",
        progressions="classical",
        room="hall",
        timing=0.012,
        parts=(
            one_of(
                (
                    2.2,
                    part("piano", arpeggio, -2, range=(40, 67), step=STEPS, velocity=68),
                    part("piano", melody, 1, range=HIGH, density=DENSITY),
                ),
                (
                    0.8,
                    part("piano", pad, -1, range=(48, 67), per_bar=2),
                    part("piano", melody, 1, range=HIGH, density=0.6),
                ),
                (
                    1.2,
                    part("nylon guitar", arpeggio, 0, range=(43, 67), step=STEPS),
                    part("nylon guitar", melody, 0, song=0.6, range=(60, 79), density=0.7),
                ),
                (1.3, part("violin", melody, density=any_of(0.7, 1.2, 2.0), rest=0.03)),
                (1.2, part("cello", melody, density=any_of(0.7, 1.2, 2.0), rest=0.03)),
                (
                    0.9,
                    part("harp", arpeggio, step=STEPS, length=8, range=(43, 76)),
                    part("harp", melody, -1, song=0.6, range=(67, 84), density=0.6),
                ),
                (0.9, part("flute", melody, density=any_of(0.8, 1.2, 1.8), rest=0.06)),
                (
                    0.8,
                    part("violin|cello|flute", melody, 1, density=DENSITY),
                    part("piano|harp|nylon guitar", arpeggio, -5, range=(45, 72), step=STEPS),
                ),
                (0.4, part("church organ", counterpoint, voices=3, step=any_of(0.5, 1.0))),
                (0.3, part("clarinet|oboe|bassoon", melody, density=DENSITY, rest=0.06)),
                (0.3, part("lute", counterpoint, voices=2, step=0.5)),
            ),
        ),
    ),
    "chamber": Genre(
        share=0.07,
        style={"classical": 1},
        tempo=(55, 145),
        modes="major|minor|harmonic minor",
        progressions="classical",
        room="hall",
        timing=0.014,
        parts=(
            one_of(
                (
                    2,
                    part("violin", melody, 1, density=DENSITY),
                    part("violin", arpeggio, -3, range=(55, 76), step=STEPS),
                    part("viola", pad, -4),
                    part("cello", bass_line, -2, range=(36, 55), lines="two|root|long"),
                ),
                (
                    1.2,
                    part("violin", melody, 1, density=DENSITY),
                    part("cello", melody, -1, density=0.5),
                    part("piano", arpeggio, -3, range=(45, 72), step=STEPS),
                ),
                (
                    1,
                    part("flute", melody, 1, density=DENSITY),
                    part("oboe", melody, -2, density=0.5, song=0.6),
                    part("clarinet", arpeggio, -3, range=(52, 72), step=0.5),
                    part("bassoon", bass_line, -3, range=(36, 55), lines="two|root"),
                ),
                (
                    0.8,
                    part("cello", melody, 1, density=0.5),
                    part("harp", arpeggio, -2, step=STEPS, length=8),
                ),
                (
                    0.7,
                    part("nylon guitar", arpeggio, -2, step=STEPS),
                    part("flute|violin", melody, 1, density=DENSITY),
                ),
            ),
        ),
    ),
    "orchestra": Genre(
        share=0.075,
        style={"classical": 1, "orchestral": 1},
        tempo=(55, 150),
        modes="major|minor|harmonic minor",
        progressions="classical|riffs",
        room="hall",
        timing=0.016,
        level=0.5,
        parts=(
            part("strings", pad, 0, clip=1, per_bar=any_of(1, 1, 2)),
            part("strings|violin", melody, 1, song=0.8, range=HIGH, density=DENSITY),
            part("low strings", bass_line, -2, song=0.8, lines="long|two|eighths"),
            part("tremolo strings", tremolo, -2, song=0.3, clip=0.6),
            part("pizzicato", arpeggio, -2, song=0.25, clip=0.6, step=0.5),
            part("horns", pad, -2, song=0.45, clip=0.6),
            part("trumpet", melody, -1, song=0.2, clip=0.5, density=0.6),
            part("flute|oboe|clarinet", melody, 0, song=0.5, clip=0.6, density=DENSITY, rest=0.25),
            part("timpani", bass_line, -3, song=0.35, clip=0.5, lines="two|eighths|long"),
            part("harp", arpeggio, -4, song=0.2, clip=0.5, step=0.25, length=8),
        ),
    ),
    "baroque": Genre(
        share=0.075,
        style={"classical": 1, "baroque": 1},
        tempo=(65, 130),
        modes="major|minor|harmonic minor",
        progressions="classical",
        room="room",
        rates=(0.1, 0.75, 0.15),
        parts=(
            one_of(
                (3, part("harpsichord", counterpoint, voices=any_of(2, 3), step=any_of(0.25, 0.5, 0.5))),
                (
                    1,
                    part("harpsichord", arpeggio, step=0.25, length=8, range=(48, 84)),
                    part("harpsichord bass", bass_line, -3, range=(36, 50), lines="root|two"),
                ),
                (
                    1.5,
                    part("harpsichord", arpeggio, -3, step=0.5),
                    part("violin", counterpoint, 0, voices=1, step=0.5),
                    part("cello", bass_line, -2, range=(36, 55), lines="eighths|root|walk"),
                ),
                (
                    1,
                    part("harpsichord", pad, -3, per_bar=2),
                    part("strings", counterpoint, 0, voices=2, step=0.5, range=(52, 81)),
                    part("low strings", bass_line, -2, lines="eighths|root|walk"),
                ),
                (
                    0.8,
                    part("recorder|flute|oboe", melody, 0, density=1.0),
                    part("harpsichord", pad, -2, per_bar=any_of(2, 4), range=(50, 72)),
                    part("cello", bass_line, -4, range=(36, 55), lines="two|walk"),
                ),
                (0.5, part("lute", counterpoint, voices=2, step=0.5, style={"medieval": 0.5})),
                (0.4, part("church organ", counterpoint, voices=3, step=0.5)),
            ),
        ),
    ),
    "opera": Genre(
        share=0.055,
        style={"classical": 1, "opera": 1, "foreign": 0.4},
        tempo=(55, 125),
        modes="major|minor|harmonic minor",
        progressions="classical",
        room="hall",
        timing=0.016,
        voices="italian",
        female=0.6,
        parts=(
            part("opera singer", melody, 3, clip=1, density=any_of(0.4, 0.6, 0.9), rest=0.08),
            one_of(
                (
                    3,
                    part("strings", pad, -4, per_bar=any_of(1, 2)),
                    part("low strings", bass_line, -6, song=0.7, lines="two|long"),
                ),
                (1, part("piano", arpeggio, -4, range=(40, 69), step=STEPS)),
                (0.6, part("harpsichord", pad, -5, per_bar=2), part("strings", arpeggio, -6, step=0.5)),
                (0.25, part("choir pad", pad, -5)),
            ),
            part("horns", pad, -6, song=0.3, clip=0.5),
            part("flute|oboe|clarinet", melody, -4, song=0.3, clip=0.5, density=0.6, rest=0.3),
            part("men's choir", melody, -3, song=0.12, clip=0.6, density=0.4),
        ),
    ),
    "choir": Genre(
        share=0.04,
        style={"classical": 1, "choral": 1},
        tempo=(50, 105),
        modes="major|minor|dorian",
        progressions="classical|still",
        room="church",
        timing=0.02,
        parts=(
            one_of(
                (
                    2,
                    part("women's choir", melody, 1, density=0.5, rest=0.03),
                    part("men's choir", melody, 0, density=0.4, rest=0.03),
                    part("choir pad", pad, -2),
                ),
                (
                    1,
                    part("women's choir", melody, 1, density=0.5, rest=0.03),
                    part("choir pad", pad, -2, song=0.7),
                ),
                (
                    1,
                    part("men's choir", melody, 1, density=0.5, rest=0.03),
                    part("choir pad", pad, -3, song=0.6),
                ),
            ),
            part("church organ", pad, -4, song=0.35, range=(43, 67)),
            part("strings", pad, -3, song=0.25),
            part("timpani", bass_line, -4, song=0.12, clip=0.5, lines="two|long"),
        ),
    ),
    "chant": Genre(
        share=0.03,
        style={"chant": 1, "medieval": 0.6, "foreign": 0.4},
        tempo=(60, 120),
        modes="dorian|phrygian|mixolydian",
        progressions="one chord",
        room="church",
        timing=0.02,
        meters=(4,),
        parts=(
            one_of((3, part("monks", chant, clip=1)), (1, part("nuns", chant, clip=1))),
            part("monks", held_drone, -8, song=0.25, range=(40, 50)),
            part("bells", scatter, -8, song=0.15, clip=0.6, per_beat=0.06),
            part("church organ", held_drone, -9, song=0.12, range=(43, 58)),
        ),
    ),
}
