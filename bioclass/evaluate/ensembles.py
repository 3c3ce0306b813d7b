"""Several models as one: votes of all, and a vote of those that the validation part chooses or weighs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bioclass.ensemble import METHODS, Method, combine, greedy, vote_weights, weighted_vote
from bioclass.errors import RunError
from bioclass.evaluate.judge import Reliability, Wishes, judge
from bioclass.evaluate.results import Combined, Selected
from bioclass.evaluate.scored import Scored

SELECTIONS = ("greedy", "weights")


def check_selection(rule: str) -> str:
    """Return the name of a way to select, or raise RunError."""
    if rule not in SELECTIONS:
        raise RunError(f"--select is one of {', '.join(SELECTIONS)}. Got {rule!r}.")
    return rule


def vote(scored: Sequence[Scored], validation: Sequence[Scored], wishes: Wishes) -> dict[Method, Combined]:
    """Return the models' votes by each rule.

    What is wished for beyond the figures is told of MPS alone: its probabilities are the models' mean, while those
    of the other rules are shares of votes and maxima.

    Args:
        scored: of each model, on the same samples.
        validation: of each model, on the same samples; empty where nothing is wished for.
        wishes: what is wanted.
    """
    votes = {}
    for method in METHODS:
        found = _combined(scored, method)
        before = _combined(validation, method) if method == "MPS" and validation else None
        votes[method] = Combined(method, found, judge(found, before, wishes) if before else Reliability())
    return votes


def select(scored: Sequence[Scored], validation: Sequence[Scored], rule: str, wishes: Wishes) -> Selected:
    """Choose or weigh the models by their log loss on the validation part, and return their vote.

    Args:
        scored: of each model, on the same samples.
        validation: of each model, on the same samples.
        rule: "greedy" or "weights".
        wishes: what is wanted.
    """
    members, labels = _stacked(validation), validation[0].labels
    weights = greedy(members, labels).weights if rule == "greedy" else vote_weights(members, labels)
    found = scored[0].by(weighted_vote(_stacked(scored), weights))
    before = validation[0].by(weighted_vote(members, weights))
    return Selected(rule, found, judge(found, before, wishes), weights, before)


def _combined(scored: Sequence[Scored], method: Method) -> Scored:
    return scored[0].by(combine(_stacked(scored), method))


def _stacked(scored: Sequence[Scored]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.stack([each.probabilities for each in scored])
