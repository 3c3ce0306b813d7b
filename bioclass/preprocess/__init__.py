"""Deterministic steps, the same in training and prediction: read, resize, centre, divide, standardise."""

from bioclass.preprocess.center import centred, fineness
from bioclass.preprocess.gather import prepare, source_of
from bioclass.preprocess.plan import Input, Plan, adapted, affine, apply, fit_statistics, read_for, scaled
from bioclass.preprocess.resize import resized

__all__ = [
    "Input",
    "Plan",
    "adapted",
    "affine",
    "apply",
    "centred",
    "fineness",
    "fit_statistics",
    "prepare",
    "read_for",
    "resized",
    "scaled",
    "source_of",
]
