"""Networks by recipe: ``build`` gives a Gluon block that turns images into raw scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bioclass import recipe
from bioclass.backend import mx
from bioclass.networks.backbone import backbone
from bioclass.networks.dropconnect import DropConnect
from bioclass.networks.lenet import LeNet
from bioclass.networks.mlp import MLP
from bioclass.networks.network3 import Network3
from bioclass.networks.vgg import VGG

__all__ = ["build"]

_BUILDERS: dict[type[Any], Callable[..., Any]] = {
    recipe.LeNet: LeNet,
    recipe.Network3: Network3,
    recipe.DropConnect: DropConnect,
    recipe.MLP: MLP,
    recipe.VGG: VGG,
    recipe.Backbone: backbone,
}


def build(spec: recipe.Network, input_shape: tuple[int, int, int], classes: int) -> mx.gluon.HybridBlock:
    """Build the network of a recipe for images of one shape.

    Args:
        spec: the recipe's network.
        input_shape: one image, (channels, height, width), sizes in pixels.
        classes: number of classes.

    Returns:
        A block from float32 images (N, C, H, W) to raw scores (logits) (N, classes). All shapes are fixed;
        ``initialize()`` draws the weights as the network's class documents, from ``mx.random.seed``.
        Parameter names are the same in every build.

    Raises:
        InputError: the network cannot take images of this size.
        MissingDependency: a backbone is wanted, and GluonCV cannot be imported.
    """
    return _BUILDERS[type(spec)](spec, input_shape, classes)
