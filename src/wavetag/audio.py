"""Decoding: from an audio file to samples of one channel at one rate."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

INT16_FULL_SCALE = 32768
BLOCK = 2**20  # samples read at a time, of all channels together: of many channels no more is held than this
MARGIN = 0.1  # seconds read beyond what is kept: more than the resampling filter reaches


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
    import soundfile

    path, done = Path(path), 0
    try:
        if not path.is_file():
            raise AudioError("no such file")
        if path.stat().st_size == 0:
            raise AudioError("the file is empty")
        with _stream(path) as file:
            position = 0
            for segment in segments:
                first, last = _frames(segment, file.samplerate, sample_rate, most_samples)
                for block in _mono_blocks(file, first - position):
                    position += len(block)
                blocks = list(_mono_blocks(file, last - first))
                mono = blocks[0] if len(blocks) == 1 else np.concatenate([np.empty(0, np.float32), *blocks])
                position += len(mono)
                try:
                    samples = _to_int16(mono, file.samplerate, sample_rate, most_samples)
                except AudioError as error:
                    samples = error
                done += 1
                yield samples
    except AudioError as error:
        yield from [error] * (len(segments) - done)
    except (soundfile.SoundFileError, RuntimeError) as error:
        yield from [AudioError(f"undecodable: {str(error).strip()}")] * (len(segments) - done)


def _stream(path: Path):
    """An open file that is read from start to end.

    soundfile seeks after each read, to where the file is already; an MP3's decoder then starts afresh, and what follows
    is not quite what it decodes without.
    """
    import soundfile

    class Stream(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    return Stream(path)


def _frames(
    segment: tuple[float, float] | None, file_rate: int, sample_rate: int, most_samples: int | None
) -> tuple[int, int]:
    """The first frame to read, and the one after the last."""
    if segment is not None:
        return round(segment[0] * file_rate), round(segment[1] * file_rate)
    return 0, 2**62 if most_samples is None else int((most_samples / sample_rate + MARGIN) * file_rate)


def _mono_blocks(file, frames: int) -> Iterator[np.ndarray]:
    """The next frames, mixed to one channel: fewer where the file ends."""
    at_once = max(1, BLOCK // file.channels)
    while frames > 0:
        block = file.read(min(frames, at_once), dtype="float32", always_2d=True)
        if len(block) == 0:
            return
        frames -= len(block)
        yield block[:, 0] if file.channels == 1 else block.mean(axis=1)
        if len(block) < at_once:
            return


def _to_int16(mono: np.ndarray, file_rate: int, sample_rate: int, most_samples: int | None) -> np.ndarray:
    import soxr

    if not np.isfinite(mono).all():
        raise AudioError("undecodable: samples that are not finite numbers")
    if file_rate != sample_rate:
        mono = soxr.resample(mono, file_rate, sample_rate)
    if len(mono) == 0:  # in the file, or after resampling
        raise AudioError("undecodable: no samples")
    scaled = mono[:most_samples] * np.float32(INT16_FULL_SCALE)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -INT16_FULL_SCALE, INT16_FULL_SCALE - 1, out=scaled).astype(np.int16)
