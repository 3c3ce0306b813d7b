"""What was chosen on the validation part for a run's best weights, kept in its folder for new images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bioclass.errors import RunError
from bioclass.files import read_sealed, write_sealed
from bioclass.run import Run

T = TypeVar("T")


@dataclass(frozen=True)
class Kept:
    """One document of a run, and what errors call it.

    Attributes:
        name: of its file in ``evaluation/validation``.
        what: is written: "The decisions".
        missing: is said where there is none, before the run: "Nothing was decided for".
        chosen: is said where the weights are others: "its decisions were chosen".
        again: the command that makes it, with ``{run}``.
    """

    name: str
    what: str
    missing: str
    chosen: str
    again: str

    def path(self, run: Run) -> Path:
        """Return its file, there or not."""
        return run.path / "evaluation" / "validation" / self.name

    def save(self, run: Run, document: dict[str, Any]) -> None:
        """Keep a document for the run's best weights; RunError where it cannot be written."""
        path = self.path(run)
        sealed = {"weights": run.best_digest(), **document}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_sealed(path, sealed)
        except OSError as problem:
            raise RunError(f"{self.what} cannot be written into {run.path}: {problem.strerror}.") from None

    def load(self, run: Run, make: Callable[[dict[str, Any]], T]) -> T:
        """Return what ``make`` makes of the document that was saved last.

        Raises:
            RunError: nothing was, or it was for other weights, or is damaged.
        """
        path, again = self.path(run), self.again.format(run=run.path)
        if not path.exists():
            raise RunError(f"{self.missing} {run.path} yet: {again} first.")
        document = read_sealed(path)
        try:
            if document["weights"] != run.best_digest():
                raise RunError(f"The run {run.path} was trained on since {self.chosen}: {again} again.")
            return make(document)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise RunError(f"{path} is not what bioclass writes: {problem}. To mend it, {again}.") from None
