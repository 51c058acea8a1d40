"""The server of ``wavetag serve``, asked over HTTP: what is right, what is wrong, and what is meant to harm."""

import errno
import gzip
import io
import json
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
import requests
import soundfile

import serving_site
from conftest import write_mp3
from serving_site import RATE, TAGS, bomb, encoded, sound
from wavetag import audio, serving, serving_clips, serving_crew, serving_work, splits
from wavetag.datasets import layout
from wavetag.model import Heard, Model
from wavetag.taggrams import Taggram

LIMITS = serving.Limits(megabytes=1, seconds=20, waiting=12, work_seconds=60)
WAIT = 30  # seconds, at most, for any answer


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return serving_site.write_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def model(model_folder):
    return Model.load(model_folder)


@pytest.fixture(scope="module")
def site(tmp_path_factory, model_folder):
    folder = tmp_path_factory.mktemp("site")
    clips = serving_site.write_dataset(folder / "music")
    with serving_site.running(model_folder, folder / "uploads", LIMITS, 2, clips) as site:
        yield site
        assert list(site.uploads.iterdir()) == []


@contextmanager
def own_site(tmp_path, model_folder, **limits):
    """A server of one worker, to be treated badly."""
    asked = {"megabytes": 1, "seconds": 20, "waiting": 1, "work_seconds": 60, **limits}
    with serving_site.running(model_folder, tmp_path / "uploads", serving.Limits(**asked), 1) as site:
        yield site
        assert list(site.uploads.iterdir()) == []


def post(site, content, name="sound.wav", what="tag", **options):
    return requests.post(f"{site.address}{what}", files={"file": (name, content)}, timeout=WAIT, **options)


def get(site, what, **options):
    return requests.get(f"{site.address}{what}", timeout=WAIT, **options)


END = b"\r\n--b--\r\n"


def body(content, head=b'form-data; name="file"; filename="sound.wav"'):
    return b"--b\r\nContent-Disposition: " + head + b"\r\n\r\n" + content + END


def raw(site, sent, headers=None, wait=True):
    """What a socket of our own gets back for a POST to /tag with these bytes; nothing, if it is not to wait for it."""
    place = urlsplit(site.address)
    head = {"Host": place.netloc, "Content-Type": "multipart/form-data; boundary=b", "Connection": "close"}
    head |= {"Content-Length": str(len(sent))} if headers is None else headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value is not None)
    with socket.create_connection((place.hostname, place.port), timeout=WAIT) as connection:
        connection.sendall(f"POST /tag HTTP/1.1\r\n{lines}\r\n".encode() + sent)
        if not wait:
            return b""
        with connection.makefile("rb") as file:
            head = b"".join(iter(file.readline, b"\r\n")) + b"\r\n"
            size = re.search(rb"(?i)content-length: (\d+)", head)
            return head + file.read(int(size[1]))


def status(answer):
    return int(answer.split(b" ", 2)[1])


def soon(reached, seconds=10):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_tags_taggram_and_waveform_are_those_of_the_model(site, model, tmp_path):
    content = encoded(sound())
    (tmp_path / "sound.wav").write_bytes(content)
    answer = post(site, content)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    found, heard = answer.json(), model.hear(tmp_path / "sound.wav", over_time=True)
    assert found["seconds"] == pytest.approx(2.0, abs=0.001)
    assert [row["tag"] for row in found["tags"]] == list(heard.top()) == found["taggram"]["tags"]
    assert [row["probability"] for row in found["tags"]] == pytest.approx(list(heard.top().values()), abs=6e-5)
    assert np.ptp([row["probability"] for row in found["tags"]]) > 0.3
    places = [TAGS.index(name) for name in heard.top()]
    assert np.array(found["taggram"]["probabilities"]) == pytest.approx(
        heard.over_time.probabilities[:, places], abs=6e-4
    )
    assert found["taggram"]["starts"] == pytest.approx(heard.over_time.starts, abs=6e-4)
    assert (found["taggram"]["window"], found["taggram"]["every"]) == (0.2, 1)
    samples = audio.decode(tmp_path / "sound.wav", RATE) / 32768
    assert max(found["waveform"]["high"]) == pytest.approx(samples.max(), abs=6e-4)
    assert min(found["waveform"]["low"]) == pytest.approx(samples.min(), abs=6e-4)
    assert len(found["waveform"]["low"]) == len(found["waveform"]["high"]) == 750


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "AIFF", "MP3"])
def test_the_kind_of_a_file_is_told_by_what_is_in_it(site, model, tmp_path, kind):
    content = encoded(sound(), kind=kind)
    (tmp_path / "sound").write_bytes(content)
    answer = post(site, content, "a picture.png").json()
    assert answer["tags"][0]["tag"] == next(iter(model.tags(tmp_path / "sound")))


