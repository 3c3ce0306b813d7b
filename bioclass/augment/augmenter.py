"""A recipe's steps, ready for batches of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.augment.dihedral import is_dihedral, reflected
from bioclass.augment.draws import Keys, keys
from bioclass.augment.geometric import GEOMETRIC, Choice, Stage, merged_map
from bioclass.augment.photometric import recoloured
from bioclass.errors import RecipeError
from bioclass.geometry import sample
from bioclass.preprocess import Plan, centred
from bioclass.recipe import Augment, Stain, Turn
from bioclass.storage import keep_memory

Array = npt.NDArray[Any]
Index = npt.NDArray[np.integer[Any]]

_PIXELS = 262_144
"""Output pixels that are worked on at a time, so that their maps (2 MB) stay in the processor's cache."""


class Augmenter:
    """Makes variants of stored images (B, H, W, C); what it returns is centred, where the plan says so.

    The same image and variant give the same result in any batch, on any machine with the same libraries.

    Args:
        augment: the recipe's steps.
        plan: what the images are.
        seed: of the random draws, besides ``augment.seed``; enumerated variants do not depend on it.

    Raises:
        RecipeError: a step that these images cannot take.
    """

    def __init__(self, augment: Augment, plan: Plan, seed: int = 0) -> None:
        self.augment = augment
        self.plan = plan
        _check(augment, plan)
        self._enumerated = keys(augment.seed)
        self._random = keys(augment.seed, seed)
        height, width = plan.size
        self._step = max(1, _PIXELS // (height * width))
        keep_memory()

    def enumerated(self, images: Array, rows: Index, variants: Index) -> Array:
        """Return variants of images: (B, h, w, C) of the images' type.

        Args:
            images: (B, H, W, C).
            rows: (B,) the images' places in their dataset.
            variants: (B,) from 0, the image itself, to ``augment.variants`` - 1.
        """
        choices = decode(self.augment, np.asarray(variants))
        return self._made(images, keys(rows, variants, start=self._enumerated), choices)

    def random(self, images: Array, positions: Index) -> Array:
        """Return random variants of images, (B, h, w, C) of their type.

        Args:
            images: (B, H, W, C).
            positions: (B,) their places in the stream of training images.
        """
        return self._made(images, keys(positions, start=self._random), None)

    def _made(self, images: Array, of: Keys, choices: Choice | None) -> Array:
        out = np.empty((len(images), *self.plan.output_size, self.plan.channels), images.dtype)
        for start in range(0, len(images), self._step):
            part = slice(start, start + self._step)
            out[part] = self._chunk(images[part], of[part], None if choices is None else choices[:, part])
        return out

    def _chunk(self, images: Array, of: Keys, choices: Choice | None) -> Array:
        stages = [
            Stage(step, stream, None if choices is None else choices[stream])
            for stream, step in enumerate(self.augment.steps)
        ]
        geometric = [stage for stage in stages if isinstance(stage.step, GEOMETRIC)]
        others = [stage for stage in stages if not isinstance(stage.step, GEOMETRIC)]
        return recoloured(self._placed(images, geometric, of), others, of, self.plan.largest)

    def _placed(self, images: Array, stages: list[Stage], of: Keys) -> Array:
        center, border = self.plan.center, self.augment.border
        places = None
        if stages and is_dihedral(stages):
            images = reflected(images, stages, of)
        elif stages:
            places = merged_map(stages, of, self.plan.size, border)
        if center is not None:
            return centred(images, center, self.plan.largest, places, border)
        # Read once in order, images are in the cache; read along a map from memory, they take half as long again.
        return images if places is None else sample(images.copy(), places, border)


def decode(augment: Augment, variants: Index) -> Choice:
    """Return which variant of each step a variant is, (steps, B), 0 for none; the last step's runs fastest."""
    left = np.asarray(variants, np.int64)
    digits = []
    for step in reversed(augment.steps):
        left, digit = np.divmod(left, 1 + step.variants)
        digits.append(digit)
    return np.array(digits[::-1], np.int64).reshape(len(augment.steps), len(left))


def _check(augment: Augment, plan: Plan) -> None:
    height, width = plan.size
    for step in augment.steps:
        if isinstance(step, Turn) and height != width:
            raise RecipeError(
                f"The step 'turn' wants square images; these are {height} x {width}: set preprocess.size."
            )
        if isinstance(step, Stain) and plan.channels != 3:
            raise RecipeError(
                f"The step 'stain' wants RGB images; these have {plan.channels} channel(s): leave it out."
            )
        if isinstance(step, Stain) and plan.input.bit_depth is None:
            raise RecipeError(
                "The step 'stain' wants images of whole numbers with a known range; these are "
                f"{plan.input.dtype}: leave it out, or store them as 8 or 16 bits."
            )
