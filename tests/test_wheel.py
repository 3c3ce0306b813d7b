"""What is in the wheel, and that it works where there is no checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


def run(command: list[object], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "BIOCLASS"))}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**clean, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT]
    run(command, folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    """The wheel, installed into a folder of its own; its dependencies are those of this environment."""
    place = wheel.parent / "site"
    run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, wheel], wheel.parent)
    return place


def test_what_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for kind in ("datasets", "recipes", "recipes/studies"):
        stand = {path.name for path in (CHECKOUT / kind).iterdir() if path.suffix in (".toml", ".py")}
        assert {f"bioclass/_shipped/{kind}/{name}" for name in stand} <= names
    code = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "bioclass").rglob("*.py")}
    assert code <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bioclass"}
    assert not [name for name in names if "test" in name or name.endswith((".pyc", ".npz", ".gz"))]


def test_it_works_where_there_is_no_checkout(site: Path, tmp_path: Path) -> None:
    where = run([sys.executable, "-c", "import bioclass; print(bioclass.__file__)"], tmp_path, PYTHONPATH=str(site))
    assert Path(where.stdout.strip()).is_relative_to(site)
    bioclass = [sys.executable, "-m", "bioclass"]
    _fit_and_evaluate(bioclass, tmp_path, PYTHONPATH=str(site))
    entry = [sys.executable, site / "bin" / "bioclass", "--version"]
    assert run(entry, tmp_path, PYTHONPATH=str(site)).stdout.startswith("bioclass 0.")


@pytest.mark.slow
def test_it_installs_into_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    home = tmp_path / "venv" / "bin"
    run([home / "python", "-m", "pip", "install", "--quiet", f"{wheel}[cpu]"], tmp_path)
    _fit_and_evaluate([home / "bioclass"], tmp_path)


def _fit_and_evaluate(bioclass: list[object], folder: Path, **env: str) -> None:
    listed = json.loads(run([*bioclass, "recipes", "list", "--json"], folder, **env).stdout)
    assert {item["name"] for item in listed} >= {"digits-lenet", "mnist-lenet"}
    few = ["--set", "fit.epochs=2", "--workers", 1]
    run([*bioclass, "fit", "digits-lenet", *few], folder, **env)
    result = json.loads(run([*bioclass, "evaluate", "runs/digits-lenet", "--json"], folder, **env).stdout)
    assert result["models"][0]["accuracy"]["value"] > 0.8
