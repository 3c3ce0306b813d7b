"""A gallery of stored images of a dataset, as they are seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def draw_samples(
    samples: Samples,
    source: Input,
    rows: npt.NDArray[np.intp],
    captions: Sequence[Caption],
    note: str,
    out: Path,
    display: Display | None = None,
) -> tuple[str, list[Path]]:
    """Draw the images of these rows, at least one, with their captions; return the note and the files.

    How the images are shown, by default as these images let it, is added to the note, which stands below every
    page. ``source`` is what the images are.
    """
    examples = [_image(samples, source, rows[place]) for place in spread(len(rows), EXAMPLES)]
    display = display or display_of(examples, source)
    shapes = {(image.shape[0], image.shape[1]) for image in examples}
    note = f"{note} {display.note}".rstrip()
    files = draw_gallery(
        lambda number: display(_image(samples, source, rows[number])),
        captions,
        shapes.pop() if len(shapes) == 1 else (1, 1),
        out,
        note,
    )
    return note, files


def display_of_samples(samples: Samples, source: Input, rows: npt.NDArray[np.intp]) -> Display:
    """Return how the images of these rows are shown, for several galleries that are to compare."""
    return display_of([_image(samples, source, rows[place]) for place in spread(len(rows), EXAMPLES)], source)


def _image(samples: Samples, source: Input, row: int) -> npt.NDArray[Any]:
    """One image (H, W, C), as it is stored."""
    found = samples.images[row]
    if isinstance(found, Path):
        return to_channels(read_image(found), source.channels, found)
    image: npt.NDArray[Any] = found
    return image
