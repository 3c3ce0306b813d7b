"""What the layers hold and make: the filters of the first, and the feature maps of one image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.explain.explainer import Explainer
from bioclass.explain.figures import Words, mosaic
from bioclass.explain.seen import Seen, gray
from bioclass.networks.graph import Point
from bioclass.recipe import Backbone
from bioclass.report.curves import Drawing

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

MAPS, LARGE, FEWER = 60, 32, 20
"""Filters, or maps of a layer, at most; fewer of maps with more pixels a side than ``LARGE``."""
MIDDLE = (0.5, 99.5)
"""Percentiles of a layer's values that become black and white."""


def filters_figure(made: Explainer) -> Drawing:
    """Draw the filters of the first convolution, or the weights of the first layer where there is none."""
    weights, convolution = made.first_weights()
    count, channels = weights.shape[:2]
    shown = weights[:MAPS]
    coloured = channels == 3
    if not coloured:
        # With any other number of channels, those of a filter that weigh most are one picture: their mean.
        shown = shown.mean(axis=1, keepdims=True)
    tiles = []
    for each in shown:
        most = float(np.abs(each).max())
        pixels = gray(each[0], -most, most)
        if coloured:
            pixels = np.stack([gray(plane, -most, most)[..., 0] for plane in each], axis=-1)
        tiles.append(pixels)
    side = " x ".join(map(str, weights.shape[2:]))
    what = "filters of the first convolution" if convolution else "units of the first layer"
    some = f"The first {len(shown)} of the" if count > len(shown) else f"The {count}"
    how = "in colour: red, green and blue are its three channels" if coloured else "light is a positive weight"
    if not coloured and channels > 1:
        how += f"; shown is the mean of its {channels} channels"
    caption = (
        f"{some} {what}, {side} pixels each, {how}, and middle gray is no weight. Each is scaled to its own "
        "largest weight."
    )
    alt = f"{len(shown)} small pictures of weights, {side} pixels each: the {what}."
    return mosaic(Words("filters", alt, caption), tiles)


def maps_figures(made: Explainer, seen: Seen, image: Array, of: str) -> Iterator[Drawing]:
    """Yield a figure of the feature maps of each layer for one stored image (H, W, C); ``of`` says which it is."""
    points = tuple(made.graph.stages)
    x = made.prepared(image[None])
    for point, (maps, *_) in zip(points, made.outputs(x, points), strict=False):
        yield _maps_figure(made, seen.taken(x[0]), point, maps, of)


def layer_name(made: Explainer, point: Point) -> str:
    """Return what a layer is called: its own name in the project's networks, else which stage it is."""
    if not isinstance(made.run.recipe.network, Backbone):
        return point.name.removeprefix(made.net.prefix).removesuffix("_fwd")
    stages = [stage.node for stage in made.graph.stages]
    return f"stage {stages.index(point.node) + 1} of {len(stages)}"


def _maps_figure(made: Explainer, picture: Any, point: Point, maps: Floats, of: str) -> Drawing:
    name = layer_name(made, point)
    channels, height, width = point.shape
    order = np.arange(channels)
    which = f"The {channels} feature maps"
    most = MAPS if max(height, width) <= LARGE else FEWER
    if channels > most:
        order = np.sort(np.argsort(-maps.std(axis=(1, 2)), kind="stable")[:most])
        which = f"{most} of the {channels} feature maps, those that vary most,"
    low, high = (float(limit) for limit in np.percentile(maps, MIDDLE))
    tiles = [gray(maps[channel], low, high) for channel in order]
    caption = (
        f"{which} that {name} makes of {of}, {height} x {width} each; all on one scale, from black, "
        f"{low:.3g} and below, to white, {high:.3g} and above."
    )
    alt = f"The image and {len(tiles)} gray pictures of it, as channels of {name} see it."
    return mosaic(Words("maps-" + name.replace(" ", "-"), alt, caption), tiles, picture)
