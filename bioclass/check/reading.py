"""Read a dataset as far as it goes, and note what a fit would stop at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.card import PARTS, Card, ImageFolder
from bioclass.check.findings import Finding, count, some
from bioclass.dataset import check_counts, read_samples
from bioclass.errors import DatasetError
from bioclass.formats import read_format
from bioclass.images import SUFFIXES
from bioclass.samples import Samples
from bioclass.shelf import Shelf


def read_leniently(card: Card, root: Path, shelf: Shelf) -> tuple[Samples, list[Finding]]:
    """Return what can be read, ``checked``, and a finding for each mistake that a fit would refuse.

    Raises:
        DatasetError: nothing can be read, or what is wrong leaves nothing to go on with.
    """
    if card.format is None:
        samples, findings = read_samples(card, root, shelf), []
    else:
        problems: list[DatasetError] = []
        samples = read_format(card, root, problems.append)
        findings = [_refused("layout", problem) for problem in problems]
        if isinstance(card.format, ImageFolder):
            findings += _left_aside(root, card.format)
    try:
        samples = samples.checked(card.class_names)
    except DatasetError as problem:
        samples = _without_mistakes(samples, card).checked(card.class_names)
        findings.append(_refused("labels", problem))
    try:
        check_counts(card, samples)
    except DatasetError as problem:
        findings.append(_refused("counts", problem))
    return samples, findings


def _refused(kind: str, problem: DatasetError) -> Finding:
    """The finding of a mistake for which a fit stops; its sentence says already what to do."""
    return Finding(kind, "error", str(problem), "A fit is refused until this is mended.")


def _left_aside(root: Path, layout: ImageFolder) -> list[Finding]:
    """Images beside the class folders, and files in them that are not taken as images."""
    above = [root, *(root / part for part in PARTS)] if layout.parts else [root]
    loose, other = [], []
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(root).parts)
        if hidden or not path.is_file():
            continue
        name = path.relative_to(root).as_posix()
        if path.suffix.lower() not in SUFFIXES:
            if path.parent not in above:
                other.append(name)
        elif path.parent in above:
            loose.append(name)
    found = []
    if loose:
        message = (
            f"{count(len(loose))} lie loose beside the class folders of {root} ({some(loose)}) and are not used."
        )
        found.append(
            Finding("loose", "warning", message, "Move each into the folder of its class, or away.", tuple(loose))
        )
    if other:
        message = f"{count(len(other), 'file')} in the class folders are not taken as images ({some(other)})."
        mend = f"Convert them if they are images (to {', '.join(sorted(SUFFIXES))}); else leave them."
        found.append(Finding("other-files", "note", message, mend, tuple(other)))
    return found


def _without_mistakes(samples: Samples, card: Card) -> Samples:
    """Leave out rows whose label is no class, or whose id stood before."""
    labels = np.asarray(samples.labels)
    ids = np.arange(len(labels)) if samples.ids is None else np.asarray(samples.ids)
    first = np.zeros(len(labels), dtype=bool)
    first[np.unique(ids, return_index=True)[1]] = True
    kept: dict[str, Any] = {
        name: None if getattr(samples, name) is None else np.asarray(getattr(samples, name))
        for name in ("groups", "parts")
    }
    # Other right classes may be what is wrong, and nothing is checked by them.
    kept["also"] = None
    rows = np.flatnonzero(first & _known(labels, card.class_names))
    return replace(samples, labels=labels, ids=ids, **kept).take(rows)


def _known(labels: npt.NDArray[np.generic], classes: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    if labels.dtype.kind in "iuf":
        return np.isin(labels, np.arange(len(classes)))
    return np.isin(labels.astype(np.str_), classes)
