"""An image in another size, in its own type."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bioclass.geometry import cv2

Array = npt.NDArray[Any]
Size = tuple[int, int]

STRIP = 4_000_000
"""Values of an image that are in float64 at a time."""

MOST_TURNED = 4
"""Channels of an image that OpenCV turns."""

_BITS = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}

TRUNCATE = 4.0
"""Standard deviations at which the Gaussian ends."""


def resized(image: Array, size: Size, mode: Literal["stretch", "pad"]) -> Array:
    """Return the image (H, W, C) in another size, in its type."""
    height, width = image.shape[:2]
    if (height, width) == size or mode == "stretch":
        return _scaled(image, size)
    scale = min(size[0] / height, size[1] / width)
    inner = (min(size[0], max(1, round(height * scale))), min(size[1], max(1, round(width * scale))))
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    out = np.empty((*size, image.shape[2]), image.dtype)
    out[...] = _typed(np.median(border.astype(np.float64), axis=0), image.dtype)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    out[top : top + inner[0], left : left + inner[1]] = _scaled(image, inner)
    return out


def by(size: Sequence[int]) -> str:
    """Return a size as messages show it."""
    return f"{size[0]} x {size[1]}"


def _scaled(image: Array, size: Size) -> Array:
    """Bilinear, with a Gaussian against aliasing along the axes that shrink: ``skimage.transform.resize``."""
    height, width, channels = image.shape
    if (height, width) == size:
        return image
    rows, columns = _weights(height, size[0]), _weights(width, size[1])
    flat = image.reshape(height, width * channels)
    scaled = np.empty((size[0], width * channels))
    # In strips, so that no large image is there in float64 as a whole.
    step = max(1, STRIP // height)
    for start in range(0, width * channels, step):
        strip = slice(start, start + step)
        scaled[:, strip] = rows @ flat[:, strip].astype(np.float64)
    made = columns @ _turned(scaled.reshape(size[0], width, channels)).reshape(width, -1)
    if image.dtype.itemsize <= 2:
        # What is a half is one then, whatever the last digits of its sum are.
        made = made.astype(np.float32)
    return _turned(_typed(made, image.dtype).reshape(size[1], size[0], channels))


def _turned(image: Array) -> Array:
    """Return (H, W, C) as (W, H, C), a copy: by OpenCV, which takes a seventh of numpy's time, where it can."""
    height, width, channels = image.shape
    if channels > MOST_TURNED:
        return np.ascontiguousarray(image.transpose(1, 0, 2))
    # The bits alone are moved, whatever they mean.
    moved = cv2().transpose(image.view(_BITS[image.dtype.itemsize]))
    turned: Array = moved.view(image.dtype).reshape(width, height, channels)
    return turned


@lru_cache(maxsize=256)
def _weights(old: int, new: int) -> Any:
    """The weights of an axis's old pixels in the new ones, a sparse matrix (new, old) whose rows sum to one."""
    sparse: Any = importlib.import_module("scipy.sparse")
    factor, last = old / new, old - 1
    place = np.abs((np.arange(new) + 0.5) * factor - 0.5)
    place = np.clip(np.minimum(place, 2 * last - place), 0, last)
    below = np.floor(place)
    share = (place - below)[:, None]
    deviation = max(0.0, (factor - 1) / 2)
    radius = int(TRUNCATE * deviation + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(deviation, 1e-3)) ** 2)
    kernel /= kernel.sum()
    weights = (1 - share) * np.append(kernel, 0) + share * np.append(0, kernel)
    # What is outside is mirrored about the outer pixels, as often as it takes.
    pixels = below.astype(np.int64)[:, None] + np.arange(-radius, radius + 2)
    pixels = np.abs(pixels) % max(1, 2 * last)
    pixels = np.minimum(pixels, 2 * last - pixels)
    lines = np.broadcast_to(np.arange(new)[:, None], pixels.shape)
    return sparse.csr_array((weights.ravel(), (lines.ravel(), pixels.ravel())), shape=(new, old))


def _typed(values: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.rint(values).clip(limits.min, limits.max).astype(dtype)
