"""Training in this process, on one context or on several that share each batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.checkpoint import Tensors
from bioclass.fit.flat import Layout
from bioclass.fit.replica import Replica
from bioclass.fit.task import Rows, Task
from bioclass.fit.update import Update, state_count
from bioclass.networks import build
from bioclass.predict import BATCH, infer, input_shape


def new_network(task: Task, contexts: list[Any]) -> Any:
    """Return the task's network on these contexts, with the weights that its seed gives."""
    net = build(task.recipe.network, input_shape(task.plan), len(task.classes))
    mx.random.seed(task.seed_at(0, 0))
    net.initialize(ctx=contexts)
    return net


class LocalTrainer:
    """A :class:`~bioclass.fit.task.Trainer` on the contexts of one process.

    Each context computes the gradients of its part of the batch; they are summed on the first, which updates and
    hands the weights out again.
    """

    def __init__(self, task: Task, contexts: list[Any]) -> None:
        self.task = task
        self.contexts = contexts
        net = new_network(task, contexts)
        self.layout = Layout.of(net)
        flat = np.zeros(self.layout.length, dtype=np.float32)
        self.layout.pack(_initial(net, self.layout), flat)
        self.replicas = [
            Replica(
                net,
                self.layout,
                mx.nd.array(flat, ctx=context),
                mx.nd.zeros(self.layout.length, ctx=context),
                context,
            )
            for context in contexts
        ]
        first = self.replicas[0]
        optimizer = task.recipe.fit.optimizer
        self.states = tuple(mx.nd.zeros(self.layout.length, ctx=contexts[0]) for _ in range(state_count(optimizer)))
        self.update = Update(
            optimizer, self.layout, first.weights, first.gradients, self.states, 0, self.layout.length
        )

    def train(self, start: int, end: int) -> float:
        """Train the iterations from ``start`` up to ``end``; return the sum of their losses."""
        for part, context in enumerate(self.contexts):
            mx.random.seed(self.task.seed_at(start, part), ctx=context)
        first, others = self.replicas[0], self.replicas[1:]
        losses = []
        for iteration in range(start, end):
            for part, replica in enumerate(self.replicas):
                losses.append(replica.gradient(*self.task.batch(iteration, part, len(self.replicas))))
            for other in others:
                first.gradients += other.gradients.as_in_context(first.context)
            self.update(self.task.lr(iteration), iteration)
            for other in others:
                first.weights.copyto(other.weights)
        # The first wait of the segment: until here MXNet works while the next batch is made.
        return sum(float(loss.asscalar()) for loss in losses)

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) of some rows of the task's images."""
        return infer(self.replicas[0].scores, self.task.plan, self.task.images, rows, BATCH)

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


def _initial(net: Any, layout: Layout) -> Tensors:
    from bioclass.predict import get_weights

    weights = get_weights(net)
    return {slot.name: weights[slot.name] for slot in layout.slots}
