"""``bioclass check``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import Json, OneDevice, Paths, Root, print_json, say
from bioclass.cli.tables import Cell, print_table, print_text
from bioclass.errors import InputError

if TYPE_CHECKING:
    from bioclass.check import Checked
    from bioclass.report.suspects import Doubts
    from bioclass.shelf import Shelf

SHOWN = 5
"""Images that are listed for a finding; --json has all."""

SUSPECTS = 20
"""Suspects that are listed; the table and --json have all."""


def check(
    target: Annotated[
        str,
        typer.Argument(
            metavar="DATASET|MODEL",
            help="A dataset's name, the path of a card, or a folder of class folders; or a run folder or a folder "
            "of folds.",
        ),
    ],
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Check the split of this recipe instead of the default one.")
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option("--groups", metavar="FILE.csv", help="Write id, label and group; copies share a group."),
    ] = None,
    root: Root = None,
    device: OneDevice = "auto",
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with a dataset before anything is trained on it; exit status 1 if there are errors.

    Of a trained MODEL, say which labels are probably wrong, the most suspect first, judged by what its folds say of
    the images that each held out, or a single run of its validation part. A table and pictures go into MODEL/check.
    """
    from bioclass.shelf import Shelf

    shelf = Shelf.of(path or ())
    model = _is_model(target, shelf)
    for name, given, meant in (
        ("--recipe", recipe is not None, False),
        ("--groups", groups is not None, False),
        ("--device", device != "auto", True),
    ):
        if given and meant != model:
            kind, other = ("run or folds", "dataset") if model else ("dataset", "run or folds")
            raise InputError(f"{name} is for a {other}, and {target} is a {kind}: leave it out.")
    if model:
        _check_labels(Path(target), shelf, root, device, as_json)
    else:
        _check_dataset(target, shelf, root, recipe, groups, as_json)


def _is_model(target: str, shelf: Shelf) -> bool:
    """Whether a run or folds are meant; a dataset of that name goes before a folder."""
    from bioclass.run import holds_folds, holds_run

    return target not in shelf.cards() and (holds_folds(Path(target)) or holds_run(Path(target)))


def _check_dataset(
    dataset: str, shelf: Shelf, root: Path | None, recipe: str | None, groups: Path | None, as_json: bool
) -> None:
    from bioclass.check import check_dataset
    from bioclass.cli.progress import counter
    from bioclass.dataset import find_root
    from bioclass.files import write_atomic
    from bioclass.recipe import load_recipe

    card, itself = shelf.find(dataset)
    chosen = None if recipe is None else load_recipe(shelf.recipe(recipe))
    place = find_root(card, root, itself)
    say(f"Checking {card.name}" if card.format is None else f"Checking {card.name} in {place}")
    with counter() as advance:
        checked = check_dataset(card, place, shelf, chosen, advance)
    if groups is not None:
        write_atomic(groups, checked.groups_csv())
        say(f"Groups of {len(checked.samples)} images: {groups}")
    _print(checked, as_json)
    if checked.failed:
        raise typer.Exit(1)


def _print(checked: Checked, as_json: bool) -> None:
    n, findings = len(checked.samples), checked.findings
    if as_json:
        found = [asdict(each) for each in findings]
        print_json(
            {"dataset": checked.card.name, "synthetic": checked.card.synthetic, "images": n, "findings": found}
        )
        return
    for finding in findings:
        print_text(f"{finding.severity} [{finding.kind}] {finding.message}")
        print_text(f"  -> {finding.mend}")
        for item in finding.items[:SHOWN]:
            print(f"     {item}")
        if len(finding.items) > SHOWN:
            print(f"     and {len(finding.items) - SHOWN} more (--json lists all)")
        print()
    counts = {kind: sum(each.severity == kind for each in findings) for kind in ("error", "warning", "note")}
    words = ", ".join(f"{number} {kind}{'s' * (number != 1)}" for kind, number in counts.items())
    print(f"{checked.card.name}: {n} {checked.card.images()}, {len(checked.card.classes)} classes; {words}.")


def _check_labels(model: Path, shelf: Shelf, root: Path | None, device: str, as_json: bool) -> None:
    from bioclass.report.suspects import doubt_labels

    found = doubt_labels(model, shelf, root=root, device=device, say=say)
    if as_json:
        print_json(found.as_dict())
        return
    if found.suspects:
        rows: list[list[Cell]] = [
            [str(rank), each.id, each.given, each.likely, f"{each.margin:.2f}"]
            for rank, each in enumerate(found.suspects[:SUSPECTS], 1)
        ]
        columns: list[Cell] = ["", "image", "given", "likely", "margin"]
        print_table("Labels in doubt", columns, rows, ["right", "left", "left", "left", "right"])
        if len(found.suspects) > SUSPECTS:
            print_text(f"and {len(found.suspects) - SUSPECTS} more, in {found.files[0]}")
        print_text("margin: how much more probable the likely class is than the given one, from 0 to 1.")
    print_text(_judged(found))
    print(f"\nFiles: {found.files[0].parent}")


def _judged(found: Doubts) -> str:
    """How many labels are suspect, and which were judged at all."""
    judged = f"{len(found.suspects)} of {found.judged} {found.card.images()}"
    words = (
        f"{found.model}: {judged} have a label that is in doubt. The model gives {100 * found.agreed:.1f} % of the "
        "labels itself: the fewer, the more of these doubts are its own mistakes, and those of small margin first."
    )
    if found.part == "validation":
        return (
            f"{words} Only the validation part was judged, {found.judged} of {found.images} images: the folds of "
            "`bioclass fit --folds` judge all."
        )
    if found.judged < found.images:
        return f"{words} The official test part, {found.images - found.judged} images, was not looked at."
    return words
