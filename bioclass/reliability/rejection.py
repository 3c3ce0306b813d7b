"""Accuracy against rejection: answer only where the largest probability is high enough.

The selective risk is the share of wrong answers among those given, the coverage the share of samples answered
(El-Yaniv and Wiener 2010, On the foundations of noise-free selective classification, JMLR 11:1605-1641).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from bioclass.errors import InputError
from bioclass.metrics.estimates import Estimate
from bioclass.metrics.shares import share
from bioclass.reliability.rates import check_labelled, check_rate

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

CONFIDENCE = 0.95
"""With which the stated error rate is promised."""

REJECTED = (0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the validation samples to reject that are tried, before any label is seen; finer where few are."""

SHOWN = (1.0, 0.99, 0.95, 0.9, 0.8, 0.5)
"""Shares of samples answered at which a curve is told in a few numbers."""


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """How accuracy grows as the least certain samples are rejected.

    Attributes:
        thresholds: (T,) the distinct confidences, from the largest down; answering from each one on gives
        coverage: (T,) the share of samples answered and
        risk: (T,) the share of wrong answers among them.
        aurc: the area under the risk-coverage curve: the mean, over i, of the risk when the i most certain samples
            are answered (Geifman, Uziel and El-Yaniv 2019, Bias-reduced uncertainty estimation for deep neural
            classifiers, ICLR). Samples of equal confidence count as answered in random order.
        best_aurc: the area if every wrong sample were less certain than every right one.
    """

    thresholds: FloatArray
    coverage: FloatArray
    risk: FloatArray
    aurc: float
    best_aurc: float

    def risk_at(self, coverage: float) -> float:
        """Return the risk when about this share of samples is answered: at least so many, equal ones together."""
        return float(self.risk[np.searchsorted(self.coverage, coverage - 1e-9)])

    def as_dict(self) -> dict[str, Any]:
        """Return the areas, and the accuracy at a few shares answered, as plain numbers."""
        return {
            "aurc": self.aurc,
            "best_aurc": self.best_aurc,
            "accuracy_at": {f"{answered:g}": 1 - self.risk_at(answered) for answered in SHOWN},
        }


@dataclass(frozen=True)
class Rejection:
    """A threshold on the confidence for a stated error rate.

    Attributes:
        error_rate: the stated share of wrong answers among those given.
        threshold: a sample is answered if its largest probability is above it; None if the validation part is too
            small, or the network too often wrong, to promise the rate for any answer.
        bound: the upper limit of the true share of wrong answers at the threshold; the least that was found, where
            there is none.
        n: validation samples.
        answered: of them, above the threshold.
        wrong: of these, classified wrong.
        needed: answers without an error, or groups of them, that it takes at least to promise the rate.
    """

    error_rate: float
    threshold: float | None
    bound: float
    n: int
    answered: int
    wrong: int
    needed: int

    def accepts(self, probabilities: npt.NDArray[Any]) -> BoolArray:
        """Return which samples (N,) with these probabilities (N, K) are answered."""
        return accepts(probabilities, self.threshold)

    def as_dict(self) -> dict[str, Any]:
        """Return the choice as plain numbers; answering everything is the threshold 0."""
        return {
            "confidence": CONFIDENCE,
            "threshold": self.threshold,
            "bound": self.bound,
            "n": self.n,
            "answered": self.answered,
            "wrong": self.wrong,
            "needed": self.needed,
        }


