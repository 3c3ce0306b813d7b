"""``bioclass study`` as a user runs it: every run once, however often it is started, stopped or killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import pictures, refused, run_cli, write_folder

from bioclass.errors import RunError
from bioclass.recipe import load_recipe
from bioclass.shelf import Shelf
from bioclass.study.cells import Cell, plan_study, run_name
from bioclass.study.forecast import Forecast
from bioclass.study.pool import Pool, Tick, last_tick, read_clock
from bioclass.study.prepare import find_data
from bioclass.study.runner import run_cells
from bioclass.study.work import Clock

RECIPE = """
dataset = "pics"
[network]
name = "mlp"
hidden = [8]
activation = "relu"
[fit]
epochs = 3
batch_size = 8
"""
STUDY = """
title = "Rates"
recipe = "tiny.toml"
seeds = [0]
[axes.rate.good]
fit.optimizer.lr = 0.05
[axes.rate.far]
fit.optimizer.lr = 1e25
[axes.net.mlp]
[[tables]]
name = "rates"
title = "Rates"
rows = ["rate"]
baseline = { rate = "far" }
"""
LONG = """
title = "Seeds"
recipe = "tiny.toml"
seeds = [0]
[axes.length.long]
dataset = "many"
fit.epochs = 64
fit.batch_size = 4
[[tables]]
name = "seeds"
title = "Seeds"
rows = ["length"]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with pictures, a recipe, and two studies."""
    home = tmp_path_factory.mktemp("study")
    write_folder(home / "pics", pictures(each=20))
    write_folder(home / "many", pictures(each=200))
    (home / "tiny.toml").write_text(RECIPE)
    (home / "rates.toml").write_text(STUDY)
    (home / "seeds.toml").write_text(LONG)
    return home


def study(home, *words):
    return run_cli("study", *words, cwd=home)


def states(home, name, runs="runs/studies"):
    found = json.loads(study(home, name, "--runs", runs, "--dry-run", "--json").out)
    return {Path(item["run"]).name: item["state"] for item in found}


@pytest.fixture(scope="module")
def ran(home):
    """The first start of a study in which one run diverges."""
    return study(home, "rates.toml", "--jobs", "2")


def test_a_failing_run_does_not_lose_the_others(home, ran):
    assert ran.status == 1
    assert "bioclass: 1 of 2 runs failed:" in ran.err and "training diverged" in ran.err
    assert "Traceback" not in ran.err
    good, far = states(home, "rates.toml").values()
    assert (good, far) == ("finished", "started")
    lines = {line.split()[0]: line for line in ran.out.splitlines() if line}
    assert "1/1" in lines["good"] and "0/1" in lines["far"]
    table = home / "runs" / "studies" / "tables" / "rates" / "rates.json"
    rows = json.loads(table.read_text())["rows"]
    assert rows[0]["seeds"] == 1 and rows[1]["mean"] is None


def test_weights_are_found_before_anything_runs(home):
    """All that is missing is said at once, and each of it once."""
    text = STUDY.replace("fit.optimizer.lr = 0.05", "network.weights = 'here'").replace(
        "fit.optimizer.lr = 1e25", "network.weights = 'there'"
    )
    (home / "weights.toml").write_text(text.replace("seeds = [0]", "seeds = [0, 1]"))
    error = refused("study", "weights.toml", "--runs", "runs/weights", cwd=home)
    assert error.count("no file or folder here") == error.count("no file or folder there") == 1
    assert not (home / "runs" / "weights").exists()


def test_a_finished_run_is_whole(home, ran):
    run = next(path for path in (home / "runs" / "studies").iterdir() if (path / "result.json").is_file())
    result = json.loads((run / "result.json").read_text())
    metrics = json.loads((run / "evaluation" / "test" / "metrics.json").read_text())
    assert result["parts"]["test"]["images"] == metrics["n"] == 12
    assert result["parts"]["test"]["correct"] / 12 == metrics["accuracy"]["value"]
    assert result["parts"]["validation"]["images"] == 5
    assert result["fit_seconds"] > 0 and result["test_seconds"] > 0 and result["jobs"] == 2
    environment = json.loads((run / "environment.json").read_text())
    assert (environment["workers"], environment["threads"]) == (1, 1)
    assert run_cli("evaluate", run, "--json", cwd=home).status == 0


def test_nothing_finished_is_repeated(home, ran):
    """Not even for another study that wants the same recipe, whatever it calls it."""
    run = next(path for path in (home / "runs" / "studies").iterdir() if (path / "result.json").is_file())
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    text = STUDY.replace("good", "fine").replace("far", "also").replace("1e25", "0.05").replace("rate", "speed")
    (home / "other.toml").write_text(text)
    other = study(home, "other.toml", "--jobs", "1")
    assert other.status == 0 and "All 1 runs are there" in other.err
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


def test_tables_alone_run_nothing(home, ran, tmp_path):
    result = study(home, "rates.toml", "--tables", "--json", "--out", tmp_path / "out")
    assert result.status == 0 and "to do" not in result.err
    assert json.loads(result.out)[0]["rows"][0]["seeds"] == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"rates.md", "rates.csv", "rates.json"}


def test_other_settings_are_other_runs_and_other_tables(home, ran):
    planned = study(home, "rates.toml", "--set", "fit.epochs=2", "--dry-run")
    assert "2 missing" in planned.err and "2ep" in planned.out
    written = study(home, "rates.toml", "--set", "fit.epochs=2", "--tables")
    assert "REDUCED: fit.epochs=2" in written.out
    assert (home / "runs" / "studies" / "tables" / "rates,fit.epochs-2" / "rates.md").is_file()


def test_list(home, ran):
    (home / "mine" / "studies").mkdir(parents=True, exist_ok=True)
    (home / "mine" / "studies" / "wrong.toml").write_text("title = 3\n")
    result = study(home, "--list", "--json", "--path", home / "mine")
    assert {item["name"] for item in json.loads(result.out)} >= {"mnist-2017", "quick"}
    assert "Study wrong.toml has" in result.err
    assert "table7-10k" in study(home, "--list").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Name a study; bioclass study --list shows those in reach."),
        (["mnist-2107"], "There is no study 'mnist-2107'; did you mean 'mnist-2017'?"),
        (["none.toml"], "There is no study file none.toml."),
        (["quick", "--only", "augmentatio"], "has no table 'augmentatio'; did you mean 'augmentation'?"),
        (["quick", "--jobs", "0"], "--jobs wants a number of processes, at least 1. Got 0."),
        (["quick", "--jobs", "2", "--cluster", "tcp://x:1"], "--jobs is for this machine"),
        (["quick", "--set", "fit.epoch=3"], "unknown key 'fit.epoch'; did you mean 'epochs'?"),
        (["mnist-2017", "--root", "none"], "The root none is not a folder"),
    ],
)
def test_mistakes_are_one_sentence(home, words, says):
    assert says in refused("study", *words, cwd=home)


def test_data_that_lies_elsewhere_is_not_taken_for_the_same(home, ran, tmp_path):
    other = write_folder(tmp_path / "pics", pictures(each=20))
    says = refused("study", "rates.toml", "--root", other, cwd=home)
    assert "was made of the data in" in says and "--runs" in says
    # Moved data is: the place where it lay is there no more.
    moved = home.rename(home.parent / "moved")
    try:
        cells = plan_study(moved / "rates.toml", Shelf.of()).runs()
        roots = find_data(cells, Pool(moved / "runs" / "studies"), Shelf.of(), None)
        assert set(roots.values()) == {moved / "pics"}
    finally:
        moved.rename(home)


def test_a_changed_run_is_refused(home, ran, tmp_path):
    recipe = load_recipe(home / "tiny.toml", ["fit.optimizer.lr=0.05"])
    pool = Pool(home / "runs" / "studies")
    good = Cell(run_name(recipe), recipe, home)
    assert pool.result(good).images == {"test": 12, "validation": 5}
    other = Cell(good.name, load_recipe(home / "tiny.toml", ["fit.optimizer.lr=0.06"]), home)
    with pytest.raises(RunError, match=r"made with other values of fit\.optimizer\.lr than its name says"):
        pool.result(other)
    predictions = pool.path(good) / "evaluation" / "test" / "predictions.csv"
    text = predictions.read_text()
    predictions.write_text(text.replace("class0", "class1", 1))
    with pytest.raises(RunError, match=r"predictions\.csv is damaged or was edited"):
        pool.predictions(good, "test")
    predictions.write_text(text)
    found = pool.predictions(good, "test")
    assert found.correct.sum() == pool.result(good).correct["test"]
    assert found.classes == ("class0", "class1", "class2") and found.probabilities.shape == (12, 3)


# Stopped and killed


def launch(home, runs, *words):
    command = [sys.executable, "-m", "bioclass", "study", "seeds.toml", "--runs", str(runs), *words]
    return subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def iteration(run):
    """How far the last checkpoint of a run is."""
    manifest = run / "last" / "manifest.json"
    return json.loads(manifest.read_text())["state"]["iteration"] if manifest.is_file() else 0


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def test_stopped_and_killed_it_goes_on(home, tmp_path):
    runs = tmp_path / "runs"
    name = plan_study(home / "seeds.toml", Shelf.of()).runs()[0].name
    total = 64 * 432 // 4

    first = launch(home, runs)
    wait_until(lambda: iteration(runs / name) > 0)
    first.send_signal(signal.SIGTERM)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, out) == (1, "")
    assert "Stopped. The same command goes on from here." in err and "Traceback" not in err
    stopped = iteration(runs / name)
    assert stopped < total and not (runs / name / "result.json").exists()

    second = launch(home, runs)
    wait_until(lambda: iteration(runs / name) > stopped)
    second.kill()
    second.communicate()
    # Its process dies with it and lets go of the run.
    wait_until(lambda: not Pool(runs).busy(name), 10)
    assert stopped < iteration(runs / name) < total

    third = run_cli("study", "seeds.toml", "--runs", runs, cwd=home)
    assert third.status == 0 and f"goes on  {name}" in third.err and "starts" not in third.err
    starts = [tick.iteration for tick in read_clock(runs / name) if tick.start]
    assert len(starts) == 3 and starts[0] == 0 and 0 < starts[1] < starts[2] < total
    # As often as in a run left alone; that the bits are the same too, the tests of resuming show.
    history = [json.loads(line) for line in (runs / name / "history.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in history] == list(range(1, 65)) and history[-1]["iteration"] == total


def test_a_run_that_another_study_has_is_waited_for(home, ran, tmp_path):
    pool = Pool(tmp_path / "runs")
    pool.folder.mkdir()
    recipe = load_recipe(home / "tiny.toml")
    cell = Cell(run_name(recipe), recipe, home)
    holding = pool.hold(cell.name)
    holding.__enter__()
    told = []

    class Watch:
        def waiting(self, cells):
            told.append(("waiting", cells))
            # Now the other study finishes it.
            (pool.path(cell)).mkdir()
            (pool.path(cell) / "result.json").write_text("{}")
            holding.__exit__(None, None, None)

        def finished(self, cell):
            told.append(("finished", cell.name))

        def left(self, seconds):
            pass

    assert run_cells([cell], pool, Shelf.of(), {cell.name: None}, 1, Watch()) == {}
    assert told == [("waiting", 1), ("finished", cell.name)]


def test_a_held_run_is_not_run_twice(home, tmp_path):
    pool = Pool(tmp_path)
    with pool.hold("a"):
        assert pool.busy("a") and not pool.busy("b")
    assert not pool.busy("a")


# The clock and the forecast


def test_the_clock_of_a_resumed_run_goes_on(tmp_path):
    notes = [(0, 0.5), (100, 10.5), (200, 20.5), (250, 25.5)]
    lines = [json.dumps({"iteration": i, "total": 1000, "seconds": s}) for i, s in notes]
    (tmp_path / "clock.jsonl").write_text("\n".join(lines) + '\n{"iteration": 2')  # cut short by a kill
    clock = Clock(tmp_path, 1000, 200, time.monotonic() - 5)
    assert read_clock(tmp_path)[-1].seconds == pytest.approx(20.5, abs=0.2)
    clock.note(1000, 0.1)
    assert clock.end() == pytest.approx(20.5, abs=0.2)
    assert read_clock(tmp_path)[-1].iteration == 1000


def test_the_clock_of_a_run_that_fit_made(tmp_path):
    times = [{"epoch": 1, "seconds": 7.0}, {"epoch": 2, "seconds": 6.5}]
    (tmp_path / "times.jsonl").write_text("".join(json.dumps(line) + "\n" for line in times))
    assert Clock(tmp_path, 1000, 1000, time.monotonic() - 5).end() == pytest.approx(13.5, abs=0.2)


def test_the_last_note_of_a_long_clock(tmp_path):
    assert last_tick(tmp_path) is None
    lines = [json.dumps({"iteration": i, "total": 1000, "seconds": i / 10, "start": i == 0}) for i in range(500)]
    (tmp_path / "clock.jsonl").write_text("\n".join(lines) + "\n")
    assert last_tick(tmp_path) == Tick(499, 1000, 49.9)
    assert len(read_clock(tmp_path)) == 500


def test_the_clock_of_a_first_start_holds_the_reading(tmp_path):
    assert Clock(tmp_path, 10, 0, time.monotonic() - 5).end() == pytest.approx(5, abs=0.2)


def test_forecast(home, tmp_path):
    recipe = load_recipe(home / "tiny.toml")
    cells = [Cell(f"c{i}", recipe.model_copy(update={"seed": i}), home) for i in range(6)]
    forecast = Forecast([], Pool(tmp_path))
    assert forecast.seconds(cells[:2], cells[2:], {}, 2) is None
    ticks = {"c0": Tick(50, 100, 20.0), "c1": Tick(1, 100, 5.0)}
    # c0 takes 40 s, so the rest as well: 20 + 40 + 4 x 40 in two processes; of c1 nothing is known yet.
    assert forecast.seconds(cells[:2], cells[2:], ticks, 2) == pytest.approx(110)
    # The last run cannot be shared.
    assert forecast.seconds(cells[:1], [], ticks, 2) == pytest.approx(20)
