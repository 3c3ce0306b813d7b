"""A recipe: the choices of one experiment, read from TOML and validated, with every mistake reported at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, model_validator

from bioclass.errors import RecipeError
from bioclass.validation import Strict, parse_toml_value, read_toml, validate

Positive = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]


class LeNet(Strict):
    """LeNet as Caffe's example has it (table 1 of the study): two convolutions, ``fc1``, the classes."""

    name: Literal["lenet"] = "lenet"
    fc1: Positive = 500
    dropout: Probability = 0.0


class Network3(Strict):
    """Nielsen's Network3 (table 2 of the study): two convolutions and two hidden layers with dropout."""

    name: Literal["network3"] = "network3"
    hidden: tuple[Positive, Positive] = (1000, 1000)
    dropout: Probability = 0.5


class DropConnect(Strict):
    """DropConnect (table 3 of the study): the weights of ``fc1`` are dropped, not its outputs.

    ``inference`` is the mean of the weights, or Wan et al.'s Gaussian moment matching.
    """

    name: Literal["dropconnect"] = "dropconnect"
    fc1: Positive = 150
    rate: Probability = 0.5
    inference: Literal["mean", "gaussian"] = "gaussian"


class MLP(Strict):
    """A multilayer perceptron, trained by classical backpropagation."""

    name: Literal["mlp"] = "mlp"
    hidden: tuple[Positive, ...] = (100,)
    activation: Literal["sigmoid", "tanh", "relu", "softsign"] = "sigmoid"


Network = Annotated[LeNet | Network3 | DropConnect | MLP, Field(discriminator="name")]


class Preprocess(Strict):
    """Deterministic steps, the same in training and in prediction.

    ``size`` is (height, width) in pixels; without it all images must have one size already. ``resize`` says
    how another aspect ratio is met: stretched, or scaled to fit and padded with the median of its border.
    Values are divided by ``divisor``, a number or "range" (the largest value of the bit depth), and then, with
    ``standardise``, brought to mean 0 and standard deviation 1 per channel, measured on the training part.
    """

    size: tuple[Positive, Positive] | None = None
    resize: Literal["stretch", "pad"] = "stretch"
    divisor: Annotated[float, Field(gt=0)] | Literal["range"] = "range"
    standardise: bool = False


class Split(Strict):
    """How the images are parted; an official test part of the dataset is always kept as it is.

    ``test`` is the share of all images held out where there is no official test part, ``validation`` the share
    of the rest. Both are stratified by class, and grouped where the card names a group. The split has a seed of
    its own, so that several training seeds share one test part.
    """

    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    seed: Annotated[int, Field(ge=0)] = 0


class SGD(Strict):
    """Stochastic gradient descent with momentum; ``l2`` is the coefficient of the weight decay.

    ``bias_lr`` multiplies the learning rate of every bias (2 in Caffe's LeNet).
    """

    name: Literal["sgd"] = "sgd"
    lr: Annotated[float, Field(gt=0)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    l2: Annotated[float, Field(ge=0)] = 0.0
    bias_lr: Annotated[float, Field(gt=0)] = 1.0


class Adam(Strict):
    """Adam (Kingma and Ba 2015); ``l2`` is added to the gradient, as in the paper's time."""

    name: Literal["adam"] = "adam"
    lr: Annotated[float, Field(gt=0)] = 0.001
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    l2: Annotated[float, Field(ge=0)] = 0.0
    bias_lr: Annotated[float, Field(gt=0)] = 1.0


class Constant(Strict):
    """The learning rate stays."""

    name: Literal["constant"] = "constant"
    warmup: Annotated[int, Field(ge=0)] = 0


class Inverse(Strict):
    """Caffe's ``inv`` policy: lr (1 + gamma t) ^ -power at iteration t."""

    name: Literal["inverse"] = "inverse"
    gamma: Annotated[float, Field(gt=0)] = 0.0001
    power: Annotated[float, Field(gt=0)] = 0.75
    warmup: Annotated[int, Field(ge=0)] = 0


class Steps(Strict):
    """The learning rate is multiplied by ``factor`` at each of the stated shares of the training time."""

    name: Literal["steps"] = "steps"
    at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.75)
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    warmup: Annotated[int, Field(ge=0)] = 0


class Cosine(Strict):
    """Half a cosine from lr to lr x ``final`` (Loshchilov and Hutter 2017, without restarts)."""

    name: Literal["cosine"] = "cosine"
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    warmup: Annotated[int, Field(ge=0)] = 0


Optimizer = Annotated[SGD | Adam, Field(discriminator="name")]
Schedule = Annotated[Constant | Inverse | Steps | Cosine, Field(discriminator="name")]


class EarlyStopping(Strict):
    """Stop after ``patience`` epochs in which the validation figure has not improved by ``min_delta``."""

    patience: Positive = 10
    min_delta: Annotated[float, Field(ge=0)] = 0.0


