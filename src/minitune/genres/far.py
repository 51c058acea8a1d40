"""India, the East, and music of no known place."""

from minitune.parts import Genre, any_of, one_of, part
from minitune.patterns import (
    arpeggio,
    drone,
    drums,
    hand_drum,
    held_drone,
    melody,
    ornamented,
    pad,
    scatter,
    strum,
)
from minitune.studio import high_pass, reversed_tape, sweep, wobble

FAR = {
    "indian": Genre(
        share=0.06,
        style={"indian": 1, "eastern": 0.6},
        tempo=(52, 140),
        modes="bhairav|dorian|mixolydian|phrygian",
        progressions="one chord",
        room="room",
        meters=(4,),
        timing=0.012,
        voices="hindi",
        parts=(
            one_of(
                (4, part("sitar", ornamented, 1, clip=0.95, pace=any_of(0.8, 1.2, 1.8))),
                (0.8, part("bamboo flute", ornamented, 1, clip=0.95, pace=any_of(0.7, 1.2))),
                (0.5, part("shawm|violin", ornamented, 0, clip=0.95, pace=any_of(0.7, 1.2))),
                (
                    1,
                    part("raga singer", ornamented, 2, clip=0.95, pace=0.7, style={"foreign": 0.8}),
                    part("sitar", ornamented, -3, song=0.5, clip=0.7),
                ),
            ),
            part("tanpura", drone, -5, song=0.9, clip=0.97, step=any_of(0.5, 1.0)),
            part("tabla", hand_drum, -1, song=0.75, clip=0.8, step=any_of(0.25, 0.5, 1.0)),
            part("sitar", arpeggio, -5, song=0.2, clip=0.6, step=0.5),
        ),
    ),
    "eastern": Genre(
        share=0.045,
        style={"eastern": 1, "foreign": 0.6},
        tempo=(58, 140),
        modes="hijaz|bhairav|in sen|minor pentatonic|harmonic minor",
        progressions="one chord|still",
        room="room",
        meters=(4,),
        timing=0.012,
        voices="world",
        parts=(
            one_of(
                (
                    2,
                    part("foreign singer", ornamented, 2, clip=0.9, pace=0.8, style={"foreign": 1}),
                    part("oud|nylon guitar|koto", arpeggio, -2, song=0.9, step=0.5, rest=0.2),
                ),
                (
                    1,
                    part("foreign singer", melody, 2, clip=0.9, density=0.8, style={"foreign": 1}),
                    part("accordion|strings|violin", pad, -4),
                    part("oud|nylon guitar", strum, -3, song=0.6),
                ),
                (1, part("koto|oud", ornamented, 1, pace=1.0)),
                (
                    0.8,
                    part("bamboo flute|shawm|clarinet|violin", ornamented, 1, pace=1.0),
                    part("oud|koto", arpeggio, -3, song=0.7, step=0.5),
                ),
            ),
            part("tabla", hand_drum, -2, song=0.6, clip=0.85, step=any_of(0.25, 0.5, 0.5)),
            part("dark drone|tanpura|strings", held_drone, -6, song=0.5, range=(40, 55)),
        ),
        female=0.6,
    ),
    "weird": Genre(
        share=0.045,
        style={"weird": 1, "electronic": 0.4, "modern": 0.6},
        tempo=(50, 170),
        modes="chromatic|whole tone|phrygian|lydian",
        progressions="one chord|riffs",
        room="space",
        rates=(0.3, 0.4, 0.3),
        parts=(
            one_of(
                (1.2, part("fm", scatter, 0, per_beat=any_of(0.3, 1.0))),
                (1, part("sound effects", scatter, 0, per_beat=0.4)),
                (
                    0.6,
                    part(
                        "piano|harpsichord|violin|cello|clarinet",
                        scatter,
                        0,
                        per_beat=any_of(0.7, 2.0),
                        style={"classical": 0.3},
                    ),
                ),
                (0.5, part("space pad|strings", pad, 0, effect=reversed_tape)),
            ),
            part("noise", scatter, -5, song=0.6, clip=0.8, per_beat=0.3),
            part("dark drone", held_drone, -4, song=0.35, clip=0.8),
            part("drum machine|drum kit", drums, -3, song=0.35, clip=0.7, grooves="break|electro|minimal"),
            part(
                "square|acid",
                arpeggio,
                -3,
                song=0.35,
                clip=0.7,
                step=0.25,
                rest=0.3,
                effect=sweep(200, 5000, (1, 6)),
            ),
            part(
                "rough singer|foreign singer",
                melody,
                0,
                song=0.2,
                clip=0.7,
                density=0.6,
                rest=0.4,
                effect=reversed_tape,
            ),
            part("choir pad", pad, -4, song=0.15, clip=0.6, effect=wobble),
            part(
                "clean guitar|trumpet",
                scatter,
                -3,
                song=0.25,
                clip=0.7,
                per_beat=0.4,
                effect=high_pass(200, 900),
            ),
        ),
    ),
}
