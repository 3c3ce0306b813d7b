"""95 % intervals: Wilson for proportions of independent samples, the percentile bootstrap for the rest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import stats

from bioclass.metrics.estimates import LEVEL
from bioclass.metrics.inputs import Predictions
from bioclass.metrics.weighted import FloatArray, WeightedStatistics

# Numbers held at a time by one array of the bootstrap: 16 MB, whatever the size of the data.
_CHUNK = 2_000_000
# Below this the width of an interval is rounding, not spread.
_ROUNDING = 1e-9


def wilson_limits(successes: int, trials: int) -> tuple[float, float]:
    """Return the limits of the score interval of a proportion (Wilson 1927, JASA 22:209-212)."""
    interval = stats.binomtest(successes, trials).proportion_ci(confidence_level=LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def percentile_limits(draws: FloatArray) -> tuple[float | None, float | None]:
    """Return the percentile limits (Efron 1979) of (R,) resampled values; None if they show no spread."""
    defined = draws[np.isfinite(draws)]
    if defined.size == 0 or np.ptp(defined) <= _ROUNDING:
        return None, None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def limits(value: float, draws: FloatArray, units: int, lowest: float) -> tuple[float | None, float | None]:
    """Return the percentile limits of a metric, or where the best or worst value hides all spread, Wilson's.

    A metric at its bound is there in every resample, which says nothing: not that it is certain. What is known
    is that none of ``units`` independent units went wrong (or right), so the limit on the other side is that of
    as many successes in as many trials.

    Args:
        value: of the metric, at most 1.
        draws: (R,) resampled values.
        units: samples or groups that the metric rests on.
        lowest: the metric's worst value.
    """
    low, high = percentile_limits(draws)
    if low is not None or units == 0:
        return low, high
    if value > 1 - _ROUNDING:
        return wilson_limits(units, units)
    if value < lowest + _ROUNDING:
        return wilson_limits(0, units)
    return None, None


def bootstrap(
    statistics: WeightedStatistics, predictions: Predictions, seed: int, resamples: int
) -> dict[str, FloatArray]:
    """Return each metric of ``resamples`` draws of as many units as there are, with replacement.

    Units are groups where samples have them (the cluster bootstrap: Davison and Hinkley 1997, section 3.8).

    Returns:
        By name, (resamples,) for a metric of the whole, (resamples, K) for one of each class.
    """
    widest = max(predictions.n, len(predictions.classes) ** 2)
    chunks = [statistics(weights) for weights in _weights(predictions.n_units, widest, seed, resamples)]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def independent_units(predictions: Predictions, k: int) -> tuple[int, int]:
    """Return how many units hold samples of class k, and how many hold samples of any other class."""
    of_class = predictions.labels == k
    return len(np.unique(predictions.units[of_class])), len(np.unique(predictions.units[~of_class]))


def _weights(n_units: int, widest: int, seed: int, resamples: int) -> Iterator[FloatArray]:
    """Yield (U, r) counts of how often each unit was drawn, r resamples at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // widest)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, n_units, size=(size, n_units))
        drawn += n_units * np.arange(size)[:, None]  # one count for all resamples of the chunk
        counts = np.bincount(drawn.ravel(), minlength=size * n_units).reshape(size, n_units)
        yield np.ascontiguousarray(counts.T, dtype=np.float64)
