"""From probabilities to what is done: yes or no at a stated sensitivity, the least cost, how many of each class."""

from __future__ import annotations

from bioclass.decisions.abundance import Abundance, estimate_abundance
from bioclass.decisions.costs import CostFigures, decide, evaluate_costs, read_costs
from bioclass.decisions.screening import Screening, ScreeningFigures, evaluate_screening, fit_screening

__all__ = [
    "Abundance",
    "CostFigures",
    "Screening",
    "ScreeningFigures",
    "decide",
    "estimate_abundance",
    "evaluate_costs",
    "evaluate_screening",
    "fit_screening",
    "read_costs",
]
