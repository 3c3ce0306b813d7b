"""Pretrained weights: read without trust, from each source, for other channels and classes, and kept in the run."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import fit, pictures, real_weights, refused, run_cli, write_folder, write_recipe
from test_resume import WRAPPER, outcome

from bioclass import preprocess, recipe
from bioclass.answers import softmax
from bioclass.backend import import_gluoncv, mx
from bioclass.checkpoint import save_checkpoint
from bioclass.errors import WeightsError
from bioclass.fit.channels import normalised
from bioclass.fit.params import parse_params
from bioclass.fit.start import Start, start_from
from bioclass.fit.store import stored_weights
from bioclass.fit.weights import Weights, load_weights
from bioclass.networks import build
from bioclass.predict import Scorer, get_weights, set_weights
from bioclass.preprocess import Input, Plan
from bioclass.preprocess.resize import resized
from bioclass.recipe.backbones import IMAGENET
from bioclass.run import open_run

HERE = Path("here.params")


def network(name: str, channels: int = 3, side: int = 32, classes: int = 1000, seed: int = 0):
    net = build(recipe.Backbone(name=name), (channels, side, side), classes)
    mx.random.seed(seed)
    net.initialize()
    for key, value in net._collect_params_with_prefix().items():
        # As after a training: nothing is 0 or 1.
        if key.endswith(("gamma", "running_var")):
            value.set_data(mx.nd.random.uniform(0.5, 1.5, value.shape))
        if key.endswith(("beta", "running_mean", "bias")):
            value.set_data(mx.nd.random.uniform(-0.3, 0.3, value.shape))
    return net


def saved(name: str, path: Path, **more: int) -> Path:
    network(name, **more).save_parameters(str(path))
    return path


def weights_of(net, normalisation: recipe.Normalisation = IMAGENET, classes=None) -> Weights:
    return Weights("x", HERE, "", lambda: get_weights(net), normalisation, classes)


# .params files


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return saved("mobilenetv2_0.25", tmp_path_factory.mktemp("small") / "small.params", classes=6)


def test_a_file_of_mxnet_is_read_as_mxnet_reads_it(small: Path) -> None:
    expected = mx.nd.load(str(small))
    found = parse_params(small.read_bytes(), small)
    assert list(found) == list(expected)
    assert all(np.array_equal(found[name], expected[name].asnumpy()) for name in expected)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_other_floats_and_the_names_of_older_exports(dtype: str, tmp_path: Path) -> None:
    arrays = {
        "arg:conv_weight": mx.nd.arange(6, dtype=dtype).reshape((2, 3)),
        "aux:mean": mx.nd.ones(2, dtype=dtype),
    }
    mx.nd.save(str(tmp_path / "old"), arrays)
    found = parse_params((tmp_path / "old").read_bytes(), HERE)
    assert list(found) == ["conv_weight", "mean"] and found["conv_weight"].dtype == np.float32
    np.testing.assert_array_equal(found["conv_weight"], np.arange(6).reshape(2, 3))


def test_the_first_version_of_the_format() -> None:
    """It has neither version nor storage, and sides of four bytes."""
    array = struct.pack("<IIIiii", 2, 1, 3, 1, 0, 0) + np.arange(3, dtype="<f4").tobytes()
    data = struct.pack("<QQQ", 0x112, 0, 1) + array + struct.pack("<QQ", 1, 1) + b"w"
    np.testing.assert_array_equal(parse_params(data, HERE)["w"], [[0, 1, 2]])


def test_whatever_byte_of_the_header_is_damaged_is_one_sentence(small: Path) -> None:
    data = small.read_bytes()
    for place in (*range(80), *range(len(data) - 200, len(data), 7)):
        for value in (0, 0x7F, 0xFF):
            broken = data[:place] + bytes([value]) + data[place + 1 :]
            try:
                parse_params(broken, HERE)
            except WeightsError as problem:
                assert "\n" not in str(problem) and str(problem).startswith("here.params ")


@pytest.mark.parametrize("left", [0, 7, 30, 1000, -1])
def test_a_file_that_was_cut_short(small: Path, left: int) -> None:
    with pytest.raises(WeightsError, match=r"here.params is (damaged or cut short|not a .params file)"):
        parse_params(small.read_bytes()[:left], HERE)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (mx.nd.array([np.nan, 1]), "holds NaN or infinite weights"),
        (mx.nd.array([1, 2], dtype="int8"), "are not floats .* quantized"),
        (mx.nd.sparse.csr_matrix(([1.0], [0], [0, 1]), shape=(1, 2)), "sparse arrays"),
    ],
)
def test_arrays_that_are_no_weights(array, words: str, tmp_path: Path) -> None:
    mx.nd.save(str(tmp_path / "file"), {"w": array})
    with pytest.raises(WeightsError, match=words):
        parse_params((tmp_path / "file").read_bytes(), HERE)


# Names, shapes, classes


def start(name: str, weights: Weights, *, channels: int = 3, side: int = 32, classes: int = 4) -> Start:
    net = network(name, channels, side, classes, seed=9)
    return start_from(weights, net, get_weights(net), tuple("abcdefgh"[:classes]))


def test_everything_but_the_classes_is_loaded() -> None:
    source = network("mobilenet0.25")
    found = start("mobilenet0.25", weights_of(source))
    assert set(found.new) == set(found.skipped) == {"output.weight", "output.bias"}
    assert "1000x256 there, 4x256 here" in found.words()
    assert len(found.loaded) == len(found.tensors) - 2 == found.document()["loaded"]
    given = get_weights(source)
    assert all(np.array_equal(found.tensors[name], given[name]) for name in found.loaded)


def test_googlenet_s_two_names_for_one_layer_are_one(tmp_path: Path) -> None:
    file = saved("googlenet", tmp_path / "g.params", side=64)
    found = start("googlenet", load_weights(recipe.Backbone(name="googlenet", weights=str(file)), None), side=64)
    assert set(found.new) == {"head.2.weight", "head.2.bias"} and set(found.skipped) == set(found.new)


def test_a_file_with_the_names_of_older_gluon(tmp_path: Path) -> None:
    net = network("mobilenet0.25")
    net.collect_params().save(str(tmp_path / "old.params"), strip_prefix=net.prefix)
    spec = recipe.Backbone(name="mobilenet0.25", weights="old.params")
    found = start("mobilenet0.25", load_weights(spec, tmp_path))
    assert len(found.loaded) == len(found.tensors) - 2


@pytest.mark.slow
def test_vgg_at_another_size_loses_the_layer_that_depends_on_it() -> None:
    found = start("vgg11", weights_of(network("vgg11", side=64)), side=32)
    assert set(found.new) == {"features.21.weight", "output.weight", "output.bias"}
    assert found.new["features.21.weight"] == "4096x2048 there, 4096x512 here"


@pytest.mark.parametrize("other", ["cifar_resnet56_v1", "cifar_resnet20_v2", "mobilenet0.25"])
def test_weights_of_another_network_are_refused(other: str) -> None:
    with pytest.raises(WeightsError, match=r"here.params holds the weights of another network"):
        start("cifar_resnet20_v1", weights_of(network(other)))


def test_the_classes_of_a_run_are_kept_only_if_they_are_the_same() -> None:
    source = network("mobilenet0.25", classes=4)
    same = start("mobilenet0.25", weights_of(source, classes=("a", "b", "c", "d")))
    assert not same.new and not same.skipped
    other = start("mobilenet0.25", weights_of(source, classes=("a", "b", "d", "c")))
    assert other.new == {"output.weight": "other classes", "output.bias": "other classes"}


# Channels


def scores(name: str, tensors, x: np.ndarray, classes: int = 1000) -> np.ndarray:
    net = build(recipe.Backbone(name=name), x.shape[1:], classes)
    net.initialize()
    set_weights(net, tensors, HERE)
    return net(mx.nd.array(x)).asnumpy()


def plan(channels: int, side: int = 32) -> Plan:
    return Plan(
        input=Input(channels=channels, dtype="uint8", bit_depth=8),
        size=(side, side),
        resize=None,
        divisor=255.0,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        channels=channels,
    )


def as_gray_and_as_rgb(name: str, normalisation: recipe.Normalisation, side: int) -> tuple[np.ndarray, np.ndarray]:
    source = network(name, side=side)
    gray = np.random.default_rng(3).integers(0, 256, (3, side, side, 1), dtype=np.uint8)
    weights = weights_of(source, normalisation)
    rgb = preprocess.apply(normalised(plan(3, side), normalisation), np.repeat(gray, 3, axis=3))
    one = preprocess.apply(normalised(plan(1, side), normalisation), gray)
    found = start(name, weights, channels=1, side=side, classes=1000)
    return scores(name, found.tensors, one), scores(name, weights.tensors, rgb)


def gray_is_rgb(name: str, side: int) -> None:
    """Deviations that differ by channel; equal means, for which the padded rim is the same too."""
    one, three = as_gray_and_as_rgb(name, recipe.Normalisation((0.45, 0.45, 0.45), (0.1, 0.2, 0.4)), side)
    np.testing.assert_allclose(one, three, rtol=1e-3, atol=1e-3 * three.std())


@pytest.mark.parametrize("name", ["squeezenet1.1", "cifar_resnet20_v1", "mobilenetv2_0.25"])
def test_a_gray_image_gives_what_it_gives_as_rgb(name: str) -> None:
    gray_is_rgb(name, 48)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["alexnet", "densenet121", "dla34", "googlenet", "resnest14", "resnet18_v1b", "vgg11_bn", "xception"]
)
def test_a_gray_image_gives_what_it_gives_as_rgb_in_other_families(name: str) -> None:
    gray_is_rgb(name, 64)


def test_with_imagenet_s_means_a_network_without_padding_gives_the_same() -> None:
    one, three = as_gray_and_as_rgb("squeezenet1.1", IMAGENET, 48)
    np.testing.assert_allclose(one, three, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18_v2", "mobilenetv2_0.25"])
def test_with_imagenet_s_means_the_others_differ_by_their_rim_alone(name: str) -> None:
    one, three = as_gray_and_as_rgb(name, IMAGENET, 96)
    assert np.corrcoef(one.ravel(), three.ravel())[0, 1] > 0.98


def test_rgb_repeated_gives_what_it_gives_once() -> None:
    source = network("mobilenet0.25")
    rgb = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    three = preprocess.apply(normalised(plan(3), IMAGENET), rgb)
    six = preprocess.apply(normalised(plan(6), IMAGENET), np.concatenate([rgb, rgb], axis=3))
    found = start("mobilenet0.25", weights_of(source), channels=6, classes=1000)
    assert found.adapted == ("features.0.weight",)
    np.testing.assert_allclose(
        scores("mobilenet0.25", found.tensors, six),
        scores("mobilenet0.25", get_weights(source), three),
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_of_other_numbers_the_filters_take_turns(channels: int) -> None:
    source = network("mobilenet0.25")
    found = start("mobilenet0.25", weights_of(source), channels=channels)
    filters = get_weights(source)["features.0.weight"]
    for j in range(channels):
        np.testing.assert_allclose(
            found.tensors["features.0.weight"][:, j], filters[:, j % 3] * 3 / channels, rtol=1e-6
        )
    assert normalised(plan(channels), IMAGENET).mean == tuple(IMAGENET.mean[j % 3] for j in range(channels))


# GluonCV's store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A mirror on this machine, with weights of mobilenet0.25 whose digest GluonCV is told; yields its folder."""
    place = tmp_path / "mirror" / "gluon" / "models"
    place.mkdir(parents=True)
    file = saved("mobilenet0.25", tmp_path / "file.params")
    sha1 = hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(import_gluoncv().model_zoo.model_store._model_sha1, "mobilenet0.25", sha1)
    with zipfile.ZipFile(place / f"mobilenet0.25-{sha1[:8]}.zip", "w") as archive:
        archive.write(file, f"mobilenet0.25-{sha1[:8]}.params")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(tmp_path / "mirror"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("MXNET_GLUON_REPO", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("BIOCLASS_DATA", str(tmp_path / "data"))
        yield place
        server.shutdown()
        thread.join()


def test_weights_are_downloaded_once_and_verified(store: Path) -> None:
    path = stored_weights("mobilenet0.25")
    assert path.parent.name == "weights" and [item.name for item in path.parent.iterdir()] == [path.name]
    for archive in store.iterdir():
        archive.unlink()
    assert stored_weights("mobilenet0.25") == path
    found = load_weights(recipe.Backbone(name="mobilenet0.25", weights="gluoncv"), None)
    assert found.normalisation == IMAGENET and len(found.tensors) == 137
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match=f"{re.escape(str(path))} is not the file .* remove it"):
        stored_weights("mobilenet0.25")


def test_offline_it_says_which_file_goes_where(
    store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9")
    folder = re.escape(str(tmp_path / "data" / "weights"))
    with pytest.raises(WeightsError, match=rf"no connection.* Put the file mobilenet0.25-\w+.params into {folder}"):
        stored_weights("mobilenet0.25")
    assert list((tmp_path / "data" / "weights").iterdir()) == []


def test_a_mirror_with_something_else_is_refused(store: Path, tmp_path: Path) -> None:
    archive = next(store.iterdir())
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr(f"{archive.stem}.params", "else")
    with pytest.raises(WeightsError, match="its content has not the sha1"):
        stored_weights("mobilenet0.25")
    assert list((tmp_path / "data" / "weights").iterdir()) == []


def test_networks_without_weights_in_the_store(store: Path) -> None:
    with pytest.raises(WeightsError, match="store has no weights of 'shufflenet_v1'"):
        stored_weights("shufflenet_v1")
    known = import_gluoncv().model_zoo.model_store._model_sha1
    pruned = [name for name in recipe.BACKBONES if name not in known and re.search(r"_0\.\d\d$|hrnet", name)]
    assert len(pruned) == 16
    for name in pruned:
        with pytest.raises(WeightsError, match="could not be downloaded"):
            stored_weights(name)


# Whole fits


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Three classes in RGB (``pics``), a recipe beside them, and weights of the network (``base.params``)."""
    home = tmp_path_factory.mktemp("home")
    write_folder(home / "pics", pictures(each=20, shape=(36, 36, 3)))
    saved("mobilenetv2_0.25", home / "base.params")
    backbone = 'name = "mobilenetv2_0.25"\nweights = "base.params"'
    settings = "[fit.optimizer]\nlr = 0.0005\n[preprocess]\nsize = [32, 32]\n"
    write_recipe(home / "tune.toml", "pics", settings, network=backbone)
    return home


@pytest.fixture(scope="module")
def tuned(home: Path) -> Path:
    return fit(home / "tune.toml", home / "tuned")


def test_a_run_keeps_what_it_started_from(home: Path, tuned: Path) -> None:
    environment = json.loads((tuned / "environment.json").read_text())
    assert environment["weights"]["sha256"] == hashlib.sha256((home / "base.params").read_bytes()).hexdigest()
    assert environment["weights"]["loaded"] == 260 and list(environment["weights"]["new"]) == ["output.0.weight"]
    run = open_run(tuned)
    assert run.plan.mean == IMAGENET.mean and run.plan.std == IMAGENET.std


def test_fit_says_what_it_loaded(home: Path, tmp_path: Path) -> None:
    result = run_cli(
        "fit", home / "tune.toml", "--run", tmp_path / "run", "--device", "cpu", "--set", "fit.epochs=1"
    )
    assert result.status == 0, result.err
    assert "base.params (sha256 " in result.err and "260 of 261 parameters loaded" in result.err
    assert "new: output.0.weight (1000x1280x1x1 there, 3x1280x1x1 here)" in result.err


def test_it_evaluates_and_predicts_anywhere_without_the_file(tuned: Path, home: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(tuned, tmp_path / "moved")
    images = shutil.copytree(home / "pics", tmp_path / "pics")
    result = run_cli("evaluate", moved, "--root", images, "--json", cwd=tmp_path)
    assert result.status == 0, result.err
    assert run_cli("predict", moved, images / "class0").status == 0
    assert run_cli("network", moved).status == 0


def launch(home: Path, run: Path, count: int, *options: str) -> subprocess.Popen[str]:
    """Fit in a process of its own, which kills itself when it fills its batch number ``count`` (0: never)."""
    arguments = ["fit", home / "tune.toml", "--resume", "--run", run, "--device", "cpu", *options]
    command = [sys.executable, "-c", WRAPPER, "fill", "before", str(count), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_and_resumed_without_the_file_it_ends_with_the_same_bits(
    home: Path, tmp_path: Path, workers: int
) -> None:
    place = shutil.copytree(home, tmp_path / "home", ignore=shutil.ignore_patterns("tuned"))
    options = ("--workers", str(workers), "--set", "fit.average={}")
    process = launch(place, tmp_path / "whole", 0, *options)
    _, err = process.communicate()
    assert process.returncode == 0, err
    for count in (1, 5):  # before anything was saved; then within the second epoch
        process = launch(place, tmp_path / "killed", count, *options)
        assert process.communicate() and process.returncode == -signal.SIGKILL
        (place / "base.params").unlink(missing_ok=True)
    process = launch(place, tmp_path / "killed", 0, *options)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def test_a_run_is_the_start_of_another(tuned: Path, home: Path, tmp_path: Path) -> None:
    file = write_recipe(
        tmp_path / "next.toml",
        str(home / "pics"),
        "[preprocess]\nsize = [32, 32]\n[fit.optimizer]\nlr = 1e-12\n",
        network=f'name = "mobilenetv2_0.25"\nweights = "{tuned}"',
    )
    run = open_run(fit(file, tmp_path / "run", "--set", "fit.epochs=1"))
    assert run.environment["weights"]["new"] == {} and run.plan.mean == open_run(tuned).plan.mean
    before, after = open_run(tuned).best().tensors["weights"], run.best().tensors["weights"]
    assert all(np.allclose(before[name], after[name], atol=1e-6) for name in before if "running" not in name)
    error = refused(
        "fit",
        file,
        "--run",
        tmp_path / "other",
        "--set",
        "network.name=mobilenetv2_0.5",
        "--set",
        f"network.weights={tuned}",
    )
    assert f"The run {tuned} trained the network 'mobilenetv2_0.25'" in error and not (tmp_path / "other").exists()


def test_a_diverged_run_is_no_start_of_another(home: Path, tmp_path: Path) -> None:
    run = fit(home / "tune.toml", tmp_path / "run", "--set", "fit.epochs=1")
    best = open_run(run).best()
    tensors = {name: np.full_like(value, np.nan) for name, value in best.tensors["weights"].items()}
    save_checkpoint(run / "best", {"weights": tensors}, best.state)
    error = refused("fit", home / "tune.toml", "--run", tmp_path / "next", "--set", f"network.weights={run}")
    assert f"The weights of the run {run} are not finite" in error and not (tmp_path / "next").exists()


# Networks of bioclass


OWN = {
    "lenet": 'name = "lenet"\nfc1 = 16',
    "network3": 'name = "network3"\nhidden = [8, 8]',
    "dropconnect": 'name = "dropconnect"\nfc1 = 16',
    "mlp": 'name = "mlp"\nhidden = [8, 8]',
    "vgg": 'name = "vgg"\nstages = [[16], [16]]',
}


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """Gray images of three classes (``gray``) with a run of each network, and of two others (``two``)."""
    home = tmp_path_factory.mktemp("own")
    write_folder(home / "gray", pictures(shape=(32, 32)))
    write_folder(home / "two", pictures(classes=2, shape=(32, 32)), classes=2)
    for name, network in OWN.items():
        fit(write_recipe(home / f"{name}.toml", "gray", network=network), home / name)
    return home


WAYS = {
    "alike": "",
    "finetune": '[fit.transfer]\nname = "finetune"\nunfreeze = [0]\n',
    "features": '[fit.transfer]\nname = "features"\n',
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OWN)
def test_a_run_of_an_own_network_is_a_start(own: Path, tmp_path: Path, name: str, way: str, monkeypatch) -> None:
    """As domain pretraining has it: from one set of images to another with other classes."""
    monkeypatch.setenv("BIOCLASS_CACHE", str(tmp_path / "cache"))
    recipe_file = write_recipe(
        own / f"next-{name}-{way}.toml", "two", WAYS[way], network=f'{OWN[name]}\nweights = "{own / name}"'
    )
    run = open_run(fit(recipe_file, tmp_path / "run", "--set", "fit.optimizer.lr=0.001"))
    told = run.environment["weights"]
    before, after = open_run(own / name).best().tensors["weights"], run.best().tensors["weights"]
    last = [key for key in after if key in told["new"]]
    assert len(last) == 2 and told["loaded"] == len(after) - 2 and before.keys() == after.keys()
    assert len({key.rpartition(".")[0] for key in last}) == 1
    # Of these networks only the first stage is left out of the training; the perceptron has no other.
    frozen = {
        "alike": [],
        "finetune": [key for key in after if key.startswith("conv1")],
        "features": [key for key in after if key not in last],
    }[way]
    assert all(np.array_equal(before[key], after[key]) for key in frozen)
    assert run_cli("evaluate", run.path, "--json").status == 0


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("gluoncv", "wants the path of a run folder of the same network"),
        ("gray", "wants the path of a run folder of the same network"),
        ("nowhere", "There is no file or folder nowhere"),
        ("vgg", "trained the network 'vgg', so its weights do not fit 'lenet'"),
    ],
)
def test_what_is_no_run_of_an_own_network_is_refused(own: Path, tmp_path: Path, weights: str, words: str) -> None:
    text = f"network.weights={weights}"
    assert words in refused("fit", own / "lenet.toml", "--run", tmp_path / "run", "--set", text)
    assert not list(tmp_path.iterdir())


# Folds that start from weights


def test_what_folds_start_from_is_said_once(home: Path, tmp_path: Path) -> None:
    folds = ("--folds", 2, "--run", tmp_path / "folds", "--jobs", 2, "--set", "fit.epochs=1")
    result = run_cli("fit", home / "tune.toml", *folds)
    assert result.status == 0, result.err
    assert result.err.count("260 of 261 parameters loaded") == 1
    # A folder of folds is no run, and the error names one.
    error = refused("fit", home / "tune.toml", "--run", tmp_path / "next", "--set", f"network.weights={folds[3]}")
    assert f"each of them a run: {folds[3] / 'fold-0'}" in error


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing.params", "There is no file or folder nothing.params for network.weights"),
        ("tune.toml", "is not a .params file of MXNet"),
        ("foreign.params", "holds the weights of another network"),
    ],
)
def test_folds_without_their_weights_are_one_error_and_no_folder(
    home: Path, tmp_path: Path, text: str, words: str
) -> None:
    if text == "foreign.params":
        saved("mobilenet0.25", home / text)
    weights = f'network.weights="{text}"'
    error = refused("fit", home / "tune.toml", "--folds", 2, "--run", tmp_path / "folds", "--set", weights)
    assert error.count(words) == 1 and not list(tmp_path.iterdir())


def test_what_the_run_s_images_were_divided_by_does_not_matter() -> None:
    """Statistics of 12-bit images, divided by 4095 or by 1, are the same for 8-bit images."""
    twelve = plan(1).model_copy(update={"divisor": 1.0, "mean": (2047.5,), "std": (819.0,)})
    twelve = twelve.model_copy(update={"input": Input(channels=1, dtype="uint16", bit_depth=12)})
    scale = twelve.divisor / twelve.largest
    found = normalised(plan(1), recipe.Normalisation((2047.5 * scale,), (819.0 * scale,)))
    assert found.mean == pytest.approx((0.5,)) and found.std == pytest.approx((0.2,))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing.params", "There is no file or folder nothing.params for network.weights"),
        ("imagenet", "or 'gluoncv' for the weights of GluonCV's store"),
        ("pics", "is not a run folder"),
        ("tune.toml", "is not a .params file of MXNet"),
        ("other.params", "holds the weights of another network"),
    ],
)
def test_a_wrong_path_leaves_nothing_behind(home: Path, tmp_path: Path, text: str, words: str) -> None:
    if text == "other.params":
        saved("mobilenet0.25", home / text)
    run = tmp_path / "run"
    error = refused("fit", home / "tune.toml", "--run", run, "--set", f'network.weights="{text}"')
    assert words in error and not run.exists() and not list(tmp_path.iterdir())


def test_weights_and_own_statistics_exclude_each_other(home: Path) -> None:
    error = refused("fit", home / "tune.toml", "--set", "preprocess.standardise=true")
    assert "network.weights bring the mean and standard deviation" in error


# Real weights


REAL = ["squeezenet1.1", "mobilenetv2_1.0"]


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_a_photograph_of_a_cat_is_an_egyptian_cat(name: str) -> None:
    from skimage import data

    spec = recipe.Backbone(name=name, weights=str(real_weights() / f"{name}.params"))
    weights = load_weights(spec, None)
    # The photograph's middle, 300 x 300 pixels of 300 x 451.
    image = resized(np.ascontiguousarray(data.chelsea()[:, 75:375]), (224, 224), "stretch")
    net = network(name, side=224)
    begun = start_from(weights, net, get_weights(net), tuple(map(str, range(1000))))
    assert not begun.new
    scorer = Scorer(build(spec, (3, 224, 224), 1000), mx.cpu())
    scorer.load(begun.tensors, weights.path)
    x = preprocess.apply(normalised(plan(3, 224), weights.normalisation), image[np.newaxis])
    assert softmax(scorer(x))[0].argmax() == 285


def gratings(each: int, side: int) -> np.ndarray:
    """Stripes of three widths in all directions and colours, (3 * each, side, side, 3)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    out = []
    for waves in np.repeat([0.15, 0.4, 1.0], each):
        angle = rng.uniform(0, 2 * np.pi)
        stripes = 127 + 90 * np.sin(waves * (x * np.cos(angle) + y * np.sin(angle)))
        out.append(stripes[..., np.newaxis] * rng.uniform(0.6, 1, 3) + rng.normal(0, 12, (side, side, 3)))
    return np.array(out).clip(0, 255).astype(np.uint8)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "lr"), [(REAL[0], 0.0005), (REAL[1], 0.002)])
def test_a_few_images_are_soon_told_apart(name: str, lr: float, tmp_path: Path) -> None:
    write_folder(tmp_path / "pics", gratings(20, 96))
    file = real_weights() / f"{name}.params"
    spec = f'name = "{name}"\nweights = "{file}"'
    path = write_recipe(tmp_path / "r.toml", "pics", "[preprocess]\nsize = [96, 96]\n", network=spec)
    run = fit(path, tmp_path / "run", "--set", f"fit.optimizer.lr={lr}", "--set", "fit.epochs=4")
    losses = [record["train_loss"] for record in open_run(run).history()]
    assert losses[-1] < 0.5 * losses[0]
