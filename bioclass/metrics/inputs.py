"""Check what the user gave to ``evaluate``, once, so that the formulas need not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bioclass.errors import InputError

IntArray = npt.NDArray[np.int64]

# Wide enough for a softmax in half precision or a table with four decimals, too narrow for logits.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Predictions:
    """Checked predictions.

    Attributes:
        labels: (N,) true class indices.
        predicted: (N,) predicted class indices.
        probabilities: (N, K), or None.
        classes: K names.
        units: (N,) index of the independent unit (group, or the sample itself) that holds each sample.
        n_units: number of independent units.
        grouped: whether the units are groups.
    """

    labels: IntArray
    predicted: IntArray
    probabilities: npt.NDArray[np.float64] | None
    classes: tuple[str, ...]
    units: IntArray
    n_units: int
    grouped: bool

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.labels)


def check_predictions(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike | None,
    classes: Sequence[str],
    groups: npt.ArrayLike | None,
    predicted: npt.ArrayLike | None,
    seed: int,
    resamples: int,
) -> Predictions:
    """Check the arguments of ``evaluate``.

    Raises:
        InputError: the first thing that is wrong, with the value and the mend.
    """
    names = _check_classes(classes)
    truth = _check_indices("labels", labels, None, len(names))
    table = None if probabilities is None else _check_probabilities(probabilities, len(truth), len(names))
    if predicted is not None:
        decision = _check_indices("predicted", predicted, len(truth), len(names))
    elif table is not None:
        decision = table.argmax(axis=1)
    else:
        raise InputError("Neither probabilities nor predicted are given: give at least one of them.")
    if seed < 0:
        raise InputError(f"seed is {seed}: give a whole number from 0 up.")
    if resamples < 1:
        raise InputError(f"resamples is {resamples}: give at least 1; 1000 is usual.")
    units, n_units = _check_groups(groups, len(truth))
    return Predictions(truth, decision, table, names, units, n_units, groups is not None)


def _check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    names = tuple(str(name) for name in classes)
    if len(names) < 2:
        raise InputError(f"classes holds {len(names)} name(s): give at least two, one for each column.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"classes names {twice[0]!r} more than once: give every class its own name.")
    return names


def _check_indices(name: str, given: npt.ArrayLike, n: int | None, n_classes: int) -> IntArray:
    array = np.asarray(given)
    if array.ndim != 1 or array.size == 0 or (n is not None and len(array) != n):
        wanted = "(N,) with N at least 1" if n is None else f"({n},), as labels are"
        raise InputError(f"{name} has shape {array.shape}: give one class index per sample, {wanted}.")
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"{name} has type {array.dtype}: give whole numbers, the indices of the classes.")
    outside = np.flatnonzero((array < 0) | (array >= n_classes))
    if outside.size:
        raise InputError(
            f"{name} holds {array[outside[0]]} at sample {outside[0]}, outside 0..{n_classes - 1}: "
            f"there are {n_classes} classes, so correct the index or name the missing class."
        )
    return array.astype(np.int64)


def _check_probabilities(given: npt.ArrayLike, n: int, n_classes: int) -> npt.NDArray[np.float64]:
    try:
        table = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"probabilities are not a table of numbers: give shape ({n}, {n_classes}).") from None
    if table.shape != (n, n_classes):
        raise InputError(
            f"probabilities have shape {table.shape}: give ({n}, {n_classes}), "
            f"a row for each label and a column for each class."
        )
    bad = np.argwhere(~np.isfinite(table) | (table < 0))
    if bad.size:
        row, column = bad[0]
        raise InputError(
            f"probabilities hold {table[row, column]} at sample {row}, class {column}: "
            f"give finite values from 0 to 1, and look at the network that made this one."
        )
    sums = table.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)
    if off.size:
        raise InputError(
            f"probabilities of sample {off[0]} sum to {sums[off[0]]:.6g}, not to one: "
            f"give softmax outputs, not logits or one-vs-rest scores."
        )
    return table


def _check_groups(groups: npt.ArrayLike | None, n: int) -> tuple[IntArray, int]:
    if groups is None:
        return np.arange(n), n
    if np.shape(groups) != (n,):
        raise InputError(f"groups have shape {np.shape(groups)}: give one group per sample, ({n},).")
    # pandas knows every spelling of a missing value (None, NaN, NaT), numpy does not.
    codes, found = pd.Series(groups).factorize()
    missing = np.flatnonzero(codes < 0)
    if missing.size:
        raise InputError(
            f"{missing.size} of {n} samples have no group, the first is sample {missing[0]}: "
            f"name the group of each sample, or leave groups out if samples are independent."
        )
    return codes.astype(np.int64), len(found)
