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
    assert loaded["prepare"]["sample_rates"] == [12_000, 16_000]
    assert {(entry["sample_rate"], entry["scaling"]) for entry in loaded["experiments"].values()} == {(16_000, "none")}


def test_a_full_run_on_the_real_data_is_one_name_and_the_way_back_another(here):
    before = params.load()
    settings.apply(["magnatagatune"])
    assert params.load()["dataset"]["name"] == "magnatagatune"
    assert (config()["epochs"], config()["seeds"]) == (20, [0, 1, 2, 3, 4])
    settings.apply(["minitune"])
    assert params.load() == before


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_there_and_back_leaves_every_byte_as_it_was(here, line_end):
    path = Path("params.yaml")
    path.write_bytes(path.read_bytes().replace(b"\n", line_end.encode()))
    before = path.read_bytes()
    (here / "music").mkdir()
    for there, back in (
        (["paper"], ["report"]),
        (["magnatagatune"], ["minitune", "report"]),
        (["folder", "dataset.source=music", "dataset.audio=music"], ["minitune"]),
        (["magnatagatune", "paper", "defaults.dropout=0.25"], ["minitune", "defaults.dropout=0.0"]),
        (["split.vocabulary=[a, 'no']", "dataset.seed=1"], ["report", "dataset.seed=2014"]),
    ):
        assert settings.apply(there)
        assert path.read_bytes() != before
        settings.apply(back)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        ("split.vocabulary=[80s, 'no', 'on', 'null', '1e-3', '0o17', 'a, b', 'x: y']", None),
        ("experiments.base.momentum=0.9", ["  base: {<<: *defaults, momentum: 0.9} # 256/256"]),
        ("experiments.mel.epochs=3", ["  mel: {<<: *defaults, frontend: mel, epochs: 3}"]),
        ("experiments.mel.frontend=linear", ["  mel: {<<: *defaults, frontend: linear}"]),
        (
            "dataset.audio=settings",
            ["  audio: settings # of a folder: where the paths in its table begin, if not beside"],
        ),
        ("split.valid=['c', 'd']", ["  valid: ['c', 'd']"]),
        ("defaults.learning_rate=1.0e-05", ["  learning_rate: 1.0e-05"]),
    ],
)
def test_one_value_is_replaced_in_its_line(here, wanted, lines):
    if "valid" in wanted:
        settings.apply(['split.test=["e", "f"]'])
    before = Path("params.yaml").read_text().splitlines()
    settings.apply([wanted])
    after = Path("params.yaml").read_text().splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    if lines:
        assert changed[0].startswith(lines[0].replace("['c', 'd']", "[c, d]"))
    key, value = wanted.split("=")
    *sections, last = key.split(".")
    section = params.load()
    for name in sections:
        section = section[name]
    assert section[last] == yaml.safe_load(value)


def test_dvc_reads_the_same_as_the_pipeline(here):
    """DVC reads YAML 1.2, in which 1e-3 is a number and no is a word; the pipeline reads 1.1."""
    from dvc.utils.serialize import load_yaml

    words = ["80s", "no", "1e-3", "0o17", "on", "null", "~", "12:30", "1_000", "é, #1", "x: y", "- a", ""]
    settings.apply([f"split.vocabulary={words!r}"])
    assert params.load()["split"]["vocabulary"] == words
    assert load_yaml("params.yaml")["split"]["vocabulary"] == words


def test_a_list_of_a_line_an_item_becomes_one_line_and_what_follows_stays(here):
    before = Path("params.yaml").read_text()
    before = before[: before.index("\nquestions:")]
    block = before[before.index("  table2:") :]
    Path("params.yaml").write_text(before + "  # the end\n\n# of all\n")
    settings.apply(["tables.table2=[base, mel]"])
    assert Path("params.yaml").read_text() == before.replace(block, "  table2: [base, mel]\n  # the end\n\n# of all\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a:\n  b: 1 # one\n  c: 2\n", "a:\n  b: 5 # one\n  c: 2\n"),
        ("a: {c: 2, b: 1}", "a: {c: 2, b: 5}"),
        ("a: {b: &one 1, c: *one}\n", "a: {b: &one 5, c: *one}\n"),
        ("d: &one 1\na: {b: *one , c: 2} # x\n", "d: &one 1\na: {b: 5 , c: 2} # x\n"),
        ("a:\n  b:\n  c: 2\n", "a:\n  b: 5\n  c: 2\n"),
        ("a:\n  b: # why\n    - 1\n    # why not\n\n  c: 2\n", "a:\n  b: 5 # why\n    # why not\n\n  c: 2\n"),
        ("a:\n  b: |\n    text\n\n  c: 2\n", "a:\n  b: 5\n\n  c: 2\n"),
        ("d: &d {b: 1}\na:\n  <<: *d # all\n  c: 2\n", "d: &d {b: 1}\na:\n  <<: *d # all\n  b: 5\n  c: 2\n"),
        ("d: &d {b: 1}\na: {<<: *d, }\n", "d: &d {b: 1}\na: {<<: *d, b: 5 }\n"),
    ],
)
def test_only_the_value_is_replaced_however_it_is_written(content, expected):
    assert settings._with(content, "a.b", 5, Path("params.yaml")) == expected


