"""ROC and precision-recall curves: each class against the rest, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from bioclass.errors import InputError
from bioclass.metrics import Estimate, Metrics
from bioclass.metrics.weighted import rank_blocks
from bioclass.report.curves.drawing import SMALL, Drawing, share_axes, shortened, told
from bioclass.report.curves.inks import MOST, NOTE, TEXT, look
from bioclass.report.sheet import Sheet, measured

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SIDE = 2.9
"""Inches of the square that the curves are in."""
LEFT, TOP, BELOW, GAP = 0.46, 0.1, 0.4, 0.2
LONGEST = 1.5
"""Inches of the name of a class; a longer one is cut off."""
PICKED = 8
"""Classes that are picked out where there are too many to tell apart: those of the smallest areas."""
TALL = 17
"""Names below each other; more go into two columns."""
_ROC_CORNERS = ((0.999, 0.02), (0.995, 0.05), (0.98, 0.1), (0.95, 0.2))
_STEP_CORNERS = ((0.998, 0.02), (0.99, 0.05), (0.97, 0.1), (0.9, 0.2))
"""Smallest areas from which a corner is enlarged, and how much of each axis it takes."""
GRID: FloatArray = np.linspace(0, 1, 501)
"""Where the mean of the curves is taken."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One class: points (P,) across and up, and the area under them."""

    name: str
    across: FloatArray
    up: FloatArray
    area: Estimate


@dataclass(frozen=True)
class Kind:
    """What the curves are: their words, the mean of them on the grid, and whether they are of steps."""

    name: str
    across: str
    up: str
    title: str
    area: str
    at: Callable[[Curve], FloatArray]
    steps: bool


def roc_curves(labels: IntArray, probabilities: FloatArray, metrics: Metrics) -> Drawing:
    """Draw the ROC curve of each class against the rest, with its area and the area's 95 % interval.

    The mean is that of the true positive rates at each false positive rate (Fawcett 2006, An introduction to ROC
    analysis, Pattern Recognition Letters 27:861-874, section 9.1), so that its area is the mean of the areas.

    Args:
        labels: (N,) true class indices.
        probabilities: (N, K).
        metrics: what ``bioclass.metrics.evaluate`` says of them; it knows the classes.

    Raises:
        InputError: all images are of one class.
    """
    curves = []
    for name, column, positive in _classes(labels, probabilities, metrics):
        area = metrics.per_class[name]["auc"]
        assert isinstance(area, Estimate)
        curves.append(Curve(name, *roc_points(column, positive), area))
    words = "ROC curve", "the area under the curve, with its 95 % interval"
    return _drawing(curves, Kind("roc", "false positive rate", "true positive rate", *words, roc_at, False))


def precision_recall_curves(labels: IntArray, probabilities: FloatArray, metrics: Metrics) -> Drawing:
    """Draw the precision-recall curve of each class against the rest, with its average precision.

    The average precision is the area under the steps, without interpolation, as scikit-learn has it. Arguments and
    errors are those of ``roc_curves``.
    """
    curves = []
    for name, column, positive in _classes(labels, probabilities, metrics):
        recall, precision = precision_recall_points(column, positive)
        area = float(np.sum(np.diff(recall) * precision[1:]))
        curves.append(Curve(name, recall, precision, Estimate(area, None, None)))
    words = "Precision-recall curve", "the average precision, which is the area under the curve"
    return _drawing(curves, Kind("precision-recall", "recall", "precision", *words, precision_at, True))


