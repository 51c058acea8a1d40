"""The architecture, drawn from a network as it runs: its layers in order, what each gives, what each has to learn.

Nothing here knows a network by name. One clip of zeros is sent through it, and every operation that torch is asked for
is seen: one that joins the clip with weights is a layer, and its weights are counted where they are first used.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from wavetag import networks

# What is said beside a layer, by the name that torch has for it.
STEPS = {
    "relu": "ReLU",
    "relu_": "ReLU",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "gelu": "GELU",
    "elu": "ELU",
    "leaky_relu": "leaky ReLU",
    "log1p": "log(1 + x)",
    "max": "maximum",
    "amax": "maximum",
    "mean": "mean",
    "cat": "joined",
    "concat": "joined",
}
ADDITIONS = ("add", "add_", "__add__", "__iadd__")
SHORTCUT = "added to the shortcut"
KEEPING = frozenset(  # what makes no layer, and whose result has the shape to show
    ("view", "reshape", "transpose", "permute", "unsqueeze", "squeeze", "contiguous", "__getitem__", "to", "float")
)
SAMPLES, MEAN = "samples", "mean over windows"


@dataclass
class Layer:
    """One layer.

    Attributes:
        name: in words.
        detail: its sizes, in words.
        shape: of what it gives, for one window or one clip, without axes of length 1.
        of: ``window`` or ``clip``.
        parameters: numbers that it has to learn.
        module: where it stands in the network, such as ``trunk.conv1``; empty for what has no place there.
        steps: what is done to its output, in order.
    """

    name: str
    detail: str = ""
    shape: tuple[int, ...] = ()
    of: str = "window"
    parameters: int = 0
    module: str = ""
    steps: list[str] = field(default_factory=list)


def layers(network: networks.Tagger, clip_samples: int) -> list[Layer]:
    """The layers of a network, in the order in which a clip goes through them.

    Args:
        network: in evaluation mode.
        clip_samples: samples of a clip.

    Returns:
        First the samples of a window, last the tags of a clip. Their parameters add up to ``networks.parameters``.

    Raises:
        ValueError: there are weights that no operation used.
    """
    tracer = _Tracer(network)
    parts = (network.frontend, network.trunk, network.classifier)
    hooks = [part.register_forward_pre_hook(tracer.enter) for part in parts]
    hooks += [part.register_forward_hook(tracer.leave) for part in parts]
    try:
        with torch.no_grad(), tracer:
            output = network(torch.zeros(1, clip_samples), torch.tensor([1]))
    finally:
        for hook in hooks:
            hook.remove()
    found = [Layer(SAMPLES, f"at {network.sample_rate:,} Hz", (network.window_samples,)), *tracer.layers]
    if not tracer.pooled:
        found.append(Layer(MEAN, "of the windows that are not wholly padding", tuple(output.shape[1:]), "clip"))
    counted, all_of_it = sum(layer.parameters for layer in found), networks.parameters(network)
    if counted != all_of_it:
        raise ValueError(
            f"{all_of_it - counted} of the network's {all_of_it} weights were never used: it has no drawing"
        )
    return found


class _Tracer(TorchFunctionMode):
    """Sees each operation within trunk and classifier; makes layers of those that join the clip with weights."""

    def __init__(self, network: networks.Tagger):
        super().__init__()
        self.network, self.layers = network, []
        self.inside, self.windows, self.pooled = None, 0, False
        self.last: torch.Tensor | None = None  # what has become of the last layer's output
        self.owner: dict[int, tuple[str, nn.Module]] = {}  # storage of a weight, or of what was made of one -> module
        self.kept: list[torch.Tensor] = []  # what was made of weights: its storage is not given to another tensor
        self.counted: set[int] = set()
        for name, module in network.named_modules():
            for weight in module.parameters(recurse=False):
                self.owner[_storage(weight)] = (name, module)

    def enter(self, module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        self.inside = module
        if module is self.network.frontend:
            self.windows = len(inputs[0])
            self.layers.append(Layer(*_frontend_in_words(module), module="frontend"))
        elif module is self.network.classifier and inputs[0].dim() == 2:  # [clips, features]: no axis of windows left
            self.pooled = True
            self.layers.append(
                Layer(MEAN, "of the windows that are not wholly padding", tuple(inputs[0].shape[1:]), "clip")
            )

    def leave(self, module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        if module is self.network.frontend:
            self.layers[-1].shape = _shown(output.shape[1:])
            self.layers[-1].parameters = self._count(module)
        elif module is self.network.classifier:
            self.layers[-1].shape = tuple(output.shape[-1:])
            self.layers[-1].of = "clip" if self.pooled else "window"
            self.layers[-1].steps.append("sigmoid")
        self.inside = None

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if self.inside is None or self.inside is self.network.frontend:
            return result
        given, made = list(_tensors((args, kwargs))), list(_tensors(result))
        owners = [owner for tensor in given if (owner := self.owner.get(_storage(tensor)))]
        if owners and len(owners) == len(given):  # a weight in another shape or type
            self.kept += made
            self.owner |= {_storage(tensor): owners[0] for tensor in made}
        elif made and given:
            self._see(getattr(function, "__name__", ""), args, kwargs or {}, given, made[0], owners)
        return result

    def _see(self, name: str, args: tuple, kwargs: dict, given: list, output: torch.Tensor, owners: list) -> None:
        """An operation on what comes from the clip: a layer, or a step on what the last layer gave."""
        if owners and owners[0][0] != self.layers[-1].module:
            place, module = owners[0]
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                self.layers[-1].steps.append("batch norm")
                self.layers[-1].parameters += self._count(module)
            else:
                self.layers.append(Layer(*_in_words(module), module=place, parameters=self._count(module)))
        elif not owners and not any(tensor is self.last for tensor in given):
            return  # another branch, on its way to a layer of its own
        self.last = output
        layer = self.layers[-1]
        step = None
        if name in STEPS:
            step = STEPS[name]
        elif "max_pool" in name or "avg_pool" in name:
            step = _pooling_in_words(name, args, kwargs)
        elif name == "dropout" and (rate := kwargs.get("p", args[1] if len(args) > 1 else 0)):
            step = f"dropout {rate:g} (in training)"
        elif name in ADDITIONS and not owners and len(given) == 2 and given[0].shape == given[1].shape:
            step = SHORTCUT
        if step and not (owners and owners[0][0] == layer.module):
            layer.steps.append(step)
        if layer.module == "frontend" or self.inside is not self.network.trunk:
            return
        if (owners or step or name in KEEPING) and len(output) == self.windows:
            layer.shape = _shown(output.shape[1:])

    def _count(self, module: nn.Module) -> int:
        """Numbers to learn, of a module's weights that were not counted yet."""
        new = {_storage(weight): weight.numel() for weight in module.parameters() if weight.requires_grad}
        new = {storage: numbers for storage, numbers in new.items() if storage not in self.counted}
        self.counted |= set(new)
        return sum(new.values())


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor in tuples, lists and dicts."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _shown(shape: Any) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1) or (1,)


