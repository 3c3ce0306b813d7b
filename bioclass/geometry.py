"""Images sampled at other places: maps of coordinates, and one bilinear sampling for a whole batch.

A map is an array (B, 2, h, w) float32: for each pixel of the output the x and the y, in pixels of the source, of
the place it is taken from; the centre of the first pixel is (0, 0). Several geometric steps become one map by
composition, so that an image is sampled, and blurred, once.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Map = npt.NDArray[np.float32]
Border = Literal["edge", "reflect"]

LONGEST = 32_766
"""Pixels along one side of what OpenCV samples at a time."""

_STEPS = np.float32(32)
"""Places between two pixels that OpenCV tells apart."""

_SAMPLED = ("uint8", "uint16", "int16", "float32", "float64")


@cache
def cv2() -> Any:
    """Return OpenCV, set to one thread: the images are shared out among processes and threads here."""
    module = importlib.import_module("cv2")
    module.setNumThreads(1)
    return module


@lru_cache(maxsize=8)
def grid(height: int, width: int) -> Map:
    """Return x, y and 1 for every pixel, (3, height * width)."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    out: Map = np.stack([x.ravel(), y.ravel(), np.ones(height * width, np.float32)])
    out.flags.writeable = False
    return out


def affine_map(coefficients: npt.NDArray[np.float64], size: tuple[int, int]) -> Map:
    """Return the map (B, 2, h, w) of coefficients (B, 2, 3): source (x, y) from output (x, y, 1), in pixels."""
    # One product an image: the digits then do not depend on the size of the batch.
    out: Map = np.matmul(coefficients.astype(np.float32), grid(*size)).reshape(-1, 2, *size)
    return out


def moved(map_: Map, coefficients: npt.NDArray[np.float64]) -> Map:
    """Return a map whose places are themselves moved by affine coefficients (B, 2, 3)."""
    batch, _, height, width = map_.shape
    turned: Map = np.matmul(coefficients[:, :, :2].astype(np.float32), map_.reshape(batch, 2, -1))
    turned += coefficients[:, :, 2:].astype(np.float32)
    return turned.reshape(batch, 2, height, width)


def fold(map_: Map, height: int, width: int, border: Border) -> None:
    """Bring the places of a map into an image, in place: to its edge, or mirrored about its outermost pixels."""
    for plane, last in ((map_[:, 0], width - 1), (map_[:, 1], height - 1)):
        if border == "reflect" and last > 0:
            np.abs(plane, out=plane)
            np.mod(plane, 2 * last, out=plane)
            np.minimum(plane, 2 * last - plane, out=plane)
        else:
            np.clip(plane, 0, last, out=plane)


def sample(images: Array, map_: Map, border: Border = "edge") -> Array:
    """Return images (B, h, w, C) of the same type, taken bilinearly from images (B, H, W, C) at a map's places.

    Places are resolved to 1/32 pixel. The map is overwritten.
    """
    if images.dtype.name not in _SAMPLED:
        return _retyped(images, map_, border)
    fold(map_, images.shape[1], images.shape[2], border)
    out = np.empty((len(images), *map_.shape[2:], images.shape[3]), images.dtype)
    _remap([images], map_, [out])
    return out


def sample_map(planes: Map, map_: Map, border: Border = "edge") -> Map:
    """Return what a map (B, 2, H, W), or a field of displacements, holds at the places of another, (B, 2, h, w).

    The second is brought inside the first, and otherwise stays as it is.
    """
    fold(map_, planes.shape[2], planes.shape[3], border)
    out = np.empty_like(map_)
    _remap([planes[:, axis, :, :, None] for axis in (0, 1)], map_, [out[:, axis, :, :, None] for axis in (0, 1)])
    return out


def _remap(sources: Sequence[Array], map_: Map, targets: Sequence[Array]) -> None:
    """Sample several arrays (B, H, W, C) at the same places.

    Images one above the other are one image, so that OpenCV takes a call for many.
    """
    batch, height, width, channels = sources[0].shape
    size = map_.shape[2:]
    remap, linear, replicate = cv2().remap, cv2().INTER_LINEAR, cv2().BORDER_REPLICATE
    step = max(1, LONGEST // max(height, size[0]))
    offsets = (np.arange(min(step, batch), dtype=np.float32) * height)[:, None, None]
    for start in range(0, batch, step):
        part = slice(start, min(start + step, batch))
        count = part.stop - start
        shape = (count * size[0], size[1])
        x = map_[part, 0].reshape(shape)
        # To the resolution of the sampling first, else its rounding depends on where in the batch an image is.
        y = map_[part, 1] * _STEPS
        np.rint(y, out=y)
        y *= 1 / _STEPS
        y += offsets[:count]
        y = y.reshape(shape)
        for source, target in zip(sources, targets, strict=True):
            tall = source[part].reshape(count * height, width, channels)
            if target[part].flags.c_contiguous:
                remap(tall, x, y, linear, dst=target[part].reshape(*shape, channels), borderMode=replicate)
            else:
                target[part] = remap(tall, x, y, linear, borderMode=replicate).reshape(target[part].shape)


def _retyped(images: Array, map_: Map, border: Border) -> Array:
    """The types that OpenCV does not sample, by way of floats that hold their values."""
    work = np.float32 if images.dtype.itemsize <= 2 else np.float64
    values = sample(images.astype(work), map_, border)
    if images.dtype.kind == "f":
        return values.astype(images.dtype)
    return np.rint(values).astype(images.dtype)
