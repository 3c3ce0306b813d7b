"""What an evaluation fitted answers new images just so, and never with other weights."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import fit, pictures, refused, run_cli, write_folder, write_recipe

from bioclass.evaluate import load_fitted
from bioclass.evaluate.tables import joined
from bioclass.files import read_sealed, write_sealed
from bioclass.reliability import RULES
from bioclass.run import open_run

COLUMNS = ("LAC", "APS", "LAC_by_class")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run that is often wrong, evaluated with everything that can be fitted."""
    home = tmp_path_factory.mktemp("judged")
    images = pictures(each=200)
    noise = np.random.default_rng(2).normal(0, 35, (len(images), 1, 1))
    data = write_folder(home / "pics", np.clip(images + noise, 0, 255).astype(np.uint8))
    recipe = write_recipe(
        home / "recipe.toml", "pics", "optimizer.lr = 0.1\n[split]\ntest = 0.3\nvalidation = 0.4\n"
    )
    run = fit(recipe, home / "run", "--set", "fit.epochs=14")
    assert run_cli("evaluate", run, "--calibrate", "--error-rate", 0.15).status == 0
    return SimpleNamespace(home=home, data=data, recipe=recipe, run=run)


def test_new_images_are_answered_as_those_of_the_test_part_were(judged: SimpleNamespace) -> None:
    """The test images themselves, as files: the same answers as the evaluation wrote down."""
    known = rows_of((judged.run / "evaluation/test/answers.csv").read_text())
    chances = rows_of((judged.run / "evaluation/test/predictions-calibrated.csv").read_text())
    files = [judged.data / row["id"] for row in known]
    found = rows_of(run_cli("predict", judged.run, *files, "--answers").out)
    for row, before, chance in zip(found, known, chances, strict=True):
        assert row["class"] == before["predicted"] and row["answered"] == before["answered"]
        assert [row[name] for name in COLUMNS] == [before[name] for name in COLUMNS]
        assert float(row["probability"]) == pytest.approx(float(before["probability"]), rel=1e-5)
        assert float(row["p_class1"]) == pytest.approx(float(chance["p_class1"]), rel=1e-4)
    assert {row["answered"] for row in found} == {"yes", "no"}
    assert len({row["LAC"] for row in found}) > 3


def test_answers_as_json(judged: SimpleNamespace) -> None:
    image = judged.data / "class1" / "00.png"
    row = json.loads(run_cli("predict", judged.run, image, "--answers", "--json").out)["images"][0]
    table = rows_of(run_cli("predict", judged.run, image, "--answers").out)[0]
    assert isinstance(row["answered"], bool) and (table["answered"] == "yes") == row["answered"]
    assert "|".join(row["LAC"]) == table["LAC"] and row["class"] in row["LAC"]


def test_without_being_asked_prediction_is_as_before(judged: SimpleNamespace) -> None:
    image = judged.data / "class1" / "00.png"
    row = rows_of(run_cli("predict", judged.run, image).out)[0]
    assert set(row) == {"path", "class", "probability", "p_class0", "p_class1", "p_class2"}
    calibrated = rows_of(run_cli("predict", judged.run, image, "--answers").out)[0]
    assert row["probability"] != calibrated["probability"]


def test_a_temperature_alone_gives_probabilities_alone(judged: SimpleNamespace, tmp_path: Path) -> None:
    run = shutil.copytree(judged.run, tmp_path / "run")
    image = judged.data / "class1" / "00.png"
    before = rows_of(run_cli("predict", run, image, "--answers").out)[0]
    assert run_cli("evaluate", run, "--calibrate").status == 0
    row = rows_of(run_cli("predict", run, image, "--answers").out)[0]
    assert set(row) == {"path", "class", "probability", "p_class0", "p_class1", "p_class2"}
    assert row["probability"] == before["probability"]


def test_an_error_rate_that_cannot_be_promised_answers_with_every_class(
    judged: SimpleNamespace, tmp_path: Path
) -> None:
    run = shutil.copytree(judged.run, tmp_path / "run")
    assert run_cli("evaluate", run, "--error-rate", 0.001).status == 0
    row = rows_of(run_cli("predict", run, judged.data / "class1" / "00.png", "--answers").out)[0]
    assert row["answered"] == "no"
    assert [sorted(row[name].split("|")) for name in COLUMNS] == [["class0", "class1", "class2"]] * 3


def test_what_is_loaded_is_what_was_fitted(judged: SimpleNamespace) -> None:
    fitted = load_fitted(open_run(judged.run))
    told = json.loads((judged.run / "evaluation/test/metrics.json").read_text())
    assert fitted.temperature == told["calibration"]["temperature"] and fitted.error_rate == 0.15
    assert tuple(fitted.conformal) == RULES
    for rule in RULES:
        document = fitted.conformal[rule].as_dict()
        assert document.items() <= told["answers"]["sets"][rule].items()
    assert fitted.threshold == told["answers"]["rejection"]["validation"]["threshold"]


def test_nothing_fitted_is_refused(tiny: SimpleNamespace, tmp_path: Path) -> None:
    run = shutil.copytree(tiny.run, tmp_path / "run")
    shutil.rmtree(run / "evaluation", ignore_errors=True)
    error = refused("predict", run, tiny.data, "--answers")
    assert "Nothing was fitted" in error and "--calibrate or --error-rate first" in error


def test_answers_of_other_weights_are_refused(judged: SimpleNamespace, tmp_path: Path) -> None:
    run = shutil.copytree(judged.run, tmp_path / "run")
    other = fit(judged.recipe, tmp_path / "other", "--seed", 9)
    shutil.rmtree(run / "best")
    shutil.copytree(other / "best", run / "best")
    assert "was trained on since its answers were fitted" in refused("predict", run, judged.data, "--answers")


def test_a_damaged_file_is_refused(judged: SimpleNamespace, tmp_path: Path) -> None:
    run = shutil.copytree(judged.run, tmp_path / "run")
    file = run / "evaluation/validation/fitted.json"
    file.write_text(file.read_text().replace('"error_rate": 0.15', '"error_rate": 0.01'))
    assert "is damaged or was edited" in refused("predict", run, judged.data, "--answers")
    shutil.copy(judged.run / "evaluation/validation/fitted.json", file)
    document = read_sealed(file)
    for broken in ({**document, "sets": {"LAC": {}}}, {**document, "sets": None}, {"weights": document["weights"]}):
        write_sealed(file, broken)
        assert "is not what bioclass writes" in refused("predict", run, judged.data, "--answers")


def test_a_bar_in_the_name_of_a_class_is_told_from_one_between_classes() -> None:
    assert joined(["a", "b"]) == "a|b"
    assert joined(["a|b"]) == "a\\|b" and joined(["a\\", "b"]) == "a\\\\|b"
    assert len({joined(names) for names in (["a", "b"], ["a|b"], ["a\\|b"], ["a\\", "b"])}) == 4
