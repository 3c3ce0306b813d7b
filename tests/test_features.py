"""Training a head on cached features: it is the network's own head, and nothing is computed twice."""

from __future__ import annotations

import csv
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import fit, fit_folds, pictures, refused, run_cli, write_folder, write_png, write_recipe

from bioclass.backend import mx
from bioclass.card import Card, Class
from bioclass.checkpoint import Kept, load_checkpoint
from bioclass.environment import set_threads
from bioclass.errors import RecipeError, RunError, Stopped
from bioclass.features import held
from bioclass.files import sha256
from bioclass.fit import loop
from bioclass.fit.contexts import ContextsTrainer
from bioclass.fit.heads import HeadTask
from bioclass.fit.session import Request, open_session
from bioclass.fit.task import Task
from bioclass.fit.team import TeamTrainer
from bioclass.networks import build
from bioclass.networks.cut import Head, backbone_of, cut
from bioclass.networks.fusion import for_prediction
from bioclass.networks.parameters import head, parameters
from bioclass.predict import get_weights
from bioclass.preprocess import apply, prepare
from bioclass.recipe import Backbone, Recipe, load_recipe
from bioclass.run import open_run
from bioclass.samples import Samples
from bioclass.shelf import Shelf
from bioclass.validation import validate

CLASSES = ("a", "b", "c")
CARD = Card(name="made", title="made", classes=tuple(Class(name=name) for name in CLASSES))
FEATURES = '[fit.transfer]\nname = "features"\n'
NETWORK = 'name = "cifar_resnet20_v1"\nweights = "made.params"\n[preprocess]\nsize = [16, 16]'


def made(name: str, side: int, classes: int, seed: int = 0):
    """A network with weights and running statistics of some other training."""
    net = build(Backbone(name=name), (3, side, side), classes)
    mx.random.seed(seed)
    net.initialize()
    rng = np.random.default_rng(seed)
    for key, parameter in parameters(net).items():
        if key.endswith("running_mean"):
            parameter.set_data(mx.nd.array(rng.normal(0, 0.1, parameter.shape)))
    return net


# The cut


@pytest.mark.parametrize(
    ("name", "side", "shape"),
    [
        ("squeezenet1.1", 48, (512, 2, 2)),
        ("mobilenetv2_0.25", 32, (1280, 1, 1)),
        ("mobilenetv3_small", 32, (1280, 1, 1)),
        ("cifar_resnet20_v1", 16, (64, 1, 1)),
        ("resnet18_v1b", 32, (512,)),
        ("googlenet", 48, (1024, 1, 1)),
        ("vgg11", 32, (4096,)),
    ],
)
@pytest.mark.parametrize("product", [False, True])
def test_backbone_and_head_are_the_network(name, side, shape, product):
    net = made(name, side, 5)
    features, tail = cut(net, (3, side, side), product)
    assert tail.shape == shape and list(tail.parameters) == head(net)
    convolutional = name.startswith(("squeezenet", "mobilenetv"))
    assert ("Convolution" in tail.scores.tojson()) == (convolutional and not (product and shape[1:] == (1, 1)))
    body, top = backbone_of(net, features), Head(tail)
    top.initialize()
    for each in (body, top):
        each.hybridize(static_alloc=True, static_shape=True)
    for key, parameter in parameters(top).items():
        parameter.set_data(parameters(net)[key].data())
    x = mx.nd.array(np.random.default_rng(0).standard_normal((2, 3, side, side), dtype=np.float32))
    scores = top(body(x)).asnumpy()
    np.testing.assert_allclose(scores, net(x).asnumpy(), rtol=1e-5, atol=1e-6)
    # And the network is whole again.
    assert net(x).shape == (2, 5)


