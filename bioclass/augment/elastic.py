"""Random smooth fields of displacements."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bioclass.augment.draws import Keys, uniform
from bioclass.geometry import Map, empty_map
from bioclass.recipe import Elastic

REACH = 3.0
"""Standard deviations of the Gaussian beyond which noise is taken to have no effect."""


def fields(step: Elastic, keys: Keys, stream: int, size: tuple[int, int]) -> Map:
    """Return a field of displacements for each key, (B, 2, H, W): along x and along y, in pixels.

    The noise is drawn on a lattice of spacing ``sigma``, with a margin; a Gaussian of that width leaves no trace of
    the lattice (its variance changes by 1 in 10,000 from place to place), and a field costs two small products.
    """
    down, across = _smoothing(size[0], step.sigma), _smoothing(size[1], step.sigma).T
    nodes = down.shape[1], across.shape[0]
    noise = uniform(keys, stream, 2 * nodes[0] * nodes[1]).reshape(-1, 2, *nodes)
    noise -= 0.5
    out = empty_map(len(keys), size)
    np.matmul(np.matmul(down, noise), across, out=out)
    if step.unit == "maximum":
        squares = np.square(out[:, 0])
        squares += np.square(out[:, 1])
        largest = np.sqrt(squares.reshape(len(out), -1).max(axis=1))
        out *= (step.strength / np.maximum(largest, 1e-12))[:, None, None, None].astype(np.float32)
    else:
        out *= np.float32(step.strength * deviation_of_unit(step) / _DEVIATION)
    return out


# On the lattice, noise uniform in [-1/2, 1/2] has variance 1/12, and the squares of an unnormalised Gaussian sum
# to pi (in units of the spacing, which is sigma).
_DEVIATION = math.sqrt(math.pi / 12)


def deviation_of_unit(step: Elastic) -> float:
    """Return the standard deviation in pixels of a displacement along one axis, for strength 1.

    For "simard" it is that of noise uniform in [-1, 1] on every pixel (variance 1/3) after a Gaussian of sum 1,
    whose squares sum to 1 / (4 pi sigma^2).
    """
    return 1.0 if step.unit == "deviation" else 1 / math.sqrt(12 * math.pi) / step.sigma


@lru_cache(maxsize=8)
def _smoothing(side: int, sigma: float) -> npt.NDArray[np.float32]:
    """The Gaussian between each pixel of a side and each node of the lattice, (side, nodes)."""
    count = math.ceil((side - 1) / sigma + 2 * REACH) + 1
    nodes = (np.arange(count) - REACH) * sigma
    distance = (np.arange(side)[:, None] - nodes[None, :]) / sigma
    gaussian: npt.NDArray[np.float32] = np.exp(-0.5 * distance**2).astype(np.float32)
    return gaussian
