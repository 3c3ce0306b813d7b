"""A study on the workers of a Dask scheduler: a worker that is killed costs its seconds, and no result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import psutil
import pytest
from conftest import pictures, refused, run_cli, write_folder

from bioclass import __version__
from bioclass.shelf import Shelf
from bioclass.study import cluster
from bioclass.study.cells import plan_study
from bioclass.study.cluster import Wanted, problem_here, serve_job
from bioclass.study.pool import Pool, read_clock
from bioclass.study.work import Job, Outcome

RECIPE = """
dataset = "many"
[network]
name = "mlp"
hidden = [8]
[fit]
epochs = 48
batch_size = 4
"""
STUDY = """
title = "Seeds"
recipe = "tiny.toml"
seeds = [0, 1, 2]
[axes.length.long]
[[tables]]
name = "seeds"
title = "Seeds"
rows = ["length"]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("cluster")
    write_folder(home / "many", pictures(each=150))
    (home / "tiny.toml").write_text(RECIPE)
    (home / "seeds.toml").write_text(STUDY)
    return home


def start(home, name, *words):
    """Start a part of Dask; its words go to a file."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{name}", "--no-dashboard", *words]
    with (home / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=home, stdout=log, stderr=log, start_new_session=True)


@pytest.fixture
def dask(home):
    """The address of a scheduler, and its two workers, which no nanny would start again."""
    file = home / "scheduler.json"
    words = ["--scheduler-file", str(file)]
    processes = [start(home, "scheduler", "--host", "127.0.0.1", "--port", "0", *words)]
    try:
        more = ["--nthreads", "1", "--no-nanny"]
        processes += [start(home, "worker", *words, *more) for _ in range(2)]
        wait_until(lambda: file.is_file() and file.read_text().strip().endswith("}"))
        yield json.loads(file.read_text())["address"], processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def iteration(run):
    manifest = run / "last" / "manifest.json"
    return json.loads(manifest.read_text())["state"]["iteration"] if manifest.is_file() else 0


def test_a_killed_worker_costs_no_result(home, dask, tmp_path):
    address, (victim, _) = dask
    pool = Pool(tmp_path / "runs")
    cells = plan_study(home / "seeds.toml", Shelf.of()).runs()
    command = [sys.executable, "-m", "bioclass", "study", "seeds.toml", "--runs", pool.folder, "--cluster", address]
    study = subprocess.Popen(
        [str(word) for word in command], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    running = lambda: [cell for cell in cells if iteration(pool.path(cell)) > 0]  # noqa: E731
    wait_until(lambda: len(running()) == 2)
    (orphan,) = psutil.Process(victim.pid).children()
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    out, err = study.communicate(timeout=120)
    assert study.returncode == 0, err
    assert not orphan.is_running()
    assert "3/3" in out
    total = 48 * 324 // 4
    starts = {cell.name: [tick.iteration for tick in read_clock(pool.path(cell)) if tick.start] for cell in cells}
    # Each began once, and the one that lost its worker went on elsewhere from its last checkpoint.
    assert all(first == 0 for first, *_ in starts.values())
    again = [later for _, *later in starts.values() if later]
    assert len(again) == 1 and len(again[0]) == 1 and 0 < again[0][0] < total
    for cell in cells:
        assert pool.result(cell).images["test"] == 90
        history = (pool.path(cell) / "history.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in history] == list(range(1, 49))
        assert err.count(f"finished  {cell.name}") == 1
    assert not list(pool.folder.glob(".study-*"))
    # All is there: with the same command nothing runs, and no cluster is wanted.
    done = run_cli("study", "seeds.toml", "--runs", pool.folder, "--cluster", "tcp://127.0.0.1:9", cwd=home)
    assert done.status == 0 and "All 3 runs are there" in done.err


def test_a_worker_says_what_it_lacks(tmp_path):
    token = tmp_path / "token"
    token.touch()
    ready = Wanted(str(token), (str(tmp_path),), __version__)
    assert problem_here(ready) == ""
    assert problem_here(Wanted(str(token), (str(tmp_path / "data"),), __version__)) == (
        f"does not have the folder {tmp_path / 'data'}"
    )
    assert problem_here(Wanted(str(token), (), "0.0")) == f"has bioclass {__version__}, not 0.0"
    token.unlink()
    assert problem_here(ready) == f"does not share the folder of runs {tmp_path}"


def test_a_study_that_has_gone_is_not_worked_for(home, tmp_path):
    (cell, *_) = plan_study(home / "seeds.toml", Shelf.of()).runs()
    job = Job.of(cell, Pool(tmp_path), None, Shelf.of(), 1)
    assert serve_job(job, str(tmp_path / "token")).state == "stopped"
    assert not list(tmp_path.iterdir())


def test_a_study_that_goes_stops_its_workers(home, monkeypatch, tmp_path):
    """It takes its token away; the process of the cell then saves its state."""
    token = tmp_path / "token"
    token.touch()

    class Child:
        stopped = False

        def __init__(self, job):
            token.unlink()

        def outcome(self):
            return Outcome("stopped") if self.stopped else None

        def stop(self):
            self.stopped = True

        def close(self):
            pass

    monkeypatch.setattr(cluster, "Child", Child)
    (cell, *_) = plan_study(home / "seeds.toml", Shelf.of()).runs()
    assert serve_job(Job.of(cell, Pool(tmp_path), None, Shelf.of(), 1), str(token)).state == "stopped"


class Client:
    """A scheduler's client: workers that answer ``problem``, and runs that all end with one ``status``."""

    def __init__(self, status="finished", problem=""):
        self.status = status
        self.problem = problem

    def wait_for_workers(self, n_workers, timeout):
        pass

    def run(self, function, wanted, on_error):
        return {"tcp://a:1": self.problem}

    def nthreads(self):
        return {"tcp://a:1": 2, "tcp://a:2": 1, "tcp://b:1": 2}

    def processing(self):
        return {}

    def submit(self, function, job, token, key, pure):
        assert job.jobs == 3  # of the machine with the most
        return Future(key, self.status)


