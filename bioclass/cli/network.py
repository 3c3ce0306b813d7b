"""``bioclass network``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import Json, Paths, Settings, print_json
from bioclass.cli.tables import print_table

if TYPE_CHECKING:
    from bioclass.recipe import Recipe


def network(
    name: Annotated[str, typer.Argument(metavar="RECIPE|RUN", help="A recipe's name or file, or a run folder.")],
    shape: Annotated[
        str | None,
        typer.Option("--input", metavar="H,W,C", help="Input size, where card and recipe leave it open."),
    ] = None,
    settings: Settings = None,
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Print a network: its layers, output shapes, parameters and receptive fields."""
    from bioclass.errors import InputError
    from bioclass.recipe import load_recipe
    from bioclass.run import open_run
    from bioclass.shelf import Shelf

    if (Path(name) / "manifest.json").is_file():
        if settings:
            raise InputError(f"{name} is a run, whose recipe is fixed: leave --set out, or name a recipe.")
        run = open_run(Path(name))
        recipe: Recipe = run.recipe
        classes = len(run.classes)
        size: tuple[int, int] | None = run.plan.output_size
        channels: int | None = run.plan.channels
    else:
        shelf = Shelf.of(path or ())
        file = shelf.recipe(name)
        recipe = load_recipe(file, settings or ())
        card = shelf.card(recipe.dataset, file.parent)
        classes = len(card.classes)
        steps = recipe.preprocess
        size = steps.center.size if steps.center else steps.size or card.size
        channels = card.channels
    height, width, depth = _shape(shape, size, channels)
    _print(recipe, (depth, height, width), classes, as_json)


def _shape(text: str | None, size: tuple[int, int] | None, channels: int | None) -> tuple[int, int, int]:
    from bioclass.errors import InputError

    if text is not None:
        parts = text.split(",")
        if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
            raise InputError(f"--input wants height,width,channels, for example 28,28,1. Got {text!r}.")
        return int(parts[0]), int(parts[1]), int(parts[2])
    if size is None or channels is None:
        raise InputError(
            "Neither card nor recipe says the size of the input: give it, for example --input 28,28,1."
        )
    return *size, channels


def _print(recipe: Recipe, shape: tuple[int, int, int], classes: int, as_json: bool) -> None:
    from bioclass.networks import build
    from bioclass.networks.describe import describe, total_parameters

    net = build(recipe.network, shape, classes)
    net.initialize()
    rows = describe(net, shape)
    total = total_parameters(net)
    if as_json:
        print_json({"network": recipe.network.name, "parameters": total, "layers": [row._asdict() for row in rows]})
        return
    table = [
        [
            row.name,
            row.kind,
            " x ".join(map(str, row.output_shape)),
            f"{row.parameters:,}",
            "all" if row.receptive_field is None else " x ".join(map(str, row.receptive_field)),
        ]
        for row in rows
    ]
    print_table(
        f"{recipe.network.name} on {shape[1]} x {shape[2]} x {shape[0]}, {classes} classes",
        ["layer", "kind", "output", "parameters", "sees (px)"],
        [*table, ["total", "", "", f"{total:,}", ""]],
    )
