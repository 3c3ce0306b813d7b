"""What one model, or several as one, says of a part of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.card import Card
from bioclass.ensemble import Vote
from bioclass.metrics import Metrics, evaluate


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
    """

    card: Card
    ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.str_] | None
    probabilities: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.int64]

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

    @property
    def counted(self) -> str:
        """How many samples, of what kind, in how many groups."""
        grouped = f" in {self.metrics.groups} groups" if self.groups is not None else ""
        return f"{len(self.ids)} {self.card.images()}{grouped}"

    def figures(self) -> dict[str, Any]:
        """Return the figures, JSON-ready, with whether they are of synthetic images."""
        return {"synthetic": self.card.synthetic, **self.metrics.as_dict()}

    def by(self, vote: Vote) -> Scored:
        """Return the same samples with the probabilities and predictions of an ensemble."""
        return replace(self, probabilities=vote.probabilities, predicted=vote.predicted)

    def calibrated(self, probabilities: npt.NDArray[np.float64]) -> Scored:
        """Return the same samples and predictions with other probabilities (N, K)."""
        return replace(self, probabilities=probabilities)

    def take(self, rows: npt.NDArray[np.intp]) -> Scored:
        """Return the samples of these rows."""
        groups = None if self.groups is None else self.groups[rows]
        given = self.ids[rows], self.labels[rows], groups, self.probabilities[rows], self.predicted[rows]
        return Scored(self.card, *given)


def joined(found: Sequence[Scored], repeated: bool) -> Scored:
    """Return the samples of several models one after the other.

    Where a sample may stand more than once (``repeated``) and has no group, it is a group: its tests are not
    independent.
    """
    named = [each.groups for each in found if each.groups is not None]
    ids = np.concatenate([each.ids for each in found])
    return Scored(
        found[0].card,
        ids,
        np.concatenate([each.labels for each in found]),
        np.concatenate(named) if named else ids if repeated else None,
        np.concatenate([each.probabilities for each in found]),
        np.concatenate([each.predicted for each in found]),
    )
