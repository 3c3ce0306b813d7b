"""The share of samples of which something holds, with its 95 % interval."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bioclass.metrics import evaluate
from bioclass.metrics.estimates import Estimate


def share(hits: npt.NDArray[np.bool_], groups: npt.ArrayLike | None = None) -> Estimate:
    """Return the share of true values with the interval that accuracy has in :func:`~bioclass.metrics.evaluate`.

    Args:
        hits: (N,) bool; without any the share is undefined.
        groups: (N,) the group of each sample, or None if samples are independent.
    """
    if len(hits) == 0:
        return Estimate.undefined()
    # The accuracy of one who always says yes; Wilson's interval needs no resampling.
    return evaluate(
        hits.astype(np.int64),
        None,
        ("no", "yes"),
        groups,
        resamples=1 if groups is None else 1000,
        predicted=np.ones(len(hits), dtype=np.int64),
    ).overall["accuracy"]
