"""Graphs in which oneDNN computes what MXNet would; what they give stays the same up to rounding.

MXNet 1.9.1 leaves convolutions on the processor to oneDNN, which keeps images in blocks of channels. A step that it
does not leave to oneDNN, such as the clip of ReLU6, first puts them back in plain order, and they go into blocks
again after it. In MobileNetV2 that was a seventh of a training step, and the loop of clip itself half of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from bioclass.backend import mx
from bioclass.networks.blocks import Chain, vector_block

WHOLE = 16
"""Channels of an image that oneDNN keeps in whole blocks on every processor."""

_ACTIVATIONS = frozenset(("Activation", "LeakyReLU", "clip"))
TAKEN_IN = {
    "Convolution": frozenset(("BatchNorm", "elemwise_add")) | _ACTIVATIONS,
    "BatchNorm": frozenset(("elemwise_add",)) | _ACTIVATIONS,
    "elemwise_add": _ACTIVATIONS,
    "FullyConnected": _ACTIVATIONS,
}
"""What MXNet may compute in one step with what is before it, from a convolution or a product on."""


def for_prediction(net: Any, context: Any) -> Any:
    """Return a hybridized block that computes what an initialized network predicts.

    On processors a convolution takes in the batch normalisation after it, and the ReLU, ReLU6 or sum after that.
    The block may keep what it made of the parameters at its first call: when they change, another is wanted.
    Networks without convolutions, chains, which have their own way, and GPUs have the network itself.
    """
    block = net
    if context.device_type == "cpu" and not isinstance(net, Chain):
        data = mx.sym.var("data", dtype="float32")
        with mx.autograd.pause(train_mode=False):
            document = json.loads(net(data).tojson())
        if any(node["op"] == "Convolution" for node in document["nodes"]):
            graph = _with_branches_apart(document).optimize_for("MKLDNN")
            block = mx.gluon.SymbolBlock(graph, data, params=net.collect_params())
    block.hybridize(static_alloc=True, static_shape=True)
    return block


def for_training(net: Any, context: Any) -> Any:
    """Return a block that computes what an initialized network does, for the gradients of its own parameters.

    Of y, normalised, ReLU6 is r(6 - r(6 - y)), r being ReLU: two batch normalisations with ReLU, of which the first
    has the scale and the shift for 6 - y, and the second normalises with constants. Networks without ReLU6, GPUs
    and processors without AVX2 have nothing to gain: the network is returned as it is.
    """
    if isinstance(net, Chain) or context.device_type != "cpu" or vector_block() == 1:
        return net
    data = mx.sym.var("data", dtype="float32")
    own = net.collect_params()
    document = json.loads(net(data).tojson())
    pairs = _relu6_after_norm(document, {name: parameter.shape for name, parameter in own.items()})
    if not pairs:
        return net
    graph, constants = _with_two_norms(document, pairs)
    params = mx.gluon.ParameterDict()
    params.update(own)
    for name, (channels, value) in constants.items():
        init = mx.init.Constant(value)
        constant = mx.gluon.Parameter(name, grad_req="null", shape=(channels,), init=init)
        constant.initialize(ctx=context)
        params.update({name: constant})
    return mx.gluon.SymbolBlock(graph, data, params=params)


class _Pair(NamedTuple):
    """A batch normalisation and the ReLU6 after it, which nothing else follows."""

    relu6: int
    channels: int
    mixed: bool
    """Whether a neighbour has other blocks, so that gradients come in others than images."""


def _relu6_after_norm(document: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> dict[int, _Pair]:
    """Return the pairs in a graph between convolutions, by the node of the normalisation."""
    nodes, after = document["nodes"], _followers(document)
    found = {}
    for number, node in enumerate(nodes):
        attributes = node.get("attrs", {})
        if node["op"] != "clip" or (float(attributes["a_min"]), float(attributes["a_max"])) != (0, 6):
            continue
        norm = node["inputs"][0][0]
        if (
            nodes[norm]["op"] != "BatchNorm"
            or after[norm] != [number]
            or nodes[norm]["attrs"]["fix_gamma"] != "False"
        ):
            continue
        neighbours = [nodes[each] for each in (nodes[norm]["inputs"][0][0], *after.get(number, ()))]
        convolutions = [each for each in neighbours if each["op"] == "Convolution"]
        channels = shapes[nodes[nodes[norm]["inputs"][1][0]]["name"]][0]
        if channels % WHOLE == 0 and neighbours[0] in convolutions:
            mixed = any(side % WHOLE for each in convolutions for side in _sides(each, nodes, shapes))
            found[norm] = _Pair(number, channels, mixed)
    return found


def _sides(convolution: dict[str, Any], nodes: list[Any], shapes: dict[str, tuple[int, ...]]) -> tuple[int, int]:
    """The channels that a convolution gives and takes."""
    given, taken = shapes[nodes[convolution["inputs"][1][0]]["name"]][:2]
    return given, taken * int(convolution["attrs"].get("num_group", 1))


def _followers(document: dict[str, Any]) -> dict[int, list[int]]:
    """The nodes that take what a node gives, by that node."""
    after: dict[int, list[int]] = {}
    for number, node in enumerate(document["nodes"]):
        for source, *_ in node["inputs"]:
            after.setdefault(source, []).append(number)
    return after


class _Writing:
    """A graph that is written anew, node by node, with others between them."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._nodes: list[dict[str, Any]] = []
        self._place: list[int] = []  # where what an old node gave is now

    def old(self) -> Iterator[tuple[int, dict[str, Any], list[Any]]]:
        """Yield each node with its number and its inputs as they are now; what is added last stands for it."""
        for number, node in enumerate(self._document["nodes"]):
            yield number, node, [[self._place[source], *rest] for source, *rest in node["inputs"]]
            self._place.append(len(self._nodes) - 1)

    def add(self, op: str, name: str, inputs: list[Any], **attributes: str) -> list[int]:
        """Add a node and return its output."""
        self._nodes.append({"op": op, "name": name, "attrs": attributes, "inputs": inputs})
        return [len(self._nodes) - 1, 0, 0]

    def keep(self, node: dict[str, Any], inputs: list[Any]) -> list[int]:
        """Add a node as it was."""
        return self.add(node["op"], node["name"], inputs, **node.get("attrs", {}))

    def graph(self) -> Any:
        """Return the symbol."""
        heads = [[self._place[source], *rest] for source, *rest in self._document["heads"]]
        variables = [number for number, node in enumerate(self._nodes) if node["op"] == "null"]
        written = {"nodes": self._nodes, "arg_nodes": variables, "heads": heads, "attrs": self._document["attrs"]}
        return mx.sym.load_json(json.dumps(written))


