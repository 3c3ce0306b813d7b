"""bfloat16: every network's answers stay near, the cost is told, and where it cannot be fast it is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import fit, fit_folds, refused, run_cli

from bioclass import recipe
from bioclass.backend import mx
from bioclass.errors import DeviceError
from bioclass.evaluate.bfloat16 import ROUNDS, compare_bfloat16
from bioclass.networks import build
from bioclass.networks.bfloat16 import INSTRUCTIONS, check_bfloat16, in_bfloat16, trained_in_bfloat16
from bioclass.networks.blocks import processor_flags
from bioclass.networks.parameters import parameters
from bioclass.predict import Scorer, get_weights
from bioclass.run import open_run

has_it = pytest.mark.skipif(not INSTRUCTIONS & processor_flags(), reason="this processor has no bfloat16")
FLAGS = "bioclass.networks.bfloat16.processor_flags"


@has_it
@pytest.mark.parametrize(
    "network",
    [
        recipe.LeNet(name="lenet"),
        recipe.Network3(name="network3"),
        recipe.DropConnect(name="dropconnect"),
        recipe.MLP(name="mlp"),
        recipe.VGG(name="vgg", stages=((20,), (24, 24))),
    ],
    ids=lambda each: each.name,
)
def test_scores_are_those_of_float32_but_for_8_bits(network: recipe.Network) -> None:
    shape = (1, 28, 28)
    mx.random.seed(3)
    full, low = (Scorer(build(network, shape, 10), mx.cpu(), bfloat16=bfloat16) for bfloat16 in (False, True))
    weights = get_weights(full.net)
    for scorer in (full, low):
        scorer.load(weights, Path("a test"))
    images = np.random.default_rng(0).uniform(0, 1, (8, *shape)).astype(np.float32)
    expected, found = full(images), low(images)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert found.dtype == np.float32 and 0 < error < 0.02
    # Other weights are taken over too, and those of the float32 network were not changed.
    low.load({name: 0 * value for name, value in weights.items()}, Path("a test"))
    np.testing.assert_array_equal(low(images), 0 * found)
    np.testing.assert_array_equal(full(images), expected)


@has_it
def test_weights_are_those_at_the_time() -> None:
    net = mx.gluon.nn.Dense(2, in_units=1, use_bias=False)
    net.initialize(mx.init.Constant(2))
    net.hybridize()
    x = mx.nd.ones((3, 1, 1, 1))
    low = in_bfloat16(net, x)
    net.weight.set_data(mx.nd.ones((2, 1)))
    assert low(x).asnumpy().tolist() == [[2, 2]] * 3 and net(x).asnumpy().tolist() == [[1, 1]] * 3


# What it costs


def test_the_comparison_counts_every_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.array([0, 1, 1, 0, 1, 0, 1])
    images = np.arange(20)
    rows = np.array([3, 4, 7, 9, 12, 15, 19])
    seconds = iter(range(10**6))
    monkeypatch.setattr("bioclass.evaluate.bfloat16.perf_counter", lambda: next(seconds))
    calls = []

    def model(wrong: set[int], slow: int) -> object:
        def answer(given: np.ndarray, some: np.ndarray) -> np.ndarray:
            assert given is images
            calls.append(slow)
            for _ in range(slow - 1):
                next(seconds)
            right = labels[np.searchsorted(rows, some)]
            return np.eye(2)[np.where(np.isin(some, list(wrong)), 1 - right, right)]

        return answer

    found = compare_bfloat16((model({3}, 6), model({3, 9, 19}, 2)), images, rows, labels, None, 2)
    assert found.float32.value == pytest.approx(6 / 7) and found.bfloat16.value == pytest.approx(4 / 7)
    assert found.equal == pytest.approx(5 / 7) and found.speed == 3
    # Each warmed up once, then in turn.
    assert calls == [6, 2] * (ROUNDS + 1)


@has_it
def test_evaluate_tells_what_it_costs(tiny: SimpleNamespace) -> None:
    plain = json.loads(run_cli("evaluate", tiny.run, "--json").out)["models"][0]
    result = run_cli("evaluate", tiny.run, tiny.runs[1], "--bfloat16")
    assert result.status == 0
    assert all(words in result.out for words in ("In bfloat16", "float32", "equal", "as fast"))
    model = json.loads(run_cli("evaluate", tiny.run, "--bfloat16", "--json").out)["models"][0]
    told = model.pop("bfloat16")
    assert model == plain
    assert told["accuracy"]["float32"] == model["accuracy"]
    assert 0 <= told["accuracy"]["bfloat16"]["value"] <= 1 and 0 <= told["equal_answers"] <= 1 and told["speed"] > 0
    written = json.loads((tiny.run / "evaluation/test/metrics.json").read_text())
    assert set(written["bfloat16"]) == {"accuracy", "equal_answers", "speed"}


@has_it
def test_predict_computes_in_it(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folds = fit_folds(tiny.recipe, tmp_path / "folds", "split.folds=2")
    for model in (tiny.run, folds):
        tables = [
            list(csv.DictReader(io.StringIO(run_cli("predict", model, tiny.data, *more).out)))
            for more in ((), ("--bfloat16",))
        ]
        full, low = (np.array([float(row["p_class0"]) for row in rows]) for rows in tables)
        np.testing.assert_allclose(low, full, atol=0.01)
        assert not np.array_equal(low, full)


# Where it is not


def test_a_processor_without_it(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FLAGS, lambda: frozenset(("avx2", "avx512bw")))
    for command in (("evaluate", tiny.run), ("predict", tiny.run, tiny.data)):
        assert "no instructions for bfloat16 (avx512_bf16 or amx_bf16)" in refused(*command, "--bfloat16")


@pytest.mark.parametrize("flag", sorted(INSTRUCTIONS))
def test_either_instruction_will_do(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FLAGS, lambda: frozenset((flag,)))
    check_bfloat16(mx.cpu())
    with pytest.raises(DeviceError, match=r"not for gpu\(0\)"):
        check_bfloat16(mx.gpu())


def test_mistakes(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folds = fit_folds(tiny.recipe, tmp_path / "folds", "split.folds=2")
    assert "--bfloat16 is not for pooled folds" in refused("evaluate", folds, "--bfloat16")
    (tmp_path / "model.onnx").write_bytes(b"")
    assert "--bfloat16 is for a run folder" in refused("predict", tmp_path / "model.onnx", tiny.data, "--bfloat16")


# ---- training


@has_it
@pytest.mark.parametrize(
    ("network", "least"),
    [
        (recipe.LeNet(), 0.98),
        (recipe.Network3(), 0.98),
        (recipe.MLP(), 0.98),
        (recipe.VGG(stages=((20,), (24, 24)), dropout=0.2), 0.98),
        # Batch normalisation over few values carries every rounding on.
        (recipe.Backbone(name="resnet18_v1"), 0.8),
        (recipe.Backbone(name="mobilenetv2_0.25"), 0),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_gradients_are_those_of_float32_but_for_8_bits(network: recipe.Network, least: float) -> None:
    shape = (3, 64, 64) if isinstance(network, recipe.Backbone) else (1, 28, 28)
    mx.random.seed(3)
    net = build(network, shape, 10)
    net.initialize()
    x = mx.nd.array(np.random.default_rng(0).uniform(0, 1, (8, *shape)).astype(np.float32))
    labels = mx.nd.array(np.arange(8))
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    net(x)
    trained = {name: each for name, each in parameters(net).items() if each.grad_req != "null"}
    scores, gradients = [], []
    for block in (net, trained_in_bfloat16(net)):
        block.hybridize()
        mx.random.seed(5)  # the same neurons are dropped
        with mx.autograd.record():
            found = block(x)
            error = loss(found, labels)
        error.backward()
        scores.append(found.asnumpy())
        gradients.append({name: each.grad().asnumpy() for name, each in trained.items()})
    assert scores[1].dtype == np.float32
    assert all(each.data().dtype == np.float32 for each in trained.values())
    exact, low = (np.concatenate([each[name].ravel() for name in trained]) for each in gradients)
    # Rounding makes ties, by which a pooling or a rectifier chooses another neuron: directions are compared.
    assert least < cosine(low, exact) < 1
    assert 0.9 < cosine(scores[1].ravel(), scores[0].ravel()) < 1


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a @ b) / (np.linalg.norm(a) * np.linalg.norm(b)))


@has_it
def test_a_network_trains_in_bfloat16(tiny: SimpleNamespace, tmp_path: Path) -> None:
    """Its weights are others than those of float32, near them, and the same when it is trained again."""
    low = ("--set", "fit.precision=bfloat16")
    runs = [fit(tiny.recipe, tmp_path / name, *low) for name in ("a", "b")]
    weights = [open_run(run).best().tensors["weights"] for run in (*runs, tiny.runs[0])]
    for name, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][name])
        assert value.dtype == np.float32
        assert np.abs(value - weights[2][name]).max() < 0.05 * np.abs(weights[2][name]).max()
    assert any((value != weights[2][name]).any() for name, value in weights[0].items())


def test_training_is_refused_where_it_would_not_be_faster(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FLAGS, lambda: frozenset(("avx2",)))
    said = refused("fit", tiny.recipe, "--run", tmp_path / "run", "--set", "fit.precision=bfloat16")
    assert "no instructions for bfloat16" in said and "fit.precision" in said
    assert not (tmp_path / "run").exists()


def test_dropconnect_is_not_trained_in_bfloat16() -> None:
    assert "'dropconnect' draws its masks" in refused("fit", "mnist-dropconnect", "--set", "fit.precision=bfloat16")
