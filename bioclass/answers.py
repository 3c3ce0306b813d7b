"""Scores to probabilities, image files to their answers, and answers to tables, whatever computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.environment import available_cores
from bioclass.errors import ImageError
from bioclass.preprocess import Plan, read_for
from bioclass.storage import keep_memory

BATCH = 256

VALUES = 2_500_000
"""Input values in a batch of prediction, at most: 16 images of 224x224 in RGB, of which vgg16 makes half a GB."""

Probabilities = npt.NDArray[np.float64]
Answers = Iterator[tuple[Path, npt.NDArray[np.float64] | ImageError]]
_Read = npt.NDArray[Any] | ImageError


def answer_files(
    probabilities: Callable[[npt.NDArray[Any]], Probabilities], plan: Plan, paths: Sequence[Path], batch: int
) -> Answers:
    """Yield every file with its probabilities (K,), or with the error for which it could not be used.

    ``probabilities`` gives those (B, K) of stored images (B, H, W, C), of at most ``batch`` at a time.
    """
    for chunk, read in _read_ahead(plan, paths, batch):
        good = [image for image in read if not isinstance(image, ImageError)]
        answers = iter(probabilities(np.stack(good))) if good else iter(())
        for path, image in zip(chunk, read, strict=True):
            yield path, image if isinstance(image, ImageError) else next(answers)


def batch_size(plan: Plan) -> int:
    """Return how many images are predicted at a time."""
    height, width = plan.output_size
    return batch_of(height * width * plan.channels)


def batch_of(values: int) -> int:
    """Return how many inputs of so many values are computed at a time."""
    return max(1, min(BATCH, VALUES // values))


def softmax(scores: npt.NDArray[Any]) -> Probabilities:
    """Return the softmax of each row in float64, (N, K)."""
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    exponential = np.exp(shifted)
    result: Probabilities = exponential / exponential.sum(axis=1, keepdims=True)
    return result


def joined(names: Sequence[str]) -> str:
    """Return the names of a set as a cell of a table: parted by bars; a bar in a name has a backslash before it."""
    return "|".join(name.replace("\\", "\\\\").replace("|", "\\|") for name in names)


def cell(value: Any) -> Any:
    """Return a value as a table has it: ``yes`` or ``no``, the names of a set as one text, else as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return joined(value) if isinstance(value, list) else value


def _read_ahead(plan: Plan, paths: Sequence[Path], batch: int) -> Iterator[tuple[Sequence[Path], list[_Read]]]:
    """Yield the files of each batch and what they hold, while as many threads as processors read the next."""
    if not paths:
        return
    keep_memory()
    # The first alone: libraries load parts of themselves with it, which is not safe in several threads at once.
    first: Future[_Read] = Future()
    first.set_result(_read(plan, paths[0]))
    with ThreadPoolExecutor(available_cores()) as pool:
        coming = [first, *(pool.submit(_read, plan, path) for path in paths[1:batch])]
        for start in range(0, len(paths), batch):
            read = [each.result() for each in coming]
            coming = [pool.submit(_read, plan, path) for path in paths[start + batch : start + 2 * batch]]
            yield paths[start : start + batch], read


def _read(plan: Plan, path: Path) -> _Read:
    try:
        return read_for(plan, path)
    except ImageError as problem:
        return problem
