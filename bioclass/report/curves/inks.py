"""The inks of figures: roles with a colour in each theme, and series that every reader can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple


class Ink(NamedTuple):
    """A role: the CSS variable that a page may set, and its colours on white and on dark paper."""

    variable: str
    light: str
    dark: str


# Each light colour stands for one role alone, so that it can be found again in an SVG; text and notes have those of
# ``sheet``.
TEXT = Ink("--ink", "#000000", "#e8eaed")
NOTE = Ink("--muted", "#555555", "#a3abb5")
GRID = Ink("--line", "#d5d9de", "#3a4048")
PAPER = Ink("--paper", "#ffffff", "#14171a")

# Found by search: on white, and on dark paper, each has a contrast of 3 to 1 or more, and any two differ by more
# than 20 in CIELAB, also as seen with each of the three kinds of colour blindness (Machado, Oliveira and Fernandes
# 2009, A physiologically-based model for simulation of color vision deficiency, IEEE TVCG 15:1291-1298).
SERIES = (
    Ink("--series-1", "#3566e6", "#7398fb"),
    Ink("--series-2", "#f06400", "#f0561e"),
    Ink("--series-3", "#12a86a", "#62f59a"),
    Ink("--series-4", "#780808", "#f5e04a"),
    Ink("--series-5", "#d670ca", "#cc66a6"),
    Ink("--series-6", "#0a1f8f", "#cdeff8"),
    Ink("--series-7", "#70626b", "#a08c70"),
    Ink("--series-8", "#520a55", "#8a50f5"),
)
INKS = (TEXT, NOTE, GRID, PAPER, *SERIES)
RIGHT, WRONG = SERIES[0], SERIES[1]
"""The colours of right answers, and of wrong ones."""

Dash = Literal["-"] | tuple[float, Sequence[float]]
_DASHES: tuple[Dash, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
MOST = len(SERIES) * 2
"""Lines that can be told apart in one figure; where there are more, a few are picked out."""


class Look(NamedTuple):
    """How one series is drawn."""

    color: str
    dash: Dash
    marker: str


def look(number: int) -> Look:
    """Return how series ``number``, from 0, is drawn: after all colours follow dashes."""
    turn, place = divmod(number, len(SERIES))
    return Look(SERIES[place].light, _DASHES[turn % len(_DASHES)], _MARKERS[place])


def inks_css() -> str:
    """Return the variables of the series as CSS for a page, in both themes."""
    light = "".join(f"{ink.variable}:{ink.light};" for ink in SERIES)
    dark = "".join(f"{ink.variable}:{ink.dark};" for ink in SERIES)
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