def _with_branches_apart(document: dict[str, Any]) -> Any:
    """Return the graph with a barrier where only one of several followers would be computed with what is before.

    MXNet 1.9.1 would give the others its result, in place of what is before it.
    """
    after, nodes = _followers(document), document["nodes"]
    writing = _Writing(document)
    for number, node, inputs in writing.old():
        output = writing.keep(node, inputs)
        followers = [nodes[each]["op"] for each in after.get(number, ())]
        if len(followers) > 1 and not TAKEN_IN.get(node["op"], frozenset()).isdisjoint(followers):
            # An identity would be taken out again.
            writing.add("BlockGrad", f"{node['name']}_apart", [output])
    return writing.graph()


def _with_two_norms(document: dict[str, Any], pairs: dict[int, _Pair]) -> tuple[Any, dict[str, tuple[int, float]]]:
    """Return the graph with two normalisations for each pair, and its constants, each (C,) of one value."""
    constants: dict[str, tuple[int, float]] = {}
    relu6 = {pair.relu6: pair for pair in pairs.values()}
    writing = _Writing(document)
    add = writing.add
    for number, node, inputs in writing.old():
        name = node["name"]
        if number in pairs:
            x, gamma, beta, *statistics = inputs
            gamma = add("negative", f"{name}_turned", [gamma])
            beta = add("_rminus_scalar", f"{name}_from6", [beta], scalar="6")
            add("_contrib_BatchNormWithReLU", name, [x, gamma, beta, *statistics], **node["attrs"])
        elif number in relu6:
            pair = relu6[number]
            # (x - mean) / sqrt(variance + eps) * gamma + beta
            for key, value in {"gamma": -1.0, "beta": 0.0, "mean": 6.0, "variance": 1.0}.items():
                constants[f"{name}_{key}"] = pair.channels, value
                inputs.append(add("null", f"{name}_{key}", []))
            settings = {"eps": "0", "fix_gamma": "False", "use_global_stats": "True"}
            clipped = add("_contrib_BatchNormWithReLU", name, inputs, **settings)
            if pair.mixed:
                # A mean over one pixel gives gradients back in the blocks of its images, as the norm needs them.
                add("Pooling", f"{name}_blocks", [clipped], kernel="(1, 1)", pool_type="avg")
        else:
            writing.keep(node, inputs)
    return writing.graph(), constants
