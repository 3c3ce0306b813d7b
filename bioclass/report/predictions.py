"""What runs predict on a part of their data, from the tables that an evaluation left in their folders."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioclass.ensemble import Method, combine
from bioclass.errors import RunError
from bioclass.run import Run, holds_folds, holds_run

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one ensemble, or a run alone, predicts for the N images of a part.

    Attributes:
        name: what the user calls it.
        runs: how many they are.
        method: by which they vote; a run alone predicts its most probable class.
        predicted: (N,) class indices.
        confidence: (N,) what the vote gives the predicted class, from 0 to 1.
    """

    name: str
    runs: int
    method: Method
    predicted: IntArray
    confidence: FloatArray

    @property
    def members(self) -> str:
        """How many runs, and how they vote."""
        return f"{self.runs} runs, {self.method}" if self.runs > 1 else "1 run"


def voted(name: str, probabilities: list[FloatArray], method: Method) -> Predictions:
    """Return what runs with probabilities (N, K) each predict together."""
    vote = combine(probabilities, method)
    confidence = vote.probabilities[np.arange(len(vote.predicted)), vote.predicted]
    return Predictions(name, len(probabilities), method, vote.predicted, confidence)


def predictions_file(run: Run, part: str) -> Path:
    """Return where an evaluation writes a run's predictions for a part."""
    return run.path / "evaluation" / part / "predictions.csv"


def is_current(file: Path, runs: Iterable[Run]) -> bool:
    """Whether an evaluation left this file, and none of the runs was fitted further since."""
    try:
        newest = max((run.path / "best" / "manifest.json").stat().st_mtime_ns for run in runs)
        return file.is_file() and file.stat().st_mtime_ns >= newest
    except (OSError, ValueError):
        # A run has no weights yet, or there is none.
        return False


def is_evaluated(run: Run, part: str) -> bool:
    """Whether a run was evaluated on a part, and not fitted further since."""
    return is_current(predictions_file(run, part), [run])


def refuse_ensemble(path: Path) -> None:
    """Refuse a folder that holds what an ensemble was found to be: its members' weights are elsewhere.

    Raises:
        RunError: it is one; with the command that evaluates it again, which writes its report too.
    """
    if holds_folds(path) or holds_run(path):
        return
    try:
        document = json.loads((path / "metrics.json").read_bytes())
        members = [str(model["run"]) for model in document["models"]]
        part = [] if document["part"] == "test" else ["--part", str(document["part"])]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return
    command = shlex.join(["bioclass", "evaluate", *members, *part, "--out", str(path)])
    raise RunError(
        f"{path} holds the evaluation of an ensemble, whose report is made from its members: give `{command}`."
    )


def read_probabilities(run: Run, part: str) -> FloatArray | None:
    """Return a run's probabilities (N, K) for the images of a part, in the order of its split.

    None where there is no table, or it is not of this part of this run.
    """
    rows = run.split.parts == part
    return read_table(predictions_file(run, part), run.classes, run.split.ids[rows], run.split.labels[rows])


def read_table(
    file: Path, classes: tuple[str, ...], ids: npt.NDArray[np.str_], labels: IntArray
) -> FloatArray | None:
    """Return the probabilities (N, K) of a table of predictions, None where it is not of these images (N,)."""
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            table = list(csv.DictReader(stream))
        probabilities = [[float(row[f"p_{name}"]) for name in classes] for row in table]
        same = [(row["id"], row["true"]) for row in table]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return None
    if same != list(zip(ids.tolist(), [classes[label] for label in labels], strict=True)):
        return None
    return np.array(probabilities, np.float64).reshape(len(table), len(classes))
