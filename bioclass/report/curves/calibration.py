"""The reliability diagram: how often answers of some confidence are right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bioclass.metrics import Estimate, Metrics
from bioclass.metrics.shares import share
from bioclass.metrics.weighted import N_BINS, confidence_bins
from bioclass.report.curves.drawing import SMALL, Drawing, share_axes, told
from bioclass.report.curves.inks import NOTE, RIGHT
from bioclass.report.sheet import Sheet

FloatArray = npt.NDArray[np.float64]

WIDTH, SIDE, COUNTS = 3.5, 2.75, 0.7
LEFT, TOP, BETWEEN, BELOW = 0.55, 0.1, 0.12, 0.4
"""Inches."""


@dataclass(frozen=True)
class Bin:
    """The answers of one range of confidence: how many, their mean confidence, and how often they are right."""

    n: int
    confidence: float
    accuracy: Estimate


def confidence_table(
    confidence: FloatArray, right: npt.NDArray[np.bool_], groups: npt.ArrayLike | None = None
) -> dict[int, Bin]:
    """Return the bins that hold an answer, of the ``N_BINS`` over which the calibration error is taken.

    Args:
        confidence: (N,) the probability of each answer.
        right: (N,) whether it is right.
        groups: (N,) the group of each image, or None; with groups an interval is by drawing whole groups.
    """
    which = confidence_bins(confidence)
    units = None if groups is None else np.asarray(groups)
    return {
        int(place): Bin(
            int(held.sum()),
            float(confidence[held].mean()),
            share(right[held], None if units is None else units[held]),
        )
        for place in np.unique(which)
        for held in [which == place]
    }


def reliability_diagram(
    confidence: FloatArray, right: npt.NDArray[np.bool_], metrics: Metrics, groups: npt.ArrayLike | None = None
) -> Drawing:
    """Draw the accuracy of the answers against their confidence, with 95 % intervals, and how many there are.

    Args:
        confidence: (N,) the probability of each answer.
        right: (N,) whether it is right.
        metrics: what ``bioclass.metrics.evaluate`` says of them, for the calibration error.
        groups: (N,) the group of each image, or None.
    """
    bins = confidence_table(confidence, right, groups)
    ece = metrics.overall["ece"]

    def paint(page: Sheet) -> None:
        _accuracies(page, bins, told(ece))
        _counts(page, bins)

    intervals = "drawn by whole groups" if groups is not None else "Wilson's"
    caption = (
        f"Reliability: the share of right answers against the mean confidence in {N_BINS} ranges of it, with 95 % "
        f"intervals ({intervals}). On the dotted line confidence means what it says; below it the network is too "
        "sure. The bars count the images of each range."
    )
    return Drawing("reliability", WIDTH, TOP + SIDE + BETWEEN + COUNTS + BELOW, _alt(bins, ece), caption, paint)


def _accuracies(page: Sheet, bins: dict[int, Bin], ece: str) -> None:
    axes = page.axes(LEFT, TOP, SIDE, SIDE)
    share_axes(axes, across="", up="share of right answers")
    axes.tick_params(labelbottom=False)
    axes.plot([0, 1], [0, 1], color=NOTE.light, linewidth=0.6, linestyle=(0, (1, 1.5)))
    # Areas of points grow with their counts, so that the eye weighs them as the calibration error does.
    most = max(each.n for each in bins.values())
    across = [each.confidence for each in bins.values()]
    up = [float(each.accuracy.value or 0) for each in bins.values()]
    for each, x in zip(bins.values(), across, strict=True):
        low, high = each.accuracy.low, each.accuracy.high
        if low is not None and high is not None:
            axes.plot([x, x], [low, high], color=RIGHT.light, linewidth=0.9, solid_capstyle="butt")
    axes.plot(across, up, color=RIGHT.light, linewidth=0.6, alpha=0.5)
    axes.scatter(across, up, s=[8 + 30 * each.n / most for each in bins.values()], color=RIGHT.light, linewidths=0)
    axes.text(0.03, 0.97, f"calibration error {ece}", size=SMALL, va="top")


def _counts(page: Sheet, bins: dict[int, Bin]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes = page.axes(LEFT, TOP + SIDE + BETWEEN, SIDE, COUNTS)
    places = [(place + 0.5) / N_BINS for place in bins]
    axes.bar(places, [each.n for each in bins.values()], width=0.9 / N_BINS, color=RIGHT.light, linewidth=0)
    share_axes(axes, across="confidence", up="images")
    axes.grid(axis="x")
    axes.set_ylim(0, 1.08 * max(each.n for each in bins.values()))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, place: f"{count:,.0f}"))


def _alt(bins: dict[int, Bin], ece: Estimate) -> str:
    n = sum(each.n for each in bins.values())
    sure = sum(each.n * each.confidence for each in bins.values()) / n
    right = sum(each.n * float(each.accuracy.value or 0) for each in bins.values()) / n
    way = "above" if sure > right else "below"
    return (
        f"Reliability diagram of {n:,} images: the mean confidence, {100 * sure:.2f} %, is {way} the accuracy, "
        f"{100 * right:.2f} %; the calibration error is {told(ece)}."
    )
