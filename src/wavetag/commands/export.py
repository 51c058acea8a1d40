"""``wavetag export``: a model as one graph for other programs, from samples to tag probabilities."""

import argparse
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

ENDINGS = {"--onnx": ".onnx", "--torch": ".pt2"}
ALLOWED = 1e-4  # between the probabilities of the graph and those of PyTorch


def options(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """Write a model as one graph, for ONNX Runtime or PyTorch: samples in, tag probabilities out."""
    parser.add_argument("--model", metavar="NAME or FOLDER", help="by default the best one on the validation clips")
    parser.add_argument("--onnx", type=Path, metavar="FILE", help="as ONNX; needs the packages of wavetag[onnx]")
    parser.add_argument("--torch", type=Path, metavar="FILE", help="as a program of torch.export (.pt2)")
    return run


def run(arguments: argparse.Namespace) -> None:
    """Write the graphs, then hold each against the model on noise of several lengths."""
    wanted = {"--onnx": arguments.onnx, "--torch": arguments.torch}
    if not any(wanted.values()):
        raise ValueError("nothing to write: --onnx FILE, --torch FILE, or both are needed")
    for option, path in wanted.items():
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise ValueError(f"{option} {path}: a file in a folder that is there is needed")
        if path is not None and path.suffix != (ending := ENDINGS[option]):
            raise ValueError(f"{option} {path}: a name that ends in {ending} is needed")

    from wavetag import model_folder

    folder = model_folder.find(arguments.model)

    import numpy as np

    from wavetag import model, onnx_export

    loaded = model.Model.load(folder)
    properties = {
        "name": loaded.name,
        "tags": json.dumps(loaded.tag_names, ensure_ascii=False),
        "sample_rate": str(loaded.sample_rate),
        "window_samples": str(loaded.network.framing.window),
        "hop_samples": str(loaded.network.framing.hop),
        "dataset": str(loaded.about.get("dataset", {}).get("name", "unknown")),
        "wavetag": version("wavetag"),
    }
    noise, window = np.random.default_rng(0), loaded.network.framing.window
    batches = [
        (noise.normal(size=(batch, int(windows * window))) * level).clip(-1, 1).astype(np.float32)
        for batch, windows, level in ((1, 0.2, 0.1), (2, 1, 0.3), (1, 2.4, 1.0), (1, 3.7, 0.01))
    ]
    says = f"input `samples` [batch, samples], float32, full scale 1.0, at {loaded.sample_rate:,} Hz"
    kinds = (
        (arguments.onnx, onnx_export.export, "ONNX Runtime"),
        (arguments.torch, onnx_export.export_program, "torch.export"),
    )
    for path, export, name in kinds:
        if path is None:
            continue
        export(loaded.network, path, properties)
        largest = onnx_export.check(loaded.network, path, batches)
        if not largest <= ALLOWED:
            raise ValueError(
                f"{path}: its probabilities differ from the model's by up to {largest:.2g} on noise; {ALLOWED:g} is"
                " allowed: do not use it, and report this"
            )
        print(
            f"{path}: {loaded.name}, {path.stat().st_size / 1e6:.1f} MB; {says}; output `probabilities` [batch, tags]"
        )
        print(f"{path}: by {name} at most {largest:.1e} from the model on {len(batches)} batches of noise")
