"""Images on which an exported model is compared with its run: the run's own, or random ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.answers import batch_of
from bioclass.dataset import find_root, load_samples
from bioclass.errors import DatasetError
from bioclass.export.graph import inside
from bioclass.exported import open_session
from bioclass.images import read_image, to_channels
from bioclass.preprocess import Plan, centred, prepare, resized
from bioclass.run import Run
from bioclass.samples import Samples
from bioclass.shelf import Shelf

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Images:
    """The same images for both sides.

    Attributes:
        given: to the graph, (H, W, C) each, of any sizes where the graph resizes; large files are read one by one.
        prepared: to the run, (N, H, W, C) of the stored type and one size.
    """

    given: Iterable[Array]
    prepared: Array


def run_samples(run: Run, root: Path | None, shelf: Shelf) -> Samples:
    """Read the samples of a run's dataset; DatasetError where they are not there."""
    return load_samples(run.card, find_root(run.card, root, run.recorded_root()), shelf)


def images_of(run: Run, samples: Samples, rows: npt.NDArray[np.intp]) -> Images:
    """Return some of the samples as the run and its graph take them.

    Raises:
        DatasetError: they cannot be read, or are not like those that the run was fitted on.
    """
    taken = samples.take(rows)
    prepared, plan = prepare(taken, run.recipe.preprocess, run.card)
    if (plan.input, plan.size) != (run.plan.input, run.plan.size):
        raise DatasetError(f"The images of {run.card.name!r} are not like those that {run.path} was fitted on.")
    if inside(run.plan).resize is None:
        return Images(for_graph(run.plan, prepared), prepared)
    if isinstance(taken.images, np.ndarray):
        return Images(taken.images, prepared)
    read = (to_channels(read_image(path), plan.channels, path) for path in taken.images)
    return Images((image.astype(plan.input.dtype, copy=False) for image in read), prepared)


def random_images(plan: Plan, count: int) -> Images:
    """Return noise over the whole range, of the plan's size and, where the graph resizes, of a larger one."""
    rng = np.random.default_rng(0)
    stored = np.dtype(plan.input.dtype)

    def noise(height: int, width: int) -> Array:
        values = rng.random((height, width, plan.channels)) * plan.largest
        if plan.center is not None:  # There is a border to cut away then.
            rows, columns = (int(rng.integers(1, 2 + side // 4)) for side in (height, width))
            values[:rows] = values[height - rows :] = values[:, :columns] = values[:, width - columns :] = 0
        return values.astype(stored) if stored.kind == "f" else np.rint(values).astype(stored)

    height, width = plan.size
    if plan.resize is None or inside(plan).resize is None:
        prepared = np.stack([noise(height, width) for _ in range(count)])
        return Images(for_graph(plan, prepared), prepared)
    sides = [(height, width), (height * 3 // 2, width * 3 // 2)]
    given = [noise(*sides[number % 2]) for number in range(count)]
    return Images(given, np.stack([resized(image, plan.size, plan.resize) for image in given]))


def probabilities(graph: bytes, given: Iterable[Array]) -> npt.NDArray[np.float64]:
    """Return what a whole graph says of images (H, W, C), (N, K); neighbours of one size are computed together."""
    session = open_session(graph)
    out = []
    for batch in _batches(given):
        out.append(session.run(["probabilities"], {"images": batch})[0])
    found: npt.NDArray[np.float64] = np.concatenate(out).astype(np.float64)
    return found


def _batches(given: Iterable[Array]) -> Iterator[Array]:
    batch: list[Array] = []
    for image in given:
        if batch and (image.shape != batch[0].shape or len(batch) == batch_of(image.size)):
            yield np.stack(batch)
            batch = []
        batch.append(image)
    yield np.stack(batch)


def for_graph(plan: Plan, prepared: Array) -> Array:
    """Return prepared images as a graph takes them, (N, h, w, C); where it resizes, these have the size already."""
    return prepared if inside(plan).center == plan.center else in_place(plan, prepared)


def in_place(plan: Plan, prepared: Array) -> Array:
    """Return prepared images (N, H, W, C) as they are scaled, (N, h, w, C)."""
    return prepared if plan.center is None else centred(prepared, plan.center, plan.largest)
