"""Hold out a share of the images: stratified by class, grouped where groups are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bioclass.errors import DatasetError
from bioclass.samples import Samples

Rows = npt.NDArray[np.intp]
Labels = npt.NDArray[np.int64]
EPSILON = 1e-9  # shares are sums of fractions


def hold_out(samples: Samples, rows: Rows, share: float, seed: int, part: str, classes: Sequence[str]) -> Rows:
    """Choose about ``share`` of ``rows`` (M,), stratified, and by whole groups where there are groups.

    Args:
        samples: all of them.
        rows: those to choose from.
        share: above 0 and below 1.
        seed: of the choice.
        part: what the chosen will be, for messages.
        classes: names of the classes.

    Raises:
        DatasetError: a class has too few images or groups to stand on both sides.
    """
    rng = np.random.default_rng(seed)
    labels = samples.labels[rows]
    if samples.groups is None:
        return rows[_stratified(labels, share, rng, part, classes)]
    return rows[_stratified_groups(labels, samples.groups[rows], share, rng, part, classes)]


def _stratified(labels: Labels, share: float, rng: np.random.Generator, part: str, classes: Sequence[str]) -> Rows:
    """Hold out the share of every class, rounded up or down; at least one image of each, and never all."""
    present, counts = np.unique(labels, return_counts=True)
    size = round(share * len(labels))
    if counts.min() < 2:
        raise DatasetError(
            f"The class {classes[present[counts.argmin()]]!r} has one image to share: with a {part} part it needs "
            "at least two. Give it more images, or leave it out of the card."
        )
    if size < len(present) or len(labels) - size < len(present):
        raise DatasetError(
            f"A {part} part of {share:g} of {len(labels)} images is {size} images, which cannot hold every one of "
            f"{len(present)} classes on both sides: change split.{part}."
        )
    quota = share * counts
    held = np.clip(np.floor(quota).astype(np.intp), 1, counts - 1)
    # The images still wanted go to the classes that are furthest below their share, equal ones by lot.
    order = rng.permutation(len(present))
    for i in order[np.argsort(held[order] - quota[order], kind="stable")]:
        if held.sum() < size and held[i] < min(quota[i] + 1, counts[i] - 1):
            held[i] += 1
    chosen = [rng.permutation(np.flatnonzero(labels == label))[:n] for label, n in zip(present, held, strict=True)]
    return np.sort(np.concatenate(chosen))


def _stratified_groups(
    labels: Labels,
    groups: npt.NDArray[np.str_],
    share: float,
    rng: np.random.Generator,
    part: str,
    classes: Sequence[str],
) -> Rows:
    """Hold out whole groups, so that the share of every class is met as nearly as they allow."""
    present, label_of = np.unique(labels, return_inverse=True)
    names, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(present)))  # images by group and class
    np.add.at(counts, (group_of, label_of), 1)
    alone = np.flatnonzero((counts > 0).sum(axis=0) < 2)
    if len(alone):
        raise DatasetError(
            f"The images to share of the class {classes[present[alone[0]]]!r} are all of one group, "
            f"{groups[label_of == alone[0]][0]!r}: a {part} part needs groups on both sides. Add another group, or "
            "leave the class out of the card."
        )
    counts /= counts.sum(axis=0)
    # Few groups are soon tried in many orders; with many, every order meets the shares well.
    draws = [_draw(counts, share, rng) for _ in range(max(1, min(50, 20_000 // len(names))))]
    held = min(draws, key=lambda draw: _cost(counts[draw].sum(axis=0), share))
    return np.flatnonzero(held[group_of])


def _draw(counts: npt.NDArray[np.float64], share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Go through the groups in random order and hold out each that brings the classes nearer to their share."""
    held = np.zeros(len(counts), dtype=bool)
    total = np.zeros(counts.shape[1])
    cost = _cost(total, share)
    for i in rng.permutation(len(counts)):
        more = total + counts[i]
        if (new := _cost(more, share)) < cost:
            held[i], total, cost = True, more, new
    return held


def _cost(held: npt.NDArray[np.float64], share: float) -> float:
    """How far the classes' shares held out are from ``share``; a class that is not on both sides counts most."""
    one_sided = np.count_nonzero(held < EPSILON) + len(held) * np.count_nonzero(held > 1 - EPSILON)
    return float(((held - share) ** 2).sum() + len(held) * one_sided)
