"""Evaluation: its figures are scikit-learn's, its ensemble is that of ``combine``, and strangers are refused."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import fit, pictures, refused, run_cli, write_folder, write_png, write_recipe
from PIL import Image
from scipy import stats
from sklearn import metrics as reference

from bioclass.ensemble import METHODS, combine, greedy, vote_weights, weighted_vote
from bioclass.reliability import RULES, fit_conformal, fit_rejection, fit_temperature

OVERALL = {"accuracy", "balanced_accuracy", "macro_f1", "mcc", "cohen_kappa", "log_loss", "ece"}
PER_CLASS = {"precision", "recall", "specificity", "f1", "auc"}


@pytest.fixture(scope="module")
def confused(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Three runs on images that overlap, so that they make different mistakes; evaluated once, with ``--out``."""
    home = tmp_path_factory.mktemp("confused")
    images = pictures(each=40)
    noise = np.random.default_rng(1).normal(0, 35, (len(images), 1, 1))
    write_folder(home / "pics", np.clip(images + noise, 0, 255).astype(np.uint8))
    recipe = write_recipe(home / "recipe.toml", "pics", "optimizer.lr = 0.1\n[split]\ntest = 0.4\n")
    runs = [
        fit(recipe, home / f"run{seed}", "--seed", seed, "--set", f"fit.epochs={4 + seed}") for seed in range(3)
    ]
    result = run_cli("evaluate", *runs, "--json", "--out", home / "ensemble")
    assert result.status == 0, result.err
    return SimpleNamespace(home=home, runs=runs, recipe=recipe, result=result, document=json.loads(result.out))


def table(path: Path) -> tuple[list[str], list[str], list[str], np.ndarray]:
    """Return ids, true and predicted classes, and probabilities of a predictions.csv."""
    with path.open(newline="", encoding="utf-8") as stream:
        head, *rows = list(csv.reader(stream))
    assert head[:3] == ["id", "true", "predicted"]
    columns = list(zip(*rows, strict=True))
    return list(columns[0]), list(columns[1]), list(columns[2]), np.array([row[3:] for row in rows], dtype=float)


def check_against_sklearn(document: dict[str, Any], file: Path) -> None:
    _, true, predicted, p = table(file)
    names = list(document["per_class"])
    assert document["accuracy"]["value"] == pytest.approx(reference.accuracy_score(true, predicted))
    expected = {
        "balanced_accuracy": reference.balanced_accuracy_score(true, predicted),
        "macro_f1": reference.f1_score(true, predicted, average="macro"),
        "mcc": reference.matthews_corrcoef(true, predicted),
        "cohen_kappa": reference.cohen_kappa_score(true, predicted),
        "log_loss": reference.log_loss(true, p, labels=names),
    }
    for name, value in expected.items():
        assert document[name]["value"] == pytest.approx(value, abs=1e-9), name
    assert document["confusion"] == reference.confusion_matrix(true, predicted, labels=names).tolist()
    precision, recall, f1, support = reference.precision_recall_fscore_support(true, predicted, labels=names)
    for k, name in enumerate(names):
        row = document["per_class"][name]
        assert row["precision"]["value"] == pytest.approx(precision[k])
        assert row["recall"]["value"] == pytest.approx(recall[k])
        assert row["f1"]["value"] == pytest.approx(f1[k])
        assert row["support"] == support[k]
        of_class = np.array(true) == name
        assert row["specificity"]["value"] == pytest.approx(np.mean(np.array(predicted)[~of_class] != name))
        assert row["auc"]["value"] == pytest.approx(reference.roc_auc_score(of_class, p[:, k]))


def test_the_json_has_the_promised_form(confused: SimpleNamespace) -> None:
    document = confused.document
    assert [model["run"] for model in document["models"]] == [str(run) for run in confused.runs]
    assert set(document["ensemble"]) == {"MV", "MPS", "MP"}
    for figures in [*document["models"], *document["ensemble"].values()]:
        for name in OVERALL:
            assert set(figures[name]) == {"value", "low", "high"}
        assert list(figures["per_class"]) == ["class0", "class1", "class2"]
        for row in figures["per_class"].values():
            assert set(row) == PER_CLASS | {"support"}
        assert figures["accuracy"]["low"] < figures["accuracy"]["value"] < figures["accuracy"]["high"]


