"""Singing: spoken syllables -> spectral envelopes -> resynthesis on a melody with vibrato and glides.

The syllables are spoken by espeak-ng (GPL-3), a shared library inside the installed wheel `espeakng-loader`,
called at run time. What is sung is a source and filter model (Fant, 1960): pulses at the written pitch plus
breath, filtered by the cepstrally smoothed spectra of the syllables.
"""

import ctypes
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import espeakng_loader
import numpy as np
from scipy import fft
from scipy.signal import resample_poly

from minitune.facts import CLIP_SAMPLES, SAMPLE_RATE

HOP = 256  # samples between spectra
WINDOW = 2 * HOP
SIZE = 2 * WINDOW  # of the FFT: a windowed frame and room for the filter's response
FRAMES = CLIP_SAMPLES // HOP + 3
LIFTER = 38  # cepstral coefficients kept: below the period of a voice at 420 Hz
ESPEAK_RATE = 22_050
RATE, PITCH, PITCH_RANGE = 1, 3, 4  # parameters of espeak-ng
LONGEST_DATA_PATH = 150  # bytes; espeak-ng ends the process at 160

# Singers by repertoire and sex: names of voices (language+variant) of espeak-ng.
SINGERS = {
    "english": {
        "female": ("en+f2", "en-us+f3", "en+f4", "en-us+f5", "en+linda", "en+belinda"),
        "male": ("en+m1", "en-us+m3", "en+m7", "en-us+m4", "en+max", "en+robert"),
    },
    "italian": {"female": ("it+f2", "it+f4", "it+linda"), "male": ("it+m1", "it+m3", "it+m7")},
    "latin": {"female": ("la+f2", "la+f5"), "male": ("la+m1", "la+m3")},
    "hindi": {"female": ("hi+f2", "hi+f4"), "male": ("hi+m1", "hi+m7")},
    "world": {"female": ("fr+f2", "tr+f4", "el+linda"), "male": ("fr+m3", "tr+m1", "el+m7")},
}
SYLLABLES = {
    "english": "la moon rain love you home fire night go way dream time heart down sea light why stay oh ah",
    "italian": "la mor te so no cuo re mia vi ta dol ce al ma fe li",
    "latin": "a le lu ia ky ri e glo sanc do mi ne",
    "hindi": "aa re ga ma pa dha ni sa ja na tu ho",
    "world": "la ya mi na so le ba ri ka du vo ne",
}


@dataclass(frozen=True)
class SingingStyle:
    """A way of singing; vibrato in semitones and Hz, times in seconds, ranges in MIDI pitches."""

    women: tuple[int, int] = (57, 74)
    men: tuple[int, int] = (45, 62)
    vibrato: float = 0.2
    vibrato_rate: float = 5.5
    vibrato_delay: float = 0.25
    breath: float = 0.02
    melisma: float = 0.1  # chance that a close note goes on with the same vowel
    glide: float = 0.06
    tilt_db: float = 0.0  # an octave above 800 Hz
    ring_db: float = 0.0  # the singer's formant, around 2.9 kHz
    drive: float = 0.0
    singers: int = 1

    def range(self, female: bool) -> tuple[int, int]:
        """Lowest and highest pitch."""
        return self.women if female else self.men


STYLES = {
    "pop": SingingStyle(),
    "rough": SingingStyle(vibrato=0.1, breath=0.09, drive=5.0),
    "foreign": SingingStyle(vibrato=0.35, vibrato_delay=0.15, melisma=0.3),
    "raga": SingingStyle(vibrato=0.4, vibrato_rate=5.0, vibrato_delay=0.15, melisma=0.7, glide=0.13),
    "opera": SingingStyle((62, 83), (48, 67), 0.75, 5.8, 0.06, 0.005, 0.35, 0.08, ring_db=12.0),
    "choir": SingingStyle(vibrato=0.18, tilt_db=-1.5, melisma=0.25, singers=4),
    "chant": SingingStyle(vibrato=0.04, tilt_db=-1.0, breath=0.03, melisma=0.3, singers=4),
}


class Syllable(NamedTuple):
    """Frames of a spoken syllable: log spectra `[frames, bins]`, voicing 0 or 1, its vowel's index."""

    spectra: np.ndarray
    voiced: np.ndarray
    vowel: int


# ------------------------------------------------------------------------------------------ the bank

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_bank: dict[str, list[Syllable]] = {}


@contextmanager
def _short_data_path():
    """espeak-ng's data folder by a path that it can bear: through a symbolic link where it is long."""
    path = Path(espeakng_loader.get_data_path())
    if len(os.fsencode(path)) < LONGEST_DATA_PATH:
        yield path
        return
    base = tempfile.gettempdir() if len(os.fsencode(tempfile.gettempdir())) < 80 else "/tmp"
    with tempfile.TemporaryDirectory(dir=base) as folder:
        link = Path(folder, "espeak-ng-data")
        link.symlink_to(path)
        yield link


