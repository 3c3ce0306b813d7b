"""What a fit trains on: batches of variants, in parts, the same at any iteration and from any worker."""

import json

import numpy as np
import pytest
from conftest import fit, pictures, refused, run_cli, write_folder, write_recipe

from bioclass.augment import Augmenter
from bioclass.card import Card, Class
from bioclass.fit.task import Task
from bioclass.preprocess import apply, prepare
from bioclass.recipe import Recipe
from bioclass.samples import Samples

STEPS = [{"name": "rotation"}, {"name": "elastic", "sigma": 2.0, "strength": 1.5}]
CARD = Card(name="noise", title="Noise", classes=(Class(name="a"), Class(name="b")))


def task(**changes):
    recipe = Recipe.model_validate_json(
        json.dumps(
            {"dataset": "noise", "fit": {"epochs": 1, "batch_size": 6}, "preprocess": {"divisor": 255}, **changes}
        )
    )
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 12), dtype=np.uint8)
    samples = Samples(images, np.arange(20) % 2).checked(("a", "b"))
    stored, plan = prepare(samples, recipe.preprocess, CARD)
    return Task(recipe, plan, ("a", "b"), stored, samples.labels, np.arange(4, 20))


@pytest.mark.parametrize("mode", ["enumerated", "random"])
@pytest.mark.parametrize("center", [None, {"size": [10, 8]}])
def test_parts_of_a_batch_make_the_batch(mode, center):
    whole = task(augment={"mode": mode, "steps": STEPS}, preprocess={"divisor": 255, "center": center})
    for iteration in (0, 3, 11):
        one = whole.batch(iteration, 0, 1)
        parts = [whole.batch(iteration, i, 2) for i in range(2)]
        for k in range(3):
            np.testing.assert_array_equal(np.concatenate([part[k] for part in parts]), one[k])
    assert one[0].shape == (6, 1, *((10, 8) if center else (16, 12)))


def test_an_enumerated_epoch_is_the_images_and_their_variants():
    whole = task(augment={"mode": "enumerated", "steps": STEPS})
    assert whole.stream.iterations == -(-16 * 25 // 6)
    seen = np.concatenate([whole.batch(i, 0, 1)[0] for i in range(whole.stream.iterations)])[: 16 * 25]
    augmenter = Augmenter(whole.recipe.augment, whole.plan)
    rows, variants = np.repeat(np.arange(4, 20), 25), np.tile(np.arange(25), 16)
    wanted = augmenter.enumerated(whole.images[rows], rows, variants)[..., 0] / np.float32(255)
    np.testing.assert_allclose(
        np.sort(seen.reshape(400, -1).mean(axis=1)), np.sort(wanted.reshape(400, -1).mean(axis=1)), rtol=1e-5
    )


def test_without_steps_images_are_as_stored():
    whole = task()
    rows = whole.train[whole.stream.rows(2)]
    np.testing.assert_array_equal(whole.batch(2, 0, 1)[0], apply(whole.plan, whole.images[rows]))


def test_random_variants_are_new_in_every_pass():
    whole = task(augment={"steps": [{"name": "elastic", "sigma": 2.0}]})
    first, second = (
        {tuple(x.ravel()) for i in span for x in whole.batch(i, 0, 1)[0]} for span in (range(3), range(3, 6))
    )
    assert not first & second


def test_a_fit_with_variants_and_centering(tmp_path):
    """Two workers, an epoch of 9 variants, a resume that changes nothing, prediction of a file."""
    root = write_folder(tmp_path / "data", pictures(shape=(14, 14)))
    recipe = write_recipe(
        tmp_path / "r.toml",
        str(root),
        '[preprocess]\ncenter = { size = [10, 10] }\n[augment]\nmode = "enumerated"\n'
        'steps = [{ name = "flip", axes = ["horizontal", "vertical"] }, { name = "noise", draws = 2 }]\n',
    )
    run = fit(recipe, tmp_path / "run", "--workers", 2, "--device", "cpu")
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert len(history) == 3 * 9  # passes over the images, nine to an epoch
    assert history[-1]["epochs"] == pytest.approx(3, abs=0.1)
    result = run_cli("evaluate", run, "--json")
    assert json.loads(result.out)["models"][0]["accuracy"]["value"] > 0.5
    assert run_cli("predict", run, root / "class0" / "00.png").status == 0
    shape = json.loads(run_cli("network", run, "--json").out)["layers"][0]["output_shape"]
    assert shape is not None and run_cli("fit", recipe, "--run", run, "--resume").status == 0


def test_steps_that_the_images_cannot_take_leave_no_run(tmp_path):
    root = write_folder(tmp_path / "data", pictures(shape=(12, 14)))
    recipe = write_recipe(tmp_path / "r.toml", str(root), 'augment.steps = [{ name = "turn" }]\n')
    recipe.write_text(recipe.read_text().replace("augment.steps", "[augment]\nsteps"))
    assert "'turn' wants square images; these are 12 x 14" in refused("fit", recipe, "--run", tmp_path / "run")
    assert not (tmp_path / "run").exists()
