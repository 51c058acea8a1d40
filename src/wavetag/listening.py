"""Examples to listen to: audio, spectrogram, tags and taggram of each chosen clip, as the report page shows them."""

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from wavetag import audio, examples, frontends, networks, splits, taggrams, web_drawings
from wavetag.datasets import layout

LARGEST = 1_000_000  # bytes of a file that is copied as it is; of a longer one the clip is encoded anew
ENCODED_RATE, KILOBITS = 16_000, 48
PLAYED = (".mp3", ".wav", ".flac", ".ogg", ".opus", ".m4a")  # by browsers
LICENCES = {
    "minitune": "Composed and played by a program of this project; artist and title are made up.",
    "magnatagatune": "From MagnaTagATune (Magnatune); licence CC BY-NC-SA 3.0: share it under the same licence, not for"
    " money, and name the artist.",
}
OWN = "From your own collection: pass this page on only as far as the licence of the music allows."
BANDS, LENGTH, COLUMNS = 96, 1024, 480  # of a spectrogram
RANGE = 70  # dB, from its loudest to what is drawn black


@dataclass(frozen=True)
class Clip:
    """A clip as the page shows it.

    Attributes:
        kind: ``examples.BEST``, ``TYPICAL`` or ``WORST``.
        clip_id: of the dataset.
        title, artist: of the song; empty where they are not known.
        seconds: of it that sound.
        average_precision: of its tags.
        rows: a dict for each tag that is true or among the most probable: those of ``examples.table``, and ``highest``,
            the second at which its probability is highest, ``low`` and ``high``, its least and greatest over time.
        audio, spectrogram: addresses within the page's folder.
        taggram: as SVG, its rows as ``rows``.
        width: of the taggram's time, as a share of ``seconds``.
        offset: of its start, likewise.
        half_rate: the highest frequency of the spectrogram, in kHz.
    """

    kind: str
    clip_id: str
    title: str
    artist: str
    seconds: float
    average_precision: float
    rows: tuple[dict[str, Any], ...]
    audio: str
    spectrogram: str
    taggram: str
    offset: float
    width: float
    half_rate: float

    @property
    def taggram_markup(self) -> Markup:
        """The taggram, to be put into a page as it is."""
        return Markup(self.taggram)

    @property
    def tags_json(self) -> str:
        """The tags that are shown, for the page's script."""
        return json.dumps([{key: row[key] for key in ("tag", "true", "probability")} for row in self.rows])


def shown(
    test: splits.Split,
    predictions: np.ndarray,
    trained: Sequence[networks.Tagger],
    array: np.ndarray,
    dataset: Path,
    page: Path,
) -> list[Clip]:
    """Choose the clips, and put audio and spectrogram of each into the page's folder.

    Args:
        test: the tagged test clips.
        predictions: [seeds, clips, tags] of the featured config.
        trained: its networks.
        array: int16 [clips, samples], prepared at their rate.
        dataset: folder with the audio files.
        page: folder of the page.

    Raises:
        layout.DatasetError, audio.AudioError: what is needed of the dataset is not there.
    """
    frame = examples.table(test, predictions, examples.OF_A_PAGE)
    row_of = dict(zip(test.clips["clip_id"], range(len(test)), strict=True))
    about = information(dataset)
    found = []
    for number, piece in enumerate(examples.clips(frame), start=1):
        clip = test.clips.iloc[row_of[piece.iloc[0]["clip_id"]]]
        found.append(_clip(number, piece, clip, test.tags, trained, array, about, dataset, page))
    return found


