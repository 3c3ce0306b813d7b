"""Ensembles of a study's runs: members chosen by a protocol, combined once for every seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bioclass.ensemble import Method, combine, top_members
from bioclass.errors import RunError
from bioclass.seeds import Spread, difference, interval
from bioclass.seeds import pool as pool_rows
from bioclass.study.cells import Cell, Plan
from bioclass.study.compare import Finding, Scores, adjust, differs, share_images
from bioclass.study.model import EnsembleFigure, Ensembles, levels
from bioclass.study.pool import Pool, Predictions, Result

SINGLE = "best single"
"""The rule of an ensemble of one."""


@dataclass(frozen=True)
class Member:
    """A candidate: its level, and its mean accuracy over the seeds on the part that chooses."""

    level: str
    accuracy: float


@dataclass(frozen=True)
class Side:
    """One ensemble under one protocol."""

    scores: Scores
    finding: Finding | None
    differs: bool


@dataclass(frozen=True)
class EnsembleRow:
    """Ensembles of one column, size and rule under every protocol, and the paper's figure."""

    column: str
    size: int
    rule: str
    sides: dict[str, Side]
    paper: EnsembleFigure | None


@dataclass(frozen=True)
class EnsembleComparison:
    """A table of ensembles; ``members`` holds, by protocol and column, the candidates from the best on."""

    item: Ensembles
    rows: list[EnsembleRow]
    members: dict[tuple[str, str], list[Member]]
    gaps: list[str]
    spread: dict[str, Spread]
    images: int
    grouped: bool
    results: list[Result]


Key = tuple[str, int, str]  # column, size, rule


@dataclass(frozen=True)
class _Votes:
    """By key, the correct answers (k, N) of an ensemble for every seed."""

    seeds: tuple[int, ...]
    correct: dict[Key, npt.NDArray[np.bool_]]
    first: Predictions


def compare_ensembles(plan: Plan, pool: Pool, item: Ensembles) -> EnsembleComparison:
    """Return the figures of a table of ensembles from the runs that are finished.

    Raises:
        RunError: a run is damaged, or the members of an ensemble were tested on different images.
    """
    return _Builder(plan, pool, item).build()


