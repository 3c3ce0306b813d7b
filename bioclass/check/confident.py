"""Labels that are probably wrong, by confident learning (Northcutt, Jiang and Chuang 2021, JAIR 70, 1373-1411)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError


class Suspect(NamedTuple):
    """One image whose label is probably wrong."""

    row: int
    """Its place among the labels."""
    label: int
    """The class that it was given."""
    likely: int
    """The class that it seems to be."""
    margin: float
    """How much more probable the likely class is than the given one, 0 to 1."""


def suspects(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> list[Suspect]:
    """Return the images whose label is probably wrong, the most suspect first.

    An image counts for a class if its probability is at least the mean probability of that class over the images
    that bear its label (the paper's threshold), and for the most probable of several such classes. It is suspect
    if that is not the class of its label (the paper's method ``C_confusion`` with the off-diagonal of the
    confident joint); suspects are ranked by the margin.

    Args:
        probabilities: (N, K), each from a network not trained on that image, which would have learnt the mistake.
        labels: (N,) the given classes, 0 to K - 1.

    Raises:
        InputError: shapes that do not fit, labels that are no class, or values that are no probabilities.
    """
    probabilities, labels = _checked(probabilities, labels)
    n, classes = probabilities.shape
    # A class that no image bears has no mean; nothing counts for it.
    thresholds = np.full(classes, np.inf)
    for k in np.unique(labels):
        thresholds[k] = probabilities[labels == k, k].mean()
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    likely = confident.argmax(axis=1)
    wrong = (confident.max(axis=1) >= 0) & (likely != labels)
    margins = probabilities[np.arange(n), likely] - probabilities[np.arange(n), labels]
    # A class that is rare or hard has a low threshold; where the given class is more probable, it stands.
    rows = np.flatnonzero(wrong & (margins > 0))
    ranked = rows[np.argsort(-margins[rows], kind="stable")]
    return [Suspect(int(i), int(labels[i]), int(likely[i]), float(margins[i])) for i in ranked]


def _checked(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise InputError(
            f"Probabilities must be (N, K) and labels (N,). Got {probabilities.shape} and {labels.shape}."
        )
    if labels.dtype.kind not in "iu" or not np.isin(labels, np.arange(probabilities.shape[1])).all():
        raise InputError(f"Labels must be whole numbers from 0 to {probabilities.shape[1] - 1}.")
    if not (np.isfinite(probabilities).all() and np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)):
        raise InputError("The probabilities of every image must be finite and sum up to 1.")
    if (probabilities < 0).any():
        raise InputError(f"Probabilities must not be negative. Got {probabilities.min():g}.")
    return probabilities, labels.astype(np.intp)
