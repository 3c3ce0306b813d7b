"""What a network looks at: heat that is where it must be, by mathematics, by marked images and on real weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import fit, real_weights, write_folder, write_recipe
from test_backbones import FIRST

from bioclass import recipe
from bioclass.backend import mx
from bioclass.errors import InputError
from bioclass.explain import Explainer, overlay, to_file
from bioclass.explain.ascent import exciting
from bioclass.explain.heat import patches, scaled, spread
from bioclass.explain.seen import Seen
from bioclass.networks import build
from bioclass.networks.describe import Field
from bioclass.networks.graph import Graph
from bioclass.networks.parameters import head
from bioclass.predict import get_weights
from bioclass.preprocess import Input, Plan, apply, resized
from bioclass.recipe import Center
from bioclass.recipe.backbones import IMAGENET
from bioclass.run import open_run


def plan_of(side: int, channels: int = 1, **more: Any) -> Plan:
    source = Input(channels=channels, dtype="uint8", bit_depth=8)
    given = {"mean": (0.4,) * channels, "std": (0.2,) * channels, "resize": "stretch", **more}
    return Plan(input=source, size=(side, side), divisor=255.0, channels=channels, **given)


def explainer(network: Any, plan: Plan, classes: int = 3, params: Path | None = None) -> Explainer:
    """An explainer of a network with weights of chance, or those of a file."""
    net = build(network, (plan.channels, *plan.output_size), classes)
    mx.random.seed(1)
    net.initialize()
    if params is not None:
        net.load_parameters(str(params))
    tensors = {"weights": get_weights(net)}
    run = SimpleNamespace(
        path=Path("run"),
        recipe=SimpleNamespace(network=network),
        plan=plan,
        classes=tuple(f"class{k}" for k in range(classes)),
        best=lambda kept: SimpleNamespace(tensors=tensors),
    )
    return Explainer(run, mx.cpu())  # type: ignore[arg-type]


def noise(count: int, side: int, channels: int = 1) -> Any:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, channels)).astype(np.uint8)


NETWORKS = [
    recipe.LeNet(),
    recipe.Network3(hidden=(30, 20)),
    recipe.DropConnect(),
    recipe.VGG(stages=((8,), (16, 16))),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_grad_cam_is_what_its_equations_say(network: Any) -> None:
    """Gradients by differences, through the network's own layers, give the same map."""
    made = explainer(network, plan_of(28))
    (image,) = noise(1, 28)
    point = made.graph.seen
    assert point is not None
    x = apply(made.plan, image[None])
    maps = made.outputs(x, (point,))[0]
    after = made.graph.after(point)

    def score(values: Any) -> Any:
        return after(mx.nd.array(values), mx.nd.array(np.repeat(x, len(values), axis=0))).asnumpy()[:, 1]

    step = 1e-3 * maps.std()
    change = step * np.eye(maps.size, dtype=np.float32).reshape(-1, *maps.shape[1:])
    gradient = ((score(maps + change) - score(maps - change)) / (2 * step)).reshape(maps.shape[1:])
    if not made.graph.tells_places_apart:
        gradient = gradient.mean(axis=(1, 2), keepdims=True)
    evidence = np.maximum((gradient * maps[0]).sum(axis=0), 0)
    wanted = scaled(spread(evidence, point.field, (28, 28)))
    assert wanted.max() == 1
    assert made.graph.tells_places_apart == (network.name != "vgg")
    found = made.gradcam(image, 1)
    # A kink of a ReLU within a step gives its place another slope.
    assert np.quantile(np.abs(found - wanted), 0.9) < 0.02
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_a_graph_in_training_mode_gives_the_network_s_scores_and_gradients(network: Any) -> None:
    made = explainer(network, plan_of(28))
    images = noise(2, 28)
    x = mx.nd.array(apply(made.plan, images))
    block = made.graph.outputs(())
    predicted = made.net(x).asnumpy()
    direction = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    direction /= np.linalg.norm(direction)
    x.attach_grad()
    with mx.autograd.record():
        scores = block(x)
    scores.backward(mx.nd.array([[0, 1, 0]] * 2))
    np.testing.assert_allclose(scores.asnumpy(), predicted, rtol=1e-4, atol=1e-5)
    slope = (x.grad.asnumpy() * direction).sum()
    step = 0.05
    ahead, behind = (made.net(x + sign * step * mx.nd.array(direction)).asnumpy()[:, 1].sum() for sign in (1, -1))
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=0.05, atol=1e-3)


