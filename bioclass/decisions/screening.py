"""Yes or no, as a clinician asks: a threshold for a stated sensitivity, and what an answer is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError, did_you_mean
from bioclass.metrics.estimates import Estimate
from bioclass.metrics.shares import share
from bioclass.reliability import fit_conformal

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Screening:
    """A question with two answers.

    Attributes:
        positive: the classes that make an answer positive; their probabilities are added.
        sensitivity: the share of positives that a new one is to be found with.
        threshold: the least probability of a positive answer; 0 where the validation part is too small to promise
            the sensitivity with any other, so that every answer is positive.
        positives: validation samples of the positive classes, or their groups, behind the threshold.
        needed: how many it takes for a threshold above 0.
    """

    positive: tuple[str, ...]
    sensitivity: float
    threshold: float
    positives: int
    needed: int

    @property
    def promised(self) -> bool:
        """Whether there were positives enough; else every answer is positive."""
        return self.positives >= self.needed

    def answers(self, probabilities: npt.NDArray[Any], classes: Sequence[str]) -> BoolArray:
        """Return whether each answer is positive, (N,), for probabilities (N, K) of ``classes``."""
        return _positive_probability(np.asarray(probabilities), self.positive, classes) >= self.threshold

    def as_dict(self) -> dict[str, Any]:
        """Return the screening as plain numbers and names."""
        return {
            "positive": list(self.positive),
            "sensitivity": self.sensitivity,
            "threshold": self.threshold,
            "validation": self.positives,
            "needed": self.needed,
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Screening:
        """Return the screening that ``as_dict`` wrote; KeyError or TypeError if it did not."""
        names = ("sensitivity", "threshold", "validation", "needed")
        return cls(tuple(document["positive"]), *(document[name] for name in names))


@dataclass(frozen=True)
class ScreeningFigures:
    """What positive and negative answers are worth on labelled samples.

    Attributes:
        sensitivity: share of the positives that are found.
        specificity: share of the negatives that are let go.
        prevalence: share of positives for which the predictive values hold.
        stated: whether that prevalence was given; else it is that of the samples, which were seldom drawn as
            patients come.
        ppv: positive predictive value, the share of positive answers that are right.
        npv: negative predictive value, the share of negative answers that are right.
        counts: true positives, false negatives, true negatives, false positives.
    """

    sensitivity: Estimate
    specificity: Estimate
    prevalence: float
    stated: bool
    ppv: Estimate
    npv: Estimate
    counts: tuple[int, int, int, int]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain numbers."""
        estimates = {name: getattr(self, name).as_dict() for name in ("sensitivity", "specificity", "ppv", "npv")}
        names = ("true_positives", "false_negatives", "true_negatives", "false_positives")
        counts = dict(zip(names, self.counts, strict=True))
        return {**estimates, "prevalence": self.prevalence, "prevalence_stated": self.stated, **counts}


def fit_screening(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    classes: Sequence[str],
    positive: Sequence[str],
    sensitivity: float,
    groups: npt.ArrayLike | None = None,
) -> Screening:
    """Find the threshold that finds a new positive sample with at least the stated probability.

    It is the split-conformal threshold of the positive samples of the validation part (see
    :func:`~bioclass.reliability.fit_conformal`): a little below the quantile that has this sensitivity there, for
    that would miss it on new samples half of the time.

    Args:
        probabilities: (N, K), each row summing to one.
        labels: (N,) class indices.
        classes: the K class names.
        positive: which of them make an answer positive: at least one, and not all.
        sensitivity: between 0 and 1.
        groups: (N,) the group of each sample, or None if samples are independent.

    Raises:
        InputError: unknown or too many positive classes, a sensitivity that is no share, or arrays that do not fit.
    """
    if not 0 < sensitivity < 1:
        raise InputError(f"The sensitivity is {sensitivity:g}: give a share between 0 and 1, for example 0.95.")
    table = np.asarray(probabilities, dtype=np.float64)
    yes = _positive_probability(table, positive, classes)
    truth = _is_positive(labels, positive, classes)
    # Sums of probabilities may exceed one by rounding.
    two = np.stack([1 - np.minimum(yes, 1), np.minimum(yes, 1)], axis=1)
    fitted = fit_conformal(two, truth.astype(np.int64), 1 - sensitivity, "LAC by class", groups)
    threshold = -float(fitted.thresholds[1]) if np.isfinite(fitted.thresholds[1]) else 0.0
    return Screening(tuple(positive), sensitivity, threshold, int(fitted.counts[1]), fitted.needed)


