"""What a fit saves: its best weights, and the state to resume from, not more often than the disk is worth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bioclass.checkpoint import Kept, Tensors, save_checkpoint
from bioclass.fit.task import Task, Trainer
from bioclass.run import Run

EVERY = 20.0
"""Seconds after which a long epoch is saved in between, at the end of a segment."""

PAUSE = 1.0
"""Seconds between two saves at the ends of epochs that are shorter: to save a small head takes longer than them."""


class Saver:
    """Holds the newest best weights and state of a fit until :meth:`write`, or until it ends, however it does."""

    def __init__(self, run: Run, task: Task, trainer: Trainer) -> None:
        self._run = run
        self._trainer = trainer
        # What the run folder has of it stays, whatever becomes of the place that it came from.
        there = {kind: run.path / "last" / kept.file_name(kind) for kind, kept in task.kept.items()}
        self._kept = {
            kind: replace(kept, path=there[kind]) if there[kind].is_file() else kept
            for kind, kept in task.kept.items()
        }
        # The best weights are written first: a state that counts them must find them.
        self._held: dict[str, tuple[Mapping[str, Tensors | Kept], dict[str, Any]]] = {}
        self._written = time.monotonic()

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, *how: object) -> None:
        self.write()

    @property
    def seconds(self) -> float:
        """The time since something was written, or the fit began."""
        return time.monotonic() - self._written

    def best(self, about: dict[str, Any]) -> None:
        """Hold a copy of the weights to predict with, and what is told of them."""
        self._held.pop("last", None)  # of an earlier moment, which would not know of them
        self._held["best"] = {"weights": self._trainer.result(), **self._kept}, about

    def last(self, state: dict[str, Any]) -> None:
        """Hold a copy of all that is needed to go on from here."""
        self._held["last"] = {**self._trainer.tensors(), **self._kept}, state

    def snapshot(self, path: Path, about: dict[str, Any]) -> None:
        """Write a snapshot of the weights to predict with."""
        save_checkpoint(path, {"weights": self._trainer.result(), **self._kept}, about)

    def write(self) -> None:
        """Write what is held; what cannot be written is not tried again."""
        held, self._held = self._held, {}
        for name, (tensors, state) in held.items():
            save_checkpoint(self._run.path / name, tensors, state)
        self._written = time.monotonic()
