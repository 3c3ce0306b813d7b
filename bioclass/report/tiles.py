"""Maps of the classes of an image's tiles, from the table of ``bioclass predict --tiles``."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError
from bioclass.report.sheet import LINE, Pixels, measured, plain, sheet, wrapped

COLUMNS = ("path", "region", "x", "y", "width", "height")
SIDE = 900
"""Pixels along the longer side of a map, at most: 300 to an inch of the figure."""
VALUES = 40_000_000
"""Probabilities in a map, at most; one of very many classes is coarser."""

_MAP, _MARGIN, _KEY, _TEXT, _NOTE = 3.0, 0.1, 0.12, 8.0, 7.0
"""Inches of a map's longer side, of margins and of a colour of the key; points of text."""


class Tiles(NamedTuple):
    """The tiles of one image, or of its part that a table holds.

    ``places`` (T, 4) are x, y, width and height in pixels, ``size`` is that of the image, (height, width), and
    ``probabilities`` (T, K) are those of ``classes``.
    """

    path: str
    size: tuple[int, int]
    places: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    classes: tuple[str, ...]


def draw_tiles(table: Path, out: Path) -> dict[Path, str]:
    """Draw a map for every image of a table, and return what each file says; several are numbered: map-1.png.

    Raises:
        InputError: the table is not one that ``bioclass predict --tiles`` wrote.
    """
    images = list(_read(table))
    digits = len(str(len(images)))
    captions = {}
    for number, tiles in enumerate(images, start=1):
        file = out if len(images) == 1 else out.with_name(f"{out.stem}-{number:0{digits}}{out.suffix}")
        captions[file] = _draw(tiles, file)
    return captions


def class_map(tiles: Tiles) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return the most probable class of each place in an image and its probability, both (h, w).

    They are those of the mean over the tiles that hold the place. A large image is seen smaller, by one scale.
    """
    scale = min(1.0, min(SIDE, (VALUES / len(tiles.classes)) ** 0.5) / max(tiles.size))
    height, width = (max(1, round(side * scale)) for side in tiles.size)
    sums = np.zeros((height, width, len(tiles.classes)))
    starts = np.floor(tiles.places[:, :2] * scale).astype(int)
    stops = np.ceil((tiles.places[:, :2] + tiles.places[:, 2:]) * scale).astype(int)
    for (x, y), (right, bottom), probabilities in zip(starts, stops, tiles.probabilities, strict=True):
        sums[y:bottom, x:right] += probabilities
    best = sums.argmax(axis=2)
    return best, sums.max(axis=2) / np.maximum(sums.sum(axis=2), np.finfo(float).tiny)


def colours(classes: int) -> Pixels:
    """Return a colour for each class, (K, 3)."""
    maps: Any = importlib.import_module("matplotlib").colormaps
    if classes <= 20:
        found = maps["tab10" if classes <= 10 else "tab20"](np.arange(classes))
    else:
        found = maps["hsv"](np.arange(classes) / classes)
    result: Pixels = np.rint(255 * found[:, :3]).astype(np.uint8)
    return result


def _draw(tiles: Tiles, file: Path) -> str:
    best, probability = class_map(tiles)
    ink = colours(len(tiles.classes)).astype(np.float64)
    pixels = np.rint(255 - (255 - ink[best]) * probability[..., None]).astype(np.uint8)
    mean = tiles.probabilities.mean(axis=0)
    key = [f"{plain(name)}, {100 * np.mean(best == k):.1f} %" for k, name in enumerate(tiles.classes)]
    note = (
        f"{tiles.path}: {tiles.size[0]} x {tiles.size[1]} pixels, {len(tiles.places)} tiles of "
        f"{tiles.places[0, 3]} x {tiles.places[0, 2]}. Shares are of the area; paler is less probable. The mean "
        f"over tiles is {tiles.classes[int(mean.argmax())]}, {mean.max():.3f}."
    )
    step = _TEXT * LINE * 1.2
    high, wide = (_MAP * side / max(tiles.size) for side in tiles.size)
    width = 3 * _MARGIN + _MAP + _KEY + max(measured(text, _TEXT) for text in key) + _MARGIN
    below = wrapped(plain(note), _NOTE, width - 2 * _MARGIN)
    middle = max(high, len(key) * step)
    with sheet(width, middle + 3 * _MARGIN + (below.count("\n") + 1) * _NOTE * LINE) as page:
        page.picture(pixels, _MARGIN + (_MAP - wide) / 2, _MARGIN, wide, high)
        for k, text in enumerate(key):
            left, top = 2 * _MARGIN + _MAP, _MARGIN + k * step
            page.picture(np.broadcast_to(ink[k].astype(np.uint8), (4, 4, 3)), left, top, _KEY, _KEY)
            page.text(text, left + _KEY + _MARGIN / 2, top, _TEXT, across="left")
        page.text(below, _MARGIN, middle + 2 * _MARGIN, _NOTE, across="left", ink="note")
        page.save(file, note)
    return note


def _read(table: Path) -> Iterator[Tiles]:
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"{table} cannot be read as a table: {getattr(problem, 'strerror', problem)}.") from None
    names = [name for name in (rows[0] if rows else ()) if name and name.startswith("p_")]
    if not names or not set(COLUMNS) <= set(rows[0]):
        raise InputError(
            f"{table} is no table of tiles: write one with `bioclass predict MODEL IMAGE --tiles H --out`."
        )
    try:
        for path, group in groupby(rows, key=lambda row: row["path"]):
            *tiles, whole = list(group)
            if whole["region"] != "image" or not tiles or any(tile["region"] != "tile" for tile in tiles):
                raise ValueError
            found = Tiles(
                path,
                (int(whole["height"]), int(whole["width"])),
                np.array([[int(tile[name]) for name in COLUMNS[2:]] for tile in tiles]),
                np.array([[float(tile[name]) for name in names] for tile in tiles]),
                tuple(name.removeprefix("p_") for name in names),
            )
            if min(found.size) < 1 or (found.places < 0).any() or not np.isfinite(found.probabilities).all():
                raise ValueError
            yield found
    except (ValueError, TypeError):
        raise InputError(
            f"{table} is not as `bioclass predict --tiles` wrote it: of each image the tiles come first and then "
            "the image. Predict again."
        ) from None
