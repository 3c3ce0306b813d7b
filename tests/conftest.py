"""What several test files share: the command line in this process, and tiny datasets and runs."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest

from bioclass.cli import main

# The fixtures of a real browser.
pytest_plugins = ("browser",)


class Result(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in another folder; contextlib.chdir is younger than Python 3.10."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_cli(
    *args: object, cwd: Path | None = None, env: dict[str, str] | None = None, report: bool = False
) -> Result:
    """Run ``bioclass`` in this process, where MXNet is imported once; a traceback would fail the test itself.

    ``evaluate`` writes no report unless ``report`` asks for it: its figures take longer than a tiny network.
    """
    if args[:1] == ("evaluate",) and not report and "--help" not in args:
        args = (*args, "--no-report")
    out, err, status = io.StringIO(), io.StringIO(), 0
    # A warning of bioclass is an error here; the command line itself would not show it.
    patched = (
        mock.patch.object(sys, "argv", ["bioclass", *map(str, args)]),
        mock.patch.object(sys, "warnoptions", ["error"]),
    )
    with ExitStack() as stack:
        # What a command sets for MXNet is not to reach the next one.
        for each in (*patched, mock.patch.dict(os.environ, env or {}), inside(cwd or Path.cwd())):
            stack.enter_context(each)
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
    return Result(status, out.getvalue(), err.getvalue())


def refused(*args: object, **where: object) -> str:
    """Run a command that must be refused: status 2, nothing on stdout, one error on stderr, which is returned."""
    result = run_cli(*args, **where)  # type: ignore[arg-type]
    assert result.status == 2, result
    assert result.out == ""
    assert "Traceback" not in result.err
    said = [line for line in result.err.splitlines() if line.startswith("bioclass: ")]
    assert len(said) == 1, result.err
    # From the error to the end: a list of mistakes has several lines.
    return result.err[result.err.index("bioclass: ") :].strip()


def real_folder(name: str) -> Path:
    """A folder of real data, below the one that the environment variable BIOCLASS_TEST_DATA names."""
    return _named_folder("BIOCLASS_TEST_DATA", "real data", name)


def real_weights() -> Path:
    """The folder of real weights, NETWORK.params each, that BIOCLASS_TEST_WEIGHTS names."""
    return _named_folder("BIOCLASS_TEST_WEIGHTS", "real weights")


def _named_folder(variable: str, what: str, *below: str) -> Path:
    named = os.environ.get(variable)
    if not named:
        pytest.skip(f"{variable} names no folder of {what}")
    place = Path(named, *below)
    if not place.is_dir():
        pytest.skip(f"there is no {place}")
    return place.resolve()


Writer = Callable[[Path, np.ndarray], None]


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an image (H, W) or (H, W, 3) of uint8, or (H, W) of uint16."""
    from PIL import Image

    Image.fromarray(image).save(path)


def pictures(
    classes: int = 3, each: int = 12, shape: tuple[int, ...] = (12, 12), dtype: str = "uint8"
) -> np.ndarray:
    """Return images (classes * each, *shape), class by class, that a small network tells apart."""
    rng = np.random.default_rng(7)
    top = float(np.iinfo(dtype).max) if np.dtype(dtype).kind == "u" else 1.0
    level = np.repeat(np.linspace(0.1, 0.7, classes), each)
    values = level.reshape(-1, *[1] * len(shape)) + rng.uniform(0, 0.25, (classes * each, *shape))
    return (values * top).astype(dtype)


def write_folder(
    root: Path, images: np.ndarray, classes: int = 3, suffix: str = ".png", write: Writer = write_png
) -> Path:
    """Write images as one folder a class, ``root/class0/00.png``, and return ``root``."""
    each = len(images) // classes
    for i, image in enumerate(images):
        folder = root / f"class{i // each}"
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{i % each:02}{suffix}", image)
    return root


def write_recipe(path: Path, dataset: str, extra: str = "", network: str = 'name = "mlp"\nhidden = [8]') -> Path:
    """Write a recipe that trains for a moment, and return its path."""
    path.write_text(
        f'dataset = "{dataset}"\n[network]\n{network}\n[fit]\nepochs = 3\nbatch_size = 8\n{extra}', encoding="utf-8"
    )
    return path


def fit(recipe: object, run: Path, *more: object, **where: object) -> Path:
    """Fit a recipe into a run folder, which is returned."""
    result = run_cli("fit", recipe, "--run", run, "--workers", 1, "--device", "cpu", *more, **where)  # type: ignore[arg-type]
    assert result.status == 0, result.err
    return run


def fit_folds(
    recipe: Path, folder: Path, *settings: str, shelf: tuple[Path, ...] = (), only: object = None
) -> Path:
    """Train the folds of a recipe, or those numbered in ``only``, in this process; return their folder."""
    from bioclass.recipe import load_recipe
    from bioclass.shelf import Shelf
    from bioclass.study.folds import fold_cells, make_folds
    from bioclass.study.pool import Pool
    from bioclass.study.work import Job, run_job

    reach = Shelf.of(shelf)
    folds = make_folds(load_recipe(recipe, settings), recipe.parent, folder, None, reach)
    for number, cell in enumerate(fold_cells(folds, recipe.parent)):
        if only is None or number in only:  # type: ignore[operator]
            job = Job.of(cell, Pool(folder), folds.recorded_root(), reach, 1, "cpu")
            assert run_job(job).state == "finished"
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of what ``tiny`` is a copy of."""
    home = tmp_path_factory.mktemp("trained")
    write_folder(home / "pics", pictures(each=20))
    recipe = write_recipe(home / "tiny.toml", "pics")
    for seed in range(3):
        fit(recipe, home / f"run{seed}", "--seed", seed)
    return home


@pytest.fixture(scope="module")
def tiny(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Three runs (``runs``) of a recipe (``recipe``) on a folder of class folders, ``data``; never change the data.

    Every file of tests has its own copy of the runs: commands leave evaluations in them, for other tests to find.
    """
    home = tmp_path_factory.mktemp("tiny")
    runs = [shutil.copytree(trained / f"run{seed}", home / f"run{seed}") for seed in range(3)]
    return SimpleNamespace(home=home, data=trained / "pics", recipe=trained / "tiny.toml", runs=runs, run=runs[0])


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the shipped demonstration, cut short; never change it."""
    run = tmp_path_factory.mktemp("digits") / "run"
    return fit("digits-lenet", run, "--set", "fit.epochs=1", "--set", "fit.schedule.warmup=0")
