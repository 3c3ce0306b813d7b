"""What a run, or a folder of folds, answered: read from the files of its evaluation, computed nowhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioclass.errors import RunError
from bioclass.metrics import Estimate
from bioclass.report.predictions import is_current, read_table
from bioclass.run import Folds, Run, held_out_part

FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "log_loss", "ece")


@dataclass(frozen=True, eq=False)
class Answers:
    """Several answers to each of N images: of repeats of a cross-validation, or of seeds; of a run one.

    Attributes:
        ids: (N,) sorted.
        labels: (N,) true class indices.
        groups: (N,) the group of each image, or None.
        probabilities: (A, N, K).
        figures: by name, as the evaluation has them.
    """

    ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.str_] | None
    probabilities: npt.NDArray[np.float64]
    figures: dict[str, Estimate]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(A, N) whether each answer is right."""
        right: npt.NDArray[np.bool_] = self.probabilities.argmax(axis=2) == self.labels
        return right

    def shares_images(self, other: Answers) -> bool:
        """Return whether the images, and their classes, are the same."""
        return np.array_equal(self.ids, other.ids) and np.array_equal(self.labels, other.labels)


def default_part(folds: Folds | None, runs: Sequence[Run]) -> str:
    """Return the part that an evaluation is of by default."""
    return "test" if folds is None else held_out_part(runs)


def read_answers(path: Path, runs: Sequence[Run], folds: Folds | None, part: str) -> Answers:
    """Return the answers of a run, or of a folder of folds with its runs.

    Raises:
        RunError: it was not evaluated on this part, or was trained on since, or a file is not of this run.
    """
    run = runs[0]
    folder = path / "evaluation" / part
    held_out = folds is not None and part == held_out_part(runs)
    again = _command(path, part, folds, held_out)
    if not (run.split.parts == part).any():
        raise RunError(f"{path} has no {part} part: name another with --part.")
    if not (folder / "predictions.csv").is_file():
        raise RunError(f"{path} was not evaluated on its {part} part yet: {again} first.")
    if not is_current(folder / "predictions.csv", runs):
        raise RunError(f"{path} was trained on since it was evaluated: {again} again.")
    # The folds test every image, but those of an official test part besides.
    every = np.ones(len(run.split.ids), bool) if part == "test" else run.split.parts != "test"
    rows = np.flatnonzero(every if held_out else run.split.parts == part)
    repeats = folds.repeats if folds is not None and held_out else 1
    ids, labels = run.split.ids[rows], run.split.labels[rows]
    table = read_table(folder / "predictions.csv", run.classes, np.tile(ids, repeats), np.tile(labels, repeats))
    figures = _figures(folder / "metrics.json", len(rows) * repeats)
    if table is None or figures is None:
        raise RunError(f"The evaluation in {folder} is not of {path}: {again} again.")
    order = np.argsort(ids, kind="stable")
    groups = None if run.split.groups is None else run.split.groups[rows][order]
    probabilities = table.reshape(repeats, len(rows), len(run.classes))[:, order]
    return Answers(ids[order], labels[order], groups, probabilities, figures)


def _command(path: Path, part: str, folds: Folds | None, held_out: bool) -> str:
    usual = held_out if folds is not None else part == "test"
    return f"bioclass evaluate {path}{'' if usual else f' --part {part}'}"


def _figures(file: Path, answers: int) -> dict[str, Estimate] | None:
    try:
        document = json.loads(file.read_bytes())
        if document["n"] != answers:
            return None
        return {name: Estimate(*(document[name][key] for key in ("value", "low", "high"))) for name in FIGURES}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
