"""What figures of merit are called, how they are written and what they mean: the same in tables and in reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Term(NamedTuple):
    """A figure: its name, the factor and digits by which it is written, those of its interval, and what it is."""

    name: str
    scale: int
    digits: int
    interval: int
    meaning: str = ""

    @property
    def unit(self) -> str:
        """What stands behind its name."""
        return "%" if self.scale == 100 else ""

    @property
    def head(self) -> str:
        """Its name and unit, as the head of a column or a row."""
        return f"{self.name} {self.unit}".rstrip()

    def value(self, number: float | None) -> str:
        """Write a value; a dash where it is undefined."""
        return "-" if number is None else f"{self.scale * number:.{self.digits}f}"

    def written(self, estimate: Any) -> tuple[str, str]:
        """Write the value of an estimate, and its interval where it has one: ``("98.21", "97.50-98.80")``."""
        limits = [estimate.low, estimate.high]
        if estimate.value is None or None in limits:
            return self.value(estimate.value), ""
        return self.value(estimate.value), "-".join(
            f"{self.scale * limit:.{self.interval}f}" for limit in limits if limit is not None
        )


def p_value(p: float | None) -> str:
    """Write a p-value as journals want it: three decimals, ``<0.001`` below, a dash where there is none."""
    if p is None:
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


OVERALL: Mapping[str, Term] = {
    "accuracy": Term("accuracy", 100, 2, 2, "the share of images whose class is named right"),
    "balanced_accuracy": Term(
        "balanced accuracy", 100, 2, 2, "the mean of the classes' recalls: every class counts alike, however rare"
    ),
    "macro_f1": Term("macro F1", 100, 2, 2, "the mean of the classes' F1"),
    "mcc": Term(
        "Matthews correlation", 1, 4, 4, "from -1 to 1 between truth and answers; 0 is what guessing gives"
    ),
    "cohen_kappa": Term("Cohen's kappa", 1, 4, 4, "agreement beyond what chance gives; 1 is complete"),
    "log_loss": Term("log loss", 1, 4, 4, "how much the truth surprises the probabilities, in nats; 0 is best"),
    "ece": Term(
        "calibration error",
        1,
        4,
        4,
        "how far, in the mean, confidence and accuracy lie apart; 0 is best",
    ),
}
"""The figures over all images."""

PER_CLASS: Mapping[str, Term] = {
    "precision": Term("precision", 100, 2, 1, "of the images taken for this class, how many are of it"),
    "recall": Term("recall", 100, 2, 1, "of the images of this class, how many are found"),
    "specificity": Term("specificity", 100, 2, 1, "of the images of other classes, how many are not taken for it"),
    "f1": Term("F1", 100, 2, 1, "the harmonic mean of precision and recall"),
    "auc": Term(
        "AUC", 1, 3, 3, "the chance that an image of the class is given more of it than one of another class"
    ),
}
"""The figures of one class, besides its number of images."""

BY_FOLD: Mapping[str, Term] = {
    "accuracy": Term("accuracy", 100, 2, 2),
    "balanced_accuracy": Term("balanced", 100, 2, 2),
    "macro_f1": Term("macro F1", 100, 2, 2),
    "mcc": Term("MCC", 1, 4, 4),
    "log_loss": Term("log loss", 1, 4, 4),
}
"""The figures of a fold alone."""
