"""A network layer by layer: shapes, parameters, receptive fields. Nothing is computed and nothing initialized."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from bioclass.backend import mx

Shape = tuple[int, ...]


class LayerRow(NamedTuple):
    """One layer as it is met in the forward pass."""

    name: str  # its path in the network: "conv1", "features.0"
    kind: str  # "Conv2D 5x5, 20"
    output_shape: Shape  # without the batch: (channels, height, width) or (units,)
    parameters: int
    receptive_field: tuple[int, int] | None  # (height, width) in input pixels; None: all, or it cannot be told


class Field(NamedTuple):
    """What the units of a layer see: (height, width) each, in input pixels.

    ``side`` is that of the receptive field, ``jump`` the distance between neighbours, and ``first`` the place of
    the centre of the first one's, where 0 is that of the first pixel.
    """

    side: tuple[int, int]
    jump: tuple[int, int]
    first: tuple[float, float]


def describe(net: mx.gluon.HybridBlock, input_shape: tuple[int, int, int]) -> list[LayerRow]:
    """Describe each layer of a network for images (C, H, W), in the order of the forward pass.

    Works for any Gluon network that can be hybridized, initialized or not. A layer used twice has two rows, and
    its parameters stand in the first. Receptive fields are those of the graph (they may exceed the image);
    where branches meet, the largest counts.
    """
    calls = watched(net, _layers(net, "", set()))
    outputs = mx.sym.Group([output for _, _, output in calls])
    arguments, shapes, auxiliary = outputs.infer_shape(data=(1, *input_shape))
    names = [*outputs.list_arguments(), *outputs.list_auxiliary_states()]
    sizes = {name: _product(shape) for name, shape in zip(names, [*arguments, *auxiliary], strict=True)}
    graph = json.loads(outputs.tojson())
    fields = fields_of(graph["nodes"])
    rows = []
    for (path, block, _), shape, head in zip(calls, shapes, graph["heads"], strict=True):
        field = fields[head[0]]
        # pop: a second use of the same parameters counts none
        parameters = sum(sizes.pop(parameter.name, 0) for parameter in block._reg_params.values())
        rows.append(LayerRow(path, _kind(block), tuple(shape[1:]), parameters, field.side if field else None))
    return rows


def watched(net: Any, layers: Iterable[tuple[str, Any]]) -> list[tuple[str, Any, Any]]:
    """Return some named blocks of a network as they are met in the forward pass, each with its output, a symbol."""
    calls: list[tuple[str, Any, Any]] = []
    handles = [_watch(block, path, calls) for path, block in layers]
    try:
        with mx.autograd.pause(train_mode=False):
            net(mx.sym.var("data"))
    finally:
        for handle in handles:
            handle.detach()
    return calls


def total_parameters(net: mx.gluon.HybridBlock) -> int:
    """Count all parameters of a network, running statistics of batch normalisation included.

    Raises:
        ValueError: a shape is not known before the first image; ``describe`` counts without one.
    """
    shapes = {name: parameter.shape or (0,) for name, parameter in net.collect_params().items()}
    unknown = [name for name, shape in shapes.items() if min(shape) < 1]
    if unknown:
        raise ValueError(f"The shape of {unknown[0]} is not known before a first forward pass.")
    return sum(_product(shape) for shape in shapes.values())


def _layers(block: Any, path: str, seen: set[int]) -> list[tuple[str, Any]]:
    """Blocks that are layers, with their paths: those without children, and those with parameters of their own."""
    if id(block) in seen:
        return []
    seen.add(id(block))
    own = bool(block._reg_params)
    found = [(path, block)] if own or not block._children else []
    for name, child in block._children.items():
        # The activation that a Dense or a Conv2D carries is part of that layer's row.
        if not (own and not child._children and not child._reg_params):
            found += _layers(child, f"{path}.{name}" if path else name, seen)
    return found


def _watch(block: Any, path: str, calls: list[tuple[str, Any, Any]]) -> Any:
    def note(_: Any, __: Any, output: Any) -> None:
        calls.append((path, block, output[0] if isinstance(output, list | tuple) else output))

    return block.register_forward_hook(note)


def _kind(block: Any) -> str:
    """The layer's class and its main figures."""
    name = type(block).__name__
    settings = getattr(block, "_kwargs", {})
    parts: list[str] = []
    if "kernel" in settings and not settings.get("global_pool"):
        name += " " + "x".join(str(side) for side in settings["kernel"])
        parts += [str(settings["num_filter"])] if "num_filter" in settings else []
        parts += [
            f"{word} {_sides(settings[key])}"
            for key, word, usual in (("stride", "stride", 1), ("pad", "padding", 0), ("dilate", "dilation", 1))
            if any(side != usual for side in settings.get(key, ()))
        ]
        parts += [f"groups {settings['num_group']}"] if settings.get("num_group", 1) != 1 else []
    units = getattr(block, "units", getattr(block, "_units", None))
    rate = getattr(block, "rate", getattr(block, "_rate", None))
    act = getattr(block, "act", None)
    parts += [str(units)] if isinstance(units, int) else []
    parts += [f"rate {rate:g}"] if isinstance(rate, float) else []
    parts += [str(each._act_type) for each in (act, block) if each is not None and hasattr(each, "_act_type")]
    # "Conv2D 5x5, 20" but "Dense 500"
    return name + (", " if " " in name else " ") + ", ".join(parts) if parts else name


