"""``bioclass datasets``: list, show, get."""

from __future__ import annotations

from typing import Annotated

import typer

from bioclass.cli.common import Json, Paths, Root, print_json, print_table, say

app = typer.Typer(help="The datasets in reach: shipped, installed, and in your own folders.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A dataset's name, the path of a card, or a folder of class folders.")]


@app.command("list")
def list_datasets(path: Paths = None, as_json: Json = False) -> None:
    """List the datasets by name."""
    from bioclass.card import load_card
    from bioclass.shelf import Shelf

    cards = [load_card(file) for _, file in sorted(Shelf.of(path or ()).cards().items())]
    if as_json:
        print_json([{"name": card.name, "title": card.title, "classes": list(card.class_names)} for card in cards])
        return
    print_table(
        "", ["name", "classes", "title"], [[card.name, str(len(card.classes)), card.title] for card in cards]
    )


@app.command()
def show(name: Name, root: Root = None, path: Paths = None, as_json: Json = False) -> None:
    """Show a dataset's card, and how many images of each class there are where its files are."""
    from bioclass.dataset import find_root, load_samples, missing_files
    from bioclass.errors import DatasetError
    from bioclass.shelf import Shelf

    shelf = Shelf.of(path or ())
    card = shelf.card(name)
    place = find_root(card, root)
    counts: dict[str, dict[str, int]] = {}
    problem = None
    try:
        samples = load_samples(card, place, shelf)
        parts = samples.parts if samples.parts is not None else ["all"] * len(samples)
        for part, label in zip(parts, samples.labels, strict=True):
            row = counts.setdefault(card.class_names[label], {})
            row[str(part)] = row.get(str(part), 0) + 1
    except DatasetError as error:
        # Without the files the card is still worth reading; asked for a root, the problem is the answer.
        if root is not None or not (missing_files(card, place) or card.format):
            raise
        problem = str(error)
    if as_json:
        print_json({"card": card.model_dump(mode="json", exclude_none=True), "root": str(place), "counts": counts})
        return
    print(card.to_toml())
    if problem is not None:
        say(problem)
        return
    columns = sorted({part for row in counts.values() for part in row})
    rows = [[name, *(str(row.get(part, 0)) for part in columns)] for name, row in counts.items()]
    print_table(f"Images by class in {place}" if card.format else "Images by class", ["class", *columns], rows)


@app.command()
def get(name: Name, root: Root = None, path: Paths = None) -> None:
    """Download a dataset's files and verify their content."""
    from bioclass.dataset import data_home, download
    from bioclass.shelf import Shelf

    card = Shelf.of(path or ()).card(name)
    place = root or data_home() / card.name
    done = download(card, place)
    print(f"{card.name}: {len(done)} file(s) downloaded, all are in {place}")