def _clip(
    number: int,
    piece: pd.DataFrame,
    clip: pd.Series,
    tags: Sequence[str],
    trained: Sequence[networks.Tagger],
    array: np.ndarray,
    about: Mapping[str, tuple[str, str]],
    dataset: Path,
    page: Path,
) -> Clip:
    samples, rate = np.asarray(array[clip["row"]]), trained[0].sample_rate
    sounding = min(len(samples), round(clip["seconds"] * rate))
    over_time = taggrams.taggram(trained, samples, sounding)
    places = [tags.index(tag) for tag in piece["tag"]]
    rows = []
    for row, place in zip(piece.to_dict("records"), places, strict=True):
        course = over_time.probabilities[:, place]
        rows.append(
            {**row, "highest": over_time.highest(place), "low": float(course.min()), "high": float(course.max())}
        )
    seconds = sounding / rate
    title, artist = about.get(clip["clip_id"], ("", ""))
    sound = put_audio(dataset, clip["path"], page / "clips" / f"{number:02d}")
    picture = page / "clips" / f"{number:02d}.png"
    picture.write_bytes(spectrogram(samples[:sounding], rate))
    said = (
        f"Taggram of clip {clip['clip_id']}: {len(rows)} tags over {seconds:.0f} seconds, in numbers in the table below"
    )
    hop = over_time.seconds / taggrams.STEPS
    return Clip(
        piece.iloc[0]["example"],
        clip["clip_id"],
        title,
        artist or clip["artist"],
        seconds,
        float(piece.iloc[0]["average_precision"]),
        tuple(rows),
        f"clips/{sound.name}",
        f"clips/{picture.name}",
        web_drawings.taggram(over_time.probabilities[:, places], said),
        # Each column is drawn around the middle of its window.
        offset=(over_time.seconds - hop) / 2 / seconds,
        width=len(over_time.starts) * hop / seconds,
        half_rate=rate / 2000,
    )


def information(dataset: Path) -> dict[str, tuple[str, str]]:
    """Title and artist of each clip: clip_id -> both, empty where the dataset does not say."""
    path = dataset / layout.INFORMATION
    if not path.is_file():
        raise layout.DatasetError(f"{path}: no such file")
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    table = table.reindex(columns=["clip_id", "title", "artist"], fill_value="")
    return {clip: (title, artist) for clip, title, artist in table.itertuples(index=False)}


def licence(dataset: str) -> str:
    """Under which licence the clips of a dataset stand in the page."""
    return LICENCES.get(dataset, OWN)


def put_audio(dataset: Path, path: str, target: Path) -> Path:
    """Put a clip's audio beside the page, under a name that says nothing.

    A file is copied as it is; of a part of a file, of a large one, and of one that browsers do not play, the clip is
    encoded anew as MP3.

    Args:
        dataset: folder of the dataset.
        path: of the clip in it.
        target: without suffix.

    Returns:
        The file.
    """
    file, segment = layout.file_and_segment(path)
    source = dataset / file
    target.parent.mkdir(parents=True, exist_ok=True)
    suffix = source.suffix.lower()
    if segment is None and suffix in PLAYED and source.is_file() and 0 < source.stat().st_size <= LARGEST:
        return Path(shutil.copyfile(source, target.with_suffix(suffix)))
    [samples] = audio.decode_segments(source, ENCODED_RATE, [segment], ENCODED_RATE * 60)
    if isinstance(samples, audio.AudioError):
        raise ValueError(f"{source}: {samples}")
    target = target.with_suffix(".mp3")
    target.write_bytes(_mp3(samples))
    return target


def _mp3(samples: np.ndarray) -> bytes:
    import lameenc

    encoder = lameenc.Encoder()
    encoder.set_bit_rate(KILOBITS)
    encoder.set_in_sample_rate(ENCODED_RATE)
    encoder.set_channels(1)
    encoder.silence()
    return bytes(encoder.encode(samples.astype("<i2").tobytes()) + encoder.flush())


def spectrogram(samples: np.ndarray, rate: int) -> bytes:
    """A mel spectrogram as PNG, low frequencies below: its loudest is bright, ``RANGE`` dB below is black."""
    import matplotlib
    from PIL import Image
    from scipy import signal

    hop = max(1, (len(samples) - LENGTH) // COLUMNS)
    padded = np.pad(samples.astype(np.float64), (0, max(0, LENGTH - len(samples))))
    _, _, power = signal.spectrogram(padded, nperseg=LENGTH, noverlap=max(0, LENGTH - hop), window="hann")
    size = 2 * (power.shape[0] - 1)
    mel = frontends.mel_filters(rate, size, BANDS) @ power[:, :COLUMNS]
    level = 10 * np.log10(np.maximum(mel, 1e-12 * max(mel.max(), 1e-12)))
    share = np.clip((level - level.max() + RANGE) / RANGE, 0, 1)[::-1]
    image = Image.fromarray((share * 255).astype(np.uint8), mode=None).convert("P")
    colours = (matplotlib.colormaps["magma"](np.arange(256))[:, :3] * 255).astype(np.uint8)
    image.putpalette(colours.tobytes())
    written = io.BytesIO()
    image.save(written, format="png", optimize=True)
    return written.getvalue()
