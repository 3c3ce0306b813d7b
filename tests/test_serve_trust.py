"""What ``bioclass serve`` tells of how far to trust an answer: the model's accuracy, and what it was trained on."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import fit_folds, pictures, run_cli, write_folder, write_recipe
from PIL import Image
from test_serve import TestClient, image_form, png, served, settled

from bioclass.serve import neighbours
from bioclass.serve.facts import facts_of
from bioclass.serve.models import open_sources
from bioclass.serve.trained import Trained


def facts(path: Path) -> dict[str, Any]:
    [source] = open_sources([path])
    return facts_of(source)


def asked(client: TestClient, image: bytes, **more: str) -> dict[str, Any]:
    """What the first model answers to an image."""
    [found] = client.post("/api/predict", params=more, files=image_form(("x.png", image))).json()["images"]
    answer: dict[str, Any] = found["answers"][0]
    return answer


def ids_of(run: Path, part: str) -> list[str]:
    rows = csv.DictReader((run / "split.csv").read_text().splitlines())
    return [row["id"] for row in rows if row["part"] == part]


@pytest.fixture
def run(tiny: SimpleNamespace, tmp_path: Path) -> Path:
    """A run that may be changed."""
    return Path(shutil.copytree(tiny.run, tmp_path / "my run"))


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Folds of images where the dataset has an official test part; never change them."""
    home = tmp_path_factory.mktemp("folds")
    write_folder(home / "pics" / "train", pictures(each=10))
    write_folder(home / "pics" / "test", pictures(each=14)[:, ::-1])
    recipe = write_recipe(home / "r.toml", "pics", extra="[split]\nfolds = 2\nvalidation = 0.3")
    return SimpleNamespace(folder=fit_folds(recipe, home / "folds"), data=home / "pics")


# How good a model is


def test_the_accuracy_is_that_of_the_evaluation(run: Path) -> None:
    assert facts(run)["accuracy"] is None
    assert facts(run)["not_evaluated"]["command"] == f"bioclass evaluate '{run}'"
    assert run_cli("evaluate", run).status == 0
    told = json.loads((run / "evaluation" / "test" / "metrics.json").read_text())
    accuracy, images = facts(run)["accuracy"], len(ids_of(run, "test"))
    assert {key: accuracy[key] for key in ("value", "low", "high")} == told["accuracy"]
    assert (accuracy["n"], accuracy["on"]) == (images, f"{images} test images")
    value, low, high = (f"{100 * told['accuracy'][key]:.1f}" for key in ("value", "low", "high"))
    said = accuracy["text"].replace("\xa0", " ")
    assert said == f"{value} % (95 % interval {low} to {high}) on {images} test images"
    assert facts(run)["not_evaluated"] is None


def test_an_evaluation_of_other_weights_or_images_is_not_told(run: Path) -> None:
    assert run_cli("evaluate", run).status == 0
    weights, table = run / "best" / "manifest.json", run / "evaluation" / "test" / "predictions.csv"
    stamp = table.stat().st_mtime + 60
    os.utime(weights, (stamp, stamp))
    assert facts(run)["accuracy"] is None and "since it was last trained" in facts(run)["not_evaluated"]["text"]
    os.utime(table, (stamp + 60, stamp + 60))
    assert facts(run)["accuracy"] is not None
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    assert facts(run)["accuracy"] is None


def test_folds_are_told_of_by_the_official_test_part_or_what_each_held_out(folds: SimpleNamespace) -> None:
    assert facts(folds.folder)["not_evaluated"]["command"] == f"bioclass evaluate {folds.folder}"
    for options, part, on in (
        ((), "fold", "30 images that single folds held out"),
        (("--part", "test"), "test", "42 test images"),
    ):
        assert run_cli("evaluate", folds.folder, *options).status == 0
        told = json.loads((folds.folder / "evaluation" / part / "metrics.json").read_text())["accuracy"]
        accuracy = facts(folds.folder)["accuracy"]
        assert {key: accuracy[key] for key in told} == told and accuracy["on"] == on
    stamp = (folds.folder / "evaluation" / "test" / "predictions.csv").stat().st_mtime + 60
    # One fold of them was trained further.
    os.utime(folds.folder / "fold-1" / "best" / "manifest.json", (stamp, stamp))
    assert facts(folds.folder)["accuracy"] is None


