"""How the images of a dataset lie in groups: slides, fingers, patients, photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.card import Card
from bioclass.report.curves import Drawing
from bioclass.report.curves.drawing import SMALL
from bioclass.report.curves.inks import RIGHT
from bioclass.report.sheet import Sheet
from bioclass.samples import Samples

Counts = npt.NDArray[np.int64]

MOST = 30
"""Bars of a histogram; where there would be more, a bar stands for several numbers."""
_WIDE, _HIGH, _LEFT, _TOP, _BELOW, _BETWEEN = 2.7, 1.7, 0.5, 0.3, 0.42, 0.65
"""Inches."""


@dataclass(frozen=True)
class Structure:
    """The groups of a dataset.

    Attributes:
        what: a group is: "slide".
        table: (G, K) the images of each group and class.
        classes: their K names.
    """

    what: str
    table: Counts
    classes: tuple[str, ...]

    @property
    def images(self) -> Counts:
        """(G,) images of each group."""
        found: Counts = self.table.sum(axis=1)
        return found

    @property
    def spans(self) -> Counts:
        """(G,) how many classes each group has images of."""
        found: Counts = (self.table > 0).sum(axis=1)
        return found

    @property
    def of_class(self) -> Counts:
        """(K,) how many groups have images of each class."""
        found: Counts = (self.table > 0).sum(axis=0)
        return found

    def sentence(self) -> str:
        """Return how the images lie in the groups, in words."""
        images, spans = self.images, self.spans
        return (
            f"{len(images):,} {self.what}s hold from {images.min()} to {images.max()} images each (median "
            f"{np.median(images):g}), {int((spans == 1).sum()):,} of them of one class only."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers, JSON-ready."""
        images = self.images
        return {
            "what": self.what,
            "groups": len(images),
            "images_per_group": {
                "least": int(images.min()),
                "median": float(np.median(images)),
                "most": int(images.max()),
            },
            "groups_by_number_of_classes": {
                str(number): int(count) for number, count in enumerate(np.bincount(self.spans)) if count
            },
            "groups_by_class": dict(zip(self.classes, self.of_class.tolist(), strict=True)),
        }


def structure_of(samples: Samples, card: Card) -> Structure | None:
    """Return the groups of samples, None where there are none."""
    if samples.groups is None:
        return None
    names, places = np.unique(samples.groups, return_inverse=True)
    flat = np.bincount(places * len(card.classes) + samples.labels, minlength=len(names) * len(card.classes))
    return Structure(card.group or "group", flat.reshape(len(names), -1).astype(np.int64), card.class_names)


def group_drawing(structure: Structure, images: str) -> Drawing:
    """Draw how many groups have how many images, and how many have images of how many classes."""
    what, sizes, spans = structure.what, structure.images, structure.spans

    def paint(page: Sheet) -> None:
        width = max(1, -(-int(sizes.max()) // MOST))
        edges = np.arange(0.5, sizes.max() + width + 0.5, width)
        axes = page.axes(_LEFT, _TOP, _WIDE, _HIGH)
        axes.hist(sizes, edges.tolist(), color=RIGHT.light, rwidth=0.85)
        axes.set(xlabel=f"images of a {what}")
        axes.set_title(f"Number of {what}s by images")
        axes.grid(visible=False, axis="x")
        axes.locator_params(axis="both", integer=True, nbins=6)
        axes = page.axes(_LEFT + _WIDE + _BETWEEN, _TOP, _WIDE, _HIGH)
        numbers = np.arange(1, spans.max() + 1)
        counts = np.bincount(spans, minlength=spans.max() + 1)[1:]
        axes.bar(numbers, counts, color=RIGHT.light, width=0.7)
        for number, count in zip(numbers, counts, strict=True):
            axes.annotate(
                f"{count:,}", (number, count), (0, 1.5), textcoords="offset points", ha="center", size=SMALL
            )
        axes.set(
            xlabel=f"classes of a {what}", xlim=(0.3, max(4, spans.max()) + 0.7), ylim=(0, 1.12 * counts.max())
        )
        axes.set_title(f"Number of {what}s by classes")
        axes.grid(visible=False, axis="x")
        axes.locator_params(axis="both", integer=True, nbins=6)

    caption = (
        f"The {what}s of all {int(sizes.sum()):,} {images}: how many images they hold, and of how many classes. "
        f"Images of one {what} never part between training and test."
    )
    return Drawing(
        "groups", _LEFT + 2 * _WIDE + _BETWEEN + 0.1, _TOP + _HIGH + _BELOW, structure.sentence(), caption, paint
    )


def striking_groups(structure: Structure) -> Sequence[str]:
    """Return sentences on groups that hold one class, and on classes that few groups hold."""
    what, spans, found = structure.what, structure.spans, []
    several = structure.images > 1
    one = several & (spans == 1)
    if one.any() and one.sum() >= 0.5 * several.sum():
        found.append(
            f"{int(one.sum()):,} of the {int(several.sum()):,} {what}s with several images hold one class only: "
            f"what is alike in a {what} tells its class, so a test on images of the same {what}s flatters."
        )
    few = [
        f"{name} ({count})"
        for name, count in zip(structure.classes, structure.of_class.tolist(), strict=True)
        if 0 < count < FEW
    ]
    if few:
        found.append(
            f"Fewer than {FEW} {what}s hold images of {', '.join(few)}: what is measured on so few may not hold "
            "for others."
        )
    return found


FEW = 5
"""Groups of a class below which they say little of others."""
