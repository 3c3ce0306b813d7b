"""Several models over each other: their accuracies, mean ROC curves, and accuracies against rejection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bioclass.metrics import Estimate
from bioclass.reliability import risk_coverage
from bioclass.report.curves.drawing import SMALL, Drawing, shortened, told
from bioclass.report.curves.inks import MOST, NOTE, look
from bioclass.report.curves.ranking import (
    BELOW,
    GAP,
    GRID,
    LEFT,
    SIDE,
    TOP,
    Curve,
    corner_of,
    panels,
    roc_at,
    roc_points,
)
from bioclass.report.curves.rejection import FEWEST
from bioclass.report.sheet import LINE, Sheet, measured, plain

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

WIDE, ROW = 3.4, 0.21
"""Inches of the scale of accuracies, and of a row below it."""
LONGEST = 2.2
"""Inches of a name; a longer one is cut off."""


def compared_accuracies(accuracies: Mapping[str, Estimate]) -> Drawing:
    """Draw the accuracy of each, with its 95 % interval, one below the other in the order given."""
    names = [shortened(name, LONGEST) for name in accuracies]
    texts = [told(each, 2, 100) for each in accuracies.values()]
    left = max(measured(name, SMALL) for name in names) + 0.12
    right = max(measured(text, SMALL) for text in texts) + 0.12
    high = ROW * len(names)
    looks = [look(number if len(names) <= MOST else 0) for number in range(len(names))]

    def paint(page: Sheet) -> None:
        axes = page.axes(left, 0.08, WIDE, high)
        for row, (each, drawn) in enumerate(zip(accuracies.values(), looks, strict=True)):
            if each.value is None:
                continue
            if each.low is not None and each.high is not None:
                axes.plot([100 * each.low, 100 * each.high], [row, row], color=drawn.color, linewidth=1.4)
            axes.plot([100 * each.value], [row], color=drawn.color, marker=drawn.marker, markersize=4.5)
        axes.set(ylim=(len(names) - 0.5, -0.5), yticks=[], xlabel="accuracy, in %")
        axes.margins(x=0.04)
        axes.spines["left"].set_visible(False)
        for row, (name, text) in enumerate(zip(names, texts, strict=True)):
            top = 0.08 + (row + 0.5) * ROW - SMALL * LINE / 2
            page.text(name, left - 0.08, top, SMALL, across="right")
            page.text(text, left + WIDE + 0.08, top, SMALL, across="left", ink="note")

    values = {name: each for name, each in accuracies.items() if each.value is not None}
    said = [f"{name} {told(each, 2, 100)} %" for name, each in values.items()]
    alt = f"Accuracies with 95 % intervals: {', '.join(said)}."
    caption = "Accuracy of each, with its 95 % interval."
    return Drawing("accuracies", left + WIDE + right, high + 0.5, alt, caption, paint)


def compared_roc(answers: Mapping[str, tuple[npt.NDArray[np.int64], FloatArray]]) -> Drawing:
    """Draw the mean ROC curve over the classes of each, with the mean area.

    Args:
        answers: by name, labels (N,) and probabilities (N, K).
    """
    curves = {name: _mean_roc(*given) for name, given in answers.items()}
    areas = {name: area for name, (_, area) in curves.items()}
    drawn = _looks(areas)

    def paint(page: Sheet) -> None:
        lines = [
            _line(np.append(0.0, GRID), np.append(0.0, mean), drawn[name]) for name, (mean, _) in curves.items()
        ]
        panels(page, lines[::-1], "false positive rate", "true positive rate", corner_of(min(areas.values())))
        _names(page, lines, [f"{shortened(name, LONGEST)}  {area:.4f}" for name, area in areas.items()], drawn)

    caption = (
        "ROC curve of each, the mean of those of each class against the rest; beside each name the mean area. The "
        "small panel enlarges the corner."
    )
    if not corner_of(min(areas.values())):
        caption = caption.replace(" The small panel enlarges the corner.", "")
    alt = "Mean ROC curves. The mean areas are " + ", ".join(f"{name} {area:.4f}" for name, area in areas.items())
    width = LEFT + SIDE + GAP + _wide([f"{name}  0.0000" for name in areas])
    return Drawing("roc", width, TOP + SIDE + BELOW, f"{alt}.", caption, paint)


def compared_rejection(answers: Mapping[str, tuple[FloatArray, BoolArray]]) -> Drawing:
    """Draw the accuracy of the answers that remain against the share of images left out, of each.

    Args:
        answers: by name, the confidence of each answer (N,), and whether it is right (N,).
    """
    curves = {name: risk_coverage(*given) for name, given in answers.items()}
    drawn = _looks(curves)
    alt = "Accuracy with a tenth of the images left out: " + ", ".join(
        f"{name} {100 * (1 - curve.risk_at(0.9)):.2f} %" for name, curve in curves.items()
    )

    def paint(page: Sheet) -> None:
        axes = page.axes(LEFT, TOP + 0.2, SIDE, SIDE - 0.2)
        lines = []
        for name, curve in curves.items():
            kept = curve.coverage >= min(1.0, FEWEST / len(answers[name][0]))
            lines.append(_line(100 * (1 - curve.coverage[kept]), 100 * (1 - curve.risk[kept]), drawn[name]))
        for line in lines[::-1]:
            axes.add_line(line)
        axes.autoscale_view()
        axes.set_xlim(-1, 101)
        axes.set_xlabel("least certain images left out, in %")
        axes.set_title("Accuracy of the answers given, in %")
        legend = [_line([], [], drawn[name]) for name in curves]
        _names(page, legend, [shortened(name, LONGEST) for name in curves], drawn)

    caption = "Accuracy of the answers that remain when the least certain images of each are left to a person."
    width = LEFT + SIDE + GAP + _wide(list(curves))
    return Drawing("rejection", width, TOP + SIDE + BELOW, f"{alt}.", caption, paint)


def _mean_roc(labels: npt.NDArray[np.int64], probabilities: FloatArray) -> tuple[FloatArray, float]:
    """The mean true positive rate (G,) over the classes that can have a curve, and the mean area."""
    found, areas = [], []
    for k in range(probabilities.shape[1]):
        positive = labels == k
        if 0 < positive.sum() < len(labels):
            across, up = roc_points(probabilities[:, k], positive)
            found.append(roc_at(Curve("", across, up, Estimate.undefined())))
            areas.append(float(np.sum(np.diff(across) * (up[1:] + up[:-1]) / 2)))
    return np.mean(found, axis=0), float(np.mean(areas))


def _looks(names: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How each is drawn, in the order given; those after the first that can be told apart are gray."""
    found: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(names):
        each = look(number)
        faint = {"color": NOTE.light, "linewidth": 0.6, "alpha": 0.5}
        plainly = {"color": each.color, "linestyle": each.dash, "linewidth": 1.1}
        found[name] = plainly if number < MOST else faint
    return found


def _line(across: Any, up: Any, style: Mapping[str, Any]) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D(across, up, **style)


def _names(page: Sheet, lines: Sequence[Line2D], texts: Sequence[str], drawn: Mapping[str, Any]) -> None:
    more = len(texts) - MOST
    shown = [*texts[:MOST], *([f"{more} more"] if more > 0 else [])]
    page.legend(lines[: len(shown)], shown, LEFT + SIDE + GAP, TOP, columns=1)


def _wide(names: Sequence[str]) -> float:
    return max(min(measured(plain(name), SMALL), LONGEST + 0.5) for name in names[:MOST]) + 0.5