class Fit(Strict):
    """How to train.

    Exactly one of ``epochs`` and ``iterations`` is given. With a validation part the weights with the best
    ``select`` on it are kept as the result; without one, the last. ``class_weights`` weigh the loss: "balanced"
    is N / (K N_c), or give a number for every class by name. ``sampling = "balanced"`` draws every class
    equally often.
    """

    epochs: Positive | None = None
    iterations: Positive | None = None
    batch_size: Positive = 64
    optimizer: Optimizer = SGD(momentum=0.9)
    schedule: Schedule = Constant()
    select: Literal["loss", "accuracy", "balanced_accuracy"] = "loss"
    early_stopping: EarlyStopping | None = None
    class_weights: Literal["none", "balanced"] | dict[str, Annotated[float, Field(gt=0)]] = "none"
    sampling: Literal["shuffled", "balanced"] = "shuffled"

    @model_validator(mode="after")
    def _one_length(self) -> Fit:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError(
                f"give exactly one of epochs and iterations. "
                f"Got epochs = {self.epochs}, iterations = {self.iterations}"
            )
        return self


class Recipe(Strict):
    """One experiment. Its keys are those of the TOML file; what it leaves out takes the defaults here."""

    title: str = ""
    dataset: str
    root: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    network: Network = LeNet()
    preprocess: Preprocess = Preprocess()
    split: Split = Split()
    fit: Fit

    @model_validator(mode="after")
    def _stopping_needs_validation(self) -> Recipe:
        if self.fit.early_stopping is not None and self.split.validation == 0:
            raise ValueError(
                "fit.early_stopping needs a validation part: set split.validation above 0 (got 0), "
                "or leave early_stopping out"
            )
        return self

    def to_toml(self) -> str:
        """Return the recipe with every default written out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def choices(self) -> dict[str, Any]:
        """Return what decides the result, by dotted key: everything but the title and where the data lies."""
        dump = self.model_dump(mode="json")
        return {key: value for key, value in flatten(dump).items() if key not in ("title", "root")}

    def digest(self) -> str:
        """Return the SHA-256 of the choices."""
        return hashlib.sha256(json.dumps(self.choices(), sort_keys=True).encode()).hexdigest()


def flatten(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Return the leaves of nested tables by dotted key."""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            out.update(flatten(value, f"{above}{key}."))
        else:
            out[f"{above}{key}"] = value
    return out


def load_recipe(path: Path, settings: Iterable[str] = ()) -> Recipe:
    """Read a recipe file and apply ``key=value`` settings to it; their order does not matter.

    Raises:
        RecipeError: with every mistake of the file and of the settings.
    """
    data = read_toml(path, RecipeError)
    settings = list(settings)
    keys = {_key(setting) for setting in settings}
    if {("fit", "epochs"), ("fit", "iterations")} <= keys:
        raise RecipeError("--set gives both fit.epochs and fit.iterations: give one of them.")
    # A whole table replaces its keys and a new name clears its table, so they go first.
    for setting in sorted(settings, key=lambda text: (len(_key(text)), _key(text)[-1] != "name")):
        apply_setting(data, setting)
    for place in _defaults():
        table: Any = data
        for key in place:
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict):
            _complete(table, place)
    return validate(Recipe, data, f"Recipe {path.name}", RecipeError)


def apply_setting(data: dict[str, Any], setting: str) -> None:
    """Set one dotted key, ``fit.epochs=3``, in a recipe's data.

    A new ``name`` for a network, optimizer or schedule drops the other one's keys, which would not fit it.

    Raises:
        RecipeError: it is not ``key=value``, or a key above it has a value that is no table.
    """
    parts = _key(setting)
    _, equals, text = setting.partition("=")
    if not equals or not all(parts):
        raise RecipeError(f"--set wants key=value, for example fit.epochs=3. Got {setting!r}.")
    table = data
    for depth, part in enumerate(parts[:-1], 1):
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            above = ".".join(parts[:depth])
            raise RecipeError(f"--set {setting}: {above} is a value, not a table, in this recipe. Got {inner!r}.")
        _complete(inner, parts[:depth])
        table = inner
    value = parse_toml_value(text.strip())
    if parts[-1] == "name" and parts[:-1] in _defaults() and table["name"] != value:
        table.clear()
    if parts == ("fit", "epochs"):
        table.pop("iterations", None)
    if parts == ("fit", "iterations"):
        table.pop("epochs", None)
    table[parts[-1]] = value


def _key(setting: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in setting.partition("=")[0].split("."))


def _defaults() -> dict[tuple[str, ...], Strict]:
    """The default of every table whose name chooses what it is."""
    return {
        ("network",): Recipe.model_fields["network"].default,
        ("fit", "optimizer"): Fit.model_fields["optimizer"].default,
        ("fit", "schedule"): Fit.model_fields["schedule"].default,
    }


def _complete(table: dict[str, Any], place: tuple[str, ...]) -> None:
    """Let ``fit.optimizer.lr`` stand without a name: it then changes the default optimizer, and only its lr."""
    default = _defaults().get(place)
    if default is not None and "name" not in table:
        table.update({**default.model_dump(mode="json"), **table})
