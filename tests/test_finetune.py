"""Fine-tuning: how fast each stage learns, from when on, and what stays as it is to the bit."""

from __future__ import annotations

import weakref
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import fit, pictures, refused, write_folder, write_recipe

from bioclass.backend import mx
from bioclass.card import Card, Class
from bioclass.errors import RecipeError
from bioclass.fit.contexts import ContextsTrainer
from bioclass.fit.task import Task
from bioclass.fit.team import TeamTrainer
from bioclass.networks import build
from bioclass.networks.stages import stages
from bioclass.preprocess import prepare
from bioclass.recipe import Backbone, Recipe
from bioclass.run import open_run
from bioclass.samples import Samples
from bioclass.validation import validate

CLASSES = ("a", "b", "c")
CARD = Card(name="made", title="made", classes=tuple(Class(name=name) for name in CLASSES))
ONE = [lambda work: TeamTrainer(work, 1), lambda work: ContextsTrainer(work, [mx.cpu()])]
TWO = [lambda work: TeamTrainer(work, 2), lambda work: ContextsTrainer(work, [mx.cpu(0), mx.cpu(1)])]
SGD = {"name": "sgd", "lr": 0.05}

# By name, and so by hand: cifar_resnet20 has three stages of three residual blocks, at 16, 8 and 4 pixels here.
STAGES = {"features.0": 3, "features.1": 3, "features.2": 3, "features.3": 2, "features.4": 1, "output": 0}


def stage_of(name: str) -> int:
    return next(stage for prefix, stage in STAGES.items() if name.startswith(f"{prefix}."))


def task(transfer: dict | None, **settings) -> Task:
    settings = {"iterations": 8, "batch_size": 6, "optimizer": SGD, **settings}
    if transfer is not None:
        settings["transfer"] = {"name": "finetune", **transfer}
    network = {"name": "cifar_resnet20_v1", "weights": "made"}
    data = {"dataset": "made", "network": network, "preprocess": {"size": [16, 16]}, "fit": settings}
    chosen = validate(Recipe, data, "recipe", RecipeError)
    images = np.random.default_rng(0).integers(0, 255, (18, 16, 16, 3), dtype=np.uint8)
    samples = Samples(images, np.arange(18) % 3).checked(CLASSES)
    stored, plan = prepare(samples, chosen.preprocess, CARD)
    return Task(chosen, plan, CLASSES, stored, samples.labels, np.arange(18))


def begun(trainer):
    """Start from statistics that no batch has."""
    tensors = trainer.tensors()
    for kind in ("weights", "average"):
        for name, values in tensors.get(kind, {}).items():
            rng = np.random.default_rng(len(name))
            if name.endswith("running_mean"):
                values += rng.normal(0, 0.05, values.shape).astype(np.float32)
            if name.endswith("running_var"):
                values *= rng.uniform(4, 8, values.shape).astype(np.float32)
    trainer.restore(tensors)
    return trainer


def changed(before, after) -> set[str]:
    return {name for name in before if not np.array_equal(before[name], after[name])}


def moved(work, make=ONE[0], end=1):
    trainer = begun(make(work))
    before = trainer.tensors()["weights"]
    loss = trainer.train(0, end)
    after = trainer.tensors()["weights"]
    trainer.close()
    return loss, before, after


def running(name: str) -> bool:
    return "running" in name


def norm(name: str) -> bool:
    return name.endswith(("gamma", "beta"))


@pytest.mark.parametrize("make", ONE)
def test_each_stage_learns_with_its_own_rate(make):
    _, before, after = moved(task(None), make)
    _, _, tuned = moved(task({"backbone_lr": 0.5, "stage_decay": 0.25}), make)
    factors = {0: 1.0, 1: 0.5, 2: 0.5 * 0.25, 3: 0.5 * 0.25**2}
    for name in before:
        if not running(name):
            step = (after[name] - before[name]).astype(np.float64)
            expected = before[name] + factors[stage_of(name)] * step
            np.testing.assert_allclose(tuned[name], expected, rtol=1e-6, atol=1e-7, err_msg=name)
    assert {stage_of(name) for name in changed(before, tuned)} == {0, 1, 2, 3}


@pytest.mark.parametrize("make", [*ONE, *TWO])
def test_stages_begin_to_learn_when_it_is_their_time_and_others_stay_to_the_bit(make):
    chosen = {"backbone_lr": 1.0, "unfreeze": [0.25, 0.5]}
    trainer = begun(make(task(chosen, optimizer={"name": "adam", "lr": 0.001, "l2": 0.01}, average={"decay": 0.9})))
    seen = [trainer.tensors()]
    for end in (2, 4, 8):
        trainer.train([0, 2, 4][len(seen) - 1], end)
        seen.append(trainer.tensors())
    trainer.close()
    for kind in ("weights", "average"):
        learnt = [
            {stage_of(name) for name in changed(before[kind], after[kind])} for before, after in pairwise(seen)
        ]
        assert learnt == [{0}, {0, 1}, {0, 1, 2}], kind
    # And what learns, learns as a whole, running statistics included.
    names = set(seen[0]["weights"])
    assert {name for name in names if stage_of(name) <= 2} == changed(seen[0]["weights"], seen[-1]["weights"])