@pytest.mark.parametrize("name", ["squeezenet1.1", "mobilenetv2_0.25", "resnet18_v1b", "densenet121"])
def test_features_have_the_same_bits_with_any_number_of_threads(name, monkeypatch):
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")  # as it is afterwards
    net = made(name, 64, 5)
    x = mx.nd.array(np.random.default_rng(0).standard_normal((16, 3, 64, 64), dtype=np.float32))
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        body = for_prediction(backbone_of(net, cut(net, (3, 64, 64))[0]), mx.cpu())
        found.append(body(x).asnumpy())
    set_threads(1)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def tasks(dropout: float = 0.0) -> tuple[Task, HeadTask]:
    """The same training of a head, through the network and on its features."""
    images = np.random.default_rng(0).integers(0, 255, (18, 16, 16, 3), dtype=np.uint8)
    samples = Samples(images, np.arange(18) % 3).checked(CLASSES)

    def task(transfer):
        fit = {"iterations": 8, "batch_size": 6, "optimizer": {"lr": 0.05, "momentum": 0.9}, "transfer": transfer}
        network = {"name": "cifar_resnet20_v1", "weights": "made"}
        data = {"dataset": "made", "network": network, "preprocess": {"size": [16, 16]}, "fit": fit}
        data["fit"]["optimizer"]["name"] = "sgd"
        chosen = validate(Recipe, data, "recipe", RecipeError)
        stored, plan = prepare(samples, chosen.preprocess, CARD)
        return Task(chosen, plan, CLASSES, stored, samples.labels, np.arange(18))

    through, on = task({"name": "finetune", "unfreeze": []}), task({"name": "features", "dropout": dropout})
    net = made("cifar_resnet20_v1", 16, 3)
    body = backbone_of(net, cut(net, (3, 16, 16))[0])
    features = body(mx.nd.array(apply(on.plan, on.images))).asnumpy()
    return through, HeadTask(on.recipe, on.plan, CLASSES, features, on.labels, on.train)


@pytest.mark.parametrize(
    "make", [lambda work: TeamTrainer(work, 2), lambda work: ContextsTrainer(work, [mx.cpu()])]
)
def test_a_head_learns_on_features_what_it_learns_in_the_network(make):
    through, on = tasks()
    tensors = get_weights(made("cifar_resnet20_v1", 16, 3))
    losses, found = [], []
    for work in (through, on):
        trainer = make(work)
        names = trainer.tensors()["weights"]
        trainer.restore({**trainer.tensors(), "weights": {name: tensors[name] for name in names}})
        losses.append(trainer.train(0, 8))
        found.append({name: trainer.result()[name] for name in ("output.weight", "output.bias")})
        probabilities = trainer.probabilities(np.arange(18))
        found[-1]["probabilities"] = probabilities
        trainer.close()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-4, atol=1e-6, err_msg=name)
    assert not np.allclose(found[0]["output.weight"], tensors["output.weight"], atol=1e-3)


def test_dropout_is_that_of_training_alone():
    kept, dropped = (TeamTrainer(tasks(rate)[1], 1) for rate in (0.0, 0.5))
    np.testing.assert_array_equal(kept.probabilities(np.arange(9)), dropped.probabilities(np.arange(9)))
    assert kept.train(0, 1) != dropped.train(0, 1)


