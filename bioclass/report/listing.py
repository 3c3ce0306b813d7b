"""The runs in a folder: what each is of, how far it came, and its headline."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bioclass.checkpoint import load_state
from bioclass.errors import RunError
from bioclass.recipe import Recipe
from bioclass.report.predictions import is_current
from bioclass.run import Run, held_out_part, holds_folds, holds_run, open_folds, open_run

FIGURES = ("accuracy", "balanced_accuracy")


@dataclass(frozen=True)
class Listed:
    """A run, or the folds of a cross-validation as one.

    Attributes:
        path: its folder.
        recipe: what it was trained by.
        dataset: its name.
        synthetic: whether its images are; None where no fold is trained yet, which would know.
        state: "finished", or how far it came.
        finished: whether nothing is left to train.
        figures: of ``FIGURES``, on the test part or what the folds held out: value, low and high as shares; None
            where it was not evaluated.
        seconds: that its epochs took, those of all folds together; None where none has ended.
        saved: when it was saved last; None where it never was.
    """

    path: Path
    recipe: Recipe
    dataset: str
    synthetic: bool | None
    state: str
    finished: bool
    figures: dict[str, dict[str, float] | None]
    seconds: float | None
    saved: datetime | None

    @property
    def evaluated(self) -> bool:
        """Whether there are figures."""
        return any(self.figures.values())

    @property
    def headline(self) -> str:
        """The one of ``FIGURES`` that the recipe chooses the weights by, accuracy where it goes by the loss."""
        return self.recipe.fit.select if self.recipe.fit.select in FIGURES else FIGURES[0]

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "run": str(self.path),
            "dataset": self.dataset,
            "synthetic": self.synthetic,
            "network": self.recipe.network.name,
            "seed": self.recipe.seed,
            "state": self.state,
            "finished": self.finished,
            "headline": self.headline,
            **self.figures,
            "seconds": self.seconds,
            "saved": None if self.saved is None else self.saved.isoformat(timespec="seconds"),
        }


def find_runs(folder: Path, refuse: Callable[[RunError], None]) -> Iterator[Listed]:
    """Yield the runs in a folder and in the folders in it, by path, such as those of studies.

    The folds of a cross-validation are one, unless the folder is theirs. ``refuse`` is told of those that cannot be
    read. A folder that is a run is the only one.
    """
    if holds_run(folder):
        yield from _listed(folder, refuse)
        return
    for place, names, _ in os.walk(folder):
        within = []
        for name in sorted(names):
            path = Path(place, name)
            if holds_folds(path) or holds_run(path):
                yield from _listed(path, refuse)
            elif not name.startswith("."):
                within.append(name)
        names[:] = within


def _listed(path: Path, refuse: Callable[[RunError], None]) -> Iterator[Listed]:
    try:
        yield _of_folds(path) if holds_folds(path) else _of_run(open_run(path))
    except RunError as problem:
        refuse(problem)


def _of_run(run: Run) -> Listed:
    state = load_state(run.path / "last")
    if state is None:
        words = "not saved yet"
    else:
        words = "finished" if state.get("finished") else f"stopped at iteration {state.get('iteration')}"
    return Listed(
        run.path,
        run.recipe,
        run.card.name,
        run.card.synthetic,
        words,
        words == "finished",
        _figures(run.path / "evaluation" / "test", [run]),
        _seconds(run.path),
        _saved(run.path),
    )


def _of_folds(path: Path) -> Listed:
    """The folds as one, with the figures of what they held out, pooled."""
    folds = open_folds(path)
    runs = [open_run(path / name) for name in folds.names if (path / name / "manifest.json").is_file()]
    finished = sum(bool((load_state(run.path / "last") or {}).get("finished")) for run in runs)
    seconds = [taken for run in runs if (taken := _seconds(run.path)) is not None]
    return Listed(
        path,
        folds.recipe,
        runs[0].card.name if runs else folds.recipe.dataset,
        runs[0].card.synthetic if runs else None,
        f"{finished} of {len(folds.names)} folds finished",
        finished == len(folds.names),
        _figures(path / "evaluation" / (held_out_part(runs) if runs else "test"), runs),
        sum(seconds) if seconds else None,
        max((saved for run in runs if (saved := _saved(run.path)) is not None), default=None),
    )


def _figures(folder: Path, runs: Sequence[Run]) -> dict[str, dict[str, float] | None]:
    """The figures of an evaluation of these weights; None where there are none: they are soon made again."""
    try:
        if not is_current(folder / "metrics.json", runs):
            return dict.fromkeys(FIGURES)
        found = json.loads((folder / "metrics.json").read_bytes())
        return {name: {key: float(found[name][key]) for key in ("value", "low", "high")} for name in FIGURES}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return dict.fromkeys(FIGURES)


def _seconds(run: Path) -> float | None:
    """The time of all epochs; of one that was done again after a stop, the last."""
    try:
        lines = (run / "times.jsonl").read_bytes().splitlines()
        times = {int(line["epoch"]): float(line["seconds"]) for line in map(json.loads, lines)}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return sum(times.values()) if times else None


def _saved(run: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp((run / "last" / "manifest.json").stat().st_mtime).astimezone()
    except OSError:
        return None
