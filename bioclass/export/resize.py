"""The resizing of ``bioclass.preprocess`` as nodes of an ONNX graph, for images of any size.

Along each axis it is linear: a Gaussian against aliasing, then linear interpolation, both mirrored about the outer
pixels. So a resized image is ``A X B^T``; the graph computes the two matrices from the size of the image.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from bioclass.export.nodes import Nodes

LEAST = 3
"""Pixels along each side of the new size: for fewer the Gaussian is mirrored more than once."""

_TRUNCATE = 4.0
"""Standard deviations at which scipy's Gaussian ends."""

_FAR = np.iinfo(np.int64).max
_ENDS = ((0, 1), (-1, _FAR))


class _Side(NamedTuple):
    """One axis of the image: ``old`` and ``inner``, names of float64 scalars, and the fixed new size.

    ``inner`` are the pixels that the image covers, from ``start`` on.
    """

    old: str
    inner: str
    start: str
    new: int


def resize_nodes(
    add: Nodes, images: str, size: tuple[int, int], mode: Literal["stretch", "pad"], dtype: np.dtype[Any]
) -> str:
    """Add the resizing of images (N, C, H, W) to (N, C, h, w), both float64 with the values of ``dtype``."""
    shape = add.cast(add("Shape", images), "float64")
    old = [add("Gather", shape, np.array(axis, np.int64)) for axis in (2, 3)]
    sides = [
        _Side(side, *_covered(add, side, old, size, new, mode), new) for side, new in zip(old, size, strict=True)
    ]
    rows, columns = _matrix(add, sides[0], along=1), _matrix(add, sides[1], along=0)
    scaled = add("MatMul", add("MatMul", rows, images), columns)
    out = rounded(add, scaled, dtype)
    if mode == "stretch":
        return out
    seen = add("And", *(add("Greater", _sum(add, matrix, axis), 0.0) for axis, matrix in ((1, rows), (0, columns))))
    return add("Where", seen, out, rounded(add, border_median(add, images), dtype))


def _covered(add: Nodes, side: str, old: list[str], size: tuple[int, int], new: int, mode: str) -> tuple[str, str]:
    """How many new pixels the image covers along a side, and the first of them."""
    whole = add("Identity", float(new))
    if mode == "stretch":
        return whole, add("Identity", 0.0)
    scale = add("Min", *(add("Div", float(pixels), was) for pixels, was in zip(size, old, strict=True)))
    inner = add("Min", add("Max", add("Round", add("Mul", side, scale)), 1.0), whole)
    return inner, add("Floor", add("Div", add("Sub", whole, inner), 2.0))


def _matrix(add: Nodes, side: _Side, along: int) -> str:
    """The weights of the old pixels, which lie along one axis of the matrix, in each new one; where none, zeros.

    Either matrix is made as it is needed: ONNX Runtime up to 1.22 fails on a product with a transposed one.
    """
    last = add("Sub", side.old, 1.0)
    factor = add("Div", side.old, side.inner)
    index = add("Sub", np.expand_dims(np.arange(float(side.new)), along), side.start)
    place = add("Abs", add("Sub", add("Mul", add("Add", index, 0.5), factor), 0.5))
    beyond = add("Sub", add("Mul", last, 2.0), place)
    place = add("Max", add("Min", place, beyond), 0.0)
    below = add("Floor", place)
    share = add("Sub", place, below)
    pixels = add("Unsqueeze", add("Range", 0.0, side.old, 1.0), np.array([1 - along]))
    mirrored = add("Sub", add("Mul", last, 2.0), pixels)
    sigma = add("Max", add("Div", add("Sub", factor, 1.0), 2.0), 0.0)
    radius = add("Floor", add("Add", add("Mul", sigma, _TRUNCATE), 0.5))
    taps = [(below, add("Sub", 1.0, share)), (add("Add", below, 1.0), share)]

    def weights(spots: str) -> str:
        parts = [
            add("Mul", _gaussian(add, add("Abs", add("Sub", spots, tap)), sigma, radius), weight)
            for tap, weight in taps
        ]
        return add("Add", *parts)

    # Every old pixel is met where it lies and once mirrored about either end, but for the two that are the ends.
    first = add("Where", add("Equal", pixels, 0.0), 0.0, weights(add("Neg", pixels)))
    second = add("Where", add("Equal", pixels, last), 0.0, weights(mirrored))
    total = add("Add", add("Add", weights(pixels), first), second)
    total = add("Div", total, _sum(add, total, along))
    covered = add("And", add("GreaterOrEqual", index, 0.0), add("Less", index, side.inner))
    return add("Where", covered, total, 0.0)


def _sum(add: Nodes, values: str, axis: int) -> str:
    return add("ReduceSum", values, np.array([axis]), keepdims=1)


def _gaussian(add: Nodes, distance: str, sigma: str, radius: str) -> str:
    # Without blur the radius is 0, where any width gives 1.
    scaled = add("Div", distance, add("Max", sigma, 1e-3))
    height = add("Exp", add("Mul", add("Mul", scaled, scaled), -0.5))
    return add("Where", add("LessOrEqual", distance, radius), height, 0.0)


def border_median(add: Nodes, images: str) -> str:
    """The median (N, C, 1, 1) of the outer pixels; their number is even."""
    rows = [_slice(add, images, 2, *part) for part in _ENDS]
    inner = _slice(add, images, 2, 1, -1)
    columns = [_slice(add, inner, 3, *part) for part in _ENDS]
    line = add("Concat", _slice(add, add("Shape", images), 0, 0, 2), np.array([-1]), axis=0)
    every = add("Concat", *(add("Reshape", each, line) for each in (*rows, *columns)), axis=2)
    half = add("Div", _slice(add, add("Shape", every), 0, 2, 3), np.array([2]))
    lower = add("TopK", every, add("Add", half, np.array([1])), axis=2, largest=0, outputs=2)
    middle = add("ReduceMean", _slice(add, lower, 2, -2, _FAR), axes=[2], keepdims=1)
    return add("Unsqueeze", middle, np.array([3]))


def _slice(add: Nodes, values: str, axis: int, start: int, stop: int) -> str:
    return add("Slice", values, np.array([start]), np.array([stop]), np.array([axis]))


def rounded(add: Nodes, values: str, dtype: np.dtype[Any]) -> str:
    """Values as their type holds them."""
    if dtype.kind == "f":
        return add.cast(add.cast(values, dtype.name), "float64")
    # skimage gives float32 for the short types: what was a half is one, whatever the last digits of the sum are.
    exact = values if dtype.itemsize > 2 else add.cast(add.cast(values, "float32"), "float64")
    return add("Round", exact)
