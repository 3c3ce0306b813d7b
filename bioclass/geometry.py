"""Images sampled at other places: maps of coordinates, and one bilinear sampling for a whole batch.

A map is an array (B, 2, h, w) float32: for each pixel of the output the x and the y, in pixels of the source, of
the place it is taken from; the centre of the first pixel is (0, 0). Several geometric steps become one map by
composition, so that an image is sampled, and blurred, once. In memory the x of all images come before the y.
"""

from __future__ import annotations

import importlib
from functools import cache, lru_cache
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Map = npt.NDArray[np.float32]
Border = Literal["edge", "reflect"]

LONGEST = 32_766
"""Pixels along one side of what OpenCV samples at a time."""

_ROUNDING = np.float32(1.5 * 2**18)
"""At this size a float32 tells 1/32 apart, as OpenCV does between two pixels: adding it rounds to that."""

_SAMPLED = tuple(map(np.dtype, ("uint8", "uint16", "int16", "float32", "float64")))


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


def empty_map(batch: int, size: tuple[int, int]) -> Map:
    """Return a map (B, 2, h, w) without values."""
    return np.empty((2, batch, *size), np.float32).transpose(1, 0, 2, 3)


def affine_map(coefficients: npt.NDArray[np.float64], size: tuple[int, int]) -> Map:
    """Return the map (B, 2, h, w) of coefficients (B, 2, 3): source (x, y) from output (x, y, 1), in pixels."""
    out = empty_map(len(coefficients), size)
    # One product an image: the digits then do not depend on the size of the batch.
    np.matmul(coefficients.astype(np.float32), grid(*size), out=_flat(out))
    return out


def moved(map_: Map, coefficients: npt.NDArray[np.float64]) -> Map:
    """Return a map whose places are themselves moved by affine coefficients (B, 2, 3)."""
    out = empty_map(len(map_), (map_.shape[2], map_.shape[3]))
    np.matmul(coefficients[:, :, :2].astype(np.float32), _flat(map_), out=_flat(out))
    out += coefficients[:, :, 2:, None].astype(np.float32)
    return out


def _flat(map_: Map) -> Map:
    """A map as (B, 2, h * w), the same memory."""
    return map_.transpose(1, 0, 2, 3).reshape(2, len(map_), -1).transpose(1, 0, 2)


def fold(plane: Map, last: int, border: Border) -> Map:
    """Return coordinates (rows, columns) brought into [0, last]: to its ends, or mirrored about them."""
    if border == "reflect" and last > 0:
        out = np.abs(plane)
        np.mod(out, 2 * last, out=out)
        return np.minimum(out, 2 * last - out, out=out)
    return clipped(plane, last)


def clipped(values: Array, largest: float) -> Array:
    """Return floats (rows, columns) limited to [0, largest]; numpy's clip takes three times as long."""
    _, low = cv2().threshold(values, largest, 0, cv2().THRESH_TRUNC)
    _, out = cv2().threshold(low, 0, 0, cv2().THRESH_TOZERO, dst=low)
    return cast(Array, out)


def sample(images: Array, map_: Map, border: Border = "edge") -> Array:
    """Return images (B, h, w, C) of the same type, taken bilinearly from images (B, H, W, C) at a map's places.

    Places are resolved to 1/32 pixel.
    """
    if images.dtype not in _SAMPLED:
        return _retyped(images, map_, border)
    batch, height, width, channels = images.shape
    size = map_.shape[2:]
    out = np.empty((batch, *size, channels), images.dtype)
    remap, linear, replicate = cv2().remap, cv2().INTER_LINEAR, cv2().BORDER_REPLICATE
    # Images one above the other are one image, so that OpenCV takes a call for many.
    step = max(1, LONGEST // max(height, size[0]))
    offsets = (np.arange(min(step, batch), dtype=np.float32) * height)[:, None, None]
    for start in range(0, batch, step):
        part = slice(start, min(start + step, batch))
        count = part.stop - start
        tall = count * size[0], size[1]
        x = fold(map_[part, 0].reshape(tall), width - 1, border)
        y = fold(map_[part, 1].reshape(tall), height - 1, border)
        # To the resolution of the sampling first, else its rounding depends on where in the batch an image is.
        y = (y + _ROUNDING).reshape(count, *size)
        y -= _ROUNDING - offsets[:count]
        source, target = images[part].reshape(count * height, width, channels), out[part].reshape(*tall, channels)
        remap(source, x, y.reshape(tall), linear, dst=target, borderMode=replicate)
    return out


def sample_map(planes: Map, map_: Map, border: Border = "edge") -> Map:
    """Return what a map (B, 2, H, W), or a field of displacements, holds at the places of another, (B, 2, h, w)."""
    batch, _, height, width = planes.shape
    # Both planes at once, as the channels of one image.
    pairs = cv2().merge([planes[:, axis].reshape(batch * height, width) for axis in (0, 1)])
    found = sample(pairs.reshape(batch, height, width, 2), map_, border)
    size = map_.shape[2], map_.shape[3]
    out = empty_map(batch, size)
    cv2().split(found.reshape(-1, size[1], 2), [out[:, axis].reshape(-1, size[1]) for axis in (0, 1)])
    return out


def _retyped(images: Array, map_: Map, border: Border) -> Array:
    """The types that OpenCV does not sample, by way of floats that hold their values."""
    work = np.float32 if images.dtype.itemsize <= 2 else np.float64
    values = sample(images.astype(work), map_, border)
    if images.dtype.kind == "f":
        return values.astype(images.dtype)
    return np.rint(values).astype(images.dtype)