def test_the_talk_is_on_stderr(confused: SimpleNamespace) -> None:
    assert "Evaluating" in confused.result.err
    assert confused.result.out.startswith("{") and confused.result.out.endswith("}\n")


def test_the_figures_are_those_of_scikit_learn(confused: SimpleNamespace) -> None:
    for run, document in zip(confused.runs, confused.document["models"], strict=True):
        check_against_sklearn(document, run / "evaluation/test/predictions.csv")


def test_a_proportion_has_wilsons_interval(confused: SimpleNamespace) -> None:
    first = confused.document["models"][0]
    right = int(np.trace(first["confusion"]))
    wilson = stats.binomtest(right, first["n"]).proportion_ci(method="wilson")
    assert (first["accuracy"]["low"], first["accuracy"]["high"]) == pytest.approx(tuple(wilson))


def test_the_ensemble_is_that_of_the_members_predictions(confused: SimpleNamespace) -> None:
    tables = [table(run / "evaluation/test/predictions.csv") for run in confused.runs]
    assert tables[0][0] == tables[1][0] == tables[2][0]
    names = np.array(["class0", "class1", "class2"])
    for method in METHODS:
        vote = combine([p for *_, p in tables], method)
        _, true, predicted, p = table(confused.home / "ensemble" / f"predictions-{method}.csv")
        assert predicted == names[vote.predicted].tolist()
        np.testing.assert_array_equal(p, vote.probabilities)
        figures = confused.document["ensemble"][method]
        assert figures["accuracy"]["value"] == np.mean(np.array(predicted) == np.array(true))
        check_against_sklearn(figures, confused.home / "ensemble" / f"predictions-{method}.csv")


def test_all_pairs_are_compared_by_mcnemar_and_holm(confused: SimpleNamespace) -> None:
    pairs = confused.document["comparisons"]
    names = [str(run) for run in confused.runs]
    assert [(pair["a"], pair["b"]) for pair in pairs] == [
        (names[0], names[1]),
        (names[0], names[2]),
        (names[1], names[2]),
    ]
    right = {}
    for run in confused.runs:
        _, true, predicted, _ = table(run / "evaluation/test/predictions.csv")
        right[str(run)] = np.array(true) == np.array(predicted)
    for pair in pairs:
        a, b = right[pair["a"]], right[pair["b"]]
        only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
        assert (pair["only_a"], pair["only_b"]) == (only_a, only_b)
        p = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
        assert pair["p"] == pytest.approx(p)
    ordered = sorted(pairs, key=lambda pair: pair["p"])
    assert ordered[0]["p_holm"] == pytest.approx(min(1, 3 * ordered[0]["p"]))


def test_the_files_hold_what_was_printed(confused: SimpleNamespace) -> None:
    assert json.loads((confused.home / "ensemble/metrics.json").read_text()) == confused.document
    first = confused.document["models"][0]
    written = json.loads((confused.runs[0] / "evaluation/test/metrics.json").read_text())
    assert written["part"] == "test" and written["accuracy"] == first["accuracy"]
    rows = list(csv.reader((confused.runs[0] / "evaluation/test/confusion.csv").read_text().splitlines()))
    assert [[int(x) for x in row[1:]] for row in rows[1:]] == first["confusion"]


def test_the_tables_for_people_hold_the_same_figures(confused: SimpleNamespace) -> None:
    result = run_cli("evaluate", *confused.runs)
    assert result.status == 0
    for figures in (*confused.document["models"], *confused.document["ensemble"].values()):
        assert f"{100 * figures['accuracy']['value']:.2f}" in result.out
    for words in ("specificity", "AUC", "MPS: maximum probability sum", "McNemar", "p (Holm)", "Matthews"):
        assert words in result.out


def test_evaluating_again_gives_the_same(confused: SimpleNamespace) -> None:
    again = run_cli("evaluate", *confused.runs, "--json")
    assert json.loads(again.out) == confused.document


def test_the_ensemble_does_not_depend_on_the_order(confused: SimpleNamespace) -> None:
    again = json.loads(run_cli("evaluate", *reversed(confused.runs), "--json").out)
    assert again["ensemble"] == confused.document["ensemble"]


