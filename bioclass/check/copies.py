"""Images that are the same to the byte, found without decoding them, and what must stay together."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from bioclass.check.findings import Rows
from bioclass.errors import ImageError
from bioclass.images import read_image
from bioclass.samples import Samples

_SAMPLED = 64
"""Values of an image that are compared before all of them are."""


_copies: WeakKeyDictionary[Samples, list[Rows]] = WeakKeyDictionary()


def copies_of(samples: Samples) -> list[Rows]:
    """Return :func:`identical_images` of some samples, for which their images are looked at once."""
    if samples not in _copies:
        _copies[samples] = identical_images(samples.images)
    return _copies[samples]


def identical_images(images: npt.NDArray[Any] | Sequence[Path]) -> list[Rows]:
    """Return the sets of rows whose images are identical, in the order of their first.

    Files are compared by size, and by content only where sizes are equal; arrays (N, H, W, C) by some of their
    values, and by all only where those are equal. A file that cannot be read is a copy of none. Images of one value
    throughout are left out: blank tiles are alike without being copies.
    """
    if isinstance(images, np.ndarray):
        flat = images.reshape(len(images), -1)
        step = max(1, flat.shape[1] // _SAMPLED)
        alike = same(range(len(flat)), np.ascontiguousarray(flat[:, step // 2 :: step]).view(np.uint8))
        sets = _refined(alike, lambda row: flat[row].tobytes())
        return [rows for rows in sets if (flat[rows[0]] != flat[rows[0], 0]).any()]
    alike = _by(range(len(images)), lambda row: _size(images[row]))
    sets = _refined(alike, lambda row: _content(images[row]))
    return [rows for rows in sets if not _blank(images[rows[0]])]


def same(rows: Iterable[int], keys: npt.NDArray[np.uint8]) -> list[Rows]:
    """Return the sets of rows whose keys (N, B), some bytes for each, are equal."""
    return _by(rows, lambda row: keys[row].tobytes())


def merged(n: int, sets: Iterable[Rows], groups: npt.NDArray[np.str_] | None = None) -> npt.NDArray[np.intp]:
    """Return a number for each of ``n`` images (n,) that is equal where they belong together.

    Images of one set belong together, images of one group do, and so does what these share.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = [np.stack([np.full(len(rows) - 1, rows[0]), rows[1:]]) for rows in sets]
    if groups is not None:
        _, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
        pairs.append(np.stack([first[group_of], np.arange(n)]))
    if not pairs:
        return np.arange(n)
    edges = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(edges.shape[1], dtype=bool), (edges[0], edges[1])), shape=(n, n))
    numbers: npt.NDArray[np.intp] = connected_components(graph, directed=False)[1].astype(np.intp)
    return numbers


def group_names(samples: Samples, sets: Sequence[Rows]) -> npt.NDArray[np.str_]:
    """Return a group for every image (N,), of its set and its known group, named by the first image's id."""
    numbers = merged(len(samples), sets, samples.groups)
    _, first, number_of = np.unique(numbers, return_index=True, return_inverse=True)
    names: npt.NDArray[np.str_] = samples.ids[first][number_of]
    return names


def _by(rows: Iterable[int], key: Callable[[int], Hashable | None]) -> list[Rows]:
    sets: dict[Hashable, list[int]] = defaultdict(list)
    for row in rows:
        if (value := key(row)) is not None:
            sets[value].append(row)
    return [np.array(found, dtype=np.intp) for found in sets.values() if len(found) > 1]


def _refined(sets: Iterable[Rows], content: Callable[[int], bytes | None]) -> list[Rows]:
    """Keep together what is equal as a whole."""

    def digest(row: int) -> bytes | None:
        data = content(row)
        return None if data is None else hashlib.blake2b(data, digest_size=16).digest()

    found = [kept for rows in sets for kept in _by(rows.tolist(), digest)]
    return sorted(found, key=lambda rows: int(rows[0]))


def _blank(path: Path) -> bool:
    try:
        image = read_image(path)
    except ImageError:
        return False
    return not (image != image[0, 0]).any()


def _size(path: Path) -> int | None:
    try:
        # Empty files are no images, so no copies either.
        return path.stat().st_size or None
    except OSError:
        return None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