@contextmanager
def _speaker():
    """A function (text, voice, pitch) -> samples at `ESPEAK_RATE`; needs the data folder while it is used."""
    spoken: list[np.ndarray] = []

    @_Callback
    def collect(samples, count, events):
        if samples and count > 0:
            spoken.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    with _short_data_path() as data:
        if library.espeak_Initialize(2, 0, os.fsencode(data), 0) < 0:  # 2: synchronous, samples to the callback
            raise RuntimeError(f"espeak-ng does not start with its data in {data}")
        library.espeak_SetSynthCallback(collect)

        def say(text: str, voice: str, pitch: int) -> np.ndarray:
            spoken.clear()
            library.espeak_ng_SetRandSeed(ctypes.c_long(1))
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise RuntimeError(f"voice: espeak-ng does not know {voice!r}")
            for parameter, value in ((RATE, 90), (PITCH, pitch), (PITCH_RANGE, 0)):
                library.espeak_SetParameter(parameter, value, 0)
            encoded = text.encode()
            library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, 1, None, None)  # 1: a position in characters
            library.espeak_Synchronize()
            if not spoken:
                raise RuntimeError(f"voice: espeak-ng says nothing for {text!r} by {voice!r}")
            return np.concatenate(spoken).astype(np.float32) / 32_768

        yield say


