"""The pattern of a finger: its class, its singular points, and the orientation of its ridges.

Coordinates are those of the finger: x to the right and y upwards, the picture is the square [-1, 1]. Orientations
are radians from the x axis, counterclockwise.

Singular points give the orientation by the zero-pole model of Sherlock and Monro (A model for interpreting
fingerprint topology, Pattern Recognition 26, 1993): half the sum of the angles under which a place is seen from the
loops, less those from the deltas. Vizcaya and Gerhardt (A nonlinear orientation model for global description of
fingerprints, Pattern Recognition 29, 1996) let each angle pass through a piecewise linear function, so that ridges
rise and fall around a singular point as they do on fingers. An arch has no singular points; its ridges follow the
sinusoid of SFinGe (Cappelli, in Maltoni, Maio, Jain and Prabhakar, Handbook of Fingerprint Recognition, chapter 6),
which, flatter, also bends the tops of the other classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError, did_you_mean

Array = npt.NDArray[np.float32]
Points = tuple[tuple[float, float], ...]

CLASSES = ("arch", "tented arch", "left loop", "right loop", "whorl")
FREQUENCIES = (0.037, 0.029, 0.338, 0.317, 0.279)
"""How often fingers are of each class.

Wilson, Candela and Watson, Neural network fingerprint classification, J. Artificial Neural Networks 1 (1993).
"""
NODES = 8
"""Angles at which a correction is given."""
WAVES = 3


@dataclass(frozen=True)
class Pattern:
    """What is the same in every print of a finger.

    Attributes:
        name: one of CLASSES.
        loops, deltas: places (x, y) of the singular points.
        corrections: for each loop, then each delta, what is added to its angle at NODES even angles from -pi on, in
            radians.
        arch: slope of the sinusoidal arch at the top, by how much it falls to the bottom, the x of its middle, and
            half its width.
        waves: of smooth deviations from all this: radians, waves along x and along y per picture, and phase.
        period: of the ridges, as a share of the picture's side.
    """

    name: str
    loops: Points
    deltas: Points
    corrections: tuple[tuple[float, ...], ...]
    arch: tuple[float, float, float, float]
    waves: tuple[tuple[float, float, float, float], ...]
    period: float


def check_class(name: str) -> None:
    """Raise InputError if there is no such class."""
    if name not in CLASSES:
        raise InputError(
            f"There is no fingerprint class {name!r}{did_you_mean(name, CLASSES)}. Known: {', '.join(CLASSES)}."
        )


def draw_pattern(name: str, rng: np.random.Generator) -> Pattern:
    """Draw the pattern of a finger of a class.

    Raises:
        InputError: there is no such class.
    """
    check_class(name)
    loops: Points = ()
    deltas: Points = ()
    if name == "arch":
        slope = rng.uniform(0.9, 2.2)
        arch = (slope, slope * rng.uniform(0.9, 1.4), rng.normal(0, 0.1), rng.uniform(0.6, 1.1))
    else:
        loops, deltas = _SINGULAR[name](rng)
        arch = (rng.uniform(0.4, 1.1), rng.uniform(1.4, 2.4), loops[0][0], rng.uniform(0.8, 1.1))
    bends = [-rng.uniform(0.25, 0.6) for _ in loops] + [rng.uniform(0.0, 0.25) for _ in deltas]
    corrections = tuple(_correction(bend, rng) for bend in bends)
    waves = tuple(_wave(rng) for _ in range(WAVES))
    return Pattern(name, loops, deltas, corrections, arch, waves, rng.uniform(0.025, 0.038))


def _wave(rng: np.random.Generator) -> tuple[float, float, float, float]:
    return rng.normal(0, 0.05), rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, 2 * np.pi)


def _correction(bend: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Steeper at the sides, nothing straight above and below, and a little chance."""
    angles = np.arange(NODES) * (2 * np.pi / NODES) - np.pi
    return tuple(bend * np.cos(angles) + rng.normal(0, 0.06, NODES))


