"""The images of the runs, read once for all of them, and what each model says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.answers import batch_size
from bioclass.dataset import Load, find_root, load_samples
from bioclass.environment import available_cores, set_threads
from bioclass.errors import DatasetError, RunError
from bioclass.evaluate.bfloat16 import Bfloat16, compare_bfloat16
from bioclass.evaluate.scored import Scored
from bioclass.preprocess import Plan, prepare
from bioclass.recipe import Features
from bioclass.run import Run
from bioclass.samples import Samples
from bioclass.shelf import Shelf

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Model:
    """A run's best weights, those of one of its snapshots (counted from 1), or the folds of a folder as one.

    Attributes:
        run: the run; the first of folds.
        snapshot: which of its snapshots.
        folds: the folder, for folds.
        others: the other runs of folds.
    """

    run: Run
    snapshot: int | None = None
    folds: Path | None = None
    others: tuple[Run, ...] = ()

    @property
    def path(self) -> Path:
        """The folder of the run, or of the folds."""
        return self.folds or self.run.path

    @property
    def name(self) -> str:
        """The folder, and which of its snapshots."""
        return str(self.path) if self.snapshot is None else f"snapshot {self.snapshot} of {self.path}"


class Data:
    """Scores models on parts of their data; the samples, and one set of prepared images, are shared."""

    def __init__(
        self,
        shelf: Shelf,
        root: Path | None,
        parts: Sequence[str],
        device: str,
        say: Callable[[str], None],
        load: Load = load_samples,
    ) -> None:
        self._shelf = shelf
        self._root = root
        self._parts = parts
        self._device = device
        self._say = say
        self._load = load
        self._samples: dict[tuple[Path, str], Samples] = {}
        self._prepared: tuple[Any, npt.NDArray[Any], Plan] | None = None

    def scored(self, model: Model) -> dict[str, Scored]:
        """Return every part that is wanted, as this model sees it.

        Raises:
            RunError: the run lacks one of the parts, or the data is not what it was fitted on.
        """
        run = model.run
        samples = self.samples(run)
        split = run.match(samples)
        for other in model.others:
            other.match(samples)
        for part in self._parts:
            if not (split == part).any():
                raise RunError(f"The run {run.path} has no {part} part.")
        probabilities_of = self._probabilities(model, samples, np.flatnonzero(np.isin(split, self._parts)))
        scored = {}
        for part in self._parts:
            rows = np.flatnonzero(split == part)
            self._say(f"Evaluating {model.name} on {len(rows)} {run.card.images(part)}")
            groups = None if samples.groups is None else samples.groups[rows]
            probabilities = probabilities_of(rows)
            given = samples.ids[rows], samples.labels[rows], groups
            also = None if samples.also is None else samples.also[rows]
            scored[part] = Scored(run.card, *given, probabilities, probabilities.argmax(axis=1), also)
        return scored

    def check_bfloat16(self) -> None:
        """Raise DeviceError where the device does not compute in bfloat16, before anything is computed."""
        context = self._context()
        from bioclass.networks.bfloat16 import check_bfloat16

        check_bfloat16(context)

    def bfloat16(self, model: Model, scored: Scored, part: str) -> Bfloat16:
        """Return how a model that is one run does in bfloat16 on a part on which it was scored."""
        run, context = model.run, self._context()
        from bioclass.predict import Predictor

        samples = self.samples(run)
        split = run.match(samples)
        wanted, rows = np.flatnonzero(np.isin(split, self._parts)), np.flatnonzero(split == part)
        images, where = self._images(run, samples, wanted)
        self._say(f"Comparing float32 with bfloat16 on {len(rows)} {run.card.images(part)}")
        size = min(batch_size(run.plan), len(rows))
        answers = [
            partial(Predictor(run, context, model.snapshot, bfloat16=low).probabilities, batch=size)
            for low in (False, True)
        ]
        return compare_bfloat16(
            answers, images, where[np.searchsorted(wanted, rows)], scored.labels, scored.groups, size
        )

    def samples(self, run: Run) -> Samples:
        """Return all images of a run's dataset, from where they were named or fitted on."""
        where = find_root(run.card, self._root, run.recorded_root())
        key = (where, run.card.to_toml())
        if key not in self._samples:
            self._say(f"Reading {run.card.name}")
            self._samples[key] = self._load(run.card, where, self._shelf)
        return self._samples[key]

    def stored(self, run: Run, rows: Rows) -> npt.NDArray[Any]:
        """Return the images (N, H, W, C) of these rows of a run's dataset, as its plan takes them."""
        images, where = self._images(run, self.samples(run), rows)
        return images[where]

    def _probabilities(self, model: Model, samples: Samples, wanted: Rows) -> Callable[[Rows], Any]:
        """Return what gives the probabilities (N, K) of some of the wanted rows."""
        run = model.run
        if sentence := run.recipe.predict.sentence():
            self._say(sentence)
        context = self._context()
        from bioclass.predict import MeanPredictor, Predictor

        if isinstance(run.recipe.fit.transfer, Features) and not model.others:
            from bioclass.features import HeadPredictor, entry_of

            entry = entry_of(run, samples)
            if entry is not None:
                return HeadPredictor(run, entry, context, model.snapshot).probabilities
        images, where = self._images(run, samples, wanted)
        predictor = (
            MeanPredictor([run, *model.others], context)
            if model.others
            else Predictor(run, context, snapshot=model.snapshot)
        )
        return lambda rows: predictor.probabilities(images, where[np.searchsorted(wanted, rows)])

    def _context(self) -> Any:
        from bioclass.devices import choose

        name, _ = choose(self._device)
        set_threads(available_cores())
        from bioclass.devices import contexts

        return contexts(name)[0]

    def _images(self, run: Run, samples: Samples, wanted: Rows) -> tuple[npt.NDArray[Any], Rows]:
        """Return images of one size, and which of them are the wanted rows."""
        # Where every image costs a step, only those that are wanted take it; else an array stays where it is.
        chosen = isinstance(samples.images, list) or run.recipe.preprocess.size is not None
        key = (id(samples), run.recipe.preprocess, wanted.tobytes() if chosen else None)
        if self._prepared is None or self._prepared[0] != key:
            taken = samples.take(wanted) if chosen else samples
            self._prepared = (key, *prepare(taken, run.recipe.preprocess, run.card))
        _, images, plan = self._prepared
        if (plan.input, plan.size) != (run.plan.input, run.plan.size):
            raise DatasetError(
                f"The images are not like those that {run.path} was fitted on: {_words(plan)}, not "
                f"{_words(run.plan)}."
            )
        return images, np.arange(len(wanted)) if chosen else wanted


def _words(plan: Plan) -> str:
    height, width = plan.size
    return f"{height} x {width}, {plan.input.channels} channel(s) of {plan.input.dtype}"
