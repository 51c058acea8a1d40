"""The server of ``wavetag serve``: a page on which a model can be tried, and what the page asks for.

    GET  /                        the page; /try.css, /try.js and /report.css belong to it
    GET  /about                   the model, the limits, how many clips there are
    POST /tag, /listen            a file as multipart/form-data; its tags as JSON, or what the model hears as WAV
    GET  /clips                   the clips that can be chosen
    GET  /clips/N/tag, /listen    of one of them the same
    GET  /clips/N/audio           its file, or a range of it

What is wrong is told as ``{"error": a sentence}``. No name and no path that a client sends is used: an upload lies in a
file with a name of its own, which is deleted when the request ends, however it ends; a clip is asked for by its number.
Only pages of the server itself may ask it for anything, under a name that is its own: another site, open in the same
browser, can neither send it work nor read from it, even if it lets its name lead to this machine (DNS rebinding).
"""

import asyncio
import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from wavetag import audio, serving_work
from wavetag.serving_crew import Crew, TooSlowError, WorkError

TEMPLATES = Path(__file__).parent / "templates"
PAGE = {"/": "try.html", "/try.css": "try.css", "/try.js": "try.js", "/report.css": "report.css"}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
SOUNDS = {  # what a browser may be told of a clip's file; of others, nothing
    **{".mp3": "audio/mpeg", ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".oga": "audio/ogg"},
    **{".opus": "audio/ogg", ".aiff": "audio/aiff", ".aif": "audio/aiff"},
}
PIECE = 2**16  # bytes of an upload that are held at a time
ROUND_ABOUT = 2**16  # bytes that a multipart request may have beside the file
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src"
    " 'self' blob:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "wavetag",
}


@dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Attributes:
        megabytes: of a file, in millions of bytes.
        seconds: of sound in it.
        waiting: requests that may wait beside those that are worked on.
        work_seconds: that a worker may take for one.
        upload_seconds: until a file has arrived.
        stall_seconds: in which some of it must.
    """

    megabytes: float = 100
    seconds: float = 900
    waiting: int = 32
    work_seconds: float = 300
    upload_seconds: float = 300
    stall_seconds: float = 30

    @property
    def bytes(self) -> int:
        """Of a file."""
        return int(self.megabytes * 1_000_000)


class Refused(Exception):
    """A request that is not served: its status, and why."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens at the first address of a host.

    Raises:
        ValueError: the host is not one of this machine's, the port is taken or not for everybody.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise ValueError(f"--host {host}: no address of this name is known: {error}") from error
    try:
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ValueError(
                f"--port {port}: another program listens there; --port 0 takes one that is free"
            ) from error
        if error.errno == errno.EACCES:
            raise ValueError(f"--port {port}: not allowed to you; take 1024 or more") from error
        raise ValueError(f"--host {host}: not an address of this machine: {error.strerror}") from error


def address(listening: socket.socket) -> str:
    """Where a browser on this machine finds the page."""
    host, port = listening.getsockname()[:2]
    place = ipaddress.ip_address(host)
    if place.is_unspecified:
        place = ipaddress.ip_address("127.0.0.1" if place.version == 4 else "::1")
    return f"http://{f'[{place}]' if place.version == 6 else place}:{port}/"


