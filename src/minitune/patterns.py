"""Notes by rule: each pattern reads the song's frame and writes what one player plays.

A pattern takes the frame, two random streams and a pitch range, and returns notes in beats. The stream `song`
is the same in all clips of a song (riffs, motifs, rhythms); `clip` differs from section to section.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minitune.theory import MODES, fold, nearest_chord_tone, scale_pitch, voicing


class Note(NamedTuple):
    """One note; `onset` and `duration` in beats, `pitch` in MIDI numbers, `velocity` 1..127."""

    onset: float
    duration: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Frame:
    """What all players of a song share: tonic (MIDI), mode, a chord a bar, metre, and the feel (0.5, 1 or 2).

    The feel divides the rhythm of accompaniments: 2 plays twice the notes, 0.5 half of them, at one tempo.
    """

    tonic: int
    mode: str
    chords: tuple[tuple[int, ...], ...]
    meter: int
    feel: float = 1.0

    @property
    def beats(self) -> int:
        """Length of the clip in beats, to the end of its last bar."""
        return len(self.chords) * self.meter

    def chord_at(self, beat: float) -> tuple[int, ...]:
        """The chord that sounds at a beat."""
        return self.chords[int(beat // self.meter) % len(self.chords)]

    def bars(self):
        """(first beat, chord) of each bar."""
        return ((bar * self.meter, chord) for bar, chord in enumerate(self.chords))


def _touch(clip, velocity: float, spread: int = 8) -> int:
    """A velocity as a human plays it."""
    return int(np.clip(velocity + clip.integers(-spread, spread + 1), 20, 127))


# ------------------------------------------------------------------------------------------ harmony


def pad(frame, song, clip, low, high, velocity=72, per_bar=1, gate=0.98):
    """Whole chords, held."""
    span = frame.meter / per_bar
    return [
        Note(start + part * span, span * gate, pitch, _touch(clip, velocity, 5))
        for start, chord in frame.bars()
        for part in range(per_bar)
        for pitch in voicing(chord, low, high)
    ]


def arpeggio(frame, song, clip, low, high, velocity=76, step=0.5, length=None, gate=0.95, rest=0.0):
    """Broken chords in a figure of the song; `step` in beats at a feel of 1."""
    step = max(0.125, step / frame.feel)
    count = length or int(song.integers(3, 9))
    figure = [int(place) for place in song.integers(0, 5, count)]
    if song.random() < 0.5:  # the usual up and down
        figure = [0, 1, 2, 3, 4, 3, 2, 1][:count]
    notes = []
    for start, chord in frame.bars():
        tones = voicing(chord, low, max(low + 11, high - 12))
        tones = tones + [tone + 12 for tone in tones]
        for index in range(round(frame.meter / step)):
            if rest and clip.random() < rest:
                continue
            pitch = tones[figure[index % count] % len(tones)]
            accent = 8 if index % 4 == 0 else 0
            notes.append(Note(start + index * step, step * gate, pitch, _touch(clip, velocity + accent)))
    return notes


# Strokes of a bar of four: (beat, duration, down-stroke).
STRUMS = (
    ((0, 1, 1), (1, 0.5, 1), (1.5, 0.5, 0), (2.5, 0.5, 0), (3, 0.5, 1), (3.5, 0.5, 0)),
    tuple((half / 2, 0.5, half % 2 == 0) for half in range(8)),
    ((0, 2, 1), (2, 1, 1), (3, 1, 0)),
    ((0, 1.5, 1), (1.5, 0.5, 0), (2, 1, 1), (3, 1, 1)),
    ((0, 0.75, 1), (0.75, 0.75, 1), (1.5, 1.5, 1), (3, 1, 0)),
    ((0, 4, 1),),
)


def _at_feel(bar, meter: float, feel: float):
    """A bar of four beats, cut to the metre, squeezed to twice its speed or stretched to half of it."""
    repeats = 2 if feel >= 2 else 1
    scale = 0.5 if feel >= 2 else 1.0
    for repeat in range(repeats):
        for beat, *rest in bar:
            onset = (beat + 4 * repeat) * scale if feel >= 1 else float(beat)
            if onset < meter and (feel >= 1 or beat % 1 == 0):
                yield onset, scale, rest


def strum(frame, song, clip, low, high, velocity=82, power=False, gate=0.95):
    """Guitar chords in a rhythm of the song; `power` plays roots, fifths and octaves only."""
    bar = STRUMS[song.integers(len(STRUMS))]
    notes = []
    for start, chord in frame.bars():
        root = fold(chord[0], low, low + 11)
        rest_of_chord = {fold(tone, low + 5, low + 28) for tone in chord[1:]} | {fold(chord[1], low + 12, low + 23)}
        strings = [root, root + 7, root + 12] if power else sorted({root, root + 12} | rest_of_chord)
        for onset, scale, (duration, down) in _at_feel(bar, frame.meter, frame.feel):
            stroke = strings if down else strings[::-1][:3]
            force = velocity if down else velocity - 12
            notes += [
                Note(start + onset + place * 0.015, duration * scale * gate, pitch, _touch(clip, force))
                for place, pitch in enumerate(stroke)
            ]
    return notes


def riff(frame, song, clip, low, high, velocity=98, step=0.5, gate=0.6):
    """A guitar riff of power chords: the song's rhythm of eighths or sixteenths, with a few other degrees."""
    step = max(0.25, step / frame.feel)
    count = round(frame.meter / step)
    hits = song.random(count) < 0.8
    moves = song.choice([0, 0, 0, 0, 1, 3, -2], count)
    notes = []
    for start, chord in frame.bars():
        for index in np.flatnonzero(hits):
            root = fold(chord[0] + int(moves[index]), low, low + 11)
            onset = start + index * step
            notes += [Note(onset, step * gate, root + up, _touch(clip, velocity)) for up in (0, 7)]
    return notes


