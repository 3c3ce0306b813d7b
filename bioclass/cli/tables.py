"""Tables of text that fit a terminal, and are whole in a pipe."""

from __future__ import annotations

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple, TypeAlias

GAP = "  "
NARROWEST = 12
"""Letters in a line to which a column is folded at most."""


class Two(NamedTuple):
    """A cell of two halves: side by side where there is room, else one above the other."""

    upper: str
    lower: str
    beside: str = "{} {}"


Cell: TypeAlias = str | Two
Align = Literal["left", "right"]


def table(
    columns: Sequence[Cell], rows: Sequence[Sequence[Cell]], align: Sequence[Align], width: int | None
) -> str:
    """Return a table as text; ``width`` is that of the terminal, None where nothing limits it.

    Where it does not fit, halves go one above the other, and then columns aligned to the left are folded.
    """
    cells = [list(columns), *(list(row) for row in rows)]
    flat = [[[_beside(cell)] for cell in row] for row in cells]
    if width is not None and _needed(flat) > width:
        flat = [[_halves(cell) for cell in row] for row in cells]
        for column in sorted(range(len(columns)), key=lambda column: -_widths(flat)[column]):
            wanted = max(NARROWEST, _widths(flat)[column] - (_needed(flat) - width))
            if align[column] == "left" and wanted < _widths(flat)[column]:
                for row in flat:
                    row[column] = _folded(row[column], wanted)
    widths = _widths(flat)
    out = []
    for row in flat:
        for texts in zip_longest(*row, fillvalue=""):
            padded = [_padded(*each) for each in zip(texts, widths, align, strict=True)]
            out.append(GAP.join(padded).rstrip())
    return "\n".join(out)


def print_table(
    title: str, columns: Sequence[Cell], rows: Sequence[Sequence[Cell]], align: Sequence[Align] | None = None
) -> None:
    """Print a table on stdout; by default the first column is aligned to the left, the others to the right."""
    if title:
        print_text(title)
    print(table(columns, rows, align or _first_left(len(columns)), _terminal_width()))


def print_text(text: str) -> None:
    """Print a paragraph on stdout, in lines that fit a terminal."""
    width = _terminal_width()
    print(text if width is None else textwrap.fill(text, width))


def _terminal_width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _first_left(columns: int) -> list[Align]:
    return ["left" if number == 0 else "right" for number in range(columns)]


def _beside(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    return cell.beside.format(cell.upper, cell.lower) if cell.lower else cell.upper


def _halves(cell: Cell) -> list[str]:
    return [cell] if isinstance(cell, str) else [half for half in (cell.upper, cell.lower) if half]


def _folded(lines: list[str], width: int) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""]]


def _widths(rows: list[list[list[str]]]) -> list[int]:
    return [
        max((_cells(line) for lines in column for line in lines), default=0) for column in zip(*rows, strict=True)
    ]


def _needed(rows: list[list[list[str]]]) -> int:
    widths = _widths(rows)
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _cells(text: str) -> int:
    """The columns of a terminal that a text takes: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def _padded(text: str, width: int, align: Align) -> str:
    space = " " * (width - _cells(text))
    return text + space if align == "left" else space + text
