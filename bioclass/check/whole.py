"""Everything that is checked of a dataset, in one go."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.card import Card
from bioclass.check.copies import copies_of, group_names, same
from bioclass.check.duplicates import ALIKE, ALIKE_SMALL, SMALL, near_copies, without
from bioclass.check.facts import Facts, look_at
from bioclass.check.files import find_kinds, find_sizes, find_unreadable, find_values
from bioclass.check.findings import Finding, Rows, Severity, count, equal, in_order, some
from bioclass.check.labels import find_class_names, find_imbalance
from bioclass.check.leaks import find_conflicts, find_copies, find_leaks, find_singles, split_together
from bioclass.check.reading import read_leniently
from bioclass.check.shortcuts import find_shortcuts
from bioclass.errors import DatasetError
from bioclass.recipe import Recipe, Split
from bioclass.samples import Samples
from bioclass.shelf import Shelf
from bioclass.split import Parts

Advance = Callable[[str, int, int], None]
"""Told what is being done, with how many images it is done, and how many there are."""


@dataclass(frozen=True)
class Checked:
    """What a check found: its findings, the worst first, and which images belong together."""

    card: Card
    samples: Samples
    findings: list[Finding]
    together: list[Rows]
    """Sets of rows of ``samples`` that are copies, exact or near."""

    @property
    def failed(self) -> bool:
        """Whether there are errors."""
        return any(finding.severity == "error" for finding in self.findings)

    def groups_csv(self) -> str:
        """Return a table of id, label, group and, if there is an official split, part, for a card's [format].

        Copies share a group; where groups were known, they are kept, and joined by copies that they share.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        samples = self.samples
        labels = [self.card.class_names[label] for label in samples.labels]
        columns: list[Any] = [samples.ids, labels, group_names(samples, self.together)]
        official = [] if samples.parts is None else [samples.parts]
        writer.writerow(["id", "label", "group", *(["part"] if official else [])])
        writer.writerows(zip(*columns, *official, strict=True))
        return out.getvalue()


def check_dataset(
    card: Card,
    root: Path,
    shelf: Shelf,
    recipe: Recipe | None = None,
    advance: Advance = lambda doing, done, total: None,
) -> Checked:
    """Look for everything that is wrong with a dataset; every image is read once.

    Args:
        card: of the dataset.
        root: folder of its files.
        shelf: of adapters.
        recipe: whose split is checked, and whether it brings images to one size; by default the default split.
        advance: told how far reading and comparing the images are.

    Raises:
        DatasetError: nothing can be read.
    """
    samples, findings = read_leniently(card, root, shelf)
    findings += [*find_class_names(card), *find_imbalance(samples, card), *find_singles(samples, card.class_names)]
    parts, problems = _parts(samples, card, Split() if recipe is None else recipe.split)
    findings += problems
    facts, rows, unreadable = look_at(samples.images, lambda done: advance("reading", done, len(samples)))
    if unreadable and not isinstance(samples.images, np.ndarray):
        findings += find_unreadable(samples.images, samples.ids, unreadable)
    together: list[Rows] = []
    if len(rows):
        ids = samples.ids[rows]
        size: Severity = "note" if recipe and recipe.preprocess.size else "warning"
        findings += find_sizes(ids, facts, samples.labels[rows], size)
        findings += [*find_kinds(ids, facts, card.channels), *find_values(ids, facts, card.bit_depth)]
        together, more = _copies(samples, rows, parts, facts, card.class_names, advance)
        targets: dict[str, npt.NDArray[Any]] = {"class": samples.labels[rows]}
        if samples.parts is not None:
            targets["part"] = samples.parts[rows]
        groups = None if samples.groups is None else samples.groups[rows]
        findings += [*more, *find_shortcuts(facts, targets, groups)]
    return Checked(card, samples, in_order(findings), together)


def _parts(samples: Samples, card: Card, split: Split) -> tuple[Parts, list[Finding]]:
    try:
        return split_together(samples, split, card.class_names, copies_of(samples)), []
    except DatasetError as problem:
        finding = Finding("split", "error", str(problem), "A fit is refused until this is mended.")
        # Without parts there are no leaks between them.
        return np.full(len(samples), "train") if samples.parts is None else samples.parts, [finding]


def _copies(
    samples: Samples, rows: Rows, parts: Parts, facts: Facts, classes: Sequence[str], advance: Advance
) -> tuple[list[Rows], list[Finding]]:
    """Sets of copies, exact and near, and what is to be said of them."""
    constant = facts.low == facts.high
    exact = [rows[each] for each in same(np.flatnonzero(~constant).tolist(), facts.digest)]
    small = int(np.median(facts.shape[:, :2].min(axis=1))) < SMALL
    alike = ALIKE_SMALL if small else ALIKE

    def compared(images: int) -> None:
        advance("comparing", images, len(rows))

    sets = [rows[each] for each in near_copies(facts.thumbs, alike, compared)]
    near = without(sets, exact)
    found = [
        *find_leaks(samples, parts, exact),
        *find_conflicts(samples, classes, exact),
        *find_copies(samples, exact),
    ]
    if near:
        found.append(_near(samples, parts, near, alike))
    return [*exact, *sets], found


def _near(samples: Samples, parts: Parts, near: list[Rows], alike: float) -> Finding:
    crossing = [
        ("parts", sum(len(set(parts[rows].tolist())) > 1 for rows in near)),
        ("classes", sum(len(set(samples.labels[rows].tolist())) > 1 for rows in near)),
        (
            "groups",
            0 if samples.groups is None else sum(len(set(samples.groups[rows].tolist())) > 1 for rows in near),
        ),
    ]
    across = ", ".join(f"{n} across {name}" for name, n in crossing if n)
    images, pairs = sum(map(len, near)), equal(samples.ids, near)
    return Finding(
        "near-copies",
        "warning" if across else "note",
        f"{images} images in {count(len(near), 'set')} show the same, or nearly (correlation at least {alike:g} in "
        f"some flip or turn; {across or 'none across parts or classes'}): {some(pairs)}.",
        "Look at them; --groups FILE.csv writes a table in which they share a group, for a card to split by. Crops "
        "of one photograph that overlap only in part are not found.",
        pairs,
    )
