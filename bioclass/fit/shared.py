"""Training in several processes of one thread each that share every batch through shared memory.

MXNet scales poorly with threads on small networks, and well with processes. Each process computes the gradients
of its part of the batch into its own stretch of shared memory; when all are there, each sums and updates its own
share of the weights, in a fixed order, so that a run gives the same bits each time. This is synchronous data
parallelism with a reduce-scatter whose all-gather is free, since the weights themselves are shared.
"""

from __future__ import annotations

import math
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from socket import socketpair
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.checkpoint import Tensors
from bioclass.errors import TrainingError
from bioclass.fit.flat import Layout, shared, shares
from bioclass.fit.local import _initial, new_network
from bioclass.fit.replica import Replica
from bioclass.fit.task import Rows, Task
from bioclass.fit.update import Update, state_count
from bioclass.predict import BATCH, infer

LINE = 8
"""int64 values in a cache line: each worker's progress has one to itself."""


@dataclass(frozen=True)
class Region:
    """The shared memory of one fit: progress, losses and gradients by worker; weights and optimizer states."""

    progress: memoryview
    losses: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float32]
    states: npt.NDArray[np.float32]
    gradients: npt.NDArray[np.float32]

    @classmethod
    def map(cls, descriptor: int, length: int, states: int, workers: int) -> Region:
        """Map the region of a file descriptor, which is made as large as it must be."""
        head = workers * LINE * 8
        total = 2 * head + 4 * length * (1 + states + workers)
        os.ftruncate(descriptor, total)
        buffer = mmap.mmap(descriptor, total)
        floats = np.frombuffer(buffer, dtype=np.float32, offset=2 * head).reshape(-1, length)
        return cls(
            progress=memoryview(buffer)[:head].cast("q"),
            losses=np.frombuffer(buffer, dtype=np.float64, count=workers * LINE, offset=head)[::LINE],
            weights=floats[0],
            states=floats[1 : 1 + states],
            gradients=floats[1 + states :],
        )


class Member:
    """One worker of the team: a network on the shared weights, and its part of every batch."""

    def __init__(self, task: Task, index: int, workers: int, region: Region, check: Callable[[], None]) -> None:
        self.task = task
        self.index = index
        self.workers = workers
        self.region = region
        self._check = check
        self._phase = 0
        net = new_network(task, [mx.cpu()])
        self.net = net
        layout = Layout.of(net)
        gradients = shared(region.gradients[index])
        self.replica = Replica(net, layout, shared(region.weights), gradients, mx.cpu())
        start, end = shares(layout.length, workers)[index]
        self._parts = [shared(one[start:end]) for one in region.gradients]
        self._sum = shared(region.gradients[0])
        states = tuple(shared(state) for state in region.states)
        self.update = Update(task.recipe.fit.optimizer, layout, self.replica.weights, self._sum, states, start, end)

    def train(self, start: int, end: int) -> None:
        """Train the iterations from ``start`` up to ``end``, and leave the sum of the losses in the region."""
        mx.random.seed(self.task.seed_at(start, self.index))
        total = 0.0
        batch = self.task.batch(start, self.index, self.workers)
        for iteration in range(start, end):
            loss = self.replica.gradient(*batch)
            if iteration + 1 < end:
                # While MXNet computes.
                batch = self.task.batch(iteration + 1, self.index, self.workers)
            total += float(loss.asscalar())
            mx.nd.waitall()
            self.meet()
            for part in self._parts[1:]:
                self._parts[0] += part
            self.update(self.task.lr(iteration), iteration)
            mx.nd.waitall()
            self.meet()
        self.region.losses[self.index] = total

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) of some rows of the task's images."""
        return infer(self.replica.scores, self.task.plan, self.task.images, rows, BATCH)

    def meet(self) -> None:
        """Wait until every worker has come this far."""
        self._phase += 1
        progress, phase = self.region.progress, self._phase
        progress[self.index * LINE] = phase
        for other in range(self.workers):
            place = other * LINE
            tries = 0
            while progress[place] < phase:
                tries += 1
                if tries > 20_000:
                    # Two milliseconds late: the machine is busy or the other is dead.
                    time.sleep(0.0002)
                    if tries % 2_500 == 0:
                        self._check()
                elif tries > 500:
                    os.sched_yield()


