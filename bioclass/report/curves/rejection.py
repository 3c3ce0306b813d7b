"""Accuracy against rejection: how much better the answers are when the least certain are left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bioclass.metrics.shares import share
from bioclass.reliability import RiskCoverage, risk_coverage
from bioclass.report.curves.drawing import Drawing
from bioclass.report.curves.inks import NOTE, RIGHT
from bioclass.report.sheet import Sheet

FloatArray = npt.NDArray[np.float64]

WIDTH, WIDE, HIGH = 3.5, 2.85, 2.3
LEFT, TOP, BELOW = 0.5, 0.32, 0.4
"""Inches."""
SHARES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Shares left out at which an interval is taken."""
TOLD = (0.05, 0.1, 0.2)
"""Shares left out that the alternative text tells."""
FEWEST = 20
"""Answers below which a share of them says little: there the curve ends."""


def rejection_curve(
    confidence: FloatArray, right: npt.NDArray[np.bool_], groups: npt.ArrayLike | None = None
) -> Drawing:
    """Draw the accuracy of the answers given against the share of images left out, the least certain first.

    Args:
        confidence: (N,) the probability of each answer.
        right: (N,) whether it is right.
        groups: (N,) the group of each image, or None; with groups the intervals are by drawing whole groups.
    """
    curve = risk_coverage(confidence, right)
    across, low, high = _band(curve, confidence, right, groups)
    shown = curve.coverage >= 1 - across[-1] - 1e-9
    left_out, accuracy = 1 - curve.coverage[shown], 1 - curve.risk[shown]

    def paint(page: Sheet) -> None:
        axes = page.axes(LEFT, TOP, WIDE, HIGH)
        axes.plot(*_ideal(float(np.mean(right))), color=NOTE.light, linewidth=0.7, linestyle=(0, (1, 1.5)))
        axes.fill_between(100 * across, 100 * low, 100 * high, color=RIGHT.light, alpha=0.18, linewidth=0)
        axes.plot(100 * left_out, 100 * accuracy, color=RIGHT.light, linewidth=1.3)
        lowest = min(98.0, 100 * min(float(low.min()), float(accuracy.min())))
        room = 0.03 * (100 - lowest)
        axes.set(xlim=(-1, 101), ylim=(lowest - room, 100 + room), xlabel="least certain images left out, in %")
        axes.set_title("Accuracy of the answers given, in %")

    caption = (
        "Accuracy against rejection: the accuracy of the answers that remain when the least certain images are "
        "left to a person, with 95 % intervals. Dotted: if every wrong answer were less certain than every right "
        "one."
    )
    return Drawing("rejection", WIDTH, TOP + HIGH + BELOW, _alt(curve, len(confidence)), caption, paint)


def _ideal(accuracy: float) -> tuple[FloatArray, FloatArray]:
    """Shares left out and accuracies, in percent, if the wrong answers were the first to go."""
    left_out: FloatArray = np.append(np.linspace(0, 1 - accuracy, 101), 1.0)
    reached: FloatArray = np.minimum(accuracy / np.maximum(1 - left_out, 1e-9), 1.0)
    return 100 * left_out, 100 * reached


def _band(
    curve: RiskCoverage, confidence: FloatArray, right: npt.NDArray[np.bool_], groups: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares left out, rising, and the limits of the accuracy at each."""
    units = None if groups is None else np.asarray(groups)
    found: dict[float, tuple[float, float]] = {}
    for wanted in SHARES:
        place = int(np.searchsorted(curve.coverage, 1 - wanted - 1e-9))
        kept = confidence >= curve.thresholds[place]
        if found and kept.sum() < FEWEST:
            break
        accuracy = share(right[kept], None if units is None else units[kept])
        value = float(accuracy.value or 0.0)
        low, high = (
            (value, value) if accuracy.low is None or accuracy.high is None else (accuracy.low, accuracy.high)
        )
        found[float(1 - curve.coverage[place])] = low, high
    across = sorted(found)
    return np.array(across), *np.array([found[x] for x in across]).T


def _alt(curve: RiskCoverage, n: int) -> str:
    told = [f"{100 * (1 - curve.risk_at(1 - wanted)):.2f} % with {100 * wanted:g} % left out" for wanted in TOLD]
    whole = f"{100 * (1 - curve.risk_at(1)):.2f} % if all are answered"
    return f"Accuracy against rejection of {n:,} images: {whole}, {', '.join(told)}."
