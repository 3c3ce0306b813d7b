"""What one process does for a study: cells one after another, each from wherever it stands to its result."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bioclass.checkpoint import load_state
from bioclass.dataset import Load, ReadOnce, load_samples
from bioclass.errors import BioclassError, RunError, Stopped
from bioclass.recipe import Recipe
from bioclass.shelf import Shelf
from bioclass.study.cells import Cell
from bioclass.study.pool import CLOCK, PARTS, Pool, Tick, read_clock
from bioclass.validation import validate

TICK = 1.0
"""Seconds between two notes of the clock."""


@dataclass(frozen=True)
class Job:
    """A cell to run and where: plain values, to be sent to a process or another machine."""

    name: str
    recipe: dict[str, Any]
    recipe_folder: str
    runs: str
    root: str | None
    shelf: list[str]
    jobs: int
    device: str = "auto"

    @classmethod
    def of(cls, cell: Cell, pool: Pool, root: Path | None, shelf: Shelf, jobs: int, device: str = "auto") -> Job:
        """Return the job of a cell; its paths hold from any working directory."""
        return cls(
            cell.name,
            cell.recipe.model_dump(mode="json"),
            str(cell.folder.resolve()),
            str(pool.folder.resolve()),
            None if root is None else str(root.resolve()),
            [str(folder) for folder in shelf.folders],
            jobs,
            device,
        )


@dataclass(frozen=True)
class Outcome:
    """How a process ended: its cell is finished, stopped, held by another process, or failed for a reason."""

    state: Literal["finished", "stopped", "busy", "failed"]
    reason: str = ""


def run_job(job: Job, stop: Callable[[], bool] = lambda: False, load: Load = load_samples) -> Outcome:
    """Run a cell to its end in this process, from where its folder stands; ``load`` reads its dataset.

    Raises:
        BioclassError: it cannot be run.
    """
    pool = Pool(Path(job.runs))
    recipe = validate(Recipe, job.recipe, "Recipe", RunError)
    cell = Cell(job.name, recipe, Path(job.recipe_folder))
    try:
        with pool.hold(job.name):
            if pool.state(cell) != "finished":
                _run(job, cell, pool, stop, load)
            return Outcome("finished")
    except BlockingIOError:
        return Outcome("busy")
    except Stopped:
        return Outcome("stopped")


def _run(job: Job, cell: Cell, pool: Pool, stop: Callable[[], bool], load: Load) -> None:
    from bioclass.fit.session import Request, load_libraries, open_session

    load_libraries(cell.recipe, job.device)
    from bioclass.evaluate import evaluate_runs
    from bioclass.fit.loop import fit

    started = time.monotonic()
    shelf = Shelf(tuple(Path(folder) for folder in job.shelf))
    root = None if job.root is None else Path(job.root)
    path = pool.path(cell)
    if pool.state(cell) == "started":
        pool.refuse_other(cell)
    request = Request(cell.recipe, cell.folder, path, root, resume=True, device=job.device, workers=1)
    with open_session(request, shelf, lambda text: None, load) as session:
        clock = Clock(session.run.path, session.task.stream.iterations, _iteration(session.run), started)
        for _ in fit(session.run, session.task, session.trainer, session.validation, clock.note, stop):
            pass
        fit_seconds = clock.end()
        parts = [part for part in PARTS if (session.run.split.parts == part).any()]
    figures, seconds = {}, {}
    for part in parts:
        if stop():
            raise Stopped("Stopped before it was evaluated.")
        begun = time.monotonic()
        metrics = evaluate_runs([path], shelf, root=root, part=part, device=job.device, load=load).models[0].metrics
        figures[part] = metrics.n, int(metrics.confusion.trace())
        seconds[part] = time.monotonic() - begun
    pool.finish(cell.name, figures, fit_seconds, seconds["test"], job.jobs)


def _iteration(run: Any) -> int:
    state = load_state(run.path / "last")
    return 0 if state is None else int(state["iteration"])


class Clock:
    """Notes how long a fit has taken, in the run folder, so that a resumed one knows what went before."""

    def __init__(self, run: Path, total: int, iteration: int, started: float) -> None:
        self._file = run / CLOCK
        self._total = total
        self._iteration = iteration
        # To start again costs time that a fit left alone would not have taken.
        self._began = time.monotonic() - _before(run, iteration) if iteration else started
        self._noted = 0.0
        self._write(start=True)

    def note(self, iteration: int, loss: float) -> None:
        """Take notice of the iteration reached."""
        self._iteration = iteration
        if time.monotonic() - self._noted > TICK:
            self._write()

    def end(self) -> float:
        """Write the last note; return the seconds of the whole fit."""
        return self._write()

    def _write(self, start: bool = False) -> float:
        self._noted = time.monotonic()
        tick = Tick(self._iteration, self._total, round(self._noted - self._began, 3), start)
        with self._file.open("a", encoding="utf-8") as stream:
            # A kill may have cut the last line short.
            stream.write(("\n" if start else "") + json.dumps(asdict(tick)) + "\n")
        return tick.seconds


def _before(run: Path, iteration: int) -> float:
    """The seconds that a run had taken up to an iteration; one of `bioclass fit` tells those of its epochs."""
    noted = [tick.seconds for tick in read_clock(run) if tick.iteration <= iteration]
    if noted:
        return noted[-1]
    times = run / "times.jsonl"
    return sum(json.loads(line)["seconds"] for line in times.read_text().splitlines()) if times.is_file() else 0.0


def serve(parent: int) -> None:
    """Be a process of its own: a line on stdin is a job, one on stdout its outcome; all else goes to the job's log.

    It ends after the last job, and with the process that started it, so that no cell is held for nobody.
    """
    _end_with(parent)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))

    def stop() -> bool:
        return bool(asked) or os.getppid() != parent

    load = ReadOnce()
    # What libraries print is not the answer.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        for line in sys.stdin:
            job = Job(**json.loads(line))
            with Pool(Path(job.runs)).log_file(job.name).open("ab") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            try:
                outcome = run_job(job, stop, load)
            except BioclassError as problem:
                outcome = Outcome("failed", str(problem))
            answers.write(json.dumps(asdict(outcome)) + "\n")
            answers.flush()
            _give_back()


def _give_back() -> None:
    """Let go of the memory of the last run, lest that of many adds up."""
    # The graphs of a network are circles, which keep its memory; what is there now, the next need not look through.
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU library alone
    if trim is not None:
        trim(0)


def _end_with(parent: int) -> None:
    """Let the system kill this process when its parent ends; where it cannot, ``stop`` notices a little later."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
