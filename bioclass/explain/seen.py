"""What a network sees, as a person can see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.preprocess import Plan, affine
from bioclass.report.display import display_of

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class Seen:
    """Turns stored images, and what a network takes, into RGB, all in one way.

    Args:
        plan: of the run.
        examples: stored images (H, W, C) by which it is decided how deep ones are shown.
    """

    def __init__(self, plan: Plan, examples: Sequence[Array]) -> None:
        self._plan = plan
        self._display = display_of(examples, plan.input)
        self.note = self._display.note
        values = np.concatenate([example.reshape(-1, plan.channels) for example in examples])
        if np.dtype(plan.input.dtype).kind in "ui":
            lowest, highest = np.zeros(plan.channels), np.full(plan.channels, plan.largest)
        else:
            lowest, highest = values.min(axis=0), values.max(axis=0)
        self.middle = self._given(np.median(values, axis=0))
        """(C, 1, 1): the median of the examples' values, as the network takes them."""
        self.limits = self._given(lowest), self._given(highest)
        """Each (C, 1, 1): the least and the most that an image can hold, as the network takes it."""

    def stored(self, image: Array) -> Pixels:
        """Return a stored image (H, W, C) as RGB (H, W, 3)."""
        return self._display(image)

    def taken(self, x: Floats) -> Pixels:
        """Return an image as the network takes it, (C, h, w), as RGB (h, w, 3)."""
        scale, shift = self._affine()
        values = ((x - shift) / scale).transpose(1, 2, 0)
        dtype = np.dtype(self._plan.input.dtype)
        if dtype.kind in "ui":
            values = np.rint(values).clip(0, self._plan.largest)
        return self._display(values.astype(dtype))

    def _given(self, values: Array) -> Floats:
        scale, shift = self._affine()
        given: Floats = (np.asarray(values, np.float32)[:, None, None] * scale + shift).astype(np.float32)
        return given

    def _affine(self) -> tuple[Floats, Floats]:
        scale, shift = affine(self._plan.divisor, self._plan.mean, self._plan.std)
        return scale, np.zeros_like(scale) if shift is None else shift


def gray(values: Floats, low: float, high: float) -> Pixels:
    """Return values (H, W) as gray (H, W, 3), ``low`` black and ``high`` white."""
    shares = np.clip((values - low) / (high - low if high > low else 1), 0, 1)
    return np.repeat(np.rint(255 * shares).astype(np.uint8)[..., None], 3, axis=2)
