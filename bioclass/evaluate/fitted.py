"""What an evaluation fitted on the validation part, kept in the run folder so that new images are answered so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.evaluate.judge import Reliability
from bioclass.evaluate.kept import Kept
from bioclass.reliability import RULES, Conformal, Rule, accepts, at_temperature
from bioclass.run import Run

KEPT = Kept(
    "fitted.json",
    what="The evaluation",
    missing="Nothing was fitted for the answers of",
    chosen="its answers were fitted",
    again="run `bioclass evaluate {run}` with --calibrate or --error-rate",
)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What to do with a run's probabilities.

    Attributes:
        temperature: 1 where calibration was not wished for.
        error_rate: None where no answers at one were wished for; then there are no thresholds either.
        conformal: by rule, the thresholds of sets of classes.
        threshold: of the largest probability, above which an image is answered; None for no image.
    """

    temperature: float
    error_rate: float | None
    conformal: dict[Rule, Conformal]
    threshold: float | None

    def calibrated(self, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) at the temperature."""
        return at_temperature(probabilities, self.temperature)

    def answered(self, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which images (N,) with these calibrated probabilities (N, K) are answered."""
        return accepts(probabilities, self.threshold)


def save_fitted(run: Run, reliability: Reliability) -> None:
    """Keep what was fitted for the run's best weights; RunError where it cannot be written."""
    answers = reliability.answers
    document = {
        "temperature": 1.0 if reliability.calibrated is None else reliability.calibrated.fit.temperature,
        "error_rate": None if answers is None else answers.error_rate,
        "sets": {} if answers is None else {rule: answers.conformal[rule].as_dict() for rule in RULES},
        "threshold": None if answers is None else answers.rejection.threshold,
    }
    KEPT.save(run, document)


def load_fitted(run: Run) -> Fitted:
    """Return what was fitted last for the run's best weights.

    Raises:
        RunError: nothing was, or it was for other weights, or is damaged.
    """

    def make(document: dict[str, Any]) -> Fitted:
        sets = document["sets"].items()
        rate, n_classes = document["error_rate"], len(run.classes)
        return Fitted(
            temperature=document["temperature"],
            error_rate=rate,
            conformal={rule: Conformal.from_dict(rule, rate, n_classes, found) for rule, found in sets},
            threshold=document["threshold"],
        )

    return KEPT.load(run, make)
