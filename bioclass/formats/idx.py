"""IDX files, as MNIST has them: http://yann.lecun.com/exdb/mnist/."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.card import PARTS, Card, Idx, Part
from bioclass.errors import CardError, DatasetError
from bioclass.formats import GZIP_MAGIC, check_digest, damaged, missing_files
from bioclass.samples import Samples
from bioclass.storage import allocate, fill

Array = npt.NDArray[Any]

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# Deflate never packs more than 1032 to 1, so a header that claims more is damaged.
_MOST_PACKED = 1032
_PIECE = 4096
"""Images that are transposed at a time."""


@dataclass(frozen=True)
class _File:
    """One IDX file, known by its header alone."""

    path: Path
    packed: bool
    header: bytes
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def read_idx(card: Card, layout: Idx, root: Path) -> Samples:
    """Return images (N, H, W) or (N, H, W, C) and labels (N,), part after part; ids are like "train/00012".

    A single raw file of bytes is memory-mapped; others are read once into memory, or into a temporary file where
    they exceed the memory limit.

    Raises:
        DatasetError: files that are missing, damaged, not IDX, not those of the card's digests, or do not fit
            one another.
        CardError: images and labels for different parts.
    """
    parts = [part for part in PARTS if part in layout.images]
    if set(layout.images) != set(layout.labels) or not parts:
        raise CardError(
            f"The format of {card.name!r} must name images and labels for the same parts, one at least."
        )
    images, labels = _locate(card, layout, parts, root)
    for part in parts:
        _check_pair(images[part], labels[part])
    pixels = _read(card, [images[part] for part in parts])
    if layout.transpose:
        pixels = _transposed(pixels)
    counts = [labels[part].shape[0] for part in parts]
    return Samples(
        images=pixels,
        labels=_from_zero(_read(card, [labels[part] for part in parts]), layout.first_label, card),
        ids=np.array([f"{part}/{i:05d}" for part, n in zip(parts, counts, strict=True) for i in range(n)]),
        parts=np.repeat(np.array(parts), counts),
    )


def _locate(card: Card, layout: Idx, parts: list[Part], root: Path) -> tuple[dict[Part, _File], dict[Part, _File]]:
    wanted = [names[part] for names in (layout.images, layout.labels) for part in parts]
    found = {name: _find(root, name) for name in wanted}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise missing_files(card, root, missing)
    files = {name: _header(path) for name, path in found.items() if path is not None}
    return {part: files[layout.images[part]] for part in parts}, {
        part: files[layout.labels[part]] for part in parts
    }


def _find(root: Path, name: str) -> Path | None:
    other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    return next((path for path in (root / name, root / other) if path.is_file()), None)


def _open(path: Path, packed: bool) -> io.BufferedIOBase:
    return gzip.GzipFile(path) if packed else path.open("rb")


def _header(path: Path) -> _File:
    with path.open("rb") as raw:
        # By content: some browsers unpack a .gz while they save it under that name.
        packed = raw.read(2) == GZIP_MAGIC
    try:
        with _open(path, packed) as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or magic[3] == 0:
                raise DatasetError(
                    f"{path} is not an IDX file (it starts with {magic.hex(' ') or 'nothing'}, not with 00 00, a "
                    "type and the number of dimensions): copy it again from its source."
                )
            sizes = file.read(4 * magic[3])
    except (EOFError, OSError, zlib.error) as problem:
        raise damaged(path, problem) from None
    shape = tuple(int(size) for size in np.frombuffer(sizes[: len(sizes) // 4 * 4], ">u4"))
    entry = _File(path, packed, magic + sizes, np.dtype(_DTYPES[magic[2]]), shape)
    _check_length(entry, dimensions=magic[3])
    return entry


def _check_length(file: _File, dimensions: int) -> None:
    if len(file.shape) < dimensions:
        raise damaged(file.path, "its header ends early")
    size, wanted = file.path.stat().st_size, len(file.header) + math.prod(file.shape) * file.dtype.itemsize
    if (not file.packed and size != wanted) or (file.packed and wanted > size * _MOST_PACKED):
        raise damaged(file.path, f"its header says {file.shape}, which makes {wanted} bytes; it has {size}")


def _check_pair(images: _File, labels: _File) -> None:
    if len(images.shape) not in (3, 4):
        raise DatasetError(f"{images.path} holds {images.shape}: images are (N, H, W) or (N, H, W, C).")
    if len(labels.shape) != 1:
        raise DatasetError(f"{labels.path} holds {labels.shape}: labels are (N,).")
    if images.shape[0] != labels.shape[0]:
        raise DatasetError(
            f"{images.path} holds {images.shape[0]} images and {labels.path} {labels.shape[0]} labels: they must "
            "be as many; take both from the same source."
        )


def _read(card: Card, files: list[_File]) -> Array:
    first = files[0]
    for other in files:
        if other.shape[1:] != first.shape[1:] or other.dtype != first.dtype:
            raise DatasetError(
                f"{first.path} and {other.path} hold {first.shape[1:]} {first.dtype.name} and {other.shape[1:]} "
                f"{other.dtype.name}: all parts must be alike."
            )
    if len(files) == 1 and not first.packed and first.dtype.itemsize == 1 and 0 not in first.shape:
        check_digest(card, first.path)
        native = first.dtype.newbyteorder("=")
        return np.memmap(first.path, native, mode="r", offset=len(first.header), shape=first.shape)
    out = allocate((sum(file.shape[0] for file in files), *first.shape[1:]), first.dtype)
    start = 0
    for file in files:
        _fill(card, file, out[start : start + file.shape[0]])
        start += file.shape[0]
    return _native(out)


def _fill(card: Card, file: _File, out: Array) -> None:
    """Read one file's values in place, hashing the content on its way."""
    digest = hashlib.sha256(file.header)
    try:
        with _open(file.path, file.packed) as stream:
            stream.read(len(file.header))
            done = fill(out, stream, digest.update)
            rest = stream.read(1)
    except (EOFError, OSError, zlib.error) as problem:
        raise damaged(file.path, problem) from None
    if done != out.nbytes or rest:
        raise damaged(
            file.path, f"its header says {file.shape}, but the content is {'longer' if rest else 'shorter'}"
        )
    check_digest(card, file.path, digest.hexdigest())


def _transposed(images: Array) -> Array:
    """Turn (N, W, H) or (N, W, H, C) to (N, H, W) or (N, H, W, C), contiguous and in pieces."""
    count, width, height = images.shape[:3]
    out = allocate((count, height, width, *images.shape[3:]), images.dtype)
    for start in range(0, count, _PIECE):
        out[start : start + _PIECE] = images[start : start + _PIECE].swapaxes(1, 2)
    return out


def _from_zero(labels: Array, first: int, card: Card) -> Array:
    if first == 0:
        return labels
    below = np.flatnonzero(labels < first)
    if len(below):
        raise DatasetError(
            f"The labels of {card.name!r} start at {first}, as its card says (format.first_label). "
            f"Got {labels[below[0]]} ({len(below)} such label(s))."
        )
    return labels.astype(np.int64) - first


def _native(out: Array) -> Array:
    if out.dtype.isnative:
        return out
    # In place, so that a temporary memory map stays one.
    return out.byteswap(inplace=True).view(out.dtype.newbyteorder("="))
