"""The classification networks of GluonCV, for any number of classes and channels."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

from bioclass import recipe
from bioclass.backend import import_gluoncv, mx
from bioclass.errors import InputError
from bioclass.networks.layers import xavier
from bioclass.networks.parameters import head, parameters

nn = mx.gluon.nn

WHOLE = 7
"""Side of the averaging windows from which GluonCV means the whole image, as it is at the network's own size."""


class WholeAverage(mx.gluon.HybridBlock):  # type: ignore[misc]
    """The mean of every channel over the image, (N, C, H, W) to (N, C, 1, 1), of any size.

    GluonCV's averages have the window of the network's own image size, or are Gluon's GlobalAvgPool2D, for which
    see :class:`~bioclass.networks.layers.GlobalAverage`.
    """

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803
        """Compute (N, C, 1, 1) from (N, C, H, W)."""
        return F.contrib.AdaptiveAvgPooling2D(x, output_size=1)


def backbone(spec: recipe.Backbone, input_shape: tuple[int, int, int], classes: int) -> mx.gluon.HybridBlock:
    """Build a network of GluonCV for images (C, H, W): (N, C, H, W) to raw scores (N, classes).

    Departures from GluonCV: the last average is over the whole image, whatever its size, which is the same at the
    network's own; weights for which GluonCV names no distribution are Gaussian with variance 2 / mean of fan_in and
    fan_out (after He et al. 2015), those of the classes Xavier with zero biases; resnest has no DropBlock, whose
    masks fit one image size, and nasnet no auxiliary classifier.

    Raises:
        InputError: the network cannot take images of this size.
        MissingDependency: GluonCV cannot be imported.
    """
    zoo = import_gluoncv().model_zoo
    settings: dict[str, Any] = {"classes": classes}
    if spec.name.startswith("hrnet"):
        settings = {"num_classes": classes}
    if spec.name.startswith("nasnet"):
        settings["use_aux"] = False
    # Names count up from build to build, unless each starts with counters of its own.
    with mx.name.NameManager():
        net = zoo.get_model(spec.name, pretrained=False, **settings)
    _fit_any_size(net)
    _take_channels(net, input_shape[0])
    _give_classes(net, classes)
    _settle_shapes(net, spec.name, input_shape, classes)
    return net


def _blocks(block: Any) -> Iterator[Any]:
    yield block
    for child in block._children.values():
        yield from _blocks(child)


def _fit_any_size(net: Any) -> None:
    """Put averages over the whole image where GluonCV has windows of a fixed side, and leave DropBlock out."""
    for block in list(_blocks(net)):
        if type(block).__name__ == "DropBlock":
            block.drop_prob = 0
        for name, child in block._children.items():
            fixed = isinstance(child, nn.AvgPool2D) and min(child._kwargs["kernel"]) >= WHOLE
            if fixed or isinstance(child, nn.GlobalAvgPool2D):
                average = WholeAverage(prefix="average_")
                block._children[name] = average
                if name in vars(block):
                    # Gluon's own __setattr__ wants another pooling layer here.
                    object.__setattr__(block, name, average)


def _take_channels(net: Any, channels: int) -> None:
    """Let the first convolution, which GluonCV may have fixed to three channels, take this many."""
    for block in _blocks(net):
        if isinstance(block, nn.Conv2D) and block.weight.shape[1] == 3:
            block.weight._shape = (block.weight.shape[0], channels, *block.weight.shape[2:])


def _give_classes(net: Any, classes: int) -> None:
    """Set the size of the last layer, which GluonCV fixes to 1000 in its pruned networks, and all first weights."""
    last = head(net)
    for name, parameter in parameters(net).items():
        if name in last:
            parameter._shape = (classes, *parameter.shape[1:])
            parameter.init = xavier() if name.endswith("weight") else mx.init.Zero()
        elif parameter.init is None and name.endswith("weight"):
            parameter.init = mx.init.MSRAPrelu(slope=0)


def _settle_shapes(net: Any, name: str, shape: tuple[int, int, int], classes: int) -> None:
    """Infer what GluonCV leaves open until the first image; nothing is computed."""
    channels, height, width = shape
    try:
        # MXNet prints what it fails on.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            output = net(mx.sym.var("data"))
            arguments, outputs, auxiliary = output.infer_shape(data=(1, channels, height, width))
    except mx.base.MXNetError:
        outputs = []
    if outputs != [(1, classes)]:
        side = recipe.own_size(name)
        raise InputError(
            f"The network {name!r} cannot take images of {height}x{width} pixels: set preprocess.size, for example "
            f"to [{side}, {side}], for which it was made."
        )
    named = net.collect_params()
    names = [*output.list_arguments(), *output.list_auxiliary_states()]
    for key, settled in zip(names, [*arguments, *auxiliary], strict=True):
        if key != "data":
            named[key].shape = settled
