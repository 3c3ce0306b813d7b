"""Deterministic steps and the parts of the data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bioclass.recipe.values import Positive
from bioclass.validation import Strict


class Center(Strict):
    """Cut away empty rows and columns at the borders and stretch the rest to ``size`` (height, width), in pixels.

    A pixel is empty if each of its values is that of the image's border (its median, by channel), or differs from
    it by at most ``tolerance`` of the range of values. An image that is all empty is scaled as it is.
    """

    size: tuple[Positive, Positive] = (20, 20)
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Preprocess(Strict):
    """Deterministic steps, the same in training and in prediction.

    ``size`` is (height, width) in pixels; without it all images must have one size already, except that a backbone
    brings its own. ``resize`` says
    how another aspect ratio is met: stretched, or scaled to fit and padded with the median of its border.
    Values are divided by ``divisor``, a number or "range" (the largest value of the bit depth), and then, with
    ``standardise``, brought to mean 0 and standard deviation 1 per channel, measured on the training part. With
    network.weights the mean and standard deviation are those of the weights.
    """

    size: tuple[Positive, Positive] | None = None
    resize: Literal["stretch", "pad"] = "stretch"
    center: Center | None = None
    divisor: Annotated[float, Field(gt=0)] | Literal["range"] = "range"
    standardise: bool = False


class Split(Strict):
    """How the images are parted; an official test part of the dataset is always kept as it is.

    ``test`` is the share of all images held out where there is no official test part, ``validation`` the share
    of the rest. Both are stratified by class, and grouped where the card names a group. The split has a seed of
    its own, so that several training seeds share one test part.

    ``folds`` is for cross-validation, k-fold or, with "groups", leave-one-group-out: every image outside an
    official test part is tested once in each of ``repeats``, and ``test`` is not used. A run trains for one of the
    folds, ``fold``, counted from 0 through all repeats; `bioclass fit` without it trains them all.
    """

    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    seed: Annotated[int, Field(ge=0)] = 0
    folds: Annotated[int, Field(ge=2)] | Literal["groups"] | None = None
    repeats: Annotated[int, Field(ge=1)] = 1
    fold: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _folds_fit_together(self) -> Split:
        if self.folds is None and (self.fold is not None or self.repeats > 1):
            raise ValueError("split.fold and split.repeats go with split.folds: set it, or leave them out")
        if self.folds == "groups" and self.repeats > 1:
            raise ValueError(
                f"split.repeats = {self.repeats} would repeat the same folds: with split.folds = 'groups' leave it "
                "out"
            )
        if isinstance(self.folds, int) and self.fold is not None and self.fold >= self.folds * self.repeats:
            raise ValueError(
                f"split.fold counts from 0 to {self.folds * self.repeats - 1} with {self.folds} folds and "
                f"{self.repeats} repeat(s). Got {self.fold}"
            )
        return self
