"""How long a study will take: from its finished cells, and from the pace of those that run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import mean

from bioclass.study.cells import Cell
from bioclass.study.pool import Pool, Tick

SURE = 0.02
"""The share of a run from which its pace tells something."""


class Forecast:
    """What is known of the time that cells take."""

    def __init__(self, cells: Sequence[Cell], pool: Pool) -> None:
        self._pool = pool
        self._known: dict[str, list[float]] = {}
        for cell in cells:
            if pool.state(cell) == "finished":
                self.finished(cell)

    def finished(self, cell: Cell) -> None:
        """Learn how long a cell took."""
        result = self._pool.result(cell)
        if result is not None:
            self._known.setdefault(_kind(cell), []).append(result.seconds)

    def seconds(
        self, running: Sequence[Cell], queued: Sequence[Cell], ticks: Mapping[str, Tick], jobs: int
    ) -> float | None:
        """Return the seconds that are left, None where nothing is known yet.

        A cell takes as long as those of its kind; where there is none yet, as long as the others on average.
        """
        known = {kind: list(values) for kind, values in self._known.items()}
        rest: dict[str, float] = {}
        for cell in running:
            tick = ticks.get(cell.name)
            if tick is not None and tick.iteration > SURE * tick.total:
                whole = tick.seconds * tick.total / tick.iteration
                known.setdefault(_kind(cell), []).append(whole)
                rest[cell.name] = whole - tick.seconds
        if not known:
            return None
        typical = mean(mean(values) for values in known.values())
        means = {kind: mean(values) for kind, values in known.items()}
        total = sum(rest.get(cell.name, means.get(_kind(cell), typical)) for cell in (*running, *queued))
        at_once = max(1, min(jobs, len(running) + len(queued)))
        longest = max((rest.get(cell.name, 0.0) for cell in running), default=0.0)
        return max(total / at_once, longest)


def _kind(cell: Cell) -> str:
    """Cells that take about as long: one network, one input, one training."""
    recipe = cell.recipe
    variants = recipe.augment.variants if recipe.fit.epochs is not None else 1
    parts = [recipe.dataset, recipe.network, recipe.fit, recipe.preprocess, bool(recipe.augment.steps), variants]
    return json.dumps([part if isinstance(part, str | int) else part.model_dump(mode="json") for part in parts])
