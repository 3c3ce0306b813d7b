"""Inputs made to excite a unit: gradient ascent from a plain image (Simonyan, Vedaldi and Zisserman 2014)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.answers import batch_of
from bioclass.backend import mx
from bioclass.explain.explainer import Explainer
from bioclass.explain.seen import Seen
from bioclass.geometry import cv2
from bioclass.networks.graph import Point

Floats = npt.NDArray[np.float32]

STEPS = 32
SHARE = 4
"""How much more memory an image takes than in prediction, about: all that is computed is kept for the gradient."""
RATE = 0.12
"""Of the range of values, the mean step at the start; it falls to nothing."""
NOISE = 0.03
"""Of the range, the standard deviation of the start around the plain image."""
BLUR = 1 / 120
"""Of the image's side, the width of the Gaussian that follows a step (Yosinski et al. 2015); it falls too."""
NARROWEST = 0.6
"""Pixels of that at the start, at least."""


def exciting(made: Explainer, seen: Seen, point: Point | None, units: list[int], seed: int) -> Floats:
    """Return an input for each unit, (U, C, h, w), that was made to excite it, from the same start.

    Args:
        made: the run's network.
        seen: gives the plain image, and what values an image can hold.
        point: where the units are, each the channel's place in the middle; None for the scores.
        units: channels, or classes.
        seed: of the noise that the start has.
    """
    channels, height, width = made.shape
    low, high = seen.limits
    rng = np.random.default_rng([seed, 7])
    start = seen.middle + NOISE * (high - low) * rng.standard_normal(made.shape).astype(np.float32)
    start = np.clip(start, low, high).astype(np.float32)
    block = made.block(()) if point is None else made.graph.until(point)
    size = batch_of(SHARE * channels * height * width)
    made_up = [
        _climbed(block, made.context, units[first : first + size], start, (low, high), rng)
        for first in range(0, len(units), size)
    ]
    return np.concatenate(made_up)


def _climbed(
    block: Any,
    context: Any,
    units: list[int],
    start: Floats,
    limits: tuple[Floats, Floats],
    rng: np.random.Generator,
) -> Floats:
    low, high = limits
    values = np.repeat(start[None], len(units), axis=0)
    chosen = mx.nd.array(units, ctx=context)
    sigma = max(NARROWEST, BLUR * max(start.shape[1:]))
    for step in range(STEPS):
        x = mx.nd.array(values, ctx=context)
        x.attach_grad()
        with mx.autograd.record():
            activity = block(x)
            if activity.ndim == 4:
                activity = activity[:, :, activity.shape[2] // 2, activity.shape[3] // 2]
            total = mx.nd.pick(activity, chosen).sum()
        total.backward()
        slope = x.grad.asnumpy()
        asleep = ~slope.any(axis=(1, 2, 3))
        # A unit that is off, and so has no gradient, is woken by chance.
        slope[asleep] = rng.standard_normal(slope[asleep].shape)
        # Of the pixels that the unit sees.
        count = np.maximum(np.count_nonzero(slope, axis=(1, 2, 3), keepdims=True), 1)
        mean = np.abs(slope).sum(axis=(1, 2, 3), keepdims=True) / count
        rate = RATE * (1 - step / STEPS)
        values = values + rate * (high - low) * slope / np.maximum(mean, np.finfo(np.float32).tiny)
        values = np.clip(_blurred(values, sigma * (1 - step / STEPS)), low, high).astype(np.float32)
    return values


def _blurred(values: Floats, sigma: float) -> Floats:
    if sigma < 0.2:
        return values
    blur = cv2().GaussianBlur
    images = values.reshape(-1, *values.shape[2:])
    out: Floats = np.stack([blur(image, (0, 0), sigma) for image in images]).reshape(values.shape)
    return out
