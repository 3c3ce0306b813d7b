"""How to predict: from which copies of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from bioclass.recipe.augment import Flip, Step, Turn
from bioclass.validation import Strict

Copy = tuple[bool, int]
"""Whether an image is mirrored left to right, and by how many quarters it is then turned counterclockwise."""

COPIES: dict[str, tuple[Copy, ...]] = {
    "none": ((False, 0),),
    "horizontal": ((False, 0), (True, 0)),
    "vertical": ((False, 0), (True, 2)),
    "flips": ((False, 0), (True, 0), (True, 2), (False, 2)),
    "turns": tuple((False, quarters) for quarters in range(4)),
    "dihedral": tuple((mirrored, quarters) for mirrored in (False, True) for quarters in range(4)),
}

_WANTED = {
    "none": set(),
    "horizontal": {"horizontal"},
    "vertical": {"vertical"},
    "flips": {"horizontal", "vertical"},
    "turns": {"turn"},
    "dihedral": {"horizontal", "vertical", "turn"},
}


class Predict(Strict):
    """How to predict.

    ``tta``, test-time augmentation, says over which copies of an image the probabilities are averaged: the image
    and its "horizontal" or "vertical" mirror image (2), both "flips" and both at once (4), the four "turns" by
    quarters, or the "dihedral" group of all of them (8). It takes as many times the computing. All that predicts
    with the weights of a run does so; validation during a fit, which chooses the epoch, takes images as they are.

    Training must make the same copies, by its steps "flip" and "turn": digits are not mirrored, nor fingerprints.
    """

    tta: Literal["none", "horizontal", "vertical", "flips", "turns", "dihedral"] = "none"

    @property
    def copies(self) -> tuple[Copy, ...]:
        """The copies of an image, the image itself first."""
        return COPIES[self.tta]

    def wanting(self, steps: Sequence[Step]) -> list[str]:
        """Return the steps that training lacks for these copies to be harmless, as a recipe writes them."""
        made: set[str] = {axis for step in steps if isinstance(step, Flip) for axis in step.axes}
        if any(isinstance(step, Turn) for step in steps):
            # Turned by a quarter, one mirror image is the other's.
            made = {"turn", *(("horizontal", "vertical") if made else ())}
        missing = _WANTED[self.tta] - made
        axes = ", ".join(f'"{axis}"' for axis in sorted(missing - {"turn"}))
        flip = [f'{{ name = "flip", axes = [{axes}] }}'] if axes else []
        return flip + (['{ name = "turn" }'] if "turn" in missing else [])

    def told(self) -> dict[str, Any]:
        """Return the copies by name and number, JSON-ready; nothing where an image is taken as it is."""
        return {} if self.tta == "none" else {"tta": {"name": self.tta, "copies": len(self.copies)}}

    def sentence(self) -> str:
        """Say that probabilities are means; nothing where an image is taken as it is."""
        if self.tta == "none":
            return ""
        return f'Probabilities are means over {len(self.copies)} copies of each image (predict.tta = "{self.tta}").'
