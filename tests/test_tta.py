"""Test-time augmentation: which copies, what their mean is, where it is refused, and that results tell of it."""

from __future__ import annotations

import csv
import json
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import fit, fit_folds, refused, run_cli, write_folder, write_recipe

from bioclass.augment import copied
from bioclass.augment.dihedral import reflected
from bioclass.augment.draws import keys
from bioclass.augment.geometric import Stage
from bioclass.backend import mx
from bioclass.predict import Predictor, infer
from bioclass.preprocess import read_for
from bioclass.recipe import Flip, Predict, Turn
from bioclass.run import open_run

BOTH = '{ name = "flip", axes = ["horizontal", "vertical"] }'
TURN = '{ name = "turn" }'
COUNTS = {"none": 1, "horizontal": 2, "vertical": 2, "flips": 4, "turns": 4, "dihedral": 8}


def corners(suffix: tuple[int, ...] = ()) -> np.ndarray:
    """Return images (36, 12, 12): an L of brightness in one corner, whose arms tell the class, in any position."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 60, (36, 12, 12, *suffix), dtype=np.uint8)
    for i, image in enumerate(images):
        seen = np.rot90(image, i % 4)
        seen[1 : 4 + 3 * (i // 12), 1], seen[1, 1:4] = 255, 255
    return images


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run on RGB images with the dihedral copies, centred, and one on the same that takes images as they are."""
    home = tmp_path_factory.mktemp("tta")
    data = write_folder(home / "data", corners((3,)))
    extra = f"[augment]\nsteps = [{BOTH}, {TURN}]\n[preprocess]\ncenter = {{ size = [10, 10], tolerance = 0.5 }}\n"
    recipe = write_recipe(home / "r.toml", str(data), extra)
    runs = {
        tta: fit(recipe, home / tta, "--set", f"predict.tta={tta}", "--set", "split.validation=0.2")
        for tta in ("none", "dihedral")
    }
    files = sorted(data.rglob("*.png"))
    images = np.stack([read_for(open_run(runs["none"]).plan, path) for path in files])
    return SimpleNamespace(home=home, data=data, recipe=recipe, runs=runs, files=files, images=images)


def predictor(run: Path, tta: str) -> Predictor:
    opened = open_run(run)
    changed = opened.recipe.model_copy(update={"predict": Predict(tta=tta)})
    object.__setattr__(opened, "recipe", changed)
    return Predictor(opened, mx.cpu())


# The copies


@pytest.mark.parametrize(("tta", "count"), COUNTS.items())
def test_the_copies_are_a_group_that_holds_the_image(tta, count):
    images = np.arange(2 * 3 * 3 * 2).reshape(2, 3, 3, 2)
    copies = list(copied(images, Predict(tta=tta).copies))
    assert len(copies) == count
    np.testing.assert_array_equal(copies[0], images)
    known = {copy.tobytes() for copy in copies}
    assert len(known) == count
    for copy in copies:
        assert {again.tobytes() for again in copied(copy, Predict(tta=tta).copies)} == known


def test_the_copies_by_hand():
    image = np.array([[1, 2], [3, 4]])[None, :, :, None]
    names = {"horizontal": [[2, 1], [4, 3]], "vertical": [[3, 4], [1, 2]]}
    for tta, expected in names.items():
        assert list(copied(image, Predict(tta=tta).copies))[1][0, ..., 0].tolist() == expected
    turned = [copy[0, ..., 0].tolist() for copy in copied(image, Predict(tta="turns").copies)]
    assert turned == [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]


def test_the_copies_are_those_that_training_makes():
    images = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 2), dtype=np.uint8)
    stages = [
        [Stage(Flip(axes=("horizontal", "vertical")), 0, np.array([flip])), Stage(Turn(), 1, np.array([quarters]))]
        for flip, quarters in product(range(3), range(4))
    ]
    made = {reflected(images, each, keys(0)).tobytes() for each in stages}
    assert made == {copy.tobytes() for copy in copied(images, Predict(tta="dihedral").copies)}


# Probabilities


@pytest.mark.parametrize("tta", COUNTS)
def test_probabilities_are_the_mean_over_the_copies(made: SimpleNamespace, tta: str) -> None:
    """Of the stored images, so that centring sees each copy as it sees a training image."""
    run = open_run(made.runs["none"])
    plain = Predictor(run, mx.cpu())
    rows = np.array([3, 20, 7, 35])
    images = made.images[rows]
    alone = [
        plain.probabilities(np.ascontiguousarray(np.rot90(images[:, :, ::-1] if mirrored else images, k, (1, 2))))
        for mirrored, k in Predict(tta=tta).copies
    ]
    found = predictor(made.runs["none"], tta).probabilities(made.images, rows)
    np.testing.assert_array_equal(found, np.mean(alone, axis=0))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    one_by_one = predictor(made.runs["none"], tta).probabilities(made.images, rows, batch=1)
    np.testing.assert_allclose(one_by_one, found, atol=1e-6)


def test_an_image_and_its_copies_have_the_same_probabilities(made: SimpleNamespace) -> None:
    some = made.images[::5]
    for tta in ("flips", "turns", "dihedral"):
        averaging = predictor(made.runs["none"], tta)
        expected = averaging.probabilities(some)
        for copy in copied(some, Predict(tta=tta).copies):
            np.testing.assert_allclose(averaging.probabilities(copy), expected, atol=1e-6)
    plain = predictor(made.runs["none"], "none")
    assert np.abs(plain.probabilities(some[:, :, ::-1]) - plain.probabilities(some)).max() > 1e-3


