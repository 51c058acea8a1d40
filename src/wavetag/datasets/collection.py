"""A user's collection of music, read into tracks: from a table, MTG-Jamendo's tables, or one folder a tag.

MTG-Jamendo: D. Bogdanov, M. Won, P. Tovstogan, A. Porter and X. Serra, "The MTG-Jamendo dataset for automatic music
tagging", Machine Learning for Music Discovery Workshop, ICML 2019.
"""

import csv
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from unicodedata import normalize

from wavetag.datasets.layout import DatasetError
from wavetag.files import is_file, is_there

TABLE_SUFFIXES = (".csv", ".tsv")
SPLIT_WORDS = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
}
COLUMNS = ("path", "tags", "split", "artist", "album", "title")
MEANT = {  # what people call the columns that are needed
    **dict.fromkeys(("file", "filename", "file_path", "filepath", "file name"), "path"),
    **dict.fromkeys(("tag", "label", "labels", "genre", "genres"), "tags"),
}
SEPARATORS = ";|,"  # of tags: the first that is in a cell separates
JAMENDO = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # how text of this encoding begins
HEAD = 2**16  # bytes that tell most files apart
UNNAMED = "names that are not one line of text in UTF-8, left out"
NAMED = 5  # of the files that are left out so many are named


@dataclass(frozen=True)
class Track:
    """A file of the user's.

    Attributes:
        name: as the user calls it: its path from the table or folder.
        split: train, valid or test; empty if it is to be dealt out.
    """

    file: Path
    name: str
    tags: tuple[str, ...]
    split: str = ""
    artist: str = ""
    album: str = ""
    title: str = ""


def read(source: Path, audio: str | None, say: Callable[[str], None]) -> list[Track]:
    """The tracks of a source that are there, sorted by name, each once, each tag and artist in one spelling.

    Args:
        source: the table or the folder.
        audio: where a table's paths begin, if not at the table.
        say: is told what is not used or left out, a line at a time.

    Raises:
        DatasetError: a source that is none of the three, or a row that cannot be.
    """
    if source.is_dir():
        tables = _tables_in(source, say)
        if audio and not tables:
            say(f"dataset.audio: not used: {source} has no table with paths")
        tracks = _read_tables(tables, audio, say) if tables else _one_folder_a_tag(source, say)
    elif source.is_file():
        tracks = _read_tables([source], audio, say)
    else:
        raise DatasetError(f"{source}: no such file or folder")
    return sorted(_one_spelling(tracks), key=lambda track: track.name)


def _tables_in(source: Path, say: Callable[[str], None]) -> list[Path]:
    """The table that makes a folder a dataset, or MTG-Jamendo's three of a split; none where folders are the tags."""
    found = [path for path in sorted(source.iterdir()) if path.suffix.lower() in TABLE_SUFFIXES and path.is_file()]
    headers = {path: _header(path) for path in found if not path.name.startswith(".")}
    tables = [path for path, header in headers.items() if _is_jamendo(header) or "path" in map(str.lower, header)]
    for path in sorted(headers.keys() - set(tables)):
        say(f"{source}: not used: {shown(path.name)}: {_lacking('path', headers[path])}")
    if not tables:
        return []
    of_split = sorted(_split_in_name(path) for path in tables if _is_jamendo(headers[path]))
    if len(tables) > 1 and not (len(tables) == 3 and of_split == sorted(set(SPLIT_WORDS.values()))):
        raise DatasetError(
            f"{source}: {len(tables)} tables, {', '.join(path.name for path in tables)}: name the one that is meant as"
            " the source. Three together are MTG-Jamendo's alone, -train, -validation and -test, with no other beside"
        )
    say(f"{source}: taking {', '.join(path.name for path in tables)} for its table")
    return tables


def _split_in_name(path: Path) -> str:
    return SPLIT_WORDS.get(re.split(r"[-_.]", path.stem.lower())[-1], "")


def _is_jamendo(header: Sequence[str]) -> bool:
    return tuple(header[:5]) == JAMENDO[:5]


