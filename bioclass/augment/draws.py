"""Random numbers by index: the same for the same keys, in any order and any batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def mix(values: Keys) -> Keys:
    """Return well mixed values (Steele, Lea and Flood 2014, the finalizer of SplitMix64)."""
    out = values ^ (values >> _SHIFTS[0])
    out *= _FACTORS[0]
    out ^= out >> _SHIFTS[1]
    out *= _FACTORS[1]
    out ^= out >> _SHIFTS[2]
    return out


def keys(*parts: int | npt.NDArray[np.integer[np.typing.NBitBase]]) -> Keys:
    """Return one key for each combination of the parts, numbers or arrays (B,) of them that are not negative."""
    out = np.zeros(1, np.uint64)
    for part in parts:
        values = np.atleast_1d(np.asarray(part)).astype(np.uint64)
        out = mix((out + _GOLDEN) ^ mix(values * _GOLDEN + _GOLDEN))
    return out


def uniform(of: Keys, stream: int, count: int) -> npt.NDArray[np.float32]:
    """Return ``count`` numbers in [0, 1) for each key, (B, count); each ``stream`` gives others."""
    base = mix(of ^ mix(np.array([stream + 1], np.uint64) * _GOLDEN))
    steps = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
    bits = mix(base[:, None] + steps[None, :]) >> np.uint64(40)
    return bits.astype(np.float32) * np.float32(2.0**-24)