def test_the_embedding_is_what_the_last_layer_takes() -> None:
    for network in (*NETWORKS, recipe.MLP(hidden=(9,))):
        made = explainer(network, plan_of(28))
        images = noise(5, 28)
        embedded = made.embed(images)
        weight, bias = (made.net.collect_params()[name].data().asnumpy() for name in _last(made.net))
        scores = made.outputs(apply(made.plan, images))[-1]
        np.testing.assert_allclose(embedded @ weight.T + bias, scores, rtol=1e-3, atol=1e-4)
        assert made.probabilities(images).shape == (5, 3)


def _last(net: Any) -> list[str]:
    named = net._collect_params_with_prefix()
    return [named[name].name for name in head(net)]


def test_a_network_without_convolution_has_occlusion_maps_and_refuses_grad_cam() -> None:
    made = explainer(recipe.MLP(hidden=(9,)), plan_of(28))
    (image,) = noise(1, 28)
    with pytest.raises(InputError, match=r"The network 'mlp' has no convolution, so there is no Grad-CAM"):
        made.gradcam(image)
    assert made.occlusion(image).shape == (28, 28)


# A class that depends on one place


def marked(classes: int, each: int, side: int) -> Any:
    """Noise; a bright square marks class 1 in the upper left corner and class 2 in the lower right one."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 120, (classes * each, side, side)).astype(np.uint8)
    images[each : 2 * each, 2:7, 2:7] = 255
    images[2 * each :, -7:-2, -7:-2] = 255
    return images


@pytest.fixture(scope="module")
def corners(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run whose classes are no mark, one in the upper left and one in the lower right."""
    home = tmp_path_factory.mktemp("corners")
    images = marked(3, 40, 24)
    write_folder(home / "pics", images)
    network = 'name = "lenet"\nfc1 = 16'
    path = write_recipe(home / "corners.toml", "pics", "optimizer = { name = 'adam', lr = 0.003 }", network)
    run = fit(path, home / "run", "--set", "fit.epochs=6")
    return SimpleNamespace(run=run, images=images[..., None], home=home)


@pytest.mark.parametrize("method", ["gradcam", "occlusion"])
def test_heat_is_at_the_mark_that_makes_the_class(corners: SimpleNamespace, method: str) -> None:
    made = Explainer(open_run(corners.run), mx.cpu())
    assert (made.probabilities(corners.images).argmax(axis=1) == np.repeat([0, 1, 2], 40)).mean() > 0.95
    for target, (rows, columns) in ((1, (slice(0, 12), slice(0, 12))), (2, (slice(12, 24), slice(12, 24)))):
        for image in corners.images[40 * target : 40 * target + 5]:
            heat = getattr(made, method)(image, target)
            assert heat.dtype == np.float32 and heat.shape == (24, 24)
            assert heat.min() >= 0 and heat.max() == pytest.approx(1)
            assert heat[rows, columns].max() == heat.max()
            assert heat[rows, columns].sum() > 0.6 * heat.sum()


# The networks of GluonCV


def has_maps(name: str, side: int) -> None:
    """Grad-CAM, occlusion and an embedding of a network with weights of chance, and what they are made of."""
    network = recipe.Backbone(name=name)
    made = explainer(network, plan_of(side, channels=2))
    images = noise(2, side, channels=2)
    x = apply(made.plan, images)
    seen = made.graph.seen
    assert seen is not None and seen.spatial
    maps, scores = made.outputs(x, (seen,))
    np.testing.assert_allclose(scores, made.net(mx.nd.array(x)).asnumpy(), rtol=2e-3, atol=2e-3)
    # What follows gives the same scores, and its gradient is that of a step along it.
    again = made.graph.after(seen)(mx.nd.array(maps), mx.nd.array(x)).asnumpy()
    np.testing.assert_allclose(again, scores, rtol=2e-3, atol=2e-3)
    heat = made.gradcam(images[0], int(scores[0].argmax()))
    assert heat.shape == (side, side) and np.isfinite(heat).all() and heat.min() >= 0
    assert heat.max() in (0, pytest.approx(1))
    stages = made.graph.stages
    sizes = [stage.shape[1] for stage in stages]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == len(sizes) and seen.shape[1] in sizes


