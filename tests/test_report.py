"""The page shows tables, figures and clips as they are, and text from a dataset can do it no harm."""

import html
import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import report_site
from report_site import ASK, TAGS, TITLES
from wavetag import confusion, files, listening, report, web_drawings


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

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return report_site.make(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A page to be read and not changed."""
    return report_site.page(tmp_path_factory.mktemp("site"))


def test_text_from_a_dataset_stays_text(made):
    text = made.read_text()
    reader = Reader(text)
    assert [script["src"] for script in reader.all("script")] == ["report.js"]
    assert not reader.all("b") + reader.all("u")
    assert {element["src"] for element in reader.all("script")} == {"report.js"}
    for shown in (*TAGS, *TITLES, ASK, "<u>Look</u>", "<i>.9</i>", "Table I: <lengths>", "Group <one>"):
        assert shown in reader.text, shown
    assert "alert(1)" in text
    assert text.count("<script>alert") == 0
    assert not [name for _, attributes in reader.elements for name in attributes if name.startswith("on")]


def test_all_that_the_page_names_is_in_its_folder(made):
    reader = Reader(made.read_text())
    named = [attributes[name] for _, attributes in reader.elements for name in ("src", "href") if name in attributes]
    local = [address for address in named if not address.startswith(("#", "data:,"))]
    assert len([address for address in local if address.endswith(".mp3")]) == 9
    for address in local:
        assert re.fullmatch(r"[a-z0-9_/.]+", address), address
        assert (made.parent / address).stat().st_size > 0
    assert {path.relative_to(made.parent).as_posix() for path in made.parent.rglob("*.*")} == {"index.html", *local}
    values = [
        value or "" for _, attributes in reader.elements for name, value in attributes.items() if "xmlns" not in name
    ]
    assert not [value for value in values if re.search(r"https?:|//", value)]
    for name in ("report.css", "report.js"):
        assert not re.search(r"https?:|@import|url\(|fetch|XMLHttp", (made.parent / name).read_text())


def test_ids_are_unique_and_every_link_within_the_page_leads_somewhere(made):
    text = made.read_text()
    ids = [attributes["id"] for _, attributes in Reader(text).elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    links = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    assert {a or b for a, b in links} <= set(ids)


def test_every_drawing_says_what_it_shows(made):
    reader = Reader(made.read_text())
    drawings = reader.all("svg")
    assert len(drawings) > 15
    for drawing in drawings:
        assert drawing.get("aria-hidden") == "true" or len(drawing["aria-label"]) > 20
    assert all(image["alt"] for image in reader.all("img"))
    assert all(audio["aria-label"] for audio in reader.all("audio"))


def test_the_page_says_whose_numbers_these_are(made):
    words = Reader(made.read_text()).words
    notice = "The numbers on this page are minitune's, not MagnaTagATune's."
    assert words.index(notice) < words.index("Findings")
    assert "artist and title are made up" in words
    assert "CC BY-NC-SA 3.0" in listening.licence("magnatagatune")
    assert "your own collection" in listening.licence("folder")


def test_findings_come_first_with_their_verdict_in_words(made):
    text = made.read_text()
    words = Reader(text).words
    content = files.read_json(made.parents[2] / "findings/findings.json")
    [entry] = content["findings"]
    assert words.index(ASK) < words.index("2 configs (networks)")
    assert f"{entry['verdict']} {entry['short'].removeprefix(ASK).strip()}" in words
    assert "slow: Not run yet: snakemake --cores 4 slow runs it." in words


def test_every_verdict_has_a_badge_and_stands_in_the_legend(made):
    assert report.VERDICTS.keys() == {
        *("better", "worse", "within noise", "not converged", "no interval", "same by construction"),
    }
    words = Reader(made.read_text()).words
    legend = words[words.index("The verdicts:") : words.index("The report's tables")]
    for verdict, (sign, _) in report.VERDICTS.items():
        assert f"{sign} {verdict}" in legend


def test_headings_go_down_one_level_at_a_time(made):
    reader = Reader(made.read_text())
    levels = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    group = made.read_text().partition('<h4 class="group">')[2]
    assert group.startswith("Group &lt;one&gt;</h4>")
    assert html.unescape(re.search("<h5>(.*?)</h5>", group)[1]) == ASK


def test_a_negative_number_in_a_caption_has_a_minus(site, monkeypatch):
    caption = "The gap is -0.022 (widest, log-mel) to -.5 at 5-10 clips."
    captions = files.read_json("figures/captions.json")
    captions["loss_by_epoch.png"]["caption"] = caption
    files.write_json("figures/captions.json", captions)
    assert report_site.run(monkeypatch) == 0
    words = Reader((site / "out/page/index.html").read_text()).words
    assert "The gap is −0.022 (widest, log-mel) to −.5 at 5-10 clips." in words


def test_whole_numbers_have_commas_at_the_thousands():
    frame = pd.DataFrame({"split": ["train"], "clips": [15250], "labels a clip": ["3.0"]})
    assert report.table_of("counts", "Clips", frame).rows == (("train", "15,250", "3.0"),)


def test_findings_of_other_settings_are_told_and_not_shown(site, monkeypatch):
    settings = report_site.settings()
    found = report.read_findings("findings/findings.json", "report", settings, "suites")
    assert [name for name, _, _ in found.groups] == ["group <one>"]
    settings["defaults"]["momentum"] = 0.5
    found = report.read_findings("findings/findings.json", "report", settings, "suites")
    assert found.groups == ()
    assert "Made for other questions or settings than are set now: group <one>" in found.missing
    files.write_json("findings/findings.json", {"groups": [{}]})
    with pytest.raises(ValueError, match=r"findings\.json: not as the pipeline writes it"):
        report.read_findings("findings/findings.json", "report", settings, "suites")


def test_the_page_says_what_was_run_and_features_the_best_by_validation(made):
    words = Reader(made.read_text()).words
    assert "2 configs (networks), by default with 2 seeds each" in words
    assert "100 % of its clips are by an artist" not in words
    assert "all as in defaults" in words
    assert "seeds[0, 1]" in words
    assert "windownull" in words
    assert "frontend: mel, batch_norm: true" in words
    assert "Architecture: mel_bn" in words
    assert re.search(r"test 12 12 3 3\.0", words)  # clips, songs, artists, labels a clip
    assert "snakemake --cores 4 all" in words


def test_the_figures_that_the_page_does_not_draw_are_copied(made):
    images = [image for image in Reader(made.read_text()).all("img") if image["src"].startswith("figures/")]
    assert [image["alt"] for image in images] == ["Filters <u>of</u> long", "Another <u>figure</u>"]


def test_each_suite_shows_its_table_and_figures_or_the_command_that_makes_them(made):
    reader = Reader(made.read_text())
    words = reader.words
    of_suites = words[words.index("What is run beside the report's tables") :]
    assert of_suites.index("drawn Of <u>drawn</u>. Configs of drawn") < of_suites.index("slow Not run yet")
    assert "long epochs: 30 .717" in of_suites
    assert "Filters <u>of</u> long (minitune). <u>Look</u> here" in of_suites
    assert "slow Not run yet: snakemake --cores 4 slow runs it." in of_suites
    assert (made.parent / "figures/drawn_00.png").is_file()
    assert report.SUITES.keys() == {path.parent.name for path in report_site.ROOT.glob("suites/*/params.yaml")}


def test_a_suites_table_counts_only_for_the_settings_that_its_scores_are_of(site):
    settings = report_site.settings()
    assert report.read_suite("suites/drawn", settings).table.rows == (("long", "epochs: 30", ".717"),)
    changed = report.read_suite("suites/drawn", {**settings, "defaults": {**settings["defaults"], "momentum": 0.5}})
    assert (changed.table, changed.pictures) == (None, {})
    told = "Made for other settings than are set now: `snakemake --cores 4 drawn` makes it anew."
    assert changed.missing == told
    files.write_text("suites/drawn/params.yaml", "experiments: {long: {epochs: 30}, more: {}}\n")
    assert report.read_suite("suites/drawn", settings).missing == told
    files.write_text("suites/drawn/params.yaml", "experiments: {long: {epochs: 0}}\n")
    assert "experiments.long.epochs: 0 is not allowed" in report.read_suite("suites/drawn", settings).missing


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("published/table.md", None, r"drawn/published/table\.md: no such file: `snakemake --cores 4 drawn` makes it"),
        ("published/captions.json", None, r"published/captions\.json: no such file"),
        ("published/filters.png", None, r"published/filters\.png: no such file, though .*captions\.json names it"),
        ("results.json", '{"configs": {"long": {}}}', r"drawn/results\.json: not as the pipeline writes it"),
    ],
)
def test_what_a_suite_should_have_published_is_named(site, monkeypatch, capsys, name, content, told):
    path = site / "suites/drawn" / name
    path.unlink() if content is None else path.write_text(content)
    assert report_site.run(monkeypatch) == 1
    assert re.search(told, capsys.readouterr().err)
    assert not (site / "out/page").exists()


def test_a_suite_that_cannot_be_run_with_what_is_set_is_told(site, monkeypatch):
    common = {"sample_rate": 22050, "split": "main"}
    suite = {"common": common, "splits": {"main": {}}, "experiments": {"more": common}}
    files.write_json("suites/slow/params.yaml", suite)  # JSON is YAML
    assert report_site.run(monkeypatch) == 0
    words = Reader((site / "out/page/index.html").read_text()).words
    assert words.count("Not to be run with what is set now: suites/slow/params.yaml: takes clips at 22050 Hz") == 2


def test_each_clip_has_audio_tags_and_a_taggram(made):
    reader = Reader(made.read_text())
    clips = reader.all("article")
    assert len(clips) == 9
    shown = [json.loads(clip["data-tags"]) for clip in clips]
    assert all(len(rows) == len(TAGS) and sum(row["true"] for row in rows) == 3 for rows in shown)
    taggrams = [svg for svg in reader.all("svg") if svg.get("class") == "taggram"]
    # windows of 1 s, a quarter of a second apart, in 2 s: five
    assert [svg["viewbox"] for svg in taggrams] == [f"0 0 5 {len(TAGS)}"] * 9
    options = [option["value"] for option in reader.all("option") if option["value"] in TAGS]
    assert options == sorted(TAGS)


def test_a_part_of_a_file_is_encoded_anew(site):
    import soundfile

    source = Path("data/raw/minitune") / report_site.PATHS[0]
    whole = listening.put_audio(source.parent, source.name, site / "whole")
    assert whole.read_bytes() == source.read_bytes()
    part = listening.put_audio(source.parent, f"{source.name}#t=0.5,1.25", site / "part")
    assert part.suffix == ".mp3"
    assert soundfile.info(part).duration == pytest.approx(0.75, abs=0.15)  # MP3 is written in frames of 36 ms
    with pytest.raises(ValueError, match=r"nothing\.mp3: no such file"):
        listening.put_audio(source.parent, "nothing.mp3", site / "none")


def test_a_spectrogram_is_bright_where_the_tone_is(site):
    import io

    from PIL import Image

    seconds = np.arange(24_000) / 12_000
    rows = []
    for frequency in (300, 3000):
        image = Image.open(io.BytesIO(listening.spectrogram(np.sin(2 * np.pi * frequency * seconds) * 9000, 12_000)))
        rows.append(int(np.asarray(image.convert("L")).mean(axis=1).argmax()))
    assert rows[0] > rows[1] + 20  # low frequencies below


def test_confusion_counts_what_was_given_in_place_of_a_true_tag():
    truth = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]])
    scores = np.array([[0.1, 0.9, 0.2], [0.9, 0.1, 0.2], [0.8, 0.1, 0.9], [0.1, 0.2, 0.9]])
    assert confusion.given(truth, scores).astype(int).tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]]
    rate, clips = confusion.rates(truth, scores)
    assert clips.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    # the first tag without the second: clips 0 and 1; the second without the third: clip 2; never the second alone
    np.testing.assert_allclose(rate, [[np.nan, 1 / 2, 0], [np.nan, np.nan, 1], [0, 0, np.nan]])
    assert confusion.strongest(rate, clips, ("a", "b", "c"), 5, least=1)[0] == {
        "true": "b",
        "given": "c",
        "rate": 1.0,
        "clips": 1,
    }


def test_a_whisker_stands_where_its_numbers_are():
    drawn = web_drawings.whisker(0.75, 0.5, 1.0, (0.0, 1.0), 0.25)
    assert re.findall(r'(?:cx|x1|x2)="([\d.]+)%"', drawn) == ["25.0", "25.0", "50.0", "100.0", "75.0"]
    assert web_drawings.whisker(None, None, None, (0.0, 1.0), 0.5) == ""


def test_a_heat_map_names_each_cell_and_escapes_names():
    drawn = web_drawings.heat_map(np.array([[np.nan, 0.5], [0.0, np.nan]]), ["<a>", "b&c"], "said")
    assert html.unescape(re.search(r"<title>(.*?)</title>", drawn)[1]) == "<a>, b&c: 0.50"
    assert drawn.count("<title>") == 1
    assert "<a>" not in drawn


def test_a_bar_within_a_cell_does_not_cut_it(tmp_path):
    table = report.read_table(report_site.table_page(tmp_path))
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


def test_the_same_run_gives_the_same_page_and_tables_keep_their_order(site, monkeypatch):
    for name in ("another", "comparisons", "table2"):
        shutil.copy(site / "tables/table1.md", site / f"tables/{name}.md")
    page = site / "out/page"
    assert report_site.run(monkeypatch) == 0
    text = (page / "index.html").read_text()
    headings = [element["id"] for element in Reader(text).all("h3") if "id" in element]
    assert headings[:4] == ["table1", "table2", "comparisons", "another"]
    before = {path: path.read_bytes() for path in page.rglob("*.*")}
    assert report_site.run(monkeypatch) == 0
    assert {path: path.read_bytes() for path in page.rglob("*.*")} == before


@pytest.mark.parametrize(
    "missing",
    ["figures/captions.json", "tables/table1.md", "predictions/base.npz", "models/base/history.csv", "clips.npy"],
)
def test_what_is_missing_is_named_and_the_old_page_stays(site, monkeypatch, capsys, missing):
    old = site / "out/page/index.html"
    old.parent.mkdir(parents=True)
    old.touch()
    (site / missing).unlink()
    assert report_site.run(monkeypatch) == 1
    assert str(Path(missing).parent if "table" in missing else missing) in capsys.readouterr().err
    assert [path.name for path in (site / "out").rglob("*.*")] == ["index.html"]
