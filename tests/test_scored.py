"""An accuracy by which a second class is right too, where images have one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import fit, fit_folds, pictures, run_cli, write_recipe

from bioclass.metrics.shares import share

ADAPTER = """
import numpy as np
from pathlib import Path
from bioclass import Samples

def load(card, root):
    # Every third image may be the next class too.
    labels = np.repeat([0, 1, 2], 30)
    also = [[(label + 1) % 3] if row % 3 == 0 else [] for row, label in enumerate(labels)]
    groups = np.arange(90) // 2 if card.group else None
    return Samples(np.load(Path(__file__).parent / "images.npy"), labels, groups=groups, also=also)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("second")
    (home / "recipes").mkdir()
    np.save(home / "images.npy", pictures(each=30))
    for name, group in (("plain", ""), ("pairs", 'group = "pair"\n')):
        (home / f"{name}.toml").write_text(f'name = "{name}"\ntitle = "Prints"\nclasses = ["a", "b", "c"]\n{group}')
        (home / f"{name}.py").write_text(ADAPTER)
        write_recipe(home / "recipes" / f"{name}.toml", name, "[split]\ntest = 0.4\nvalidation = 0.2\n")
    return home


def evaluated(home: Path, model: Path) -> tuple[dict, str, list[bool], list[str], int]:
    """What an evaluation found and printed; by hand whether either class is answered, ids, and second classes."""
    found = run_cli("evaluate", model, "--path", home, "--json")
    assert found.status == 0, found.err
    with (model / "evaluation" / "test" / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    second = [int(row["id"]) % 3 == 0 for row in rows]
    right = [
        row["predicted"] in (row["true"], "abca"["abc".index(row["true"]) + 1] if has else row["true"])
        for row, has in zip(rows, second, strict=True)
    ]
    told = run_cli("evaluate", model, "--path", home).out
    return json.loads(found.out)["models"][0], told, right, [row["id"] for row in rows], sum(second)


def test_an_answer_with_either_class_is_right(home: Path) -> None:
    run = fit(home / "recipes" / "plain.toml", home / "run", "--path", home)
    found, told, right, _, second = evaluated(home, run)
    assert found["accuracy_either"] == {**share(np.array(right)).as_dict(), "second_classes": second}
    assert found["accuracy_either"]["value"] > found["accuracy"]["value"]
    assert "accuracy %, either class right *" in told and f"* {second} images have a second class" in told
    assert (
        json.loads((run / "evaluation/test/metrics.json").read_text())["accuracy_either"]
        == found["accuracy_either"]
    )


def test_folds_are_pooled_and_groups_respected(home: Path) -> None:
    folds = fit_folds(home / "recipes" / "pairs.toml", home / "folds", "split.folds=2", shelf=(home,))
    found, told, right, ids, second = evaluated(home, folds)
    groups = np.array([int(name) // 2 for name in ids])
    assert found["accuracy_either"] == {**share(np.array(right), groups).as_dict(), "second_classes": second}
    assert (len(right), second) == (90, 30)
    assert "accuracy %, either class right *" in told


def test_without_second_classes_nothing_is_said(tiny) -> None:
    result = run_cli("evaluate", tiny.run, "--json")
    assert "accuracy_either" not in json.loads(result.out)["models"][0]
    assert "either" not in run_cli("evaluate", tiny.run).out