def test_a_symmetric_image_is_what_it_is_without_copies(made: SimpleNamespace) -> None:
    some = made.images[::7].astype(np.float64)
    symmetric = np.mean(list(copied(some, Predict(tta="dihedral").copies)), axis=0).astype(np.uint8)
    plain, averaging = (predictor(made.runs["none"], tta).probabilities(symmetric) for tta in ("none", "dihedral"))
    np.testing.assert_allclose(averaging, plain, atol=1e-6)


def test_without_copies_nothing_changes(made: SimpleNamespace) -> None:
    plain = Predictor(open_run(made.runs["none"]), mx.cpu())
    rows = np.arange(len(made.images))
    direct = infer(plain._scorer, plain.run.plan, made.images, rows, len(rows))
    assert np.array_equal(plain.probabilities(made.images), direct)
    assert plain.probabilities(made.images, rows[:0]).size == 0


# Runs


def test_a_fit_chooses_its_epoch_without_copies(made: SimpleNamespace) -> None:
    histories = [(run / "history.jsonl").read_bytes() for run in made.runs.values()]
    assert histories[0] == histories[1]


def test_evaluation_and_prediction_agree_and_say_so(made: SimpleNamespace, tmp_path: Path) -> None:
    run, said = (
        made.runs["dihedral"],
        'Probabilities are means over 8 copies of each image (predict.tta = "dihedral").',
    )
    result = run_cli("evaluate", run, made.runs["none"], "--json")
    with_copies, without = json.loads(result.out)["models"]
    assert with_copies["tta"] == {"name": "dihedral", "copies": 8} and "tta" not in without
    assert said in result.err
    metrics = json.loads((run / "evaluation/test/metrics.json").read_text())
    assert metrics["tta"] == {"name": "dihedral", "copies": 8}
    assert "tta" not in json.loads((made.runs["none"] / "evaluation/test/metrics.json").read_text())
    assert said in run_cli("evaluate", run).out
    rows = list(csv.DictReader((run / "evaluation/test/predictions.csv").read_text().splitlines()))
    found = predictor(run, "dihedral").probabilities(made.images)
    place = {str(path.relative_to(made.data)): row for row, path in enumerate(made.files)}
    for row in rows:
        values = [float(row[f"p_class{k}"]) for k in range(3)]
        np.testing.assert_allclose(values, found[place[row["id"]]], rtol=1e-5)
    predicted = run_cli("predict", run, made.files[4])
    assert said in predicted.err
    (row,) = csv.DictReader(predicted.out.splitlines())
    np.testing.assert_allclose([float(row[f"p_class{k}"]) for k in range(3)], found[4], rtol=1e-5)
    decided = run_cli("decide", run, "--json")
    assert json.loads(decided.out)["tta"] == {"name": "dihedral", "copies": 8}


def test_folds_tell_of_their_copies(made: SimpleNamespace, tmp_path: Path) -> None:
    folder = fit_folds(
        made.recipe,
        tmp_path / "folds",
        "split.folds=2",
        "split.validation=0.2",
        "fit.epochs=1",
        "predict.tta=flips",
    )
    result = run_cli("evaluate", folder, "--json")
    assert json.loads(result.out)["models"][0]["tta"] == {"name": "flips", "copies": 4}
    assert "over 4 copies" in run_cli("evaluate", folder).out
    assert "over 4 copies" in run_cli("predict", folder, made.files[0]).err


# The recipe


@pytest.mark.parametrize(
    ("steps", "tta", "wanting"),
    [
        ("", "horizontal", '{ name = "flip", axes = ["horizontal"] }'),
        ("", "vertical", '{ name = "flip", axes = ["vertical"] }'),
        ("", "dihedral", f"{BOTH} and {TURN}"),
        ("", "turns", TURN),
        ('{ name = "rotation" }', "turns", TURN),
        ('{ name = "flip" }', "vertical", '{ name = "flip", axes = ["vertical"] }'),
        ('{ name = "flip" }', "flips", '{ name = "flip", axes = ["vertical"] }'),
        ('{ name = "flip" }', "dihedral", f'{{ name = "flip", axes = ["vertical"] }} and {TURN}'),
        (BOTH, "dihedral", TURN),
        (TURN, "dihedral", BOTH),
        (TURN, "horizontal", '{ name = "flip", axes = ["horizontal"] }'),
    ],
)
def test_copies_that_training_does_not_make_are_refused(tmp_path: Path, steps: str, tta: str, wanting: str) -> None:
    text = f'[augment]\nsteps = [{steps}]\n[predict]\ntta = "{tta}"\n'
    recipe = write_recipe(tmp_path / "r.toml", "digits", text)
    said = refused("fit", recipe, "--run", tmp_path / "run")
    assert f"predict.tta = '{tta}' predicts from copies" in said and f"add {wanting} to augment.steps" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("steps", "allowed"),
    [
        ((), {"none"}),
        ((Flip(),), {"none", "horizontal"}),
        ((Flip(axes=("vertical",)),), {"none", "vertical"}),
        ((Flip(), Flip(axes=("vertical",))), {"none", "horizontal", "vertical", "flips"}),
        ((Turn(),), {"none", "turns"}),
        ((Turn(), Flip()), set(COUNTS)),
    ],
)
def test_copies_that_training_makes_are_allowed(steps, allowed):
    assert {tta for tta in COUNTS if not Predict(tta=tta).wanting(steps)} == allowed


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.toml", "digits", '[predict]\ntta = "dihedrl"\n')
    assert "Got 'dihedrl'; did you mean 'dihedral'?" in refused("fit", recipe, "--run", tmp_path / "run")
