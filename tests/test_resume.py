"""Resuming a fit: asked to stop it can go on, finished it stays, and what does not fit the run is refused.

``test_resume_killed`` has those that are killed; apart, so that both files run side by side.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bioclass.files import read_sealed, sha256, write_sealed

FIT = ["fit", "mnist-network3", "--resume", "--set", "dataset=digits", "--set", "preprocess.size=[16,16]"]
FIT += ["--set", "fit.batch_size=8", "--set", "fit.epochs=3"]
FIT += ["--set", "split.validation=0.2", "--set", "fit.optimizer.momentum=0.5", "--device", "cpu"]
NETWORK = ["--set", "network.hidden=[24,24]"]

# Runs the command line, saving after every segment, and kills itself at the n-th call of a function.
WRAPPER = """
import os, pathlib, signal, sys
from bioclass.fit import saver, task
saver.EVERY = saver.PAUSE = 0
where, when, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
owner = {"fill": task.Task, "replace": pathlib.Path, "unlink": pathlib.Path, "open": pathlib.Path}[where]
name, original, calls = where, getattr(owner, where), 0
def deadly(self, *args, **kwargs):
    global calls
    # Calls before the training starts are not the fit's.
    calls += where == "fill" or ".tmp" in str(self) or "safetensors" in str(self) or "history" in str(self)
    if when == "before" and calls == count:
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(self, *args, **kwargs)
    if when == "after" and calls == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
if count:
    setattr(owner, name, deadly)
sys.argv = ["bioclass", *sys.argv[4:]]
from bioclass.cli import main
main()
"""


def launch(
    run: Path, *options: str, kill: tuple[str, str, int] = ("fill", "before", 0), **popen
) -> subprocess.Popen:
    where, when, count = kill
    fit = [*FIT, *options, *([] if any("network." in option for option in options) else NETWORK)]
    command = [sys.executable, "-c", WRAPPER, where, when, str(count), *fit, "--run", str(run)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)


def finish(run: Path, *options: str) -> str:
    process = launch(run, *options)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def outcome(run: Path) -> dict[str, bytes]:
    """Everything that must be equal: weights, optimizer state, history, the split."""
    files = [
        *run.glob("best/*"),
        *run.glob("last/*"),
        *run.glob("snapshots/*/*"),
        run / "history.jsonl",
        run / "split.csv",
        run / "recipe.toml",
    ]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    finish(run, "--workers", "1")
    return run


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_saves_and_says_how_to_go_on(left_alone, tmp_path, number):
    run = tmp_path / "run"
    workers = "1" if number == signal.SIGTERM else "2"
    process = launch(run, "--workers", workers, start_new_session=True)
    wait_for(run / "last" / "manifest.json")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: to every process
    else:
        process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert "Stopped at iteration" in err and "--resume" in err and str(run) in err
    assert "Traceback" not in err
    finish(run)
    if workers == "1":
        assert outcome(run) == outcome(left_alone)


def test_a_finished_run_stays_as_it_is(left_alone):
    before = outcome(left_alone)
    assert "Finished" in finish(left_alone)
    assert outcome(left_alone) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set", "fit.batch_size=9"], "fit.batch_size: 8 in the run, 9 now"),
        (["--seed", "4"], "seed: 0 in the run, 4 now"),
        (["--set", "fit.sampling=balanced"], "fit.sampling: 'shuffled' in the run, 'balanced' now"),
        (["--workers", "2"], "--workers 1; with 2"),
        (["--device", "cpu:0,1"], "--device"),
    ],
)
def test_a_changed_recipe_is_refused_by_key(left_alone, options, says):
    before = outcome(left_alone)
    process = launch(left_alone, *options)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert says in err and "Traceback" not in err
    assert outcome(left_alone) == before


def test_a_device_that_is_not_here_is_one_sentence_on_resume_too(left_alone, tmp_path):
    """A run fitted on a GPU and moved to a machine without one: MXNet itself would abort the process."""
    moved = tmp_path / "moved"
    shutil.copytree(left_alone, moved)
    environment = json.loads((moved / "environment.json").read_text())
    text = json.dumps({**environment, "device": "gpu:0"})
    (moved / "environment.json").write_text(text)
    manifest = read_sealed(moved / "manifest.json")
    manifest["files"]["environment.json"] = sha256(text.encode())
    write_sealed(moved / "manifest.json", manifest)
    for device in ("gpu", "gpu:0", "auto"):
        process = launch(moved, "--device", device)
        out, err = process.communicate()
        assert (process.returncode, out) == (2, "")
        assert "'gpu:0' cannot be used because" in err and "Traceback" not in err


def test_two_fits_of_one_run_at_a_time_are_refused(tmp_path):
    run = tmp_path / "run"
    first = launch(run, "--workers", "1", "--set", "fit.epochs=50")
    wait_for(run / "last" / "manifest.json")
    second = launch(run, "--workers", "1", "--set", "fit.epochs=50")
    _, err = second.communicate()
    first.kill()
    first.communicate()
    assert second.returncode == 2 and "another process" in err
