"""The page shows tables, figures and clips as they are, and text from a dataset can do it no harm."""

import functools
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from conftest import RATE, tone, write_mp3
from wavetag import examples, files, report, splits, tables

ROOT = Path(__file__).resolve().parents[1]
TAGS = ("rock", "<script>alert(1)</script>", 'a "quoted" & tag', "choir", "piano")
PATHS = (
    "d/plain-album-01-song-0-29.mp3",
    "e/<script>alert(2)<-script>.mp3",
    'f/it\'s 100% "quoted" & #1? <b>bold<-b>.mp3',
)


class Reader(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.text += " "

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def table_page(folder: Path) -> Path:
    """A table as the pipeline writes it, with a bar in a cell and a tag in another."""
    frame = pd.DataFrame({"config": ["base", "ceiling: P(tag | clip)"], "ROC-AUC": [".781 ± .004", "<i>.9</i>"]})
    page = tables.markdown("Table I: <lengths>", "Of minitune.\nNot of another.", frame, "The smallest difference.")
    files.write_text(folder / "table1.md", page)
    return folder / "table1.md"


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder as a pipeline leaves it just before the report, with names that would harm a careless page."""
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["experiments"] = {
        "base": {"sample_rate": 12_000},
        "mel_bn": {"sample_rate": 12_000, "frontend": "mel", "batch_norm": True},
    }
    settings["tables"] = {"table1": ["base"], "table2": []}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (tmp_path / "workflow").symlink_to(ROOT / "workflow")
    labels = np.eye(6, len(TAGS), dtype=np.uint8) + np.eye(6, len(TAGS), 1, dtype=np.uint8)
    rows = range(6)
    clips = pd.DataFrame(
        {
            "row": rows,
            "clip_id": [str(row) for row in rows],
            "path": ["0/a.mp3", "c/b.mp3", *PATHS, "d/other.mp3"],
            "part": ["0", "c", "d", "e", "f", "d"],
            "artist": ["an artist", "an artist", "an artist", "</script>", "<b>", "e"],
            "song": [f"song {row}" for row in rows],
            "split": ["train", "valid", "test", "test", "test", "test"],
            "windows": 10,
            "artist_disjoint": 0,
        }
    )
    splits.write(tmp_path / "split.tsv", splits.Split(clips, TAGS, labels))
    shown = [
        (kind, str(number), path, 0.5, rank, tag, 0.9 / rank, rank != 2, rank == 1)
        for number, (kind, path) in enumerate(zip(("good", "bad", "bad"), PATHS, strict=True))
        for rank, tag in ((1, TAGS[1]), (2, TAGS[2]), (23, TAGS[0]))
    ]
    files.write_table(tmp_path / "figures/examples.csv", pd.DataFrame(shown, columns=list(examples.COLUMNS)))
    Image.new("RGB", (1350, 40), "navy").save(tmp_path / "figures/loss.png")
    files.write_json(tmp_path / "figures/captions.json", {"loss.png": {"title": "Loss", "caption": "<u>Look</u>"}})
    table_page(tmp_path / "tables")
    rng = np.random.default_rng(0)
    for path in PATHS:
        write_mp3(tmp_path / "data/raw/minitune" / path, tone(440.0, 1.0, rng)[:RATE])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_page(monkeypatch) -> int:
    from wavetag.stages import report as of_report

    command = (
        "report --tables tables --figures figures --split split.tsv --dataset data/raw/minitune --out out/index.html"
    )
    monkeypatch.setattr(sys, "argv", command.split())
    return of_report.main()


@pytest.fixture
def page(site, monkeypatch) -> Path:
    assert write_page(monkeypatch) == 0
    return site / "out" / "index.html"


def test_text_from_a_dataset_stays_text(page):
    text = page.read_text()
    reader = Reader(text)
    assert not reader.all("script") + reader.all("b") + reader.all("u") + reader.all("i")
    for shown in (*TAGS[:3], *PATHS, "<u>Look</u>", "<i>.9</i>", "Table I: <lengths>"):
        assert shown in reader.text
    assert text.count("alert(1)") == text.count(html.escape(TAGS[1]))
    assert not [name for _, attributes in reader.elements for name in attributes if name.startswith("on")]


def test_addresses_lead_to_the_files(page):
    from urllib.parse import unquote

    reader = Reader(page.read_text())
    sources = [element["src"] for element in reader.all("audio") + reader.all("img")]
    assert len(sources) == 4
    for source in sources:
        assert not set(source) & set(" <>\"'#?&")
        assert (page.parent / unquote(source)).is_file()


def test_nothing_comes_from_the_network(page):
    reader = Reader(page.read_text())
    addresses = [
        attributes[name] for _, attributes in reader.elements for name in ("src", "href") if name in attributes
    ]
    assert addresses
    assert all(address.startswith(("../", "#", "data:,")) for address in addresses)
    assert "url(" not in page.read_text()
    assert "@import" not in page.read_text()


def test_the_page_says_whose_numbers_these_are(page):
    reader = Reader(page.read_text())
    words = " ".join(reader.text.split())
    notice = "The numbers on this page are minitune's, not MagnaTagATune's."
    assert notice in words
    assert words.index(notice) < words.index("What was run")
    real = yaml.safe_load((ROOT / "params.yaml").read_text())
    real["dataset"]["name"] = "magnatagatune"
    other = report.render(real, report.Table("", "", ("a",), ()), 0.6, [], [], [])
    assert "minitune" not in Reader(other).text.split("All other settings")[0].replace("magnatagatune", "")


def test_the_page_says_what_was_run(page):
    words = " ".join(Reader(page.read_text()).text.split())
    assert "2 configs (networks), by default with 3 seeds each" in words
    assert "25 % of its clips are by an artist who is also in train" in words
    assert "all as in defaults" in words
    assert "frontend: mel, batch_norm: yes" in words
    assert re.search(r"test 4 4 4 1\.\d+", words)  # clips, songs, artists, labels a clip
    assert "snakemake --cores 4 all" in words
    assert "dvc metrics diff" in words


def test_each_clip_has_its_tags(page):
    text = page.read_text()
    assert text.count("<article>") == 3
    assert text.count('class="true"') == 3
    assert text.count('class="other"') == 3
    assert text.count('class="missed"') == 3
    assert "rock 0.04 (rank 23)" in Reader(text).text


def test_a_bar_within_a_cell_does_not_cut_it(tmp_path):
    table = report.read_table(table_page(tmp_path))
    assert table.title == "Table I: <lengths>"
    assert table.columns == ("config", "ROC-AUC")
    assert table.rows == (("base", ".781 ± .004"), ("ceiling: P(tag | clip)", "<i>.9</i>"))
    assert table.above == ("Of minitune. Not of another.",)
    assert table.below == ("The smallest difference.",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "no such file"),
        ("words\n", "not a page with a title"),
        ("## Title\n\nno table\n", "not a page with a title"),
        ("## Title\n\n| a  | b |\n| -- | - |\n| 1 | 2 |\n", "not aligned"),
    ],
)
def test_a_table_that_is_none_is_named(tmp_path, text, complaint):
    path = tmp_path / "table1.md"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as error:
        report.read_table(path)
    assert str(path) in str(error.value)


def test_tables_keep_the_order_of_the_report(site, monkeypatch):
    for name in ("another", "comparisons", "table2"):
        shutil.copy(site / "tables/table1.md", site / f"tables/{name}.md")
    assert write_page(monkeypatch) == 0
    headings = [element["id"] for element in Reader((site / "out/index.html").read_text()).all("h3") if "id" in element]
    assert headings == ["table1", "table2", "comparisons", "another"]


def test_the_same_run_gives_the_same_page(page, monkeypatch):
    before = page.read_bytes()
    assert write_page(monkeypatch) == 0
    assert page.read_bytes() == before


@pytest.mark.parametrize("missing", ["figures/examples.csv", "figures/captions.json", "tables/table1.md"])
def test_what_is_missing_is_named(site, monkeypatch, capsys, missing):
    (site / missing).unlink()
    assert write_page(monkeypatch) == 1
    assert str(Path(missing).parent) in capsys.readouterr().err
    assert not (site / "out/index.html").exists()


# What a reader sees, at the width of a phone. The answers come back through the title of the page around it.
PROBE = """<!DOCTYPE html><title>waiting</title><link rel="icon" href="data:,">
<iframe src="index.html" width="400" height="900" style="border: 0"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", async () => {
  const page = frame.contentDocument;
  const loaded = audio => new Promise(done => {
    if (audio.readyState > 0 || audio.error) return done();
    audio.addEventListener("loadedmetadata", done); audio.addEventListener("error", done);
  });
  await Promise.all([...page.querySelectorAll("audio")].map(loaded));
  document.title = JSON.stringify({
    title: page.title,
    images: [...page.images].map(image => image.naturalWidth),
    seconds: [...page.querySelectorAll("audio")].map(audio => audio.error ? null : audio.duration),
    width: frame.contentWindow.innerWidth,
    needed: page.documentElement.scrollWidth,
    scripts: page.scripts.length,
  });
});
</script>"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr --dump-dom"
    " --virtual-time-budget=20000"
)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, with an account of what was asked for."""

    asked: list[tuple[str, int]]

    def log_request(self, code="-", size="-"):
        self.asked.append((self.path, int(code)))

    def log_message(self, *arguments):
        pass


@pytest.fixture
def served(page):
    """Address of the page's folder, and the requests that were made, on this machine's own interface."""
    asked: list[tuple[str, int]] = []
    handler = type("Handler", (Handler,), {"asked": asked})
    handler = functools.partial(handler, directory=str(page.parents[1]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/out", asked
        server.shutdown()


def test_a_browser_shows_all_of_it_on_a_phone(page, served, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    address, asked = served
    (page.parent / "probe.html").write_text(PROBE)
    command = [browser, *QUIET.split(), f"--user-data-dir={tmp_path / 'browser'}", f"{address}/probe.html"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)})
    title = re.search(r"<title>(.*?)</title>", run.stdout)
    assert title, run.stderr
    seen = json.loads(html.unescape(title.group(1)))
    assert seen["title"] == "wavetag: results on minitune"
    assert seen["images"] == [1350]
    assert len(seen["seconds"]) == 3
    assert all(second == pytest.approx(1.0, abs=0.2) for second in seen["seconds"])
    assert seen["width"] == 400
    assert seen["needed"] <= 400
    assert seen["scripts"] == 0
    assert "CONSOLE" not in run.stderr
    assert {code for _, code in asked} <= {200, 206, 304}, asked