@pytest.mark.parametrize("make", ONE)
def test_the_first_step_of_adam_is_as_long_for_a_stage_that_begins_late(make):
    chosen = {"backbone_lr": 0.5, "unfreeze": [0.5]}
    trainer = begun(make(task(chosen, optimizer={"name": "adam", "lr": 0.001})))
    trainer.train(0, 4)
    before = trainer.tensors()["weights"]
    trainer.train(4, 5)
    after = trainer.tensors()["weights"]
    trainer.close()
    name = "features.4.0.body.0.weight"
    # lr x factor x g / |g|, but for gradients near epsilon.
    assert np.median(np.abs(after[name] - before[name])) == pytest.approx(0.0005, rel=0.01)


@pytest.mark.parametrize("make", ONE)
@pytest.mark.parametrize("batch_norm", ["trained", "affine", "frozen"])
def test_batch_normalisation_is_trained_in_part_or_kept(make, batch_norm):
    work = task({"backbone_lr": 1.0, "batch_norm": batch_norm})
    trainer = begun(make(work))
    before = trainer.tensors()["weights"]
    rows = work.train[work.stream.rows(0)]
    predicted = trainer.probabilities(rows)
    loss = trainer.train(0, 1)
    after = trainer.tensors()["weights"]
    trainer.close()
    names = changed(before, after)
    assert any(running(name) for name in names) == (batch_norm == "trained")
    assert {name for name in before if norm(name)} <= names or batch_norm == "frozen"
    assert not any(norm(name) for name in names) or batch_norm != "frozen"
    assert {name for name in before if name.endswith("weight")} <= names
    # Its loss is that of the network as it predicts, where the running statistics are used.
    of_prediction = -np.log(predicted[np.arange(6), work.labels[rows]]).mean()
    assert (loss == pytest.approx(of_prediction, rel=1e-4)) == (batch_norm != "trained")


def test_gradients_of_kept_statistics_are_those_of_a_difference():
    work = task({"backbone_lr": 1.0, "batch_norm": "affine"})
    trainer = begun(TeamTrainer(work, 1))
    start = trainer.tensors()
    trainer.train(0, 1)
    step = trainer.tensors()["weights"]
    gradients = {name: (start["weights"][name] - step[name]) / 0.05 for name in step}

    def loss_at(name, direction, size):
        tensors = {kind: dict(arrays) for kind, arrays in start.items()}
        tensors["weights"][name] = (tensors["weights"][name] + size * direction).astype(np.float32)
        trainer.restore(tensors)
        return trainer.train(0, 1)

    for name in ("features.1.gamma", "features.3.0.body.1.beta", "features.3.0.body.0.weight"):
        direction = gradients[name] / np.linalg.norm(gradients[name])
        slope = (loss_at(name, direction, 0.003) - loss_at(name, direction, -0.003)) / 0.006
        assert slope == pytest.approx(np.linalg.norm(gradients[name]), rel=0.05), name
    trainer.close()


def test_what_does_not_learn_gets_no_gradient():
    trainer = TeamTrainer(task({"unfreeze": [0, 0.5]}), 1)
    trainer.train(0, 1)
    gradients = trainer.layout.trained.unpack(trainer.region.gradients[0])
    assert {stage_of(name) for name, values in gradients.items() if values.any()} == {0, 1}
    trainer.train(1, 8)
    gradients = trainer.layout.trained.unpack(trainer.region.gradients[0])
    assert {stage_of(name) for name, values in gradients.items() if values.any()} == {0, 1, 2}
    trainer.close()


@pytest.mark.parametrize("make", TWO)
def test_restoring_continues_exactly_across_the_unfreezing(make):
    chosen = {"unfreeze": [0.25, 0.75]}
    work = task(chosen, optimizer={"name": "sgd", "lr": 0.05, "momentum": 0.9, "l2": 0.001}, average={"decay": 0.9})
    whole = begun(make(work))
    whole.train(0, 5)
    between = whole.tensors()
    losses = [whole.train(5, 8)]
    again = make(work)
    again.restore(between)
    losses.append(again.train(5, 8))
    assert losses[0] == losses[1]
    for kind, arrays in whole.tensors().items():
        assert changed(arrays, again.tensors()[kind]) == set()
    whole.close()
    again.close()


