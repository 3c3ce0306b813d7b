"""What a run, or the folds of a folder, say of images that they were not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioclass.errors import RunError
from bioclass.evaluate.data import Data, Model
from bioclass.run import Run, held_out_part, holds_folds, open_folds, open_run
from bioclass.samples import Samples
from bioclass.shelf import Shelf


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Images with probabilities of networks that were not trained on them.

    Attributes:
        run: the run; the first of folds.
        part: "validation" of a run; of folds "test", or "fold" where the dataset has an official test part besides.
        samples: all images of the dataset.
        rows: (N,) which of them, each once, in the order of the dataset.
        probabilities: (N, K); where several repeats held an image out, their mean.
    """

    run: Run
    part: str
    samples: Samples
    rows: npt.NDArray[np.intp]
    probabilities: npt.NDArray[np.float64]


def held_out(
    path: Path,
    shelf: Shelf,
    *,
    root: Path | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda text: None,
) -> HeldOut:
    """Return what the folds of a folder say of all that they held out, or a run of its validation part.

    An official test part, and the test part of a single run, are not looked at.

    Args:
        path: a run folder or a folder of folds.
        shelf: where adapters are found.
        root: the folder of the data; by default where the run was fitted on it.
        device: as in ``fit``.
        say: told what is being done.

    Raises:
        RunError: folds are not all trained, a run is damaged or has no validation part, or the data is not what it
            was fitted on.
    """
    folds = holds_folds(path)
    runs = open_folds(path).runs() if folds else [open_run(path)]
    first, part = runs[0], held_out_part(runs) if folds else "validation"
    for run in runs:
        run.verify()
    if not folds and not (first.split.parts == part).any():
        raise RunError(
            f"The run {path} has no validation part, by which labels could be judged: fit it with split.validation "
            "above 0, or with --folds, which judges every image."
        )
    data = Data(shelf, root, [part], device, say)
    place = {name: row for row, name in enumerate(first.split.ids.tolist())}
    total, times = np.zeros((len(place), len(first.classes))), np.zeros(len(place), dtype=np.int64)
    for run in runs:
        scored = data.scored(Model(run))[part]
        rows = np.array([place[name] for name in scored.ids.tolist()])
        # A run holds an image out once, so no row is named twice.
        total[rows] += scored.probabilities
        times[rows] += 1
    known = np.flatnonzero(times)
    return HeldOut(first, part, data.samples(first), known, total[known] / times[known, None])
