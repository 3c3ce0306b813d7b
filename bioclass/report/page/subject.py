"""What a report is of: a run, the folds of a folder or an ensemble, with what each says of a part of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bioclass.card import Card
from bioclass.ensemble import TITLES, Method
from bioclass.evaluate import CrossValidated, Evaluated, Evaluation, Scored
from bioclass.metrics import Metrics
from bioclass.run import Run, holds_folds, open_folds, open_run
from bioclass.significance import Comparison

VOTE: Method = "MPS"
"""The vote that stands for an ensemble: its probabilities are the means of the members'."""


@dataclass(frozen=True, eq=False)
class Member:
    """One model of an ensemble: a short name, and what it says of the images."""

    name: str
    scored: Scored


@dataclass(frozen=True, eq=False)
class Subject:
    """What a report is of.

    Attributes:
        path: the run, the folder of folds, or the folder of an ensemble's files.
        folder: where the report goes.
        part: of the data: "test", "validation", "train", or "fold".
        scored: what is said of it.
        runs: the runs that say it.
        found: what else the evaluation found, as its ``metrics.json`` has it.
        members: of an ensemble.
        votes: of an ensemble, by the name of the vote.
        comparisons: of its members, in pairs.
        folds: for folds, what each held out.
        command: what evaluates it again, as words of a command line.
    """

    path: Path
    folder: Path
    part: str
    scored: Scored
    runs: tuple[Run, ...]
    found: Mapping[str, Any]
    command: tuple[str, ...]
    members: tuple[Member, ...] = ()
    votes: Mapping[str, Metrics] = field(default_factory=dict)
    comparisons: Sequence[Comparison] = ()
    folds: CrossValidated | None = None

    @property
    def run(self) -> Run:
        """The run, or the first of several."""
        return self.runs[0]

    @property
    def card(self) -> Card:
        """Of the dataset."""
        return self.scored.card

    @property
    def titles(self) -> list[str]:
        """The classes as people call them."""
        return [item.title or item.name for item in self.card.classes]

    @property
    def metrics(self) -> Metrics:
        """The figures."""
        return self.scored.metrics

    @property
    def groups(self) -> Any:
        """The groups (N,) of the images that the data names, or None; repeats of an image are none."""
        return None if self.folds is not None and not self.folds.grouped else self.scored.groups

    @property
    def confidence(self) -> Any:
        """The probability (N,) of each answer."""
        return self.scored.probabilities[np.arange(len(self.scored.ids)), self.scored.predicted]

    @property
    def images(self) -> int:
        """How many images were judged, each counted once."""
        return len(self.scored.ids) if self.folds is None else self.folds.images

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        if self.members:
            return f"an ensemble of {len(self.members)} networks"
        if self.folds is not None:
            return f"a cross-validation of {len(self.runs)} networks"
        return f"the mean of {len(self.runs)} networks" if len(self.runs) > 1 else "one network"


def subject_of_run(found: Evaluated, part: str) -> Subject:
    """Return a run, or folds that answer as one, as its evaluation has it."""
    return run_subject(found.run, part, found.scored, found.figures())


def run_subject(path: Path, part: str, scored: Scored, figures: Mapping[str, Any]) -> Subject:
    """Return a run, or folds that answer as one."""
    runs = tuple(open_folds(path).runs()) if holds_folds(path) else (open_run(path),)
    command = ("bioclass", "evaluate", str(path), *(() if part == "test" and len(runs) == 1 else ("--part", part)))
    return Subject(path, path / "evaluation" / part, part, scored, runs, figures, command)


def subject_of_folds(found: CrossValidated) -> Subject:
    """Return the folds of a folder, as their evaluation has them."""
    path = found.folds.path
    return Subject(
        path,
        found.folder,
        found.part,
        found.scored,
        tuple(found.folds.runs()),
        found.as_dict(),
        ("bioclass", "evaluate", str(path)),
        folds=found,
    )


def subject_of_ensemble(found: Evaluation, out: Path) -> Subject:
    """Return an ensemble, as the vote ``VOTE`` of its members."""
    vote = found.votes[VOTE]
    paths = [model.run for model in found.models]
    votes = {TITLES[name]: each.scored.metrics for name, each in found.votes.items()}
    if found.selected is not None:
        votes[f"{found.selected.name} on the validation part"] = found.selected.scored.metrics
    part = () if found.part == "test" else ("--part", found.part)
    long = [model.name for model in found.models]
    names = short_names(long)
    short = dict(zip(long, names, strict=True))
    return Subject(
        path=out,
        folder=out,
        part=found.part,
        scored=vote.scored,
        runs=tuple(_runs(paths)),
        found=vote.figures(),
        command=("bioclass", "evaluate", *map(str, dict.fromkeys(paths)), *part, "--out", str(out)),
        members=tuple(Member(name, each.scored) for name, each in zip(names, found.models, strict=True)),
        votes=votes,
        comparisons=[replace(pair, a=short[pair.a], b=short[pair.b]) for pair in found.comparisons],
    )


def _runs(paths: Sequence[Path]) -> list[Run]:
    found = []
    for path in dict.fromkeys(paths):
        found += open_folds(path).runs() if holds_folds(path) else [open_run(path)]
    return found


def short_names(names: Sequence[str]) -> list[str]:
    """Return the last parts of paths, as many as tell them apart."""
    parts = [Path(name).parts for name in names]
    for length in range(1, max(map(len, parts)) + 1):
        short = ["/".join(each[-length:]) for each in parts]
        if len(set(short)) == len(short):
            return short
    return list(names)
