"""Settings: what is wrong with them is told in one error that names the key."""

import copy
from pathlib import Path

import pytest
import yaml

from conftest import DEFAULTS
from wavetag import params

REPOSITORY = Path(__file__).resolve().parents[1]
SCHEMA = REPOSITORY / params.SCHEMA

SETTINGS = {
    "dataset": {
        **{"name": "minitune", "source": "src/minitune", "audio": None, "clips": 100, "seed": 1},
        "urls": {"mp3.zip.001": "https://example.org/mp3.zip.001"},
    },
    "prepare": {"sample_rates": [12_000, 16_000], "clip_seconds": 29.125, "windows": 10},
    "split": {"vocabulary": "merged50", "population": "tagged", "train": ["0"], "valid": ["c"], "test": ["d", "e"]},
    "evaluate": {"resamples": 1_000, "seed": 0},
    "defaults": {**DEFAULTS, "epochs": 20},
    "experiments": {
        "base": {"sample_rate": 12_000},
        "wide": {"sample_rate": 16_000, "length": 1024, "stride": 512, "dropout": 0.5},
    },
    "tables": {"table1": ["base"], "table2": ["wide", "base"]},
}
NOTHING = object()


def changed(key, value):
    """The settings with one key set, or with ``NOTHING`` taken away."""
    settings = copy.deepcopy(SETTINGS)
    *sections, last = key.split(".")
    section = settings
    for name in sections:
        section = section[name]
    if value is NOTHING:
        del section[last]
    else:
        section[last] = value
    return settings


@pytest.fixture
def load(tmp_path):
    def load(content):
        path = tmp_path / "params.yaml"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return params.load(path, SCHEMA)

    return load


def refusal(load, content):
    with pytest.raises(params.ParamsError) as error:
        load(content)
    assert "params.yaml: " in str(error.value)
    return str(error.value)


def test_the_repositorys_own_settings_are_allowed():
    settings = params.load(REPOSITORY / "params.yaml", SCHEMA)
    assert params.window_samples(settings, 12_000) == 34_950
    assert params.window_samples(settings, 16_000) == 46_600
    for suite in REPOSITORY.glob("suites/*/params.yaml"):
        assert params.load_suite(suite.parent, settings, SCHEMA)["experiments"]


