"""From entrants to a leaderboard, and tests of who differs from whom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bioclass.metrics import Estimate
from bioclass.report.comparison.entrants import Entrant, Found
from bioclass.seeds import Spread, difference, interval, pool
from bioclass.significance import holm, mcnemar_exact, paired_difference

ALPHA = 0.05
ALL_PAIRS = 10
"""Entrants up to which every pair is told; of more, those with the best."""
Test = Literal["McNemar", "paired"]
NOT_SET = "–"


@dataclass(frozen=True)
class Place:
    """A row of the leaderboard: an entrant, its figures, and the number of the set of images that it is of."""

    entrant: Entrant
    figures: dict[str, Estimate]
    images: int


@dataclass(frozen=True)
class Pair:
    """Two entrants on the same images: the accuracy of the first minus that of the second, and its test.

    Attributes:
        a: the first.
        b: the second.
        value: of the difference, with 95 % limits, None where there is no spread to see.
        p: two-sided.
        p_holm: adjusted by Holm's method for all pairs of the comparison, told or not.
        test: which; "McNemar" is the exact one, "paired" compares means over groups, repeats and seeds.
    """

    a: str
    b: str
    value: Estimate
    p: float
    p_holm: float
    test: Test

    @property
    def differs(self) -> bool:
        """Whether the difference is more than chance, at 5 %."""
        return self.p_holm <= ALPHA

    def as_dict(self) -> dict[str, Any]:
        """Return the pair as plain strings and numbers."""
        return {**vars(self), "value": self.value.as_dict(), "differs": self.differs}


@dataclass(frozen=True, eq=False)
class Board:
    """A comparison.

    Attributes:
        places: the best accuracy first.
        pairs: that are told, in the order of the places.
        tested: how many pairs were tested.
        spread: of accuracy between seeds.
        choices: by key of a recipe, or of what a run was made with, the value of each place, where they differ.
        left_out: what of the folders does not take part, in sentences.
    """

    places: list[Place]
    pairs: list[Pair]
    tested: int
    spread: Spread
    choices: dict[str, list[str]]
    left_out: list[str]

    @property
    def first(self) -> Entrant:
        """The one with the best accuracy."""
        return self.places[0].entrant

    @property
    def sets(self) -> list[list[Place]]:
        """The places by the images that they are of, the set of the best first."""
        numbers = dict.fromkeys(place.images for place in self.places)
        return [[place for place in self.places if place.images == number] for number in numbers]

    def as_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready."""
        return {
            "leaderboard": [
                {
                    "name": place.entrant.name,
                    "made": place.entrant.made,
                    "runs": [str(run.path) for run in place.entrant.runs],
                    "part": place.entrant.part,
                    "images": len(place.entrant.answers.ids),
                    "same_images": place.images,
                    **{name: estimate.as_dict() for name, estimate in place.figures.items()},
                    "seconds": place.entrant.seconds,
                }
                for place in self.places
            ],
            "comparisons": [pair.as_dict() for pair in self.pairs],
            "pairs_tested": self.tested,
            "recipes": {
                key: dict(zip((place.entrant.name for place in self.places), values, strict=True))
                for key, values in self.choices.items()
            },
            "left_out": self.left_out,
        }


def make_board(found: Found) -> Board:
    """Rank the entrants, and test every pair that was tried on the same images."""
    sets: list[list[Entrant]] = []
    for entrant in found.entrants:
        same = next((each for each in sets if each[0].answers.shares_images(entrant.answers)), None)
        if same is None:
            sets.append([entrant])
        else:
            same.append(entrant)
    seeds = [entrant.answers.right for entrant in found.entrants if entrant.kind == "seeds"]
    spread = pool(seeds)
    places = [
        Place(entrant, _figures(entrant, spread), number) for number, each in enumerate(sets, 1) for entrant in each
    ]
    places.sort(key=lambda place: -(place.figures["accuracy"].value or 0.0))
    pairs = _adjusted(
        [
            _pair(one.entrant, other.entrant, spread)
            for one, other in combinations(places, 2)
            if one.images == other.images
        ]
    )
    told = _told(places, pairs)
    return Board(places, told, len(pairs), spread, _choices([place.entrant for place in places]), found.left_out)


def _figures(entrant: Entrant, spread: Spread) -> dict[str, Estimate]:
    """The figures of an evaluation; over seeds, the interval of the accuracy is of new images and new seeds."""
    if entrant.kind != "seeds":
        return entrant.answers.figures
    right = entrant.answers.right
    accuracy = Estimate(float(right.mean()), *interval(right, spread, entrant.answers.groups))
    return {**entrant.answers.figures, "accuracy": accuracy}


def _pair(a: Entrant, b: Entrant, spread: Spread) -> Pair:
    """Test a pair; the limits of its difference come later, for the pairs that are told."""
    one, two, groups = a.answers.right, b.answers.right, a.answers.groups
    value = Estimate(float(one.mean() - two.mean()), None, None)
    if groups is None and len(one) == len(two) == 1:
        p = mcnemar_exact(one[0], two[0]).p_value
        return Pair(a.name, b.name, value, p, p, "McNemar")
    found = difference(_means(a), _means(b), spread if "seeds" in (a.kind, b.kind) else Spread(0.0, 0.0, 0), groups)
    return Pair(a.name, b.name, Estimate(found.value, found.low, found.high), found.p, found.p, "paired")


def _means(entrant: Entrant) -> npt.NDArray[np.bool_] | npt.NDArray[np.float64]:
    """Right answers (A, N); the repeats of a cross-validation are one answer, right to some share."""
    right = entrant.answers.right
    return right.mean(axis=0, keepdims=True) if entrant.kind == "folds" else right


def _adjusted(pairs: Sequence[Pair]) -> list[Pair]:
    adjusted = holm([pair.p for pair in pairs])
    return [replace(pair, p_holm=float(p)) for pair, p in zip(pairs, adjusted, strict=True)]


def _told(places: Sequence[Place], pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs to tell, with their limits: those of a bootstrap where there are no seeds, as for folds."""
    by_name = {place.entrant.name: place.entrant for place in places}
    best = {each.images: each.entrant.name for each in reversed(places)}
    if len(places) > ALL_PAIRS:
        pairs = [pair for pair in pairs if pair.a in best.values()]
    found = []
    for pair in pairs:
        a, b = by_name[pair.a], by_name[pair.b]
        if "seeds" not in (a.kind, b.kind):
            shares = a.answers.right.mean(axis=0), b.answers.right.mean(axis=0)
            limits = paired_difference(*shares, a.answers.groups)
            pair = replace(pair, value=Estimate(limits.value, limits.low, limits.high))
        found.append(pair)
    return found


def _choices(entrants: Sequence[Entrant]) -> dict[str, list[str]]:
    """What recipes choose differently, and of what programs and machines the runs are."""
    each = [{**entrant.recipe, **_made_with(entrant)} for entrant in entrants]
    keys = dict.fromkeys(key for choices in each for key in choices)
    found = {}
    for key in keys:
        values = [_written(choices[key]) if key in choices else NOT_SET for choices in each]
        if len(set(values)) > 1:
            found[key] = values
    return found


def _made_with(entrant: Entrant) -> dict[str, Any]:
    environment = entrant.runs[0].environment
    packages = environment.get("packages")
    version = packages.get("bioclass") if isinstance(packages, dict) else None
    return {"made with: bioclass": version, "made with: device": environment["device"]}


def _written(value: Any) -> str:
    if value is None or value in ([], ""):
        return NOT_SET
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
