"""The files of an evaluation, as text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.answers import joined
from bioclass.errors import RunError
from bioclass.evaluate.judge import Answers, Reliability
from bioclass.evaluate.scored import Scored
from bioclass.files import write_atomic
from bioclass.reliability import RULES, Rule


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files into a folder, which is made; RunError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomic(folder / name, content)
    except OSError as problem:
        raise RunError(f"The evaluation cannot be written into {folder}: {problem.strerror}.") from None


def to_json(document: dict[str, Any]) -> str:
    """Return a document as the files hold it."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def prediction_files(scored: Scored, reliability: Reliability, suffix: str = "") -> dict[str, str]:
    """Return, by the name of its file, every table with a row an image that belongs to a model."""
    files = {f"predictions{suffix}.csv": predictions_csv(scored)}
    if reliability.calibrated is not None:
        files[f"predictions{suffix}-calibrated.csv"] = predictions_csv(reliability.calibrated.scored)
    if reliability.answers is not None:
        files[f"answers{suffix}.csv"] = _answers_csv(reliability.answers)
        files[f"risk-coverage{suffix}.csv"] = _risk_coverage_csv(reliability.answers)
    return files


def predictions_csv(scored: Scored, columns: Mapping[str, Sequence[Any]] | None = None) -> str:
    """Return a table with a row an image: id, true and predicted class, and the probability of every class.

    ``columns`` (N,) by name come after these.
    """
    classes, more = scored.classes, columns or {}
    rows = zip(
        scored.ids, scored.labels, scored.predicted, scored.probabilities.tolist(), *more.values(), strict=True
    )
    return table_csv(
        ["id", "true", "predicted", *(f"p_{name}" for name in classes), *more],
        ([name, classes[label], classes[choice], *row, *rest] for name, label, choice, row, *rest in rows),
    )


def confusion_csv(scored: Scored) -> str:
    """Return the confusion matrix, a row for each true class."""
    rows = zip(scored.classes, scored.metrics.confusion.tolist(), strict=True)
    return table_csv(["true \\ predicted", *scored.classes], ([name, *row] for name, row in rows))


def set_names(
    sets: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float64], classes: Sequence[str]
) -> list[list[str]]:
    """Return the names of the classes in each set (N, K), the most probable first; the probabilities are (N, K)."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    return [[classes[k] for k in row if inside[k]] for inside, row in zip(sets, order, strict=True)]


def _answers_csv(answers: Answers) -> str:
    """A row an image: its most probable class, whether that is the answer, and its sets of classes."""
    scored = answers.scored
    names = [set_names(answers.sets[rule], scored.probabilities, scored.classes) for rule in RULES]
    rows = zip(
        scored.ids,
        (scored.classes[label] for label in scored.labels),
        (scored.classes[choice] for choice in scored.predicted),
        scored.probabilities.max(axis=1).tolist(),
        ("yes" if given else "no" for given in answers.answered),
        *(map(joined, sets) for sets in names),
        strict=True,
    )
    return table_csv(["id", "true", "predicted", "probability", "answered", *map(column, RULES)], rows)


def column(rule: Rule) -> str:
    """Return the name of a rule as the head of a column."""
    return rule.replace(" ", "_")


def _risk_coverage_csv(answers: Answers) -> str:
    curve = answers.curve
    rows = zip(curve.thresholds.tolist(), curve.coverage.tolist(), (1 - curve.risk).tolist(), strict=True)
    return table_csv(["least_probability", "answered", "accuracy"], rows)


def table_csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()
