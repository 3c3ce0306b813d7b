"""The images that a network is explained by: some of a part of its data, with what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.answers import softmax
from bioclass.errors import RunError
from bioclass.evaluate.data import Data
from bioclass.explain.explainer import Explainer
from bioclass.networks.graph import Point
from bioclass.predict import in_batches
from bioclass.run import Run, check_part, held_out_part
from bioclass.shelf import Shelf

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

MOST = 2000
"""Images at most; of larger parts so many are drawn by chance."""


@dataclass(frozen=True, eq=False)
class Subject:
    """N images of a part, as they are stored.

    Attributes:
        part: its name.
        kind: what they are, in words: "test images".
        total: how many images it has.
        images: (N, H, W, C).
        ids: (N,).
        labels: (N,) true classes.
    """

    part: str
    kind: str
    total: int
    images: Array
    ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]

    @property
    def words(self) -> str:
        """Which images these are."""
        n = len(self.images)
        drawn = "" if n == self.total else f", drawn by chance from {self.total:,}"
        return f"{n:,} {self.kind}{drawn}"


@dataclass(frozen=True, eq=False)
class Found:
    """What a network computes of the N images of a subject.

    Attributes:
        probabilities: (N, K).
        scores: (N, K).
        features: (N, D), what the last layer takes.
        highest: by point, (N, C): the highest activity of each channel.
        where: by point, (N, C): the place of it, row * width + column.
    """

    probabilities: npt.NDArray[np.float64]
    scores: Floats
    features: Floats
    highest: dict[Point, Floats]
    where: dict[Point, npt.NDArray[np.intp]]

    @property
    def predicted(self) -> npt.NDArray[np.intp]:
        """(N,) the most probable classes."""
        found: npt.NDArray[np.intp] = self.probabilities.argmax(axis=1)
        return found


def subject_of(run: Run, shelf: Shelf, root: Path | None, part: str | None, say: Callable[[str], None]) -> Subject:
    """Read images of a run's part; by default of "test", or of what a run among folds held out.

    Raises:
        RunError: the run has no such part, or the data is not what it was fitted on.
    """
    data = Data(shelf, root, (), "cpu", say)
    samples = data.samples(run)
    split = run.match(samples)
    part = held_out_part([run]) if part is None else check_part(part)
    rows = np.flatnonzero(split == part)
    if len(rows) == 0:
        raise RunError(f"The run {run.path} has no {part} part.")
    total = len(rows)
    if total > MOST:
        rows = np.sort(np.random.default_rng([run.recipe.seed, 11]).choice(rows, MOST, replace=False))
    return Subject(
        part, run.card.images(part), total, data.stored(run, rows), samples.ids[rows], samples.labels[rows]
    )


def found_of(made: Explainer, images: Array, points: tuple[Point, ...]) -> Found:
    """Compute what there is to know of images (N, H, W, C), batch by batch: no feature map is kept."""
    highest: dict[Point, list[Floats]] = {point: [] for point in points}
    where: dict[Point, list[npt.NDArray[np.intp]]] = {point: [] for point in points}
    features: list[Floats] = []
    size = min(made.batch, len(images))

    def compute(rows: npt.NDArray[np.intp]) -> Floats:
        *tensors, last, answers = made.outputs(made.prepared(images[rows]), (*points, made.graph.features))
        for point, tensor in zip(points, tensors, strict=True):
            flat = tensor.reshape(*tensor.shape[:2], -1)
            highest[point].append(flat.max(axis=2))
            where[point].append(flat.argmax(axis=2))
        features.append(made.pooled(last))
        return answers

    scores = np.concatenate(list(in_batches(compute, np.arange(len(images)), size)))
    count = len(images)
    return Found(
        softmax(scores),
        scores,
        np.concatenate(features)[:count],
        {point: np.concatenate(highest[point])[:count] for point in points},
        {point: np.concatenate(where[point])[:count] for point in points},
    )
