"""``bioclass check``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import Json, Paths, Root, print_json, say
from bioclass.cli.tables import print_text

if TYPE_CHECKING:
    from bioclass.check import Checked

SHOWN = 5
"""Images that are listed for a finding; --json has all."""


def check(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="A dataset's name, the path of a card, or a folder of class folders."
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
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with a dataset before anything is trained on it; exit status 1 if there are errors."""
    from bioclass.check import check_dataset
    from bioclass.dataset import find_root
    from bioclass.files import write_atomic
    from bioclass.recipe import load_recipe
    from bioclass.shelf import Shelf

    shelf = Shelf.of(path or ())
    card, itself = shelf.find(dataset)
    chosen = None if recipe is None else load_recipe(shelf.recipe(recipe))
    place = find_root(card, root, itself)
    say(f"Checking {card.name}" if card.format is None else f"Checking {card.name} in {place}")
    checked = check_dataset(card, place, shelf, chosen)
    if groups is not None:
        write_atomic(groups, checked.groups_csv())
        say(f"Groups of {len(checked.samples)} images: {groups}")
    _print(checked, as_json)
    if checked.failed:
        raise typer.Exit(1)


def _print(checked: Checked, as_json: bool) -> None:
    n, findings = len(checked.samples), checked.findings
    if as_json:
        print_json({"dataset": checked.card.name, "images": n, "findings": [asdict(each) for each in findings]})
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
    print(f"{checked.card.name}: {n} images, {len(checked.card.classes)} classes; {words}.")