def test_settings_are_read_as_they_are(load):
    assert load(SETTINGS) == SETTINGS


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        # unknown keys and sections
        (
            "experiments.base.sride",
            256,
            "experiments.base: unknown key 'sride'; allowed are sample_rate, split, frontend, length, stride",
        ),
        ("dataset.folder", "x", "dataset: unknown key 'folder'; allowed are name, source, audio, urls, clips, seed"),
        ("training", {}, "(top level): unknown key 'training'; allowed are dataset, prepare"),
        # what is missing
        ("evaluate", NOTHING, "(top level): 'evaluate' is missing"),
        ("defaults.momentum", NOTHING, "defaults: 'momentum' is missing"),
        # impossible values
        ("experiments.wide.stride", 0, "experiments.wide.stride: 0 is not allowed; at least 1 is"),
        ("experiments.wide.dropout", 1, "experiments.wide.dropout: 1 is not allowed; less than 1 is"),
        ("defaults.learning_rate", 0, "defaults.learning_rate: 0 is not allowed; more than 0 is"),
        ("defaults.learning_rate", float("nan"), "defaults.learning_rate: nan is not a number"),
        ("experiments.wide.compression", float("inf"), "experiments.wide.compression: inf is not a number"),
        ("defaults.decay", 1.5, "defaults.decay: 1.5 is not allowed; at most 1 is"),
        ("defaults.frontend", "cqt", "defaults.frontend: 'cqt' is not allowed; allowed are raw, mel, linear, flat"),
        (
            "defaults.precision",
            "half",
            "defaults.precision: 'half' is not allowed; allowed are auto, float32, bfloat16",
        ),
        ("defaults.seeds", [], "defaults.seeds: [] should be non-empty"),
        ("defaults.seeds", [1, 1], "defaults.seeds: [1, 1] has non-unique elements"),
        ("split.train", ["0", "g"], "split.train.1: 'g' is not allowed; allowed is a part"),
        ("experiments", {"Base": {}}, "experiments: 'Base' is not allowed; allowed is a name of small letters"),
        ("experiments", {"baselines": {}}, "experiments: 'baselines' is not allowed"),
        # of another type
        ("experiments.wide.length", "long", "experiments.wide.length: 'long' is not a whole number"),
        ("experiments.wide.length", 256.0, "experiments.wide.length: 256.0 is not a whole number"),
        ("experiments.wide.length", True, "experiments.wide.length: true is not a whole number"),
        ("experiments.base", None, "experiments.base: null is not a mapping of keys to values"),
        ("defaults.batch_norm", "yes", "defaults.batch_norm: 'yes' is not true or false"),
        ("defaults.learning_rate", "fast", "defaults.learning_rate: 'fast' is not a number"),
        ("split.valid", [12], "split.valid.0: 12 is not text; what YAML reads as something else"),
        ("dataset.audio", 5, "dataset.audio: 5 is not null or text"),
        ("defaults.seeds", 5, "defaults.seeds: 5 is not a list, such as [0, 1, 2]"),
        ("prepare.sample_rates", 12_000, "prepare.sample_rates: 12000 is not a list, such as [12000, 16000]"),
        ("split.test", "d", """split.test: 'd' is not a list, such as ["0", "a"]"""),
        # each allowed, but not together
        ("tables.table2", ["base", "narrow"], "tables.table2: there is no experiment 'narrow'; there are base, wide"),
        ("split.valid", ["d"], "split: part 'd' stands in two of train, valid and test"),
        ("prepare.windows", 7, "prepare: 7 windows do not divide 349500 samples evenly (29.125 s at 12000 Hz)"),
        (
            "defaults.sample_rate",
            8_000,
            "defaults: sample_rate 8000 is not among prepare.sample_rates, which are 12000,",
        ),
        ("experiments.wide.sample_rate", 8_000, "experiments.wide: sample_rate 8000 is not among"),
        ("experiments.base", {}, "experiments.base: begin it with `<<: *defaults`"),
        # what to begin with
        (
            "experiments.wide.init_from",
            None,
            "experiments.wide.init_from: null is not allowed; allowed are pretrained/n",
        ),
        (
            "experiments.wide.init_from",
            5,
            "experiments.wide.init_from: 5 is not allowed; allowed are pretrained/none, a",
        ),
        (
            "defaults.init_from",
            "models/base",
            "defaults.init_from: 'models/base' is an experiment's to set; here pretr",
        ),
        (
            "experiments.wide.init_from",
            "pretrained/nobody",
            "experiments.wide.init_from: 'pretrained/nobody' was given: pretrained/nobody/config.json: no such file",
        ),
        ("experiments.wide.init_from", "models/bsae", "'models/bsae' is no experiment's (did you mean models/base?)"),
        ("experiments.wide.init_from", "models/wide", "wide begins with wide: none can be trained first; allowed are"),
        (
            "experiments.wide.init_from",
            "models/base",
            "models/base is of other settings: length 256, here 1024; stride 256, here 512; sample_rate 12000 Hz, here",
        ),
        ("experiments.wide.init_from", "suites/open/models/raw", "'suites/open/models/raw' is another suite's: put a"),
        ("experiments.wide.init_from", "taggers/base", "'taggers/base' is made of a model: begin with models/base, or"),
        ("experiments.wide.init_from", "/models/base", "'/models/base' is no folder's path from the repository's top"),
        ("experiments.wide.init_from", "./models/base", "'./models/base' is no folder's path from the repository's"),
        ("experiments.wide.init_from", "models/../base", "'models/../base' is no folder's path from the repository's"),
        ("experiments.wide.init_from", "", "'' is no folder's path from the repository's top, as pretrained/NAME is"),
        (
            "split.vocabulary",
            "top50",
            "split.vocabulary: 'top50' is not allowed; allowed are merged50, standard50, all,",
        ),
        ("split.vocabulary", "top:0", "top:N (N at least 1) and lists of tags, each once"),
        ("split.vocabulary", [], "split.vocabulary: [] is not allowed; allowed are merged50"),
        ("dataset.name", "mtat", "dataset.name: 'mtat' is not allowed; allowed are minitune, magnatagatune"),
        (
            "dataset.name",
            "folder",
            "dataset.source: 'src/minitune' composes minitune; say where folder is: dataset.source=FOLDER",
        ),
        (
            "dataset.source",
            "data",
            "dataset.source: minitune is generated; its source is src/minitune, 'data' was given",
        ),
        ("dataset.source", "", "dataset.source: '' should be non-empty"),
        ("dataset.audio", "no/such", "dataset.audio: 'no/such' was given: there is no such folder"),
        ("dataset.audio", "", "dataset.audio: '' was given: there is no such folder"),
        (
            "dataset.urls",
            {"mp3.zip.001": "file:///etc/passwd"},
            "dataset.urls.mp3.zip.001: 'file:///etc/passwd' is not allowed",
        ),
    ],
)
def test_one_wrong_setting_is_one_line_that_names_its_key(load, key, value, expected):
    told = refusal(load, changed(key, value))
    assert expected in told
    assert "\n" not in told


