"""Decoding: from an audio file to samples of one channel at one rate."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil, gcd
from pathlib import Path
from typing import Any

import numpy as np

INT16_FULL_SCALE = 32768
BLOCK = 2**20  # samples read at a time, of all channels together: of many channels no more is held than this
MARGIN = 0.1  # seconds read around what is kept: more than the resampling filter reaches
LEAST_RATE = 1000  # Hz, of a file that is streamed: from less, resampling makes a thousand samples of one
SAMPLE_DUMP = b"\xf0\x7e"  # how one begins: of a damaged one libsndfile tells on standard output, amid JSON and CSV
MOST_RATE = 1_000_000  # Hz, of a file: a second of more is of no sound, and takes more memory than a song


class AudioError(ValueError):
    """A file that is not there, or that holds no audio that can be decoded."""


def decode(path: str | Path, sample_rate: int, most_samples: int | None = None) -> np.ndarray:
    """Decode a file, mix it to one channel, resample it.

    What was decoded counts, not the frame count of the header, which in MP3 files can be wrong.

    Args:
        path: any file that libsndfile reads.
        sample_rate: of the result, in Hz.
        most_samples: keep no more than these, from the start; little more is read.

    Returns:
        int16 [samples]; full scale is 32768, louder is clipped.

    Raises:
        AudioError: missing, empty or undecodable, with libsndfile's reason.
    """
    [samples] = decode_segments(path, sample_rate, [None], most_samples)
    if isinstance(samples, AudioError):
        raise samples
    return samples


def decode_segments(
    path: str | Path,
    sample_rate: int,
    segments: Sequence[tuple[float, float] | None],
    most_samples: int | None = None,
) -> Iterator[np.ndarray | AudioError]:
    """Decode parts of a file, in one pass over it: memory does not grow with the length of the file.

    Args:
        path: any file that libsndfile reads.
        sample_rate: of the results, in Hz.
        segments: from where to where, in seconds, in order and not overlapping; None for the whole file.
        most_samples: keep no more than these of each.

    Yields:
        For each segment int16 [samples], or the ``AudioError`` that says why it is not there.
    """
    done = 0
    try:
        with _opened(path) as file:
            reader = _Mono(file)
            for segment in segments:
                try:
                    if segment is None:
                        samples = _whole(reader, sample_rate, most_samples)
                    else:
                        samples = _part(reader, segment, sample_rate, most_samples)
                except AudioError as error:
                    samples = error
                done += 1
                yield samples
    except AudioError as error:
        yield from [error] * (len(segments) - done)


def blocks(path: str | Path, sample_rate: int) -> Iterator[np.ndarray]:
    """Decode a file piece by piece, as ``decode`` does it whole: the pieces laid end to end are the same samples.

    Args:
        path: any file that libsndfile reads, of any length: memory does not grow with it.
        sample_rate: of the result, in Hz.

    Yields:
        int16 [samples], some at a time.

    Raises:
        AudioError: missing, empty or undecodable, with libsndfile's reason; pieces may have been given before.
    """
    import soxr

    with _opened(path) as file:
        if file.samplerate < LEAST_RATE:
            raise AudioError(f"a sample rate of {file.samplerate} Hz: {LEAST_RATE} Hz or more is taken")
        reader, resampler = _Mono(file), None
        if file.samplerate != sample_rate:
            resampler = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32")
        # of a large file not all that is read at once is to be turned into as many more samples as the rates are apart
        most, found = min(BLOCK, max(1, BLOCK * file.samplerate // sample_rate)), 0
        while True:
            block = reader.read(most)
            last = len(block) == 0
            resampled = block if resampler is None else resampler.resample_chunk(block, last=last)
            if len(resampled):
                found += len(resampled)
                yield _to_int16(resampled)
            if last:
                break
        if found == 0:
            raise AudioError("undecodable: no samples")


def no_longer(pieces: Iterable[np.ndarray], most_seconds: float, sample_rate: int) -> Iterator[np.ndarray]:
    """The same pieces of samples, as ``blocks`` gives them. Raises ``AudioError`` once they are longer than allowed."""
    samples = 0
    for piece in pieces:
        samples += len(piece)
        if samples > most_seconds * sample_rate:
            raise AudioError(f"longer than the {most_seconds:g} s that are allowed")
        yield piece


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """A file open for ``_Mono``; whatever is wrong with it, there or while it is read, is an ``AudioError``."""
    import soundfile

    path = Path(path)
    if path.is_dir():
        raise AudioError("a folder, not a file")
    if not path.is_file():
        raise AudioError("no such file")
    if path.stat().st_size == 0:
        raise AudioError("the file is empty")
    if not os.access(path, os.R_OK):
        raise AudioError("no permission to read it")
    try:
        with stream(path) as file:
            if file.samplerate > MOST_RATE:
                raise AudioError(f"a sample rate of {file.samplerate} Hz: {MOST_RATE} Hz or less is taken")
            yield file
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:  # TypeError: samples without a header (.raw)
        reason = getattr(error, "error_string", str(error))  # of libsndfile's without the file's name
        raise AudioError(f"undecodable: {reason.strip()}") from error


def stream(path: Path) -> Any:
    """An open ``soundfile.SoundFile`` that is read from start to end. Raises as soundfile does, and ``AudioError``.

    soundfile seeks after each read, to where the file is already; an MP3's decoder then starts afresh, and what follows
    is not quite what it decodes without. In a FLAC of which the length is not known the seeking fails.
    """
    import soundfile

    class Stream(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    with path.open("rb") as file:
        if file.read(2) == SAMPLE_DUMP:
            raise AudioError("a MIDI sample dump: these are not taken")
    return Stream(os.fsencode(path))  # of a name that is not UTF-8 soundfile takes the bytes alone


class _Mono:
    """An open file, mixed to one channel and read from start to end; what may be asked for again is held."""

    def __init__(self, file):
        self.file, self.held, self.start = file, np.empty(0, np.float32), 0

    def frames(self, first: int, last: int) -> np.ndarray:
        """Frames ``first`` to ``last``, or to where the file ends. What lies before ``first`` is let go."""
        while (missing := first - self.start - len(self.held)) > 0:
            self.start, self.held = self.start + len(self.held), np.empty(0, np.float32)
            block = self.read(missing)
            if len(block) == 0:
                return block
            self.start += len(block)
        blocks, missing = [self.held[first - self.start :]], last - self.start - len(self.held)
        while missing > 0 and len(block := self.read(missing)):
            blocks.append(block)
            missing -= len(block)
        self.start, self.held = first, blocks[1] if len(blocks) == 2 and not len(blocks[0]) else np.concatenate(blocks)
        return self.held[: last - first]

    def read(self, most: int) -> np.ndarray:
        """The next frames, float32 [frames], no more than so many; none at the end."""
        block = self.file.read(min(most, max(1, BLOCK // self.file.channels)), dtype="float32", always_2d=True)
        return block[:, 0] if self.file.channels == 1 else block.mean(axis=1)


def _whole(reader: _Mono, sample_rate: int, most_samples: int | None) -> np.ndarray:
    """The file from its start, as int16."""
    rate = reader.file.samplerate
    last = 2**62 if most_samples is None else int((most_samples / sample_rate + MARGIN) * rate)
    return _to_int16(_resampled(reader.frames(0, last), rate, sample_rate)[:most_samples])


def _part(reader: _Mono, segment: tuple[float, float], sample_rate: int, most_samples: int | None) -> np.ndarray:
    """A part of the file, as int16: with what lies around it, so that it is resampled as within the whole file."""
    rate = reader.file.samplerate
    common = gcd(rate, sample_rate)
    start, last = (round(second * rate) for second in segment)
    period = rate // common  # frames, a whole number of samples
    periods = min(start // period, ceil(MARGIN * rate / period))
    first = start - periods * period
    held = first if first >= period else 0  # at the start of a file, what is read must not go back
    mono = reader.frames(held, last + ceil(MARGIN * rate))[first - held :]
    wanted = mono[start - first : last - first]
    if len(wanted) == 0:
        raise AudioError("undecodable: no samples")
    if not np.isfinite(mono).all() and np.isfinite(wanted).all():
        mono = np.nan_to_num(mono, nan=0.0, posinf=0.0, neginf=0.0)  # another part's, which will be refused
    whole = len(wanted) == last - start
    count = round((segment[1] - segment[0] if whole else len(wanted) / rate) * sample_rate)
    begin = periods * sample_rate // common
    resampled = _resampled(mono, rate, sample_rate)[begin : begin + count][:most_samples]
    return _to_int16(resampled if rate != sample_rate else resampled.copy())  # the reader holds what it has read


def converted(mono: np.ndarray, sample_rate: int, wanted_rate: int) -> np.ndarray:
    """Samples of one channel, float32 [samples] of full scale 1.0, at another rate, as int16: as ``decode`` does it.

    Raises:
        AudioError: samples that are not finite numbers, or so few that none are left.
    """
    resampled = _resampled(mono, sample_rate, wanted_rate)
    return _to_int16(resampled.copy() if resampled is mono else resampled)


def _resampled(mono: np.ndarray, file_rate: int, sample_rate: int) -> np.ndarray:
    import soxr

    return mono if file_rate == sample_rate else soxr.resample(mono, file_rate, sample_rate)


def _to_int16(mono: np.ndarray) -> np.ndarray:
    """Samples rounded and clipped; what is given is overwritten."""
    if len(mono) == 0:  # in the file, or after resampling
        raise AudioError("undecodable: no samples")
    scaled = np.multiply(mono, np.float32(INT16_FULL_SCALE), out=mono)
    np.rint(scaled, out=scaled)
    low, high = scaled.min(), scaled.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise AudioError("undecodable: samples that are not finite numbers")
    if low < -INT16_FULL_SCALE or high > INT16_FULL_SCALE - 1:
        np.clip(scaled, -INT16_FULL_SCALE, INT16_FULL_SCALE - 1, out=scaled)
    return scaled.astype(np.int16)
