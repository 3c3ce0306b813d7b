"""Runs and a part of their data to figures: each run, how they differ, and their ensemble.

``runs`` is the way through, ``folds`` that of a cross-validation, ``held_out`` that to labels which may be
wrong. ``data`` reads images and scores them, ``ensembles`` combines the models, ``judge`` tells how far their
answers can be relied on, ``results`` holds what is found, ``tables`` writes it, ``decisions`` says yes or no,
and ``fitted`` and ``decided`` keep for new images what was fitted, by way of ``kept``.
"""

from __future__ import annotations

from bioclass.evaluate.decided import Decided, load_decided
from bioclass.evaluate.decisions import Decisions, Question, decide_by
from bioclass.evaluate.fitted import Fitted, load_fitted
from bioclass.evaluate.folds import CrossValidated, CrossValidation, evaluate_folds, pooled
from bioclass.evaluate.held_out import HeldOut, held_out
from bioclass.evaluate.judge import Answers, Calibrated, Reliability, Wishes
from bioclass.evaluate.results import Combined, Evaluated, Evaluation, Selected
from bioclass.evaluate.runs import evaluate_runs
from bioclass.evaluate.scored import Scored
from bioclass.evaluate.tables import predictions_csv

__all__ = [
    "Answers",
    "Calibrated",
    "Combined",
    "CrossValidated",
    "CrossValidation",
    "Decided",
    "Decisions",
    "Evaluated",
    "Evaluation",
    "Fitted",
    "HeldOut",
    "Question",
    "Reliability",
    "Scored",
    "Selected",
    "Wishes",
    "decide_by",
    "evaluate_folds",
    "evaluate_runs",
    "held_out",
    "load_decided",
    "load_fitted",
    "pooled",
    "predictions_csv",
]