def test_what_others_have_too_is_not_changed_through_one_of_them():
    with pytest.raises(params.ParamsError, match=r"params.yaml: a.b cannot be changed from here; write b: 5 into"):
        settings._with("d: &d {b: 1}\na: *d\n", "a.b", 5, Path("params.yaml"))


def test_nothing_is_written_where_nothing_changes(here):
    before = Path("params.yaml").stat()
    assert settings.apply(["minitune", "report", "defaults.epochs=100"]) == []
    assert Path("params.yaml").stat() == before


def test_names_of_datasets_go_first_and_single_settings_last(here):
    for wanted in (
        ["paper", "magnatagatune"],
        ["magnatagatune", "paper"],
        ["defaults.epochs=20", "paper", "magnatagatune"],
    ):
        settings.apply(wanted)
        assert (config()["scaling"], config()["sample_rate"], config()["epochs"]) == ("none", 16_000, 20)
    settings.apply(["defaults.epochs=2", "magnatagatune"])
    assert (config()["scaling"], config()["sample_rate"], config()["epochs"]) == ("minmax", 12_000, 2)


def test_a_dataset_leaves_nothing_of_the_one_before(here):
    for folder in ("music", "audio"):
        (here / folder).mkdir()

    def all_of(*wanted):
        settings.apply(wanted)
        return params.load()

    folder = ("folder", "dataset.source=music")
    coursework = ("coursework", "dataset.source=music")
    fresh = {name: all_of(*name) for name in (("minitune",), ("magnatagatune",), coursework)}
    for name, expected in fresh.items():
        settings.apply([*folder, "paper", "dataset.audio=audio", "split.vocabulary=top:5", "defaults.epochs=99"])
        assert all_of(*name) == expected
    loaded = all_of(*folder)
    assert (loaded["dataset"]["audio"], loaded["split"]["vocabulary"]) == (None, "all")
    assert (config()["epochs"], config()["seeds"], config()["scaling"]) == (100, [0, 1, 2], "minmax")


@pytest.mark.parametrize("name", ["folder", "coursework"])
@pytest.mark.parametrize("before", ["minitune", "magnatagatune"])
def test_a_dataset_of_the_users_does_not_take_the_source_of_another(here, name, before):
    (here / "data/downloads/magnatagatune").mkdir(parents=True)
    (here / "music").mkdir()
    settings.apply([before])
    for wanted in ([name], [f"dataset.name={name}"]):
        with pytest.raises(params.ParamsError, match=f"another dataset's; say where {name} is: dataset.source=FOLDER"):
            settings.apply(wanted)
    settings.apply([name, "dataset.source=music"])
    settings.apply([name, "defaults.epochs=3"])
    assert params.load()["dataset"]["source"] == "music"


def test_the_summary_says_what_is_asked_for(here):
    assert settings.summary(params.load()) == (
        "minitune from src/minitune, vocabulary merged50, 12000 and 16000 Hz, scaling minmax; experiments: 14,"
        " epochs: 100, seeds: 0, 1, 2"
    )
    (here / "music").mkdir()
    settings.apply(
        [
            *("folder", "dataset.source=music", "dataset.audio=music", "split.vocabulary=[a, b]"),
            *("prepare.sample_rates=[12000, 16000]", "experiments.base.epochs=3"),
        ]
    )
    assert settings.summary(params.load()) == (
        "folder from music and music, vocabulary of 2 listed tags, 12000 and 16000 Hz, scaling minmax; experiments: 14,"
        " epochs: 100 or 3, seeds: 0, 1, 2"
    )


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
def test_a_source_is_found_from_the_repositorys_top_folder(here, monkeypatch, tmp_path_factory, source):
    monkeypatch.setenv("HOME", str(here / "home"))
    for folder in ("music", "home/music"):
        (here / folder).mkdir(parents=True)
    changes = settings.apply(["folder", f"dataset.source={source}"])
    assert ("split.vocabulary", "merged50", "all") in changes
    assert params.load()["dataset"]["source"] == ("home/music" if "~" in source else "music")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    settings.apply([f"dataset.source={elsewhere}"])
    assert params.load()["dataset"]["source"] == str(elsewhere)


