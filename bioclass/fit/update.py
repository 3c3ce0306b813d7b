"""The optimizers on flat buffers: one fused MXNet operation for each stretch that has one learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bioclass.backend import mx
from bioclass.fit.flat import Layout
from bioclass.recipe import SGD, Adam


def state_count(optimizer: SGD | Adam) -> int:
    """Return how many flat buffers of state an optimizer keeps: momentum, or Adam's two means."""
    if isinstance(optimizer, Adam):
        return 2
    return 1 if optimizer.momentum > 0 else 0


@dataclass(frozen=True)
class _Stretch:
    weights: Any
    gradients: Any
    states: tuple[Any, ...]
    factor: float


class Update:
    """One step of an optimizer on the stretch ``start`` to ``end`` of flat buffers.

    Args:
        optimizer: which, and its coefficients.
        layout: where the biases start, whose learning rate may differ.
        weights, gradients, states: flat NDArrays of one context.
        start, end: the stretch to update.
    """

    def __init__(
        self,
        optimizer: SGD | Adam,
        layout: Layout,
        weights: Any,
        gradients: Any,
        states: tuple[Any, ...],
        start: int,
        end: int,
    ) -> None:
        self.optimizer = optimizer
        cuts = [(start, min(end, layout.biases), 1.0), (max(start, layout.biases), end, optimizer.bias_lr)]
        if optimizer.bias_lr == 1.0:
            cuts = [(start, end, 1.0)]
        self._stretches = [
            _Stretch(weights[a:b], gradients[a:b], tuple(state[a:b] for state in states), factor)
            for a, b, factor in cuts
            if a < b
        ]

    def __call__(self, lr: float, iteration: int) -> None:
        """Update with the gradients as they are; ``iteration`` is counted from 0."""
        for stretch in self._stretches:
            if isinstance(self.optimizer, Adam):
                self._adam(self.optimizer, stretch, lr, iteration + 1)
            else:
                self._sgd(self.optimizer, stretch, lr)

    @staticmethod
    def _sgd(optimizer: SGD, stretch: _Stretch, lr: float) -> None:
        rate = {"lr": lr * stretch.factor, "wd": optimizer.l2}
        if stretch.states:
            mx.nd.sgd_mom_update(
                stretch.weights,
                stretch.gradients,
                stretch.states[0],
                out=stretch.weights,
                momentum=optimizer.momentum,
                **rate,
            )
        else:
            mx.nd.sgd_update(stretch.weights, stretch.gradients, out=stretch.weights, **rate)

    @staticmethod
    def _adam(optimizer: Adam, stretch: _Stretch, lr: float, t: int) -> None:
        # The bias correction of the two means, folded into the rate (Kingma and Ba 2015, end of section 2).
        corrected = lr * (1 - optimizer.beta2**t) ** 0.5 / (1 - optimizer.beta1**t)
        mx.nd.adam_update(
            stretch.weights,
            stretch.gradients,
            *stretch.states,
            out=stretch.weights,
            lr=corrected * stretch.factor,
            beta1=optimizer.beta1,
            beta2=optimizer.beta2,
            epsilon=optimizer.epsilon,
            wd=optimizer.l2,
        )
