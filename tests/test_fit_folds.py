"""``bioclass fit --folds``: one folder with a run for every fold, each trained once, stopped or killed or not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import fit_folds, pictures, refused, run_cli, write_folder, write_recipe

from bioclass.errors import RecipeError, RunError
from bioclass.files import write_sealed
from bioclass.recipe import load_recipe
from bioclass.run import create_folds, open_folds, open_run
from bioclass.shelf import Shelf
from bioclass.study.folds import make_folds, reopen_folds
from bioclass.study.pool import Pool


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("folds")
    write_folder(home / "pics", pictures())
    write_recipe(home / "tiny.toml", "pics", "[split]\nvalidation = 0.3\n")
    return home


def made(home, path, *settings):
    return make_folds(load_recipe(home / "tiny.toml", settings), home, path, None, Shelf.of())


@pytest.fixture(scope="module")
def trained(home, tmp_path_factory) -> Path:
    """Two folds, trained by the command line; never change them."""
    folder = tmp_path_factory.mktemp("trained") / "two"
    result = run_cli("fit", home / "tiny.toml", "--folds", 2, "--run", folder, "--jobs", 2, "--json")
    assert result.status == 0, result.err
    assert json.loads(result.out) == {
        "folds": str(folder),
        "synthetic": False,
        "runs": [str(folder / "fold-0"), str(folder / "fold-1")],
    }
    assert "2 of 2 folds to train" in result.err and "(2 of 2" in result.err
    return folder


def test_every_fold_is_a_run_of_its_own(trained, tmp_path):
    folds = open_folds(trained)
    runs = folds.runs()
    assert [run.recipe.split.fold for run in runs] == [0, 1]
    tested = np.stack([run.split.parts == "test" for run in runs])
    assert (tested.sum(axis=0) == 1).all()
    single = run_cli("evaluate", trained / "fold-1", "--json", cwd=tmp_path)
    assert single.status == 0 and json.loads(single.out)["models"][0]["n"] == tested[1].sum()


def test_nothing_is_trained_twice(home, trained):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*") if path.is_file()}
    assert "holds folds already" in refused("fit", home / "tiny.toml", "--folds", 2, "--run", trained)
    again = run_cli("fit", home / "tiny.toml", "--folds", 2, "--run", trained, "--resume")
    assert again.status == 0 and f"bioclass evaluate {trained}" in again.out
    assert before == {path: path.stat().st_mtime_ns for path in trained.rglob("*") if path.is_file()}


def test_other_folds_or_another_recipe_are_refused_by_key(home, trained):
    given = ["fit", home / "tiny.toml", "--run", trained, "--resume", "--folds"]
    assert "split.folds: 2 in the run, 3 now" in refused(*given, 3)
    assert "split.repeats: 1 in the run, 2 now" in refused(*given, 2, "--repeats", 2)
    assert "fit.epochs: 3 in the run, 4 now" in refused(*given, 2, "--set", "fit.epochs=4")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--folds", 1], "split.folds must be greater than or equal to 2. Got 1"),
        (["--folds", "many"], "split.folds must be an integer, or 'groups'. Got 'many'"),
        (["--folds", 13], "'class0' has 12 images for 13 folds: lower split.folds to 12"),
        (["--folds", "groups"], "the images have no groups"),
        (["--folds", 2, "--workers", 2], "give --jobs"),
        (["--folds", 2, "--jobs", 0], "--jobs wants a number of processes, at least 1. Got 0"),
        (["--jobs", 2], "--jobs is for folds"),
        (["--repeats", 2], "go with split.folds"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(home, tmp_path, options, says):
    assert says in refused("fit", home / "tiny.toml", "--run", tmp_path / "run", *options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_something_else_is_left_alone(home, trained, tmp_path):
    (tmp_path / "thesis").mkdir()
    given = ["fit", home / "tiny.toml", "--folds", 2, "--run"]
    assert "is not a bioclass run" in refused(*given, tmp_path / "thesis")
    assert "is not a folder of folds" in refused(*given, tmp_path / "thesis", "--resume")
    assert "is a single run" in refused(*given, trained / "fold-0", "--resume")
    assert f"It holds the runs {trained / 'fold-0'}" in refused(
        "fit", home / "tiny.toml", "--run", trained, "--resume"
    )


def test_folds_that_are_not_trained_to_the_end_are_named(home, tmp_path):
    folds = open_folds(fit_folds(home / "tiny.toml", tmp_path / "half", "split.folds=4", only=[1, 2]))
    with pytest.raises(RunError, match=r"2 of the 4 folds in .* \(fold-0, fold-3\): .* --resume"):
        folds.runs()
    [listed] = json.loads(run_cli("runs", tmp_path, "--json").out)
    assert listed["state"] == "2 of 4 folds finished" and listed["accuracy"] is None
    with pytest.raises(RecipeError, match=r"split\.folds: 4 in the run, 5 now"):
        reopen_folds(load_recipe(home / "tiny.toml", ["split.folds=5"]), folds.path)


def test_a_run_of_another_fold_in_its_place_is_noticed(home, tmp_path):
    folds = open_folds(fit_folds(home / "tiny.toml", tmp_path / "two", "split.folds=2"))
    (folds.path / "fold-0").rename(tmp_path / "away")
    (folds.path / "fold-1").rename(folds.path / "fold-0")
    (tmp_path / "away").rename(folds.path / "fold-1")
    with pytest.raises(RunError, match="is not the fold that"):
        folds.runs()


def test_what_is_no_document_of_folds_is_one_sentence(home, tmp_path):
    file = tmp_path / "folds.json"
    for document, says in (
        ({"format": "bioclass run"}, "is not of bioclass"),
        ({"format": "bioclass folds", "version": 2}, "written as version 2; this bioclass reads 1"),
        ({"format": "bioclass folds", "version": 1}, "is not what bioclass writes"),
    ):
        write_sealed(file, document)
        with pytest.raises(RunError, match=says):
            open_folds(tmp_path)
    file.write_text(file.read_text().replace("1", "3"))
    with pytest.raises(RunError, match="damaged"):
        open_folds(tmp_path)


def test_many_folds_have_names_of_one_width(home, tmp_path):
    recipe = load_recipe(home / "tiny.toml", ["split.folds=6", "split.repeats=2"])
    folds = made(home, tmp_path / "many", "split.folds=6", "split.repeats=2")
    assert folds.names[0] == "fold-00" and folds.names[11] == "fold-11" and folds.repeats == 2
    with pytest.raises(RunError, match="holds folds already"):
        create_folds(folds.path, recipe, folds.folds, home)


def outcome(folder):
    """Everything that must be equal: weights, optimizer state, history, the split."""
    files = [*folder.glob("fold-*/best/*"), *folder.glob("fold-*/last/*"), *folder.glob("fold-*/history.jsonl")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in (*files, *folder.glob("fold-*/split.csv"))}


def test_killed_and_resumed_it_ends_with_the_same_bits(home, tmp_path):
    """The study's runner keeps the processes; here that the folds come back through the verb."""
    settings = ["fit.epochs=300", "fit.batch_size=2", "split.folds=2"]
    whole = fit_folds(home / "tiny.toml", tmp_path / "whole", *settings)
    folder = tmp_path / "killed"
    fit = ["fit", home / "tiny.toml", "--run", folder, "--resume", "--jobs", 1, "--device", "cpu"]
    fit += [word for each in settings for word in ("--set", each)]
    command = [sys.executable, "-m", "bioclass", *map(str, fit)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    saved = folder / "fold-1" / "last" / "manifest.json"
    while not saved.is_file() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    while Pool(folder).busy("fold-1"):  # its process dies with it
        time.sleep(0.01)
    assert not open_run(folder / "fold-1").last().state["finished"]
    result = run_cli(*fit)
    assert result.status == 0 and "goes on  fold-1" in result.err and "fold-0" not in result.err
    assert outcome(folder) == outcome(whole)


def test_a_stop_says_how_to_go_on(home, tmp_path, monkeypatch):
    @contextmanager
    def asked(answer):
        yield lambda: True

    monkeypatch.setattr("bioclass.cli.folds.asked_to_stop", asked)
    result = run_cli("fit", home / "tiny.toml", "--folds", 2, "--run", tmp_path / "two")
    assert result.status == 1 and "give the same command with --resume" in result.err
