"""The processes of a study and of folds: one after another runs in them, as each would alone."""

from __future__ import annotations

import json
import os
import signal

import psutil
import pytest
from conftest import pictures, write_folder, write_recipe

from bioclass.recipe import load_recipe
from bioclass.run import open_run
from bioclass.shelf import Shelf
from bioclass.study.cells import Cell, run_name
from bioclass.study.child import Child, wait
from bioclass.study.pool import Pool
from bioclass.study.runner import run_cells
from bioclass.study.work import Job

NETWORK = 'name = "network3"\nhidden = [16, 16]'


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Recipes of small networks with dropout, for one set of pictures."""
    home = tmp_path_factory.mktemp("process")
    write_folder(home / "pics", pictures(each=12, shape=(28, 28)))
    for number in range(3):
        write_recipe(home / f"net{number}.toml", "pics", f"average = {{ decay = 0.{number + 7} }}\n", NETWORK)
    return home


def cells(home):
    recipes = [load_recipe(home / f"net{number}.toml") for number in range(3)]
    return [Cell(run_name(recipe), recipe, home) for recipe in recipes]


def job(cell, pool):
    return Job.of(cell, pool, None, Shelf.of(), 1, "cpu")


def answer(child):
    """Wait for the outcome of a child."""
    while (outcome := child.outcome()) is None:
        wait([child], 10)
    return outcome


def process_of(child):
    (found,) = [each for each in psutil.Process().children() if each.pid == child._process.pid]
    return found


def test_runs_in_one_process_are_those_of_a_process_each(home, tmp_path):
    together, alone = Pool(tmp_path / "together"), Pool(tmp_path / "alone")
    first, *others = cells(home)
    child = Child(job(first, together))
    assert answer(child).state == "finished"
    pid = process_of(child).pid
    for cell in others:
        assert child.give(job(cell, together))
        assert answer(child).state == "finished"
    assert process_of(child).pid == pid
    child.close()
    for cell in cells(home):
        single = Child(job(cell, alone))
        assert answer(single).state == "finished"
        single.close()
        runs = [open_run(pool.path(cell)) for pool in (together, alone)]
        assert runs[0].best_digest() == runs[1].best_digest()
        assert runs[0].history() == runs[1].history()
    assert not list(together.folder.glob(".logs/*"))


def test_a_refused_run_leaves_the_process_to_the_next(home, tmp_path):
    pool = Pool(tmp_path)
    first, second, _ = cells(home)
    lost = Cell(first.name, load_recipe(home / "net0.toml", ["dataset=nowhere"]), home)
    child = Child(job(lost, pool))
    outcome = answer(child)
    assert outcome.state == "failed" and "nowhere" in outcome.reason
    assert child.give(job(second, pool))
    assert answer(child).state == "finished"
    child.close()


def test_a_process_that_is_killed_says_so_and_takes_no_more(home, tmp_path):
    pool = Pool(tmp_path)
    first, second, _ = cells(home)
    child = Child(job(first, pool))
    process_of(child).send_signal(signal.SIGKILL)
    outcome = answer(child)
    assert (outcome.state, outcome.reason) == (
        "failed",
        "Its process was killed by signal 9 (memory may have run out: lower --jobs).",
    )
    assert not child.give(job(second, pool))
    child.close()
    assert not pool.busy(second.name)


def test_asked_to_stop_a_process_that_waits_ends(home, tmp_path):
    pool = Pool(tmp_path)
    (first, *_) = cells(home)
    child = Child(job(first, pool))
    answer(child)
    child.stop()
    child.close()
    assert not psutil.pid_exists(child._process.pid)


class Watch:
    """Tells which process each run had."""

    def __init__(self):
        self.done, self.failures = [], []

    def started(self, cell, again):
        pass

    def reached(self, cell, tick):
        pass

    def finished(self, cell):
        self.done.append(cell.name)

    def failed(self, cell, reason):
        self.failures.append((cell.name, reason))

    def waiting(self, cells):
        pass

    def left(self, seconds):
        pass


def test_a_crash_costs_its_own_run_alone(home, tmp_path):
    """The adapter of the second run's dataset ends the process; the third has another."""
    (home / "crash.py").write_text(
        "import os\n"
        "def load(card, root):\n"
        "    (root.parent / 'pids').open('a').write(f'{os.getpid()}\\n')\n"
        "    os._exit(7)\n"
    )
    (home / "crash.toml").write_text(
        'name = "crash"\ntitle = "Crash"\nadapter = "crash"\nclasses = ["class0", "class1"]\n'
    )
    first, _, third = cells(home)
    bad = Cell("bad", load_recipe(home / "net1.toml", ["dataset=crash"]), home)
    watch = Watch()
    pool = Pool(tmp_path)
    order = [first, bad, third]
    roots = {cell.name: home / "pics" for cell in order}
    failures = run_cells(order, pool, Shelf.of([home]), roots, 1, watch, device="cpu")
    assert watch.done == [first.name, third.name]
    assert list(failures) == ["bad"] and "Its process ended with status 7" in failures["bad"]
    assert int((home / "pids").read_text()) != os.getpid()
    assert json.loads((pool.path(third) / "result.json").read_text())["jobs"] == 1
