"""Ridges grown from noise by Gabor filters along the orientation, as SFinGe grows them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bioclass.fingerprints.pattern import Array, Pattern, orientation

SIDE = 176
"""Pixels of the grid on which ridges grow."""
REACH = 1.12
"""The grid covers [-REACH, REACH], for prints that are displaced or turned."""
ITERATIONS = 10
ORIENTATIONS, PERIODS = 64, 12
SHORTEST, LONGEST = 4.0, 7.5
"""Periods of the filters, in pixels of the grid."""
RADIUS = 7


def grow_ridges(pattern: Pattern, rng: np.random.Generator) -> Array:
    """Return a finger's ridges, (SIDE, SIDE) with rows downwards: from -1 in valleys to 1 on ridges.

    From white noise on, each pixel is again and again filtered along its orientation and with its period, and its
    value is limited. Where ridges that grew together do not fit, they leave minutiae.
    """
    x, y = grid(SIDE, REACH)
    theta = orientation(pattern, x, y)
    period = periods(pattern, x, y, rng)
    weights = _weights(theta, period)
    image = rng.standard_normal((SIDE, SIDE), dtype=np.float32)
    for _ in range(ITERATIONS):
        image = np.tanh(2 * _filtered(image, weights))
    return image


def grid(side: int, reach: float) -> tuple[Array, Array]:
    """Return the coordinates x and y of the pixels of a square picture that covers [-reach, reach]."""
    line = ((np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1) * np.float32(reach)
    x, y = np.meshgrid(line, -line)
    return x, y


def periods(pattern: Pattern, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Return the period of the ridges in pixels of the grid.

    It varies smoothly, and is longer above the loops and below the deltas.
    """
    top = max((py for _, py in pattern.loops), default=0.3)
    bottom = min((py for _, py in pattern.deltas), default=-0.4)
    factor = 1 + 0.12 * _step((y - top - 0.25) / 0.15) + 0.22 * _step((bottom - y - 0.05) / 0.12)
    for _ in range(3):
        fx, fy, phase = rng.uniform(-4, 4), rng.uniform(-4, 4), rng.uniform(0, 2 * np.pi)
        factor += 0.035 * np.sin(fx * x + fy * y + phase)
    found: Array = (pattern.period * factor * (SIDE / REACH)).astype(np.float32)
    return found


def _step(value: Array) -> Array:
    step: Array = 0.5 + 0.5 * np.tanh(value)
    return step


def _weights(theta: Array, period: Array) -> Array:
    """Half of each pixel's filter, (offsets, SIDE, SIDE): filters are even."""
    turn = np.rint(theta * (ORIENTATIONS / np.pi)).astype(np.intp) % ORIENTATIONS
    length = np.rint((period - SHORTEST) * ((PERIODS - 1) / (LONGEST - SHORTEST))).astype(np.intp)
    weights: Array = np.take(_bank(), turn * PERIODS + np.clip(length, 0, PERIODS - 1), axis=1)
    return weights


def _filtered(image: Array, weights: Array) -> Array:
    padded = np.pad(image, RADIUS)
    out = np.zeros_like(image)
    both = np.empty_like(image)
    side = len(image)
    for (down, across), weight in zip(_offsets(), weights, strict=True):
        ahead = padded[RADIUS + down : RADIUS + down + side, RADIUS + across : RADIUS + across + side]
        back = padded[RADIUS - down : RADIUS - down + side, RADIUS - across : RADIUS - across + side]
        np.add(ahead, back, out=both)
        both *= weight
        out += both
    return out


@lru_cache(maxsize=1)
def _offsets() -> tuple[tuple[int, int], ...]:
    """Half of the pixels within RADIUS, and the middle."""
    line = range(-RADIUS, RADIUS + 1)
    inside = [(down, across) for down in line for across in line if down**2 + across**2 <= RADIUS**2]
    return tuple(place for place in inside if place >= (0, 0))


@lru_cache(maxsize=1)
def _bank() -> Array:
    """Half of every filter, (offsets, ORIENTATIONS * PERIODS); each has sum 0, and gain 1 for its own wave."""
    down, across = np.array(_offsets(), np.float64).T
    filters = []
    for theta in np.arange(ORIENTATIONS) * (np.pi / ORIENTATIONS):
        # Rows run downwards, y upwards.
        along = across * np.cos(theta) - down * np.sin(theta)
        normal = across * np.sin(theta) + down * np.cos(theta)
        for period in np.linspace(SHORTEST, LONGEST, PERIODS):
            # Three peaks and no more, as in SFinGe.
            sigma = 0.4 * period
            envelope = np.exp(-(normal**2 / (2 * sigma**2) + along**2 / (2 * (1.2 * sigma) ** 2)))
            envelope[(down == 0) & (across == 0)] /= 2  # the middle is its own other half
            wave = np.cos(2 * np.pi * normal / period)
            weight = envelope * (wave - (envelope * wave).sum() / envelope.sum())
            weight /= 2 * (weight * wave).sum()
            filters.append(weight)
    return np.array(filters, np.float32).T.copy()