def _lacking(needed: str, header: Sequence[str]) -> str:
    names = [name.lower() for name in header]
    meant = [name for name in names if MEANT.get(name) == needed] or get_close_matches(needed, names, 1)
    hint = f"; {meant[0]!r} looks like it: call it {needed}" if meant else ""
    return f"no column {needed}{hint}; there are {', '.join(header)}"


def _header(path: Path) -> list[str]:
    """The names of the columns, whatever is wrong with the table."""
    with path.open("rb") as file:
        first = file.read(HEAD)
    text = first.decode("utf-16" if first.startswith(UTF16) else "utf-8-sig", errors="replace")
    line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return [name.strip() for name in next(csv.reader([line], delimiter=_delimiter(path, line)), [])]


def _delimiter(path: Path, header: str) -> str:
    if path.suffix.lower() == ".tsv" or ("\t" in header and "," not in header):
        return "\t"
    return ";" if "," not in header and ";" in header else ","


def _read_rows(path: Path) -> list[list[str]]:
    """The cells of a table, its header first."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = "it begins as UTF-16 does" if data.startswith(UTF16) else f"byte {error.start} is not"
        raise DatasetError(f"{path}: a table has to be text in UTF-8: {found}; save it as UTF-8") from error
    if "\0" in text:
        raise DatasetError(f"{path}: a table has to be text in UTF-8: there are null bytes; save it as UTF-8")
    delimiter = _delimiter(path, re.split(r"[\r\n]", text, maxsplit=1)[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=delimiter != "\t")
    rows, begun = [], 1
    try:
        for row in reader:
            rows.append(row)
            begun = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(
            f"{path}, line {begun}: {error} (line {reader.line_num}); in a quoted cell a quotation mark is doubled"
        ) from error
    if len(rows) < 2:
        raise DatasetError(f"{path}: no rows; a header with path and tags, and a row a file, are needed")
    return rows


def _read_tables(tables: Sequence[Path], audio: str | None, say: Callable[[str], None]) -> list[Track]:
    """The tracks of a table, or of several that are one dataset: then their names say the split."""
    placed = []  # (table, row, track)
    for table in tables:
        rows = _read_rows(table)
        base = Path(audio).expanduser() if audio else table.parent
        header = [name.strip() for name in rows[0]]
        if _is_jamendo(header):
            of_table = _jamendo(table, rows, base, _split_in_name(table) if len(tables) > 1 else "")
        else:
            of_table = _table(table, header, rows, base, say)
        placed += [(table, number, track) for number, track in of_table]
    if not placed:
        raise DatasetError(f"{tables[0]}: no rows but blank ones; a row a file is needed")
    _refuse_twice(placed)
    unsplit = [(table, number) for table, number, track in placed if not track.split]
    if unsplit and len(unsplit) < len(placed):
        table, number = unsplit[0]
        raise DatasetError(f"{table}, row {number}: no split, though other rows have one; give it for all or for none")
    return _there([track for _, _, track in placed], say)


def _refuse_twice(placed: Sequence[tuple[Path, int, Track]]) -> None:
    """One file by whichever path (a link, ./NAME) is one file: it must not train and test."""
    rows: dict[Path, tuple[Path, int]] = {}
    for table, number, track in placed:
        file = track.file.resolve() if is_file(track.file) else track.file.absolute()
        first, row = rows.setdefault(file, (table, number))
        if (first, row) != (table, number):
            where = f"rows {row} and {number}" if first == table else f"row {number}, and in {first.name}, row {row}"
            raise DatasetError(f"{table}: {track.name!r} stands in {where}")


def _table(
    table: Path, header: Sequence[str], rows: Sequence[Sequence[str]], base: Path, say: Callable[[str], None]
) -> Iterator[tuple[int, Track]]:
    names = [name.lower() for name in header]
    for needed in ("path", "tags"):
        if needed not in names:
            raise DatasetError(f"{table}: {_lacking(needed, header)}")
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise DatasetError(f"{table}: column {twice[0]} stands {names.count(twice[0])} times; once is allowed")
    ignored = [name for name in header if name and name.lower() not in COLUMNS]
    if ignored:
        say(f"{table}: not used: column {', '.join(ignored)}")
    for number, cells in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{table}, row {number}"
        if len(cells) != len(header):
            raise DatasetError(f"{where}: {len(cells)} cells where the header has {len(header)}")
        row = dict(zip(names, cells, strict=True))
        for name, cell in row.items():
            _refuse_line_break(cell, name, where, always=name in COLUMNS)
        split = row.get("split", "").strip()
        if split and split.lower() not in SPLIT_WORDS:
            raise DatasetError(f"{where}: split {split!r}; allowed are train, valid and test")
        about = {name: row.get(name, "").strip() for name in ("album", "title")}
        separator = next((mark for mark in SEPARATORS if mark in row["tags"]), ",")
        yield (
            number,
            Track(
                _within(base, row["path"], where),
                row["path"],
                _tags(row["tags"].split(separator)),
                SPLIT_WORDS.get(split.lower(), ""),
                _spelt(row.get("artist", "")),
                **about,
            ),
        )


def _refuse_line_break(cell: str, name: str, where: str, always: bool) -> None:
    """A quotation mark that is left open takes the rows after it into its cell; a comment may have lines."""
    if re.search(r"[\r\n]", cell) and (always or "\t" in cell):
        raise DatasetError(
            f"{where}: column {name} has a line break, {cell[:40]!r}; one line is allowed: is a quotation mark open?"
        )


def _jamendo(table: Path, rows: Sequence[Sequence[str]], base: Path, split: str) -> Iterator[tuple[int, Track]]:
    """MTG-Jamendo's rows end in as many cells as there are tags; its smaller files are called NAME.low.mp3."""
    for number, cells in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{table}, row {number}"
        if len(cells) < 5:
            raise DatasetError(f"{where}: {len(cells)} cells; needed are {', '.join(JAMENDO)}")
        for cell in cells:
            _refuse_line_break(cell, "PATH or TAGS", where, always=True)
        _, artist, album, path = cells[:4]
        file = _within(base, path, where)
        low = file.with_suffix(f".low{file.suffix}")
        file = file if is_file(file) or not is_file(low) else low
        yield number, Track(file, path, _tags(cells[5:]), split, _spelt(artist), album.strip())


