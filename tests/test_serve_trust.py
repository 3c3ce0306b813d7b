"""What ``bioclass serve`` tells of how far to trust an answer: the accuracy of its model."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import fit_folds, pictures, run_cli, write_folder, write_recipe

from bioclass.serve.facts import facts_of
from bioclass.serve.models import open_sources


def facts(path: Path) -> dict[str, Any]:
    [source] = open_sources([path])
    return facts_of(source)


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
