"""A gallery of stored images of a run's dataset, as they are seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.images import read_image, to_channels
from bioclass.report.display import display_of
from bioclass.report.gallery import Caption, draw_gallery
from bioclass.report.variants import spread
from bioclass.run import Run
from bioclass.samples import Samples

EXAMPLES = 64
"""Images by which it is decided how all are shown."""


def draw_samples(
    run: Run, samples: Samples, rows: npt.NDArray[np.intp], captions: Sequence[Caption], note: str, out: Path
) -> tuple[str, list[Path]]:
    """Draw the images of these rows, at least one, with their captions; return the note and the files.

    How the images are shown is added to the note, which stands below every page.
    """
    examples = [_image(samples, run, rows[place]) for place in spread(len(rows), EXAMPLES)]
    display = display_of(examples, run.plan.input)
    shapes = {(image.shape[0], image.shape[1]) for image in examples}
    note = f"{note} {display.note}".rstrip()
    files = draw_gallery(
        lambda number: display(_image(samples, run, rows[number])),
        captions,
        shapes.pop() if len(shapes) == 1 else (1, 1),
        out,
        note,
    )
    return note, files


def _image(samples: Samples, run: Run, row: int) -> npt.NDArray[Any]:
    """One image (H, W, C), as it is stored."""
    found = samples.images[row]
    if isinstance(found, Path):
        return to_channels(read_image(found), run.plan.channels, found)
    image: npt.NDArray[Any] = found
    return image
