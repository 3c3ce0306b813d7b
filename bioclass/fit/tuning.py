"""How each parameter of a network that starts from weights is trained: how fast, and from when on."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

from bioclass.errors import RecipeError
from bioclass.fit.task import Task
from bioclass.networks.stages import stages
from bioclass.predict import input_shape
from bioclass.recipe import Finetune

NEVER = sys.maxsize
"""The iteration from which on a parameter is trained that stays as it is."""


@dataclass(frozen=True)
class Rate:
    """How a parameter is trained.

    Attributes:
        factor: of the learning rate.
        begin: the first iteration that updates it.
    """

    factor: float = 1.0
    begin: int = 0


def rates(task: Task, net: Any) -> dict[str, Rate]:
    """Return how every parameter of a task's network is trained, by name; nothing where all are trained alike.

    Running statistics have a rate too: from its ``begin`` on a batch is normalised with its own, and updates them.

    Raises:
        RecipeError: the network has fewer stages than are to be unfrozen.
    """
    tuning = task.recipe.fit.transfer
    if not isinstance(tuning, Finetune):
        return {}
    of = stages(net, input_shape(task.plan))
    begins = _begins(tuning, task.stream.iterations, max(of.values()), task.recipe.network.name)
    norms = {name.removesuffix("running_mean") for name in of if name.endswith("running_mean")}
    found = {}
    for name, stage in of.items():
        if stage == 0:
            found[name] = Rate()
            continue
        layer, _, kind = name.rpartition(".")
        kept = f"{layer}." in norms and (
            tuning.batch_norm == "frozen" or (tuning.batch_norm == "affine" and kind.startswith("running"))
        )
        factor = tuning.backbone_lr * tuning.stage_decay ** (stage - 1)
        found[name] = Rate(factor, NEVER if kept else begins[stage - 1])
    return found


def _begins(tuning: Finetune, iterations: int, count: int, network: str) -> list[int]:
    """The first iteration of each stage, from the head down."""
    if tuning.unfreeze is None:
        return [0] * count
    if len(tuning.unfreeze) > count:
        raise RecipeError(
            f"fit.transfer.unfreeze has {len(tuning.unfreeze)} shares, and {network!r} has {count} stages below "
            "its head for images of this size: give at most as many."
        )
    # Rounded, because 0.07 x 100 is a little more than 7 in binary.
    begins = [math.ceil(round(share * iterations, 6)) for share in tuning.unfreeze]
    return begins + [NEVER] * (count - len(begins))
