"""Thumbnails of many images in a few pictures, and some images larger, within a number of bytes.

A sheet holds ``EACH`` thumbnails, so that a page decodes only the sheets that are looked at.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

COLUMNS = 16
EACH = COLUMNS * COLUMNS
SMALL = 48
"""Pixels: images whose sides are at most so long are shown as they are."""
LARGEST = 320
"""Pixels of a side of an image that is shown larger, at most."""
QUALITY = 80
TRIED = 64
"""Images by which the size of a thumbnail is decided."""


class Tile(NamedTuple):
    """How thumbnails are kept: pixels of the longer side, and WebP's quality; 0 is PNG, without any loss."""

    side: int
    quality: int


TILES = (Tile(96, 80), Tile(80, 75), Tile(64, 75), Tile(64, 55), Tile(48, 60), Tile(48, 35), Tile(32, 50))
"""From the best; the last is taken where none fits."""


@dataclass(frozen=True)
class Sprites:
    """Thumbnails.

    Attributes:
        side: pixels of the square that each has for itself.
        kind: "png" or "webp".
        sheets: files with ``EACH`` of them, ``COLUMNS`` in a row.
        sizes: (height, width) of each within its square, at whose upper left it lies.
        whole: whether they are the images as they are, not smaller.
        large: by number, WebP files of those that are there larger.
    """

    side: int
    kind: str
    sheets: tuple[bytes, ...]
    sizes: tuple[tuple[int, int], ...]
    whole: bool
    large: dict[int, bytes]

    @property
    def count_bytes(self) -> int:
        """The size of all files."""
        return sum(map(len, self.sheets)) + sum(map(len, self.large.values()))


def make_sprites(image: Callable[[int], Pixels], count: int, room: int, more: int) -> Sprites:
    """Return thumbnails of images, and the first of them larger.

    Args:
        image: gives image number i, (H, W, 3); called once in order for each, and for a few before.
        count: how many there are.
        room: bytes for the thumbnails, which get as large as fits.
        more: bytes for the larger images.
    """
    tried = [image(int(i)) for i in np.linspace(0, count - 1, min(count, TRIED)).astype(int)]
    natural = max(max(each.shape[:2]) for each in tried)
    tile = _choose(tried, natural, count, room)
    sheets: list[bytes] = []
    sizes: list[tuple[int, int]] = []
    large: dict[int, bytes] = {}
    waiting: list[Pixels] = []
    for number in range(count):
        pixels = image(number)
        waiting.append(_smaller(pixels, tile.side))
        sizes.append((waiting[-1].shape[0], waiting[-1].shape[1]))
        if more > 0 and max(pixels.shape[:2]) > tile.side:
            large[number] = _encoded(_smaller(pixels, LARGEST), QUALITY)
            more -= len(large[number])
        if len(waiting) == EACH or number == count - 1:
            sheets.append(_encoded(_sheet(waiting, tile.side), tile.quality))
            waiting.clear()
    kind = "webp" if tile.quality else "png"
    return Sprites(tile.side, kind, tuple(sheets), tuple(sizes), natural <= tile.side, large)


def _choose(tried: Sequence[Pixels], natural: int, count: int, room: int) -> Tile:
    if natural <= SMALL:
        tiles = [Tile(natural, 0), *(Tile(natural, quality) for quality in (90, 75, 50)), TILES[-1]]
    else:
        tiles = [*([Tile(natural, QUALITY)] if natural < TILES[0].side else []), *TILES]
    for tile in tiles:
        sheet = _sheet([_smaller(each, tile.side) for each in tried], tile.side)
        if len(_encoded(sheet, tile.quality)) * count <= room * len(tried):
            return tile
    return tiles[-1]


def _sheet(thumbs: Sequence[Pixels], side: int) -> Pixels:
    rows = -(-len(thumbs) // COLUMNS)
    sheet = np.zeros((rows * side, min(COLUMNS, len(thumbs)) * side, 3), dtype=np.uint8)
    for number, thumb in enumerate(thumbs):
        top, left = (place * side for place in divmod(number, COLUMNS))
        sheet[top : top + thumb.shape[0], left : left + thumb.shape[1]] = thumb
    return sheet


def _smaller(pixels: Pixels, side: int) -> Pixels:
    """Return an image whose longer side has at most so many pixels."""
    from PIL import Image

    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        return pixels
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    reduced: Pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return reduced


def _encoded(pixels: Pixels, quality: int) -> bytes:
    from PIL import Image

    gray = (pixels == pixels[..., :1]).all()
    picture = Image.fromarray(pixels[..., 0].copy() if gray else pixels)
    out = io.BytesIO()
    if quality:
        picture.save(out, "WEBP", quality=quality, method=3)
    else:
        picture.save(out, "PNG", compress_level=7)
    return out.getvalue()
