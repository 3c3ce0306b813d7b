"""Several classifiers' probabilities to one decision.

The three rules are those of Tabik, Peralta, Herrera-Poyatos and Herrera (2017), A snapshot of image
pre-processing for convolutional neural networks: case study of MNIST, International Journal of Computational
Intelligence Systems 10:555-568, section on ensembles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError

FloatArray: TypeAlias = npt.NDArray[np.float64]
Method: TypeAlias = Literal["MV", "MPS", "MP"]

METHODS: tuple[Method, ...] = ("MV", "MPS", "MP")
TITLES: dict[Method, str] = {"MV": "most voted", "MPS": "maximum probability sum", "MP": "maximum probability"}

# Wide enough for a softmax in half precision or a table with four decimals, too narrow for logits.
_SUM_TOLERANCE = 1e-3
# Sums that agree to this many decimals are a tie: 0.5 + 0.2 + 0.2 and 0.3 + 0.3 + 0.3 differ in float64 by
# rounding alone, and no network's probabilities carry meaning this far down.
_SUM_DECIMALS = 12


@dataclass(frozen=True, eq=False)
class Vote:
    """The decision of an ensemble.

    Attributes:
        predicted: (N,) class indices. Not always the argmax of ``probabilities``: a tie there may have been
            broken by another rule.
        probabilities: (N, K), each row summing to one.
    """

    predicted: npt.NDArray[np.int64]
    probabilities: FloatArray


def combine(probabilities: npt.ArrayLike | Sequence[npt.ArrayLike], method: Method) -> Vote:
    """Combine the probabilities of M classifiers for the same samples. The order of the members is irrelevant.

    - ``"MV"``, most voted: each member votes for its most probable class (the lowest index, if several are). A tie
      goes to the larger summed probability among the tied classes, then to the lowest index. The probabilities
      are the shares of votes, so a log loss or a calibration error of them is that of vote shares.
    - ``"MPS"``, maximum probability sum: the class whose probability, summed over the members, is largest. A tie
      goes to the lowest index. The probabilities are the means over the members.
    - ``"MP"``, maximum probability: the class of the single largest probability of all members and classes. A tie
      goes to the larger summed probability among the tied classes, then to the lowest index. The probabilities
      are each class's maximum over the members, normalised to sum to one.

    Sums count as equal if they agree to 12 decimals, so that rounding does not break a tie.

    Args:
        probabilities: (M, N, K), or M arrays (N, K); each row sums to one. One member alone is allowed.
        method: "MV", "MPS" or "MP".

    Raises:
        InputError: the method is unknown, there is no member, the members' shapes differ, or a value is
            impossible.
    """
    if method not in METHODS:
        raise InputError(f"The method of an ensemble is {method!r}: give one of {', '.join(METHODS)}.")
    members = _check_members(probabilities)
    n_members, _, n_classes = members.shape
    # Floating-point sums depend on their order, so all are taken from the smallest up, whoever the members are.
    sums = np.sort(members, axis=0).sum(axis=0)  # (N, K)
    if method == "MPS":
        return Vote(_largest_sum(sums, np.ones(sums.shape, dtype=np.bool_)), sums / n_members)
    if method == "MV":
        choices = members.argmax(axis=2)  # (M, N)
        score = (choices[:, :, None] == np.arange(n_classes)).sum(axis=0).astype(np.float64)
        shares = score / n_members
    else:
        score = members.max(axis=0)
        shares = score / score.sum(axis=1, keepdims=True)
    tied = score == score.max(axis=1, keepdims=True)
    return Vote(_largest_sum(sums, tied), shares)


def _largest_sum(sums: FloatArray, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return (N,) the allowed class with the largest sum, the lowest index among equals; both are (N, K)."""
    best: npt.NDArray[np.int64] = np.where(allowed, np.round(sums, _SUM_DECIMALS), -np.inf).argmax(axis=1)
    return best


def _check_members(probabilities: npt.ArrayLike | Sequence[npt.ArrayLike]) -> FloatArray:
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
