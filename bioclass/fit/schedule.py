"""What changes from iteration to iteration: the learning rate, and how fast the moving average follows."""

from __future__ import annotations

import math
from typing import NamedTuple

from bioclass.recipe import Average, Constant, Cosine, Inverse, OneCycle, Schedule, Steps


class Cycle(NamedTuple):
    """One of the cycles of a training: its number, from 1, its first iteration, and that of the next."""

    number: int
    start: int
    end: int


def cycle_at(iteration: int, total: int, cycles: int) -> Cycle:
    """Return the cycle that an iteration is in, of so many equal ones (up to rounding) in ``total`` iterations."""
    before = ((iteration + 1) * cycles - 1) // total
    return Cycle(before + 1, before * total // cycles, (before + 1) * total // cycles)


def learning_rate(schedule: Schedule, base: float, iteration: int, total: int) -> float:
    """Return the learning rate at an iteration, counted from 0, of a training of ``total`` iterations.

    During the first ``warmup`` iterations it rises linearly to what the policy says; one-cycle has its own rise.
    """
    rate = base * _policy(schedule, iteration, total)
    if isinstance(schedule, OneCycle):
        return rate
    return rate * (iteration + 1) / schedule.warmup if iteration < schedule.warmup else rate


def average_decay(average: Average, iteration: int) -> float:
    """Return the weight that the moving average keeps in the update of an iteration, counted from 0.

    min(decay, (1 + t) / (10 + t)): at first it is low, so that the average soon forgets the weights that training
    started from (the rule of TensorFlow's ``ExponentialMovingAverage``).
    """
    return min(average.decay, (1 + iteration) / (10 + iteration))


def _policy(schedule: Schedule, iteration: int, total: int) -> float:
    if isinstance(schedule, Constant):
        return 1.0
    if isinstance(schedule, Inverse):
        return float((1 + schedule.gamma * iteration) ** -schedule.power)
    if isinstance(schedule, Steps):
        # Rounded, because 0.07 x 100 is a little more than 7 in binary.
        return float(schedule.factor ** sum(iteration >= round(share * total, 6) for share in schedule.at))
    if isinstance(schedule, Cosine):
        return _half_cosine(1.0, schedule.final, iteration / total)
    if isinstance(schedule, OneCycle):
        peak = schedule.rise * total
        if iteration < peak:
            return _half_cosine(schedule.start, 1.0, iteration / peak)
        return _half_cosine(1.0, schedule.final, (iteration - peak) / (total - peak))
    raise AssertionError(schedule)


def _half_cosine(first: float, last: float, share: float) -> float:
    """From ``first`` at share 0 to ``last`` at share 1."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))
