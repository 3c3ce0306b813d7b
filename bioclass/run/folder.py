"""An opened run folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.card import Card, parse_card
from bioclass.checkpoint import Checkpoint, load_checkpoint
from bioclass.errors import InputError, RunError
from bioclass.files import read_sealed, read_verified, sha256
from bioclass.preprocess import Plan
from bioclass.recipe import Recipe
from bioclass.run.split_table import SplitTable
from bioclass.samples import Samples
from bioclass.validation import parse_toml, validate

FORMAT = "bioclass run"
VERSION = 1
DOCUMENTS = ("recipe.toml", "card.toml", "split.csv", "preprocess.json", "environment.json")


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
        return SplitTable.read(self._split, self.classes, self.path)

    def recorded_root(self) -> Path | None:
        """Return the folder of the data that the run was fitted on, if there is one on this machine."""
        root = Path(str(self.environment.get("root", "")))
        return root if root.is_dir() else None

    def last(self, kept: bool = True) -> Checkpoint | None:
        """Return the state to resume from, or None if nothing was saved yet.

        Without ``kept``, what the fit keeps as it came is verified and not among the weights.
        """
        return load_checkpoint(self.path / "last", kept)

    def best(self, kept: bool = True) -> Checkpoint:
        """Return the weights to predict with; ``kept`` as for :meth:`last`.

        Raises:
            RunError: none were saved yet, or they are damaged.
        """
        checkpoint = load_checkpoint(self.path / "best", kept)
        if checkpoint is None:
            raise RunError(
                f"The run {self.path} has no trained weights yet: "
                f"let `bioclass fit ... --run {self.path} --resume` finish an epoch first."
            )
        return checkpoint

    def best_digest(self) -> str:
        """Return the digest of the best weights, as their manifest has it."""
        return str(read_sealed(self.path / "best" / "manifest.json")["files"]["weights"]["sha256"])

    @property
    def snapshot_count(self) -> int:
        """How many snapshots were kept: weights at the ends of the schedule's cycles."""
        count = 0
        while (self.snapshot_path(count + 1) / "manifest.json").exists():
            count += 1
        return count

    def snapshots(self) -> list[Checkpoint]:
        """Return the snapshots in the order of the training.

        Raises:
            RunError: one is damaged.
        """
        return [self.snapshot(number) for number in range(1, self.snapshot_count + 1)]

    def snapshot(self, number: int, kept: bool = True) -> Checkpoint:
        """Return one snapshot, counted from 1; ``kept`` as for :meth:`last`.

        Raises:
            RunError: it was not kept, or is damaged.
        """
        checkpoint = load_checkpoint(self.snapshot_path(number), kept) if number > 0 else None
        if checkpoint is None:
            raise RunError(
                f"The run {self.path} has no snapshot {number}: it has {self.snapshot_count or 'none'} "
                f"(its recipe asks for {self.recipe.fit.snapshots or 'none'} with fit.snapshots)."
            )
        return checkpoint

    def snapshot_path(self, number: int) -> Path:
        """Return the folder of a snapshot, there or not."""
        return self.path / "snapshots" / f"{number:02d}"

    def verify(self) -> None:
        """Read everything that a fit saved; opening a run has read the documents alone.

        Raises:
            RunError: a file is damaged or missing, or nothing was saved yet.
        """
        self.best(kept=False)
        last = self.last(kept=False)
        if last is None:
            raise RunError(
                f"The run {self.path} has no last/manifest.json: its first epoch was not finished, or the folder "
                "is not complete. Continue the fit with --resume, or copy the run again."
            )
        self._records(last)
        for number in range(1, self._kept(last) + 1):
            self.snapshot(number, kept=False)
        _ = self.split

    def history(self) -> list[dict[str, Any]]:
        """Return the records of the epochs that the last checkpoint has seen."""
        last = self.last(kept=False)
        return [] if last is None else self._records(last)

    def _records(self, last: Checkpoint) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in history_lines(self.path, last)]
        except (ValueError, RecursionError):
            raise RunError(f"{self.path / 'history.jsonl'} is not the history that bioclass writes.") from None

    def _kept(self, last: Checkpoint) -> int:
        kept = last.state.get("snapshots", 0)
        if not isinstance(kept, int):
            raise RunError(f"{self.path / 'last'} is not a checkpoint of bioclass: it counts no snapshots.")
        return kept

    def match(self, samples: Samples) -> npt.NDArray[np.str_]:
        """Return the part of each of these samples, (N,), as the run's split has it.

        Raises:
            RunError: the data is not the data that the run was fitted on.
        """
        return self.split.match(samples, self.path)


def holds_run(path: Path) -> bool:
    """Return whether a folder is that of a run, whole or damaged, and not one that only has a manifest too."""
    return (path / "manifest.json").is_file() and any((path / name).is_file() for name in DOCUMENTS)


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
    if (path.parent / "manifest.json").is_file():
        return RunError(f"{path} is inside a run folder: name {path.parent}.")
    inside = sorted(str(found.parent) for found in path.glob("*/manifest.json"))
    runs = [name for name in inside if Path(name).name not in ("best", "last")]
    hint = f" It holds the runs {', '.join(runs[:5])}{' and more' if len(runs) > 5 else ''}." if runs else ""
    return RunError(f"{path} is not a run folder of bioclass: it has no manifest.json.{hint}")


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
