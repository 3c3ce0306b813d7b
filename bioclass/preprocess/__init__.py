"""Deterministic steps, the same in training and prediction: read, resize, centre, divide, standardise."""

from bioclass.preprocess.center import centred
from bioclass.preprocess.gather import prepare
from bioclass.preprocess.plan import Input, Plan, apply, fit_statistics, read_for, scaled

__all__ = ["Input", "Plan", "apply", "centred", "fit_statistics", "prepare", "read_for", "scaled"]
