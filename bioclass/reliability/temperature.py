"""Probabilities that mean what they say: temperature scaling."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from bioclass.metrics.inputs import Predictions, check_predictions
from bioclass.metrics.weighted import WeightedStatistics
from bioclass.reliability.rates import check_labelled

FloatArray = npt.NDArray[np.float64]

BOUNDS = (0.1, 10.0)
"""Temperatures that are tried. Networks need about 0.5 to 5; beyond the bounds a few images would decide."""

# A probability of zero has no logarithm; this is the smallest that float64 holds in full precision.
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature, and what it does on the samples it was fitted on.

    Attributes:
        temperature: T; above 1 the probabilities were too confident, below 1 too cautious.
        n: samples it was fitted on.
        all_right: whether the largest probability was the true class's of every sample, so that T stayed 1.
        log_loss_before: in nats, with T = 1.
        log_loss_after: in nats.
        ece_before: expected calibration error with T = 1.
        ece_after: expected calibration error.
    """

    temperature: float
    n: int
    all_right: bool
    log_loss_before: float
    log_loss_after: float
    ece_before: float
    ece_after: float

    def apply(self, probabilities: npt.NDArray[Any]) -> FloatArray:
        """Return the calibrated probabilities (N, K) of others (N, K)."""
        return at_temperature(probabilities, self.temperature)

    def as_dict(self) -> dict[str, Any]:
        """Return the fit as plain numbers."""
        return asdict(self)


def at_temperature(probabilities: npt.NDArray[Any], temperature: float) -> FloatArray:
    """Return softmax(log p / T) of probabilities (N, K), which keeps the order of each sample's classes.

    The logarithm of a softmax is the network's scores but for a constant, which softmax does not see: this is
    Guo et al.'s scaling of the scores.
    """
    if temperature == 1:
        return np.asarray(probabilities, dtype=np.float64)
    scores = np.log(np.maximum(probabilities, _TINY)) / temperature
    scaled: FloatArray = special.softmax(scores, axis=1)
    return scaled


def fit_temperature(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> Temperature:
    """Find the temperature with the least log loss on validation samples.

    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML, section 4.2. The loss
    is convex in 1 / T; the search stays within ``BOUNDS``. Where every sample is classified right the loss falls
    for ever as T falls, whatever the network: such samples say nothing of how sure it may be, and T stays 1.

    Args:
        probabilities: (N, K), each row summing to one.
        labels: (N,) class indices.

    Raises:
        InputError: an argument has the wrong shape or type, or holds an impossible value.
    """
    table, checked = check_labelled(probabilities, labels)
    scores = np.log(np.maximum(table, _TINY))
    rows = np.arange(checked.n)

    def loss(log_temperature: float) -> float:
        scaled = scores / np.exp(log_temperature)
        return float((special.logsumexp(scaled, axis=1) - scaled[rows, checked.labels]).mean())

    all_right = bool((scores[rows, checked.labels] == scores.max(axis=1)).all())
    temperature = 1.0
    if not all_right:
        low, high = np.log(BOUNDS)
        # 1e-8 of log T: the minimum is flat, and a coarser answer would depend on the solver's version.
        found = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-8})
        temperature = float(np.exp(found.x))
    before, after = _figures(checked, table), _figures(checked, at_temperature(table, temperature))
    return Temperature(temperature, checked.n, all_right, before[0], after[0], before[1], after[1])


def _figures(checked: Predictions, table: FloatArray) -> tuple[float, float]:
    """Return log loss and calibration error, as :func:`~bioclass.metrics.evaluate` has them."""
    same = check_predictions(checked.labels, table, checked.classes, None, checked.predicted, 0, 1)
    found = WeightedStatistics(same)(np.ones((checked.n, 1)))
    return float(found["log_loss"][0]), float(found["ece"][0])
