"""Downloads that go on where they broke off, and are checked against a known sum.

The field's downloaders (pooch, mirdata's) start a broken file from its beginning; that is too much for a gigabyte.
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

CHUNK = 2**16  # bytes: of a connection that breaks no more is lost
ATTEMPTS = 8
TIMEOUT = (20, 60)  # seconds to connect, and between two pieces of an answer
TELL_SECONDS = 5.0
MOST = 2**31  # bytes: what goes on for longer is no file of a dataset's


class DownloadError(RuntimeError):
    """A file that could not be fetched, or is not the one that was wanted."""


class _Broken(Exception):
    """A connection that broke: worth another attempt."""


def md5_of(path: Path) -> str:
    """The MD5 sum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def fetch(url: str, path: Path, md5: str, say: Callable[[str], None], longest_wait: float = 60.0) -> None:
    """Fetch a file, unless it is there already.

    What has come so far is in a file beside ``path``, with ``.part`` behind its name; a later call goes on from there.

    Args:
        url: http or https.
        path: where to put it.
        md5: the sum that it must have.
        say: is told of the progress, a line every few seconds at most.
        longest_wait: seconds between two attempts, at most.

    Raises:
        DownloadError: the server does not have it, or gives another file, or the connection broke too often.
    """
    if path.is_file() and md5_of(path) == md5:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    download = _Download(url, path, md5, say)
    found = download.finish(longest_wait)
    if found != md5 and download.pieced:  # perhaps of two files: what is got in one go says more
        say(f"{path.name}: what has come in pieces has another MD5 sum; once more from the start")
        download.discard()
        found = download.finish(longest_wait)
    if found != md5:
        size = download.part.stat().st_size
        download.discard()
        raise DownloadError(
            f"{url}: another file than {path.name}: {size} bytes with the MD5 sum {found}, {md5} is wanted;"
            " addresses stand in params.yaml under dataset.urls"
        )
    download.part.replace(path)
    download.discard()


class _Download:
    """A file that comes in one piece or in several.

    Attributes:
        part: what has come.
        pieced: whether it was put together, or may have ended too early.
    """

    def __init__(self, url: str, path: Path, md5: str, say: Callable[[str], None]):
        self.url, self.name, self.md5, self.say = url, path.name, md5, say
        self.part, self.pieced = path.with_name(f"{path.name}.part"), False

    @property
    def tag(self) -> Path:
        """The file with that by which the server tells this state of the file from others."""
        return self.part.with_name(f"{self.part.name}.tag")

    def discard(self) -> None:
        """Delete what has come."""
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)
        self.pieced = False

    def finish(self, longest_wait: float) -> str:
        """Ask until all has come. Returns its MD5 sum."""
        attempts = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(max=longest_wait, multiplier=min(1.0, longest_wait)),
            retry=retry_if_exception_type(_Broken),
            before_sleep=lambda state: self.say(f"{self.name}: {state.outcome.exception()}; going on"),
            reraise=True,
        )
        try:
            attempts(self._attempt)
        except _Broken as error:
            raise DownloadError(
                f"{self.url}: {error}, {ATTEMPTS} times; what has come is kept: start again to go on"
            ) from error
        return md5_of(self.part)

    def _attempt(self) -> None:
        """One request, for what is not there yet."""
        have = self.part.stat().st_size if self.part.is_file() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            self.pieced = True
            headers["Range"] = f"bytes={have}-"
            if self.tag.is_file():
                headers["If-Range"] = self.tag.read_text(encoding="utf-8")  # a file that has changed comes whole
        try:
            with requests.get(self.url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
                self._take(answer, have)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _Broken(f"the connection broke ({type(error).__name__})") from error
        except (requests.RequestException, ValueError) as error:  # ValueError: of an address that is none
            raise DownloadError(f"{self.url}: {error}") from error

    def _take(self, answer: requests.Response, have: int) -> None:
        status = answer.status_code
        if status == 416 and have:  # there is no more than what we have: the sum will tell
            return
        if status >= 500 or status == 429:
            raise _Broken(f"the server answers {status} {answer.reason}")
        if status not in (200, 206):
            raise DownloadError(
                f"{self.url}: the server answers {status} {answer.reason};"
                " addresses stand in params.yaml under dataset.urls"
            )
        goes_on = status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if status == 206 and not goes_on:
            self.discard()
            raise _Broken(f"the server sends {answer.headers.get('Content-Range')!r} where {have} was asked for")
        if goes_on or not have:
            self._keep_tag(answer.headers)
            self._receive(answer, self.part, have if goes_on else 0)
            return
        # All of it from the start, or a page that says something else: what has come stays until as much is there.
        again = self.part.with_name(f"{self.part.name}.again")
        taken = False
        try:
            self._receive(answer, again, 0)
            taken = md5_of(again) == self.md5
        finally:
            taken = taken or (again.is_file() and again.stat().st_size >= have)
            if taken:
                self._keep_tag(answer.headers)
                again.replace(self.part)
            again.unlink(missing_ok=True)
        if not taken:
            raise _Broken(f"the server sends another file, shorter than the {have} bytes that have come")

    def _receive(self, answer: requests.Response, target: Path, start: int) -> None:
        length = answer.headers.get("Content-Length", "")
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity"  # length is not that of the file
        expected = start + int(length) if length.isascii() and length.isdecimal() and not encoded else None
        if expected is None:
            self.pieced = True  # nothing says whether it is all of it
        begun = told = time.monotonic()
        size = start
        with target.open("ab" if start else "wb") as file:
            for piece in answer.iter_content(CHUNK):
                file.write(piece)
                size += len(piece)
                if size > MOST:
                    target.unlink()
                    raise DownloadError(f"{self.url}: more than {MOST} bytes: that is not {self.name}")
                if time.monotonic() - told > TELL_SECONDS:
                    told = time.monotonic()
                    share = f" of {expected / 1e6:.0f} MB ({size / expected:.0%})" if expected else " MB"
                    self.say(f"{self.name}: {size / 1e6:.0f}{share}, {(size - start) / 1e6 / (told - begun):.1f} MB/s")
        if expected is not None and size < expected:
            raise _Broken(f"the connection ended after {size} of {expected} bytes")

    def _keep_tag(self, headers: requests.structures.CaseInsensitiveDict) -> None:
        """A weak tag does not tell two states of a file from one another."""
        tag = headers.get("ETag", "")
        tag = headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
        if tag:
            self.tag.write_text(tag, encoding="utf-8")
        else:
            self.tag.unlink(missing_ok=True)
