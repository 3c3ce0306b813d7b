"""The ways of sharing the work give one result; the optimizers are the field's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bioclass.backend import mx
from bioclass.card import Card, Class
from bioclass.errors import RecipeError, TrainingError
from bioclass.fit.contexts import ContextsTrainer
from bioclass.fit.flat import Layout, shares
from bioclass.fit.memory import share_images
from bioclass.fit.replica import new_network
from bioclass.fit.task import Task
from bioclass.fit.team import TeamTrainer
from bioclass.networks.blocks import use_blocks
from bioclass.predict import get_weights, parameters
from bioclass.preprocess import prepare
from bioclass.recipe import Recipe
from bioclass.samples import Samples
from bioclass.validation import validate

CLASSES = ("a", "b", "c")
CARD = Card(name="made", title="made", classes=tuple(Class(name=name) for name in CLASSES))
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "l2": 0.0005, "bias_lr": 2}


def recipe(network: dict | None = None, **fit) -> Recipe:
    fit = {"iterations": 12, "batch_size": 10, "optimizer": SGD, **fit}
    data = {"dataset": "made", "seed": 3, "network": network or {"name": "lenet", "fc1": 20}, "fit": fit}
    return validate(Recipe, data, "recipe", RecipeError)


def task(chosen: Recipe, n: int = 60, size: int = 16) -> Task:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % len(CLASSES)
    images = rng.integers(0, 120, (n, size, size, 1), dtype=np.uint8)
    images[np.arange(n), 4 * (1 + labels), 5] = 255
    samples = Samples(images, labels).checked(CLASSES)
    stored, plan = prepare(samples, chosen.preprocess, CARD)
    return Task(chosen, plan, CLASSES, stored, samples.labels, np.arange(n))


def trained(trainer, segments=((0, 7), (7, 12))):
    losses = [trainer.train(*segment) for segment in segments]
    tensors = trainer.tensors()
    trainer.close()
    return losses, tensors


def assert_close(one, other, tolerance=2e-5):
    for kind in ("weights", "optimizer"):
        assert one[kind].keys() == other[kind].keys()
        for name, array in one[kind].items():
            np.testing.assert_allclose(array, other[kind][name], atol=tolerance, err_msg=name)


def assert_same_bits(one, other):
    for kind in ("weights", "optimizer"):
        for name, array in one[kind].items():
            assert np.array_equal(array, other[kind][name]), name


@pytest.mark.parametrize(
    "optimizer", [SGD, {"name": "sgd", "lr": 0.05}, {"name": "adam", "l2": 0.001, "bias_lr": 2}]
)
def test_two_processes_equal_one_and_several_contexts_up_to_rounding(optimizer):
    work = task(recipe(optimizer=optimizer))
    losses, one = trained(TeamTrainer(work, 1))
    for trainer in (
        TeamTrainer(work, 2),
        ContextsTrainer(work, [mx.cpu(0)]),
        ContextsTrainer(work, [mx.cpu(0), mx.cpu(1), mx.cpu(2)]),
    ):
        others, tensors = trained(trainer)
        np.testing.assert_allclose(others, losses, rtol=1e-4)
        assert_close(tensors, one)


@pytest.mark.parametrize("network", [{"name": "network3", "hidden": [12, 12]}, {"name": "dropconnect", "fc1": 6}])
def test_the_same_bits_each_time_with_random_numbers_in_the_network(network):
    work = task(recipe(network, optimizer={"name": "sgd", "lr": 0.01}))
    first, second = (trained(TeamTrainer(work, 2)) for _ in range(2))
    assert first[0] == second[0]
    assert_same_bits(first[1], second[1])


def test_workers_draw_different_masks():
    work = task(recipe({"name": "network3", "hidden": [12, 12]}))
    assert work.seed_at(0, 0) != work.seed_at(0, 1)
    assert work.seed_at(0, 0) != work.seed_at(50, 0)


def test_restoring_continues_exactly():
    work = task(recipe())
    whole = TeamTrainer(work, 2)
    whole.train(0, 7)
    between = whole.tensors()
    loss, end = trained(whole, [(7, 12)])
    again = TeamTrainer(work, 2)
    again.restore(between)
    assert trained(again, [(7, 12)])[0] == loss
    other = TeamTrainer(work, 2)
    other.restore(between)
    assert_same_bits(trained(other, [(7, 12)])[1], end)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (SGD, mx.optimizer.SGD(momentum=0.9, wd=0.0005)),
        ({"name": "sgd", "lr": 0.05, "l2": 0.01}, mx.optimizer.SGD(wd=0.01)),
        ({"name": "adam", "lr": 0.003, "l2": 0.01}, mx.optimizer.Adam(wd=0.01)),
    ],
)
def test_a_step_is_gluons_own(mine, theirs):
    chosen = recipe(optimizer=mine, schedule={"name": "inverse", "gamma": 0.1})
    work = task(chosen)
    net = new_network(work, [mx.cpu()])
    named = parameters(net)
    for parameter in named.values():
        parameter.lr_mult = mine.get("bias_lr", 1) if parameter.name.endswith("bias") else 1
        parameter.wd_mult = 1
    theirs.lr = mine["lr"]
    trainer = mx.gluon.Trainer(net.collect_params(), theirs)
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    for iteration in range(12):
        x, labels, _ = work.batch(iteration, 0, 1)
        trainer.set_learning_rate(mine["lr"] * (1 + 0.1 * iteration) ** -0.75)
        with mx.autograd.record():
            value = loss(net(mx.nd.array(x)), mx.nd.array(labels))
        value.backward()
        trainer.step(len(labels))
    _, tensors = trained(TeamTrainer(work, 1))
    for name, array in get_weights(net).items():
        np.testing.assert_allclose(tensors["weights"][name], array, atol=2e-5, err_msg=name)


def test_class_weights_weigh_the_loss():
    light = task(recipe(class_weights={"a": 1.0, "b": 1.0, "c": 1.0}))
    heavy = task(recipe(class_weights={"a": 3.0, "b": 3.0, "c": 3.0}))
    once, thrice = (TeamTrainer(each, 1) for each in (light, heavy))
    assert 3 * once.train(0, 1) == pytest.approx(thrice.train(0, 1), rel=1e-5)


@pytest.mark.parametrize(
    "network",
    [
        {"name": "lenet", "fc1": 20},
        {"name": "network3", "hidden": [30, 30], "dropout": 0},
        {"name": "dropconnect", "fc1": 20, "rate": 0},
    ],
)
def test_whole_vector_blocks_change_nothing_but_rounding(network):
    work = task(recipe(network))
    x = mx.nd.array(work.batch(0, 0, 1)[0])
    answers, gradients = [], []
    for block in (1, 8, 16):
        net = new_network(work, [mx.cpu()])
        use_blocks(net, block)
        net.hybridize()
        answers.append(net(x).asnumpy())
        with mx.autograd.record():
            net(x).sum().backward()
        gradients.append({name: value.grad().asnumpy() for name, value in parameters(net).items()})
    for answer, gradient in zip(answers[1:], gradients[1:], strict=True):
        np.testing.assert_allclose(answer, answers[0], atol=1e-5)
        for name, value in gradient.items():
            np.testing.assert_allclose(value, gradients[0][name], atol=1e-3, rtol=1e-3, err_msg=name)


def test_probabilities_are_shared_out_and_come_back_in_order():
    work = task(recipe())
    rows = np.array([5, 2, 40, 41, 7])
    one, two = TeamTrainer(work, 1), TeamTrainer(work, 2)
    contexts = ContextsTrainer(work, [mx.cpu(0), mx.cpu(1)])
    expected = one.probabilities(rows)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    np.testing.assert_allclose(two.probabilities(rows), expected, atol=1e-6)
    np.testing.assert_allclose(two.probabilities(rows[:1]), expected[:1], atol=1e-6)
    np.testing.assert_allclose(contexts.probabilities(rows), expected, atol=1e-6)
    two.close()


def test_predicting_leaves_the_training_alone():
    """oneDNN stores weights again in place when it predicts, if their channels suit it: 32 and 64 do."""
    work = task(recipe({"name": "dropconnect", "fc1": 6}, optimizer=SGD))
    quiet, asked = TeamTrainer(work, 1), TeamTrainer(work, 1)
    for start in range(0, 9, 3):
        quiet.train(start, start + 3)
        asked.train(start, start + 3)
        before = asked.tensors()
        asked.probabilities(np.arange(20))
        assert_same_bits(asked.tensors(), before)
    assert_same_bits(asked.tensors(), quiet.tensors())


def test_a_dead_worker_is_one_clear_error_not_a_hang():
    trainer = TeamTrainer(task(recipe()), 2)
    trainer.train(0, 1)
    trainer._processes[0].kill()
    with pytest.raises(TrainingError, match=r"killed by signal 9.*--resume"):
        trainer.train(1, 12)
    trainer.close()


def test_layout_puts_biases_last_and_shares_cover_it():
    net = new_network(task(recipe()), [mx.cpu()])
    layout = Layout.of(net)
    kinds = [slot.name.endswith("bias") for slot in layout.slots]
    assert kinds == sorted(kinds)
    assert all(slot.start % 16 == 0 for slot in layout.slots)
    assert all(slot.start >= layout.biases for slot in layout.slots if slot.name.endswith("bias"))
    for workers in (1, 2, 3, 7):
        cut = shares(layout.length, workers)
        assert [start for start, _ in cut[1:]] == [end for _, end in cut[:-1]]
        assert (cut[0][0], cut[-1][1]) == (0, layout.length)


def test_images_in_a_file_are_mapped_from_it(tmp_path: Path, monkeypatch):
    raw = np.arange(2000, dtype=np.uint8).reshape(20, 10, 10)
    raw.tofile(tmp_path / "raw")
    mapped = np.memmap(tmp_path / "raw", dtype=np.uint8, mode="r", offset=100, shape=(19, 10, 10))
    for images in (raw[..., None], mapped[..., None], mapped[3:]):
        place = share_images(images)
        assert np.array_equal(place.map(), images)
    monkeypatch.setenv("BIOCLASS_MEMORY_LIMIT", "0")
    from bioclass.storage import allocate

    stored = allocate((20, 10, 10), np.uint8)
    stored[:] = raw
    assert np.array_equal(share_images(stored[..., None]).map(), raw[..., None])
