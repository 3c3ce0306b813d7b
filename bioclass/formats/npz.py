"""A numpy archive."""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from bioclass.card import PARTS, Card, Npz, Part
from bioclass.errors import CardError, DatasetError, did_you_mean
from bioclass.formats import check_digest, damaged, missing_files
from bioclass.samples import Samples
from bioclass.storage import allocate, fill, npy_header

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Member:
    """One array of the archive, known by its header alone."""

    name: str
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


def read_npz(card: Card, layout: Npz, root: Path) -> Samples:
    """Return images (N, H, W) or (N, H, W, C), labels and, where named, groups and ids of an archive.

    With ``{part}`` in the names the parts follow one another. Images are read once, straight into memory, or
    into a temporary file where they exceed the memory limit.

    Raises:
        DatasetError: a file or an array that is missing, damaged, of Python objects, or does not fit the others.
        CardError: ``{part}`` in some of the names only.
    """
    path = root / layout.file
    if not path.is_file():
        raise missing_files(card, root, [layout.file])
    check_digest(card, path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, card, layout, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as problem:
        raise damaged(path, problem) from None


def _read(archive: zipfile.ZipFile, card: Card, layout: Npz, path: Path) -> Samples:
    parts = _parts(archive, card, layout, path)
    words = list(parts) or [""]

    def small(template: str | None) -> list[Array] | None:
        if template is None:
            return None
        return [_small(archive, template.replace("{part}", word), path) for word in words]

    images = [_member(archive, layout.images.replace("{part}", word), path) for word in words]
    labels = [_labels(array, path) for array in small(layout.labels) or []]
    for member, column in zip(images, labels, strict=True):
        if len(member.shape) not in (3, 4) or member.shape[0] != len(column):
            raise DatasetError(
                f"The images {member.name!r} of {path} have the shape {member.shape} and there are {len(column)} "
                "labels: they must be (N, H, W) or (N, H, W, C) with N labels."
            )
    groups, ids = small(layout.groups), small(layout.ids)
    official = [part for part, column in zip(parts.values(), labels, strict=False) for _ in column]
    if parts and ids is None:
        ids = [_numbered(part, len(column)) for part, column in zip(parts.values(), labels, strict=True)]
    return Samples(
        images=_images(archive, images, path),
        labels=np.concatenate(labels),
        ids=None if ids is None else np.concatenate(ids),
        groups=None if groups is None else np.concatenate(groups),
        parts=np.array(official) if parts else None,
    )


def _parts(archive: zipfile.ZipFile, card: Card, layout: Npz, path: Path) -> dict[str, Part]:
    """The archive's words for the parts, in order; none where the names have no ``{part}``."""
    names = [name for name in (layout.images, layout.labels, layout.groups, layout.ids) if name is not None]
    named = ["{part}" in name for name in names]
    if not any(named):
        return {}
    if not all(named):
        raise CardError(
            f"The format of {card.name!r} has {{part}} in some names only ({', '.join(names)}): write it in all."
        )
    if layout.parts:
        return layout.parts
    present = _names(archive)
    parts: dict[str, Part] = {part: part for part in PARTS if layout.images.replace("{part}", part) in present}
    if not parts:
        raise DatasetError(
            f"{path} has no arrays like {layout.images!r} for {', '.join(PARTS)}; it has: {', '.join(present)}. "
            'Say in the card\'s format.parts what the parts are called, for example { val = "validation" }.'
        )
    return parts


def _names(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(".npy") for name in archive.namelist()]


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> _Member:
    known = _names(archive)
    if name not in known:
        raise DatasetError(
            f"{path} has no array {name!r}{did_you_mean(name, known)}. It has: {', '.join(known)}. Name the arrays "
            "in the card's [format]."
        )
    with archive.open(f"{name}.npy") as stream:
        shape, fortran, dtype = npy_header(stream)
        start = stream.tell()
    if dtype.hasobject:
        raise DatasetError(
            f"The array {name!r} of {path} holds Python objects, which bioclass does not load because that could "
            "run code: save it again as an array of numbers or strings."
        )
    # Compared before anything is allocated, so that a damaged header cannot ask for all memory.
    if archive.getinfo(f"{name}.npy").file_size != start + math.prod(shape) * dtype.itemsize:
        raise damaged(path, f"the array {name!r} is not as long as its shape {shape} says")
    return _Member(name, shape, fortran, dtype)


def _small(archive: zipfile.ZipFile, name: str, path: Path) -> Array:
    member = _member(archive, name, path)
    out = np.empty(math.prod(member.shape), member.dtype)
    _fill(archive, member, out)
    out = out.reshape(member.shape, order="F" if member.fortran else "C")
    return np.char.decode(out, "utf-8") if out.dtype.kind == "S" else out


def _images(archive: zipfile.ZipFile, members: list[_Member], path: Path) -> Array:
    first = members[0]
    for other in members:
        if other.shape[1:] != first.shape[1:] or other.dtype != first.dtype:
            raise DatasetError(
                f"The images {first.name!r} {first.shape[1:]} {first.dtype} and {other.name!r} {other.shape[1:]} "
                f"{other.dtype} of {path} differ in size or type: make them alike."
            )
    total = sum(member.shape[0] for member in members)
    out = allocate((total, *first.shape[1:]), first.dtype)
    start = 0
    for member in members:
        rows = out[start : start + member.shape[0]]
        if member.fortran:
            rows[...] = _small(archive, member.name, path)
        else:
            _fill(archive, member, rows)
        start += member.shape[0]
    return out


def _fill(archive: zipfile.ZipFile, member: _Member, out: Array) -> None:
    with cast("zipfile.ZipExtFile", archive.open(f"{member.name}.npy")) as stream:
        npy_header(stream)
        if fill(out, stream) != out.nbytes or stream.read(1):
            raise EOFError(f"the array {member.name!r} ends early")


def _labels(array: Array, path: Path) -> Array:
    """Labels as (N,); MedMNIST stores (N, 1)."""
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim != 1:
        raise DatasetError(
            f"The labels of {path} have the shape {array.shape}: one class an image, (N,) or (N, 1), is wanted."
        )
    return array


def _numbered(part: str, count: int) -> Array:
    return np.array([f"{part}/{i:05d}" for i in range(count)])