def is_loopback(listening: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    return ipaddress.ip_address(listening.getsockname()[0]).is_loopback


class Server:
    """The page and what it asks for.

    Args:
        crew: workers that have begun.
        facts: what they said of the model.
        clips: a ``serving_clips.Clips``; None for none.
        limits: of each request.
        listening: the socket.
        host: its name, as it was given.
        folder: for uploads; it is empty when nobody asks for anything.
    """

    def __init__(
        self,
        crew: Crew,
        facts: Mapping[str, Any],
        clips: Any,
        limits: Limits,
        listening: socket.socket,
        host: str,
        folder: Path,
    ):
        self.crew, self.limits, self.listening, self.folder = crew, limits, listening, folder
        self.clips = () if clips is None else clips.clips
        self.said = {
            **{key: value for key, value in facts.items() if key != "process"},
            "limits": {"megabytes": limits.megabytes, "seconds": limits.seconds},
            "clips": None if clips is None else {"said": clips.said, "count": len(clips.clips), "of": clips.of},
        }
        self.files = {path: (TEMPLATES / name).read_bytes() for path, name in PAGE.items()}
        self.names = {*LOOPBACK, host.lower(), listening.getsockname()[0]}
        self.everywhere = not is_loopback(listening)
        if self.everywhere:
            own = socket.gethostname().lower()
            self.names |= {own, f"{own}.local", socket.getfqdn().lower()}
        self.within = 0

    def app(self) -> web.Application:
        """As aiohttp runs it."""
        app = web.Application(middlewares=[self._answer])
        for path in PAGE:
            app.router.add_get(path, self._file)
        app.router.add_get("/about", self._about)
        app.router.add_post("/tag", self._tag)
        app.router.add_post("/listen", self._listen)
        app.router.add_get("/clips", self._clips)
        clip = r"/clips/{number:\d{1,6}}"
        app.router.add_get(f"{clip}/audio", self._clip_audio)
        app.router.add_get(f"{clip}/tag", self._clip_tag, allow_head=False)
        app.router.add_get(f"{clip}/listen", self._clip_listen, allow_head=False)
        app.on_response_prepare.append(_add_headers)
        return app

    async def run(self, stop: asyncio.Event, listens: Callable[[], None] = lambda: None) -> None:
        """Serve until ``stop`` is set; ``listens`` is called when it begins."""
        logger = logging.getLogger(__name__)
        logger.addFilter(_is_ours)
        asked = {"handler_cancellation": True, "access_log": None, "logger": logger, "shutdown_timeout": 0.5}
        runner = web.AppRunner(self.app(), **asked)
        await runner.setup()
        try:
            await web.SockSite(runner, self.listening).start()
            listens()
            await stop.wait()
        finally:
            self.crew.end()
            await runner.cleanup()

    async def _file(self, request: web.Request) -> web.Response:
        kind = TYPES[Path(PAGE[request.path]).suffix]
        headers = {"Cache-Control": "no-cache"}
        return web.Response(body=self.files[request.path], content_type=kind, charset="utf-8", headers=headers)

    async def _about(self, _: web.Request) -> web.Response:
        return web.json_response(self.said)

    async def _clips(self, _: web.Request) -> web.Response:
        return web.json_response([clip.told() for clip in self.clips])

    async def _tag(self, request: web.Request) -> web.Response:
        with self._place():
            async with self._uploaded(request) as path:
                return await self._tagged(path, None)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        with self._place():
            async with self._uploaded(request) as path:
                return await self._wav(request, path, None)

    async def _clip_tag(self, request: web.Request) -> web.Response:
        clip = self._clip(request)
        with self._place():
            return await self._tagged(clip.path, clip.segment)

    async def _clip_listen(self, request: web.Request) -> web.StreamResponse:
        clip = self._clip(request)
        with self._place():
            return await self._wav(request, clip.path, clip.segment)

    async def _clip_audio(self, request: web.Request) -> web.FileResponse:
        clip = self._clip(request)
        if clip.segment is not None or not clip.path.is_file():
            raise Refused(404, "there is no such file")
        kind = SOUNDS.get(clip.path.suffix.lower(), "application/octet-stream")
        return web.FileResponse(clip.path, headers={"Content-Type": kind, "Cache-Control": "no-cache"})

    def _clip(self, request: web.Request) -> Any:
        number = int(request.match_info["number"])
        if number >= len(self.clips):
            raise Refused(404, f"there is no clip {number}")
        return self.clips[number]

    async def _tagged(self, path: Path, segment: serving_work.Segment) -> web.Response:
        body = await self.crew.do(serving_work.tag, path, segment, self.limits.seconds)
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    async def _wav(self, request: web.Request, path: Path, segment: serving_work.Segment) -> web.StreamResponse:
        with self._temporary() as target:
            await self.crew.do(serving_work.listen, path, segment, self.limits.seconds, target)
            opened = target.open("rb")
        with opened:
            size = os.fstat(opened.fileno()).st_size
            response = web.StreamResponse(headers={"Content-Type": "audio/wav", "Content-Length": str(size)})
            await response.prepare(request)
            while piece := opened.read(PIECE):
                await response.write(piece)
            await response.write_eof()
        return response

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places of those that are worked on or wait."""
        if self.within >= self.limits.waiting + len(self.crew.workers):
            raise Refused(503, "too many files are waiting already: try again in a moment")
        self.within += 1
        try:
            yield
        finally:
            self.within -= 1

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """An empty file with a name of its own, deleted in any case."""
        handle, name = tempfile.mkstemp(dir=self.folder)
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    @asynccontextmanager
    async def _uploaded(self, request: web.Request) -> AsyncIterator[Path]:
        """The file that a request brings."""
        if request.content_type != "multipart/form-data":
            raise Refused(415, "a file is to be sent as multipart/form-data")
        if request.content_length is not None and request.content_length > self.limits.bytes + ROUND_ABOUT:
            raise self._too_large()
        with self._temporary() as path:
            with path.open("wb") as file:
                await self._receive(request, file)
            yield path

    async def _receive(self, request: web.Request, file: BinaryIO) -> None:
        """Write an upload as it comes. What it says of itself, its name, its kind and its length, does not count."""
        try:
            async with asyncio.timeout(self.limits.upload_seconds):
                reader = await request.multipart()
                part = await self._soon(reader.next())
                if not isinstance(part, BodyPartReader):
                    raise Refused(400, "there is no file in what was sent")
                size = 0
                while not part.at_eof():
                    piece = await self._soon(part.read_chunk(PIECE))
                    size += len(piece)
                    if size > self.limits.bytes:
                        raise self._too_large()
                    file.write(piece)
                if await self._soon(reader.next()) is not None:
                    raise Refused(400, "there is more than one file in what was sent: one at a time")
        except TimeoutError:
            raise Refused(408, "the file took too long to arrive") from None
        except ConnectionError:
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Refused(507, "the server has no space left on its disk") from None
        except (ValueError, LookupError, AssertionError, RuntimeError, HttpProcessingError):
            raise Refused(400, "what was sent is not whole, or not multipart/form-data") from None

    async def _soon(self, awaited: Any) -> Any:
        async with asyncio.timeout(self.limits.stall_seconds):
            return await awaited

    def _too_large(self) -> Refused:
        return Refused(413, f"the file is larger than the {self.limits.megabytes:g} MB that are allowed")

    def _check(self, request: web.Request) -> None:
        """Refuse who asks under a name that is not this server's, and what another site's page asks for."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            raise Refused(421, "this server does not go by that name")
        origin = request.headers.get("Origin")
        if origin is not None and _place_of(origin) != hosts[0].lower():
            raise Refused(403, "not to be asked by a page of another site")
        fetched = request.headers.get("Sec-Fetch-Site", "none")
        if fetched not in ("same-origin", "none") and request.path != "/":
            raise Refused(403, "not to be asked by a page of another site")

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.everywhere  # a number leads nowhere else

    @web.middleware
    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Check the request, and tell what goes wrong as JSON."""
        try:
            self._check(request)
            return await handler(request)
        except Refused as refused:
            return _error(refused.status, str(refused))
        except audio.AudioError as error:
            return _error(400, str(error))
        except TooSlowError as error:
            return _error(503, f"{error} to tag it, and was stopped")
        except WorkError:
            return _error(400, "undecodable: the process that decoded it died")
        except web.HTTPException as error:
            if error.status < 400:
                raise
            allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            return _error(error.status, error.reason, allowed)
        except ConnectionError:
            raise
        except Exception:  # a bug: whoever asked is told that there is one, the terminal has the whole of it
            traceback.print_exc(file=sys.stderr)
            return _error(500, "an error of wavetag's own: where it was started, there is more of it")


def _error(status: int, why: str, headers: Mapping[str, str] | None = None) -> web.Response:
    retry = {"Retry-After": "5"} if status == 503 else {}
    return web.json_response({"error": why}, status=status, headers={**retry, **(headers or {})})


def _place_of(origin: str) -> str:
    """Host and port of an origin; empty for what has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's log is to be printed: not that a client sent what is no HTTP."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        if name == "Server" or name not in response.headers:
            response.headers[name] = value


async def until_stopped(server: Server, listens: Callable[[], None]) -> None:
    """Serve until Ctrl-C, or until the process is asked to end."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await server.run(stop, listens)
