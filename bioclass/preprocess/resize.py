"""An image in another size, in its own type."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Size = tuple[int, int]


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
    """Bilinear, with a Gaussian against aliasing along the axes that shrink."""
    if image.shape[:2] == size:
        return image
    resize: Any = importlib.import_module("skimage.transform").resize

    # float32 is exact for 16 bits and takes half the time.
    work = np.float32 if image.dtype.itemsize <= 2 or image.dtype == np.float32 else np.float64
    shrinks = size[0] < image.shape[0] or size[1] < image.shape[1]
    scaled = resize(image.astype(work), size, order=1, anti_aliasing=shrinks, preserve_range=True)
    return _typed(scaled, image.dtype)


def _typed(values: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.rint(values).clip(limits.min, limits.max).astype(dtype)
