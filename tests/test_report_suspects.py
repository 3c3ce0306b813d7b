"""``bioclass check MODEL``: labels that were changed on purpose are found by a run and by folds."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import fit, fit_folds, pictures, refused, run_cli, write_folder, write_recipe
from PIL import Image

CHANGED = ("class0/from1-03.png", "class1/from2-07.png", "class2/from0-11.png", "class2/from1-20.png")
ENOUGH = ("fit.epochs=60", "preprocess.standardise=true")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of three classes, four of them in a wrong folder, and twice three folds; never change them."""
    home = tmp_path_factory.mktemp("suspects")
    root = write_folder(home / "pics", pictures(each=30))
    for name in CHANGED:
        origin, number = Path(name).stem.removeprefix("from").split("-")
        shutil.move(root / f"class{origin}" / f"{number}.png", root / name)
    recipe = write_recipe(home / "pics.toml", "pics", "[split]\nvalidation = 0.4\n")
    fit_folds(recipe, home / "folds", "split.folds=3", "split.repeats=2", *ENOUGH, shelf=(home,))
    return home


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    return fit(home / "pics.toml", home / "run", *(word for each in ENOUGH for word in ("--set", each)))


def check(model: Path) -> dict:
    result = run_cli("check", model, "--json")
    assert result.status == 0, result.err
    return json.loads(result.out)


def test_changed_labels_rank_on_top_of_all_that_folds_held_out(home: Path) -> None:
    found = check(home / "folds")
    assert (found["judged"], found["images"], found["part"]) == (90, 90, "test")
    first = found["suspects"][: len(CHANGED)]
    assert {each["id"] for each in first} == set(CHANGED)
    for each in first:
        assert each["given"] == each["id"].split("/")[0]
        assert each["likely"] == f"class{Path(each['id']).stem[4]}"
    # The network has learnt these images: but for the changed ones it agrees with every label.
    assert found["agreed"] == pytest.approx(1 - len(CHANGED) / 90)
    margins = [each["margin"] for each in found["suspects"]]
    assert margins == sorted(margins, reverse=True)


def test_the_margin_is_of_the_mean_over_repeats(home: Path) -> None:
    first = check(home / "folds")["suspects"][0]
    assert run_cli("evaluate", home / "folds").status == 0
    with (home / "folds/evaluation/test/predictions.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["id"] == first["id"]]
    assert len(rows) == 2
    by_hand = np.mean([float(row[f"p_{first['likely']}"]) - float(row[f"p_{first['given']}"]) for row in rows])
    assert first["margin"] == pytest.approx(by_hand, abs=1e-6)


def test_a_table_and_pictures_in_the_same_order(home: Path) -> None:
    stale = home / "folds/check/suspects-2.png"
    stale.parent.mkdir(exist_ok=True)
    stale.write_text("a page of a check before")
    mine = stale.with_name("suspects-mine.png")
    mine.write_text("a file of the user's")
    found = check(home / "folds")
    assert sorted(path.name for path in stale.parent.iterdir()) == [mine.name, "suspects.csv", "suspects.png"]
    assert found["files"] == [str(stale.parent / name) for name in ("suspects.csv", "suspects.png")]
    with (stale.parent / "suspects.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["rank"] for row in rows] == [str(rank) for rank in range(1, len(rows) + 1)]
    assert [{**row, "margin": float(row["margin"])} for row in rows] == [
        {"rank": str(rank), **each} for rank, each in enumerate(found["suspects"], 1)
    ]
    with Image.open(stale.parent / "suspects.png") as image:
        assert f"{len(rows)} of 90 images" in image.info["Description"]
    told = run_cli("check", home / "folds").out
    assert told.index(CHANGED[0]) > 0 and f"{len(rows)} of 90 images have a label that is in doubt." in told


def test_a_run_judges_its_validation_part_alone(run: Path) -> None:
    found = check(run)
    with (run / "split.csv").open() as stream:
        part = {row["id"]: row["part"] for row in csv.DictReader(stream)}
    judged = [name for name in part if part[name] == "validation"]
    assert (found["judged"], found["images"], found["part"]) == (len(judged), 90, "validation")
    wrong = {name for name in CHANGED if part[name] == "validation"}
    assert wrong and {each["id"] for each in found["suspects"][: len(wrong)]} == wrong
    assert {each["id"] for each in found["suspects"]} <= set(judged)
    assert f"{len(judged)} of 90 images: the folds of `bioclass fit --folds` judge all" in run_cli("check", run).out


def test_without_suspects_there_are_no_pictures(tiny, tmp_path: Path) -> None:
    model = fit(tiny.recipe, tmp_path / "run", *(word for each in ENOUGH for word in ("--set", each)))
    (model / "check").mkdir()
    (model / "check" / "suspects.png").write_text("of a check before")
    assert check(model)["suspects"] == []
    assert [path.name for path in (model / "check").iterdir()] == ["suspects.csv"]
    assert "0 of" in run_cli("check", model).out


ADAPTER = """
import numpy as np
from pathlib import Path
from bioclass import Samples

def load(card, root):
    truth = np.repeat([0, 1, 2], 30)
    labels, also = truth.copy(), [[] for _ in truth]
    for row in (0, 1, 30, 31, 60, 61):
        labels[row] = (truth[row] + 1) % 3
    for row in (0, 30, 60):
        also[row] = [truth[row]]
    return Samples(np.load(Path(__file__).with_suffix(".npy")), labels, also=also)
"""


def test_a_label_is_not_wrong_for_a_class_that_is_right_too(tmp_path: Path) -> None:
    """Six labels were changed, and three of these images may be their true class too."""
    (tmp_path / "prints.toml").write_text('name = "prints"\ntitle = "Prints"\nclasses = ["a", "b", "c"]\n')
    (tmp_path / "prints.py").write_text(ADAPTER)
    np.save(tmp_path / "prints.npy", pictures(each=30))
    recipe = write_recipe(tmp_path / "r.toml", "prints", "[split]\nvalidation = 0\n")
    folds = fit_folds(recipe, tmp_path / "folds", "split.folds=3", *ENOUGH, shelf=(tmp_path,))
    result = run_cli("check", folds, "--path", tmp_path, "--json")
    found = {each["id"] for each in json.loads(result.out)["suspects"]}
    assert {"01", "31", "61"} <= found and not found & {"00", "30", "60"}


def test_what_cannot_be_judged_is_one_sentence_and_writes_nothing(home: Path, run: Path, tmp_path: Path) -> None:
    without = fit(home / "pics.toml", tmp_path / "without", "--set", "split.validation=0")
    assert "has no validation part, by which labels could be judged" in refused("check", without)
    assert not (without / "check").exists()
    cut = tmp_path / "folds"
    shutil.copytree(home / "folds", cut, ignore=shutil.ignore_patterns("check", "fold-4"))
    assert "1 of the 6 folds" in refused("check", cut) and not (cut / "check").exists()
    damaged = shutil.copytree(run, tmp_path / "damaged")
    (damaged / "recipe.toml").unlink()
    assert "recipe.toml is missing" in refused("check", damaged)
    assert "--groups is for a dataset" in refused("check", run, "--groups", tmp_path / "groups.csv")
    assert "--recipe is for a dataset" in refused("check", run, "--recipe", "digits-lenet")
    assert "--device is for a run or folds" in refused("check", home / "pics", "--device", "cpu")


def test_a_dataset_with_a_manifest_of_its_own_is_a_dataset(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pics", pictures())
    (root / "manifest.json").write_text("{}")
    assert "36 images, 3 classes" in run_cli("check", root).out
