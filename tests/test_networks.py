import math

import numpy as np
import pytest
from scipy import stats

from bioclass import recipe
from bioclass.backend import mx
from bioclass.errors import InputError
from bioclass.networks import build
from bioclass.networks.describe import describe, total_parameters
from bioclass.networks.layers import DropConnectDense, expected_relu

STUDY = [recipe.LeNet(dropout=0.5), recipe.Network3(), recipe.DropConnect(), recipe.MLP()]
ALL = [*STUDY, recipe.VGG(stages=((16, 20), (24,)), dropout=0.5)]
CHANCE = [ALL[0], ALL[1], ALL[2], ALL[4]]


def ready(spec, shape=(1, 28, 28), classes=10, seed=0):
    net = build(spec, shape, classes)
    mx.random.seed(seed)
    net.initialize()
    return net


def images(count, shape, seed=0):
    return mx.nd.array(np.random.default_rng(seed).random((count, *shape), dtype=np.float32))


def train_forward(net, x):
    with mx.autograd.record():
        return net(x).asnumpy()


@pytest.mark.parametrize(
    ("spec", "shape", "count"),
    [
        # conv1 5x5x1x20+20 = 520; conv2 5x5x20x50+50 = 25,050; 28-24-12-8-4: fc1 4x4x50x500+500 = 400,500;
        # fc2 500x10+10 = 5,010
        (recipe.LeNet(), (1, 28, 28), 431_080),
        # fc1 800x1000+1000 = 801,000; fc2 10,010
        (recipe.LeNet(fc1=1000), (1, 28, 28), 836_580),
        # conv1 7x7x20+20 = 1,000; 20-20-10-6-3: fc1 3x3x50x500+500 = 225,500
        (recipe.LeNet(), (1, 20, 20), 256_560),
        # three channels: conv1 5x5x3x20+20 = 1,520
        (recipe.LeNet(), (3, 28, 28), 432_080),
        # conv1 520; conv2 5x5x20x40+40 = 20,040; fc1 640x1000+1000 = 641,000; fc2 1,001,000; fc3 10,010
        (recipe.Network3(), (1, 28, 28), 1_672_570),
        # fc1 640x640+640 = 410,240; fc2 640x1000+1000 = 641,000; fc3 10,010
        (recipe.Network3(hidden=(640, 1000)), (1, 28, 28), 1_081_810),
        # 20-18-9-8-4: conv1 3x3x20+20 = 200; conv2 2x2x20x40+40 = 3,240; the rest as at 28x28: 1,652,010
        (recipe.Network3(), (1, 20, 20), 1_655_450),
        # conv1 5x5x32+32 = 832; conv2 5x5x32x64+64 = 51,264; fc1 1024x150+150 = 153,750; fc2 1,510
        (recipe.DropConnect(), (1, 28, 28), 207_356),
        # conv1 7x7x32+32 = 1,600; fc1 3x3x64x150+150 = 86,550
        (recipe.DropConnect(), (1, 20, 20), 140_924),
        # 784x100+100 = 78,500; 100x10+10 = 1,010
        (recipe.MLP(), (1, 28, 28), 79_510),
        # 784x10+10
        (recipe.MLP(hidden=()), (1, 28, 28), 7_850),
        # 3x3 convolutions: 9x(1x32 + 32x32 + 32x64 + 64x64 + 64x128 + 128x128) = 285,984; batch normalisation
        # 4x2x(32 + 64 + 128) = 1,792; fc 128x10+10 = 1,290; whatever the image's size
        (recipe.VGG(), (1, 28, 28), 289_066),
        (recipe.VGG(), (1, 40, 33), 289_066),
        (recipe.VGG(stages=((8,), (16,))), (3, 28, 28), 9 * (24 + 128) + 4 * 24 + 170),
    ],
)
def test_parameters_counted_by_hand(spec, shape, count):
    net = build(spec, shape, 10)
    assert total_parameters(net) == count
    assert sum(row.parameters for row in describe(net, shape)) == count


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 20), (5, 20, 33), (2, 17, 40)])
def test_any_channels_and_sides_give_scores_per_class(spec, shape):
    net = ready(spec, shape, classes=4)
    x = images(3, shape)
    assert net(x).shape == (3, 4)
    assert train_forward(net, x).shape == (3, 4)


