"""The sound of minitune: what is written is what is heard, and the same every time."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from minitune import render, soundfont, studio, voice
from minitune.facts import CLIP_SAMPLES, CLIP_SECONDS, SAMPLE_RATE, Artist, Song, random_for
from minitune.genres import GENRES
from minitune.instruments import INSTRUMENTS, play
from minitune.parts import OneOf
from minitune.patterns import BASS_LINES, GROOVES, Frame, Note, counterpoint, drums, melody
from minitune.theory import MODES, PROGRESSIONS, chord, fold, scale_pitch

SEED = 2014
CLIPS = 3  # a genre


def a_song(genre, index=0, track=1):
    return Song(Artist(index, genre, "Somebody", SEED), album=0, track=track)


@pytest.fixture(scope="module")
def clips():
    """{genre: [(samples, facts), ...]}, each clip by another artist."""
    return {
        genre: [render.render_clip(a_song(genre, index=100 * place + number), number) for number in range(CLIPS)]
        for place, genre in enumerate(GENRES)
    }


def peak_hertz(samples, low, high):
    """The strongest frequency between two limits."""
    padded = np.pad(samples * np.hanning(len(samples)), (0, 8 * len(samples)))
    power, hertz = np.abs(np.fft.rfft(padded)), np.fft.rfftfreq(len(padded), 1 / SAMPLE_RATE)
    band = (hertz > low) & (hertz < high)
    return hertz[band][np.argmax(power[band])]


# ------------------------------------------------------------------------------------------ randomness


def test_random_streams_do_not_depend_on_the_order_of_calls():
    first = random_for(1, "song", 3).random(4)
    random_for(1, "song", 4).random(100)
    assert np.array_equal(random_for(1, "song", 3).random(4), first)
    others = [random_for(2, "song", 3), random_for(1, "song", 4), random_for(1, "son", "g/3x")]
    assert not any(np.isclose(other.random(), first[0]) for other in others)


def test_a_clip_is_the_same_again_after_others_and_in_another_process():
    song = a_song("pop", index=7)
    samples, facts = render.render_clip(song, 1)
    render.render_clip(a_song("choir", index=8), 0)
    again, facts_again = render.render_clip(song, 1)
    assert samples.tobytes() == again.tobytes()
    assert facts == facts_again
    program = (
        "import hashlib; from minitune.render import render_clip; from minitune.facts import Artist, Song;"
        f"print(hashlib.sha256(render_clip(Song(Artist(7, 'pop', 'Somebody', {SEED}), 0, 1), 1)[0]).hexdigest())"
    )
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == hashlib.sha256(samples).hexdigest()


def test_sections_of_a_song_differ_in_sound_but_not_in_tempo():
    (first, facts), (second, other) = (render.render_clip(a_song("folk", 3), section) for section in (0, 1))
    assert facts.tempo == other.tempo
    assert np.abs(np.corrcoef(first, second)[0, 1]) < 0.5


# ------------------------------------------------------------------------------------------ clips


@pytest.mark.parametrize("genre", GENRES)
def test_each_genre_gives_whole_clean_clips(clips, genre):
    for samples, facts in clips[genre]:
        assert samples.shape == (CLIP_SAMPLES,) and samples.dtype == np.float32
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() < 1
        assert np.mean(np.abs(samples) > 0.985) < 1e-4, "clipped"
        assert abs(samples.mean()) < 0.005, "an offset"
        assert -32 < facts.loudness < -8
        assert facts.loudness == pytest.approx(20 * np.log10(np.std(samples)), abs=0.1)
        assert facts.levels and max(facts.levels.values()) > -8
        assert facts.style and all(0 <= strength <= 1 for strength in facts.style.values())
        assert 0 < facts.onsets_per_second <= 16
        assert facts.genre == genre


@pytest.mark.parametrize("genre", GENRES)
def test_clips_of_a_genre_are_not_all_alike(clips, genre):
    spectra = [np.abs(np.fft.rfft(samples[:400_000].reshape(-1, 1000))).mean(axis=0) for samples, _ in clips[genre]]
    likeness = np.corrcoef(np.log(np.array(spectra)))
    assert np.min(likeness) < 0.97


def test_loudness_tells_little_about_genre(clips):
    """Omega squared, the share of variance between genres without what chance adds, stays below .25."""
    groups = np.array([[facts.loudness for _, facts in clips[genre]] for genre in GENRES])
    count, size = groups.shape
    between = size * np.square(groups.mean(axis=1) - groups.mean()).sum()
    within = np.square(groups - groups.mean(axis=1, keepdims=True)).sum()
    noise = within / (count * (size - 1))
    assert (between - (count - 1) * noise) / (between + within + noise) < 0.25


def test_genres_play_at_several_rates():
    for genre in GENRES:
        frames = [
            render.song_frame(song, render.style_of(song.artist)) for song in (a_song(genre, i) for i in range(40))
        ]
        tempi = [tempo for _, tempo in frames]
        assert {frame.feel for frame, _ in frames} == {0.5, 1.0, 2.0}
        assert min(tempi) >= GENRES[genre].tempo[0] and max(tempi) <= GENRES[genre].tempo[1]
        assert max(tempi) > 1.1 * min(tempi)


def test_what_levels_names_adds_energy():
    song = a_song("rock", 2)
    stems, _, _ = render.record_stems(song, 0)
    _, facts = render.render_clip(song, 0)
    mix = sum(stem.samples.astype(float) for stem in stems)
    assert {name for stem in stems for name in stem.counts_as} == set(facts.levels)
    assert {"drums", "guitar"} <= set(facts.levels)
    for name, level in facts.levels.items():
        rest = mix - sum(stem.samples for stem in stems if name in stem.counts_as)
        added = np.mean(mix**2) - np.mean(rest**2)
        assert added > 0, name
        # Over the whole clip, where `levels` takes the louder half: up to 3 dB below it.
        assert -5 < 10 * np.log10(added / np.mean(mix**2)) - level < 2.5, name


def test_an_unknown_genre_is_named():
    with pytest.raises(ValueError, match=r"artist\.genre: 'polka' is unknown; allowed: solo"):
        render.render_clip(a_song("polka"), 0)


# ------------------------------------------------------------------------------------------ the recipes


def all_parts(genre):
    for item in genre.parts:
        for _, lineup in item.lineups if isinstance(item, OneOf) else ((1, (item,)),):
            yield from lineup


@pytest.mark.parametrize("genre", GENRES)
def test_recipes_use_only_words_that_exist(genre):
    recipe = GENRES[genre]
    assert set(recipe.modes.split("|")) <= MODES.keys()
    assert set(recipe.progressions.split("|")) <= PROGRESSIONS.keys()
    assert recipe.room in studio.ROOMS and recipe.voices in voice.SINGERS
    assert abs(recipe.level) <= 2
    for part in all_parts(recipe):
        assert set(part.instrument.split("|")) <= INSTRUMENTS.keys()
        assert set(part.options.get("grooves", "rock").split("|")) <= GROOVES.keys()
        assert set(part.options.get("lines", "root").split("|")) <= BASS_LINES.keys()


PLAYED = (
    "guitar, piano, harpsichord, violin, cello, strings, flute, harp, sitar, synth, drums, beat, bass, choir, voice, "
    "organ, horns, trumpet, oboe, clarinet, banjo, fiddle, tabla, drone, bells, lute, accordion, female voice, "
    "male voice, acoustic guitar, distorted guitar"
)
STYLES = (
    "classical, baroque, opera, chant, techno, trance, electro, electronic, ambient, new age, rock, hard rock, metal, "
    "pop, country, folk, celtic, jazz, indian, eastern, foreign, weird, modern, dance, orchestral, medieval, funk, "
    "space"
)


def test_everything_that_listeners_name_is_played_somewhere():
    parts = [part for genre in GENRES.values() for part in all_parts(genre)]
    played = {name for part in parts for key in part.instrument.split("|") for name in INSTRUMENTS[key].counts_as}
    styles = {word for holder in (*GENRES.values(), *parts) for word in holder.style}
    assert not set(PLAYED.split(", ")) - played - {"female voice", "male voice"}  # these two are the singers'
    assert not set(STYLES.split(", ")) - styles


def test_scales_and_chords():
    assert [scale_pitch(60, "major", degree) for degree in (0, 2, 7, -1)] == [60, 64, 72, 59]
    assert chord(57, "minor", 0) == (57, 60, 64)
    assert fold(30, 60, 72) == 66 and fold(90, 60, 72) == 66


def a_frame(bars=8, mode="major"):
    return Frame(60, mode, tuple(chord(60, mode, degree) for degree in (0, 3, 4, 0)) * (bars // 4), 4)


@pytest.mark.parametrize("pattern", [melody, counterpoint])
def test_lines_stay_in_the_scale_and_in_the_range(pattern):
    notes = pattern(a_frame(), random_for(1, "song"), random_for(1, "clip"), 55, 79)
    assert len(notes) > 10
    assert {note.pitch % 12 for note in notes} <= {0, 2, 4, 5, 7, 9, 11}
    assert all(55 <= note.pitch <= 79 and note.duration > 0 for note in notes)


# ------------------------------------------------------------------------------------------ instruments


@pytest.mark.parametrize("instrument", ["piano", "violin", "flute"])
def test_a_written_a4_sounds_at_440_hz_and_stops(instrument):
    program = INSTRUMENTS[instrument].programs[0]
    wave = play(INSTRUMENTS[instrument], [Note(1.0, 1.0, 69, 100)], program, random_for(1, "x"))
    sounding = wave[SAMPLE_RATE : 2 * SAMPLE_RATE]
    assert peak_hertz(sounding, 300, 600) == pytest.approx(440, rel=0.008)
    assert not wave[:SAMPLE_RATE].any()
    end = int((2 + soundfont.MAX_RELEASE) * SAMPLE_RATE) + 1
    assert studio.rms(wave[end:]) == 0 and studio.rms(sounding) > 1e-3


def test_high_notes_do_not_alias():
    """A flute at 2.1 kHz has nothing to say below its fundamental."""
    wave = play(INSTRUMENTS["flute"], [Note(0.0, 2.0, 96, 100)], 73, random_for(1, "x"))[8000:30_000]
    power = np.square(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))))
    hertz = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    assert power[(hertz > 100) & (hertz < 1800)].sum() < 0.02 * power.sum()


def test_a_file_that_is_no_soundfont_is_refused(tmp_path):
    path = tmp_path / "song.sf2"
    path.write_bytes(b"RIFF\x04\x00\x00\x00WAVE")
    with pytest.raises(ValueError, match=r"path: .*song\.sf2 is not a SoundFont 2 file"):
        soundfont.SoundFont(path)


def test_drums_sound_where_they_are_written():
    """Each stroke raises the power of all bands at once, within 20 ms of its place."""
    beat = 0.6
    notes = drums(a_frame(), random_for(1, "s"), random_for(1, "c"), 0, 0, grooves="rock", fills=False)
    timed = [note._replace(onset=note.onset * beat, duration=0.2) for note in notes]
    wave = play(INSTRUMENTS["drum kit"], timed, 0, random_for(1, "x"))
    snares = sorted(note.onset for note in timed if note.pitch in (38, 39))
    assert len(snares) == 16
    for low, high in ((150, 1000), (1000, 3000), (3000, 7500)):
        band = sosfilt(butter(4, (low, high), "band", fs=SAMPLE_RATE, output="sos"), wave)
        for onset in snares:
            at, width = int(onset * SAMPLE_RATE), int(0.02 * SAMPLE_RATE)
            assert studio.rms(band[at : at + 2 * width]) > 2 * studio.rms(band[at - width : at])


# ------------------------------------------------------------------------------------------ singing


@pytest.mark.parametrize(
    ("singer", "style", "pitch"),
    [("en+f4", "pop", 69), ("en+m1", "pop", 52), ("it+f2", "opera", 76), ("la+m1", "chant", 50)],
)
def test_a_sung_note_has_the_written_pitch(singer, style, pitch):
    notes = [Note(0.5 + second, 0.95, pitch, 100) for second in range(8)]
    wave = voice.sing(notes, style, singer, 0.0, random_for(1, "x"))[SAMPLE_RATE : 8 * SAMPLE_RATE]
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    lag = np.fft.irfft(np.square(np.abs(np.fft.rfft(wave, 1 << 18))))
    lags = np.arange(int(0.75 * SAMPLE_RATE / hertz), int(1.4 * SAMPLE_RATE / hertz))
    assert SAMPLE_RATE / lags[np.argmax(lag[lags])] == pytest.approx(hertz, rel=0.04)


def test_women_have_higher_formants_than_men():
    bank = voice.build_bank()

    def formant_hertz(singer):
        """Centre of the vowels' first two formants, from smoothed spectra: 250 to 2500 Hz."""
        hertz = np.fft.rfftfreq(voice.SIZE, 1 / SAMPLE_RATE)
        band = (hertz > 250) & (hertz < 2500)
        power = sum(np.exp(2 * syllable.spectra[syllable.vowel]) for syllable in bank[singer])
        return (hertz * power)[band].sum() / power[band].sum()

    women, men = ([formant_hertz(singer) for singer in voice.SINGERS["english"][sex]] for sex in ("female", "male"))
    assert np.mean(women) > 1.08 * np.mean(men)


