"""What every answer at an error rate begins with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError
from bioclass.metrics.inputs import Predictions, check_predictions


def check_rate(error_rate: float) -> None:
    """Raise InputError for an error rate that is not between 0 and 1."""
    if not 0 < error_rate < 1:
        raise InputError(f"The error rate is {error_rate:g}: give a share between 0 and 1, for example 0.01.")


def check_labelled(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, groups: npt.ArrayLike | None = None
) -> tuple[npt.NDArray[np.float64], Predictions]:
    """Return checked probabilities (N, K), and with labels (N,) and groups (N,) all that is known of the samples.

    Raises:
        InputError: an argument has the wrong shape or type, or holds an impossible value.
    """
    shape = np.shape(probabilities)
    names = [str(k) for k in range(shape[1] if len(shape) == 2 else 2)]
    checked = check_predictions(labels, probabilities, names, groups, None, 0, 1)
    return np.asarray(probabilities, dtype=np.float64), checked