@pytest.mark.parametrize("name", FIRST)
def test_the_first_of_each_family_has_maps(name: str) -> None:
    has_maps(name, FIRST[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe.BACKBONES)
def test_every_network_has_maps_at_its_own_size(name: str) -> None:
    has_maps(name, recipe.own_size(name))


@pytest.mark.parametrize(("name", "points"), [("vgg11", True), ("resnet18_v1", False), ("dla34", False)])
def test_a_network_is_known_to_take_places_apart(name: str, points: bool) -> None:
    net = build(recipe.Backbone(name=name), (3, 64, 64), 3)
    assert Graph(net, (3, 64, 64)).tells_places_apart == points


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["mobilenetv2_1.0", "squeezenet1.1"])
def test_the_heat_of_a_cat_is_on_the_cat(name: str) -> None:
    from skimage import data

    plan = plan_of(224, 3, mean=IMAGENET.mean, std=IMAGENET.std)
    made = explainer(recipe.Backbone(name=name), plan, 1000, real_weights() / f"{name}.params")
    cat, cup = (resized(image, (224, 224), "stretch") for image in (data.chelsea(), data.coffee()))
    assert made.probabilities(np.stack([cat, cup])).argmax(axis=1).tolist() == [285, 967]
    for method in (made.gradcam, made.occlusion):
        heat = method(cat, 285)
        # The head fills the picture but for what is right of and below its ear.
        assert heat[60:, 190:].sum() < 0.1 * heat.sum()
        heat = method(cup, 967)
        # The cup, of the cup, its saucer, a spoon and a table.
        assert heat[:130, 60:180].sum() > 0.5 * heat.sum()
    embedded = made.embed(np.stack([cat, cup, cat]))
    assert np.linalg.norm(embedded[0] - embedded[2]) < 1e-3 < np.linalg.norm(embedded[0] - embedded[1])


# From a layer to pixels, and from what a network sees to the file


def test_a_layer_s_values_stand_at_the_centres_of_what_its_units_see() -> None:
    net = build(recipe.LeNet(), (1, 28, 28), 3)
    point = Graph(net, (1, 28, 28)).seen
    assert point is not None and point.field == Field((14, 14), (2, 2), (6.5, 6.5))
    values = np.zeros((8, 8))
    values[0, 7] = 1
    heat = spread(values, point.field, (28, 28))
    rows, columns = np.nonzero(heat == heat.max())
    assert (rows.tolist(), columns.tolist()) == ([6], [21])
    # Towards the edges, which the unit still sees, it falls to nothing.
    assert 0 < heat[0, 21] < heat[3, 21] < heat[6, 21] and 0 < heat[6, 27] < 0.1
    values = np.zeros((8, 8))
    values[3, 4] = 1
    heat = spread(values, point.field, (28, 28))
    middle = [(heat.sum(axis=1 - axis) * np.arange(28)).sum() / heat.sum() for axis in (0, 1)]
    assert middle == pytest.approx([6.5 + 6, 6.5 + 8])


def test_without_a_field_values_are_spread_evenly() -> None:
    assert spread(np.array([[0.0, 1.0]]), None, (2, 4)).tolist() == [[0, 0.25, 0.75, 1]] * 2


def test_heat_goes_back_where_centering_took_the_image_from() -> None:
    made = explainer(recipe.LeNet(), plan_of(40, center=Center(size=(20, 20))))
    image = np.zeros((40, 40, 1), np.uint8)
    image[22:38, 4:12] = noise(1, 16)[0, :, :8] // 2 + 100
    for heat in (made.gradcam(image, 0), made.occlusion(image, 0)):
        assert heat.shape == (40, 40) and heat.max() > 0.5
        heat[22:38, 4:12] = 0
        assert heat.max() == 0


def test_heat_goes_back_to_the_frame_of_the_file() -> None:
    heat = np.zeros((20, 20), np.float32)
    heat[5:10, 5:15] = 1
    assert to_file(heat, plan_of(20, resize=None), (20, 20)) is heat
    stretched = to_file(heat, plan_of(20), (40, 60))
    assert stretched.shape == (40, 60)
    assert stretched[12:18, 18:42].min() == 1 and stretched[:8].max() == stretched[23:].max() == 0
    # A file of 10 x 20 is in the middle of 20 x 20, between borders that are no part of it.
    padded = to_file(heat, plan_of(20, resize="pad"), (20, 40))
    assert padded.shape == (20, 40)
    assert padded[:8, 12:28].min() == 1 and padded[12:].max() == 0


def test_covering_patches_cover_every_pixel() -> None:
    for size in ((28, 28), (5, 3), (1, 1), (224, 100)):
        counts = np.zeros(size, int)
        for rows, columns in patches(size):
            counts[rows, columns] += 1
        assert counts.min() >= 1
        assert len(list(patches(size))) <= 170


def test_drops_below_one_percent_stay_pale() -> None:
    assert scaled(np.array([[0.001, -1.0]]), 0.01).tolist() == [[pytest.approx(0.1), 0]]
    assert scaled(np.array([[0.5, 0.25]]), 0.01).tolist() == [[1, 0.5]]
    assert scaled(np.zeros((1, 2))).tolist() == [[0, 0]]


