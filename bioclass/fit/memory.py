"""Memory that several processes share: images, and the weights and gradients of one fit."""

from __future__ import annotations

import math
import mmap
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LINE = 8
"""int64 values in a cache line: each worker's progress has one to itself."""


class Place(NamedTuple):
    """Where an array lies: a file descriptor and the offset in it, in bytes."""

    descriptor: int
    offset: int
    shape: tuple[int, ...]
    dtype: str

    def map(self) -> npt.NDArray[Any]:
        """Return the array, read-only, on the memory of the file."""
        buffer = mmap.mmap(self.descriptor, 0, prot=mmap.PROT_READ)
        array = np.frombuffer(buffer, dtype=self.dtype, count=math.prod(self.shape), offset=self.offset)
        return array.reshape(self.shape)


def share_images(images: npt.NDArray[Any]) -> Place:
    """Return a place where other processes find the images; its descriptor is to be closed.

    What lies in a file already, a dataset's own or one that ``storage`` made, is mapped from there, so that
    memory stays bounded; an array in memory is copied once.
    """
    kind = images.shape, images.dtype.str
    root: Any = images
    while isinstance(root, np.memmap) and isinstance(root.base, np.memmap):
        root = root.base
    if isinstance(root, np.memmap) and images.flags.c_contiguous:
        offset = images.ctypes.data - root.ctypes.data
        stored = getattr(root, "descriptor", None)
        if stored is not None:
            return Place(os.dup(stored), offset, *kind)
        if root.filename is not None:
            return Place(os.open(root.filename, os.O_RDONLY), root.offset + offset, *kind)
    descriptor = os.memfd_create("bioclass-images")
    os.ftruncate(descriptor, images.nbytes)
    with mmap.mmap(descriptor, images.nbytes) as buffer:
        buffer.write(np.ascontiguousarray(images).data)
    return Place(descriptor, 0, *kind)


def aligned(shape: tuple[int, ...]) -> Floats:
    """Return zeros that start on a page, as the vector units like them."""
    count = math.prod(shape)
    return np.frombuffer(mmap.mmap(-1, max(4, 4 * count)), dtype=np.float32, count=count).reshape(shape)


@dataclass(frozen=True)
class Region:
    """The shared memory of one fit.

    Attributes:
        progress: (workers x LINE,) int64, what each worker has reached.
        losses: (workers,) float64, the summed loss of each worker's part of the last segment.
        weights: (L,) all parameters, flat.
        states: (S, L) the optimizer's.
        gradients: (workers, L) each worker's own.
    """

    progress: memoryview
    losses: npt.NDArray[np.float64]
    weights: Floats
    states: Floats
    gradients: Floats

    @classmethod
    def map(cls, descriptor: int, length: int, states: int, workers: int) -> Region:
        """Map the region of a file descriptor, which is made as large as it must be."""
        head = workers * LINE * 8
        total = 2 * head + 4 * length * (1 + states + workers)
        os.ftruncate(descriptor, total)
        buffer = mmap.mmap(descriptor, total)
        floats = np.frombuffer(buffer, dtype=np.float32, offset=2 * head).reshape(-1, length)
        return cls(
            progress=memoryview(buffer)[:head].cast("q"),
            losses=np.frombuffer(buffer, dtype=np.float64, count=workers * LINE, offset=head)[::LINE],
            weights=floats[0],
            states=floats[1 : 1 + states],
            gradients=floats[1 + states :],
        )