def test_nothing_is_again_nothing(here):
    (here / "music").mkdir()
    settings.apply(["folder", "dataset.source=music", "dataset.audio=music"])
    settings.apply(["minitune", "dataset.audio=null"])
    assert "audio: null" in Path("params.yaml").read_text()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            ["reprot"],
            r"'reprot': no such settings \(did you mean report\?\); there are coursework, folder, magnatagatune",
        ),
        (["Paper"], r"'Paper': no such settings \(did you mean paper\?\)"),
        (["papers"], r"'papers': no such settings \(did you mean paper\?\)"),
        (["nothing"], "'nothing': no such settings; there are coursework"),
        (["defaults.epoch=3"], "there is no setting 'defaults.epoch'"),
        (["epochs=3"], "there is no setting 'epochs'"),
        (["defaults.epochs.more=3"], "there is no setting 'defaults.epochs.more'"),
        (["defaults.epochs=many"], "params.yaml: defaults.epochs: 'many' is not a whole number"),
        (["defaults.batch_norm=0"], "params.yaml: defaults.batch_norm: 0 is not true or false"),
        (["seeds=5"], r"there is no setting 'seeds' \(did you mean defaults.seeds\?\)"),
        (["sample_rate=16000"], r"there is no setting 'sample_rate' \(did you mean defaults.sample_rate\?\)"),
        (["defaults.epoch=3"], r"\(did you mean defaults.epochs or defaults.tune_epochs\?\)"),
        (["experiments.bse.dropout=0.5"], "did you mean defaults.dropout or experiments.base.dropout"),
        (["nothing=3"], "there is no setting 'nothing'; there are dataset, prepare, split"),
        (["evaluate.nothing=3"], "there are evaluate.resamples, evaluate.seed$"),
        (["split.vocabulary=[guitar, slow"], r"^split.vocabulary=\[guitar, slow: not valid YAML: [^\n]*$"),
        (["dataset.seed=@x"], "^dataset.seed=@x: not valid YAML: [^\n]*$"),
        (["dataset.seed=%"], "^dataset.seed=%: not valid YAML: [^\n]*$"),
        (["dataset.seed=*all"], r"^dataset.seed=\*all: not valid YAML: [^\n]*$"),
        (["dataset.seed=2020-99-99"], "^dataset.seed=2020-99-99: not valid YAML: [^\n]*$"),
        (["folder", "dataset.source="], "^dataset.source: nothing was given; a file or folder is needed$"),
        (["dataset.audio="], "^dataset.audio: nothing was given"),
        (["folder", "dataset.source=~nobody_of_that_name/music"], "dataset.source: '~nobody_of_that_name/music' was"),
        (["folder", "dataset.source=."], "params.yaml: dataset.source: '.' was given, which holds data/raw"),
        (["paper", "prepare.sample_rates=[12000]"], "sample_rate 16000 is not among prepare.sample_rates"),
    ],
)
def test_what_cannot_be_is_refused_and_the_file_stays(here, wanted, message):
    before = Path("params.yaml").read_text()
    with pytest.raises(params.ParamsError, match=message):
        settings.apply(wanted)
    assert Path("params.yaml").read_text() == before
    assert sorted(path.name for path in here.iterdir()) == ["params.yaml", "settings", "workflow"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "null is not SECTION: {KEY: VALUE}"),
        ("- 1\n", r"\[1\] is not SECTION"),
        ("defaults: 3\n", "{defaults: 3} is not SECTION"),
        ("defaults: [\n", "not valid YAML"),
        ("defaults: {epochs: 1, epochs: 2}\n", "not valid YAML: the key 'epochs' stands twice"),
    ],
)
def test_a_file_that_holds_no_settings_is_named_when_it_is_wanted_and_else_in_nobodys_way(here, content, message):
    Path("settings/mine.yaml").write_text(content)
    with pytest.raises(params.ParamsError, match=rf"^settings/mine.yaml: {message}") as error:
        settings.apply(["mine"])
    assert "\n" not in str(error.value)
    assert "mine" in settings.named()
    assert settings.apply(["paper"])


@pytest.mark.parametrize("content", ["defaults: [1\n", "defaults: {}\ndefaults: {}\n", "", "- 1\n", "dataset: 3\n"])
def test_a_broken_params_yaml_is_named_and_stays(here, content):
    Path("params.yaml").write_text(content)
    for wanted in (["paper"], ["folder"], ["defaults.epochs=3"]):
        with pytest.raises(params.ParamsError, match=r"^params.yaml: [^\n]*$"):
            settings.apply(wanted)
    assert Path("params.yaml").read_text() == content


def test_away_from_the_top_folder_there_are_no_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        params.ParamsError, match="settings: no such folder; this is run from the repository's top folder"
    ):
        settings.named()


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
