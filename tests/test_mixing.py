"""MixUp and CutMix: what becomes of images and labels, how the draws are spread, and that a fit repeats them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import fit, pictures, refused, run_cli, write_folder, write_recipe
from scipy import stats

from bioclass.augment import Mixing, draw_mixing, mix_images
from bioclass.backend import mx
from bioclass.card import Card, Class
from bioclass.errors import RecipeError
from bioclass.fit.contexts import ContextsTrainer
from bioclass.fit.replica import WeightedLoss
from bioclass.fit.task import Task
from bioclass.fit.team import TeamTrainer
from bioclass.preprocess import prepare
from bioclass.recipe import CrossEntropy, CutMix, Focal, MixUp, Recipe
from bioclass.samples import Samples
from bioclass.validation import validate

CLASSES = ("a", "b", "c")
CARD = Card(name="noise", title="Noise", classes=tuple(Class(name=name) for name in CLASSES))
MIXES = [{"name": "mixup", "alpha": 0.4}, {"name": "cutmix"}]


def task(**changes):
    fit = {"epochs": 1, "batch_size": 6, **changes.pop("fit", {})}
    recipe = validate(Recipe, {"dataset": "noise", "fit": fit, **changes}, "recipe", RecipeError)
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 12, 3), dtype=np.uint8)
    samples = Samples(images, np.minimum(np.arange(20) % 4, 2)).checked(CLASSES)
    stored, plan = prepare(samples, recipe.preprocess, CARD)
    return Task(recipe, plan, CLASSES, stored, samples.labels, np.arange(2, 20))


# Images


def test_mixup_in_numbers():
    images = np.array([[1.0, 2], [10, 20], [100, 200]], np.float32).reshape(3, 1, 1, 2)
    mix_images(images, np.array([[[1000, 2000]]], np.float32), Mixing(np.float32([0.25, 1, 0.5]), None))
    assert images.reshape(3, 2).tolist() == [[7.75, 15.5], [10, 20], [550, 1100]]


def test_cutmix_in_numbers():
    images = np.stack([np.full((2, 3, 4), value, np.float32) for value in (1, 2)])
    boxes = np.array([[0, 2, 1, 3], [2, 3, 0, 4]])
    mix_images(images, np.full((2, 3, 4), 3, np.float32), Mixing(np.float32([8 / 12, 8 / 12]), boxes))
    assert images[0].tolist() == 2 * [[[1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1]]]
    assert images[1].tolist() == 2 * [[[2, 2, 2, 2], [2, 2, 2, 2], [3, 3, 3, 3]]]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixups_shares_are_those_of_beta(alpha):
    mixing = draw_mixing(MixUp(alpha=alpha), [0, 1], 20_000, (8, 8))
    assert mixing.boxes is None and mixing.shares.dtype == np.float32
    for share in (0.01, 0.1, 0.3, 0.5, 0.8, 0.99):
        assert (mixing.shares <= share).mean() == pytest.approx(stats.beta(alpha, alpha).cdf(share), abs=0.015)


def test_cutmixs_boxes_are_those_of_the_paper():
    height, width = 60, 40
    mixing = draw_mixing(CutMix(), [0, 1], 20_000, (height, width))
    top, bottom, left, right = mixing.boxes.T
    assert (top >= 0).all() and (left >= 0).all() and (bottom <= height).all() and (right <= width).all()
    pasted = (bottom - top) * (right - left) / (height * width)
    np.testing.assert_allclose(mixing.shares, 1 - pasted, atol=1e-6)
    # Away from the border the box has the image's shape, and 1 - l, which is uniform, is its area.
    whole = (top > 0) & (left > 0) & (bottom < height) & (right < width) & (bottom - top > 10)
    assert whole.sum() > 1000
    np.testing.assert_allclose((bottom - top)[whole] / (right - left)[whole], height / width, rtol=0.2)
    # A centre anywhere: with sides s, (1 - s / 4)^2 of the box is inside on the mean, and s^2 is uniform.
    s = np.sqrt(np.linspace(0, 1, 10_001))
    assert pasted.mean() == pytest.approx(np.mean((s * (1 - s / 4)) ** 2), abs=0.03)


@pytest.mark.parametrize("mix", [MixUp(alpha=0.01), MixUp(alpha=100), CutMix(alpha=0.01), CutMix(alpha=100)])
def test_extreme_alphas_are_numbers(mix):
    shares = draw_mixing(mix, [0], 10_000, (5, 5)).shares
    assert ((shares >= 0) & (shares <= 1)).all()
    assert shares.std() > 0.4 if mix == MixUp(alpha=0.01) else shares.std() < 0.4 or mix.alpha < 1


# Batches


@pytest.mark.parametrize("mix", MIXES)
def test_a_batch_is_each_image_and_the_next(mix):
    """The batch of the same stream without mixing, mixed by hand."""
    plain, mixed = task(), task(augment={"mix": mix})
    for iteration in (0, 2, 7):
        images, labels, weights = plain.batch(iteration, 0, 1)
        x, both, shares = mixed.batch(iteration, 0, 1)
        assert x.shape == images.shape and both.shape == shares.shape == (12,)
        np.testing.assert_array_equal(both, np.concatenate([labels, np.roll(labels, -1)]))
        own, others = shares.reshape(2, 6)
        np.testing.assert_allclose(own + others, weights, rtol=1e-6)
        following, share = np.roll(images, -1, axis=0), (own / weights)[:, None, None, None]
        if mix["name"] == "mixup":
            np.testing.assert_allclose(x, share * images + (1 - share) * following, atol=1e-6)
        else:
            stays = x == images
            np.testing.assert_array_equal(x, np.where(stays, images, following))
            # Equal pixels of both images count as staying: 1 in 256.
            np.testing.assert_allclose(stays.mean(axis=(1, 2, 3)), share.ravel(), atol=0.03)


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("steps", [[], [{"name": "rotation"}, {"name": "flip"}]])
@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_mixed_batch_make_the_batch(mix, steps, parts):
    whole = task(augment={"mix": mix, "steps": steps}, preprocess={"center": {"size": [10, 8]}})
    for iteration in (0, 3):
        one = whole.batch(iteration, 0, 1)
        found = [whole.batch(iteration, i, parts) for i in range(parts)]
        np.testing.assert_array_equal(np.concatenate([part[0] for part in found]), one[0])
        for k in (1, 2):
            halves = [np.concatenate([np.split(part[k], 2)[half] for part in found]) for half in range(2)]
            np.testing.assert_array_equal(np.concatenate(halves), one[k])


@pytest.mark.parametrize("mix", MIXES)
def test_draws_depend_on_both_seeds_and_the_iteration(mix):
    weights = [
        task(seed=seed, augment={"mix": mix, "seed": other}).batch(iteration, 0, 1)[2].tolist()
        for seed, other, iteration in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0))
    ]
    assert weights[0] == weights[-1]
    assert len({tuple(each) for each in weights}) == 4


def test_each_class_of_a_mixture_has_its_own_weight():
    chosen = {"class_weights": {"a": 1.0, "b": 10.0, "c": 100.0}}
    light, heavy = (task(augment={"mix": MIXES[0]}, fit=fit).batch(1, 0, 1) for fit in ({}, chosen))
    np.testing.assert_allclose(heavy[2], light[2] * 10 ** light[1], rtol=1e-6)


def test_a_variants_epoch_is_as_long_with_mixing():
    augment = {"mode": "enumerated", "steps": [{"name": "flip"}]}
    plain, mixed = task(augment=augment), task(augment={**augment, "mix": MIXES[1]})
    assert mixed.stream.iterations == plain.stream.iterations == 6
    np.testing.assert_array_equal(mixed.batch(1, 0, 1)[1][:6], plain.batch(1, 0, 1)[1])


# The loss


class Same(mx.gluon.HybridBlock):
    def hybrid_forward(self, F, x):  # noqa: N803 - Gluon's name
        return F.identity(x)


def by_hand(loss, scores, label):
    e = np.exp(scores)
    p = e / e.sum()
    if isinstance(loss, Focal):
        return -((1 - p[label]) ** loss.gamma) * np.log(p[label])
    e = loss.label_smoothing
    return -(1 - e) * np.log(p[label]) - e / len(p) * np.log(p).sum()


@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropy(label_smoothing=0.1), Focal(gamma=2)])
def test_the_loss_of_a_mixture_is_that_of_both_classes(loss):
    scores = np.array([[2.0, -1, 0.5], [0, 1, -2]])
    block = WeightedLoss(Same(), loss, mixed=True)
    block.hybridize()
    pairs, shares, class_weights = [(0, 2), (1, 1)], np.array([0.7, 0.2]), np.array([1.0, 2, 3])
    labels = np.array(pairs).T.ravel()
    weights = class_weights[labels] * np.concatenate([shares, 1 - shares])
    x = mx.nd.array(scores)
    x.attach_grad()
    with mx.autograd.record():
        value = block(x, mx.nd.array(labels), mx.nd.array(weights))
    value.backward()

    def expected(scores):
        return sum(
            share * class_weights[one] * by_hand(loss, row, one)
            + (1 - share) * class_weights[other] * by_hand(loss, row, other)
            for row, share, (one, other) in zip(scores, shares, pairs, strict=True)
        )

    assert float(value.asscalar()) == pytest.approx(expected(scores), rel=1e-5)
    for place in np.ndindex(scores.shape):
        step = np.zeros_like(scores)
        step[place] = 1e-5
        slope = (expected(scores + step) - expected(scores - step)) / 2e-5
        assert x.grad.asnumpy()[place] == pytest.approx(slope, abs=1e-5)


# The recipe and a fit


@pytest.mark.parametrize("mix", MIXES)
def test_the_ways_of_sharing_the_work_mix_alike(mix):
    work = task(augment={"mix": mix}, network={"name": "mlp", "hidden": [5]})
    losses, tensors = [], []
    trainers = (TeamTrainer(work, 1), TeamTrainer(work, 2), ContextsTrainer(work, [mx.cpu(0), mx.cpu(1)]))
    for trainer in trainers:
        losses.append(trainer.train(0, 5))
        tensors.append(trainer.tensors()["weights"])
        trainer.close()
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)
    for other in tensors[1:]:
        for name, array in tensors[0].items():
            np.testing.assert_allclose(other[name], array, atol=1e-5, err_msg=name)


def test_a_fit_with_mixing_learns(tmp_path):
    root = write_folder(tmp_path / "data", pictures(shape=(14, 14)))
    text = '[augment]\nmix = { name = "cutmix" }\nsteps = [{ name = "flip" }]\n'
    recipe = write_recipe(tmp_path / "r.toml", str(root), text)
    run = fit(recipe, tmp_path / "run", "--set", "fit.epochs=12", "--set", "fit.optimizer.lr=0.1")
    result = run_cli("evaluate", run, "--json")
    assert json.loads(result.out)["models"][0]["accuracy"]["value"] > 0.6
    assert 'name = "cutmix"\nalpha = 1.0' in (run / "recipe.toml").read_text()


def test_what_cannot_be_mixed_is_refused(tmp_path):
    root = write_folder(tmp_path / "data", pictures())
    recipe = write_recipe(tmp_path / "r.toml", str(root), '[augment]\nmix = { name = "mixup" }\n')
    for setting, words in (
        ("fit.batch_size=1", "augment.mix mixes the images of a batch: set fit.batch_size to 2 or more (got 1)"),
        ("augment.mix.alpha=0", "augment.mix.alpha must be greater than or equal to 0.01. Got 0"),
        ("augment.mix.name=mixop", "augment.mix.name must be one of mixup, cutmix. Got 'mixop'"),
        ("augment.mix=mixup", "did you mean augment.mix.name = 'mixup'?"),
        ("augment.mix.beta=1", "unknown key 'augment.mix.beta'"),
    ):
        assert words in refused("fit", recipe, "--run", tmp_path / "run", "--set", setting)
    assert not (tmp_path / "run").exists()
