"""What ``decide`` chose on the validation part, kept in the run folder so that new images are decided so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.decisions import Screening, decide
from bioclass.evaluate.kept import Kept
from bioclass.reliability import at_temperature
from bioclass.run import Run

KEPT = Kept(
    "decided.json",
    what="The decisions",
    missing="Nothing was decided for",
    chosen="its decisions were chosen",
    again="run `bioclass decide {run}` with --positive or --costs",
)


@dataclass(frozen=True, eq=False)
class Decided:
    """How a run's probabilities are turned into decisions.

    Attributes:
        classes: the K class names.
        screening: the question with two answers; None where none was asked.
        costs: (K, K), rows the true class; None where no decisions of least cost were asked for.
        temperature: at which probabilities mean what they say, as expected costs want them.
    """

    classes: tuple[str, ...]
    screening: Screening | None
    costs: npt.NDArray[np.float64] | None
    temperature: float

    def calibrated(self, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) at the temperature."""
        return at_temperature(probabilities, self.temperature)

    def decisions(self, probabilities: npt.NDArray[np.float64]) -> dict[str, list[Any]]:
        """Return what was asked for of images with a network's own probabilities (N, K).

        Returns:
            ``positive``, N bool, and ``least_cost``, N class names; each only where it was asked for.
        """
        found: dict[str, list[Any]] = {}
        if self.screening is not None:
            found["positive"] = self.screening.answers(probabilities, self.classes).tolist()
        if self.costs is not None:
            least = decide(self.calibrated(probabilities), self.costs)
            found["least_cost"] = [self.classes[k] for k in least]
        return found


def save_decided(run: Run, decided: Decided) -> None:
    """Keep what was chosen for the run's best weights; RunError where it cannot be written."""
    document = {
        "screening": None if decided.screening is None else decided.screening.as_dict(),
        "costs": None if decided.costs is None else decided.costs.tolist(),
        "temperature": decided.temperature,
    }
    KEPT.save(run, document)


def load_decided(run: Run) -> Decided:
    """Return what was chosen last for the run's best weights.

    Raises:
        RunError: nothing was, or it was for other weights, or is damaged.
    """

    def make(document: dict[str, Any]) -> Decided:
        screening, costs = document["screening"], document["costs"]
        return Decided(
            run.classes,
            None if screening is None else Screening.from_dict(screening),
            None if costs is None else np.array(costs, dtype=np.float64),
            document["temperature"],
        )

    return KEPT.load(run, make)
