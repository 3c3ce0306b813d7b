"""Answers with a stated error rate: sets of classes that hold the true one as often as was asked for.

Split-conformal prediction (Papadopoulos, Proedrou, Vovk and Gammerman 2002; Vovk, Gammerman and Shafer 2005): the
threshold is a quantile of the scores of labelled validation samples. If these and the new samples are exchangeable,
and the network has not seen the validation labels, the true class is missing from at most the stated share of sets,
whatever the network. A network whose epoch, members or temperature were chosen on the same validation samples has
seen a little of their labels: the rate is then slightly optimistic, the less the more samples there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError
from bioclass.metrics.estimates import Estimate
from bioclass.metrics.shares import share
from bioclass.reliability.rates import check_labelled, check_rate

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Rule: TypeAlias = Literal["LAC", "APS", "LAC by class"]

RULES: tuple[Rule, ...] = ("LAC", "APS", "LAC by class")
# Sums of many weights, and 1 - alpha itself, are off by rounding; a whole sample weighs far more.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Conformal:
    """Thresholds for sets of classes at a stated error rate.

    Attributes:
        rule: how samples are scored, see :func:`fit_conformal`.
        error_rate: the share of sets that may miss the true class.
        thresholds: (K,) the largest score with which a class is in the set; infinite where the validation part is
            too small to leave it out.
        counts: (K,) validation samples, or their groups, behind each threshold.
        needed: how many it takes to leave a class out at all.
    """

    rule: Rule
    error_rate: float
    thresholds: FloatArray
    counts: npt.NDArray[np.int64]
    needed: int

    def sets(self, probabilities: npt.NDArray[Any]) -> BoolArray:
        """Return which classes (N, K) are the answer to each sample's probabilities (N, K).

        The most probable class (the lowest index, if several are) is always among them, so no set is empty; this
        can only raise the share of sets that hold the true class.
        """
        inside: BoolArray = _scores(np.asarray(probabilities, dtype=np.float64), self.rule) <= self.thresholds
        inside[np.arange(len(inside)), np.argmax(probabilities, axis=1)] = True
        return inside

    def as_dict(self) -> dict[str, Any]:
        """Return the thresholds as plain numbers: one where all classes share it; None where it is infinite.

        Those of LAC are least probabilities, those of APS the largest probability of the classes before.
        """
        sign = 1 if self.rule == "APS" else -1
        thresholds = [sign * float(value) if np.isfinite(value) else None for value in self.thresholds]
        counts: list[int] = self.counts.tolist()
        if self.rule == "LAC by class":
            return {"thresholds": thresholds, "validation": counts, "needed": self.needed}
        return {"threshold": thresholds[0], "validation": counts[0], "needed": self.needed}

    @classmethod
    def from_dict(cls, rule: Rule, error_rate: float, n_classes: int, document: dict[str, Any]) -> Conformal:
        """Return the thresholds that :meth:`as_dict` wrote, for K classes; KeyError where they are not there."""
        sign = 1 if rule == "APS" else -1
        by_class = rule == "LAC by class"
        thresholds = document["thresholds"] if by_class else [document["threshold"]] * n_classes
        counts = document["validation"] if by_class else [document["validation"]] * n_classes
        return cls(
            rule=rule,
            error_rate=error_rate,
            thresholds=np.array([np.inf if value is None else sign * value for value in thresholds]),
            counts=np.array(counts, dtype=np.int64),
            needed=document["needed"],
        )


@dataclass(frozen=True)
class SetFigures:
    """How sets of classes did on labelled samples.

    Attributes:
        coverage: share of sets that hold the true class.
        single: share of sets of one class.
        single_right: of these, the share that is right.
        size: mean number of classes in a set.
        sizes: number of sets with 1, 2, ..., K classes.
        per_class: by true class its coverage, mean size and number of samples.
    """

    coverage: Estimate
    single: Estimate
    single_right: Estimate
    size: float
    sizes: tuple[int, ...]
    per_class: dict[str, dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain numbers and dicts."""
        return {
            "coverage": self.coverage.as_dict(),
            "single": self.single.as_dict(),
            "single_right": self.single_right.as_dict(),
            "size": self.size,
            "sizes": list(self.sizes),
            "per_class": {
                name: {**row, "coverage": row["coverage"].as_dict()} for name, row in self.per_class.items()
            },
        }


