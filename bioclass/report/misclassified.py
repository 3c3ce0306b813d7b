"""Which images an ensemble gets wrong, which of them another gets wrong too, and what is said of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bioclass.report.predictions import Predictions

IntArray = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]


def misclassified(labels: IntArray, ensembles: Sequence[Predictions], *, both: bool = False) -> Rows:
    """Return the rows of the images that the first ensemble gets wrong, or, with ``both``, all of them do.

    They are in the order of their true class, then of the first ensemble's answer, and then from the answer it was
    surest of to the least sure.

    Args:
        labels: (N,) true classes.
        ensembles: one or two, the first is the one whose errors are wanted.
        both: whether only images are wanted that every ensemble gets wrong.
    """
    first = ensembles[0]
    wrong = np.all([each.predicted != labels for each in (ensembles if both else ensembles[:1])], axis=0)
    rows = np.flatnonzero(wrong)
    order = np.lexsort((-first.confidence[rows], first.predicted[rows], labels[rows]))
    in_order: Rows = rows[order]
    return in_order


def captions(
    rows: Rows, labels: IntArray, ensembles: Sequence[Predictions], classes: Sequence[str], *, both: bool = False
) -> list[tuple[str, ...]]:
    """Return for each row the true class and each ensemble's answer: ("5", "Net(3)", "DC(3)*").

    The asterisk says that the second ensemble is wrong too; with ``both`` it goes without saying.
    """
    out = []
    for row in rows:
        parts = [classes[labels[row]]]
        for place, each in enumerate(ensembles):
            too = place > 0 and not both and each.predicted[row] != labels[row]
            parts.append(f"{each.name}({classes[each.predicted[row]]}){'*' if too else ''}")
        out.append(tuple(parts))
    return out


def sentence(
    rows: Rows, labels: IntArray, ensembles: Sequence[Predictions], images: str, *, both: bool = False
) -> str:
    """Return what is seen on the figure, with the counts.

    Args:
        rows: the images on it.
        labels: (N,) true classes.
        ensembles: one or two.
        images: what the images are: "test images of MNIST".
        both: whether the figure has only what every ensemble gets wrong.
    """
    words = [f"{each.name} ({each.members})" for each in ensembles]
    shown = ", ".join(["true class", *(f"{each.name}(predicted)" for each in ensembles)])
    count = f"{len(rows):,} of {len(labels):,} {images}"
    if both:
        return f"{count} are misclassified by both {words[0]} and {words[1]}: {shown}."
    text = f"{count} are misclassified by {words[0]}: {shown}."
    if len(ensembles) > 1:
        too = int((ensembles[1].predicted[rows] != labels[rows]).sum())
        text += f" * {too:,} are also misclassified by {words[1]}."
    return text


def table_csv(
    rows: Rows,
    labels: IntArray,
    ids: npt.NDArray[np.str_],
    ensembles: Sequence[Predictions],
    classes: Sequence[str],
) -> str:
    """Return a table of the images in the order in which they are drawn: id, true class, answers, confidences."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "true", *(head for each in ensembles for head in (each.name, f"p_{each.name}"))])
    for row in rows:
        answers = [(classes[each.predicted[row]], float(each.confidence[row])) for each in ensembles]
        writer.writerow([ids[row], classes[labels[row]], *(value for answer in answers for value in answer)])
    return out.getvalue()