def test_dropout_keeps_its_share_and_is_the_same_however_a_batch_is_shared():
    task = tasks(0.25)[1]
    whole, _, _ = task.batch(5, 0, 1)
    parts = [task.batch(5, index, 2)[0] for index in range(2)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    features = task.images[task.train[task.stream.draw(5).rows]]
    kept = whole != 0
    np.testing.assert_allclose(whole[kept], features[kept] / 0.75, rtol=1e-6)
    present = features != 0
    assert kept[present].mean() == pytest.approx(0.75, abs=0.08)
    again, other = task.batch(5, 0, 1)[0], task.batch(6, 0, 1)[0]
    np.testing.assert_array_equal(again, whole)
    assert not np.array_equal(kept, other != 0)


# The cache


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A folder with images, weights, a recipe, and two runs of it; never change them."""
    folder = tmp_path_factory.mktemp("features")
    env = {"BIOCLASS_CACHE": str(folder / "cache")}
    data = write_folder(folder / "pics", pictures(each=12, shape=(16, 16, 3)))
    made("cifar_resnet20_v1", 16, 10).save_parameters(str(folder / "made.params"))
    recipe = write_recipe(folder / "head.toml", "pics", FEATURES, NETWORK)
    runs = [fit(recipe, folder / f"run{seed}", "--seed", seed, env=env) for seed in range(2)]
    return SimpleNamespace(folder=folder, data=data, recipe=recipe, runs=runs, env=env, cache=folder / "cache")


def entries(cache: Path) -> list[Path]:
    return sorted(path.parent for path in cache.glob("features/*/entry.json"))


def answers(run: Path) -> np.ndarray:
    with (run / "evaluation" / "test" / "predictions.csv").open(newline="") as stream:
        return np.array([[float(value) for value in row[3:]] for row in list(csv.reader(stream))[1:]])


def test_seeds_share_the_features_and_a_run_holds_the_whole_network(home):
    (entry,) = entries(home.cache)
    assert np.load(entry / "features.npy").shape == (36, 64, 1, 1)
    saved = mx.nd.load(str(home.folder / "made.params"))
    tops = []
    for path in home.runs:
        tensors = open_run(path).best().tensors["weights"]
        assert set(tensors) == set(saved)
        same = {name for name in tensors if np.array_equal(tensors[name], saved[name].asnumpy())}
        assert set(tensors) - same == {"output.weight", "output.bias"}
        tops.append(tensors["output.weight"])
        assert open_run(path).environment["weights"]["new"]["output.weight"] == "trained on features"
        # Written once, not at every epoch.
        assert len(list((path / "best").glob("backbone-*.safetensors"))) == 1
    assert not np.allclose(tops[0], tops[1])


def test_runs_share_the_file_of_their_backbone(home, tmp_path, monkeypatch):
    (entry,) = entries(home.cache)
    cached = entry / "backbone.safetensors"
    files = [path for run in home.runs for path in run.glob("*/backbone-*.safetensors")]
    assert len(files) == 4 and all(path.samefile(cached) for path in files)

    def refused(source, target):
        raise OSError("another disk")

    monkeypatch.setattr("os.link", refused)
    kept = Kept(cached, sha256(cached.read_bytes()))
    copy = tmp_path / kept.file_name("backbone")
    kept.put(copy)
    assert copy.read_bytes() == cached.read_bytes() and not copy.samefile(cached)
    kept.put(copy)  # it is there
    with pytest.raises(RunError, match="is damaged or was edited"):
        Kept(cached, "0" * 64).put(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == [copy.name]


def test_a_fit_keeps_its_backbone_though_the_cache_is_emptied(home, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    shutil.copytree(home.cache, cache)
    monkeypatch.setenv("BIOCLASS_CACHE", str(cache))
    request = Request(load_recipe(home.recipe), home.folder, tmp_path / "run", device="cpu", workers=1)
    with open_session(request, Shelf.of(()), lambda text: None) as session:
        shutil.rmtree(cache)
        list(loop.fit(session.run, session.task, session.trainer, session.validation))
    session.run.verify()
    weights, others = (open_run(run).best().tensors["weights"] for run in (tmp_path / "run", home.runs[0]))
    assert weights.keys() == others.keys()


def test_a_second_fit_neither_reads_nor_computes(home, tmp_path, monkeypatch):
    monkeypatch.setattr("bioclass.fit.heads._compute", None)
    monkeypatch.setattr("bioclass.fit.heads.prepare", None)
    again = fit(home.recipe, tmp_path / "run", "--seed", 0, env=home.env)
    first = open_run(home.runs[0])
    for name, values in open_run(again).best().tensors["weights"].items():
        np.testing.assert_array_equal(values, first.best().tensors["weights"][name])
    assert (again / "history.jsonl").read_text() == (home.runs[0] / "history.jsonl").read_text()


def test_the_cache_and_the_network_give_the_same_answers(home, tmp_path, monkeypatch):
    run = home.runs[1]
    assert run_cli("evaluate", run, env=home.env).status == 0
    cached = answers(run)
    with monkeypatch.context() as patch:
        # Without features it can only be the network.
        patch.setattr("bioclass.features.HeadPredictor", None)
        assert run_cli("evaluate", run, env={"BIOCLASS_CACHE": str(tmp_path)}).status == 0
    np.testing.assert_allclose(answers(run), cached, atol=2e-6)
    assert cached.std(axis=0).max() > 1e-4
    result = run_cli("predict", run, home.data / "class1" / "03.png", "--json", env=home.env)
    assert result.status == 0, result.err


@pytest.mark.parametrize("cached", [True, False])
def test_a_fit_goes_on_exactly_with_and_without_the_cache(home, tmp_path, monkeypatch, cached):
    run = tmp_path / "run"
    chosen = load_recipe(home.recipe)
    monkeypatch.setenv("BIOCLASS_CACHE", home.env["BIOCLASS_CACHE"])
    request = Request(chosen, home.folder, run, device="cpu", workers=1)
    with open_session(request, Shelf.of(()), lambda text: None) as session, pytest.raises(Stopped):
        list(loop.fit(session.run, session.task, session.trainer, session.validation, stop=lambda: True))
    assert load_checkpoint(run / "last").state["iteration"] < 10
    # The file of the weights is not wanted again.
    aside = home.folder / "aside.params"
    (home.folder / "made.params").rename(aside)
    try:
        env = home.env if cached else {"BIOCLASS_CACHE": str(tmp_path / "empty")}
        fit(home.recipe, run, "--resume", env=env)
    finally:
        aside.rename(home.folder / "made.params")
    assert (run / "history.jsonl").read_bytes() == (home.runs[0] / "history.jsonl").read_bytes()
    for name in ("best", "last"):
        mine, theirs = ({path.name for path in (each / name).iterdir()} for each in (run, home.runs[0]))
        assert mine == theirs  # the names tell the content


def test_folds_share_the_features(home, tmp_path, monkeypatch):
    monkeypatch.setenv("BIOCLASS_CACHE", home.env["BIOCLASS_CACHE"])
    monkeypatch.setattr("bioclass.fit.heads._compute", None)
    folder = fit_folds(home.recipe, tmp_path / "folds", "split.folds=3", "split.validation=0")
    assert len(list(folder.glob("*/result.json"))) == 3
    assert len(entries(home.cache)) == 1


def test_what_the_features_depend_on_makes_another_entry(home, tmp_path):
    folder = tmp_path / "other"
    write_folder(folder / "pics", pictures(each=12, shape=(16, 16, 3)))
    (folder / "made.params").write_bytes((home.folder / "made.params").read_bytes())
    recipe = write_recipe(folder / "head.toml", "pics", FEATURES, NETWORK)
    env = {"BIOCLASS_CACHE": str(tmp_path / "cache")}

    def count(name: str, *settings: str) -> int:
        more = [word for setting in settings for word in ("--set", setting)]
        fit(recipe, folder / name, "--set", "fit.epochs=1", *more, env=env)
        return len(entries(tmp_path / "cache"))

    assert count("first") == 1
    assert count("head", "fit.transfer.dropout=0.5", "fit.optimizer.lr=0.1", "split.test=0.1") == 1
    assert count("smaller", "preprocess.size=[12,12]") == 2
    flips = 'augment.steps=[{ name = "flip" }]'
    assert count("flips", flips, "augment.mode=enumerated") == 3
    made("cifar_resnet20_v1", 16, 10, seed=1).save_parameters(str(folder / "made.params"))
    assert count("weights") == 4
    picture = folder / "pics" / "class0" / "00.png"
    write_png(picture, pictures(each=1, shape=(16, 16, 3))[2])
    assert count("image") == 5


def test_every_enumerated_variant_has_its_features(home, tmp_path):
    env = {"BIOCLASS_CACHE": str(tmp_path / "cache")}
    more = ["--set", 'augment.steps=[{ name = "flip" }]', "--set", "augment.mode=enumerated"]
    run = fit(home.recipe, tmp_path / "run", *more, env=env)
    (entry,) = entries(tmp_path / "cache")
    features = np.load(entry / "features.npy").reshape(36, 2, 64)
    (plain,) = entries(home.cache)
    np.testing.assert_allclose(features[:, 0], np.load(plain / "features.npy").reshape(36, 64), atol=1e-5)
    assert not np.allclose(features[:, 0], features[:, 1], atol=1e-3)
    # An epoch is every variant of each of the 26 images that are left of 36, in batches of 8.
    assert open_run(run).history()[-1]["iteration"] == -(-3 * 26 * 2 // 8)
    assert run_cli("evaluate", run, env=env).status == 0


def test_a_damaged_entry_is_computed_again(home, tmp_path):
    env = {"BIOCLASS_CACHE": str(tmp_path / "cache")}
    fit(home.recipe, tmp_path / "first", "--set", "fit.epochs=1", env=env)
    (entry,) = entries(tmp_path / "cache")
    before = np.load(entry / "features.npy")
    killed = entry.with_name(f".{entry.name}.1.tmp")
    for name in ("features.npy", "backbone.safetensors", "entry.json"):
        killed.mkdir()
        (entry / name).write_bytes((entry / name).read_bytes()[:-40])
        fit(home.recipe, tmp_path / f"after-{name}", "--set", "fit.epochs=1", env=env)
        np.testing.assert_array_equal(np.load(entry / "features.npy"), before)
        assert not killed.exists(), "what a killed process left is in nobody's way"
    # Of the same length, but not the same.
    whole = (entry / "features.npy").read_bytes()
    (entry / "features.npy").write_bytes(whole[:-40] + bytes(40))
    fit(home.recipe, tmp_path / "after-other-values", "--set", "fit.epochs=1", env=env)
    np.testing.assert_array_equal(np.load(entry / "features.npy"), before)


def test_one_computes_and_the_others_wait(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOCLASS_CACHE", str(tmp_path))
    order = []

    def second():
        with held("a" * 64):
            order.append("second")

    with held("a" * 64):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        with held("b" * 64):
            order.append("another entry")
        order.append("first")
    thread.join(10)
    assert order == ["another entry", "first", "second"]


def test_a_cache_that_cannot_be_written_is_one_sentence(home, tmp_path):
    (tmp_path / "file").write_text("")
    said = refused("fit", home.recipe, "--run", tmp_path / "run", env={"BIOCLASS_CACHE": str(tmp_path / "file")})
    assert "set BIOCLASS_CACHE to a folder that you may write to" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ('[augment]\nsteps = [{ name = "flip" }]', "set augment.mode = 'enumerated', leave augment.steps out"),
        ('[augment.mix]\nname = "mixup"', "leave mix out, or take 'finetune'"),
    ],
)
def test_images_that_are_never_the_same_are_refused(home, tmp_path, extra, sentence):
    recipe = write_recipe(home.folder / "random.toml", "pics", f"{FEATURES}{extra}", NETWORK)
    assert sentence in refused("fit", recipe, "--run", tmp_path / "run")


def test_another_transfer_by_set_drops_the_keys_of_the_first(home, tmp_path):
    finetune = write_recipe(home.folder / "both.toml", "pics", "[fit.transfer]\nunfreeze = [0]\n", NETWORK)
    assert load_recipe(finetune).fit.transfer.name == "finetune"
    assert load_recipe(finetune, ["fit.transfer.name=features"]).fit.transfer.dropout == 0
    assert load_recipe(home.recipe, ["fit.transfer.dropout=0.25"]).fit.transfer.dropout == 0.25
