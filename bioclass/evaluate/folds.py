"""Folders of folds to figures: what each fold says of the images that it held out, pooled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import RunError
from bioclass.evaluate.data import Data, Model
from bioclass.evaluate.scored import Scored, joined
from bioclass.evaluate.tables import confusion_csv, predictions_csv, to_json, write
from bioclass.metrics import Metrics, evaluate
from bioclass.run import Folds, Run, held_out_part, open_folds
from bioclass.shelf import Shelf
from bioclass.significance import Difference, compare, paired_difference
from bioclass.split import Fold

BY_FOLD = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "log_loss")


@dataclass(frozen=True, eq=False)
class CrossValidated:
    """One folder of folds, judged by the M = R N images that its folds held out; each of N is in every repeat.

    AUC, log loss and calibration error are of the probabilities of several networks together. Where these are not
    alike in scale, the pooled AUC can be less than that of each alone (Forman and Scholz 2010, SIGKDD Explorations
    12:49-57).

    Attributes:
        folds: the folder.
        part: "test", or "fold" where the dataset has an official test part besides.
        scored: (M,) rows, repeat after repeat, each in the order of the dataset. Where images are tested more than
            once and have no groups, each is a group: its tests are not independent.
        fold: (M,) the number of the run that held the image out.
        by_fold: the figures ``BY_FOLD`` of each fold alone, None where they are undefined.
        grouped: whether the images have groups of their own.
    """

    folds: Folds
    part: str
    scored: Scored
    fold: npt.NDArray[np.int64]
    by_fold: list[dict[str, float | None]]
    grouped: bool

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.folds.path)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.folds.path / "evaluation" / self.part

    @property
    def metrics(self) -> Metrics:
        """The pooled figures. Their intervals are of the images, and of groups where there are any."""
        return self.scored.metrics

    @property
    def images(self) -> int:
        """How many images were tested, each once a repeat."""
        return len(self.scored.ids) // self.folds.repeats

    def share_right(self) -> npt.NDArray[np.float64]:
        """Return in which share of the repeats each image is classified correctly, (N,)."""
        share: npt.NDArray[np.float64] = self.scored.right.reshape(self.folds.repeats, -1).mean(axis=0)
        return share

    def rows(self) -> list[tuple[str, Fold, int, dict[str, float | None]]]:
        """Return, fold by fold, the name of its run, which fold it is, its number of images, and its figures."""
        sizes = np.bincount(self.fold).tolist()
        return list(zip(self.folds.names, self.folds.folds, sizes, self.by_fold, strict=True))

    def over_folds(self) -> dict[str, dict[str, float | None]]:
        """Return mean, standard deviation, least and largest of each figure over the folds that define it.

        The deviation is how much folds differ, and no error of the mean: folds share training images, and it has no
        unbiased estimate (Bengio and Grandvalet 2004, JMLR 5:1089-1105).
        """
        found: dict[str, dict[str, float | None]] = {}
        for name in BY_FOLD:
            values = np.array([row[name] for row in self.by_fold if row[name] is not None])
            deviation = float(values.std(ddof=1)) if len(values) > 1 else None
            ends = (float(values.min()), float(values.max())) if len(values) else (None, None)
            mean = float(values.mean()) if len(values) else None
            found[name] = {"mean": mean, "deviation": deviation, "min": ends[0], "max": ends[1]}
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready."""
        return {
            "folds": self.name,
            "part": self.part,
            **self.folds.recipe.predict.told(),
            "repeats": self.folds.repeats,
            "images": self.images,
            **self.scored.figures(),
            "over_folds": self.over_folds(),
            "by_fold": [
                {"run": name, "repeat": fold.repeat, "group": fold.group, "n": n, **figures}
                for name, fold, n, figures in self.rows()
            ],
        }


