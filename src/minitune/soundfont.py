"""A SoundFont 2 reader and sampler in NumPy.

It plays TimGM6mb.sf2 (Tim Brechbill, GPL-2), read from inside the installed wheel of pretty_midi (MIT):
the file is used where it lies and never copied. Format: SoundFont Technical Specification 2.04 (E-mu, 1996).
"""

import struct
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.signal import butter, resample_poly, sosfilt

from minitune.facts import SAMPLE_RATE

DRUM_BANK = 128
MAX_RELEASE = 1.5  # seconds
# Seconds; a note is cached in the first length that holds it.
NOTE_LENGTHS = (0.35, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0)
CACHED_FRAMES = 40_000_000  # of played notes: 160 MB a process

# Generators of the format that this sampler obeys, by number (specification, section 8.1.2).
FILTER_CENTS, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE = 8, 34, 35, 36, 37, 38
INSTRUMENT, KEY_RANGE, VELOCITY_RANGE, ATTENUATION = 41, 43, 44, 48
FILTER_SWING = 11  # cents by which the modulation envelope moves the filter
SWING_ATTACK, SWING_HOLD, SWING_DECAY, SWING_SUSTAIN = 26, 27, 28, 29
COARSE_TUNE, FINE_TUNE, SAMPLE, LOOP_MODE, SCALE_TUNING, ROOT_KEY = 51, 52, 53, 54, 56, 58
RANGES = (KEY_RANGE, VELOCITY_RANGE)
NO_FILTER_CENTS, NO_DELAY_CENTS = 13_500, -12_000


@dataclass(frozen=True)
class Sample:
    """One recording inside the file; positions in frames from its start."""

    start: int
    length: int
    loop_start: int
    loop_end: int
    rate: int
    root: int
    correction: int  # cents


@dataclass(frozen=True)
class Zone:
    """What a preset plays for a range of keys: generators of the instrument, offsets of the preset."""

    instrument: dict[int, int]
    preset: dict[int, int]

    def covers(self, key: int, velocity: int) -> bool:
        """Whether key and velocity lie within the ranges of both levels."""
        for generators in (self.instrument, self.preset):
            for name, value in zip(RANGES, (key, velocity), strict=True):
                limits = generators.get(name, 127 << 8)
                if not limits & 255 <= value <= limits >> 8:
                    return False
        return True

    def value(self, name: int, default: int = 0) -> int:
        """A generator's value: the instrument's (or the default) plus the preset's offset."""
        return _signed(self.instrument.get(name, default)) + _signed(self.preset.get(name, 0))

    def seconds(self, name: int) -> float:
        """A time generator (timecents) in seconds."""
        return 2 ** (self.value(name, NO_DELAY_CENTS) / 1200)


def _signed(word: int) -> int:
    return word - 65_536 if word > 32_767 else word


def _chunks(data: bytes) -> dict[bytes, tuple[int, int]]:
    """Offset and size of each leaf chunk of a RIFF file."""
    leaves: dict[bytes, tuple[int, int]] = {}

    def walk(at: int, end: int) -> None:
        while at + 8 <= end:
            name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
            if name in (b"RIFF", b"LIST"):
                walk(at + 12, at + 8 + size)
            else:
                leaves[name] = (at + 8, size)
            at += 8 + size + (size & 1)

    walk(0, len(data))
    return leaves


