"""Runs as one ONNX graph: stored images in, probabilities out."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from bioclass.backend import import_onnx_translator, mx
from bioclass.errors import RunError
from bioclass.export.center import center_nodes
from bioclass.export.nodes import Nodes
from bioclass.export.resize import LEAST, resize_nodes
from bioclass.networks import build
from bioclass.predict import input_shape, set_weights
from bioclass.preprocess import Plan, affine
from bioclass.recipe import Copy
from bioclass.run import Run

OPSET = 13
"""MXNet's translator knows the operations of this version of ONNX's; every runtime since 2021 reads it."""

IR_VERSION = 8
"""Of ONNX's file format, from 2021."""


def placed(plan: Plan) -> Plan:
    """Return the plan of images that are resized and centred already."""
    return plan.model_copy(update={"size": plan.output_size, "resize": None, "center": None})


def inside(plan: Plan) -> Plan:
    """Return the plan that a graph takes on: all of it, or what follows a resizing that it cannot do exactly."""
    return placed(plan) if plan.resize is not None and min(plan.size) < LEAST else plan


def outside(plan: Plan) -> list[str]:
    """Return the steps that are not in a graph, in their order: images are given to it after them."""
    taken = inside(plan)
    return [step for step in ("resize", "center") if getattr(plan, step) != getattr(taken, step)]


def network(run: Run) -> Any:
    """Return a run's network, as Gluon has it, with its best weights."""
    net = build(run.recipe.network, input_shape(run.plan), len(run.classes))
    net.initialize()
    set_weights(net, run.best().tensors["weights"], run.path / "best")
    return net


def scores_graph(net: Any, shape: tuple[int, int, int]) -> Any:
    """Return the ONNX model of a Gluon network: "data", float32 images (N, C, H, W), to scores (N, K).

    Raises:
        RunError: the network has an operation that MXNet does not translate.
        MissingDependency: onnx is not installed.
    """
    translator = import_onnx_translator()
    with mx.autograd.pause(train_mode=False):
        symbol = _with_plain_reshapes(net(mx.sym.var("data")), shape)
    weights = {each.name: each.data() for each in net.collect_params().values()}
    helper = importlib.import_module("onnx").helper
    try:
        graph = translator().create_onnx_graph_proto(
            symbol,
            weights,
            [(1, *shape)],
            [helper.np_dtype_to_tensor_dtype(np.dtype(np.float32))],
            opset_version=OPSET,
            dynamic=True,
            dynamic_input_shapes=[("batch", *shape)],
        )
    except (AttributeError, NotImplementedError) as problem:
        raise RunError(
            f"This network cannot be translated to ONNX by MXNet ({problem}): export it with --to symbol."
        ) from None
    # Weights that are inputs too could be replaced by a caller, so that no runtime may optimise them.
    images = next(each for each in graph.input if each.name == "data")
    del graph.input[:]
    graph.input.append(images)
    _leave_zero_biases_out(graph)
    return _model(graph)


