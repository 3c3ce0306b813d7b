"""Graphs in which oneDNN computes more than before train and predict as the networks themselves do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bioclass import recipe
from bioclass.backend import mx
from bioclass.fit.replica import keep_statistics
from bioclass.networks import build, fusion
from bioclass.networks.fusion import for_prediction, for_training
from bioclass.networks.parameters import parameters
from bioclass.predict import Scorer, get_weights

nn = mx.gluon.nn
CPU = mx.cpu()
MOBILE = recipe.Backbone(name="mobilenetv2_0.5")
SHAPE = (3, 64, 64)


@pytest.fixture(autouse=True)
def avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is faster where is not tested here: a processor without AVX2 is to compute the same."""
    monkeypatch.setattr(fusion, "vector_block", lambda: 16)


class ReLU6(mx.gluon.HybridBlock):
    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        return F.clip(x, 0, 6)


def small_network(hidden: int = 144) -> Any:
    """Depthwise and pointwise convolutions, of which some have channels that fill no whole blocks."""
    net = nn.HybridSequential(prefix="small_")
    with net.name_scope():
        for channels, side, groups, active in (
            (32, 3, 1, True),
            (32, 3, 32, True),
            (24, 1, 1, False),
            (hidden, 1, 1, True),
            (hidden, 3, hidden, True),
            (16, 1, 1, False),
        ):
            net.add(nn.Conv2D(channels, side, padding=side // 2, groups=groups, use_bias=False), nn.BatchNorm())
            if active:
                net.add(ReLU6())
        net.add(nn.Dense(5))
    return settled(net, (3, 12, 12))


def settled(net: Any, shape: tuple[int, int, int]) -> Any:
    """Give a network weights with which much is below 0, between 0 and 6, and above."""
    mx.random.seed(3)
    net.initialize(mx.init.Normal(0.3), force_reinit=True)
    net(mx.nd.zeros((1, *shape)))
    ranges = {"gamma": (1, 4), "beta": (0, 5), "mean": (-1, 1), "var": (0.5, 2)}
    for name, parameter in net.collect_params().items():
        low, high = ranges.get(name.rpartition("_")[2], (0, 0))
        if high:
            parameter.set_data(mx.nd.random.uniform(low, high, parameter.shape))
    return net


def images(count: int, shape: tuple[int, int, int], seed: int = 0) -> Any:
    return mx.nd.array(np.random.default_rng(seed).standard_normal((count, *shape), dtype=np.float32))


def operations(block: Any) -> list[str]:
    return [node["op"] for node in json.loads(block(mx.sym.var("data", dtype="float32")).tojson())["nodes"]]


def step(net: Any, block: Any, x: Any) -> dict[str, np.ndarray]:
    """Return the scores, all gradients and running statistics of a step; the statistics are then as before."""
    named = parameters(net)
    before = {name: value.data().copy() for name, value in named.items() if value.grad_req == "null"}
    with mx.autograd.record():
        scores = block(x)
        loss = (scores * mx.nd.arange(scores.size).reshape(scores.shape).sin()).sum()
    loss.backward()
    mx.nd.waitall()
    found = {name: (each.data() if name in before else each.grad()).asnumpy() for name, each in named.items()}
    for name, value in before.items():
        named[name].set_data(value)
    return {**found, "scores": scores.asnumpy()}


def close(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], tolerance: float) -> None:
    """Compare; the gradient of a shift that a normalisation takes out again is nothing but rounding."""
    for name, value in theirs.items():
        scale = max(np.abs(value).max(), 1.0)
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize("kept", [False, True])
def test_relu6_trains_as_mxnet_computes_it(kept: bool) -> None:
    net = small_network()
    if kept:
        keep_statistics(net, set(parameters(net)))
    names = list(parameters(net))
    block = for_training(net, CPU)
    block.hybridize(static_alloc=True, static_shape=True)
    assert operations(net).count("clip") == 4 and operations(block).count("clip") == 0
    for count, seed in ((6, 1), (6, 2), (1, 3)):
        x = images(count, (3, 12, 12), seed)
        close(step(net, block, x), step(net, net, x), 1e-4)
    assert list(parameters(net)) == names


def test_channels_that_fill_no_blocks_keep_their_relu6() -> None:
    net = small_network(hidden=72)
    block = for_training(net, CPU)
    assert operations(block).count("clip") == 2
    x = images(4, (3, 12, 12))
    block.hybridize()
    close(step(net, block, x), step(net, net, x), 1e-4)


def test_parameters_that_are_not_trained_get_no_gradients() -> None:
    net = small_network()
    first = net[0].weight
    first.grad_req = "null"
    block = for_training(net, CPU)
    block.hybridize()
    before = first.data().asnumpy()
    x = images(4, (3, 12, 12))
    close(step(net, block, x), step(net, net, x), 1e-4)
    np.testing.assert_array_equal(first.data().asnumpy(), before)


def test_mobilenet_learns_the_same() -> None:
    net = build(MOBILE, SHAPE, 5)
    mx.random.seed(0)
    net.initialize()
    block = for_training(net, CPU)
    block.hybridize(static_alloc=True, static_shape=True)
    assert "_contrib_BatchNormWithReLU" in operations(block)
    x = images(8, SHAPE)
    ours, theirs = (
        np.concatenate([value.ravel() for value in step(net, each, x).values()]) for each in (block, net)
    )
    assert ours @ theirs > 0.9999 * np.linalg.norm(ours) * np.linalg.norm(theirs)


@pytest.mark.parametrize("why", ["no AVX2", "GPU", "no ReLU6", "chain"])
def test_where_nothing_is_gained_the_network_itself_trains(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "no AVX2":
        monkeypatch.setattr(fusion, "vector_block", lambda: 1)
    chosen = {"no ReLU6": recipe.Backbone(name="resnet18_v1"), "chain": recipe.LeNet()}.get(why, MOBILE)
    net = build(chosen, SHAPE, 5)
    net.initialize()
    assert for_training(net, SimpleNamespace(device_type="gpu") if why == "GPU" else CPU) is net


# Of cifar_resnet20_v2 the first convolution is wanted by a normalisation and by a sum.
NETWORKS = [
    "cifar_resnet20_v2",
    "mobilenetv2_0.25",
    "mobilenetv3_small",
    "resnet18_v1",
    "resnet18_v2",
    "densenet121",
]


@pytest.mark.parametrize(
    "name", [*NETWORKS, "squeezenet1.1", "googlenet", "shufflenet_v2", "se_resnet18_v1", "resnest14"]
)
def test_predictions_are_those_of_the_network(name: str) -> None:
    net = build(recipe.Backbone(name=name), SHAPE, 5)
    mx.random.seed(0)
    net.initialize()
    for key, parameter in net.collect_params().items():
        if key.endswith("running_var"):
            parameter.set_data(mx.nd.random.uniform(0.7, 1.4, parameter.shape))
    block = for_prediction(net, CPU)
    assert block is not net
    for count in (3, 1, 4):
        x = images(count, SHAPE, count)
        plain = net(x).asnumpy()
        np.testing.assert_allclose(block(x).asnumpy(), plain, rtol=0, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize("spec", [recipe.LeNet(), recipe.MLP()])
def test_chains_and_networks_without_convolutions_predict_themselves(spec: Any) -> None:
    net = build(spec, (1, 28, 28), 5)
    net.initialize()
    assert for_prediction(net, CPU) is net


@pytest.fixture
def scorer() -> Iterator[Scorer]:
    yield Scorer(build(recipe.Backbone(name="mobilenetv2_0.25"), SHAPE, 5), CPU)


@pytest.mark.parametrize("changed", ["gamma", "beta", "running_mean", "running_var", "weight"])
def test_new_weights_of_any_kind_are_predicted_with(changed: str, scorer: Scorer) -> None:
    x = images(2, SHAPE).asnumpy()
    weights = {name: np.abs(value) + 0.01 for name, value in get_weights(scorer.net).items()}
    for factor in (1.0, 1.5):
        for name in weights:
            if name.endswith(changed):
                weights[name] = weights[name] * np.float32(factor)
        scorer.load(weights, Path("here"))
        found = scorer(x)
        plain = scorer.net(mx.nd.array(x)).asnumpy()
        np.testing.assert_allclose(found, plain, rtol=0, atol=1e-4 * np.abs(plain).max())
