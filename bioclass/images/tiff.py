"""TIFF files: tifffile reads them, Pillow or OpenCV what it leaves to imagecodecs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import ImageError
from bioclass.images.pillow import cv2_pixels, read_pillow
from bioclass.images.pixels import check_size, colour_space, oriented, several, without_opaque_alpha

Array = npt.NDArray[Any]

# TIFF photometric interpretations (TIFF 6.0, section 8, and later supplements).
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
# Without a handler Python prints tifffile's log lines on stderr; what matters in them becomes our one sentence.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_tiff(path: Path) -> Array:
    """Read the one image of a TIFF file, upright."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series, size = one_image(tiff, path)
        check_size(path, size["Y"], size["X"], size.get("C", 1))
        axes, page = series.axes, series.keyframe
        if page.bitspersample < 8 or page.photometric in (_PALETTE, _YCBCR):
            return read_pillow(path)
        try:
            pixels = series.asarray(maxworkers=1)
        except ValueError as problem:
            if "imagecodecs" not in str(problem):
                raise
            return _read_compressed(path, page)
        tag = page.tags.get(274)
    return in_order(pixels, axes, page, 1 if tag is None else int(tag.value))


def one_image(tiff: Any, path: Path) -> tuple[Any, dict[str, int]]:
    """Return the series of an open TIFF file that is its one image, and its size along the axes Y, X and C.

    Raises:
        ImageError: several images, or a colour space that is neither gray nor RGB.
    """
    series = [item for item in tiff.series if not item.keyframe.is_reduced] or list(tiff.series)
    axes, page = series[0].axes, series[0].keyframe
    if len(series) > 1 or sorted(axes.replace("S", "C")) not in (["X", "Y"], ["C", "X", "Y"]):
        raise several(path, f"{len(tiff.pages)} pages, axes {' and '.join(item.axes for item in series)}")
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR):
        raise colour_space(path, page.photometric.name)
    return series[0], dict(zip(axes.replace("S", "C"), series[0].shape, strict=True))


def in_order(pixels: Array, axes: str, page: Any, orientation: int) -> Array:
    """Return pixels (axes in any order) as (H, W, C): black is 0, without an opaque alpha channel, upright."""
    order = [axes.index("Y"), axes.index("X"), *(i for i, letter in enumerate(axes) if letter in "SC")]
    pixels = pixels.transpose(order)
    if page.photometric == _WHITE_IS_ZERO and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    if page.extrasamples and page.extrasamples[-1] in (1, 2):
        pixels = without_opaque_alpha(pixels)
    return oriented(pixels, orientation)


def _read_compressed(path: Path, page: Any) -> Array:
    """Read what tifffile leaves to imagecodecs (LZW, JPEG, CCITT), which bioclass does not depend on."""
    if page.extrasamples in ((), (2,)):  # 2: alpha that the colours were not multiplied with.
        if page.bitspersample == 8:
            return read_pillow(path)
        upright = 274 not in page.tags or page.tags[274].value == 1
        if page.bitspersample in (16, 32) and upright and page.photometric != _WHITE_IS_ZERO:
            return without_opaque_alpha(cv2_pixels(path))
    raise compressed(path, page)


def compressed(path: Path, page: Any) -> ImageError:
    """Return the error for a compression that cannot be read."""
    return ImageError(
        f"{path} is compressed with {page.compression.name}: pip install imagecodecs, or save it uncompressed."
    )