def fit_conformal(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    error_rate: float,
    rule: Rule = "LAC",
    groups: npt.ArrayLike | None = None,
) -> Conformal:
    """Find the thresholds for a stated error rate on validation samples.

    - ``"LAC"`` takes every class that is probable enough: the score is minus the probability. Of all sets with the
      stated error rate the smallest on average, if the probabilities are right (Sadinle, Lei and Wasserman 2019,
      Least ambiguous set-valued classifiers with bounded error levels, JASA 114:223-234).
    - ``"APS"`` goes down from the most probable class until enough probability is gathered: the score is the
      probability of the classes before it. Larger sets for harder samples (Romano, Sesia and Candes 2020,
      Classification with valid and adaptive coverage, NeurIPS; without their random number, so the sets are the
      same every time and miss less often than stated). Of equal probabilities the lower index goes first.
    - ``"LAC by class"`` has a threshold for each class, from its own samples, so the rate holds in every class
      (class-conditional or Mondrian: Vovk 2012; Sadinle et al. 2019, section 2.2).

    The threshold is the ceil((n + 1)(1 - error_rate))-th smallest of n scores. Where n is too small for that rank
    to exist it is infinite: the honest answer is then every class. With groups (slide, patient), whose samples are
    not exchangeable one by one, each score counts 1 / ((G + 1) size of its group), and the rate is that of a random
    sample of a new group (Lee, Barber and Willett 2023, Distribution-free inference with hierarchical data,
    hierarchical conformal prediction); it takes 1 / error_rate - 1 groups.

    Args:
        probabilities: (N, K), each row summing to one.
        labels: (N,) class indices.
        error_rate: between 0 and 1, the share of sets that may miss the true class.
        rule: "LAC", "APS" or "LAC by class".
        groups: (N,) the group of each sample, or None if samples are independent.

    Raises:
        InputError: the rule is unknown, the error rate is not between 0 and 1, or an argument has the wrong shape
            or type, or holds an impossible value.
    """
    if rule not in RULES:
        raise InputError(f"The rule for sets of classes is {rule!r}: give one of {', '.join(RULES)}.")
    check_rate(error_rate)
    table, checked = check_labelled(probabilities, labels, groups)
    n_classes = len(checked.classes)
    scores = _scores(table, rule)[np.arange(checked.n), checked.labels]
    thresholds, counts = np.empty(n_classes), np.empty(n_classes, dtype=np.int64)
    for k in range(n_classes):
        of_class = checked.labels == k if rule == "LAC by class" else np.ones(checked.n, dtype=np.bool_)
        thresholds[k] = _quantile(scores[of_class], checked.units[of_class], error_rate)
        counts[k] = len(np.unique(checked.units[of_class]))
    return Conformal(rule, error_rate, thresholds, counts, least_units(error_rate))


def least_units(error_rate: float) -> int:
    """Return how many validation samples, or groups, a finite threshold takes at least: 1 / error_rate - 1."""
    return max(1, int(np.ceil(1 / error_rate - 1 - _ROUNDING)))


def evaluate_sets(
    sets: npt.ArrayLike, labels: npt.ArrayLike, classes: tuple[str, ...], groups: npt.ArrayLike | None = None
) -> SetFigures:
    """Compare sets of classes with the truth; the intervals are those of accuracy in ``bioclass.metrics``.

    Args:
        sets: (N, K) bool, the classes in the answer to each sample, at least one.
        labels: (N,) class indices.
        classes: the K class names.
        groups: (N,) the group of each sample, or None if samples are independent.
    """
    inside, truth = np.asarray(sets, dtype=np.bool_), np.asarray(labels, dtype=np.int64)
    units = None if groups is None else np.asarray(groups)
    covered = inside[np.arange(len(truth)), truth]
    sizes = inside.sum(axis=1)
    one = sizes == 1
    per_class: dict[str, dict[str, Any]] = {}
    for k, name in enumerate(classes):
        of_class = truth == k
        per_class[name] = {
            "coverage": share(covered[of_class], None if units is None else units[of_class]),
            "size": float(sizes[of_class].mean()) if of_class.any() else None,
            "support": int(of_class.sum()),
        }
    return SetFigures(
        coverage=share(covered, units),
        single=share(one, units),
        single_right=share(covered[one], None if units is None else units[one]),
        size=float(sizes.mean()),
        sizes=tuple(np.bincount(sizes, minlength=len(classes) + 1)[1:].tolist()),
        per_class=per_class,
    )


def _scores(table: FloatArray, rule: Rule) -> FloatArray:
    """Return the score (N, K) of every class; the smaller, the sooner it is in the set."""
    if rule != "APS":
        return -table
    order = np.argsort(-table, axis=1, kind="stable")
    ordered = np.take_along_axis(table, order, axis=1)
    before = np.cumsum(ordered, axis=1)
    before = np.concatenate([np.zeros((len(table), 1)), before[:, :-1]], axis=1)
    scores = np.empty_like(table)
    np.put_along_axis(scores, order, before, axis=1)
    return scores


def _quantile(scores: FloatArray, units: npt.NDArray[np.int64], error_rate: float) -> float:
    """Return the smallest score with 1 - error_rate of the weight at or below it.

    All units, and one more that stands for the new one, weigh alike, and share that among their samples. Where each
    unit is one sample this is the ceil((n + 1)(1 - error_rate))-th smallest score.
    """
    if len(scores) == 0:
        return np.inf
    _, which, sizes = np.unique(units, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    weight = np.cumsum(1 / sizes[which][order]) / (len(sizes) + 1)
    enough = np.flatnonzero(weight >= 1 - error_rate - _ROUNDING)
    return float(scores[order[enough[0]]]) if enough.size else np.inf
