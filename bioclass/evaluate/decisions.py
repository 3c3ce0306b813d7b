"""From a trained run, or the folds of a cross-validation, to decisions and what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.answers import cell
from bioclass.card import Card
from bioclass.decisions import (
    Abundance,
    CostFigures,
    Screening,
    ScreeningFigures,
    estimate_abundance,
    evaluate_costs,
    evaluate_screening,
    fit_screening,
    read_costs,
)
from bioclass.errors import InputError, RunError, did_you_mean
from bioclass.evaluate.data import Data, Model
from bioclass.evaluate.decided import Decided, save_decided
from bioclass.evaluate.scored import Scored, joined
from bioclass.evaluate.tables import table_csv, to_json, write
from bioclass.recipe import Predict
from bioclass.reliability import fit_temperature
from bioclass.run import Run, held_out_part, holds_folds, open_folds, open_run
from bioclass.shelf import Shelf


@dataclass(frozen=True)
class Question:
    """What is to be decided.

    Attributes:
        positive: the classes that make an answer positive, for a screening; none for no screening.
        sensitivity: that of the screening.
        prevalences: by class the share of it where the answers will be given; of a screening the sum over the
            positive classes. Classes without one have that of the samples.
        costs: a table of what each error costs; None for none.
    """

    positive: tuple[str, ...] = ()
    sensitivity: float = 0.95
    prevalences: Mapping[str, float] = field(default_factory=dict)
    costs: Path | None = None


@dataclass(frozen=True, eq=False)
class Pair:
    """A model on the samples that it was chosen by, and on those that it has not seen."""

    validation: Scored
    unseen: Scored


@dataclass(frozen=True, eq=False)
class Decisions:
    """What was found.

    Attributes:
        path: the run folder or the folder of folds.
        card: of the dataset.
        part: the evaluated part.
        n: number of samples in it.
        groups: number of their groups, None if they are independent.
        per_class: by class what the answer "it is this class", the most probable one, is worth.
        screenings: the question with two answers, one for each fold; empty where none was asked.
        screened: what its answers are worth.
        costs: what decisions of least expected cost save.
        abundance: shares of the classes, from the predictions alone.
        true_shares: (K,) what they really are.
        predict: how the model predicts.
        folder: where the files are.
    """

    path: Path
    card: Card
    part: str
    n: int
    groups: int | None
    per_class: dict[str, ScreeningFigures]
    screenings: list[Screening]
    screened: ScreeningFigures | None
    costs: CostFigures | None
    abundance: Abundance
    true_shares: list[float]
    predict: Predict
    folder: Path

    def as_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready."""
        document: dict[str, Any] = {
            "model": str(self.path),
            "part": self.part,
            "synthetic": self.card.synthetic,
            "n": self.n,
            "groups": self.groups,
            **self.predict.told(),
            "per_class": {name: figures.as_dict() for name, figures in self.per_class.items()},
            "abundance": {**self.abundance.as_dict(), "true": self.true_shares},
        }
        if self.screened is not None:
            fitted = [screening.as_dict() for screening in self.screenings]
            document["screening"] = {"thresholds": fitted, **self.screened.as_dict()}
        if self.costs is not None:
            document["costs"] = self.costs.as_dict()
        return document


def decide_by(
    path: Path,
    question: Question,
    shelf: Shelf,
    *,
    root: Path | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda text: None,
) -> Decisions:
    """Fit decisions on the validation part, and tell by the test part, or by what each fold held out.

    Thresholds and temperatures are fitted for each fold on its own validation part. Files are written into
    ``evaluation/<part>/``; with a screening or costs, each run keeps how it decides.

    Raises:
        RunError: a run is damaged or has no validation part.
        InputError: an unknown class, a share that is none, a table of costs that does not fit.
    """
    folds = open_folds(path) if holds_folds(path) else None
    runs = folds.runs() if folds else [open_run(path)]
    classes, part = runs[0].classes, held_out_part(runs) if folds else "test"
    costs = read_costs(question.costs, classes) if question.costs else None
    _check(question, classes)
    _verify(runs, path)
    data = Data(shelf, root, [part, "validation"], device, say)
    pairs = [Pair(found["validation"], found[part]) for found in (data.scored(Model(run)) for run in runs)]
    unseen = joined([pair.unseen for pair in pairs], folds is not None and folds.repeats > 1)
    known = joined([pair.validation for pair in pairs], len(pairs) > 1)
    chosen = [_choose(question, costs, pair, classes) for pair in pairs]
    answers = _answers(chosen, pairs)
    abundance = estimate_abundance(
        unseen.predicted,
        known.labels,
        known.predicted,
        classes,
        groups=unseen.groups,
        known_groups=known.groups,
    )
    found = Decisions(
        path=path,
        card=runs[0].card,
        part=part,
        n=len(unseen.ids),
        groups=None if unseen.groups is None else len(np.unique(unseen.groups)),
        per_class={name: _one_class(unseen, name, question.prevalences.get(name)) for name in classes},
        screenings=[each.screening for each in chosen if each.screening is not None],
        screened=_screened(unseen, answers["positive"], question) if question.positive else None,
        costs=None if costs is None else _spent(chosen, pairs, unseen, costs),
        abundance=abundance,
        true_shares=(np.bincount(unseen.labels, minlength=len(classes)) / len(unseen.labels)).tolist(),
        predict=runs[0].recipe.predict,
        folder=path / "evaluation" / part,
    )
    files = {"decisions.json": to_json(found.as_dict()), "decisions.csv": _table(unseen, answers)}
    write(found.folder, files)
    if answers:
        for run, each in zip(runs, chosen, strict=True):
            save_decided(run, each)
    return found


