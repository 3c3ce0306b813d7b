"""Labelled images: what every adapter returns and every later room works on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import DatasetError, did_you_mean

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled images; what is found out about them is remembered for as long as they are.

    Attributes:
        images: an array (N, H, W, C) or (N, H, W), in memory or memory-mapped, of any integer or float type;
            or N paths of image files, read when they are wanted.
        labels: (N,) class names, or integers that index the card's classes.
        ids: (N,) names that stay the same from run to run; by default the paths, or the running number.
        groups: (N,) what must not part between training and test (slide, finger, patient, photo), or None.
        parts: (N,) the official split, "train", "validation" or "test", or None.
        also: (N,) for each image the other classes that are right too, as an examiner's second class: a list of
            names or indices, empty for most; or None. ``checked`` makes it (N, K) bool.
    """

    images: Array | Sequence[Path]
    labels: Any
    ids: Any = None
    groups: Any = None
    parts: Any = None
    also: Any = None

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def content(self) -> str:
        """The SHA-256 of all images, as they lie in their files or in the array; read when it is first asked for.

        Raises:
            DatasetError: a file cannot be read.
        """
        digest = hashlib.sha256()
        if isinstance(self.images, np.ndarray):
            digest.update(repr((self.images.shape, self.images.dtype.str)).encode())
            for image in self.images:
                digest.update(np.ascontiguousarray(image).data)
        else:
            for path in self.images:
                try:
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
                except OSError as problem:
                    raise DatasetError(f"{path} cannot be read: {problem.strerror}.") from None
        return digest.hexdigest()

    def take(self, rows: npt.NDArray[np.intp]) -> Samples:
        """Return the samples of these rows; an array of images is copied, paths are not read."""
        images = self.images[rows] if isinstance(self.images, np.ndarray) else [self.images[i] for i in rows]
        return replace(
            self,
            images=images,
            labels=self.labels[rows],
            ids=self.ids[rows],
            groups=None if self.groups is None else self.groups[rows],
            parts=None if self.parts is None else self.parts[rows],
            also=None if self.also is None else self.also[rows],
        )

    def checked(self, classes: Sequence[str]) -> Samples:
        """Return the samples with everything as the later rooms rely on it.

        Labels become int64 indices of ``classes``, images (N, H, W, C) or a list of paths, ids, groups and
        parts arrays of strings.

        Raises:
            DatasetError: lengths that differ, labels or other right classes out of range or unknown, ids that are
                not unique, parts of another name.
        """
        n = _length("labels", self.labels)
        if n == 0:
            raise DatasetError("The dataset holds no images.")
        for name in ("images", "ids", "groups", "parts", "also"):
            value = getattr(self, name)
            if (value is not None or name == "images") and _length(name, value) != n:
                raise DatasetError(f"There are {n} labels but {len(value)} {name}: they must be as many.")
        images = _images(self.images)
        ids = _strings(self.ids) if self.ids is not None else _default_ids(images, n)
        _, first, counts = np.unique(ids, return_index=True, return_counts=True)
        if (counts > 1).any():
            raise DatasetError(
                f"Ids must be unique. {ids[first[counts > 1][0]]!r} stands {counts.max()} times among {n}."
            )
        parts = None if self.parts is None else _strings(self.parts)
        if parts is not None:
            unknown = sorted(set(parts.tolist()) - {"train", "validation", "test"})
            if unknown:
                raise DatasetError(f"Parts are train, validation and test. Got {', '.join(map(repr, unknown))}.")
        groups = None if self.groups is None else _strings(self.groups)
        labels = _label_indices(self.labels, classes, ids)
        also = None if self.also is None else _also(self.also, labels, classes, ids)
        return Samples(images, labels, ids, groups, parts, also)


