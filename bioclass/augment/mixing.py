"""MixUp and CutMix: each image of a batch is mixed with the next one, and the last with the first.

A batch is in random order, so that neighbours are pairs at random, and a part of a batch lacks one image only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.recipe import Mix, MixUp

Floats = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]


class Mixing(NamedTuple):
    """How the images of a batch are mixed."""

    shares: Floats
    """(B,) between 0 and 1, what each label keeps; the rest is the next image's."""
    boxes: Index | None
    """(B, 4) top, bottom, left, right in pixels, of what CutMix takes from the next image; None for MixUp."""

    def take(self, places: Index) -> Mixing:
        """Return that of some images of the batch."""
        return Mixing(self.shares[places], None if self.boxes is None else self.boxes[places])


def draw_mixing(mix: Mix, seed: Sequence[int], batch: int, size: tuple[int, int]) -> Mixing:
    """Draw how a batch of so many images (height, width) is mixed; the same for the same seed."""
    rng = np.random.default_rng(seed)
    kept = rng.beta(mix.alpha, mix.alpha, batch)
    if isinstance(mix, MixUp):
        return Mixing(kept.astype(np.float32), None)
    return _boxes(kept, rng, size)


def mix_images(images: Floats, after: Floats, mixing: Mixing) -> None:
    """Mix images (B, C, H, W) in place, each with the next one, and the last with ``after`` (C, H, W)."""
    # In this order an image is still itself when the one before it takes from it.
    for i, target in enumerate(images):
        following = images[i + 1] if i + 1 < len(images) else after
        if mixing.boxes is None:
            target *= mixing.shares[i]
            target += (1 - mixing.shares[i]) * following
        else:
            top, bottom, left, right = mixing.boxes[i].tolist()
            target[:, top:bottom, left:right] = following[:, top:bottom, left:right]


def _boxes(kept: npt.NDArray[np.float64], rng: np.random.Generator, size: tuple[int, int]) -> Mixing:
    """Draw boxes with sides of sqrt(1 - l) about a centre anywhere (Yun et al. 2019, equation 2).

    As in their code what lies outside is cut off, and the labels' shares are those of the pixels.
    """
    ends = []
    for side in size:
        half = (np.sqrt(1 - kept) * side).astype(np.intp) // 2
        centre = rng.integers(side, size=len(kept))
        ends += [np.maximum(centre - half, 0), np.minimum(centre + half, side)]
    top, bottom, left, right = ends
    pasted = (bottom - top) * (right - left) / (size[0] * size[1])
    return Mixing((1 - pasted).astype(np.float32), np.stack(ends, axis=1))
