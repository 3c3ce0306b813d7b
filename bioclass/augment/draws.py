"""Random numbers by index: the same for the same keys, in any order and any batch."""

from __future__ import annotations

from functools import lru_cache

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


def keys(*parts: int | npt.NDArray[np.integer[np.typing.NBitBase]], start: Keys | None = None) -> Keys:
    """Return one key for each combination of the parts, numbers or arrays (B,) of them that are not negative.

    ``start`` are the keys of parts that came before these.
    """
    out = np.zeros(1, np.uint64) if start is None else start
    for part in parts:
        values = np.atleast_1d(np.asarray(part)).astype(np.uint64)
        out = mix((out + _GOLDEN) ^ mix(values * _GOLDEN + _GOLDEN))
    return out


def uniform(of: Keys, stream: int, count: int) -> npt.NDArray[np.float32]:
    """Return ``count`` numbers in [0, 1) for each key, (B, count); each ``stream`` gives others."""
    numbers = bits(of, stream, count)
    numbers >>= np.uint64(40)
    return numbers.astype(np.float32) * np.float32(2.0**-24)


def bits(of: Keys, stream: int, count: int) -> Keys:
    """Return ``count`` numbers of 64 random bits for each key, (B, count); each ``stream`` gives others."""
    return mix(mix(of ^ _stream(stream))[:, None] + _steps(count))


@lru_cache(maxsize=64)
def _stream(stream: int) -> Keys:
    return mix(np.array([stream + 1], np.uint64) * _GOLDEN)


@lru_cache(maxsize=64)
def _steps(count: int) -> Keys:
    return np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
