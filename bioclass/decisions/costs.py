"""Decisions where errors do not cost alike: the class of least expected cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError
from bioclass.metrics.estimates import Estimate
from bioclass.metrics.intervals import percentile_limits

FloatArray = npt.NDArray[np.float64]
RESAMPLES = 1000


@dataclass(frozen=True)
class CostFigures:
    """Mean cost of a decision, in the unit of the matrix.

    Attributes:
        decided: of the decisions of least expected cost.
        most_probable: of deciding for the most probable class.
        saved: the mean difference of the two, the second less the first.
    """

    decided: Estimate
    most_probable: Estimate
    saved: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain numbers."""
        return {name: getattr(self, name).as_dict() for name in ("decided", "most_probable", "saved")}


def read_costs(path: Path, classes: Sequence[str]) -> FloatArray:
    """Read the cost of every decision (K, K): rows are the true class, columns what is decided.

    The file is CSV: a header of "true" and the classes, then a row for each class that begins with its name.

    Raises:
        InputError: no such file, classes that are missing or unknown, or what is not a number of at least 0.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, index_col=0, dtype={0: str}, encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"There is no table of costs {path}.") from None
    except (OSError, ValueError) as problem:
        raise InputError(f"{path} cannot be read as a table of costs: {str(problem).splitlines()[0]}.") from None
    frame.index, frame.columns = frame.index.astype(str), frame.columns.astype(str)
    for what, found in (("rows", list(frame.index)), ("columns", list(frame.columns))):
        if sorted(found) != sorted(classes):
            raise InputError(
                f"The {what} of {path} are {', '.join(found)}: they must be the classes, each once "
                f"({', '.join(classes)})."
            )
    ordered = frame.loc[list(classes), list(classes)].apply(pd.to_numeric, errors="coerce")
    matrix: FloatArray = ordered.to_numpy(dtype=np.float64)
    wrong = np.argwhere(~(np.isfinite(matrix) & (matrix >= 0)))
    if len(wrong):
        i, j = wrong[0]
        raise InputError(
            f"{path} has no cost of at least 0 for the true class {classes[i]!r} and the decision {classes[j]!r}: "
            "fill in a number."
        )
    return matrix


def decide(probabilities: npt.ArrayLike, costs: FloatArray) -> npt.NDArray[np.int64]:
    """Return the class index (N,) of least expected cost for each sample (Bayes' decision; the lowest of equals).

    The expected cost of deciding j is the sum over the true classes i of probability_i x cost_ij, so the
    probabilities should be calibrated.

    Args:
        probabilities: (N, K).
        costs: (K, K), rows the true class.
    """
    expected: FloatArray = np.asarray(probabilities, dtype=np.float64) @ costs
    cheapest: npt.NDArray[np.int64] = expected.argmin(axis=1)
    return cheapest


def evaluate_costs(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    costs: FloatArray,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
) -> CostFigures:
    """Tell what decisions cost on labelled samples, with 95 % percentile intervals of the bootstrap.

    Args:
        probabilities: (N, K).
        labels: (N,) class indices.
        costs: (K, K), rows the true class.
        groups: (N,) the group of each sample, which is drawn as a whole; None if samples are independent.
        seed: of the bootstrap.
    """
    table, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if len(truth) == 0:
        raise InputError("There are no samples to tell the cost of: evaluate a part that holds some.")
    decided, usual = costs[truth, decide(table, costs)], costs[truth, table.argmax(axis=1)]
    units = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(units)
    each = np.stack([decided, usual, usual - decided])
    sums = np.stack([np.bincount(units, weights=row) for row in each], axis=1)
    rng, even = np.random.default_rng(seed), np.full(len(sizes), 1 / len(sizes))
    # One draw at a time: all at once would be resamples x units numbers.
    drawn = (rng.multinomial(len(sizes), even) for _ in range(RESAMPLES))
    means = np.stack([(times @ sums) / (times @ sizes) for times in drawn], axis=1)
    found = [Estimate(float(row.mean()), *percentile_limits(draws)) for row, draws in zip(each, means, strict=True)]
    return CostFigures(*found)
