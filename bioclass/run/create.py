"""A new run folder, and the lock of the fit that writes into it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.card import Card
from bioclass.checkpoint import Kept, Tensors, save_checkpoint
from bioclass.errors import RecipeError, RunError
from bioclass.files import sha256, sync_folder, write_atomic, write_sealed
from bioclass.preprocess import Plan
from bioclass.recipe import Recipe
from bioclass.run.folder import FORMAT, VERSION, Run, open_run
from bioclass.run.split_table import split_csv
from bioclass.samples import Samples


def create_run(
    path: Path,
    recipe: Recipe,
    card: Card,
    samples: Samples,
    parts: npt.NDArray[np.str_],
    plan: Plan,
    environment: dict[str, Any],
    checkpoint: tuple[Mapping[str, Tensors | Kept], dict[str, Any]] | None = None,
) -> Run:
    """Write a new run folder; it appears under its name only when it is whole.

    ``checkpoint``, tensors and state, is what the fit resumes from before it has saved one itself.

    Raises:
        RunError: the folder exists already, or cannot be written.
    """
    texts = {
        "recipe.toml": recipe.to_toml(),
        "card.toml": card.to_toml(),
        "split.csv": split_csv(samples, parts, card.class_names),
        "preprocess.json": plan.to_json(),
        "environment.json": json.dumps(environment, indent=2) + "\n",
    }
    try:
        documents = {name: text.encode() for name, text in texts.items()}
    except UnicodeEncodeError as problem:
        # Linux lets a file name be any bytes; a run folder is to be read anywhere.
        line = problem.object[: problem.end].rpartition("\n")[2]
        raise RunError(f"The name {line!r} of an image or class is not text: rename it.") from None
    refuse_existing(path)
    with whole_folder(path, "run folder") as temporary:
        for name, data in documents.items():
            write_atomic(temporary / name, data)
        if checkpoint is not None:
            save_checkpoint(temporary / "last", *checkpoint)
        digests = {name: sha256(data) for name, data in documents.items()}
        write_sealed(temporary / "manifest.json", {"format": FORMAT, "version": VERSION, "files": digests})
    return open_run(path)


@contextmanager
def whole_folder(path: Path, what: str) -> Iterator[Path]:
    """Give a folder to write into, which becomes ``path`` only when all is written; ``what`` names it in errors.

    Raises:
        RunError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as problem:
        raise RunError(f"The {what} {path} cannot be written: {problem.strerror}.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(path: Path) -> None:
    """Raise RunError if a new run cannot have this folder."""
    if (path / "manifest.json").is_file():
        raise RunError(f"The run {path} exists: continue it with --resume, or name another folder with --run.")
    if path.exists():
        raise RunError(f"{path} exists and is not a bioclass run: name another folder with --run.")


def refuse_other_recipe(path: Path, started: Recipe, given: Recipe) -> None:
    """Raise RecipeError, with every key that differs, if a run is to be resumed with another recipe."""
    before, now = started.choices(), given.choices()
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if changed:
        lines = [f"  - {key}: {before.get(key)!r} in the run, {now.get(key)!r} now" for key in changed]
        raise RecipeError(
            f"The run {path} was started with another recipe, so it cannot be resumed with this one:\n"
            + "\n".join(lines)
            + "\nGive the same recipe and settings, or start a new run with --run."
        )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a run folder for one fit; the lock ends with the process, however it ends.

    Raises:
        RunError: another process is fitting this run.
    """
    with (path / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"The run {path} is being fitted by another process.") from None
        yield
