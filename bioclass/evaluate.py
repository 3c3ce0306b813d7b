"""Runs and a part of their data to figures: each run, how they differ, and their ensemble."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.dataset import find_root, load_samples
from bioclass.ensemble import METHODS, Method, combine
from bioclass.environment import available_cores, set_threads
from bioclass.errors import DatasetError, RunError
from bioclass.files import write_atomic
from bioclass.metrics import Metrics
from bioclass.metrics import evaluate as measure
from bioclass.preprocess import Plan, prepare
from bioclass.run import Run, check_part, open_run
from bioclass.samples import Samples
from bioclass.shelf import Shelf
from bioclass.significance import Comparison, compare


@dataclass(frozen=True)
class Evaluated:
    """One run on one part: ids, labels and groups (N,), probabilities (N, K), and the figures."""

    run: Path
    classes: tuple[str, ...]
    ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.str_] | None
    probabilities: npt.NDArray[np.float64]
    metrics: Metrics
    folder: Path


@dataclass(frozen=True)
class Evaluation:
    """Every run's figures; for several runs the comparisons of all pairs and the ensemble's figures by vote."""

    part: str
    models: list[Evaluated]
    comparisons: list[Comparison]
    ensemble: dict[Method, Metrics]

    @property
    def grouped(self) -> bool:
        """Whether the images come in groups."""
        return self.models[0].groups is not None

    def as_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready: ``models``, and for several ``comparisons`` and ``ensemble``."""
        document: dict[str, Any] = {
            "part": self.part,
            "models": [{"run": str(model.run), **model.metrics.as_dict()} for model in self.models],
        }
        if self.ensemble:
            document["comparisons"] = [pair.as_dict() for pair in self.comparisons]
            document["ensemble"] = {name: metrics.as_dict() for name, metrics in self.ensemble.items()}
        return document


