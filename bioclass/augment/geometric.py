"""Geometric steps, merged into one map of coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.augment.draws import Keys, uniform
from bioclass.augment.elastic import fields
from bioclass.geometry import Border, Map, affine_map, grid, moved, sample_map
from bioclass.recipe import Elastic, Flip, Rotation, Scale, Step, Translation, Turn

Affine = npt.NDArray[np.float64]
Choice = npt.NDArray[np.int64]
Size = tuple[int, int]

GEOMETRIC = (Translation, Rotation, Elastic, Scale, Flip, Turn)


class Stage(NamedTuple):
    """A step at its place: ``stream`` gives it random numbers of its own."""

    step: Step
    stream: int
    choice: Choice | None
    """(B,) which variant of each image, 0 for none; None draws at random."""


def merged_map(stages: Sequence[Stage], keys: Keys, size: Size, border: Border) -> Map:
    """Return the map (B, 2, H, W) of all stages, which are applied to the image in their order.

    Going from the output back to the source, the last stage comes first. Affine stages are multiplied; an elastic
    field is evaluated where the later stages have brought the pixels.
    """
    places: Map | None = None
    pending: Affine | None = None
    for stage in reversed(stages):
        if not isinstance(stage.step, Elastic):
            mine = affine(stage, keys, size)
            pending = mine if pending is None else composed(mine, pending)
            continue
        field = fields(stage.step, keys, stage.stream, size)
        if stage.choice is not None:
            field *= (stage.choice > 0)[:, None, None, None]
        if places is None and pending is None:
            field += grid(*size)[:2].reshape(2, *size)
            places = field
        else:
            places, pending = _flushed(places, pending, size), None
            places += sample_map(field, places, border)
    return _flushed(places, pending, size)


def _flushed(places: Map | None, pending: Affine | None, size: Size) -> Map:
    if pending is None:
        assert places is not None
        return places
    return affine_map(pending, size) if places is None else moved(places, pending)


def identity(batch: int) -> Affine:
    """Return coefficients (B, 2, 3) that change nothing."""
    out = np.zeros((batch, 2, 3))
    out[:, (0, 1), (0, 1)] = 1
    return out


def composed(second: Affine, first: Affine) -> Affine:
    """Return the coefficients of ``first`` followed by ``second``, each (B, 2, 3)."""
    out: Affine = np.matmul(second[:, :, :2], first)
    out[:, :, 2] += second[:, :, 2]
    return out


def affine(stage: Stage, keys: Keys, size: Size) -> Affine:
    """Return the coefficients (B, 2, 3) from an output pixel (x, y, 1) to its source, in pixels."""
    step = stage.step
    out = identity(len(keys))
    if isinstance(step, Translation):
        out[:, :, 2] = -_shifts(step, stage, keys)
        return out
    if isinstance(step, Rotation):
        angle = np.deg2rad(between(step.angles, 0.0, stage, keys))
        # Counterclockwise on a screen, whose y grows downwards.
        _turn(out, np.cos(angle), np.sin(angle))
    elif isinstance(step, Scale):
        out[:, :, :2] /= between(step.factors, 1.0, stage, keys)[:, None, None]
    elif isinstance(step, Flip):
        across, down = flipped(step, stage, keys)
        out[:, 0, 0], out[:, 1, 1] = 1.0 - 2 * across, 1.0 - 2 * down
    elif isinstance(step, Turn):
        quarters = turned(stage, keys)
        _turn(out, np.array([1.0, 0, -1, 0])[quarters], np.array([0.0, 1, 0, -1])[quarters])
    # About the centre of the image.
    centre = np.array([size[1] - 1, size[0] - 1]) / 2
    out[:, :, 2] = centre - out[:, :, :2] @ centre
    return out


def between(values: Sequence[float], none: float, stage: Stage, keys: Keys) -> npt.NDArray[np.float64]:
    """Return one value an image, (B,): the chosen variant's, ``none`` for none, or one between the outermost."""
    if stage.choice is not None:
        return np.array([none, *values])[stage.choice]
    low, high = min(*values, none), max(*values, none)
    return low + (high - low) * uniform(keys, stage.stream, 1)[:, 0].astype(np.float64)


def flipped(step: Flip, stage: Stage, keys: Keys) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which images are mirrored, (B,): left and right exchanged, top and bottom exchanged."""
    if stage.choice is not None:
        chosen = np.array(["", *step.axes])[stage.choice]
        return chosen == "horizontal", chosen == "vertical"
    coins = uniform(keys, stage.stream, 2) < 0.5
    return coins[:, 0] & ("horizontal" in step.axes), coins[:, 1] & ("vertical" in step.axes)


def turned(stage: Stage, keys: Keys) -> Choice:
    """Return the quarters by which each image is turned counterclockwise, (B,)."""
    if stage.choice is not None:
        return stage.choice
    return (uniform(keys, stage.stream, 1)[:, 0] * 4).astype(np.int64)


def _shifts(step: Translation, stage: Stage, keys: Keys) -> npt.NDArray[np.float64]:
    """Pixels along x and along y, (B, 2); the variants are up, down, left, right."""
    if stage.choice is not None:
        return step.pixels * np.array([[0.0, 0], [0, -1], [0, 1], [-1, 0], [1, 0]])[stage.choice]
    return step.pixels * (2.0 * uniform(keys, stage.stream, 2) - 1)


def _turn(coefficients: Affine, cos: npt.NDArray[np.float64], sin: npt.NDArray[np.float64]) -> None:
    coefficients[:, 0, 0] = coefficients[:, 1, 1] = cos
    coefficients[:, 0, 1], coefficients[:, 1, 0] = -sin, sin
