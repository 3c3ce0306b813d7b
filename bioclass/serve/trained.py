"""Whether an image is one of those that a model was trained on, of which its answer tells nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Trained:
    """The images that a model was trained on, known by the digests of their pixels.

    Attributes:
        complete: whether all of them were added. Until then no image is said to be none of them.
    """

    def __init__(self) -> None:
        self._ids: dict[bytes, str] = {}
        self.complete = False

    def add(self, images: Array, ids: Sequence[str]) -> None:
        """Add stored images (N, H, W, C), resized as planned and not yet centred, of these N ids."""
        for image, id_ in zip(images, ids, strict=True):
            self._ids.setdefault(_digest(image), str(id_))

    def told(self, image: Array) -> dict[str, Any]:
        """Return what is known of an image (H, W, C) that was read for the same plan, JSON-ready.

        ``training_image`` is True where its pixels are those of a training image, whose id is ``training_id``;
        False where they are those of none; None while not all are known.
        """
        id_ = self._ids.get(_digest(image))
        if id_ is None:
            return {"training_image": False if self.complete else None}
        return {"training_image": True, "training_id": id_}


def _digest(image: Array) -> bytes:
    # An archive's values may be stored in the other order of bytes.
    native = image.astype(image.dtype.newbyteorder("="), copy=False)
    return hashlib.blake2b(np.ascontiguousarray(native).data, digest_size=16).digest()
