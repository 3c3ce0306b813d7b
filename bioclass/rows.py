"""New images as a table has them: a row an image, by the run's own answers and decisions where it has some."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bioclass.answers import cell

if TYPE_CHECKING:
    from bioclass.evaluate.decided import Decided
    from bioclass.evaluate.fitted import Fitted


def row_of(
    probabilities: npt.NDArray[np.float64],
    classes: Sequence[str],
    fitted: Fitted | None = None,
    decided: Decided | None = None,
) -> dict[str, Any]:
    """Return the columns of an image with a network's own probabilities (K,).

    Returns:
        ``class`` and ``probability``; ``answered`` and the sets of classes where answers were fitted; the decisions
        where there are some; ``p_NAME`` of every class, calibrated where that was fitted.
    """
    # Decisions are of the network's own probabilities; what is printed may be calibrated for answers.
    decisions = {} if decided is None else decided.decisions(probabilities[None])
    more: dict[str, Any] = {}
    if fitted is not None:
        table = fitted.calibrated(probabilities[None])
        probabilities = table[0]
        if fitted.error_rate is not None:
            # Here: rows of an exported model want nothing of what evaluates, which loads pandas and scikit-learn.
            from bioclass.evaluate.tables import column, set_names

            more["answered"] = bool(fitted.answered(table)[0])
            for rule, conformal in fitted.conformal.items():
                more[column(rule)] = set_names(conformal.sets(table), table, classes)[0]
    best = int(probabilities.argmax())
    return {
        "class": classes[best],
        "probability": float(probabilities[best]),
        **more,
        **{name: values[0] for name, values in decisions.items()},
        **{f"p_{name}": float(p) for name, p in zip(classes, probabilities, strict=True)},
    }


def rows_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows of the same columns, at least one, as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    return out.getvalue()
