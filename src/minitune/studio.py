"""Production: effects on stems, and what a record's engineer does to the mix."""

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import butter, sosfilt

from minitune.facts import CLIP_SAMPLES, SAMPLE_RATE

LEVEL_FRAME = 800  # samples (50 ms) for measuring how loud a stem is while it plays
LIMITER_BLOCK = 80  # samples (5 ms)
CEILING = 0.97
FFT_SIZE = fft.next_fast_len(CLIP_SAMPLES + 4 * SAMPLE_RATE, real=True)

# Reverberation time in seconds and wet share, as ranges to draw from.
ROOMS = {
    "dry": ((0.3, 0.9), (0.05, 0.18)),
    "room": ((0.5, 1.4), (0.1, 0.3)),
    "hall": ((1.2, 2.6), (0.2, 0.5)),
    "church": ((2.4, 3.8), (0.35, 0.65)),
    "space": ((1.5, 3.5), (0.25, 0.6)),
}


@dataclass(frozen=True)
class Production:
    """How an artist's records sound: reverb in seconds, the rest in dB, the band in Hz (None: full)."""

    reverb: float
    wet: float
    tilt: float  # dB an octave around 800 Hz
    hiss: float  # dBFS
    level: float  # dBFS
    band: tuple[float, float] | None


def draw_production(rng: np.random.Generator, room: str) -> Production:
    """An artist's production. Level and tilt depend on the artist alone, not on the genre."""
    reverb, wet = ROOMS[room]
    band = (float(rng.uniform(80, 250)), float(rng.uniform(2600, 4500))) if rng.random() < 0.1 else None
    return Production(
        reverb=float(rng.uniform(*reverb)),
        wet=float(rng.uniform(*wet)),
        tilt=float(rng.normal(0, 1.3)),
        hiss=float(rng.uniform(-78, -50)),
        level=float(rng.normal(-17.5, 3.0)),
        band=band,
    )


# ------------------------------------------------------------------------------------------ levels


def rms(samples: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(samples), dtype=np.float64)))


