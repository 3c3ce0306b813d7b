"""What one model, or several as one, says of a part of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.card import Card
from bioclass.ensemble import Vote
from bioclass.metrics import Estimate, Metrics, evaluate
from bioclass.metrics.shares import share


class Either(NamedTuple):
    """An accuracy by which any of a sample's classes is right, and how many samples have more than one."""

    accuracy: Estimate
    samples: int


@dataclass(frozen=True, eq=False)
class Scored:
    """Labelled samples with a model's probabilities for them.

    Attributes:
        card: of the dataset.
        ids: (N,) names of the samples.
        labels: (N,) true class indices.
        groups: (N,) the group of each sample, or None.
        probabilities: (N, K).
        predicted: (N,) class indices.
        also: (N, K) bool, the classes besides the true one that are right too, or None where no sample has any.
    """

    card: Card
    ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.str_] | None
    probabilities: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.int64]
    also: npt.NDArray[np.bool_] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names."""
        return self.card.class_names

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the predicted class is the true one."""
        right: npt.NDArray[np.bool_] = self.predicted == self.labels
        return right

    @cached_property
    def metrics(self) -> Metrics:
        """The figures, with their intervals."""
        return evaluate(self.labels, self.probabilities, self.classes, self.groups, predicted=self.predicted)

    @cached_property
    def either(self) -> Either | None:
        """The accuracy by which any of a sample's classes is right, None where each has one."""
        if self.also is None:
            return None
        right = self.right | self.also[np.arange(len(self.ids)), self.predicted]
        return Either(share(right, self.groups), int(self.also.any(axis=1).sum()))

    @property
    def counted(self) -> str:
        """How many samples, of what kind, in how many groups."""
        grouped = f" in {self.metrics.groups} groups" if self.groups is not None else ""
        return f"{len(self.ids)} {self.card.images()}{grouped}"

    def figures(self) -> dict[str, Any]:
        """Return the figures, JSON-ready, with whether they are of synthetic images."""
        figures = {"synthetic": self.card.synthetic, **self.metrics.as_dict()}
        if self.either is not None:
            figures["accuracy_either"] = {**self.either.accuracy.as_dict(), "second_classes": self.either.samples}
        return figures

    def by(self, vote: Vote) -> Scored:
        """Return the same samples with the probabilities and predictions of an ensemble."""
        return replace(self, probabilities=vote.probabilities, predicted=vote.predicted)

    def calibrated(self, probabilities: npt.NDArray[np.float64]) -> Scored:
        """Return the same samples and predictions with other probabilities (N, K)."""
        return replace(self, probabilities=probabilities)

    def take(self, rows: npt.NDArray[np.intp]) -> Scored:
        """Return the samples of these rows."""
        groups = None if self.groups is None else self.groups[rows]
        also = None if self.also is None else self.also[rows]
        given = self.ids[rows], self.labels[rows], groups, self.probabilities[rows], self.predicted[rows]
        return Scored(self.card, *given, also)


def joined(found: Sequence[Scored], repeated: bool) -> Scored:
    """Return the samples of several models one after the other.

    Where a sample may stand more than once (``repeated``) and has no group, it is a group: its tests are not
    independent.
    """
    named = [each.groups for each in found if each.groups is not None]
    also = [each.also for each in found if each.also is not None]
    ids = np.concatenate([each.ids for each in found])
    return Scored(
        found[0].card,
        ids,
        np.concatenate([each.labels for each in found]),
        np.concatenate(named) if named else ids if repeated else None,
        np.concatenate([each.probabilities for each in found]),
        np.concatenate([each.predicted for each in found]),
        np.concatenate(also) if also else None,
    )
