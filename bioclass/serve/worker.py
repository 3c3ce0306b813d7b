"""One thread that does all computing with MXNet, which is not made for several, and what waits for it."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple["Future[Any]", Callable[[], Any]]


class Worker:
    """A thread that does one job after the other, and in between, step by step, what can wait.

    How many jobs may wait is for the callers to bound.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._idle: deque[Iterator[None]] = deque()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="bioclass-mxnet", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Let a job be done when its turn comes."""
        future: Future[T] = Future()
        self._jobs.put((future, job))
        return future

    async def do(self, job: Callable[[], T]) -> T:
        """Return what a job returns; where the caller is cancelled before its turn comes, it is not done."""
        return await asyncio.wrap_future(self.submit(job))

    def when_idle(self, steps: Iterator[None]) -> None:
        """Let steps be done while no job waits; they end where one raises, so they see to their own errors."""
        self.submit(lambda: self._idle.append(steps))

    def stop(self, seconds: float = 10.0) -> None:
        """End after the job that is being done; those that wait are not done."""
        self._ended = True
        self._jobs.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(block=not self._idle)
            except queue.Empty:
                self._step()
                continue
            if job is None or self._ended:
                return
            future, compute = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(compute())
            except BaseException as problem:
                future.set_exception(problem)

    def _step(self) -> None:
        try:
            next(self._idle[0])
        except Exception:
            self._idle.popleft()
        else:
            self._idle.rotate(-1)