@pytest.mark.parametrize("spec", ALL[:3], ids=lambda spec: spec.name)
def test_too_small_images_are_refused_before_anything_is_built(spec):
    with pytest.raises(
        InputError, match=rf"15x40 pixels are too small .*'{spec.name}'.* 16x16: set preprocess.size.*\[16, 40\]"
    ):
        build(spec, (1, 15, 40), 10)
    build(spec, (1, 16, 16), 10)


def test_vgg_needs_a_pixel_after_its_last_pooling():
    for stages, least in ((1, 1), (3, 4), (5, 16)):
        spec = recipe.VGG(stages=((4,),) * stages)
        x = images(2, (1, least, least))
        assert ready(spec, (1, least, least), 3)(x).shape == (2, 3)
        if least > 1:
            with pytest.raises(
                InputError, match=rf"1x40 pixels are too small .*'vgg'.* {stages} stages.* {least}x{least}"
            ):
                build(spec, (1, 1, 40), 3)


@pytest.mark.parametrize("spec", STUDY, ids=lambda spec: spec.name)
def test_parameter_names_are_the_same_in_every_build(spec):
    first, second = build(spec, (1, 28, 28), 10), build(spec, (1, 28, 28), 10)
    assert list(first.collect_params()) == list(second.collect_params())
    names = list(first._collect_params_with_prefix())
    assert names == list(second._collect_params_with_prefix())
    layers = list(dict.fromkeys(name.partition(".")[0] for name in names))
    convolutions = [] if spec.name == "mlp" else ["conv1", "conv2"]
    assert layers == [*convolutions, "fc1", "fc2", *(["fc3"] if spec.name == "network3" else [])]


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_same_seed_same_weights_and_scores(spec):
    x = images(4, (1, 28, 28))
    runs = []
    for _ in range(2):
        net = ready(spec, seed=3)
        mx.random.seed(7)
        runs.append((train_forward(net, x), net(x).asnumpy()))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][1], runs[1][1])


def test_vgg_has_stable_names_and_he_s_weights():
    net, other = ready(recipe.VGG()), build(recipe.VGG(), (3, 50, 60), 4)
    values = {name: p.data().asnumpy() for name, p in net._collect_params_with_prefix().items()}
    assert list(values) == list(other._collect_params_with_prefix())
    assert list(values)[:5] == ["conv1_1.weight", *(f"norm1_1.{name}" for name in NORM)]
    for name, value in values.items():
        if name.startswith("conv"):
            assert value.std() == pytest.approx(math.sqrt(2 / value[0].size), rel=0.15), name
        elif name.endswith(("gamma", "running_var")):
            assert (value == 1).all()
        elif name != "fc.weight":
            assert not value.any(), name


NORM = ("gamma", "beta", "running_mean", "running_var")


@pytest.mark.parametrize("spec", STUDY, ids=lambda spec: spec.name)
def test_weights_are_xavier_by_fan_in_and_biases_zero(spec):
    for name, parameter in ready(spec)._collect_params_with_prefix().items():
        values = parameter.data().asnumpy()
        if name.endswith("bias"):
            assert not values.any()
        else:
            bound = math.sqrt(3 / values[0].size)
            assert 0.95 * bound < abs(values).max() <= bound


