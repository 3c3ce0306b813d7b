"""From run folders to an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bioclass.dataset import Load, load_samples
from bioclass.errors import RunError
from bioclass.evaluate.data import Data, Model
from bioclass.evaluate.ensembles import check_selection, select, vote
from bioclass.evaluate.fitted import save_fitted
from bioclass.evaluate.judge import Wishes, judge
from bioclass.evaluate.results import Evaluated, Evaluation
from bioclass.evaluate.tables import confusion_csv, prediction_files, to_json, write
from bioclass.run import Run, check_part, held_out_part, holds_folds, open_folds, open_run
from bioclass.shelf import Shelf
from bioclass.significance import compare

FITTED = "--calibrate, --error-rate and --select"


def evaluate_runs(
    paths: Sequence[Path],
    shelf: Shelf,
    *,
    root: Path | None = None,
    part: str = "test",
    device: str = "auto",
    out: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    calibrate: bool = False,
    error_rate: float | None = None,
    selection: str | None = None,
    snapshots: bool = False,
    bfloat16: bool = False,
    load: Load = load_samples,
) -> Evaluation:
    """Evaluate runs on one part of their data, and write each model's folder in ``evaluation/<part>/``.

    The folds of a folder are one model, the mean of their probabilities; it can be told of the official test part
    alone, for all other images are trained on by some of them. What each held out, ``evaluate_folds`` pools.

    Args:
        paths: run folders, or folders of folds; several are also compared in pairs and combined.
        shelf: where adapters are found.
        root: the folder of the data; by default where the run was fitted on it.
        part: "train", "validation" or "test".
        device: as in ``fit``.
        out: a folder for the ensemble's files.
        say: told what is being done.
        calibrate: whether a temperature is fitted on the validation part, for each model and ensemble.
        error_rate: between 0 and 1, for which answers are fitted on the validation part; None for no such answers.
        selection: "greedy" or "weights", how to choose or weigh the models on the validation part; None for
            neither.
        snapshots: whether the models are the snapshots of the runs, not their best weights.
        bfloat16: whether each is also computed in bfloat16 and compared with that; not for folds.
        load: reads a dataset.

    Raises:
        RunError: a run is damaged, lacks a part or snapshots, or the runs do not share their classes and images.
        InputError: the error rate is not between 0 and 1.
        DeviceError: the device cannot be used, or does not compute in bfloat16.
    """
    check_part(part)
    wishes = Wishes(calibrate, error_rate)
    fitting = bool(wishes) or selection is not None
    if selection is not None:
        check_selection(selection)
    if fitting and part == "validation":
        raise RunError(
            f"{FITTED} are fitted on the validation part, which tells nothing of how well: evaluate test."
        )
    _refuse_twice(paths)
    opened = [_open(path, part, fitting or snapshots or bfloat16) for path in paths]
    runs = [model.run for model in opened]
    for run in (run for model in opened for run in (model.run, *model.others)):
        run.verify()
    models = _models(runs) if snapshots else opened
    _refuse_alone(models, out, selection)
    if fitting:
        _refuse_unvalidated(runs)
    parts = [part, *(["validation"] if fitting else [])]
    for each in parts:
        _refuse_strangers(runs, each)
    data = Data(shelf, root, parts, device, say, load)
    if bfloat16:
        data.check_bfloat16()
    evaluated = [_evaluate(model, data, part, wishes, bfloat16) for model in models]
    return _together(evaluated, part, wishes, selection, out)


def _together(
    models: list[Evaluated], part: str, wishes: Wishes, selection: str | None, out: Path | None
) -> Evaluation:
    """Compare models in pairs and combine them, if there are several; write the ensembles' files into ``out``."""
    if len(models) == 1:
        return Evaluation(part, models, [], {}, None)
    scored = [model.scored for model in models]
    validation = [model.validation for model in models if model.validation is not None]
    comparisons = compare([model.name for model in models], [each.right for each in scored])
    votes = vote(scored, validation, wishes)
    selected = None if selection is None else select(scored, validation, selection, wishes)
    result = Evaluation(part, models, comparisons, votes, selected)
    if out is not None:
        for found in [*votes.values(), *([] if selected is None else [selected])]:
            write(out, prediction_files(found.scored, found.reliability, f"-{found.name}"))
        write(out, {"metrics.json": to_json(result.as_dict())})
    return result


def _open(path: Path, part: str, more: bool) -> Model:
    """Open a run, or a folder of folds as one model; ``more`` than its figures is wanted."""
    if not holds_folds(path):
        return Model(open_run(path))
    runs = open_folds(path).runs()
    if part != "test" or held_out_part(runs) == "test":
        raise RunError(
            f"{path} holds folds, which trained on what others of them held out: as one model they are told of an "
            "official test part alone. Evaluate the folder by itself, without --part: what each held out is pooled."
        )
    if more:
        raise RunError(
            f"{path} holds folds, which have no validation part and no snapshots in common: leave {FITTED}, "
            "--snapshots and --bfloat16 out, or name one of its runs."
        )
    return Model(runs[0], None, path, tuple(runs[1:]))


def _models(runs: Sequence[Run]) -> list[Model]:
    """The snapshots of the runs."""
    for run in runs:
        if run.snapshot_count == 0:
            raise RunError(
                f"The run {run.path} kept no snapshots: leave --snapshots out, or fit it with fit.snapshots."
            )
    return [Model(run, k) for run in runs for k in range(1, run.snapshot_count + 1)]


def _evaluate(model: Model, data: Data, part: str, wishes: Wishes, bfloat16: bool) -> Evaluated:
    parts = data.scored(model)
    scored = parts.pop(part)
    validation = parts.get("validation")
    reliability = judge(scored, validation, wishes)
    folder = model.path / "evaluation" / part
    if model.snapshot is not None:
        folder /= f"snapshot-{model.snapshot:02}"
    predict = model.run.recipe.predict
    low = data.bfloat16(model, scored, part) if bfloat16 else None
    found = Evaluated(model.path, predict, model.snapshot, scored, validation, reliability, folder, low)
    files = {
        "confusion.csv": confusion_csv(scored),
        "metrics.json": to_json({"part": part, **predict.told(), **found.figures()}),
    }
    write(folder, {**prediction_files(scored, reliability), **files})
    if wishes and model.snapshot is None:
        save_fitted(model.run, reliability)
    return found


def _refuse_twice(paths: Sequence[Path]) -> None:
    real = [path.resolve() for path in paths]
    twice = [path for i, path in enumerate(real) if path in real[:i]]
    if twice:
        raise RunError(f"The run {twice[0]} is given twice: an ensemble wants different runs.")


def _refuse_alone(models: Sequence[Model], out: Path | None, selection: str | None) -> None:
    """Refuse what is for an ensemble where there is one model."""
    if len(models) > 1:
        return
    if out is not None:
        raise RunError(f"--out {out} is for the files of an ensemble: give several runs, or leave it out.")
    if selection is not None:
        raise RunError(f"--select {selection} chooses among several models: give several runs, or leave it out.")


def _refuse_unvalidated(runs: Sequence[Run]) -> None:
    for run in runs:
        if not (run.split.parts == "validation").any():
            raise RunError(
                f"The run {run.path} has no validation part, on which {FITTED} are fitted: leave them out, or fit "
                "it with split.validation above 0."
            )


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