def test_rests_are_silent():
    wave = voice.sing([Note(1, 1, 60, 90), Note(20, 1, 62, 90)], "pop", "en+f2", 0.0, random_for(1, "x"))
    assert studio.rms(wave[3 * SAMPLE_RATE : 19 * SAMPLE_RATE]) == 0
    assert studio.rms(wave[SAMPLE_RATE : 2 * SAMPLE_RATE]) > 1e-3


# ------------------------------------------------------------------------------------------ production


def test_the_master_reaches_its_level_without_clipping():
    clicks = np.zeros(CLIP_SAMPLES, np.float32)
    clicks[:: SAMPLE_RATE // 4] = 1.0
    noise = random_for(1, "noise").standard_normal(CLIP_SAMPLES, np.float32)
    dry = studio.Production(reverb=0.5, wet=0.1, tilt=0.0, hiss=-90, level=-12, band=None)
    for mix in (noise, noise + 20 * clicks):
        out = studio.master(mix, dry, -12.0, random_for(1, "album"), random_for(1, "clip"))
        assert studio.decibels(studio.rms(out)) == pytest.approx(-12, abs=1.0)
        assert np.abs(out).max() <= 0.99


def test_a_longer_room_rings_longer():
    click = np.zeros(CLIP_SAMPLES, np.float32)
    click[: SAMPLE_RATE // 10] = 1.0
    tails = []
    for seconds in (0.5, 3.0):
        made = studio.Production(reverb=seconds, wet=0.5, tilt=0.0, hiss=-120, level=-30, band=None)
        out = studio.master(click, made, -30.0, random_for(1, "album"), random_for(1, "clip"))
        tails.append(studio.rms(out[SAMPLE_RATE : int(1.5 * SAMPLE_RATE)]))
    assert tails[1] > 10 * tails[0]


def test_clip_length_is_magnatagatunes():
    assert round(CLIP_SECONDS * SAMPLE_RATE) == CLIP_SAMPLES
