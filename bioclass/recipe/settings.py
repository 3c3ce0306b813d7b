"""A recipe from its file and from changes to it, with every mistake reported at once."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioclass.errors import RecipeError
from bioclass.recipe.backbones import BACKBONES, own_size
from bioclass.recipe.fit import Fit
from bioclass.recipe.transfer import Finetune
from bioclass.recipe.whole import Recipe
from bioclass.validation import Strict, parse_toml_value, read_toml, validate

LEFT_OUT = object()
"""In place of a value: the recipe is to be without the key."""


@dataclass(frozen=True)
class Change:
    """A new value for one key of a recipe, or ``LEFT_OUT``; ``said`` is how the user put it, for messages."""

    key: tuple[str, ...]
    value: Any
    said: str


def load_recipe(path: Path, settings: Iterable[str] = ()) -> Recipe:
    """Read a recipe file and apply ``key=value`` settings to it; their order does not matter.

    Raises:
        RecipeError: with every mistake of the file and of the settings.
    """
    data = read_toml(path, RecipeError)
    return resolve_recipe(data, [[parse_setting(text) for text in settings]], f"Recipe {path.name}")


def resolve_recipe(data: dict[str, Any], layers: Iterable[Sequence[Change]], source: str) -> Recipe:
    """Apply layers of changes to a recipe's data, the later over the earlier, and validate the result.

    Within a layer the order does not matter. A new ``name`` for a network, optimizer, schedule, loss or transfer
    drops the other one's keys, which would not fit it; a new length of the training drops the other. A backbone
    brings the size of its images, where none is given.

    Args:
        data: of a recipe, as TOML has it; it stays as it is.
        layers: the changes.
        source: what to call the result in messages.

    Raises:
        RecipeError: with every mistake.
    """
    data = copy.deepcopy(data)
    for layer in layers:
        given = {change.key: change.said for change in layer}
        if {("fit", "epochs"), ("fit", "iterations")} <= given.keys():
            who = given["fit", "epochs"].partition(" fit.epochs")[0]
            raise RecipeError(f"{who} gives both fit.epochs and fit.iterations: give one of them.")
        # A whole table replaces its keys and a new name clears its table, so they go first.
        for change in sorted(layer, key=lambda change: (len(change.key), change.key[-1] != "name")):
            _apply(data, change)
    for place in _defaults():
        table: Any = data
        for key in place:
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict):
            _complete(table, place)
    _own_size(data)
    return validate(Recipe, data, source, RecipeError)


def parse_setting(text: str) -> Change:
    """Return the change that ``fit.epochs=3`` asks for, its value written as in TOML; without one it leaves out.

    Raises:
        RecipeError: it is not ``key=value``.
    """
    left, equals, right = text.partition("=")
    key = tuple(part.strip() for part in left.split("."))
    if not equals or not all(key):
        raise RecipeError(f"--set wants key=value, for example fit.epochs=3. Got {text!r}.")
    return Change(key, parse_toml_value(right.strip()) if right.strip() else LEFT_OUT, f"--set {text}")


def changes_of(table: dict[str, Any], said: str, above: tuple[str, ...] = ()) -> list[Change]:
    """Return what a part of a recipe changes, key by key; an empty table asks for its defaults."""
    changes = []
    for name, value in table.items():
        key = (*above, name)
        if isinstance(value, dict) and value:
            changes += changes_of(value, said, key)
        else:
            changes.append(Change(key, value, f"{said} {'.'.join(key)}"))
    return changes


def _apply(data: dict[str, Any], change: Change) -> None:
    *above, last = change.key
    if change.value is LEFT_OUT:
        _leave_out(data, change)
        return
    table = data
    for depth, part in enumerate(above, 1):
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            value = ".".join(above[:depth])
            raise RecipeError(f"{change.said}: {value} is a value, not a table, in this recipe. Got {inner!r}.")
        _complete(inner, tuple(above[:depth]))
        table = inner
    if last == "name" and tuple(above) in _defaults() and table["name"] != change.value:
        table.clear()
    if change.key == ("fit", "epochs"):
        table.pop("iterations", None)
    if change.key == ("fit", "iterations"):
        table.pop("epochs", None)
    table[last] = change.value


def _leave_out(data: dict[str, Any], change: Change) -> None:
    *above, last = change.key
    table: Any = data
    for part in above:
        table = table.get(part) if isinstance(table, dict) else None
    if not isinstance(table, dict) or last not in table:
        raise RecipeError(f"{change.said}: the recipe has no {'.'.join(change.key)} that could be left out.")
    del table[last]


def _defaults() -> dict[tuple[str, ...], Strict]:
    """The default of every table whose name chooses what it is."""
    return {
        ("network",): Recipe.model_fields["network"].default,
        ("fit", "optimizer"): Fit.model_fields["optimizer"].default,
        ("fit", "schedule"): Fit.model_fields["schedule"].default,
        ("fit", "loss"): Fit.model_fields["loss"].default,
        ("fit", "transfer"): Finetune(),
    }


def _complete(table: dict[str, Any], place: tuple[str, ...]) -> None:
    """Let ``fit.optimizer.lr`` stand without a name: it then changes the default optimizer, and only its lr."""
    default = _defaults().get(place)
    if default is not None and "name" not in table:
        table.update({**default.model_dump(mode="json"), **table})


def _own_size(data: dict[str, Any]) -> None:
    """Write out the size of a backbone's images; ``center`` has a size of its own."""
    network = data.get("network")
    if not isinstance(network, dict) or network.get("name") not in BACKBONES:
        return
    steps = data.setdefault("preprocess", {})
    if isinstance(steps, dict) and steps.get("size") is None and steps.get("center") is None:
        steps["size"] = [own_size(network["name"])] * 2
