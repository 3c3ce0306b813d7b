"""The learning rate at every iteration."""

from __future__ import annotations

import math

from bioclass.recipe import Constant, Cosine, Inverse, Schedule, Steps


def learning_rate(schedule: Schedule, base: float, iteration: int, total: int) -> float:
    """Return the learning rate at an iteration, counted from 0, of a training of ``total`` iterations.

    During the first ``warmup`` iterations it rises linearly to what the policy says.
    """
    rate = base * _policy(schedule, iteration, total)
    return rate * (iteration + 1) / schedule.warmup if iteration < schedule.warmup else rate


def _policy(schedule: Schedule, iteration: int, total: int) -> float:
    if isinstance(schedule, Constant):
        return 1.0
    if isinstance(schedule, Inverse):
        return float((1 + schedule.gamma * iteration) ** -schedule.power)
    if isinstance(schedule, Steps):
        # Rounded, because 0.07 x 100 is a little more than 7 in binary.
        return float(schedule.factor ** sum(iteration >= round(share * total, 6) for share in schedule.at))
    if isinstance(schedule, Cosine):
        down = 0.5 * (1 + math.cos(math.pi * iteration / total))
        return schedule.final + (1 - schedule.final) * down
    raise AssertionError(schedule)