def test_a_number_that_yaml_reads_as_text_is_told_with_its_remedy(load):
    told = refusal(load, yaml.safe_dump(SETTINGS).replace("learning_rate: 0.05", "learning_rate: 1e-3"))
    assert "defaults.learning_rate: '1e-3' is not a number" in told
    assert "write 1.0e-3 or 0.001" in told
    assert "1.0e-3" not in refusal(load, changed("defaults.learning_rate", "fast"))


@pytest.mark.parametrize(
    ("length", "stride", "needed"), [(4_096, 2_048, 34_816), (20_000, 1_000, 35_000), (256, 2_313, 34_951)]
)
def test_a_front_end_that_leaves_too_few_frames_is_refused(load, length, stride, needed):
    settings = changed("experiments.wide", {"sample_rate": 12_000, "length": length, "stride": stride})
    if needed <= 34_950:
        assert load(settings)
    else:
        told = refusal(load, settings)
        assert f"experiments.wide: length {length} with stride {stride} needs windows of {needed} samples" in told


@pytest.mark.parametrize("frontend", ["raw", "mel", "linear"])
def test_the_least_length_of_a_window_is_what_the_network_itself_needs(frontend):
    """The check before anything runs and the network's own agree."""
    from wavetag import networks

    config = SETTINGS["defaults"] | {"frontend": frontend, "filters": 1, "length": 64, "stride": 32}
    statistics = {"minimum": -1, "maximum": 1, "mean": 0.0, "standard_deviation": 1.0}
    least = 64 + 15 * 32
    networks.Tagger(config, statistics, 1, 12_000, least)
    with pytest.raises(ValueError, match="too few"):
        networks.Tagger(config, statistics, 1, 12_000, least - 1)
    settings = changed("experiments.wide", {"frontend": frontend, "length": 64, "stride": 32})
    settings["prepare"] = {"sample_rates": [12_000], "clip_seconds": least / 12_000, "windows": 1}
    settings["experiments"].pop("base")
    assert not list(params._impossible(settings | {"tables": {}}))
    settings["prepare"]["clip_seconds"] -= 1 / 12_000
    assert len(list(params._impossible(settings | {"tables": {}}))) == 1


def test_all_that_is_wrong_is_told_at_once(load):
    settings = changed("experiments.wide.stride", 0)
    settings["dataset"]["clips"] = "many"
    told = refusal(load, settings).splitlines()
    assert len(told) == 2
    assert "dataset.clips" in told[0]
    assert "experiments.wide.stride" in told[1]


@pytest.mark.parametrize("text", ["epochs: 1\nepochs: 2\n", "a: {b: 1, c: 2, b: 3}\n", "a:\n  - {b: 1, b: 2}\n"])
def test_a_key_that_stands_twice_is_refused_with_its_line(load, text):
    told = refusal(load, text)
    assert "stands twice" in told
    assert "line" in told


@pytest.mark.parametrize(
    "content", ["a: [1, 2", "a: b: c", "? [1, 2]\n: 3\n", b"a: \xff\xfe", "!!python/object/apply:os.getcwd []"]
)
def test_what_is_no_yaml_is_refused_in_one_line(load, content):
    told = refusal(load, content)
    assert "not valid YAML" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("written", "read"), [('["80s", no]', "false"), ("[guitar, 80]", "80"), ("[yes, 1.5]", "true, 1.5")]
)
def test_a_list_of_tags_in_which_yaml_reads_no_text_says_that_they_are_to_be_quoted(load, written, read):
    told = refusal(load, yaml.safe_dump(SETTINGS).replace("vocabulary: merged50", f"vocabulary: {written}"))
    assert f"({read}: so YAML reads words such as no, on and 80; quote them" in told


def test_a_wrong_default_is_told_once_and_not_of_each_entry_that_has_it(tmp_path):
    text = (REPOSITORY / params.PARAMS).read_text()
    for right, wrong, told in (
        ("momentum: 0.94", "momentum: 94", "defaults.momentum: 94 is not allowed; less than 1 is"),
        ("seeds: [0", "sedes: [0", "defaults: unknown key 'sedes'"),
        ("sample_rate: 12000", "sample_rate: 8000", "defaults: sample_rate 8000 is not among"),
        ("\n  length: 256", "\n  length: 90000", "defaults: length 90000 with stride 256 needs windows of"),
    ):
        path = tmp_path / "params.yaml"
        path.write_text(text.replace(right, wrong, 1))
        with pytest.raises(params.ParamsError) as error:
            params.load(path, SCHEMA)
        (line,) = (line for line in str(error.value).splitlines() if "'seeds' is missing" not in line)
        assert told in line