class SharedTrainer:
    """A :class:`~bioclass.fit.task.Trainer` in ``workers`` processes, of which this one is the first.

    Raises:
        TrainingError: a worker died.
    """

    def __init__(self, task: Task, workers: int) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._links: list[Connection] = []
        place = share_images(task.images)
        self.task = replace(task, images=place.map())
        net = new_network(task, [mx.cpu()])
        self.layout = Layout.of(net)
        states = state_count(task.recipe.fit.optimizer)
        descriptor = os.memfd_create("bioclass")
        self.region = Region.map(descriptor, self.layout.length, states, workers)
        self.layout.pack(_initial(net, self.layout), self.region.weights)
        try:
            for index in range(1, workers):
                self._start(index, workers, states, descriptor, place)
            self.member = Member(self.task, 0, workers, self.region, self._check)
            for link in self._links:
                self._receive(link)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(descriptor)
            os.close(place.descriptor)

    def train(self, start: int, end: int) -> float:
        """Train the iterations from ``start`` up to ``end``; return the sum of their losses."""
        for link in self._links:
            self._tell(link, ("train", start, end))
        self.member.train(start, end)
        for link in self._links:
            self._receive(link)
        return float(sum(self.region.losses))

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) of some rows of the task's images; every worker takes its part."""
        parts = np.array_split(rows, len(self._links) + 1)
        for link, part in zip(self._links, parts[1:], strict=True):
            self._tell(link, ("probabilities", part))
        out = [self.member.probabilities(parts[0]), *(self._receive(link) for link in self._links)]
        return np.concatenate([part for part in out if part.size])

    def tensors(self) -> dict[str, Tensors]:
        """Return copies of the "weights" by name and of the "optimizer" state."""
        states = {str(i): state.copy() for i, state in enumerate(self.region.states)}
        return {"weights": self.layout.unpack(self.region.weights), "optimizer": states}

    def restore(self, tensors: dict[str, Tensors]) -> None:
        """Go back to what :meth:`tensors` returned."""
        self.layout.pack(tensors["weights"], self.region.weights)
        for i, state in enumerate(self.region.states):
            state[:] = tensors["optimizer"][str(i)]

    def close(self) -> None:
        """End the other processes."""
        for process in self._processes:
            process.kill()
            process.wait()
        for link in self._links:
            link.close()
        self._processes, self._links = [], []

    def _start(self, index: int, workers: int, states: int, descriptor: int, place: Place) -> None:
        here, there = socketpair()
        setup = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from bioclass.fit.shared import serve; serve({there.fileno()}, {os.getpid()})"
        )
        with there:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", setup],
                    pass_fds=[there.fileno(), descriptor, place.descriptor],
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                )
            )
        link = Connection(here.detach())
        self._links.append(link)
        task = self.task
        link.send((task.recipe, task.plan, task.classes, place, task.labels, task.train))
        link.send((index, workers, states, descriptor))

    def _tell(self, link: Connection, message: Any) -> None:
        try:
            link.send(message)
        except OSError:
            self._gone()

    def _gone(self) -> NoReturn:
        """A link broke: give the process behind it a moment to be gone, and say how it ended."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self._check()
            time.sleep(0.05)
        raise TrainingError("A worker process stopped answering. Continue the run with --resume.")

    def _receive(self, link: Connection) -> Any:
        try:
            return link.recv()
        except (EOFError, OSError):
            self._gone()

    def _check(self) -> None:
        for process in self._processes:
            status = process.poll()
            if status is not None:
                how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                raise TrainingError(
                    f"A worker process {how} (if it was signal 9, memory may have run out). "
                    "Continue the run with --resume."
                )


class Place(NamedTuple):
    """Where an array lies: a file descriptor and the offset in it, in bytes."""

    descriptor: int
    offset: int
    shape: tuple[int, ...]
    dtype: str

    def map(self) -> npt.NDArray[Any]:
        """Return the array on the memory of the file."""
        buffer = mmap.mmap(self.descriptor, 0, prot=mmap.PROT_READ)
        array = np.frombuffer(buffer, dtype=self.dtype, count=math.prod(self.shape), offset=self.offset)
        return array.reshape(self.shape)


def share_images(images: npt.NDArray[Any]) -> Place:
    """Return a place where other processes find the images; its descriptor is to be closed.

    What lies in a file already, a dataset's own or one that storage made, is mapped from there; an array in
    memory is copied once.
    """
    kind = images.shape, images.dtype.str
    if isinstance(images, np.memmap) and isinstance(images.base, mmap.mmap):
        stored = getattr(images, "descriptor", None)
        if stored is not None:
            return Place(os.dup(stored), 0, *kind)
        if images.filename is not None:
            return Place(os.open(images.filename, os.O_RDONLY), images.offset, *kind)
    descriptor = os.memfd_create("bioclass-images")
    os.ftruncate(descriptor, images.nbytes)
    with mmap.mmap(descriptor, images.nbytes) as buffer:
        buffer.write(np.ascontiguousarray(images).data)
    return Place(descriptor, 0, *kind)


def serve(descriptor: int, parent: int) -> None:
    """Be a worker: take the task from the link, then train and predict as told until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def check() -> None:
        if os.getppid() != parent:
            os._exit(1)

    link = Connection(descriptor)
    recipe, plan, classes, place, labels, train = link.recv()
    index, workers, states, region_descriptor = link.recv()
    task = Task(recipe, plan, classes, place.map(), labels, train)
    layout = Layout.of(new_network(task, [mx.cpu()]))
    region = Region.map(region_descriptor, layout.length, states, workers)
    member = Member(task, index, workers, region, check)
    link.send("ready")
    while True:
        try:
            message = link.recv()
        except EOFError:
            return
        # An error ends this process, which the first one notices wherever it waits.
        if message[0] == "train":
            member.train(*message[1:])
            link.send("done")
        else:
            link.send(member.probabilities(message[1]))
