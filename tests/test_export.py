"""An exported model gives the run's answers, or is not written."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from conftest import fit, fit_folds, pictures, refused, run_cli, write_folder, write_png, write_recipe

from bioclass import recipe
from bioclass.answers import softmax
from bioclass.backend import mx
from bioclass.checkpoint import save_checkpoint
from bioclass.errors import RunError
from bioclass.networks import build
from bioclass.predict import MeanPredictor, Predictor
from bioclass.preprocess import apply, read_for
from bioclass.preprocess.center import boxes
from bioclass.run import open_folds, open_run

onnx = pytest.importorskip("onnx", reason="the extra bioclass[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="the extra bioclass[onnx] is not installed")

from bioclass.export import whole  # noqa: E402
from bioclass.export.graph import scores_graph  # noqa: E402
from bioclass.export.images import random_images  # noqa: E402
from bioclass.export.int8 import quantise  # noqa: E402
from bioclass.exported import open_exported, open_session  # noqa: E402

NETWORKS = [
    recipe.LeNet(dropout=0.5),
    recipe.Network3(),
    recipe.DropConnect(),
    recipe.DropConnect(inference="mean"),
    *(recipe.MLP(activation=activation) for activation in ("sigmoid", "tanh", "relu", "softsign")),
    recipe.VGG(stages=((8, 12), (16,)), dropout=0.5),
]


def export(run: Path, *more: object) -> dict:
    result = run_cli("export", run, "--json", *more)
    assert result.status == 0, result.err
    return json.loads(result.out)


def write_npy(path: Path, image: np.ndarray) -> None:
    np.save(path, image)


# ---- the networks


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 33)])
def test_every_network_has_its_scores_in_onnx(spec: recipe.Network, shape: tuple[int, int, int]) -> None:
    net = build(spec, shape, 4)
    mx.random.seed(1)
    net.initialize()
    with mx.autograd.record():  # so that running statistics are no longer those of the start
        net(mx.nd.random.normal(shape=(8, *shape)))
    model = scores_graph(net, shape)
    onnx.checker.check_model(model, full_check=True)
    assert [each.name for each in model.graph.input] == ["data"]
    for count in (1, 5):
        x = np.random.default_rng(count).random((count, *shape), dtype=np.float32)
        found = open_session(model.SerializeToString()).run(None, {"data": x})[0]
        np.testing.assert_allclose(found, net(mx.nd.array(x)).asnumpy(), rtol=1e-5, atol=5e-6)


class Shuffled(mx.gluon.HybridBlock):
    """Channels in another order, as ShuffleNet has them, by MXNet's codes for shapes."""

    def hybrid_forward(self, F, x):  # noqa: N803
        x = F.reshape(x, shape=(0, -4, 2, -1, -2)).swapaxes(1, 2)
        return F.flatten(F.reshape(x, shape=(0, -3, -2)))


def test_the_shapes_that_onnx_cannot_write() -> None:
    model = scores_graph(Shuffled(), (4, 2, 3))
    x = np.random.default_rng(0).random((3, 4, 2, 3), dtype=np.float32)
    found = open_session(model.SerializeToString()).run(None, {"data": x})[0]
    assert np.array_equal(found, x[:, [0, 2, 1, 3]].reshape(3, -1))


class Unknown(mx.gluon.HybridBlock):
    def hybrid_forward(self, F, x):  # noqa: N803
        return F.gamma(x)


def test_an_operation_that_has_no_translation() -> None:
    with pytest.raises(RunError, match=r"No conversion function registered for op type gamma.*--to symbol"):
        scores_graph(Unknown(), (1, 4, 4))


# ---- images to probabilities


class TrainedAndExported(NamedTuple):
    """What ``export`` said, its file, the images as stored, as prepared, and MXNet's probabilities of them."""

    done: dict
    file: Path
    stored: np.ndarray
    prepared: np.ndarray
    expected: np.ndarray


def trained_and_exported(
    tmp_path: Path,
    images: np.ndarray,
    suffix: str,
    write: Callable[[Path, np.ndarray], None],
    settings: list[str],
    extra: str = "",
) -> TrainedAndExported:
    data = write_folder(tmp_path / "data", images, suffix=suffix, write=write)
    path = write_recipe(tmp_path / "recipe.toml", "data", extra, network='name = "lenet"\nfc1 = 16')
    run = fit(path, tmp_path / "run", *(word for setting in settings for word in ("--set", setting)))
    done, opened = export(run), open_run(run)
    prepared = np.stack([read_for(opened.plan, file) for file in sorted(data.rglob(f"*{suffix}"))])
    expected = Predictor(opened, mx.cpu()).probabilities(prepared)
    stored = images.reshape(*images.shape[:3], -1)
    return TrainedAndExported(done, run / "export" / "model.onnx", stored, prepared, expected)


