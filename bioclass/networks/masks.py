"""Products with weights that are masked at random, on the processor: an operation for MXNet's graphs.

Composed of MXNet's own operations, such a product writes and reads several arrays of examples x weights, and their
random numbers cost most of all. Here the masks are bits, made a few units at a time, in memory that stays in the
processor's cache; they are never kept, since the backward pass makes them again from the same seed.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx

Floats = npt.NDArray[np.float32]

UNITS = 4
"""Units whose masks are made at a time: few, for the cache, but more than one, for which each call costs more."""

DIGITS = 24
"""Binary digits to which the probability of a mask's bit is kept, as many as a float32 has."""

_OPERATION = "bioclass_masked_product"


def masked_product(F: Any, x: Any, weight: Any, seed: Any, rate: float) -> Any:  # noqa: N803
    """Return (M_n * W) x_n / (1 - rate) for each example n, (N, units), with gradients for x and W.

    Besides x, W and their gradients it takes at most 50 bytes x N x in_units of memory.

    Args:
        F: mx.nd or mx.sym.
        x: (N, in_units) float32.
        weight: (units, in_units) float32, W.
        seed: (S,) float32, whose bits alone decide on the masks M_n, (units, in_units) each.
        rate: probability that a mask drops a weight, above 0 and below 1.
    """
    return F.Custom(x, weight, F.BlockGrad(seed), op_type=_OPERATION, rate=rate)


def masks(
    seed: Floats, rate: float, units: int, examples: int, in_units: int
) -> Iterator[tuple[slice, npt.NDArray[np.uint8]]]:
    """Yield all masks, a few units at a time: which units, and (those units, examples, in_units) of 0 and 1."""
    generator = np.random.SFC64(seed.view(np.uint32))
    width = -(-in_units // 8)
    for start in range(0, units, UNITS):
        stop = min(start + UNITS, units)
        packed = random_bits(generator, rate, (stop - start) * examples * width)
        packed = packed.reshape(stop - start, examples, width)
        yield slice(start, stop), np.unpackbits(packed, axis=-1, count=in_units)


def random_bits(generator: np.random.SFC64, rate: float, size: int) -> npt.NDArray[np.uint8]:
    """Return ``size`` bytes of independent bits, each 0 with the probability ``rate``, above 0 and below 1.

    Every binary digit of the probability p of a 1, from the last that is not 0 on, takes one draw of fair bits: OR
    with them makes (1 + p) / 2 of p, AND makes p / 2. One half takes a single draw.
    """
    keep = int(np.clip(round((1 - rate) * 2**DIGITS), 1, 2**DIGITS - 1))
    words = -(-size // 8)
    bits = np.zeros(words, dtype=np.uint64)
    last = (keep & -keep).bit_length() - 1
    for place in range(last, DIGITS):
        fair = generator.random_raw(words)
        bits = bits | fair if keep >> place & 1 else bits & fair
    return bits.view(np.uint8)[:size]


# einsum, and not a product by BLAS: it has one thread, and its result does not depend on their number.


def _forward(x: Floats, weight: Floats, seed: Floats, rate: float) -> Floats:
    out = np.empty((len(x), len(weight)), dtype=np.float32)
    for rows, kept in masks(seed, rate, len(weight), *x.shape):
        out[:, rows] = np.einsum("uni,ui->nu", kept * x, weight[rows])
    out *= np.float32(1 / (1 - rate))
    return out


def _backward(x: Floats, weight: Floats, seed: Floats, gradient: Floats, rate: float) -> tuple[Floats, Floats]:
    """Return the gradients of x and of the weights; ``gradient`` is the result's, (N, units)."""
    gradient = gradient * np.float32(1 / (1 - rate))
    of_x, of_weight = np.zeros_like(x), np.empty_like(weight)
    for rows, kept in masks(seed, rate, len(weight), *x.shape):
        back = kept * gradient[:, rows].T[:, :, np.newaxis]
        of_weight[rows] = np.einsum("uni,ni->ui", back, x)
        of_x += np.einsum("uni,ui->ni", back, weight[rows])
    return of_x, of_weight


class _MaskedProduct(mx.operator.CustomOp):  # type: ignore[misc]
    """What MXNet calls; the arrays are copied from it and to it, which is little beside the masks."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate

    def forward(
        self, is_train: bool, req: list[str], in_data: list[Any], out_data: list[Any], aux: list[Any]
    ) -> None:
        x, weight, seed = (array.asnumpy() for array in in_data)
        self.assign(out_data[0], req[0], mx.nd.array(_forward(x, weight, seed, self._rate)))

    def backward(
        self,
        req: list[str],
        out_grad: list[Any],
        in_data: list[Any],
        out_data: list[Any],
        in_grad: list[Any],
        aux: list[Any],
    ) -> None:
        x, weight, seed, gradient = (array.asnumpy() for array in (*in_data, *out_grad))
        gradients = _backward(x, weight, seed, gradient, self._rate)
        for target, how, gradient in zip(in_grad, req, gradients, strict=False):
            self.assign(target, how, mx.nd.array(gradient))
        self.assign(in_grad[2], req[2], 0)


@mx.operator.register(_OPERATION)
class _MaskedProductShape(mx.operator.CustomOpProp):  # type: ignore[misc]
    def __init__(self, rate: str) -> None:  # MXNet hands settings on as text
        super().__init__()
        self._rate = float(rate)

    def list_arguments(self) -> list[str]:
        return ["x", "weight", "seed"]

    def infer_shape(self, in_shape: list[list[int]]) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
        x, weight, _ = in_shape
        return in_shape, [[x[0], weight[0]]], []

    def create_operator(self, ctx: Any, in_shapes: Any, in_dtypes: Any) -> _MaskedProduct:
        return _MaskedProduct(self._rate)


# MXNet's threaded engine calls from a thread of its own: while the interpreter ends, that would hang or crash.
atexit.register(mx.nd.waitall)
