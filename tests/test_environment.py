"""What is recorded of the machine, and how many cores are used."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
from bioclass.environment import available_cores, describe_environment, set_threads
before = available_cores()
set_threads(1)
print(before, available_cores(), describe_environment()["cores"])
"""


def cores(**environment: str) -> list[int]:
    clean = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    return [int(word) for word in done.stdout.split()]


def test_setting_threads_does_not_change_what_the_machine_has():
    there = len(os.sched_getaffinity(0))
    assert cores() == [there] * 3


def test_a_user_limits_the_cores():
    assert cores(OMP_NUM_THREADS="1") == [1, 1, 1]
    assert cores(OMP_NUM_THREADS="many") == cores()


def test_the_packages_a_result_depends_on_are_named():
    from bioclass.environment import describe_environment

    packages = describe_environment()["packages"]
    assert {"bioclass", "numpy"} <= packages.keys()
    assert "mxnet" in packages or "mxnet-cu112" in packages
