"""``bioclass runs``: which runs are found, how they are filtered and sorted, and what is said of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import fit, fit_folds, refused, run_cli, write_recipe


def write_figures(run: Path, accuracy: float, balanced: float, part: str = "test") -> None:
    """Write what an evaluation finds, as far as the list reads it."""
    folder = run / "evaluation" / part
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        name: {"value": value, "low": value - 0.01, "high": value + 0.01}
        for name, value in (("accuracy", accuracy), ("balanced_accuracy", balanced))
    }
    (folder / "metrics.json").write_text(json.dumps(figures))


@pytest.fixture(scope="module")
def home(tiny: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two networks, one in a study's folder, folds, and what is no run; never change them."""
    home = tmp_path_factory.mktemp("listing")
    runs = home / "runs"
    for name, run, figures in (("good", 0, (0.9, 0.7)), ("fair", 1, (0.8, 0.8))):
        shutil.copytree(tiny.runs[run], runs / name, ignore=shutil.ignore_patterns("evaluation"))
        write_figures(runs / name, *figures)
    shutil.copytree(
        tiny.runs[2], runs / "studies" / "pool" / "new,seed=2", ignore=shutil.ignore_patterns("evaluation")
    )
    recipe = write_recipe(home / "other.toml", str(tiny.data), network='name = "vgg"')
    fit(recipe, runs / "other", "--set", 'fit.select="balanced_accuracy"', "--set", "fit.epochs=1")
    write_figures(runs / "other", 0.6, 0.9)
    fit_folds(recipe, runs / "folds", 'network.name="mlp"', "split.folds=2", "fit.epochs=1")
    (runs / "studies" / "tables").mkdir()
    (runs / ".hidden").mkdir()
    shutil.copytree(tiny.run, runs / ".hidden" / "run")
    for number, name in enumerate(("other", "fair", "good")):
        os.utime(runs / name / "last" / "manifest.json", (1e9 + number * 1e5,) * 2)
        (runs / name / "times.jsonl").write_text(
            f'{{"epoch": 1, "seconds": 99}}\n{{"epoch": 1, "seconds": {number}}}\n{{"epoch": 2, "seconds": 100}}\n'
        )
    return home


def listed(home: Path, *args: object) -> list[dict[str, Any]]:
    result = run_cli("runs", *args, "--json", cwd=home)
    assert result.status == 0, result.err
    found: list[dict[str, Any]] = json.loads(result.out)
    return found


def names(home: Path, *args: object) -> list[str]:
    return [Path(row["run"]).relative_to("runs").as_posix() for row in listed(home, *args)]


def test_runs_are_found_where_studies_and_folds_have_them(home: Path) -> None:
    assert names(home) == ["fair", "folds", "good", "other", "studies/pool/new,seed=2"]
    assert names(home, "runs/folds") == ["folds/fold-0", "folds/fold-1"]
    assert names(home, "runs/studies") == ["studies/pool/new,seed=2"]
    assert names(home, "runs/good") == ["good"]
    rows = {Path(row["run"]).name: row for row in listed(home)}
    assert rows["folds"]["state"] == "2 of 2 folds finished" and rows["folds"]["finished"]
    assert rows["good"]["accuracy"] == {"value": 0.9, "low": 0.89, "high": 0.91}
    assert rows["folds"]["accuracy"] is None and rows["folds"]["seconds"] > 0


def test_the_headline_is_what_the_recipe_chooses_by(home: Path) -> None:
    rows = {Path(row["run"]).name: row["headline"] for row in listed(home)}
    assert rows["other"] == "balanced_accuracy" and rows["good"] == "accuracy"


def test_an_epoch_that_was_done_again_counts_once(home: Path) -> None:
    assert {Path(row["run"]).name: row["seconds"] for row in listed(home)}["good"] == 102


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--state", "evaluated"], ["fair", "good", "other"]),
        (["--state", "unevaluated"], ["folds", "studies/pool/new,seed=2"]),
        (["--network", "v*"], ["other"]),
        (["--network", "m?p", "--state", "evaluated"], ["fair", "good"]),
        (["--dataset", "pi*", "--state", "unevaluated"], ["folds", "studies/pool/new,seed=2"]),
        (["--state", "evaluated", "--sort", "accuracy"], ["good", "fair", "other"]),
        (["--state", "evaluated", "--sort", "balanced"], ["other", "fair", "good"]),
        (["--state", "evaluated", "--sort", "date"], ["good", "fair", "other"]),
        (["--state", "evaluated", "--sort", "time"], ["other", "fair", "good"]),
        (["--state", "unfinished"], []),
        (["--dataset", "mnist"], []),
    ],
)
def test_filters_and_sorts(args: list[str], expected: list[str], home: Path) -> None:
    assert names(home, *args) == expected


def test_what_has_no_figure_comes_last(home: Path) -> None:
    assert names(home, "--sort", "accuracy")[:3] == ["good", "fair", "other"]


def test_the_table_says_the_same(home: Path) -> None:
    result = run_cli("runs", "--sort", "balanced", cwd=home)
    title, head, *rows = result.out.splitlines()
    assert title == "5 runs in runs" and head.split()[0] == "run"
    assert rows[0].split()[:3] == ["other", "pics,", "vgg"]
    assert "60.00 (59.0-61.0)" in rows[0] and "90.00 (89.0-91.0)" in rows[0] and "2001-09-09" in rows[0]
    assert "runs/" not in result.out
    result = run_cli("runs", "--network", "lenet", cwd=home)
    assert (result.status, result.out) == (0, "")
    assert result.err == "None of the 5 runs in runs is of this kind: there are pics mlp, pics vgg.\n"


def test_a_started_run_is_unfinished(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "runs" / "good", tmp_path / "runs" / "new")
    shutil.rmtree(tmp_path / "runs" / "new" / "last")
    [row] = listed(tmp_path, "--state", "unfinished")
    assert (row["state"], row["saved"], row["finished"]) == ("not saved yet", None, False)
    assert run_cli("runs", cwd=tmp_path).status == 0


def test_one_that_cannot_be_read_is_said_and_does_not_stop_the_others(home: Path, tmp_path: Path) -> None:
    for name, file in (("a", "last/manifest.json"), ("b", "manifest.json"), ("c", "times.jsonl")):
        shutil.copytree(home / "runs" / "good", tmp_path / "runs" / name)
        (tmp_path / "runs" / name / file).write_text('{"digest": 1}')
    result = run_cli("runs", "--json", cwd=tmp_path)
    assert [Path(row["run"]).name for row in json.loads(result.out)] == ["c"]
    assert result.err.count("bioclass: ") == 2 and "is damaged" in result.err


def test_an_unknown_word_is_refused(home: Path) -> None:
    assert "did you mean 'accuracy'?" in refused("runs", "--sort", "acuracy", cwd=home)
    assert "--state is one of finished, unfinished" in refused("runs", "--state", "done", cwd=home)
    assert "There is no folder nowhere" in refused("runs", "nowhere", cwd=home)


def test_figures_of_weights_that_were_trained_on_since_are_not_told(home: Path, tmp_path: Path) -> None:
    run = shutil.copytree(home / "runs" / "good", tmp_path / "runs" / "good")
    [before] = listed(tmp_path)
    assert before["accuracy"]["value"] == 0.9
    later = (run / "evaluation" / "test" / "metrics.json").stat().st_mtime + 1
    os.utime(run / "best" / "manifest.json", (later, later))
    [after] = listed(tmp_path)
    assert after["accuracy"] is None
