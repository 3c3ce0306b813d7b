"""An enumerated training set as a sequence: nothing of it is stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.augment.augmenter import Augmenter

Array = npt.NDArray[Any]


class Variants:
    """The images and their variants: N x V images, of which each is computed when it is asked for.

    Image ``i`` and its variants stand at ``i * V`` (itself) to ``i * V + V - 1``.

    Args:
        augmenter: makes them; its mode is "enumerated".
        images: (N, H, W, C) as stored.
    """

    def __init__(self, augmenter: Augmenter, images: Array) -> None:
        self.augmenter = augmenter
        self.images = images

    def __len__(self) -> int:
        return len(self.images) * self.augmenter.augment.variants

    def __getitem__(self, index: int | slice | npt.NDArray[np.integer[Any]]) -> Array:
        """Return one image (h, w, C), or those of a slice or an array of indices (B, h, w, C)."""
        where = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)
        if where.size and (where.min() < -len(self) or where.max() >= len(self)):
            raise IndexError(f"There are {len(self)} variants. Got the index {index}.")
        rows, variants = np.divmod(np.atleast_1d(where) % len(self), self.augmenter.augment.variants)
        out = self.augmenter.enumerated(self.images[rows], rows, variants)
        return out if where.ndim else out[0]
