"""``bioclass datasets``: list, show, get."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioclass.cli.common import Json, Paths, Root, as_figures, print_json, say
from bioclass.cli.tables import print_table, print_text

if TYPE_CHECKING:
    from bioclass.card import Card
    from bioclass.recipe import Recipe
    from bioclass.report.data.whole import Pictured
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
def show(
    name: Name,
    root: Root = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="Draw what the steps of this recipe make of training images, too."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder of the pictures; by default NAME-pictures.")
    ] = None,
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Show a dataset's card, and how many images of each class there are where its files are.

    A folder, and a dataset with --root, --recipe or --out, is also drawn: images of each class, how sizes and
    values are spread, the groups. Of a large one a part is looked at. What is striking is said; `bioclass check`
    finds more.
    """
    from bioclass.dataset import find_root, load_samples, missing_files
    from bioclass.errors import DatasetError
    from bioclass.recipe import load_recipe
    from bioclass.shelf import Shelf

    shelf = Shelf.of(path or ())
    card, itself = shelf.find(name)
    chosen = None if recipe is None else load_recipe(shelf.recipe(recipe))
    drawn = any(each is not None for each in (root, itself, chosen, out))
    folder = out or Path(f"{card.name}-pictures")
    if drawn:
        from bioclass.report.data.whole import check_folder

        check_folder(folder)
    place = find_root(card, root, itself)
    samples, problem = None, None
    try:
        samples = load_samples(card, place, shelf)
    except DatasetError as error:
        # Without the files the card is still worth reading; where they are named, the problem is the answer.
        if drawn or not (missing_files(card, place) or card.format or not place.is_dir()):
            raise
        problem = str(error)
    counts = {} if samples is None else _counts(card, samples)
    pictured = _draw(card, samples, folder, chosen) if drawn and samples is not None else None
    if as_json:
        pictures = None if pictured is None else {**pictured.as_dict(), "figures": as_figures(pictured.captions)}
        facts = {"card": _facts(card), "root": str(place), "counts": counts, "problem": problem}
        print_json({**facts, "pictures": pictures})
        return
    _print_card(card)
    if problem is not None:
        say(f"bioclass: {problem}")
        return
    print()
    _print_counts(f"Images by class{f' in {place}' if card.format else ''}", counts, pictured)
    if pictured is not None:
        _print_pictured(pictured)


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


def _draw(card: Card, samples: Samples, folder: Path, recipe: Recipe | None) -> Pictured:
    from bioclass.cli.progress import counter
    from bioclass.report.data.whole import picture_dataset

    say(f"Drawing {card.name} into {folder}")
    with counter() as advance:
        return picture_dataset(card, samples, folder, recipe, advance)


def _print_counts(title: str, counts: dict[str, dict[str, int]], pictured: Pictured | None) -> None:
    """The images of each class by part, and how many groups they lie in."""
    found = {part for row in counts.values() for part in row}
    columns: list[str] = [part for part in ("all", "train", "validation", "test") if part in found]
    rows = [[label, *(f"{row.get(part, 0)}" for part in columns)] for label, row in counts.items()]
    rows.append(["total", *(str(sum(row.get(part, 0) for row in counts.values())) for part in columns)])
    structure = None if pictured is None else pictured.structure
    if structure is not None:
        columns.append(f"{structure.what}s")
        for row, groups in zip(rows, [*structure.of_class, len(structure.images)], strict=True):
            row.append(str(groups))
    print_table(title, ["class", *columns], rows)


def _print_pictured(pictured: Pictured) -> None:
    print()
    print_text(f"Looked at {pictured.looked}: {pictured.kind}.")
    if pictured.structure is not None:
        print_text(pictured.structure.sentence())
    for sentence in pictured.striking:
        print_text(f"- {sentence}")
    rows = [[file.name, caption] for file, caption in pictured.captions.items()]
    print()
    print_table(f"Pictures in {pictured.folder}", ["file", "shows"], rows, ["left", "left"])


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