def tremolo(frame, song, clip, low, high, velocity=80):
    """Repeated sixteenths on the chord's tones, as orchestras do when a storm comes."""
    return arpeggio(frame, song, clip, low, high, velocity, step=0.25, length=2)


# ------------------------------------------------------------------------------------------ bass

# Bars of four: (beat, duration, place in the chord, octave up).
BASS_LINES = {
    "root": tuple((beat, 0.9, 0, 0) for beat in range(4)),
    "eighths": tuple((half / 2, 0.45, 0, 0) for half in range(8)),
    "octaves": tuple((half / 2, 0.4, 0, half % 2) for half in range(8)),
    "offbeat": tuple((beat + 0.5, 0.4, 0, 0) for beat in range(4)),
    "rolling": tuple((beat + part / 4, 0.2, 0, 0) for beat in range(4) for part in (1, 2, 3)),
    "walk": ((0, 0.9, 0, 0), (1, 0.9, 1, 0), (2, 0.9, 2, 0), (3, 0.9, 1, 1)),
    "syncopated": ((0, 0.7, 0, 0), (0.75, 0.6, 0, 0), (1.5, 0.5, 0, 1), (2.5, 0.4, 2, 0), (3.25, 0.6, 0, 0)),
    "two": ((0, 1.6, 0, 0), (2, 1.6, 2, 0)),
    "long": ((0, 3.9, 0, 0),),
}


def bass_line(frame, song, clip, low, high, velocity=90, lines="root"):
    """A bass line; `lines` names one or more of `BASS_LINES`, by '|'."""
    bar = BASS_LINES[str(song.choice(lines.split("|")))]
    return [
        Note(
            start + onset,
            duration * scale,
            fold(chord[place], low, low + 11) + 12 * octave,
            _touch(clip, velocity, 6),
        )
        for start, chord in frame.bars()
        for onset, scale, (duration, place, octave) in _at_feel(bar, frame.meter, min(frame.feel, 1))
    ]


# ------------------------------------------------------------------------------------------ melody


