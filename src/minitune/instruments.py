"""Who can play: each instrument's sound, range and the names by which its level is reported."""

from dataclasses import dataclass

import numpy as np

from minitune import soundfont, synth
from minitune.facts import CLIP_SAMPLES, SAMPLE_RATE


@dataclass(frozen=True)
class Instrument:
    """An instrument: General MIDI programs to choose from, or a sound of `synth`, or a way of singing.

    `low` and `high` are MIDI pitches; `counts_as` are the names under which listeners would hear it.
    """

    counts_as: tuple[str, ...]
    programs: tuple[int, ...] = ()
    low: int = 48
    high: int = 79
    kit: bool = False
    sound: str = ""  # a key of synth.SOUNDS
    singing: str = ""  # a key of voice.STYLES
    bends: bool = False  # slides into notes, as on a sitar


def _strings(*names):
    return (*names, "strings")


def _synth(*names):
    return (*names, "synth")


_DRUMS = ("drums", "beat")
_ACOUSTIC = ("guitar", "acoustic guitar")
_ELECTRIC = ("guitar", "electric guitar")
_DISTORTED = ("guitar", "electric guitar", "distorted guitar")

INSTRUMENTS = {
    # keyboards
    "piano": Instrument(("piano",), (0, 0, 1), 40, 88),
    "piano bass": Instrument(("piano",), (0,), 33, 60),
    "electric piano": Instrument(("piano", "electric piano"), (4, 5), 45, 80),
    "honky-tonk": Instrument(("piano",), (3,), 45, 80),
    "harpsichord": Instrument(("harpsichord",), (6,), 45, 84),
    "harpsichord bass": Instrument(("harpsichord",), (6,), 36, 60),
    "church organ": Instrument(("organ",), (19, 19, 20), 36, 79),
    "electric organ": Instrument(("organ",), (16, 17, 18), 48, 76),
    "accordion": Instrument(("accordion",), (21, 23), 55, 81),
    "celesta": Instrument(("bells",), (8, 9, 10), 72, 96),
    "vibraphone": Instrument(("bells", "vibraphone"), (11,), 55, 81),
    "bells": Instrument(("bells",), (14, 98, 112), 60, 84),
    # plucked
    "nylon guitar": Instrument(_ACOUSTIC, (24,), 43, 79),
    "steel guitar": Instrument(_ACOUSTIC, (25,), 43, 79),
    "jazz guitar": Instrument(_ELECTRIC, (26,), 45, 79),
    "clean guitar": Instrument(_ELECTRIC, (27, 27, 28), 43, 79),
    "overdriven guitar": Instrument(_DISTORTED, (29, 30), 40, 79),
    "distorted guitar": Instrument(_DISTORTED, (30, 29), 38, 67),
    "lead guitar": Instrument(_DISTORTED, (29, 30), 59, 86),
    "lute": Instrument(("lute", "guitar"), (24, 107), 45, 76),
    "harp": Instrument(("harp",), (46,), 43, 88),
    "banjo": Instrument(("banjo",), (105,), 50, 79),
    "sitar": Instrument(("sitar",), (104,), 48, 77, bends=True),
    "tanpura": Instrument(("drone",), (104,), 41, 65),
    "koto": Instrument(("koto", "eastern strings"), (107, 106), 48, 79, bends=True),
    "oud": Instrument(("oud", "guitar", "eastern strings"), (24, 15, 106), 43, 72, bends=True),
    # bowed
    "violin": Instrument(_strings("violin"), (40,), 57, 88),
    "fiddle": Instrument(_strings("fiddle", "violin"), (110, 40), 57, 84),
    "viola": Instrument(_strings("viola"), (41,), 48, 76),
    "cello": Instrument(_strings("cello"), (42,), 36, 65),
    "double bass": Instrument(_strings("double bass"), (43,), 28, 48),
    "strings": Instrument(_strings(), (48, 48, 49), 43, 79),
    "low strings": Instrument(_strings(), (48, 49), 36, 58),
    "tremolo strings": Instrument(_strings(), (44,), 48, 79),
    "pizzicato": Instrument(_strings(), (45,), 40, 79),
    # wind
    "flute": Instrument(("flute",), (73,), 62, 91),
    "recorder": Instrument(("flute", "recorder"), (74,), 64, 88),
    "whistle": Instrument(("flute", "whistle"), (78, 73), 69, 91),
    "pan flute": Instrument(("flute",), (75, 77), 60, 84),
    "bamboo flute": Instrument(("flute",), (77, 73), 58, 82, bends=True),
    "shawm": Instrument(("shehnai",), (111,), 55, 79, bends=True),
    "oboe": Instrument(("oboe",), (68, 69), 58, 84),
    "clarinet": Instrument(("clarinet",), (71,), 52, 84),
    "bassoon": Instrument(("bassoon",), (70,), 36, 62),
    "trumpet": Instrument(("trumpet", "horns"), (56,), 55, 81),
    "muted trumpet": Instrument(("trumpet",), (59,), 55, 79),
    "horns": Instrument(("horns",), (60, 60, 61), 41, 69),
    "saxophone": Instrument(("saxophone",), (65, 66, 64), 49, 76),
    "bagpipe": Instrument(("bagpipe", "drone"), (109,), 57, 79),
    "harmonica": Instrument(("harmonica",), (22,), 60, 84),
    # electric and electronic
    "bass guitar": Instrument(("bass",), (33, 34, 34, 35), 28, 48),
    "slap bass": Instrument(("bass",), (36, 37), 28, 48),
    "acoustic bass": Instrument(("bass", "double bass"), (32,), 28, 50),
    "synth bass": Instrument(_synth("bass"), (38, 39), 28, 48),
    "sub bass": Instrument(("bass",), sound="sub bass", low=28, high=48),
    "warm pad": Instrument(_synth(), (89, 90, 94, 95, 50, 51), 48, 76),
    "space pad": Instrument(_synth(), (88, 91, 92, 93, 97, 99), 45, 76),
    "synth lead": Instrument(_synth(), (80, 81, 84, 87), 60, 86),
    "synth brass": Instrument(_synth(), (62, 63), 48, 74),
    "saw": Instrument(_synth(), sound="saw", low=43, high=76),
    "square": Instrument(_synth(), sound="square", low=48, high=81),
    "acid": Instrument(_synth(), sound="acid", low=33, high=60),
    "supersaw": Instrument(_synth(), sound="supersaw", low=52, high=81),
    "dark drone": Instrument(_synth("drone"), sound="dark drone", low=33, high=45),
    "fm": Instrument(_synth("effects"), sound="fm", low=36, high=90),
    "noise": Instrument(("effects", "noise"), sound="noise", low=40, high=90),
    "sound effects": Instrument(_synth("effects"), (96, 97, 101, 102, 120, 122, 124, 125), 36, 90, bends=True),
    # drums
    "drum kit": Instrument(_DRUMS, (0, 8, 16), kit=True),
    "power kit": Instrument(_DRUMS, (16, 16, 8), kit=True),
    "soft kit": Instrument(_DRUMS, (40, 32, 0), kit=True),
    "jazz kit": Instrument(_DRUMS, (32, 40), kit=True),
    "drum machine": Instrument((*_DRUMS, "drum machine"), (25, 25, 24), kit=True),
    "orchestral kit": Instrument(("drums",), (48,), kit=True),
    "timpani": Instrument(("drums",), (47,), 38, 55),
    "tabla": Instrument((*_DRUMS, "tabla"), sound="tabla"),
    # singing; the singer's sex and timbre are the artist's
    "singer": Instrument(("voice",), singing="pop"),
    "rough singer": Instrument(("voice",), singing="rough"),
    "foreign singer": Instrument(("voice",), singing="foreign"),
    "raga singer": Instrument(("voice",), singing="raga"),
    "opera singer": Instrument(("voice",), singing="opera"),
    "women's choir": Instrument(("voice", "choir", "female voice"), singing="choir", low=60, high=77),
    "men's choir": Instrument(("voice", "choir", "male voice"), singing="choir", low=43, high=60),
    "monks": Instrument(("voice", "choir", "male voice"), singing="chant", low=45, high=60),
    "nuns": Instrument(("voice", "choir", "female voice"), singing="chant", low=57, high=72),
    "choir pad": Instrument(("voice", "choir"), (52, 52, 53), 48, 76),
    "humming": Instrument(_synth("choir"), (53, 54, 91), 50, 74),
}


