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
from scipy import stats
from sklearn import metrics as reference

from bioclass.ensemble import METHODS, combine

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
    assert "train, validation, test. Got 'tset'" in refused("evaluate", tiny.run, "--part", "tset")
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


def test_a_grouped_dataset_is_split_and_resampled_by_group(tmp_path: Path) -> None:
    images = pictures(classes=2, each=40)
    write_folder(tmp_path / "data", images, classes=2)
    lines = ["file,diagnosis,patient"]
    lines += [f"class{c}/{i:02}.png,class{c},p{c}{i // 5}" for c in range(2) for i in range(40)]
    (tmp_path / "data/labels.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/cells.toml").write_text(
        'name = "cells"\ntitle = "Cells"\nclasses = ["class0", "class1"]\ngroup = "patient"\n'
        '[format]\nname = "table"\npath = "file"\nlabel = "diagnosis"\ngroup = "patient"\n'
    )
    recipe = write_recipe(tmp_path / "recipe.toml", "cells", "[split]\ntest = 0.3\n")
    run = fit(recipe, tmp_path / "run", "--path", tmp_path / "mine", "--root", tmp_path / "data")
    rows = list(csv.DictReader((run / "split.csv").read_text().splitlines()))
    parts = {row["group"]: set() for row in rows}
    for row in rows:
        parts[row["group"]].add(row["part"])
    assert len(parts) == 16 and all(len(found) == 1 for found in parts.values())
    document = json.loads(run_cli("evaluate", run, "--json").out)["models"][0]
    assert document["groups"] == sum(found == {"test"} for found in parts.values())
    assert "whole groups" in document["intervals"]["method"]
    assert f"in {document['groups']} groups" in run_cli("evaluate", run).out


def test_runs_that_share_their_preprocessing_read_the_images_once(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bioclass.evaluate as module

    calls = []
    real = module.prepare
    monkeypatch.setattr(module, "prepare", lambda *given: calls.append(given) or real(*given))
    together = json.loads(run_cli("evaluate", *tiny.runs, "--json").out)["models"]
    assert len(calls) == 1 and len(calls[0][0]) == 12  # the test part alone
    alone = json.loads(run_cli("evaluate", tiny.runs[2], "--json").out)["models"]
    assert together[2] == alone[0]
