"""The training images that a network takes to be most like a new one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
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
from bioclass.serve.trained import Trained
from bioclass.serve.worker import Worker
from bioclass.shelf import Shelf

MOST = 2000
"""Training images that are compared, at most: a random sample of more."""
SHOWN = 6
SIDE = 96
"""Pixels along the longer side of a picture of one."""

BLOCK = 256
"""Training images that are compared with all others at a time: a request waits for no more."""
FEW = 5
"""Percent of the training images whose nearest other one is said to be unusually far."""

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]


class Neighbours:
    """Training images by what the last layer of a run takes of them, read once, while nothing else is computed.

    Attributes:
        trained: all images that the model was trained on.
        note: why there are none, or an empty text.
        done: how many were read of ``wanted``, which are of ``training``.
    """

    def __init__(
        self, runs: Sequence[Run], shelf: Shelf, root: Path | None, embed: Callable[[Array], Floats]
    ) -> None:
        """``runs`` are one, or those of folds, of which the first shows its training images by ``embed``."""
        self._runs, self._run = runs, runs[0]
        self._shelf, self._root, self._embed = shelf, root, embed
        self._features: list[Floats] = []
        self._shown: list[dict[str, Any]] = []
        self._ready: Floats | None = None
        self._usual: dict[str, float] | None = None
        self.trained = Trained()
        self.note = ""
        self.done = self.wanted = self.training = 0

    def start(self, worker: Worker) -> None:
        """Find the images in a thread of its own, and let the worker look at them when it is idle."""
        threading.Thread(target=self._find, args=(worker,), name="bioclass-samples", daemon=True).start()

    def state(self) -> dict[str, Any]:
        """Return how far it came, JSON-ready.

        ``state`` is "ready", "reading" or "missing"; ``complete`` whether all that the model was trained on is
        known; ``usual`` how similar the training images are to the nearest other one: the median, and ``low``,
        below which ``FEW`` percent of them are. It is None for one image, and until all are read.
        """
        word = "missing" if self.note else "reading" if self._ready is None else "ready"
        counts = {"done": self.done, "wanted": self.wanted, "training": self.training}
        return {
            "state": word,
            **counts,
            "complete": self.trained.complete,
            "usual": self._usual,
            "note": self.note,
        }

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
            parts = [each.match(samples) for each in self._runs]
        except (BioclassError, OSError, MemoryError) as problem:
            self.note = str(problem) or "The training images do not fit into memory."
            return
        rows = np.flatnonzero(parts[0] == "train")
        self.training, self.wanted = len(rows), min(len(rows), MOST)
        chosen = np.sort(np.random.default_rng(0).choice(rows, self.wanted, replace=False))
        # What one fold held out, others were trained on.
        every = np.flatnonzero(np.any([part == "train" for part in parts], axis=0))
        worker.when_idle(self._steps(samples, chosen, np.setdiff1d(every, chosen)))

    def _steps(self, samples: Samples, chosen: Rows, others: Rows) -> Iterator[None]:
        """Look at the chosen images, and read the others for their pixels alone."""
        size, display = batch_size(self._run.plan), None
        try:
            for start in range(0, len(chosen), size):
                display = self._look(samples.take(chosen[start : start + size]), display)
                yield
            ready = _unit(np.concatenate(self._features))
            self._features.clear()
            yield from self._compare(ready)
            self._ready = ready
            for start in range(0, len(others), size):
                some = samples.take(others[start : start + size])
                self.trained.add(self._prepared(some), some.ids)
                yield
            self.trained.complete = True
        except BioclassError as problem:
            self.note, self._ready = str(problem), None

    def _compare(self, ready: Floats) -> Iterator[None]:
        """Find how similar the images are to each other, without which a similarity says little."""
        nearest = []
        for start in range(0, len(ready), BLOCK):
            similarity = ready[start : start + BLOCK] @ ready.T
            rows = np.arange(len(similarity))
            similarity[rows, start + rows] = -np.inf
            nearest.append(similarity.max(axis=1))
            yield
        if len(ready) > 1:
            low, median = np.percentile(np.concatenate(nearest), (FEW, 50)).tolist()
            self._usual = {"low": low, "median": median}

    def _prepared(self, samples: Samples) -> Array:
        """Read images (N, H, W, C) as those of new files are, or raise DatasetError."""
        run = self._run
        images, plan = prepare(samples, run.recipe.preprocess, run.card)
        if (plan.input, plan.size) != (run.plan.input, run.plan.size):
            raise DatasetError(f"The images are not like those that {run.path} was fitted on.")
        return images

    def _look(self, samples: Samples, display: Display | None) -> Display:
        """Keep what the network makes of some images, and small pictures of them."""
        run, images = self._run, self._prepared(samples)
        display = display or display_of(list(images), run.plan.input)
        self._features.append(self._embed(images))
        self.trained.add(images, samples.ids)
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
