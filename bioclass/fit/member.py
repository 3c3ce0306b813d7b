"""One worker of a team: its part of every batch, and its share of every update."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.fit.flat import Layout, shared, shares
from bioclass.fit.memory import LINE, Region, aligned
from bioclass.fit.replica import Replica, new_network, new_scorer, probabilities
from bioclass.fit.schedule import average_decay
from bioclass.fit.task import Rows, Task
from bioclass.fit.tuning import rates
from bioclass.fit.update import HostUpdate, follow
from bioclass.networks.blocks import use_blocks, vector_block

SPIN, YIELD = 500, 20_000
"""How often a worker that waits looks again at once, and then gives its turn away, before it sleeps."""


class Member:
    """A network on the shared weights, in one process.

    Args:
        task: what to train on.
        index, workers: which worker this is, of how many.
        region: the team's shared memory.
        check: called now and then while waiting for the others; raises if one of them is gone.
    """

    def __init__(self, task: Task, index: int, workers: int, region: Region, check: Callable[[], None]) -> None:
        self.task = task
        self.index = index
        self.workers = workers
        self.region = region
        self._check = check
        self._phase = 0
        net = new_network(task, [mx.cpu()])
        use_blocks(net, vector_block())
        self._layout = layout = Layout.of(net, rates(task, net))
        self._scorer = new_scorer(task, mx.cpu())
        buffers = region.weights, region.gradients[index], region.statistics[index]
        self.replica = Replica(task, net, layout, *buffers, mx.cpu())
        self.update = HostUpdate(task.recipe.fit, layout, region, *shares(layout.trained.length, workers)[index])
        images, labels, weights = task.shapes(index, workers)
        self._batch = aligned(images), aligned(labels), aligned(weights)
        self._arrays = [shared(array) for array in self._batch]

    def train(self, start: int, end: int) -> None:
        """Train the iterations from ``start`` up to ``end``, and leave the sum of the losses in the region."""
        mx.random.seed(self.task.seed_at(start, self.index))
        total = 0.0
        for iteration in range(start, end):
            self.task.fill(self._batch, iteration, self.index, self.workers)
            self.replica.reach(iteration)
            loss = self.replica.gradient(*self._arrays)
            total += float(loss.asscalar())
            # The update reads the gradients behind MXNet's back.
            mx.nd.waitall()
            self._average_statistics(iteration)
            self.meet()
            self.update(self.task.lr(iteration), iteration)
            self.meet()
        self.region.losses[self.index] = total

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) of some rows of the task's images."""
        return probabilities(self.task, self._scorer, self._layout.unpack(*self.region.result), rows)

    def _average_statistics(self, iteration: int) -> None:
        """Each worker averages its own, which keeps the workers apart until the end of a segment."""
        average, region = self.task.recipe.fit.average, self.region
        if average is not None and region.average_statistics is not None and region.statistics.size:
            share = 1 - average_decay(average, iteration)
            follow(region.average_statistics[self.index], region.statistics[self.index], share)

    def meet(self) -> None:
        """Wait until every worker has come this far."""
        if self.workers == 1:
            return
        self._phase += 1
        progress, phase = self.region.progress, self._phase
        progress[self.index * LINE] = phase
        for place in range(0, self.workers * LINE, LINE):
            tries = 0
            while progress[place] < phase:
                tries += 1
                if tries > YIELD:
                    # Some milliseconds late: the machine is busy, or the other is gone.
                    time.sleep(0.0002)
                    if tries % 1000 == 0:
                        self._check()
                elif tries > SPIN:
                    os.sched_yield()
