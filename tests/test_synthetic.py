"""Images that a card calls synthetic are called so wherever they are reported; others never are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import fit_folds, pictures, run_cli, write_recipe
from PIL import Image

CARD = 'name = "{}"\ntitle = "Drawn"\nclasses = ["a", "b", "c"]\n{}'
ADAPTER = """
import numpy as np
from pathlib import Path
from bioclass import Samples

def load(card, root):
    return Samples(np.load(Path(__file__).with_suffix(".npy")), np.repeat([0, 1, 2], 20))
"""


@pytest.fixture(scope="module", params=["drawn", "real"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("facts")
    (home / "recipes").mkdir()
    for name, fact in (("drawn", "synthetic = true\n"), ("real", "")):
        (home / f"{name}.toml").write_text(CARD.format(name, fact))
        (home / f"{name}.py").write_text(ADAPTER)
        np.save(home / f"{name}.npy", pictures(each=20))
        write_recipe(home / "recipes" / f"{name}.toml", name, "[split]\nvalidation = 0.3\n")
    return home


@pytest.fixture(scope="module")
def fitted(home: Path, name: str) -> tuple[Path, str, str]:
    """A run, what its fit said, and what it printed for machines."""
    recipe, run = home / "recipes" / f"{name}.toml", home / "runs" / name
    result = run_cli("fit", recipe, "--run", run, "--path", home, "--json", "--device", "cpu", "--workers", 1)
    assert result.status == 0, result.err
    return run, result.err, result.out


def both(*args: object, home: Path) -> tuple[str, dict]:
    """What a command prints for people, and for machines."""
    told, document = run_cli(*args, "--path", home), run_cli(*args, "--path", home, "--json")
    assert told.status == document.status == 0, told.err
    return told.out, json.loads(document.out)


def said(text: str, name: str, synthetic: str, real: str) -> bool:
    """Whether a text has the words for synthetic images, or those for others and nothing of synthetic ones."""
    return synthetic in text if name == "drawn" else real in text and "synthetic" not in text


def test_a_fit(fitted: tuple[Path, str, str], name: str) -> None:
    _, err, out = fitted
    assert said(err, name, "synthetic images (", " images (")
    assert json.loads(out)["synthetic"] == (name == "drawn")


def test_an_evaluation(fitted: tuple[Path, str, str], home: Path, name: str) -> None:
    told, document = both("evaluate", fitted[0], home=home)
    assert said(told, name, "test part: 12 synthetic images, with", "test part: 12 images, with")
    assert document["models"][0]["synthetic"] == (name == "drawn")
    file = fitted[0] / "evaluation" / "test" / "metrics.json"
    assert json.loads(file.read_text())["synthetic"] == (name == "drawn")


def test_decisions(fitted: tuple[Path, str, str], home: Path, name: str) -> None:
    told, document = both("decide", fitted[0], home=home)
    assert said(told, name, "test part: 12 synthetic images;", "test part: 12 images;")
    assert document["synthetic"] == (name == "drawn")


def test_checks(fitted: tuple[Path, str, str], home: Path, name: str) -> None:
    told, document = both("check", name, home=home)
    assert said(told, name, "60 synthetic images", "60 images")
    assert document["synthetic"] == (name == "drawn")
    told, document = both("check", fitted[0], home=home)
    assert said(told, name, "synthetic images have a label", "images have a label")
    assert document["synthetic"] == (name == "drawn")


def test_runs(fitted: tuple[Path, str, str], home: Path, name: str) -> None:
    lines = {Path(line.split()[0]).name: line for line in run_cli("runs", home / "runs").out.splitlines()[1:]}
    assert said(lines[name], name, "drawn (synthetic)", "real")
    listed = json.loads(run_cli("runs", home / "runs", "--json").out)
    assert {Path(row["run"]).name: row["synthetic"] for row in listed}[name] == (name == "drawn")


def test_predictions_for_new_images(fitted: tuple[Path, str, str], tmp_path: Path, name: str) -> None:
    Image.fromarray(pictures(each=1)[0]).save(tmp_path / "new.png")
    err = run_cli("predict", fitted[0], tmp_path / "new.png").err
    assert "was trained on synthetic images" in err if name == "drawn" else err == ""


def test_pictures(fitted: tuple[Path, str, str], home: Path, tmp_path: Path, name: str) -> None:
    args = ("draw", "errors", "--ensemble", f"Net={fitted[0]}", "--out", tmp_path / "errors.png", "--path", home)
    assert said(run_cli(*args).out, name, "of 12 synthetic test images (Drawn)", "of 12 test images (Drawn)")
    out = tmp_path / "variants.png"
    caption = run_cli("draw", "variants", home / "recipes" / f"{name}.toml", "--out", out, "--path", home).out
    assert said(caption, name, "synthetic training images", "training images")
    with Image.open(out) as image:
        assert said(image.info["Description"], name, "synthetic training images", "training images")


def test_folds(home: Path, name: str) -> None:
    recipe = home / "recipes" / f"{name}.toml"
    folder = fit_folds(recipe, home / f"folds-{name}", "split.folds=2", shelf=(home,))
    told, document = both("evaluate", folder, home=home)
    assert said(told, name, "60 synthetic images", "60 images")
    assert document["models"][0]["synthetic"] == (name == "drawn")
    done = ("fit", recipe, "--folds", 2, "--run", folder, "--path", home, "--resume")
    assert said(run_cli(*done).out, name, "on the synthetic images that", "on the images that")
    assert json.loads(run_cli(*done, "--json").out)["synthetic"] == (name == "drawn")
