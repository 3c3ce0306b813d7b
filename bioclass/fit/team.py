"""Training on processors: processes of one thread each that share every batch through memory.

MXNet scales poorly with threads on small networks, and well with processes. Each process computes the gradients
of its part of the batch into its own stretch of shared memory; when all are there, each sums and updates its own
share of the weights, in a fixed order, so that a run gives the same bits each time. This is synchronous data
parallelism with a reduce-scatter whose all-gather is free, since the weights themselves are shared. A team of one
is the same without the others.

Running statistics are each worker's own until a segment ends; then all take their mean
(:func:`~bioclass.fit.flat.merge_statistics`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from socket import socketpair
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.checkpoint import Tensors
from bioclass.errors import TrainingError
from bioclass.fit.flat import Layout, merge_statistics
from bioclass.fit.member import Member
from bioclass.fit.memory import Place, Region, Sizes, share_images
from bioclass.fit.replica import new_network
from bioclass.fit.task import Rows, Task
from bioclass.fit.tuning import rates
from bioclass.fit.update import state_count
from bioclass.predict import get_weights


class TeamTrainer:
    """A :class:`~bioclass.fit.task.Trainer` in ``workers`` processes, of which this one is the first.

    Raises:
        TrainingError: a worker died.
    """

    def __init__(self, task: Task, workers: int) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._links: list[Connection] = []
        self.task = task
        net = new_network(task, [mx.cpu()])
        self.layout = layout = Layout.of(net, rates(task, net))
        fit = task.recipe.fit
        states, average = state_count(fit.optimizer), fit.average is not None
        sizes = Sizes(workers, layout.trained.length, layout.statistics.length, states, average)
        descriptor = os.memfd_create("bioclass")
        try:
            self.region = Region.map(descriptor, sizes)
            self._set_weights(get_weights(net))
            if self.region.average is not None:
                self._set_average(get_weights(net))
            if workers > 1:
                self._start_all(sizes, descriptor)
            self.member = Member(self.task, 0, workers, self.region, self._check)
            for link in self._links:
                self._receive(link)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(descriptor)

    def train(self, start: int, end: int) -> float:
        """Train the iterations from ``start`` up to ``end``; return the sum of their losses."""
        for link in self._links:
            self._tell(link, ("train", start, end))
        self.member.train(start, end)
        for link in self._links:
            self._receive(link)
        for statistics in (self.region.statistics, self.region.average_statistics):
            if statistics is not None:
                statistics[:] = merge_statistics(statistics)
        return float(sum(self.region.losses))

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) of some rows of the task's images; every worker takes its part."""
        parts = np.array_split(rows, len(self._links) + 1)
        for link, part in zip(self._links, parts[1:], strict=True):
            self._tell(link, ("probabilities", part))
        out = [self.member.probabilities(parts[0]), *(self._receive(link) for link in self._links)]
        return np.concatenate([part for part in out if part.size])

    def result(self) -> Tensors:
        """Return copies of the weights to predict with, by name: their moving average where one is kept."""
        return self.layout.unpack(*self.region.result)

    def tensors(self) -> dict[str, Tensors]:
        """Return copies of the "weights" by name, of the "optimizer" state and of the "average", if one is kept."""
        weights = self.layout.unpack(self.region.weights, self.region.statistics[0])
        states = {str(i): state.copy() for i, state in enumerate(self.region.states)}
        average = {} if self.region.average is None else {"average": self.result()}
        return {"weights": weights, "optimizer": states, **average}

    def restore(self, tensors: dict[str, Tensors]) -> None:
        """Go back to what :meth:`tensors` returned."""
        self._set_weights(tensors["weights"])
        if self.region.average is not None:
            self._set_average(tensors["average"])
        for i, state in enumerate(self.region.states):
            state[:] = tensors["optimizer"][str(i)]

    def _set_weights(self, tensors: Tensors) -> None:
        self.layout.pack(tensors, self.region.weights, self.region.statistics[0])
        self.region.statistics[1:] = self.region.statistics[0]

    def _set_average(self, tensors: Tensors) -> None:
        average, statistics = self.region.average, self.region.average_statistics
        assert average is not None and statistics is not None
        self.layout.pack(tensors, average, statistics[0])
        statistics[1:] = statistics[0]

    def close(self) -> None:
        """End the other processes."""
        for process in self._processes:
            process.kill()
            process.wait()
        for link in self._links:
            link.close()
        self._processes, self._links = [], []

    def _start_all(self, sizes: Sizes, descriptor: int) -> None:
        place = share_images(self.task.images)
        try:
            self.task = replace(self.task, images=place.map())
            for index in range(1, sizes.workers):
                self._start(index, sizes, descriptor, place)
        finally:
            os.close(place.descriptor)

    def _start(self, index: int, sizes: Sizes, descriptor: int, place: Place) -> None:
        """Start a fresh interpreter: a fork would inherit the threads of numpy and MXNet in an unknown state."""
        here, there = socketpair()
        with there:
            code = (
                f"import sys; sys.path[:] = {sys.path!r}; "
                f"from bioclass.fit.team import serve; serve({there.fileno()}, {os.getpid()})"
            )
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", code],
                    pass_fds=[there.fileno(), descriptor, place.descriptor],
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "OMP_NUM_THREADS": "1", "MXNET_ENGINE_TYPE": "NaiveEngine"},
                )
            )
        link = Connection(here.detach())
        self._links.append(link)
        self._tell(link, (replace(self.task, images=np.empty(0), kept={}), place, index, sizes, descriptor))

    def _tell(self, link: Connection, message: Any) -> None:
        try:
            link.send(message)
        except OSError:
            self._gone()

    def _receive(self, link: Connection) -> Any:
        try:
            return link.recv()
        except (EOFError, OSError):
            self._gone()

    def _gone(self) -> NoReturn:
        """A link broke: give the process behind it a moment to be gone, and say how it ended."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self._check()
            time.sleep(0.05)
        raise TrainingError("A worker process stopped answering. Continue the run with --resume.")

    def _check(self) -> None:
        for process in self._processes:
            status = process.poll()
            if status is not None:
                how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                raise TrainingError(
                    f"A worker process {how} (if it was signal 9, memory may have run out). "
                    "Continue the run with --resume."
                )


def serve(descriptor: int, parent: int) -> None:
    """Be a worker: take the task from the link, then train and predict as told until the parent is gone.

    An error ends this process, which the first one notices wherever it waits.
    """
    # The first process decides when to stop; a Ctrl-C reaches all of a terminal's processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def check() -> None:
        if os.getppid() != parent:
            os._exit(1)

    link = Connection(descriptor)
    task, place, index, sizes, region_descriptor = link.recv()
    task = replace(task, images=place.map())
    member = Member(task, index, sizes.workers, Region.map(region_descriptor, sizes), check)
    link.send("ready")
    while True:
        try:
            message = link.recv()
        except EOFError:
            return
        if message[0] == "train":
            member.train(*message[1:])
            link.send("done")
        else:
            link.send(member.probabilities(message[1]))
