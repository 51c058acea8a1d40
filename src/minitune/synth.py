"""Sounds that a soundfont lacks: analogue-like oscillators, tabla, frequency modulation, noise.

Each function takes notes in seconds and returns `CLIP_SAMPLES` float32 samples.
"""

from functools import cache, lru_cache

import numpy as np

from minitune.facts import CLIP_SAMPLES, SAMPLE_RATE

TABLE = 2048  # samples of a stored period
MAX_NOTE = 8.0  # seconds


def frequency(pitch: float) -> float:
    """Hz of a MIDI pitch; 69 is A at 440."""
    return 440.0 * 2 ** ((pitch - 69) / 12)


@cache
def _period(harmonics: int, odd: bool) -> np.ndarray:
    """One period of a band-limited saw (or square: odd harmonics), phases spread to keep the peaks low."""
    phase = 2 * np.pi * np.arange(TABLE) / TABLE
    orders = range(1, harmonics + 1, 2 if odd else 1)
    return sum(np.sin(order * phase + order) / order for order in orders).astype(np.float32)


def _slots(notes, longest=MAX_NOTE):
    """(note, first sample, samples) of the notes that lie within the clip."""
    for note in notes:
        start = int(note.onset * SAMPLE_RATE)
        length = min(int(min(note.duration, longest) * SAMPLE_RATE), CLIP_SAMPLES - start)
        if start >= 0 and length >= 64:
            yield note, start, length


@lru_cache(maxsize=256)
def _tone(pitch: int, length: int, odd: bool, decay: float, voices: int, harmonics: int) -> np.ndarray:
    hertz = frequency(pitch)
    table = _period(max(1, min(harmonics, int(0.47 * SAMPLE_RATE / hertz))), odd)
    index = np.arange(length)
    tone = np.zeros(length, np.float32)
    for detune in np.linspace(-0.006, 0.006, voices) if voices > 1 else (0.0,):
        tone += table[(hertz * (1 + detune) * TABLE / SAMPLE_RATE * index + 700 * detune * TABLE).astype(int) % TABLE]
    time = index.astype(np.float32) / SAMPLE_RATE
    tone *= np.minimum(1, time / 0.004) * np.exp(-decay * time) * np.minimum(1, (length - index) / 240)
    return tone.astype(np.float32) / voices


