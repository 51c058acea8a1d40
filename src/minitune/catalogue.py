"""Artists, albums, songs and clips: who is in the dataset, under which path and in which part.

A catalogue is a pure function of the number of clips and the seed; no sound is made here. As in
MagnaTagATune, an album lies wholly in one of the 16 parts, so no song crosses from training to test, while
some artists do: of 1,200 clips, 60 % of the test clips are by artists who are also in training; in the
original 62 %.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from minitune import names
from minitune.facts import Artist, Song, random_for
from minitune.genres import GENRES

PARTS = "0123456789abcdef"

# The parts by use, and the share of the clips that each use gets. Validation and test are larger than in the
# original (7 % and 21 %): of 1,200 clips they would else leave a rare tag without one positive clip.
SPLITS = {"train": "0123456789ab", "validation": "c", "test": "def"}
SPLIT_WEIGHTS = {"train": 0.504, "validation": 0.156, "test": 0.340}

CLIPS_FEWEST, CLIPS_MOST = 32, 25_863  # the most: as many as the original has

# Parts are balanced in each genre before they are balanced in all: by three, each of the 22 genres is in
# training, validation and test from 640 clips on.
GENRE_FIRST = 3

# How many albums an artist has, artist by artist within a genre.
ALBUMS_OF_ARTISTS = (2, 1, 1, 3, 1, 2, 1, 1, 2, 1)
CLIPS_PER_SONG = (2, 3)
SEGMENT_SECONDS = 29  # segments of a song begin at 0 and at 1 plus multiples of this, as in the original


@dataclass(frozen=True)
class Clip:
    """One row of the tables: a section of a song, and the file it goes into."""

    clip_id: int
    song: Song
    section: int  # place of the segment in its song, from 0
    title: str
    album: str
    part: str

    @property
    def start(self) -> int:
        """Second of the song at which the clip begins."""
        return 0 if self.section == 0 else 1 + SEGMENT_SECONDS * self.section

    @property
    def end(self) -> int:
        """Second of the song at which the clip ends."""
        return self.start + SEGMENT_SECONDS

    @property
    def path(self) -> str:
        """PART/artist-album-NN-title-START-END.mp3."""
        artist, album, title = (names.slug(name) for name in (self.song.artist.name, self.album, self.title))
        return f"{self.part}/{artist}-{album}-{self.song.track:02d}-{title}-{self.start}-{self.end}.mp3"


@dataclass(frozen=True)
class Album:
    """An artist's album: its number among the artist's albums and how many clips it holds."""

    artist: Artist
    number: int
    clips: int


def genre_sequence(length: int) -> list[str]:
    """Genres in a low-discrepancy order: after any number of artists each has had its share, within one."""
    shares = np.array([genre.share for genre in GENRES.values()])
    shares = shares / shares.sum()
    given = np.zeros(len(shares))
    sequence = []
    for position in range(1, length + 1):
        chosen = int(np.argmax(shares * position - given))
        given[chosen] += 1
        sequence.append(list(GENRES)[chosen])
    return sequence


def artists(clips: int, seed: int) -> list[Artist]:
    """As many artists as suit so many clips: 139 for 1,200 clips, 643 for 25,863."""
    count = min(round(4 * clips**0.5), clips // 2)
    who = names.artist_names(count, random_for(seed, "artist names"))
    return [Artist(i, genre, who[i], seed) for i, genre in enumerate(genre_sequence(count))]


def albums(clips: int, seed: int) -> list[Album]:
    """The albums, artist by artist; together they hold exactly `clips` clips, each at least one."""
    everyone = artists(clips, seed)
    wanted = []
    seen = Counter()
    for artist in everyone:
        several = ALBUMS_OF_ARTISTS[seen[artist.genre] % len(ALBUMS_OF_ARTISTS)]
        seen[artist.genre] += 1
        wanted += [(artist, number) for number in range(several)]
    if clips < 2 * len(wanted):  # too few clips to give every album a song of two
        wanted = [(artist, 0) for artist in everyone]
    weights = random_for(seed, "album sizes").uniform(0.7, 1.3, len(wanted))
    bounds = np.floor(np.cumsum(weights) / weights.sum() * clips + 0.5).astype(int)
    sizes = np.diff(bounds, prepend=0)
    return [Album(artist, number, int(size)) for (artist, number), size in zip(wanted, sizes, strict=True)]


def parts(sequence: list[Album]) -> list[str]:
    """A part for each album: its split is the one furthest behind its share, in the genre and in all."""
    in_genre, in_all, in_part = Counter(), Counter(), Counter()
    chosen = []
    for album in sequence:
        genre = album.artist.genre
        in_genre[genre] += album.clips
        in_all["clips"] += album.clips

        def behind(split, genre=genre):
            weight = SPLIT_WEIGHTS[split]
            in_its_genre = weight * in_genre[genre] - in_genre[genre, split]
            return GENRE_FIRST * in_its_genre + weight * in_all["clips"] - in_all[split]

        split = max(SPLITS, key=behind)
        part = min(SPLITS[split], key=lambda name: in_part[name])
        in_genre[genre, split] += album.clips
        in_all[split] += album.clips
        in_part[part] += album.clips
        chosen.append(part)
    return chosen


def song_sizes(clips: int, random: np.random.Generator) -> list[int]:
    """Split an album's clips into songs of two or three (a lone clip is a song of one)."""
    sizes = []
    while clips > 0:
        size = int(random.integers(CLIPS_PER_SONG[0], CLIPS_PER_SONG[1] + 1))
        size = clips if clips <= CLIPS_PER_SONG[1] else min(size, clips - CLIPS_PER_SONG[0])
        sizes.append(size)
        clips -= size
    return sizes


def catalogue(clips: int, seed: int) -> list[Clip]:
    """All clips of the dataset, artist by artist.

    Raises ValueError unless CLIPS_FEWEST <= clips <= CLIPS_MOST.
    """
    if not CLIPS_FEWEST <= clips <= CLIPS_MOST:
        raise ValueError(f"clips: {clips} given, {CLIPS_FEWEST} to {CLIPS_MOST} allowed")
    rows = []
    clip_id = 1
    sequence = albums(clips, seed)
    for album, part in zip(sequence, parts(sequence), strict=True):
        random = random_for(seed, "album", album.artist.index, album.number)
        album_title = names.album_title(album.number, random_for(seed, "albums of", album.artist.index))
        sizes = song_sizes(album.clips, random)
        titles = names.song_titles(len(sizes), random)
        for track, (size, title) in enumerate(zip(sizes, titles, strict=True), start=1):
            song = Song(album.artist, album.number, track)
            sections = np.cumsum(random.integers(1, 3, size)) - 1  # gaps of no or one segment: never the same
            for section in sections:
                clip_id += int(random.integers(1, 4))  # the original's ids have gaps too
                rows.append(Clip(clip_id, song, int(section), title, album_title, part))
    paths = Counter(clip.path for clip in rows)
    assert len(paths) == len(rows) == clips, "two clips share a path, or a clip is missing"
    return rows
