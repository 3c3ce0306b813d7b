"""Originals beside what each step makes of them, as in Figure 2 of the 2017 study.

Tabik, Peralta, Herrera-Poyatos and Herrera (2017), A snapshot of image pre-processing for convolutional neural
networks: case study of MNIST, International Journal of Computational Intelligence Systems 10:555-568.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.augment import Augmenter
from bioclass.preprocess import Plan, centred
from bioclass.recipe import Augment, Center, Elastic, Rotation, Translation
from bioclass.report.words import Words, centering, size_of, words_of

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.intp]

STUDY_SIDE = 28
"""Pixels along a side of the images that the study's parameters are for."""

_TOLD = 3
"""Steps of the whole chain that there is room to name above its columns, and to tell the variants of."""


@dataclass(frozen=True)
class Column:
    """One image a row, (R, h, w, C), and what was done to them; an empty label where the group says it all."""

    label: str
    images: Array


@dataclass(frozen=True)
class Group:
    """Columns of one step."""

    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Shown:
    """The images of a figure of variants.

    Attributes:
        images: (R, H, W, C) as stored, one a row.
        rows: (R,) their places among the images of a fit, on which their variants depend.
        seed: of random draws.
        variants: how many columns a step has at most.
    """

    images: Array
    rows: Rows
    seed: int
    variants: int


def chosen_rows(labels: npt.NDArray[np.int64], classes: Sequence[int], count: int, seed: int) -> Rows:
    """Return ``count`` different rows, spread evenly over the classes, in the classes' order.

    Which images of a class are taken is drawn with ``seed``. Fewer are returned where there are not as many.

    Args:
        labels: (N,) of the images to choose from.
        classes: the classes to choose, each once.
        count: how many images.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    waiting = [rng.permutation(np.flatnonzero(labels == label)).tolist() for label in classes]
    waiting = [rows for rows in waiting if rows]
    if count < len(waiting):
        waiting = [waiting[place] for place in spread(len(waiting), count)]
    taken: list[list[int]] = [[] for _ in waiting]
    while any(waiting) and sum(map(len, taken)) < count:
        for rows, mine in zip(waiting, taken, strict=True):
            if rows and sum(map(len, taken)) < count:
                mine.append(rows.pop(0))
    return np.array([row for mine in taken for row in mine], dtype=np.intp)


def spread(length: int, count: int) -> list[int]:
    """Return ``count`` places from 0 to ``length`` - 1, evenly apart, or all of them where there are fewer."""
    places: list[int] = np.rint(np.linspace(0, length - 1, min(count, length))).astype(int).tolist()
    return places


def study_steps(size: tuple[int, int]) -> tuple[Augment, Center]:
    """Return the study's steps and centering, their pixels scaled from its 28 x 28 to another size."""
    scale = min(size) / STUDY_SIDE
    translation, rotation, elastic, center = Translation(), Rotation(), Elastic(), Center()
    steps = (
        Elastic(sigma=max(0.5, round(elastic.sigma * scale, 1)), strength=round(elastic.strength * scale, 1)),
        Translation(pixels=max(1, round(translation.pixels * scale))),
        rotation,
    )
    height, width = (max(1, round(new * side / STUDY_SIDE)) for new, side in zip(center.size, size, strict=True))
    return Augment(mode="enumerated", steps=steps), Center(size=(height, width))


def study_groups(augment: Augment, plan: Plan, shown: Shown) -> tuple[list[Group], str]:
    """Return the columns of the study's figure, centering, elastic, translation and rotation, and their caption.

    Args:
        augment: border and seed of the recipe, which has no steps.
        plan: what the images are, and how they are centred, where the recipe does that.
        shown: the images.
    """
    theirs, center = study_steps(plan.size)
    theirs = theirs.model_copy(update={"border": augment.border, "seed": augment.seed})
    plan = plan.model_copy(update={"center": plan.center or center})
    groups = [_original(plan, shown), *_centred(plan, shown), *_each_alone(theirs, plan, shown)]
    return groups, _caption(theirs, plan)


