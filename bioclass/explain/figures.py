"""The figures: mosaics of small pictures, and rows of pictures with words."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.explain.heat import COLOURS
from bioclass.report.curves import Drawing
from bioclass.report.sheet import DPI, LINE, MAGNIFIED, WIDTH, Sheet, measured, plain, wrapped

Pixels = npt.NDArray[np.uint8]

TEXT, NOTE = 7.0, 6.5
"""Sizes of text, in points."""
GAP, BETWEEN, MARGIN = 0.04, 0.14, 0.05
"""Inches between pictures, between groups of them, and around everything."""
LARGEST = 1.0
"""Inches: the side of a picture at most."""
PHOTOGRAPHS = 1_600_000
"""Dots of a figure of photographs, which would be some megabytes with more."""
LABEL = 0.95
"""Inches: the width of what stands before a row, at most."""


class Cell(NamedTuple):
    """A picture (H, W, 3) and what is written below it."""

    pixels: Pixels
    caption: str = ""


class Row(NamedTuple):
    """What stands before a row, and its pictures; None leaves a place empty."""

    label: str
    cells: Sequence[Cell | None]


class Words(NamedTuple):
    """A figure's stem of a file, what it tells without being seen, and what stands below it."""

    name: str
    alt: str
    caption: str


def _dots(pixels: int, inches: float, area: float) -> int:
    """The dots an inch of a PNG of so many square inches: fewer for many pictures that are photographs."""
    return DPI if inches * DPI / pixels >= MAGNIFIED else min(DPI, int((PHOTOGRAPHS / area) ** 0.5))


