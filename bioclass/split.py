"""Part the images into training, validation and test: stratified by class, grouped where groups are known."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bioclass.errors import DatasetError
from bioclass.recipe import Split
from bioclass.samples import Samples

Parts = npt.NDArray[np.str_]
Rows = npt.NDArray[np.intp]


def split_samples(samples: Samples, split: Split, classes: Sequence[str]) -> Parts:
    """Return the part of every sample, (N,) of "train", "validation" and "test".

    An official test part is kept; without one, ``split.test`` of the images are held out. An official
    validation part is kept too, unless ``split.validation`` is 0: then it is trained on.

    Raises:
        DatasetError: a class with too few images or groups for the split, or an official split that leaks a group.
    """
    official = samples.parts
    parts = np.full(len(samples), "train", dtype="<U10")
    rng = np.random.SeedSequence(split.seed).generate_state(2)
    if official is not None and (official == "test").any():
        parts[official == "test"] = "test"
        _refuse_leak(samples, parts)
    else:
        rows = np.arange(len(samples))
        parts[_hold_out(samples, rows, split.test, int(rng[0]), "test", classes)] = "test"
    if split.validation > 0:
        rows = np.flatnonzero(parts == "train")
        if official is not None and (official == "validation").any():
            parts[official == "validation"] = "validation"
        else:
            parts[_hold_out(samples, rows, split.validation, int(rng[1]), "validation", classes)] = "validation"
    absent = sorted(set(range(len(classes))) - set(samples.labels[parts == "train"].tolist()))
    if absent:
        raise DatasetError(
            f"No image of {', '.join(repr(classes[i]) for i in absent)} is left to train on: "
            "give the class more images, or leave it out of the card."
        )
    return parts


def _hold_out(samples: Samples, rows: Rows, share: float, seed: int, part: str, classes: Sequence[str]) -> Rows:
    """Choose about ``share`` of ``rows``, stratified, and by whole groups where there are groups."""
    labels = samples.labels[rows]
    if samples.groups is None:
        return rows[_stratified(labels, share, seed, part, classes)]
    return rows[_stratified_groups(labels, samples.groups[rows], share, seed, part, classes)]


def _stratified(labels: npt.NDArray[np.int64], share: float, seed: int, part: str, classes: Sequence[str]) -> Rows:
    from sklearn.model_selection import StratifiedShuffleSplit

    present, counts = np.unique(labels, return_counts=True)
    size = round(share * len(labels))
    if counts.min() < 2:
        few = classes[present[counts.argmin()]]
        raise DatasetError(
            f"The class {few!r} has one image: with a {part} part it needs at least two. "
            "Give it more images, or leave it out of the card."
        )
    if size < len(present) or len(labels) - size < len(present):
        raise DatasetError(
            f"A {part} part of {share:g} of {len(labels)} images is {size} images, which cannot hold every one of "
            f"{len(present)} classes on both sides: change split.{part}."
        )
    _, held = next(StratifiedShuffleSplit(1, test_size=size, random_state=seed).split(labels, labels))
    chosen: Rows = held
    return chosen


def _stratified_groups(
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.str_],
    share: float,
    seed: int,
    part: str,
    classes: Sequence[str],
) -> Rows:
    from sklearn.model_selection import StratifiedGroupKFold

    for label in np.unique(labels):
        if len(np.unique(groups[labels == label])) < 2:
            raise DatasetError(
                f"All images of the class {classes[label]!r} are of one group, {groups[labels == label][0]!r}: "
                f"a {part} part needs groups on both sides. Add another group, or leave the class out of the card."
            )
    folds = max(2, round(1 / share))
    with warnings.catch_warnings():
        # A class with fewer images than folds is met by the check above and by the best fold chosen below.
        warnings.simplefilter("ignore", UserWarning)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        held = [test for _, test in splitter.split(labels, labels, groups)]
    if share > 0.5:
        # One fold is at most half: take as many as come nearest to the share.
        held = [np.concatenate(held[: max(1, round(share * folds))])]
    best: Rows = np.sort(min(held, key=lambda rows: _mismatch(labels, rows, share)))
    return best


def _mismatch(labels: npt.NDArray[np.int64], rows: Rows, share: float) -> float:
    """How far the shares of the classes held out are from ``share``, the worst class counting most."""
    total = np.bincount(labels)
    held = np.bincount(labels[rows], minlength=len(total))
    present = total > 0
    return float(np.abs(held[present] / total[present] - share).max())


def _refuse_leak(samples: Samples, parts: Parts) -> None:
    if samples.groups is None:
        return
    test = set(samples.groups[parts == "test"].tolist())
    both = sorted(test & set(samples.groups[parts != "test"].tolist()))
    if both:
        raise DatasetError(
            f"The official split leaks: {len(both)} group(s), for example {both[0]!r}, stand in the test part and "
            "outside it. Correct the parts, or leave them out and let bioclass split by group."
        )