def roc_points(scores: FloatArray, positive: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Return the corners (P,) of an ROC curve, false and true positive rates, from (0, 0) to (1, 1)."""
    blocks, n_blocks = rank_blocks(scores, positive)
    hits = np.bincount(blocks, weights=positive, minlength=n_blocks)[::-1]
    others = np.bincount(blocks, weights=~positive, minlength=n_blocks)[::-1]
    rates = [np.concatenate([[0.0], np.cumsum(counts) / counts.sum()]) for counts in (others, hits)]
    return rates[0], rates[1]


def precision_recall_points(scores: FloatArray, positive: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Return recall (P,), rising from 0, and precision (P,), which begins with that of the first hit."""
    _, tied = np.unique(-scores, return_inverse=True)
    hits = np.cumsum(np.bincount(tied, weights=positive))
    called = np.cumsum(np.bincount(tied))
    # Only where recall rises is there a step; thresholds below the last hit add nothing.
    rises = np.flatnonzero(np.diff(np.concatenate([[0.0], hits])) > 0)
    recall, precision = hits[rises] / hits[-1], hits[rises] / called[rises]
    return np.concatenate([[0.0], recall]), np.concatenate([precision[:1], precision])


def _classes(
    labels: IntArray, probabilities: FloatArray, metrics: Metrics
) -> list[tuple[str, FloatArray, npt.NDArray[np.bool_]]]:
    """The classes that have images and are not alone, with their column of scores and which samples are theirs."""
    found = [(name, probabilities[:, k], labels == k) for k, name in enumerate(metrics.per_class)]
    found = [each for each in found if 0 < each[2].sum() < len(labels)]
    if not found:
        raise InputError("All images are of one class: there is no curve of one class against the rest.")
    return found


def roc_at(curve: Curve) -> FloatArray:
    """The true positive rate (G,) at each false positive rate of the grid; at a jump, its upper end."""
    last = np.searchsorted(curve.across, GRID, side="right") - 1
    after = np.minimum(last + 1, len(curve.across) - 1)
    step = curve.across[after] - curve.across[last]
    part = np.divide(GRID - curve.across[last], step, out=np.zeros_like(GRID), where=step > 0)
    rate: FloatArray = curve.up[last] + part * (curve.up[after] - curve.up[last])
    return rate


def precision_at(curve: Curve) -> FloatArray:
    """The precision (G,) of the step that holds each recall of the grid."""
    precision: FloatArray = curve.up[np.searchsorted(curve.across, GRID, side="left")]
    return precision


def _drawing(curves: Sequence[Curve], kind: Kind) -> Drawing:
    picked = list(curves)
    if len(curves) > MOST:
        picked = sorted(curves, key=lambda curve: np.inf if curve.area.value is None else curve.area.value)[:PICKED]
    others = len(curves) - len(picked)
    areas = [curve.area.value for curve in curves if curve.area.value is not None]
    macro = float(np.mean(areas))
    texts = [f"mean of {len(curves)} classes  {macro:.3f}"]
    texts += [f"{shortened(curve.name, LONGEST)}  {told(curve.area)}" for curve in picked]
    texts += [f"the {others} classes of larger areas"] if others else []
    columns = 1 if len(texts) <= TALL else 2
    wide = (max(measured(text, SMALL) for text in texts) + 0.42) * columns
    corner = corner_of(min(areas), steps=kind.steps)

    def paint(page: Sheet) -> None:
        lines = _lines(curves, picked, kind)
        panels(page, lines, kind.across, kind.up, corner, steps=kind.steps)
        shown = lines[others:]
        page.legend([shown[-1], *shown[:-1], *lines[: others > 0]], texts, LEFT + SIDE + GAP, TOP, columns=columns)

    caption = f"{kind.title} of each class against the rest, their mean drawn thick; beside each name {kind.area}."
    if others:
        caption += f" Of {len(curves)} classes the {PICKED} of the smallest areas are picked out."
    if corner:
        caption += " The small panel enlarges the corner."
    width, height = LEFT + SIDE + GAP + wide, TOP + SIDE + BELOW
    return Drawing(kind.name, width, height, _alt(curves, kind, macro), caption, paint)


def corner_of(smallest: float, *, steps: bool = False) -> float:
    """How much of each axis is enlarged; none where the curves can be seen without."""
    return next((part for area, part in (_STEP_CORNERS if steps else _ROC_CORNERS) if smallest > area), 0.0)


def _lines(curves: Sequence[Curve], picked: Sequence[Curve], kind: Kind) -> list[Line2D]:
    """The lines from below to above: the curves not picked out, those picked out, and the mean."""
    from matplotlib.lines import Line2D

    steps: Literal["steps-pre", "default"] = "steps-pre" if kind.steps else "default"
    faint: dict[str, Any] = {"color": NOTE.light, "linewidth": 0.5, "alpha": 0.4}
    lines = [Line2D(each.across, each.up, drawstyle=steps, **faint) for each in curves if each not in picked]
    for number, each in enumerate(picked):
        drawn = look(number)
        style: dict[str, Any] = {"color": drawn.color, "linestyle": drawn.dash, "linewidth": 1.0}
        lines.append(Line2D(each.across, each.up, drawstyle=steps, **style))
    mean = np.mean([kind.at(curve) for curve in curves], axis=0)
    across, up = (GRID, mean) if kind.steps else (np.append(0.0, GRID), np.append(0.0, mean))
    lines.append(Line2D(across, up, color=TEXT.light, linewidth=1.7))
    return lines


def panels(
    page: Sheet, lines: Sequence[Line2D], across: str, up: str, corner: float, *, steps: bool = False
) -> None:
    """Draw lines into a square, and its corner again larger in a part of it where no good curve is."""
    from copy import copy

    axes = page.axes(LEFT, TOP, SIDE, SIDE)
    share_axes(axes, across=across, up=up)
    if not steps:
        axes.plot([0, 1], [0, 1], color=NOTE.light, linewidth=0.6, linestyle=(0, (1, 1.5)))
    for line in lines:
        axes.add_line(copy(line))
    if not corner:
        return
    small = page.axes(LEFT + SIDE * (0.17 if steps else 0.4), TOP + SIDE * 0.36, SIDE * 0.53, SIDE * 0.53)
    left, below = (1 - corner if steps else 0.0), 1 - corner
    hair = corner / 50
    small.set(xlim=(left - hair, left + corner + hair), ylim=(below - hair, 1 + hair))
    small.set_xticks([left, left + corner / 2, left + corner])
    small.set_yticks([below, below + corner / 2, 1])
    small.spines[:].set_visible(True)
    small.tick_params(labelsize=SMALL - 0.8)
    for line in lines:
        small.add_line(copy(line))


def _alt(curves: Sequence[Curve], kind: Kind, macro: float) -> str:
    what = "area under the curve" if not kind.steps else "average precision"
    known = sorted(
        ((curve.area.value, curve) for curve in curves if curve.area.value is not None), key=lambda pair: pair[0]
    )
    said = f"{kind.title}s of {len(curves)} classes, each against the rest: the mean {what} is {macro:.3f}."
    (_, low), (_, high) = known[0], known[-1]
    said += f" The smallest is that of {low.name}, {told(low.area)};"
    return f"{said} the largest that of {high.name}, {told(high.area)}."