def evaluate_runs(
    paths: Sequence[Path],
    shelf: Shelf,
    *,
    root: Path | None = None,
    part: str = "test",
    device: str = "auto",
    out: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """Evaluate runs on one part of their data, and write each run's ``evaluation/<part>/``.

    Args:
        paths: run folders; several are also compared in pairs and combined.
        shelf: where adapters are found.
        root: the folder of the data; by default where the run was fitted on it.
        part: "train", "validation" or "test".
        device: as in ``fit``.
        out: a folder for the ensemble's files.
        say: told what is being done.

    Raises:
        RunError: a run is damaged, or the runs do not share their classes and test images.
    """
    check_part(part)
    _refuse_twice(paths)
    if out is not None and len(paths) == 1:
        raise RunError(f"--out {out} is for the files of an ensemble: give several runs, or leave it out.")
    runs = [open_run(path) for path in paths]
    for run in runs:
        run.verify()
    _refuse_strangers(runs, part)
    data = _Data(shelf, say)
    models = [_evaluate_one(run, root, part, device, data, say) for run in runs]
    if len(models) == 1:
        return Evaluation(part, models, [], {})
    first = models[0]
    right = [model.probabilities.argmax(axis=1) == first.labels for model in models]
    comparisons = compare([str(model.run) for model in models], right)
    ensemble: dict[Method, Metrics] = {}
    for method in METHODS:
        vote = combine(np.stack([model.probabilities for model in models]), method)
        ensemble[method] = measure(
            first.labels, vote.probabilities, first.classes, first.groups, predicted=vote.predicted
        )
        if out is not None:
            table = predictions_csv(first.ids, first.labels, first.classes, vote.probabilities, vote.predicted)
            _write(out, {f"predictions-{method}.csv": table})
    result = Evaluation(part, models, comparisons, ensemble)
    if out is not None:
        _write(out, {"metrics.json": _json(result.as_dict())})
    return result


def predictions_csv(
    ids: npt.NDArray[np.str_],
    labels: npt.NDArray[np.int64],
    classes: tuple[str, ...],
    probabilities: npt.NDArray[np.float64],
    predicted: npt.NDArray[np.int64],
) -> str:
    """Return a table with a row an image: id, true and predicted class, and the probability of every class."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "true", "predicted", *(f"p_{name}" for name in classes)])
    for name, label, choice, row in zip(ids, labels, predicted, probabilities.tolist(), strict=True):
        writer.writerow([name, classes[label], classes[choice], *row])
    return out.getvalue()


def _evaluate_one(
    run: Run,
    root: Path | None,
    part: str,
    device: str,
    data: _Data,
    say: Callable[[str], None],
) -> Evaluated:
    samples = data.samples(run, root)
    rows = np.flatnonzero(run.match(samples) == part)
    if len(rows) == 0:
        raise RunError(f"The run {run.path} has no {part} part.")
    probabilities = _probabilities(run, samples, rows, device, data, say)
    groups = None if samples.groups is None else samples.groups[rows]
    metrics = measure(samples.labels[rows], probabilities, run.classes, groups)
    folder = run.path / "evaluation" / part
    table = predictions_csv(
        samples.ids[rows], samples.labels[rows], run.classes, probabilities, probabilities.argmax(axis=1)
    )
    metrics_json = _json({"part": part, **metrics.as_dict()})
    confusion = _confusion_csv(metrics, run.classes)
    _write(folder, {"predictions.csv": table, "confusion.csv": confusion, "metrics.json": metrics_json})
    return Evaluated(
        run.path, run.classes, samples.ids[rows], samples.labels[rows], groups, probabilities, metrics, folder
    )


class _Data:
    """What the runs of one evaluation share: samples by card and root, and one set of prepared images."""

    def __init__(self, shelf: Shelf, say: Callable[[str], None]) -> None:
        self._shelf = shelf
        self._say = say
        self._samples: dict[tuple[Path, str], Samples] = {}
        self._prepared: tuple[Any, npt.NDArray[Any], Plan] | None = None

    def samples(self, run: Run, root: Path | None) -> Samples:
        where = find_root(run.card, root, run.recorded_root())
        key = (where, run.card.to_toml())
        if key not in self._samples:
            self._say(f"Reading {run.card.name}")
            self._samples[key] = load_samples(run.card, where, self._shelf)
        return self._samples[key]

    def prepared(
        self, run: Run, samples: Samples, rows: npt.NDArray[np.intp]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp], Plan]:
        """Return images of one size, which of them are the wanted rows, and how they were made."""
        # Where every image costs a step, only those that are wanted take it; else an array stays where it is.
        chosen = isinstance(samples.images, list) or run.recipe.preprocess.size is not None
        key = (id(samples), run.recipe.preprocess, rows.tobytes() if chosen else None)
        if self._prepared is None or self._prepared[0] != key:
            wanted = samples.take(rows) if chosen else samples
            self._prepared = (key, *prepare(wanted, run.recipe.preprocess, run.card))
        _, images, plan = self._prepared
        return images, np.arange(len(rows)) if chosen else rows, plan


def _probabilities(
    run: Run, samples: Samples, rows: npt.NDArray[np.intp], device: str, data: _Data, say: Callable[[str], None]
) -> npt.NDArray[np.float64]:
    from bioclass.devices import choose

    name, _ = choose(device)
    set_threads(available_cores())
    from bioclass.devices import contexts
    from bioclass.predict import Predictor

    say(f"Evaluating {run.path} on {len(rows)} images")
    predictor = Predictor(run, contexts(name)[0])
    images, rows, plan = data.prepared(run, samples, rows)
    if (plan.input, plan.size) != (run.plan.input, run.plan.size):
        raise DatasetError(
            f"The images are not like those that {run.path} was fitted on: {_words(plan)}, not {_words(run.plan)}."
        )
    return predictor.probabilities(images, rows)


def _refuse_twice(paths: Sequence[Path]) -> None:
    real = [path.resolve() for path in paths]
    twice = [path for i, path in enumerate(real) if path in real[:i]]
    if twice:
        raise RunError(f"The run {twice[0]} is given twice: an ensemble wants different runs.")


def _refuse_strangers(runs: Sequence[Run], part: str) -> None:
    """Refuse runs that cannot be compared image by image; their splits tell, before anything is computed."""
    first, *others = runs
    rows = first.split.parts == part
    for other in others:
        if other.classes != first.classes:
            raise RunError(
                f"{first.path} and {other.path} have different classes: they cannot be compared or combined."
            )
        theirs = other.split.parts == part
        alike = np.array_equal(other.split.ids[theirs], first.split.ids[rows])
        if not alike or not np.array_equal(other.split.labels[theirs], first.split.labels[rows]):
            raise RunError(
                f"{first.path} and {other.path} have different images in their {part} parts: one may have trained "
                "on what the other is tested on. Fit them with the same dataset and the same [split]."
            )


def _confusion_csv(metrics: Metrics, classes: tuple[str, ...]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["true \\ predicted", *classes])
    for name, row in zip(classes, metrics.confusion.tolist(), strict=True):
        writer.writerow([name, *row])
    return out.getvalue()


def _write(folder: Path, files: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomic(folder / name, content)
    except OSError as problem:
        raise RunError(f"The evaluation cannot be written into {folder}: {problem.strerror}.") from None


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _words(plan: Plan) -> str:
    height, width = plan.size
    return f"{height} x {width}, {plan.input.channels} channel(s) of {plan.input.dtype}"