@pytest.mark.parametrize("spec", [*ALL, recipe.DropConnect(inference="mean")], ids=lambda spec: spec.name)
def test_hybridized_gives_the_imperative_scores_in_both_modes(spec):
    x = images(4, (1, 28, 28))
    net = ready(spec)
    expected = net(x).asnumpy()
    mx.random.seed(5)
    expected_training = train_forward(net, x)
    net.hybridize(static_alloc=True, static_shape=True)
    for _ in range(2):  # training and prediction take turns, as in fit
        mx.random.seed(5)
        training = train_forward(net, x)
        if spec.name == "dropconnect":  # its masks' generator does not depend on the graph
            np.testing.assert_allclose(training, expected_training, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(net(x).asnumpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", CHANCE, ids=lambda spec: spec.name)
@pytest.mark.parametrize("hybrid", [False, True])
def test_chance_acts_in_training_only(spec, hybrid):
    x = images(4, (1, 28, 28))
    net = ready(spec)
    if hybrid:
        net.hybridize()
    assert (net(x).asnumpy() == net(x).asnumpy()).all()
    assert (train_forward(net, x) != train_forward(net, x)).any()
    assert (net(x).asnumpy() == net(x).asnumpy()).all()


def test_without_dropout_training_equals_prediction():
    x = images(4, (1, 28, 28))
    for spec in (recipe.LeNet(), recipe.Network3(dropout=0.0), recipe.DropConnect(rate=0.0), recipe.MLP()):
        net = ready(spec)
        np.testing.assert_allclose(train_forward(net, x), net(x).asnumpy(), rtol=1e-4, atol=1e-5)


def test_lenet_has_no_activation_after_the_convolutions_and_relu_after_fc1():
    net = ready(recipe.LeNet())
    x = images(2, (1, 28, 28))
    features = net.pool2(net.conv2(net.pool1(net.conv1(x))))
    assert (features.asnumpy() < 0).any()
    hidden = net.fc1(features)
    assert (hidden.asnumpy() >= 0).all() and (hidden.asnumpy() == 0).any()
    np.testing.assert_array_equal(net.fc2(hidden).asnumpy(), net(x).asnumpy())


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "softsign"])
def test_mlp_computes_what_the_formula_says(activation):
    functions = {
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        "tanh": np.tanh,
        "relu": lambda v: np.maximum(v, 0),
        "softsign": lambda v: v / (1 + abs(v)),
    }
    net = ready(recipe.MLP(hidden=(7, 5), activation=activation), (2, 4, 3), 3)
    x = images(6, (2, 4, 3))
    value = x.asnumpy().reshape(6, -1)
    for name in ("fc1", "fc2", "fc3"):
        layer = getattr(net, name)
        value = value @ layer.weight.data().asnumpy().T + layer.bias.data().asnumpy()
        value = functions[activation](value) if name != "fc3" else value
    np.testing.assert_allclose(net(x).asnumpy(), value, rtol=1e-4, atol=1e-5)