def step_groups(augment: Augment, plan: Plan, shown: Shown) -> tuple[list[Group], str]:
    """Return the columns of a recipe's own steps, each alone and then the whole chain, and their caption.

    Enumerated variants are those that a fit sees. Random ones are drawn as a fit draws them.

    Raises:
        RecipeError: a step that these images cannot take.
    """
    groups = [_original(plan, shown), *_centred(plan, shown), *_each_alone(augment, plan, shown)]
    if len(augment.steps) + (plan.center is not None) > 1:
        groups.append(_chain(augment, plan, shown))
    return groups, _caption(augment, plan)


def _original(plan: Plan, shown: Shown) -> Group:
    return Group("original", (Column(size_of(plan.size), shown.images),))


def _centred(plan: Plan, shown: Shown) -> list[Group]:
    if plan.center is None:
        return []
    words = centering(plan.center)
    return [Group(words.name, (Column(words.random, centred(shown.images, plan.center, plan.largest)),))]


def _each_alone(augment: Augment, plan: Plan, shown: Shown) -> list[Group]:
    """The steps without what comes before and after them; one that stands there twice is shown once."""
    plan = plan.model_copy(update={"center": None})
    groups = []
    for place, step in enumerate(augment.steps):
        if step in augment.steps[:place]:
            continue
        words = words_of(step)
        if augment.mode == "random":
            one = augment.model_copy(update={"steps": (step,)})
            groups.append(Group(words.name, _drawn(one, plan, shown, words.random)))
            continue
        digits = np.zeros((len(augment.steps), min(shown.variants, step.variants)), int)
        digits[place] = _variants(words, shown)
        labels = [words.variants[digit - 1] for digit in digits[place]]
        groups.append(Group(words.name, _enumerated(augment, plan, shown, digits, labels)))
    return groups


def _chain(augment: Augment, plan: Plan, shown: Shown) -> Group:
    words = [words_of(step) for step in augment.steps]
    names = [each.name for each in words] + (["centering"] if plan.center else [])
    title = "-".join(names) if len(names) <= _TOLD else "all steps"
    if augment.mode == "random":
        return Group(title, _drawn(augment, plan, shown, ""))
    lists = [_variants(each, shown) for each in words]
    # The lists start one apart, so that a column is not the first of every step.
    digits = np.array(
        [
            [mine[(column + place) % len(mine)] for column in range(max(map(len, lists)))]
            for place, mine in enumerate(lists)
        ]
    )
    telling = [place for place, each in enumerate(words) if len(set(each.variants)) > 1]
    if len(telling) > _TOLD:
        telling = []
    labels = ["\n".join(words[place].variants[column[place] - 1] for place in telling) for column in digits.T]
    return Group(title, _enumerated(augment, plan, shown, digits, labels))


def _variants(words: Words, shown: Shown) -> list[int]:
    """Which of a step's variants are shown, from 1."""
    return [place + 1 for place in spread(len(words.variants), shown.variants)]


def _enumerated(
    augment: Augment, plan: Plan, shown: Shown, digits: npt.NDArray[np.int_], labels: Sequence[str]
) -> tuple[Column, ...]:
    """Columns of the variants with these digits, (steps, columns): which variant of each step, 0 for none."""
    augmenter = Augmenter(augment, plan, shown.seed)
    numbers = np.zeros(digits.shape[1], np.int64)
    for step, row in zip(augment.steps, digits, strict=True):
        numbers = numbers * (1 + step.variants) + row
    return tuple(
        Column(label, augmenter.enumerated(shown.images, shown.rows, np.full(len(shown.rows), number)))
        for label, number in zip(labels, numbers, strict=True)
    )


def _drawn(augment: Augment, plan: Plan, shown: Shown, label: str) -> tuple[Column, ...]:
    augmenter = Augmenter(augment, plan, shown.seed)
    count = len(shown.rows)
    return tuple(
        Column(label, augmenter.random(shown.images, number * count + np.arange(count)))
        for number in range(shown.variants)
    )


def _caption(augment: Augment, plan: Plan) -> str:
    parts = [centering(plan.center).caption] if plan.center else []
    words = [words_of(step) for step in augment.steps]
    parts += [each.random_caption if augment.mode == "random" else each.caption for each in words]
    # A step may stand there twice.
    return "; ".join(dict.fromkeys(parts))