NAMES = {
    "a way out": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "markup": "<img src=x onerror=alert(1)>.wav",
    "long": "x" * 5000,
    "none": "",
    "a command": "; rm -rf / #.raw",
    "of Windows": "..\\..\\CON",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_what_a_file_is_called_changes_nothing(site, name):
    content = encoded(sound())
    assert post(site, content, name).json() == post(site, content).json()


HEADS = {
    "NUL": b'form-data; name="file"; filename="a\0b.wav"',
    "no name": b"form-data",
    "half a name": b'form-data; name="file"; filename="',
    "encoded": b"form-data; name=file; filename*=utf-8''..%2F..%2Fetc%2Fpasswd",
    "not UTF-8": b'form-data; name="file"; filename="\xff\xfe"',
    "endless": b'form-data; name="file"; filename="' + b"x" * 100_000 + b'"',
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_a_head_that_is_none_is_refused_or_does_not_count(site, head):
    content = encoded(sound())
    answer = raw(site, body(content, head))
    if status(answer) == 200:
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == post(site, content).json()
    else:
        assert status(answer) == 400
        assert b'{"error": "' in answer


def test_a_clip_is_tagged_by_its_number(site, model):
    folder = site.uploads.parent / "music"
    clips = get(site, "clips").json()
    assert [clip["title"] for clip in clips] == [serving_site.TITLE, "A part", "Another kind"]
    assert str(folder) not in json.dumps(clips)
    heard = model.hear(folder / "0/tone-0-2.mp3")
    found = get(site, "clips/0/tag").json()
    assert found["tags"][0]["probability"] == pytest.approx(max(heard.probabilities), abs=6e-5)
    assert get(site, "about").json()["clips"] == {"said": "clips of music", "count": 3, "of": 4}


def test_of_a_part_of_a_file_that_part_is_tagged_and_heard(site, model):
    [samples] = audio.decode_segments(site.uploads.parent / "music/1/long.wav", RATE, [(1.0, 3.5)])
    found = get(site, "clips/1/tag").json()
    assert found["seconds"] == 2.5
    top = model.hear(samples, RATE).top()
    assert {row["tag"]: row["probability"] for row in found["tags"]} == pytest.approx(top, abs=6e-5)
    assert len(found["taggram"]["starts"]) == 47
    assert get(site, "clips/1/audio").status_code == 404  # the file is longer than the clip
    assert wav(get(site, "clips/1/listen").content) == (RATE, samples.tolist())


def wav(content):
    """Rate and int16 samples of a file."""
    samples, rate = soundfile.read(io.BytesIO(content), dtype="int16")
    return rate, samples.tolist()


def test_what_the_model_hears_can_be_heard(site, tmp_path):
    content = encoded(sound(), kind="AIFF")
    (tmp_path / "sound.aiff").write_bytes(content)
    answer = post(site, content, what="listen")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "audio/wav")
    assert wav(answer.content) == (RATE, audio.decode(tmp_path / "sound.aiff", RATE).tolist())


def test_a_clips_file_is_given_whole_and_in_ranges(site):
    content = (site.uploads.parent / "music/0/tone-0-2.mp3").read_bytes()
    answer = get(site, "clips/0/audio")
    assert (answer.content, answer.headers["Content-Type"]) == (content, "audio/mpeg")
    answer = get(site, "clips/0/audio", headers={"Range": "bytes=100-299"})
    assert (answer.status_code, answer.content) == (206, content[100:300])
    assert answer.headers["Content-Range"] == f"bytes 100-299/{len(content)}"
    assert get(site, "clips/0/audio", headers={"Range": "bytes=99999999-"}).status_code == 416
    head = requests.head(f"{site.address}clips/0/audio", timeout=WAIT)
    assert (head.status_code, int(head.headers["Content-Length"])) == (200, len(content))


@pytest.mark.parametrize(
    "path",
    [
        *("clips/3/tag", "clips/999999/audio", "clips/-1/tag", "clips/0x1/tag", "clips/../../etc/passwd"),
        *("clips/%2e%2e%2fetc%2fpasswd/audio", "report.html", "../serving.py", "templates/try.html", "clips//tag"),
    ],
)
def test_nothing_else_of_the_disk_can_be_asked_for(site, path):
    place = urlsplit(site.address)
    with socket.create_connection((place.hostname, place.port), timeout=WAIT) as connection:  # nobody tidies the path
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = connection.recv(65536)
    assert status(answer) in (400, 404)
    assert b"root:" not in answer


def test_what_is_no_http_is_refused_without_a_word_on_the_terminal(site, capfd):
    place = urlsplit(site.address)
    for sent in (b"\x16\x03\x01\x02\0 hello\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 5000, b"GET /\r\n\r\n"):
        with socket.create_connection((place.hostname, place.port), timeout=WAIT) as connection:
            connection.sendall(sent)
            assert status(connection.recv(65536)) in (400, 421)
    assert capfd.readouterr().err == ""


def nan():
    samples = sound()
    samples[500] = np.nan
    return encoded(samples, subtype="FLOAT")


WRONG = {
    "empty": (lambda: b"", "the file is empty"),
    "a text": (lambda: b"this is no sound\n" * 100, "undecodable: Format not recognised"),
    "noise": (lambda: np.random.default_rng(0).bytes(50_000), "undecodable: "),
    "cut short in its head": (lambda: encoded(sound())[:30], "undecodable: "),
    "a FLAC of which the middle is missing": (
        lambda: encoded(sound(), kind="FLAC")[:60] + b"\xff" * 3000,
        "undecodable: ",
    ),
    "no samples": (lambda: encoded(np.zeros(0)), "undecodable: no samples"),
    "NaN": (nan, "undecodable: samples that are not finite numbers"),
    "silence": (lambda: encoded(np.zeros(16_000)), "silent from start to end"),
    "too long": (lambda: encoded(sound(440, 21, 8000), 8000), "longer than the 20 s that are allowed"),
    "a rate of 10 Hz": (lambda: encoded(sound(440, 0.1), 10), "a sample rate of 10 Hz"),
}


@pytest.mark.parametrize(("make", "told"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_with_a_file_is_told_in_a_sentence(site, make, told):
    answer = post(site, make())
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert told in answer.json()["error"]
    assert str(site.uploads) not in answer.text
    assert "\n" not in answer.json()["error"]


def test_a_file_cut_short_in_its_sound_is_heard_as_far_as_it_goes(site):
    content = encoded(sound())
    answer = post(site, content[: len(content) // 2])
    assert answer.status_code == 200
    assert answer.json()["seconds"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("seconds", [0.2, 0.05, 0.001])
def test_a_moment_is_one_window(site, seconds):
    found = post(site, encoded(sound(440, seconds))).json()
    assert found["seconds"] == pytest.approx(seconds, abs=0.001)
    assert len(found["taggram"]["starts"]) >= 1


def test_hours_in_some_kilobytes_are_given_up_where_the_limit_is(site):
    content = bomb(2)
    assert len(content) < 250_000
    begin = time.monotonic()
    for what in ("tag", "listen"):
        answer = post(site, content, what=what)
        assert answer.status_code == 400
        assert answer.json() == {"error": "longer than the 20 s that are allowed"}
    assert time.monotonic() - begin < 10


def test_many_channels_are_mixed(site):
    samples = np.repeat(sound(440, 0.3)[:, None], 60, axis=1)
    assert post(site, encoded(samples)).status_code == 200


def test_a_file_that_is_too_large_is_refused(site):
    answer = post(site, b"x" * 1_000_001)
    assert answer.status_code == 413
    assert answer.json() == {"error": "the file is larger than the 1 MB that are allowed"}
    assert post(site, b"x" * 1_000_000).status_code == 400  # undecodable


def test_what_says_that_it_is_too_large_is_refused_before_it_is_sent(site):
    assert status(raw(site, body(b""), {"Content-Length": str(10**10)})) == 413


def test_what_does_not_say_how_large_it_is_is_refused_where_the_limit_is(site):
    def pieces():
        yield body(b"").removesuffix(END)
        for _ in range(40):
            yield b"x" * 50_000

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = requests.post(f"{site.address}tag", data=pieces(), headers=headers, timeout=WAIT)
    assert answer.status_code == 413


def test_what_is_compressed_on_its_way_counts_as_what_it_becomes(site):
    sent = gzip.compress(body(bytes(20_000_000)))
    assert len(sent) < 30_000
    assert status(raw(site, sent, {"Content-Length": str(len(sent)), "Content-Encoding": "gzip"})) in (400, 413)


UNWHOLE = {
    "nothing": (b"", None),
    "no end": (body(b"x" * 1000).removesuffix(END), None),
    "another boundary": (body(b"x").replace(b"--b", b"--c"), None),
    "two files": (body(b"x" * 100).removesuffix(END) + b"\r\n" + body(b"y" * 100), None),
    "a form within": (
        body(b"x").replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n", 1),
        None,
    ),
    "no boundary": (body(b"x"), {"Content-Type": "multipart/form-data"}),
    "not a form": (body(b"x"), {"Content-Type": "application/json"}),
    "a length that is too short": (body(b"x" * 1000), {"Content-Length": "300"}),
    "a length that is none": (body(b"x"), {"Content-Length": "-5"}),
}


@pytest.mark.parametrize(("sent", "headers"), UNWHOLE.values(), ids=UNWHOLE.keys())
def test_what_is_no_upload_of_one_file_is_refused(site, sent, headers):
    answer = raw(site, sent, {"Content-Length": str(len(sent)), **(headers or {})})
    assert status(answer) in (400, 415)


def test_ten_at_once_are_each_told_their_own(site, model, tmp_path):
    paths = []
    for number in range(10):
        paths.append(tmp_path / f"{number}.wav")
        paths[-1].write_bytes(encoded(sound(200 + 150 * number, 1.0 + 0.1 * number)))
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda path: post(site, path.read_bytes()), paths))
    for path, answer in zip(paths, answers, strict=True):
        assert answer.status_code == 200
        heard = model.hear(path)
        assert answer.json()["seconds"] == pytest.approx(heard.seconds, abs=0.001)
        found = {row["tag"]: row["probability"] for row in answer.json()["tags"]}
        assert found == pytest.approx(heard.top(), abs=6e-5)


def test_a_worker_that_dies_costs_one_file(tmp_path, model_folder):
    with own_site(tmp_path, model_folder) as site, ThreadPoolExecutor(1) as threads:
        [first] = site.processes()
        os.kill(first, signal.SIGSTOP)
        answer = threads.submit(post, site, encoded(sound()))
        soon(lambda: site.server.crew._tasks)
        time.sleep(0.2)
        os.kill(first, signal.SIGKILL)
        assert answer.result().status_code == 400
        assert answer.result().json() == {"error": "undecodable: the process that decoded it died"}
        assert post(site, encoded(sound())).status_code == 200
        [second] = site.processes()
        assert second != first
        os.kill(second, signal.SIGKILL)  # while it does nothing
        soon(lambda: not psutil.pid_exists(second))
        time.sleep(0.2)
        assert post(site, encoded(sound())).status_code == 200


def test_a_worker_that_takes_too_long_is_ended(tmp_path, model_folder):
    with own_site(tmp_path, model_folder, work_seconds=1) as site:
        [process] = site.processes()
        os.kill(process, signal.SIGSTOP)
        answer = post(site, encoded(sound()))
        assert answer.status_code == 503
        assert answer.json() == {"error": "it took longer than 1 s to tag it, and was stopped"}
        site.server.crew.most_seconds = 60
        assert post(site, encoded(sound())).status_code == 200
        soon(lambda: not psutil.pid_exists(process))


def test_who_comes_when_too_many_wait_is_told_so(tmp_path, model_folder):
    with own_site(tmp_path, model_folder) as site, ThreadPoolExecutor(2) as threads:
        [process] = site.processes()
        os.kill(process, signal.SIGSTOP)
        waiting = [threads.submit(post, site, encoded(sound())) for _ in range(2)]
        soon(lambda: site.server.within == 2)
        answer = post(site, encoded(sound()))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "too many files are waiting" in answer.json()["error"]
        os.kill(process, signal.SIGCONT)
        assert [answer.result().status_code for answer in waiting] == [200, 200]


def test_who_goes_away_leaves_nothing(tmp_path, model_folder, monkeypatch):
    monkeypatch.setattr(serving_crew, "GRACE", 0.1)
    content = body(encoded(sound()))
    with own_site(tmp_path, model_folder) as site:
        raw(site, content[:20_000], {"Content-Length": str(len(content))}, wait=False)  # while it is sent
        soon(lambda: site.server.within == 0 and list(site.uploads.iterdir()) == [])
        [process] = site.processes()
        os.kill(process, signal.SIGSTOP)
        raw(site, content, {"Content-Length": str(len(content))}, wait=False)  # while it is worked on
        soon(lambda: not psutil.pid_exists(process))
        soon(lambda: site.server.within == 0 and list(site.uploads.iterdir()) == [])
        assert post(site, encoded(sound())).status_code == 200


def test_who_sends_nothing_more_is_not_waited_for(tmp_path, model_folder):
    with own_site(tmp_path, model_folder, stall_seconds=0.3) as site:
        answer = raw(site, body(b"x" * 1000)[:500], {"Content-Length": "2000"})
        assert status(answer) == 408
        assert list(site.uploads.iterdir()) == []


def test_a_full_disk_is_told_as_such(site, monkeypatch):
    async def full(_, awaited):
        awaited.close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(serving.Server, "_soon", full)
    assert post(site, encoded(sound())).status_code == 507


def test_an_error_of_our_own_is_told_as_such_and_printed(site, monkeypatch, capfd):
    def wrong(*_, **__):
        raise KeyError("a bug")

    monkeypatch.setattr(site.server.crew, "do", wrong)
    answer = post(site, encoded(sound()))
    assert (answer.status_code, set(answer.json())) == (500, {"error"})
    assert "a bug" not in answer.text
    assert "KeyError: 'a bug'" in capfd.readouterr().err


def test_a_worker_has_a_limit_of_memory_and_writes_no_core(site):
    for process in map(psutil.Process, site.processes()):
        assert 0 < process.rlimit(psutil.RLIMIT_AS)[0] < 2**40
        assert process.rlimit(psutil.RLIMIT_CORE)[0] == 0


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.0.7", "["]
)
def test_another_name_that_leads_here_is_refused(site, host):
    assert get(site, "", headers={"Host": host}).status_code in (400, 421)
    assert get(site, "clips/0/tag", headers={"Host": f"{host}:{urlsplit(site.address).port}"}).status_code in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8420", "127.0.0.1:9", "[::1]:8420", "localhost.:1"])
def test_the_names_of_this_machine_are_its_own(site, host):
    assert get(site, "about", headers={"Host": host}).status_code == 200


def test_who_is_reached_from_everywhere_goes_by_numbers_and_its_own_name(monkeypatch):
    listening = SimpleNamespace(getsockname=lambda: ("0.0.0.0", 8420))
    crew = SimpleNamespace(workers=[])
    monkeypatch.setattr(socket, "gethostname", lambda: "Box")
    server = serving.Server(crew, {}, None, LIMITS, listening, "0.0.0.0", Path())
    assert serving.address(listening) == "http://127.0.0.1:8420/"
    assert not serving.is_loopback(listening)
    for name in ("192.168.0.7:8420", "[fe80::1]:8420", "box", "box.local:8420", "localhost"):
        assert server._is_own(name)
    assert not server._is_own("evil.example")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", ""])
def test_a_page_of_another_site_can_send_nothing(site, origin):
    answer = post(site, encoded(sound()), headers={"Origin": origin})
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_page_of_another_site_can_link_to_the_page_and_to_nothing_else(site):
    assert post(site, encoded(sound()), headers={"Origin": site.address.rstrip("/")}).status_code == 200
    for place in ("cross-site", "same-site"):
        assert get(site, "", headers={"Sec-Fetch-Site": place}).status_code == 200
        assert get(site, "clips/0/tag", headers={"Sec-Fetch-Site": place}).status_code == 403
        assert get(site, "clips/0/audio", headers={"Sec-Fetch-Site": place}).status_code == 403


@pytest.mark.parametrize("path", ["", "try.css", "try.js", "report.css", "about", "clips", "clips/0/audio", "nothing"])
def test_every_answer_says_what_a_browser_may_do_with_it(site, path):
    headers = get(site, path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] in ("no-store", "no-cache")
    assert headers["Server"] == "wavetag"
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"


def test_other_methods_are_refused_as_all_errors_are_told(site):
    answer = get(site, "tag")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.json() == {"error": "Method Not Allowed"}


def test_the_page_needs_nothing_from_elsewhere(site):
    for path in ("", "try.css", "try.js", "report.css"):
        text = get(site, path).text
        assert len(text) > 1000
        assert "//" not in text.replace("// ", "").replace("http://www.w3.org", "")


def test_the_page_is_told_of_the_model(site):
    about = get(site, "about").json()
    assert about["model"] == "small"
    assert (about["dataset"], about["tags"], about["sample_rate"]) == ("minitune", len(TAGS), RATE)
    assert (about["window_seconds"], about["validation_roc_auc"]) == (0.2, 0.75)
    assert about["limits"] == {"megabytes": 1, "seconds": 20}
    assert "process" not in about


@pytest.mark.parametrize("sizes", [[1], [31], [33], [10_000], [1, 31, 32, 5, 90_000, 7], [0, 100]])
def test_a_waveform_has_the_extremes_of_each_of_its_parts(sizes):
    rng = np.random.default_rng(len(sizes))
    pieces = [rng.integers(-32768, 32767, size).astype(np.int16) for size in sizes]
    low, high = serving_work.waveform(iter(pieces), 100)
    samples = np.concatenate(pieces)
    chunks = -(-len(samples) // serving_work.CHUNK)
    parts = min(100, chunks)
    assert len(low) == len(high) == parts
    for part in range(parts):
        begin, end = part * chunks // parts * serving_work.CHUNK, (part + 1) * chunks // parts * serving_work.CHUNK
        assert low[part] == pytest.approx(samples[begin:end].min() / 32768, abs=6e-4)
        assert high[part] == pytest.approx(samples[begin:end].max() / 32768, abs=6e-4)


def test_the_taggram_of_a_long_sound_is_thinned():
    count, tags = 30_000, tuple(f"tag {number}" for number in range(50))
    found = np.random.default_rng(0).random((count, 50)).astype(np.float32)
    course = Taggram(np.arange(count) * 0.1, 0.4, found, tags)
    told = serving_work._payload(Heard(tags, found.mean(axis=0), np.zeros(1), 3000.0, 7500, course))
    assert len(json.dumps(told)) < 2_000_000
    assert told["taggram"]["every"] == 6
    assert len(told["taggram"]["starts"]) == len(told["taggram"]["probabilities"]) == 5000
    order = [tags.index(name) for name in told["taggram"]["tags"]]
    assert told["taggram"]["probabilities"][7] == pytest.approx(found[42, order], abs=6e-4)


def test_too_little_memory_is_told_of_the_file():
    told = serving_work._told(MemoryError(), Path("/tmp/x"))
    assert isinstance(told, audio.AudioError)
    assert str(told) == "decoding it takes more memory than is allowed"


def test_of_a_dataset_the_test_clips_are_offered_with_their_tags(tiny_dataset, tiny_prepared, tmp_path):
    splits.write(tmp_path / "split.tsv", tiny_prepared.split)
    model_tags = tiny_prepared.split.tags[::2]
    found = serving_clips.of(tiny_dataset, tmp_path / "split.tsv", model_tags)
    test = tiny_prepared.split.only(splits.TEST)
    assert [clip.path for clip in found.clips] == [tiny_dataset / path for path in test.clips["path"]]
    assert (found.of, found.said) == (12, f"test clips of {tiny_dataset.name}")
    for clip, row in zip(found.clips, test.labels, strict=True):
        true = [name for name, value in zip(test.tags, row, strict=True) if value and name in model_tags]
        assert list(clip.tags) == true
    few = serving_clips.of(tiny_dataset, tmp_path / "split.tsv", model_tags, most=5)
    assert [clip.path for clip in few.clips] == [found.clips[place].path for place in (0, 2, 4, 7, 9)]


@pytest.mark.parametrize("content", [None, b"", b"another\ttable\n1\t2\n", b"\xff\xfe\0"])
def test_without_a_split_of_the_dataset_clips_from_all_of_it_are_offered(tiny_dataset, tmp_path, content):
    if content is not None:
        (tmp_path / "split.tsv").write_bytes(content)
    found = serving_clips.of(tiny_dataset, tmp_path / "split.tsv", ())
    assert (len(found.clips), found.of, found.clips[0].tags) == (64, 64, None)
    assert found.clips[0].artist.startswith("artist ")


def test_of_another_folder_its_sound_files_are_offered(tmp_path):
    write_mp3(tmp_path / "b/two.mp3", sound(300, 0.3))
    write_mp3(tmp_path / "a one.mp3", sound(300, 0.3))
    (tmp_path / "notes.txt").write_text("not a sound")
    found = serving_clips.of(tmp_path, None, ())
    assert [clip.name for clip in found.clips] == ["a one.mp3", "b/two.mp3"]


def test_a_folder_without_sounds_or_with_another_table_is_refused(tmp_path):
    with pytest.raises(layout.DatasetError, match="no audio file in this folder"):
        serving_clips.of(tmp_path, None, ())
    with pytest.raises(layout.DatasetError, match="no such folder"):
        serving_clips.of(tmp_path / "none", None, ())
    (tmp_path / layout.ANNOTATIONS).write_bytes(b"clip_id\trock\n1\t0\n")
    with pytest.raises(layout.DatasetError, match="not the table of a dataset"):
        serving_clips.of(tmp_path, None, ())