class SoundFont:
    """The presets of one .sf2 file, played at `SAMPLE_RATE`; ValueError for another kind of file."""

    def __init__(self, path: Path):
        data = Path(path).read_bytes()
        chunks = _chunks(data)
        needed = {b"smpl", b"shdr", b"phdr", b"pbag", b"pgen", b"inst", b"ibag", b"igen"}
        if data[8:12] != b"sfbk" or not needed <= chunks.keys():
            raise ValueError(f"path: {path} is not a SoundFont 2 file (RIFF 'sfbk' with samples and presets)")

        def records(name: bytes, layout: str) -> list[tuple]:
            at, size = chunks[name]
            return list(struct.iter_unpack(layout, data[at : at + size]))

        at, size = chunks[b"smpl"]
        self._frames = np.frombuffer(data, "<i2", size // 2, at)
        self._samples = [
            Sample(start, end - start, loop - start, loop_end - start, rate, root, correction)
            for _, start, end, loop, loop_end, rate, root, correction, _, _ in records(b"shdr", "<20sIIIIIBbHH")
        ]
        bags, generators = records(b"ibag", "<HH"), records(b"igen", "<HH")
        instruments = [
            self._zones(bags, generators, first, last, SAMPLE)
            for first, last in _spans([bag for _, bag in records(b"inst", "<20sH")])
        ]
        headers = records(b"phdr", "<20sHHHIII")
        bags, generators = records(b"pbag", "<HH"), records(b"pgen", "<HH")
        self.presets: dict[tuple[int, int], list[Zone]] = {}
        spans = _spans([header[3] for header in headers])
        for (_, program, bank, *_), (first, last) in zip(headers, spans, strict=False):
            self.presets[bank, program] = [
                Zone(inner, outer)
                for outer in self._zones(bags, generators, first, last, INSTRUMENT)
                for inner in instruments[outer[INSTRUMENT]]
            ]
        self._octaves: dict[tuple[int, int], np.ndarray] = {}
        self._playing: dict[tuple[int, int, int, int], tuple[list[Zone], float]] = {}
        self._notes: dict[tuple, np.ndarray] = {}

    @staticmethod
    def _zones(bags, generators, first: int, last: int, target: int) -> list[dict[int, int]]:
        """Generators of the bags first..last that name a target; a first bag without one is the default."""
        zones = [dict(generators[bags[bag][0] : bags[bag + 1][0]]) for bag in range(first, last)]
        default = zones[0] if zones and target not in zones[0] else {}
        return [{**default, **zone} for zone in zones if target in zone]

    def _octave(self, number: int, octave: int) -> np.ndarray:
        """A sample's frames, halved in rate `octave` times, so that high notes do not alias."""
        if (number, octave) not in self._octaves:
            if octave == 0:
                sample = self._samples[number]
                frames = self._frames[sample.start : sample.start + sample.length] / np.float32(32_768)
            else:
                frames = resample_poly(self._octave(number, octave - 1), 1, 2).astype(np.float32)
            self._octaves[number, octave] = frames
        return self._octaves[number, octave]

    def _zone_wave(self, zone: Zone, key: int, frames: int) -> np.ndarray:
        """One zone held for `frames` output frames: pitch, loop, envelope before the release, filter."""
        number = zone.instrument[SAMPLE]
        sample = self._samples[number]
        root = zone.instrument.get(ROOT_KEY, 65_535)
        root = sample.root if _signed(root) < 0 else root
        cents = (key - root) * zone.value(SCALE_TUNING, 100) + 100 * zone.value(COARSE_TUNE)
        cents += zone.value(FINE_TUNE) + sample.correction
        ratio = 2 ** (cents / 1200) * sample.rate / SAMPLE_RATE
        octave = max(0, int(np.floor(np.log2(ratio) + 0.35)))
        wave, shrink = self._octave(number, octave), 2**octave
        position = np.arange(frames) * (ratio / shrink)
        loop_start, loop_end = sample.loop_start / shrink, sample.loop_end / shrink
        if zone.value(LOOP_MODE) & 1 and sample.loop_end > sample.loop_start + 8:
            around = loop_start + (position - loop_start) % (loop_end - loop_start)
            position = np.where(position < loop_end, position, around)
        else:
            position = position[position < len(wave) - 2]
        whole = np.minimum(position.astype(np.int64), len(wave) - 2)
        fraction = (position - whole).astype(np.float32)
        out = wave[whole] * (1 - fraction) + wave[whole + 1] * fraction
        out *= _envelope(zone, len(out))
        out *= 10 ** (-max(0, zone.value(ATTENUATION)) * 0.4 / 200)  # centibels, as the E-mu hardware scales them
        out = _filtered(zone, out)
        return out.astype(np.float32)

    def zones(self, bank: int, program: int, key: int, velocity: int) -> tuple[list[Zone], float]:
        """The zones that sound for a key, and the seconds of their release."""
        name = (bank, program, key, velocity)
        if name not in self._playing:
            preset = self.presets.get((bank, program)) or self.presets.get((bank, 0)) or self.presets[0, 0]
            playing = [zone for zone in preset if zone.covers(key, velocity)]
            release = max((zone.seconds(RELEASE) for zone in playing), default=0.0)
            self._playing[name] = playing, float(np.clip(release, 0.03, MAX_RELEASE))
        return self._playing[name]

    def held(self, zones: list[Zone], key: int, seconds: float) -> np.ndarray:
        """A key held for at least `seconds`, at full velocity."""
        length = next((known for known in NOTE_LENGTHS if known >= seconds), NOTE_LENGTHS[-1])
        name = (tuple(map(id, zones)), key, length)  # zones live as long as the font
        if name not in self._notes:
            waves = [self._zone_wave(zone, key, int(length * SAMPLE_RATE)) for zone in zones]
            total = np.zeros(max((len(wave) for wave in waves), default=0), np.float32)
            for wave in waves:
                total[: len(wave)] += wave
            if sum(map(len, self._notes.values())) > CACHED_FRAMES:
                self._notes.clear()
            self._notes[name] = total
        return self._notes[name]

    def note(self, bank: int, program: int, key: int, velocity: int, seconds: float, bend=None) -> np.ndarray:
        """One note [frames], release included; `bend`: semitones for each frame (any length), or None."""
        stretch = 1.0 if bend is None else 1.3  # a note bent upwards is read faster
        zones, release = self.zones(bank, program, int(key), int(velocity))
        wave = self.held(zones, int(key), stretch * seconds + release)
        if bend is not None and len(wave) > 2:
            position = np.cumsum(2.0 ** (np.asarray(bend) / 12)) - 1
            position = position[: np.searchsorted(position, len(wave) - 1)]
            wave = np.interp(position, np.arange(len(wave)), wave).astype(np.float32)
        stop = int(seconds * SAMPLE_RATE)
        tail = int(release * SAMPLE_RATE)
        wave = wave[: stop + tail] * np.float32((velocity / 127) ** 2)
        if len(wave) > stop:
            wave[stop:] *= _release(tail)[: len(wave) - stop]
        return wave


def _spans(starts: list[int]) -> list[tuple[int, int]]:
    return list(pairwise(starts))


def _envelope(zone: Zone, frames: int) -> np.ndarray:
    """Volume of a held note: attack (linear), hold, decay (linear in dB) to the sustain level."""
    time = np.arange(frames, dtype=np.float32) / SAMPLE_RATE
    attack, hold, decay = (zone.seconds(name) for name in (ATTACK, HOLD, DECAY))
    floor_db = min(max(zone.value(SUSTAIN), 0), 1000) / 10
    loss_db = np.minimum(np.maximum(time - (attack + hold), 0) * (100 / max(decay, 1e-3)), floor_db)
    return np.minimum(1, time / max(attack, 1e-3)) * np.float32(10) ** (-loss_db / 20)


def _filtered(zone: Zone, wave: np.ndarray) -> np.ndarray:
    """The zone's low-pass, whose cut-off falls with the modulation envelope: plucked strings grow dull.

    The moving filter is a cross-fade between a few resting ones.
    """
    lowest, swing = zone.value(FILTER_CENTS, NO_FILTER_CENTS), zone.value(FILTER_SWING)
    time = np.arange(len(wave), dtype=np.float32) / SAMPLE_RATE
    attack, hold, decay = (zone.seconds(name) for name in (SWING_ATTACK, SWING_HOLD, SWING_DECAY))
    sustain = 1 - min(max(zone.value(SWING_SUSTAIN), 0), 1000) / 1000
    fall = np.maximum(sustain, 1 - np.maximum(time - attack - hold, 0) / max(decay, 1e-3))
    cents = lowest + swing * np.minimum(time / max(attack, 1e-3), fall)
    open_cents = 1200 * np.log2(0.45 * SAMPLE_RATE / 8.176)  # above it, the filter does nothing
    cents = np.clip(cents, 2400, open_cents)
    low, high = float(cents.min(initial=open_cents)), float(cents.max(initial=2400))
    if low >= open_cents:
        return wave
    steps = np.linspace(low, high, 1 + int(np.ceil((high - low) / 1200)))
    out = np.zeros_like(wave)
    for step in steps:
        share = 1 - np.abs(cents - step) / (steps[1] - steps[0]) if len(steps) > 1 else 1.0
        if step < open_cents:
            out += np.maximum(share, 0) * sosfilt(_low_pass(round(step / 50)), wave)
        else:
            out += np.maximum(share, 0) * wave
    return out


@cache
def _low_pass(quarter_tones: int) -> np.ndarray:
    """Second-order sections of a low-pass; its cut-off in 50 cents above 8.176 Hz."""
    return butter(2, 8.176 * 2 ** (quarter_tones / 24), fs=SAMPLE_RATE, output="sos").astype(np.float32)


@cache
def _release(frames: int) -> np.ndarray:
    """80 dB down, linear in dB, with a last fade to nothing."""
    fall = np.float32(10) ** (-4 * np.arange(frames, dtype=np.float32) / max(frames, 1))
    fade = min(64, frames)
    fall[frames - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return fall


@cache
def general_midi() -> SoundFont:
    """The General MIDI soundfont of the installed pretty_midi, loaded once a process."""
    package = find_spec("pretty_midi")  # found, not imported: importing it costs half a second
    path = Path(package.origin).parent / "TimGM6mb.sf2" if package and package.origin else Path("TimGM6mb.sf2")
    if not path.is_file():
        raise FileNotFoundError(f"soundfont: {path.name} not found; it comes with the package pretty_midi")
    return SoundFont(path)
