"""Downloads from a server on loopback that does what servers do."""

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from wavetag import downloads

CONTENT = bytes(range(256)) * 4_000  # 1 MB
HALF = 458_752  # of half of it, what came in whole pieces
MD5 = hashlib.md5(CONTENT).hexdigest()
PACKED = gzip.compress(CONTENT)


PORTAL = b"<html>Log in</html>"
SPOKEN = {  # manner -> status, headers and body of the answer
    "portal": (200, {"Content-Length": str(len(PORTAL))}, PORTAL),
    "no length, half": (200, {}, CONTENT[: len(CONTENT) // 2]),
    "no length, whole": (200, {}, CONTENT),
    "part of what was not asked for": (206, {"Content-Length": "5"}, b"five!"),
    "a length that is none": (200, {"Content-Length": "²"}, CONTENT),
    "packed": (200, {"Content-Encoding": "gzip", "Content-Length": str(len(PACKED))}, PACKED),
    "elsewhere, nowhere": (302, {"Location": "http://[bad/", "Content-Length": "0"}, b""),
}


class Server(ThreadingHTTPServer):
    """Serves ``content``, in the manner that ``manners`` say: one for each request, the last for all that follow."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.manners, self.asked, self.tag = CONTENT, [""], [], '"one"'

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/mp3.zip.001"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        manner = server.manners.pop(0) if len(server.manners) > 1 else server.manners[0]
        server.asked.append(self.headers.get("Range"))
        self.close_connection = True
        if manner in SPOKEN:
            status, headers, body = SPOKEN[manner]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            return
        if manner.isdigit():
            self.send_response(int(manner))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = 0
        unchanged = self.headers.get("If-Range") in (None, server.tag)
        if self.headers.get("Range") and unchanged and manner != "ignores ranges":
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        body = server.content[start:]
        length = len(body)
        self.send_response(206 if start else 200)
        if start:
            shown = start + 7 if manner == "another range" else start
            self.send_header("Content-Range", f"bytes {shown}-{len(server.content) - 1}/{len(server.content)}")
        if manner == "says it is longer":
            length += 1_000
        elif manner == "says it is shorter":
            length -= 1_000
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", server.tag)
        self.end_headers()
        if manner == "drops":
            body = body[: len(body) // 2]
        self.wfile.write(body)


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(server, tmp_path):
    """Fetch from the server; what was said stands in ``get.said``."""

    def get(url=None, md5=MD5):
        downloads.fetch(url or server.url, get.path, md5, get.said.append, longest_wait=0.001)
        return get.path.read_bytes()

    get.path, get.said = tmp_path / "downloads" / "mp3.zip.001", []
    return get


def left(get):
    return sorted(path.name for path in get.path.parent.iterdir())


def test_a_file_comes_whole_and_nothing_else_stays(server, get):
    assert get() == CONTENT
    assert server.asked == [None]
    assert left(get) == ["mp3.zip.001"]


def test_a_file_that_is_there_is_not_asked_for(server, get):
    get()
    assert get() == CONTENT
    assert len(server.asked) == 1


def test_a_dropped_connection_goes_on_where_it_was(server, get):
    server.manners = ["drops", "drops", ""]
    assert get() == CONTENT
    assert server.asked == [None, f"bytes={HALF}-", "bytes=720896-"]
    assert sum("going on" in line for line in get.said) == 2


def test_a_connection_that_always_drops_ends_with_an_error_and_a_later_run_goes_on(server, get, monkeypatch):
    monkeypatch.setattr(downloads, "ATTEMPTS", 3)
    server.manners = ["drops"]
    with pytest.raises(downloads.DownloadError, match=r"mp3.zip.001: the connection .* 3 times; what has come is kept"):
        get()
    assert not get.path.exists()
    have = get.path.with_name("mp3.zip.001.part").stat().st_size
    assert 0 < have < len(CONTENT)
    server.manners = [""]
    assert get() == CONTENT
    assert server.asked[-1] == f"bytes={have}-"


def test_a_server_that_ignores_ranges_sends_all_of_it_again(server, get):
    server.manners = ["drops", "ignores ranges"]
    assert get() == CONTENT
    assert server.asked == [None, f"bytes={HALF}-"]


def test_a_server_that_sends_another_range_is_asked_for_all_of_it(server, get):
    server.manners = ["drops", "another range", ""]
    assert get() == CONTENT
    assert server.asked == [None, f"bytes={HALF}-", None]


def test_a_length_that_is_too_long_is_a_dropped_connection_and_the_sum_decides(server, get):
    server.manners = ["says it is longer", ""]
    assert get() == CONTENT
    assert server.asked == [None, "bytes=983040-"]


def begin(get, content):
    get.path.parent.mkdir()
    get.path.with_name("mp3.zip.001.part").write_bytes(content)


def test_a_page_in_place_of_the_file_does_not_cost_what_has_come(server, get):
    begin(get, CONTENT[:HALF])
    server.manners = ["portal", "portal", ""]
    assert get() == CONTENT
    assert server.asked == [f"bytes={HALF}-"] * 3
    assert left(get) == ["mp3.zip.001"]


def test_a_page_that_stays_ends_with_an_error_and_what_has_come_is_kept(server, get, monkeypatch):
    monkeypatch.setattr(downloads, "ATTEMPTS", 2)
    begin(get, CONTENT[:HALF])
    server.manners = ["portal"]
    with pytest.raises(downloads.DownloadError, match=f"another file, shorter than the {HALF} bytes that have come"):
        get()
    assert get.path.with_name("mp3.zip.001.part").stat().st_size == HALF


@pytest.mark.parametrize("begun", [b"", CONTENT[:HALF][::-1], CONTENT + b"more", CONTENT[:-1] + b"?"])
def test_pieces_that_do_not_fit_are_fetched_once_more_from_the_start(server, get, begun):
    begin(get, begun)
    assert get() == CONTENT
    assert left(get) == ["mp3.zip.001"]


def test_a_file_shorter_than_what_had_come_is_taken_if_it_is_the_one(server, get):
    begin(get, CONTENT + b"more")
    server.manners = ["ignores ranges"]
    assert get() == CONTENT


def test_a_server_that_gives_no_length_and_ends_early_is_asked_again(server, get):
    server.manners = ["no length, half", ""]
    assert get() == CONTENT
    assert any("once more from the start" in line for line in get.said)


@pytest.mark.parametrize("manner", ["no length, whole", "a length that is none", "packed"])
def test_lengths_that_say_nothing_of_the_file_do_no_harm(server, get, manner):
    server.manners = [manner]
    assert get() == CONTENT


def test_a_part_that_was_not_asked_for_is_not_taken(server, get):
    server.manners = ["part of what was not asked for", ""]
    assert get() == CONTENT


@pytest.mark.parametrize(
    ("manner", "reason"), [("416", "answers 416"), ("elsewhere, nowhere", r"http://127.*: Invalid IPv6 URL")]
)
def test_odd_answers_are_told_with_the_address(server, get, manner, reason):
    server.manners = [manner]
    with pytest.raises(downloads.DownloadError, match=reason):
        get()


def test_what_does_not_end_is_ended(server, get, monkeypatch):
    monkeypatch.setattr(downloads, "MOST", 500_000)
    server.manners = ["no length, whole"]
    with pytest.raises(downloads.DownloadError, match=r"more than 500000 bytes: that is not mp3.zip.001"):
        get()
    assert left(get) == []


def test_a_part_that_is_whole_already_is_taken(server, get):
    """So it is after a kill between the last byte and the new name."""
    get.path.parent.mkdir()
    get.path.with_name("mp3.zip.001.part").write_bytes(CONTENT)
    assert get() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"], "answered with 416: there is no more"
    assert left(get) == ["mp3.zip.001"]


def test_a_length_that_is_too_short_is_found_by_the_sum(server, get):
    server.manners = ["says it is shorter"]
    with pytest.raises(downloads.DownloadError, match=f"1023000 bytes with the MD5 sum .* {MD5} is wanted"):
        get()
    assert left(get) == []


def test_a_wrong_file_is_refused_and_not_kept(server, get):
    server.content = b"<html>We have moved</html>"
    found = hashlib.md5(server.content).hexdigest()
    with pytest.raises(downloads.DownloadError, match=rf"another file than mp3.zip.001: 26 bytes .* {found}, {MD5} is"):
        get()
    assert left(get) == []


def test_a_file_that_changes_between_two_attempts_is_not_mixed(server, get, monkeypatch):
    monkeypatch.setattr(downloads, "ATTEMPTS", 1)
    server.content, server.manners, server.tag = CONTENT[::-1], ["drops"], '"older"'
    with pytest.raises(downloads.DownloadError):
        get()
    server.content, server.manners, server.tag = CONTENT, [""], '"newer"'
    assert get() == CONTENT


@pytest.mark.parametrize(("status", "requests"), [("404", 1), ("403", 1), ("500", 2), ("503", 2)])
def test_what_the_server_refuses_is_told_and_what_may_pass_is_tried_again(server, get, status, requests):
    server.manners = [status, ""]
    if requests == 1:
        with pytest.raises(downloads.DownloadError, match=rf"answers {status} .* params.yaml under dataset.urls"):
            get()
    else:
        assert get() == CONTENT
    assert len(server.asked) == requests


def test_a_server_that_is_not_there(get, monkeypatch, server):
    monkeypatch.setattr(downloads, "ATTEMPTS", 2)
    server.shutdown()
    server.server_close()
    with pytest.raises(downloads.DownloadError, match=r"the connection broke \(ConnectionError\), 2 times"):
        get()


def test_an_address_of_another_kind_is_refused(get):
    with pytest.raises(downloads.DownloadError, match=r"ftp://example\.org/x"):
        get("ftp://example.org/x")
