"""Part the images into training, validation and test: stratified by class, grouped where groups are known.

``hold_out`` sets a share of the images aside, ``folds`` deals all of them out for cross-validation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bioclass.errors import DatasetError
from bioclass.recipe import Split
from bioclass.samples import Samples
from bioclass.split.folds import Fold, assign_folds, list_folds
from bioclass.split.hold_out import hold_out

__all__ = ["Fold", "assign_folds", "list_folds", "split_samples"]

Parts = npt.NDArray[np.str_]


def split_samples(samples: Samples, split: Split, classes: Sequence[str], allow_leaks: bool = False) -> Parts:
    """Return the part of every sample, (N,) of "train", "validation" and "test".

    An official test part is kept; without one, ``split.test`` of the images are held out. An official
    validation part is kept too, unless ``split.validation`` is 0: then it is trained on. ``allow_leaks`` keeps
    an official split also where it leaks a group.

    With ``split.folds`` the images of the fold ``split.fold`` are held out instead, and ``split.validation`` of the
    rest are for validation. They are the test part, or, where there is an official one, the part "fold".

    Raises:
        DatasetError: a class with too few images or groups for the split, an official split that leaks a group,
            or folds without the number of one.
    """
    make = _fold_parts if split.folds is not None else _parts
    parts = make(samples, split, classes, allow_leaks)
    absent = sorted(set(range(len(classes))) - set(samples.labels[parts == "train"].tolist()))
    if absent:
        raise DatasetError(
            f"No image of {', '.join(repr(classes[i]) for i in absent)} is left to train on: "
            "give the class more images, or leave it out of the card."
        )
    return parts


def _parts(samples: Samples, split: Split, classes: Sequence[str], allow_leaks: bool) -> Parts:
    parts = _official(samples, ["test", "validation"] if split.validation > 0 else ["test"], allow_leaks)
    seeds = np.random.SeedSequence(split.seed).generate_state(2)
    for part, share, seed in zip(("test", "validation"), (split.test, split.validation), seeds, strict=True):
        if share > 0 and not (parts == part).any():
            rows = np.flatnonzero(parts == "train")
            parts[hold_out(samples, rows, share, int(seed), part, classes)] = part
    return parts


def _fold_parts(samples: Samples, split: Split, classes: Sequence[str], allow_leaks: bool) -> Parts:
    count = len(list_folds(samples, split))
    if split.fold is None or split.fold >= count:
        raise DatasetError(
            f"split.fold is the number of the fold to test on, from 0 to {count - 1}. Got {split.fold}: set it, or "
            "train all folds with `bioclass fit RECIPE --folds`."
        )
    # An official validation part is dealt out with the rest: every image that is not for the test is tested once.
    parts = _official(samples, ["test"], allow_leaks)
    held = "fold" if (parts == "test").any() else "test"
    repeat, fold = divmod(split.fold, count // split.repeats)
    parts[assign_folds(samples, split, classes, repeat) == fold] = held
    if split.validation > 0:
        rows = np.flatnonzero(parts == "train")
        seed = int(np.random.SeedSequence([split.seed, split.fold]).generate_state(1)[0])
        parts[hold_out(samples, rows, split.validation, seed, "validation", classes)] = "validation"
    return parts


def _official(samples: Samples, kept: list[str], allow_leaks: bool) -> Parts:
    """The official parts that are kept; all else is "train"."""
    parts = np.full(len(samples), "train", dtype="<U10")
    if samples.parts is not None:
        official = np.isin(samples.parts, kept)
        parts[official] = samples.parts[official]
        if not allow_leaks:
            _refuse_leak(samples, parts)
    return parts


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
