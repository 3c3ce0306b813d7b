"""Who takes part in a comparison: runs, folders of folds, and whole folders of runs, such as a study's."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bioclass.errors import RunError
from bioclass.metrics import Estimate
from bioclass.report.comparison.answers import FIGURES, Answers, default_part, read_answers
from bioclass.report.predictions import refuse_ensemble
from bioclass.run import Run, check_part, holds_folds, holds_run, open_folds, open_run

Kind = Literal["run", "folds", "seeds"]
_STUDIED = re.compile(r"-seed\d+-[0-9a-f]{10}$")
"""How the name of a run ends that a study made."""


@dataclass(frozen=True, eq=False)
class Entrant:
    """One row of a comparison.

    Attributes:
        name: short, and its own.
        path: of the run or of the folder of folds; of seeds that of the first.
        kind: a run, the folds of a folder, or runs that differ in their seed alone.
        runs: in the order of the answers.
        part: of the data.
        answers: what they said.
    """

    name: str
    path: Path
    kind: Kind
    runs: tuple[Run, ...]
    part: str
    answers: Answers

    @property
    def recipe(self) -> dict[str, Any]:
        """What its recipe chooses, by dotted key; all seeds, where these are what its runs differ in."""
        choices = self.runs[0].recipe.choices()
        if self.kind == "seeds":
            choices["seed"] = ", ".join(str(run.recipe.seed) for run in self.runs)
        if self.kind == "folds":
            choices.pop("split.fold", None)
        return choices

    @property
    def seconds(self) -> float | None:
        """How long a fit took, of seeds on average, of folds all together; None where it is not known."""
        each = [_seconds(run) for run in self.runs]
        known = [seconds for seconds in each if seconds is not None]
        if len(known) < len(each):
            return None
        return float(np.mean(known)) if self.kind == "seeds" else sum(known)

    @property
    def made(self) -> str:
        """What it is made of, in a word or two."""
        count = len(self.runs)
        return {"run": "run", "folds": f"{count} folds", "seeds": f"{count} seeds"}[self.kind]


@dataclass
class Found:
    """Entrants, and what was left out of the folders that were named."""

    entrants: list[Entrant] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def is_single(path: Path) -> bool:
    """Return whether a path is one run or one folder of folds, and not a folder that may hold several."""
    return holds_folds(path) or holds_run(path) or not any(path.glob("*/manifest.json"))


def find_entrants(paths: Sequence[Path], part: str | None) -> Found:
    """Open what the user named and read its evaluations.

    A folder of runs, such as a study's, stands for the runs in it that were evaluated; those that differ in their
    seed alone are one entrant.

    Raises:
        RunError: a run is damaged or not evaluated, one is named twice, fewer than two are found, or their classes
            differ.
    """
    if part is not None:
        check_part(part)
    real = [path.resolve() for path in paths]
    twice = [path for place, path in enumerate(paths) if real[place] in real[:place]]
    if twice:
        raise RunError(f"{twice[0]} is given twice: name each once.")
    found = Found()
    for path in paths:
        if is_single(path):
            found.entrants.append(_open(path, part))
        else:
            _open_folder(path, part, found)
    if len(found.entrants) < 2:
        left = f" {found.left_out[0]}" if found.left_out else ""
        raise RunError(f"A comparison takes two or more; {len(found.entrants)} found in {paths[0]}.{left}")
    _refuse_other_classes(found.entrants)
    found.entrants = _named(found.entrants)
    return found


def _open(path: Path, part: str | None) -> Entrant:
    refuse_ensemble(path)
    folds = open_folds(path) if holds_folds(path) else None
    runs = [open_run(path)] if folds is None else folds.runs()
    wanted = part or default_part(folds, runs)
    answers = read_answers(path, runs, folds, wanted)
    return Entrant(path.name or str(path), path, "run" if folds is None else "folds", tuple(runs), wanted, answers)


def _open_folder(folder: Path, part: str | None, found: Found) -> None:
    """Add the entrants of a folder of runs; what is not finished or evaluated is left out, and told."""
    single: dict[str, list[Entrant]] = {}
    missing = []
    for path in sorted(folder.iterdir()):
        if not (holds_folds(path) or holds_run(path)):
            continue
        try:
            entrant = _open(path, part)
        except RunError as problem:
            missing.append((path.name, str(problem)))
            continue
        choices = entrant.runs[0].recipe.choices()
        seedless = {key: value for key, value in choices.items() if key != "seed"}
        own = path.name if entrant.kind == "folds" else json.dumps(seedless, sort_keys=True)
        single.setdefault(own, []).append(entrant)
    inside = [entrant for alike in single.values() for entrant in _over_seeds(alike)]
    shared = _shared([entrant.name for entrant in inside])
    found.entrants += [replace(entrant, name=entrant.name[len(shared) :]) for entrant in inside]
    if missing:
        name, reason = missing[0]
        count = f"{len(missing)} of the runs in {folder} are" if len(missing) > 1 else f"{name} in {folder} is"
        found.left_out.append(f"{count} left out: {reason}")


def _over_seeds(alike: list[Entrant]) -> list[Entrant]:
    """Return runs of one recipe as one entrant, if each has its own seed and the same images; else as they are."""
    first = alike[0]
    seeds = {each.runs[0].recipe.seed for each in alike}
    same = all(first.answers.shares_images(each.answers) for each in alike[1:])
    if len(alike) == 1 or len(seeds) < len(alike) or not same:
        return [replace(each, name=_STUDIED.sub("", each.name)) for each in alike]
    alike = sorted(alike, key=lambda each: each.runs[0].recipe.seed)
    means = {}
    for name in FIGURES:
        values = [each.answers.figures[name].value for each in alike]
        known = [value for value in values if value is not None]
        means[name] = Estimate(float(np.mean(known)) if len(known) == len(values) else None, None, None)
    together = np.concatenate([each.answers.probabilities for each in alike])
    answers = replace(first.answers, probabilities=together, figures=means)
    name = _seedless([each.path.name for each in alike])
    return [Entrant(name, first.path, "seeds", tuple(each.runs[0] for each in alike), first.part, answers)]


def _seedless(names: Sequence[str]) -> str:
    """What the names of runs have in common, without the seed that a study writes into them."""
    if _STUDIED.search(names[0]):
        return _STUDIED.sub("", names[0])
    shared = "".join(
        letters[0] for letters in takewhile(lambda each: len(set(each)) == 1, zip(*names, strict=False))
    )
    return shared.rstrip("-_. ") or names[0]


def _shared(names: Sequence[str]) -> str:
    """Return the words that all names begin with, up to a hyphen; a study begins them with dataset and network."""
    words = [name.split("-")[:-1] for name in names]
    alike = takewhile(lambda each: len(set(each)) == 1, zip(*words, strict=False))
    return "".join(f"{each[0]}-" for each in alike) if len(names) > 1 else ""


def _named(entrants: Sequence[Entrant]) -> list[Entrant]:
    """Give entrants of one name their paths instead."""
    names = [entrant.name for entrant in entrants]
    paths = [str(entrant.path) if names.count(entrant.name) > 1 else entrant.name for entrant in entrants]
    return [replace(entrant, name=name) for entrant, name in zip(entrants, paths, strict=True)]


def _refuse_other_classes(entrants: Sequence[Entrant]) -> None:
    first = entrants[0]
    for other in entrants[1:]:
        if other.runs[0].classes != first.runs[0].classes:
            raise RunError(
                f"{first.path} and {other.path} have different classes ({first.runs[0].card.name}, "
                f"{other.runs[0].card.name}): they answer different questions, and cannot be compared."
            )


def _seconds(run: Run) -> float | None:
    """How long the epochs of a run took, as it noted."""
    try:
        lines = (run.path / "times.jsonl").read_text(encoding="utf-8").splitlines()
        return float(sum(json.loads(line)["seconds"] for line in lines)) if lines else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
