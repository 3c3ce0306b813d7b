"""The result of an evaluation: values with their intervals, ready for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with the limits of its 95 % interval; None stands for what is undefined."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def undefined(cls) -> Estimate:
        """Return the estimate of a metric that these data do not define."""
        return cls(None, None, None)

    def as_dict(self) -> dict[str, float | None]:
        """Return ``{"value", "low", "high"}`` without NaN or infinity, which JSON does not have."""
        return {"value": _finite(self.value), "low": _finite(self.low), "high": _finite(self.high)}


@dataclass(frozen=True, eq=False)  # eq=False: arrays have no single truth value to compare by
class Metrics:
    """What ``evaluate`` found.

    Attributes:
        overall: by name: accuracy, balanced_accuracy, macro_f1, mcc, cohen_kappa, log_loss, ece.
        per_class: by class and name: precision, recall, specificity, f1, auc, and the count ``support``.
        confusion: (K, K) counts; rows are the truth, columns the predictions.
        n: number of samples.
        groups: number of groups, or None if samples count as independent.
        interval_method: how the intervals were made, in words.
    """

    overall: dict[str, Estimate]
    per_class: dict[str, dict[str, Estimate | int]]
    confusion: npt.NDArray[np.int64]
    n: int
    groups: int | None
    interval_method: str

    def as_dict(self) -> dict[str, Any]:
        """Return the whole as plain numbers, strings, lists and dicts."""
        return {
            "n": self.n,
            "groups": self.groups,
            **{name: estimate.as_dict() for name, estimate in self.overall.items()},
            "per_class": {
                label: {
                    name: figure.as_dict() if isinstance(figure, Estimate) else figure
                    for name, figure in row.items()
                }
                for label, row in self.per_class.items()
            },
            "confusion": self.confusion.tolist(),
            "intervals": {"level": LEVEL, "method": self.interval_method},
        }


def _finite(number: float | None) -> float | None:
    return None if number is None or not np.isfinite(number) else float(number)