class _Builder:
    def __init__(self, plan: Plan, pool: Pool, item: Ensembles) -> None:
        self.plan = plan
        self.pool = pool
        self.item = item
        self.members: dict[tuple[str, str], list[Member]] = {}
        self.gaps: list[str] = []
        self.results: dict[str, Result] = {}

    def build(self) -> EnsembleComparison:
        sides: dict[Key, dict[str, Side]] = {}
        spreads = {}
        first: Predictions | None = None
        for name in self.item.protocols:
            votes = [vote for column in self._columns() if (vote := self._votes(name, column)) is not None]
            if not votes:
                continue
            first = votes[0].first
            spreads[name], found = self._sides(votes)
            for key, side in found.items():
                sides.setdefault(key, {})[name] = side
        rows = [self._row(key, sides[key]) for key in self._keys() if key in sides]
        images = 0 if first is None else len(first.ids)
        grouped = first is not None and first.groups is not None
        results = list(self.results.values())
        return EnsembleComparison(self.item, rows, self.members, self.gaps, spreads, images, grouped, results)

    def _columns(self) -> tuple[str, ...]:
        return levels(self.plan.study, self.item.where, self.item.columns)

    def _keys(self) -> list[Key]:
        return [key for column in self._columns() for key in self._keys_of(column)]

    def _keys_of(self, column: str) -> list[Key]:
        several = [(column, size, rule) for size in self.item.sizes for rule in self.item.rules]
        return [(column, 1, SINGLE), *several]

    def _row(self, key: Key, sides: dict[str, Side]) -> EnsembleRow:
        column, size, rule = key
        return EnsembleRow(column, size, rule, sides, self._figure(key))

    def _figure(self, key: Key) -> EnsembleFigure | None:
        same = (figure for figure in self.item.paper if (figure.column, figure.size, figure.rule) == key)
        return next(same, None)

    def _cells(self, protocol: str, column: str) -> dict[str, dict[int, Cell]]:
        """The cells of a column by member and seed."""
        where = {**self.item.where, **self.item.protocols[protocol].where}
        names = levels(self.plan.study, where, self.item.members)
        places = {name: self.plan.at(where, {self.item.columns: column, self.item.members: name}) for name in names}
        return {
            name: {seed: self.plan.cells[place, seed] for seed in self.plan.seeds} for name, place in places.items()
        }

    def _votes(self, protocol: str, column: str) -> _Votes | None:
        """Choose the members, and let them vote for every seed that each of them has."""
        cells = self._cells(protocol, column)
        part = self.item.protocols[protocol].choose
        figures: dict[str, dict[int, float]] = {}
        for name, by_seed in cells.items():
            for seed, cell in by_seed.items():
                result = self.pool.result(cell)
                if result is not None:
                    self.results[cell.name] = result
                    figures.setdefault(name, {})[seed] = result.accuracy(part)
        missing = sum(len(by_seed) for by_seed in cells.values()) - sum(len(found) for found in figures.values())
        if missing:
            self.gaps.append(f"{column}, {protocol} protocol: {missing} runs are missing")
        largest = max(self.item.sizes)
        if len(figures) < largest:
            return None
        candidates = [Member(name, float(np.mean(list(found.values())))) for name, found in figures.items()]
        order = top_members([member.accuracy for member in candidates], len(candidates))
        ranked = self.members[protocol, column] = [candidates[i] for i in order]
        chosen = [member.level for member in ranked[:largest]]
        seeds = tuple(seed for seed in self.plan.seeds if all(seed in figures[name] for name in chosen))
        if not seeds:
            return None
        return self._combine(column, chosen, cells, seeds)

    def _combine(
        self, column: str, chosen: list[str], cells: Mapping[str, Mapping[int, Cell]], seeds: tuple[int, ...]
    ) -> _Votes:
        correct: dict[Key, list[npt.NDArray[np.bool_]]] = {key: [] for key in self._keys_of(column)}
        first: Predictions | None = None
        for seed in seeds:
            members = [self.pool.predictions(cells[name][seed], "test") for name in chosen]
            first = first or members[0]
            for name, member in zip(chosen, members, strict=True):
                if not share_images(first, member):
                    raise RunError(
                        f"{self.pool.path(cells[name][seed])} was tested on other images than the other members of "
                        f"{self.item.name}: they cannot vote together."
                    )
            probabilities = np.stack([member.probabilities for member in members])
            for key, answers in correct.items():
                answers.append(_vote(probabilities, key) == first.labels)
        assert first is not None
        return _Votes(seeds, {key: np.stack(answers) for key, answers in correct.items()}, first)

    def _sides(self, votes: list[_Votes]) -> tuple[Spread, dict[Key, Side]]:
        every = [correct for vote in votes for correct in vote.correct.values()]
        # The rows of a column share their members' runs, so together they count as one.
        spread = pool_rows(every, len(votes))
        differences = {}
        for vote in votes:
            for key, correct in vote.correct.items():
                if key[2] != SINGLE:
                    single = vote.correct[key[0], 1, SINGLE]
                    differences[key] = difference(correct, single, spread, vote.first.groups)
        findings = adjust(differences)
        publication = self.plan.study.publication
        sides = {}
        for vote in votes:
            for key, correct in vote.correct.items():
                limits = interval(correct, spread, vote.first.groups)
                scores = Scores(vote.seeds, tuple(correct.mean(axis=1).tolist()), *limits)
                figure = self._figure(key)
                far = (
                    figure is not None
                    and publication is not None
                    and differs(scores, figure.accuracy / 100, publication.images)
                )
                sides[key] = Side(scores, findings.get(key), far)
        return spread, sides


def _vote(probabilities: npt.NDArray[np.float64], key: Key) -> npt.NDArray[np.int64]:
    """The classes (N,) that the first members of (M, N, K), as many as the key says, decide for."""
    _, size, rule = key
    if rule == SINGLE:
        chosen: npt.NDArray[np.int64] = probabilities[0].argmax(axis=1)
        return chosen
    method: Method = rule  # type: ignore[assignment]
    return combine(probabilities[:size], method).predicted
