"""Runs beside each other: leaderboard, tests, what is said of them, the page, and what is refused."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import fit, fit_folds, pictures, refused, run_cli, write_folder, write_recipe

from bioclass.errors import InputError, RunError
from bioclass.metrics import Estimate
from bioclass.report.comparison import compare_paths, is_single
from bioclass.report.comparison.answers import FIGURES, Answers
from bioclass.report.comparison.board import make_board
from bioclass.report.comparison.entrants import Entrant, Found, find_entrants
from bioclass.report.comparison.tables import differences, recipes, study_tables
from bioclass.report.comparison.words import cautions, findings, method
from bioclass.run import open_run
from bioclass.significance import compare
from bioclass.study.sheet import Sheet


@pytest.fixture(scope="module")
def judged(tiny, tmp_path_factory):
    """Copies of three runs, evaluated, and of one that is not; ``other`` has another network."""
    home = tmp_path_factory.mktemp("judged")
    runs = [shutil.copytree(run, home / "runs" / run.name) for run in tiny.runs]
    new = shutil.copytree(tiny.run, home / "new")
    recipe = write_recipe(home / "other.toml", str(tiny.data), network='name = "mlp"\nhidden = [3]')
    other = fit(recipe, home / "other")
    for run in (*runs, other):
        assert run_cli("evaluate", run, "--root", tiny.data).status == 0
    return SimpleNamespace(home=home, runs=runs, other=other, new=new, folder=home / "runs")


def entrant(judged, name, right, kind="run", ids=None, groups=None):
    """An entrant whose answers are right where ``right`` (A, N) says."""
    right = np.atleast_2d(np.asarray(right, bool))
    n = right.shape[1]
    labels = np.arange(n) % 3
    chosen = np.where(right, labels, (labels + 1) % 3)
    ids = np.array([f"{i:04}" for i in range(n)] if ids is None else ids)
    accuracy = Estimate(float(right.mean()), 0.0, 1.0)
    figures = {key: accuracy if key == "accuracy" else Estimate(0.5, None, None) for key in FIGURES}
    answers = Answers(ids, labels, groups, np.eye(3)[chosen] * 0.9 + 0.1 / 3, figures)
    runs = tuple(open_run(judged.runs[place % 3]) for place in range(len(right)))
    return Entrant(name, judged.runs[0], kind, runs, "test", answers)


def wrong(n, *places):
    right = np.ones(n, bool)
    right[list(places)] = False
    return right


# The command


def test_runs_are_compared_on_a_page_with_files_beside(judged, tmp_path):
    out = tmp_path / "page.html"
    result = run_cli("report", judged.runs[0], judged.other, "--out", out)
    assert result.status == 0, result.err
    assert "run0" in result.out and "other" in result.out and f"Report: {out}" in result.out
    page = out.read_text()
    assert "2 models compared" in page and "Do they differ?" in page and "network.hidden" in page
    # Nothing is fetched: the only addresses are the names of XML.
    assert set(re.findall(r"https?://[\w./-]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    beside = {file.name for file in (tmp_path / "page-files").iterdir()}
    assert {"leaderboard.csv", "differences.csv", "classes.csv", "recipes.csv", "comparison.json"} <= beside
    for stem in ("accuracies", "learning-curves", "roc", "rejection"):
        assert {f"{stem}.png", f"{stem}.svg"} <= beside


def test_the_same_comparison_gives_the_same_bytes(judged, tmp_path):
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written = compare_paths([judged.runs[0], judged.other], tmp_path / name / "page.html", None, "again")
        found.append({file.name: file.read_bytes() for file in written.files})
    assert found[0] == found[1]


def test_json_is_the_whole_comparison_with_the_figures_and_tests_of_evaluate(judged, tiny, tmp_path):
    out = tmp_path / "page.html"
    document = json.loads(run_cli("report", *judged.runs, "--out", out, "--json").out)
    evaluated = json.loads(run_cli("evaluate", *judged.runs, "--root", tiny.data, "--json").out)
    values = [row["accuracy"]["value"] for row in document["leaderboard"]]
    assert values == sorted(values, reverse=True)
    by_run = {model["run"]: model for model in evaluated["models"]}
    for row in document["leaderboard"]:
        assert row["accuracy"] == by_run[row["runs"][0]]["accuracy"]
        assert row["log_loss"] == by_run[row["runs"][0]]["log_loss"]
    tests = {frozenset((str(pair["a"]), str(pair["b"]))): pair for pair in evaluated["comparisons"]}
    assert len(document["comparisons"]) == 3
    for pair in document["comparisons"]:
        theirs = tests[frozenset(str(judged.folder / pair[side]) for side in "ab")]
        assert (pair["p"], pair["p_holm"]) == pytest.approx((theirs["p"], theirs["p_holm"]))
    assert document["recipes"] == {"seed": {f"run{i}": str(i) for i in range(3)}}
    assert all(Path(file).is_file() for file in document["files"])


def test_the_page_holds_the_command_that_makes_it_again(judged, tmp_path):
    strange = shutil.copytree(judged.runs[0], tmp_path / 'it\'s <b>bold</b> & "q"')
    out = tmp_path / "page.html"
    assert run_cli("report", strange, judged.other, "--out", out).status == 0
    page = out.read_text()
    assert "<b>bold" not in page and "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "bioclass report" in page


# What is refused


def test_a_run_that_is_not_evaluated_is_refused_with_the_command_that_mends_it(judged):
    said = refused("report", judged.runs[0], judged.new)
    assert f"{judged.new} was not evaluated on its test part yet: bioclass evaluate {judged.new} first" in said
    said = refused("report", judged.runs[0], judged.other, "--part", "validation")
    assert f"bioclass evaluate {judged.runs[0]} --part validation first" in said


def test_a_run_that_was_trained_on_since_is_refused(judged, tmp_path):
    run = shutil.copytree(judged.runs[0], tmp_path / "run")
    later = (run / "evaluation" / "test" / "predictions.csv").stat().st_mtime + 10
    os.utime(run / "best" / "manifest.json", (later, later))
    assert f"bioclass evaluate {run} again" in refused("report", run, judged.other)


@pytest.mark.parametrize("file", ["predictions.csv", "metrics.json"])
def test_a_foreign_evaluation_is_refused(judged, tmp_path, file):
    run = shutil.copytree(judged.runs[0], tmp_path / "run")
    path = run / "evaluation" / "test" / file
    path.write_text(path.read_text()[:-200])
    assert "is not of" in refused("report", run, judged.other)


def test_other_mistakes_are_one_sentence(judged, tmp_path):
    one, two = judged.runs[0], judged.other
    assert "given twice" in refused("report", one, judged.home / "runs" / ".." / "runs" / "run0")
    assert "no run folder" in refused("report", one, tmp_path / "nothing")
    assert "end in .html" in refused("report", one, two, "--out", tmp_path / "page.pdf")
    assert "make it first" in refused("report", one, two, "--out", tmp_path / "no" / "page.html")
    assert "is a folder" in refused(
        "report", one, two, "--out", (tmp_path / "x.html").mkdir() or tmp_path / "x.html"
    )
    assert "A part is one of" in refused("report", one, two, "--part", "tset")


def test_runs_of_other_classes_answer_other_questions(judged, tmp_path):
    data = write_folder(tmp_path / "two", pictures(classes=2, each=20), classes=2)
    run = fit(write_recipe(tmp_path / "two.toml", "two"), tmp_path / "run")
    assert run_cli("evaluate", run, "--root", data).status == 0
    assert "different classes" in refused("report", judged.runs[0], run)


# Whole folders


def test_in_a_folder_runs_that_differ_in_the_seed_alone_are_one(judged, tmp_path):
    folder = tmp_path / "pool"
    for run in (*judged.runs, judged.other, judged.new):
        shutil.copytree(run, folder / run.name)
    assert not is_single(folder) and is_single(judged.runs[0])
    found = find_entrants([folder], None)
    assert sorted((each.name, each.kind) for each in found.entrants) == [("other", "run"), ("run", "seeds")]
    seeds = next(each for each in found.entrants if each.kind == "seeds")
    assert seeds.answers.right.shape == (3, len(seeds.answers.ids)) and seeds.recipe["seed"] == "0, 1, 2"
    assert len(found.left_out) == 1 and "new" in found.left_out[0] and "not evaluated" in found.left_out[0]
    result = run_cli("report", folder, "--out", tmp_path / "page.html")
    assert result.status == 0 and "3 seeds" in result.out and "not evaluated" in result.err


def test_names_lose_what_all_of_a_folder_begin_with(judged, tmp_path):
    for seed, run in enumerate(judged.runs):
        shutil.copytree(run, tmp_path / "pool" / f"pics-mlp-3ep-wide-seed{seed}-0123456789")
    shutil.copytree(judged.other, tmp_path / "pool" / "pics-mlp-3ep-narrow-seed0-9876543210")
    found = find_entrants([tmp_path / "pool"], None)
    assert sorted(each.name for each in found.entrants) == ["narrow", "wide"]


def test_copies_of_a_run_are_no_seeds(judged, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(judged.runs[0], tmp_path / "pool" / name)
    assert [(each.name, each.kind) for each in find_entrants([tmp_path / "pool"], None).entrants] == [
        ("one", "run"),
        ("two", "run"),
    ]


def test_a_folder_with_nothing_to_compare_is_refused(judged, tmp_path):
    shutil.copytree(judged.new, tmp_path / "pool" / "new")
    said = refused("report", tmp_path / "pool")
    assert "two or more" in said and "bioclass evaluate" in said


def test_the_tables_of_a_study_are_on_the_page(judged, tmp_path):
    folder = shutil.copytree(judged.folder, tmp_path / "pool")
    shutil.copytree(judged.other, folder / "other")
    rows = [["flip | turn", ("99.10", "(98.20-99.50)")], ["none", ("98.00", "(97.00-98.90)")]]
    Sheet("t", "Does it help?", ["steps", ("mean %", "(95 %)")], rows, 1, [], ["p by Holm."]).write(
        folder / "tables/s"
    )
    (found,) = study_tables(folder)
    assert found.title == "Does it help?" and found.notes == ["p by Holm."]
    assert [cell.text for cell in found.table.rows[0]] == ["flip | turn", "99.10 (98.20-99.50)"]
    assert found.table.rows[1][1].sort == 98.0 and found.table.labels == 1
    compare_paths([folder], tmp_path / "page.html", None, "again")
    assert "Does it help?" in (tmp_path / "page.html").read_text()
    (folder / "tables" / "s" / "t.md").write_text("hello")
    with pytest.raises(RunError, match="--tables"):
        study_tables(folder)


# Folds


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    home = tmp_path_factory.mktemp("folded")
    data = write_folder(home / "pics", pictures(each=8))
    folders = []
    for name, hidden in (("wide", 8), ("narrow", 2)):
        recipe = write_recipe(home / f"{name}.toml", "pics", network=f'name = "mlp"\nhidden = [{hidden}]')
        folders.append(
            fit_folds(
                recipe, home / name, "split.folds=2", "split.repeats=2", "split.validation=0.25", "fit.epochs=2"
            )
        )
    evaluated = run_cli("evaluate", *folders, "--root", data, "--json")
    assert evaluated.status == 0, evaluated.err
    return SimpleNamespace(folders=folders, document=json.loads(evaluated.out))


def test_folds_are_compared_by_what_they_held_out(folded, tmp_path):
    written = compare_paths(folded.folders, tmp_path / "page.html", None, "again")
    board = written.board
    assert [place.entrant.answers.right.shape for place in board.places] == [(2, 24)] * 2
    (pair,), (theirs,) = board.pairs, folded.document["comparisons"]
    sign = 1 if theirs["a"].endswith(pair.a) else -1
    assert pair.value.value == pytest.approx(sign * theirs["difference"]["value"])
    assert pair.test == "paired"
    values = {row["folds"]: row["accuracy"] for row in folded.document["models"]}
    for place in board.places:
        assert place.figures["accuracy"].as_dict() == values[str(place.entrant.path)]
        assert "split.fold" not in place.entrant.recipe
    assert "network.hidden" in board.choices


def test_folds_and_a_run_have_other_images(folded, tmp_path):
    run = folded.folders[0] / "fold-0"
    board = make_board(find_entrants([folded.folders[1], run], None))
    assert board.pairs == [] and len(board.sets) == 2


def test_the_folds_have_no_validation_part_in_common(folded):
    assert "was not evaluated on its validation part" in refused("report", *folded.folders, "--part", "validation")


# Ranks, tests and words


def test_every_pair_is_tested_and_adjusted_as_significance_has_it(judged):
    rights = {"a": wrong(60, 1), "b": wrong(60, *range(15)), "c": wrong(60, *range(10, 30))}
    board = make_board(Found([entrant(judged, name, right) for name, right in rights.items()]))
    expected = compare(list("abc"), list(rights.values()))
    assert [(pair.a, pair.b) for pair in board.pairs] == [(each.a, each.b) for each in expected]
    for pair, theirs in zip(board.pairs, expected, strict=True):
        assert (pair.p, pair.p_holm) == pytest.approx((theirs.p, theirs.p_holm))
        assert pair.value.low < pair.value.value < pair.value.high
    said = " ".join(findings(board))
    assert "a has the highest accuracy, 98.33 %" in said
    assert re.search(r"By more than chance it is better than b \(by 23.33 points.*and c \(by 31.67", said)
    assert "exact McNemar" in method(board) and "for all 3 pairs" in method(board)


def test_what_may_be_chance_is_not_called_a_difference_nor_equality(judged):
    board = make_board(Found([entrant(judged, "a", wrong(60, 1)), entrant(judged, "b", wrong(60, 2, 3))]))
    said = " ".join(findings(board))
    assert "Not shown to be better than b" in said and "no proof that they are equal" in said
    assert differences(board).rows[0][1].text == "no difference shown"


def test_groups_make_a_difference_less_certain(judged):
    one, two = wrong(60), wrong(60, *range(12))
    alone = make_board(Found([entrant(judged, "a", one), entrant(judged, "b", two)])).pairs[0]
    groups = np.arange(60) // 12
    (pair,) = make_board(
        Found([entrant(judged, "a", one, groups=groups), entrant(judged, "b", two, groups=groups)])
    ).pairs
    assert alone.test == "McNemar" and alone.differs
    assert pair.test == "paired" and not pair.differs


def test_seeds_bring_their_spread_into_the_test(judged):
    rng = np.random.default_rng(3)
    good = rng.random((3, 300)) < np.array([[0.97], [0.80], [0.90]])
    board = make_board(
        Found([entrant(judged, "wild", good, "seeds"), entrant(judged, "one", rng.random(300) < 0.8)])
    )
    (pair,) = board.pairs
    assert pair.test == "paired" and pair.p > 0.05
    assert pair.value.low < 0 < pair.value.high
    accuracy = board.places[0].figures["accuracy"]
    assert accuracy.high - accuracy.low > 0.1
    assert "one seed is taken to vary" in " ".join(cautions(board))


def test_other_images_are_told_and_not_tested(judged):
    ids = [f"x{i}" for i in range(60)]
    here = [entrant(judged, "a", wrong(60, 1)), entrant(judged, "b", wrong(60, *range(20)))]
    board = make_board(Found([*here, entrant(judged, "c", wrong(60), ids=ids)]))
    assert [(pair.a, pair.b) for pair in board.pairs] == [("a", "b")]
    assert board.first.name == "c"
    said = " ".join(cautions(board))
    assert "Not all were tried on the same images" in said and "c on 60 images" in said
    assert any(text.startswith("a has the highest accuracy of the 2") for text in findings(board))


def test_of_very_many_the_pairs_with_the_best_are_told_and_all_are_adjusted_for(judged):
    rng = np.random.default_rng(1)
    crowd = [entrant(judged, f"m{i:02}", rng.random(80) < 0.8) for i in range(11)]
    board = make_board(Found([*crowd, entrant(judged, "best", wrong(80))]))
    assert len(board.pairs) == 11 and {pair.a for pair in board.pairs} == {"best"}
    assert board.tested == 66 and "all 66 pairs, of which those with the best" in method(board)
    rights = [place.entrant.answers.right[0] for place in board.places]
    expected = compare([place.entrant.name for place in board.places], rights)
    by_pair = {(each.a, each.b): each.p_holm for each in expected}
    assert all(pair.p_holm == pytest.approx(by_pair[pair.a, pair.b]) for pair in board.pairs)


def test_only_what_recipes_choose_differently_is_told(judged):
    found = find_entrants([judged.runs[0], judged.other], None)
    board = make_board(found)
    # The other recipe names its dataset by the path of its folder.
    assert set(board.choices) - {"dataset"} == {"network.hidden"}
    table = recipes(board)
    place = table.heads.index("network.hidden")
    assert {row[0].text: row[place].text for row in table.rows} == {"run0": "[8]", "other": "[3]"}
    same = make_board(Found([replace(found.entrants[0], name=name) for name in "ab"]))
    assert same.choices == {}


def test_synthetic_images_are_told(judged):
    run = open_run(judged.runs[0])
    fake = replace(run, card=run.card.model_copy(update={"synthetic": True}))
    both = [replace(entrant(judged, name, wrong(60, 1)), runs=(fake,)) for name in "ab"]
    assert any("synthetic" in text for text in cautions(make_board(Found(both))))


def test_a_target_is_checked_before_any_work(judged, tmp_path):
    with pytest.raises(InputError, match=r"end in \.html"):
        compare_paths([tmp_path / "nothing"], tmp_path / "page.png", None, "")
