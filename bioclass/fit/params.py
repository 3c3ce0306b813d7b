"""MXNet's .params files, read without MXNet, which believes whatever a damaged header asks for.

The format is that of ``NDArray::Save`` (src/ndarray/ndarray.cc of MXNet 1.9.1), little-endian: a magic number, 0
and the count of arrays; each array with a magic number of its version, its storage, shape, context and type and
then its values; the count of names; each name with its length.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioclass.errors import WeightsError

Tensors = dict[str, npt.NDArray[np.float32]]

_LIST, _V1, _V2, _V3 = 0x112, 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DTYPES = {0: "<f4", 1: "<f8", 2: "<f2"}
_MOST_AXES = 8


def parse_params(data: bytes, path: Path) -> Tensors:
    """Return the arrays of a .params file by name, as float32; ``path`` is for messages.

    "arg:" and "aux:" before a name, which MXNet's older exports have, are left out.

    Raises:
        WeightsError: it is not such a file, it is cut short or damaged, or holds other values than finite floats.
    """
    reader = _Reader(data, path)
    if len(data) < 24 or reader.take("Q") != _LIST:
        raise WeightsError(f"{path} is not a .params file of MXNet: network.weights wants one, or a run folder.")
    reader.take("Q")
    # No array takes less than 8 bytes, so that a damaged count ends here.
    arrays = [reader.array() for _ in range(reader.count(8))]
    names = [reader.name() for _ in range(reader.count(8))]
    if len(names) != len(arrays) or len(set(names)) != len(names) or reader.at != len(data):
        raise reader.damaged()
    return dict(zip(names, arrays, strict=True))


class _Reader:
    """Reads forward through the bytes and never past their end."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.at = 0
        self._data, self._path = data, path

    def damaged(self) -> WeightsError:
        return WeightsError(
            f"{self._path} is damaged or cut short (near byte {self.at} of {len(self._data)}): get it again."
        )

    def take(self, kind: str) -> int:
        """Return the next number, of a type that ``struct`` names."""
        value: int = struct.unpack("<" + kind, self._bytes(struct.calcsize("<" + kind)))[0]
        return value

    def count(self, least: int) -> int:
        """Return the next count of things of at least so many bytes."""
        count = self.take("Q")
        if count * least > len(self._data) - self.at:
            raise self.damaged()
        return count

    def name(self) -> str:
        try:
            name = self._bytes(self.count(1)).decode()
        except UnicodeDecodeError:
            raise self.damaged() from None
        return name.removeprefix("arg:").removeprefix("aux:")

    def array(self) -> npt.NDArray[np.float32]:
        version = self.take("I")
        if version in (_V2, _V3) and self.take("i") != 0:
            raise WeightsError(f"{self._path} holds sparse arrays, which no network of GluonCV has.")
        newer = version in (_V1, _V2, _V3)
        axes = self.take("I") if newer else version  # the first versions begin with it
        if not 0 < axes <= _MOST_AXES:
            raise self.damaged()
        shape = tuple(self.take("q" if newer else "I") for _ in range(axes))
        self._bytes(8)  # the context that it was saved from
        kind = self.take("i")
        if min(shape) < 1:
            raise self.damaged()
        if kind not in _DTYPES:
            raise WeightsError(
                f"{self._path} holds arrays that are not floats (MXNet's type {kind}): weights of a quantized "
                "network cannot be trained."
            )
        dtype = np.dtype(_DTYPES[kind])
        values = np.frombuffer(self._bytes(math.prod(shape) * dtype.itemsize), dtype)
        if not np.isfinite(values).all():
            raise WeightsError(f"{self._path} is damaged: it holds NaN or infinite weights. Get it again.")
        return values.reshape(shape).astype(np.float32)

    def _bytes(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise self.damaged()
        self.at += size
        return self._data[self.at - size : self.at]