def mosaic(words: Words, tiles: Sequence[Pixels], first: Pixels | None = None) -> Drawing:
    """Draw pictures of one size side by side; ``first``, larger, stands before them."""
    lead = 0.0 if first is None else 1.3 + BETWEEN
    columns = _columns(len(tiles))
    room = WIDTH - 2 * MARGIN - lead
    side = _whole(min(0.62, (room + GAP) / columns - GAP), max(tiles[0].shape[:2]))
    high, wide = (side * length / max(tiles[0].shape[:2]) for length in tiles[0].shape[:2])
    rows = -(-len(tiles) // columns)
    height = max(rows * (high + GAP) - GAP, 1.3 if first is not None else 0.0)

    def paint(page: Sheet) -> None:
        if first is not None:
            page.picture(first, MARGIN, MARGIN, 1.3, 1.3)
        for number, tile in enumerate(tiles):
            row, column = divmod(number, columns)
            page.picture(tile, MARGIN + lead + column * (wide + GAP), MARGIN + row * (high + GAP), wide, high)

    width = 2 * MARGIN + lead + columns * (wide + GAP) - GAP
    height += 2 * MARGIN
    dots = _dots(tiles[0].shape[1], wide, width * height)
    return Drawing(words.name, width, height, words.alt, words.caption, paint, dots)


def _columns(count: int) -> int:
    """How many pictures go in a row: a little more than rows, and so that the last row is as full as can be."""
    wanted = (count * 1.6) ** 0.5
    near = range(max(1, round(wanted) - 2), round(wanted) + 3)
    return min(count, min(near, key=lambda columns: (-count % columns, abs(columns - wanted))))


class Table:
    """Where rows of pictures stand; ``titles`` say what a column shows, ``groups`` how many belong together."""

    def __init__(self, rows: Sequence[Row], titles: Sequence[str], groups: Sequence[int]) -> None:
        self.rows, self.titles = rows, titles
        self.groups = groups
        cells = [cell for row in rows for cell in row.cells if cell is not None]
        shape = [max(cell.pixels.shape[axis] for cell in cells) for axis in (0, 1)]
        self.pixels = shape[1]
        self.labels = [wrapped(plain(row.label), TEXT, LABEL) for row in rows]
        widest = max(measured(line, TEXT) for label in self.labels for line in label.split("\n"))
        self.left = MARGIN + (widest + 0.08 if widest else 0)
        gaps = (len(titles) - 1) * GAP + (len(groups) - 1) * (BETWEEN - GAP)
        room = (WIDTH - MARGIN - self.left - gaps) / len(titles)
        self.wide = _whole(min(LARGEST, room) * min(1.0, shape[1] / shape[0]), shape[1])
        self.high = self.wide * shape[0] / shape[1]
        self.places = self._places()
        self.width = self.places[-1] + self.wide + MARGIN
        self.head = max((_lines(self._title(title)) for title in titles if title), default=0) * TEXT * LINE
        self.below = [self._below(row) for row in rows]

    def height(self, key: bool) -> float:
        """Return the height in inches, with or without the key of the colours."""
        rows = sum(self.high + below + GAP for below in self.below)
        return 2 * MARGIN + self.head + GAP + rows + (0.2 if key else 0)

    def paint(self, page: Sheet, key: bool) -> None:
        """Draw everything."""
        for place, title in zip(self.places, self.titles, strict=True):
            page.text(self._title(title), place + self.wide / 2, MARGIN, TEXT)
        top = MARGIN + self.head + GAP
        for row, label, below in zip(self.rows, self.labels, self.below, strict=True):
            middle = top + self.high / 2 - _lines(label) * TEXT * LINE / 2
            page.text(label, self.left - 0.08, middle, TEXT, across="right")
            for place, cell in zip(self.places, row.cells, strict=True):
                if cell is not None:
                    page.picture(cell.pixels, place, top, self.wide, self.high)
                    page.text(self._caption(cell), place + self.wide / 2, top + self.high + 0.02, NOTE, ink="note")
            top += self.high + below + GAP
        if key:
            _key(page, self.left, top + 0.04)

    def _places(self) -> list[float]:
        places, left = [], self.left
        for count in self.groups:
            for _ in range(count):
                places.append(left)
                left += self.wide + GAP
            left += BETWEEN - GAP
        return places

    def _title(self, title: str) -> str:
        return wrapped(title, TEXT, self.wide + GAP)

    def _caption(self, cell: Cell) -> str:
        return wrapped(plain(cell.caption), NOTE, self.wide + GAP / 2) if cell.caption else ""

    def _below(self, row: Row) -> float:
        lines = [_lines(self._caption(cell)) for cell in row.cells if cell is not None and cell.caption]
        return max(lines, default=0) * NOTE * LINE + (0.04 if lines else 0)


def table(
    words: Words, rows: Sequence[Row], titles: Sequence[str], groups: Sequence[int], key: bool = False
) -> Drawing:
    """Draw rows of pictures under titles; ``key`` adds what the colours of heat mean."""
    layout = Table(rows, titles, groups)

    def paint(page: Sheet) -> None:
        layout.paint(page, key)

    height = layout.height(key)
    dots = _dots(layout.pixels, layout.wide, layout.width * height)
    return Drawing(words.name, layout.width, height, words.alt, words.caption, paint, dots)


def _key(page: Sheet, left: float, top: float) -> None:
    """The colours from none to most."""
    colours: Any = importlib.import_module("matplotlib").colormaps[COLOURS]
    bar = np.rint(255 * colours(np.linspace(0, 1, 100))[:, :3]).astype(np.uint8)[None].repeat(8, axis=0)
    page.text("nothing", left, top, NOTE, across="left", ink="note")
    start = left + measured("nothing", NOTE) + 0.06
    page.picture(bar, start, top + 0.01, 1.0, 0.08)
    page.text("most", start + 1.06, top, NOTE, across="left", ink="note")


def _whole(side: float, pixels: int) -> float:
    """The largest side in inches, up to this one, in which a pixel is whole dots, where it is several."""
    dots = int(side * DPI)
    return (dots // pixels * pixels if dots // pixels >= MAGNIFIED else dots) / DPI


def _lines(text: str) -> int:
    return text.count("\n") + 1 if text else 0
