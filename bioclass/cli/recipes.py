"""``bioclass recipes``: list, show, copy, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bioclass.cli.common import Json, Paths, print_json, say
from bioclass.cli.tables import print_table

app = typer.Typer(help="The recipes in reach: shipped, and in your own folders.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="A recipe's name, or the path of its file.")]


@app.command("list")
def list_recipes(path: Paths = None, as_json: Json = False) -> None:
    """List the recipes by name."""
    from bioclass.errors import RecipeError
    from bioclass.recipe import load_recipe
    from bioclass.shelf import Shelf

    found = []
    for name, file in sorted(Shelf.of(path or ()).recipes().items()):
        try:
            found.append((name, load_recipe(file)))
        except RecipeError as problem:
            say(f"bioclass: {problem}")
    if as_json:
        print_json([{"name": name, "title": recipe.title, "dataset": recipe.dataset} for name, recipe in found])
        return
    rows = [[name, recipe.dataset, recipe.network.name, recipe.title] for name, recipe in found]
    print_table("", ["name", "dataset", "network", "title"], rows, ["left"] * 4)


@app.command()
def show(
    name: Name,
    resolved: Annotated[bool, typer.Option("--resolved", help="Write out every default.")] = False,
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Print a recipe."""
    from bioclass.errors import RecipeError
    from bioclass.recipe import load_recipe
    from bioclass.shelf import Shelf
    from bioclass.validation import read_toml

    file = Shelf.of(path or ()).recipe(name)
    if as_json:
        print_json(
            load_recipe(file).model_dump(mode="json", exclude_none=True)
            if resolved
            else read_toml(file, RecipeError)
        )
        return
    print(load_recipe(file).to_toml() if resolved else file.read_text(encoding="utf-8"), end="")


@app.command()
def copy(
    name: Name,
    to: Annotated[Path, typer.Argument(metavar="TO", help="The new file; it must not exist.")],
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Copy a recipe to a file of your own, to change it there."""
    from bioclass.errors import InputError
    from bioclass.files import write_atomic
    from bioclass.shelf import Shelf

    file = Shelf.of(path or ()).recipe(name)
    if to.exists():
        raise InputError(f"{to} exists; name another file.")
    if not to.parent.is_dir():
        raise InputError(f"There is no folder {to.parent} for {to.name}.")
    write_atomic(to, file.read_bytes())
    if as_json:
        print_json({"recipe": str(to), "copy_of": str(file)})
        return
    print(f"Copied to {to}. Train it with: bioclass fit {to}")


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes: every key, its type, its default, what it means."""
    from bioclass.recipe import Recipe

    print(json.dumps(Recipe.model_json_schema(), indent=2))
