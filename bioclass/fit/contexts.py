"""Training on MXNet contexts that share each batch: one GPU, several, or several contexts on the processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.checkpoint import Tensors
from bioclass.fit.flat import Layout, merge_statistics
from bioclass.fit.replica import Replica, new_network, new_scorer, probabilities
from bioclass.fit.schedule import average_decay
from bioclass.fit.task import Batch, Rows, Task
from bioclass.fit.tuning import rates
from bioclass.fit.update import ContextUpdate, follow, state_count
from bioclass.predict import get_weights


class ContextsTrainer:
    """A :class:`~bioclass.fit.task.Trainer` on contexts of this process.

    Each context computes the gradients of its part of the batch; they are summed on the first, which updates and
    hands the weights out again. Running statistics are each context's own until a segment ends; then all take
    their mean (:func:`~bioclass.fit.flat.merge_statistics`).
    """

    def __init__(self, task: Task, contexts: list[Any]) -> None:
        self.task = task
        self.contexts = contexts
        net = new_network(task, contexts)
        self.layout = Layout.of(net, rates(task, net))
        self.replicas = [self._replica(net, context) for context in contexts]
        fit, first = task.recipe.fit, self.replicas[0]
        self.states = [
            self._zeros(self.layout.trained.length, contexts[0]) for _ in range(state_count(fit.optimizer))
        ]
        self.average, self.average_statistics = None, []
        if fit.average is not None:
            self.average = first.weights.copy()
            self.average_statistics = [replica.statistics.copy() for replica in self.replicas]
        self._scorer = new_scorer(task, contexts[0])
        self.update = ContextUpdate(fit, self.layout, first.weights, first.gradients, self.states, self.average)

    def train(self, start: int, end: int) -> float:
        """Train the iterations from ``start`` up to ``end``; return the sum of their losses."""
        for part, context in enumerate(self.contexts):
            mx.random.seed(self.task.seed_at(start, part), ctx=context)
        losses = []
        for iteration in range(start, end):
            # Made while MXNet still works on the batch before.
            batches = [self.task.batch(iteration, part, len(self.replicas)) for part in range(len(self.replicas))]
            if iteration > start:
                self._average_statistics(iteration - 1)
            losses += self._step(iteration, batches)
        self._average_statistics(end - 1)
        total = sum(float(loss.asscalar()) for loss in losses)
        mx.nd.waitall()
        for statistics in ([replica.statistics for replica in self.replicas], self.average_statistics):
            if len(statistics) > 1:
                merged = merge_statistics(np.stack([each.asnumpy() for each in statistics]))
                for each in statistics:
                    each[:] = merged
        return total

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) of some rows of the task's images."""
        return probabilities(self.task, self._scorer, self.result(), rows)

    def result(self) -> Tensors:
        """Return copies of the weights to predict with, by name: their moving average where one is kept."""
        if self.average is None:
            return self._weights()
        return self.layout.unpack(self.average.asnumpy(), self.average_statistics[0].asnumpy())

    def tensors(self) -> dict[str, Tensors]:
        """Return copies of the "weights" by name, of the "optimizer" state and of the "average", if one is kept."""
        states = {str(i): state.asnumpy() for i, state in enumerate(self.states)}
        average = {} if self.average is None else {"average": self.result()}
        return {"weights": self._weights(), "optimizer": states, **average}

    def restore(self, tensors: dict[str, Tensors]) -> None:
        """Go back to what :meth:`tensors` returned."""
        for replica in self.replicas:
            self._set(tensors["weights"], replica.weights, replica.statistics)
        for statistics in self.average_statistics:
            self._set(tensors["average"], self.average, statistics)
        for i, state in enumerate(self.states):
            state[:] = tensors["optimizer"][str(i)]

    def close(self) -> None:
        """Nothing is held."""

    def _replica(self, net: Any, context: Any) -> Replica:
        length = self.layout.trained.length
        weights, gradients = self._zeros(length, context), self._zeros(length, context)
        statistics = self._zeros(self.layout.statistics.length, context)
        self._set(get_weights(net), weights, statistics)
        return Replica(self.task, net, self.layout, weights, gradients, statistics, context)

    def _zeros(self, length: int, context: Any) -> Any:
        # MXNet has no arrays without values.
        return mx.nd.zeros(max(1, length), ctx=context)

    def _set(self, tensors: Tensors, weights: Any, statistics: Any) -> None:
        arrays = np.zeros(weights.shape, np.float32), np.zeros(statistics.shape, np.float32)
        self.layout.pack(tensors, *arrays)
        weights[:], statistics[:] = arrays

    def _weights(self) -> Tensors:
        first = self.replicas[0]
        return self.layout.unpack(first.weights.asnumpy(), first.statistics.asnumpy())

    def _step(self, iteration: int, batches: list[Batch]) -> list[Any]:
        first, others = self.replicas[0], self.replicas[1:]
        for replica in self.replicas:
            replica.reach(iteration)
        losses = [
            replica.gradient(*(mx.nd.array(array, ctx=replica.context) for array in batch))
            for replica, batch in zip(self.replicas, batches, strict=True)
        ]
        for other in others:
            first.gradients += other.gradients.as_in_context(first.context)
        self.update(self.task.lr(iteration), iteration)
        for other in others:
            first.weights.copyto(other.weights)
        return losses

    def _average_statistics(self, iteration: int) -> None:
        average = self.task.recipe.fit.average
        if average is None or not self.layout.statistics.length:
            return
        # On the processor batch normalisation writes them in its backward pass without telling the engine, so
        # that nothing else may be under way while they are read.
        mx.nd.waitall()
        for replica, statistics in zip(self.replicas, self.average_statistics, strict=True):
            follow(statistics, replica.statistics, 1 - average_decay(average, iteration))
        mx.nd.waitall()