# What it was trained on


def test_a_training_image_is_told_by_its_pixels_alone(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So few are compared by their features; of all others the pixels are known.
    monkeypatch.setattr(neighbours, "MOST", 3)
    client, _ = served(tiny.run)
    with client:
        nearest = settled(client)["nearest"]
        assert (nearest["done"], nearest["complete"]) == (3, True) and nearest["training"] > 20
        for part in ("train", "validation", "test"):
            for id_ in ids_of(tiny.run, part)[:8]:
                answer = asked(client, (tiny.data / id_).read_bytes())
                assert answer["training_image"] is (part == "train")
                assert answer.get("training_id") == (id_ if part == "train" else None)
        image = np.asarray(Image.open(tiny.data / ids_of(tiny.run, "train")[0])).copy()
        assert asked(client, png(image))["training_image"] is True
        # To the network they are almost the same.
        image[0, 0] ^= 1
        assert asked(client, png(image))["training_image"] is False


def test_what_any_fold_was_trained_on_is_a_training_image(folds: SimpleNamespace) -> None:
    client, _ = served(folds.folder)
    with client:
        settled(client)
        held_out = set(ids_of(folds.folder / "fold-0", "fold"))
        learned = held_out & set(ids_of(folds.folder / "fold-1", "train"))
        assert learned
        # What is in no fold's training part chose the weights of the other, or is of the official test part.
        for id_ in [*held_out, *ids_of(folds.folder / "fold-0", "test")[:5]]:
            assert asked(client, (folds.data / id_).read_bytes())["training_image"] is (id_ in learned)


def test_where_training_images_cannot_be_read_nothing_is_claimed(
    tmp_path: Path, tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "MOST", 3)
    data = Path(shutil.copytree(tiny.data, tmp_path / "pics"))
    first, *_, last = ids_of(tiny.run, "train")
    other = (data / ids_of(tiny.run, "test")[0]).read_bytes()
    for path in (data / first, data / last):
        path.write_bytes(b"no image any more")
    client, _ = served(tiny.run, root=data)
    with client:
        nearest = settled(client)["nearest"]
        assert nearest["state"] == "missing" and not nearest["complete"] and "no image" not in nearest["note"]
        answer = asked(client, other, nearest="yes")
    assert answer["training_image"] is None and answer["nearest"]["images"] == []


def test_pixels_are_the_same_in_either_order_of_bytes() -> None:
    stored = np.arange(2 * 4 * 4, dtype=">u2").reshape(2, 4, 4, 1)
    trained = Trained()
    assert trained.told(stored[0]) == {"training_image": None}
    trained.add(stored, ["a", "b"])
    assert trained.told(stored[1].astype("=u2")) == {"training_image": True, "training_id": "b"}
    assert trained.told(stored[1] + 1) == {"training_image": None}
    trained.complete = True
    assert trained.told(stored[1] + 1) == {"training_image": False}


def test_similarities_are_told_with_what_is_usual(tiny: SimpleNamespace) -> None:
    client, service = served(tiny.run)
    with client:
        nearest = settled(client)["nearest"]
        model = service.models[tiny.run.name]
        rows = [np.asarray(Image.open(tiny.data / id_))[..., None] for id_ in ids_of(tiny.run, "train")]
        features = service._worker.submit(lambda: model.explainer.embed(np.stack(rows))).result(60)
    features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-30)
    most = [max(float(a @ b) for j, b in enumerate(features) if i != j) for i, a in enumerate(features)]
    expected = {"low": np.percentile(most, 5), "median": np.median(most)}
    assert nearest["usual"] == pytest.approx(expected, abs=1e-5)
