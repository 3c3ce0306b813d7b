"""The figures of a comparison."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bioclass.report.comparison.board import Board
from bioclass.report.comparison.entrants import Entrant
from bioclass.report.curves import (
    Drawing,
    compared_accuracies,
    compared_learning,
    compared_rejection,
    compared_roc,
)


def accuracies(board: Board) -> Drawing:
    """Return the accuracies with their intervals."""
    return compared_accuracies({place.entrant.name: place.figures["accuracy"] for place in board.places})


def curves(board: Board) -> list[Drawing]:
    """Return the learning curves, the mean ROC curves, and the accuracies against rejection, over each other."""
    entrants = [place.entrant for place in board.places]
    histories = {entrant.name: [run.history() for run in entrant.runs] for entrant in entrants}
    found = [compared_learning(histories)] if any(any(each) for each in histories.values()) else []
    several = [entrant for entrant in entrants if len(np.unique(entrant.answers.labels)) > 1]
    if several:
        found.append(compared_roc({entrant.name: _pooled(entrant) for entrant in several}))
    found.append(compared_rejection({entrant.name: _confidence(entrant) for entrant in entrants}))
    return found


def _pooled(entrant: Entrant) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Labels and probabilities of every answer, those of seeds and repeats one after the other."""
    probabilities = entrant.answers.probabilities
    return np.tile(entrant.answers.labels, len(probabilities)), np.concatenate(list(probabilities))


def _confidence(entrant: Entrant) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    return entrant.answers.probabilities.max(axis=2).ravel(), entrant.answers.right.ravel()
