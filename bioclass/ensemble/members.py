"""Check the members of an ensemble and the labels, once, so that the rules need not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

# Wide enough for a softmax in half precision or a table with four decimals, too narrow for logits.
_SUM_TOLERANCE = 1e-3


def check_members(probabilities: npt.ArrayLike | Sequence[npt.ArrayLike]) -> FloatArray:
    """Return the members' probabilities as one array (M, N, K).

    Raises:
        InputError: there is no member, the members' shapes differ, or a value is impossible.
    """
    try:
        # An (M, N, K) array iterates over its members too.
        members = [np.asarray(member, dtype=np.float64) for member in probabilities]  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise InputError("The members of an ensemble are not tables of numbers: give M arrays (N, K).") from None
    if not members:
        raise InputError("The ensemble has no members: give the probabilities of at least one.")
    for m, member in enumerate(members):
        if member.shape != members[0].shape:
            raise InputError(
                f"Member 0 of the ensemble has shape {members[0].shape} and member {m} {member.shape}: "
                f"give all members' probabilities of the same samples and classes."
            )
    if members[0].ndim != 2 or members[0].size == 0:
        raise InputError(f"Member 0 of the ensemble has shape {members[0].shape}: give (N, K), neither zero.")
    for m, member in enumerate(members):
        _check_values(m, member)
    return np.stack(members)


def check_labels(labels: npt.ArrayLike, n: int, n_classes: int) -> IntArray:
    """Return the labels as (N,) class indices.

    Raises:
        InputError: they are not N whole numbers from 0 to K - 1.
    """
    array = np.asarray(labels)
    if array.shape != (n,) or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"labels have shape {array.shape} and type {array.dtype}: give one class index per sample, ({n},)."
        )
    outside = np.flatnonzero((array < 0) | (array >= n_classes))
    if outside.size:
        raise InputError(
            f"labels hold {array[outside[0]]} at sample {outside[0]}: give class indices from 0 to {n_classes - 1}."
        )
    return array.astype(np.int64)


def _check_values(m: int, member: FloatArray) -> None:
    bad = np.argwhere(~np.isfinite(member) | (member < 0))
    if bad.size:
        row, column = bad[0]
        raise InputError(
            f"Member {m} of the ensemble gives {member[row, column]} to sample {row}, class {column}: "
            f"give finite probabilities from 0 to 1."
        )
    sums = member.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)
    if off.size:
        raise InputError(
            f"Member {m} of the ensemble gives sample {off[0]} probabilities that sum to {sums[off[0]]:.6g}: "
            f"give softmax outputs, which sum to one."
        )