class Future:
    """A run that has ended."""

    def __init__(self, key, status):
        self.key = key
        self.status = status

    def done(self):
        return True

    def exception(self):
        return RuntimeError("four workers died")


@pytest.fixture
def on_cluster(home, monkeypatch, tmp_path):
    """Run the study on a client's cluster."""

    def _on_cluster(client):
        monkeypatch.setattr(cluster, "_connected", lambda address: nullcontext(client))
        return run_cli("study", "seeds.toml", "--runs", tmp_path, "--cluster", "tcp://s:1", cwd=home)

    return _on_cluster


def test_a_scheduler_that_is_lost_is_one_sentence(on_cluster):
    result = on_cluster(Client(status="cancelled"))
    assert result.status == 1 and "Traceback" not in result.err
    assert "bioclass: The scheduler at tcp://s:1 is gone, or has let go of the runs" in result.err


def test_a_run_that_the_cluster_gives_up_has_failed(on_cluster):
    result = on_cluster(Client(status="error"))
    assert result.status == 1 and "3 of 3 runs failed" in result.err
    assert "The cluster gave it up (RuntimeError: four workers died)." in result.err
    assert "0/3" in result.out


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (
            "does not share the folder of runs /x",
            "The worker tcp://a:1 does not share the folder of runs /x: workers",
        ),
        (ImportError("bioclass"), "The worker tcp://a:1 cannot run bioclass (ImportError('bioclass'))"),
    ],
)
def test_workers_that_lack_something_are_refused(on_cluster, problem, says):
    result = on_cluster(Client(problem=problem))
    assert result.status == 2 and says in result.err


def test_no_scheduler(home, monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    says = refused("study", "seeds.toml", "--runs", tmp_path, "--cluster", "tcp://127.0.0.1:9", cwd=home)
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in says
    says = refused("study", "seeds.toml", "--runs", tmp_path, "--cluster", "nowhere://x", cwd=home)
    assert "No Dask scheduler answers at nowhere://x" in says


def test_without_dask(home, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = run_cli("study", "seeds.toml", "--runs", tmp_path, "--cluster", "tcp://127.0.0.1:9", cwd=home)
    assert result.status == 1
    assert result.err.endswith("bioclass: --cluster needs Dask: pip install 'bioclass[cluster]'.\n")