def _tented_arch(rng: np.random.Generator) -> tuple[Points, Points]:
    x, y = rng.normal(0, 0.08), rng.uniform(-0.2, 0.25)
    return ((x, y),), ((x + rng.uniform(-0.05, 0.05), y - rng.uniform(0.18, 0.5)),)


def _left_loop(rng: np.random.Generator) -> tuple[Points, Points]:
    x, y = rng.normal(0, 0.08), rng.uniform(-0.1, 0.3)
    return ((x, y),), ((x + rng.uniform(0.22, 0.65), y - rng.uniform(0.3, 0.75)),)


def _right_loop(rng: np.random.Generator) -> tuple[Points, Points]:
    loops, deltas = _left_loop(rng)
    return tuple((-x, y) for x, y in loops), tuple((-x, y) for x, y in deltas)


def _whorl(rng: np.random.Generator) -> tuple[Points, Points]:
    """Plain whorls, central pockets (the loops nearer) and double loops (the loops apart and aslant)."""
    kind = rng.choice(["plain", "pocket", "double"], p=[0.6, 0.2, 0.2])
    x, y = rng.normal(0, 0.08), rng.uniform(0.05, 0.35)
    down = {"plain": (0.15, 0.35), "pocket": (0.1, 0.18), "double": (0.3, 0.45)}[kind]
    aside = rng.uniform(0.12, 0.28) * rng.choice([-1, 1]) if kind == "double" else rng.normal(0, 0.03)
    low = y - rng.uniform(*down)
    left, right = rng.uniform(0.38, 0.68, 2)
    drops = rng.uniform(0.25, 0.5) + rng.uniform(-0.12, 0.12, 2)
    if kind == "pocket":
        # One delta lies nearer, as in a loop whose core closes.
        left, right = rng.permutation([rng.uniform(0.25, 0.35), rng.uniform(0.45, 0.62)])
    return ((x - aside / 2, y), (x + aside / 2, low)), ((x - left, low - drops[0]), (x + right, low - drops[1]))


_SINGULAR = {"tented arch": _tented_arch, "left loop": _left_loop, "right loop": _right_loop, "whorl": _whorl}


def orientation(pattern: Pattern, x: Array, y: Array) -> Array:
    """Return the orientation of the ridges at the places (x, y), arrays of one shape, in radians modulo pi."""
    theta = _arch(pattern.arch, x, y)
    for height, along, up, phase in pattern.waves:
        theta += np.float32(height) * np.sin(np.float32(np.pi) * (along * x + up * y) + np.float32(phase))
    for number, (px, py) in enumerate(pattern.loops + pattern.deltas):
        angle = np.arctan2(y - np.float32(py), x - np.float32(px))
        # The arguments run from -pi; the last node is the first again.
        nodes = np.linspace(-np.pi, np.pi, NODES + 1)
        bends = [*pattern.corrections[number], pattern.corrections[number][0]]
        angle += np.interp(angle, nodes, bends).astype(np.float32)
        theta += angle / 2 if number < len(pattern.loops) else -angle / 2
    return np.mod(theta, np.float32(np.pi))


def _arch(arch: tuple[float, float, float, float], x: Array, y: Array) -> Array:
    slope, fall, middle, half = arch
    steepness = np.maximum(0, slope - fall * (1 - y) / 2)
    sine = np.sin(np.clip((x - middle) / half, -1, 1) * np.float32(np.pi / 2))
    found: Array = np.arctan(-steepness * sine).astype(np.float32)
    return found


def poincare_index(theta: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return by how many turns orientations (H, W) turn around each square of four pixels, (H - 1, W - 1).

    It is 1/2 around a loop, -1/2 around a delta and 0 elsewhere (Kawagoe and Tojo 1984); rows run downwards.
    """
    corners = [theta[:-1, :-1], theta[1:, :-1], theta[1:, 1:], theta[:-1, 1:]]
    turns = np.zeros(corners[0].shape)
    for first, second in zip(corners, corners[1:] + corners[:1], strict=True):
        turns += np.mod(second - first + np.pi / 2, np.pi) - np.pi / 2
    found: npt.NDArray[np.float64] = np.rint(turns / np.pi) / 2
    return found
