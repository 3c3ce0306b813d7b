"""The page of a figure of variants: a row an image, columns in groups under their titles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from bioclass.errors import InputError
from bioclass.report.display import Display
from bioclass.report.sheet import DPI, LINE, MAGNIFIED, WIDTH, Sheet, measured, plain, sheet, wrapped
from bioclass.report.variants import Group

Band = Sequence[Group]

LARGEST, SMALLEST, TALLEST = 1.1, 0.5, 1.6
"""Inches: a picture's width at most and at least, and its height at most."""
TITLE, LABEL, NOTE = 7.5, 7.0, 6.5
"""Sizes of text, in points."""
GAP, BETWEEN, BANDS = 0.03, 0.1, 0.16
"""Inches between pictures, between groups, and between bands of groups."""
MARGIN, SIDE, SPACE = 0.04, 0.3, 0.05
"""Inches around everything, that are kept for the names before the rows, and between these and the pictures."""
_ROOM = WIDTH - 2 * MARGIN - SIDE
UPRIGHT = 0.4
"""Inches of a row from which a long name is written upright."""
HIGHEST = 200
"""Inches of a page; many more dots than these have do not fit into one image."""


def draw_variants(
    groups: Sequence[Group], names: Sequence[str], display: Display, path: Path, caption: str
) -> None:
    """Draw columns of images under the titles of their groups, and write the figure.

    Groups that do not fit beside each other on a page's width go below, in bands of all rows.

    Args:
        groups: the columns; each has an image a row.
        names: what stands before each row, the name of its class.
        display: how stored images are seen.
        path: a PNG or SVG file, by its suffix.
        caption: is kept in the file's description.

    Raises:
        InputError: so many rows and bands that the page would be too tall.
    """
    layout = Layout(groups, [plain(name) for name in names])
    height = layout.height(display.note)
    if height > HIGHEST:
        raise InputError(f"The figure would be {height:.0f} inches tall: lower --images or --variants.")
    with sheet(layout.width, height) as page:
        top = MARGIN
        for band in layout.bands:
            top = layout.draw(page, band, top, display) + BANDS
        if display.note:
            note = wrapped(display.note, NOTE, layout.width - 2 * MARGIN)
            page.text(note, MARGIN, top - BANDS + GAP, NOTE, across="left", ink="note")
        page.save(path, caption)