def _within(base: Path, path: str, where: str) -> Path:
    """A path of a table: as it is, or below ``base``; without the spaces around it if it is not there with them."""
    if not path.strip():
        raise DatasetError(f"{where}: no path")
    if not Path(path).is_absolute() and ".." in Path(path.strip()).parts:
        raise DatasetError(f"{where}: the path {path!r} leads out of {base}")
    for written in dict.fromkeys((path, path.strip())):
        file = base / written
        if is_file(file) or is_file(file := _as_on_disk(base, written)):
            return file
    return base / path.strip()


def _as_on_disk(base: Path, path: str) -> Path:
    """A path below ``base``, each part in the Unicode form, composed or not, in which it is there."""
    for part in Path(path).parts:
        forms = (part, normalize("NFC", part), normalize("NFD", part))
        base = next((base / form for form in forms if is_there(base / form)), base / part)
    return base


def _there(tracks: Sequence[Track], say: Callable[[str], None]) -> list[Track]:
    """Those tracks whose files are there, under names that can be written."""
    there = [track for track in tracks if is_file(track.file)]
    if not there:
        raise DatasetError(f"{shown(tracks[0].file)}: no such file, and so it is with all of {len(tracks)}")
    tell([track.file for track in tracks if not is_file(track.file)], "not there, left out", say)
    named = [track for track in there if _can_be_written(track.file)]
    if not named:
        raise DatasetError(f"{shown(there[0].file.absolute())}: a path has to be one line of text in UTF-8")
    tell([track.file for track in there if not _can_be_written(track.file)], UNNAMED, say)
    return named


def _can_be_written(file: Path) -> bool:
    """Whether a table can hold the path of a file."""
    try:
        return not re.search(rb"[\r\n]", str(file.absolute()).encode())
    except UnicodeEncodeError:
        return False


