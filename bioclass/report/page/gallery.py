"""The images of a report as data for its script: which are shown, what is said of each, and their thumbnails."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.evaluate import Scored
from bioclass.report.misclassified import captions
from bioclass.report.page.sprites import COLUMNS, EACH, Sprites, make_sprites
from bioclass.report.page.subject import VOTE, Subject
from bioclass.report.pictures import manner_of, stored_image
from bioclass.report.predictions import Predictions
from bioclass.samples import Samples

Rows = npt.NDArray[np.intp]

MOST = 10_000
"""Images that are shown at most."""
ERRORS = 0.7
"""Their share that errors may take, where not all images are shown."""
TOP = 10
"""Classes whose probabilities are kept of an image."""


class Part(NamedTuple):
    """Images of one part, and those of its rows that are shown, in this order."""

    name: str
    scored: Scored
    rows: Rows


@dataclass(frozen=True, eq=False)
class Gallery:
    """The images that are shown.

    Attributes:
        document: what the script reads.
        sprites: the thumbnails.
        shown: of the report's part, how many are shown.
        note: how they are shown, in words; empty where as they are stored.
    """

    document: dict[str, Any]
    sprites: Sprites
    shown: int
    note: str

    def files(self) -> dict[str, str]:
        """Return thumbnails and larger images as text by the id of the element that holds it."""
        sheets = {f"sheet-{number}": sheet for number, sheet in enumerate(self.sprites.sheets)}
        large = {f"large-{number}": image for number, image in self.sprites.large.items()}
        return {name: _text(data) for name, data in (sheets | large).items()}


def make_gallery(
    subject: Subject, others: Sequence[tuple[str, Scored]], samples: Samples, room: int, more: int
) -> Gallery:
    """Return the images of a report, most confident errors first.

    Args:
        subject: what the report is of.
        others: other parts on which the same weights were evaluated; their images are shown while there is room.
        samples: all images of the dataset.
        room: bytes for thumbnails.
        more: bytes for larger images.
    """
    parts = []
    left = MOST
    for name, scored in ((subject.part, subject.scored), *others):
        parts.append(Part(name, scored, chosen(scored, left)))
        left -= len(parts[-1].rows)
    place = {name: row for row, name in enumerate(samples.ids.tolist())}
    places = [place[name] for part in parts for name in part.scored.ids[part.rows].tolist()]
    source = subject.run.plan.input
    display = manner_of(samples, source, np.array(places)).display
    sprites = make_sprites(
        lambda number: display(stored_image(samples, source, places[number])), len(places), room, more
    )
    document = {
        "titles": subject.titles,
        "part": subject.part,
        "images": len(subject.scored.ids),
        "group": subject.card.group or "group",
        **_columns(subject, parts),
        "sprites": _sprites(sprites),
    }
    return Gallery(document, sprites, len(parts[0].rows), display.note)


def chosen(scored: Scored, most: int) -> Rows:
    """Return the rows shown: errors, the most confident first, then right answers, the least certain first.

    Where there are too many, the errors are taken in turn from each pair of classes, and of the right answers half
    are the least certain and half are drawn at random.
    """
    confidence = scored.probabilities[np.arange(len(scored.ids)), scored.predicted]
    wrong, right = np.flatnonzero(~scored.right), np.flatnonzero(scored.right)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    right = right[np.argsort(confidence[right], kind="stable")]
    if len(wrong) + len(right) > most:
        room = min(len(wrong), max(int(ERRORS * most), most - len(right)))
        if room < len(wrong):
            pairs = scored.labels[wrong] * len(scored.classes) + scored.predicted[wrong]
            wrong = wrong[np.sort(np.argsort(_turns(pairs), kind="stable")[:room])]
        free = most - len(wrong)
        if free < len(right):
            drawn = np.random.default_rng(0).permutation(len(right) - free // 2)[: free - free // 2] + free // 2
            right = right[np.concatenate([np.arange(free // 2), np.sort(drawn)])]
    rows: Rows = np.concatenate([wrong, right])
    return rows


def _turns(kinds: npt.NDArray[np.int64]) -> Rows:
    """For each value, how often it stood before."""
    order = np.argsort(kinds, kind="stable")
    _, first, counts = np.unique(kinds[order], return_index=True, return_counts=True)
    turns = np.empty(len(kinds), dtype=np.intp)
    turns[order] = np.arange(len(kinds)) - np.repeat(first, counts)
    return turns


def _columns(subject: Subject, parts: Sequence[Part]) -> dict[str, Any]:
    """Return what is said of each image, column by column."""
    taken = [part.scored.take(part.rows) for part in parts]
    labels = np.concatenate([each.labels for each in taken])
    predicted = np.concatenate([each.predicted for each in taken])
    probabilities = np.concatenate([each.probabilities for each in taken])
    names = [part.name for part in parts]
    first = parts[0].rows
    found: dict[str, Any] = {
        "id": [name for each in taken for name in each.ids.tolist()],
        "true": labels.tolist(),
        "predicted": predicted.tolist(),
        "confidence": _rounded(probabilities[np.arange(len(labels)), predicted]),
        "top": _top(probabilities),
        "parts": names,
        "in_part": np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts]).tolist(),
        "also": _also(taken),
        "groups": None,
        "folds": None,
        "members": [
            {
                "name": member.name,
                "predicted": member.scored.predicted[first].tolist(),
                "confidence": _rounded(member.scored.probabilities.max(axis=1)[first]),
            }
            for member in subject.members
        ],
        "captions": _captions(subject, first),
    }
    if subject.groups is not None:
        groups = np.concatenate([each.groups for each in taken if each.groups is not None])
        known, which = np.unique(groups, return_inverse=True)
        found |= {"groups": known.tolist(), "in_group": which.tolist()}
    if subject.folds is not None:
        found |= {"folds": subject.folds.folds.names, "in_fold": subject.folds.fold[first].tolist()}
    return found


def _top(probabilities: npt.NDArray[np.float64]) -> dict[str, Any]:
    """The largest probabilities of each image (N, K), packed: 16 bits each, and of which classes they are."""
    count = min(TOP, probabilities.shape[1])
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    values = np.rint(65535 * np.take_along_axis(probabilities, order, axis=1).clip(0, 1))
    return {
        "count": count,
        "classes": _text(order.astype("<u2").tobytes()),
        "values": _text(values.astype("<u2").tobytes()),
    }


def _also(taken: Sequence[Scored]) -> dict[str, list[int]]:
    """By number, the classes of an image besides its own that are right too."""
    found, start = {}, 0
    for each in taken:
        if each.also is not None:
            for row in np.flatnonzero(each.also.any(axis=1)).tolist():
                found[str(start + row)] = np.flatnonzero(each.also[row]).tolist()
        start += len(each.ids)
    return found


def _captions(subject: Subject, rows: Rows) -> dict[str, Sequence[str]]:
    """By number, the answers of an ensemble and of its members to an image on which any of them errs."""
    if not subject.members:
        return {}
    models = [(VOTE, subject.scored), *((member.name, member.scored) for member in subject.members)]
    answers = [Predictions(name, 1, VOTE, each.predicted, each.probabilities.max(axis=1)) for name, each in models]
    labels = subject.scored.labels
    wrong = np.any([each.predicted[rows] != labels[rows] for each in answers], axis=0)
    said = captions(rows[wrong], labels, answers, subject.titles)
    return {str(number): words for number, words in zip(np.flatnonzero(wrong), said, strict=True)}


def _sprites(sprites: Sprites) -> dict[str, Any]:
    alike = len(set(sprites.sizes)) == 1
    return {
        "side": sprites.side,
        "columns": COLUMNS,
        "each": EACH,
        "kind": sprites.kind,
        "whole": sprites.whole,
        "size": sprites.sizes[0] if alike else None,
        "sizes": None if alike else [side for size in sprites.sizes for side in size],
        "large": sorted(sprites.large),
    }


def _rounded(values: npt.NDArray[np.float64]) -> list[float]:
    return [round(value, 5) for value in values.tolist()]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