def test_ways_of_sharing_the_work_agree():
    chosen = {"unfreeze": [0.25, 0.5], "batch_norm": "frozen", "stage_decay": 0.5}
    results = [moved(task(chosen), make, 8) for make in (*ONE, *TWO)]
    for loss, _, after in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=1e-4)
        for name, values in after.items():
            np.testing.assert_allclose(values, results[0][2][name], atol=2e-5, err_msg=name)


@pytest.mark.parametrize(
    ("name", "side", "counts", "top"),
    [
        ("vgg11", 32, 6, "features.21"),
        ("googlenet", 64, 5, "inception5a"),
        ("squeezenet1.1", 48, 4, "features.9"),
        ("mobilenetv2_0.25", 32, 5, "features.16"),
        ("resnet18_v1b", 32, 5, "layer4"),
        ("dla34", 32, 6, "level5"),
    ],
)
def test_stages_are_what_computes_at_one_size_of_the_image(name, side, counts, top):
    net = build(Backbone(name=name), (3, side, side), 4)
    found = stages(net, (3, side, side))
    assert sorted(set(found.values())) == list(range(counts + 1))
    assert next(key for key, stage in found.items() if stage == 1).startswith(f"{top}.")
    # From the head down, and the head's own are the last.
    assert list(found.values()) == sorted(found.values(), reverse=True)


TRANSFER = '[fit.transfer]\nname = "finetune"\n'
BACKBONE = 'name = "cifar_resnet20_v1"'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, and with weights of another number of classes."""
    folder = tmp_path_factory.mktemp("finetune")
    write_folder(folder / "pics", pictures(each=12, shape=(16, 16, 3)))
    net = build(Backbone(name="cifar_resnet20_v1"), (3, 16, 16), 10)
    net.initialize()
    net.save_parameters(str(folder / "made.params"))
    return folder


@pytest.mark.parametrize(("network", "name"), [('name = "lenet"', "lenet"), (BACKBONE, "cifar_resnet20_v1")])
def test_a_network_without_weights_is_refused(home, network, name):
    recipe = write_recipe(home / "none.toml", "pics", TRANSFER, network)
    mend = f"{name!r} starts from random ones here: set network.weights"
    assert f"fit.transfer is for a network that starts from weights, and {mend}" in refused("fit", recipe)


def test_wrong_unfreezing_is_refused_and_nothing_is_written(home):
    network = f'{BACKBONE}\nweights = "made.params"'
    recipe = write_recipe(home / "wrong.toml", "pics", f"{TRANSFER}unfreeze = [0.5, 0.2]", network)
    assert "its shares of the training time rise. Got [0.5, 0.2]" in refused("fit", recipe)
    more = ["--set", "fit.transfer.unfreeze=[0, 0, 0, 0.5]", "--run", home / "no", "--device", "cpu"]
    said = refused("fit", recipe, *more)
    assert "fit.transfer.unfreeze has 4 shares, and 'cifar_resnet20_v1' has 3 stages below its head" in said
    assert not (home / "no").exists()


def test_a_fit_keeps_the_lowest_stages_as_they_came(home):
    network = f'{BACKBONE}\nweights = "made.params"'
    recipe = write_recipe(home / "fine.toml", "pics", f"{TRANSFER}unfreeze = [0]", network)
    more = ["--set", "preprocess.size=[16,16]"]
    run = open_run(fit(recipe, home / "run", *more))
    tensors = run.best().tensors["weights"]
    saved = mx.nd.load(str(home / "made.params"))
    names = {name for name in tensors if name in saved and np.array_equal(tensors[name], saved[name].asnumpy())}
    assert {stage_of(name) for name in names} == {2, 3}
    assert {name for name in tensors if stage_of(name) >= 2} == names
    assert run.recipe.fit.transfer.unfreeze == (0,)


def test_weights_are_found_in_a_folder_by_the_name_of_the_network(home):
    folder = home / "weights"
    folder.mkdir()
    recipe = write_recipe(home / "folder.toml", "pics", "", f'{BACKBONE}\nweights = "weights"')
    said = refused("fit", recipe, "--run", home / "none")
    assert "is not a run folder and has no cifar_resnet20_v1.params" in said
    (folder / "cifar_resnet20_v1.params").write_bytes((home / "made.params").read_bytes())
    run = open_run(fit(recipe, home / "by-name", "--set", "preprocess.size=[16,16]", "--set", "fit.epochs=1"))
    assert run.environment["weights"]["source"] == "weights"


def test_the_graph_of_fewer_stages_is_not_kept() -> None:
    """Each holds the activations of a batch: of a large network gigabytes."""
    trainer = ContextsTrainer(task({"unfreeze": [0, 0.5]}), [mx.cpu()])
    trainer.train(0, 4)
    [replica] = trainer.replicas
    before = weakref.ref(replica._loss)
    trainer.train(4, 5)
    assert before() is None and replica._loss is not None
