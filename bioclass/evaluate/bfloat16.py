"""What bfloat16 costs a model in accuracy, and what it gives in speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.metrics import Estimate
from bioclass.metrics.shares import share

ROUNDS = 9
"""Batches to time, at least: the median of so many is little moved by what else the machine does."""

Answer = Callable[[npt.NDArray[Any], npt.NDArray[np.intp]], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Bfloat16:
    """A model in bfloat16 beside itself in float32, on the same images.

    Attributes:
        float32: its accuracy as it is.
        bfloat16: its accuracy in bfloat16.
        equal: the share of images, 0 to 1, that both give one class.
        speed: how many times as fast bfloat16 is, from prepared images to probabilities; the median over batches.
    """

    float32: Estimate
    bfloat16: Estimate
    equal: float
    speed: float

    def as_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready."""
        accuracy = {"float32": self.float32.as_dict(), "bfloat16": self.bfloat16.as_dict()}
        return {"accuracy": accuracy, "equal_answers": self.equal, "speed": self.speed}


def compare_bfloat16(
    models: Sequence[Answer],
    images: npt.NDArray[Any],
    rows: npt.NDArray[np.intp],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.str_] | None,
    batch: int,
) -> Bfloat16:
    """Let a model answer in float32 and in bfloat16, batch by batch in turn, and compare the two.

    Args:
        models: two functions from stored images and rows of them to probabilities, float32 first.
        images: (M, H, W, C).
        rows: (N,) which of them.
        labels: (N,) true class indices.
        groups: (N,) the group of each, or None.
        batch: how many are answered at a time.
    """
    batches = [rows[start : start + batch] for start in range(0, len(rows), batch)]
    for model in models:
        model(images, batches[0])  # The first call plans memory.
    answers: list[list[npt.NDArray[np.intp]]] = [[], []]
    ratios = []
    for number in range(max(len(batches), ROUNDS)):
        seconds = []
        for model, given in zip(models, answers, strict=True):
            start = perf_counter()
            found = model(images, batches[number % len(batches)]).argmax(axis=1)
            seconds.append(perf_counter() - start)
            given.append(found)
        ratios.append(seconds[0] / seconds[1])
    full, low = (np.concatenate(given[: len(batches)]) for given in answers)
    return Bfloat16(
        share(full == labels, groups),
        share(low == labels, groups),
        float(np.mean(full == low)),
        float(np.median(ratios)),
    )