def _leave_zero_biases_out(graph: Any) -> None:
    """Take away the scalar 0 that MXNet adds to products without a bias: quantisation looks for its axis."""
    numpy_helper = importlib.import_module("onnx").numpy_helper
    zeros = {each.name for each in graph.initializer if not each.dims and numpy_helper.to_array(each) == 0}
    for node in graph.node:
        if node.op_type == "Gemm" and len(node.input) == 3 and node.input[2] in zeros:
            del node.input[2]
    used = {name for node in graph.node for name in node.input}
    kept = [each for each in graph.initializer if each.dims or each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _with_plain_reshapes(symbol: Any, shape: tuple[int, int, int]) -> Any:
    """Return the symbol with the new shapes written out, for ONNX has none of MXNet's codes -2, -3 and -4."""
    internals = symbol.get_internals()
    found = [internals.infer_shape(data=(count, *shape))[1] for count in (2, 3)]
    shapes = {
        name: [side if side == other else -1 for side, other in zip(*each, strict=True)]
        for name, *each in zip(internals.list_outputs(), *found, strict=True)
    }
    document = json.loads(symbol.tojson())
    for node in document["nodes"]:
        if node["op"] == "Reshape":
            node["attrs"] = {"shape": str(tuple(shapes[f"{node['name']}_output"]))}
    return mx.sym.load_json(json.dumps(document))


def whole_graph(runs: Sequence[Run], scores: Sequence[Any], plan: Plan) -> Any:
    """Return the ONNX model from "images" to "probabilities", (N, K) float32.

    Of one run that predicts from images as they are also to "scores", (N, K) float32.

    Args:
        runs: whose mean probability is wanted, of one kind of images and of the same classes.
        scores: the graph of each, from :func:`scores_graph`.
        plan: from :func:`inside` or :func:`placed`, of the first run; only their scales differ.
    """
    onnx = importlib.import_module("onnx")
    front, back = Nodes("before_"), Nodes("after_")
    copies = runs[0].recipe.predict.copies
    images = _copied(front, _channel_first(front, plan), copies)
    links, cores, answers = [], [], []
    for number, (run, model) in enumerate(zip(runs, scores, strict=True)):
        core = onnx.compose.add_prefix_graph(model.graph, f"network{number}_")
        links.append(_named(_scaled(front, images, run.plan), core.input[0].name))
        cores.append(core)
        answers.append(back("Softmax", back.cast(core.output[0].name, "float64"), axis=-1))
    total = back("Sum", *answers)
    if len(copies) > 1:
        by_copy = back("Reshape", total, np.array([len(copies), -1, len(runs[0].classes)]))
        total = back("ReduceSum", by_copy, np.array([0]), keepdims=0)
    mean = back("Div", total, float(len(answers) * len(copies)))
    ends = [_named(back.cast(mean, "float32"), "probabilities")]
    if len(cores) == len(copies) == 1:
        ends.append(_named(cores[0].output[0].name, "scores"))
    graph = onnx.helper.make_graph(
        [*front.nodes, *links, *(node for core in cores for node in core.node), *back.nodes, *ends],
        "bioclass",
        [_images_info(plan)],
        [_info(end.output[0], "float32", ("batch", len(runs[0].classes))) for end in ends],
        [*front.constants, *(each for core in cores for each in core.initializer), *back.constants],
    )
    # Quantised networks may need a later version of the operations than the others.
    return _model(graph, max(entry.version for model in scores for entry in model.opset_import if not entry.domain))


def _images_info(plan: Plan) -> Any:
    """The input of the whole graph."""
    sides: tuple[int | str, ...] = plan.size if plan.resize is None else ("height", "width")
    return _info("images", plan.input.dtype, ("batch", *sides, plan.channels))


def _channel_first(add: Nodes, plan: Plan) -> str:
    """Images (N, H, W, C) to (N, C, h, w), resized and centred, of the type that they are scaled in."""
    values = add("Transpose", "images", perm=[0, 3, 1, 2])
    stored = np.dtype(plan.input.dtype)
    if plan.resize is not None or plan.center is not None:
        values = add.cast(values, "float64")
    if plan.resize is not None:
        values = resize_nodes(add, values, plan.size, plan.resize, stored)
    if plan.center is not None:
        values = center_nodes(add, values, plan.size, plan.center, plan.largest, stored)
    return add.cast(values, _work(stored))


def _copied(add: Nodes, values: str, copies: Sequence[Copy]) -> str:
    """Images (N, C, h, w) to all the first copies, then all the second ones: what ``augment.copied`` yields."""
    made = []
    for mirrored, quarters in copies:
        copy = _mirrored(add, values, 3) if mirrored else values
        if quarters % 2:
            copy = add("Transpose", copy, perm=[0, 1, 3, 2])
        for axis in {0: [], 1: [2], 2: [2, 3], 3: [3]}[quarters]:
            copy = _mirrored(add, copy, axis)
        made.append(copy)
    return add("Concat", *made, axis=0) if len(made) > 1 else values


def _mirrored(add: Nodes, values: str, axis: int) -> str:
    # From the last to before the first.
    last, end, step = np.array([-1]), np.array([np.iinfo(np.int64).min]), np.array([-1])
    return add("Slice", values, last, end, np.array([axis]), step)


def _scaled(add: Nodes, values: str, plan: Plan) -> str:
    """What ``preprocess.scaled`` computes, in the types that numpy takes for it."""
    scale, shift = affine(plan.divisor, plan.mean, plan.std)
    work = _work(np.dtype(plan.input.dtype))
    values = add.cast(add("Mul", values, scale.astype(work)), "float32")
    return values if shift is None else add("Add", values, shift)


def _work(stored: np.dtype[Any]) -> str:
    return "float32" if stored.itemsize <= 2 or stored == np.float32 else "float64"


def _named(value: str, name: str) -> Any:
    return importlib.import_module("onnx").helper.make_node("Identity", [value], [name], name=f"{name}_is")


def _info(name: str, dtype: str, shape: Sequence[int | str]) -> Any:
    helper = importlib.import_module("onnx").helper
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def _model(graph: Any, opset: int = OPSET) -> Any:
    helper = importlib.import_module("onnx").helper
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
