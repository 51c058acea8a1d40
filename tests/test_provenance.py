"""Settings and code that are edited while a stage runs."""

from pathlib import Path

import pytest
import yaml

from wavetag import sources
from wavetag.provenance import Basis, EditedError

PIPELINE = {
    "stages": {
        "split": {"cmd": "-", "params": ["split.seed"], "deps": ["data/code/splits.py"]},
        "train": {
            "foreach": "${experiments}",
            "do": {
                "cmd": "-",
                "params": [{"params.yaml": ["split", "experiments.${key}"]}],
                "deps": ["data/code/splits.py", "data/code/datasets", "data/split.tsv"],
            },
        },
    }
}
SETTINGS = {"split": {"seed": 1}, "experiments": {"base": {"epochs": 2}, "other": {"epochs": 2}}}


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    """A pipeline of two stages, its settings, and the code of two modules, in the folder that is entered."""
    monkeypatch.chdir(tmp_path)
    for path in ("dvc.yaml", "suites/open/dvc.yaml"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(yaml.safe_dump(PIPELINE))
    Path("params.yaml").write_text(yaml.safe_dump(SETTINGS))
    for name in ("splits", "datasets/layout"):
        path = sources.CODE / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sources.of_module(name))


def edit(**changes) -> None:
    Path("params.yaml").write_text(yaml.safe_dump({**SETTINGS, **changes}))


@pytest.mark.parametrize("address", ["train@base", "suites/open/dvc.yaml:train@base"])
def test_what_a_stage_does_not_depend_on_may_be_edited(address):
    basis = Basis(address)
    basis.check_code()
    edit(experiments={"base": {"epochs": 2}, "other": {"epochs": 3}, "new": {}}, more=1)
    (sources.CODE / "training.py").write_text("")
    Path("data/split.tsv").write_text("clip\n")
    basis.check()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"experiments": {"base": {"epochs": 3}}}, r"experiments\.base \(params\.yaml\)"),
        ({"experiments": {"other": {}}}, r"experiments\.base \(params\.yaml\)"),
        ({"split": {"seed": 2}}, r"split \(params\.yaml\)"),
        ({"experiments": None}, r"experiments\.base \(params\.yaml\)"),
    ],
)
def test_a_setting_that_was_edited_meanwhile_is_named(changes, named):
    basis = Basis("train@base")
    edit(**changes)
    with pytest.raises(EditedError, match=f"edited while this ran: {named}\\."):
        basis.check()


@pytest.mark.parametrize(
    ("address", "words", "known"),
    [
        ("train@crnn", ["--out", "suites/open/models/crnn"], True),  # called in the suite's folder
        ("train@crnn", ["--suite", "suites/open"], True),
        ("../open/dvc.yaml:train@crnn", ["--suite", "suites/open"], True),  # in another's
        ("suites/open/dvc.yaml:train@crnn", ["--suite", "suites/open"], True),
        ("train@crnn", ["--out", "models/crnn"], False),
        ("../../dvc.yaml:train@crnn", [], False),
        ("split", ["--flat", "suites/flat"], False),
    ],
)
def test_the_stage_is_that_of_the_dvc_yaml_that_was_meant_wherever_dvc_was_called(address, words, known):
    of_suite = {"stages": {"train": {"foreach": "-", "do": {"params": [{"suites/open/params.yaml": ["rate.${key}"]}]}}}}
    Path("suites/open/dvc.yaml").write_text(yaml.safe_dump(of_suite))
    Path("suites/open/params.yaml").write_text("rate: {crnn: 0.1}\n")
    basis = Basis(address, words)
    assert ("rate.crnn (suites/open/params.yaml)" in basis.known) == known
    Path("suites/open/params.yaml").write_text("rate: {crnn: 0.2}\n")
    if known:
        with pytest.raises(EditedError, match=r"rate\.crnn"):
            basis.check()
    else:
        basis.check()


@pytest.mark.parametrize("content", ["experiments: {base", "- 1", ""])
def test_settings_that_cannot_be_read_any_more_are_refused(content):
    basis = Basis("train@base")
    Path("params.yaml").write_text(content)
    with pytest.raises(EditedError):
        basis.check()


def test_code_that_was_taken_anew_meanwhile_is_named():
    basis = Basis("train@base")
    (sources.CODE / "datasets/layout.py").write_text("edited = True\n")
    with pytest.raises(EditedError, match=r"edited while this ran: data/code/datasets/layout\.py\."):
        basis.check()


@pytest.mark.parametrize("content", [b"edited = True\n", b"\xff"])
def test_a_stage_does_not_begin_with_code_that_would_not_be_recorded(content):
    Basis("split").check_code()
    (sources.CODE / "splits.py").write_bytes(content)
    with pytest.raises(EditedError, match=r"data/code/splits\.py was not taken from src/wavetag/splits\.py"):
        Basis("split").check_code()


def test_code_of_a_module_that_is_gone_is_refused():
    (sources.CODE / "datasets/gone.py").write_text("")
    with pytest.raises(EditedError, match=r"data/code/datasets/gone\.py"):
        Basis("train@base").check_code()