def test_an_entrys_own_wrong_value_is_told_beside_that_of_the_defaults(load):
    settings = changed("defaults.momentum", 94)
    settings["experiments"]["base"]["momentum"] = 95
    settings["experiments"]["wide"]["momentum"] = 94
    assert [line.split(": ")[1] for line in refusal(load, settings).splitlines()] == [
        "defaults.momentum",
        "experiments.base.momentum",
    ]


@pytest.mark.parametrize("content", ["", "- 1\n- 2\n", "just words"])
def test_what_is_no_mapping_is_refused(load, content):
    assert "(top level): " in refusal(load, content)
    assert "is not a mapping of keys to values" in refusal(load, content)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A top folder to stand in, with data/raw elsewhere, and music of the user's beside both."""
    here = tmp_path / "disk/wavetag"
    for folder in ("data/downloads/mine", "music"):
        (here / folder).mkdir(parents=True)
    for folder in ("big/raw/folder/a", "music/raw"):
        (tmp_path / folder).mkdir(parents=True)
    (here / "data/raw").symlink_to(tmp_path / "big/raw")
    (tmp_path / "to_raw").symlink_to(tmp_path / "big/raw/folder")
    monkeypatch.chdir(here)
    return here


def problems_of(**dataset):
    return "\n".join(params._wrong_source({**SETTINGS["dataset"], **dataset}))


@pytest.mark.parametrize("name", ["folder", "coursework", "magnatagatune"])
@pytest.mark.parametrize(
    "place",
    [
        *("data/raw", "data/raw/folder", "data/raw/folder/a", "data", ".", "..", "../..", "music/../data/raw"),
        *("{top}/big/raw", "{top}/big/raw/folder", "{top}/big", "{top}/to_raw", "{top}/to_raw/a", "/"),
    ],
)
def test_what_acquire_replaces_is_no_place_for_the_users_files(repository, tmp_path, name, place):
    place = place.format(top=tmp_path)
    assert f"dataset.source: {place!r} was given, which" in problems_of(name=name, source=place)
    assert "whose datasets are replaced" in problems_of(name=name, source=place)
    assert f"dataset.audio: {place!r} was given, which" in problems_of(name=name, source="music", audio=place)