def evaluate_screening(
    answers: BoolArray,
    labels: npt.ArrayLike,
    classes: Sequence[str],
    positive: Sequence[str],
    prevalence: float | None = None,
    groups: npt.ArrayLike | None = None,
) -> ScreeningFigures:
    """Tell what answers (N,) are worth, with 95 % intervals.

    Those of sensitivity and specificity respect groups. Predictive values rise with both, so their limits are those
    of both limits together (by Bayes' rule at the prevalence), which is on the safe side.

    Args:
        answers: (N,) bool, the positive ones.
        labels: (N,) class indices.
        classes: the K class names.
        positive: the positive classes.
        prevalence: the share of positives where the answers will be given; None takes that of the samples.
        groups: (N,) the group of each sample, or None if samples are independent.

    Raises:
        InputError: a prevalence that is no share, unknown classes.
    """
    if prevalence is not None and not 0 < prevalence < 1:
        raise InputError(f"The prevalence is {prevalence:g}: give a share between 0 and 1, for example 0.05.")
    truth = _is_positive(labels, positive, classes)
    units = None if groups is None else np.asarray(groups)
    found = share(answers[truth], None if units is None else units[truth])
    let_go = share(~answers[~truth], None if units is None else units[~truth])
    share_of_positives = float(truth.mean()) if prevalence is None else prevalence
    counts = (answers & truth, ~answers & truth, ~answers & ~truth, answers & ~truth)
    tp, fn, tn, fp = (int(np.count_nonzero(each)) for each in counts)
    return ScreeningFigures(
        sensitivity=found,
        specificity=let_go,
        prevalence=share_of_positives,
        stated=prevalence is not None,
        ppv=_predictive(found, let_go, share_of_positives),
        npv=_predictive(let_go, found, 1 - share_of_positives),
        counts=(tp, fn, tn, fp),
    )


def _predictive(right: Estimate, other: Estimate, prevalence: float) -> Estimate:
    """The predictive value of an answer that ``right`` is the share of among the samples it is meant for."""

    def bayes(hit: float | None, let_go: float | None) -> float | None:
        if hit is None or let_go is None:
            return None
        wrong = (1 - let_go) * (1 - prevalence)
        total = hit * prevalence + wrong
        return hit * prevalence / total if total > 0 else None

    return Estimate(bayes(right.value, other.value), bayes(right.low, other.low), bayes(right.high, other.high))


def _columns(positive: Sequence[str], classes: Sequence[str]) -> list[int]:
    for name in positive:
        if name not in classes:
            raise InputError(
                f"The positive class {name!r} is none of the classes {', '.join(classes)}"
                f"{did_you_mean(name, list(classes))}."
            )
    columns = sorted({list(classes).index(name) for name in positive})
    if not 0 < len(columns) < len(classes):
        raise InputError(
            f"{len(columns)} of the {len(classes)} classes are positive: name at least one, and leave one negative."
        )
    return columns


def _positive_probability(table: npt.NDArray[Any], positive: Sequence[str], classes: Sequence[str]) -> FloatArray:
    total: FloatArray = table[:, _columns(positive, classes)].sum(axis=1)
    return total


def _is_positive(labels: npt.ArrayLike, positive: Sequence[str], classes: Sequence[str]) -> BoolArray:
    return np.isin(np.asarray(labels), _columns(positive, classes))