def _frontend_in_words(frontend: nn.Module) -> tuple[str, str]:
    """Its class, and the first paragraph of its docstring, with its own sizes where that names them."""
    said = (inspect.getdoc(type(frontend)) or "").split("\n\n")[0].replace("\n", " ")
    said = re.sub(r"``(\w+)``", lambda name: str(getattr(frontend, name[1], name[1])), said)
    return f"front end: {type(frontend).__name__.strip('_').lower()}", said.rstrip(".")


def _in_words(module: nn.Module) -> tuple[str, str]:
    """Name and sizes of a module with weights."""
    if isinstance(module, nn.modules.conv._ConvNd):
        size = " × ".join(map(str, module.kernel_size))
        detail = (
            f"{module.out_channels} filters of {size} on {module.in_channels} channel{'s' * (module.in_channels > 1)}"
        )
        if set(module.stride) != {1}:
            detail += f", stride {' × '.join(map(str, module.stride))}"
        return "convolution", detail
    if isinstance(module, nn.Linear):
        return "dense layer", f"{module.in_features:,} inputs, {module.out_features:,} units"
    if isinstance(module, nn.RNNBase):
        ways = ", in both directions" if module.bidirectional else ""
        return module.mode.split("_")[0], f"{module.num_layers} × {module.hidden_size} units{ways}"
    return type(module).__name__, module.extra_repr()


def _pooling_in_words(name: str, args: tuple, kwargs: dict) -> str:
    kind = "max-pooling" if "max" in name else "mean-pooling"
    if "adaptive" in name:
        return f"{kind} over all"
    size = kwargs.get("kernel_size", args[1] if len(args) > 1 else "")
    sizes = [part for part in (size if isinstance(size, list | tuple) else [size]) if part != 1]
    return f"{kind} by {' × '.join(map(str, sizes or [1]))}"


def shape_in_words(layer: Layer) -> str:
    """Such as ``32 × 136``."""
    return " × ".join(f"{size:,}" for size in layer.shape)


def drawing(found: list[Layer], title: str, width: int = 340) -> str:
    """The layers as SVG, from top to bottom: name, sizes and parameters in a box, shapes on the arrows.

    Its colours are those of the page around it (custom properties, with others where there is none).

    Args:
        found: as ``layers`` gives them.
        title: for who does not see it.
        width: in pixels, at most; narrower screens show it smaller.
    """
    from html import escape

    boxes, top = [], 8
    for layer in found:
        lines = [line for text in (layer.detail, ", then ".join(layer.steps)) for line in _wrapped(text, 46)]
        height = 34 + 15 * len(lines)
        boxes.append((layer, lines, top, height))
        top += height + 34
    parts = []
    for (_, _, above, height), (_, _, below, _) in pairwise(boxes):
        middle, start = width / 2, above + height
        parts.append(f'<path d="M{middle:g} {start}V{below - 2}m-4 -6l4 6l4 -6" class="arrow"/>')
    for layer, lines, at, height in boxes:
        kind = "learned" if layer.parameters else "fixed"
        parts.append(f'<rect x="4" y="{at}" width="{width - 8}" height="{height}" rx="6" class="{kind}"/>')
        parts.append(f'<text x="14" y="{at + 20}" class="name">{escape(layer.name)}</text>')
        if layer.parameters:
            parts.append(f'<text x="{width - 14}" y="{at + 20}" class="count">{layer.parameters:,} parameters</text>')
        for number, line in enumerate(lines):
            parts.append(f'<text x="14" y="{at + 38 + 15 * number}" class="line">{escape(line)}</text>')
        shape = f"{shape_in_words(layer)} a {layer.of}"
        parts.append(f'<text x="{width / 2 + 10:g}" y="{at + height + 21}" class="shape">{escape(shape)}</text>')
    body = "\n".join(parts)
    return (
        f'<svg class="architecture" viewBox="0 0 {width} {top}" width="{width}" role="img"'
        f' aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title>\n{body}\n</svg>"
    )


def _wrapped(text: str, characters: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, characters)
