"""Suites as the tools are to see them: what is wrong with one is a line, and stops nothing but that suite."""

import shutil
from pathlib import Path

import pytest
import yaml

from wavetag import files, params, pipeline, search

REPOSITORY = Path(__file__).resolve().parents[1]
ASKED = {"ask": "Is 30 better?", "one": "longer", "other": "report/base"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A top folder with the repository's settings, and a suite `mine` that compares with the tables."""
    monkeypatch.chdir(tmp_path)
    for path in (params.PARAMS, Path("dvc.yaml"), params.SCHEMA, search.SCHEMA):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / path, path)
    write_suite("mine", [ASKED])
    return tmp_path


def write_suite(name, questions, deps=("data/predictions/base.npz",), **sections):
    """A suite, with as much of a dvc.yaml as is read of it."""
    suite = {"experiments": {"longer": {"epochs": 30}}, "questions": questions, **sections}
    files.write_text(f"suites/{name}/params.yaml", yaml.safe_dump(suite))
    params_of = [{"params.yaml": ["evaluate"]}, {f"suites/{name}/params.yaml": ["experiments", "questions"]}]
    stages = {stage: {"cmd": "true", "params": params_of, "deps": list(deps)} for stage in pipeline.ENDS}
    files.write_text(f"suites/{name}/dvc.yaml", yaml.safe_dump({"stages": stages}))


def edit(path, change):
    content = yaml.safe_load(Path(path).read_text())
    change(content)
    files.write_text(path, yaml.safe_dump(content))


def told(name="mine"):
    """Why a suite cannot be run, a line each."""
    usable, unusable = pipeline.load_settings()
    root = f"suites/{name}/"
    assert (root in usable) != (root in unusable)
    stages = pipeline.load_stages(usable)
    pipeline.write_snapshots(usable, stages)
    return unusable.get(root, "").splitlines()


def test_the_repositorys_own_suites_can_be_run(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert pipeline.load_suites(params.load(), to_run=True)[1] == {}


def test_a_suite_that_compares_with_what_its_findings_depend_on_can_be_run(folder):
    assert told() == []


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ("report/bsae", "questions.0: there is no config 'report/bsae' (did you mean base?); there are"),
        ("ohter/longer", "questions.0: ohter/longer: there is no suite 'ohter'; there are report, "),
        ("other/longre", "questions.0: there is no config 'other/longre' (did you mean longer?); there are longer"),
        ("report/mel", "questions.0: report/mel: add data/predictions/mel.npz to the deps of findings in suites/mine/"),
        (
            "other/longer",
            "questions.0: other/longer: add suites/other/data/predictions/longer.npz to the deps of findings in",
        ),
    ],
)
def test_a_question_about_another_suites_config_names_what_is_wrong(folder, other, problem):
    write_suite("other", [])
    write_suite("mine", [{**ASKED, "other": other}])
    (line,) = told()
    assert line.startswith(f"suites/mine/params.yaml: {problem}")
    assert told("other") == []


def test_the_tables_go_on_without_a_config_that_a_suite_compares_with(folder):
    """What reads one suite's settings reads no other's: the tables show a suite's scores whatever it asks."""
    write_suite("mine", [{**ASKED, "other": "report/no_more"}])
    assert params.load_suite("suites/mine", params.load())["questions"]
    assert len(told()) == 1


def test_a_suite_that_compares_with_one_that_cannot_be_run_cannot_be_run_either(folder):
    """Nor one that compares with that one."""
    deps = ["suites/other/data/predictions/longer.npz", "suites/mine/data/predictions/longer.npz"]
    write_suite("other", [], experiments={"longer": {"epochs": 0}})
    write_suite("mine", [{**ASKED, "other": "other/longer"}], deps)
    write_suite("third", [{**ASKED, "other": "mine/longer"}], deps)
    reason = "suites/other/params.yaml: experiments.longer.epochs: 0 is not allowed; at least 1 is"
    assert told("other") == [reason]
    assert told() == [f"suites/mine/params.yaml: questions.0: other/longer: {reason}"]
    assert told("third") == [f"suites/third/params.yaml: questions.0: mine/longer: {told()[0]}"]


def test_a_suite_without_stages_is_told_in_a_line(folder):
    path = Path("suites/mine/dvc.yaml")
    path.unlink()
    (line,) = told()
    assert line.startswith("suites/mine/dvc.yaml: no such file")
    for text, problem in (
        ("- 1\n", "there are no stages"),
        ("stages: {", "not valid YAML"),
        ("", "there are no stages"),
    ):
        path.write_text(text)
        (line,) = told()
        assert line.startswith(f"suites/mine/dvc.yaml: {problem}")
    path.write_text("stages: {train: {cmd: 'true'}}\n")
    assert told() == [f"suites/mine/dvc.yaml: there is no stage {stage}" for stage in pipeline.ENDS]


