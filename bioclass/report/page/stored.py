"""What an evaluation left in a folder, read back as a report wants it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bioclass.errors import RunError
from bioclass.evaluate import Scored, pooled
from bioclass.report.page.subject import Subject, run_subject, subject_of_folds
from bioclass.report.predictions import is_current, is_evaluated, read_table, refuse_ensemble
from bioclass.run import Run, check_part, held_out_part, holds_folds, open_folds, open_run
from bioclass.samples import Samples

Read = Callable[[Run], Samples]


def stored_subject(path: Path, part: str | None, samples_of: Read) -> Subject:
    """Return a run or folds, as their evaluation left them.

    Raises:
        RunError: they were not evaluated on this part since the last fit, or the folder is an ensemble's.
    """
    if part is not None:
        check_part(part)
    refuse_ensemble(path)
    if not holds_folds(path):
        run, wanted = open_run(path), part or "test"
        scored = scored_as_stored(path, run, wanted, samples_of(run)) if is_evaluated(run, wanted) else None
        if scored is None:
            raise _not_evaluated(path, wanted)
        return run_subject(path, wanted, scored, _figures(path, wanted))
    runs = open_folds(path).runs()
    held = held_out_part(runs)
    if part in (None, held):
        return _folds(path, runs, held, samples_of(runs[0]))
    if part != "test":
        raise RunError(f"The folds in {path} have different {part} parts: leave --part out.")
    current = is_current(path / "evaluation" / "test" / "predictions.csv", runs)
    scored = scored_as_stored(path, runs[0], "test", samples_of(runs[0])) if current else None
    if scored is None:
        raise _not_evaluated(path, "test")
    return run_subject(path, "test", scored, _figures(path, "test"))


def scored_as_stored(path: Path, run: Run, part: str, samples: Samples) -> Scored | None:
    """Return what an evaluation of ``path`` says of the part of a run; None where its table is not of it."""
    rows = run.split.parts == part
    file = path / "evaluation" / part / "predictions.csv"
    probabilities = read_table(file, run.classes, run.split.ids[rows], run.split.labels[rows])
    return None if probabilities is None else _scored(run, part, samples, probabilities)


def _scored(run: Run, part: str, samples: Samples, probabilities: Any) -> Scored:
    rows = np.flatnonzero(run.match(samples) == part)
    return Scored(
        run.card,
        samples.ids[rows],
        samples.labels[rows],
        None if samples.groups is None else samples.groups[rows],
        probabilities,
        probabilities.argmax(axis=1),
        None if samples.also is None else samples.also[rows],
    )


def _folds(path: Path, runs: list[Run], part: str, samples: Samples) -> Subject:
    """Return what folds held out, from the one table of all of them."""
    file = path / "evaluation" / part / "predictions.csv"
    classes = runs[0].classes
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            said = {
                (int(row["fold"]), row["id"]): [float(row[f"p_{name}"]) for name in classes]
                for row in csv.DictReader(stream)
            }
        found = [
            _scored(run, part, samples, np.array([said[number, name] for name in _ids(run, part)]))
            for number, run in enumerate(runs)
        ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        raise _not_evaluated(path, part) from None
    if not is_current(file, runs):
        raise _not_evaluated(path, part)
    return subject_of_folds(pooled(open_folds(path), runs, found))


def _ids(run: Run, part: str) -> list[str]:
    names: list[str] = run.split.ids[run.split.parts == part].tolist()
    return names


def _figures(path: Path, part: str) -> dict[str, Any]:
    file = path / "evaluation" / part / "metrics.json"
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise _not_evaluated(path, part) from None
    return found


def _not_evaluated(path: Path, part: str) -> RunError:
    where = "" if part in ("test", "fold") else f" --part {part}"
    return RunError(
        f"{path} was not evaluated on its {part} part since its last fit: give `bioclass evaluate {path}{where}`, "
        "which writes the report too."
    )
