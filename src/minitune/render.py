"""One clip: from a song and a section's number to samples and facts."""

from dataclasses import dataclass

import numpy as np

from minitune import studio, voice
from minitune.facts import CLIP_SAMPLES, CLIP_SECONDS, Artist, Facts, Song, random_for
from minitune.genres import GENRES
from minitune.instruments import INSTRUMENTS, Instrument, play
from minitune.parts import AnyOf, Part
from minitune.patterns import Frame, Note
from minitune.theory import PROGRESSIONS, chord

ONSET_GRID = 16  # onsets a second that a listener can tell apart
CHORD_SIZE = {"jazz": 4}


@dataclass(frozen=True)
class Stem:
    """One part as recorded: samples at the level of the mix, notes in seconds."""

    counts_as: tuple[str, ...]
    samples: np.ndarray
    notes: list[Note]
    style: dict[str, float]


@dataclass(frozen=True)
class Style:
    """What an artist keeps from song to song."""

    production: studio.Production
    singer: str  # a voice of the bank
    female: bool
    formants: float  # ratio by which the singer's formants move
    tempo: float  # 0..1 within the genre's range


def style_of(artist: Artist) -> Style:
    """An artist's style, drawn from the artist's own random stream."""
    if artist.genre not in GENRES:
        raise ValueError(f"artist.genre: {artist.genre!r} is unknown; allowed: {', '.join(GENRES)}")
    genre = GENRES[artist.genre]
    rng = random_for(artist.seed, "style", artist.index)
    female = bool(rng.random() < genre.female)
    singers = voice.SINGERS[genre.voices]["female" if female else "male"]
    return Style(
        singer=str(rng.choice(singers)),
        female=female,
        formants=float(rng.uniform(-0.05, 0.08) if female else rng.uniform(-0.08, 0.05)),
        tempo=float(rng.random()),
        production=studio.draw_production(rng, genre.room),
    )


def song_frame(song: Song, style: Style) -> tuple[Frame, float]:
    """Key, mode, chords and feel of a song, and its tempo in beats a minute."""
    genre = GENRES[song.artist.genre]
    rng = random_for(song.artist.seed, "song", song.artist.index, song.album, song.track)
    low, high = genre.tempo
    tempo = low + (high - low) * float(np.clip(0.3 * style.tempo + 0.7 * rng.random(), 0, 1))
    mode = str(rng.choice(genre.modes.split("|")))
    kind = str(rng.choice(genre.progressions.split("|")))
    roots = PROGRESSIONS[kind][rng.integers(len(PROGRESSIONS[kind]))]
    meter = int(rng.choice(genre.meters))
    tonic = 60 + int(rng.integers(-6, 6))
    bars = int(CLIP_SECONDS * tempo / 60 / meter) + 1
    size = CHORD_SIZE.get(kind, 3)
    chords = tuple(chord(tonic, mode, roots[bar % len(roots)], size) for bar in range(bars))
    feel = float(rng.choice([0.5, 1.0, 2.0], p=genre.rates))
    return Frame(tonic, mode, chords, meter, feel), tempo


def _range(instrument: Instrument, part: Part, style: Style) -> tuple[int, int]:
    if part.range:
        return part.range
    if instrument.singing and voice.STYLES[instrument.singing].singers == 1:
        return voice.STYLES[instrument.singing].range(style.female)
    return instrument.low, instrument.high


def _seconds(notes: list[Note], tempo: float, timing: float, rng) -> list[Note]:
    """Notes in beats -> notes in seconds, played by people."""
    beat = 60 / tempo
    late = rng.normal(0, timing, len(notes)) if timing else np.zeros(len(notes))
    timed = [
        Note(max(0.0, note.onset * beat + float(shift)), note.duration * beat, int(note.pitch), note.velocity)
        for note, shift in zip(notes, late, strict=True)
    ]
    return [note for note in timed if note.onset < CLIP_SECONDS - 0.1]


