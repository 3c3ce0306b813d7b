"""What a check says: a kind, how bad it is, a sentence with its values, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the worst: an error spoils training or its test result, a warning may, a note is worth knowing."""

Rows = npt.NDArray[np.intp]
_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a dataset, or worth knowing."""

    kind: str
    """A word to look for in JSON: "unreadable", "copies", "size", ..."""
    severity: Severity
    message: str
    """What was found, with its values."""
    mend: str
    """What to do about it."""
    items: tuple[str, ...] = ()
    """The images concerned, by id, or copies as ``a = b``; all of them."""


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, the worst first."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def count(n: int, noun: str = "image") -> str:
    """Write ``1 image`` or ``2 images``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{n} {noun if n == 1 else plural}"


def some(items: Sequence[str], shown: int = _SHOWN) -> str:
    """Write the first few items, and how many more there are."""
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return f"{', '.join(items[:shown])}{more}"


def equal(ids: npt.NDArray[np.str_], sets: Iterable[Rows]) -> tuple[str, ...]:
    """Write sets of images that are copies of one another as ``a = b``."""
    return tuple(" = ".join(ids[rows].tolist()) for rows in sets)
