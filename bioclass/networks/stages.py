"""The stages of a network: what computes at one size of the image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from bioclass.backend import mx
from bioclass.networks.describe import watched
from bioclass.networks.parameters import head, parameters


def stages(net: Any, input_shape: tuple[int, int, int]) -> dict[str, int]:
    """Return the stage of every parameter by name, counted from the head, which is 0, down.

    A new stage begins where the image (C, H, W) has been halved; what has no image any more, or one of a single
    pixel, is a stage too. Running statistics of batch normalisation are in the stage of their layer.
    """
    calls = watched(net, (unit for unit in _units(net) if unit[1].collect_params().keys()))
    outputs = mx.sym.Group([output for _, _, output in calls])
    _, shapes, _ = outputs.infer_shape(data=(1, *input_shape))
    # A network that makes images larger again does so within a stage.
    depths = accumulate((_halvings(shape, input_shape[1]) for shape in shapes), max)
    found: dict[int, float] = {}
    for (_, block, _), depth in zip(calls, depths, strict=True):
        for parameter in block.collect_params().values():
            found.setdefault(id(parameter), depth)
    last, depth = head(net), 0.0
    of: dict[str, float] = {}
    for name, parameter in parameters(net).items():
        if name not in last:
            depth = of[name] = found.get(id(parameter), depth)
    order = sorted(set(of.values()), reverse=True)
    return {**{name: 1 + order.index(depth) for name, depth in of.items()}, **dict.fromkeys(last, 0)}


def _units(block: Any) -> Iterator[tuple[str, Any]]:
    """What a network calls one after another: its children, and in place of a plain sequence that one's."""
    for name, child in block._children.items():
        if type(child) is mx.gluon.nn.HybridSequential:
            yield from _units(child)
        else:
            yield name, child


def _halvings(shape: tuple[int, ...], side: int) -> float:
    """How often a side has been halved, up to rounding."""
    return math.inf if len(shape) < 4 or shape[2] == 1 else math.floor(math.log2(side / shape[2]))
