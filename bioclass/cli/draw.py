"""``bioclass draw``: variants, errors, tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bioclass.cli.common import Json, OneDevice, Paths, Root, Settings, as_figures, print_json, say

app = typer.Typer(
    help="Figures of images, as PNG or SVG: what a recipe makes of them, which ones runs get wrong.",
    no_args_is_help=True,
)


@app.command()
def variants(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's name (see `recipes list`) or the path of its file.")
    ],
    images: Annotated[int, typer.Option("--images", help="Images, one a row, spread over the classes.")] = 3,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Only of this class; may be given several times."),
    ] = None,
    shown: Annotated[
        int | None,
        typer.Option("--variants", help="Variants shown of each step; by default 3, or 1 of the study's steps."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The file, PNG or SVG by its suffix.")] = Path("variants.png"),
    root: Root = None,
    settings: Settings = None,
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Draw training images beside what the recipe's steps make of them.

    A recipe without steps gets the 2017 study's figure: centering, elastic deformation, translation, rotation.
    The recipe's seed chooses the images: for others, --set seed=1.
    """
    from bioclass.recipe import load_recipe
    from bioclass.report.from_recipe import Wanted, figure_of_recipe
    from bioclass.report.sheet import check_target
    from bioclass.shelf import Shelf

    check_target(out)
    wanted = Wanted(images, tuple(classes or ()), shown)
    shelf = Shelf.of(path or ())
    file = shelf.recipe(recipe)
    loaded = load_recipe(file, settings or ())
    caption = figure_of_recipe(loaded, file.parent, shelf, wanted, out, root=root, say=say)
    if as_json:
        print_json({"figures": as_figures({out: caption})})
        return
    print(f"{out}\n{caption}")


@app.command()
def errors(
    ensembles: Annotated[
        list[str],
        typer.Option(
            "--ensemble",
            metavar="NAME=RUN,RUN...",
            help="A name and the run folders that vote, or one alone. A second ensemble's answers stand beside.",
        ),
    ],
    vote: Annotated[str, typer.Option("--vote", help="MV (most voted), MPS (probability sum) or MP.")] = "MV",
    both: Annotated[bool, typer.Option("--both", help="Only images that both ensembles get wrong.")] = False,
    part: Annotated[str, typer.Option("--part", help="train, validation or test.")] = "test",
    out: Annotated[
        Path, typer.Option("--out", help="The file, PNG or SVG by its suffix; a list goes beside it as CSV.")
    ] = Path("errors.png"),
    root: Root = None,
    device: OneDevice = "auto",
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Draw every test image that an ensemble gets wrong, with its true class and the answers.

    An asterisk marks what the second ensemble gets wrong too. What takes several pages goes into numbered files.

    Example: bioclass draw errors --ensemble Net=runs/a,runs/b,runs/c --ensemble DC=runs/d
    """
    from bioclass.report.from_runs import figure_of_errors, parse_ensemble
    from bioclass.report.sheet import check_target
    from bioclass.shelf import Shelf

    check_target(out)
    drawn = figure_of_errors(
        [parse_ensemble(text) for text in ensembles],
        Shelf.of(path or ()),
        out,
        vote=vote,
        both=both,
        part=part,
        root=root,
        device=device,
        say=say,
    )
    if as_json:
        figures = as_figures(dict.fromkeys(drawn.pages, drawn.caption))
        table = None if drawn.table is None else str(drawn.table)
        print_json({"images": drawn.count, "caption": drawn.caption, "figures": figures, "table": table})
        return
    for file in filter(None, (*drawn.pages, drawn.table)):
        print(file)
    print(drawn.caption if drawn.count else f"{drawn.caption} There is nothing to draw, and nothing was written.")


@app.command()
def tiles(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="The CSV file of `bioclass predict --tiles H --out TABLE`.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The file, PNG or SVG by its suffix; of several images they are numbered.")
    ] = Path("tiles.png"),
    as_json: Json = False,
) -> None:
    """Draw a map of the classes of each image that was predicted by tiles.

    Where tiles overlap, it shows the class of their mean.
    """
    from bioclass.report.sheet import check_target
    from bioclass.report.tiles import draw_tiles

    check_target(out)
    captions = draw_tiles(table, out)
    if as_json:
        print_json({"figures": as_figures(captions)})
        return
    for file in captions:
        print(file)
