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
    part = path.with_name(f"{path.name}.part")
    attempts = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(max=longest_wait, multiplier=min(1.0, longest_wait)),
        retry=retry_if_exception_type(_Broken),
        before_sleep=lambda state: say(f"{path.name}: {state.outcome.exception()}; going on"),
        reraise=True,
    )
    try:
        attempts(_attempt, url, part, path.name, say)
    except _Broken as error:
        raise DownloadError(f"{url}: {error}, {ATTEMPTS} times; what has come is kept: start again to go on") from error
    found = md5_of(part)
    if found != md5:
        size = part.stat().st_size
        part.unlink()
        _tag_file(part).unlink(missing_ok=True)
        raise DownloadError(
            f"{url}: another file than {path.name}: {size} bytes with the MD5 sum {found}, {md5} is wanted;"
            " addresses stand in params.yaml under dataset.urls"
        )
    part.replace(path)
    _tag_file(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, name: str, say: Callable[[str], None]) -> None:
    """One request, for what is not there yet."""
    have = part.stat().st_size if part.is_file() else 0
    known = _tag_file(part).read_text(encoding="utf-8") if have and _tag_file(part).is_file() else ""
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if known:
            headers["If-Range"] = known  # a file that has changed meanwhile comes whole
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:  # there is no more than what we have: the sum will tell
                return
            if answer.status_code >= 500 or answer.status_code == 429:
                raise _Broken(f"the server answers {answer.status_code} {answer.reason}")
            if answer.status_code not in (200, 206):
                raise DownloadError(
                    f"{url}: the server answers {answer.status_code} {answer.reason};"
                    " addresses stand in params.yaml under dataset.urls"
                )
            goes_on = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if answer.status_code == 206 and not goes_on:
                part.unlink()
                raise _Broken(f"the server sends {answer.headers.get('Content-Range')!r} where {have} was asked for")
            _keep_tag(part, answer.headers)
            _receive(answer, part, have if goes_on else 0, name, say)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _Broken(f"the connection broke ({type(error).__name__})") from error
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {error}") from error


def _receive(answer: requests.Response, part: Path, start: int, name: str, say: Callable[[str], None]) -> None:
    length = answer.headers.get("Content-Length", "")
    expected = start + int(length) if length.isdigit() else None
    begun = told = time.monotonic()
    size = start
    with part.open("ab" if start else "wb") as file:
        for piece in answer.iter_content(CHUNK):
            file.write(piece)
            size += len(piece)
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                share = f" of {expected / 1e6:.0f} MB ({size / expected:.0%})" if expected else " MB"
                say(f"{name}: {size / 1e6:.0f}{share}, {(size - start) / 1e6 / (told - begun):.1f} MB/s")
    if expected is not None and size < expected:
        raise _Broken(f"the connection ended after {size} of {expected} bytes")


def _tag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")


def _keep_tag(part: Path, headers: requests.structures.CaseInsensitiveDict) -> None:
    """Keep by what the server tells this state of the file from others. A weak tag does not tell that."""
    tag = headers.get("ETag", "")
    tag = headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
    if tag:
        _tag_file(part).write_text(tag, encoding="utf-8")
    else:
        _tag_file(part).unlink(missing_ok=True)
