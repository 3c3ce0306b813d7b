"""How a finger touches: where it lies, how its skin stretches, and which part of it leaves a print."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bioclass.fingerprints.pattern import Array, Pattern
from bioclass.fingerprints.ridges import grid

CROPPED = (0.5, 0.85)
"""Half the side of a picture that is cut from the middle of a print, in units of the finger."""
WHOLE = (1.0, 1.7)
"""The same where the whole print is shown, with more or less paper around it.

On cards that were scanned with 500 dpi, 512 pixels wide, ridges are as near to each other as with the last.
"""


@dataclass(frozen=True)
class Contact:
    """What one touch shows, at each pixel of the picture (size, size).

    Attributes:
        x, y: the place on the finger.
        inside: above 0 where the finger touches; it falls by 1 from the middle of the contact to its edge.
    """

    x: Array
    y: Array
    inside: Array


def draw_contact(pattern: Pattern, size: int, cropped: bool, rng: np.random.Generator) -> Contact:
    """Draw a touch: turned by some degrees, displaced, stretched, and seldom with the whole of the finger."""
    half, middle = rng.uniform(*WHOLE), (0.0, 0.0)
    if cropped:
        half = rng.uniform(*CROPPED)
        points = np.array(pattern.loops + pattern.deltas or ((0.0, 0.0),))
        middle = tuple(rng.uniform(0.3, 0.8) * points.mean(axis=0) + rng.normal(0, 0.04, 2))
    u, v = grid(size, half)
    u, v = u + np.float32(middle[0]), v + np.float32(middle[1])
    inside = _silhouette(u, v, rng)
    turn = np.clip(rng.normal(0, 8), -20, 20) * np.pi / 180
    aside, up = rng.normal(0, 0.06, 2)
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    stretch = rng.uniform(0, 0.035)
    x = cosine * u + sine * v + np.float32(aside) + smooth_noise(size, 3, stretch, rng)
    y = cosine * v - sine * u + np.float32(up) + smooth_noise(size, 3, stretch, rng)
    return Contact(x, y, inside)


def _silhouette(u: Array, v: Array, rng: np.random.Generator) -> Array:
    """Half an ellipse above, half of a blunter one below, the edge uneven; a rolled finger is blunt all around."""
    right, left, top, bottom = rng.uniform((0.72, 0.72, 0.88, 0.88), (1.0, 1.0, 1.05, 1.05))
    across = np.abs(u) / np.where(u > 0, right, left).astype(np.float32)
    down = np.abs(v) / np.where(v > 0, top, bottom).astype(np.float32)
    above, below = rng.uniform((2.0, 2.5), (3.0, 6.0))
    power = np.where(v > 0, np.float32(above), np.float32(below))
    inside: Array = 1 - (across**power + down**power) + smooth_noise(len(u), 9, 0.06, rng)
    return inside


def smooth_noise(size: int, cells: int, deviation: float, rng: np.random.Generator) -> Array:
    """Return noise (size, size) that changes over 1 / ``cells`` of the side: cubic B-splines of random weights."""
    weights = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
    basis = _splines(size, cells)
    # In each direction, the squares of the splines sum to 0.48 on average.
    found: Array = basis @ (weights * np.float32(deviation / 0.48)) @ basis.T
    return found


@lru_cache(maxsize=16)
def _splines(size: int, cells: int) -> npt.NDArray[np.float32]:
    """The cubic B-splines at each pixel, (size, cells + 3)."""
    place = (np.arange(size) + 0.5) * (cells / size)
    distance = np.abs(place[:, None] - np.arange(-1, cells + 2)[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.maximum(0, 2 - distance) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)