def _sides(sides: Shape) -> str:
    return str(sides[0]) if len(set(sides)) == 1 else "x".join(str(side) for side in sides)


def fields_of(nodes: list[dict[str, Any]], shapes: Sequence[Shape] | None = None) -> list[Field | None]:
    """Return the receptive field of every node of a graph; None where it is the whole image or cannot be told.

    With the ``shapes`` of the nodes, (..., H, W), a field is also taken from the largest of the inputs of the same
    size: what weighs a whole channel, as squeeze-and-excitation does, is then left aside.
    """
    fields: list[Field | None] = []
    for number, node in enumerate(nodes):
        sources = [source[0] for source in node["inputs"] if not _is_parameter(nodes[source[0]])]
        if node["op"] == "null":
            fields.append(Field((1, 1), (1, 1), (0.0, 0.0)))
            continue
        field = _RULES.get(node["op"], _unknown)(node.get("attrs", {}), [fields[source] for source in sources])
        if field is None and shapes is not None and len(shapes[number]) >= 3:
            alike = [fields[source] for source in sources if shapes[source][-2:] == shapes[number][-2:]]
            field = max((each for each in alike if each is not None), default=None)
        fields.append(field)
    return fields


def _is_parameter(node: dict[str, Any]) -> bool:
    return bool(node["op"] == "null" and node["name"] != "data")


def _window(attrs: dict[str, str], inputs: list[Field | None]) -> Field | None:
    """Convolution and pooling: the field grows by (kernel - 1) steps of the distance between neighbours."""
    kernel = _pair(attrs.get("kernel", "()"), 1)
    if inputs[0] is None or kernel is None or attrs.get("global_pool") in ("True", "1"):
        return None
    stride = _pair(attrs.get("stride", "()"), 1)
    dilation = _pair(attrs.get("dilate", "()"), 1)
    padding = _pair(attrs.get("pad", "()"), 0)
    if stride is None or dilation is None or padding is None:
        return None
    (height, width), (down, across), (top, left) = inputs[0]
    reach = ((kernel[0] - 1) * dilation[0], (kernel[1] - 1) * dilation[1])
    return Field(
        (height + reach[0] * down, width + reach[1] * across),
        (down * stride[0], across * stride[1]),
        (top + (reach[0] / 2 - padding[0]) * down, left + (reach[1] / 2 - padding[1]) * across),
    )


def _padded(attrs: dict[str, str], inputs: list[Field | None]) -> Field | None:
    """Padding by a node of its own: the first place moves outwards."""
    field = inputs[0]
    widths = [int(part) for part in attrs.get("pad_width", "").strip("()[] ").split(",") if part.strip()]
    if field is None or len(widths) != 8:
        return None
    (down, across), (top, left) = field.jump, field.first
    return field._replace(first=(top - widths[4] * down, left - widths[6] * across))


def _same(_: dict[str, str], inputs: list[Field | None]) -> Field | None:
    """Elementwise operations and joins: the largest field, where all inputs have one grid."""
    known = [field for field in inputs if field is not None]
    if not known or len(known) < len(inputs) or len({field.jump for field in known}) > 1:
        return None
    sides = [field.side for field in known]
    return Field((max(side[0] for side in sides), max(side[1] for side in sides)), known[0].jump, known[0].first)


def _unknown(_: dict[str, str], __: list[Field | None]) -> None:
    return None


_RULES: dict[str, Callable[[dict[str, str], list[Field | None]], Field | None]] = {
    **dict.fromkeys(("Convolution", "Pooling"), _window),
    **dict.fromkeys(("Activation", "LeakyReLU", "relu", "sigmoid", "tanh", "clip"), _same),
    **dict.fromkeys(("BatchNorm", "Dropout", "LRN", "_copy"), _same),
    "Pad": _padded,
    **dict.fromkeys(("elemwise_add", "_plus", "add_n", "broadcast_add", "Concat"), _same),
    **dict.fromkeys(("_plus_scalar", "_mul_scalar", "_div_scalar"), _same),
}


def _pair(text: str, empty: int) -> tuple[int, int] | None:
    """Two sides from MXNet's "(5, 5)"; ``empty`` for "()"; None for one or three dimensions."""
    sides = [int(part.rstrip("L")) for part in text.strip("()[] ").split(",") if part.strip()]
    if not sides:
        return empty, empty
    return (sides[0], sides[1]) if len(sides) == 2 else None


def _product(shape: Shape) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
