"""How much one fact tells of another, and whether that could be chance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.intp]

EFFECT = 0.2
"""Cramér's V from which a fact tells enough to matter; by Cohen (1988) 0.1 is a small, 0.3 a medium effect."""

ALPHA = 0.001
"""p from which what a fact tells is not chance."""

_PERMUTATIONS = 1999


class Association(NamedTuple):
    """How much one coding of images tells of another."""

    effect: float
    """Cramér's V, 0 to 1."""
    p: float
    """Share of random orders that tell as much."""
    right: float
    """Share of the second that the first lets guess right."""
    guess: float
    """Share that is right without it."""

    @property
    def matters(self) -> bool:
        """Whether the effect is worth a word, and not chance."""
        return self.effect >= EFFECT and self.p <= ALPHA

    def __str__(self) -> str:
        chance = f"p < {ALPHA:g}" if self.p < ALPHA else f"p = {self.p:.2g}"
        return f"Cramér's V {self.effect:.2f}, {chance}"


def association(
    first: npt.NDArray[Any], second: npt.NDArray[Any], groups: npt.NDArray[np.str_] | None = None
) -> Association:
    """Return how much the values ``first`` (N,) tell of ``second`` (N,); chance moves whole ``groups`` (N,)."""
    one, other = codes(first), codes(second)
    table = _table(one, other)
    return Association(
        cramers_v(one, other),
        permutation_p(one, other, groups),
        float(table.max(axis=1).sum() / len(one)),
        float(table.sum(axis=0).max() / len(one)),
    )


def codes(values: npt.NDArray[Any]) -> Codes:
    """Return a number from 0 for each value (N,)."""
    found: Codes = np.unique(values, return_inverse=True)[1].astype(np.intp)
    return found


def cramers_v(first: Codes, second: Codes) -> float:
    """Return the association of two codings (N,), 0 to 1, corrected for bias (Bergsma 2013)."""
    n = len(first)
    table = _table(first, second)
    rows, columns = table.shape
    if n < 2:
        return 0.0
    phi = max(0.0, _chi_squared(table) / n - (rows - 1) * (columns - 1) / (n - 1))
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(phi / least)) if least > 0 else 0.0


def permutation_p(first: Codes, second: Codes, groups: npt.NDArray[np.str_] | None = None, seed: int = 0) -> float:
    """Return how often chance associates two codings (N,) as much as they are; whole groups are moved.

    Where groups are known, the images stand one group after the other, and the groups of ``second`` are brought
    into random orders, so that images of one group stay alike in both.
    """
    rng = np.random.default_rng(seed)
    n = len(first)
    _, members = np.unique(np.arange(n) if groups is None else groups, return_inverse=True)
    order = np.argsort(members, kind="stable")
    first, second, members = first[order], second[order], members[order]
    observed = _chi_squared(_table(first, second))
    reached = 0
    for _ in range(_PERMUTATIONS):
        moved = second[np.argsort(rng.permutation(members.max() + 1)[members], kind="stable")]
        reached += _chi_squared(_table(first, moved)) >= observed - 1e-9
    return (reached + 1) / (_PERMUTATIONS + 1)


def _table(first: Codes, second: Codes) -> npt.NDArray[np.float64]:
    columns = int(second.max()) + 1
    counts = np.bincount(first * columns + second, minlength=(int(first.max()) + 1) * columns)
    return counts.reshape(-1, columns).astype(float)


def _chi_squared(table: npt.NDArray[np.float64]) -> float:
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    # A class without images has neither.
    return float(((table - expected) ** 2 / np.where(expected > 0, expected, 1)).sum())
