"""The centering of ``bioclass.preprocess`` as nodes of an ONNX graph.

What is not empty is found in each image by reductions. The sampling is linear along each axis, so that a centred
image is ``A X B^T``; the graph computes the two matrices from the box of the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bioclass.export.nodes import Nodes
from bioclass.export.resize import border_median, rounded
from bioclass.preprocess import fineness
from bioclass.recipe import Center

_RESOLUTION = np.array(32, np.float32)
"""Places between two pixels that OpenCV tells apart."""


def center_nodes(
    add: Nodes, images: str, size: tuple[int, int], center: Center, largest: float, dtype: np.dtype[Any]
) -> str:
    """Add the centering of images (N, C, H, W) to (N, C, h, w), both float64 with the values of ``dtype``.

    Args:
        add: where the nodes go.
        images: their name.
        size: (H, W) in pixels.
        center: (h, w), and what counts as empty.
        largest: the range of the values.
        dtype: of the stored images.
    """
    full = _full(add, images, center.tolerance * largest, dtype)
    fine = fineness(size, center.size)
    rows, columns = (
        _matrix(add, full, axis, old, new * fine) for axis, old, new in zip((2, 3), size, center.size, strict=True)
    )
    # float32 holds each sum of bytes exactly, and is twice as fast.
    work = "float32" if dtype.itemsize == 1 else "float64"
    values = add("MatMul", add("MatMul", add.cast(rows, work), add.cast(images, work)), add.cast(columns, work))
    out = _sampled(add, add.cast(values, "float64"), dtype)
    return out if fine == 1 else _averaged(add, out, center.size, fine, dtype)


def _full(add: Nodes, images: str, tolerance: float, dtype: np.dtype[Any]) -> str:
    """Which pixels are not empty in any channel: 1 or 0, float32 (N, 1, H, W)."""
    empty = border_median(add, images)
    if tolerance == 0 and dtype.kind in "ui":
        # A half between two gray levels falls to the nearer to 0, as conversions of numpy and ONNX do.
        found = add("Not", add("Equal", images, add.cast(add.cast(empty, dtype.name), "float64")))
    else:
        if dtype.kind == "f":
            empty = rounded(add, empty, dtype)
        away = add("Abs", add("Sub", add.cast(images, "float32"), add.cast(empty, "float32")))
        found = add("Greater", away, np.array(tolerance, np.float32))
    return add("ReduceMax", add.cast(found, "float32"), axes=[1], keepdims=1)


def _matrix(add: Nodes, full: str, axis: int, old: int, new: int) -> str:
    """The weights of the old pixels along an axis in each new one: float32 (N, 1, new, H), or (N, 1, W, new)."""
    line = add("ReduceMax", full, axes=[5 - axis], keepdims=1)
    # Where all are alike these are the first and the last of all: an empty image is taken whole.
    first, last = (
        add.cast(add("ArgMax", line, axis=axis, keepdims=1, select_last_index=number), "float64")
        for number in (0, 1)
    )
    step = add("Div", add("Add", add("Sub", last, first), 1.0), float(new))
    start = add("Add", add("Sub", first, 0.5), add("Div", step, 2.0))
    # From here on in the types, the order and the resolution of ``geometry``, which may differ at a half.
    index, pixels = np.arange(new, dtype=np.float32), np.arange(old, dtype=np.float32)
    index, pixels = (index[:, None], pixels) if axis == 2 else (index, pixels[:, None])
    place = add("Add", add("Mul", add.cast(step, "float32"), index), add.cast(start, "float32"))
    place = add("Clip", place, np.array(0, np.float32), np.array(old - 1, np.float32))
    place = add("Div", add("Round", add("Mul", place, _RESOLUTION)), _RESOLUTION)
    near = add("Sub", np.array(1, np.float32), add("Abs", add("Sub", place, pixels)))
    return add("Relu", near)


def _sampled(add: Nodes, values: str, dtype: np.dtype[Any]) -> str:
    """Values as OpenCV gives them in their type: a half between two bytes is the larger."""
    return add("Floor", add("Add", values, 0.5)) if dtype == np.uint8 else rounded(add, values, dtype)


def _averaged(add: Nodes, values: str, size: tuple[int, int], fine: int, dtype: np.dtype[Any]) -> str:
    parts = add("Reshape", values, np.array([0, 0, size[0], fine, size[1], fine]))
    # A sum and a quotient: a mean may be a product, whose halves are not sure.
    mean = add("Div", add("ReduceSum", parts, np.array([3, 5]), keepdims=0), float(fine * fine))
    return rounded(add, mean, dtype) if dtype.kind == "f" else add("Round", mean)
