"""Flips and quarter turns alone: pixels change places, and nothing is sampled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.augment.draws import Keys
from bioclass.augment.geometric import Stage, flipped, turned
from bioclass.geometry import cv2
from bioclass.recipe import Copy, Flip, Turn

Array = npt.NDArray[Any]


def copied(images: Array, copies: Sequence[Copy]) -> Iterator[Array]:
    """Yield views of images (N, H, W, C), mirrored and turned as each of the copies says."""
    for mirrored, quarters in copies:
        yield np.rot90(images[:, :, ::-1] if mirrored else images, quarters, axes=(1, 2))


def is_dihedral(stages: Sequence[Stage]) -> bool:
    """Whether all stages are flips and quarter turns."""
    return all(isinstance(stage.step, Flip | Turn) for stage in stages)


def reflected(images: Array, stages: Sequence[Stage], keys: Keys) -> Array:
    """Return images (B, H, W, C) after flips and quarter turns, in their order; turns want square images."""
    batch = len(images)
    # Each result is the source mirrored left to right, or not, and then turned counterclockwise by quarters.
    mirrored, quarters = np.zeros(batch, bool), np.zeros(batch, np.int64)
    for stage in stages:
        if isinstance(stage.step, Flip):
            across, down = flipped(stage.step, stage, keys)
            # Top to bottom is left to right and half a turn; a mirror image turns the other way.
            quarters = np.where(across ^ down, -quarters, quarters) + 2 * down
            mirrored ^= across ^ down
        else:
            quarters = quarters + turned(stage, keys)
    out = np.empty_like(images)
    flip, rotate = cv2().flip, cv2().rotate
    codes = {1: cv2().ROTATE_90_COUNTERCLOCKWISE, 2: cv2().ROTATE_180, 3: cv2().ROTATE_90_CLOCKWISE}
    for image, target, mirror, turn in zip(images, out, mirrored.tolist(), (quarters % 4).tolist(), strict=True):
        if not turn:
            if mirror:
                flip(image, 1, dst=target)
            else:
                target[:] = image
        elif mirror and turn == 2:
            flip(image, 0, dst=target)
        else:
            rotate(flip(image, 1).reshape(image.shape) if mirror else image, codes[turn], dst=target)
    return out
