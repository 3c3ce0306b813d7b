"""Near copies: images that show the same, perhaps turned, mirrored, scaled, recompressed, brighter or paler."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bioclass.check.copies import merged
from bioclass.check.facts import SIDE
from bioclass.check.findings import Rows

Array = npt.NDArray[np.float32]
Pairs = npt.NDArray[np.intp]

ALIKE = 0.95
"""Correlation of gray thumbnails from which two photographs show the same."""

ALIKE_SMALL = 0.99
"""The same for images below SMALL pixels: plain drawings, as digits are, resemble one another by chance."""

SMALL = 64

_BLOCK = 512
_AT_ONCE = 16_384


def near_copies(
    thumbs: Array, alike: float = ALIKE, compared: Callable[[int], None] = lambda images: None
) -> list[Rows]:
    """Return the sets of images that show the same in any of eight orientations, in the order of their first.

    Two images are near copies if the correlation of their thumbnails (N, SIDE, SIDE) is at least ``alike`` in one
    of the eight flips and quarter turns; a set holds what such pairs link. Images of one brightness are left out.
    ``compared`` is told how many images were compared with all others.

    Few pairs are compared in full: projections on patterns that no flip or turn changes, and after them means over
    4 x 4 pixels, are no further apart than the images themselves, so they rule most pairs out for less.
    """
    flat = thumbs.reshape(len(thumbs), SIDE * SIDE)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1)
    # What is left of one brightness after averaging is rounding.
    used = np.flatnonzero(length > 1e-4 * np.abs(thumbs).max(axis=(1, 2), initial=1e-12))
    unit = (flat[used] / length[used, None]).reshape(-1, SIDE, SIDE)
    coarse, invariant = _pooled(unit, 4), _invariant(_pooled(unit, 2))
    most = 2 - 2 * alike + 1e-5  # The squared distance of two unit vectors; the rest is rounding.
    pairs: list[Rows] = []
    for start in range(0, len(used), _BLOCK):
        left = _nearby(invariant, start, most)
        pairs += [used[pair] for pair in _turned(unit, _turned(coarse, left, most), most)]
        compared(int(used[start : start + _BLOCK][-1]) + 1)
    if not pairs:
        return []
    numbers = merged(len(thumbs), pairs)
    order = np.argsort(numbers, kind="stable")
    sets = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    return sorted((rows for rows in sets if len(rows) > 1), key=lambda rows: int(rows[0]))


def without(sets: Sequence[Rows], exact: Sequence[Rows]) -> list[Rows]:
    """Return the sets that hold more than copies that are known to be exact."""
    known = [set(rows.tolist()) for rows in exact]
    return [rows for rows in sets if not any(set(rows.tolist()) <= one for one in known)]


def _orientations(images: Array) -> list[Array]:
    """Images (N, S, S) in their eight flips and quarter turns."""
    return [np.rot90(image, turns, axes=(1, 2)) for image in (images, images[:, :, ::-1]) for turns in range(4)]


def _pooled(images: Array, by: int) -> Array:
    """Means over ``by`` x ``by`` pixels, times ``by``: an orthogonal projection."""
    n, side = len(images), images.shape[1] // by
    out: Array = images.reshape(n, side, by, side, by).sum(axis=(2, 4)) / np.float32(by)
    return out


def _invariant(images: Array) -> Array:
    """The projections (N, D) of images (N, S, S) on the patterns that the eight orientations leave as they are."""
    even = np.mean(_orientations(images), axis=0)
    half = images.shape[1] // 2
    rows, columns = np.triu_indices(half)
    # A value stands for all places that the orientations bring it to: four on the diagonals, else eight.
    weight = np.sqrt(np.where(rows == columns, 4, 8)).astype(np.float32)
    out: Array = even[:, :half, :half][:, rows, columns] * weight
    return out


def _nearby(points: Array, start: int, most: float) -> Pairs:
    """Pairs (P, 2) of a block of points (N, D) and later points, at a squared distance of at most ``most``."""
    block, rest = points[start : start + _BLOCK], points[start:]
    squares = (rest**2).sum(axis=1)
    gap = squares[: len(block), None] + squares - 2 * block @ rest.T
    first, second = np.nonzero(gap <= most)
    later = second > first
    pairs: Pairs = np.stack([first[later], second[later]], axis=1) + start
    return pairs


def _turned(images: Array, pairs: Pairs, most: float) -> Pairs:
    """Those of the pairs (P, 2) of images (N, S, S) that in one orientation are at most ``most`` apart, squared."""
    squares = (images**2).sum(axis=(1, 2))
    kept = [np.empty((0, 2), dtype=np.intp)]
    for start in range(0, len(pairs), _AT_ONCE):
        some = pairs[start : start + _AT_ONCE]
        first, second = images[some[:, 0]], images[some[:, 1]]
        best = np.max([np.einsum("phw,phw->p", first, turned) for turned in _orientations(second)], axis=0)
        kept.append(some[squares[some[:, 0]] + squares[some[:, 1]] - 2 * best <= most])
    return np.concatenate(kept)
