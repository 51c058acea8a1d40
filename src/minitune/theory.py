"""Scales, chords and progressions, as semitones and MIDI pitches (60 is middle C)."""

MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "blues": (0, 3, 5, 6, 7, 9, 10),
    "bhairav": (0, 1, 4, 5, 7, 8, 11),  # also the hijaz family of the Middle East
    "hijaz": (0, 1, 4, 5, 7, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "in sen": (0, 1, 5, 7, 10),
    "whole tone": (0, 2, 4, 6, 8, 10),
    "chromatic": tuple(range(12)),
}

# Root degrees of the chords, a chord a bar; 0 is the tonic.
PROGRESSIONS = {
    "songs": ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 3), (0, 3, 0, 4), (0, 4, 3, 3)),
    "classical": (
        (0, 3, 4, 0),
        (0, 5, 1, 4),
        (0, 3, 6, 2, 5, 1, 4, 0),
        (0, 4, 0, 4, 5, 1, 4, 0),
        (0, 2, 3, 4),
    ),
    "riffs": ((0, 0, 5, 6), (0, 6, 5, 6), (0, 0, 3, 6), (0, 1, 0, 6), (0, 2, 6, 3), (0, 0, 0, 5)),
    "blues": ((0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4),),
    "jazz": ((1, 4, 0, 0), (0, 5, 1, 4), (2, 5, 1, 4), (1, 4, 0, 3)),
    "still": ((0, 0, 3, 3), (0, 0, 0, 0), (0, 0, 5, 5), (0, 3, 0, 6), (0, 0, 4, 4)),
    "one chord": ((0,),),
}


def scale_pitch(tonic: int, mode: str, degree: int) -> int:
    """MIDI pitch of a scale degree, counted from 0 at `tonic`; degrees go on through the octaves."""
    steps = MODES[mode]
    octave, step = divmod(int(degree), len(steps))
    return tonic + 12 * octave + steps[step]


def chord(tonic: int, mode: str, degree: int, size: int = 3) -> tuple[int, ...]:
    """Chord of `size` stacked thirds of the scale on a degree, root first."""
    return tuple(scale_pitch(tonic, mode, degree + 2 * third) for third in range(size))


def fold(pitch: int, low: int, high: int) -> int:
    """The same pitch class by octaves into [low, high] (from below, where the range is under an octave)."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch


def voicing(pitches: tuple[int, ...], low: int, high: int) -> list[int]:
    """A close voicing within a range, lowest first."""
    return sorted({fold(pitch, low, high) for pitch in pitches})


def nearest_chord_tone(pitch: int, pitches: tuple[int, ...]) -> int:
    """The pitch nearest to `pitch` whose class belongs to the chord."""
    distance = min(((tone - pitch + 6) % 12 - 6 for tone in pitches), key=abs)
    return pitch + distance
