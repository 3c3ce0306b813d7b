"""From a recipe to its figure of variants: everything between the user's words and the drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bioclass.card import Card
from bioclass.dataset import find_root, load_samples
from bioclass.errors import InputError, did_you_mean
from bioclass.preprocess import Plan, prepare
from bioclass.recipe import Recipe
from bioclass.report.display import display_of
from bioclass.report.grid import draw_variants
from bioclass.report.variants import Group, Shown, chosen_rows, step_groups, study_groups
from bioclass.samples import Samples
from bioclass.shelf import Shelf
from bioclass.split import split_samples

MOST_IMAGES = 40
MOST_VARIANTS = 6


@dataclass(frozen=True)
class Wanted:
    """What a user asks of a figure of variants; no ``classes`` are all, None the usual number of variants."""

    images: int = 3
    classes: tuple[str, ...] = ()
    variants: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.images <= MOST_IMAGES:
            raise InputError(f"--images wants a number of rows from 1 to {MOST_IMAGES}. Got {self.images}.")
        if self.variants is not None and not 1 <= self.variants <= MOST_VARIANTS:
            raise InputError(
                f"--variants wants a number of columns a step, from 1 to {MOST_VARIANTS}. Got {self.variants}."
            )


def figure_of_recipe(
    recipe: Recipe,
    folder: Path | None,
    shelf: Shelf,
    wanted: Wanted,
    out: Path,
    *,
    root: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> str:
    """Draw training images of a recipe's dataset beside their variants, and return the caption.

    They are those of the recipe's own steps: each alone, and the whole chain. A recipe without steps gets the
    2017 study's figure: centering, elastic deformation, translation and rotation, scaled to the size of its images.
    The recipe's seed draws which images are shown.

    Args:
        recipe: the recipe.
        folder: of the recipe's file, beside which its dataset may be.
        shelf: where cards and adapters are found.
        wanted: how much is to be shown.
        out: a PNG or SVG file, by its suffix.
        root: the folder of the data.
        say: told what is being done.

    Raises:
        InputError: an unknown class, data that cannot be used, or a step that these images cannot take.
    """
    card, known = shelf.find(recipe.dataset, folder)
    # Before the data is read.
    _classes(card, wanted.classes)
    place = find_root(card, root, recipe.root, known)
    say(f"Reading {card.name}")
    return draw_recipe(recipe, card, load_samples(card, place, shelf), wanted, out)


def draw_recipe(recipe: Recipe, card: Card, samples: Samples, wanted: Wanted, out: Path) -> str:
    """Draw training images of a dataset beside what a recipe makes of them, and return the caption.

    As :func:`figure_of_recipe`, for a dataset that was read already.
    """
    classes = _classes(card, wanted.classes)
    shown, names, plan = shown_images(recipe, card, samples, classes, wanted)
    groups, caption = _groups(recipe, plan, shown)
    display = display_of(list(shown.images), plan.input)
    caption = f"{card.title}: {card.images('training')} as they are, and after {caption}. {display.note}".rstrip()
    draw_variants(groups, names, display, out, caption)
    return caption


def _groups(recipe: Recipe, plan: Plan, shown: Shown) -> tuple[list[Group], str]:
    make = step_groups if recipe.augment.steps else study_groups
    return make(recipe.augment, plan, shown)


def shown_images(
    recipe: Recipe, card: Card, samples: Samples, classes: Sequence[int], wanted: Wanted
) -> tuple[Shown, list[str], Plan]:
    """Return training images of these classes, prepared, the title of each one's class, and the plan."""
    split = recipe.split
    if split.folds is not None and split.fold is None:
        # Of a cross-validation the first fold's.
        split = split.model_copy(update={"fold": 0})
    parts = split_samples(samples, split, card.class_names)
    train = np.flatnonzero(parts == "train")
    rows = train[chosen_rows(samples.labels[train], classes, wanted.images, recipe.seed)]
    images, plan = prepare(samples.take(rows), recipe.preprocess, card)
    # A fit does not read the files of the test part, and counts its images without them.
    places = np.cumsum(parts != "test") - 1 if isinstance(samples.images, list) else np.arange(len(parts))
    usual = 3 if recipe.augment.steps else 1
    shown = Shown(images, places[rows], recipe.seed, wanted.variants or usual)
    titles = [item.title or item.name for item in card.classes]
    return shown, [titles[label] for label in samples.labels[rows]], plan


def _classes(card: Card, wanted: Sequence[str]) -> list[int]:
    """The places of classes by name or title, in the order of the card."""
    names = {item.name: place for place, item in enumerate(card.classes)}
    known = {**{item.title: place for place, item in enumerate(card.classes) if item.title}, **names}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(
            f"--class {unknown[0]}: {card.name} has no such class{did_you_mean(unknown[0], known)} "
            f"Its classes are {', '.join(names)}."
        )
    return sorted({known[name] for name in wanted}) if wanted else list(range(len(names)))