@dataclass(frozen=True)
class RejectionFigures:
    """How a rejection did on labelled samples: the share answered, and the accuracy among those."""

    answered: Estimate
    accuracy: Estimate
    n_answered: int
    wrong: int

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain numbers."""
        return {
            "answered": self.answered.as_dict(),
            "accuracy": self.accuracy.as_dict(),
            "n_answered": self.n_answered,
            "wrong": self.wrong,
        }


def risk_coverage(confidence: npt.ArrayLike, right: npt.ArrayLike) -> RiskCoverage:
    """Return the risk-coverage curve.

    Args:
        confidence: (N,) how certain each sample's answer is, its largest probability say; N is at least 1.
        right: (N,) bool, whether the answer is right.

    Raises:
        InputError: the arguments are not two lists of one length, or a confidence is not finite.
    """
    certain, correct = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.bool_)
    if certain.ndim != 1 or certain.size == 0 or certain.shape != correct.shape or not np.isfinite(certain).all():
        raise InputError(
            f"confidence has shape {certain.shape} and right {correct.shape}: give one finite number and one true "
            "or false per sample."
        )
    n = len(certain)
    values, which, sizes = np.unique(-certain, return_inverse=True, return_counts=True)
    wrong = np.bincount(which, weights=~correct)
    answered, errors = np.cumsum(sizes), np.cumsum(wrong)
    # Within samples of equal confidence the errors are spread evenly: what random orders give on average.
    one_by_one = np.cumsum(np.repeat(wrong / sizes, sizes)) / np.arange(1, n + 1)
    best = np.cumsum(np.sort(~correct)) / np.arange(1, n + 1)
    return RiskCoverage(-values, answered / n, errors / answered, float(one_by_one.mean()), float(best.mean()))


def fit_rejection(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, error_rate: float, groups: npt.ArrayLike | None = None
) -> Rejection:
    """Choose, on validation samples, whom to answer so that at most a stated share of the answers is wrong.

    Selection with guaranteed risk (Geifman and El-Yaniv 2017, Selective classification for deep neural networks,
    NeurIPS): of a few thresholds, the one that answers most among those whose upper limit of the error rate is at
    most the stated one. The limit is the exact binomial one (Clopper and Pearson 1934), and all of them hold
    together with a confidence of 95 % (Bonferroni). The thresholds are the confidences at the ranks of
    ``REJECTED``, fixed beforehand, rather than the end of a search that the labels steer; only samples strictly
    above a threshold count and are answered, so that ties do no harm.

    With groups (slide, patient) the limit is that of as many independent samples as the spread between the groups
    leaves (Korn and Graubard 1998, Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data, Survey Methodology 24:193-201): an approximation, not exact. Without any
    wrong answer each group counts as one sample.

    Args:
        probabilities: (N, K), each row summing to one.
        labels: (N,) class indices.
        error_rate: between 0 and 1, the largest share of wrong answers among those given.
        groups: (N,) the group of each sample, or None if samples are independent.

    Raises:
        InputError: the error rate is not between 0 and 1, or an argument has the wrong shape or type, or holds an
            impossible value.
    """
    check_rate(error_rate)
    table, checked = check_labelled(probabilities, labels, groups)
    confidence = table.max(axis=1)
    wrong = checked.predicted != checked.labels
    falling = -np.sort(-confidence)
    ranks, level = _tried(checked.n, error_rate)
    needed = _least(error_rate, CONFIDENCE)
    least = 1.0
    for rank in ranks:
        # The most certain samples down to, and without, the one at this rank; the last rank has none.
        threshold = float(falling[rank]) if rank < checked.n else 0.0
        answered = confidence > threshold
        bound = error_limit(wrong[answered], checked.units[answered] if checked.grouped else None, level)
        if bound <= error_rate:
            counts = int(answered.sum()), int(wrong[answered].sum())
            return Rejection(error_rate, threshold, bound, checked.n, *counts, needed)
        least = min(least, bound)
    return Rejection(error_rate, None, least, checked.n, 0, 0, needed)


def _tried(n: int, error_rate: float) -> tuple[list[int], float]:
    """Return how many of n samples are to be answered, the most first, and the level of each limit.

    A share at which even answers without an error would not do is not tried, which leaves the others more room.
    """
    ranks = [round((1 - rejected) * n) for rejected in REJECTED]
    for tried in range(len(ranks), 0, -1):
        level = 1 - (1 - CONFIDENCE) / tried
        if ranks[tried - 1] >= _least(error_rate, level):
            return ranks[:tried], level
    return ranks[:1], CONFIDENCE


def _least(error_rate: float, level: float) -> int:
    """Return how many answers without an error it takes for a limit of the error rate at this level."""
    return int(np.ceil(np.log(1 - level) / np.log(1 - error_rate)))


def accepts(probabilities: npt.NDArray[Any], threshold: float | None) -> BoolArray:
    """Return which samples (N,) have a largest probability, of (N, K), above a threshold; none without one."""
    accepted: BoolArray = np.max(probabilities, axis=1) > (np.inf if threshold is None else threshold)
    return accepted


def evaluate_rejection(
    accepted: npt.ArrayLike, right: npt.ArrayLike, groups: npt.ArrayLike | None = None
) -> RejectionFigures:
    """Return the share answered and the accuracy of the answers, with 95 % intervals.

    Args:
        accepted: (N,) bool, whether each sample was answered.
        right: (N,) bool, whether the answer is or would have been right.
        groups: (N,) the group of each sample, or None if samples are independent.
    """
    given, correct = np.asarray(accepted, dtype=np.bool_), np.asarray(right, dtype=np.bool_)
    units = None if groups is None else np.asarray(groups)
    return RejectionFigures(
        answered=share(given, units),
        accuracy=share(correct[given], None if units is None else units[given]),
        n_answered=int(given.sum()),
        wrong=int((~correct[given]).sum()),
    )


def error_limit(wrong: BoolArray, units: IntArray | None, level: float) -> float:
    """Return the one-sided upper limit of an error rate: Clopper and Pearson's, or Korn and Graubard's of units.

    Args:
        wrong: (N,) bool.
        units: (N,) index of the group of each sample, or None if samples are independent.
        level: of confidence, 0.95 for example.
    """
    n = float(len(wrong))
    if n == 0 or wrong.all():
        return 1.0
    rate = float(wrong.mean())
    if units is not None:
        n = _independent(wrong, units, level)
    return float(stats.beta.ppf(level, rate * n + 1, (1 - rate) * n))


def _independent(wrong: BoolArray, units: IntArray, level: float) -> float:
    """Return how many independent samples would show as much as these of groups do."""
    n, rate = len(wrong), float(wrong.mean())
    _, which = np.unique(units, return_inverse=True)
    sums = np.bincount(which, weights=wrong - rate)
    n_units = len(sums)
    if n_units == 1 or rate == 0:
        return float(n_units)
    variance = n_units / (n_units - 1) * float((sums**2).sum()) / n**2
    spread = rate * (1 - rate) / variance if variance > 0 else n
    # With few groups the variance itself is uncertain.
    few = float(stats.t.ppf(level, n - 1) / stats.t.ppf(level, n_units - 1)) ** 2
    return float(min(n, spread * few))
