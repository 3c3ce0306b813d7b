"""Images much larger than those of the training: cut into tiles, each of which is classified."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.answers import Probabilities, batch_size
from bioclass.errors import ImageError
from bioclass.images.bands import Bands, open_bands
from bioclass.preprocess import Plan, adapted

MOST = 1_000_000
"""Tiles of an image, at most: each is a row of the table, which is made in memory."""


class Tiling(NamedTuple):
    """Tiles of (height, width) pixels; neighbours share at least ``overlap`` of their length, from 0 to below 1."""

    height: int
    width: int
    overlap: float = 0.0

    def places(self, height: int, width: int) -> tuple[list[int], list[int]]:
        """Return the first rows and the first columns of the tiles of an image, none where it is smaller.

        They are as few as cover the image, spread evenly from border to border, so that no part of it counts more
        than another only because the last tile would not fit.
        """
        return _starts(height, self.height, self.overlap), _starts(width, self.width, self.overlap)


class Tile(NamedTuple):
    """Where a tile lies in its image, in pixels: ``x`` from the left, ``y`` from the top."""

    x: int
    y: int
    width: int
    height: int


class Tiled(NamedTuple):
    """An image of (height, width) pixels, its tiles row by row, and their probabilities (T, K)."""

    height: int
    width: int
    tiles: list[Tile]
    probabilities: Probabilities

    @property
    def mean(self) -> Probabilities:
        """The probabilities (K,) of the image: the mean over its tiles."""
        result: Probabilities = self.probabilities.mean(axis=0)
        return result

    def regions(self) -> Iterator[tuple[dict[str, Any], Probabilities]]:
        """Yield the place of every tile, and last of the image, as columns of a table, with probabilities (K,)."""
        for tile, probabilities in zip(self.tiles, self.probabilities, strict=True):
            yield {"region": "tile", **tile._asdict()}, probabilities
        yield {"region": "image", **Tile(0, 0, self.width, self.height)._asdict()}, self.mean


def answer_tiles(
    probabilities: Callable[[npt.NDArray[Any]], Probabilities], plan: Plan, path: Path, tiling: Tiling
) -> Tiled:
    """Return the answer for every tile of an image file, each treated as a file with these pixels would be.

    ``probabilities`` gives those (B, K) of stored images (B, H, W, C). No more of a large TIFF is in memory than
    one row of tiles.

    Raises:
        ImageError: as ``read_for`` and ``open_bands``; an image smaller than a tile, or of too many tiles.
    """
    with open_bands(path) as bands:
        tops, lefts = tiling.places(bands.height, bands.width)
        _check_count(path, bands, tiling, len(tops) * len(lefts))
        found = []
        waiting: list[npt.NDArray[Any]] = []
        for tile in _cut(bands, tiling, tops, lefts):
            waiting.append(adapted(plan, tile, path))
            if len(waiting) == batch_size(plan):
                found.append(probabilities(np.stack(waiting)))
                waiting.clear()
        if waiting:
            found.append(probabilities(np.stack(waiting)))
        tiles = [Tile(left, top, tiling.width, tiling.height) for top in tops for left in lefts]
        return Tiled(bands.height, bands.width, tiles, np.concatenate(found))


def _cut(bands: Bands, tiling: Tiling, tops: list[int], lefts: list[int]) -> Iterator[npt.NDArray[Any]]:
    for top in tops:
        band = bands.read(top, top + tiling.height)
        yield from (band[:, left : left + tiling.width] for left in lefts)


def _starts(length: int, size: int, overlap: float) -> list[int]:
    if length < size:
        return []
    # 0.7 of 10 pixels are 7, not the 7.000000000000001 that would be 8 whole ones.
    stride = max(1, size - math.ceil(round(size * overlap, 6)))
    gaps = -(-(length - size) // stride)
    return [number * (length - size) // max(1, gaps) for number in range(gaps + 1)]


def _check_count(path: Path, bands: Bands, tiling: Tiling, count: int) -> None:
    size = f"{bands.height} x {bands.width} pixels"
    if count == 0:
        raise ImageError(
            f"{path} has {size} and is smaller than a tile of {tiling.height} x {tiling.width}: name smaller "
            "tiles, or predict it without tiles."
        )
    if count > MOST:
        raise ImageError(
            f"{path} has {size}, which are {count} tiles of {tiling.height} x {tiling.width}, more than {MOST}: "
            "name larger tiles or a smaller overlap."
        )
