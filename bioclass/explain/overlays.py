"""Which places of images count: heat by Grad-CAM and by covering, over the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import ImageError
from bioclass.explain.explainer import LEAST_DROP, Explainer
from bioclass.explain.figures import Cell, Row, Words, table
from bioclass.explain.heat import Heat, overlay, scaled, to_file
from bioclass.explain.seen import Seen
from bioclass.explain.subject import Found, Subject
from bioclass.images import read_image, to_channels
from bioclass.preprocess import adapted
from bioclass.report.curves import Drawing

Array = npt.NDArray[Any]

CLASSES = 12
"""Classes of which images are shown; of more, those with the most errors."""
PAGE = 20
"""Images of a user's own on one figure."""


def columns(made: Explainer) -> list[str]:
    """Return what stands over the pictures of one image."""
    return ["image", *(["Grad-CAM"] if made.graph.seen is not None else []), "occlusion"]


def cells(
    made: Explainer, seen: Seen, image: Array, target: int, caption: str, frame: Callable[[Heat], Heat], rgb: Any
) -> list[Cell]:
    """Return the pictures of one stored image (H, W, C): itself, and heat for a class over it."""
    found = [Cell(rgb, caption)]
    if made.graph.seen is not None:
        heat = made.gradcam(image, target)
        found.append(Cell(overlay(rgb, frame(heat)), "" if heat.any() else "nothing speaks for it"))
    drops = made.drops(image, target)
    most = f"down by {max(0.0, float(drops.max())):.2f}"
    found.append(Cell(overlay(rgb, frame(scaled(drops, LEAST_DROP))), most))
    return found


def chosen_figure(made: Explainer, subject: Subject, found: Found, seen: Seen) -> Drawing:
    """Draw, for each class, an image that is answered right and one that is answered wrong, with their heat."""
    labels, predicted = subject.labels, found.predicted
    wrong = np.bincount(labels[labels != predicted], minlength=len(made.run.classes))
    shown = np.sort(np.argsort(-wrong, kind="stable")[:CLASSES])
    names, width = made.run.classes, len(columns(made))
    rows = []
    for label in shown.tolist():
        right = _middling(found, np.flatnonzero((labels == label) & (predicted == label)))
        error = _most_confident_error(subject, found, label)
        parts: list[Cell | None] = []
        for row in (right, error):
            if row is None:
                parts += [None] * width
                continue
            image, answer = subject.images[row], int(predicted[row])
            caption = f"{names[answer]}, {found.probabilities[row, answer]:.2f}"
            parts += cells(made, seen, image, answer, caption, lambda heat: heat, seen.stored(image))
        if any(parts):
            rows.append(Row(names[label], parts))
    caption = (
        f"For each class an image that is answered right, of middling confidence among those, and the error of the "
        f"highest confidence, of {subject.words}; below each the answer and its probability. {heat_words(made)} "
        f"{'' if len(shown) == len(names) else f'Shown are the {len(shown)} classes with the most errors. '}"
        f"{seen.note}"
    ).rstrip()
    alt = f"Rows of images of {len(rows)} classes, each with maps of the places that count for the answer."
    titles = columns(made)
    over = ["answered right", *titles[1:], "answered wrong", *titles[1:]]
    return table(Words("overlays", alt, caption), rows, over, (width, width), key=True)


def file_figures(
    made: Explainer, paths: Sequence[Path], seen_of: Callable[[Sequence[Array]], Seen]
) -> Iterator[tuple[Drawing | None, list[tuple[Path, ImageError]]]]:
    """Yield figures of a user's files, some on each, and which of them could not be used."""
    for number, start in enumerate(range(0, len(paths), PAGE), start=1):
        read, failed = _read(made, paths[start : start + PAGE])
        yield (_file_figure(made, read, seen_of, number, len(paths) > PAGE) if read else None), failed


def heat_words(made: Explainer) -> str:
    """Return in a few sentences how the maps are to be read."""
    occlusion = (
        "Occlusion: how far the probability of the answer falls where a patch covers the image, with the largest "
        "fall below."
    )
    if made.graph.seen is None:
        return f"{occlusion} The network has no convolution, so there is no Grad-CAM."
    own = ", with the gradient of each place, since fully connected layers tell places apart"
    cam = (
        f"Grad-CAM: where the evidence for the answer lies in the last convolution's "
        f"{made.graph.seen.shape[1]} x {made.graph.seen.shape[2]} places"
        f"{own if made.graph.tells_places_apart else ''}; each map is scaled to its own largest value."
    )
    return f"{cam} {occlusion}"


def _read(
    made: Explainer, paths: Sequence[Path]
) -> tuple[list[tuple[Path, Array, Array]], list[tuple[Path, ImageError]]]:
    """Each file that can be used with its image as it is, and as it is stored."""
    read, failed = [], []
    for path in paths:
        try:
            whole = to_channels(read_image(path), made.plan.channels, path)
            read.append((path, whole, adapted(made.plan, whole, path)))
        except ImageError as problem:
            failed.append((path, problem))
    return read, failed


def _file_figure(
    made: Explainer,
    read: Sequence[tuple[Path, Array, Array]],
    seen_of: Callable[[Sequence[Array]], Seen],
    number: int,
    several: bool,
) -> Drawing:
    seen = seen_of([stored for _, _, stored in read])
    rows = []
    probabilities = made.probabilities(np.stack([stored for _, _, stored in read]))
    for (path, whole, stored), each in zip(read, probabilities, strict=True):
        answer = int(each.argmax())
        rgb = seen.stored(whole)
        caption = f"{made.run.classes[answer]}, {each[answer]:.2f}"

        def frame(heat: Heat, size: tuple[int, ...] = rgb.shape) -> Heat:
            return to_file(heat, made.plan, (size[0], size[1]))

        rows.append(Row(path.name, [*cells(made, seen, stored, answer, caption, frame, rgb)]))
    caption = f"Below each image the answer and its probability. {heat_words(made)} {seen.note}".rstrip()
    alt = f"{len(rows)} images, each with maps of the places that count for the answer."
    name = f"overlays-{number}" if several else "overlays"
    return table(Words(name, alt, caption), rows, columns(made), (len(columns(made)),), key=True)


def typical(subject: Subject, found: Found) -> int:
    """Return which of the images that are answered right has the median probability; of none, the first image."""
    found_right = _middling(found, np.flatnonzero(subject.labels == found.predicted))
    return 0 if found_right is None else found_right


def _middling(found: Found, rows: Array) -> int | None:
    """Which of these rows has the median probability of its answer; None of no rows."""
    order = rows[np.argsort(found.probabilities[rows].max(axis=1), kind="stable")]
    return int(order[len(order) // 2]) if len(order) else None


def _most_confident_error(subject: Subject, found: Found, label: int) -> int | None:
    rows = np.flatnonzero((subject.labels == label) & (found.predicted != label))
    return int(rows[found.probabilities[rows].max(axis=1).argmax()]) if len(rows) else None
