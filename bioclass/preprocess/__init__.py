"""Deterministic steps, the same in training and in prediction: read, resize, divide, standardise, channel-first."""

from bioclass.preprocess.gather import prepare
from bioclass.preprocess.plan import Input, Plan, apply, fit_statistics, read_for

__all__ = ["Input", "Plan", "apply", "fit_statistics", "prepare", "read_for"]