def test_vgg_computes_what_the_formula_says():
    """Predicting: with running statistics. In training: with those of the batch."""
    net = ready(recipe.VGG(stages=((3, 4), (5,))), (2, 6, 7), 3)
    rng = np.random.default_rng(0)
    for name, parameter in net._collect_params_with_prefix().items():
        low = 0.5 if name.endswith(("gamma", "running_var")) else -1
        parameter.set_data(mx.nd.array(rng.uniform(low, 1.5, parameter.shape)))
    v = {name: p.data().asnumpy().astype(np.float64) for name, p in net._collect_params_with_prefix().items()}
    x = images(5, (2, 6, 7))

    def forward(batch):
        value = x.asnumpy().astype(np.float64)
        for layer in ("1_1", "1_2", "2_1"):
            if layer == "2_1":  # 6x7 to 3x3: the odd column is left out
                value = value[:, :, :6, :6].reshape(5, 4, 3, 2, 3, 2).max(axis=(3, 5))
            windows = np.lib.stride_tricks.sliding_window_view(
                np.pad(value, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3)
            )
            value = np.einsum("nchwij,ocij->nohw", windows, v[f"conv{layer}.weight"])
            gamma, beta, mean, variance = (v[f"norm{layer}.{name}"][:, None, None] for name in NORM)
            if batch:
                mean, variance = (f(value, axis=(0, 2, 3))[:, None, None] for f in (np.mean, np.var))
            value = np.maximum(gamma * (value - mean) / np.sqrt(variance + 1e-5) + beta, 0)
        return value.mean(axis=(2, 3)) @ v["fc.weight"].T + v["fc.bias"]

    np.testing.assert_allclose(net(x).asnumpy(), forward(False), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(train_forward(net, x), forward(True), rtol=1e-3, atol=1e-3)


# Drop-connect


def drop_layer(units=5, in_units=7, rate=0.5, inference="gaussian", seed=0):
    layer = DropConnectDense(units, in_units, rate=rate, inference=inference, prefix="fc_")
    mx.random.seed(seed)
    layer.initialize()
    layer.bias.set_data(mx.nd.random.normal(scale=0.3, shape=(units,)))
    return layer


def masks_of(layer, count, seed):
    """Weight masks (count, units, in_units) times 1 / keep, read off the layer itself.

    For each input i a run with the same seed, weights 1, biases 0 and the i-th unit vector as every example.
    """
    layer.weight.set_data(mx.nd.ones(layer.weight.shape))
    layer.bias.set_data(mx.nd.zeros(layer.bias.shape))
    columns = []
    for unit_vector in np.eye(layer.in_units, dtype=np.float32):
        mx.random.seed(seed)
        columns.append(train_forward(layer, mx.nd.array(np.tile(unit_vector, (count, 1)))))
    return np.stack(columns, axis=2)


def bias_masks_of(layer, count, seed):
    """Bias masks (count, units) times 1 / keep, from an input of zeros and biases of 1."""
    layer.bias.set_data(mx.nd.ones(layer.bias.shape))
    mx.random.seed(seed)
    return train_forward(layer, mx.nd.zeros((count, layer.in_units)))


@pytest.fixture(params=["processor", "gpu"])
def way(request, monkeypatch):
    """Both ways of masking; the one for GPUs, of MXNet's own operations, computes on the processor too."""
    if request.param == "gpu":
        monkeypatch.setattr(DropConnectDense, "_on_processor", lambda self: False)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("rate", [0.5, 0.3])
@pytest.mark.parametrize("hybrid", [False, True])
def test_drop_connect_equals_an_explicit_mask_and_so_does_its_gradient(rate, hybrid):
    layer = drop_layer(rate=rate)
    if hybrid:
        layer.hybridize(static_alloc=True, static_shape=True)
    weight, bias = layer.weight.data().asnumpy(), layer.bias.data().asnumpy()
    masks = masks_of(layer, 6, seed=11)
    bias_masks = bias_masks_of(layer, 6, seed=11)
    assert set(np.unique(masks.round(5))) == {0.0, np.float32(1 / (1 - rate)).round(5)}
    layer.weight.set_data(mx.nd.array(weight))
    layer.bias.set_data(mx.nd.array(bias))

    x = np.random.default_rng(1).normal(size=(6, 7)).astype(np.float32)
    data = mx.nd.array(x)
    data.attach_grad()
    upstream = np.random.default_rng(2).normal(size=(6, 5)).astype(np.float32)
    mx.random.seed(11)
    with mx.autograd.record():
        out = layer(data)
    out.backward(mx.nd.array(upstream))

    before = np.einsum("noi,oi,ni->no", masks, weight, x) + bias_masks * bias
    delta = upstream * (before > 0)
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(out.asnumpy(), np.maximum(before, 0), **close)
    np.testing.assert_allclose(layer.weight.grad().asnumpy(), np.einsum("no,noi,ni->oi", delta, masks, x), **close)
    np.testing.assert_allclose(layer.bias.grad().asnumpy(), (delta * bias_masks).sum(axis=0), **close)
    np.testing.assert_allclose(data.grad.asnumpy(), np.einsum("no,noi,oi->ni", delta, masks, weight), **close)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("rate", [0.5, 0.3])
def test_each_example_and_each_step_has_a_mask_of_its_own(rate):
    layer = drop_layer(units=40, in_units=6, rate=rate)
    masks = masks_of(layer, 32, seed=1) > 0
    assert len(np.unique(masks.reshape(32, -1), axis=0)) == 32
    assert (masks != (masks_of(layer, 32, seed=2) > 0)).any(axis=(1, 2)).all()
    ones = mx.nd.ones((4, 6))
    mx.random.seed(3)
    assert (train_forward(layer, ones) != train_forward(layer, ones)).any()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("rate", [0.5, 0.3])
def test_masks_are_fair_and_independent(rate):
    kept = masks_of(drop_layer(units=50, in_units=9, rate=rate), 200, seed=4) > 0  # 90,000 masks
    keep = 1 - rate
    sd = math.sqrt(keep * rate / kept.size)
    assert abs(kept.mean() - keep) < 5 * sd
    # Every connection over examples, and neighbours along each axis.
    assert abs(kept.mean(axis=0) - keep).max() < 5.5 * math.sqrt(keep * rate / 200)
    for axis in range(3):
        moved = np.roll(kept, 1, axis=axis)
        assert abs((kept & moved).mean() - keep**2) < 6 * sd


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("rate", [0.5, 0.3])
def test_gaussian_inference_is_the_average_over_masks(rate):
    layer = drop_layer(units=20, in_units=200, rate=rate)
    x = images(1, (200,))
    draws = np.concatenate([train_forward(layer, mx.nd.tile(x, (500, 1))) for _ in range(8)])
    error = draws.std(axis=0) / math.sqrt(len(draws))
    assert (abs(layer(x).asnumpy()[0] - draws.mean(axis=0)) < 5 * error + 0.01).all()


def test_mean_inference_uses_the_plain_weights():
    layer = drop_layer(inference="mean")
    x = images(3, (7,))
    scores = x.asnumpy() @ layer.weight.data().asnumpy().T + layer.bias.data().asnumpy()
    np.testing.assert_allclose(layer(x).asnumpy(), np.maximum(scores, 0), rtol=1e-5, atol=1e-6)


def test_expected_relu_is_the_integral_over_the_gaussian():
    mean, sd = np.meshgrid([-3.0, -0.5, 0.0, 0.5, 3.0], [0.1, 1.0, 2.0])
    exact = mean * stats.norm.cdf(mean / sd) + sd * stats.norm.pdf(mean / sd)
    by_sum = [
        stats.norm(m, s).expect(lambda u: u, lb=0, ub=m + 12 * s) if m + 12 * s > 0 else 0.0
        for m, s in zip(mean.flat, sd.flat, strict=True)
    ]
    np.testing.assert_allclose(exact.flat, by_sum, atol=1e-6)
    got = expected_relu(mx.nd, mx.nd.array(mean), mx.nd.array(sd**2)).asnumpy()
    np.testing.assert_allclose(got, exact, rtol=1e-4, atol=1e-6)


def test_gaussian_inference_of_zeros_is_finite_with_a_finite_gradient():
    layer = drop_layer()
    layer.bias.set_data(mx.nd.zeros((5,)))
    x = mx.nd.zeros((2, 7))
    x.attach_grad()
    with mx.autograd.record(train_mode=False):
        out = layer(x)
    out.backward()
    assert np.isfinite(out.asnumpy()).all() and np.isfinite(x.grad.asnumpy()).all()


def test_training_lowers_the_loss_of_dropconnect():
    net = ready(recipe.DropConnect())
    net.hybridize(static_alloc=True, static_shape=True)
    labels = np.arange(20) % 10
    pixels = np.random.default_rng(0).random((20, 1, 28, 28), dtype=np.float32) / 4
    pixels[np.arange(20), 0, 2 * labels + 4, :] = 1  # a line whose height is the class
    x, y = mx.nd.array(pixels), mx.nd.array(labels)
    loss = mx.gluon.loss.SoftmaxCELoss()
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01, "momentum": 0.9})
    first = loss(net(x), y).mean().asscalar()
    for _ in range(40):
        with mx.autograd.record():
            value = loss(net(x), y)
        value.backward()
        trainer.step(20)
    assert loss(net(x), y).mean().asscalar() < 0.5 * first


