"""Part the images into training, validation and test: stratified by class, grouped where groups are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bioclass.errors import DatasetError
from bioclass.recipe import Split
from bioclass.samples import Samples

Parts = npt.NDArray[np.str_]
Rows = npt.NDArray[np.intp]
Labels = npt.NDArray[np.int64]
EPSILON = 1e-9  # shares are sums of fractions


def split_samples(samples: Samples, split: Split, classes: Sequence[str]) -> Parts:
    """Return the part of every sample, (N,) of "train", "validation" and "test".

    An official test part is kept; without one, ``split.test`` of the images are held out. An official
    validation part is kept too, unless ``split.validation`` is 0: then it is trained on.

    Raises:
        DatasetError: a class with too few images or groups for the split, or an official split that leaks a group.
    """
    parts = np.full(len(samples), "train", dtype="<U10")
    if samples.parts is not None:
        kept = ["test", "validation"] if split.validation > 0 else ["test"]
        official = np.isin(samples.parts, kept)
        parts[official] = samples.parts[official]
        _refuse_leak(samples, parts)
    seeds = np.random.SeedSequence(split.seed).generate_state(2)
    for part, share, seed in zip(("test", "validation"), (split.test, split.validation), seeds, strict=True):
        if share > 0 and not (parts == part).any():
            rows = np.flatnonzero(parts == "train")
            parts[_hold_out(samples, rows, share, int(seed), part, classes)] = part
    absent = sorted(set(range(len(classes))) - set(samples.labels[parts == "train"].tolist()))
    if absent:
        raise DatasetError(
            f"No image of {', '.join(repr(classes[i]) for i in absent)} is left to train on: "
            "give the class more images, or leave it out of the card."
        )
    return parts


def _hold_out(samples: Samples, rows: Rows, share: float, seed: int, part: str, classes: Sequence[str]) -> Rows:
    """Choose about ``share`` of ``rows``, stratified, and by whole groups where there are groups."""
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


def _refuse_leak(samples: Samples, parts: Parts) -> None:
    if samples.groups is None:
        return
    for part in ("test", "validation"):
        inside = set(samples.groups[parts == part].tolist())
        both = sorted(inside & set(samples.groups[parts != part].tolist()))
        if both:
            raise DatasetError(
                f"The official split leaks: {len(both)} group(s), for example {both[0]!r}, stand in the {part} "
                "part and outside it. Correct the parts, or leave them out and let bioclass split by group."
            )
