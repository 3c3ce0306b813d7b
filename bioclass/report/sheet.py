"""A figure made of small pictures and text, placed in inches from its upper left corner, and written to a file.

Nothing is ever shown, and nothing outside of a figure is changed: no window, no default, no current figure.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError
from bioclass.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = npt.NDArray[np.uint8]

DPI = 300
WIDTH = 7.0
"""Inches: both columns of a journal's page."""
HEIGHT = 9.0
"""Inches: a journal's page above its caption."""
LINE = 1.25 / 72
"""Inches from one line of text to the next, for each point of its size."""
ASCENT = 0.95 / 72
"""Inches from the top of a line to its baseline, for each point of its size."""
SUFFIXES = (".png", ".svg")

MAGNIFIED = 3
"""From this magnification on, pixels are drawn as squares; below, the squares would differ visibly in size."""
_BIT = 0.01 / DPI
_FONT = "DejaVu Sans"
"""Comes with matplotlib, so that figures are the same everywhere."""
_OTHER_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "Noto Sans Devanagari",
)
"""Taken, where they are installed, for letters that it lacks."""
_INK = {"text": "#000000", "note": "#555555", "line": "#999999"}


def check_target(path: Path) -> None:
    """Refuse, before any work is done, a file that could not be written.

    Raises:
        InputError: another suffix than .png or .svg, a folder, or a folder that is not there.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"--out {path}: figures are PNG or SVG; let the name end in .png or .svg.")
    if path.is_dir():
        raise InputError(f"--out {path} is a folder: name a file in it.")
    if not path.parent.is_dir():
        raise InputError(f"--out {path}: there is no folder {path.parent}; make it first.")


@contextmanager
def sheet(width: float, height: float, more: Mapping[str, Any] | None = None) -> Iterator[Sheet]:
    """Give an empty figure of ``width`` x ``height`` inches, to be drawn and saved within the block.

    In the block matplotlib has its own defaults and the settings ``more``, whatever a user's settings file says, so
    that a figure is the same everywhere.
    """
    from matplotlib.figure import Figure
    from matplotlib.style import context

    height = round(height * DPI) / DPI
    style = {
        "font.family": _fonts(),
        # Without hinting text is as wide as it was measured, at any resolution.
        "text.hinting": "none",
        "svg.fonttype": "path",
        "svg.hashsalt": "bioclass",
        # Each picture stays one of its own in an SVG, to be moved or replaced.
        "image.composite_image": False,
    }
    with context(["default", {**style, **(more or {})}]):
        yield Sheet(Figure(figsize=(round(width * DPI) / DPI, height), dpi=DPI, facecolor="white"), height)


class Sheet:
    """A figure; all places are inches from its upper left corner."""

    def __init__(self, figure: Figure, height: float) -> None:
        self.height = height
        self._figure = figure

    def picture(self, pixels: Pixels, left: float, top: float, width: float, height: float) -> None:
        """Place pixels (H, W, 3) as large as they fit into a box, in its middle, with a hairline around them."""
        from matplotlib.image import BboxImage
        from matplotlib.patches import Rectangle
        from matplotlib.transforms import Bbox, TransformedBbox

        rows, columns = pixels.shape[:2]
        scale = min(width / columns, height / rows)
        # On whole dots: every pixel of a small picture is then a square of the same size.
        wide, high = (max(1, round(side * scale * DPI)) / DPI for side in (columns, rows))
        left = round((left + (width - wide) / 2) * DPI) / DPI
        bottom = self.height - round((top + (height - high) / 2) * DPI) / DPI - high
        inches = self._figure.dpi_scale_trans
        # A hair smaller, since matplotlib rounds a size up, and 300.0000001 dots would be 301.
        box = TransformedBbox(Bbox.from_bounds(left, bottom, wide - _BIT, high - _BIT), inches)
        nearest = scale * DPI >= MAGNIFIED
        image = BboxImage(box, interpolation="nearest" if nearest else "hanning", resample=True)
        image.set_data(pixels)
        self._figure.add_artist(image)
        # The hairline is the rim of what lies behind: it covers no pixel.
        hair = 1 / DPI
        behind = Rectangle(
            (left - hair, bottom - hair),
            wide + 2 * hair,
            high + 2 * hair,
            transform=inches,
            facecolor=_INK["line"],
            zorder=-1,
        )
        self._figure.add_artist(behind)

    def text(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        *,
        across: Literal["left", "center", "right"] = "center",
        ink: Literal["text", "note"] = "text",
        upright: bool = False,
    ) -> None:
        """Write lines of text from ``y`` down; ``upright`` ones go from ``x`` to the right, around ``y``.

        "left" is where the text begins: ``upright`` it goes up from ``y``.
        """
        for number, line in enumerate(text.split("\n")):
            baseline = (number * LINE + ASCENT) * size
            self._figure.text(
                x + baseline if upright else x,
                self.height - (y if upright else y + baseline),
                line,
                transform=self._figure.dpi_scale_trans,
                size=size,
                color=_INK[ink],
                ha=across,
                va="baseline",
                rotation=90 if upright else 0,
                rotation_mode="anchor",
                # A dollar in the name of a class is no formula.
                parse_math=False,
            )

    def rule(self, left: float, right: float, y: float) -> None:
        """Draw a thin horizontal line."""
        from matplotlib.lines import Line2D

        height = self.height - y
        inches = self._figure.dpi_scale_trans
        line = Line2D([left, right], [height, height], transform=inches, color=_INK["text"], linewidth=0.5)
        self._figure.add_artist(line)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return axes that fill a box; their ticks and labels stand around it."""
        wide, high = self._figure.get_size_inches()
        return self._figure.add_axes(
            (left / wide, 1 - (top + height) / high, width / wide, height / high),
        )

    def legend(
        self, lines: Sequence[Artist], names: Sequence[str], left: float, top: float, *, columns: int, **style: Any
    ) -> None:
        """Write what lines are called, beside a piece of each, in columns from a corner to the right and down."""
        wide, high = self._figure.get_size_inches()
        place = (left / wide, 1 - top / high)
        self._figure.legend(lines, names, loc="upper left", bbox_to_anchor=place, ncols=columns, **style)

    def save(self, path: Path, caption: str, dpi: int = DPI) -> None:
        """Write the figure as PNG or SVG, by the suffix; the same figure gives the same bytes.

        The caption is in the file's description.
        """
        write_atomic(path, self.rendered(path.suffix.lower().lstrip("."), caption, dpi))

    def rendered(self, kind: str, caption: str, dpi: int = DPI) -> bytes:
        """Return the bytes of a file of the figure, a "png" or an "svg"."""
        described: dict[str, Any] = {"Description": plain(caption)}
        described |= {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        buffer = io.BytesIO()
        self._figure.savefig(buffer, format=kind, dpi=dpi, metadata=described)
        return buffer.getvalue()


@lru_cache(maxsize=4096)
def measured(text: str, size: float) -> float:
    """Return the width of a line of text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=_fonts(), size=size)
    width: float = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    return width / 72


def wrapped(text: str, size: float, width: float) -> str:
    """Return text in lines of at most ``width`` inches, broken after spaces and hyphens, else anywhere."""
    lines: list[str] = []
    for part in text.split("\n"):
        lines.append("")
        for piece in _pieces(part, size, width):
            if lines[-1] and measured((lines[-1] + piece).rstrip(), size) > width:
                lines.append("")
            lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _pieces(text: str, size: float, width: float) -> Iterator[str]:
    for piece in re.findall(r"[^\s_/,-]*[\s_/,-]+|[^\s_/,-]+", text):
        if measured(piece.rstrip(), size) <= width:
            yield piece
        else:
            yield from piece


def plain(text: str) -> str:
    """Return a name as it can be drawn: what is no letter, sign or space, or is in no font, becomes an escape."""
    return "".join(
        letter if letter.isprintable() and ord(letter) in _letters() else _escaped(letter) for letter in text
    )


def _escaped(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode() if ord(letter) > 127 else repr(letter)[1:-1]


@cache
def _fonts() -> list[str]:
    """The families to draw text with; each takes the letters that those before it lack."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return [_FONT, *(name for name in _OTHER_FONTS if name in installed)]


@cache
def _letters() -> frozenset[int]:
    """The code points that can be drawn."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(point for name in _fonts() for point in get_font(findfont(name)).get_charmap())