# Describe


def test_lenet_described_by_hand():
    net = build(recipe.LeNet(), (1, 28, 28), 10)  # not initialized: nothing is computed
    assert [tuple(row) for row in describe(net, (1, 28, 28))] == [
        ("conv1", "Conv2D 5x5, 20", (20, 24, 24), 520, (5, 5)),
        ("pool1", "MaxPool2D 2x2, stride 2", (20, 12, 12), 0, (6, 6)),  # 5 + 1
        ("conv2", "Conv2D 5x5, 50", (50, 8, 8), 25_050, (14, 14)),  # 6 + 4 x 2
        ("pool2", "MaxPool2D 2x2, stride 2", (50, 4, 4), 0, (16, 16)),  # 14 + 2
        ("fc1", "Dense 500, relu", (500,), 400_500, None),
        ("fc2", "Dense 10", (10,), 5_010, None),
    ]


def test_vgg_described():
    rows = describe(build(recipe.VGG(stages=((32, 32), (64,))), (1, 28, 28), 10), (1, 28, 28))
    assert [tuple(row) for row in rows if row.name[:4] in ("conv", "norm", "pool", "aver", "fc")] == [
        ("conv1_1", "Conv2D 3x3, 32, padding 1", (32, 28, 28), 288, (3, 3)),
        ("norm1_1", "BatchNorm", (32, 28, 28), 128, (3, 3)),
        ("conv1_2", "Conv2D 3x3, 32, padding 1", (32, 28, 28), 9_216, (5, 5)),
        ("norm1_2", "BatchNorm", (32, 28, 28), 128, (5, 5)),
        ("pool1", "MaxPool2D 2x2, stride 2", (32, 14, 14), 0, (6, 6)),
        ("conv2_1", "Conv2D 3x3, 64, padding 1", (64, 14, 14), 18_432, (10, 10)),
        ("norm2_1", "BatchNorm", (64, 14, 14), 256, (10, 10)),
        ("average", "GlobalAverage", (64,), 0, None),
        ("fc", "Dense 10", (10,), 650, None),
    ]


