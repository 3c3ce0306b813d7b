"""Which members of an ensemble to take, and with what weight: decided on validation data, not on the test part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bioclass.ensemble.members import FloatArray, IntArray, check_labels, check_members
from bioclass.ensemble.votes import SUM_DECIMALS, largest_sum
from bioclass.errors import InputError

Figure: TypeAlias = Literal["log_loss", "accuracy"]

ROUNDS = 50
"""Draws of the greedy selection with replacement: weights in steps of a fiftieth at the finest."""

# A probability of zero would make the loss infinite; scikit-learn's log loss is clipped here too.
_TINY = np.finfo(np.float64).eps
# Below this a fitted weight is the solver's rounding.
_NO_WEIGHT = 1e-6


@dataclass(frozen=True, eq=False)
class Greedy:
    """The ensemble that greedy selection found.

    Attributes:
        members: the indices in the order of their choice; one drawn several times stands as often.
        weights: (M,) how often each member was drawn over the number of draws; the sum is one.
        log_loss: of the weighted mean on the data of the selection, in nats.
        accuracy: of the weighted mean on the data of the selection.
    """

    members: tuple[int, ...]
    weights: FloatArray
    log_loss: float
    accuracy: float


def top_members(scores: Sequence[float], count: int) -> list[int]:
    """Return the indices of the ``count`` largest scores, the best first; of equal scores the lowest index first.

    Args:
        scores: (M,) a figure of each member, larger is better: its validation accuracy, say.
        count: how many members to take, from 1 to M.

    Raises:
        InputError: a score is not a number, or there are fewer scores than members wanted.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError(f"The scores of the members are {array.tolist()}: give one finite number for each.")
    if not 1 <= count <= len(array):
        raise InputError(f"{count} of {len(array)} members cannot be taken: give a count from 1 to {len(array)}.")
    return [int(m) for m in np.argsort(-array, kind="stable")[:count]]


def greedy(
    probabilities: npt.ArrayLike | Sequence[npt.ArrayLike],
    labels: npt.ArrayLike,
    *,
    by: Figure = "log_loss",
    replacement: bool = True,
) -> Greedy:
    """Select members one by one, always the one that helps the mean of the probabilities most.

    Forward selection of Caruana, Niculescu-Mizil, Crew and Ksikes (2004), Ensemble selection from libraries of
    models, ICML, sections 2 and 2.1. It goes on to the end (``ROUNDS`` draws with replacement, else every member
    once) and returns the ensemble with the best figure on the way; of equal ones the smallest. Equal candidates
    go to the lowest index. Log losses that agree to 12 decimals are equal.

    Args:
        probabilities: (M, N, K) of M members on N validation samples, or M arrays (N, K); each row sums to one.
        labels: (N,) class indices.
        by: the figure: "log_loss", or "accuracy", whose ties the log loss breaks.
        replacement: whether a member may be drawn again, and so weigh more.

    Raises:
        InputError: the figure is unknown, or members or labels are impossible.
    """
    if by not in ("log_loss", "accuracy"):
        raise InputError(f"The figure to select by is {by!r}: give log_loss or accuracy.")
    members = check_members(probabilities)
    truth = check_labels(labels, *members.shape[1:])
    total = np.zeros(members.shape[1:])
    free = list(range(len(members)))
    drawn: list[int] = []
    best, best_size = (np.inf, np.inf), 0
    for size in range(1, (ROUNDS if replacement else len(members)) + 1):
        found, member = min((_figures((total + members[m]) / size, truth, by), m) for m in free)
        total += members[member]
        drawn.append(member)
        if not replacement:
            free.remove(member)
        if found < best:
            best, best_size = found, size
    chosen = tuple(drawn[:best_size])
    weights = np.bincount(chosen, minlength=len(members)) / best_size
    mean = members[list(chosen)].sum(axis=0) / best_size
    return Greedy(chosen, weights, _log_loss(mean, truth), 1 - _errors(mean, truth) / len(truth))


def vote_weights(probabilities: npt.ArrayLike | Sequence[npt.ArrayLike], labels: npt.ArrayLike) -> FloatArray:
    """Return the weights (M,) of a soft vote, from 0 up with the sum one, that minimise the log loss.

    Stacking by maximum likelihood on held-out samples (Smyth and Wolpert 1999, Linearly combining density
    estimators via stacking, Machine Learning 36:59-83). The problem is convex: no other weights have a smaller
    loss. Members that give every true class the same probability share their weight equally. Probabilities are
    clipped to float64's epsilon, as in scikit-learn's log loss. Weights under 1e-6 are 0.

    Args:
        probabilities: (M, N, K) of M members on N validation samples, or M arrays (N, K); each row sums to one.
        labels: (N,) class indices.

    Raises:
        InputError: members or labels are impossible.
    """
    members = check_members(probabilities)
    truth = check_labels(labels, *members.shape[1:])
    likelihoods = np.clip(members[:, np.arange(len(truth)), truth], _TINY, 1)  # (M, N)
    # Among members that say the same of every true class the loss cannot choose, and the solver would by rounding.
    different, which, copies = np.unique(likelihoods, axis=0, return_inverse=True, return_counts=True)
    which = which.reshape(-1)
    found = _least_loss(different)
    weights = np.where(found < _NO_WEIGHT, 0.0, found)
    shared: FloatArray = (weights / weights.sum() / copies)[which]
    return shared


def _least_loss(likelihoods: FloatArray) -> FloatArray:
    """Return the weights (M,) on the simplex with the least mean of -log(weights @ likelihoods), (M, N)."""
    from scipy import optimize

    n_members = len(likelihoods)

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        # The solver may look a rounding outside the simplex.
        mixed = np.maximum(weights @ likelihoods, _TINY**2)
        return float(-np.log(mixed).mean()), -(likelihoods / mixed).mean(axis=1)

    simplex: dict[str, Any] = {
        "type": "eq",
        "fun": lambda weights: weights.sum() - 1,
        "jac": lambda weights: np.ones(n_members),
    }
    found = optimize.minimize(
        loss,
        np.full(n_members, 1 / n_members),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * n_members,
        constraints=simplex,
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    weights: FloatArray = np.clip(found.x, 0, None) / np.clip(found.x, 0, None).sum()
    return weights


def _figures(mean: FloatArray, labels: IntArray, by: Figure) -> tuple[float, float]:
    """Return what is to become small: the figure, and what breaks its ties."""
    loss = round(_log_loss(mean, labels), SUM_DECIMALS)
    return (loss, 0.0) if by == "log_loss" else (float(_errors(mean, labels)), loss)


def _log_loss(mean: FloatArray, labels: IntArray) -> float:
    return float(-np.log(np.clip(mean[np.arange(len(labels)), labels], _TINY, 1)).mean())


def _errors(mean: FloatArray, labels: IntArray) -> int:
    return int((largest_sum(mean) != labels).sum())
