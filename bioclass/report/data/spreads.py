"""How sizes and values are spread, class by class: a row for each class, a column for each measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.report.curves import Drawing
from bioclass.report.curves.drawing import SMALL, shortened
from bioclass.report.curves.inks import NOTE, RIGHT
from bioclass.report.data.chosen import Seen, by_class
from bioclass.report.display import MIDDLE
from bioclass.report.sheet import WIDTH, Sheet, measured, plain, wrapped

CLASSES = 40
"""Classes that one figure has room for."""
CHANNELS = 12
"""Channels that one figure has room for."""
ACROSS = 4
"""Columns beside each other."""
BINS = 64

_NAMES, _ROW, _TOP, _BELOW, _BETWEEN, _RIGHT = 1.5, 0.26, 0.28, 0.42, 0.2, 0.12
"""Inches: of names at most, of a row, above and below the rows of a band, between columns, and to the right."""
_RGB = ("red", "green", "blue")


class Measure(NamedTuple):
    """A measure of images or pixels: its name, the edges of its bins, and the counts of each class, (K, bins)."""

    name: str
    unit: str
    edges: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


def size_spread(seen: Seen, labels: npt.NDArray[np.int64], names: Sequence[str], looked: str) -> Drawing:
    """Draw how many images of each class have which height and width.

    Args:
        seen: the images.
        labels: (M,) of them.
        names: of the K classes.
        looked: says which images they are.
    """
    measures = []
    for place, name in ((1, "width"), (0, "height")):
        sides = seen.facts.shape[:, place]
        # One bin more to either side, so that a single size is a bar and no full row.
        step = max(1.0, float(np.ptp(sides)) / BINS)
        edges = np.arange(sides.min() - 1.5 * step, sides.max() + 2 * step, step)
        rows = by_class(labels, len(names))
        counts = np.array([np.histogram(sides[row], edges)[0] for row in rows])
        measures.append(Measure(name, "px", edges, counts))
    caption = (
        f"Sizes of {looked}: for each class the shares of its images that have a width and a height. Where classes "
        "differ, a network can tell them by the size, or by the traces of resizing."
    )
    sizes = seen.sizes
    ends = f"{sizes[:, 0].min()} to {sizes[:, 0].max()} high and {sizes[:, 1].min()} to {sizes[:, 1].max()} wide"
    alt = f"Sizes by class: {len(sizes)} different ones, {ends}, in pixels."
    return _rows("sizes", measures, names, alt, caption)


def value_spread(seen: Seen, labels: npt.NDArray[np.int64], names: Sequence[str], looked: str) -> Drawing:
    """Draw how the values of pixels are spread in each channel and class.

    Args:
        seen: the images.
        labels: (M,) of them.
        names: of the K classes.
        looked: says which images they are.
    """
    channels = seen.source.channels
    shown = min(channels, CHANNELS)
    rows = [
        np.concatenate([seen.values[at] for at in row]) if len(row) else None
        for row in by_class(labels, len(names))
    ]
    measures, means = [], []
    for channel in range(shown):
        values = [np.zeros(0) if row is None else _finite(row[:, channel]) for row in rows]
        edges = _edges(seen, np.concatenate(values))
        counts = np.array([np.histogram(value, edges)[0] for value in values])
        measures.append(Measure(_channel(channel, channels), "value", edges, counts))
        means.append([float(value.mean()) if len(value) else 0.0 for value in values])
    outside = "" if seen.source.dtype == "uint8" else f" Values from the percentile {MIDDLE[0]:g} to {MIDDLE[1]:g}."
    more = f" The first {shown} of {channels} channels." if shown < channels else ""
    caption = (
        f"Values of the pixels of {looked}, by class and channel. Heights are square roots of shares, so that rare "
        f"values can be seen, and each row fills its height.{outside}{more}"
    )
    overall = [np.mean(mean) for mean in means]
    alt = "Values by class and channel; means over the classes: " + ", ".join(
        f"{measure.name} {mean:.4g}" for measure, mean in zip(measures, overall, strict=True)
    )
    return _rows("values", measures, names, f"{alt}.", caption)


def _finite(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    floats: npt.NDArray[np.float64] = values.astype(np.float64)
    finite: npt.NDArray[np.bool_] = np.isfinite(floats)
    return floats[finite]


def _edges(seen: Seen, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The edges of bins: the whole range of 8 bits, of deeper images and floats what most values lie in."""
    if seen.source.dtype == "uint8":
        low, high = -0.5, 2.0 ** (seen.source.bit_depth or 8) - 0.5
    elif len(values):
        low, high = (float(limit) for limit in np.percentile(values, MIDDLE))
    else:
        low, high = 0.0, 1.0
    edges: npt.NDArray[np.float64] = np.linspace(low, high if high > low else low + 1, BINS + 1)
    return edges


