"""The figures of a report: in the page, and as files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bioclass.errors import InputError
from bioclass.metrics import Metrics
from bioclass.report.curves import (
    Drawing,
    confusion_matrix,
    learning_curves,
    precision_recall_curves,
    rejection_curve,
    reliability_diagram,
    roc_curves,
)
from bioclass.report.page.subject import Subject, short_names

if TYPE_CHECKING:
    from markupsafe import Markup

FOLDER = "figures"
MATRIX = 60
"""Classes of which the confusion matrix is drawn, at most; of more nothing could be read."""


class Shown(NamedTuple):
    """A figure as the page has it."""

    name: str
    title: str
    svg: Markup
    caption: str
    width: float
    """In inches."""


def drawings(subject: Subject) -> Iterator[tuple[str, Drawing]]:
    """Return the figures with their titles; those that the data does not define are left out."""
    scored, metrics = subject.scored, titled(subject)
    names = short_names([str(run.path) for run in subject.runs])
    histories = {name: run.history() for name, run in zip(names, subject.runs, strict=True)}
    if any(histories.values()):
        yield "Learning curves", learning_curves(histories)
    if len(scored.classes) <= MATRIX:
        for rates in (False, True):
            title = f"Confusion matrix, {'rates' if rates else 'counts'}"
            yield title, confusion_matrix(metrics.confusion, subject.titles, rates=rates)
    for title, draw in (("ROC curves", roc_curves), ("Precision-recall curves", precision_recall_curves)):
        try:
            yield title, draw(scored.labels, scored.probabilities, metrics)
        except InputError:
            # All images are of one class.
            continue
    given = subject.confidence, scored.right
    yield "Reliability diagram", reliability_diagram(*given, metrics, scored.groups)
    yield "Accuracy against rejection", rejection_curve(*given, scored.groups)


def titled(subject: Subject) -> Metrics:
    """Return the figures with the classes as people call them, where these names differ."""
    titles, metrics = subject.titles, subject.metrics
    if len(set(titles)) < len(titles):
        return metrics
    return replace(metrics, per_class=dict(zip(titles, metrics.per_class.values(), strict=True)))


def draw_figures(subject: Subject) -> dict[str, Shown]:
    """Write every figure as PNG and SVG into the report's folder, and return them by name for the page."""
    from markupsafe import Markup

    folder: Path = subject.folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    shown = {}
    for title, drawing in drawings(subject):
        for kind in ("png", "svg"):
            drawing.save(folder / f"{drawing.name}.{kind}")
        # The page has the matrix as a table; its figures are for papers.
        if not drawing.name.startswith("confusion"):
            svg = Markup(drawing.svg(themed=True))
            shown[drawing.name] = Shown(drawing.name, title, svg, drawing.caption, round(drawing.width, 2))
    return shown
