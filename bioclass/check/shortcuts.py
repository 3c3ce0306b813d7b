"""Shortcuts: facts that say nothing about the subject, but tell the class or the part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.check.association import EFFECT, Association, Codes, association, codes, cramers_v
from bioclass.check.facts import Facts
from bioclass.check.findings import Finding, Severity

_BINS = 8


def find_shortcuts(
    facts: Facts, targets: dict[str, npt.NDArray[Any]], groups: npt.NDArray[np.str_] | None = None
) -> list[Finding]:
    """Return the facts of images that tell one of the targets.

    Args:
        facts: of N images.
        targets: what must not be told, (N,) each, by its name in sentences: "class", "part".
        groups: (N,) images of one group are alike, so that chance moves whole groups.
    """
    found = []
    for target, values in targets.items():
        for name, severity, feature in _features(facts):
            # The random orders take the time, and few facts come so far.
            if feature.max() == 0 or cramers_v(feature, codes(values)) < EFFECT:
                continue
            told = association(feature, values, groups)
            if told.matters:
                found.append(_finding(target, name, severity, told))
    return found


def _features(facts: Facts) -> Sequence[tuple[str, Severity, Codes]]:
    height, width = facts.shape[:, 0], facts.shape[:, 1]
    aspect = np.round(np.log2(height / width) * 8)
    return (
        ("image size", "warning", codes(height * (width.max() + 1) + width)),
        ("aspect ratio", "warning", codes(aspect)),
        ("file format", "warning", codes(facts.format)),
        # What surrounds a subject may belong to it.
        ("thickness of a border of one colour", "note", _binned(facts.frame.astype(float))),
        ("brightness at the border", "note", _binned(facts.border)),
    )


def _finding(target: str, name: str, severity: Severity, told: Association) -> Finding:
    mend = (
        f"A network may learn the {name} instead of the subject: make it alike in all images, from the sources if "
        "they can be had (crop borders, one scale, one format), and test on images of another source."
    )
    if severity == "note":
        mend = f"If this belongs to the subject, leave it. Otherwise: {mend[0].lower()}{mend[1:]}"
    return Finding(
        f"shortcut-{name.replace(' ', '-')}-{target}",
        severity,
        f"The {name} tells the {target}: from it alone {100 * told.right:.0f} % can be guessed right, "
        f"{100 * told.guess:.0f} % without it ({told}).",
        mend,
    )


def _binned(values: npt.NDArray[np.float64]) -> Codes:
    """Values in about equally many each of eight bins."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return codes(np.searchsorted(edges, values, side="left"))