@pytest.mark.parametrize(
    ("shape", "dtype", "suffix", "write", "settings", "given"),
    [
        ((20, 20), "uint8", ".png", write_png, [], "batch x 20 x 20 x 1, uint8"),
        ((20, 20, 3), "uint8", ".png", write_png, ["preprocess.standardise=true"], "batch x 20 x 20 x 3, uint8"),
        ((20, 20), "uint16", ".png", write_png, ["preprocess.divisor=30000"], "batch x 20 x 20 x 1, uint16"),
        ((20, 20, 5), "float32", ".npy", write_npy, ["preprocess.standardise=true"], "20 x 20 x 5, float32"),
        (
            (24, 31, 3),
            "uint8",
            ".png",
            write_png,
            ["preprocess.size=[20, 20]", "preprocess.standardise=true"],
            "batch x height x width x 3, uint8",
        ),
        (
            (24, 31),
            "uint8",
            ".png",
            write_png,
            ["preprocess.size=[20, 18]", 'preprocess.resize="pad"'],
            "batch x height x width x 1, uint8",
        ),
    ],
)
def test_the_graph_takes_images_as_they_are_stored(
    tmp_path: Path,
    shape: tuple[int, ...],
    dtype: str,
    suffix: str,
    write: Callable[[Path, np.ndarray], None],
    settings: list[str],
    given: str,
) -> None:
    images = pictures(shape=shape, dtype=dtype)
    done, file, stored, _, expected = trained_and_exported(tmp_path, images, suffix, write, settings)
    assert given in done["input"] and done["outside"] == []
    assert done["check"]["source"] == "data" and done["check"]["images"] == 36
    assert done["check"]["network"]["largest_difference"] < 1e-4
    assert ("resizing" in done["check"]) == ("height" in given)
    # The file alone, as another program has it, on the pixels of the files.
    session = open_session(file.read_bytes())
    found, scores = session.run(["probabilities", "scores"], {"images": stored})
    np.testing.assert_allclose(found, expected, atol=1e-3 if "height" in given else 1e-5)
    np.testing.assert_allclose(softmax(scores), found, atol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("tta", ["horizontal", "vertical", "flips", "turns", "dihedral"])
def test_the_graph_predicts_from_the_copies_of_an_image(tmp_path: Path, tta: str) -> None:
    images = pictures(shape=(20, 20, 3))
    data = write_folder(tmp_path / "data", images)
    extra = f"""[augment]
steps = [{{ name = "flip", axes = ["horizontal", "vertical"] }}, {{ name = "turn" }}]
[predict]
tta = "{tta}"
"""
    path = write_recipe(tmp_path / "recipe.toml", "data", extra, network='name = "lenet"\nfc1 = 16')
    run = fit(path, tmp_path / "run")
    assert export(run)["check"]["network"]["largest_difference"] < 1e-5
    exported = open_exported(run / "export" / "model.onnx")
    files = sorted(data.rglob("*.png"))
    plain = Predictor(open_run(run), mx.cpu()).probabilities(images)
    np.testing.assert_allclose(exported.probabilities(images), plain, atol=1e-6)
    assert exported.predict.tta == tta
    assert f'predict.tta = "{tta}"' in run_cli("predict", run / "export" / "model.onnx", files[0]).err


def test_files_of_many_sizes_are_compared_as_they_are(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number, image in enumerate(pictures(shape=(30, 30))):
        (data / f"class{number // 12}").mkdir(parents=True, exist_ok=True)
        write_png(data / f"class{number // 12}" / f"{number % 12}.png", image[: 20 + number % 9, : 21 + number % 5])
    path = write_recipe(tmp_path / "recipe.toml", "data", "[preprocess]\nsize = [16, 16]\n")
    done = export(fit(path, tmp_path / "run"))
    assert done["check"]["images"] == 36 and done["check"]["resizing"]["equal_classes"] == 36


def framed(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Pictures with empty borders of many widths."""
    images = pictures(shape=shape, dtype=dtype)
    for number, image in enumerate(images):
        top, left = 1 + number % 4, 1 + number % 3
        image[:top] = image[-1 - number % 2 :] = image[:, :left] = image[:, -2:] = 0
    return images


@pytest.mark.parametrize(
    ("shape", "dtype", "suffix", "write", "settings", "given"),
    [
        ((24, 22), "uint8", ".png", write_png, [], "batch x 24 x 22 x 1, uint8"),
        ((24, 22, 3), "uint8", ".png", write_png, ["preprocess.center.tolerance=0.04"], "24 x 22 x 3, uint8"),
        ((24, 22), "uint16", ".png", write_png, ["preprocess.divisor=30000"], "batch x 24 x 22 x 1, uint16"),
        ((50, 44, 4), "float32", ".npy", write_npy, ["preprocess.center.tolerance=0.04"], "50 x 44 x 4, float32"),
        (
            (30, 41, 3),
            "uint8",
            ".png",
            write_png,
            ["preprocess.size=[26, 26]", "preprocess.center.tolerance=0.04", "preprocess.standardise=true"],
            "batch x height x width x 3, uint8",
        ),
        (
            (60, 50),
            "uint16",
            ".png",
            write_png,
            ["preprocess.size=[44, 44]", 'preprocess.resize="pad"'],
            "batch x height x width x 1, uint16",
        ),
    ],
)
def test_the_graph_centres_images(
    tmp_path: Path,
    shape: tuple[int, ...],
    dtype: str,
    suffix: str,
    write: Callable[[Path, np.ndarray], None],
    settings: list[str],
    given: str,
) -> None:
    images = framed(shape, dtype)
    extra = "[preprocess.center]\nsize = [20, 20]\n"
    done, file, stored, prepared, expected = trained_and_exported(tmp_path, images, suffix, write, settings, extra)
    assert done["input"].endswith("as stored") and given in done["input"] and done["outside"] == []
    assert done["check"]["network"]["largest_difference"] < 1e-5
    assert done["check"]["centering"]["largest_difference"] < 1e-5
    assert ("resizing" in done["check"]) == ("height" in given)
    assert np.abs(expected - expected[0]).max() > 1e-3  # They are not all alike, wherever their boxes are.
    found = open_session(file.read_bytes()).run(["probabilities"], {"images": stored})[0]
    np.testing.assert_allclose(found, expected, atol=1e-3 if "height" in given else 1e-5)
    np.testing.assert_allclose(open_exported(file).probabilities(prepared), expected, atol=1e-5)
    assert "Centred in the graph: the largest difference" in run_cli("export", file.parents[1]).out


def test_without_the_data_random_images_have_borders_to_cut_away(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", pictures(shape=(24, 24)))
    extra = "[preprocess]\nsize = [22, 22]\n[preprocess.center]\nsize = [20, 20]\n"
    run = fit(write_recipe(tmp_path / "recipe.toml", "data", extra), tmp_path / "run")
    shutil.rmtree(tmp_path / "data")
    check = export(run)["check"]
    assert check["source"] == "random images"
    assert {check[part]["equal_classes"] for part in ("network", "centering", "resizing")} == {256}
    plan = open_run(run).plan
    made = random_images(plan, 20).prepared
    assert len(np.unique(boxes(made, 0), axis=0)) > 3


def test_what_the_graph_cannot_do_is_said(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", pictures(shape=(24, 24)))
    extra = "[preprocess]\nsize = [2, 24]\n[preprocess.center]\nsize = [20, 20]\n"
    run = fit(write_recipe(tmp_path / "recipe.toml", "data", extra), tmp_path / "run")
    result = run_cli("export", run)
    assert result.status == 0, result.err
    assert (
        "batch x 20 x 20 x 1, uint8, as they are after these steps of bioclass, which are not in the graph: "
        "resize, center." in result.out
    )
    exported = open_exported(run / "export" / "model.onnx")
    assert json.loads(exported.metadata["outside"]) == ["resize", "center"]
    # bioclass takes those steps itself.
    rows = run_cli("predict", run, tmp_path / "data").out.splitlines()
    same = run_cli("predict", run / "export" / "model.onnx", tmp_path / "data").out.splitlines()
    assert len(same) == 37
    assert [line.split(",")[:2] for line in same] == [line.split(",")[:2] for line in rows]


def test_the_metadata_says_what_a_user_needs(tiny: SimpleNamespace, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny.run, run)
    assert run_cli("evaluate", run, "--calibrate").status == 0
    done = export(run, "--output", tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(model, full_check=True)
    said = {each.key: each.value for each in model.metadata_props}
    opened = open_run(run)
    assert json.loads(said["classes"]) == ["class0", "class1", "class2"]
    assert json.loads(said["size"]) == [12, 12] and said["channels"] == "1"
    assert said["dataset"] == opened.card.name and said["recipe"] == opened.recipe.digest()
    assert json.loads(said["check"]) == done["check"]
    fitted = json.loads((run / "evaluation/validation/fitted.json").read_text())
    assert json.loads(said["temperature"]) == fitted["temperature"]
    assert model.producer_name == "bioclass" and model.doc_string == done["input"]


def test_the_same_run_gives_the_same_bytes(tiny: SimpleNamespace, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        export(tiny.run, "--output", tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_without_the_data_random_images_are_compared(tiny: SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(tiny.data, tmp_path / "pics")
    recipe_ = write_recipe(tmp_path / "recipe.toml", "pics", "[preprocess]\nsize = [10, 10]\n")
    run = fit(recipe_, tmp_path / "run")
    shutil.rmtree(tmp_path / "pics")
    done = export(run)
    assert done["check"]["source"] == "random images" and done["check"]["images"] == 256
    assert "pics" in refused("export", run, "--root", tmp_path / "pics")


def test_folds_are_one_model(tmp_path: Path) -> None:
    write_folder(tmp_path / "pics", pictures())
    recipe_ = write_recipe(
        tmp_path / "r.toml", "pics", "[split]\nfolds = 3\nvalidation = 0\n[preprocess]\nstandardise = true\n"
    )
    folds = fit_folds(recipe_, tmp_path / "folds")
    export(folds)
    runs = open_folds(folds).runs()
    files = sorted((tmp_path / "pics").rglob("*.png"))
    images = np.stack([read_for(runs[0].plan, file) for file in files])
    expected = MeanPredictor(runs, mx.cpu()).probabilities(images)
    exported = open_exported(folds / "export" / "model.onnx")
    np.testing.assert_allclose(exported.probabilities(images), expected, atol=1e-6)
    assert len(json.loads(exported.metadata["weights"])) == 3
    for word in ("symbol", "params"):
        assert "fold-0, " in refused("export", folds, "--to", word)
    assert "--int8 is for a single run" in refused("export", folds, "--int8")


# ---- int8


def test_int8_shows_its_accuracy_beside_that_of_floats(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", pictures(each=40, shape=(20, 20)))
    network = 'name = "vgg"\nstages = [[8], [16]]'
    run = fit(write_recipe(tmp_path / "r.toml", "data", network=network), tmp_path / "run")
    done = export(run, "--int8")
    found = done["int8"]
    counts = {part: int((open_run(run).split.parts == part).sum()) for part in ("train", "validation")}
    assert found["calibration_images"] == counts["train"] and found["validation_images"] == counts["validation"]
    assert 0 < found["largest_difference"] < 0.3
    model = onnx.load(run / "export" / "model-int8.onnx")
    kinds = [node.op_type for node in model.graph.node]
    assert "QuantizeLinear" in kinds and "BatchNormalization" not in kinds
    weights = {each.name: each.data_type for each in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    sources = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    assert {weights[sources[node.input[1]]] for node in convolutions} == {onnx.TensorProto.INT8}
    # What it is said to reach, it reaches.
    exported = open_exported(run / "export" / "model-int8.onnx")
    split = open_run(run).split
    rows = np.flatnonzero(split.parts == "validation")
    images = np.stack([read_for(exported.plan, tmp_path / "data" / split.ids[row]) for row in rows])
    right = exported.probabilities(images).argmax(axis=1) == split.labels[rows]
    assert right.mean() == found["int8_accuracy"]


class Plain(mx.gluon.HybridBlock):
    """Products without a bias, as the squeeze and excitation of SE-ResNet has them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mx.gluon.nn.HybridSequential()
        self.body.add(
            mx.gluon.nn.Conv2D(8, 3, in_channels=1),
            mx.gluon.nn.Flatten(),
            mx.gluon.nn.Dense(4, use_bias=False, activation="relu", in_units=288),
            mx.gluon.nn.Dense(3, in_units=4),
        )

    def hybrid_forward(self, F, x):  # noqa: N803
        return self.body(x)


def test_products_without_a_bias_are_quantised() -> None:
    net = Plain()
    net.initialize(mx.init.Xavier())
    model = scores_graph(net, (1, 8, 8))
    assert sorted(len(node.input) for node in model.graph.node if node.op_type == "Gemm") == [2, 3]
    x = np.random.default_rng(0).random((64, 1, 8, 8), dtype=np.float32)
    small = quantise(model, x)
    found, expected = (open_session(each.SerializeToString()).run(None, {"data": x})[0] for each in (small, model))
    np.testing.assert_allclose(expected, net(mx.nd.array(x)).asnumpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())


def test_what_cannot_be_quantised_is_one_sentence() -> None:
    net = Plain()
    net.initialize()
    with pytest.raises(RunError, match=r"ONNX Runtime cannot quantise this network \(.*\): leave --int8 out"):
        quantise(scores_graph(net, (1, 8, 8)), np.zeros((4, 1, 9, 9), np.float32))


def test_int8_needs_a_validation_part(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", pictures())
    run = fit(write_recipe(tmp_path / "r.toml", "data", "[split]\nvalidation = 0\n"), tmp_path / "run")
    assert "has no validation part, on which --int8 is measured" in refused("export", run, "--int8")
    assert not (run / "export").exists()


# ---- MXNet's own files


@pytest.mark.filterwarnings("ignore:Cannot decide type")  # MXNet's own
def test_symbol_is_read_without_bioclass(tiny: SimpleNamespace, tmp_path: Path) -> None:
    done = export(tiny.run, "--to", "symbol", "--output", tmp_path / "symbol")
    assert {Path(file).name for file in done["files"]} == {
        "model-symbol.json",
        "model-0000.params",
        "model.json",
    }
    folder = tmp_path / "symbol"
    net = mx.gluon.SymbolBlock.imports(
        str(folder / "model-symbol.json"), ["data"], str(folder / "model-0000.params")
    )
    _same_answers(tiny, net)
    said = json.loads((folder / "model.json").read_text())
    assert said["classes"] == ["class0", "class1", "class2"] and said["input"] == ["batch", 1, 12, 12]


def test_params_are_read_by_gluon(tiny: SimpleNamespace, tmp_path: Path) -> None:
    export(tiny.run, "--to", "params", "--output", tmp_path / "params")
    net = build(open_run(tiny.run).recipe.network, (1, 12, 12), 3)
    net.load_parameters(str(tmp_path / "params" / "model.params"))
    _same_answers(tiny, net)


def _same_answers(tiny: SimpleNamespace, net: object) -> None:
    run = open_run(tiny.run)
    images = np.stack([read_for(run.plan, file) for file in sorted(tiny.data.rglob("*.png"))[:9]])
    found = softmax(net(mx.nd.array(apply(run.plan, images))).asnumpy())
    np.testing.assert_allclose(found, Predictor(run, mx.cpu()).probabilities(images), atol=1e-6)


# ---- mistakes


def test_mistakes_leave_no_file(tiny: SimpleNamespace, tmp_path: Path) -> None:
    assert "Got 'onx'; did you mean 'onnx'?" in refused("export", tiny.run, "--to", "onx")
    assert "--int8 goes with --to onnx" in refused("export", tiny.run, "--to", "params", "--int8")
    assert "there is no folder" in refused("export", tiny.run, "--output", tmp_path / "no" / "a.onnx")
    assert "is a folder: name a file in it" in refused("export", tiny.run, "--output", tmp_path)
    assert "name it a.txt.onnx" in refused("export", tiny.run, "--output", tmp_path / "a.txt")
    (tmp_path / "old").mkdir()
    assert "exists: remove it" in refused("export", tiny.run, "--to", "symbol", "--output", tmp_path / "old")
    assert "There is no run folder" in refused("export", tmp_path / "nothing")
    untrained = tmp_path / "untrained"
    shutil.copytree(tiny.run, untrained)
    shutil.rmtree(untrained / "best")
    assert "has no trained weights yet" in refused("export", untrained, "--output", tmp_path / "a.onnx")
    assert not list(tmp_path.glob("*.onnx")) and not (untrained / "export").exists()


def test_a_folder_that_may_not_be_written_to(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere, so no mode of a folder would tell.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert "may not be written to" in refused("export", tiny.run, "--output", tmp_path / "a.onnx")


def test_other_answers_than_those_of_mxnet_are_not_written(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = whole.probabilities
    monkeypatch.setattr(whole, "probabilities", lambda *given: right(*given) + 2e-4)
    said = refused("export", tiny.run, "--output", tmp_path / "a.onnx")
    assert "differs by 0.0002, more than 0.0001. Nothing was written" in said
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_training_diverged(tiny: SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(tiny.run, tmp_path / "run")
    best = open_run(tmp_path / "run").best()
    weights = {name: np.full_like(array, np.nan) for name, array in best.tensors["weights"].items()}
    save_checkpoint(tmp_path / "run" / "best", {"weights": weights}, best.state)
    assert "gives no probabilities: its weights are not finite" in refused("export", tmp_path / "run")
    assert not (tmp_path / "run" / "export").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_extra(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = run_cli("export", tiny.run, "--output", tmp_path / "a.onnx")
    assert result.status == 1 and "pip install 'bioclass[onnx]'" in result.err
    assert list(tmp_path.iterdir()) == []
