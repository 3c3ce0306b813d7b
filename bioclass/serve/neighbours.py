"""The training images that a network takes to be most like a new one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.answers import batch_size
from bioclass.dataset import find_root, load_samples
from bioclass.errors import BioclassError, DatasetError
from bioclass.preprocess import prepare
from bioclass.report.display import Display, display_of
from bioclass.run import Run
from bioclass.samples import Samples
from bioclass.serve.pictures import data_url
from bioclass.serve.worker import Worker
from bioclass.shelf import Shelf

MOST = 2000
"""Training images that are compared, at most: a random sample of more."""
SHOWN = 6
SIDE = 96
"""Pixels along the longer side of a picture of one."""

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


class Neighbours:
    """Training images of a run by what its last layer takes of them, read once, while nothing else is computed.

    Attributes:
        note: why there are none, or an empty text.
        done: how many were read of ``wanted``, which are of ``training``.
    """

    def __init__(self, run: Run, shelf: Shelf, root: Path | None, embed: Callable[[Array], Floats]) -> None:
        self._run, self._shelf, self._root, self._embed = run, shelf, root, embed
        self._features: list[Floats] = []
        self._shown: list[dict[str, Any]] = []
        self._ready: Floats | None = None
        self.note = ""
        self.done = self.wanted = self.training = 0

    def start(self, worker: Worker) -> None:
        """Find the images in a thread of its own, and let the worker look at them when it is idle."""
        threading.Thread(target=self._find, args=(worker,), name="bioclass-samples", daemon=True).start()

    def state(self) -> dict[str, Any]:
        """Return how far it came, JSON-ready: "ready", "reading" or "missing"."""
        word = "missing" if self.note else "reading" if self._ready is None else "ready"
        counts = {"done": self.done, "wanted": self.wanted, "training": self.training}
        return {"state": word, **counts, "note": self.note}

    def nearest(self, features: Floats) -> list[dict[str, Any]]:
        """Return the training images nearest to one with features (D,), the nearest first; none till all are read.

        Near is a small angle between what the last layer takes of two images; ``similarity`` is its cosine.
        """
        if self._ready is None:
            return []
        similarity = self._ready @ _unit(features[None])[0]
        order = np.argsort(-similarity, kind="stable")[:SHOWN]
        return [{**self._shown[row], "similarity": float(similarity[row])} for row in order]

    def _find(self, worker: Worker) -> None:
        run = self._run
        try:
            samples = load_samples(run.card, find_root(run.card, self._root, run.recorded_root()), self._shelf)
            rows = np.flatnonzero(run.match(samples) == "train")
        except (BioclassError, OSError, MemoryError) as problem:
            self.note = str(problem) or "The training images do not fit into memory."
            return
        self.training, self.wanted = len(rows), min(len(rows), MOST)
        chosen = np.sort(np.random.default_rng(0).choice(rows, self.wanted, replace=False))
        worker.when_idle(self._steps(samples, chosen))

    def _steps(self, samples: Samples, rows: npt.NDArray[np.intp]) -> Iterator[None]:
        size, display = batch_size(self._run.plan), None
        for start in range(0, len(rows), size):
            try:
                display = self._look(samples.take(rows[start : start + size]), display)
            except BioclassError as problem:
                self.note = str(problem)
                return
            yield
        self._ready = _unit(np.concatenate(self._features))
        self._features.clear()

    def _look(self, samples: Samples, display: Display | None) -> Display:
        """Keep what the network makes of some images, and small pictures of them."""
        run = self._run
        images, plan = prepare(samples, run.recipe.preprocess, run.card)
        if (plan.input, plan.size) != (run.plan.input, run.plan.size):
            raise DatasetError(f"The images are not like those that {run.path} was fitted on.")
        display = display or display_of(list(images), run.plan.input)
        self._features.append(self._embed(images))
        names = zip(images, samples.labels, samples.ids, strict=True)
        self._shown += [
            {"id": str(id_), "class": run.classes[label], "image": data_url(display(image), SIDE)}
            for image, label, id_ in names
        ]
        self.done += len(images)
        return display


def _unit(features: Floats) -> Floats:
    """Features (N, D) of length 1; those of length 0 stay so."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Floats = features / np.where(length > 0, length, 1)
    return unit
