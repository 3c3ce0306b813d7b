"""What an evaluation fitted on the validation part, kept in the run folder so that new images are answered so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioclass.errors import RunError
from bioclass.evaluate.judge import Reliability
from bioclass.files import read_sealed, write_sealed
from bioclass.reliability import RULES, Conformal, Rule, accepts, at_temperature
from bioclass.run import Run

FILE = Path("evaluation") / "validation" / "fitted.json"


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
        "weights": weights_digest(run),
        "temperature": 1.0 if reliability.calibrated is None else reliability.calibrated.fit.temperature,
        "error_rate": None if answers is None else answers.error_rate,
        "sets": {} if answers is None else {rule: answers.conformal[rule].as_dict() for rule in RULES},
        "threshold": None if answers is None else answers.rejection.threshold,
    }
    try:
        (run.path / FILE).parent.mkdir(parents=True, exist_ok=True)
        write_sealed(run.path / FILE, document)
    except OSError as problem:
        raise RunError(f"The evaluation cannot be written into {run.path}: {problem.strerror}.") from None


def load_fitted(run: Run) -> Fitted:
    """Return what was fitted last for the run's best weights.

    Raises:
        RunError: nothing was, or it was for other weights, or is damaged.
    """
    again = f"run `bioclass evaluate {run.path}` with --calibrate or --error-rate"
    if not (run.path / FILE).exists():
        raise RunError(f"Nothing was fitted for the answers of {run.path} yet: {again} first.")
    document = read_sealed(run.path / FILE)
    try:
        if document["weights"] != weights_digest(run):
            raise RunError(f"The run {run.path} was trained on since its answers were fitted: {again} again.")
        sets = document["sets"].items()
        rate, n_classes = document["error_rate"], len(run.classes)
        return Fitted(
            temperature=document["temperature"],
            error_rate=rate,
            conformal={rule: Conformal.from_dict(rule, rate, n_classes, found) for rule, found in sets},
            threshold=document["threshold"],
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise RunError(f"{run.path / FILE} is not what bioclass writes: {problem}. To mend it, {again}.") from None


def weights_digest(run: Run) -> str:
    """Return the digest of the best weights, as their manifest has it."""
    return str(read_sealed(run.path / "best" / "manifest.json")["files"]["weights"]["sha256"])
