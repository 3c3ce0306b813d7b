"""Find data and weights before anything runs; refuse what is missing, or is not what finished runs were made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from bioclass.card import Card
from bioclass.dataset import find_root, load_samples
from bioclass.errors import InputError, RunError, WeightsError
from bioclass.files import read_sealed, read_verified
from bioclass.recipe import Recipe
from bioclass.shelf import Shelf
from bioclass.study.cells import Cell
from bioclass.study.pool import Pool


def find_data(cells: Sequence[Cell], pool: Pool, shelf: Shelf, root: Path | None) -> dict[str, Path | None]:
    """Return the folder of each cell's data, by the cell's name; None where it needs none.

    Every dataset that a missing cell needs is read once, and that of the others is to lie where it did.

    A cell is known by its recipe, which names the data and does not hold it. Data is taken to be the same if it
    lies where it lay, if the card has the digests of its files, or if it has been moved: the place where it lay
    is there no more.

    Raises:
        InputError: the data is missing or unreadable, or a run was made of data elsewhere.
    """
    known: dict[tuple[str, Path, str | None], tuple[Card, Path]] = {}
    read = set()
    found: dict[str, Path | None] = {}
    for cell in cells:
        key = cell.recipe.dataset, cell.folder, cell.recipe.root
        if key not in known:
            card, itself = shelf.find(cell.recipe.dataset, cell.folder)
            known[key] = card, find_root(card, root, cell.recipe.root, itself).resolve()
        card, place = known[key]
        found[cell.name] = place if place.is_dir() else None
        state = pool.state(cell)
        if state != "finished" and (card.name, place) not in read:
            load_samples(card, place, shelf)
            read.add((card.name, place))
        if state != "missing" and not (card.files and all(file.sha256 for file in card.files)):
            _refuse_moved(pool.path(cell), place)
    return found


def find_weights(wanted: Iterable[tuple[Recipe, Path]]) -> None:
    """Read, or download, what recipes start from; a relative path counts from the folder beside each.

    Raises:
        WeightsError: some weights cannot be had; it says of each why.
    """
    named = dict.fromkeys((recipe.network, folder) for recipe, folder in wanted if recipe.network.weights)
    if not named:
        return
    from bioclass.fit.weights import load_weights

    problems = []
    for network, folder in named:
        try:
            _ = load_weights(network, folder).tensors
        except InputError as problem:
            problems.append(str(problem))
    if problems:
        raise WeightsError("\n".join(dict.fromkeys(problems)))


def _refuse_moved(run: Path, place: Path) -> None:
    files = read_sealed(run / "manifest.json")["files"]
    before = json.loads(read_verified(run / "environment.json", files["environment.json"]))["root"]
    if Path(before) != place and Path(before).is_dir():
        raise RunError(
            f"The run {run} was made of the data in {before}, and the study now names {place}: "
            "give --root as before, or another folder of runs with --runs."
        )
