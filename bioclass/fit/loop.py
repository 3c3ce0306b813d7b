"""The training loop: segments of iterations, epochs, the best weights, snapshots, checkpoints, stopping."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import RunError, Stopped, TrainingError
from bioclass.files import sha256, write_atomic
from bioclass.fit import saver
from bioclass.fit.saver import Saver
from bioclass.fit.schedule import cycle_at
from bioclass.fit.task import Rows, Task, Trainer
from bioclass.recipe import Fit
from bioclass.run import Run, history_lines


@dataclass
class State:
    """What must be known, besides weights and optimizer state, to continue exactly."""

    iteration: int = 0
    epoch: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    best_epoch: int = 0
    snapshots: int = 0
    finished: str = ""
    lines: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the state as JSON; of the history, which has its own file, the length and the digest."""
        document = asdict(self)
        lines = document.pop("lines")
        return {**document, "records": len(lines), "history": sha256("".join(lines).encode())}


def fit(
    run: Run,
    task: Task,
    trainer: Trainer,
    validation: Rows,
    on_segment: Callable[[int, float], None] = lambda iteration, loss: None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[dict[str, Any]]:
    """Train a run to its end, from where its last checkpoint stands; yield one record an epoch.

    Args:
        run: the run folder, locked by the caller.
        task: what to train on.
        trainer: how the work is shared.
        validation: the rows of the validation part, maybe none.
        on_segment: told the iteration reached and the mean loss of each segment.
        stop: asked after each segment; once true, the state is saved and Stopped is raised.

    Raises:
        TrainingError: the loss is not finite.
        Stopped: ``stop`` said so; the run can be resumed.
    """
    state = _restore(run, task, trainer)
    settings = task.recipe.fit
    total = task.stream.iterations
    epoch_started = time.monotonic()
    with Saver(run, task, trainer) as keep:
        while not state.finished:
            epoch_end = task.stream.pass_end(state.iteration)
            cycle = cycle_at(state.iteration, total, settings.snapshots or 1)
            # Segments end at multiples of their length, whatever the iteration a fit was resumed at.
            end = min((state.iteration // task.segment + 1) * task.segment, epoch_end, cycle.end)
            loss = trainer.train(state.iteration, end)
            _check_finite(loss, state.iteration, end, settings)
            on_segment(end, loss / (end - state.iteration))
            state.loss_sum += loss
            state.loss_count += end - state.iteration
            state.iteration = end
            if settings.snapshots is not None and end == cycle.end:
                state.snapshots = cycle.number
                keep.snapshot(run.snapshot_path(cycle.number), {"iteration": end, "snapshot": cycle.number})
            if end == epoch_end:
                record = _finish_epoch(run, task, trainer, validation, state, keep, total)
                _append_time(run, state, time.monotonic() - epoch_started)
                epoch_started = time.monotonic()
                keep.last(state.document())
                if keep.seconds >= saver.PAUSE:
                    keep.write()
                yield record
            elif keep.seconds >= saver.EVERY:
                keep.last(state.document())
                keep.write()
            if not state.finished and stop():
                keep.last(state.document())
                raise Stopped(f"Stopped at iteration {state.iteration} of {total}.")


def scores(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return log loss, accuracy and balanced accuracy of probabilities (N, K) for labels (N,)."""
    chosen = probabilities[np.arange(len(labels)), labels]
    right = probabilities.argmax(axis=1) == labels
    recalls = [right[labels == label].mean() for label in np.unique(labels)]
    return {
        "loss": float(-np.log(np.clip(chosen, np.finfo(np.float64).tiny, None)).mean()),
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean(recalls)),
    }


def _restore(run: Run, task: Task, trainer: Trainer) -> State:
    last = run.last(kept=not task.kept)
    if last is None:
        # Nothing was ever confirmed; records that a killed process left are not this fit's.
        write_atomic(run.path / "history.jsonl", "")
        return State()
    lines = history_lines(run.path, last)
    known = {key: value for key, value in last.state.items() if key not in ("records", "history")}
    try:
        state = State(**known, lines=lines)
        trainer.restore(last.tensors)
    except (TypeError, KeyError, ValueError) as problem:
        raise RunError(f"{run.path / 'last'} does not fit its recipe: {problem}.") from None
    write_atomic(run.path / "history.jsonl", "".join(lines))
    return state


def _finish_epoch(
    run: Run, task: Task, trainer: Trainer, validation: Rows, state: State, keep: Saver, total: int
) -> dict[str, Any]:
    settings = task.recipe.fit
    state.epoch += 1
    record: dict[str, Any] = {
        "epoch": state.epoch,
        "iteration": state.iteration,
        "epochs": round(task.stream.epochs_at(state.iteration), 4),
        "lr": task.lr(state.iteration - 1),
        "train_loss": state.loss_sum / state.loss_count,
    }
    state.loss_sum, state.loss_count = 0.0, 0
    figure = None
    if len(validation):
        found = scores(trainer.probabilities(validation), task.labels[validation])
        # The last step can be the one that goes astray.
        _check_finite(found["loss"], state.iteration - 1, state.iteration, settings)
        record.update({f"validation_{name}": value for name, value in found.items()})
        figure = -found["loss"] if settings.select == "loss" else found[settings.select]
    record["best"] = _improves(figure, state, settings)
    if record["best"]:
        state.best, state.best_epoch = figure, state.epoch
        keep.best({"iteration": state.iteration, "record": record})
    state.lines.append(json.dumps(record) + "\n")
    with (run.path / "history.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(state.lines[-1])
    if state.iteration >= total:
        state.finished = "all iterations done"
    elif settings.early_stopping is not None:
        since = state.epoch - state.best_epoch
        if since >= settings.early_stopping.patience:
            state.finished = f"validation {settings.select} has not improved for {since} epochs"
    return record


def _improves(figure: float | None, state: State, settings: Fit) -> bool:
    """Without a validation part the last weights are the result; with one, those that improve the figure."""
    if figure is None or state.best is None:
        return True
    margin = settings.early_stopping.min_delta if settings.early_stopping is not None else 0.0
    return figure > state.best + margin


def _append_time(run: Run, state: State, seconds: float) -> None:
    """Times have a file of their own: the history of a resumed run must equal that of one never interrupted."""
    with (run.path / "times.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"epoch": state.epoch, "seconds": round(seconds, 3)}) + "\n")


def _check_finite(loss: float, start: int, end: int, settings: Fit) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"The loss became {loss} between iterations {start} and {end}: training diverged. Lower "
            f"fit.optimizer.lr (now {settings.optimizer.lr:g}), or add fit.schedule.warmup. The checkpoints before "
            "that are kept."
        )