def _check(question: Question, classes: Sequence[str]) -> None:
    """Refuse a question that does not fit the classes, before anything is computed."""
    for name, value in question.prevalences.items():
        if name not in classes:
            raise InputError(
                f"The prevalence is of {name!r}, which is none of the classes {', '.join(classes)}"
                f"{did_you_mean(name, list(classes))}."
            )
        if not 0 < value < 1:
            raise InputError(f"The prevalence of {name!r} is {value:g}: give a share between 0 and 1.")
    if question.positive:
        # With one sample of each class, to hear what is wrong with the question.
        fit_screening(
            np.eye(len(classes)), np.arange(len(classes)), classes, question.positive, question.sensitivity
        )
        missing = [name for name in question.positive if question.prevalences and name not in question.prevalences]
        if missing:
            raise InputError(
                f"There is a prevalence for some positive classes but none for {', '.join(map(repr, missing))}: "
                "give each its share, so that they add up to that of the positives."
            )


def _verify(runs: Sequence[Run], path: Path) -> None:
    for run in runs:
        run.verify()
        if not (run.split.parts == "validation").any():
            raise RunError(
                f"{path} has no validation part, on which decisions are fitted: fit it with split.validation "
                "above 0."
            )


def _one_class(scored: Scored, name: str, prevalence: float | None) -> ScreeningFigures:
    answers = scored.predicted == scored.classes.index(name)
    return evaluate_screening(answers, scored.labels, scored.classes, [name], prevalence, scored.groups)


def _choose(
    question: Question, costs: npt.NDArray[np.float64] | None, pair: Pair, classes: tuple[str, ...]
) -> Decided:
    known, screening = pair.validation, None
    if question.positive:
        given = known.probabilities, known.labels, classes, question.positive, question.sensitivity
        screening = fit_screening(*given, known.groups)
    temperature = 1.0 if costs is None else fit_temperature(known.probabilities, known.labels).temperature
    return Decided(classes, screening, costs, temperature)


def _answers(chosen: Sequence[Decided], pairs: Sequence[Pair]) -> dict[str, list[Any]]:
    """What was asked for, by name, of all unseen samples."""
    found = [each.decisions(pair.unseen.probabilities) for each, pair in zip(chosen, pairs, strict=True)]
    return {name: [answer for each in found for answer in each[name]] for name in found[0]}


def _screened(unseen: Scored, answers: Sequence[bool], question: Question) -> ScreeningFigures:
    prevalence = sum(question.prevalences[name] for name in question.positive) if question.prevalences else None
    given = unseen.labels, unseen.classes, question.positive, prevalence, unseen.groups
    return evaluate_screening(np.array(answers, dtype=bool), *given)


def _spent(
    chosen: Sequence[Decided], pairs: Sequence[Pair], unseen: Scored, costs: npt.NDArray[np.float64]
) -> CostFigures:
    calibrated = [each.calibrated(pair.unseen.probabilities) for each, pair in zip(chosen, pairs, strict=True)]
    return evaluate_costs(np.concatenate(calibrated), unseen.labels, costs, unseen.groups)


def _table(unseen: Scored, answers: Mapping[str, list[Any]]) -> str:
    classes = unseen.classes
    columns: dict[str, list[Any]] = {
        "id": unseen.ids.tolist(),
        "true": [classes[k] for k in unseen.labels],
        "predicted": [classes[k] for k in unseen.predicted],
        **{name: [cell(value) for value in values] for name, values in answers.items()},
    }
    return table_csv(list(columns), zip(*columns.values(), strict=True))