def test_an_overlay_is_gray_where_it_is_cold_and_colour_where_it_is_hot() -> None:
    image = noise(1, 8, 3)[0]
    heat = np.zeros((8, 8), np.float32)
    heat[:4] = 1
    seen = overlay(image, heat).astype(int)
    assert seen.shape == (8, 8, 3) and overlay(image, heat).dtype == np.uint8
    assert np.ptp(seen[4:], axis=2).max() == 0
    # The warm end of the map is yellow.
    assert (seen[:4, :, 0] > seen[:4, :, 2] + 50).all() and (seen[:4, :, 1] > seen[:4, :, 2] + 50).all()


# Inputs that were made


@pytest.mark.parametrize("network", [*NETWORKS, recipe.MLP(hidden=(9,))], ids=lambda network: network.name)
def test_ascent_excites_its_unit_and_stays_an_image(network: Any) -> None:
    made = explainer(network, plan_of(28))
    seen = Seen(made.plan, noise(4, 28))
    low, high = (limit.item() for limit in seen.limits)
    plain = np.broadcast_to(seen.middle, made.shape)
    scores = made.outputs(plain[None])[-1][0]
    for label, x in enumerate(exciting(made, seen, None, [0, 1, 2], seed=1)):
        assert x.shape == made.shape and x.min() >= low and x.max() <= high
        assert made.outputs(x[None])[-1][0, label] > scores[label] + 0.1
    point = made.graph.seen or made.graph.features
    units = [3, 0]
    before = made.outputs(plain[None], (point,))[0].reshape(1, point.shape[0], -1).max(axis=(0, 2))
    for unit, x in zip(units, exciting(made, seen, point, units, seed=1), strict=True):
        assert made.outputs(x[None], (point,))[0][0, unit].max() > before[unit]
    again, other = (exciting(made, seen, None, [1], seed) for seed in (1, 2))
    np.testing.assert_array_equal(again, exciting(made, seen, None, [1], 1))
    assert not np.array_equal(again, other)


def test_what_a_network_takes_is_seen_as_it_is_stored() -> None:
    plan = plan_of(8, 3)
    images = noise(2, 8, 3)
    seen = Seen(plan, images)
    for image, x in zip(images, apply(plan, images), strict=True):
        np.testing.assert_array_equal(seen.taken(x), image)
        np.testing.assert_array_equal(seen.stored(image), image)


class Twice(mx.gluon.HybridBlock):  # type: ignore[misc]
    """Uses one ReLU for two convolutions, as xception does: its graph has two nodes of one name."""

    def __init__(self) -> None:
        super().__init__(prefix="twice_")
        with self.name_scope():
            self.conv1 = mx.gluon.nn.Conv2D(2, 3, in_channels=1)
            self.conv2 = mx.gluon.nn.Conv2D(4, 3, strides=2, in_channels=2)
            self.relu = mx.gluon.nn.Activation("relu")
            self.fc = mx.gluon.nn.Dense(3, in_units=4 * 4 * 4)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803
        return self.fc(self.relu(self.conv2(self.relu(self.conv1(x)))))


def test_a_layer_that_is_used_twice_is_two_layers() -> None:
    net = Twice()
    net.initialize(mx.init.Normal(1))
    graph = Graph(net, (1, 12, 12))
    assert [stage.shape for stage in graph.stages] == [(2, 10, 10), (4, 4, 4)]
    assert graph.seen == graph.stages[1] and graph.seen.name == "twice_relu0_fwd_use2"
    x = mx.nd.random.normal(shape=(2, 1, 12, 12))
    first, second, scores = graph.outputs(graph.stages)(x)
    np.testing.assert_allclose(first.asnumpy(), net.relu(net.conv1(x)).asnumpy(), rtol=1e-5)
    np.testing.assert_allclose(second.asnumpy(), net.relu(net.conv2(first)).asnumpy(), rtol=1e-5)
    np.testing.assert_allclose(scores.asnumpy(), net(x).asnumpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(graph.until(graph.seen)(x).asnumpy(), net.conv2(first).asnumpy(), rtol=1e-5)


def test_what_the_units_of_a_network_that_pads_by_itself_see_is_in_the_image() -> None:
    graph = Graph(build(recipe.Backbone(name="xception"), (3, 128, 128), 3), (3, 128, 128))
    for stage in graph.stages:
        assert stage.field is not None
        centres = stage.field.first[0] + stage.field.jump[0] * np.arange(stage.shape[1])
        assert abs(centres.mean() - 63.5) < 0.75 * stage.field.jump[0]
