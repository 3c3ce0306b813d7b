"""ONNX graphs node by node."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt


class Nodes:
    """A growing list of nodes and constants; what a node gives is known by a name.

    ``prefix`` starts every name, so that several lists fit into one graph.
    """

    def __init__(self, prefix: str) -> None:
        self._onnx: Any = importlib.import_module("onnx")
        self._prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, operation: str, *inputs: str | float | npt.NDArray[Any], **attributes: Any) -> str:
        """Add a node and return the name of what it gives first. An input may be a name, an array or a number.

        A number becomes a float64, in which places and weights are computed. ``outputs`` is how many it gives;
        the others are named as the first with "_1" and so on.
        """
        count = attributes.pop("outputs", 1)
        name = f"{self._prefix}{len(self.nodes)}_{operation.lower()}"
        names = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        given = [name, *(f"{name}_{number}" for number in range(1, count))]
        self.nodes.append(self._onnx.helper.make_node(operation, names, given, name=name, **attributes))
        return name

    def cast(self, value: str, dtype: str) -> str:
        """Add a conversion to a numpy type."""
        return self("Cast", value, to=self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _constant(self, value: float | npt.NDArray[Any]) -> str:
        name = f"{self._prefix}constant{len(self.constants)}"
        array = np.asarray(value, None if isinstance(value, np.ndarray) else np.float64)
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name
