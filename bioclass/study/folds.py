"""Cross-validation as cells: each fold is a run, and they are run like those of a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bioclass.dataset import find_root, load_samples
from bioclass.recipe import Recipe
from bioclass.run import Folds, create_folds, open_folds, refuse_existing_folds, refuse_other_recipe
from bioclass.shelf import Shelf
from bioclass.split import list_folds, split_samples
from bioclass.study.cells import Cell


def make_folds(
    recipe: Recipe,
    recipe_folder: Path,
    path: Path,
    root: Path | None,
    shelf: Shelf,
    say: Callable[[str], None] = lambda text: None,
) -> Folds:
    """Read the data, deal it out, and make the folder; a fold that cannot be is found before any is trained.

    Args:
        recipe: of all folds.
        recipe_folder: from which relative paths of datasets count.
        path: of the folder to make.
        root: the folder of the data, if it is named.
        shelf: where cards and adapters are found.
        say: told what is being done.

    Raises:
        RunError: the folder exists already, or cannot be written.
        DatasetError: the data is missing or unreadable, or cannot be dealt out.
        WeightsError: the weights that all folds start from cannot be had, or are of another network.
    """
    refuse_existing_folds(path)
    card, itself = shelf.find(recipe.dataset, recipe_folder)
    place = find_root(card, root, recipe.root, itself)
    say(f"Reading {card.name}")
    samples = load_samples(card, place, shelf)
    folds = list_folds(samples, recipe.split)
    for number in range(len(folds)):
        split_samples(samples, recipe.split.model_copy(update={"fold": number}), card.class_names)
    if recipe.network.weights is not None:
        from bioclass.fit.start import foresee  # with MXNet, which nothing else wants here

        say(foresee(recipe, recipe_folder, card, samples).words())
    return create_folds(path, recipe, folds, place)


def reopen_folds(recipe: Recipe, path: Path) -> Folds:
    """Open the folder to go on with it.

    Raises:
        RunError: it is no folder of folds, or damaged.
        RecipeError: it was started with another recipe, or other folds.
    """
    folds = open_folds(path)
    refuse_other_recipe(path, folds.recipe, recipe)
    return folds


def fold_cells(folds: Folds, recipe_folder: Path) -> list[Cell]:
    """Return the folds as cells of a pool that is their folder."""
    return [Cell(name, folds.recipe_of(number), recipe_folder) for number, name in enumerate(folds.names)]