def _one_folder_a_tag(source: Path, say: Callable[[str], None]) -> list[Track]:
    """A file that is in two of the folders is one track with both tags: else it would train and test."""
    readable = _readable_suffixes()
    found, skipped, links, gone, unnamed = [], [], [], [], []
    top = sorted(path for path in source.iterdir() if not path.name.startswith("."))
    for tag in (path for path in top if path.is_dir()):
        for path in _below(tag):
            if path.is_dir():
                links.append(path)
            elif path.suffix.lower() not in readable:
                skipped.append(path)
            elif not is_file(path):
                gone.append(path)
            elif not _can_be_written(path):
                unnamed.append(path)
            else:
                found.append((tag.name, path))
    loose = [path for path in top if path.is_file() and path.suffix.lower() in readable]
    tell(loose, "beside the folders, which are the tags, not in one: left out", say)
    tell(links, "links to folders, not followed", say)
    tell(skipped, "no audio by their names, skipped", say)
    tell(gone, "not there, left out", say)
    tell(unnamed, UNNAMED, say)
    if not found:
        raise DatasetError(
            f"{source}: no table ({', '.join(TABLE_SUFFIXES)}) with a column path, and no folders with audio files in"
            " it, one folder a tag"
        )
    tracks: dict[tuple, Track] = {}
    for (tag, file), key in zip(found, copies([file for _, file in found]), strict=True):
        known = tracks.get(key, Track(file, file.relative_to(source).as_posix(), ()))
        tracks[key] = replace(known, tags=_tags([*known.tags, tag]))
    if len(found) > len(tracks):
        say(f"{len(found) - len(tracks)} files are copies of others: their tags are joined")
    return list(tracks.values())


def _readable_suffixes() -> set[str]:
    """Those of the files that libsndfile reads by themselves: .raw ones do not say their rate."""
    import soundfile

    readable = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"}
    return readable | {".mp3", ".oga", ".opus", ".aif", ".aifc", ".snd", ".wave"}


def _below(folder: Path) -> list[Path]:
    """The files below a folder and the links to folders, sorted, none of them hidden or in a hidden folder."""
    found = []
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(top, name) for name in folders if Path(top, name).is_symlink()]
        found += [Path(top, name) for name in names if not name.startswith(".")]
    return sorted(found)


def copies(files: Sequence[Path]) -> list[tuple]:
    """A key for each file, which those with the same bytes share; of most no more is read than their size.

    Empty files are no copies of one another.
    """
    keys = [(size,) if (size := file.stat().st_size) else (0, str(file)) for file in files]
    for most in (HEAD, -1):
        counts = Counter(keys)
        keys = [(*key, _digest(file, most)) if counts[key] > 1 else key for key, file in zip(keys, files, strict=True)]
    return keys


def _digest(file: Path, most: int) -> str:
    """Of the first ``most`` bytes of a file, or of all (-1); of what cannot be read, its own path."""
    try:
        with file.open("rb") as opened:
            if most >= 0:
                return hashlib.sha256(opened.read(most)).hexdigest()
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return str(file)


def tell(paths: Sequence[Path], what: str, say: Callable[[str], None]) -> None:
    """Say what is with some files, the first of them by name."""
    if paths:
        more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
        say(f"{what}: {', '.join(map(shown, paths[:NAMED]))}{more}")


def shown(path: str | Path) -> str:
    """A path as it can be printed: its bytes where it is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return repr(os.fsencode(path))
    return str(path)


def _spelt(word: str) -> str:
    """A word with composed letters and single spaces."""
    return " ".join(normalize("NFC", word).split())


def _tags(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in map(_spelt, words) if word))


def _one_spelling(tracks: Sequence[Track]) -> list[Track]:
    """Tags that differ in upper and lower case alone are one, spelt as most often; so are artists."""
    tags = _spellings(tag for track in tracks for tag in track.tags)
    artists = _spellings(track.artist for track in tracks)
    return [
        replace(track, tags=_tags(tags[_folded(tag)] for tag in track.tags), artist=artists[_folded(track.artist)])
        for track in tracks
    ]


def _spellings(words: Iterable[str]) -> dict[str, str]:
    """For words without upper case the spelling that is there most often, then first in the alphabet."""
    counts = Counter(words)
    spellings: dict[str, str] = {}
    for word in sorted(counts, key=lambda word: (-counts[word], word)):
        spellings.setdefault(_folded(word), word)
    return spellings


def _folded(word: str) -> str:
    return normalize("NFC", word.casefold())
