"""One figure of a report: drawn when it is asked for, as a file or as a part of a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from bioclass.report.curves.inks import GRID, INKS, NOTE, TEXT
from bioclass.report.sheet import DPI, Sheet, check_target, measured, plain, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bioclass.metrics import Estimate

SIZE, SMALL = 7.5, 6.5
"""Sizes of text, in points."""
STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": NOTE.light,
    "axes.grid": True,
    "axes.labelcolor": TEXT.light,
    "axes.labelpad": 3,
    "axes.labelsize": SIZE,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": TEXT.light,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.titlesize": SIZE,
    "grid.color": GRID.light,
    "grid.linewidth": 0.5,
    "legend.borderaxespad": 0,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.labelcolor": TEXT.light,
    "lines.linewidth": 1.2,
    "text.color": TEXT.light,
    # The names of classes may hold dollars.
    "text.parse_math": False,
    "xtick.color": NOTE.light,
    "xtick.labelcolor": TEXT.light,
    "xtick.labelsize": SMALL,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.color": NOTE.light,
    "ytick.labelcolor": TEXT.light,
    "ytick.labelsize": SMALL,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
}


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        name: a stem for its file: "roc".
        width: in inches.
        height: in inches.
        alt: a sentence or two that tell, without the figure, what it shows.
        caption: what stands below it.
        paint: draws it on a sheet.
        dpi: dots an inch of a PNG; fewer keep one of photographs small.
    """

    name: str
    width: float
    height: float
    alt: str
    caption: str
    paint: Callable[[Sheet], None]
    dpi: int = DPI

    def save(self, path: Path) -> None:
        """Write the figure as PNG or SVG, by the suffix; the same figure gives the same bytes.

        Raises:
            InputError: another suffix, or no such folder.
        """
        check_target(path)
        with self._drawn("path") as page:
            page.save(path, self.caption, self.dpi)

    def svg(self, themed: bool = False) -> str:
        """Return the figure as an ``<svg>`` element.

        Args:
            themed: for a page: its text is text, in the page's font, and its colours are the variables of the page
                (``--ink``, ``--muted``, ``--line``, ``--paper``, ``--series-1`` to ``--series-8``), with light ones
                where the page has none. Otherwise text is outlines, the same everywhere.
        """
        with self._drawn("none" if themed else "path") as page:
            text = page.rendered("svg", self.caption).decode()
        return in_page(text, plain(self.alt), themed)

    @contextmanager
    def _drawn(self, fonttype: str) -> Iterator[Sheet]:
        # Ids of two figures in one page differ.
        salt = f"bioclass {self.name} {self.alt}"
        with sheet(self.width, self.height, {**STYLE, "svg.fonttype": fonttype, "svg.hashsalt": salt}) as page:
            self.paint(page)
            yield page


def in_page(text: str, alt: str, themed: bool) -> str:
    """Return a whole SVG file as an element that changes nothing around it, with ``alt`` for screen readers."""
    body = text[text.index("<svg") :]
    head, body = body.split(">", 1)
    box = re.search(r'viewBox="([^"]+)"', head)
    assert box is not None
    wide, high = box[1].split()[2:]
    # The file's rule is for every element, which in a page would be all of the page's.
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", body))
    body = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", body)
    body = re.sub(r"<defs>\s*</defs>|<!--.*?-->", "", body, flags=re.DOTALL)
    style = "stroke-linejoin:round;stroke-linecap:butt"
    if themed:
        style += f";fill:var({TEXT.variable},{TEXT.light})"
        # The family, which versions of matplotlib write in one way or the other, is the page's.
        body = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", body)
        body = re.sub(r"font-family: [^;\"]+;? ?", "", body)
        for ink in INKS:
            body = body.replace(f": {ink.light}", f": var({ink.variable}, {ink.light})")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box[1]}" '
        f'width="{wide}pt" height="{high}pt" role="img" aria-label={quoteattr(alt)} style="{style}">{body}'
    ).rstrip()


def share_axes(axes: Axes, *, across: str, up: str) -> None:
    """Let axes run from 0 to 1, in fifths, and name them."""
    for axis, name in ((axes.xaxis, across), (axes.yaxis, up)):
        axis.set_ticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axis.set_label_text(name)
    # Lines at the rims stay whole.
    axes.set(xlim=(-0.012, 1.012), ylim=(-0.012, 1.012))


def told(estimate: Estimate, digits: int = 3, scale: float = 1) -> str:
    """Write an estimate as ``0.981 (0.972-0.988)``, as the tables do; a dash where it is undefined."""
    if estimate.value is None:
        return "-"
    text = f"{estimate.value * scale:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({estimate.low * scale:.{digits}f}-{estimate.high * scale:.{digits}f})"


def shortened(name: str, width: float) -> str:
    """Return a name in one line of at most ``width`` inches of small text, cut off if it must be."""
    text = plain(name)
    if measured(text, SMALL) <= width:
        return text
    while text and measured(text + "\u2026", SMALL) > width:
        text = text[:-1]
    return text + "\u2026"
