"""What one model, or several as one, says of a part of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bioclass.ensemble import Vote
from bioclass.metrics import Metrics, evaluate


@dataclass(frozen=True, eq=False)
class Scored:
    """Labelled samples with a model's probabilities for them.

    Attributes:
        classes: the K class names.
        ids: (N,) names of the samples.
        labels: (N,) true class indices.
        groups: (N,) the group of each sample, or None.
        probabilities: (N, K).
        predicted: (N,) class indices.
    """

    classes: tuple[str, ...]
    ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.str_] | None
    probabilities: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.int64]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the predicted class is the true one."""
        right: npt.NDArray[np.bool_] = self.predicted == self.labels
        return right

    @cached_property
    def metrics(self) -> Metrics:
        """The figures, with their intervals."""
        return evaluate(self.labels, self.probabilities, self.classes, self.groups, predicted=self.predicted)

    def by(self, vote: Vote) -> Scored:
        """Return the same samples with the probabilities and predictions of an ensemble."""
        return Scored(self.classes, self.ids, self.labels, self.groups, vote.probabilities, vote.predicted)

    def calibrated(self, probabilities: npt.NDArray[np.float64]) -> Scored:
        """Return the same samples and predictions with other probabilities (N, K)."""
        return Scored(self.classes, self.ids, self.labels, self.groups, probabilities, self.predicted)

    def take(self, rows: npt.NDArray[np.intp]) -> Scored:
        """Return the samples of these rows."""
        groups = None if self.groups is None else self.groups[rows]
        given = self.ids[rows], self.labels[rows], groups, self.probabilities[rows], self.predicted[rows]
        return Scored(self.classes, *given)


def joined(found: Sequence[Scored], repeated: bool) -> Scored:
    """Return the samples of several models one after the other.

    Where a sample may stand more than once (``repeated``) and has no group, it is a group: its tests are not
    independent.
    """
    named = [each.groups for each in found if each.groups is not None]
    ids = np.concatenate([each.ids for each in found])
    return Scored(
        found[0].classes,
        ids,
        np.concatenate([each.labels for each in found]),
        np.concatenate(named) if named else ids if repeated else None,
        np.concatenate([each.probabilities for each in found]),
        np.concatenate([each.predicted for each in found]),
    )