def _record(part: Part, frame: Frame, tempo: float, style: Style, timing: float, song_rng, clip_rng) -> Stem | None:
    """One part of one section: composed, played, run through its effect; None if it stays silent."""
    instrument = INSTRUMENTS[str(song_rng.choice(part.instrument.split("|")))]
    program = int(song_rng.choice(instrument.programs)) if instrument.programs else 0
    options = {key: value.draw(song_rng) if isinstance(value, AnyOf) else value for key, value in part.options.items()}
    low, high = _range(instrument, part, style)
    notes = _seconds(part.pattern(frame, song_rng, clip_rng, low, high, **options), tempo, timing, clip_rng)
    names = instrument.counts_as
    if instrument.singing:
        singer, formants = style.singer, style.formants
        if voice.STYLES[instrument.singing].singers > 1:  # a choir, not the artist's singer
            sex = "female" if "female voice" in names else "male"
            singer, formants = str(song_rng.choice(voice.SINGERS["latin"][sex])), 0.0
        else:
            names = (*names, "female voice" if style.female else "male voice")
        samples = voice.sing(notes, instrument.singing, singer, formants, clip_rng)
    else:
        samples = play(instrument, notes, program, clip_rng)
    if part.effect:
        samples = part.effect(samples, song_rng)
    loudness = studio.playing_rms(samples)
    if not notes or loudness < 1e-6:
        return None
    level = part.level + song_rng.normal(0, 1.5) + clip_rng.normal(0, 1.0)
    return Stem(names, samples * np.float32(0.1 * 10 ** (level / 20) / loudness), notes, part.style)


def record_stems(song: Song, section: int) -> tuple[list[Stem], Frame, float]:
    """The stems of a section, with the song's frame and tempo."""
    artist, path = song.artist, (song.artist.index, song.album, song.track)
    style = style_of(artist)
    genre = GENRES[artist.genre]
    frame, tempo = song_frame(song, style)
    parts = genre.cast(random_for(artist.seed, "cast", *path))
    entry = random_for(artist.seed, "entry", *path, section)
    # The sections of a song begin at different chords.
    turn = int(entry.integers(len(frame.chords)))
    frame = Frame(frame.tonic, frame.mode, frame.chords[turn:] + frame.chords[:turn], frame.meter, frame.feel)
    plays = [bool(entry.random() < part.clip) for part in parts]
    if not any(plays):
        plays[0] = True
    stems = []
    for number, part in enumerate(parts):
        if plays[number]:
            streams = (
                random_for(artist.seed, "part", *path, number),
                random_for(artist.seed, "part", *path, number, section),
            )
            stem = _record(part, frame, tempo, style, genre.timing, *streams)
            stems += [stem] if stem else []
    return stems, frame, tempo


def _levels(stems: list[Stem], mix: np.ndarray) -> dict[str, float]:
    """Level in dB relative to the mix of everything that has a name; players of one name add in power."""
    power: dict[str, float] = {}
    for stem in stems:
        for name in stem.counts_as:
            power[name] = power.get(name, 0.0) + studio.playing_rms(stem.samples) ** 2
    whole = studio.playing_rms(mix)
    return {name: studio.decibels(value**0.5 / whole) for name, value in sorted(power.items())}


def _style_words(genre_style: dict[str, float], stems: list[Stem]) -> dict[str, float]:
    """The genre's style words, those that the parts add, and 'solo' where one player is alone."""
    words = dict(genre_style)
    for stem in stems:
        for word, strength in stem.style.items():
            words[word] = max(words.get(word, 0.0), strength)
    lonely = len({stem.counts_as for stem in stems}) == 1
    if lonely and not {"synth", "choir", "drums"} & set(stems[0].counts_as):
        words["solo"] = 1.0
    return words


def render_clip(song: Song, section: int) -> tuple[np.ndarray, Facts]:
    """One clip: float32 samples `[CLIP_SAMPLES]` in -1..1, and what can be heard in it.

    It depends on the arguments alone: the same in every process and in any order.
    """
    artist, path = song.artist, (song.artist.index, song.album, song.track)
    production = style_of(artist).production
    genre = GENRES[artist.genre]
    stems, _, tempo = record_stems(song, section)
    mix = np.zeros(CLIP_SAMPLES, np.float32)
    for stem in stems:
        mix += stem.samples
    song_level = random_for(artist.seed, "level", *path).normal(0, 2.0)
    clip_rng = random_for(artist.seed, "clip", *path, section)
    level = production.level + genre.level + song_level + clip_rng.normal(0, 1.0)
    album_rng = random_for(artist.seed, "album", artist.index, song.album)
    samples = studio.master(mix, production, float(np.clip(level, -30, -9)), album_rng, clip_rng)
    onsets = {int(note.onset * ONSET_GRID) for stem in stems for note in stem.notes}
    facts = Facts(
        genre=artist.genre,
        style=_style_words(genre.style, stems),
        levels=_levels(stems, mix),
        onsets_per_second=len(onsets) / CLIP_SECONDS,
        tempo=tempo,
        loudness=studio.decibels(studio.rms(samples)),
    )
    return samples, facts
