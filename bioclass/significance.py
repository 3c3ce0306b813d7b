"""Whether two classifiers, tried on the same samples, differ by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from bioclass.errors import InputError


@dataclass(frozen=True)
class McNemar:
    """The exact McNemar test of two classifiers.

    Attributes:
        n_only_a: samples that only the first classifies correctly.
        n_only_b: samples that only the second classifies correctly.
        p_value: two-sided.
    """

    n_only_a: int
    n_only_b: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """One pair out of several classifiers.

    Attributes:
        a: name of the first.
        b: name of the second.
        only_a: samples that only the first classifies correctly.
        only_b: samples that only the second classifies correctly.
        p: two-sided p-value of the exact McNemar test.
        p_holm: the same, adjusted by Holm's method for the number of pairs compared.
    """

    a: str
    b: str
    only_a: int
    only_b: int
    p: float
    p_holm: float

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain strings and numbers."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """A difference of two means and the limits of its 95 % interval; None where there is no spread to see."""

    value: float
    low: float | None
    high: float | None


def mcnemar_exact(correct_a: npt.ArrayLike, correct_b: npt.ArrayLike) -> McNemar:
    """Test whether two classifiers have the same error rate on the same independent samples.

    Exact binomial form of McNemar's test (McNemar 1947, Psychometrika 12:153-157): of the samples that one
    classifier alone gets right, each is equally likely to be either's. Without any such sample p is 1. Samples
    of one group (slide, patient) are not independent, and make p too small.

    Args:
        correct_a: (N,) bool, whether the first classifier is right.
        correct_b: (N,) bool, whether the second is right, in the same order.

    Raises:
        InputError: the arrays are not bool, not one-dimensional, empty or not of one length.
    """
    a, b = _check_correct("correct_a", correct_a), _check_correct("correct_b", correct_b)
    if len(a) != len(b):
        raise InputError(
            f"correct_a has {len(a)} samples and correct_b {len(b)}: give both on the same samples, in one order."
        )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    if only_a + only_b == 0:
        return McNemar(0, 0, 1.0)
    p_value = float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)
    return McNemar(only_a, only_b, min(p_value, 1.0))


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Adjust p-values for their number by Holm's step-down method (Holm 1979, Scand. J. Statist. 6:65-70).

    Args:
        p_values: (M,) from 0 to 1.

    Returns:
        (M,) adjusted p-values in the order given, at most 1: a hypothesis is rejected at a family-wise error rate
        alpha where its adjusted p-value is at most alpha.

    Raises:
        InputError: the p-values are not one-dimensional or lie outside 0..1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise InputError(f"p_values have shape {p.shape}: give a flat list of them.")
    outside = np.flatnonzero(~((p >= 0) & (p <= 1)))
    if outside.size:
        raise InputError(f"p_values hold {p[outside[0]]} at {outside[0]}: give values from 0 to 1.")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    # An adjusted p-value is never below that of a smaller p-value, whose hypothesis is tested first.
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def compare(names: Sequence[str], correct: Sequence[npt.ArrayLike]) -> list[Comparison]:
    """Compare every pair of classifiers by ``mcnemar_exact``, adjusted by ``holm`` over all pairs.

    Args:
        names: of the M classifiers.
        correct: M arrays (N,) bool, whether each classifier is right, all on the same samples in one order.

    Returns:
        M (M - 1) / 2 comparisons, in the order of the names.

    Raises:
        InputError: names and arrays do not match, or two names are the same.
    """
    if len(names) != len(correct):
        raise InputError(f"There are {len(names)} names for {len(correct)} classifiers: give one for each.")
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise InputError(f"names hold {twice[0]!r} more than once: give every classifier its own name.")
    checked = [_check_correct(f"correct of {name!r}", c) for name, c in zip(names, correct, strict=True)]
    for name, array in zip(names, checked, strict=True):
        if len(array) != len(checked[0]):
            raise InputError(
                f"{names[0]!r} was tried on {len(checked[0])} samples and {name!r} on {len(array)}: "
                f"give all on the same samples, in one order."
            )
    pairs = list(combinations(range(len(names)), 2))
    tests = [mcnemar_exact(checked[i], checked[j]) for i, j in pairs]
    adjusted = holm([test.p_value for test in tests])
    return [
        Comparison(names[i], names[j], test.n_only_a, test.n_only_b, test.p_value, float(p_holm))
        for (i, j), test, p_holm in zip(pairs, tests, adjusted, strict=True)
    ]


def paired_difference(
    a: npt.ArrayLike, b: npt.ArrayLike, groups: npt.ArrayLike | None = None, seed: int = 0, resamples: int = 1000
) -> Difference:
    """Return the mean of a minus that of b on the same samples, with the interval of a paired bootstrap.

    A resample draws samples, or whole groups (the cluster bootstrap: Davison and Hinkley 1997, section 3.8), with
    both values of each; the limits are percentiles.

    Args:
        a: (N,) a value a sample, for example whether the first classifier is right.
        b: (N,) that of the second, in the same order.
        groups: (N,) the group of each sample, or None if samples are independent.
        seed: of the bootstrap.
        resamples: of the bootstrap.

    Raises:
        InputError: the arrays are not one-dimensional, empty, or not of one length.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.size == 0 or first.shape != second.shape:
        raise InputError(
            f"The values have shapes {first.shape} and {second.shape}: give (N,), one a sample, of both."
        )
    off = first - second
    unit = np.arange(len(off)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if unit.shape != off.shape:
        raise InputError(f"groups have shape {unit.shape}: give one group per sample, {off.shape}.")
    sums, sizes = np.bincount(unit, weights=off), np.bincount(unit)
    rng = np.random.default_rng(seed)
    draws = np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(0, len(sums), len(sums))
        draws[i] = sums[drawn].sum() / sizes[drawn].sum()
    value = float(off.mean())
    if np.ptp(draws) == 0:
        return Difference(value, None, None)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Difference(value, float(low), float(high))


def _check_correct(name: str, given: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    array = np.asarray(given)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{name} has shape {array.shape}: give one true or false per sample, (N,).")
    if array.dtype != np.bool_:
        raise InputError(f"{name} has type {array.dtype}: give bool, for example `predicted == labels`.")
    return array