class Layout:
    """Where everything stands."""

    def __init__(self, groups: Sequence[Group], names: Sequence[str]) -> None:
        first = groups[0].columns[0].images
        aspect = first.shape[1] / first.shape[2]
        self.between = GAP if all(len(group.columns) == 1 for group in groups) else BETWEEN
        self.tile = SMALLEST
        self.bands = self._banded(groups)
        self.tile = self._tile(first.shape[2], aspect)
        self.high = self.tile * aspect
        self.upright = max(map(len, names)) > 3 and self.high >= UPRIGHT
        self.names = [wrapped(name, LABEL, self.high) if self.upright else name for name in names]
        lines = max(name.count("\n") + 1 for name in self.names)
        wide = lines * LABEL * LINE if self.upright else max(measured(name, LABEL) for name in self.names)
        self.left = MARGIN + wide + SPACE
        self.width = self.left + max(map(self._wide, self.bands)) + MARGIN

    def height(self, note: str) -> float:
        """Return the height of the page in inches, with a note below."""
        bands = sum(self._head(band) + len(self.names) * (self.high + GAP) for band in self.bands)
        lines = wrapped(note, NOTE, self.width - 2 * MARGIN).count("\n") + 1 if note else 0
        return 2 * MARGIN + bands + (len(self.bands) - 1) * BANDS + lines * NOTE * LINE

    def draw(self, page: Sheet, band: Band, top: float, display: Display) -> float:
        """Draw a band of groups from ``top`` down, and return where it ends."""
        titles = top + self._titles(band)
        below = top + self._head(band)
        left = self.left
        for group in band:
            width = self._group(group)
            self._draw_head(page, group, left, titles)
            side = left + (width - self._pictures(len(group.columns))) / 2
            for number, column in enumerate(group.columns):
                for row, image in enumerate(column.images):
                    place = below + row * (self.high + GAP)
                    page.picture(display(image), side + number * (self.tile + GAP), place, self.tile, self.high)
            left += width + self.between
        for row, name in enumerate(self.names):
            self._draw_name(page, name, below + row * (self.high + GAP) + self.high / 2)
        return below + len(self.names) * (self.high + GAP) - GAP

    def _draw_head(self, page: Sheet, group: Group, left: float, bottom: float) -> None:
        """The title, which ends at ``bottom``, a line over several columns, and their labels below."""
        width = self._group(group)
        title = wrapped(group.title, TITLE, width)
        page.text(title, left + width / 2, bottom - _lines(title) * TITLE * LINE, TITLE)
        if len(group.columns) > 1:
            page.rule(left, left + width, bottom + GAP / 3)
        side = left + (width - self._pictures(len(group.columns))) / 2
        for start, count, label in _runs(group):
            wide = self._pictures(count)
            middle = side + start * (self.tile + GAP) + wide / 2
            page.text(wrapped(label, LABEL, wide), middle, bottom + GAP, LABEL)

    def _draw_name(self, page: Sheet, name: str, middle: float) -> None:
        if self.upright:
            left = self.left - SPACE - _lines(name) * LABEL * LINE
            page.text(name, left, middle, LABEL, upright=True)
        else:
            page.text(name, (self.left - SPACE + MARGIN) / 2, middle - LABEL * LINE / 2, LABEL)

    def _banded(self, groups: Sequence[Group]) -> list[Band]:
        """Cut groups into as few bands as fit on a page's width, about as wide each; a group stays whole."""
        widths = [number * SMALLEST for number in range(1, int(_ROOM / SMALLEST) + 1)]
        fewest = len(self._filled(groups, _ROOM))
        return next(bands for wide in [*widths, _ROOM] if len(bands := self._filled(groups, wide)) == fewest)

    def _filled(self, groups: Sequence[Group], width: float) -> list[Band]:
        bands: list[list[Group]] = [[]]
        for group in groups:
            if bands[-1] and self._wide([*bands[-1], group]) > width:
                bands.append([])
            bands[-1].append(group)
        return [*bands]

    def _tile(self, pixels: int, aspect: float) -> float:
        """The largest width of pictures with which all bands fit; a pixel is whole dots, if there are enough."""
        dots = int(min(LARGEST, TALLEST / aspect) * DPI)
        self.tile = dots / DPI
        while self.tile > SMALLEST and max(map(self._wide, self.bands)) > _ROOM:
            dots -= 1
            self.tile = dots / DPI
        return (dots // pixels * pixels if dots // pixels >= MAGNIFIED else dots) / DPI

    def _pictures(self, count: int) -> float:
        return count * (self.tile + GAP) - GAP

    def _group(self, group: Group) -> float:
        """The width of a group: that of its pictures, or of the longest word above them."""
        words = re.findall("[^-]+-?", group.title)
        return max(self._pictures(len(group.columns)), *(measured(word, TITLE) for word in words))

    def _wide(self, band: Band) -> float:
        return sum(self._group(group) + self.between for group in band) - self.between

    def _titles(self, band: Band) -> float:
        return max(_lines(wrapped(group.title, TITLE, self._group(group))) for group in band) * TITLE * LINE

    def _head(self, band: Band) -> float:
        runs = [(count, label) for group in band for _, count, label in _runs(group)]
        lines = max(_lines(wrapped(label, LABEL, self._pictures(count))) if label else 0 for count, label in runs)
        return self._titles(band) + lines * LABEL * LINE + 2 * GAP


def _runs(group: Group) -> Iterator[tuple[int, int, str]]:
    """Neighbouring columns with one label: the first, how many, and the label."""
    start = 0
    for label, run in groupby(column.label for column in group.columns):
        count = len(list(run))
        yield start, count, label
        start += count


def _lines(text: str) -> int:
    return text.count("\n") + 1
