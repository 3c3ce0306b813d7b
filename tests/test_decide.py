"""``bioclass decide``: what answers are worth, thresholds, costs and abundance, of a run and of folds."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from conftest import fit, fit_folds, pictures, refused, run_cli, write_folder, write_recipe

from bioclass.files import read_sealed, write_sealed


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


# New images


def predicted(run, *args):
    result = run_cli("predict", run, *args)
    assert result.status == 0, result.err
    return list(csv.DictReader(result.out.splitlines())), result.err


def test_new_images_are_decided_as_those_of_the_test_part_were(home, tmp_path):
    """The test images themselves, as files: the same decisions as ``decide`` wrote down."""
    run = shutil.copytree(home / "run", tmp_path / "run")
    table = tmp_path / "costs.csv"
    table.write_text("true,class0,class1,class2\nclass0,0,20,30\nclass1,1,0,1\nclass2,1,1,0\n")
    screening = found(run, "--positive", "class2", "--sensitivity", "0.9", "--costs", table)["screening"]
    known = rows(run / "evaluation" / "test" / "decisions.csv")
    told, said = predicted(run, *(home / "pics" / row["id"] for row in known), "--decide")
    assert [(row["positive"], row["least_cost"]) for row in told] == [
        (row["positive"], row["least_cost"]) for row in known
    ]
    assert {row["positive"] for row in told} == {"yes", "no"}
    assert any(row["least_cost"] != row["class"] for row in told)
    assert f"from a probability of {screening['thresholds'][0]['threshold']:.4g}, chosen to find 90 %" in said
    # A question replaces what was kept; a look at the figures asks none, and keeps it.
    found(run, "--positive", "class1")
    found(run)
    image = home / "pics" / known[0]["id"]
    again, said = predicted(run, image, "--decide")
    assert "least_cost" not in again[0] and "Positive is class1" in said
    [row] = json.loads(run_cli("predict", run, image, "--decide", "--json").out)["images"]
    assert row["positive"] is (again[0]["positive"] == "yes")
    assert "positive" not in predicted(run, image)[0][0]


def test_calibrated_answers_do_not_move_a_threshold(home, tmp_path):
    run = shutil.copytree(home / "run", tmp_path / "run")
    found(run, "--positive", "class2", "--sensitivity", "0.9")
    assert run_cli("evaluate", run, "--calibrate", "--error-rate", "0.2").status == 0
    alone, both = (
        predicted(run, home / "pics", "--decide")[0],
        predicted(run, home / "pics", "--decide", "--answers")[0],
    )
    assert [row["positive"] for row in alone] == [row["positive"] for row in both]
    assert alone[0]["p_class2"] != both[0]["p_class2"] and "answered" in both[0]


def test_a_fold_alone_decides_by_its_own_threshold(home):
    threshold = found(home / "folds", "--positive", "class2", "--sensitivity", "0.8")["screening"]["thresholds"][1]
    assert f"{threshold['threshold']:.4g}" in predicted(home / "folds" / "fold-1", home / "pics", "--decide")[1]
    assert "--decide is for a single run" in refused("predict", home / "folds", home / "pics", "--decide")


def test_a_promise_that_cannot_be_kept_is_told_again(home, tmp_path):
    run = shutil.copytree(home / "run", tmp_path / "run")
    found(run, "--positive", "class1", "--sensitivity", "0.99")
    told, said = predicted(run, home / "pics", "--decide")
    assert {row["positive"] for row in told} == {"yes"} and "every answer is then positive" in said


def test_decisions_that_were_not_chosen_or_are_of_other_weights_are_refused(home, tmp_path):
    run = shutil.copytree(home / "run", tmp_path / "run", ignore=shutil.ignore_patterns("evaluation"))
    found(run)
    message = refused("predict", run, home / "pics", "--decide")
    assert "Nothing was decided" in message and "with --positive or --costs first" in message
    found(run, "--positive", "class1")
    file = run / "evaluation" / "validation" / "decided.json"
    document = read_sealed(file)
    for broken in ({**document, "screening": {}}, {**document, "costs": "none"}, {"weights": document["weights"]}):
        write_sealed(file, broken)
        assert "is not what bioclass writes" in refused("predict", run, home / "pics", "--decide")
    write_sealed(file, {**document, "weights": "other"})
    assert "was trained on since" in refused("predict", run, home / "pics", "--decide")
    file.write_text(file.read_text().replace("0.95", "0.5"))
    assert "is damaged or was edited" in refused("predict", run, home / "pics", "--decide")
