"""The tables of a report, cell by cell as its template writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.metrics import Estimate, Metrics
from bioclass.report.page.subject import Subject
from bioclass.report.terms import BY_FOLD, OVERALL, PER_CLASS, Term

MATRIX = 60
"""Classes of a confusion matrix, at most; of more, those with the most errors."""
GROUPS = 400
"""Groups in their table, at most; of more, those with the most errors."""


class Figure(NamedTuple):
    """A value as it is written, its interval if it has one, and the value to sort by."""

    text: str
    interval: str
    sort: float | None
    low: float | None = None
    high: float | None = None


class Cell(NamedTuple):
    """A cell of the confusion matrix: classes by number, its images, and their share of the row."""

    true: int
    predicted: int
    images: int
    share: float

    @property
    def percent(self) -> str:
        """The share in percent; what would be 0 or falsely 100 says so."""
        if 0 < self.share < 0.0005:
            return "<0.1"
        return ">99.9" if 0.9995 <= self.share < 1 else f"{100 * self.share:.1f}"


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix, a row for each true class; ``left_out`` classes have no place in it."""

    classes: list[int]
    rows: list[list[Cell]]
    left_out: int


def figure(term: Term, estimate: Any) -> Figure:
    """Return an estimate as a cell."""
    text, interval = term.written(estimate)
    return Figure(text, interval.replace("-", "–"), estimate.value, estimate.low, estimate.high)


def overall(metrics: Metrics) -> list[tuple[Term, Figure]]:
    """Return the figures over all images."""
    return [(term, figure(term, metrics.overall[key])) for key, term in OVERALL.items()]


def matrix(counts: npt.NDArray[np.int64]) -> Matrix:
    """Return the confusion matrix, of very many classes that of those with the most errors."""
    k = len(counts)
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    kept = sorted(np.argsort(-errors, kind="stable")[:MATRIX].tolist())
    total = np.maximum(counts.sum(axis=1), 1)
    rows = [[Cell(i, j, int(counts[i, j]), float(counts[i, j] / total[i])) for j in kept] for i in kept]
    return Matrix(kept, rows, k - len(kept))


def by_class(subject: Subject) -> tuple[list[dict[str, Any]], float]:
    """Return a row for each class, and where the drawings of their recalls start, which end at one.

    A row has the class's figures, what it is most often taken for, and where its recall's lower limit, value and
    upper limit are in the drawing, from 0 to 1.
    """
    counts = subject.metrics.confusion
    rows: list[dict[str, Any]] = []
    for k, row in enumerate(subject.metrics.per_class.values()):
        others = counts[k].copy()
        others[k] = 0
        most = int(others.argmax())
        rows.append(
            {
                "number": k,
                "title": subject.titles[k],
                "images": int(counts[k].sum()),
                "figures": {key: figure(term, row[key]) for key, term in PER_CLASS.items()},
                "taken": (most, int(others[most])) if others[most] else None,
            }
        )
    ends = [_ends(row["figures"]["recall"]) for row in rows]
    start = min(0.9, *(np.floor(10 * low) / 10 for low, _, _ in filter(None, ends)), 0.9)
    for found, limits in zip(rows, ends, strict=True):
        found["recall"] = limits and [f"{(each - start) / (1 - start):.4f}" for each in limits]
    return rows, float(start)


def _ends(recall: Figure) -> tuple[float, float, float] | None:
    """The lower limit, the value and the upper limit of a recall; the value thrice where it has no limits."""
    if recall.sort is None:
        return None
    low, high = recall.low, recall.high
    return recall.sort if low is None else low, recall.sort, recall.sort if high is None else high


def by_group(subject: Subject) -> dict[str, Any] | None:
    """Return the groups with the most errors first, and how many have none; None where there are no groups."""
    if subject.groups is None:
        return None
    names, which = np.unique(subject.groups, return_inverse=True)
    images = np.bincount(which)
    right = np.bincount(which, weights=subject.scored.right).astype(int)
    wrong = images - right
    order = np.lexsort((-images, -wrong))[:GROUPS]
    return {
        "name": subject.card.group or "group",
        "count": len(names),
        "faultless": int((wrong == 0).sum()),
        "failed": int((right == 0).sum()),
        "median": float(np.median(images)),
        "rows": [
            {
                "number": int(g),
                "name": str(names[g]),
                "images": int(images[g]),
                "wrong": int(wrong[g]),
                "share": float(right[g] / images[g]),
            }
            for g in order
        ],
    }


def by_fold(subject: Subject) -> dict[str, Any] | None:
    """Return the figures of each fold, and their mean and deviation; None where there are no folds."""
    if subject.folds is None:
        return None
    over = subject.folds.over_folds()

    def cells(values: dict[str, float | None]) -> list[Figure]:
        return [Figure(term.value(values[key]), "", values[key]) for key, term in BY_FOLD.items()]

    return {
        "heads": [term.head for term in BY_FOLD.values()],
        "rows": [
            {"number": place, "name": name, "group": fold.group, "images": n, "figures": cells(values)}
            for place, (name, fold, n, values) in enumerate(subject.folds.rows())
        ],
        "over": [
            (word, cells({key: over[key][name] for key in over}))
            for word, name in (("mean", "mean"), ("standard deviation", "deviation"))
        ],
    }


def members(subject: Subject) -> dict[str, Any] | None:
    """Return the members of an ensemble beside its votes, and how they differ; None where there are none."""
    if not subject.members:
        return None
    models = [(member.name, member.scored.metrics) for member in subject.members]
    predicted = np.stack([member.scored.predicted for member in subject.members])
    right = predicted == subject.scored.labels
    alike = (predicted == predicted[0]).all(axis=0)
    return {
        "rows": [_headline(name, metrics, False) for name, metrics in models]
        + [_headline(name, metrics, True) for name, metrics in subject.votes.items()],
        "pairs": subject.comparisons,
        "names": [member.name for member in subject.members],
        "agree": int(alike.sum()),
        "images": len(alike),
        "all_wrong": int((~right).all(axis=0).sum()),
        "alike_wrong": int((alike & ~right[0]).sum()),
        "saved": int((subject.scored.right & ~right.all(axis=0)).sum()),
        "split": int((~alike).sum()),
    }


def _headline(name: str, metrics: Metrics, vote: bool) -> dict[str, Any]:
    wrong = int(metrics.confusion.sum() - metrics.confusion.trace())
    keys = ("accuracy", "macro_f1", "log_loss")
    return {
        "name": name,
        "vote": vote,
        "figures": [figure(OVERALL[key], metrics.overall.get(key, Estimate.undefined())) for key in keys],
        "wrong": wrong,
    }
