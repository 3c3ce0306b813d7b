"""How many of each class there are, as an ecologist asks: counts corrected for the classifier's confusions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

from bioclass.errors import InputError
from bioclass.metrics.estimates import Estimate
from bioclass.metrics.intervals import percentile_limits

FloatArray = npt.NDArray[np.float64]
RESAMPLES = 1000


@dataclass(frozen=True)
class Abundance:
    """Shares of the classes among samples that need no labels.

    Attributes:
        classes: K names.
        counted: (K,) share of the predictions for each class, as they are.
        corrected: share of each class with its 95 % interval, corrected for the confusions.
        n: number of samples.
    """

    classes: tuple[str, ...]
    counted: tuple[float, ...]
    corrected: tuple[Estimate, ...]
    n: int

    def as_dict(self) -> dict[str, Any]:
        """Return the shares by class as plain numbers."""
        rows = zip(self.classes, self.counted, self.corrected, strict=True)
        return {"n": self.n, "classes": {name: {"counted": c, "corrected": e.as_dict()} for name, c, e in rows}}


def estimate_abundance(
    predicted: npt.ArrayLike,
    known_labels: npt.ArrayLike,
    known_predicted: npt.ArrayLike,
    classes: Sequence[str],
    *,
    groups: npt.ArrayLike | None = None,
    known_groups: npt.ArrayLike | None = None,
    seed: int = 0,
) -> Abundance:
    """Estimate how samples share out among the classes from their predictions.

    The shares of the predictions are those of the classes mixed by the classifier's confusions, which labelled
    samples tell: the shares are found that, so mixed, come nearest (Solow, Davis and Hu 2001, Estimating the
    taxonomic composition of a sample when individuals are classified with error; Beijbom et al. 2015,
    Quantification in-the-wild). They are at least 0 and sum to one. It rests on confusions being alike in both: not
    where images of a class look different at another site. A class without labelled samples is taken to be
    recognised without error, and its interval says nothing of that.

    The 95 % intervals are percentiles of a bootstrap that draws both the samples and the labelled ones anew, by
    whole groups where there are groups.

    Args:
        predicted: (N,) predicted class indices of the samples.
        known_labels: (M,) true class indices of labelled samples that the network was not trained on.
        known_predicted: (M,) their predicted class indices.
        classes: the K class names.
        groups: (N,) the groups of the samples (site, transect, photo), or None if they are independent.
        known_groups: (M,) those of the labelled samples.
        seed: of the bootstrap.

    Raises:
        InputError: no samples, or no labelled ones.
    """
    found = np.asarray(predicted)
    truth, called = np.asarray(known_labels), np.asarray(known_predicted)
    if len(found) == 0 or len(truth) == 0:
        raise InputError(
            f"Abundance takes samples and labelled samples. Got {len(found)} and {len(truth)}: give some of both."
        )
    k = len(classes)
    rng = np.random.default_rng(seed)
    counts, draw_counts = _counts(found, k, groups, rng)
    confusion, draw_confusion = _counts(truth * k + called, k * k, known_groups, rng)
    draws = np.stack([_shares(draw_counts(), draw_confusion().reshape(k, k)) for _ in range(RESAMPLES)])
    values = _shares(counts, confusion.reshape(k, k))
    corrected = [Estimate(float(values[j]), *percentile_limits(draws[:, j])) for j in range(k)]
    return Abundance(tuple(classes), tuple((counts / counts.sum()).tolist()), tuple(corrected), len(found))


def _counts(
    codes: npt.NDArray[Any], n_codes: int, groups: npt.ArrayLike | None, rng: np.random.Generator
) -> tuple[FloatArray, Callable[[], FloatArray]]:
    """Return how often each code stands, (n_codes,), and what draws such counts of a bootstrap."""
    counts = np.bincount(codes, minlength=n_codes).astype(np.float64)
    if groups is None:
        # Samples drawn one by one are so many draws from their own shares.
        return counts, lambda: rng.multinomial(len(codes), counts / len(codes)).astype(np.float64)
    names, units = np.unique(np.asarray(groups), return_inverse=True)
    table = np.zeros((len(names), n_codes))
    np.add.at(table, (units, codes), 1)
    even = np.full(len(names), 1 / len(names))
    return counts, lambda: rng.multinomial(len(names), even) @ table


def _shares(counts: FloatArray, confusion: FloatArray) -> FloatArray:
    """Solve confusion' x = counts for shares x that are at least 0 and sum to one, by least squares."""
    of_class = confusion.sum(axis=1, keepdims=True)
    mixing = np.where(of_class > 0, confusion / np.maximum(of_class, 1), np.eye(len(confusion)))
    # A heavy last equation holds the sum at one.
    heavy = 1e3
    left = np.vstack([mixing.T, np.full(len(mixing), heavy)])
    right = np.append(counts / counts.sum(), heavy)
    shares, _ = optimize.nnls(left, right)
    result: FloatArray = shares / shares.sum()
    return result
