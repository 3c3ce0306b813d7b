"""A study's cells: every recipe that its tables need, resolved and validated before any of them runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from bioclass.errors import RecipeError, StudyError, did_you_mean
from bioclass.recipe import Change, Recipe, changes_of, parse_setting, resolve_recipe
from bioclass.shelf import Shelf
from bioclass.study.model import Study, Table, Where, levels, load_study
from bioclass.validation import read_toml

Levels = tuple[tuple[str, str], ...]
"""(axis, level) of every axis, in the order of the axes: one cell for every seed."""

SHOWN = 10
"""Mistakes of recipes that are told at once."""


@dataclass(frozen=True)
class Cell:
    """One run of a study; ``name`` is that of its folder, and follows from what the recipe chooses alone."""

    name: str
    recipe: Recipe
    folder: Path
    """Of the base recipe's file, from which relative paths of datasets count."""


@dataclass(frozen=True)
class Plan:
    """A study that is ready to run: the wanted comparisons and their cells, by levels and seed."""

    name: str
    study: Study
    settings: tuple[str, ...]
    cells: dict[tuple[Levels, int], Cell]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of every comparison."""
        return self.study.seeds

    def runs(self) -> list[Cell]:
        """Return every cell once, those of the first seed first."""
        ordered = sorted(self.cells.items(), key=lambda item: self.seeds.index(item[0][1]))
        return list({cell.name: cell for _, cell in ordered}.values())

    def at(self, where: Where, chosen: Mapping[str, str]) -> Levels:
        """Return the levels of a cell: those of ``chosen``, and of the other axes what ``where`` pins."""
        return _at(self.study, where, chosen)


def plan_study(
    file: Path,
    shelf: Shelf,
    *,
    only: Sequence[str] = (),
    seeds: Sequence[int] = (),
    settings: Sequence[str] = (),
) -> Plan:
    """Read a study and resolve the recipe of every cell.

    Args:
        file: the study's.
        shelf: where its base recipes are found.
        only: names of tables; all by default.
        seeds: instead of the study's own.
        settings: ``key=value``, applied to every cell over all else; ``network.weights`` to those that start from
            weights.

    Raises:
        StudyError: the study has mistakes, or a name in ``only`` is unknown.
        RecipeError: with every mistake of the cells' recipes.
    """
    study = load_study(file)
    for name in only:
        if name not in study.comparisons:
            hint = did_you_mean(name, study.comparisons) or f"; it has {', '.join(study.comparisons)}"
            raise StudyError(f"The study {file.stem} has no table {name!r}{hint}.")
    study = study.model_copy(
        update={
            "seeds": tuple(dict.fromkeys(seeds)) or study.seeds,
            "tables": tuple(table for table in study.tables if not only or table.name in only),
            "ensembles": tuple(item for item in study.ensembles if not only or item.name in only),
        }
    )
    changes = [parse_setting(text) for text in settings]
    if any(change.key == ("seed",) for change in changes):
        raise StudyError("--set seed: the seeds of a study are named with --seed.")
    resolver = _Resolver(study, file, shelf, changes)
    places = dict.fromkeys((*_table_places(study), *_ensemble_places(study)))
    cells = {(place, seed): resolver.cell(place, seed) for place in places for seed in study.seeds}
    resolver.refuse_mistakes()
    plan = Plan(file.stem, study, tuple(settings), {key: cell for key, cell in cells.items() if cell})
    _refuse_no_validation(plan)
    return plan


def table_rows(study: Study, table: Table) -> list[tuple[str, ...]]:
    """Return the rows of a table: a level of each of its axes."""
    return list(product(*(levels(study, table.where, axis) for axis in table.rows)))


def _table_places(study: Study) -> Iterator[Levels]:
    for table in study.tables:
        for row in table_rows(study, table):
            yield _at(study, table.where, dict(zip(table.rows, row, strict=True)))


def _ensemble_places(study: Study) -> Iterator[Levels]:
    for item in study.ensembles:
        for protocol in item.protocols.values():
            where = {**item.where, **protocol.where}
            for column in levels(study, where, item.columns):
                for member in levels(study, where, item.members):
                    yield _at(study, where, {item.columns: column, item.members: member})


def _at(study: Study, where: Where, chosen: Mapping[str, str]) -> Levels:
    return tuple((axis, chosen.get(axis, levels(study, where, axis)[0])) for axis in study.axes)


def _refuse_no_validation(plan: Plan) -> None:
    for item in plan.study.ensembles:
        for name, protocol in item.protocols.items():
            where = {**item.where, **protocol.where}
            for column, member in product(
                *(levels(plan.study, where, axis) for axis in (item.columns, item.members))
            ):
                place = _at(plan.study, where, {item.columns: column, item.members: member})
                recipe = plan.cells[place, plan.seeds[0]].recipe
                if protocol.choose == "validation" and recipe.split.validation == 0:
                    raise StudyError(
                        f"ensembles {item.name!r}: the protocol {name!r} chooses its members on the validation "
                        f"part, and with {_words(place)} there is none: set split.validation above 0, or choose = "
                        "'test'."
                    )


class _Resolver:
    """Recipes from levels; gathers the mistakes of all."""

    def __init__(self, study: Study, file: Path, shelf: Shelf, settings: list[Change]) -> None:
        self.study = study
        self.file = file
        self.shelf = shelf
        self.settings = settings
        self._bases: dict[str, tuple[Path, dict[str, Any]]] = {}
        self._mistakes: dict[str, list[str]] = {}

    def cell(self, place: Levels, seed: int) -> Cell | None:
        """Return a cell, or None if its recipe has mistakes."""
        changes = {axis: dict(self.study.axes[axis][level]) for axis, level in place}
        reference = [table.pop("recipe") for table in changes.values() if "recipe" in table]
        layers = [changes_of(changes[axis], f"axes.{axis}.{level}") for axis, level in place]
        seeds = [Change(("seed",), seed, f"seed {seed}")]
        try:
            file, data = self._base(reference[0] if reference else self.study.recipe)
            recipe = resolve_recipe(data, [*layers, self._settings(data, layers), seeds], "Recipe")
        except RecipeError as problem:
            head, *lines = str(problem).splitlines()
            for line in lines or [head]:
                self._mistakes.setdefault(line.removeprefix("  - "), []).append(_words(place))
            return None
        # The title of the base recipe tells of something else.
        recipe = recipe.model_copy(update={"title": _words(place)})
        return Cell(run_name(recipe), recipe, file.parent)

    def _settings(self, data: dict[str, Any], layers: list[list[Change]]) -> list[Change]:
        """The settings that are for a cell: those of its own network's weights, where it has some."""
        weights = ("network", "weights")
        network = data.get("network")
        there = isinstance(network, dict) and "weights" in network
        there = there or any(change.key == weights for layer in layers for change in layer)
        return [change for change in self.settings if change.key != weights or there]

    def refuse_mistakes(self) -> None:
        """Raise RecipeError if any cell has mistakes; one that many cells share is told once."""
        if not self._mistakes:
            return
        lines = []
        for line, places in self._mistakes.items():
            more = f", and {len(set(places)) - 1} more" if len(set(places)) > 1 else ""
            lines.append(f"  - {line} (with {places[0]}{more})")
        if len(lines) > SHOWN:
            lines[SHOWN:] = [f"  - and {len(lines) - SHOWN} more"]
        raise RecipeError("\n".join([f"The study {self.file.stem} makes recipes with mistakes:", *lines]))

    def _base(self, reference: str) -> tuple[Path, dict[str, Any]]:
        if reference not in self._bases:
            path = self.shelf.recipe(reference, self.file.parent)
            self._bases[reference] = path, read_toml(path, RecipeError)
        return self._bases[reference]


def run_name(recipe: Recipe) -> str:
    """Return the name of a recipe's run folder: readable, and different where the recipe chooses otherwise.

    Two studies that want the same recipe share its run, whatever they call it.
    """
    images: list[str] = [step.name for step in recipe.augment.steps]
    if images and recipe.augment.mode == "random":
        images.append("random")
    if recipe.preprocess.center is not None:
        images.append("centered")
    if recipe.augment.mix is not None:
        images.append(recipe.augment.mix.name)
    fit = recipe.fit
    weights = getattr(recipe.network, "weights", None)
    start = [] if weights is None else ["pretrained" if fit.transfer is None else fit.transfer.name]
    length = f"{fit.iterations}it" if fit.iterations is not None else f"{fit.epochs}ep"
    dataset = re.sub("[^A-Za-z0-9_]+", "-", Path(recipe.dataset).stem).strip("-") or "data"
    parts = [
        dataset,
        recipe.network.name,
        *start,
        length,
        *(images or ["original"]),
        f"seed{recipe.seed}",
        recipe.digest()[:10],
    ]
    return "-".join(parts)


def _words(place: Levels) -> str:
    return ", ".join(f"{axis} = {level!r}" for axis, level in place)
