"""Centering: empty rows and columns are cut away, and what is left is stretched to one size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.geometry import Border, Map, affine_map, cv2, sample, sample_map
from bioclass.recipe import Center

Array = npt.NDArray[Any]
Boxes = npt.NDArray[np.int64]


def centred(
    images: Array, center: Center, largest: float, places: Map | None = None, border: Border = "edge"
) -> Array:
    """Return images (B, h, w, C) of the same type, centred after they were moved by a map.

    Args:
        images: (B, H, W, C).
        center: the size, and what counts as empty.
        largest: the range of the values.
        places: a map (B, 2, H, W) that moves the images first; the image is still sampled once.
        border: what is seen outside the image.
    """
    seen = images if places is None else sample(images, places, border)
    found = boxes(seen, center.tolerance * largest)
    fine = fineness((images.shape[1], images.shape[2]), center.size)
    size = center.size[0] * fine, center.size[1] * fine
    top, left, height, width = found.T.astype(np.float64)
    coefficients = np.zeros((len(images), 2, 3))
    # The centres of the new pixels spread evenly over the box.
    for axis, (start, length, count) in enumerate(((left, width, size[1]), (top, height, size[0]))):
        coefficients[:, axis, axis] = length / count
        coefficients[:, axis, 2] = start - 0.5 + length / count / 2
    map_ = affine_map(coefficients, size)
    if places is not None:
        map_ = sample_map(places, map_)
    out = sample(images, map_, border)
    return out if fine == 1 else _averaged(out, center.size, fine)


def boxes(images: Array, tolerance: float) -> Boxes:
    """Return the box of what is not empty in each image, (B, 4): top, left, height, width in pixels."""
    _, height, width, channels = images.shape
    edges = [images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]]
    empty = _median(np.concatenate(edges, axis=1))[:, None, None, :]
    exact = tolerance == 0 and images.dtype.kind in "ui"
    if exact:
        full = images != empty.astype(images.dtype)
    else:
        full = np.abs(images.astype(np.float32) - empty.astype(np.float32)) > tolerance
    full = full.any(axis=3) if channels > 1 else full[..., 0]
    bounds = cv2().boundingRect
    found = np.array([bounds(image) for image in full.view(np.uint8)], np.int64).reshape(-1, 4)
    found[found[:, 2] == 0] = 0, 0, width, height
    return found[:, (1, 0, 3, 2)]


def _median(values: Array) -> Array:
    """The median of an even number of values, (B, N, C) to (B, C); numpy's takes twice as long."""
    half = values.shape[1] // 2
    ordered = np.partition(values, (half - 1, half), axis=1)
    out: Array = ordered[:, half - 1 : half + 1].mean(axis=1)
    return out


def fineness(old: tuple[int, int], new: tuple[int, int]) -> int:
    """How many samples along each axis make a new pixel: as many as it can cover old ones, so that none is skipped.

    It follows from the sizes alone, so that an image does not depend on the others of its batch.
    """
    return max(1, round(max(old[0] / new[0], old[1] / new[1])))


def _averaged(images: Array, size: tuple[int, int], fine: int) -> Array:
    batch, _, _, channels = images.shape
    mean: Array = images.reshape(batch, size[0], fine, size[1], fine, channels).mean(axis=(2, 4), dtype=np.float64)
    return (mean if images.dtype.kind == "f" else np.rint(mean)).astype(images.dtype)
