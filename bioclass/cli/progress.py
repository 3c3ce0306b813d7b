"""The progress of many runs, or images: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bioclass.cli.common import say

if TYPE_CHECKING:
    from bioclass.study.cells import Cell
    from bioclass.study.pool import Tick
    from bioclass.study.runner import Watcher


@contextmanager
def watcher(total: int, done: int) -> Iterator[Watcher]:
    """Show ``total`` runs, of which ``done`` are there."""
    if not sys.stderr.isatty():
        yield Lines(total, done)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Column

    # A narrow terminal cuts the names of runs short, not their figures.
    column = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    text = TextColumn("{task.description}", markup=False, table_column=column)
    with Progress(
        text,
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        console=Console(stderr=True),
        expand=True,
    ) as bars:
        yield Bars(bars, total, done)


@contextmanager
def counter() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function of what is being done, with how many images, and of how many; a log has no need of it."""
    if not sys.stderr.isatty():
        yield lambda doing, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        shown: dict[str, Any] = {}

        def advance(doing: str, done: int, total: int) -> None:
            if doing not in shown:
                shown[doing] = bars.add_task(doing, total=total)
            bars.update(shown[doing], completed=done)

        yield advance


class Lines:
    """One line for every run that starts or ends."""

    def __init__(self, total: int, done: int) -> None:
        self.total = total
        self.done = done
        self._left = ""
        self._waiting = False

    def started(self, cell: Cell, again: bool) -> None:
        """Say it."""
        self._waiting = False
        say(f"{'goes on' if again else 'starts '}  {cell.name}")

    def reached(self, cell: Cell, tick: Tick) -> None:
        """Say nothing: a log has no need of it."""

    def finished(self, cell: Cell) -> None:
        """Say it, and how many there are."""
        self.done += 1
        say(f"finished  {cell.name}  ({self.done} of {self.total}{self._left})")

    def failed(self, cell: Cell, reason: str) -> None:
        """Say why."""
        say(f"failed    {cell.name}: {reason}")

    def waiting(self, cells: int) -> None:
        """Say once that others are waited for."""
        if not self._waiting:
            say(f"waiting for {cells} run(s) that another study does now")
        self._waiting = True

    def left(self, seconds: float | None) -> None:
        """Keep it for the next line."""
        self._left = "" if seconds is None else f", {duration(seconds)} left"


class Bars:
    """A bar for the whole and one for every run that is on its way."""

    def __init__(self, bars: Any, total: int, done: int) -> None:
        self._bars = bars
        self._whole = bars.add_task("runs", total=total, completed=done, left="")
        self._of: dict[str, Any] = {}

    def started(self, cell: Cell, again: bool) -> None:
        """Show its bar."""
        self._bars.update(self._whole, description="runs")
        self._of[cell.name] = self._bars.add_task(cell.name, total=None, left="")

    def reached(self, cell: Cell, tick: Tick) -> None:
        """Move its bar."""
        left = "evaluating" if tick.iteration == tick.total else ""
        self._bars.update(self._of[cell.name], completed=tick.iteration, total=tick.total, left=left)

    def finished(self, cell: Cell) -> None:
        """Take its bar away, and move that of the whole."""
        self._remove(cell)
        self._bars.advance(self._whole)

    def failed(self, cell: Cell, reason: str) -> None:
        """Say why, above the bars."""
        self._remove(cell)
        self._bars.console.print(f"failed    {cell.name}: {reason}", markup=False, highlight=False)

    def waiting(self, cells: int) -> None:
        """Say so beside the whole."""
        self._bars.update(self._whole, description="runs (waiting for another study)")

    def left(self, seconds: float | None) -> None:
        """Show it beside the whole."""
        self._bars.update(self._whole, left="" if seconds is None else f"{duration(seconds)} left")

    def _remove(self, cell: Cell) -> None:
        if cell.name in self._of:
            self._bars.remove_task(self._of.pop(cell.name))


def duration(seconds: float) -> str:
    """Write a duration roughly: ``40 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 36:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