@dataclass(frozen=True)
class FoldsComparison:
    """Two folders of folds on the same images.

    Attributes:
        a: the first.
        b: the second.
        difference: of their accuracies, with an interval that respects groups.
        p: of the exact McNemar test, None where images are tested more than once; groups are not accounted for.
        p_holm: adjusted for the number of pairs.
    """

    a: str
    b: str
    difference: Difference
    p: float | None
    p_holm: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain strings and numbers."""
        return {**vars(self), "difference": vars(self.difference)}


@dataclass(frozen=True)
class CrossValidation:
    """Every folder's figures, and for several the comparisons of all pairs."""

    models: list[CrossValidated]
    comparisons: list[FoldsComparison]

    def as_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready."""
        document: dict[str, Any] = {"models": [model.as_dict() for model in self.models]}
        if self.comparisons:
            document["comparisons"] = [pair.as_dict() for pair in self.comparisons]
        return document


def evaluate_folds(
    paths: Sequence[Path],
    shelf: Shelf,
    *,
    root: Path | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda text: None,
) -> CrossValidation:
    """Evaluate folders of folds on the images that each fold held out, and write ``evaluation/<part>/`` of each.

    Args:
        paths: folders of folds; several are also compared in pairs.
        shelf: where adapters are found.
        root: the folder of the data; by default where the folds were fitted on it.
        device: as in ``fit``.
        say: told what is being done.

    Raises:
        RunError: a folder is not complete or damaged, the data is not what it was fitted on, or folders do not
            share their images.
    """
    real = [path.resolve() for path in paths]
    if len(set(real)) < len(real):
        twice = next(path for i, path in enumerate(real) if path in real[:i])
        raise RunError(f"The folder {twice} is given more than once: name each once.")
    opened = [open_folds(path) for path in paths]
    runs = [folds.runs() for folds in opened]
    for run in (run for each in runs for run in each):
        run.verify()
    for path, each in zip(paths[1:], runs[1:], strict=True):
        _refuse_strangers(paths[0], runs[0][0], path, each[0])
    models = []
    for folds, each in zip(opened, runs, strict=True):
        model = _evaluate(folds, each, Data(shelf, root, [held_out_part(each)], device, say))
        write(model.folder, _files(model))
        models.append(model)
    return CrossValidation(models, _compare(models))


def _evaluate(folds: Folds, runs: Sequence[Run], data: Data) -> CrossValidated:
    part = held_out_part(runs)
    return pooled(folds, runs, [data.scored(Model(run))[part] for run in runs])


def pooled(folds: Folds, runs: Sequence[Run], found: Sequence[Scored]) -> CrossValidated:
    """Return what the runs of folds say together, ``found`` by each of the part that it held out."""
    place = {name: row for row, name in enumerate(runs[0].split.ids.tolist())}
    fold = np.repeat(np.arange(len(found)), [len(each.ids) for each in found])
    repeat = np.array([each.repeat for each in folds.folds])[fold]
    together = joined(found, folds.repeats > 1)
    order = np.lexsort((np.array([place[name] for name in together.ids.tolist()]), repeat))
    by_fold = [_values(each) for each in found]
    grouped = found[0].groups is not None
    return CrossValidated(folds, held_out_part(runs), together.take(order), fold[order], by_fold, grouped)


def _values(scored: Scored) -> dict[str, float | None]:
    """The figures of one fold; its intervals are not told, so nothing is resampled for them."""
    metrics = evaluate(scored.labels, scored.probabilities, scored.classes, resamples=1, predicted=scored.predicted)
    return {name: metrics.overall[name].value for name in BY_FOLD}


def _files(model: CrossValidated) -> dict[str, str]:
    repeat = np.array([fold.repeat for fold in model.folds.folds])[model.fold]
    columns = {"repeat": repeat.tolist(), "fold": model.fold.tolist()}
    return {
        "predictions.csv": predictions_csv(model.scored, columns),
        "confusion.csv": confusion_csv(model.scored),
        "metrics.json": to_json(model.as_dict()),
    }


def _compare(models: Sequence[CrossValidated]) -> list[FoldsComparison]:
    shares = [model.share_right() for model in models]
    once = all(model.folds.repeats == 1 for model in models)
    tests = compare([model.name for model in models], [share == 1 for share in shares]) if once else []
    # The images are the same and in one order, so are their groups.
    named = [model.scored.groups for model in models if model.grouped and model.scored.groups is not None]
    groups = named[0][: models[0].images] if named else None
    found = []
    for number, (i, j) in enumerate(combinations(range(len(models)), 2)):
        difference = paired_difference(shares[i], shares[j], groups)
        p, p_holm = (tests[number].p, tests[number].p_holm) if once else (None, None)
        found.append(FoldsComparison(models[i].name, models[j].name, difference, p, p_holm))
    return found


def _refuse_strangers(first_path: Path, first: Run, path: Path, other: Run) -> None:
    """Refuse folders that were not tested on the same images."""

    def tested(run: Run) -> tuple[list[str], list[int]]:
        # Every image outside an official test part is in some fold.
        rows = run.split.parts != "test" if held_out_part([run]) == "fold" else slice(None)
        return run.split.ids[rows].tolist(), run.split.labels[rows].tolist()

    if first.classes != other.classes or tested(first) != tested(other):
        raise RunError(
            f"{first_path} and {path} have different images or classes: they cannot be compared. Fit them with the "
            "same dataset, or evaluate each alone."
        )
