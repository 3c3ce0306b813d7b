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


class Sizes(NamedTuple):
    """What the shared memory of a fit has room for; lengths in floats."""

    workers: int
    trained: int
    statistics: int
    states: int
    average: bool


@dataclass(frozen=True)
class Region:
    """The shared memory of one fit.

    Attributes:
        progress: (workers x LINE,) int64, what each worker has reached.
        losses: (workers,) float64, the summed loss of each worker's part of the last segment.
        weights: (L,) all parameters that gradients update, flat.
        states: (S, L) the optimizer's.
        gradients: (workers, L) each worker's own.
        statistics: (workers, M) each worker's own running statistics.
        average: (L,) the moving average of the weights, if one is kept.
        average_statistics: (workers, M) that of the running statistics.
    """

    progress: memoryview
    losses: npt.NDArray[np.float64]
    weights: Floats
    states: Floats
    gradients: Floats
    statistics: Floats
    average: Floats | None
    average_statistics: Floats | None

    @classmethod
    def map(cls, descriptor: int, sizes: Sizes) -> Region:
        """Map the region of a file descriptor, which is made as large as it must be."""
        workers, length = sizes.workers, sizes.trained
        head = workers * LINE * 8
        rows = 1 + sizes.states + workers + sizes.average
        total = 2 * head + 4 * (length * rows + sizes.statistics * workers * (1 + sizes.average))
        os.ftruncate(descriptor, total)
        buffer = mmap.mmap(descriptor, total)
        floats = np.frombuffer(buffer, dtype=np.float32, offset=2 * head)
        flat = floats[: rows * length].reshape(rows, length)
        statistics = floats[rows * length :].reshape(1 + sizes.average, workers, sizes.statistics)
        return cls(
            progress=memoryview(buffer)[:head].cast("q"),
            losses=np.frombuffer(buffer, dtype=np.float64, count=workers * LINE, offset=head)[::LINE],
            weights=flat[0],
            states=flat[1 : 1 + sizes.states],
            gradients=flat[1 + sizes.states : 1 + sizes.states + workers],
            statistics=statistics[0],
            average=flat[-1] if sizes.average else None,
            average_statistics=statistics[1] if sizes.average else None,
        )

    @property
    def result(self) -> tuple[Floats, Floats]:
        """What is predicted with: (L,) and (M,), the moving averages where they are kept."""
        if self.average is None or self.average_statistics is None:
            return self.weights, self.statistics[0]
        return self.average, self.average_statistics[0]
