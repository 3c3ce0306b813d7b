"""One contract over every network of GluonCV that a recipe can name: one of each family always, all as proofs."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import refused, run_cli, write_recipe

from bioclass import recipe
from bioclass.backend import import_gluoncv, mx
from bioclass.errors import InputError
from bioclass.fit.flat import Layout
from bioclass.fit.replica import Replica
from bioclass.networks import build
from bioclass.networks.describe import describe, total_parameters
from bioclass.networks.fusion import for_prediction
from bioclass.networks.parameters import head, parameters
from bioclass.predict import get_weights, set_weights
from bioclass.recipe.backbones import UNUSABLE

FIRST = {
    "alexnet": 96,
    "cifar_resnet20_v1": 32,
    "cifar_resnet20_v2": 32,
    "cifar_resnext29_32x4d": 16,
    "cifar_wideresnet16_10": 16,
    "densenet121": 32,
    "dla34": 32,
    "googlenet": 48,
    "hrnet_w18_small_v1_c": 32,
    "inceptionv3": 96,
    "mobilenet0.25": 32,
    "mobilenetv2_0.25": 32,
    "mobilenetv3_small": 32,
    "resnest14": 32,
    "resnet18_v1": 32,
    "resnet18_v1b": 32,
    "resnet18_v2": 32,
    "resnet50_v1d_0.11": 32,
    "resnext50_32x4d": 32,
    "se_resnet18_v1": 32,
    "se_resnext50_32x4d": 32,
    "shufflenet_v1": 32,
    "shufflenet_v2": 32,
    "squeezenet1.1": 48,
    "vgg11_bn": 32,
}
"""The smallest of each family, and a size in pixels that it can take; what is left out takes too long."""


def images(count: int, shape: tuple[int, int, int]) -> mx.nd.NDArray:
    return mx.nd.array(np.random.default_rng(0).standard_normal((count, *shape), dtype=np.float32))


def keeps_the_contract(name: str, side: int, channels: int = 2) -> None:
    spec, shape = recipe.Backbone(name=name), (channels, side, side)
    net, other = build(spec, shape, 5), build(spec, shape, 7)
    own, others = parameters(net), parameters(other)
    # The same names in every build, every shape known, and nothing but the last layer depends on the classes.
    assert list(own) == list(others) and list(net.collect_params()) == list(other.collect_params())
    assert all(min(parameter.shape) > 0 for parameter in own.values())
    assert [key for key in own if own[key].shape != others[key].shape] == head(net)
    assert sum(row.parameters for row in describe(net, shape)) == total_parameters(net)

    mx.random.seed(1)
    net.initialize()
    x = images(2, shape)
    before = net(x).asnumpy()
    assert before.shape == (2, 5) and np.isfinite(before).all()

    # A step as fit has it, on flat buffers: every gradient is finite, and the classes learn.
    layout = Layout.of(net)
    weights, gradients = (np.zeros(layout.trained.length, np.float32) for _ in range(2))
    statistics = np.zeros(layout.statistics.length, np.float32)
    layout.pack(get_weights(net), weights, statistics)
    start = statistics.copy()
    task = SimpleNamespace(recipe=recipe.Recipe(dataset="none", network=spec, fit=recipe.Fit(epochs=1)))
    replica = Replica(task, net, layout, weights, gradients, statistics, mx.cpu())
    loss = replica.gradient(x, mx.nd.array([0, 3]), mx.nd.ones(2) / 2).asscalar()
    mx.nd.waitall()
    assert np.isfinite(loss) and np.isfinite(gradients).all()
    assert layout.unpack(gradients, statistics)[head(net)[-1]].any()
    moved = [slot for slot in layout.statistics.slots if slot.name.endswith("running_mean")]
    assert (statistics != start).any() or not moved

    # Weights carry over to another copy, which predicts the same.
    copy = build(spec, shape, 5)
    copy.initialize()
    copy.hybridize(static_alloc=True, static_shape=True)
    set_weights(copy, layout.unpack(weights, statistics), Path("here"))
    plain = copy(x).asnumpy()
    np.testing.assert_allclose(plain, net(x).asnumpy(), rtol=2e-3, atol=2e-3)
    # What predicts computes several steps in one, and nothing else.
    fused = for_prediction(copy, mx.cpu())(x).asnumpy()
    np.testing.assert_allclose(fused, plain, rtol=0, atol=1e-4 * np.abs(plain).max())


@pytest.mark.parametrize("name", FIRST)
def test_the_first_of_each_family_keeps_the_contract(name: str) -> None:
    keeps_the_contract(name, FIRST[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe.BACKBONES)
def test_every_network_keeps_the_contract_at_its_own_size(name: str) -> None:
    keeps_the_contract(name, recipe.own_size(name), channels=3)


def test_the_names_are_gluoncv_s_and_none_of_its_classifiers_is_missing() -> None:
    zoo = import_gluoncv().model_zoo
    assert set(recipe.BACKBONES) <= set(zoo.get_model_list())
    families = {name.split("_")[0].rstrip("0123456789.") for name in recipe.BACKBONES}
    # What begins alike is of another task: detection, segmentation, video, or of numbers that cannot be trained.
    other = ("int8", "kinetics", "ucf101", "hmdb51", "sthsth", "custom", "hrnet_w18_small_v1_s")
    other = (*other, "hrnet_w18_small_v2_s", "hrnet_w48_s")
    missing = [
        name
        for name in zoo.get_model_list()
        if name not in (*recipe.BACKBONES, *UNUSABLE)
        and name.split("_")[0].rstrip("0123456789.") in families
        and not any(word in name for word in other)
    ]
    assert missing == []


@pytest.mark.parametrize("name", ["squeezenet1.1", "densenet121", "googlenet"])
def test_at_its_own_size_it_is_gluoncv_s_network(name: str) -> None:
    """The average over the whole image, and whatever else is changed, gives the same scores."""
    x = images(1, (3, 224, 224))
    ours = build(recipe.Backbone(name=name), (3, 224, 224), 4)
    theirs = import_gluoncv().model_zoo.get_model(name, pretrained=False, classes=4)
    for net in (ours, theirs):
        net.initialize(mx.init.MSRAPrelu(), force_reinit=True)
    theirs(x)
    set_weights(theirs, get_weights(ours), Path("ours"))
    np.testing.assert_allclose(ours(x).asnumpy(), theirs(x).asnumpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["alexnet", "inceptionv3"])
def test_too_small_images_are_refused_with_the_network_s_own_size(name: str, capsys: object) -> None:
    side = recipe.own_size(name)
    with pytest.raises(InputError, match=rf"'{name}' cannot take images of 16x40 .*\[{side}, {side}\]"):
        build(recipe.Backbone(name=name), (3, 16, 40), 4)
    assert capsys.readouterr().out == ""  # type: ignore[attr-defined]


def test_same_seed_same_weights() -> None:
    values = []
    for _ in range(2):
        net = build(recipe.Backbone(name="mobilenetv3_small"), (1, 32, 32), 4)
        mx.random.seed(3)
        net.initialize()
        values.append(get_weights(net))
    assert all(np.array_equal(values[0][name], values[1][name]) for name in values[0])


def resolved(text: str, *settings: str, tmp_path: Path) -> recipe.Recipe:
    file = tmp_path / "recipe.toml"
    file.write_text(f'dataset = "digits"\n{text}\n[fit]\nepochs = 1\n', encoding="utf-8")
    return recipe.load_recipe(file, settings)


@pytest.mark.parametrize(
    ("name", "side"), [("resnet50_v1b", 224), ("xception", 299), ("cifar_resnet20_v1", 32), ("resnest269", 416)]
)
def test_a_backbone_brings_the_size_of_its_images(name: str, side: int, tmp_path: Path) -> None:
    found = resolved(f'[network]\nname = "{name}"', tmp_path=tmp_path)
    assert found.preprocess.size == (side, side)
    assert recipe.load_recipe(_written(found, tmp_path)) == found
    given = resolved(f'[network]\nname = "{name}"', "preprocess.size=[64,48]", tmp_path=tmp_path)
    assert given.preprocess.size == (64, 48)
    centred = resolved(f'[network]\nname = "{name}"', "preprocess.center={size=[40,40]}", tmp_path=tmp_path)
    assert centred.preprocess.size is None


def test_no_other_network_has_a_size_of_its_own(tmp_path: Path) -> None:
    assert resolved("", tmp_path=tmp_path).preprocess.size is None


def _written(found: recipe.Recipe, folder: Path) -> Path:
    (folder / "written.toml").write_text(found.to_toml(), encoding="utf-8")
    return folder / "written.toml"


def test_an_unknown_network_is_answered_with_near_names_and_not_with_all(tmp_path: Path) -> None:
    file = write_recipe(tmp_path / "recipe.toml", "digits", network='name = "resnet50"')
    error = refused("fit", file)
    assert "network.name must be one of lenet, network3, dropconnect, mlp, vgg and " in error
    near = ast.literal_eval(f"[{error.rpartition('did you mean ')[2].rstrip('?').replace(' or ', ', ')}]")
    assert near == ["resnet50_v1", "resnet50_v2", "resnet50_v1b", "resnet50_v1c"]
    assert len(error) < 350
    file = write_recipe(tmp_path / "recipe.toml", "digits", network='name = "mobilenetv2_1.0"\nwieghts = "x"')
    assert "unknown key 'network.wieghts'; did you mean 'weights'?" in refused("fit", file)


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_network_that_cannot_be_trained_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    file = write_recipe(tmp_path / "recipe.toml", "digits", network=f'name = "{name}"')
    assert f"network.name: {name!r} cannot be used, for " in refused("fit", file)


def test_the_network_command_describes_a_backbone(tmp_path: Path) -> None:
    file = write_recipe(tmp_path / "recipe.toml", "digits", network='name = "squeezenet1.1"')
    result = run_cli("network", file)
    assert result.status == 0, result.err
    assert "squeezenet1.1 on 224 x 224 x 1, 10 classes" in result.out
    # 722,496 of the original without its last layer of 513,000, two filters fewer in the first: 64 x 9 x 2 = 1,152
    total = next(line for line in result.out.splitlines() if line.startswith("total"))
    assert int(total.split()[-1].replace(",", "")) == 1_235_496 - 513_000 - 1_152 + 10 * 513
