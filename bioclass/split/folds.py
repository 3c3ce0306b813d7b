"""Cross-validation: deal the images out into folds, each of which is tested once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bioclass.errors import DatasetError
from bioclass.recipe import Split
from bioclass.samples import Samples

Numbers = npt.NDArray[np.int64]
EPSILON = 1e-9  # shares are sums of fractions


@dataclass(frozen=True)
class Fold:
    """One fold: its number in its repeat, from 0, and the group that is left out where folds are groups."""

    repeat: int
    fold: int
    group: str | None = None


def list_folds(samples: Samples, split: Split) -> list[Fold]:
    """Return the folds in the order of ``split.fold``: those of the first repeat come first.

    Raises:
        DatasetError: the folds are to be groups, and there are none.
    """
    if split.folds == "groups":
        return [Fold(0, k, name) for k, name in enumerate(np.unique(_groups(samples, _rows(samples))).tolist())]
    return [Fold(repeat, k) for repeat in range(split.repeats) for k in range(split.folds or 0)]


def assign_folds(samples: Samples, split: Split, classes: Sequence[str], repeat: int) -> Numbers:
    """Return the fold that tests each sample in one of the repeats, (N,); -1 for the official test part, in none.

    Without groups, each class is spread over the folds as evenly as whole images allow (``StratifiedKFold`` of
    scikit-learn). With groups, whole groups are dealt out so that every fold has its share of every class as
    nearly as they allow. ``split.folds = "groups"`` makes each group a fold.

    Raises:
        DatasetError: there are fewer groups than folds, or a class has fewer images or groups than folds, or
            stands in one fold alone.
    """
    rows = _rows(samples)
    assigned = np.full(len(samples), -1, dtype=np.int64)
    labels = samples.labels[rows]
    if split.folds == "groups":
        names, assigned[rows] = np.unique(_groups(samples, rows), return_inverse=True)
        _refuse_one_sided(labels, assigned[rows], classes, [f"the group {name!r}" for name in names.tolist()])
        return assigned
    folds = split.folds or 0
    groups = None if samples.groups is None else samples.groups[rows]
    _refuse_few(labels, groups, folds, classes)
    seed = int(np.random.SeedSequence(split.seed).generate_state(split.repeats)[repeat])
    dealt = _stratified(labels, folds, seed) if groups is None else _grouped(labels, groups, folds, seed)
    _refuse_one_sided(labels, dealt, classes, [f"the fold {k}" for k in range(folds)])
    assigned[rows] = dealt
    return assigned


def _rows(samples: Samples) -> npt.NDArray[np.intp]:
    """What is cross-validated: all but an official test part."""
    return np.arange(len(samples)) if samples.parts is None else np.flatnonzero(samples.parts != "test")


def _groups(samples: Samples, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.str_]:
    if samples.groups is None:
        raise DatasetError(
            "split.folds = 'groups' leaves one group out at a time, and the images have no groups: name their "
            "column on the card (group), or give a number of folds."
        )
    groups: npt.NDArray[np.str_] = samples.groups[rows]
    return groups


def _stratified(labels: Numbers, folds: int, seed: int) -> Numbers:
    from sklearn.model_selection import StratifiedKFold

    dealt = np.empty_like(labels)
    for k, (_, test) in enumerate(StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)):
        dealt[test] = k
    return dealt


def _grouped(labels: Numbers, groups: npt.NDArray[np.str_], folds: int, seed: int) -> Numbers:
    """Deal whole groups out, in random order, each to the fold that has least of what it brings.

    ``StratifiedGroupKFold`` of scikit-learn goes by size, so that groups of different sizes make the same folds
    with every seed, and repeats would repeat nothing; it also meets the shares less well.
    """
    _, label_of = np.unique(labels, return_inverse=True)
    _, group_of = np.unique(groups, return_inverse=True)
    return _best_deal(tuple(group_of.tolist()), tuple(label_of.tolist()), folds, seed)[group_of]


@lru_cache(maxsize=8)
def _best_deal(group_of: tuple[int, ...], label_of: tuple[int, ...], folds: int, seed: int) -> Numbers:
    """Return the fold of each group (G,); every fold of a dataset, and every head on its features, asks for it."""
    counts = np.zeros((max(group_of) + 1, max(label_of) + 2))
    np.add.at(counts, (group_of, label_of), 1)
    counts[:, -1] = counts.sum(axis=1)  # the size of a fold counts like the share of a class
    counts /= counts.sum(axis=0)
    rng = np.random.default_rng(seed)
    # Few groups are soon tried in many orders; with many, every order meets the shares well.
    deals = [_deal(counts, folds, rng) for _ in range(max(1, min(50, 20_000 // len(counts))))]
    dealt, _ = min(deals, key=lambda deal: deal[1])
    return dealt


def _deal(counts: npt.NDArray[np.float64], folds: int, rng: np.random.Generator) -> tuple[Numbers, float]:
    """Return the fold of each group (G,), and how far the folds are from their shares."""
    dealt = np.empty(len(counts), dtype=np.int64)
    total = np.zeros((folds, counts.shape[1]))
    order = rng.permutation(len(counts))
    for group in order:
        # |total + counts - share|^2 grows least where total . counts is smallest: the share is the same for all.
        dealt[group] = (total @ counts[group]).argmin()
        total[dealt[group]] += counts[group]
    one_sided = np.count_nonzero(total > 1 - EPSILON)
    return dealt, float(((total - 1 / folds) ** 2).sum() + total.size * one_sided)


def _refuse_few(labels: Numbers, groups: npt.NDArray[np.str_] | None, folds: int, classes: Sequence[str]) -> None:
    what = "images" if groups is None else "groups"
    if groups is not None and len(np.unique(groups)) < folds:
        raise DatasetError(
            f"There are {len(np.unique(groups))} groups for {folds} folds: lower split.folds; a fold needs a group."
        )
    for label in np.unique(labels):
        mine = labels == label
        count = int(mine.sum()) if groups is None else len(np.unique(groups[mine]))
        if count < folds:
            lower = f"lower split.folds to {count}" if count > 1 else f"give it more {what}"
            raise DatasetError(
                f"The class {classes[label]!r} has {count} {what if count > 1 else what[:-1]} for {folds} folds: "
                f"{lower}, or leave the class out of the card."
            )


def _refuse_one_sided(labels: Numbers, dealt: Numbers, classes: Sequence[str], names: Sequence[str]) -> None:
    for label in np.unique(labels):
        inside = np.unique(dealt[labels == label])
        if len(inside) == 1:
            raise DatasetError(
                f"All images of the class {classes[label]!r} are in {names[inside[0]]}: when it is tested, none is "
                "left to train on. Add images of another group, or leave the class out of the card."
            )
