"""The confusion matrix: what the images of each class were taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError
from bioclass.report.curves.drawing import SIZE, SMALL, Drawing
from bioclass.report.curves.inks import GRID, PAPER, RIGHT, TEXT, WRONG
from bioclass.report.sheet import LINE, WIDTH, Sheet, measured, plain, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IntArray = npt.NDArray[np.int64]

LARGEST, SMALLEST = 0.52, 0.165
"""Inches of a cell at most and at least."""
LEAST, MOST = 4.6, 8.0
"""Points of the numbers at least and at most."""
LONGEST = 1.35
"""Inches of the name of a class; a longer one goes on several lines."""
EDGE, GAP = 0.05, 0.06
DEEP = 0.8
"""From this share of colour on, numbers have the colour of the paper."""
TOLD = 3
"""Confusions that the alternative text tells."""


def confusion_matrix(counts: npt.ArrayLike, classes: Sequence[str], *, rates: bool = False) -> Drawing:
    """Draw a confusion matrix, rows the truth and columns the answers.

    The colour of a cell is its share of its row, so that rare classes are seen as well as frequent ones: blue for
    right answers, orange for wrong ones. Cells without any image are empty.

    Args:
        counts: (K, K), as ``Metrics.confusion``.
        classes: K names.
        rates: whether cells hold percents of their row instead of counts.

    Raises:
        InputError: counts and classes do not fit each other.
    """
    table, k = np.asarray(counts, dtype=np.int64), len(classes)
    if table.shape != (k, k) or k < 2:
        raise InputError(f"counts have shape {table.shape}: give a row and a column for each of {k} classes.")
    layout = Layout(table, classes, rates)
    what = "share of the row in percent" if rates else "number of images"
    caption = (
        f"Confusion matrix: rows are true classes, columns are answers, cells hold the {what}, if it is not zero. "
        "The deeper a cell's colour, the larger its share of the row: blue right, orange wrong."
    )
    name = "confusion-rates" if rates else "confusion-counts"
    return Drawing(name, layout.width, layout.height, _alt(table, classes), caption, layout.draw)


class Layout:
    """Where everything stands, in inches."""

    def __init__(self, counts: IntArray, classes: Sequence[str], rates: bool) -> None:
        self.k = len(classes)
        self.counts = counts
        total = counts.sum(axis=1, keepdims=True)
        self.shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
        self.filled = [(int(i), int(j)) for i, j in np.argwhere(counts > 0)]
        self.texts = [_percent(self.shares[i, j]) if rates else str(counts[i, j]) for i, j in self.filled]
        self.names = [wrapped(plain(name), SMALL, LONGEST) for name in classes]
        wide = max(measured(line, SMALL) for name in self.names for line in name.split("\n"))
        deep = max(name.count("\n") + 1 for name in self.names) * SMALL * LINE
        number = max((measured(text, LEAST) for text in self.texts), default=0.1)
        title = SIZE * LINE + GAP
        self.left = EDGE + title + wide + GAP
        fits = (WIDTH - self.left - EDGE) / self.k
        self.cell = max(min(fits, LARGEST), SMALLEST, number + 0.03, deep + 0.02)
        self.across = wide <= self.cell - GAP
        self.top = EDGE + title + (deep if self.across else wide) + GAP
        self.side = self.cell * self.k
        self.width = self.left + self.side + EDGE
        self.height = self.top + self.side + EDGE
        # As large as the longest number allows.
        self.size = min(MOST, LEAST * (self.cell - 0.03) / number)

    def draw(self, page: Sheet) -> None:
        """Draw the matrix and the names around it."""
        axes = page.axes(self.left, self.top, self.side, self.side)
        axes.set(xlim=(0, self.k), ylim=(self.k, 0), xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(True)
        self._cells(axes)
        page.text("answer", self.left + self.side / 2, EDGE, SIZE)
        page.text("truth", EDGE, self.top + self.side / 2, SIZE, upright=True)
        for number, name in enumerate(self.names):
            middle = (number + 0.5) * self.cell
            half = (name.count("\n") + 1) * SMALL * LINE / 2
            page.text(name, self.left - GAP, self.top + middle - half, SMALL, across="right")
            if self.across:
                page.text(name, self.left + middle, self.top - GAP - 2 * half, SMALL)
            else:
                page.text(name, self.left + middle - half, self.top - GAP, SMALL, upright=True, across="left")

    def _cells(self, axes: Axes) -> None:
        from matplotlib.collections import LineCollection, PolyCollection
        from matplotlib.colors import to_rgba

        inner = range(1, self.k)
        lines = [[(x, 0), (x, self.k)] for x in inner] + [[(0, y), (self.k, y)] for y in inner]
        axes.add_collection(LineCollection(lines, colors=GRID.light, linewidths=0.4))
        squares = [[(j, i), (j + 1, i), (j + 1, i + 1), (j, i + 1)] for i, j in self.filled]
        depths = [_depth(self.shares[i, j]) for i, j in self.filled]
        colors = [
            to_rgba((RIGHT if i == j else WRONG).light, depth)
            for (i, j), depth in zip(self.filled, depths, strict=True)
        ]
        axes.add_collection(PolyCollection(squares, facecolors=colors, linewidths=0))
        for (i, j), text, depth in zip(self.filled, self.texts, depths, strict=True):
            color = (PAPER if depth > DEEP else TEXT).light
            axes.text(j + 0.5, i + 0.52, text, size=self.size, color=color, ha="center", va="center_baseline")


def _percent(share: float) -> str:
    """Write a share above zero in whole percents; what would be 0 or falsely 100 says so."""
    if share < 0.005:
        return "<1"
    return ">99" if 0.995 <= share < 1 else f"{100 * share:.0f}"


def _depth(share: float) -> float:
    """The opacity of a cell's colour: a single image of many still is seen."""
    return float(0.08 + 0.92 * share)


def _alt(counts: IntArray, classes: Sequence[str]) -> str:
    n, right = int(counts.sum()), int(np.trace(counts))
    said = f"Confusion matrix of {n:,} images in {len(classes)} classes: {right:,} are classified correctly."
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:TOLD]
    pairs = [divmod(int(place), len(classes)) for place in order]
    told = [f"{classes[i]} for {classes[j]} ({wrong[i, j]:,})" for i, j in pairs if wrong[i, j]]
    return f"{said} The most frequent errors take {', '.join(told)}." if told else said
