"""A drawing as the digits of MNIST are: in the middle, and of their size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import ImageError
from bioclass.preprocess import Plan, resized

Array = npt.NDArray[Any]

FRAME, BOX = 28, 20
"""Pixels along a side of an image, and of the box that the digit fits into."""
_INK = 26
"""A tenth of white: less is the soft edge of a line."""


def drawable(plan: Plan) -> bool:
    """Return whether a model is for images like those of MNIST, 28 x 28 in 8-bit gray."""
    return plan.size == (FRAME, FRAME) and plan.channels == 1 and plan.input.dtype == "uint8"


def as_mnist(drawing: Array, path: Path) -> Array:
    """Return a drawing, white on black, as an image (28, 28, 1).

    As LeCun, Cortes and Burges made MNIST: scaled, its sides in proportion, to fit into 20 x 20 pixels, and put so
    that its centre of mass is in the middle.

    Args:
        drawing: (H, W, C) of uint8, gray or RGB.
        path: names it in errors.

    Raises:
        ImageError: it is of another type, or empty.
    """
    if drawing.dtype != np.uint8:
        raise ImageError(f"{path} holds {drawing.dtype.name} values: a drawing is an 8-bit image, white on black.")
    gray = np.rint(drawing[..., :3].mean(axis=2)).astype(np.uint8) if drawing.shape[2] > 2 else drawing[..., 0]
    rows, columns = (np.flatnonzero((gray >= _INK).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise ImageError(f"{path} is empty: draw a digit, white on black.")
    digit = gray[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, None]
    scale = BOX / max(digit.shape[:2])
    height, width = (max(1, round(side * scale)) for side in digit.shape[:2])
    digit = resized(digit, (height, width), "stretch")
    image = np.zeros((FRAME, FRAME, 1), np.uint8)
    top, left = (_start(digit.sum(axis=(1 - axis, 2), dtype=np.float64)) for axis in (0, 1))
    image[top : top + height, left : left + width] = digit
    return image


def _start(mass: npt.NDArray[np.float64]) -> int:
    """Where values along an axis begin for their centre of mass to be pixel 14, from 0, as in MNIST's files."""
    centre = float((mass * np.arange(len(mass))).sum() / mass.sum())
    return int(np.clip(round(FRAME / 2 - centre), 0, FRAME - len(mass)))
