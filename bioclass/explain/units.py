"""What excites single units: the images of the data that do most, and inputs that were made to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bioclass.explain.ascent import exciting
from bioclass.explain.explainer import Explainer
from bioclass.explain.figures import Cell, Row, Words, table
from bioclass.explain.seen import Seen
from bioclass.explain.subject import Found, Subject
from bioclass.networks.graph import Point
from bioclass.report.curves import Drawing

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

UNITS, IMAGES, CLASSES = 8, 6, 20
"""Units of a layer, images of each, and classes, that are shown."""


def chosen_points(made: Explainer) -> tuple[Point, ...]:
    """Return the layers whose units are shown: one half way and the last with places, or else the features."""
    if made.graph.seen is None:
        return (made.graph.features,) if len(made.graph.features.shape) == 1 else ()
    stages = [point for point in made.graph.stages if point.node < made.graph.seen.node]
    half = stages[len(stages) // 2 : len(stages) // 2 + 1]
    return (*half, made.graph.seen)


def units_figure(made: Explainer, subject: Subject, found: Found, seen: Seen, point: Point, name: str) -> Drawing:
    """Draw the units of a layer that differ most among the images, with what excites each."""
    highest = found.highest[point]
    units = np.argsort(-highest.std(axis=0), kind="stable")[:UNITS].tolist()
    made_up = exciting(made, seen, point, units, made.run.recipe.seed)
    shape = made.shape[1:]
    rows = []
    for unit, artificial in zip(units, made_up, strict=True):
        middle = _middle(point)
        cells: list[Cell | None] = [Cell(_cropped(seen.taken(artificial), point, middle, shape))]
        order = np.argsort(-highest[:, unit], kind="stable")[:IMAGES]
        prepared = made.prepared(subject.images[order])
        for row, x in zip(order, prepared, strict=True):
            crop = _cropped(seen.taken(x), point, int(found.where[point][row, unit]), shape)
            cells.append(Cell(crop, made.run.classes[subject.labels[row]]))
        cells += [None] * (1 + IMAGES - len(cells))
        rows.append(Row(f"unit {unit}", cells))
    part = _part_of(point, shape)
    caption = (
        f"{len(units)} of the {point.shape[0]} units of {name}, those that differ most among {subject.words}. "
        "Made: an input that gradient ascent made to excite the unit, no image of the data. Images: those that "
        f"excite it most, with their true class{part}. {seen.note}"
    ).rstrip()
    alt = f"Rows of pictures for {len(units)} units of {name}: an input made to excite each, and {IMAGES} images."
    return table(
        Words("units-" + _stem(name), alt, caption),
        rows,
        ["made", *[f"image {n + 1}" for n in range(IMAGES)]],
        (1, IMAGES),
    )


def classes_figure(made: Explainer, subject: Subject, found: Found, seen: Seen) -> Drawing:
    """Draw, for each class, an input made to raise its score, and the images that do most."""
    classes = list(range(min(CLASSES, len(made.run.classes))))
    made_up = exciting(made, seen, None, classes, made.run.recipe.seed)
    rows = []
    for label, artificial in zip(classes, made_up, strict=True):
        order = np.argsort(-found.scores[:, label], kind="stable")[:IMAGES]
        cells: list[Cell | None] = [Cell(seen.taken(artificial))]
        for row, x in zip(order, made.prepared(subject.images[order]), strict=True):
            true = int(subject.labels[row])
            cells.append(Cell(seen.taken(x), "" if true == label else f"true: {made.run.classes[true]}"))
        cells += [None] * (1 + IMAGES - len(cells))
        rows.append(Row(made.run.classes[label], cells))
    some = "" if len(classes) == len(made.run.classes) else f" The first {len(classes)} classes."
    caption = (
        "Made: an input that gradient ascent made to raise the score of the class, no image of the data. Images: "
        f"those of {subject.words} that have its highest scores; where the true class is another, it is named."
        f"{some} {seen.note}"
    ).rstrip()
    alt = f"Rows of pictures for {len(classes)} classes: an input made to raise the score of each, and its images."
    titles = ["made", *[f"image {n + 1}" for n in range(IMAGES)]]
    return table(Words("units-classes", alt, caption), rows, titles, (1, IMAGES))


def _middle(point: Point) -> int:
    if len(point.shape) == 1:
        return 0
    return point.shape[1] // 2 * point.shape[2] + point.shape[2] // 2


def _window(point: Point, place: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The receptive field of a place, moved into the image where it goes beyond an edge."""
    if point.field is None or len(point.shape) == 1:
        return slice(None), slice(None)
    windows = []
    for axis, index in enumerate(divmod(place, point.shape[2])):
        side = point.field.side[axis]
        start = round(point.field.first[axis] + index * point.field.jump[axis] - (side - 1) / 2)
        start = max(0, min(start, shape[axis] - side))
        windows.append(slice(start, start + side))
    return windows[0], windows[1]


def _cropped(pixels: Pixels, point: Point, place: int, shape: tuple[int, ...]) -> Pixels:
    rows, columns = _window(point, place, shape)
    return np.ascontiguousarray(pixels[rows, columns])


def _part_of(point: Point, shape: tuple[int, ...]) -> str:
    if point.field is None or len(point.shape) == 1 or min(point.field.side) >= max(shape):
        return ""
    return f"; what is shown is the {point.field.side[0]} x {point.field.side[1]} pixels that the unit sees"


def _stem(name: str) -> str:
    return name.replace(" ", "-")
