"""The models that are served: runs, or folders of folds, with what was fitted and decided for them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.answers import Probabilities, batch_size
from bioclass.errors import InputError, RunError
from bioclass.evaluate import Decided, Fitted, load_decided, load_fitted
from bioclass.evaluate.decided import KEPT as DECIDED
from bioclass.evaluate.fitted import KEPT as FITTED
from bioclass.report.display import display_of
from bioclass.run import Run, holds_folds, open_folds, open_run
from bioclass.serve.neighbours import Neighbours
from bioclass.serve.pictures import data_url
from bioclass.serve.worker import Worker
from bioclass.shelf import Shelf

if TYPE_CHECKING:
    from bioclass.explain import Explainer
    from bioclass.predict import MeanPredictor, Predictor

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Source:
    """An opened model, before its network is built.

    Attributes:
        id: what requests call it.
        path: its folder.
        runs: one, or those of folds.
        fitted: calibration and answers of the run; None where none were fitted.
        decided: decisions of the run; None where there are none.
        problems: what could not be used of it, a sentence each.
    """

    id: str
    path: Path
    runs: tuple[Run, ...]
    fitted: Fitted | None = None
    decided: Decided | None = None
    problems: tuple[str, ...] = ()

    @property
    def run(self) -> Run:
        """The run, the first of folds."""
        return self.runs[0]


def open_sources(paths: Sequence[Path]) -> list[Source]:
    """Open runs and folders of folds, and what was fitted for them.

    Raises:
        RunError: one cannot be opened.
        InputError: one is given twice.
    """
    sources: list[Source] = []
    for path in paths:
        if path.resolve() in [each.path.resolve() for each in sources]:
            raise InputError(f"The run {path} is given twice: leave one out.")
        sources.append(_open(path, {each.id for each in sources}))
    return sources


def _open(path: Path, taken: set[str]) -> Source:
    name = path.resolve().name
    same = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 2))]
    id_ = next(each for each in same if each not in taken)
    if holds_folds(path):
        return Source(id_, path, tuple(open_folds(path).runs()))
    run = open_run(path)
    run.best()
    problems: list[str] = []
    fitted: Fitted | None = None
    decided: Decided | None = None
    try:
        fitted = load_fitted(run) if FITTED.path(run).exists() else None
    except RunError as problem:
        problems.append(str(problem))
    try:
        decided = load_decided(run) if DECIDED.path(run).exists() else None
    except RunError as problem:
        problems.append(str(problem))
    return Source(id_, path, (run,), fitted, decided, tuple(problems))


class Looked(NamedTuple):
    """An image as it is seen, and with its heat over it, as addresses of PNGs, and how the heat was made."""

    seen: str
    overlay: str
    method: str


class Model:
    """A model whose network is there; all of it but ``source`` and ``neighbours`` is for the worker's thread."""

    def __init__(self, source: Source, context: Any, shelf: Shelf, root: Path | None) -> None:
        from bioclass.explain import Explainer
        from bioclass.predict import MeanPredictor, Predictor

        self.source = source
        self.plan, self.classes = source.run.plan, source.run.classes
        self.predictor: Predictor | MeanPredictor
        if len(source.runs) > 1:
            self.predictor = MeanPredictor(source.runs, context)
        else:
            self.predictor = Predictor(source.run, context)
        self.explainer: Explainer = Explainer(source.run, context)
        self.neighbours = Neighbours(source.runs, shelf, root, self.explainer.embed)

    def jobs(self, images: Sequence[Array], files: int) -> list[partial[Probabilities]]:
        """Return what computes the probabilities (B, K) of images, batch by batch, as ``bioclass predict`` does.

        ``files`` is how many there are with those that are no images: the size of a batch, on which the last digits
        depend, goes by it.
        """
        size = min(batch_size(self.plan), files)
        return [
            partial(self.predictor.probabilities, np.stack(images[start : start + size]), batch=size)
            for start in range(0, len(images), size)
        ]

    def look(self, image: Array) -> Looked:
        """Return an image as it is seen, and where the evidence for its most probable class lies."""
        from bioclass.explain import overlay

        explainer = self.explainer
        convolves = explainer.graph.seen is not None
        heat = explainer.gradcam(image) if convolves else explainer.occlusion(image)
        seen = display_of([image], self.plan.input)(image)
        # A very large image is shown smaller; its heat is as large as itself.
        side = image.shape[0] // seen.shape[0]
        heat = heat[: seen.shape[0] * side : side, : seen.shape[1] * side : side]
        return Looked(data_url(seen), data_url(overlay(seen, heat)), "Grad-CAM" if convolves else "occlusion")

    def near(self, image: Array) -> list[dict[str, Any]]:
        """Return the training images nearest to an image, as ``Neighbours.nearest`` does."""
        return self.neighbours.nearest(self.explainer.embed(image[None])[0])


def load_models(
    sources: Sequence[Source], context: Any, shelf: Shelf, root: Path | None, worker: Worker
) -> list[Model]:
    """Build the networks in the worker's thread, and use each once, so that the first request need not wait.

    Raises:
        RunError: weights are missing or do not fit, or folds are not one model.
    """
    # Modules that load their parts lazily are not safe to import by several threads at once.
    for module in ("scipy.sparse", "PIL.Image", "tifffile", "matplotlib"):
        importlib.import_module(module)

    def load(source: Source) -> Model:
        model = Model(source, context, shelf, root)
        image = np.zeros((*model.plan.size, model.plan.channels), model.plan.input.dtype)
        for job in model.jobs([image], 1):
            job()
        model.look(image)
        return model

    models = [worker.submit(partial(load, source)).result() for source in sources]
    for model in models:
        model.neighbours.start(worker)
    return models
