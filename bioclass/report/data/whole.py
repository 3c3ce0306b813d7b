"""From a dataset to a folder of pictures of it: everything between the user's words and the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bioclass.card import Card
from bioclass.errors import InputError
from bioclass.recipe import Recipe
from bioclass.report.curves import Drawing
from bioclass.report.data.chosen import Seen, choose, see
from bioclass.report.data.groups import Structure, group_drawing, structure_of
from bioclass.report.data.sheets import draw_sheets
from bioclass.report.data.spreads import size_spread, value_spread
from bioclass.report.data.striking import striking
from bioclass.report.from_recipe import Wanted, draw_recipe
from bioclass.samples import Samples

ROWS = 5
"""Images in the figure of a recipe's steps, at most; a class has one if there are not more classes."""

_KINDS = {1: "gray", 2: "gray with alpha", 3: "RGB", 4: "RGB with alpha"}


@dataclass(frozen=True)
class Pictured:
    """A dataset in pictures.

    Attributes:
        folder: of the files.
        captions: of each file.
        total: images that there are.
        seen: those that were looked at.
        structure: the groups, None where there are none.
        striking: sentences on what is worth a word.
    """

    folder: Path
    captions: dict[Path, str]
    total: int
    seen: Seen
    structure: Structure | None
    striking: list[str]

    @property
    def looked(self) -> str:
        """How many images were looked at."""
        n = len(self.seen.rows)
        return f"all {n:,} images" if n == self.total else f"{n:,} of {self.total:,} images"

    @property
    def kind(self) -> str:
        """What the images are, and their sizes as far as they were seen."""
        source, sizes = self.seen.source, self.seen.sizes
        bits = source.dtype if source.bit_depth is None else f"{source.bit_depth} bits"
        first = f"{_KINDS.get(source.channels, f'{source.channels} channels')}, {bits}"
        (low, narrow), (high, wide) = sizes.min(axis=0), sizes.max(axis=0)
        if len(sizes) == 1:
            return f"{first}, {low} x {narrow} pixels (height x width)"
        return f"{first}, {len(sizes)} sizes from {low} x {narrow} to {high} x {wide} pixels (height x width)"

    def as_dict(self) -> dict[str, Any]:
        """Return what was seen, JSON-ready, but for the figures."""
        return {
            "folder": str(self.folder),
            "looked_at": len(self.seen.rows),
            "channels": self.seen.source.channels,
            "dtype": self.seen.source.dtype,
            "bit_depth": self.seen.source.bit_depth,
            "sizes": self.seen.sizes.tolist(),
            "groups": None if self.structure is None else self.structure.as_dict(),
            "striking": self.striking,
        }


def picture_dataset(
    card: Card,
    samples: Samples,
    folder: Path,
    recipe: Recipe | None = None,
    seen: Callable[[str, int, int], None] = lambda doing, done, total: None,
) -> Pictured:
    """Draw sheets of each class, spreads of sizes and values, groups, and the steps of a recipe.

    Of many or large images a part is looked at, chosen by chance with a fixed seed and spread over the groups.

    Args:
        card: of the dataset.
        samples: all of it, ``checked``.
        folder: for the files; it is made.
        recipe: whose steps are drawn.
        seen: told what is being done, with how many images it is done, and how many there are.

    Raises:
        InputError: the folder cannot be made, no image can be read, or a step cannot be taken.
    """
    check_folder(folder)
    rows = choose(samples, len(card.classes))
    looked = see(samples, card, rows, lambda done: seen("reading", done, len(rows)))
    structure = structure_of(samples, card)
    folder.mkdir(exist_ok=True)
    captions = draw_sheets(samples, card, looked, folder)
    for drawing in _drawings(card, samples, looked, structure):
        drawing.save(folder / f"{drawing.name}.png")
        captions[folder / f"{drawing.name}.png"] = drawing.caption
    if recipe is not None:
        out = folder / "variants.png"
        captions[out] = draw_recipe(recipe, card, samples, Wanted(min(ROWS, max(3, len(card.classes)))), out)
    told = striking(samples, card, looked, structure)
    return Pictured(folder, captions, len(samples), looked, structure, told)


def check_folder(folder: Path) -> None:
    """Refuse, before any work is done, a folder that could not be made.

    Raises:
        InputError: it is a file, or the folder that it is to lie in is not there.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder} is a file; a folder for the pictures is wanted.")
    if not folder.parent.is_dir():
        raise InputError(f"--out {folder}: there is no folder {folder.parent}; make it first.")


def _drawings(card: Card, samples: Samples, seen: Seen, structure: Structure | None) -> list[Drawing]:
    labels = samples.labels[seen.rows]
    # A class without images has nothing to show.
    there = [number for number in range(len(card.classes)) if (labels == number).any()]
    names = [card.classes[number].title or card.classes[number].name for number in there]
    labels = np.searchsorted(there, labels)
    of = "all" if len(seen.rows) == len(samples) else f"{len(seen.rows):,} of"
    looked = f"{of} {len(samples):,} {card.images()} ({card.title})"
    drawings = [value_spread(seen, labels, names, looked)]
    if len(seen.sizes) > 1:
        drawings.insert(0, size_spread(seen, labels, names, looked))
    if structure is not None:
        drawings.append(group_drawing(structure, card.images()))
    return drawings
