"""Run a study's missing cells on this machine, several processes at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bioclass.errors import Stopped
from bioclass.shelf import Shelf
from bioclass.study.cells import Cell
from bioclass.study.child import Child, wait
from bioclass.study.forecast import Forecast
from bioclass.study.pool import Pool, Tick, last_tick
from bioclass.study.work import Job

PAUSE = 0.2
"""Seconds between two looks at the processes."""

PATIENCE = 1.0
"""Seconds between two looks at runs that another study has."""


class Watcher(Protocol):
    """Told what happens."""

    def started(self, cell: Cell, again: bool) -> None:
        """A cell runs now; ``again`` if it goes on from where an earlier start left it."""

    def reached(self, cell: Cell, tick: Tick) -> None:
        """A running cell has come this far."""

    def finished(self, cell: Cell) -> None:
        """A cell has its result."""

    def failed(self, cell: Cell, reason: str) -> None:
        """A cell cannot be finished."""

    def waiting(self, cells: int) -> None:
        """All that is left are cells that another study runs now."""

    def left(self, seconds: float | None) -> None:
        """About this long it will take; None while nobody can know."""


def run_cells(
    cells: Sequence[Cell],
    pool: Pool,
    shelf: Shelf,
    roots: Mapping[str, Path | None],
    jobs: int,
    watch: Watcher,
    stop: Callable[[], bool] = lambda: False,
    device: str = "auto",
) -> dict[str, str]:
    """Run every cell that is not finished, ``jobs`` at a time; return the reasons of those that failed, by name.

    A cell that another study runs meanwhile is waited for. ``roots`` are the folders of the cells' data, by name.

    Raises:
        Stopped: ``stop`` said so; what ran has saved its state.
    """
    return _Runner(cells, pool, shelf, roots, jobs, watch, device).run(stop)


class _Runner:
    def __init__(
        self,
        cells: Sequence[Cell],
        pool: Pool,
        shelf: Shelf,
        roots: Mapping[str, Path | None],
        jobs: int,
        watch: Watcher,
        device: str,
    ) -> None:
        self.device = device
        self.pool = pool
        self.shelf = shelf
        self.roots = roots
        self.jobs = jobs
        self.watch = watch
        self.queue = deque(cell for cell in cells if pool.state(cell) != "finished")
        self.running: dict[str, tuple[Cell, Child]] = {}
        self.idle: list[Child] = []
        self.failures: dict[str, str] = {}
        self.forecast = Forecast(cells, pool)

    def run(self, stop: Callable[[], bool]) -> dict[str, str]:
        try:
            while self.queue or self.running:
                if stop():
                    self._stop()
                self._reap()
                self._launch()
                self._tell()
                self._wait()
        finally:
            for child in (*self.idle, *(child for _, child in self.running.values())):
                child.kill()
        return self.failures

    def _launch(self) -> None:
        """Start cells while there is room; one that another process holds goes to the end of the queue."""
        for _ in range(len(self.queue)):
            if len(self.running) >= self.jobs:
                return
            cell = self.queue.popleft()
            state = self.pool.state(cell)
            if state == "finished":
                self.watch.finished(cell)
            elif self.pool.busy(cell.name):
                self.queue.append(cell)
            else:
                job = Job.of(cell, self.pool, self.roots[cell.name], self.shelf, self.jobs, self.device)
                self.running[cell.name] = cell, self._child(job)
                self.watch.started(cell, state == "started")
        if self.queue and not self.running:
            self.watch.waiting(len(self.queue))

    def _child(self, job: Job) -> Child:
        """Return a process that has the job: one that is there, or a new one."""
        while self.idle:
            child = self.idle.pop()
            if child.give(job):
                return child
            child.close()
        return Child(job)

    def _wait(self) -> None:
        """Wait for an answer, and not longer than until the next look at the rest."""
        if self.running:
            wait([child for _, child in self.running.values()], PAUSE)
        else:
            time.sleep(PATIENCE)

    def _reap(self) -> None:
        for name, (cell, child) in list(self.running.items()):
            outcome = child.outcome()
            if outcome is None:
                continue
            del self.running[name]
            self.idle.append(child)
            if outcome.state == "finished":
                self.forecast.finished(cell)
                self.watch.finished(cell)
            elif outcome.state == "failed":
                self.failures[name] = outcome.reason
                self.watch.failed(cell, outcome.reason)
            else:
                self.queue.append(cell)

    def _tell(self) -> None:
        ticks = {}
        for name, (cell, _) in self.running.items():
            tick = last_tick(self.pool.path(cell))
            if tick is not None:
                ticks[name] = tick
                self.watch.reached(cell, tick)
        running = [cell for cell, _ in self.running.values()]
        self.watch.left(self.forecast.seconds(running, list(self.queue), ticks, self.jobs))

    def _stop(self) -> None:
        """Let every process save its state, which takes it a moment, and end."""
        for _, child in self.running.values():
            child.stop()
        while self.running:
            for name, (_, child) in list(self.running.items()):
                if child.outcome() is not None:
                    del self.running[name]
                    child.close()
            self._wait()
        raise Stopped("Stopped. The same command goes on from here.")