def _analyse(samples: np.ndarray) -> Syllable:
    """Smoothed log spectra of a syllable, without the silence around it, at 0 dB in its vowel."""
    samples = resample_poly(samples, 320, 441).astype(np.float32)
    samples = np.pad(samples, (0, WINDOW)) + 1e-5 * np.cos(1.7 * np.arange(len(samples) + WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * np.hanning(WINDOW)
    log = np.log(np.abs(fft.rfft(frames, SIZE)) + 1e-4)
    cepstrum = fft.irfft(log)
    cepstrum[:, LIFTER:-LIFTER] = 0
    spectra = fft.rfft(cepstrum).real
    power = np.exp(2 * log)
    energy = np.log(power.sum(axis=1))
    voiced = power[:, :128].sum(axis=1) > 2 * power[:, 200:].sum(axis=1)
    heard = np.flatnonzero(energy > energy.max() - 7)
    kept = slice(heard[0], heard[-1] + 1)
    spectra, voiced, energy = spectra[kept], voiced[kept], energy[kept]
    vowel = int(np.argmax(np.where(voiced, energy, -99)))
    return Syllable((spectra - energy[vowel] / 2).astype(np.float32), voiced.astype(np.float32), vowel)


def build_bank() -> dict[str, list[Syllable]]:
    """Every singer's syllables, spoken once in one fixed order (espeak-ng keeps state from call to call).

    Call it before forking, so that the processes share the bank.
    """
    if not _bank:
        spoken: dict[str, list[Syllable]] = {}
        with _speaker() as say:
            for repertoire, sexes in SINGERS.items():
                for sex, singers in sexes.items():
                    for singer in singers:
                        pitch = 60 if sex == "female" else 35
                        texts = SYLLABLES[repertoire].split()
                        spoken[singer] = [_analyse(say(text, singer, pitch)) for text in texts]
        _bank.update(spoken)
    return _bank


# ------------------------------------------------------------------------------------------ singing


@dataclass
class Tracks:
    """What the melody asks of the voice, a value each `HOP` samples."""

    spectra: np.ndarray  # [frames, bins], log
    voiced: np.ndarray
    pitch: np.ndarray  # MIDI
    level: np.ndarray


def _syllable_frames(syllable: Syllable, length: int, same_vowel: bool) -> np.ndarray:
    """Indices of a syllable's frames, stretched to `length`: consonant, long vowel, ending."""
    last, vowel = len(syllable.spectra) - 1, syllable.vowel
    onset = 0 if same_vowel else min(vowel, length // 3, 7)
    coda = 0 if same_vowel else min(max(last - vowel - 2, 0), length // 4, 8)
    held = np.minimum(vowel + np.linspace(0, 2, length - onset - coda), last - coda)
    parts = (
        np.linspace(vowel - onset, vowel, onset, endpoint=False),
        held,
        np.linspace(last - coda + 1, last, coda),
    )
    return np.clip(np.concatenate(parts).round().astype(int), 0, last)


def _tracks(notes, syllables: list[Syllable], style: SingingStyle, rng) -> Tracks:
    bins = SIZE // 2 + 1
    tracks = Tracks(np.zeros((FRAMES, bins), np.float32), *(np.zeros(FRAMES) for _ in range(3)))
    end, before, syllable = -99, 60.0, syllables[0]
    ordered = sorted(notes)
    for number, note in enumerate(ordered):
        first = round(note.onset * SAMPLE_RATE / HOP)
        stop = note.onset + note.duration
        if number + 1 < len(ordered):  # one throat, one note
            stop = min(stop, ordered[number + 1].onset)
        length = min(FRAMES, round(stop * SAMPLE_RATE / HOP)) - first
        if length < 3:
            continue
        close = first - end < 8
        same_vowel = close and rng.random() < style.melisma
        syllable = syllable if same_vowel else syllables[rng.integers(len(syllables))]
        frames = _syllable_frames(syllable, length, same_vowel)
        span = slice(first, first + length)
        tracks.spectra[span], tracks.voiced[span] = syllable.spectra[frames], syllable.voiced[frames]
        time = np.arange(length) * HOP / SAMPLE_RATE
        swing = np.sin(2 * np.pi * (style.vibrato_rate * time + rng.random()))
        pitch = note.pitch + style.vibrato * np.clip((time - style.vibrato_delay) / 0.3, 0, 1) * swing
        glide = np.clip(1 - time / style.glide, 0, 1)
        pitch += glide * (np.clip(before - note.pitch, -7, 7) if close else -rng.uniform(0, 1.5))
        tracks.pitch[span] = pitch
        tracks.level[span] = note.velocity / 100
        tracks.level[first + length - 2 : first + length] *= (0.7, 0.3)
        end, before = first + length, note.pitch
    # In rests the pitch stays where it was, so that no glide runs through silence.
    known = np.flatnonzero(tracks.pitch > 0)
    if len(known):
        tracks.pitch = tracks.pitch[known[np.clip(np.searchsorted(known, np.arange(FRAMES), "right") - 1, 0, None)]]
    return tracks


def _pulses(tracks: Tracks, detune: float, rng) -> np.ndarray:
    """Glottal pulses: one unit impulse a period (split between two samples), of power free of pitch."""
    drift = np.convolve(rng.normal(0, 0.1, FRAMES), np.ones(5) / 5, "same")
    hertz = 440 * 2 ** ((tracks.pitch + detune + drift - 69) / 12)
    phase = np.concatenate([[0], np.cumsum((hertz[:-1] + hertz[1:]) / 2 * HOP / SAMPLE_RATE)])
    place = np.interp(np.arange(1, int(phase[-1])), phase, np.arange(FRAMES))  # in hops
    size = np.sqrt(SAMPLE_RATE / np.interp(place, np.arange(FRAMES), hertz))
    size *= np.interp(place, np.arange(FRAMES), tracks.voiced)
    sample = (place * HOP).astype(int)
    split = place * HOP - sample
    total = FRAMES * HOP
    return np.bincount(sample, size * (1 - split), total)[:total] + np.bincount(sample + 1, size * split, total)[:total]


def _colour_spectra(spectra: np.ndarray, formants: float, manner: SingingStyle) -> np.ndarray:
    """Gains from log spectra: formants moved by the ratio 1 + `formants`, the style's colour."""
    bins = spectra.shape[1]
    if formants:
        place = np.clip(np.arange(bins) / (1 + formants), 0, bins - 1.001)
        low = place.astype(int)
        share = (place - low).astype(np.float32)
        spectra = spectra[:, low] * (1 - share) + spectra[:, low + 1] * share
    hertz = np.arange(bins) * SAMPLE_RATE / SIZE
    gain_db = manner.tilt_db * np.log2(np.maximum(hertz, 800) / 800)
    gain_db += manner.ring_db * np.exp(-np.square((hertz - 2900) / 600))
    return np.exp(spectra + (gain_db / 8.686).astype(np.float32))  # 8.686 dB to a neper


def sing(notes, style: str, singer: str, formants: float, rng: np.random.Generator) -> np.ndarray:
    """A melody (notes in seconds; where they overlap, the later one wins) sung: `[CLIP_SAMPLES]` float32.

    `style`: a key of `STYLES`; `singer`: a name in `SINGERS`; `formants`: ratio by which the formants move.
    """
    manner = STYLES[style]
    tracks = _tracks(notes, build_bank()[singer], manner, rng)
    source = np.zeros(FRAMES * HOP)
    for _ in range(manner.singers):
        detune = rng.normal(0, 0.1) if manner.singers > 1 else 0.0
        source += _pulses(tracks, detune, rng) / np.sqrt(manner.singers)
    breath = (1 - tracks.voiced) * 0.5 + manner.breath
    noise = rng.standard_normal(FRAMES * HOP, np.float32).reshape(FRAMES, HOP) * breath[:, None].astype(np.float32)
    source = source.astype(np.float32) + noise.reshape(-1)

    sounding = np.flatnonzero(tracks.level > 0)
    out = np.zeros((FRAMES + 4, HOP), np.float32)
    if len(sounding):
        # A frame: Hann window in the middle of the FFT's buffer, filtered without phase, overlapped.
        padded = np.pad(source, (HOP, HOP))
        framed = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][sounding]
        frames = np.zeros((len(sounding), SIZE), np.float32)
        frames[:, HOP : HOP + WINDOW] = framed * np.hanning(WINDOW + 1)[:-1].astype(np.float32)
        gains = _colour_spectra(tracks.spectra[sounding], formants, manner)
        gains *= tracks.level[sounding, None].astype(np.float32)
        frames = fft.irfft(fft.rfft(frames) * gains, SIZE)
        for part in range(SIZE // HOP):
            out[sounding + part] += frames[:, part * HOP : (part + 1) * HOP]
    samples = out.reshape(-1)[2 * HOP : 2 * HOP + CLIP_SAMPLES]
    if manner.drive and samples.any():
        samples = np.tanh(manner.drive * samples / np.abs(samples).max())
    return samples