def _motifs(song, meter: int, density: float, count: int = 3):
    """Motifs of a bar: lists of (beat, duration, step in the scale)."""
    motifs = []
    for _ in range(count):
        motif, beat = [], 0.0
        while beat < meter - 1e-6:
            length = float(song.choice([0.25, 0.5, 0.5, 0.5, 1, 1, 1.5, 2])) / density
            length = min(max(0.25, round(length * 4) / 4), meter - beat)
            motif.append((beat, length, int(song.choice([-2, -1, -1, 0, 1, 1, 2, 3]))))
            beat += length
        motifs.append(motif)
    return motifs


def melody(frame, song, clip, low, high, velocity=86, density=0.8, rest=0.1, swing=0.0, legato=0.97, phrase=4):
    """A line from the song's motifs; strong beats lean on chord tones; every `phrase` bars it breathes."""
    motifs = _motifs(song, frame.meter, density * frame.feel**0.5)
    degree, tonic = int(clip.integers(0, 6)), frame.tonic
    form = clip.integers(0, len(motifs), len(frame.chords))
    notes = []
    for bar, (start, chord) in enumerate(frame.bars()):
        motif = motifs[0 if bar % phrase == 0 else form[bar]]
        last_bar = bar % phrase == phrase - 1
        for beat, length, step in motif:
            if clip.random() < rest or (last_bar and rest and beat >= frame.meter - 1):
                continue
            degree = int(np.clip(degree + step + (clip.random() < 0.1), -4, 11))
            pitch = fold(scale_pitch(tonic, frame.mode, degree), low, high)
            if beat % 2 == 0 and clip.random() < 0.65:
                pitch = fold(nearest_chord_tone(pitch, chord), low, high)
            late = swing if beat % 1 == 0.5 else 0.0
            shape = 6 * np.sin(np.pi * (bar % phrase + beat / frame.meter) / phrase)
            notes.append(Note(start + beat + late, length * legato, pitch, _touch(clip, velocity + shape)))
    return notes


def counterpoint(frame, song, clip, low, high, velocity=80, voices=2, step=0.5):
    """Several running lines that enter one after another with the same subject (highest voice first)."""
    step = max(0.25, step / frame.feel)
    steps = len(MODES[frame.mode])
    count = int(song.integers(6, 12))
    subject = [
        (float(song.choice([1, 1, 1, 2, 0.5])) * step, int(song.choice([-1, 1, 1, 2, -2]))) for _ in range(count)
    ]
    height = (high - low) // voices
    notes = []
    for voice in range(voices):
        bottom = high - (voice + 1) * height
        beat, degree, index, run = 4.0 * voice if clip.random() < 0.6 else 0.0, 4 * (voice % 2), 0, 1
        while beat < frame.beats:
            if index < count or index % (3 * count) < count:  # the subject, and its returns
                length, move = subject[index % count]
            else:
                run = -run if clip.random() < 0.22 else run
                length, move = float(clip.choice([1, 1, 2, 0.5])) * step, run * int(clip.choice([1, 1, 2]))
            degree = int(np.clip(degree + move, -3, steps + 3))
            pitch = fold(scale_pitch(frame.tonic, frame.mode, degree), bottom, bottom + max(height, 12))
            if beat % 2 == 0:
                pitch = fold(nearest_chord_tone(pitch, frame.chord_at(beat)), bottom, bottom + max(height, 12))
            notes.append(Note(beat, length * 0.95, pitch, _touch(clip, velocity)))
            beat, index = beat + length, index + 1
    return notes


