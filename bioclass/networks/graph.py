"""A network that predicts, as a graph: the tensors through which all that it computes passes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from bioclass.backend import mx
from bioclass.networks.cut import FEATURES, cut
from bioclass.networks.describe import Field, fields_of

_ACTIVATIONS = ("Activation", "LeakyReLU", "relu", "clip", "Dropout")
_AS_PREDICTING = {"BatchNorm": {"use_global_stats": "True"}, "Dropout": {"p": "0"}}


class Point(NamedTuple):
    """A tensor that everything passes through between the images and the layer of the classes.

    Attributes:
        name: of its node in the graph, for example "lenet_conv2_fwd".
        node: the number of that node.
        shape: of one image's, (channels, height, width) or (units,).
        field: the receptive field of its units; None where that is the whole image or cannot be told.
    """

    name: str
    node: int
    shape: tuple[int, ...]
    field: Field | None

    @property
    def spatial(self) -> bool:
        """Whether it has places: channels of more than one pixel."""
        return len(self.shape) == 3 and self.shape[1] * self.shape[2] > 1


class Graph:
    """The graph of a network for images (C, H, W), in prediction.

    It shares the network's parameters. In training mode too it computes as in prediction; gradients are to be taken
    in training mode, for after a forward pass in prediction mode MXNet 1.9.1 gives wrong ones of fully connected
    layers.

    Attributes:
        points: in the order in which they are computed; the last is the ``features``.
    """

    def __init__(self, net: Any, input_shape: tuple[int, int, int]) -> None:
        features, tail = cut(net, input_shape)
        scores = tail.scores(**{FEATURES: features})
        self._parameters = net.collect_params()
        self._graph: dict[str, Any] = json.loads(scores.tojson())
        self._nodes: list[dict[str, Any]] = self._graph["nodes"]
        self._last = max(number for number, node in enumerate(self._nodes) if node["name"] == features.name)
        _give_own_names(self._nodes)
        for node in self._nodes:
            node["attrs"] = {**node.get("attrs", {}), **_AS_PREDICTING.get(node["op"], {})}
        self._scores = mx.sym.load_json(json.dumps(self._graph))
        self._shapes = self._inferred(input_shape)
        self._fields = fields_of(self._nodes, self._shapes)
        self.points = [self._point(number) for number in self._passages() if number <= self._last]

    @property
    def features(self) -> Point:
        """What the layer of the classes takes."""
        return self.points[-1]

    @cached_property
    def seen(self) -> Point | None:
        """The last convolution's features with places, as Grad-CAM takes them; None without a convolution.

        What follows that convolution at the same size belongs to it, as an activation or the sum of a residual
        block; pooling does not.
        """
        places = self._convolutions()
        if not places:
            return None
        size = self._shapes[places[-1]][1:]
        passed = [point for point in self.points if point.node >= places[-1] and point.shape[1:] == size]
        return passed[-1] if passed else self._point(self._latest(size))

    @cached_property
    def stages(self) -> list[Point]:
        """The last tensor of each size of the image, from the first convolution on, the largest first.

        It is one that everything passes through, or, where there is no such, the last that is computed.
        """
        first = min(self._convolutions(), default=self._last)
        last = {point.shape[1:]: point for point in self.points if point.spatial and point.node >= first}
        if self.seen is not None and self.seen.shape[1:] not in last:
            sizes = {self._shapes[number][1:] for number in self._convolutions()}
            last = {size: last.get(size, self._point(self._latest(size))) for size in sizes}
        return sorted(last.values(), key=lambda point: point.node)

    @cached_property
    def tells_places_apart(self) -> bool:
        """Whether a fully connected layer takes the places of the last convolution's features apart.

        Other networks take the mean over the places first.
        """
        start = self._last if self.seen is None else self.seen.node
        after = [node for node in self._nodes[start + 1 :] if node["op"] in ("FullyConnected", "Flatten")]
        return any(_pixels(self._shapes[node["inputs"][0][0]]) > 1 for node in after)

    def first_weight(self) -> tuple[str, bool]:
        """Return the parameter of the first layer that weighs the image, and whether that is a convolution."""
        for node in self._nodes:
            if node["op"] in ("Convolution", "FullyConnected"):
                return self._nodes[node["inputs"][1][0]]["name"], node["op"] == "Convolution"
        raise AssertionError("a network without weights")

    def outputs(self, points: Sequence[Point]) -> Any:
        """Return a block from images (N, C, H, W) to the tensors at these points, a list, and the scores (N, K)."""
        internals = self._scores.get_internals()
        wanted = [internals[self._output(point.node)] for point in points]
        return self._block(mx.sym.Group([*wanted, self._scores]), "data")

    def until(self, point: Point) -> Any:
        """Return a block from images (N, C, H, W) to the tensor at a point, before its activation if it has one.

        A ReLU that is off has no gradient. What follows is not computed.
        """
        number = point.node
        while self._nodes[number]["op"] in _ACTIVATIONS:
            number = self._nodes[number]["inputs"][0][0]
        return self._block(self._scores.get_internals()[self._output(number)], "data")

    def after(self, point: Point) -> Any:
        """Return a block from the tensor at a point, and the images (N, C, H, W), to the scores (N, K)."""
        graph = json.loads(json.dumps(self._graph))
        graph["nodes"][point.node] = {"op": "null", "name": FEATURES, "inputs": []}
        graph["arg_nodes"] = [number for number, node in enumerate(graph["nodes"]) if node["op"] == "null"]
        scores = mx.sym.load_json(json.dumps(graph))
        if "data" in scores.list_arguments():
            return self._block(scores, FEATURES, "data")
        block = self._block(scores, FEATURES)
        return lambda features, images: block(features)

    def _block(self, symbol: Any, *names: str) -> Any:
        inputs = [mx.sym.var(name, dtype="float32") for name in names]
        block = mx.gluon.SymbolBlock(symbol, inputs, params=self._parameters)
        # Without static_alloc, which would keep the memory of every such block.
        block.hybridize()
        return block

    def _point(self, number: int) -> Point:
        return Point(self._nodes[number]["name"], number, self._shapes[number], self._fields[number])

    def _convolutions(self) -> list[int]:
        """The nodes that are convolutions of more than one place, up to the features."""
        nodes = enumerate(self._nodes[: self._last + 1])
        return [n for n, node in nodes if node["op"] == "Convolution" and _pixels(self._shapes[n]) > 1]

    def _latest(self, size: tuple[int, ...]) -> int:
        """The last node of a size that is no pooling."""
        nodes = enumerate(self._nodes[: self._last + 1])
        return max(n for n, node in nodes if node["op"] != "Pooling" and self._shapes[n][1:] == size)

    def _number(self, name: str) -> int:
        return next(number for number, node in enumerate(self._nodes) if node["name"] == name)

    def _output(self, number: int) -> str:
        """The name that a symbol has for the first output of a node."""
        name = self._nodes[number]["name"]
        return name if self._nodes[number]["op"] == "null" else f"{name}_output"

    def _inferred(self, input_shape: tuple[int, int, int]) -> list[tuple[int, ...]]:
        """The shape of every node's first output, without the batch."""
        internals = self._scores.get_internals()
        _, shapes, _ = internals.infer_shape(data=(1, *input_shape))
        named = dict(zip(internals.list_outputs(), shapes, strict=True))
        names = [self._output(number) for number in range(len(self._nodes))]
        return [tuple(named[name] if name in named else named[f"{name}0"])[1:] for name in names]

    def _passages(self) -> list[int]:
        """The nodes, in order, after which nothing else that depends on the images is still wanted."""
        data = {self._number("data")}
        for number, node in enumerate(self._nodes):
            if any(source[0] in data for source in node["inputs"]):
                data.add(number)
        # An output of a node, and the last node that takes it.
        wanted: dict[tuple[int, int], int] = {}
        for number in sorted(data):
            for source, output, *_ in self._nodes[number]["inputs"]:
                if source in data:
                    wanted[source, output] = number
        found = []
        for number in sorted(data):
            alive = [each for each, last in wanted.items() if each[0] <= number < last]
            if alive == [(number, 0)] and self._nodes[number]["op"] != "null":
                found.append(number)
        return found


def _give_own_names(nodes: list[dict[str, Any]]) -> None:
    """Tell apart the nodes of a layer that is used several times, as xception's ReLUs are; parameters are not."""
    times: dict[str, int] = {}
    for node in nodes:
        name = node["name"]
        times[name] = times.get(name, 0) + 1
        if node["op"] != "null" and times[name] > 1:
            node["name"] = f"{name}_use{times[name]}"


def _pixels(shape: tuple[int, ...]) -> int:
    return shape[1] * shape[2] if len(shape) == 3 else 0
