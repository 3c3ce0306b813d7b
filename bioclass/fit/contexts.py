"""Training on MXNet contexts that share each batch: one GPU, several, or several contexts on the processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.checkpoint import Tensors
from bioclass.fit.flat import Layout
from bioclass.fit.replica import Replica, new_network, new_scorer, probabilities
from bioclass.fit.task import Rows, Task
from bioclass.fit.update import ContextUpdate, state_count
from bioclass.predict import get_weights


class ContextsTrainer:
    """A :class:`~bioclass.fit.task.Trainer` on contexts of this process.

    Each context computes the gradients of its part of the batch; they are summed on the first, which updates and
    hands the weights out again.
    """

    def __init__(self, task: Task, contexts: list[Any]) -> None:
        self.task = task
        self.contexts = contexts
        net = new_network(task, contexts)
        self.layout = Layout.of(net)
        flat = np.zeros(self.layout.length, dtype=np.float32)
        self.layout.pack(get_weights(net), flat)
        self.replicas = [self._replica(net, flat, context) for context in contexts]
        optimizer = task.recipe.fit.optimizer
        self.states = [mx.nd.zeros(self.layout.length, ctx=contexts[0]) for _ in range(state_count(optimizer))]
        first = self.replicas[0]
        self._scorer = new_scorer(task, contexts[0])
        self.update = ContextUpdate(optimizer, self.layout, first.weights, first.gradients, self.states)

    def train(self, start: int, end: int) -> float:
        """Train the iterations from ``start`` up to ``end``; return the sum of their losses."""
        for part, context in enumerate(self.contexts):
            mx.random.seed(self.task.seed_at(start, part), ctx=context)
        losses = [loss for iteration in range(start, end) for loss in self._step(iteration)]
        # The first wait of the segment: until here MXNet works while the next batch is made.
        return sum(float(loss.asscalar()) for loss in losses)

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) of some rows of the task's images."""
        return probabilities(self.task, self._scorer, self.tensors()["weights"], rows)

    def tensors(self) -> dict[str, Tensors]:
        """Return copies of the "weights" by name and of the "optimizer" state."""
        states = {str(i): state.asnumpy() for i, state in enumerate(self.states)}
        return {"weights": self.layout.unpack(self.replicas[0].weights.asnumpy()), "optimizer": states}

    def restore(self, tensors: dict[str, Tensors]) -> None:
        """Go back to what :meth:`tensors` returned."""
        flat = np.zeros(self.layout.length, dtype=np.float32)
        self.layout.pack(tensors["weights"], flat)
        for replica in self.replicas:
            replica.weights[:] = flat
        for i, state in enumerate(self.states):
            state[:] = tensors["optimizer"][str(i)]

    def close(self) -> None:
        """Nothing is held."""

    def _replica(self, net: Any, flat: npt.NDArray[np.float32], context: Any) -> Replica:
        gradients = mx.nd.zeros(self.layout.length, ctx=context)
        return Replica(net, self.layout, mx.nd.array(flat, ctx=context), gradients, context)

    def _step(self, iteration: int) -> list[Any]:
        first, others = self.replicas[0], self.replicas[1:]
        losses = []
        for part, replica in enumerate(self.replicas):
            batch = self.task.batch(iteration, part, len(self.replicas))
            losses.append(replica.gradient(*(mx.nd.array(array, ctx=replica.context) for array in batch)))
        for other in others:
            first.gradients += other.gradients.as_in_context(first.context)
        self.update(self.task.lr(iteration), iteration)
        for other in others:
            first.weights.copyto(other.weights)
        return losses
