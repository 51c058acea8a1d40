"""A tagger as one file that runs without wavetag: samples in, probabilities of tags out, the spectrogram within.

``export`` writes ONNX, for ONNX Runtime and other programs; ``export_program`` torch's own format. In both, the batch
and the length of what comes in are free. ``check`` holds an ONNX file against the network that it was made of.
"""

import copy
import io
import json
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from wavetag import architectures, files, frontends, networks
from wavetag.model import windows_of
from wavetag.scaling import INT16_FULL_SCALE

OPSET = 18
PROGRAM = ".pt2"  # how the names of torch's files end
INPUT, OUTPUTS = "samples", ("probabilities", "windows")
DIMENSIONS = {  # as an ONNX file names them
    "samples": ("batch", "samples"),
    "probabilities": ("batch", "tags"),
    "windows": ("batch", "windows", "tags"),
}


def export(network: networks.Tagger, path: str | Path, properties: Mapping[str, str] = {}) -> None:
    """Write a network as ONNX, weights included, whole or not at all.

    The graph takes ``samples``, float32 [batch, samples], full scale 1, at the network's rate; see ``Graph`` for what
    it gives. The same network and properties give the same bytes.

    Args:
        network: in either mode; it is exported in evaluation mode. Smaller than 2 GB.
        path: of the file.
        properties: what the file says of itself (``metadata_props``).

    Raises:
        ValueError: ONNX is not installed.
    """
    onnx = _installed("onnx")
    _installed("onnxscript")
    program = _program(network)
    with _quiet():
        model = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, verbose=False, input_names=[INPUT], output_names=OUTPUTS
        ).model_proto
    _tidy(model)
    onnx.helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model, full_check=True)
    with files.written_whole(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


def export_program(network: networks.Tagger, path: str | Path, properties: Mapping[str, str] = {}) -> None:
    """Write a network as torch's own format (.pt2), whole or not at all.

    ``torch.export.load(path).module()(samples)`` gives what ``Graph`` does.

    Args:
        network: in either mode; it is exported in evaluation mode.
        path: of the file.
        properties: of which ``torch.export.load`` hands out the JSON as the extra file ``properties.json``.
    """
    content = io.BytesIO()  # a path would have to end with .pt2
    program = _program(network)
    program.example_inputs = None  # zeros, as long as two windows
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # with the names of the exporting machine's files
    with _quiet():
        torch.export.save(program, content, extra_files={"properties.json": json.dumps(dict(properties))})
    with files.written_whole(path) as temporary:
        temporary.write_bytes(content.getvalue())


def check(
    network: networks.Tagger, path: str | Path, batches: Sequence[np.ndarray], dtype: torch.dtype = torch.float64
) -> float:
    """The largest difference between an exported file and the network's own ``tag``, on the CPU.

    A file that ends in .pt2 is run by torch, any other by ONNX Runtime.

    Args:
        network: that the file is to be of.
        path: of the file.
        batches: float32 [batch, samples] each, in [-1, 1].
        dtype: that the network computes in. In float32 its own rounding counts too: with ``log_mel``, where decibels
            of silent bands are of nothing else, it can be a thousand times the file's.

    Returns:
        Of all probabilities, those of windows among them; infinity where they are not as many or not numbers.

    Raises:
        ValueError: ONNX Runtime is not installed.
    """
    run = _program_runner(path) if Path(path).suffix == PROGRAM else _onnx_runner(path)
    network = _evaluated(network).to(dtype)
    largest = 0.0
    for samples in batches:
        filled, windows = _filled(samples, network.framing)
        with torch.inference_mode():
            front = network.front(torch.from_numpy(filled), dtype)
            expected = (
                network.tag(front, torch.full((len(samples),), windows)),
                torch.sigmoid(network.classifier(network.features(front))),
            )
        for given, wanted in zip(run(samples), expected, strict=True):
            if given.shape != wanted.shape or not np.isfinite(given).all():
                return math.inf
            largest = max(largest, float(np.abs(given - wanted.numpy()).max()))
    return largest


def _onnx_runner(path: str | Path) -> Callable[[np.ndarray], list[np.ndarray]]:
    runtime = _installed("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda samples: session.run(OUTPUTS, {INPUT: samples})


def _program_runner(path: str | Path) -> Callable[[np.ndarray], list[np.ndarray]]:
    program = torch.export.load(path).module()
    return lambda samples: [output.detach().numpy() for output in program(torch.from_numpy(samples))]


def _filled(samples: np.ndarray, framing: networks.Framing) -> tuple[np.ndarray, int]:
    """Samples as int16 would have them, cut or filled up with zeros to whole windows, and how many these are."""
    count = windows_of(samples.shape[1], framing.window, framing.hop)
    filled = np.zeros((len(samples), (count - 1) * framing.hop + framing.window), dtype=np.float32)
    samples = samples[:, : filled.shape[1]]
    filled[:, : samples.shape[1]] = np.clip(
        np.rint(samples * INT16_FULL_SCALE), -INT16_FULL_SCALE, INT16_FULL_SCALE - 1
    )
    return filled, count


class Graph(nn.Module):
    """What is exported: a copy of a network with all that comes before it, from samples to probabilities of tags."""

    def __init__(self, network: networks.Tagger):
        super().__init__()
        self.network = _evaluated(network)
        for module in self.network.modules():
            if isinstance(module, frontends._Spectrogram):
                _take_powers_in_double(module)
            elif isinstance(module, architectures._OfSpectrograms):
                _take_images_as_they_are(module)
            elif isinstance(module, architectures._Blocks):
                _convolve(module)

    def forward(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tags of clips of one length.

        The samples are rounded to those of int16 and cut into windows, of which ``model.windows_of`` count.

        Args:
            samples: float32 [batch, samples], full scale 1.

        Returns:
            Probabilities [batch, tags], and those of each window by itself [batch, windows, tags].
        """
        network, framing = self.network, self.network.framing
        samples = (samples * INT16_FULL_SCALE).round().clamp(-INT16_FULL_SCALE, INT16_FULL_SCALE - 1)
        # `model.windows_of`, of a length that is not known yet
        reaching = (torch.sym_max(samples.shape[1], framing.window) - framing.window + framing.hop - 1) // framing.hop
        half = math.ceil(framing.window / 2)
        half_full = (torch.sym_max(samples.shape[1], half) - half) // framing.hop
        count = torch.sym_min(reaching, half_full) + 1
        taken = torch.arange(count * network.frontend.samples)
        places = taken // network.frontend.samples * framing.hop + taken % network.frontend.samples
        windows = functional.pad(samples, (0, framing.window)).index_select(1, places)
        scaled = network.scaling._scaled(windows.reshape(-1, network.frontend.samples))
        features = network.trunk(network.frontend(scaled)).unflatten(0, (-1, count))
        predictions = torch.sigmoid(network.classifier(features))
        if network.pool == "features":
            return torch.sigmoid(network.classifier(features.mean(dim=1))), predictions
        return predictions.mean(dim=1), predictions


def _evaluated(network: networks.Tagger) -> networks.Tagger:
    """A copy on the CPU that neither drops out nor learns."""
    return copy.deepcopy(network).cpu().float().eval().requires_grad_(False)


def _framed(x: torch.Tensor, length: int, stride: int, count: int) -> torch.Tensor:
    """The first ``count`` frames of ``length``, one every ``stride``: [rows, samples] -> [rows, count, length].

    Blocks that frames are made of are picked, not samples: the list of places would be a good part of the file.
    """
    block = math.gcd(length, stride)
    step, pieces = stride // block, length // block
    blocks = (count - 1) * step + pieces
    places = step * torch.arange(count)[:, None] + torch.arange(pieces)
    x = x[:, : blocks * block].unflatten(1, (blocks, block))
    return x.index_select(1, places.flatten()).reshape(-1, count, length)


def _take_powers_in_double(frontend: nn.Module) -> None:
    """Have a spectrogram take its squared magnitudes in float64.

    ONNX Runtime's float32 transform is less exact than torch's: in a square wave's silent bands, decibels are off by 3.
    """

    def power(samples: torch.Tensor, constant_detrend: bool) -> torch.Tensor:
        count = frontends.frames(samples.shape[1], frontend.length, frontend.stride)
        framed = _framed(samples.double(), frontend.length, frontend.stride, count)
        if constant_detrend:
            framed = framed - framed.mean(dim=-1, keepdim=True)
        spectrum = torch.view_as_real(torch.fft.rfft(framed * frontend.window, n=frontend.fft_size))
        return spectrum.square().sum(dim=-1).float()

    frontend.power = power


def _take_images_as_they_are(trunk: nn.Module) -> None:
    """Have a network leave the layout of its images alone: told that channels lie last, torch refuses one window."""
    trunk._image = lambda x: trunk.input_norm(x.contiguous().unsqueeze(1))


def _convolve(blocks: nn.Module) -> None:
    """Have a convolution on blocks be one: as a matrix product it ties the graph to one number of windows."""
    blocks.forward = lambda x: functional.conv2d(x, blocks.weight.unsqueeze(2), blocks.bias, (1, blocks.stride[0]))


def _program(network: networks.Tagger) -> torch.export.ExportedProgram:
    """``Graph`` traced by torch, batch and length free."""
    example = torch.zeros(2, 2 * network.framing.window)
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("samples")}
    with (
        _quiet(),
        torch.fx.experimental._config.patch(backed_size_oblivious=True),  # or else sizes of one are refused
    ):
        return torch.export.export(Graph(network), (example,), dynamic_shapes={"samples": free})


def _tidy(model: Any) -> None:
    """Name the dimensions of what goes in and comes out; take away what tells of the exporting machine's files."""
    graph = model.graph
    for value in (*graph.input, *graph.output):
        for dimension, name in zip(value.type.tensor_type.shape.dim, DIMENSIONS[value.name], strict=True):
            if dimension.WhichOneof("value") != "dim_value":
                dimension.dim_param = name
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's notes to its own developers; errors are raised as ever."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _installed(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(f"{name} is not installed: pip install wavetag[onnx]") from error
