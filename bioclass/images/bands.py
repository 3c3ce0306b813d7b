"""An image file a band of rows at a time: a large TIFF is never as a whole in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.errors import ImageError
from bioclass.images import decoding, is_tiff, read_image, stored
from bioclass.images.pixels import is_large
from bioclass.images.tiff import compressed, in_order, one_image

Array = npt.NDArray[Any]

_WHOLE_ONLY = (3, 6)
"""Photometric interpretations that tifffile leaves as they are stored: palettes, and YCbCr that is not JPEG."""

_JPEG = 7


class Bands(NamedTuple):
    """An open image of (height, width) pixels; ``read(top, bottom)`` gives rows of it, (bottom - top, width, C).

    They are as ``read_image`` gives them, but that in a large image alpha is left out of a band where it is opaque.
    """

    height: int
    width: int
    read: Callable[[int, int], Array]


@contextmanager
def open_bands(path: Path) -> Iterator[Bands]:
    """Open an image file of any size.

    One of up to 200 megapixels is read as a whole. Of a larger TIFF the tiles or strips below a band are read, or
    its rows where it is not compressed.

    Raises:
        ImageError: as ``read_image``, in ``read`` too; a large file that is no TIFF, or one that cannot be read by
            parts.
    """
    with ExitStack() as stack:
        yield _large_tiff(path, stack) or _whole(path)


def _whole(path: Path) -> Bands:
    image = read_image(path)
    return Bands(image.shape[0], image.shape[1], lambda top, bottom: image[top:bottom])


def _large_tiff(path: Path, stack: ExitStack) -> Bands | None:
    """Open a TIFF that is above the limit, until the stack ends; None for another file."""
    if not is_tiff(path):
        return None
    import tifffile

    with decoding(path):
        tiff = stack.enter_context(tifffile.TiffFile(path))
        series, size = one_image(tiff, path)
        if not is_large(size["Y"], size["X"], size.get("C", 1)):
            return None
        page = series.keyframe
        _refuse_unfit(path, page)
        if series.dataoffset is not None:
            axes = series.axes
            mapped = tifffile.memmap(path, series=tiff.series.index(series), mode="r")

            def rows(top: int, bottom: int) -> Array:
                return in_order(np.take(mapped, range(top, bottom), axes.index("Y")), axes, page, 1)
        else:

            def rows(top: int, bottom: int) -> Array:
                pages = [_rows(each, top, bottom) for each in series.pages]
                return in_order(np.concatenate(pages, axis=2), "YXC", page, 1)

    def read(top: int, bottom: int) -> Array:
        with decoding(path):
            try:
                pixels = rows(top, bottom)
            except ValueError as problem:
                if "imagecodecs" not in str(problem):
                    raise
                raise compressed(path, page) from None
            return stored(pixels if pixels.ndim == 3 else pixels[..., None], path)

    return Bands(size["Y"], size["X"], read)


def _refuse_unfit(path: Path, page: Any) -> None:
    """Refuse what would not be read by parts as it would be as a whole, or not in little memory."""
    found = ""
    if page.bitspersample < 8 or (page.photometric in _WHOLE_ONLY and page.compression != _JPEG):
        found = f"{page.photometric.name} of {page.bitspersample} bits"
    elif page.tags.valueof(274, 1) != 1:
        found = f"turned, orientation {page.tags.valueof(274)}"
    elif page.compression != 1 and is_large(*_segment(page), page.samplesperpixel):
        found = "compressed as a whole"
    if found:
        raise ImageError(
            f"{path} is too large to be read as a whole ({page.imagewidth} x {page.imagelength} pixels) and cannot "
            f"be read by parts ({found}): save it as a tiled TIFF, gray or RGB and upright."
        )


def _segment(page: Any) -> tuple[int, int]:
    """The height and width in pixels of a page's tiles or strips."""
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def _rows(page: Any, top: int, bottom: int) -> Array:
    """Rows of one page, (bottom - top, width, samples), from the tiles or strips that they lie in."""
    key = page.keyframe
    width, samples = key.imagewidth, key.samplesperpixel
    height, across = _segment(key)[0], -(-width // _segment(key)[1])
    down = -(-key.imagelength // height)
    planes = samples if key.planarconfig == 2 else 1
    indices = [
        (plane * down + row) * across + column
        for plane in range(planes)
        for row in range(top // height, -(-bottom // height))
        for column in range(across)
    ]
    out = np.full((bottom - top, width, samples), key.nodata, key.dtype)
    places = ([page.dataoffsets[i] for i in indices], [page.databytecounts[i] for i in indices])
    for data, index in page.parent.filehandle.read_segments(*places, indices):
        # A segment (depth, height, width, samples) at (plane, depth, y, x, sample); None where nothing is stored.
        part, (plane, _, y, x, _), _ = key.decode(
            data, index, jpegtables=page.jpegtables, jpegheader=key.jpegheader
        )
        if part is not None:
            first, last = max(top, y), min(bottom, y + part.shape[1])
            seen = part[0, first - y : last - y, : width - x]
            out[first - top : last - top, x : x + seen.shape[1], plane : plane + seen.shape[2]] = seen
    return out
