"""``wavetag export``: files for other programs, checked before the command ends."""

import json
from pathlib import Path

import numpy as np
import pytest

import trained_models
from test_model import music
from trained_models import RATE, TAGS
from wavetag import command, load_model, onnx_export

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install wavetag[onnx]")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained_models.write(Path("models/base"))
    return tmp_path


def test_the_graph_tags_as_the_model_does_and_says_what_it_is(place, capsys):
    assert command.main(["export", "--model", "base", "--onnx", "base.onnx"]) == 0
    out = capsys.readouterr().out
    assert "float32, full scale 1.0, at 12,000 Hz" in out
    assert "by ONNX Runtime at most" in out
    session, loaded = onnxruntime.InferenceSession("base.onnx"), load_model("models/base")
    for seconds in (0.1, 1, 2.7):
        samples = music(seconds).astype(np.float32)
        [probabilities] = session.run(["probabilities"], {"samples": samples[None]})
        assert probabilities[0] == pytest.approx(loaded.predict(samples, RATE), abs=1e-4)
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["tags"]) == list(TAGS)
    assert (about["sample_rate"], about["window_samples"], about["dataset"]) == ("12000", "6000", "minitune")


def test_a_graph_that_differs_is_refused(place, capsys, monkeypatch):
    monkeypatch.setattr(onnx_export, "check", lambda *_: 2e-4)
    assert command.main(["export", "--onnx", "base.onnx"]) == 1
    assert "base.onnx: its probabilities differ from the model's by up to 0.0002" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to write: --onnx FILE, --torch FILE, or both are needed"),
        (["--onnx", "nowhere/base.onnx"], "--onnx nowhere/base.onnx: a file in a folder that is there is needed"),
        (["--onnx", "models"], "--onnx models: a file in a folder that is there is needed"),
        (["--torch", "base.onnx"], "--torch base.onnx: a name that ends in .pt2 is needed"),
        (["--onnx", "base.onnx", "--model", "bass"], "model 'bass': no such model folder"),
    ],
)
def test_what_cannot_be_meant_is_refused(place, capsys, words, message):
    assert command.main(["export", *words]) == 1
    assert capsys.readouterr().err.startswith(f"wavetag export: {message}")
    assert not list(place.glob("*.onnx"))
