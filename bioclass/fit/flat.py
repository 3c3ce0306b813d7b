"""All parameters of a network in flat buffers.

With weights and gradients flat, an update is one fused operation for all layers, several copies of a network
exchange one buffer, and worker processes share it without copying. What no gradient updates, the running
statistics of batch normalisation, lies in a second, small buffer that each copy has to itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.checkpoint import Tensors
from bioclass.fit.tuning import Rate
from bioclass.networks.parameters import parameters

Views = dict[str, Any]
Floats = npt.NDArray[np.float32]
ALIGN = 16
"""Parameters start at multiples of 16 floats: 64 bytes, a cache line and the width of the vector units."""


@dataclass(frozen=True)
class Slot:
    """Where one parameter lies in a flat buffer, in floats."""

    name: str
    start: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Flat:
    """The order of named arrays in a buffer of ``length`` floats."""

    slots: tuple[Slot, ...]
    length: int

    @classmethod
    def of(cls, named: Iterable[tuple[str, Any]]) -> Flat:
        """Return the order of these parameters, one after another."""
        slots: list[Slot] = []
        end = 0
        for name, parameter in named:
            slots.append(Slot(name, end, tuple(parameter.shape)))
            end += -(-slots[-1].size // ALIGN) * ALIGN
        return cls(tuple(slots), end)

    def views(self, flat: Any) -> Views:
        """Return the parameters by name as NDArrays on the memory of a flat numpy array or NDArray.

        On a numpy array each is an NDArray of its own, with which all operations deal as with any other.
        """
        parts = {slot.name: flat[slot.start : slot.start + slot.size].reshape(slot.shape) for slot in self.slots}
        return {name: shared(part) for name, part in parts.items()} if isinstance(flat, np.ndarray) else parts

    def pack(self, tensors: Tensors, into: Floats) -> None:
        """Copy named arrays into a flat buffer."""
        for slot in self.slots:
            into[slot.start : slot.start + slot.size] = tensors[slot.name].ravel()

    def unpack(self, flat: Floats) -> Tensors:
        """Return copies of the named arrays of a flat buffer."""
        return {
            slot.name: flat[slot.start : slot.start + slot.size].reshape(slot.shape).copy() for slot in self.slots
        }


@dataclass(frozen=True)
class Stretch:
    """Parameters that lie side by side, from ``start`` up to ``end``, and are trained alike."""

    start: int
    end: int
    biases: bool
    rate: Rate


@dataclass(frozen=True)
class Layout:
    """What a network's two buffers hold.

    Attributes:
        trained: the parameters that gradients update: weights first, then biases; among each, those that are
            trained alike lie together.
        stretches: what is trained alike.
        statistics: the parameters that the forward pass alone updates.
        rates: how parameters are trained, by name; those that are not named, as by default.
    """

    trained: Flat
    stretches: tuple[Stretch, ...]
    statistics: Flat
    rates: Mapping[str, Rate]

    @classmethod
    def of(cls, net: Any, rates: Mapping[str, Rate] | None = None) -> Layout:
        """Return the layout of a network's parameters."""
        rates, named = rates or {}, parameters(net).items()
        alike: dict[tuple[bool, Rate], list[tuple[str, Any]]] = {}
        for name, parameter in named:
            if parameter.grad_req != "null":
                key = name.endswith("bias"), rates.get(name, Rate())
                alike.setdefault(key, []).append((name, parameter))
        trained: list[tuple[str, Any]] = []
        stretches = []
        for (biases, rate), members in sorted(alike.items(), key=lambda item: item[0][0]):
            start = Flat.of(trained).length
            trained += members
            stretches.append(Stretch(start, Flat.of(trained).length, biases, rate))
        statistics = [(name, p) for name, p in named if p.grad_req == "null"]
        return cls(Flat.of(trained), tuple(stretches), Flat.of(statistics), rates)

    def rate(self, name: str) -> Rate:
        """Return how a parameter is trained."""
        return self.rates.get(name, Rate())

    def pack(self, tensors: Tensors, trained: Floats, statistics: Floats) -> None:
        """Copy all parameters, by name, into the two buffers."""
        self.trained.pack(tensors, trained)
        self.statistics.pack(tensors, statistics)

    def unpack(self, trained: Floats, statistics: Floats) -> Tensors:
        """Return copies of all parameters by name."""
        return {**self.trained.unpack(trained), **self.statistics.unpack(statistics)}


def shared(array: npt.NDArray[Any]) -> Any:
    """Return an NDArray on the memory of a numpy array.

    A view is handed over because MXNet marks the array object that it is given as read-only.
    """
    return mx.nd.from_numpy(array[:], zero_copy=True)


def bind(
    net: Any, layout: Layout, weights: Any, gradients: Any, statistics: Any, context: Any, iteration: int
) -> None:
    """Let a network's parameters and gradients on one context lie in flat buffers, numpy arrays or NDArrays.

    Gluon keeps one array a context in ``_data`` and ``_grad``; putting others there is what its own
    ``_init_impl`` does. What is not trained yet at this iteration is not marked, so that MXNet computes no
    gradients for it, nor any below the lowest layer that is.
    """
    named = parameters(net)
    data = {**layout.trained.views(weights), **layout.statistics.views(statistics)}
    for name, view in data.items():
        named[name]._data[named[name].list_ctx().index(context)] = view
    for name, gradient in layout.trained.views(gradients).items():
        named[name]._grad[named[name].list_ctx().index(context)] = gradient
        if layout.rate(name).begin <= iteration:
            mx.autograd.mark_variables([data[name]], [gradient], ["write"])


def merge_statistics(statistics: Floats) -> Floats:
    """Return the mean of the workers' running statistics (W, M), summed in their order, (M,).

    Each worker normalises with the statistics of its own part of a batch (Hoffer, Hubara and Soudry 2017: ghost
    batch normalisation). A running statistic is a weighted sum of those of the batches, so the mean of the workers'
    is the running statistic of their mean, whenever it is taken. In float64, so that equal values stay as they are.
    """
    total = np.zeros(statistics.shape[1], dtype=np.float64)
    for each in statistics:
        total += each
    return (total / len(statistics)).astype(np.float32)


def shares(length: int, workers: int) -> Sequence[tuple[int, int]]:
    """Cut a flat buffer into one stretch a worker, at multiples of ``ALIGN``."""
    step = -(-length // workers // ALIGN) * ALIGN
    return [(min(k * step, length), min((k + 1) * step, length)) for k in range(workers)]
