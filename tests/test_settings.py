"""Named settings: what they put into params.yaml, and what stays as it was."""

import shutil
from pathlib import Path

import pytest
import yaml

from wavetag import params, settings

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the repository's settings, to work in."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "settings", tmp_path / "settings")
    (tmp_path / "workflow").symlink_to(ROOT / "workflow")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(name="base"):
    return params.config(params.load(), name)


def test_the_settings_of_the_report_are_the_repositorys_own(here):
    before = Path("params.yaml").read_text()
    assert settings.apply(["minitune", "report"]) == []
    assert Path("params.yaml").read_text() == before


def test_the_settings_of_the_paper(here):
    settings.apply(["paper"])
    loaded = params.load()
    assert loaded["split"]["vocabulary"] == "standard50"
    assert loaded["prepare"]["sample_rates"] == [16_000]
    assert {(entry["sample_rate"], entry["scaling"]) for entry in loaded["experiments"].values()} == {(16_000, "none")}


def test_a_full_run_on_the_real_data_is_one_name_and_the_way_back_another(here):
    before = params.load()
    settings.apply(["magnatagatune"])
    assert params.load()["dataset"]["name"] == "magnatagatune"
    assert (config()["epochs"], config()["seeds"]) == (20, [0, 1, 2, 3, 4])
    settings.apply(["minitune"])
    assert params.load() == before


def test_comments_and_what_was_not_named_stay(here):
    lines = Path("params.yaml").read_text().splitlines()
    settings.apply(["defaults.epochs=3"])
    changed = [new for old, new in zip(lines, Path("params.yaml").read_text().splitlines(), strict=True) if old != new]
    assert changed == ["  epochs: 3"]


def test_every_name_has_a_line_that_says_what_it_is_for():
    there = settings.named(ROOT / "settings")
    assert {"report", "paper", "minitune", "magnatagatune", "coursework", "folder"} == set(there)
    assert all(len(line) > 30 for line in there.values())


@pytest.mark.parametrize("source", ["music", "~/music", "./music"])
def test_a_source_is_found_from_the_repositorys_top_folder(here, monkeypatch, source):
    monkeypatch.setenv("HOME", str(here / "home"))
    for folder in ("music", "home/music"):
        (here / folder).mkdir(parents=True)
    changes = settings.apply(["folder", f"dataset.source={source}"])
    assert ("split.vocabulary", "merged50", "all") in changes
    assert params.load()["dataset"]["source"] == ("home/music" if "~" in source else "music")
    settings.apply([f"dataset.source={here.parent}"])
    assert params.load()["dataset"]["source"] == str(here.parent)


def test_nothing_is_again_nothing(here):
    (here / "music").mkdir()
    settings.apply(["folder", "dataset.source=music", "dataset.audio=music"])
    settings.apply(["minitune", "dataset.audio=null"])
    assert "audio: null" in Path("params.yaml").read_text()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["reprot"], "'reprot': no such settings; there are coursework, folder, magnatagatune"),
        (["defaults.epoch=3"], "there is no setting 'defaults.epoch'"),
        (["epochs=3"], "there is no setting 'epochs'"),
        (["defaults.epochs.more=3"], "there is no setting 'defaults.epochs.more'"),
        (["defaults.epochs=many"], "params.yaml: defaults.epochs: 'many' is not of type integer"),
        (["folder"], "params.yaml: dataset.source: 'src/minitune' was given, where folder is to be found"),
        (["paper", "prepare.sample_rates=[12000]"], "sample_rate 16000 is not among prepare.sample_rates"),
    ],
)
def test_what_cannot_be_is_refused_and_the_file_stays(here, wanted, message):
    before = Path("params.yaml").read_text()
    with pytest.raises(params.ParamsError, match=message):
        settings.apply(wanted)
    assert Path("params.yaml").read_text() == before
    assert sorted(path.name for path in here.iterdir()) == ["params.yaml", "settings", "workflow"]


def test_two_sample_rates_side_by_side(here):
    settings.apply(["prepare.sample_rates=[12000, 16000]"])
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(
        text.replace(
            "  mel: {<<: *defaults, frontend: mel}",
            ("  mel: {<<: *defaults, frontend: mel}\n  mel_16k: {<<: *defaults, frontend: mel, sample_rate: 16000}"),
        )
    )
    assert config("mel")["sample_rate"] == 12_000
    assert config("mel_16k")["sample_rate"] == 16_000
    assert yaml.safe_load(text)["prepare"]["sample_rates"] == [12_000, 16_000]
