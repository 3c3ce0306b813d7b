"""Maps of how much each place of an image counts: from a layer to pixels, between frames, and over images."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.networks.describe import Field
from bioclass.preprocess import Plan
from bioclass.preprocess.center import boxes

Array = npt.NDArray[Any]
Heat = npt.NDArray[np.float32]
"""(H, W), from 0, which is nothing, to 1."""
Pixels = npt.NDArray[np.uint8]

COLOURS = "viridis"
"""Perceptually uniform, and told apart without colour vision."""
OPACITY = 0.7
"""Of the colour where the heat is 1."""
PATCH = 1 / 5
"""Side of what is covered in an occlusion map, as a share of the image's."""


def spread(values: Array, field: Field | None, size: tuple[int, int]) -> Heat:
    """Return values (h, w) of a layer's places at every pixel of its network's input, by bilinear interpolation.

    Each value is put where the centre of its receptive field is; beyond the outermost centres it falls to nothing
    over half a receptive field. Without a field the places are taken to be evenly spread.

    Args:
        values: (h, w).
        field: of the layer.
        size: of the input, (H, W) in pixels.
    """
    rows, columns = (_between(values.shape[axis], size[axis], field, axis) for axis in (0, 1))
    heat: Heat = (rows @ values.astype(np.float64) @ columns.T).astype(np.float32)
    return heat


def _between(count: int, side: int, field: Field | None, axis: int) -> npt.NDArray[np.float64]:
    """The weights (side, count) of linear interpolation from a few places to all pixels of a side."""
    if field is None:
        where = (np.arange(count) + 0.5) * side / count - 0.5
        reach = np.inf
    else:
        where = field.first[axis] + field.jump[axis] * np.arange(count)
        reach = field.side[axis] / 2
    pixels = np.arange(side)
    columns = np.stack([np.interp(pixels, where, unit) for unit in np.eye(count)], axis=1)
    beyond = np.maximum(where[0] - pixels, 0) + np.maximum(pixels - where[-1], 0)
    faded: npt.NDArray[np.float64] = columns * np.maximum(1 - beyond / reach, 0)[:, None]
    return faded


def scaled(values: Array, least: float = 0.0) -> Heat:
    """Return values, those below 0 cut off, divided by the largest of them, or by ``least`` if that is more."""
    positive = np.maximum(values, 0)
    most = max(float(positive.max()), least)
    heat: Heat = (positive / most if most > 0 else positive).astype(np.float32)
    return heat


def patches(size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield the places that are covered in turn, rows and columns, of an input (H, W).

    Each is about a fifth of the input along each axis, and neighbours overlap by half.
    """
    along = []
    for side in size:
        patch = max(1, round(side * PATCH))
        steps = max(1, round((side - patch) / max(1, patch / 2)))
        along.append([slice(start, start + patch) for start in _starts(side - patch, steps)])
    for rows in along[0]:
        for columns in along[1]:
            yield rows, columns


def _starts(last: int, steps: int) -> list[int]:
    return sorted({round(last * step / steps) for step in range(steps + 1)})


def to_stored(heat: Heat, plan: Plan, image: Array) -> Heat:
    """Return the heat of what a network sees in the frame of the stored image (H, W, C) that it was made of.

    What centering cut away gets none.
    """
    if plan.center is None:
        return heat
    ((top, left, height, width),) = boxes(image[None], plan.center.tolerance * plan.largest).tolist()
    out: Heat = np.zeros(image.shape[:2], np.float32)
    out[top : top + height, left : left + width] = spread(heat, None, (height, width))
    return out


def to_file(heat: Heat, plan: Plan, size: tuple[int, int]) -> Heat:
    """Return the heat of a stored image in the frame of the file of (H, W) pixels that it was resized from."""
    if plan.resize is None or heat.shape == size:
        return heat
    if plan.resize == "pad":
        scale = min(heat.shape[0] / size[0], heat.shape[1] / size[1])
        high, wide = (min(heat.shape[axis], max(1, round(size[axis] * scale))) for axis in (0, 1))
        top, left = (heat.shape[0] - high) // 2, (heat.shape[1] - wide) // 2
        heat = heat[top : top + high, left : left + wide]
    return spread(heat, None, size)


def overlay(rgb: Pixels, heat: Heat) -> Pixels:
    """Return an image (H, W, 3) in gray with its heat (H, W) in colour over it, the hotter the more opaque."""
    colours: Any = importlib.import_module("matplotlib").colormaps[COLOURS]
    gray = rgb.astype(np.float64) @ (0.299, 0.587, 0.114)
    share = OPACITY * np.clip(heat, 0, 1)[..., None]
    mixed = (1 - share) * gray[..., None] + share * 255 * colours(np.clip(heat, 0, 1))[..., :3]
    out: Pixels = np.rint(mixed).astype(np.uint8)
    return out
