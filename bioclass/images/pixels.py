"""What all readers share: the limit of size, the turning of pixels, what is said of files that are no one image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import ImageError

Array = npt.NDArray[Any]

LIMIT_MEGAPIXELS = 200

_limit: ContextVar[int | None] = ContextVar("limit", default=None)


@contextmanager
def at_most(megapixels: int) -> Iterator[None]:
    """Refuse images above a limit of one's own, within, in this thread: for images that strangers choose."""
    token = _limit.set(megapixels)
    try:
        yield
    finally:
        _limit.reset(token)


def check_size(path: Path, height: int, width: int, channels: int = 1) -> None:
    """Refuse an image before it is decoded.

    Raises:
        ImageError: no pixels, or more than the limit.
    """
    if height * width * channels == 0:
        raise ImageError(f"{path} holds no pixels (height {height}, width {width}): leave it out.")
    if is_large(height, width, channels):
        raise ImageError(
            f"{path} is too large ({width} x {height} pixels, {channels} channel(s); the limit is "
            f"{_megapixels()} megapixels): cut it into tiles or scale it down first; a TIFF is read by parts "
            "with `bioclass predict --tiles`."
        )


def is_large(height: int, width: int, channels: int) -> bool:
    """Whether an image is above the limit."""
    # Four channels are the largest that a plain image has; deeper ones count by their values.
    return height * width * max(1.0, channels / 4) > _megapixels() * 1e6


def _megapixels() -> float:
    limit = _limit.get()
    return LIMIT_MEGAPIXELS if limit is None else limit


def without_opaque_alpha(pixels: Array) -> Array:
    """Return the pixels without an alpha channel that is opaque everywhere."""
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4) and pixels.dtype.kind == "u":
        alpha = pixels[..., -1]
        if (alpha == np.iinfo(pixels.dtype).max).all():
            return pixels[..., :-1]
    return pixels


def oriented(pixels: Array, code: int) -> Array:
    """Turn and mirror pixels as the EXIF (and TIFF) orientation tag says, 1 to 8."""
    if code in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if code in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if code in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def colour_space(path: Path, name: str) -> ImageError:
    """Return the error for a colour space that is neither gray nor RGB."""
    return ImageError(f"{path} has the colour space {name}: convert it to gray or RGB, for example to PNG.")


def several(path: Path, found: str) -> ImageError:
    """Return the error for several images in one file."""
    return ImageError(
        f"{path} holds more than one image ({found}): save one image a file; if these are the channels of one "
        "image, save them with the axes CYX or as .npy (H, W, C)."
    )