def _channel(number: int, channels: int) -> str:
    if channels == 1:
        return "gray"
    return _RGB[number] if channels == 3 else f"channel {number + 1}"


def _heights(counts: npt.NDArray[np.int64], rooted: bool) -> npt.NDArray[np.float64]:
    """The heights of bars, (K, bins), in rows: shares by one scale for all, or their roots, each row by its own."""
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    heights: npt.NDArray[np.float64] = np.sqrt(shares) if rooted else shares
    highest = heights.max(axis=1 if rooted else None, keepdims=True)
    scaled: npt.NDArray[np.float64] = 0.88 * heights / np.maximum(highest, 1e-12)
    return scaled


def _in_two_lines(name: str) -> str:
    """A name as there is room for it beside its row."""
    first, *more = wrapped(plain(name), SMALL, _NAMES).split("\n")
    return "\n".join([first, shortened(" ".join(more), _NAMES)]) if more else first


def _rows(name: str, measures: Sequence[Measure], names: Sequence[str], alt: str, caption: str) -> Drawing:
    """A figure with a row for each class and a column for each measure; columns that do not fit go below."""
    if len(names) > CLASSES:
        caption += f" The first {CLASSES} of {len(names)} classes."
        names = names[:CLASSES]
    # Bands of about equally many columns.
    across = -(-len(measures) // -(-len(measures) // ACROSS))
    bands = [measures[start : start + across] for start in range(0, len(measures), across)]
    texts = [_in_two_lines(each) for each in names]
    left = max(measured(line, SMALL) for text in texts for line in text.split("\n")) + 0.12
    high = len(names) * _ROW
    wide = (WIDTH - left - _RIGHT + _BETWEEN) / len(bands[0]) - _BETWEEN
    wide = min(wide, 2.6)

    def paint(page: Sheet) -> None:
        for number, band in enumerate(bands):
            top = _TOP + number * (_TOP + high + _BELOW)
            for column, measure in enumerate(band):
                axes = page.axes(left + column * (wide + _BETWEEN), top, wide, high)
                heights = _heights(measure.counts[: len(names)], rooted=name == "values")
                for row, height in enumerate(heights):
                    ground = len(names) - 1 - row
                    axes.stairs(ground + height, measure.edges, baseline=ground, fill=True, color=RIGHT.light)
                    axes.axhline(ground, color=NOTE.light, linewidth=0.4)
                axes.set(xlim=(measure.edges[0], measure.edges[-1]), ylim=(-0.02, len(names)), xlabel=measure.unit)
                axes.set_yticks(np.arange(len(names))[::-1] + 0.3, texts if column == 0 else [""] * len(names))
                axes.tick_params(axis="y", length=0)
                axes.spines["left"].set_visible(False)
                axes.grid(visible=False, axis="y")
                axes.locator_params(axis="x", nbins=4)
                axes.set_title(measure.name)

    width = left + len(bands[0]) * (wide + _BETWEEN) - _BETWEEN + _RIGHT
    return Drawing(name, width, len(bands) * (_TOP + high + _BELOW), alt, caption, paint)
