"""Several classifiers' probabilities to one decision: ``votes`` combines, ``selection`` chooses and weighs."""

from __future__ import annotations

from bioclass.ensemble.selection import Figure, Greedy, greedy, top_members, vote_weights
from bioclass.ensemble.votes import METHODS, TITLES, Method, Vote, combine, weighted_vote

__all__ = [
    "METHODS",
    "TITLES",
    "Figure",
    "Greedy",
    "Method",
    "Vote",
    "combine",
    "greedy",
    "top_members",
    "vote_weights",
    "weighted_vote",
]