def oscillator(notes, odd=False, decay=1.2, voices=2, harmonics=40) -> np.ndarray:
    """Saw (or square) notes with a percussive to held envelope: `decay` in nepers a second."""
    out = np.zeros(CLIP_SAMPLES, np.float32)
    for note, start, length in _slots(notes):
        grid = max(64, length // 400 * 400)  # note lengths on a grid of 25 ms, so that tones are reused
        tone = _tone(int(note.pitch), grid, odd, decay, voices, harmonics)
        out[start : start + grid] += tone * np.float32(note.velocity / 100)
    return out


def saw(notes, rng) -> np.ndarray:
    """Detuned saws, plucked."""
    return oscillator(notes, decay=4.0)


def square(notes, rng) -> np.ndarray:
    """Square waves, plucked."""
    return oscillator(notes, odd=True, decay=5.0, voices=1)


def supersaw(notes, rng) -> np.ndarray:
    """Five detuned saws, held: trance leads and pads."""
    return oscillator(notes, decay=0.4, voices=5, harmonics=30)


def sub_bass(notes, rng) -> np.ndarray:
    """Few harmonics, held."""
    return oscillator(notes, decay=1.5, voices=1, harmonics=4)


def acid(notes, rng) -> np.ndarray:
    """One bright saw, to be swept by a resonant filter."""
    return oscillator(notes, decay=2.5, voices=1)


def dark_drone(notes, rng) -> np.ndarray:
    """Two octaves of slowly beating low tones."""
    out = np.zeros(CLIP_SAMPLES, np.float32)
    for note, start, length in _slots(notes, longest=40.0):
        time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
        tone = np.zeros(length, np.float32)
        for partial in (0.5, 1, 1.006, 2.01, 3.02):
            hertz, phase = frequency(note.pitch) * partial, rng.uniform(0, 2 * np.pi)
            beat = 1 + 0.5 * np.sin(2 * np.pi * np.float32(rng.uniform(0.05, 0.3)) * time)
            tone += np.sin(np.float32(2 * np.pi * hertz) * time + np.float32(phase)) * beat / max(partial, 1)
        fade = np.minimum(1, np.minimum(time / 1.5, (length / SAMPLE_RATE - time) / 1.5))
        out[start : start + length] += tone * fade
    return out


def tabla(notes, rng) -> np.ndarray:
    """Strokes of a pair of tabla: 0 the bass drum with its glide, 1 the ringing rim, 2 the rim damped."""
    ringing = rng.uniform(270, 350)
    length = int(0.45 * SAMPLE_RATE)
    time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    glides = 75 * (1 + 0.35 * np.exp(-18 * time) * rng.uniform(-0.5, 1, (4, 1)))
    low = 1.3 * np.sin(2 * np.pi * np.cumsum(glides, axis=1) / SAMPLE_RATE) * np.exp(-7 * time)
    rim = 0.4 * rng.standard_normal(length, np.float32) * np.exp(-160 * time)
    for order in (1, 2.02, 3.01, 4.02):  # the loaded skin is nearly harmonic
        rim += 0.5 * np.sin(2 * np.pi * ringing * order * time) * np.exp(-(9 + 3 * order) * time) / order**0.7
    damped = rim * np.exp(-25 * time)
    out = np.zeros(CLIP_SAMPLES, np.float32)
    for note, start, _ in _slots(notes):
        stroke = low[rng.integers(4)] if note.pitch == 0 else rim if note.pitch == 1 else damped
        room = min(length, CLIP_SAMPLES - start)
        out[start : start + room] += stroke[:room] * np.float32(note.velocity / 127)
    return out


def fm_gestures(notes, rng) -> np.ndarray:
    """Clangorous frequency modulation whose index and ratio wander: no pitch that a scale would know."""
    out = np.zeros(CLIP_SAMPLES, np.float32)
    for note, start, length in _slots(notes):
        time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
        hertz, ratio = np.float32(frequency(note.pitch)), np.float32(rng.uniform(0.3, 3.7))
        index = np.float32(rng.uniform(1, 9)) * np.exp(-time * np.float32(rng.uniform(0.2, 4)))
        glide = 1 + np.float32(rng.uniform(-0.3, 0.3)) * time
        turn = np.float32(2 * np.pi)
        tone = np.sin(turn * hertz * glide * time + index * np.sin(turn * hertz * ratio * time))
        fade = np.minimum(1, np.minimum(time / 0.01, (length / SAMPLE_RATE - time) / 0.1))
        out[start : start + length] += tone * fade * np.float32(note.velocity / 127)
    return out


def noise_bursts(notes, rng) -> np.ndarray:
    """Gusts and crackles: band-passed noise of each note's length around its pitch."""
    out = np.zeros(CLIP_SAMPLES, np.float32)
    for note, start, length in _slots(notes):
        time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
        hiss = rng.standard_normal(length, np.float32)
        ring = np.sin(np.float32(2 * np.pi * frequency(note.pitch + 24)) * time)
        swell = np.sin(np.pi * time * SAMPLE_RATE / length) ** 2
        out[start : start + length] += hiss * ring * swell * np.float32(note.velocity / 127)
    return out


SOUNDS = {
    "saw": saw,
    "square": square,
    "supersaw": supersaw,
    "sub bass": sub_bass,
    "acid": acid,
    "dark drone": dark_drone,
    "tabla": tabla,
    "fm": fm_gestures,
    "noise": noise_bursts,
}
