"""What is to be known of every image, gathered in one pass over them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from bioclass.check.findings import Rows
from bioclass.errors import ImageError
from bioclass.images import read_image

T = TypeVar("T")
Array = npt.NDArray[Any]
SIDE = 32
"""Height and width of the thumbnails by which near copies are found."""

_FORMATS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"RIFF", "WebP"),
    (b"\x93NUMPY", "npy"),
)


class Look(NamedTuple):
    """What one look at an image tells."""

    shape: tuple[int, int, int]
    gray: bool
    dtype: str
    format: str
    low: float
    high: float
    digest: bytes
    border: float
    frame: int
    thumb: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Facts:
    """What is known of N images that could be read.

    Attributes:
        shape: (N, 3) height, width and channels.
        gray: (N,) whether all channels are equal.
        dtype: (N,) "uint8", "uint16", "float32", ...
        format: (N,) "JPEG", "PNG", ..., by content; "" for arrays.
        low: (N,) smallest value; NaN or infinite where there is such a pixel.
        high: (N,) largest value.
        digest: (N, 16) of the decoded pixels, their shape and type.
        border: (N,) mean of the outermost pixels, as a share of the type's range.
        frame: (N,) thickness in pixels of a border of one colour, at its thickest side.
        thumbs: (N, SIDE, SIDE) gray, each averaged over its areas.
    """

    shape: npt.NDArray[np.int64]
    gray: npt.NDArray[np.bool_]
    dtype: npt.NDArray[np.str_]
    format: npt.NDArray[np.str_]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    digest: npt.NDArray[np.uint8]
    border: npt.NDArray[np.float64]
    frame: npt.NDArray[np.int64]
    thumbs: npt.NDArray[np.float32]


def look_at(
    images: Array | Sequence[Path], seen: Callable[[int], None] = lambda images: None
) -> tuple[Facts, Rows, dict[int, ImageError]]:
    """Read every image once; ``seen`` is told how many were.

    Returns:
        The facts of those that can be read, their rows, and why the others cannot, by row.
    """
    if isinstance(images, np.ndarray):
        looks = _counted(map(look, images), seen)
        return facts_of(looks), np.arange(len(images)), {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = _counted(pool.map(_look_at_file, images), seen)
    problems = {row: answer for row, answer in enumerate(answers) if isinstance(answer, ImageError)}
    rows = np.array([row for row in range(len(answers)) if row not in problems], dtype=np.intp)
    return facts_of([answer for answer in answers if not isinstance(answer, ImageError)]), rows, problems


def _counted(items: Iterable[T], seen: Callable[[int], None]) -> list[T]:
    out = []
    for item in items:
        out.append(item)
        seen(len(out))
    return out


def look(image: Array, file_format: str = "") -> Look:
    """Return the facts of one image (H, W, C)."""
    image = np.ascontiguousarray(image)
    digest = hashlib.blake2b(f"{image.shape}{image.dtype.name}".encode(), digest_size=16)
    digest.update(image.data)
    low, high = float(image.min()), float(image.max())
    gray = image.mean(axis=2, dtype=np.float32) if image.shape[2] > 1 else image[..., 0].astype(np.float32)
    if not np.isfinite(low + high):
        gray = np.zeros_like(gray)
    edge = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    scale = float(np.iinfo(image.dtype).max) if image.dtype.kind in "ui" else 1.0
    height, width, channels = image.shape
    return Look(
        shape=(height, width, channels),
        gray=not (image != image[..., :1]).any(),
        dtype=image.dtype.name,
        format=file_format,
        low=low,
        high=high,
        digest=digest.digest(),
        border=float(edge.mean()) / scale,
        frame=_frame(image),
        thumb=_areas(height) @ gray @ _areas(width).T,
    )


def _look_at_file(path: Path) -> Look | ImageError:
    try:
        return look(read_image(path), format_of(path))
    except ImageError as problem:
        return problem


def format_of(path: Path) -> str:
    """Return the format of an image file by its content: "JPEG", "PNG", ..."""
    with path.open("rb") as file:
        head = file.read(8)
    return next((name for magic, name in _FORMATS if head.startswith(magic)), "other")


def facts_of(looks: Sequence[Look]) -> Facts:
    """Return the facts of images from a look at each."""
    n = len(looks)
    return Facts(
        shape=np.array([each.shape for each in looks], dtype=np.int64).reshape(n, 3),
        gray=np.array([each.gray for each in looks], dtype=bool),
        dtype=np.array([each.dtype for each in looks], dtype=np.str_),
        format=np.array([each.format for each in looks], dtype=np.str_),
        low=np.array([each.low for each in looks]),
        high=np.array([each.high for each in looks]),
        digest=np.array([np.frombuffer(each.digest, np.uint8) for each in looks], np.uint8).reshape(n, 16),
        border=np.array([each.border for each in looks]),
        frame=np.array([each.frame for each in looks], dtype=np.int64),
        thumbs=np.array([each.thumb for each in looks], dtype=np.float32).reshape(n, SIDE, SIDE),
    )


def _frame(image: Array) -> int:
    """How many outermost rows or columns, at the thickest of four sides, have one colour throughout, (H, W, C)."""
    height, width = image.shape[:2]
    sides = (image, image[::-1], image.swapaxes(0, 1), image[:, ::-1].swapaxes(0, 1))
    thickest = 0
    for side, limit in zip(sides, (height, height, width, width), strict=True):
        # Most images have no such border, and are known for it by their first line.
        if (side[0] != side[0, 0]).any():
            continue
        other = np.flatnonzero((side != side[0, 0]).any(axis=(1, 2)))
        thickest = max(thickest, int(other[0]) if len(other) else limit)
    return thickest


@lru_cache(maxsize=256)
def _areas(size: int) -> npt.NDArray[np.float32]:
    """The weights (SIDE, size) that average ``size`` pixels over SIDE equal lengths."""
    edges = np.linspace(0, size, SIDE + 1)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights: npt.NDArray[np.float32] = (np.clip(overlap, 0, None) * (SIDE / size)).astype(np.float32)
    return weights
