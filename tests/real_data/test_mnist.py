"""The real MNIST files: found, verified, trained on, evaluated on the official test part."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import fit, refused, run_cli

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def mnist() -> Path:
    """The folder of the four files, from the environment variable BIOCLASS_TEST_DATA."""
    named = os.environ.get("BIOCLASS_TEST_DATA")
    if not named:
        pytest.skip("BIOCLASS_TEST_DATA names no folder of real data")
    folder = Path(named) / "mnist"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    return folder.resolve()


def test_the_official_parts_are_counted(mnist: Path, tmp_path: Path) -> None:
    counts = json.loads(run_cli("datasets", "show", "mnist", "--root", mnist, "--json", cwd=tmp_path).out)["counts"]
    assert sum(row["train"] for row in counts.values()) == 60_000
    assert sum(row["test"] for row in counts.values()) == 10_000
    assert counts["1"] == {"train": 6742, "test": 1135}  # as its authors count them


def test_a_short_training_is_evaluated_on_the_official_test_part(mnist: Path, tmp_path: Path) -> None:
    run = fit("mnist-mlp", tmp_path / "run", "--root", mnist, "--set", "fit.iterations=300")
    result = run_cli("evaluate", run, "--json")
    assert result.status == 0, result.err
    model = json.loads(result.out)["models"][0]
    assert model["n"] == 10_000 and model["per_class"]["1"]["support"] == 1135
    assert model["accuracy"]["low"] > 0.5


def test_a_copy_that_was_cut_short_is_named(mnist: Path, tmp_path: Path) -> None:
    for file in mnist.glob("*ubyte*"):
        shutil.copy(file, tmp_path)
    cut = next(tmp_path.glob("t10k-images*"))
    cut.write_bytes(cut.read_bytes()[:-1000])
    assert str(cut) in refused("fit", "mnist-mlp", "--root", tmp_path, "--run", tmp_path / "run")