def playing_rms(samples: np.ndarray) -> float:
    """RMS over the louder half of the 50 ms frames: the level of a stem while it plays."""
    power = np.square(samples[: len(samples) // LEVEL_FRAME * LEVEL_FRAME]).reshape(-1, LEVEL_FRAME).mean(axis=1)
    return float(np.sqrt(np.sort(power)[len(power) // 2 :].mean(dtype=np.float64)))


def decibels(ratio: float) -> float:
    """Amplitude ratio in dB."""
    return float(20 * np.log10(max(ratio, 1e-9)))


# ------------------------------------------------------------------------------------------ effects on stems


def _filter(samples, hertz, kind) -> np.ndarray:
    sections = butter(2, hertz, kind, fs=SAMPLE_RATE, output="sos").astype(np.float32)
    return sosfilt(sections, samples).astype(np.float32)


def low_pass(low, high):
    """Effect: a low-pass filter at a cut-off drawn between `low` and `high` Hz."""
    return lambda samples, rng: _filter(samples, float(np.exp(rng.uniform(np.log(low), np.log(high)))), "low")


def high_pass(low, high):
    """Effect: a high-pass filter at a cut-off drawn between `low` and `high` Hz."""
    return lambda samples, rng: _filter(samples, float(rng.uniform(low, high)), "high")


def distortion(low, high):
    """Effect: an overdriven amplifier and its cabinet; gain drawn between `low` and `high`."""

    def effect(samples, rng):
        driven = np.tanh(np.float32(rng.uniform(low, high)) * samples / (4 * playing_rms(samples) + 1e-9))
        return _filter(_filter(driven, 90, "high"), float(rng.uniform(3500, 5500)), "low")

    return effect


def wobble(samples, rng):
    """Effect: the level wobbles, as in an old amplifier or a gated pad."""
    time = np.arange(len(samples), dtype=np.float32) / SAMPLE_RATE
    rate, depth = np.float32(rng.uniform(3, 8)), np.float32(rng.uniform(0.3, 0.8))
    return samples * (1 - depth * (0.5 + 0.5 * np.sin(np.float32(2 * np.pi) * rate * time)))


def echo(samples, rng):
    """Effect: three repeats, each softer."""
    delay, out = int(rng.uniform(0.18, 0.45) * SAMPLE_RATE), samples.copy()
    for repeat in (1, 2, 3):
        out[repeat * delay :] += np.float32(0.5**repeat) * samples[: -repeat * delay]
    return out


def reversed_tape(samples, rng):
    """Effect: backwards."""
    return samples[::-1].copy()


def sweep(low, high, periods=(4, 16)):
    """Effect: a resonant low-pass whose cut-off moves between `low` and `high` Hz (overlap-add)."""

    def effect(samples, rng):
        hop = 512
        window = np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop)).astype(np.float32)
        padded = np.pad(samples, (hop, 2 * hop))
        frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop] * window
        spectrum = fft.rfft(frames)
        time = np.arange(len(frames)) * hop / SAMPLE_RATE
        turn = 2 * np.pi * (time / rng.uniform(*periods) + rng.random())
        cutoff = low * (high / low) ** (0.5 - 0.5 * np.cos(turn))
        place = (fft.rfftfreq(2 * hop, 1 / SAMPLE_RATE) / cutoff[:, None]).astype(np.float32)
        resonance = np.float32(rng.uniform(0.3, 2.0))
        gain = 1 / np.sqrt(1 + place**6) + resonance * np.exp(-np.square((place - 1) / np.float32(0.15)))
        frames = fft.irfft(spectrum * gain, 2 * hop) * window
        out = np.zeros((len(frames) + 1) * hop, np.float32)
        out[:-hop] += frames[:, :hop].reshape(-1)
        out[hop:] += frames[:, hop:].reshape(-1)
        return out[hop : hop + len(samples)]

    return effect


# ------------------------------------------------------------------------------------------ the mix


def _room(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Impulse response of a room: decaying noise of energy 1, duller in its tail, after 12 ms of silence."""
    length = int(seconds * SAMPLE_RATE)
    decay = np.exp(-6.9 * np.arange(length, dtype=np.float32) / length)
    response = rng.standard_normal(length, np.float32) * decay
    response = 0.5 * response + _filter(response, rng.uniform(1800, 4500), "low")
    response[: int(0.012 * SAMPLE_RATE)] = 0
    return response / np.sqrt(np.square(response).sum())


def _colour(production: Production) -> np.ndarray:
    """Gain of the equaliser for each bin of the mix's spectrum."""
    hertz = fft.rfftfreq(FFT_SIZE, 1 / SAMPLE_RATE).astype(np.float32)
    octaves = np.log2(np.clip(hertz, 60, None) / 800)
    gain = np.float32(10) ** (production.tilt * octaves / 20)
    low, high = production.band or (30.0, 7600.0)
    return gain / (np.sqrt(1 + (low / np.maximum(hertz, 1)) ** 6) * np.sqrt(1 + (hertz / high) ** 10))


def _limit(samples: np.ndarray) -> np.ndarray:
    """A look-ahead limiter: the gain falls smoothly around peaks, so that none passes the ceiling."""
    blocks = np.abs(samples).reshape(-1, LIMITER_BLOCK).max(axis=1)
    gain = minimum_filter1d(np.minimum(1, CEILING / np.maximum(blocks, 1e-9)), 13, mode="nearest")
    gain = uniform_filter1d(gain, 9, mode="nearest")
    centres = (np.arange(len(blocks)) + 0.5) * LIMITER_BLOCK
    return samples * np.interp(np.arange(len(samples)), centres, gain).astype(np.float32)


def master(mix: np.ndarray, production: Production, level: float, album_rng, clip_rng) -> np.ndarray:
    """Reverb, equaliser, hiss and final level (dBFS) of a mix: `[CLIP_SAMPLES]` float32 in -1..1."""
    spectrum = fft.rfft(mix, FFT_SIZE)
    room = fft.rfft(_room(album_rng, production.reverb), FFT_SIZE)
    spectrum *= (1 - 0.5 * production.wet + production.wet * room) * _colour(production)
    out = fft.irfft(spectrum, FFT_SIZE)[:CLIP_SAMPLES].astype(np.float32)
    target = 10 ** (level / 20)
    for _ in range(3):  # limiting lowers the level a little: push again
        out = _limit(out * np.float32(target / max(rms(out), 1e-9)))
    out += clip_rng.standard_normal(CLIP_SAMPLES, np.float32) * np.float32(10 ** (production.hiss / 20))
    return np.clip(out, -0.99, 0.99)