def ornamented(frame, song, clip, low, high, velocity=88, pace=1.0):
    """A free line without bars, as in a raga or a taksim: long tones, turns and fast runs up and down."""
    notes, beat, degree = [], 0.0, 4
    while beat < frame.beats:
        kind = clip.random()
        if kind < 0.3:  # a long tone, often with a turn before it
            if clip.random() < 0.6:
                for move in (1, 0, -1):
                    pitch = fold(scale_pitch(frame.tonic, frame.mode, degree + move), low, high)
                    notes.append(Note(beat, 0.13, pitch, _touch(clip, velocity - 10)))
                    beat += 0.13
            length = float(clip.uniform(0.8, 2.5)) / pace
            notes.append(
                Note(
                    beat,
                    length,
                    fold(scale_pitch(frame.tonic, frame.mode, degree), low, high),
                    _touch(clip, velocity),
                )
            )
            beat += length
        else:  # a run
            length = float(clip.choice([0.25, 0.25, 0.5])) / pace
            run = int(clip.choice([-1, 1]))
            for _ in range(int(clip.integers(3, 10))):
                degree = int(np.clip(degree + run * clip.choice([1, 1, 2]), -3, 11))
                pitch = fold(scale_pitch(frame.tonic, frame.mode, degree), low, high)
                notes.append(Note(beat, length, pitch, _touch(clip, velocity - 4)))
                beat += length
        if clip.random() < 0.12:
            beat += float(clip.uniform(0.3, 1.5))
    return notes


def drone(frame, song, clip, low, high, velocity=68, step=1.0):
    """Tonic and fifth again and again, as a tanpura is plucked."""
    root = fold(frame.tonic, low, low + 11)
    tones = (root + 7, root + 12, root + 12, root)
    return [
        Note(beat, 4 * step, tones[index % 4], _touch(clip, velocity, 4))
        for index, beat in enumerate(np.arange(0, frame.beats, step))
    ]


def held_drone(frame, song, clip, low, high, velocity=75):
    """Tonic and fifth held for eight bars at a time."""
    root = fold(frame.tonic, low, low + 11)
    span = 8 * frame.meter
    return [Note(beat, span, pitch, velocity) for beat in range(0, frame.beats, span) for pitch in (root, root + 7)]


def chant(frame, song, clip, low, high, velocity=84):
    """Plainsong: even notes by step, a long one at the end of each phrase, silence to breathe."""
    notes, beat, degree = [], 0.0, 0
    while beat < frame.beats:
        for _ in range(int(clip.integers(6, 13))):
            notes.append(Note(beat, 0.95, fold(scale_pitch(frame.tonic, frame.mode, degree), low, high), velocity))
            degree = int(np.clip(degree + clip.choice([-1, -1, 0, 1, 1, 2]), -1, 5))
            beat += float(clip.choice([0.5, 0.5, 0.5, 1.0]))
        degree = int(clip.choice([0, 0, 2]))
        notes.append(Note(beat, 2.2, fold(scale_pitch(frame.tonic, frame.mode, degree), low, high), velocity))
        beat += 3.2
    return notes


def scatter(frame, song, clip, low, high, velocity=80, per_beat=0.5):
    """Notes anywhere, of any length: no tune and no pulse."""
    count = max(6, int(per_beat * frame.beats))
    return [
        Note(
            float(beat),
            float(clip.uniform(0.2, 5)),
            int(clip.integers(low, high)),
            _touch(clip, velocity, 25),
        )
        for beat in clip.uniform(0, frame.beats, count)
    ]


# ------------------------------------------------------------------------------------------ drums

KICK, STICK, SNARE, CLAP, SNARE_2 = 36, 37, 38, 39, 40
CLOSED_HAT, PEDAL_HAT, OPEN_HAT, CRASH, RIDE, SHAKER = 42, 44, 46, 49, 51, 70
TOMS = (50, 48, 47, 45, 43)


class Groove(NamedTuple):
    """A bar of four beats: onsets of kick and snare, spacing and first onset of the cymbal, and which one."""

    kick: tuple[float, ...]
    snare: tuple[float, ...]
    every: float
    cymbal: int
    start: float = 0.0
    backbeat: int = SNARE


