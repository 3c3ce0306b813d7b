"""Pages of pictures, each with its caption below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioclass.report.sheet import DPI, HEIGHT, LINE, MAGNIFIED, WIDTH, Sheet, measured, plain, sheet, wrapped

Pixels = npt.NDArray[np.uint8]
Caption = tuple[str, ...]

TEXT, NOTE = 6.5, 6.5
"""Sizes of text, in points."""
SMALLEST, LARGEST, TALLEST = 0.62, 1.1, 1.4
"""Inches: a cell's width at least, a picture's width and height at most."""
WIDEST = 1.08
"""Inches: a cell's width at most; a longer caption goes on several lines."""
ACROSS, BELOW, UNDER, MARGIN = 0.07, 0.06, 0.025, 0.04
"""Inches between cells across and down, between a picture and its caption, and around everything."""
NARROWEST = 3.0
"""Inches of the page, for its note."""


def draw_gallery(
    picture: Callable[[int], Pixels],
    captions: Sequence[Caption],
    shape: tuple[int, int],
    path: Path,
    note: str,
) -> list[Path]:
    """Draw pictures with their captions, as many to a page as are readable, and return the files.

    Where it takes several pages, their files are numbered: errors-1.png, errors-2.png.

    Args:
        picture: gives picture number i, (H, W, 3); called once for each, in order, so that few are in memory.
        captions: of each picture, in parts that go on one line, or below each other where that is too long.
        shape: height and width of the pictures, where they are alike; of the place for them, where not.
        path: a PNG or SVG file, by its suffix.
        note: is written below every page, and is kept in the files' description.
    """
    layout = Layout([tuple(map(plain, caption)) for caption in captions], shape, note)
    files = layout.files(path)
    for number, file in enumerate(files):
        start = number * layout.each_page
        stop = min(start + layout.each_page, len(captions))
        text = layout.note(number, start, stop)
        rows = -(-(stop - start) // layout.columns)
        with sheet(layout.width, rows * layout.step + layout.note_height) as page:
            layout.draw(page, picture, start, stop, text)
            page.save(file, text)
    return files


class Layout:
    """Where everything stands."""

    def __init__(self, captions: Sequence[Caption], shape: tuple[int, int], note: str) -> None:
        longest = max(measured(", ".join(caption), TEXT) for caption in captions)
        if longest <= WIDEST:
            self.cell = max(longest, SMALLEST)
            self.captions = [", ".join(caption) for caption in captions]
        else:
            widest = max(measured(part, TEXT) for caption in captions for part in _lines(caption))
            self.cell = min(max(widest, SMALLEST), WIDEST)
            self.captions = [wrapped("\n".join(_lines(caption)), TEXT, self.cell) for caption in captions]
        self.tile, self.high = _picture(self.cell, shape)
        lines = max(caption.count("\n") + 1 for caption in self.captions)
        self.step = self.high + UNDER + lines * TEXT * LINE + BELOW
        self.columns = min(len(captions), int((WIDTH - 2 * MARGIN + ACROSS) / (self.cell + ACROSS)))
        self._note = plain(note)
        self.width = WIDTH
        # As long as the note of a page can become.
        self.pages = len(captions)
        most = max(1, int((HEIGHT - self._note_lines(self._numbered(0, 0, len(captions)))) / self.step))
        self.pages = -(-len(captions) // (most * self.columns))
        self.each_page = most * self.columns
        if self.pages == 1:
            # The last row is about as full as the others.
            self.columns = -(-len(captions) // -(-len(captions) // self.columns))
        self.width = max(NARROWEST, self._wide() + 2 * MARGIN)
        self.note_height = self._note_lines(self.note(0, 0, self.each_page))

    def files(self, path: Path) -> list[Path]:
        """Return the files of the pages."""
        if self.pages == 1:
            return [path]
        digits = len(str(self.pages))
        return [path.with_name(f"{path.stem}-{page:0{digits}}{path.suffix}") for page in range(1, self.pages + 1)]

    def note(self, page: int, start: int, stop: int) -> str:
        """Return what is written below a page, that of the pictures from ``start`` to before ``stop``."""
        return self._note if self.pages == 1 else self._numbered(page, start, stop)

    def draw(self, page: Sheet, picture: Callable[[int], Pixels], start: int, stop: int, note: str) -> None:
        """Draw the pictures from ``start`` to before ``stop``."""
        margin = (self.width - self._wide()) / 2
        for place, number in enumerate(range(start, stop)):
            row, column = divmod(place, self.columns)
            left, top = margin + column * (self.cell + ACROSS), MARGIN + row * self.step
            page.picture(picture(number), left + (self.cell - self.tile) / 2, top, self.tile, self.high)
            page.text(self.captions[number], left + self.cell / 2, top + self.high + UNDER, TEXT)
        bottom = MARGIN + -(-(stop - start) // self.columns) * self.step
        page.text(self._wrapped(note), MARGIN, bottom, NOTE, across="left", ink="note")

    def _numbered(self, page: int, start: int, stop: int) -> str:
        return f"{self._note} Page {page + 1} of {self.pages}: {start + 1:,} to {stop:,}."

    def _wide(self) -> float:
        return self.columns * (self.cell + ACROSS) - ACROSS

    def _wrapped(self, note: str) -> str:
        return wrapped(note, NOTE, self.width - 2 * MARGIN)

    def _note_lines(self, note: str) -> float:
        """Height of the note and of the margins."""
        return (self._wrapped(note).count("\n") + 1) * NOTE * LINE + 2 * MARGIN


def _lines(caption: Caption) -> list[str]:
    """The parts of a caption below each other; all but the last end in a comma."""
    return [*(f"{part}," for part in caption[:-1]), caption[-1]]


def _picture(cell: float, shape: tuple[int, int]) -> tuple[float, float]:
    """Width and height of the place for pictures; small ones get whole dots for each pixel."""
    height, width = shape
    dots = int(min(cell, LARGEST, TALLEST * width / height) * DPI)
    if dots // width >= MAGNIFIED:
        dots = dots // width * width
    return dots / DPI, dots * height / width / DPI
