"""``bioclass decide``: what answers are worth, thresholds, costs and abundance, of a run and of folds."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from conftest import fit, fit_folds, pictures, refused, run_cli, write_folder, write_recipe


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Images of three classes that a short training confuses, a run and three folds; never change them."""
    home = tmp_path_factory.mktemp("decide")
    noisy = pictures(each=40).astype(float) + np.random.default_rng(1).normal(0, 25, (120, 1, 1))
    write_folder(home / "pics", noisy.clip(0, 255).astype("uint8"))
    recipe = write_recipe(home / "pics.toml", "pics", "[split]\nvalidation = 0.4\n")
    fit(recipe, home / "run")
    fit_folds(recipe, home / "folds", "split.folds=3", shelf=(home,))
    return home


def found(*args):
    result = run_cli("decide", *args, "--json")
    assert result.status == 0, result.err
    return json.loads(result.out)


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def predictions(folder):
    return rows(folder / "predictions.csv")


def test_every_class_is_told_in_a_clinicians_words(home):
    document = found(home / "run", "--prevalence", "class2=0.01")
    assert run_cli("evaluate", home / "run").status == 0
    told = predictions(home / "run" / "evaluation" / "test")
    for name, figures in document["per_class"].items():
        hits = [row["predicted"] == name for row in told if row["true"] == name]
        let_go = [row["predicted"] != name for row in told if row["true"] != name]
        sensitivity, specificity = np.mean(hits), np.mean(let_go)
        assert figures["sensitivity"]["value"] == pytest.approx(sensitivity)
        assert figures["specificity"]["value"] == pytest.approx(specificity)
        p = 0.01 if name == "class2" else len(hits) / len(told)
        assert (figures["prevalence"], figures["prevalence_stated"]) == (pytest.approx(p), name == "class2")
        called = sensitivity * p + (1 - specificity) * (1 - p)
        assert figures["ppv"]["value"] == (pytest.approx(sensitivity * p / called) if called else None)
    printed = run_cli("decide", home / "run").out
    assert "sensitivity" in printed
    assert "* that of these images" in printed


def test_a_threshold_is_that_of_the_validation_part_and_judged_on_the_test_part(home):
    document = found(home / "run", "--positive", "class1", "--positive", "class2", "--sensitivity", "0.9")
    screening = document["screening"]
    assert run_cli("evaluate", home / "run", "--part", "validation").status == 0
    known = predictions(home / "run" / "evaluation" / "validation")
    positive = sorted(float(row["p_class1"]) + float(row["p_class2"]) for row in known if row["true"] != "class0")
    # The floor((n + 1) x 0.1)-th smallest of n positives.
    assert screening["thresholds"][0]["threshold"] == pytest.approx(positive[int((len(positive) + 1) * 0.1) - 1])
    answers = rows(home / "run" / "evaluation" / "test" / "decisions.csv")
    hits = [row["positive"] == "yes" for row in answers if row["true"] != "class0"]
    assert screening["sensitivity"]["value"] == pytest.approx(np.mean(hits))
    assert screening["true_positives"] == sum(hits)
    printed = run_cli("decide", home / "run", "--positive", "class1").out
    assert "Positive is class1" in printed
    assert "takes 19: every answer is then positive" in printed


def test_least_cost_is_decided_and_told(home, tmp_path):
    table = tmp_path / "costs.csv"
    table.write_text("true,class0,class1,class2\nclass0,0,1,1\nclass1,1,0,1\nclass2,500,1000,0\n")
    document = found(home / "run", "--costs", table)
    answers = rows(home / "run" / "evaluation" / "test" / "decisions.csv")
    cost = {name: dict(zip(("class0", "class1", "class2"), row, strict=True)) for name, row in
            {"class0": (0, 1, 1), "class1": (1, 0, 1), "class2": (500, 1000, 0)}.items()}  # fmt: skip
    mean = np.mean([cost[row["true"]][row["least_cost"]] for row in answers])
    assert document["costs"]["decided"]["value"] == pytest.approx(mean)
    assert sum(row["least_cost"] == "class2" for row in answers) >= sum(row["true"] == "class2" for row in answers)
    assert "saved" in run_cli("decide", home / "run", "--costs", table).out


def test_abundance_stands_beside_the_truth(home):
    abundance = found(home / "run")["abundance"]
    assert sum(row["corrected"]["value"] for row in abundance["classes"].values()) == pytest.approx(1)
    assert abundance["true"] == pytest.approx([1 / 3] * 3)
    assert "corrected %" in run_cli("decide", home / "run").out


def test_folds_decide_by_their_own_validation_parts_and_are_pooled(home):
    document = found(home / "folds", "--positive", "class2", "--sensitivity", "0.8")
    assert document["n"] == 120
    assert len(document["screening"]["thresholds"]) == 3
    one = found(home / "folds" / "fold-0", "--positive", "class2", "--sensitivity", "0.8")
    assert one["screening"]["thresholds"][0] == document["screening"]["thresholds"][0]
    pooled = rows(home / "folds" / "evaluation" / "test" / "decisions.csv")
    assert len({row["id"] for row in pooled}) == 120


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--positive", "clas1"), "'clas1' is none of the classes"),
        (("--positive", "class1", "--sensitivity", "95"), "sensitivity is 95"),
        (("--prevalence", "class1"), "--prevalence wants CLASS=SHARE"),
        (("--prevalence", "class1=much"), "--prevalence wants CLASS=SHARE"),
        (("--prevalence", "klass=0.1"), "'klass', which is none of the classes"),
        (("--prevalence", "class1=10"), "prevalence of 'class1' is 10: give a share"),
        (
            ("--positive", "class1", "--positive", "class2", "--prevalence", "class1=0.1"),
            "none for 'class2': give each its share",
        ),
        (("--costs", "nowhere.csv"), "There is no table of costs"),
    ],
)
def test_a_wrong_question_is_one_sentence(home, args, words):
    assert words in refused("decide", home / "run", *args)


def test_without_a_validation_part_nothing_is_decided(home):
    run = fit(home / "pics.toml", home / "without", "--set", "split.validation=0")
    assert "has no validation part" in refused("decide", run)