@pytest.mark.parametrize("part", ["validation", "train"])
def test_another_part(tiny: SimpleNamespace, part: str) -> None:
    document = json.loads(run_cli("evaluate", tiny.run, "--part", part, "--json").out)
    split = (tiny.run / "split.csv").read_text()
    assert document["part"] == part and document["models"][0]["n"] == split.count(f",{part},")
    ids, *_ = table(tiny.run / "evaluation" / part / "predictions.csv")
    assert all(f"{name},{part}," in split for name in ids)


def test_an_unknown_or_absent_part(tiny: SimpleNamespace, tmp_path: Path) -> None:
    assert "train, validation, test, fold. Got 'tset'" in refused("evaluate", tiny.run, "--part", "tset")
    run = fit(tiny.recipe, tmp_path / "run", "--set", "split.validation=0", "--set", "fit.epochs=1")
    assert "has no validation part" in refused("evaluate", run, "--part", "validation")


def test_the_same_run_twice_is_refused(tiny: SimpleNamespace) -> None:
    assert "is given twice" in refused("evaluate", tiny.run, tiny.home / "." / "elsewhere" / ".." / "run0")
    assert "is given twice" in refused("evaluate", tiny.run, f"{tiny.run}/")


def test_runs_of_different_splits_or_classes_are_refused(tiny: SimpleNamespace, tmp_path: Path) -> None:
    other = fit(tiny.recipe, tmp_path / "other", "--set", "split.seed=5", "--set", "fit.epochs=1")
    error = refused("evaluate", tiny.run, other)
    assert str(tiny.run) in error and str(other) in error and "the same [split]" in error
    write_folder(tmp_path / "two", pictures(classes=2), classes=2)
    third = fit(tiny.recipe, tmp_path / "third", "--set", f"dataset={tmp_path / 'two'}", "--set", "fit.epochs=1")
    assert "different classes" in refused("evaluate", tiny.run, third)


def test_a_table_of_one_run_has_no_folder_for_an_ensemble(tiny: SimpleNamespace, tmp_path: Path) -> None:
    assert "give several runs" in refused("evaluate", tiny.run, "--out", tmp_path / "out")


def test_a_run_moved_elsewhere_still_evaluates(tiny: SimpleNamespace, tmp_path: Path) -> None:
    before = json.loads(run_cli("evaluate", tiny.run, "--json").out)["models"][0]
    shutil.copytree(tiny.run, tmp_path / "far" / "away")
    shutil.copytree(tiny.data, tmp_path / "data")
    after = json.loads(run_cli("evaluate", "away", "--root", "../data", "--json", cwd=tmp_path / "far").out)
    assert {**after["models"][0], "run": None} == {**before, "run": None}


