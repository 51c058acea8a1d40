"""Decoding: from an audio file to samples of one channel at one rate."""

from pathlib import Path

import numpy as np

INT16_FULL_SCALE = 32768


class AudioError(ValueError):
    """A file that is not there, or that holds no audio that can be decoded."""


def decode(path: str | Path, sample_rate: int, most_samples: int | None = None) -> np.ndarray:
    """Decode, mix to one channel, resample.

    What was decoded counts, not the frame count of the header, which in MP3 files can be wrong.

    Args:
        path: any file that libsndfile reads.
        sample_rate: of the result, in Hz.
        most_samples: keep no more than these, from the start.

    Returns:
        int16 [samples]; full scale is 32768, louder is clipped.

    Raises:
        AudioError: missing, empty or undecodable, with libsndfile's reason.
    """
    import soundfile
    import soxr

    path = Path(path)
    if not path.is_file():
        raise AudioError("no such file")
    if path.stat().st_size == 0:
        raise AudioError("the file is empty")
    try:
        samples, file_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"undecodable: {str(error).strip()}") from error
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise AudioError("undecodable: samples that are not finite numbers")
    if file_rate != sample_rate:
        mono = soxr.resample(mono, file_rate, sample_rate)
    if len(mono) == 0:  # in the file, or after resampling
        raise AudioError("undecodable: no samples")
    mono = mono[:most_samples]
    scaled = np.rint(mono * INT16_FULL_SCALE)
    return np.clip(scaled, -INT16_FULL_SCALE, INT16_FULL_SCALE - 1).astype(np.int16)