def test_places_beside_what_acquire_replaces_are_allowed(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in ("music", "data/downloads/mine", f"{tmp_path}/music", f"{tmp_path}/music/raw"):
        assert problems_of(name="folder", source=place, audio=place) == ""
    assert problems_of(name="folder", source="music", audio="~/music") == ""
    assert "dataset.audio: '~/big' was given, which holds data/raw" in problems_of(
        name="folder", source="music", audio="~/big"
    )


def test_only_of_magnatagatune_a_source_among_the_downloads_need_not_be_there_yet(repository):
    assert problems_of(name="magnatagatune", source="data/downloads/magnatagatune") == ""
    for name in ("folder", "coursework"):
        assert "there is no such file or folder" in problems_of(name=name, source="data/downloads/magnatagatune")


def test_a_source_in_the_home_folder_is_to_be_written_in_full(repository, tmp_path, monkeypatch):
    """DVC and Snakemake depend on it, and take ~ for a name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"'~/music' was given; write it in full: {tmp_path}/music" in problems_of(name="folder", source="~/music")


def test_a_missing_file_says_where_the_pipeline_is_run_from(tmp_path):
    with pytest.raises(params.ParamsError, match=r"params.yaml: no such file; .* repository's top folder"):
        params.load(tmp_path / "params.yaml", SCHEMA)


def test_an_experiment_is_the_defaults_with_what_it_changes():
    config = params.config(SETTINGS, "wide")
    assert set(config) == set(SETTINGS["defaults"])
    differing = {key for key, value in config.items() if value != SETTINGS["defaults"][key]}
    assert differing == {"sample_rate", "length", "stride", "dropout"}
    assert params.config(SETTINGS, "base") == SETTINGS["defaults"]


def test_an_unknown_experiment_is_refused_with_the_known_ones_named():
    with pytest.raises(params.ParamsError, match="there is no 'narrow'; there are base, wide"):
        params.config(SETTINGS, "narrow")


def test_a_suite_has_its_own_experiments_and_the_pipelines_other_settings(tmp_path):
    (tmp_path / "params.yaml").write_text("experiments:\n  long: {length: 512}\n")
    suite = params.load_suite(tmp_path, SETTINGS, SCHEMA)
    assert list(suite["experiments"]) == ["long"]
    assert {**suite, "experiments": 0, "tables": 0} == {**SETTINGS, "experiments": 0, "tables": 0}
    assert params.config(suite, "long")["stride"] == 256


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("experiments:\n  long: {sample_rate: 16000}\n", "experiments.long: sample_rate is not a suite's to set"),
        ("experiments:\n  long: {length: 0}\n", "experiments.long.length: 0 is not allowed"),
        (
            "experiments:\n  long: {length: 512}\ndefaults: {epochs: 3}\n",
            r"\(top level\): unknown key 'defaults'; allowed are experiments, common, splits, study, questions$",
        ),
        ("", r"\(top level\): null is not a mapping of keys to values"),
        ("questions: []\n", r"\(top level\): 'experiments' is missing"),
        ("experiments:\n  one: {split: other}\n", "experiments.one: split is not a suite's to set that has no splits"),
        ("splits: {main: {}}\nexperiments:\n  one: {sample_rate: 12000}\n", "experiments.one: split is missing"),
        (
            "splits: {main: {}}\nexperiments:\n  one: {sample_rate: 12000, split: mian}\n",
            "experiments.one.split: there is no split 'mian'; there are main",
        ),
        (
            "splits: {main: {part: 3}}\nexperiments:\n  one: {sample_rate: 12000, split: main}\n",
            "unknown key 'part'",
        ),
        (
            "experiments:\n  one: {filters: 30, feature_pool: max, feature_pool_size: 4}\n",
            "experiments.one.feature_pool_size: 30 filters are no multiple of 4",
        ),
        (
            "experiments:\n  one: {feature_pool: l2}\n",
            "experiments.one.feature_pool_size: 1 is not allowed with feature_pool l2; at least 2 is",
        ),
        (
            "experiments:\n  one: {network: fcn, window: 29.125}\n",
            "experiments.one: network fcn takes 96 channels, as of frontend log_mel with bands 96; frontend raw",
        ),
        (
            "experiments:\n  one: {network: fcn, frontend: log_mel, bands: 96}\n",
            "network fcn takes windows of 1,280 to 2,559 frames; length 256 with stride 256 makes 137 of 34,950",
        ),
        (
            "experiments:\n  one: {network: sample_cnn, frontend: samples}\n",
            "network sample_cnn takes windows of 59,049 to 118,097 samples; a window has 34,950",
        ),
        ("experiments: {one: {}}\nsplits: {main: {without: []}}\n", r"splits.main.without: \[\] should be non-empty"),
        (
            "experiments: {one: {}, two: {}}\nquestions: [{ask: 'Is it?', one: one, other: two, only_tags: []}]\n",
            r"questions.0.only_tags: \[\] should be non-empty",
        ),
        ("experiments:\n  one: {window: 30}\n", "30 s is longer than a clip, which is 29.125 s"),
        ("experiments:\n  one: {overlap: 1}\n", "experiments.one.overlap: 1 is not allowed"),
        ("experiments:\n  one: {conv_layers: 4}\n", "needs windows of 65536 samples or more, for 256 frames"),
        ("experiments:\n  one: {select: last, patience: 3}\n", "patience 3 with select last keeps an epoch"),
    ],
)
def test_a_wrong_suite_is_refused(tmp_path, text, expected):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(params.ParamsError, match=expected):
        params.load_suite(tmp_path, SETTINGS, SCHEMA)


@pytest.mark.parametrize("frontend", ["mel", "linear", "flat", "samples"])
def test_where_no_filters_are_learned_their_pooling_has_no_effect(tmp_path, frontend):
    text = f"experiments:\n  one: {{frontend: {frontend}, filters: 30, feature_pool: l2, feature_pool_size: 4}}\n"
    (tmp_path / "params.yaml").write_text(text)
    assert params.load_suite(tmp_path, SETTINGS, SCHEMA)


@pytest.mark.parametrize(
    ("common", "told"),
    [
        ("epochs: 0", "common.epochs: 0 is not allowed; at least 1 is"),
        ("epoch: 3", "common: unknown key 'epoch'"),
        ("window: 30", "common.window: 30 s is longer than a clip"),
        ("length: 90000", "common: length 90000 with stride 256 needs windows of"),
        ("select: last, patience: 3", "common: patience 3 with select last"),
        ("network: musicnn", "common: network musicnn takes 96 channels"),
        ("feature_pool: max", "common.feature_pool_size: 1 is not allowed"),
        ("split: mian", "common.split: there is no split 'mian'"),
    ],
)
def test_what_is_wrong_in_common_is_told_once(tmp_path, common, told):
    """And not of the entry that has a value of its own in its place."""
    settings = "" if "split" in common else "split: main, "
    text = f"""
        splits: {{main: {{}}}}
        common: &common {{sample_rate: 12000, {settings}{common}}}
        experiments:
          one: {{<<: *common}}
          two: {{<<: *common, momentum: 0.5}}
    """
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(params.ParamsError) as error:
        params.load_suite(tmp_path, SETTINGS, SCHEMA)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{tmp_path}/params.yaml: {told}")


def test_what_no_entry_has_from_common_is_not_told(tmp_path):
    text = """
        splits: {main: {}}
        common: &common {sample_rate: 12000, split: main, length: 90000}
        experiments: {one: {<<: *common, length: 256}}
    """
    (tmp_path / "params.yaml").write_text(text)
    assert params.load_suite(tmp_path, SETTINGS, SCHEMA)


# The checks before anything runs, and what the networks themselves take

STATISTICS = {"minimum": -1, "maximum": 1, "mean": 0.0, "standard_deviation": 1.0}


def taken(config, window):
    """Whether the network itself takes such windows."""
    from wavetag import networks

    try:
        networks.Tagger(config, STATISTICS, 1, config["sample_rate"], window)
    except ValueError:
        return False
    return True


def test_the_table_of_networks_is_that_of_the_networks():
    from wavetag import architectures

    modules = (architectures.FCN, architectures.CRNN, architectures.Musicnn)
    modules += (architectures.SampleCNN, architectures.ShortChunkResNet)
    assert {module.name: (module.channels, module.least, module.most) for module in modules} == params.SHAPES
    assert set(params.SHAPES) == set(architectures.NAMES)


@pytest.mark.parametrize("network", params.SHAPES)
def test_a_network_takes_the_windows_that_the_check_lets_through_and_no_others(network):
    """At the border, one sample within it and one beyond, with each front end that can be made to fit."""
    channels, least, most = params.SHAPES[network]
    fronts = {"samples": {}} if channels == 1 else {"mel": {"bands": channels}, "log_mel": {"bands": channels}}
    if channels > 1:
        fronts |= {"linear": {"length": 2 * channels - 2}, "raw": {"filters": channels}}
        fronts |= {"fourier": {"length": 2 * channels - 2}, "samples": {}, "flat": {}}
    taking = set()
    for front, fitting in fronts.items():
        config = {**DEFAULTS, "length": 64, "stride": 32, "frontend": front, "network": network, **fitting}
        first = params._samples(config, least)
        windows = {first - 1, first, first + 1}
        if most and front == "samples":
            windows |= {most, most + 1}
        elif most:
            windows |= {params._samples(config, most + 1) - 1, params._samples(config, most + 1)}
        for window in windows:
            takes = taken(config, window)
            assert (params.misfit(config, window) is None) == takes, (front, window)
            taking |= {front} if takes else set()
    assert taking == ({"samples"} if channels == 1 else {"mel", "log_mel", "linear", "raw", "fourier"})


@pytest.mark.parametrize("frontend", ["raw", "mel", "linear", "flat", "fourier", "log_mel", "samples"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_trunk_takes_the_windows_that_the_check_lets_through_and_no_others(frontend, layers):
    for length, stride, bands in ((64, 32, 40), (16, 64, 128), (33, 7, 8)):
        config = {**DEFAULTS, "frontend": frontend, "length": length, "stride": stride, "bands": bands}
        config |= {"conv_layers": layers, "filters": 2, "conv_filters": 2, "hidden": 2}
        window = next(window for window in range(1, 3_000) if taken(config, window))
        assert params.misfit(config, window) is None
        assert f"needs windows of {window} samples or more" in params.misfit(config, window - 1)


def test_the_length_of_a_mel_spectrograms_fft_is_the_front_ends():
    from wavetag import frontends

    for rate in (8_000, 12_000, 16_000, 44_100):
        for length in (8, 17, 256, 1_000, 2_048):
            for bands in (2, 40, 96, 128, 200):
                known = frontends.mel_fft_size(rate, length, bands)
                assert params._least_fft_size(rate, length, bands) == known, (rate, length, bands)


def test_a_default_that_no_entry_takes_is_refused_as_without_effect(tmp_path):
    """So it is after `dvc exp run -S defaults.epochs=3`, which writes the older value into each entry."""
    settings = yaml.safe_load((REPOSITORY / params.PARAMS).read_text())
    settings["defaults"]["epochs"] += 1
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(params.ParamsError, match=r"defaults\.epochs: 101 has no effect, each entry .* says 100 itself"):
        params.load(path, SCHEMA)


def test_an_entry_takes_the_defaults_and_says_what_differs():
    settings = params.load(REPOSITORY / params.PARAMS, SCHEMA)
    assert settings["experiments"]["base"] == settings["defaults"]
    assert settings["experiments"]["mel"] == {**settings["defaults"], "frontend": "mel"}


def test_a_suite_may_take_clips_in_splits_of_its_own(tmp_path):
    text = """
        splits: {main: {}, fewer: {vocabulary: standard50, without: [metal]}}
        common: &common {sample_rate: 16000, split: fewer}
        experiments: {one: {<<: *common}}
    """
    (tmp_path / "params.yaml").write_text(text)
    suite = params.load_suite(tmp_path, SETTINGS, SCHEMA)
    assert params.config(suite, "one")["split"] == "fewer"
    assert params.split_of(suite, "main") == SETTINGS["split"]
    assert params.split_of(suite, "fewer") == {**SETTINGS["split"], "vocabulary": "standard50", "without": ["metal"]}


def test_a_suites_sample_rate_that_is_not_prepared_is_refused(tmp_path):
    text = "splits: {main: {}}\nexperiments: {one: {sample_rate: 22050, split: main}}\n"
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(params.ParamsError, match="22050 Hz, which are not prepared"):
        params.load_suite(tmp_path, SETTINGS, SCHEMA)


def test_the_pipelines_own_experiments_have_no_sections_of_suites(load):
    with pytest.raises(params.ParamsError, match="'splits' is a section of suites alone"):
        load(changed("splits", {"main": {}}))
    with pytest.raises(params.ParamsError, match="splits other than main are for suites"):
        load(changed("experiments.base.split", "standard50"))


@pytest.mark.parametrize(
    ("window", "rate", "samples"), [(None, 12_000, 34_950), (None, 16_000, 46_600), (1.5, 12_000, 18_000)]
)
def test_a_window_is_in_seconds_or_a_share_of_the_clip(window, rate, samples):
    assert params.of_config(SETTINGS, {"window": window, "sample_rate": rate}) == samples


# What an experiment begins with


def beginning(**entries):
    """The settings with further experiments, each with the settings of `base` but for its own."""
    settings = copy.deepcopy(SETTINGS)
    settings["experiments"] |= {name: {**settings["experiments"]["base"], **own} for name, own in entries.items()}
    return settings


def write_model(folder, **own):
    """As much of a trained model's folder as is looked at before anything runs: of the settings of `base`."""
    from wavetag import files

    about = {"config": params.config(SETTINGS, "base"), "statistics": {}, "tags": ["rock"], "sample_rate": 12_000}
    files.write_json(folder / "config.json", about | {"window_samples": 34_950} | own)


def test_an_experiment_may_begin_with_anothers_model_trained_or_not(load):
    begun = {"init_from": "models/base", "dropout": 0.5, "learning_rate": 0.01, "pool": "features", "seeds": [7]}
    settings = beginning(tuned=begun, again={"init_from": "models/tuned"})
    assert load(settings) == settings


def test_a_circle_of_experiments_is_refused_and_told_of_those_that_are_in_it(load):
    names = {"one": "two", "two": "three", "three": "one", "beside": "three"}
    told = refusal(load, beginning(**{name: {"init_from": f"models/{other}"} for name, other in names.items()}))
    assert [line.split(": ")[1] for line in told.splitlines()] == [
        f"experiments.{name}.init_from" for name in ("one", "two", "three")
    ]
    assert "one begins with two, two begins with three, three begins with one: none can be trained first" in told


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"filters": 64}, "filters 32, here 64"),
        ({"window": 1.5}, "window 34950 samples, here 18000 samples"),
        ({"sample_rate": 16_000}, "sample_rate 12000 Hz, here 16000 Hz"),
        ({"frontend": "linear"}, "frontend raw, here linear"),
        ({"scaling": "none"}, "scaling minmax, here none"),
        ({"nonlinearity": "log_square"}, "nonlinearity relu, here log_square"),
        ({"feature_pool": "l2", "feature_pool_size": 2}, "feature_pool none, here l2; feature_pool_size 1, here 2"),
        ({"batch_norm": True}, "batch_norm false, here true"),
        ({"hidden": 50, "conv_layers": 1, "conv_filters": 8}, "conv_layers 2, here 1; conv_filters 32, here 8; hidden"),
    ],
)
def test_a_model_of_another_shape_is_refused_with_the_keys_and_both_values(load, tmp_path, monkeypatch, own, told):
    expected = f"experiments.tuned.init_from: {{}} is of other settings: {told}"
    assert expected.format("models/base") in refusal(load, beginning(tuned={"init_from": "models/base", **own}))
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "pretrained/mine")
    assert expected.format("pretrained/mine") in refusal(load, beginning(tuned={"init_from": "pretrained/mine", **own}))


