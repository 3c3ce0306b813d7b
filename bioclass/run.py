"""The run folder: everything that one fit decided and found, self-contained and safe to open.

``recipe.toml`` (fully resolved), ``card.toml``, ``split.csv`` (every id and its part), ``preprocess.json``,
``environment.json``, with their digests in ``manifest.json``; ``history.jsonl`` (a record an epoch) and
``times.jsonl`` (how long each took); the checkpoints ``best/`` and ``last/``; ``evaluation/<part>/``.
Nothing in it is a pickle, and opening it executes nothing.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.card import PARTS, Card, parse_card
from bioclass.checkpoint import Checkpoint, load_checkpoint
from bioclass.errors import InputError, RunError
from bioclass.files import read_sealed, read_verified, sha256, sync_folder, write_atomic, write_sealed
from bioclass.preprocess import Plan
from bioclass.recipe import Recipe
from bioclass.samples import Samples
from bioclass.validation import parse_toml, validate

FORMAT = "bioclass run"
VERSION = 1
DOCUMENTS = ("recipe.toml", "card.toml", "split.csv", "preprocess.json", "environment.json")


@dataclass(frozen=True)
class SplitTable:
    """``split.csv``: ids (N,), parts (N,), labels (N,) as indices of the classes."""

    ids: npt.NDArray[np.str_]
    parts: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """An opened run folder."""

    path: Path
    recipe: Recipe
    card: Card
    plan: Plan
    environment: dict[str, Any]
    _split: bytes

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the network's outputs."""
        return self.card.class_names

    @cached_property
    def split(self) -> SplitTable:
        """Which id is in which part."""
        index = {name: i for i, name in enumerate(self.classes)}
        try:
            rows = list(csv.DictReader(io.StringIO(self._split.decode(), newline="")))
            return SplitTable(
                np.array([row["id"] for row in rows], dtype=np.str_),
                np.array([check_part(row["part"]) for row in rows], dtype=np.str_),
                np.array([index[row["label"]] for row in rows], dtype=np.int64),
            )
        except (ValueError, KeyError, csv.Error, RunError) as problem:
            # Its digest is right, so it was not bioclass that wrote it.
            raise RunError(f"{self.path / 'split.csv'} is not a split of this run's dataset: {problem}.") from None

    def recorded_root(self) -> Path | None:
        """Return the folder of the data that the run was fitted on, if there is one on this machine."""
        root = Path(str(self.environment.get("root", "")))
        return root if root.is_dir() else None

    def last(self) -> Checkpoint | None:
        """Return the state to resume from, or None if nothing was saved yet."""
        return load_checkpoint(self.path / "last")

    def best(self) -> Checkpoint:
        """Return the weights to predict with.

        Raises:
            RunError: none were saved yet, or they are damaged.
        """
        checkpoint = load_checkpoint(self.path / "best")
        if checkpoint is None:
            raise RunError(
                f"The run {self.path} has no trained weights yet: "
                f"let `bioclass fit ... --run {self.path} --resume` finish an epoch first."
            )
        return checkpoint

    def verify(self) -> None:
        """Read everything that a fit saved; opening a run has read the documents alone.

        Raises:
            RunError: a file is damaged or missing, or nothing was saved yet.
        """
        self.best()
        last = self.last()
        if last is None:
            raise RunError(
                f"The run {self.path} has no last/manifest.json: its first epoch was not finished, or the folder "
                "is not complete. Continue the fit with --resume, or copy the run again."
            )
        self._records(last)
        _ = self.split

    def history(self) -> list[dict[str, Any]]:
        """Return the records of the epochs that the last checkpoint has seen."""
        last = self.last()
        return [] if last is None else self._records(last)

    def _records(self, last: Checkpoint) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in history_lines(self.path, last)]
        except (ValueError, RecursionError):
            raise RunError(f"{self.path / 'history.jsonl'} is not the history that bioclass writes.") from None

    def match(self, samples: Samples) -> npt.NDArray[np.str_]:
        """Return the part of each of these samples, (N,), as the run's split has it.

        Raises:
            RunError: the data is not the data that the run was fitted on.
        """
        split = self.split
        if len(samples) == len(split.ids) and np.array_equal(samples.ids, split.ids):
            if not np.array_equal(samples.labels, split.labels):
                changed = np.flatnonzero(samples.labels != split.labels)
                raise RunError(
                    f"{len(changed)} label(s) are not those that {self.path} was fitted on, the first that of "
                    f"{samples.ids[changed[0]]!r}: give the original data with --root, or fit again."
                )
            return split.parts
        missing = sorted(set(split.ids.tolist()) - set(samples.ids.tolist()))
        added = sorted(set(samples.ids.tolist()) - set(split.ids.tolist()))
        example = f"{missing[0]!r} is missing" if missing else f"{added[0]!r} is new" if added else "order"
        raise RunError(
            f"The data is not what {self.path} was fitted on: {len(missing)} images are missing and "
            f"{len(added)} are new ({example}). Give the original data with --root; "
            "to classify new images use `bioclass predict`."
        )


