"""What is seen of stored images: any depth and any number of channels as 8-bit RGB, by one rule for a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.preprocess import Input

Array = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint8]

MIDDLE = (0.1, 99.9)
"""Percentiles of the values between which a range is stretched: a few hot pixels do not darken all others."""

SEEN = 960
"""Pixels along the longer side that are enough for any place in a figure, twice its dots; more are averaged."""

_VALUES = 1_000_000


@dataclass(frozen=True)
class Display:
    """Turns stored images into what is seen; the same for all images of a figure, so that they compare.

    ``low`` is seen as black and ``high`` as white. Gray stays gray and three channels are RGB; of any other number
    the mean is seen, after each channel was brought from its own ``ranges`` to 0 and 1. ``note`` says so in words;
    it is empty where 8-bit gray or RGB is seen as it is stored.
    """

    low: float
    high: float
    ranges: tuple[tuple[float, float], ...] = ()
    note: str = ""

    def __call__(self, image: Array) -> Pixels:
        """Return a stored image (H, W, C) as uint8 RGB (H, W, 3), a large one by a whole factor smaller."""
        image = _smaller(image)
        if image.dtype == np.uint8 and (self.low, self.high) == (0, 255) and not self.ranges:
            return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))
        values = _mean(image, self.ranges)[..., None] if self.ranges else image
        shares = ((values - self.low) / (self.high - self.low)).clip(0, 1)
        seen: Pixels = np.rint(shares * 255).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(seen, (*seen.shape[:2], 3)))


def display_of(images: Sequence[Array], source: Input) -> Display:
    """Return how images like these are shown.

    8-bit gray and RGB are seen as they are stored, from 0 to the largest value of the bit depth. All others are
    stretched between percentiles of the values of these images; the three channels of RGB alike.

    Args:
        images: examples (H, W, C), of any sizes.
        source: what they are.
    """
    channels = source.channels
    if source.dtype == "uint8" and channels in (1, 3):
        return Display(0.0, 2.0 ** (source.bit_depth or 8) - 1)
    values = np.concatenate([_thinned(image.reshape(-1, channels), len(images)) for image in images])
    if channels in (1, 3):
        low, high = _range(values)
        return Display(low, high, note=f"Black is {_number(low)} and below, white {_number(high)} and above.")
    ranges = tuple(_range(values[:, channel]) for channel in range(channels))
    note = f"Shown is the mean of the {channels} channels, each brought to the same range."
    return Display(*_range(_mean(values, ranges)), ranges, note)


def _smaller(image: Array) -> Array:
    """The means of squares of pixels, so many that what is left is enough to be drawn."""
    height, width, channels = image.shape
    side = max(height, width) // SEEN
    if side < 2 or min(height, width) < side:
        return image
    rows, columns = height // side, width // side
    squares = image[: rows * side, : columns * side].reshape(rows, side, columns, side, channels)
    mean: Array = squares.mean(axis=(1, 3), dtype=np.float32)
    return mean


def _range(values: Array) -> tuple[float, float]:
    """The limits between which values are stretched; they differ."""
    low, high = (float(limit) for limit in np.percentile(values.astype(np.float64), MIDDLE))
    return low, high if high > low else low + 1


def _mean(values: Array, ranges: Sequence[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """The mean of the last axis, after each of its channels was brought from its range to 0 and 1."""
    low, high = np.array(ranges).T
    mean: npt.NDArray[np.float64] = ((values - low) / (high - low)).mean(axis=-1)
    return mean


def _thinned(values: Array, images: int) -> Array:
    """About as many of the pixels as is this image's share, evenly spread."""
    return values[:: max(1, len(values) * images * values.shape[1] // _VALUES)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
