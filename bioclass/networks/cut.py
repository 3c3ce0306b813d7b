"""A network in two: the backbone, which makes features of images, and the head, which makes scores of features."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from bioclass import recipe
from bioclass.backend import mx
from bioclass.networks import build
from bioclass.networks.parameters import head, parameters

FEATURES = "features"
"""The input of the head as a symbol."""


class Tail(NamedTuple):
    """What follows the backbone of a network.

    Attributes:
        scores: the symbol of the scores (N, K), of the features.
        shape: of the features of one image, most often (channels,) or (channels, height, width).
        parameters: shape and initializer of the head's parameters by their name in the network.
        arguments: the same parameters' names in the symbol.
    """

    scores: Any
    shape: tuple[int, ...]
    parameters: dict[str, tuple[tuple[int, ...], Any]]
    arguments: dict[str, str]


def cut(net: Any, input_shape: tuple[int, int, int], product: bool = False) -> tuple[Any, Tail]:
    """Return the symbol of the features of images (C, H, W), and what follows.

    The cut is at the input of the layer of the classes, which is pooled for most networks; squeezenet pools after
    that layer. With ``product``, a convolution of a single pixel is the product of matrices that it amounts to: the
    same sums, which MXNet computes in half the time.
    """
    last = head(net)
    named = parameters(net)
    layer = _layer_of(net, named[last[0]])
    met: list[Any] = []

    def forward(x: Any) -> Any:
        met.append(x)
        features = mx.sym.var(FEATURES)
        if product and _is_product(layer, x, input_shape):
            return _product(layer, features)
        return type(layer).forward(layer, features)

    layer.forward = forward
    try:
        with mx.autograd.pause(train_mode=False):
            scores = net(mx.sym.var("data"))
    finally:
        del layer.forward
    (features,) = met
    _, (shape,), _ = features.infer_shape(data=(1, *input_shape))
    own = {name: (tuple(named[name].shape), named[name].init) for name in last}
    return features, Tail(scores, tuple(shape[1:]), own, {name: named[name].name for name in last})


def backbone_of(net: Any, features: Any) -> Any:
    """Return a block from images to their features that shares the parameters of a network that was cut."""
    return mx.gluon.SymbolBlock(features, mx.sym.var("data", dtype="float32"), params=net.collect_params())


class Head(mx.gluon.HybridBlock):  # type: ignore[misc]
    """The head of a network as one of its own: features (N, ...) to scores (N, K).

    Its parameters have the names that they have in the whole network.
    """

    def __init__(self, tail: Tail) -> None:
        super().__init__(prefix="head_")
        self._tail = tail
        with self.name_scope():
            for name, (shape, init) in tail.parameters.items():
                kind = name.rpartition(".")[2]
                setattr(self, kind, self.params.get(kind, shape=shape, init=init))

    def _collect_params_with_prefix(self, prefix: str = "") -> dict[str, Any]:
        return {name: self._reg_params[name.rpartition(".")[2]] for name in self._tail.parameters}

    def hybrid_forward(self, F: Any, x: Any, **given: Any) -> Any:  # noqa: N803
        """Compute (N, K) from features; it is made of a graph, so it must be hybridized."""
        arguments = {self._tail.arguments[name]: given[name.rpartition(".")[2]] for name in self._tail.parameters}
        return self._tail.scores(**{FEATURES: x}, **arguments)


def _layer_of(block: Any, parameter: Any) -> Any:
    """The block that holds a parameter itself."""
    if any(own is parameter for own in block._reg_params.values()):
        return block
    for child in block._children.values():
        found = _layer_of(child, parameter)
        if found is not None:
            return found
    return None


def _is_product(layer: Any, x: Any, input_shape: tuple[int, int, int]) -> bool:
    """Whether a layer is a convolution without an activation, and all that it sees is one pixel."""
    settings = getattr(layer, "_kwargs", {})
    plain = settings.get("kernel") == (1, 1) and settings.get("pad") == (0, 0) and settings.get("num_group") == 1
    if not plain or layer.act is not None:
        return False
    _, (shape,), _ = x.infer_shape(data=(1, *input_shape))
    return tuple(shape[2:]) == (1, 1)


def _product(layer: Any, x: Any) -> Any:
    weight = mx.sym.reshape(layer.weight.var(), shape=(0, -1))
    biases = [] if layer.bias is None else [layer.bias.var()]
    scores = mx.sym.FullyConnected(x, weight, *biases, num_hidden=layer.weight.shape[0], no_bias=not biases)
    return mx.sym.reshape(scores, shape=(0, 0, 1, 1))


@lru_cache(maxsize=4)
def tail_of(spec: recipe.Network, input_shape: tuple[int, int, int], classes: int) -> Tail:
    """Return what follows the backbone of a network; it is built for the first of its heads alone."""
    return cut(build(spec, input_shape, classes), input_shape, product=True)[1]
