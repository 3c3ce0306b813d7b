"""``bioclass datasets``: list, show, get."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioclass.cli.common import Json, Paths, Root, print_json, say
from bioclass.cli.tables import print_table

if TYPE_CHECKING:
    from bioclass.card import Card
    from bioclass.samples import Samples

app = typer.Typer(help="The datasets in reach: shipped, installed, and in your own folders.", no_args_is_help=True)
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A dataset's name, the path of a card, or a folder of class folders.")
]


@app.command("list")
def list_datasets(path: Paths = None, as_json: Json = False) -> None:
    """List the datasets by name."""
    from bioclass.card import load_card
    from bioclass.errors import CardError
    from bioclass.shelf import Shelf

    cards = []
    for _, file in sorted(Shelf.of(path or ()).cards().items()):
        try:
            cards.append(load_card(file))
        except CardError as problem:
            say(f"bioclass: {problem}")
    if as_json:
        print_json([{"name": card.name, "title": card.title, "classes": list(card.class_names)} for card in cards])
        return
    rows = [[card.name, str(len(card.classes)), card.title] for card in cards]
    print_table("", ["name", "classes", "title"], rows, ["left", "right", "left"])


@app.command()
def show(name: Name, root: Root = None, path: Paths = None, as_json: Json = False) -> None:
    """Show a dataset's card, and how many images of each class there are where its files are."""
    from bioclass.dataset import find_root, load_samples, missing_files
    from bioclass.errors import DatasetError
    from bioclass.shelf import Shelf

    shelf = Shelf.of(path or ())
    card, itself = shelf.find(name)
    named = root or itself
    place = find_root(card, named)
    counts: dict[str, dict[str, int]] = {}
    problem = None
    try:
        counts = _counts(card, load_samples(card, place, shelf))
    except DatasetError as error:
        # Without the files the card is still worth reading; asked for a root, the problem is the answer.
        if named is not None or not (missing_files(card, place) or card.format or not place.is_dir()):
            raise
        problem = str(error)
    if as_json:
        print_json({"card": _facts(card), "root": str(place), "counts": counts, "problem": problem})
        return
    _print_card(card)
    if problem is not None:
        say(f"bioclass: {problem}")
        return
    found = {part for row in counts.values() for part in row}
    columns = [part for part in ("all", "train", "validation", "test") if part in found]
    rows = [[label, *(str(row.get(part, 0)) for part in columns)] for label, row in counts.items()]
    total = ["total", *(str(sum(row.get(part, 0) for row in counts.values())) for part in columns)]
    print()
    print_table(f"Images by class{f' in {place}' if card.format else ''}", ["class", *columns], [*rows, total])


@app.command()
def get(name: Name, root: Root = None, path: Paths = None, as_json: Json = False) -> None:
    """Download those of a dataset's files that are missing, and verify their content."""
    from bioclass.dataset import data_home, download
    from bioclass.shelf import Shelf

    card = Shelf.of(path or ()).card(name)
    place = root or data_home() / card.name
    done = download(card, place)
    if as_json:
        print_json({"dataset": card.name, "root": str(place), "downloaded": [str(file) for file in done]})
        return
    print(f"{card.name}: {len(done)} file(s) downloaded, all are in {place}")


def _counts(card: Card, samples: Samples) -> dict[str, dict[str, int]]:
    """The number of images by class and part; "all" where there is no official split."""
    parts = samples.parts.tolist() if samples.parts is not None else ["all"] * len(samples)
    found = Counter(zip(samples.labels.tolist(), parts, strict=True))
    counts: dict[str, dict[str, int]] = {name: {} for name in card.class_names}
    for (label, part), count in sorted(found.items()):
        counts[card.class_names[label]][part] = count
    return counts


def _facts(card: Card) -> dict[str, Any]:
    """What the card says, without the fields that it leaves out."""
    facts: dict[str, Any] = _filled(card.model_dump(mode="json", exclude_none=True))
    return facts


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = ((key, _filled(item)) for key, item in value.items())
        return {key: item for key, item in pairs if item not in ("", [], {})}
    return [_filled(item) for item in value] if isinstance(value, list) else value


def _print_card(card: Card) -> None:
    import tomli_w

    document = _facts(card)
    if not any(item.title for item in card.classes):
        document["classes"] = list(card.class_names)
    print(tomli_w.dumps(document), end="")
