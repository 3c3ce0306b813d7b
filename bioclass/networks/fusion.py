"""Graphs in which oneDNN computes what MXNet would; what they give stays the same up to rounding.

MXNet 1.9.1 leaves convolutions on the processor to oneDNN, which keeps images in blocks of channels. A step that it
does not leave to oneDNN, such as the clip of ReLU6, first puts them back in plain order, and they go into blocks
again after it. In MobileNetV2 that was a seventh of a training step, and the loop of clip itself half of it.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from bioclass.backend import mx
from bioclass.networks.blocks import Chain, vector_block

WHOLE = 16
"""Channels of an image that oneDNN keeps in whole blocks on every processor."""


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
            graph = net(data)
        if any(node["op"] == "Convolution" for node in json.loads(graph.tojson())["nodes"]):
            block = mx.gluon.SymbolBlock(graph.optimize_for("MKLDNN"), data, params=net.collect_params())
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
    nodes = document["nodes"]
    after: dict[int, list[int]] = {}
    for number, node in enumerate(nodes):
        for source, *_ in node["inputs"]:
            after.setdefault(source, []).append(number)
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


def _with_two_norms(document: dict[str, Any], pairs: dict[int, _Pair]) -> tuple[Any, dict[str, tuple[int, float]]]:
    """Return the graph with two normalisations for each pair, and its constants, each (C,) of one value."""
    nodes: list[dict[str, Any]] = []
    place: list[int] = []  # where what a node gave is now
    constants: dict[str, tuple[int, float]] = {}
    relu6 = {pair.relu6: pair for pair in pairs.values()}

    def add(op: str, name: str, inputs: list[Any], **attributes: str) -> list[int]:
        nodes.append({"op": op, "name": name, "attrs": attributes, "inputs": inputs})
        return [len(nodes) - 1, 0, 0]

    def constant(name: str, channels: int, value: float) -> list[int]:
        constants[name] = channels, value
        return add("null", name, [])

    for number, node in enumerate(document["nodes"]):
        name, attributes = node["name"], node.get("attrs", {})
        inputs = [[place[source], *rest] for source, *rest in node["inputs"]]
        if number in pairs:
            x, gamma, beta, *statistics = inputs
            gamma, beta = (
                add("negative", f"{name}_turned", [gamma]),
                add("_rminus_scalar", f"{name}_from6", [beta], scalar="6"),
            )
            add("_contrib_BatchNormWithReLU", name, [x, gamma, beta, *statistics], **attributes)
        elif number in relu6:
            pair = relu6[number]
            # (x - mean) / sqrt(variance + eps) * gamma + beta
            values = {"gamma": -1.0, "beta": 0.0, "mean": 6.0, "variance": 1.0}
            given = [constant(f"{name}_{key}", pair.channels, value) for key, value in values.items()]
            settings = {"eps": "0", "fix_gamma": "False", "use_global_stats": "True"}
            clipped = add("_contrib_BatchNormWithReLU", name, [*inputs, *given], **settings)
            if pair.mixed:
                # A mean over one pixel gives gradients back in the blocks of its images, as the norm needs them.
                add("Pooling", f"{name}_blocks", [clipped], kernel="(1, 1)", pool_type="avg")
        else:
            add(node["op"], name, inputs, **attributes)
        place.append(len(nodes) - 1)
    heads = [[place[source], *rest] for source, *rest in document["heads"]]
    variables = [number for number, node in enumerate(nodes) if node["op"] == "null"]
    rewritten = {"nodes": nodes, "arg_nodes": variables, "heads": heads, "attrs": document["attrs"]}
    return mx.sym.load_json(json.dumps(rewritten)), constants
