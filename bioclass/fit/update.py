"""The optimizers on flat buffers, for memory that processes share and for MXNet's contexts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.fit.flat import Layout
from bioclass.recipe import SGD, Adam

Floats = npt.NDArray[np.float32]

CHUNK = 32768
"""Floats that are updated at a time: few enough to stay in the cache from one operation to the next."""


def state_count(optimizer: SGD | Adam) -> int:
    """Return how many flat buffers of state an optimizer keeps: momentum, or Adam's two means."""
    if isinstance(optimizer, Adam):
        return 2
    return 1 if optimizer.momentum > 0 else 0


@dataclass(frozen=True)
class _Chunk:
    weights: Floats
    gradients: tuple[Floats, ...]
    states: tuple[Floats, ...]
    factor: float


class HostUpdate:
    """One step of an optimizer on a stretch of flat buffers in the processor's memory.

    Several times as fast as MXNet's own update, which is not vectorised. The gradients of all workers are summed
    on the way, always in their order.

    Args:
        optimizer: which, and its coefficients.
        layout: where the biases start, whose learning rate may differ.
        weights: (L,).
        gradients: (L,) of each worker.
        states: (L,) each.
        start, end: the stretch to update.
    """

    def __init__(
        self,
        optimizer: SGD | Adam,
        layout: Layout,
        weights: Floats,
        gradients: Sequence[Floats],
        states: Sequence[Floats],
        start: int,
        end: int,
    ) -> None:
        # Imported here: scipy takes a moment, and only training on the processor wants it.
        from scipy.linalg import blas

        self.optimizer = optimizer
        self._axpy, self._scale = blas.saxpy, blas.sscal
        self._room = np.empty((2, CHUNK), dtype=np.float32)
        self._chunks = [
            _Chunk(weights[a:b], tuple(g[a:b] for g in gradients), tuple(s[a:b] for s in states), factor)
            for first, last, factor in _stretches(optimizer, layout, start, end)
            for a, b in ((at, min(at + CHUNK, last)) for at in range(first, last, CHUNK))
        ]

    def __call__(self, lr: float, iteration: int) -> None:
        """Update with the sum of the gradients; ``iteration`` is counted from 0."""
        if isinstance(self.optimizer, Adam):
            self._adam(self.optimizer, _corrected(self.optimizer, lr, iteration))
        elif self.optimizer.momentum > 0:
            self._momentum(self.optimizer, lr)
        else:
            self._plain(self.optimizer, lr)

    def _momentum(self, optimizer: SGD, lr: float) -> None:
        """V = momentum v - lr (g + l2 w); w = w + v."""
        axpy, scale = self._axpy, self._scale
        for chunk in self._chunks:
            rate, velocity = -lr * chunk.factor, chunk.states[0]
            scale(optimizer.momentum, velocity)
            for gradient in chunk.gradients:
                axpy(gradient, velocity, a=rate)
            if optimizer.l2:
                axpy(chunk.weights, velocity, a=rate * optimizer.l2)
            axpy(velocity, chunk.weights)

    def _plain(self, optimizer: SGD, lr: float) -> None:
        """W = w - lr (g + l2 w)."""
        axpy, scale = self._axpy, self._scale
        for chunk in self._chunks:
            rate = -lr * chunk.factor
            if optimizer.l2:
                scale(1 + rate * optimizer.l2, chunk.weights)
            for gradient in chunk.gradients:
                axpy(gradient, chunk.weights, a=rate)

    def _adam(self, optimizer: Adam, lr: float) -> None:
        """M = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w = w - lr m / (sqrt(v) + epsilon)."""
        axpy, scale = self._axpy, self._scale
        for chunk in self._chunks:
            g, step = self._room[:, : len(chunk.weights)]
            mean, square = chunk.states
            g[:] = chunk.gradients[0]
            for gradient in chunk.gradients[1:]:
                axpy(gradient, g)
            if optimizer.l2:
                axpy(chunk.weights, g, a=optimizer.l2)
            scale(optimizer.beta1, mean)
            axpy(g, mean, a=1 - optimizer.beta1)
            np.multiply(g, g, out=g)
            scale(optimizer.beta2, square)
            axpy(g, square, a=1 - optimizer.beta2)
            np.sqrt(square, out=step)
            step += np.float32(optimizer.epsilon)
            np.divide(mean, step, out=step)
            axpy(step, chunk.weights, a=-lr * chunk.factor)


class ContextUpdate:
    """One step of an optimizer on whole flat NDArrays of one context, by MXNet's fused operations."""

    def __init__(
        self, optimizer: SGD | Adam, layout: Layout, weights: Any, gradients: Any, states: Sequence[Any]
    ) -> None:
        self.optimizer = optimizer
        self._stretches = [
            ([array[a:b] for array in (weights, gradients, *states)], factor)
            for a, b, factor in _stretches(optimizer, layout, 0, layout.length)
        ]

    def __call__(self, lr: float, iteration: int) -> None:
        """Update with the gradients as they are; ``iteration`` is counted from 0."""
        optimizer = self.optimizer
        for arrays, factor in self._stretches:
            common = {"out": arrays[0], "wd": optimizer.l2}
            if isinstance(optimizer, Adam):
                rates = {"beta1": optimizer.beta1, "beta2": optimizer.beta2, "epsilon": optimizer.epsilon}
                mx.nd.adam_update(*arrays, lr=_corrected(optimizer, lr, iteration) * factor, **rates, **common)
            elif optimizer.momentum > 0:
                mx.nd.sgd_mom_update(*arrays, lr=lr * factor, momentum=optimizer.momentum, **common)
            else:
                mx.nd.sgd_update(*arrays, lr=lr * factor, **common)


def _stretches(optimizer: SGD | Adam, layout: Layout, start: int, end: int) -> Iterator[tuple[int, int, float]]:
    """Yield the stretches that have one learning rate, and its factor."""
    cut = min(max(start, layout.biases), end)
    for first, last, factor in ((start, cut, 1.0), (cut, end, optimizer.bias_lr)):
        if first < last:
            yield first, last, factor


def _corrected(optimizer: Adam, lr: float, iteration: int) -> float:
    """The bias correction of Adam's two means, folded into the rate (Kingma and Ba 2015, end of section 2)."""
    t = iteration + 1
    return float(lr * (1 - optimizer.beta2**t) ** 0.5 / (1 - optimizer.beta1**t))
