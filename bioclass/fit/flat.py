"""All parameters of a network in one flat buffer.

With weights and gradients flat, an update is one fused operation for all layers, several copies of a network
exchange one buffer, and worker processes share it without copying.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.checkpoint import Tensors
from bioclass.predict import parameters

Views = dict[str, Any]
ALIGN = 16
"""Parameters start at multiples of 16 floats: 64 bytes, a cache line and the width of the vector units."""


@dataclass(frozen=True)
class Slot:
    """Where one parameter lies in the flat buffer, in floats."""

    name: str
    start: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Layout:
    """The order of the parameters: weights first, then biases, so that each kind is one stretch."""

    slots: tuple[Slot, ...]
    biases: int
    """Where the biases start."""
    length: int

    @classmethod
    def of(cls, net: Any) -> Layout:
        """Return the layout of a network's trainable parameters."""
        named = [(name, p) for name, p in parameters(net).items() if p.grad_req != "null"]
        slots: list[Slot] = []
        end = biases = 0
        for kind in (False, True):
            biases = end
            for name, parameter in named:
                if name.endswith("bias") == kind:
                    slots.append(Slot(name, end, tuple(parameter.shape)))
                    end += -(-slots[-1].size // ALIGN) * ALIGN
        return cls(tuple(slots), biases, end)

    def views(self, flat: Any) -> Views:
        """Return the parameters by name as NDArrays on the memory of a flat numpy array or NDArray.

        On a numpy array each is an NDArray of its own, with which all operations deal as with any other.
        """
        parts = {slot.name: flat[slot.start : slot.start + slot.size].reshape(slot.shape) for slot in self.slots}
        return {name: shared(part) for name, part in parts.items()} if isinstance(flat, np.ndarray) else parts

    def pack(self, tensors: Tensors, into: npt.NDArray[np.float32]) -> None:
        """Copy named arrays into a flat buffer."""
        for slot in self.slots:
            into[slot.start : slot.start + slot.size] = tensors[slot.name].ravel()

    def unpack(self, flat: npt.NDArray[np.float32]) -> Tensors:
        """Return copies of the named arrays of a flat buffer."""
        return {
            slot.name: flat[slot.start : slot.start + slot.size].reshape(slot.shape).copy() for slot in self.slots
        }


def shared(array: npt.NDArray[Any]) -> Any:
    """Return an NDArray on the memory of a numpy array.

    A view is handed over because MXNet marks the array object that it is given as read-only.
    """
    return mx.nd.from_numpy(array[:], zero_copy=True)


def bind(net: Any, layout: Layout, weights: Views, gradients: Views, context: Any) -> None:
    """Let a network's parameters and gradients on one context be given NDArrays, by name.

    Gluon keeps one array a context in ``_data`` and ``_grad``; putting others there is what its own
    ``_init_impl`` does.
    """
    named = parameters(net)
    for slot in layout.slots:
        parameter = named[slot.name]
        place = parameter.list_ctx().index(context)
        parameter._data[place] = weights[slot.name]
        parameter._grad[place] = gradients[slot.name]
        mx.autograd.mark_variables([parameter._data[place]], [parameter._grad[place]], ["write"])


def shares(length: int, workers: int) -> Sequence[tuple[int, int]]:
    """Cut a flat buffer into one stretch a worker, at multiples of ``ALIGN``."""
    step = -(-length // workers // ALIGN) * ALIGN
    return [(min(k * step, length), min((k + 1) * step, length)) for k in range(workers)]
