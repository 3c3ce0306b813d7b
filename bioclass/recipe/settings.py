"""A recipe from its file and from ``key=value`` settings, with every mistake reported at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bioclass.errors import RecipeError
from bioclass.recipe.fit import Fit
from bioclass.recipe.whole import Recipe
from bioclass.validation import Strict, parse_toml_value, read_toml, validate


def load_recipe(path: Path, settings: Iterable[str] = ()) -> Recipe:
    """Read a recipe file and apply ``key=value`` settings to it; their order does not matter.

    Raises:
        RecipeError: with every mistake of the file and of the settings.
    """
    data = read_toml(path, RecipeError)
    settings = list(settings)
    keys = {_key(setting) for setting in settings}
    if {("fit", "epochs"), ("fit", "iterations")} <= keys:
        raise RecipeError("--set gives both fit.epochs and fit.iterations: give one of them.")
    # A whole table replaces its keys and a new name clears its table, so they go first.
    for setting in sorted(settings, key=lambda text: (len(_key(text)), _key(text)[-1] != "name")):
        apply_setting(data, setting)
    for place in _defaults():
        table: Any = data
        for key in place:
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict):
            _complete(table, place)
    return validate(Recipe, data, f"Recipe {path.name}", RecipeError)


def apply_setting(data: dict[str, Any], setting: str) -> None:
    """Set one dotted key, ``fit.epochs=3``, in a recipe's data.

    A new ``name`` for a network, optimizer or schedule drops the other one's keys, which would not fit it.

    Raises:
        RecipeError: it is not ``key=value``, or a key above it has a value that is no table.
    """
    parts = _key(setting)
    _, equals, text = setting.partition("=")
    if not equals or not all(parts):
        raise RecipeError(f"--set wants key=value, for example fit.epochs=3. Got {setting!r}.")
    table = data
    for depth, part in enumerate(parts[:-1], 1):
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            above = ".".join(parts[:depth])
            raise RecipeError(f"--set {setting}: {above} is a value, not a table, in this recipe. Got {inner!r}.")
        _complete(inner, parts[:depth])
        table = inner
    value = parse_toml_value(text.strip())
    if parts[-1] == "name" and parts[:-1] in _defaults() and table["name"] != value:
        table.clear()
    if parts == ("fit", "epochs"):
        table.pop("iterations", None)
    if parts == ("fit", "iterations"):
        table.pop("epochs", None)
    table[parts[-1]] = value


def _key(setting: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in setting.partition("=")[0].split("."))


def _defaults() -> dict[tuple[str, ...], Strict]:
    """The default of every table whose name chooses what it is."""
    return {
        ("network",): Recipe.model_fields["network"].default,
        ("fit", "optimizer"): Fit.model_fields["optimizer"].default,
        ("fit", "schedule"): Fit.model_fields["schedule"].default,
    }


def _complete(table: dict[str, Any], place: tuple[str, ...]) -> None:
    """Let ``fit.optimizer.lr`` stand without a name: it then changes the default optimizer, and only its lr."""
    default = _defaults().get(place)
    if default is not None and "name" not in table:
        table.update({**default.model_dump(mode="json"), **table})
