"""The pool: one folder of run folders that studies share, and what each of them has come to."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bioclass.errors import RunError
from bioclass.files import read_sealed, read_verified, sha256, write_sealed
from bioclass.recipe import Recipe
from bioclass.study.cells import Cell
from bioclass.validation import parse_toml, validate

RESULT = "result.json"
CLOCK = "clock.jsonl"
PARTS = ("test", "validation")
State = Literal["missing", "started", "finished"]


@dataclass(frozen=True)
class Predictions:
    """What a run says of one part: ids and labels (N,) and probabilities (N, K); groups (N,) where there are."""

    ids: npt.NDArray[np.str_]
    classes: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    groups: npt.NDArray[np.str_] | None

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each image is classified correctly, (N,)."""
        right: npt.NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.labels
        return right


@dataclass(frozen=True)
class Result:
    """A finished run: its parts' number of images and of correct ones, and how long it took.

    Attributes:
        path: the run folder.
        images: by part.
        correct: by part.
        fit_seconds: from reading the data to the last iteration; time lost by a kill is left out.
        test_seconds: to evaluate the test part.
        jobs: processes that ran at a time.
        environment: of the run.
        synthetic: whether its images are.
    """

    path: Path
    images: dict[str, int]
    correct: dict[str, int]
    fit_seconds: float
    test_seconds: float
    jobs: int
    environment: dict[str, Any]
    synthetic: bool

    @property
    def seconds(self) -> float:
        """Fit and test together, as the study of 2017 has its times."""
        return self.fit_seconds + self.test_seconds

    def accuracy(self, part: str) -> float:
        """Return the share of correct images of a part."""
        return self.correct[part] / self.images[part]


@dataclass(frozen=True)
class Pool:
    """A folder of runs."""

    folder: Path

    def path(self, cell: Cell) -> Path:
        """Return the run folder of a cell."""
        return self.folder / cell.name

    def state(self, cell: Cell) -> State:
        """Return how far a cell has come."""
        path = self.path(cell)
        if (path / RESULT).is_file():
            return "finished"
        return "started" if (path / "manifest.json").is_file() else "missing"

    def result(self, cell: Cell) -> Result | None:
        """Return what a finished cell found, None where it is not finished.

        Raises:
            RunError: the folder is damaged, or holds a run of another recipe.
        """
        path = self.path(cell)
        if not (path / RESULT).is_file():
            return None
        self.refuse_other(cell)
        document = read_sealed(path / RESULT)
        files = read_sealed(path / "manifest.json")["files"]
        try:
            environment = json.loads(read_verified(path / "environment.json", files["environment.json"]))
            card = parse_toml(read_verified(path / "card.toml", files["card.toml"]).decode())
            parts = {str(part): figures for part, figures in document["parts"].items()}
            return Result(
                path,
                {part: int(figures["images"]) for part, figures in parts.items()},
                {part: int(figures["correct"]) for part, figures in parts.items()},
                float(document["fit_seconds"]),
                float(document["test_seconds"]),
                int(document["jobs"]),
                environment,
                bool(card.get("synthetic", False)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise RunError(f"{path / RESULT} is not what bioclass writes: {problem!r}.") from None

    def refuse_other(self, cell: Cell) -> None:
        """Raise RunError if the folder of a cell holds a run of another recipe: the defaults may have changed."""
        path = self.path(cell)
        files = read_sealed(path / "manifest.json").get("files")
        if not isinstance(files, dict) or "recipe.toml" not in files:
            raise RunError(f"{path} is not a run folder of bioclass.")
        text = read_verified(path / "recipe.toml", files["recipe.toml"]).decode()
        theirs = validate(Recipe, parse_toml(text), f"{path / 'recipe.toml'}", RunError).choices()
        ours = cell.recipe.choices()
        changed = sorted(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
        if changed:
            raise RunError(
                f"The run {path} was made with other values of {', '.join(changed)} than its name says: "
                "move it away, or name another folder of runs with --runs."
            )

    def predictions(self, cell: Cell, part: str) -> Predictions:
        """Return what a finished cell predicts for a part.

        Raises:
            RunError: the file is missing or not as it was written.
        """
        path = self.path(cell)
        figures = read_sealed(path / RESULT)["parts"][part]
        data = read_verified(path / "evaluation" / part / "predictions.csv", figures["predictions"])
        header, *rows = csv.reader(io.StringIO(data.decode(), newline=""))
        classes = tuple(name.removeprefix("p_") for name in header[3:])
        index = {name: i for i, name in enumerate(classes)}
        return Predictions(
            np.array([row[0] for row in rows], dtype=np.str_),
            classes,
            np.array([index[row[1]] for row in rows], dtype=np.int64),
            np.array([row[3:] for row in rows], dtype=np.float64),
            self._groups(path, part),
        )

    def _groups(self, path: Path, part: str) -> npt.NDArray[np.str_] | None:
        with (path / "split.csv").open(encoding="utf-8", newline="") as stream:
            header = stream.readline()
            if "group" not in header.strip().split(","):
                return None
            stream.seek(0)
            return np.array([row["group"] for row in csv.DictReader(stream) if row["part"] == part], dtype=np.str_)

    def finish(
        self,
        name: str,
        parts: dict[str, tuple[int, int]],
        fit_seconds: float,
        test_seconds: float,
        jobs: int,
    ) -> None:
        """Write that a run is finished; ``parts`` holds the images and the correct ones by part."""
        path = self.folder / name
        figures = {
            part: {
                "images": images,
                "correct": correct,
                "predictions": sha256((path / "evaluation" / part / "predictions.csv").read_bytes()),
            }
            for part, (images, correct) in parts.items()
        }
        times = {"fit_seconds": round(fit_seconds, 3), "test_seconds": round(test_seconds, 3)}
        write_sealed(path / RESULT, {"parts": figures, **times, "jobs": jobs})

    def lock_file(self, name: str) -> Path:
        """Return the file whose lock a cell holds while it runs."""
        return self.folder / ".locks" / name

    def log_file(self, name: str) -> Path:
        """Return the file that a cell's process writes to, there while it runs and after it failed."""
        return self.folder / ".logs" / f"{name}.txt"

    def busy(self, name: str) -> bool:
        """Return whether a process runs the cell now."""
        try:
            with self.hold(name):
                return False
        except BlockingIOError:
            return True

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold a cell; the lock ends with the process, however it ends.

        Raises:
            BlockingIOError: another process holds it.
        """
        file = self.lock_file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield


@dataclass(frozen=True)
class Tick:
    """A run's clock: the iteration reached, of how many, and the seconds that it took to get there.

    ``start`` marks the first note of a process.
    """

    iteration: int
    total: int
    seconds: float
    start: bool = False


def read_clock(run: Path, tail: int | None = None) -> list[Tick]:
    """Return what a run's clock has noted, or what its last ``tail`` bytes say; a line cut short is left out."""
    try:
        with (run / CLOCK).open("rb") as stream:
            if tail is not None:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - tail))
            lines = stream.read().splitlines()
    except OSError:
        return []
    ticks = []
    for line in lines:
        try:
            ticks.append(Tick(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return ticks


def last_tick(run: Path) -> Tick | None:
    """Return the last note of a run's clock, None where there is none."""
    ticks = read_clock(run, tail=500)
    return ticks[-1] if ticks else None