def play(instrument: Instrument, notes, program: int, rng: np.random.Generator) -> np.ndarray:
    """Notes (onsets and durations in seconds) on an instrument that does not sing."""
    if instrument.sound:
        return synth.SOUNDS[instrument.sound](notes, rng)
    font = soundfont.general_midi()
    bank = soundfont.DRUM_BANK if instrument.kit else 0
    out = np.zeros(CLIP_SAMPLES, np.float32)
    for note in notes:
        start = int(note.onset * SAMPLE_RATE)
        if not 0 <= start < CLIP_SAMPLES:
            continue
        bend = _slide(note, rng) if instrument.bends and note.duration > 0.3 and rng.random() < 0.5 else None
        wave = font.note(bank, program, note.pitch, note.velocity, note.duration, bend)
        room = min(len(wave), CLIP_SAMPLES - start)
        out[start : start + room] += wave[:room]
    return out


def _slide(note, rng) -> np.ndarray:
    """Semitones for each sample of a note: it slides in from a neighbour, or is pulled up and released."""
    length = int((note.duration + soundfont.MAX_RELEASE) * SAMPLE_RATE)
    depth = float(rng.choice([-2, -1, 1, 2]))
    place = np.arange(length) / (note.duration * SAMPLE_RATE)
    if rng.random() < 0.6:
        return depth * np.clip(1 - place / 0.35, 0, 1)
    return abs(depth) * np.exp(-np.square((place - 0.5) / 0.2))
