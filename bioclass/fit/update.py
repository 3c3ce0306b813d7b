"""The optimizers on flat buffers, for memory that processes share and for MXNet's contexts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.fit.flat import Layout
from bioclass.fit.memory import Region
from bioclass.fit.schedule import average_decay
from bioclass.recipe import SGD, Adam, Fit

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
    average: Floats | None
    factor: float
    begin: int


class HostUpdate:
    """One step of an optimizer on a stretch of flat buffers in the processor's memory.

    Several times as fast as MXNet's own update, which is not vectorised. The gradients of all workers are summed
    on the way, always in their order, and the moving average follows while the weights are in the cache.

    Args:
        fit: the optimizer, its coefficients, and the moving average, if one is kept.
        layout: what is trained alike, and how.
        region: weights, gradients of all workers, states and average.
        start, end: the stretch to update.
    """

    def __init__(self, fit: Fit, layout: Layout, region: Region, start: int, end: int) -> None:
        # Imported here: scipy takes a moment, and only training on the processor wants it.
        from scipy.linalg import blas

        self.fit = fit
        self._axpy, self._scale = blas.saxpy, blas.sscal
        self._room = np.empty((2, CHUNK), dtype=np.float32)
        self._chunks = [
            _Chunk(
                region.weights[a:b],
                tuple(gradient[a:b] for gradient in region.gradients),
                tuple(state[a:b] for state in region.states),
                None if region.average is None else region.average[a:b],
                factor,
                begin,
            )
            for first, last, factor, begin in _stretches(fit.optimizer, layout, start, end)
            for a, b in ((at, min(at + CHUNK, last)) for at in range(first, last, CHUNK))
        ]

    def __call__(self, lr: float, iteration: int) -> None:
        """Update with the sum of the gradients; ``iteration`` is counted from 0."""
        optimizer, average = self.fit.optimizer, self.fit.average
        decay = 1.0 if average is None else average_decay(average, iteration)
        for chunk in self._chunks:
            if iteration < chunk.begin:
                continue
            if isinstance(optimizer, Adam):
                self._adam(optimizer, chunk, _corrected(optimizer, lr, iteration - chunk.begin))
            elif optimizer.momentum > 0:
                self._momentum(optimizer, chunk, lr)
            else:
                self._plain(optimizer, chunk, lr)
            if chunk.average is not None:
                self._scale(decay, chunk.average)
                self._axpy(chunk.weights, chunk.average, a=1 - decay)

    def _momentum(self, optimizer: SGD, chunk: _Chunk, lr: float) -> None:
        """V = momentum v - lr (g + l2 w); w = w + v."""
        rate, velocity = -lr * chunk.factor, chunk.states[0]
        self._scale(optimizer.momentum, velocity)
        for gradient in chunk.gradients:
            self._axpy(gradient, velocity, a=rate)
        if optimizer.l2:
            self._axpy(chunk.weights, velocity, a=rate * optimizer.l2)
        self._axpy(velocity, chunk.weights)

    def _plain(self, optimizer: SGD, chunk: _Chunk, lr: float) -> None:
        """W = w - lr (g + l2 w)."""
        rate = -lr * chunk.factor
        if optimizer.l2:
            self._scale(1 + rate * optimizer.l2, chunk.weights)
        for gradient in chunk.gradients:
            self._axpy(gradient, chunk.weights, a=rate)

    def _adam(self, optimizer: Adam, chunk: _Chunk, lr: float) -> None:
        """M = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w = w - lr m / (sqrt(v) + epsilon)."""
        axpy, scale = self._axpy, self._scale
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
    """One step of an optimizer on whole flat NDArrays of one context, by MXNet's fused operations.

    Args:
        fit: the optimizer, its coefficients, and the moving average, if one is kept.
        layout: what is trained alike, and how.
        weights, gradients: (L,).
        states: (L,) each.
        average: (L,), or None.
    """

    def __init__(
        self, fit: Fit, layout: Layout, weights: Any, gradients: Any, states: Sequence[Any], average: Any
    ) -> None:
        self.fit = fit
        self._weights, self._average = weights, average
        self._stretches = [
            ([array[a:b] for array in (weights, gradients, *states)], factor, begin)
            for a, b, factor, begin in _stretches(fit.optimizer, layout, 0, layout.trained.length)
        ]

    def __call__(self, lr: float, iteration: int) -> None:
        """Update with the gradients as they are; ``iteration`` is counted from 0."""
        optimizer = self.fit.optimizer
        for arrays, factor, begin in self._stretches:
            if iteration < begin:
                continue
            common = {"out": arrays[0], "wd": optimizer.l2}
            if isinstance(optimizer, Adam):
                rates = {"beta1": optimizer.beta1, "beta2": optimizer.beta2, "epsilon": optimizer.epsilon}
                corrected = _corrected(optimizer, lr, iteration - begin)
                mx.nd.adam_update(*arrays, lr=corrected * factor, **rates, **common)
            elif optimizer.momentum > 0:
                mx.nd.sgd_mom_update(*arrays, lr=lr * factor, momentum=optimizer.momentum, **common)
            else:
                mx.nd.sgd_update(*arrays, lr=lr * factor, **common)
        if self.fit.average is not None:
            follow(self._average, self._weights, 1 - average_decay(self.fit.average, iteration))


def follow(average: Any, value: Any, share: float) -> None:
    """Move an average, a numpy array or an NDArray, by a share of its distance to a value, in place."""
    average += share * (value - average)


def _stretches(
    optimizer: SGD | Adam, layout: Layout, start: int, end: int
) -> Iterator[tuple[int, int, float, int]]:
    """Yield what of each stretch lies between ``start`` and ``end``, its learning rate's factor and its begin."""
    for stretch in layout.stretches:
        first, last = max(start, stretch.start), min(end, stretch.end)
        if first < last:
            factor = stretch.rate.factor * (optimizer.bias_lr if stretch.biases else 1.0)
            yield first, last, factor, stretch.rate.begin


def _corrected(optimizer: Adam, lr: float, iteration: int) -> float:
    """The bias correction of Adam's two means, folded into the rate (Kingma and Ba 2015, end of section 2).

    ``iteration`` is counted from the first that updated them.
    """
    t = iteration + 1
    return float(lr * (1 - optimizer.beta2**t) ** 0.5 / (1 - optimizer.beta1**t))
