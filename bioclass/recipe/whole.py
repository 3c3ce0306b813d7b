"""A recipe as a whole."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

import tomli_w
from pydantic import BaseModel, Field, model_validator

from bioclass.recipe.augment import Augment
from bioclass.recipe.fit import Fit
from bioclass.recipe.network import DropConnect, LeNet, Network
from bioclass.recipe.predict import Predict
from bioclass.recipe.preprocess import Preprocess, Split
from bioclass.recipe.transfer import Features
from bioclass.validation import Strict

NO_CHOICES = ("title", "root")
"""Keys that do not decide the result."""


class Recipe(Strict):
    """One experiment. Its keys are those of the TOML file; what it leaves out takes the defaults here."""

    title: str = ""
    dataset: str
    root: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    network: Network = LeNet()
    preprocess: Preprocess = Preprocess()
    augment: Augment = Augment()
    split: Split = Split()
    fit: Fit
    predict: Predict = Predict()

    @model_validator(mode="after")
    def _stopping_needs_validation(self) -> Recipe:
        if self.fit.early_stopping is not None and self.split.validation == 0:
            raise ValueError(
                "fit.early_stopping needs a validation part: set split.validation above 0 (got 0), "
                "or leave early_stopping out"
            )
        return self

    @model_validator(mode="after")
    def _mixing_needs_pairs(self) -> Recipe:
        if self.augment.mix is not None and self.fit.batch_size < 2:
            raise ValueError(
                f"augment.mix mixes the images of a batch: set fit.batch_size to 2 or more (got "
                f"{self.fit.batch_size}), or leave mix out"
            )
        return self

    @model_validator(mode="after")
    def _weights_bring_their_statistics(self) -> Recipe:
        if self.network.weights and self.preprocess.standardise:
            raise ValueError(
                "network.weights bring the mean and standard deviation that they were trained with, so "
                "preprocess.standardise cannot measure others: leave one of the two out"
            )
        return self

    @model_validator(mode="after")
    def _copies_are_those_of_training(self) -> Recipe:
        wanting = self.predict.wanting(self.augment.steps)
        if wanting:
            raise ValueError(
                f"predict.tta = {self.predict.tta!r} predicts from copies of an image that training does not make: "
                f"add {' and '.join(wanting)} to augment.steps, if that leaves every class what it is, or leave "
                "tta out"
            )
        return self

    @model_validator(mode="after")
    def _transfer_needs_weights(self) -> Recipe:
        if self.fit.transfer is None or self.network.weights:
            return self
        raise ValueError(
            "fit.transfer is for a network that starts from weights, and "
            f"{self.network.name!r} starts from random ones here: set network.weights, or leave fit.transfer out"
        )

    @model_validator(mode="after")
    def _features_are_of_known_images(self) -> Recipe:
        if not isinstance(self.fit.transfer, Features):
            return self
        if self.augment.steps and self.augment.mode == "random":
            raise ValueError(
                "fit.transfer.name = 'features' computes each image once, and augment.mode = 'random' never makes "
                "the same twice: set augment.mode = 'enumerated', leave augment.steps out, or take 'finetune'"
            )
        if self.augment.mix is not None:
            raise ValueError(
                "fit.transfer.name = 'features' computes each image once, and augment.mix mixes them anew: leave "
                "mix out, or take 'finetune'"
            )
        return self

    @model_validator(mode="after")
    def _masks_are_float32(self) -> Recipe:
        if self.fit.precision == "bfloat16" and isinstance(self.network, DropConnect):
            raise ValueError(
                f"{self.network.name!r} draws its masks in float32: leave fit.precision = 'bfloat16' out, or take "
                "another network"
            )
        return self

    def to_toml(self) -> str:
        """Return the recipe with every default written out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def choices(self) -> dict[str, Any]:
        """Return what decides the result, by dotted key: everything but the title and where the data lies."""
        dump = self.model_dump(mode="json")
        return {key: value for key, value in flatten(dump).items() if key not in NO_CHOICES}

    def digest(self) -> str:
        """Return the SHA-256 of the choices that are not the defaults: a key that recipes gain later is none."""
        told = {key: value for key, value in _told(self).items() if key not in NO_CHOICES}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _told(value: Any) -> Any:
    """What a model says beyond its defaults; its name stays, for that says what the rest is."""
    if isinstance(value, BaseModel):
        fields = {key: (getattr(value, key), field.default) for key, field in type(value).model_fields.items()}
        return {key: _told(now) for key, (now, default) in fields.items() if key == "name" or now != default}
    return [_told(item) for item in value] if isinstance(value, tuple) else value


def flatten(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Return the leaves of nested tables by dotted key."""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            out.update(flatten(value, f"{above}{key}."))
        else:
            out[f"{above}{key}"] = value
    return out
