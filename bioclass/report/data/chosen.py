"""The images that are looked at: some of each class, spread over its groups, each read once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.card import Card
from bioclass.check.facts import Facts, Look, facts_of, format_of, look
from bioclass.errors import DatasetError, ImageError
from bioclass.images import read_image, to_channels
from bioclass.preprocess import Input, source_of
from bioclass.report.variants import chosen_rows
from bioclass.samples import Samples

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.intp]

IMAGES = 1000
"""Images up to which all are looked at; of more about as many, the same number of each class."""
EACH = 24
"""Images of a class at least, if it has as many and they are not large."""
FEWEST = 8
"""Images of a class that are looked at however large they are."""
BYTES = 200_000_000
"""Of image files that are read."""
PIXELS = 2000
"""Pixels of an image whose values are kept, evenly spread over it."""


@dataclass(frozen=True)
class Seen:
    """What was seen of M images.

    Attributes:
        rows: (M,) their places among the samples, class by class.
        facts: of each.
        values: of each the values of some pixels, (P, C), as stored.
        source: what they are.
        left_out: how many could not be read, or are of another kind than the others.
        problem: why the first of those was not.
    """

    rows: Rows
    facts: Facts
    values: list[Array]
    source: Input
    left_out: int
    problem: str

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """The different sizes (S, 2), height and width in pixels."""
        found: npt.NDArray[np.int64] = np.unique(self.facts.shape[:, :2], axis=0)
        return found


class _One(NamedTuple):
    """What is kept of one image."""

    look: Look
    values: Array
    dtype: np.dtype[Any]


def choose(samples: Samples, classes: int, seed: int = 0) -> Rows:
    """Return the rows of the images to look at, class by class, drawn with ``seed`` and spread over the groups.

    They are about ``IMAGES``, at least ``EACH`` of each class, and fewer where their files are large.
    """
    each = len(samples) if len(samples) <= IMAGES else max(EACH, IMAGES // classes)
    chosen = [spread_rows(samples, np.flatnonzero(samples.labels == label), each, seed) for label in range(classes)]
    if isinstance(samples.images, np.ndarray):
        return np.concatenate(chosen)
    sizes = [sum(_bytes(samples.images[row]) for row in rows) for rows in chosen]
    share = min(1.0, BYTES / max(1, sum(sizes)))
    kept = [max(FEWEST, int(len(rows) * share)) for rows in chosen]
    return np.concatenate(
        [
            rows if len(rows) <= count else spread_rows(samples, rows, count, seed)
            for rows, count in zip(chosen, kept, strict=True)
        ]
    )


def spread_rows(samples: Samples, rows: Rows, count: int, seed: int = 0) -> Rows:
    """Return ``count`` of these rows, or all where there are fewer, spread evenly over their groups."""
    if samples.groups is None:
        groups = np.zeros(len(rows), dtype=np.int64)
    else:
        groups = np.unique(samples.groups[rows], return_inverse=True)[1].astype(np.int64)
    found: Rows = rows[chosen_rows(groups, range(int(groups.max(initial=-1)) + 1), count, seed)]
    return found


def see(samples: Samples, card: Card, rows: Rows, seen: Callable[[int], None] = lambda images: None) -> Seen:
    """Read the images of these rows, several at a time; ``seen`` is told how many were.

    Raises:
        DatasetError: none can be read, or they are not what the card says.
    """

    def one(row: int) -> _One | ImageError:
        return _look(samples, card, row)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = []
        for answer in pool.map(one, rows.tolist()):
            answers.append(answer)
            seen(len(answers))
    read = [(row, answer) for row, answer in zip(rows, answers, strict=True) if not isinstance(answer, ImageError)]
    problems = [str(answer) for answer in answers if isinstance(answer, ImageError)]
    if not read:
        raise DatasetError(f"No image can be read: {problems[0]}")
    kind = Counter(_kind(answer) for _, answer in read).most_common(1)[0][0]
    alike = [(row, answer) for row, answer in read if _kind(answer) == kind]
    channels, dtype = kind
    if len(alike) < len(read):
        odd = next(row for row, answer in read if _kind(answer) != kind)
        problems.append(f"{samples.ids[odd]} differs from the others, which have {channels} channel(s) of {dtype}.")
    return Seen(
        np.array([row for row, _ in alike], dtype=np.intp),
        facts_of([answer.look for _, answer in alike]),
        [answer.values for _, answer in alike],
        source_of(np.empty((0, channels), alike[0][1].dtype), card),
        len(answers) - len(alike),
        problems[0] if problems else "",
    )


def _look(samples: Samples, card: Card, row: int) -> _One | ImageError:
    found = samples.images[row]
    if isinstance(found, Path):
        try:
            image = read_image(found)
            name = format_of(found)
            if card.channels == 1:
                image = to_channels(image, 1, found)
        except ImageError as problem:
            return problem
    else:
        image, name = found, ""
    pixels = image.reshape(-1, image.shape[2])
    # Copied, so that the image itself is let go.
    values = pixels[:: max(1, len(pixels) // PIXELS)].copy()
    return _One(look(image, name), values, image.dtype)


def _kind(one: _One) -> tuple[int, str]:
    return one.values.shape[1], one.dtype.name


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def by_class(labels: Sequence[int] | npt.NDArray[np.int64], classes: int) -> list[Rows]:
    """Return, for each class, the places of its labels."""
    return [np.flatnonzero(np.asarray(labels) == label) for label in range(classes)]
