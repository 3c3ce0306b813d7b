"""Tables and paragraphs that fit a terminal, and are whole in a pipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console

GAP = 2
"""Spaces between columns."""
NARROWEST = 12
"""Letters in a line to which a column is folded at most."""


class Two(NamedTuple):
    """A cell of two halves: side by side where there is room, else one above the other."""

    upper: str
    lower: str
    beside: str = "{} {}"

    def in_one_line(self) -> str:
        """Return the halves side by side."""
        return self.beside.format(self.upper, self.lower) if self.lower else self.upper

    def in_two_lines(self) -> str:
        """Return one half above the other."""
        return "\n".join(half for half in (self.upper, self.lower) if half)


Cell: TypeAlias = str | Two
Align = Literal["left", "right"]


def table(
    columns: Sequence[Cell], rows: Sequence[Sequence[Cell]], align: Sequence[Align], width: int | None
) -> str:
    """Return a table as text; ``width`` is that of the terminal, None where nothing limits it.

    Where it does not fit, halves go one above the other, then columns aligned to the left are folded. Where that is
    not enough either, each row becomes a list with a line for every column.
    """
    cells = [columns, *rows]
    lines = [[cell if isinstance(cell, str) else cell.in_one_line() for cell in row] for row in cells]
    if width is None or _needed(widths := _widths(lines)) <= width:
        return _drawn(lines, align, None)
    halves = [[cell if isinstance(cell, str) else cell.in_two_lines() for cell in row] for row in cells]
    widths = _widths(halves)
    least = [min(wide, NARROWEST) if side == "left" else wide for wide, side in zip(widths, align, strict=True)]
    return _drawn(halves, align, width) if _needed(least) <= width else _listed(lines, width)


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
    print(text if width is None else _folded(text, width))


def _terminal_width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _first_left(columns: int) -> list[Align]:
    return ["left" if number == 0 else "right" for number in range(columns)]


def _console(width: int) -> Console:
    """A console that takes a name for a name: nothing in it is markup, an emoji, or something to colour."""
    from rich.console import Console

    return Console(width=width, markup=False, emoji=False, highlight=False)


def _drawn(lines: Sequence[Sequence[str]], align: Sequence[Align], width: int | None) -> str:
    """Rows, the first of them the heads of the columns, without rules, which say nothing to a screen reader."""
    from rich.table import Table

    drawn = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for head, side in zip(lines[0], align, strict=True):
        drawn.add_column(head, justify=side, no_wrap=side == "right", overflow="fold")
    for row in lines[1:]:
        drawn.add_row(*row)
    console = _console(_needed(_widths(lines)) if width is None else width)
    with console.capture() as captured:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _listed(lines: Sequence[Sequence[str]], width: int) -> str:
    """Each row as its first cell, and below it a line for every other one."""
    heads = [f"{head}: " if head else "" for head in lines[0]]
    return "\n".join(
        _folded(f"{'  ' * (number > 0)}{head}{cell}", width)
        for row in lines[1:]
        for number, (head, cell) in enumerate(zip(heads, row, strict=True))
        if cell
    )


def _folded(text: str, width: int) -> str:
    from rich.text import Text

    return "\n".join(line.plain.rstrip() for line in Text(text).wrap(_console(width), width))


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    from rich.cells import cell_len

    columns = zip(*lines, strict=True)
    return [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in columns]


def _needed(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
