"""How far a classifier's answers can be relied on, from its probabilities for labelled validation samples.

``temperature`` makes probabilities mean what they say, ``conformal`` answers with sets of classes at a stated error
rate, ``rejection`` leaves out the uncertain so that the answers given keep one.
"""

from __future__ import annotations

from bioclass.reliability.conformal import RULES, Conformal, Rule, SetFigures, evaluate_sets, fit_conformal
from bioclass.reliability.rates import check_rate
from bioclass.reliability.rejection import (
    SHOWN,
    Rejection,
    RejectionFigures,
    RiskCoverage,
    accepts,
    evaluate_rejection,
    fit_rejection,
    risk_coverage,
)
from bioclass.reliability.temperature import Temperature, at_temperature, fit_temperature

__all__ = [
    "RULES",
    "SHOWN",
    "Conformal",
    "Rejection",
    "RejectionFigures",
    "RiskCoverage",
    "Rule",
    "SetFigures",
    "Temperature",
    "accepts",
    "at_temperature",
    "check_rate",
    "evaluate_rejection",
    "evaluate_sets",
    "fit_conformal",
    "fit_rejection",
    "fit_temperature",
    "risk_coverage",
]