def _images(images: Any) -> Array | list[Path]:
    if isinstance(images, np.ndarray) and images.dtype.kind in "uif":
        if images.ndim not in (3, 4):
            raise DatasetError(f"Images must be (N, H, W) or (N, H, W, C). Got the shape {images.shape}.")
        return images[..., None] if images.ndim == 3 else images
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUS":
        raise DatasetError(f"Images must be of an integer or float type. Got {images.dtype}.")
    try:
        return [Path(path) for path in images]
    except TypeError:
        first = next(iter(images))
        raise DatasetError(
            f"Images must be one array (N, H, W) or (N, H, W, C), or N paths. Got a {type(images).__name__} of "
            f"{type(first).__name__}: arrays of one size make one array with numpy.stack."
        ) from None


def _length(name: str, value: Any) -> int:
    try:
        return len(value)
    except TypeError:
        raise DatasetError(f"{name.capitalize()} must be an array or a list. Got {type(value).__name__}.") from None


def _default_ids(images: Array | list[Path], n: int) -> npt.NDArray[np.str_]:
    if isinstance(images, list):
        return _strings([path.as_posix() for path in images])
    width = len(str(n - 1))
    return _strings([f"{i:0{width}d}" for i in range(n)])


def _strings(values: Any) -> npt.NDArray[np.str_]:
    return np.asarray([_string(value) for value in values], dtype=np.str_)


def _string(value: Any) -> str:
    # HDF5 and older numpy files hold names as bytes.
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _label_indices(labels: Any, classes: Sequence[str], ids: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    try:
        array = np.asarray(labels)
    except ValueError:
        raise DatasetError("Labels must be (N,), one an image. Got lists of different lengths.") from None
    if array.ndim != 1:
        raise DatasetError(f"Labels must be (N,), one an image. Got the shape {array.shape}.")
    if array.dtype.kind == "O" and all(isinstance(item, int | np.integer) for item in array):
        array = array.astype(np.int64)
    if array.dtype.kind == "f":
        broken = np.flatnonzero(~np.isfinite(array) | (array != np.floor(array)))
        if len(broken):
            raise DatasetError(
                f"Labels must be class names or whole numbers. Got {array[broken[0]]:g} for {ids[broken[0]]!r} "
                f"({len(broken)} such label(s))."
            )
    if array.dtype.kind in "iuf":
        indices = array.astype(np.int64)
        bad = np.flatnonzero((indices < 0) | (indices >= len(classes)))
        if len(bad):
            raise DatasetError(
                f"Labels must be from 0 to {len(classes) - 1} for the {len(classes)} classes of the card. "
                f"Got {indices[bad[0]]} for {ids[bad[0]]!r} ({len(bad)} such label(s))."
            )
        return indices
    index = {name: i for i, name in enumerate(classes)}
    names = [_string(label) for label in array.tolist()]
    unknown = [i for i, name in enumerate(names) if name not in index]
    if unknown:
        name = names[unknown[0]]
        raise DatasetError(
            f"Label {name!r} of {ids[unknown[0]]!r} is not a class of the card ({', '.join(classes)})"
            f"{did_you_mean(name, classes)} ({len(unknown)} such label(s))."
        )
    return np.array([index[name] for name in names], dtype=np.int64)


def _also(
    also: Any, labels: npt.NDArray[np.int64], classes: Sequence[str], ids: npt.NDArray[np.str_]
) -> npt.NDArray[np.bool_] | None:
    """The classes (N, K) besides the label that are right too; None where no image has any."""
    if isinstance(also, np.ndarray) and also.dtype == bool and also.shape == (len(labels), len(classes)):
        found = also.copy()
    else:
        found = np.zeros((len(labels), len(classes)), dtype=bool)
        for row, names in enumerate(also):
            if isinstance(names, str | bytes) or not isinstance(names, Iterable):
                raise DatasetError(
                    "Other right classes must be a list for each image, empty where there are none. "
                    f"Got {names!r} for {ids[row]!r}."
                )
            names = list(names)
            if names:
                found[row, _label_indices(names, classes, np.repeat(ids[row : row + 1], len(names)))] = True
    found[np.arange(len(labels)), labels] = False
    return found if found.any() else None