def test_what_does_not_shape_a_front_end_may_differ(load):
    linear = {"frontend": "linear"}
    assert load(beginning(one=linear, tuned={**linear, "init_from": "models/one", "filters": 64, "bands": 96}))
    assert load(beginning(tuned={"init_from": "models/base", "compression": 10, "bands": 96, "frozen": True}))


def test_a_kept_model_is_held_against_what_it_says_of_itself(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings, folder = beginning(tuned={"init_from": "pretrained/mine"}), tmp_path / "pretrained/mine"
    write_model(folder)
    assert load(settings) == settings
    older = {key: value for key, value in params.config(SETTINGS, "base").items() if key != "feature_pool"}
    write_model(folder, config=older)
    assert load(settings)
    for content, told in (
        ("{", "not valid JSON"),
        ("[]", "not a model's description"),
        ("{}", "not a model's description: 'config'"),
    ):
        (folder / "config.json").write_text(content)
        said = refusal(load, settings)
        assert f"experiments.tuned.init_from: 'pretrained/mine' was given: pretrained/mine/config.json: {told}" in said
        assert "\n" not in said


def write_suite(folder, text, deps=("${item.init_from}",)):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(text)
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": {"do": {"deps": ["src", *deps]}}}}))


BEGUN = """
    splits: {main: {}}
    common: &common {sample_rate: 12000, split: main, init_from: pretrained/none}
    experiments:
      one: {<<: *common}
      tuned: {<<: *common, init_from: suites/mine/models/one}
      of_the_tables: {<<: *common, init_from: models/base}
"""


def test_a_suites_experiments_may_begin_with_its_own_models_and_the_pipelines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_suite(tmp_path / "suites/mine", BEGUN)
    assert params.load_suite("suites/mine", SETTINGS, SCHEMA)["experiments"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("init_from: pretrained/none}", "epochs: 9}", "common: init_from is missing, which other entries say; pretr"),
        ("mine/models/one", "mine/models/onee", "(did you mean suites/mine/models/one?)"),
        ("models/base", "suites/open/models/raw", "'suites/open/models/raw' is another suite's"),
        ("models/base", "models/wide", "models/wide is of other settings: length 1024, here 256"),
        ("pretrained/none}", "pretrained/nobody}", "common.init_from: 'pretrained/nobody' was given"),
    ],
)
def test_what_is_wrong_with_what_a_suite_begins_with_is_one_line(tmp_path, monkeypatch, before, after, told):
    monkeypatch.chdir(tmp_path)
    write_suite(tmp_path / "suites/mine", BEGUN.replace(before, after))
    with pytest.raises(params.ParamsError) as error:
        params.load_suite("suites/mine", SETTINGS, SCHEMA)
    (line,) = str(error.value).splitlines()
    assert line.startswith("suites/mine/params.yaml: ")
    assert told in line


