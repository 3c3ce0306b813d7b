"""The rules by which members vote.

The three rules of ``combine`` are those of Tabik, Peralta, Herrera-Poyatos and Herrera (2017), A snapshot of image
pre-processing for convolutional neural networks: case study of MNIST, International Journal of Computational
Intelligence Systems 10:555-568, section on ensembles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bioclass.ensemble.members import FloatArray, IntArray, check_members
from bioclass.errors import InputError

Method: TypeAlias = Literal["MV", "MPS", "MP"]

METHODS: tuple[Method, ...] = ("MV", "MPS", "MP")
TITLES: dict[Method, str] = {"MV": "most voted", "MPS": "maximum probability sum", "MP": "maximum probability"}

SUM_DECIMALS = 12
"""Sums that agree to this many decimals are a tie: 0.5 + 0.2 + 0.2 and 0.3 + 0.3 + 0.3 differ in float64 by
rounding alone, and no network's probabilities carry meaning this far down."""

# Weights given as decimals may miss one by their rounding.
_WEIGHT_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Vote:
    """The decision of an ensemble.

    Attributes:
        predicted: (N,) class indices. Not always the argmax of ``probabilities``: a tie there may have been
            broken by another rule.
        probabilities: (N, K), each row summing to one.
    """

    predicted: IntArray
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
    members = check_members(probabilities)
    n_members, _, n_classes = members.shape
    # Floating-point sums depend on their order, so all are taken from the smallest up, whoever the members are.
    sums = np.sort(members, axis=0).sum(axis=0)  # (N, K)
    if method == "MPS":
        return Vote(largest_sum(sums), sums / n_members)
    if method == "MV":
        choices = members.argmax(axis=2)  # (M, N)
        score = (choices[:, :, None] == np.arange(n_classes)).sum(axis=0).astype(np.float64)
        shares = score / n_members
    else:
        score = members.max(axis=0)
        shares = score / score.sum(axis=1, keepdims=True)
    return Vote(largest_sum(sums, score == score.max(axis=1, keepdims=True)), shares)


def weighted_vote(probabilities: npt.ArrayLike | Sequence[npt.ArrayLike], weights: npt.ArrayLike) -> Vote:
    """Combine by weighted means of the probabilities: the class with the largest, the lowest index of a tie.

    Means count as equal if they agree to 12 decimals. With equal weights this is ``"MPS"`` of :func:`combine`.

    Args:
        probabilities: (M, N, K), or M arrays (N, K); each row sums to one.
        weights: (M,) from 0 up, with the sum one, as :func:`~bioclass.ensemble.vote_weights` and
            :func:`~bioclass.ensemble.greedy` find them.

    Raises:
        InputError: the members or the weights are impossible, or not as many.
    """
    members = check_members(probabilities)
    shares = np.asarray(weights, dtype=np.float64)
    if shares.shape != (len(members),):
        raise InputError(f"The weights have shape {shares.shape}: give one for each of {len(members)} members.")
    if not (np.isfinite(shares).all() and (shares >= 0).all() and abs(shares.sum() - 1) <= _WEIGHT_TOLERANCE):
        raise InputError(f"The weights are {shares.tolist()}: give numbers from 0 up whose sum is one.")
    means = np.sort(shares[:, None, None] * members, axis=0).sum(axis=0)
    return Vote(largest_sum(means), means / means.sum(axis=1, keepdims=True))


def largest_sum(sums: FloatArray, allowed: npt.NDArray[np.bool_] | None = None) -> IntArray:
    """Return the class with the largest sum, the lowest index among equals.

    Args:
        sums: (..., K) of probabilities.
        allowed: (..., K) which classes may win; by default all.
    """
    rounded = np.round(sums, SUM_DECIMALS)
    best: IntArray = (rounded if allowed is None else np.where(allowed, rounded, -np.inf)).argmax(axis=-1)
    return best