def create_run(
    path: Path,
    recipe: Recipe,
    card: Card,
    samples: Samples,
    parts: npt.NDArray[np.str_],
    plan: Plan,
    environment: dict[str, Any],
) -> Run:
    """Write a new run folder; it appears under its name only when it is whole.

    Raises:
        RunError: the folder exists already, or cannot be written.
    """
    texts = {
        "recipe.toml": recipe.to_toml(),
        "card.toml": card.to_toml(),
        "split.csv": _split_csv(samples, parts, card.class_names),
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        for name, data in documents.items():
            write_atomic(temporary / name, data)
        digests = {name: sha256(data) for name, data in documents.items()}
        write_sealed(temporary / "manifest.json", {"format": FORMAT, "version": VERSION, "files": digests})
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as problem:
        raise RunError(f"The run folder {path} cannot be written: {problem.strerror}.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return open_run(path)


def refuse_existing(path: Path) -> None:
    """Raise RunError if a new run cannot have this folder."""
    if (path / "manifest.json").is_file():
        raise RunError(f"The run {path} exists: continue it with --resume, or name another folder with --run.")
    if path.exists():
        raise RunError(f"{path} exists and is not a bioclass run: name another folder with --run.")


def open_run(path: Path) -> Run:
    """Open a run folder and verify every document in it.

    Raises:
        RunError: the folder is missing, foreign, of a newer version, or damaged.
    """
    if not (path / "manifest.json").is_file():
        raise _no_run(path)
    manifest = read_sealed(path / "manifest.json")
    if manifest.get("format") != FORMAT or not isinstance(manifest.get("files"), dict):
        raise RunError(f"{path} is not a run folder of bioclass: its manifest.json is of something else.")
    if manifest.get("version") != VERSION:
        raise RunError(f"{path} was written as version {manifest.get('version')}; this bioclass reads {VERSION}.")
    try:
        data = {name: read_verified(path / name, manifest["files"][name]) for name in DOCUMENTS}
        environment = _environment(data["environment.json"])
        return Run(
            path=path,
            recipe=validate(Recipe, parse_toml(data["recipe.toml"].decode()), "recipe.toml", RunError),
            card=parse_card(parse_toml(data["card.toml"].decode()), "card.toml"),
            plan=Plan.from_json(data["preprocess.json"].decode()),
            environment=environment,
            _split=data["split.csv"],
        )
    except RunError:
        raise
    except (ValueError, KeyError, RecursionError, InputError) as problem:
        raise RunError(f"{path} is not a run of this bioclass: {str(problem).rstrip('.')}.") from None


def _environment(data: bytes) -> dict[str, Any]:
    document = json.loads(data)
    kinds = {"device": str, "workers": int, "threads": int, "root": str}
    if not isinstance(document, dict) or not all(
        isinstance(document.get(key), kind) for key, kind in kinds.items()
    ):
        raise ValueError(f"environment.json does not say {', '.join(kinds)}")
    return document


def _no_run(path: Path) -> RunError:
    """The error for a path that is no run folder, with the run folders that may have been meant."""
    if path.is_file():
        return RunError(f"{path} is a file; a run folder is wanted.")
    if not path.is_dir():
        usual = Path("runs") / path
        hint = f" Did you mean {usual}?" if (usual / "manifest.json").is_file() else ""
        return RunError(f"There is no run folder {path}.{hint}")
    inside = sorted(str(found.parent) for found in path.glob("*/manifest.json"))
    runs = [name for name in inside if Path(name).name not in ("best", "last")]
    hint = f" It holds the runs {', '.join(runs[:5])}{' and more' if len(runs) > 5 else ''}." if runs else ""
    return RunError(f"{path} is not a run folder of bioclass: it has no manifest.json.{hint}")


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


def history_lines(path: Path, last: Checkpoint) -> list[str]:
    """Return the lines of ``history.jsonl`` that belong to a checkpoint; later ones were never confirmed.

    Raises:
        RunError: they are missing or not as they were written.
    """
    file = path / "history.jsonl"
    count, digest = last.state.get("records"), last.state.get("history")
    if not isinstance(count, int):
        raise RunError(f"{path / 'last'} is not a checkpoint of bioclass: it counts no records of a history.")
    try:
        lines = file.read_bytes().splitlines(keepends=True)[:count] if file.is_file() else []
    except OSError as problem:
        raise RunError(f"{file} cannot be read: {problem.strerror}.") from None
    if len(lines) != count or sha256(b"".join(lines)) != digest:
        raise RunError(f"{file} is damaged or was edited: it does not fit the digest in last/manifest.json.")
    return [line.decode() for line in lines]


def _split_csv(samples: Samples, parts: npt.NDArray[np.str_], classes: tuple[str, ...]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "part", "label", *(["group"] if samples.groups is not None else [])])
    columns = [samples.ids, parts, [classes[label] for label in samples.labels]]
    if samples.groups is not None:
        columns.append(samples.groups)
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()


def check_part(part: str) -> str:
    """Return the name of a part, or raise RunError."""
    if part not in PARTS:
        raise RunError(f"A part is one of {', '.join(PARTS)}. Got {part!r}.")
    return part