def test_a_setting_that_a_stage_takes_and_that_is_not_there_is_told_once(folder):
    """DVC, too, would end with an error."""
    edit("suites/mine/params.yaml", lambda suite: suite.pop("questions"))
    (line,) = told()
    assert line.startswith("suites/mine/params.yaml: questions is missing, which the stage findings of suites/mine/dvc")
    edit("params.yaml", lambda settings: settings.pop("questions"))
    with pytest.raises(
        params.ParamsError, match=r"^params.yaml: questions is missing, which the stage findings of dvc"
    ):
        pipeline.load_settings()


def test_an_experiment_that_does_not_say_what_its_stage_depends_on_is_told(folder):
    """DVC knows of no defaults: with ``${item.init_from}`` among its deps it would end with an error."""
    train = {"cmd": "true", "deps": ["src", "${item.init_from}"]}
    edit("suites/mine/dvc.yaml", lambda of: of["stages"].update(train={"foreach": "${experiments}", "do": train}))
    (line,) = told()
    missing = "experiments.longer.init_from is missing, which the stage train of suites/mine/dvc.yaml takes"
    assert line == f"suites/mine/params.yaml: {missing}"
    edit("suites/mine/params.yaml", lambda suite: suite["experiments"]["longer"].update(init_from=params.RANDOM))
    assert told() == []
    edit("params.yaml", lambda settings: settings["experiments"]["base"].pop("init_from"))
    with pytest.raises(
        params.ParamsError, match=r"^params.yaml: experiments.base.init_from is missing, which the stage"
    ):
        pipeline.load_settings()


def test_training_depends_on_a_model_that_is_trained_first_as_a_folder_and_on_one_that_is_kept_file_by_file(folder):
    for name in ("config.json", "seed_0_best.safetensors"):
        files.write_text(f"pretrained/kept/{name}", "{}")
    starts = {"first": "models/base", "second": "pretrained/kept", "third": None}
    entries = {name: {"init_from": start} if start else {} for name, start in starts.items()}
    of = {name: pipeline.model_files({"experiments": entries}, name, ["models/base"]) for name in entries}
    assert of == {
        "first": ["models/base"],
        "second": ["pretrained/kept/config.json", "pretrained/kept/seed_0_best.safetensors"],
        "third": [],
    }


def test_a_wrong_study_stops_nothing_but_its_suite(folder):
    for name in ("params.yaml", "dvc.yaml"):
        (folder / "suites/search").mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / "suites/search" / name, folder / "suites/search" / name)
    assert told("search") == []
    edit("suites/search/params.yaml", lambda suite: suite["study"].update(startup_trials=41))
    assert told("search") == [
        "suites/search/params.yaml: study.startup_trials: 41 is not allowed; at most trials, 40, is"
    ]
    assert told() == []
    edit("suites/search/params.yaml", lambda suite: suite["experiments"].update(width_1={"seeds": [0]}))
    (line,) = told("search")
    assert line.startswith("suites/search/params.yaml: experiments.width_1: the first word of a name says its search")


def test_a_suites_settings_are_read_without_its_stages_where_nothing_is_to_be_run(folder):
    Path("suites/mine/dvc.yaml").unlink()
    usable, wrong = pipeline.load_suites(params.load())
    assert (list(usable), wrong) == (["mine"], {})


def test_a_run_tells_of_what_was_asked_for(folder):
    for table in ("table1", "table2"):
        files.write_text(f"metrics/tables/{table}.md", f"what {table} says\n")
    jobs = [("all", ""), ("aggregate", ""), ("train", "suites/mine/")]
    shown = pipeline.results(jobs)
    assert "what table1 says" in shown and "what table2 says" in shown and "reports/page/index.html" in shown
    assert "mine" not in shown
    shown = pipeline.results([("publish", "suites/mine/"), ("train", ""), ("evaluate", ""), ("findings", "")])
    assert shown == "mine: its table is suites/mine/published/table.md; its findings: `wavetag findings mine`"
    assert pipeline.results([("prepare", ""), ("split", "")]) == ""


def test_bridge_and_open_ask_the_same_with_the_papers_settings(monkeypatch):
    """`wavetag use paper` changes the pipeline's vocabulary and scaling, not theirs."""
    monkeypatch.chdir(REPOSITORY)
    settings = params.load()
    as_the_paper = {**settings, "split": {**settings["split"], "vocabulary": "standard50"}}
    as_the_paper["defaults"] = {**settings["defaults"], "scaling": "none", "sample_rate": 16_000}
    for name, configs in (("bridge", ["step0_report", "step4_window_loss"]), ("open", [])):
        suites = [params.load_suite(f"suites/{name}", one) for one in (settings, as_the_paper)]
        assert params.split_of(suites[0], "main") == params.split_of(suites[1], "main")
        for config in configs:
            assert params.config(suites[0], config) == params.config(suites[1], config)
