"""Run a study's missing cells on the workers of a Dask scheduler, with the pool in a folder that all share.

A worker runs each cell in a process that dies with it, and so gives back the cell's lock; Dask then sends the cell
to another worker, where it goes on from its last checkpoint.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioclass.errors import BioclassError, InputError, MissingDependency, Stopped
from bioclass.shelf import Shelf
from bioclass.study.cells import Cell
from bioclass.study.child import Child
from bioclass.study.forecast import Forecast
from bioclass.study.pool import Pool, last_tick
from bioclass.study.runner import Watcher
from bioclass.study.work import Job, Outcome

ANSWER = 30.0
"""Seconds in which the scheduler, and a first worker, must answer."""

PAUSE = 0.5
"""Seconds between two looks at the cluster, and of a worker at its process."""


def run_on_cluster(
    cells: Sequence[Cell],
    pool: Pool,
    shelf: Shelf,
    roots: Mapping[str, Path | None],
    address: str,
    watch: Watcher,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, str]:
    """Run every cell that is not finished on a cluster; return the reasons of those that failed, by name.

    ``roots`` are the folders of the cells' data, by name.

    Raises:
        MissingDependency: Dask is not installed.
        InputError: no scheduler or no worker answers, or the workers do not share the folders.
        BioclassError: the scheduler was lost.
        Stopped: ``stop`` said so; what ran saves its state.
    """
    with _connected(address) as client, _token(pool) as token:
        todo = [cell for cell in cells if pool.state(cell) != "finished"]
        at_once = _check_workers(client, _folders(todo, shelf, roots), token)
        jobs = _most_on_a_machine(client.nthreads())
        crowd = _Crowd(client, Forecast(cells, pool), pool, watch, at_once)
        for cell in todo:
            crowd.submit(cell, Job.of(cell, pool, roots[cell.name], shelf, jobs), token)
        while crowd.futures:
            if stop():
                # The workers see it, ask their processes to save and end, and answer.
                token.unlink()
                client.cancel(list(crowd.futures))
                raise Stopped("Stopped. The same command goes on from here.")
            try:
                crowd.look()
            except (OSError, _Lost):
                raise BioclassError(
                    f"The scheduler at {address} is gone, or has let go of the runs: start it and its workers "
                    "again, and then the same command; finished runs stay."
                ) from None
            time.sleep(PAUSE)
        return crowd.failures


@dataclass(frozen=True)
class Wanted:
    """What a worker must find: the token of the study in its folder of runs, and folders at the same paths."""

    token: str
    folders: tuple[str, ...]
    version: str


def problem_here(wanted: Wanted) -> str:
    """Return what a worker lacks, in words; nothing if it is ready."""
    from bioclass import __version__

    if __version__ != wanted.version:
        return f"has bioclass {__version__}, not {wanted.version}"
    if not Path(wanted.token).is_file():
        return f"does not share the folder of runs {Path(wanted.token).parent}"
    missing = [folder for folder in wanted.folders if not Path(folder).is_dir()]
    return f"does not have the folder {missing[0]}" if missing else ""


def serve_job(job: Job, token: str) -> Outcome:
    """Run a job on a worker, in a process of its own; as long as another holds the cell, wait.

    The study takes its token away to stop its workers.
    """
    wanted = Path(token)
    while wanted.is_file():
        child = Child(job)
        try:
            while (outcome := child.outcome()) is None:
                if not wanted.is_file():
                    child.stop()
                time.sleep(PAUSE)
        except BaseException:
            child.kill()
            raise
        child.close()
        if outcome.state != "busy":
            return outcome
        time.sleep(PAUSE)
    return Outcome("stopped")


class _Lost(Exception):
    """The scheduler knows a run no more."""


class _Crowd:
    """The cells that are on the cluster."""

    def __init__(self, client: Any, forecast: Forecast, pool: Pool, watch: Watcher, at_once: int) -> None:
        self.client = client
        self.forecast = forecast
        self.pool = pool
        self.watch = watch
        self.at_once = at_once
        self.futures: dict[Any, tuple[Cell, Job, Path]] = {}
        self.failures: dict[str, str] = {}
        self.seen: set[str] = set()
        self.again: dict[str, bool] = {}

    def submit(self, cell: Cell, job: Job, token: Path) -> None:
        self.again[cell.name] = self.pool.state(cell) == "started"
        self.pool.log_file(cell.name).unlink(missing_ok=True)
        future = self.client.submit(
            serve_job, job, str(token), key=f"{cell.name}-{uuid.uuid4().hex[:8]}", pure=False
        )
        self.futures[future] = cell, job, token

    def look(self) -> None:
        """Take in what is done, and tell how far the others are."""
        for future, (cell, job, token) in list(self.futures.items()):
            if future.done():
                del self.futures[future]
                self._ended(cell, job, token, future)
        given = {str(key) for keys in self.client.processing().values() for key in keys}
        at_work = [cell for future, (cell, _, _) in self.futures.items() if str(future.key) in given]
        # A worker is given more than it has room for; the log is there once a process is.
        running = [cell for cell in at_work if self.pool.log_file(cell.name).exists()]
        ticks = {}
        for cell in running:
            if cell.name not in self.seen:
                self.seen.add(cell.name)
                self.watch.started(cell, self.again[cell.name])
            tick = last_tick(self.pool.path(cell))
            if tick is not None:
                ticks[cell.name] = tick
                self.watch.reached(cell, tick)
        names = {cell.name for cell in running}
        queued = [cell for cell, _, _ in self.futures.values() if cell.name not in names]
        self.watch.left(self.forecast.seconds(running, queued, ticks, self.at_once))

    def _ended(self, cell: Cell, job: Job, token: Path, future: Any) -> None:
        if future.status not in ("finished", "error"):
            raise _Lost
        problem = future.exception()
        outcome = Outcome("failed", _reason(problem)) if problem is not None else future.result()
        if outcome.state == "finished":
            self.forecast.finished(cell)
            self.watch.finished(cell)
        elif outcome.state == "failed":
            self.failures[cell.name] = outcome.reason
            self.watch.failed(cell, outcome.reason)
        else:
            self.submit(cell, job, token)


def _reason(problem: BaseException) -> str:
    return f"The cluster gave it up ({type(problem).__name__}: {_first_line(problem)})."


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or ["no word"])[0]


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        import distributed
    except ImportError:
        raise MissingDependency("--cluster needs Dask: pip install 'bioclass[cluster]'.") from None
    # What it logs with a traceback is told in a sentence.
    for name in ("client", "core"):
        logging.getLogger(f"distributed.{name}").setLevel(logging.CRITICAL)
    connect: Any = distributed.Client
    try:
        client = connect(address, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError, TypeError) as problem:
        raise InputError(
            f"No Dask scheduler answers at {address}: start one with `dask scheduler`, and give the address that "
            f"it prints, for example tcp://host:8786 ({_first_line(problem)})."
        ) from None
    with client:
        yield client


@contextmanager
def _token(pool: Pool) -> Iterator[Path]:
    """A file by which workers know the folder of runs, and that the study goes on."""
    pool.folder.mkdir(parents=True, exist_ok=True)
    file = pool.folder.resolve() / f".study-{uuid.uuid4().hex}"
    file.write_text(f"{os.getpid()}\n", encoding="utf-8")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _folders(cells: Sequence[Cell], shelf: Shelf, roots: Mapping[str, Path | None]) -> list[Path]:
    """The folders that workers must have too: of the data, the user's own, and where datasets are looked for."""
    known = shelf.cards()
    folders = {root for cell in cells if (root := roots[cell.name]) is not None} | set(shelf.folders)
    return sorted(folders | {cell.folder.resolve() for cell in cells if cell.recipe.dataset not in known})


def _check_workers(client: Any, folders: Sequence[Path], token: Path) -> int:
    """Return how many cells can run at a time; refuse a cluster whose workers lack something."""
    from bioclass import __version__

    try:
        client.wait_for_workers(1, timeout=ANSWER)
    except TimeoutError:
        raise InputError(
            f"The scheduler at {client.scheduler.address} has no workers: start some with `dask worker`."
        ) from None
    wanted = Wanted(str(token), tuple(str(folder) for folder in folders), __version__)
    answers = client.run(problem_here, wanted, on_error="return")
    for worker, problem in sorted(answers.items()):
        if problem:
            raise InputError(
                f"The worker {worker} {_words(problem)}: workers need the same bioclass, and the same folders at "
                "the same paths; name a shared folder with --runs (and --root)."
            )
    return int(sum(client.nthreads().values()))


def _most_on_a_machine(threads: dict[str, int]) -> int:
    """The most cells that run on one machine at a time, by the addresses of its workers."""
    machines: Counter[str] = Counter()
    for address, count in threads.items():
        machines[address.rpartition(":")[0]] += count
    return max(machines.values())


def _words(problem: Any) -> str:
    return problem if isinstance(problem, str) else f"cannot run bioclass ({problem!r})"
