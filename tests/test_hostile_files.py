"""No data file and no model file runs code: files that would, if anything did, beside a place where nothing may appear.

SECURITY.md says what is trusted. Pickled labels, the one kind of pickle that is read, have tests of their own in
``test_pickles.py``; what the server is sent, in ``test_serving.py``; markup in the report, in ``test_report.py``.
"""

import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml

import trained_models
from fuzz import targets
from wavetag import (
    archives,
    clips,
    command,
    evaluations,
    files,
    fine_tuning,
    model,
    params,
    preparation,
    release,
    training,
)
from wavetag.datasets import coursework, folder, layout, magnatagatune

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A path at which nothing may be when the test has ended; it is this process's and its children's folder, too."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "something was run"
    assert not [path for path in tmp_path.rglob("*") if path.stem == "canary"], "something was made"


class Runs:
    """Pickled, it makes the canary when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


def test_the_canary_appears_where_pickles_are_trusted(tmp_path):
    pickle.loads(pickle.dumps(Runs(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


# Pickles, and what may hold them


def test_pickled_labels(canary):
    for name in ("train", "val"):
        targets.write(Path("annotations"), f"{name}_labels.pkl", pickle.dumps(Runs(canary)))
    with pytest.raises(layout.DatasetError, match=r"train_labels.pkl: .* it names posix.system"):
        coursework.read_labels(Path())


def object_array(canary):
    made = io.BytesIO()
    np.save(made, np.array([Runs(canary)], dtype=object), allow_pickle=True)
    return made.getvalue()


def test_an_array_of_objects_in_the_place_of_samples(canary):
    path = targets.write(Path("samples"), "a.npy", object_array(canary))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        coursework._load(path)
    with pytest.raises(layout.DatasetError, match=r"a.npy: int16"):
        clips.open_array(path)


@pytest.mark.parametrize("member", ["predictions", "metrics"])
def test_an_array_of_objects_among_predictions(canary, member):
    arrays = {"predictions": np.zeros((1, 1, 1), np.float32), "metrics": np.array("{}")}
    np.savez("base.npz", **(arrays | {member: np.array([Runs(canary)], dtype=object)}))
    with pytest.raises(ValueError, match=r"base.npz: not a whole evaluation"):
        evaluations.read("base.npz")


def test_a_pickle_in_the_place_of_an_array(canary):
    for name in ("clips.npy", "base.npz"):
        Path(name).write_bytes(pickle.dumps(Runs(canary)))
    with pytest.raises(ValueError, match=r"clips.npy"):
        clips.open_array("clips.npy")
    with pytest.raises(ValueError, match=r"base.npz"):
        evaluations.read("base.npz")


def test_checkpoints(canary, capsys):
    """By torch.load, which reads pickles: with weights_only, and what it refuses is begun anew."""
    path, begun = Path("seed_0.pt"), [training.Training(torch.nn.Linear(1, 1), None)]
    for old in (True, False):
        content = io.BytesIO()
        state = {"fingerprint": "mine", "trainings": [Runs(canary)]}
        torch.save(state, content, _use_new_zipfile_serialization=not old)
        files.write_sealed(path, content.getvalue())
        assert not training.restore(path, "mine", begun, torch.device("cpu"))
        assert "seed_0.pt: not a whole checkpoint (UnpicklingError)" in capsys.readouterr().out
    for content in (pickle.dumps(Runs(canary)), b"x" * 40):
        files.write_sealed(path, content)
        assert not training.restore(path, "mine", begun, torch.device("cpu"))
    path.write_bytes(pickle.dumps(Runs(canary)))
    assert not training.restore(path, "mine", begun, torch.device("cpu"))


# Models


@pytest.fixture(scope="module")
def good_model(tmp_path_factory):
    work = tmp_path_factory.mktemp("model")
    release.release(trained_models.write(work / "base"), work / "released")
    return work / "released"


METADATA = json.dumps({"__metadata__": {"code": "__import__('os').system('touch canary')"}}).encode()


def hostile_weights(canary):
    torch_file = io.BytesIO()
    torch.save({"w": Runs(canary)}, torch_file)
    return {
        "a pickle": pickle.dumps(Runs(canary)),
        "torch's own": torch_file.getvalue(),
        "an array of objects": object_array(canary),
        "metadata": len(METADATA).to_bytes(8, "little") + METADATA,
    }


@pytest.mark.parametrize("kind", hostile_weights("x"))
def test_a_models_weights(canary, good_model, kind):
    shutil.copytree(good_model, "model")
    Path("model/model.safetensors").write_bytes(hostile_weights(canary)[kind])
    with pytest.raises(ValueError, match=r"model/model.safetensors"):
        model.Model.load("model")
    config = json.loads(Path("model/config.json").read_text())["config"] | {"init_from": "model", "seeds": [0]}
    if kind != "metadata":
        with pytest.raises(ValueError, match=r"model/model.safetensors"):
            fine_tuning.start(config, 0)


@pytest.mark.parametrize("key", ["frontend", "network", "scaling", "pool", "nonlinearity", "init_from", "note"])
@pytest.mark.parametrize(
    "value",
    [
        "__import__('os').system('touch canary')",
        "{0.__class__.__init__.__globals__}",
        "${oc.env:HOME}",
        "!!python/object/apply:os.system ['touch canary']",
        "$(touch canary)",
        {"_target_": "os.system", "_args_": ["touch canary"]},
    ],
)
def test_a_models_settings(canary, good_model, key, value, capsys):
    """They are read by name: no value is formatted, evaluated, imported or given to a shell."""
    shutil.copytree(good_model, "model")
    about = json.loads(Path("model/config.json").read_text())
    about["config"][key] = value
    Path("model/config.json").write_text(json.dumps(about))
    soundfile.write("a.wav", 0.1 * np.sin(np.arange(9_000) / 9), 12_000)
    status = command.main(["tag", "a.wav", "--model", "model", "--jobs", "1"])
    assert status == (0 if key in ("init_from", "note") or (key, value) == ("nonlinearity", "relu") else 1)
    told = capsys.readouterr()
    assert "Traceback" not in told.err and "os.environ" not in told.out + told.err


def test_a_model_folder_with_code_beside_its_weights(canary, good_model, capsys):
    """Nothing in it is imported, by whichever name other libraries import such files."""
    shutil.copytree(good_model, "model")
    code = f"open({str(canary)!r}, 'w')\n"
    for name in ("modeling.py", "__init__.py", "config.py", "hubconf.py", "torch.py", "json.py", "sitecustomize.py"):
        Path("model", name).write_text(code)
        Path(name).write_text(code)  # in the folder that it is started from, too
    Path("model/pytorch_model.bin").write_bytes(pickle.dumps(Runs(canary)))
    soundfile.write("a.wav", 0.1 * np.sin(np.arange(9_000) / 9), 12_000)
    words = ["tag", "a.wav", "--model", "model", "--jobs", "1"]
    # -P: as the command itself is started, without the folder at hand among the places that modules are looked for in
    program = f"import sys\nfrom wavetag import command\nsys.exit(command.main({words}))"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    asked = [sys.executable, "-P", "-c", program]
    ran = subprocess.run(asked, capture_output=True, text=True, timeout=120, env=environment)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("name", ["\x1b]0;x\x07", "a\r\nb"])
def test_a_model_cannot_write_to_the_terminal_what_is_not_text(good_model, tmp_path, name, capsys):
    shutil.copytree(good_model, tmp_path / "model")
    path = tmp_path / "model/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": name}))
    assert command.main(["tag", "x.wav", "--model", str(tmp_path / "model")]) == 1
    told = capsys.readouterr()
    assert "\x1b" not in told.err and "\r" not in told.err


# Settings


TAGS = (
    "!!python/object/apply:os.system ['touch canary']",
    "!!python/object/new:os.system ['touch canary']",
    "!!python/object/apply:subprocess.Popen [[touch, canary]]",
    "!!python/name:os.system",
    "!!python/module:canary",
    "!!python/object/apply:eval [\"open('canary', 'w')\"]",
)


@pytest.mark.parametrize("tag", TAGS)
def test_tags_in_settings(canary, tag):
    Path("canary.py").write_text("")  # what a tag could import
    for text in (f"dataset: {tag}\n", f"{tag}\n", f"? {tag}\n: 1\n"):
        with pytest.raises(params.ParamsError, match="not valid YAML"):
            params.parsed(text, "params.yaml")
    Path("canary.py").unlink()


def test_the_tags_would_run_where_they_are_trusted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yaml.load(TAGS[0], Loader=yaml.UnsafeLoader)
    assert Path("canary").exists()


def test_snakemake_and_dvc_read_params_yaml_without_running_it(canary):
    """Both read it themselves, before anything of ours has looked at it."""
    Path("params.yaml").write_text(f"dataset: {TAGS[0]}\n")
    Path("dvc.yaml").write_text("stages:\n  one:\n    cmd: echo ${dataset}\n    params: [dataset]\n")
    Path("Snakefile").write_text('configfile: "params.yaml"\nrule all:\n    output: "x"\n    shell: "echo"\n')
    python = Path(sys.executable)
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "HOME": str(Path.cwd())}
    subprocess.run([python.with_name("dvc"), "init", "-q", "--no-scm"], check=True, env=environment, timeout=120)
    words = {"dvc": ["repro", "--dry"], "snakemake": ["-n", "--cores", "1"]}
    for tool, asked in words.items():
        ran = subprocess.run(
            [python.with_name(tool), *asked], capture_output=True, text=True, env=environment, timeout=120
        )
        assert ran.returncode != 0 and "YAML" in ran.stdout + ran.stderr


HOSTILE_NAMES = [
    "a; touch canary",
    "$(touch canary)",
    "`touch canary`",
    "a\ntouch canary",
    "a && touch canary",
    "${canary}",
    "{canary}",
    "a' 'b",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_that_would_be_part_of_a_command_are_refused(canary, monkeypatch, name):
    content = json.loads(json.dumps(targets._settings()))
    monkeypatch.chdir(ROOT)
    path = canary.with_name("params.yaml")
    for place in ("experiments", "dataset.name", "tables"):
        changed = json.loads(json.dumps(content))
        if place == "experiments":
            changed["experiments"][name] = changed["experiments"]["base"]
        elif place == "tables":
            changed["tables"]["table1"] = [name]
        else:
            changed["dataset"]["name"] = name
        path.write_bytes(targets._yaml(changed))
        with pytest.raises(params.ParamsError):
            params.load(path)
    suite = targets._suite()
    suite["splits"][name] = suite["splits"]["few"]
    targets.write(canary.parent, "suite/params.yaml", targets._yaml(suite))
    with pytest.raises(params.ParamsError, match="a name of small letters, digits and _"):
        params.load_suite(canary.with_name("suite"), content)


def test_what_rules_and_stages_put_into_commands_are_names_and_numbers_alone():
    """Each reference in a command is to what the settings' schema restricts, or to a file of the rule's own."""
    allowed = {"log", "resources.gpu", "wildcards.root", "wildcards.name", "wildcards.rate", "wildcards.split"}
    allowed |= {"wildcards.worker", "wildcards.search"}
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        text = path.read_text()
        shell = re.findall(r'shell:\n\s+"([^"]*)"', text)
        assert len(shell) == text.count("shell:")
        assert {name for line in shell for name in re.findall(r"(?<!\{)\{([^{}]+)\}", line)} <= allowed, path
    known = {"key", "item", "dataset.name", "defaults.sample_rate", "item.split", "item.sample_rate"}
    known |= {"item.worker", "item.search"}  # which stand in dvc.yaml itself
    for path in (ROOT / "dvc.yaml", *ROOT.glob("suites/*/dvc.yaml")):
        for stage in yaml.safe_load(path.read_text())["stages"].values():
            command = stage.get("do", stage)["cmd"]
            assert set(re.findall(r"\$\{([^}]+)\}", command)) <= known, path


# Tables, archives and links


PATHS = ["../canary.mp3", "/tmp/canary.mp3", "0/../../canary.mp3", "0/a;touch canary.mp3", "0/$(touch canary).mp3"]


@pytest.mark.parametrize("path", PATHS)
def test_paths_in_a_datasets_table(canary, path):
    """They are names of files: what leads out of the dataset is not read, and nothing is given to a shell."""
    rows = ["clip_id\trock\tmp3_path", f"1\t1\t{path}", "2\t0\t0/good.wav"]
    information = ["clip_id\tartist\talbum", "1\ta\tb", "2\ta\tb"]
    targets.write(Path("data"), "annotations_final.csv", "\n".join(rows).encode())
    targets.write(Path("data"), "clip_info_final.csv", "\n".join(information).encode())
    targets.write(Path("data"), "0/good.wav", targets._second())
    manifest = preparation.prepare("data", "out/clips.npy", "out/manifest.tsv", 12_000, 6_000)
    outcome = manifest.set_index("path")["status"]
    assert outcome[path] == "missing" and outcome["0/good.wav"] == "ok"
    if path.startswith(("/", "..", "0/..")):
        with pytest.raises(layout.DatasetError, match="leads out of the dataset"):
            magnatagatune._link(Path("made"), Path("data"), pd.Series([path]))


@pytest.mark.parametrize(
    "name", ["a;touch canary.wav", "$(touch canary).wav", "`touch canary`.wav", "=1+1.wav", "-rf.wav", "{x}.wav"]
)
def test_names_of_a_users_files_become_plain_ones(canary, name):
    for number in range(3):
        targets.write(Path("music"), f"{number}.wav", targets._second() + bytes([number]))
    targets.write(Path("music"), name, targets._second() + b"name")
    table = pd.DataFrame({"path": ["0.wav", "1.wav", "2.wav", name], "tags": "rock"})
    table.to_csv("music/music.csv", index=False)
    settings = {"source": "music/music.csv", "audio": None, "seed": 0}
    folder.acquire(Path("made"), settings, 1.0, "all", lambda line: None)
    made = [path.name for path in Path("made").rglob("*.wav")]
    assert len(made) == 4 and all(re.fullmatch(r"[\w.-]+", made_name) for made_name in made)


def test_an_archive_that_would_write_elsewhere(canary):
    for name in ("../canary", "/tmp/canary", "0/../../canary", "..\\canary"):
        with zipfile.ZipFile("mp3.zip", "w") as archive:
            archive.writestr("0/a.mp3", b"sound")
            member = zipfile.ZipInfo("x")
            member.filename = name
            archive.writestr(member, b"x")
        with pytest.raises(archives.ArchiveError, match="would lie outside of the folder"):
            archives.unpack([Path("mp3.zip")], Path("out"), lambda line: None)
        assert not Path("out").exists()


def test_an_archive_that_would_write_through_a_link(canary):
    """A link in an archive is refused; so is what would be unpacked below it."""
    with zipfile.ZipFile("mp3.zip", "w") as archive:
        link = zipfile.ZipInfo("0")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(canary.parent))
        archive.writestr("0/canary", b"x")
    with pytest.raises(archives.ArchiveError):
        archives.unpack([Path("mp3.zip")], Path("out"), lambda line: None)


def test_sound_that_is_something_else(canary):
    """libsndfile goes by a file's content, and Python by nothing: a file is sound, or is refused."""
    for content in (
        pickle.dumps(Runs(canary)),
        b"#!/bin/sh\ntouch canary\n",
        b"RIFF\0\0\0\0WAVE" + pickle.dumps(Runs(canary)),
    ):
        path = targets.write(Path(), "a.wav", content)
        path.chmod(0o755)
        with pytest.raises(ValueError):
            from wavetag import audio

            audio.decode(path, 12_000)


def test_no_reader_of_ours_can_run_code():
    """Where the library names one that could, the line says how it is kept from it."""
    named = re.compile(
        r"torch\.load\(|np\.load\(|pickle\.loads?\(|yaml\.load\(|\beval\(|\bexec\(|shell=True|os\.system|read_pickle\("
    )
    kept = re.compile(r"weights_only=True|allow_pickle=False|Loader=_Loader")
    lines = [
        line for path in (ROOT / "src").rglob("*.py") for line in path.read_text().split("\n") if named.search(line)
    ]
    code = [line for line in lines if not re.search(r"\.eval\(\)|^\s*#|``", line)]
    assert len(code) >= 3 and all(kept.search(line) for line in code), code
