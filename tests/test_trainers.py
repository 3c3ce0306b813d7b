"""The ways of sharing the work give one result; the optimizers are the field's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bioclass.backend import mx
from bioclass.card import Card, Class
from bioclass.errors import RecipeError, TrainingError
from bioclass.fit.contexts import ContextsTrainer
from bioclass.fit.flat import Layout, merge_statistics, shares
from bioclass.fit.memory import share_images
from bioclass.fit.replica import new_network, new_scorer, probabilities
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
NORMALISED = {"name": "vgg", "stages": [[16], [16]]}
TWO = [mx.cpu(0), mx.cpu(1)]
ONE = [lambda work: TeamTrainer(work, 1), lambda work: ContextsTrainer(work, [mx.cpu()])]
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
    assert one.keys() == other.keys()
    for kind in one:
        assert one[kind].keys() == other[kind].keys()
        for name, array in one[kind].items():
            np.testing.assert_allclose(array, other[kind][name], atol=tolerance, err_msg=name)


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for kind in one:
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


@pytest.mark.parametrize("make", [lambda work: TeamTrainer(work, 2), lambda work: ContextsTrainer(work, TWO)])
def test_restoring_continues_exactly(make):
    work = task(recipe(NORMALISED, average={"decay": 0.9}))
    whole = make(work)
    whole.train(0, 7)
    between = whole.tensors()
    loss, end = trained(whole, [(7, 12)])
    again = make(work)
    again.restore(between)
    assert_same_bits(again.tensors(), between)
    losses, tensors = trained(again, [(7, 12)])
    assert losses == loss
    assert_same_bits(tensors, end)


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


# Batch normalisation


def by_gluon(work, parts, iterations):
    """Train as Gluon does, each part of a batch normalised on its own: the weights, and the mean statistics."""
    nets = []
    for _ in range(parts):
        net = new_network(work, [mx.cpu()])
        net.collect_params().setattr("grad_req", "add")
        for name, parameter in parameters(net).items():
            if "running" in name:
                parameter.grad_req = "null"
        nets.append(net)
    trained = [p for p in nets[0].collect_params().values() if p.grad_req != "null"]
    trainer = mx.gluon.Trainer(trained, mx.optimizer.SGD(learning_rate=0.05, momentum=0.9))
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    for iteration in range(iterations):
        for part, net in enumerate(nets):
            for name, parameter in parameters(net).items():
                if "running" not in name and part:
                    parameter.set_data(parameters(nets[0])[name].data())
            x, labels, _ = work.batch(iteration, part, parts)
            with mx.autograd.record():
                value = loss(net(mx.nd.array(x)), mx.nd.array(labels))
            value.backward()
        for name, parameter in parameters(nets[0]).items():
            if "running" not in name:
                for net in nets[1:]:
                    parameter.grad()[:] += parameters(net)[name].grad()
        trainer.step(work.recipe.fit.batch_size)
        for net in nets:
            net.collect_params().zero_grad()
    found = [get_weights(net) for net in nets]
    return {
        name: np.mean([each[name] for each in found], axis=0) if "running" in name else array
        for name, array in found[0].items()
    }


@pytest.mark.parametrize("parts", [1, 2])
def test_each_part_of_a_batch_is_normalised_on_its_own_and_the_statistics_are_the_mean(parts):
    work = task(recipe(NORMALISED, batch_size=12, optimizer={"name": "sgd", "lr": 0.05, "momentum": 0.9}))
    expected = by_gluon(work, parts, 8)
    contexts = [mx.cpu(i) for i in range(parts)]
    for trainer in (TeamTrainer(work, parts), ContextsTrainer(work, contexts)):
        _, tensors = trained(trainer, [(0, 3), (3, 8)])
        assert tensors["weights"].keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_allclose(tensors["weights"][name], array, atol=1e-4, rtol=1e-4, err_msg=name)


def test_the_mean_of_equal_statistics_is_exact():
    row = np.random.default_rng(0).random(33, dtype=np.float32)
    assert np.array_equal(merge_statistics(np.stack([row, row, row])), row)
    assert merge_statistics(np.array([[1], [2], [6]], np.float32))[0] == 3


def test_prediction_normalises_with_the_running_statistics():
    work = task(recipe(NORMALISED))
    trainer = TeamTrainer(work, 1)
    trainer.train(0, 12)
    tensors, rows = trainer.tensors(), np.arange(20)
    before = trainer.probabilities(rows)
    moved = {name: array + (1 if "running_mean" in name else 0) for name, array in tensors["weights"].items()}
    trainer.restore({**tensors, "weights": moved})
    assert np.abs(trainer.probabilities(rows) - before).max() > 0.01
    trainer.restore(tensors)
    assert np.array_equal(trainer.probabilities(rows), before)
    assert np.array_equal(trainer.probabilities(rows[:3]).argmax(1), before[:3].argmax(1))


# The moving average


@pytest.mark.parametrize("optimizer", [SGD, {"name": "sgd", "lr": 0.05}, {"name": "adam", "lr": 0.01}])
@pytest.mark.parametrize("make", ONE)
def test_the_average_is_that_of_the_formula(make, optimizer):
    decay = 0.5
    trainer = make(task(recipe(NORMALISED, optimizer=optimizer, average={"decay": decay})))
    expected = {name: array.astype(np.float64) for name, array in trainer.tensors()["weights"].items()}
    for t in range(9):
        trainer.train(t, t + 1)
        keep = min(decay, (1 + t) / (10 + t))
        for name, array in trainer.tensors()["weights"].items():
            expected[name] = keep * expected[name] + (1 - keep) * array
    for name, array in trainer.tensors()["average"].items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5, rtol=1e-5, err_msg=name)
    trainer.close()


def test_averages_of_statistics_are_the_same_whatever_the_segments():
    work = task(recipe(NORMALISED, average={"decay": 0.9}))
    _, one = trained(ContextsTrainer(work, TWO), [(0, 12)])
    _, many = trained(ContextsTrainer(work, TWO), [(i, i + 1) for i in range(12)])
    for name, array in one["average"].items():
        np.testing.assert_allclose(array, many["average"][name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("make", ONE)
def test_the_average_is_what_predicts_and_what_trains_is_not_touched(make):
    plain, averaged = (recipe(NORMALISED, average=average) for average in (None, {"decay": 0.9}))
    _, without = trained(make(task(plain)))
    trainer = make(task(averaged))
    trainer.train(0, 7)
    trainer.train(7, 12)
    tensors, result, rows = trainer.tensors(), trainer.result(), np.arange(20)
    assert_same_bits({kind: tensors[kind] for kind in without}, without)
    for name, array in tensors["average"].items():
        assert np.array_equal(result[name], array)
        assert "gamma" in name or not np.array_equal(array, tensors["weights"][name]), name
    found = trainer.probabilities(rows)
    scorer = new_scorer(trainer.task, mx.cpu())
    assert np.array_equal(found, probabilities(trainer.task, scorer, result, rows))
    assert not np.array_equal(found, probabilities(trainer.task, scorer, tensors["weights"], rows))
    trainer.close()


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
        {"name": "vgg", "stages": [[20, 36], [12]]},
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
        gradients.append(
            {name: value.grad().asnumpy() for name, value in parameters(net).items() if value.grad_req != "null"}
        )
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
    slots = layout.trained.slots
    kinds = [slot.name.endswith("bias") for slot in slots]
    assert kinds == sorted(kinds) and len(set(kinds)) == 2
    assert all(slot.start % 16 == 0 for slot in slots)
    assert [slot.start >= layout.stretches[1].start for slot in slots] == kinds
    assert [stretch.biases for stretch in layout.stretches] == [False, True]
    assert layout.statistics.length == 0
    for workers in (1, 2, 3, 7):
        cut = shares(layout.trained.length, workers)
        assert [start for start, _ in cut[1:]] == [end for _, end in cut[:-1]]
        assert (cut[0][0], cut[-1][1]) == (0, layout.trained.length)


def test_running_statistics_lie_apart_from_what_gradients_update():
    layout = Layout.of(new_network(task(recipe(NORMALISED)), [mx.cpu()]))
    trained, statistics = ({slot.name for slot in each.slots} for each in (layout.trained, layout.statistics))
    assert {name.split(".")[-1] for name in trained} == {"weight", "bias", "gamma", "beta"}
    assert {name.split(".")[-1] for name in statistics} == {"running_mean", "running_var"}
    assert len(statistics) == 2 * len([name for name in trained if name.endswith("gamma")])


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
