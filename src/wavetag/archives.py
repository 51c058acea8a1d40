"""Zip archives in several parts, unpacked without a joined copy, and never outside of one folder."""

import io
import lzma
import stat
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from itertools import accumulate
from pathlib import Path, PurePosixPath

from wavetag import files

MOST_EXPANSION = 20  # how many times larger than the archive its content may be: music does not shrink much
LONGEST_PATH = 1024  # bytes of a member's; file systems take 4096 with the folder's
CHUNK = 2**20  # bytes


class ArchiveError(ValueError):
    """An archive that is damaged, or that asks for something that is not done."""


class _BeforeStart(OSError):
    """Where a damaged archive points to; zipfile takes this kind of error for the end of a short file."""


class Joined(io.RawIOBase):
    """Files read as if they were one, one after the other."""

    def __init__(self, paths: Sequence[Path]):
        super().__init__()
        self.files = [path.open("rb") for path in paths]
        self.starts = [0, *accumulate(path.stat().st_size for path in paths)]
        self.position = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where it is, in bytes from the start of the first file."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; see ``io.IOBase.seek``."""
        place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.starts[-1]}[whence]
        if place < 0:
            raise _BeforeStart(f"a place {-place} bytes before its start")
        self.position = place
        return place

    def readinto(self, buffer) -> int:
        """Read what is left of the file at hand, or as much of it as goes into the buffer."""
        if self.position >= self.starts[-1]:
            return 0
        which = bisect_right(self.starts, self.position) - 1
        file = self.files[which]
        file.seek(self.position - self.starts[which])
        count = file.readinto(memoryview(buffer)[: self.starts[which + 1] - self.position])
        self.position += count
        return count

    def close(self) -> None:
        """Close every file."""
        for file in self.files:
            file.close()
        super().close()


def unpack(parts: Sequence[Path], folder: Path, say: Callable[[str], None], only: Collection[str] | None = None) -> int:
    """Unpack a zip archive that lies in parts. What an earlier, interrupted call unpacked is not unpacked again.

    Args:
        parts: the files that make up the archive, in order.
        folder: where to.
        say: is told of the progress.
        only: names of the members that are wanted; all, if not given.

    Returns:
        How many of the wanted members there are.

    Raises:
        ArchiveError: no whole zip archive; a member that would lie outside of ``folder``, is a link, stands twice, has
            no name that a file can have, or is damaged; a content of more than ``MOST_EXPANSION`` times the archive's
            size. But for damage nothing has been written then.
    """
    name = ", ".join(str(part) for part in parts)
    try:
        with io.BufferedReader(Joined(parts), CHUNK) as joined, zipfile.ZipFile(joined) as archive:
            members = [member for member in archive.infolist() if not member.filename.endswith("/")]
            _check(members, name, sum(part.stat().st_size for part in parts))
            wanted = [member for member in members if only is None or member.filename in only]
            for done, member in enumerate(wanted, start=1):
                _unpack_member(archive, member, folder, name)
                if done % max(1, len(wanted) // 20) == 0:
                    say(f"{done} of {len(wanted)} files unpacked")
            return len(wanted)
    # what zipfile raises for a damaged list of members, NotImplementedError for one of a later zip version
    except (zipfile.BadZipFile, NotImplementedError, EOFError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{name}: no whole zip archive: {files.one_line(error)}") from error
    except _BeforeStart as error:
        raise ArchiveError(f"{name}: no whole zip archive: it points to {error}") from error


def _check(members: Sequence[zipfile.ZipInfo], name: str, size: int) -> None:
    for member in members:  # first of all: a path of thousands of folders takes minutes to be looked at
        if len(member.filename.encode(errors="replace")) > LONGEST_PATH:
            raise ArchiveError(f"{name}: its member {member.filename[:80]!r} has no name that a file can have")
    paths = [PurePosixPath(member.filename) for member in members]
    folders = {parent for path in paths for parent in path.parents}
    seen = set()
    for member, path in zip(members, paths, strict=True):
        kind = stat.S_IFMT(member.external_attr >> 16)
        if not path.parts or any(len(part.encode()) > files.LONGEST_NAME for part in path.parts):
            raise ArchiveError(f"{name}: its member {member.filename[:80]!r} has no name that a file can have")
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in path.parts[0]:
            raise ArchiveError(f"{name}: its member {member.filename!r} would lie outside of the folder")
        if kind not in (0, stat.S_IFREG):
            raise ArchiveError(f"{name}: its member {member.filename!r} is a link or a device")
        if path in seen:
            raise ArchiveError(f"{name}: its member {member.filename!r} stands twice")
        if path in folders:
            raise ArchiveError(f"{name}: its member {member.filename!r} is both a file and a folder")
        seen.add(path)
    content = sum(member.file_size for member in members)
    if content > MOST_EXPANSION * size:
        raise ArchiveError(f"{name}: {content} bytes in an archive of {size}: that is no archive of music")


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, name: str) -> None:
    path = folder / member.filename
    if path.is_file() and path.stat().st_size == member.file_size:
        return  # files take their name when they are whole
    try:
        with files.written_whole(path) as temporary, archive.open(member) as source, temporary.open("wb") as target:
            while piece := source.read(CHUNK):
                target.write(piece)
            if target.tell() != member.file_size:
                raise zipfile.BadZipFile(f"{target.tell()} bytes where {member.file_size} should be")
    # what zipfile raises for a damaged member: NotImplementedError for its compression, RuntimeError for encryption
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ArchiveError(f"{name}: its member {member.filename!r} is damaged: {files.one_line(error)}") from error
    except MemoryError as error:  # an LZMA header may ask for 4 GiB
        raise ArchiveError(f"{name}: its member {member.filename!r} asks for more memory than there is") from error
    except OSError as error:
        if error.errno is not None or isinstance(error, _BeforeStart):
            raise
        raise ArchiveError(f"{name}: its member {member.filename!r} is damaged: {error}") from error  # bzip2's