GROOVES = {
    "rock": Groove((0, 2.5), (1, 3), 0.5, CLOSED_HAT),
    "pop": Groove((0, 1.5, 2), (1, 3), 0.5, CLOSED_HAT),
    "half time": Groove((0, 2.75), (2,), 0.5, RIDE),
    "ballad": Groove((0, 2.5), (2,), 1.0, RIDE),
    "train": Groove((0, 1, 2, 3), (0.5, 1.5, 2.5, 3.5), 0.25, SHAKER),
    "country": Groove((0, 2), (1, 3), 0.5, CLOSED_HAT),
    "metal": Groove(tuple(i / 4 for i in range(16)), (1, 3), 0.5, CRASH),
    "gallop": Groove(tuple(b + t for b in range(4) for t in (0, 0.5, 0.75)), (1, 3), 0.5, RIDE),
    "thrash": Groove((0, 1, 2, 3), (0.5, 1.5, 2.5, 3.5), 0.5, OPEN_HAT),
    "four": Groove((0, 1, 2, 3), (1, 3), 1.0, OPEN_HAT, 0.5, CLAP),
    "techno": Groove((0, 1, 2, 3), (), 0.25, CLOSED_HAT),
    "minimal": Groove((0, 1, 2, 3), (2.75,), 1.0, CLOSED_HAT, 0.5, STICK),
    "break": Groove((0, 0.75, 2.5), (1, 1.75, 3.25), 0.25, CLOSED_HAT),
    "electro": Groove((0, 0.75, 1.5, 2.5), (1, 3), 0.25, CLOSED_HAT, 0.0, CLAP),
    "funk": Groove((0, 0.75, 2.25, 2.5), (1, 1.75, 3), 0.25, CLOSED_HAT),
    "swing": Groove((0,), (), 1.0, RIDE),
    "brushes": Groove((0, 2), (1, 3), 0.5, SHAKER, 0.0, SNARE_2),
    "bodhran": Groove((0, 1, 1.5, 2, 3, 3.5), (), 4.0, PEDAL_HAT),
}


def drums(frame, song, clip, low, high, velocity=98, grooves="rock", fills=True):
    """A drum kit; `grooves` names one or more of `GROOVES`, by '|'. Every fourth bar may end in a fill."""
    name = str(song.choice(grooves.split("|")))
    groove = GROOVES[name]
    extra = song.choice([0.75, 1.75, 3.25, 3.5], 1) if song.random() < 0.4 and fills else ()
    kicks = sorted({*groove.kick, *map(float, extra)})
    notes = []

    def hit(onset, key, force):
        notes.append(Note(onset, 0.2, key, _touch(clip, force, 6)))

    for bar, (start, _) in enumerate(frame.bars()):
        fill = fills and bar % 4 == 3 and clip.random() < 0.6
        for onset, _, () in _at_feel([(beat,) for beat in kicks], frame.meter, frame.feel):
            hit(start + onset, KICK, velocity)
        for onset, _, () in _at_feel([(beat,) for beat in groove.snare], frame.meter, frame.feel):
            if not (fill and onset >= frame.meter - 1):
                hit(start + onset, groove.backbeat, velocity - 2)
        every = groove.every / min(frame.feel, 1) if name != "swing" else groove.every
        for onset in np.arange(groove.start, frame.meter, every):
            hit(start + float(onset), groove.cymbal, velocity - (26 if onset % 1 else 16))
            if name == "swing" and onset % 2 == 1:
                hit(start + float(onset) + 0.67, groove.cymbal, velocity - 24)
                hit(start + float(onset), PEDAL_HAT, velocity - 20)
        if fill:
            for part in range(4):
                hit(start + frame.meter - 1 + part / 4, int(clip.choice([*TOMS, SNARE])), velocity)
        if fills and bar % 8 == 0:
            hit(start, CRASH, velocity - 6)
    return notes


def hand_drum(frame, song, clip, low, high, velocity=90, step=0.5):
    """A cycle of sixteen strokes; `pitch` is the stroke: 0 bass, 1 ringing, 2 short, 3 silence."""
    cycle = song.choice([0, 1, 2, 3], 16, p=[0.3, 0.35, 0.2, 0.15])
    cycle[0] = 0
    step = step / frame.feel
    beats = np.arange(0, frame.beats, step)
    return [
        Note(float(beat), step, int(cycle[index % 16]), _touch(clip, velocity, 14))
        for index, beat in enumerate(beats)
        if cycle[index % 16] != 3
    ]
