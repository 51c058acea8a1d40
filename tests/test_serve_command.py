"""``wavetag serve`` on the command line: what it says, what it refuses, how it ends."""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import requests

import serving_site
from serving_site import encoded, sound
from trained_models import heeding_ctrl_c
from wavetag import model_folder, serving
from wavetag.commands import serve

PROGRAM = """
import argparse, sys
from functools import partial
from wavetag.commands import serve
from wavetag.stages import status

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    run = serve.options(parser)
    sys.exit(status("wavetag serve", partial(run, parser.parse_args())))
"""
WAIT = 60  # seconds, at most
TEMPORARY = "temporary" + "-with-a-long-name" * 5  # longer than the address of a socket may be
SOURCES = Path(serve.__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return serving_site.write_model(tmp_path_factory.mktemp("models") / "small")


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    return serve.options(parser)(parser.parse_args(words))


def wait_for(reached, seconds=10):
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--most-megabytes", "0"], "--most-megabytes 0: more than 0 is allowed"),
        (["--most-seconds", "nan"], "--most-seconds nan: more than 0 is allowed"),
        (["--most-seconds", "inf"], "--most-seconds inf: more than 0 is allowed"),
        (["--jobs", "0"], "--jobs 0: 1 or more is allowed"),
        (["--port", "65536"], "--port 65536: 0 to 65535 is allowed"),
        (["--port", "-1"], "--port -1: 0 to 65535 is allowed"),
        (["--host", "not a host"], "--host not a host: no address of this name is known"),
        (["--host", "192.0.2.1", "--port", "0"], "--host 192.0.2.1: not an address of this machine"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_loaded(model, monkeypatch, words, told):
    monkeypatch.setattr("wavetag.serving_crew.Crew.begin", lambda self: pytest.fail("a worker was begun"))
    with pytest.raises(ValueError, match=re.escape(told)):
        run("--model", str(model), *words)


def test_a_port_that_is_taken_is_told(model):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"--port {port}: another program listens there; --port 0 takes one that"):
            run("--model", str(model), "--port", str(port))


def test_a_model_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(model_folder.ModelError, match="no model"):
        run()


def test_by_default_only_this_machine_can_ask():
    parser = argparse.ArgumentParser()
    serve.options(parser)
    assert parser.parse_args([]).host == "127.0.0.1"
    assert parser.parse_args([]).port == 8420


@pytest.mark.parametrize(
    ("address", "told", "loopback"),
    [
        (("127.0.0.1", 8420), "http://127.0.0.1:8420/", True),
        (("::1", 8420, 0, 0), "http://[::1]:8420/", True),
        (("0.0.0.0", 80), "http://127.0.0.1:80/", False),
        (("::", 80, 0, 0), "http://[::1]:80/", False),
        (("192.168.0.7", 80), "http://192.168.0.7:80/", False),
    ],
)
def test_the_address_is_one_that_a_browser_takes(address, told, loopback):
    listening = SimpleNamespace(getsockname=lambda: address)
    assert (serving.address(listening), serving.is_loopback(listening)) == (told, loopback)


@pytest.mark.parametrize(
    ("wanted", "screen", "terminal", "opens"),
    [
        (None, ":0", True, True),
        (None, "", True, False),
        (None, ":0", False, False),
        (True, "", False, True),
        (False, ":0", True, False),
    ],
)
def test_a_browser_is_opened_where_somebody_sits(monkeypatch, wanted, screen, terminal, opens):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("DISPLAY", screen)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert serve._is_to_open(wanted) == opens


def test_neither_the_command_nor_the_server_loads_what_is_heavy():
    light = "import sys; from wavetag.commands import serve; assert not {'aiohttp', 'numpy'} & set(sys.modules)"
    server = "from wavetag import serving, serving_crew; assert not {'torch', 'pandas', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{light}; {server}"], check=True, timeout=WAIT)


@pytest.fixture
def started(model, tmp_path):
    """The command, begun in a folder of its own, with a dataset of the model's."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / TEMPORARY).mkdir()
    serving_site.write_dataset(tmp_path / "data/raw/minitune")
    process = subprocess.Popen(
        [sys.executable, "program.py", "--model", str(model), "--port", "0", "--jobs", "1", "--no-open"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / TEMPORARY), "PYTHONPATH": str(SOURCES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heeding_ctrl_c,
    )
    yield process
    process.kill()
    process.wait()


def test_it_says_where_it_is_and_ends_at_once_on_ctrl_c(started, tmp_path):
    line = started.stdout.readline()
    assert line, started.stderr.read()
    address = re.fullmatch(r"wavetag serve: small is at (http://127\.0\.0\.1:\d+/) until Ctrl-C\n", line)[1]
    assert requests.get(f"{address}about", timeout=WAIT).json()["clips"]["said"] == "clips of minitune"
    children = psutil.Process(started.pid).children(recursive=True)
    [worker] = [child for child in children if child.ppid() != started.pid]
    worker.suspend()  # it will be busy
    asking = threading.Thread(target=_ask, args=[address], daemon=True)
    asking.start()
    wait_for(lambda: any((tmp_path / TEMPORARY).glob("wavetag-serve-*/*")))
    begin = time.monotonic()
    os.killpg(started.pid, signal.SIGINT)
    out, said = started.communicate(timeout=WAIT)
    assert time.monotonic() - begin < 5
    assert (started.returncode, out, said) == (0, "", "")
    asking.join(10)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert [path for path in (tmp_path / TEMPORARY).iterdir() if "wavetag-serve" in path.name] == []


def test_while_it_begins_ctrl_c_ends_it_without_a_word_more(started):
    wait_for(lambda: psutil.Process(started.pid).children())
    time.sleep(0.5)
    os.killpg(started.pid, signal.SIGINT)
    out, said = started.communicate(timeout=WAIT)
    assert (started.returncode, out) == (130, "")
    assert said == "wavetag serve: stopped; run the same command again to go on\n"


def _ask(address):
    with suppress(requests.ConnectionError):
        requests.post(f"{address}tag", files={"file": encoded(sound())}, timeout=WAIT)
