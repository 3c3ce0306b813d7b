"""From finished runs to a table's figures: a row for every level, over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bioclass.errors import RunError
from bioclass.seeds import Difference, Spread, difference, interval, wilson
from bioclass.seeds import pool as pool_rows
from bioclass.significance import holm
from bioclass.study.cells import Cell, Plan, table_rows
from bioclass.study.model import Figure, Table
from bioclass.study.pool import Pool, Predictions, Result

ALPHA = 0.05
K = TypeVar("K")


@dataclass(frozen=True)
class Scores:
    """What seeds reached in one row: their accuracies, the mean and its 95 % limits, all shares of one."""

    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    low: float
    high: float

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.accuracies))


@dataclass(frozen=True)
class Finding:
    """The difference to a baseline, its p-value, and that adjusted by Holm's method over the table."""

    value: float
    p: float
    p_holm: float

    @property
    def word(self) -> str:
        """What it comes to."""
        if self.p_holm > ALPHA:
            return "noise"
        return "better" if self.value > 0 else "worse"


@dataclass(frozen=True)
class Row:
    """One row: its levels, its scores (None where no run is finished), and what they are set beside."""

    levels: tuple[str, ...]
    scores: Scores | None
    seconds: float | None
    rank: int | None
    finding: Finding | None
    paper: Figure | None
    differs: bool
    """Whether ours and the paper's average lie outside each other's intervals."""


@dataclass(frozen=True)
class Comparison:
    """A table with its figures."""

    table: Table
    rows: list[Row]
    spread: Spread
    images: int
    grouped: bool
    results: list[Result]


def compare_table(plan: Plan, pool: Pool, table: Table) -> Comparison:
    """Return the figures of a table from the runs that are finished.

    Raises:
        RunError: a run is damaged.
    """
    rows = table_rows(plan.study, table)
    found = [_read(plan, pool, table, row) for row in rows]
    answers = {row: _correct(item.predictions) for row, item in zip(rows, found, strict=True) if item.predictions}
    spread = pool_rows(list(answers.values()))
    findings = _findings(table, rows, found, answers, spread)
    ranks = _ranks(answers, table.top)
    figures = {((item.row,) if isinstance(item.row, str) else item.row): item for item in table.paper}
    size = plan.study.publication.images if plan.study.publication is not None else 0
    out = []
    for row, item in zip(rows, found, strict=True):
        scores = None
        if row in answers:
            limits = interval(answers[row], spread, item.predictions[0].groups)
            scores = Scores(item.seeds, tuple(answers[row].mean(axis=1).tolist()), *limits)
        paper = figures.get(row)
        out.append(
            Row(
                row,
                scores,
                float(np.mean([result.seconds for result in item.results])) if item.results else None,
                ranks.get(row),
                findings.get(row),
                paper,
                paper is not None and differs(scores, paper.average / 100, size),
            )
        )
    first = next((item.predictions[0] for item in found if item.predictions), None)
    images = 0 if first is None else len(first.ids)
    grouped = first is not None and first.groups is not None
    return Comparison(table, out, spread, images, grouped, [result for item in found for result in item.results])


def differs(scores: Scores | None, published: float, images: int) -> bool:
    """Return whether our mean lies outside the Wilson interval of a published share, and that outside ours."""
    if scores is None:
        return False
    low, high = wilson(published, images)
    return not low <= scores.mean <= high and not scores.low <= published <= scores.high


def share_images(a: Predictions, b: Predictions) -> bool:
    """Return whether two runs were tested on the same images."""
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.labels, b.labels)


def adjust(differences: dict[K, Difference]) -> dict[K, Finding]:
    """Return the findings of a table from its differences."""
    adjusted = holm([item.p for item in differences.values()])
    return {
        key: Finding(item.value, item.p, float(p))
        for (key, item), p in zip(differences.items(), adjusted, strict=True)
    }


@dataclass(frozen=True)
class _Read:
    seeds: tuple[int, ...]
    results: list[Result]
    predictions: list[Predictions]


def _read(plan: Plan, pool: Pool, table: Table, row: tuple[str, ...]) -> _Read:
    place = plan.at(table.where, dict(zip(table.rows, row, strict=True)))
    return read_seeds(pool, {seed: plan.cells[place, seed] for seed in plan.seeds}, "test")


def read_seeds(pool: Pool, cells: dict[int, Cell], part: str) -> _Read:
    """Return results and predictions of the seeds that are finished.

    Raises:
        RunError: a run is damaged, or seeds were tested on different images.
    """
    results = {seed: result for seed, cell in cells.items() if (result := pool.result(cell)) is not None}
    predictions = [pool.predictions(cells[seed], part) for seed in results]
    for seed, other in zip(results, predictions, strict=True):
        if not share_images(predictions[0], other):
            raise RunError(
                f"{results[seed].path} was tested on other images than {next(iter(results.values())).path}: "
                "seeds are to share their split. Move one of them away, and it is made again."
            )
    return _Read(tuple(results), list(results.values()), predictions)


def _correct(predictions: Sequence[Predictions]) -> npt.NDArray[np.bool_]:
    return np.stack([item.correct for item in predictions])


def _findings(
    table: Table,
    rows: list[tuple[str, ...]],
    found: list[_Read],
    answers: dict[tuple[str, ...], npt.NDArray[np.bool_]],
    spread: Spread,
) -> dict[tuple[str, ...], Finding]:
    first = {row: item.predictions[0] for row, item in zip(rows, found, strict=True) if item.predictions}
    differences = {}
    for row in rows if table.baseline else ():
        base = tuple(table.baseline.get(axis, level) for axis, level in zip(table.rows, row, strict=True))
        # Only on the same images can two rows be compared one by one.
        if row != base and row in first and base in first and share_images(first[row], first[base]):
            differences[row] = difference(answers[row], answers[base], spread, first[row].groups)
    return adjust(differences)


def _ranks(answers: dict[tuple[str, ...], npt.NDArray[np.bool_]], top: int) -> dict[tuple[str, ...], int]:
    best = sorted(answers, key=lambda row: -answers[row].mean())
    return {row: rank for rank, row in enumerate(best[:top], 1)}
