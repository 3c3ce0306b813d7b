"""What stands on both sides of a split, and a split that keeps copies on one side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bioclass.check.copies import copies_of, group_names
from bioclass.check.findings import Finding, Rows, count, equal, some
from bioclass.errors import DatasetError, LeakError
from bioclass.recipe import Split
from bioclass.samples import Samples
from bioclass.split import Parts, split_samples

LEAKS = ("group-leak", "copy-leak")
"""Kinds of findings for which a fit is refused."""


def split_together(samples: Samples, split: Split, classes: Sequence[str], copies: Sequence[Rows]) -> Parts:
    """Return the part of every sample, as ``split_samples`` does, with copies of one image in one part.

    An official part is kept as it is, even if it leaks.

    Raises:
        DatasetError: a class with too few images or groups for the split, or whose images are all copies of one.
    """
    if copies and samples.parts is None:
        _refuse_copies_only(samples, classes, copies)
    if copies:
        samples = replace(samples, groups=group_names(samples, copies))
    return split_samples(samples, split, classes, allow_leaks=True)


def find_leaks(samples: Samples, parts: Parts, copies: Sequence[Rows]) -> list[Finding]:
    """Return the groups and the copies of images that stand in more than one part, as errors."""
    found = []
    groups = [] if samples.groups is None else _straddling(samples.groups, parts)
    if groups:
        found.append(
            Finding(
                "group-leak",
                "error",
                f"{count(len(groups), 'group')} of {len(set(samples.groups.tolist()))} "
                f"{'stands' if len(groups) == 1 else 'stand'} in more than one part of the official split "
                f"({some(groups)}), so the test part is not new to the network.",
                "Correct the parts, or leave them out and let bioclass split by group.",
                tuple(groups),
            )
        )
    across = [rows for rows in copies if len(set(parts[rows].tolist())) > 1]
    if across:
        pairs = equal(samples.ids, across)
        found.append(
            Finding(
                "copy-leak",
                "error",
                f"{count(len(across), 'image')} of one part {'has' if len(across) == 1 else 'have'} copies in "
                f"another ({some(pairs)}), so the test part is not new to the network.",
                "Remove the copies from one part, or leave the official parts out and split by the groups that "
                "bioclass check DATASET --groups FILE.csv writes.",
                pairs,
            )
        )
    return found


def find_copies(samples: Samples, copies: Sequence[Rows]) -> list[Finding]:
    """Return the images that are there more than once, as a warning."""
    if not copies:
        return []
    pairs = equal(samples.ids, copies)
    message = f"{count(len(copies))} {'has' if len(copies) == 1 else 'have'} exact copies ({some(pairs)})."
    mend = (
        "Leave the copies out. A fit keeps identical files in one part; copies that differ as files need a group "
        "(--groups FILE.csv)."
    )
    return [Finding("copies", "warning", message, mend, pairs)]


def find_conflicts(samples: Samples, classes: Sequence[str], copies: Sequence[Rows]) -> list[Finding]:
    """Return the copies of one image that have different labels, as an error."""
    wrong = [rows for rows in copies if len(set(samples.labels[rows].tolist())) > 1]
    if not wrong:
        return []
    named = [
        " = ".join(f"{samples.ids[row]} ({classes[samples.labels[row]]})" for row in rows.tolist())
        for rows in wrong
    ]
    return [
        Finding(
            "label-conflict",
            "error",
            f"{count(len(wrong), 'image')} {'has' if len(wrong) == 1 else 'have'} copies with another label "
            f"({some(named)}): at least one label of each is wrong.",
            "Correct the labels, or leave these images out.",
            tuple(named),
        )
    ]


def find_singles(samples: Samples, classes: Sequence[str]) -> list[Finding]:
    """Return the classes that have one image only."""
    counts = np.bincount(samples.labels, minlength=len(classes))
    alone = np.flatnonzero(counts == 1)
    if not len(alone):
        return []
    ids = samples.ids[np.isin(samples.labels, alone)].tolist()
    one = len(alone) == 1
    return [
        Finding(
            "single",
            "error",
            f"The class{'' if one else 'es'} {', '.join(repr(classes[i]) for i in alone)} "
            f"{'has' if one else 'have'} one image{'' if one else ' each'}, which cannot be both trained on and "
            "tested.",
            "Add images, or leave the class out of the card.",
            tuple(ids),
        )
    ]


def split_for_fit(
    samples: Samples, split: Split, classes: Sequence[str], allow_leaks: bool, say: Callable[[str], None]
) -> Parts:
    """Return the parts to train, validate and test with; these checks decode nothing.

    Where bioclass itself draws the parts, identical files (or rows of an array) are kept in one of them.

    Args:
        samples: ``checked`` samples.
        split: the recipe's choice.
        classes: names of the classes.
        allow_leaks: train on an official split that leaks, and only say so.
        say: is told what is worth knowing.

    Raises:
        LeakError: a group or an image stands in more than one part.
        DatasetError: a class with too few images or groups for the split.
    """
    copies = copies_of(samples)
    parts = split_together(samples, split, classes, copies)
    leaks = find_leaks(samples, parts, copies)
    if leaks and not allow_leaks:
        lines = "".join(f"\n  - {leak.message} {leak.mend}" for leak in leaks)
        raise LeakError(f"The split leaks:{lines}\nTo train nevertheless, give --allow-leaks.")
    findings = [*leaks, *find_conflicts(samples, classes, copies), *find_singles(samples, classes)]
    for finding in findings:
        say(f"{finding.severity.capitalize()}: {finding.message} {finding.mend}")
    if copies and not leaks:
        say(
            f"{count(len(copies), 'image')} {'has' if len(copies) == 1 else 'have'} exact copies "
            f"({some(equal(samples.ids, copies))}): copies are kept in one part."
        )
    return parts


def _refuse_copies_only(samples: Samples, classes: Sequence[str], copies: Sequence[Rows]) -> None:
    for each in copies:
        label = samples.labels[each[0]]
        rows = np.flatnonzero(samples.labels == label)
        if np.isin(rows, each).all():
            raise DatasetError(
                f"All {len(rows)} images of the class {classes[label]!r} are copies of one image "
                f"({some(samples.ids[rows].tolist())}): they cannot be both trained on and tested. Give the class "
                "other images, or leave it out of the card."
            )


def _straddling(groups: Parts, parts: Parts) -> list[str]:
    pairs = np.unique(np.stack([groups.astype(object), parts.astype(object)]).astype(np.str_), axis=1)
    names, counts = np.unique(pairs[0], return_counts=True)
    return [str(name) for name in names[counts > 1]]