def test_variant_for_20x20_has_its_padding_and_drop_connect_its_rate():
    rows = describe(build(recipe.DropConnect(), (1, 20, 20), 10), (1, 20, 20))
    assert rows[0].kind == "Conv2D 7x7, 32, padding 3" and rows[0].output_shape == (32, 20, 20)
    assert rows[4].kind == "DropConnectDense 150, rate 0.5"


def test_describing_leaves_a_hybridized_network_as_it_was():
    net = ready(recipe.DropConnect())
    net.hybridize()
    x = images(2, (1, 28, 28))
    before = net(x).asnumpy()
    rows = describe(net, (1, 28, 28))
    assert len(rows) == 6 and describe(net, (1, 28, 28)) == rows
    np.testing.assert_array_equal(net(x).asnumpy(), before)


def test_any_gluon_network_with_branches_and_unknown_shapes_is_described():
    class Residual(mx.gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.body = mx.gluon.nn.HybridSequential()
            self.body.add(mx.gluon.nn.Conv2D(4, (3, 5), padding=(1, 2)), mx.gluon.nn.BatchNorm())
            self.relu = mx.gluon.nn.Activation("relu")
            self.gap = mx.gluon.nn.GlobalAvgPool2D()
            self.out = mx.gluon.nn.Dense(3)

        def hybrid_forward(self, F, x):  # noqa: N803
            return self.out(self.gap(self.relu(self.relu(self.body(x)) + x)))

    net = Residual()
    rows = describe(net, (4, 8, 8))
    assert [(row.name, row.kind, row.receptive_field) for row in rows] == [
        ("body.0", "Conv2D 3x5, 4, padding 1x2", (3, 5)),
        ("body.1", "BatchNorm", (3, 5)),
        ("relu", "Activation relu", (3, 5)),
        ("relu", "Activation relu", (3, 5)),
        ("gap", "GlobalAvgPool2D", None),
        ("out", "Dense 3", None),
    ]
    # 3x5x4x4+4 = 244; BatchNorm 4x4 (gamma, beta, mean, variance); Dense 4x3+3
    assert [row.parameters for row in rows] == [244, 16, 0, 0, 0, 15]
    with pytest.raises(ValueError, match="not known before a first forward pass"):
        total_parameters(net)
    net.initialize()
    net(images(1, (4, 8, 8)))
    assert total_parameters(net) == 275
