"""A gallery of stored images of a dataset, as they are seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.images import read_image, to_channels
from bioclass.preprocess import Input
from bioclass.report.display import Display, display_of
from bioclass.report.gallery import Caption, draw_gallery
from bioclass.report.variants import spread
from bioclass.samples import Samples

EXAMPLES = 64
"""Images by which it is decided how all are shown."""

EXAMPLE = 500
"""Pixels along the longer side of such an image that are enough."""


class Manner(NamedTuple):
    """How images are shown: their pixels, and the height and width of the place for each."""

    display: Display
    shape: tuple[int, int]


def draw_samples(
    samples: Samples,
    source: Input,
    rows: npt.NDArray[np.intp],
    captions: Sequence[Caption],
    note: str,
    out: Path,
    manner: Manner | None = None,
) -> tuple[str, list[Path]]:
    """Draw the images of these rows, at least one, with their captions; return the note and the files.

    How the images are shown, by default as some of them let it, is added to the note, which stands below every
    page. ``source`` is what the images are.
    """
    display, shape = manner or manner_of(samples, source, rows)
    note = f"{note} {display.note}".rstrip()
    files = draw_gallery(
        lambda number: display(stored_image(samples, source, rows[number])), captions, shape, out, note
    )
    return note, files


def place_of(shapes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Return the height and width of the place for images of these heights and widths: theirs, or a square."""
    found = set(shapes)
    return found.pop() if len(found) == 1 else (1, 1)


def manner_of(samples: Samples, source: Input, rows: npt.NDArray[np.intp]) -> Manner:
    """Return how the images of these rows are shown, as some of them let it."""
    shapes, examples = [], []
    for place in spread(len(rows), EXAMPLES):
        image = stored_image(samples, source, rows[place])
        shapes.append((image.shape[0], image.shape[1]))
        # A large image is let go.
        apart = max(1, max(shapes[-1]) // EXAMPLE)
        examples.append(image[::apart, ::apart].copy())
    return Manner(display_of(examples, source), place_of(shapes))


def stored_image(samples: Samples, source: Input, row: int) -> npt.NDArray[Any]:
    """One image (H, W, C), as it is stored."""
    found = samples.images[row]
    if isinstance(found, Path):
        return to_channels(read_image(found), source.channels, found)
    image: npt.NDArray[Any] = found
    return image
