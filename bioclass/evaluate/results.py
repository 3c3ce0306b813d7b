"""What an evaluation finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.ensemble import Method
from bioclass.evaluate.bfloat16 import Bfloat16
from bioclass.evaluate.judge import Reliability
from bioclass.evaluate.scored import Scored
from bioclass.metrics import Metrics
from bioclass.recipe import Predict
from bioclass.significance import Comparison


@dataclass(frozen=True, eq=False)
class Evaluated:
    """One model, which is a run or one of its snapshots.

    Attributes:
        run: the run folder.
        predict: how it predicts.
        snapshot: which of its snapshots, counted from 1; None for its best weights.
        scored: the model on the evaluated part.
        validation: the model on the validation part, where something was to be fitted on it.
        reliability: what was wished for of it.
        folder: where its files are.
        bfloat16: how it does in bfloat16, where that was wished for.
    """

    run: Path
    predict: Predict
    snapshot: int | None
    scored: Scored
    validation: Scored | None
    reliability: Reliability
    folder: Path
    bfloat16: Bfloat16 | None = None

    @property
    def name(self) -> str:
        """The run, and which of its snapshots."""
        return str(self.run) if self.snapshot is None else f"{self.run} snapshot {self.snapshot}"

    @property
    def metrics(self) -> Metrics:
        """The figures on the evaluated part."""
        return self.scored.metrics

    def identity(self) -> dict[str, Any]:
        """Return the run, the snapshot if it is one, and the copies that it predicts from, JSON-ready."""
        snapshot = {} if self.snapshot is None else {"snapshot": self.snapshot}
        return {"run": str(self.run), **snapshot, **self.predict.told()}

    def figures(self) -> dict[str, Any]:
        """Return everything that was found, JSON-ready."""
        bfloat16 = {} if self.bfloat16 is None else {"bfloat16": self.bfloat16.as_dict()}
        return {**self.scored.figures(), **self.reliability.as_dict(), **bfloat16}


@dataclass(frozen=True, eq=False)
class Combined:
    """Several models as one: how, what they say on the evaluated part, and what was wished for of it."""

    name: str
    scored: Scored
    reliability: Reliability

    def figures(self) -> dict[str, Any]:
        """Return everything that was found, JSON-ready."""
        return {**self.scored.figures(), **self.reliability.as_dict()}


@dataclass(frozen=True, eq=False)
class Selected(Combined):
    """Models that were chosen or weighed on the validation part; ``name`` says how.

    Attributes:
        weights: (M,) of all models, with the sum one.
        validation: the weighted vote on the validation part.
    """

    weights: npt.NDArray[np.float64]
    validation: Scored


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every model's figures; for several the comparisons of all pairs, their votes, and those of the selected."""

    part: str
    models: list[Evaluated]
    comparisons: list[Comparison]
    votes: dict[Method, Combined]
    selected: Selected | None

    @property
    def grouped(self) -> bool:
        """Whether the images come in groups."""
        return self.models[0].scored.groups is not None

    def as_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready: ``models``, and for several ``comparisons``, ``ensemble``, ``selected``."""
        document: dict[str, Any] = {
            "part": self.part,
            "models": [{**model.identity(), **model.figures()} for model in self.models],
        }
        if self.votes:
            document["comparisons"] = [pair.as_dict() for pair in self.comparisons]
            document["ensemble"] = {method: found.figures() for method, found in self.votes.items()}
        if self.selected is not None:
            validation = self.selected.validation.metrics.overall
            document["selected"] = {
                "by": self.selected.name,
                "members": [
                    {**model.identity(), "weight": float(weight)}
                    for model, weight in zip(self.models, self.selected.weights, strict=True)
                ],
                "validation": {name: validation[name].as_dict() for name in ("accuracy", "log_loss")},
                **self.selected.figures(),
            }
        return document