def test_data_that_changed_since_is_refused(tiny: SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(tiny.data, tmp_path / "data")
    (tmp_path / "data/class0/00.png").rename(tmp_path / "data/class0/new.png")
    error = refused("evaluate", tiny.run, "--root", tmp_path / "data")
    assert "1 images are missing and 1 are new" in error and "'class0/00.png' is missing" in error
    (tmp_path / "data/class0/new.png").rename(tmp_path / "data/class0/00.png")
    write_png(tmp_path / "data/class0/00.png", np.zeros((13, 12), np.uint8))
    write_png(tmp_path / "data/class0/01.png", np.zeros((12, 12), np.uint16))
    run_cli("evaluate", tiny.run, "--root", tmp_path / "data", "--part", "train")
    shutil.rmtree(tmp_path / "data/class2")
    assert "class2" in refused("evaluate", tiny.run, "--root", tmp_path / "data")
    assert "is not a folder" in refused("evaluate", tiny.run, "--root", tmp_path / "nowhere")


def test_images_of_another_size_are_refused(tiny: SimpleNamespace, tmp_path: Path) -> None:
    write_folder(tmp_path / "data", pictures(each=20, shape=(14, 14)))
    assert "14 x 14" in refused("evaluate", tiny.run, "--root", tmp_path / "data")


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on images of patients, five of each."""
    home = tmp_path_factory.mktemp("cells")
    write_folder(home / "data", pictures(classes=2, each=40), classes=2)
    lines = ["file,diagnosis,patient"]
    lines += [f"class{c}/{i:02}.png,class{c},p{c}{i // 5}" for c in range(2) for i in range(40)]
    (home / "data/labels.csv").write_text("\n".join(lines) + "\n")
    (home / "mine").mkdir()
    (home / "mine/cells.toml").write_text(
        'name = "cells"\ntitle = "Cells"\nclasses = ["class0", "class1"]\ngroup = "patient"\n'
        '[format]\nname = "table"\npath = "file"\nlabel = "diagnosis"\ngroup = "patient"\n'
    )
    recipe = write_recipe(home / "recipe.toml", "cells", "optimizer.lr = 0.1\n[split]\ntest = 0.3\n")
    return fit(recipe, home / "run", "--path", home / "mine", "--root", home / "data", "--set", "fit.epochs=20")


def test_a_grouped_dataset_is_split_and_resampled_by_group(cells: Path) -> None:
    rows = list(csv.DictReader((cells / "split.csv").read_text().splitlines()))
    parts = {row["group"]: set() for row in rows}
    for row in rows:
        parts[row["group"]].add(row["part"])
    assert len(parts) == 16 and all(len(found) == 1 for found in parts.values())
    document = json.loads(run_cli("evaluate", cells, "--json").out)["models"][0]
    assert document["groups"] == sum(found == {"test"} for found in parts.values())
    assert "whole groups" in document["intervals"]["method"]
    assert f"in {document['groups']} groups" in run_cli("evaluate", cells).out


def test_runs_that_share_their_preprocessing_read_the_images_once(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bioclass.evaluate.data as module

    calls = []
    real = module.prepare
    monkeypatch.setattr(module, "prepare", lambda *given: calls.append(given) or real(*given))
    together = json.loads(run_cli("evaluate", *tiny.runs, "--json").out)["models"]
    assert len(calls) == 1 and len(calls[0][0]) == 12  # the test part alone
    alone = json.loads(run_cli("evaluate", tiny.runs[2], "--json").out)["models"]
    assert together[2] == alone[0]


# ---- what is fitted on the validation part


@pytest.fixture(scope="module")
def doubted(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Three runs with a fair validation part that are often wrong; the predictions of every run on both parts."""
    home = tmp_path_factory.mktemp("doubted")
    images = pictures(each=80)
    noise = np.random.default_rng(2).normal(0, 35, (len(images), 1, 1))
    write_folder(home / "pics", np.clip(images + noise, 0, 255).astype(np.uint8))
    recipe = write_recipe(
        home / "recipe.toml", "pics", "optimizer.lr = 0.1\n[split]\ntest = 0.3\nvalidation = 0.4\n"
    )
    runs = [fit(recipe, home / f"run{k}", "--seed", k, "--set", f"fit.epochs={14 - 4 * k}") for k in range(3)]
    for part in ("validation", "test"):
        assert run_cli("evaluate", *runs, "--part", part).status == 0
    seen = {
        part: [whole(run / "evaluation" / part / "predictions.csv") for run in runs]
        for part in ("validation", "test")
    }
    plain = json.loads(run_cli("evaluate", *runs, "--json").out)
    return SimpleNamespace(home=home, recipe=recipe, runs=runs, plain=plain, **seen)


def whole(path: Path) -> SimpleNamespace:
    """The ids, labels and predictions, as indices, and the probabilities of a table of predictions."""
    ids, true, predicted, p = table(path)
    index = {f"class{k}": k for k in range(3)}
    return SimpleNamespace(
        ids=ids, labels=np.array([index[c] for c in true]), predicted=np.array([index[c] for c in predicted]), p=p
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def without(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


def test_calibration_is_fitted_on_validation_and_told_by_test(doubted: SimpleNamespace, tmp_path: Path) -> None:
    result = run_cli("evaluate", *doubted.runs, "--calibrate", "--json", "--out", tmp_path / "out")
    document = json.loads(result.out)
    mean = [
        SimpleNamespace(labels=part[0].labels, p=np.mean([each.p for each in part], axis=0))
        for part in (doubted.validation, doubted.test)
    ]
    pairs = [*zip(doubted.validation, doubted.test, strict=True), mean]
    files = [run / "evaluation/test/predictions-calibrated.csv" for run in doubted.runs]
    for before, figures, (validation, test), file in zip(
        [*doubted.plain["models"], doubted.plain["ensemble"]["MPS"]],
        [*document["models"], document["ensemble"]["MPS"]],
        pairs,
        [*files, tmp_path / "out" / "predictions-MPS-calibrated.csv"],
        strict=True,
    ):
        assert without(figures, "calibration") == before  # what the network itself says is as it was
        found = fit_temperature(validation.p, validation.labels)
        told = figures["calibration"]
        assert told["temperature"] == pytest.approx(found.temperature, rel=1e-6) and told["temperature"] != 1
        assert told["validation"]["log_loss_after"] < told["validation"]["log_loss_before"]
        scaled = whole(file)
        np.testing.assert_allclose(scaled.p, found.apply(test.p), rtol=1e-5)
        assert told["log_loss"]["value"] == pytest.approx(reference.log_loss(test.labels, scaled.p))
        assert told["ece"]["low"] < told["ece"]["value"] < told["ece"]["high"]
    assert "calibration" not in document["ensemble"]["MV"]
    assert not {"answers", "selected"} & {*document, *document["models"][0]}


def test_sets_and_rejection_are_fitted_on_validation_and_told_by_test(doubted: SimpleNamespace) -> None:
    document = json.loads(run_cli("evaluate", doubted.runs[0], "--error-rate", 0.2, "--json").out)["models"][0]
    assert without(document, "answers") == doubted.plain["models"][0]
    answers, validation, test = document["answers"], doubted.validation[0], doubted.test[0]
    rows = rows_of(doubted.runs[0] / "evaluation/test/answers.csv")
    assert [row["id"] for row in rows] == test.ids and answers["error_rate"] == 0.2
    for rule in RULES:
        sets = fit_conformal(validation.p, validation.labels, 0.2, rule).sets(test.p)
        order = np.argsort(-test.p, axis=1)
        written = [row[rule.replace(" ", "_")] for row in rows]
        assert written == [
            "|".join(f"class{k}" for k in o if inside[k]) for inside, o in zip(sets, order, strict=True)
        ]
        inside = sets[np.arange(len(sets)), test.labels]
        assert answers["sets"][rule]["coverage"]["value"] == inside.mean()
        assert answers["sets"][rule]["size"] == pytest.approx(sets.sum(axis=1).mean())
        assert sum(answers["sets"][rule]["sizes"]) == len(rows)
    assert 1 < answers["sets"]["LAC"]["size"] < 3 and 0 < answers["sets"]["LAC"]["single"]["value"] < 1
    rejection = fit_rejection(validation.p, validation.labels, 0.2)
    accepted = rejection.accepts(test.p)
    assert 0 < accepted.sum() < len(rows) and answers["rejection"]["validation"]["n"] == len(validation.labels)
    assert [row["answered"] for row in rows] == ["yes" if yes else "no" for yes in accepted]
    right = test.predicted == test.labels
    assert answers["rejection"]["accuracy"]["value"] == right[accepted].mean() > right.mean()
    curve = rows_of(doubted.runs[0] / "evaluation/test/risk-coverage.csv")
    assert float(curve[-1]["answered"]) == 1 and float(curve[-1]["accuracy"]) == pytest.approx(right.mean())
    assert answers["risk_coverage"]["accuracy_at"]["1"] == pytest.approx(right.mean())
    assert answers["risk_coverage"]["best_aurc"] < answers["risk_coverage"]["aurc"]


def test_answers_are_those_of_the_calibrated_probabilities(doubted: SimpleNamespace) -> None:
    words = ("--calibrate", "--error-rate", 0.2)
    document = json.loads(run_cli("evaluate", doubted.runs[1], *words, "--json").out)["models"][0]
    temperature = fit_temperature(doubted.validation[1].p, doubted.validation[1].labels)
    validation, test = temperature.apply(doubted.validation[1].p), temperature.apply(doubted.test[1].p)
    sets = fit_conformal(validation, doubted.validation[1].labels, 0.2).sets(test)
    assert document["answers"]["sets"]["LAC"]["size"] == pytest.approx(sets.sum(axis=1).mean())
    rows = rows_of(doubted.runs[1] / "evaluation/test/answers.csv")
    np.testing.assert_allclose([float(row["probability"]) for row in rows], test.max(axis=1), rtol=1e-5)


@pytest.mark.parametrize("rule", ["greedy", "weights"])
def test_members_are_selected_on_validation(doubted: SimpleNamespace, tmp_path: Path, rule: str) -> None:
    result = run_cli("evaluate", *doubted.runs, "--select", rule, "--json", "--out", tmp_path)
    document = json.loads(result.out)
    assert without(document, "selected") == doubted.plain
    members, labels = [each.p for each in doubted.validation], doubted.validation[0].labels
    weights = greedy(members, labels).weights if rule == "greedy" else vote_weights(members, labels)
    selected = document["selected"]
    assert [member["run"] for member in selected["members"]] == [str(run) for run in doubted.runs]
    np.testing.assert_allclose([member["weight"] for member in selected["members"]], weights, atol=1e-4)
    assert len(set(weights.round(3))) > 1  # it did choose
    vote = weighted_vote([each.p for each in doubted.test], weights)
    written = whole(tmp_path / f"predictions-{rule}.csv")
    np.testing.assert_allclose(written.p, vote.probabilities, atol=1e-4)
    assert selected["by"] == rule and selected["accuracy"]["value"] == (written.predicted == written.labels).mean()
    losses = [reference.log_loss(labels, p) for p in members]
    assert selected["validation"]["log_loss"]["value"] <= min(losses) + 1e-9
    check_against_sklearn(selected, tmp_path / f"predictions-{rule}.csv")
    assert json.loads((tmp_path / "metrics.json").read_text()) == document


def test_all_of_it_together_in_tables(doubted: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--calibrate", "--error-rate", 0.2, "--select", "greedy")
    out = run_cli("evaluate", *doubted.runs, *words, "--out", tmp_path).out
    document = json.loads((tmp_path / "metrics.json").read_text())
    models = [*document["models"], document["ensemble"]["MPS"], document["selected"]]
    for figures in models:
        assert f"{figures['calibration']['temperature']:.3f}" in out
        assert f"{figures['calibration']['log_loss']['value']:.4f}" in out
        assert f"{figures['answers']['sets']['APS']['size']:.2f}" in out
        assert f"{100 * figures['answers']['rejection']['answered']['value']:.2f}" in out
        assert f"{figures['answers']['risk_coverage']['aurc']:.2e}" in out
    n = len(doubted.validation[0].labels)
    for said in (
        f"Temperature T, fitted on {n} validation images",
        "of which 20 % may miss the true one",
        "of which 20 % may be wrong, with 95 % confidence",
        f"the validation part, {n} images",
        "greedy: ",
    ):
        assert said in out
    for name in ("predictions", "answers", "risk-coverage"):
        assert {f"{name}-MPS.csv", f"{name}-greedy.csv"} <= {path.name for path in tmp_path.iterdir()}


def test_what_the_validation_part_is_too_small_for_is_said(tiny: SimpleNamespace) -> None:
    out = run_cli("evaluate", tiny.run, "--calibrate", "--error-rate", 0.01).out
    n = (tiny.run / "split.csv").read_text().count(",validation,")
    assert f"LAC: it takes 99 validation images, there are {n}; every class is in every set." in out
    assert "LAC by class: 3 of 3 classes have fewer than the 99 validation images" in out
    assert "nothing is answered" in out and "at least 299 images answered without an error" in out
    document = json.loads((tiny.run / "evaluation/test/metrics.json").read_text())
    assert document["answers"]["sets"]["LAC"]["size"] == 3
    assert document["answers"]["rejection"]["validation"]["threshold"] is None


def test_a_temperature_needs_a_mistake(tiny: SimpleNamespace, tmp_path: Path) -> None:
    run = fit(tiny.recipe, tmp_path / "run", "--set", "fit.epochs=30", "--set", "fit.optimizer.lr=0.1")
    out = run_cli("evaluate", run, "--calibrate").out
    assert "T stays 1 where every validation image is right" in out
    told = json.loads((run / "evaluation/test/metrics.json").read_text())["calibration"]
    assert told["temperature"] == 1 and told["validation"]["all_right"]


def test_groups_are_what_an_error_rate_rests_on(cells: Path) -> None:
    parts: dict[str, set[str]] = {"validation": set(), "train": set(), "test": set()}
    for row in rows_of(cells / "split.csv"):
        parts[row["part"]].add(row["group"])
    out = run_cli("evaluate", cells, "--error-rate", 0.05).out
    answers = json.loads((cells / "evaluation/test/metrics.json").read_text())["answers"]
    assert answers["sets"]["LAC"]["validation"] == len(parts["validation"]) < 19
    assert answers["sets"]["LAC"]["size"] == 2
    assert "it takes 19 validation groups" in out and "at least 59 groups answered" in out
    # Of so few groups each counts as one image, however many it has and whether all are right.
    assert answers["rejection"]["validation"]["bound"] == pytest.approx(1 - 0.05 ** (1 / len(parts["validation"])))


def test_what_cannot_be_fitted_is_refused(doubted: SimpleNamespace, tmp_path: Path) -> None:
    run, other = doubted.runs[:2]
    unvalidated = fit(doubted.recipe, tmp_path / "all", "--set", "split.validation=0", "--set", "fit.epochs=1")
    for words in (("--calibrate",), ("--error-rate", 0.1), ("--select", "greedy")):
        error = refused("evaluate", run, unvalidated, *words)
        assert f"{unvalidated} has no validation part" in error and "split.validation above 0" in error
        assert "evaluate test" in refused("evaluate", run, other, "--part", "validation", *words)
    assert "has no validation part" in refused("evaluate", unvalidated, "--calibrate")
    for rate in (0, 1, -1, 5):
        assert f"The error rate is {rate}: give a share" in refused("evaluate", run, "--error-rate", rate)
    assert "greedy, weights. Got 'best'" in refused("evaluate", run, other, "--select", "best")
    assert "give several runs" in refused("evaluate", run, "--select", "greedy")


def test_other_validation_images_are_refused_where_they_matter(doubted: SimpleNamespace, tmp_path: Path) -> None:
    small = fit(doubted.recipe, tmp_path / "small", "--set", "split.validation=0.2", "--set", "fit.epochs=1")
    assert run_cli("evaluate", doubted.runs[0], small).status == 0
    error = refused("evaluate", doubted.runs[0], small, "--select", "weights")
    assert "different images in their validation parts" in error


# ---- snapshots


@pytest.fixture(scope="module")
def cycled(doubted: SimpleNamespace) -> Path:
    settings = ("fit.snapshots=3", "fit.schedule.name=cosine", "fit.epochs=6")
    return fit(doubted.recipe, doubted.home / "cycled", *(word for each in settings for word in ("--set", each)))


def test_snapshots_are_the_members(cycled: Path, doubted: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--snapshots", "--select", "greedy", "--calibrate")
    out = run_cli("evaluate", cycled, *words, "--out", tmp_path).out
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert [(model["run"], model["snapshot"]) for model in document["models"]] == [
        (str(cycled), k) for k in (1, 2, 3)
    ]
    members = [whole(cycled / f"evaluation/test/snapshot-0{k}/predictions.csv") for k in (1, 2, 3)]
    assert members[0].ids == doubted.test[0].ids
    for model, member in zip(document["models"], members, strict=True):
        assert model["accuracy"]["value"] == (member.predicted == member.labels).mean()
    assert not np.allclose(members[0].p, members[1].p) and not np.allclose(members[1].p, members[2].p)
    # The last cycle ends where the training does.
    last = whole(cycled / "evaluation/test/snapshot-03/predictions.csv").p
    from bioclass.devices import contexts
    from bioclass.predict import Predictor
    from bioclass.run import open_run

    run = open_run(cycled)
    assert run.snapshot_count == 3
    vote = combine([member.p for member in members], "MPS")
    np.testing.assert_array_equal(whole(tmp_path / "predictions-MPS.csv").p, vote.probabilities)
    predictor = Predictor(run, contexts("cpu")[0], snapshot=3)
    images = np.stack([np.asarray(Image.open(doubted.home / "pics" / name)) for name in doubted.test[0].ids])
    np.testing.assert_allclose(predictor.probabilities(images[..., None]), last, rtol=1e-5)
    assert f"{cycled} snapshot 2" in out and "3 models and their ensemble" in out


def test_snapshots_of_several_runs_are_combined(cycled: Path, doubted: SimpleNamespace) -> None:
    settings = ("fit.snapshots=2", "fit.schedule.name=cosine", "fit.epochs=2")
    again = fit(doubted.recipe, doubted.home / "again", *(word for each in settings for word in ("--set", each)))
    document = json.loads(run_cli("evaluate", cycled, again, "--snapshots", "--json").out)
    assert len(document["models"]) == 5 and len(document["comparisons"]) == 10


def test_a_run_without_snapshots_is_refused(cycled: Path, doubted: SimpleNamespace) -> None:
    error = refused("evaluate", cycled, doubted.runs[0], "--snapshots")
    assert f"{doubted.runs[0]} kept no snapshots" in error and "fit.snapshots" in error
