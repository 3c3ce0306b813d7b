"""Labels: classes that differ in case only, that are absent or rare."""

from __future__ import annotations

import numpy as np

from bioclass.card import Card, ImageFolder
from bioclass.check.findings import Finding, some
from bioclass.samples import Samples

IMBALANCE = 10
"""Times that the largest class may have the images of the smallest before it is a warning."""


def find_class_names(card: Card) -> list[Finding]:
    """Return the classes that differ in case only; of folders, the format has told already."""
    if isinstance(card.format, ImageFolder):
        return []
    known: dict[str, list[str]] = {}
    for name in card.class_names:
        known.setdefault(name.strip().casefold(), []).append(name)
    return [
        Finding(
            "class-names",
            "warning",
            f"The classes {' and '.join(map(repr, names))} differ only in case or in blanks, so they may be one.",
            "Merge or rename them in the labels and in the card.",
        )
        for names in known.values()
        if len(names) > 1
    ]


def find_imbalance(samples: Samples, card: Card) -> list[Finding]:
    """Return classes without images, and how uneven the others are."""
    counts = np.bincount(samples.labels, minlength=len(card.classes))
    found = []
    empty = [name for name, n in zip(card.class_names, counts, strict=True) if n == 0]
    if empty:
        message = f"The card's classes {some([repr(name) for name in empty], 5)} have no images."
        found.append(
            Finding(
                "empty-class", "error", message, "Add images, or leave the class out of the card.", tuple(empty)
            )
        )
    present = counts[counts > 0]
    if len(present) > 1 and present.max() >= IMBALANCE * present.min():
        most, least = int(counts.argmax()), int(np.where(counts > 0, counts, counts.max() + 1).argmin())
        found.append(
            Finding(
                "imbalance",
                "warning",
                f"The class {card.class_names[most]!r} has {counts[most]} images, {card.class_names[least]!r} "
                f"{counts[least]}: accuracy hides what becomes of the smaller one.",
                'Read balanced accuracy and the figures by class; fit.class_weights = "balanced" or fit.sampling = '
                '"balanced" gives rare classes their say.',
            )
        )
    return found
