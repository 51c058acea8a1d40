"""Exported taggers against the networks that they were made of: the same probabilities, in ONNX Runtime and torch."""

import copy
import json
import sys
import warnings

import numpy as np
import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from conftest import DEFAULTS, RATE, tone
from wavetag import networks, onnx_export

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

WINDOW, TAGS = 5_001, 7
NEAR = 1e-4
STATISTICS = {"minimum": -20_000, "maximum": 24_000, "mean": 150.0, "standard_deviation": 8_000.0}
PROPERTIES = {"sample_rate": str(RATE), "tags": json.dumps(["rock", "höhe"]), "name": "base"}
LOG_MEL = {"frontend": "log_mel", "length": 256, "stride": 128, "bands": 96}
TRUNKS = {  # every front end, and among them every scaling, pooling over windows, and overlap
    "raw": {},
    "raw, half a filter later": {
        "length": 512,
        "nonlinearity": "log_square",
        "feature_pool": "l2",
        "feature_pool_size": 4,
        "batch_norm": True,
        "overlap": 0.5,
        "pool": "features",
    },
    "raw, two thirds of a filter later": {
        "length": 300,
        "stride": 200,
        "nonlinearity": "log_absolute",
        "feature_pool": "max",
        "feature_pool_size": 2,
        "scaling": "log",
        "pool": "window_loss",
    },
    "mel": {"frontend": "mel", "scaling": "none", "batch_norm": True},
    "linear": {"frontend": "linear", "length": 300, "stride": 200, "scaling": "none", "overlap": 0.5},
    "flat": {"frontend": "flat", "batch_norm": True, "pool": "features"},
    "fourier": {"frontend": "fourier", "initialise": "fourier", "scaling": "standard"},
    "log_mel": LOG_MEL | {"scaling": "none", "overlap": 0.3},
    "samples": {"frontend": "samples", "scaling": "standard", "batch_norm": True},
}
WINDOWS = {"fcn": 20_600, "crnn": 12_400, "musicnn": 3_000, "sample_cnn": 59_100, "short_chunk_resnet": 5_000}
NETWORKS = {
    "fcn": LOG_MEL | {"length": 64, "stride": 16},
    "crnn": LOG_MEL | {"overlap": 0.5, "pool": "features"},
    "musicnn": LOG_MEL,
    "sample_cnn": {"frontend": "samples", "scaling": "none"},
    "short_chunk_resnet": LOG_MEL | {"bands": 128},
}
QUICK = ("raw", "raw, half a filter later", "mel", "log_mel")  # seconds each, which torch takes to export
torch.set_num_threads(1)