def test_a_suite_begins_with_models_only_where_its_training_depends_on_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_suite(tmp_path / "suites/mine", BEGUN, deps=[])
    with pytest.raises(
        params.ParamsError, match=r"add \$\{item.init_from\} to the deps of train in suites/mine/dvc.yaml"
    ):
        params.load_suite("suites/mine", SETTINGS, SCHEMA)


def test_to_begin_at_random_is_no_setting_of_a_score():
    """So scores from before it could be set are still of the settings of now."""
    config = params.config(SETTINGS, "base")
    older = {key: value for key, value in config.items() if key != "init_from"}
    assert params.of_a_score(SETTINGS, config) == params.of_a_score(SETTINGS, older)
    assert "init_from" not in params.of_a_score(SETTINGS, config)["experiment"]
    study = {"defaults": config, "experiments": {"one": config}, "study": {"trials": 3}}
    assert params.RANDOM not in str(params.of_a_score(SETTINGS, study))


def test_a_score_depends_on_the_settings_of_the_model_that_its_training_began_with():
    settings = beginning(tuned={"init_from": "models/base"}, again={"init_from": "models/tuned"})
    of_again = params.of_a_score(settings, params.config(settings, "again"))
    assert of_again["experiment"]["init_from"] == "models/tuned"
    assert list(of_again["begins_with"]) == ["tuned", "base"]
    settings["experiments"]["base"] = {**settings["experiments"]["base"], "momentum": 0.5}
    assert params.of_a_score(settings, params.config(settings, "again")) != of_again


def test_a_suites_split_may_train_on_other_parts_but_on_none_that_validates_or_tests(tmp_path):
    text = """
        splits: {main: {}, fewer: {train: ["1"]}}
        experiments: {one: {sample_rate: 12000, split: fewer}}
    """
    (tmp_path / "params.yaml").write_text(text)
    assert params.split_of(params.load_suite(tmp_path, SETTINGS, SCHEMA), "fewer")["train"] == ["1"]
    (tmp_path / "params.yaml").write_text(text.replace('"1"', '"1", "d"'))
    with pytest.raises(params.ParamsError, match=r"splits.fewer.train: part 'd' is to validate or to test"):
        params.load_suite(tmp_path, SETTINGS, SCHEMA)
