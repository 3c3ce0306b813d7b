"""What is worth a word before anything is trained, in the words of ``bioclass check``."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from bioclass.card import Card
from bioclass.check.files import find_values
from bioclass.check.labels import find_imbalance
from bioclass.check.leaks import find_singles
from bioclass.check.shortcuts import find_shortcuts
from bioclass.report.data.chosen import Seen
from bioclass.report.data.groups import Structure, striking_groups
from bioclass.samples import Samples


def striking(samples: Samples, card: Card, seen: Seen, structure: Structure | None) -> list[str]:
    """Return sentences on uneven classes, groups of one class, and what tells the class without the subject.

    The latter is judged by the images that were seen; ``bioclass check`` looks at all, and for copies too.
    """
    found = [*find_imbalance(samples, card), *find_singles(samples, card.class_names)]
    targets: dict[str, npt.NDArray[Any]] = {"class": samples.labels[seen.rows]}
    groups = None if samples.groups is None else samples.groups[seen.rows]
    found += find_values(samples.ids[seen.rows], seen.facts, card.bit_depth)
    found += find_shortcuts(seen.facts, targets, groups)
    sentences = [finding.message for finding in found]
    if structure is not None:
        sentences += striking_groups(structure)
    if seen.left_out:
        sentences.append(f"{seen.left_out} of the images looked at cannot be used: {seen.problem}")
    return sentences
