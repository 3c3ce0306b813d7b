"""``bioclass explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import Json, OneDevice, Paths, Root, print_json, say
from bioclass.cli.predict import image_files
from bioclass.errors import InputError

if TYPE_CHECKING:
    from bioclass.explain.whole import Explained


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    images: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[IMAGES]", help="Image files, or folders of them, to explain the answers to."),
    ] = None,
    root: Root = None,
    part: Annotated[
        str | None,
        typer.Option("--part", help="train, validation or test; by default test, or what a fold held out."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder; by default RUN/explanation or RUN/explanation-images.")
    ] = None,
    device: OneDevice = "auto",
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Draw what a run's network has learned, and which places of images count for its answers.

    Filters and feature maps, what excites units, Grad-CAM and occlusion maps of images that it gets right and
    wrong, and how it arranges the images: figures, tables and explanation.json, which the run's report shows too.

    With IMAGES it draws the maps of these files alone, and needs no data.
    """
    from bioclass.devices import choose, contexts
    from bioclass.environment import available_cores, set_threads
    from bioclass.run import holds_folds, open_run
    from bioclass.shelf import Shelf

    if holds_folds(run):
        raise InputError(
            f"{run} holds folds, each with a network of its own: name one of its runs, as {run}/fold-0."
        )
    if images and (part is not None or root is not None):
        name = "--part" if part is not None else "--root"
        raise InputError(f"{name} is for the run's own data: leave it out, or leave the images out.")
    opened = open_run(run)
    name, _ = choose(device)
    set_threads(available_cores())
    from bioclass.explain.whole import explain_files, explain_run

    context = contexts(name)[0]
    if images:
        files, missing = image_files(images)
        for _, problem in missing:
            say(f"bioclass: {problem}")
        if not files:
            raise InputError("No image could be explained.")
        explained = explain_files(opened, context, files, out=out, say=say)
        for _, problem in explained.failed:
            say(f"bioclass: {problem}")
    else:
        explained = explain_run(opened, context, Shelf.of(path or ()), root=root, part=part, out=out, say=say)
    _print(explained, as_json)


def _print(explained: Explained, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(explained.folder), **explained.document})
        return
    for section in explained.document["sections"]:
        print(section["title"])
        for figure in section["figures"]:
            print(f"  {explained.folder / figure['file']}")
    for embedding in explained.document["embeddings"]:
        print(f"  {explained.folder / embedding['file']}")
