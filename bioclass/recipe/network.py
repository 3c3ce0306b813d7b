"""The networks that a recipe can name, with what each leaves open."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from bioclass.recipe.backbones import UNUSABLE, BackboneName
from bioclass.recipe.values import Positive, Probability
from bioclass.validation import Strict

Weights = Annotated[str, Field(min_length=1)] | None


class Own(Strict):
    """A network of bioclass. ``weights`` is what it starts from: the path of a run folder of the same network.

    The images are then normalised as in that run; only the layer of the classes is new where they are others.
    """

    name: str
    weights: Weights = None


class LeNet(Own):
    """LeNet as Caffe's example has it (table 1 of the study): two convolutions, ``fc1``, the classes."""

    name: Literal["lenet"] = "lenet"
    fc1: Positive = 500
    dropout: Probability = 0.0


class Network3(Own):
    """Nielsen's Network3 (table 2 of the study): two convolutions and two hidden layers with dropout."""

    name: Literal["network3"] = "network3"
    hidden: tuple[Positive, Positive] = (1000, 1000)
    dropout: Probability = 0.5


class DropConnect(Own):
    """DropConnect (table 3 of the study): the weights of ``fc1`` are dropped, not its outputs.

    ``inference`` is the mean of the weights, or Wan et al.'s Gaussian moment matching.
    """

    name: Literal["dropconnect"] = "dropconnect"
    fc1: Positive = 150
    rate: Probability = 0.5
    inference: Literal["mean", "gaussian"] = "gaussian"


class MLP(Own):
    """A multilayer perceptron, trained by classical backpropagation."""

    name: Literal["mlp"] = "mlp"
    hidden: tuple[Positive, ...] = (100,)
    activation: Literal["sigmoid", "tanh", "relu", "softsign"] = "sigmoid"


class VGG(Own):
    """A small network after VGG, with batch normalisation and global average pooling.

    ``stages`` are the channels of its 3x3 convolutions; between two stages 2x2 pooling halves the image. Multiples
    of 16 are the fastest on a processor. ``dropout`` is that of the averaged features.
    """

    name: Literal["vgg"] = "vgg"
    stages: Annotated[
        tuple[Annotated[tuple[Positive, ...], Field(min_length=1)], ...], Field(min_length=1, max_length=8)
    ] = ((32, 32), (64, 64), (128, 128))
    dropout: Probability = 0.0


class Backbone(Strict):
    """A classification network of GluonCV, by its own name.

    Without preprocess.size (and preprocess.center) images are resized to those it was made for: 224x224, 299x299
    for inceptionv3 and xception, 32x32 for cifar_.... ``weights`` are what it starts from: "gluoncv" for those of
    GluonCV's model store (ImageNet-1k; CIFAR-10 for cifar_...), or the path of a .params file of the same network,
    of a folder that has one by the network's name (resnet18_v1.params), or of a run folder of the same network. The
    images are then normalised as for those weights.
    """

    name: BackboneName
    weights: Weights = None

    @field_validator("name")
    @classmethod
    def _usable(cls, name: BackboneName) -> BackboneName:
        if name in UNUSABLE:
            raise ValueError(f"{name!r} cannot be used, for {UNUSABLE[name]}: take another network")
        return name


Network = Annotated[LeNet | Network3 | DropConnect | MLP | VGG | Backbone, Field(discriminator="name")]
