"""A fit that is killed, at whatever moment, and resumed ends as one that was left alone: the same bits."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from test_resume import finish, launch, outcome


def test_killed_again_and_again_ends_with_the_same_bits(tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    finish(whole, "--workers", "1")
    points = [
        ("replace", "before", 2),  # the run folder is not there yet
        ("fill", "before", 20),  # nothing was ever saved
        ("replace", "before", 9),  # within the writing of a checkpoint
        ("replace", "after", 10),
        ("unlink", "after", 5),  # between a checkpoint and the removal of the one before
        ("fill", "before", 75),  # within a segment
        ("open", "after", 8),  # a file just opened, with nothing in it
        ("replace", "after", 13),
    ]
    for kill in points:
        process = launch(run, "--workers", "1", kill=kill)
        _, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, f"{kill} came too late: {err}"
    finish(run, "--workers", "1")
    expected, found = outcome(whole), outcome(run)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert not [path for path in run.rglob("*.tmp")]


def test_two_processes_killed_and_resumed(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole, "--workers", "2")
    process = launch(killed, "--workers", "2", kill=("fill", "before", 130))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert json.loads((killed / "last" / "manifest.json").read_text())["state"]["iteration"] == 100
    # Without --workers the run goes on with as many as it was started with.
    finish(killed)
    assert outcome(killed) == outcome(whole)


def test_killed_with_batch_normalisation_a_moving_average_and_snapshots(tmp_path):
    options = ["--set", "network.name=vgg", "--set", "network.stages=[[16],[16]]", "--set", "fit.average={}"]
    options += ["--set", "fit.schedule.name=one-cycle", "--set", "fit.snapshots=2", "--set", "fit.epochs=1"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole, "--workers", "2", *options)
    for kill in (("fill", "before", 90), ("replace", "after", 2)):
        process = launch(killed, "--workers", "2", *options, kill=kill)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, f"{kill} came too late"
    finish(killed, *options)
    expected = outcome(whole)
    assert {str(Path(name).parent) for name in expected} == {".", "best", "last", "snapshots/01", "snapshots/02"}
    assert outcome(killed) == expected


def test_killed_with_mixed_images(tmp_path):
    """Two processes, of which each mixes with an image of the other's part."""
    options = ["--set", "augment.mix.name=cutmix", "--set", "fit.epochs=1"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole, "--workers", "2", *options)
    process = launch(killed, "--workers", "2", *options, kill=("fill", "before", 90))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    finish(killed, *options)
    assert outcome(killed) == outcome(whole)