def sounds(samples):
    """float32 [3, samples]: noise, a square wave of full scale, and tones that change."""
    rng = np.random.default_rng(2)
    time = np.arange(samples) / RATE
    tones = [tone(frequency, 0.25, rng) for frequency in rng.uniform(100, 4_000, samples // (RATE // 4) + 1)]
    square = np.where(np.sin(2 * np.pi * 440 * time) < 0, -1.0, 1.0)
    noise = rng.normal(0, 0.2, samples) * np.linspace(0, 1, samples)
    return np.stack([noise, square, np.concatenate(tones)[:samples]]).astype(np.float32)


def build(settings, window=WINDOW, seed=0):
    """A network whose norms have seen sounds, and whose probabilities spread from window to window."""
    torch.manual_seed(seed)
    network = networks.Tagger(DEFAULTS | settings, STATISTICS, TAGS, RATE, window)
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    samples = torch.from_numpy(np.round(32_767 * sounds(4 * window)))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("bias"):
                weight.uniform_(-0.1, 0.1)
        for norm in norms:
            norm.weight.uniform_(-0.5, 1.5)
            norm.momentum = 1.0
        if norms:
            network.features(network.front(samples))  # while training
        logits = network.eval().classifier(network.features(network.front(samples))).flatten(0, 1)
        network.classifier.weight *= 1.5 / logits.std(dim=0)[:, None]
        network.classifier.bias += 1.5 * (network.classifier.bias - logits.mean(dim=0)) / logits.std(dim=0)
        network.classifier.bias -= network.classifier(network.features(network.front(samples))).mean(dim=(0, 1))
    return network


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A function that gives a network by name and its file."""
    made = {}

    def give(name):
        if name not in made:
            settings = TRUNKS.get(name) or NETWORKS.get(name, {})
            network = build(settings | {"network": name if name in NETWORKS else "trunk"}, WINDOWS.get(name, WINDOW))
            path = tmp_path_factory.mktemp("exported") / "model.onnx"
            onnx_export.export(network, path, PROPERTIES)
            made[name] = network, path
        return made[name]

    return give


def lengths(window):
    return [window // 3, window, int(2.4 * window), int(2.6 * window), 5 * window]


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def predicted(network, samples):
    """By the samples as int16 and the rule for windows as it is said: until one reaches the end, if it is half full."""
    window, hop = network.framing.window, network.framing.hop
    integers = np.clip(np.round(samples.astype(np.float64) * 2**15), -(2**15), 2**15 - 1).astype(np.int16)
    starts = [0]
    while starts[-1] + window < samples.shape[1]:
        starts.append(starts[-1] + hop)
    if len(starts) > 1 and samples.shape[1] - starts[-1] < window / 2:
        starts.pop()
    filled = np.pad(integers, ((0, 0), (0, window)))[:, : starts[-1] + window]
    network = copy.deepcopy(network).double()
    with torch.inference_mode():
        front = network.front(torch.from_numpy(filled), torch.float64)
        return network.tag(front, torch.full((len(samples),), len(starts))).numpy(), len(starts)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TRUNKS]
)
def test_a_file_with_the_papers_network_gives_its_probabilities(exported, name):
    network, path = exported(name)
    batches = [sounds(samples) for samples in lengths(WINDOW)]
    batches += [batch[2:] for batch in batches] + [np.zeros((1, 2 * WINDOW), np.float32), np.ones((2, 1), np.float32)]
    assert onnx_export.check(network, path, batches) < NEAR / 2
    if name != "log_mel":  # whose own rounding in float32 shows
        assert onnx_export.check(network, path, batches, torch.float32) < NEAR
    spread = session(path).run(["windows"], {"samples": batches[4]})[0].std(axis=(0, 1))
    assert spread.min() > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_with_a_later_network_gives_its_probabilities(exported, name):
    network, path = exported(name)
    window = WINDOWS[name]
    batches = [sounds(window // 3)[:1], sounds(int(2.4 * window)), sounds(int(2.6 * window))[2:]]
    assert onnx_export.check(network, path, [*batches, np.zeros((1, window), np.float32)]) < NEAR / 2
    spread = session(path).run(["windows"], {"samples": batches[1]})[0].std(axis=(0, 1))
    assert spread.min() > 0.05


@pytest.mark.parametrize("name", ["raw", "raw, half a filter later"])  # without overlap and with it
def test_windows_count_until_one_reaches_the_end_and_that_one_if_it_is_half_full(exported, name):
    network, path = exported(name)
    for samples in (
        1,
        WINDOW // 2,
        WINDOW,
        *range(3 * WINDOW // 2 - 1, 3 * WINDOW // 2 + 3),
        2 * WINDOW,
        3 * WINDOW + 7,
    ):
        given, windows = session(path).run(None, {"samples": sounds(samples)})
        wanted, count = predicted(network, sounds(samples))
        assert windows.shape == (3, count, TAGS)
        assert np.abs(given - wanted).max() < NEAR


def test_samples_are_rounded_and_clipped_as_int16_has_them(exported):
    network, path = exported("raw")
    loud = 3 * sounds(2 * WINDOW)
    given = session(path).run(["probabilities"], {"samples": loud})[0]
    assert np.abs(given - predicted(network, loud)[0]).max() < NEAR
    faint = np.full((1, WINDOW), 0.49 / 2**15, np.float32)
    silent, other = (session(path).run(["probabilities"], {"samples": x})[0] for x in (0 * faint, faint))
    assert np.array_equal(silent, other)


@pytest.mark.parametrize("name", ["raw", "raw, half a filter later"])
def test_the_check_finds_any_altered_weight(exported, name):
    network, path = exported(name)
    batches = [sounds(3 * WINDOW)]
    for key, weight in network.state_dict().items():
        if weight.is_floating_point():
            altered = copy.deepcopy(network)
            altered.state_dict()[key].add_(0.2 * weight.abs().mean() + 1e-3)
            assert onnx_export.check(altered, path, batches) > 10 * NEAR, key


def test_the_check_finds_the_file_of_another_network(exported):
    network, path = exported("raw")
    batches = [sounds(3 * WINDOW)]
    assert onnx_export.check(build({}, seed=1), path, batches) > 0.01
    assert onnx_export.check(build({"overlap": 0.5}), path, batches) == np.inf  # more windows
    hop = copy.deepcopy(network)
    hop.framing = networks.Framing(RATE, WINDOW, WINDOW - 100)
    assert onnx_export.check(hop, path, batches) > 0.01
    assert onnx_export.check(network, path, [np.full((1, WINDOW), np.nan, np.float32)]) == np.inf


def test_the_file_says_what_it_is_and_holds_its_weights(exported):
    _, path = exported("raw")
    model = onnx.load(path, load_external_data=False)
    assert {entry.key: entry.value for entry in model.metadata_props} == PROPERTIES
    assert session(path).get_modelmeta().custom_metadata_map == PROPERTIES
    assert [(value.name, value.shape, value.type) for value in session(path).get_inputs()] == [
        ("samples", ["batch", "samples"], "tensor(float)")
    ]
    assert [(value.name, value.shape) for value in session(path).get_outputs()] == [
        ("probabilities", ["batch", TAGS]),
        ("windows", ["batch", "windows", TAGS]),
    ]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_same_network_gives_the_same_bytes_without_a_word_and_stays_as_it_was(exported, tmp_path, capfd):
    network, path = exported("raw")
    network = copy.deepcopy(network).train()
    with warnings.catch_warnings(record=True) as warned:
        onnx_export.export(network, tmp_path / "again.onnx", PROPERTIES)
    assert capfd.readouterr() == ("", "")
    assert warned == []
    content = (tmp_path / "again.onnx").read_bytes()
    assert content == path.read_bytes()
    assert b"onnx_export.py" not in content  # in the exporter's traces
    assert network.training
    assert all(weight.requires_grad for weight in network.parameters())
    onnx_export.check(network, path, [sounds(WINDOW)])
    assert network.training


def test_an_export_that_fails_keeps_the_older_file(exported, tmp_path, monkeypatch):
    network, _ = exported("raw")
    (tmp_path / "model.onnx").write_bytes(b"older")

    def refuse(*arguments, **settings):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(RuntimeError, match="no such operator"):
        onnx_export.export(network, tmp_path / "model.onnx")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("model.onnx", b"older")]


@pytest.mark.parametrize("name", ["onnx", "onnxscript", "onnxruntime"])
def test_what_is_not_installed_is_named(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    network = networks.Tagger(DEFAULTS, STATISTICS, TAGS, RATE, WINDOW)
    with pytest.raises(ValueError, match=rf"^{name} is not installed: pip install wavetag\[onnx\]$"):
        if name == "onnxruntime":
            onnx_export.check(network, tmp_path / "model.onnx", [])
        else:
            onnx_export.export(network, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "window"), [("mel", WINDOW), ("crnn", WINDOWS["crnn"])])
def test_a_program_of_torch_gives_the_networks_probabilities(tmp_path, name, window):
    settings = TRUNKS.get(name) or NETWORKS[name] | {"network": name}
    network = build(settings, window)
    onnx_export.export_program(network, tmp_path / "model.pt2", PROPERTIES)
    assert b"onnx_export.py" not in (tmp_path / "model.pt2").read_bytes()
    said = {"properties.json": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=said).module()
    assert json.loads(said["properties.json"]) == PROPERTIES
    for samples in (1, window // 3, int(2.4 * window), int(2.6 * window)):
        for batch in (sounds(samples), sounds(samples)[2:]):
            given, windows = program(torch.from_numpy(batch))
            wanted, count = predicted(network, batch)
            assert windows.shape == (len(batch), count, TAGS)
            assert np.abs(given.numpy() - wanted).max() < NEAR
