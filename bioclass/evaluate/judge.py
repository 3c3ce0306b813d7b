"""How far a model's answers can be relied on: calibrated probabilities, sets of classes, rejection.

All of it is fitted on the validation part and told by the evaluated one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.evaluate.scored import Scored
from bioclass.reliability import (
    RULES,
    Conformal,
    Rejection,
    RejectionFigures,
    RiskCoverage,
    Rule,
    SetFigures,
    Temperature,
    check_rate,
    evaluate_rejection,
    evaluate_sets,
    fit_conformal,
    fit_rejection,
    fit_temperature,
    risk_coverage,
)


@dataclass(frozen=True)
class Wishes:
    """What is wanted: calibrated probabilities, and answers at an error rate.

    Raises:
        InputError: the error rate is not between 0 and 1.
    """

    calibrate: bool = False
    error_rate: float | None = None

    def __post_init__(self) -> None:
        if self.error_rate is not None:
            check_rate(self.error_rate)

    def __bool__(self) -> bool:
        """Whether anything is wanted."""
        return self.calibrate or self.error_rate is not None


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A temperature, and the evaluated part with it."""

    fit: Temperature
    scored: Scored

    def as_dict(self) -> dict[str, Any]:
        """Return the fit, and those of the figures that calibration is about."""
        figures = {name: self.scored.metrics.overall[name].as_dict() for name in ("log_loss", "ece")}
        return {"temperature": self.fit.temperature, **figures, "validation": self.fit.as_dict()}


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to the evaluated part at a stated error rate.

    Attributes:
        error_rate: between 0 and 1.
        scored: the evaluated part with the probabilities that the answers are made of.
        conformal: by rule, the thresholds of the sets.
        sets: by rule, (N, K) bool, the classes in each answer.
        set_figures: by rule, how the sets did.
        rejection: the threshold of an answer.
        answered: (N,) bool.
        rejection_figures: how the answers did.
        curve: accuracy against rejection.
    """

    error_rate: float
    scored: Scored
    conformal: dict[Rule, Conformal]
    sets: dict[Rule, npt.NDArray[np.bool_]]
    set_figures: dict[Rule, SetFigures]
    rejection: Rejection
    answered: npt.NDArray[np.bool_]
    rejection_figures: RejectionFigures
    curve: RiskCoverage

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the answer to each sample as plain numbers."""
        sets = {rule: {**self.conformal[rule].as_dict(), **self.set_figures[rule].as_dict()} for rule in RULES}
        return {
            "error_rate": self.error_rate,
            "sets": sets,
            "rejection": {**self.rejection_figures.as_dict(), "validation": self.rejection.as_dict()},
            "risk_coverage": self.curve.as_dict(),
        }


@dataclass(frozen=True, eq=False)
class Reliability:
    """What was wished for, else None."""

    calibrated: Calibrated | None = None
    answers: Answers | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return ``calibration`` and ``answers``, each where it was wished for."""
        found = {"calibration": self.calibrated, "answers": self.answers}
        return {name: part.as_dict() for name, part in found.items() if part is not None}


def judge(scored: Scored, validation: Scored | None, wishes: Wishes) -> Reliability:
    """Fit what is wished for on the validation part, and tell by the evaluated part how it does there.

    With calibration wished for, the answers at an error rate are those of the calibrated probabilities.

    Args:
        scored: the model on the evaluated part.
        validation: the model on the validation part; None where nothing is wished for.
        wishes: what is wanted.
    """
    calibrated, answers = None, None
    if validation is not None and wishes.calibrate:
        fit = fit_temperature(validation.probabilities, validation.labels)
        scored = scored.calibrated(fit.apply(scored.probabilities))
        validation = validation.calibrated(fit.apply(validation.probabilities))
        calibrated = Calibrated(fit, scored)
    if validation is not None and wishes.error_rate is not None:
        answers = _answers(scored, validation, wishes.error_rate)
    return Reliability(calibrated, answers)


def _answers(scored: Scored, validation: Scored, error_rate: float) -> Answers:
    given = validation.probabilities, validation.labels, error_rate
    conformal = {rule: fit_conformal(*given, rule, validation.groups) for rule in RULES}
    sets = {rule: conformal[rule].sets(scored.probabilities) for rule in RULES}
    rejection = fit_rejection(*given, validation.groups)
    answered = rejection.accepts(scored.probabilities)
    return Answers(
        error_rate=error_rate,
        scored=scored,
        conformal=conformal,
        sets=sets,
        set_figures={
            rule: evaluate_sets(sets[rule], scored.labels, scored.classes, scored.groups) for rule in RULES
        },
        rejection=rejection,
        answered=answered,
        rejection_figures=evaluate_rejection(answered, scored.right, scored.groups),
        curve=risk_coverage(scored.probabilities.max(axis=1), scored.right),
    )
