"""Figures of merit for a classifier, each with its 95 % interval.

``evaluate`` is the one door. Its parts: ``inputs`` checks what the user gave, ``weighted`` holds the formulas,
``intervals`` resamples them, ``estimates`` holds the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bioclass.metrics.estimates import Estimate, Metrics
from bioclass.metrics.inputs import Predictions, check_predictions
from bioclass.metrics.intervals import bootstrap, independent_units, limits, wilson_limits
from bioclass.metrics.weighted import FloatArray, WeightedStatistics

__all__ = ["Estimate", "Metrics", "evaluate"]

_OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "cohen_kappa", "log_loss", "ece")
_PER_CLASS = ("precision", "recall", "specificity", "f1", "auc")


def evaluate(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike | None,
    classes: Sequence[str],
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    resamples: int = 1000,
    *,
    predicted: npt.ArrayLike | None = None,
) -> Metrics:
    """Compare predictions with the truth.

    Values follow scikit-learn's definitions; what is undefined is None. ``balanced_accuracy`` averages over the
    classes present in the truth, ``macro_f1`` over those present in the truth or among the predictions. ``auc``
    is one-vs-rest. ``log_loss`` is in nats, with probabilities clipped to float64's epsilon. ``ece`` is the
    expected calibration error of the predicted class over 15 equal-width bins of confidence (Guo et al. 2017,
    On calibration of modern neural networks, equation 3).

    Without groups, accuracy, precision, recall and specificity get Wilson's interval (Wilson 1927) and the rest
    a percentile bootstrap over samples. With groups, every interval is a percentile bootstrap that draws whole
    groups, since images of one slide or patient are not independent. Resamples in which a metric is undefined
    are left out. A metric at its best or worst value is so in every resample; it gets Wilson's interval for as
    many successes, or none, as there are images or groups it rests on. An interval is None where resampling
    cannot show the spread: a single group, or a class whose truth lies in a single group. The interval of
    ``ece`` leans upward, and can lie above a value near zero: resampling adds noise to every bin,
    and noise in either direction counts as miscalibration.

    Args:
        labels: (N,) true class indices.
        probabilities: (N, K), each row summing to one; None for a hard vote that has none, which leaves log
            loss, calibration error and AUC undefined.
        classes: the K class names, in the order of the columns; at least two.
        groups: (N,) the group of each sample (slide, patient, finger), of any type; None if samples are
            independent.
        seed: of the bootstrap; the same seed gives the same intervals.
        resamples: of the bootstrap.
        predicted: (N,) predicted class indices, for a decision that is not the argmax of the probabilities;
            by default their argmax.

    Raises:
        InputError: an argument has the wrong shape or type, or holds an impossible value.
    """
    checked = check_predictions(labels, probabilities, classes, groups, predicted, seed, resamples)
    statistics = WeightedStatistics(checked)
    # (1, ...) each: the value itself is the statistic in which every unit counts once.
    values = statistics(np.ones((checked.n_units, 1)))
    draws = bootstrap(statistics, checked, seed, resamples)
    counts = np.rint(statistics.confusion(np.ones((checked.n_units, 1)))[0]).astype(np.int64)
    overall = {
        name: _estimate(name, values[name][0], draws[name], checked.n_units)
        if name in values
        else Estimate.undefined()
        for name in _OVERALL
    }
    per_class = [_one_class(k, checked, values, draws) for k in range(len(checked.classes))]
    if not checked.grouped:
        overall["accuracy"] = _proportion(int(np.trace(counts)), checked.n)
        for k, row in enumerate(per_class):
            row.update(_class_proportions(counts, k))
    return Metrics(
        overall=overall,
        per_class={
            name: {**row, "support": int(counts[k].sum())}
            for k, (name, row) in enumerate(zip(checked.classes, per_class, strict=True))
        },
        confusion=counts,
        n=checked.n,
        groups=checked.n_units if checked.grouped else None,
        interval_method=_describe(checked.grouped, resamples),
    )


def _describe(grouped: bool, resamples: int) -> str:
    if grouped:
        return f"percentile bootstrap of whole groups ({resamples} resamples)"
    return f"Wilson for proportions, else percentile bootstrap of samples ({resamples} resamples)"


def _estimate(name: str, value: float, draws: FloatArray, units: int) -> Estimate:
    if not np.isfinite(value):
        return Estimate.undefined()
    # Correlations reach below 0, and a loss has no bound that Wilson's interval could stand for.
    units = 0 if name in ("log_loss", "ece") else units
    lowest = -np.inf if name in ("mcc", "cohen_kappa") else 0.0
    return Estimate(float(value), *limits(value, draws, units, lowest))


def _one_class(
    k: int, checked: Predictions, values: dict[str, FloatArray], draws: dict[str, FloatArray]
) -> dict[str, Estimate]:
    having, lacking = independent_units(checked, k)
    # Draws of the other groups would still move these figures, and so feign a spread of the class itself.
    alone = {"recall": having < 2, "f1": having < 2, "auc": min(having, lacking) < 2}
    row = {}
    for name in _PER_CLASS:
        if name not in values:
            row[name] = Estimate.undefined()
            continue
        seen = draws[name][:0, k] if alone.get(name) else draws[name][:, k]
        row[name] = _estimate(name, values[name][0, k], seen, lacking if name == "specificity" else having)
    return row


def _class_proportions(counts: npt.NDArray[np.int64], k: int) -> dict[str, Estimate]:
    hits, truth, called = int(counts[k, k]), int(counts[k].sum()), int(counts[:, k].sum())
    others = int(counts.sum()) - truth
    return {
        "precision": _proportion(hits, called),
        "recall": _proportion(hits, truth),
        "specificity": _proportion(others - (called - hits), others),
    }


def _proportion(successes: int, trials: int) -> Estimate:
    if trials == 0:
        return Estimate.undefined()
    return Estimate(successes / trials, *wilson_limits(successes, trials))
