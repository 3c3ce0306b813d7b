"""From a recipe to a run folder and a trainer: everything that a fit does before its first iteration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bioclass.card import Card
from bioclass.check import split_for_fit
from bioclass.dataset import Load, find_root, load_samples
from bioclass.devices import choose, parse
from bioclass.environment import available_cores, describe_environment, set_threads, utc_now
from bioclass.errors import DeviceError, RecipeError, RunError
from bioclass.preprocess import fit_statistics, prepare
from bioclass.recipe import BACKBONES, Features, Recipe
from bioclass.run import Run, create_run, locked, open_run, refuse_existing, refuse_other_recipe
from bioclass.samples import Samples
from bioclass.shelf import Shelf

SHARED_VALUES = 150_000_000
"""Input values in a whole training from which worker processes repay their start of two to three seconds."""

LEAST_PART = 5
"""Images of a batch that a worker must have for the exchange to cost less than it brings."""


@dataclass(frozen=True)
class Request:
    """What a user asks of a fit."""

    recipe: Recipe
    recipe_folder: Path | None
    run: Path
    root: Path | None = None
    resume: bool = False
    device: str = "auto"
    workers: int | None = None
    """Processes that share each batch on a CPU; None lets the fit choose."""
    allow_leaks: bool = False
    """Train also on an official split that leaks."""


def load_libraries(recipe: Recipe, device: str) -> None:
    """Load what a fit computes with, for one whose time is taken: the next in this process has it already."""
    set_threads(1, one_by_one=choose(device).device == "cpu")
    from bioclass.backend import import_gluoncv  # which imports MXNet

    if recipe.network.name in BACKBONES:
        import_gluoncv()


@dataclass(frozen=True)
class Session:
    """A run that is locked and ready to train."""

    run: Run
    task: Any
    validation: Any
    trainer: Any
    resumed: bool


@contextmanager
def open_session(
    request: Request, shelf: Shelf, say: Callable[[str], None], load: Load = load_samples
) -> Iterator[Session]:
    """Load the data, make or reopen the run folder, and start the trainer; ``load`` reads a dataset.

    Raises:
        InputError: something that the user gave is wrong; nothing was written then.
    """
    resume = request.resume and request.run.exists()
    if not resume:
        refuse_existing(request.run)
    run = _reopen(request) if resume else None
    if run is not None:
        card, known = run.card, run.recorded_root()
    else:
        card, known = shelf.find(request.recipe.dataset, request.recipe_folder)
    root = find_root(card, request.root, request.recipe.root, known)
    say(f"Reading {card.name}" if card.format is None else f"Reading {card.name} from {root}")
    samples = load(card, root, shelf)
    if run is not None:
        parts = run.match(samples)
    else:
        parts = split_for_fit(samples, request.recipe.split, card.class_names, request.allow_leaks, say)
    prepared = _on_features if isinstance(request.recipe.fit.transfer, Features) else _on_images
    ready = prepared(request, run, card, samples, parts, say)
    trainer = _trainer(ready.task, ready.devices)
    try:
        # The trainer first: a network that the images or the weights do not fit leaves no run folder behind.
        start = ready.begin(trainer) if run is None else None
        run = run or _create(request, card, samples, parts, ready.task.plan, root, ready.devices, start)
        with locked(run.path):
            yield Session(run, ready.task, ready.validation, trainer, resume)
    finally:
        trainer.close()


class _Ready(NamedTuple):
    """What to train on and where; ``begin`` lets a trainer of a new run start from weights.

    It returns what the run folder keeps of them and its first checkpoint, or None where there are none.
    """

    task: Any
    validation: Any
    devices: dict[str, Any]
    begin: Callable[[Any], tuple[dict[str, Any], Any] | None]


def _on_images(
    request: Request, run: Run | None, card: Card, samples: Samples, parts: Any, say: Callable[[str], None]
) -> _Ready:
    # Files of what is held out are not even decoded; an array stays as it is, and its rows are picked.
    files = isinstance(samples.images, list)
    used = np.flatnonzero(np.isin(parts, ["train", "validation"])) if files else np.arange(len(parts))
    fitted = samples.take(used) if files else samples
    images, plan = prepare(fitted, request.recipe.preprocess, card)
    train = np.flatnonzero(parts[used] == "train")
    devices = _devices(request, run, len(train), int(np.prod(images.shape[1:])), say)
    # Before anything imports MXNet.
    set_threads(devices["threads"], one_by_one=devices["device"] == "cpu")
    weights = _weights(request) if run is None else None
    if run is not None:
        plan = run.plan
    elif weights is not None:
        plan = _normalised(plan, weights)
    elif request.recipe.preprocess.standardise:
        plan = fit_statistics(plan, images, train)
    from bioclass.fit.task import Task

    task = Task(request.recipe, plan, card.class_names, images, fitted.labels, train)
    begin = partial(_begin, task, weights, say)
    return _Ready(task, np.flatnonzero(parts[used] == "validation"), devices, begin)


def _on_features(
    request: Request, run: Run | None, card: Card, samples: Samples, parts: Any, say: Callable[[str], None]
) -> _Ready:
    train = np.flatnonzero(parts == "train")
    devices = _devices(request, run, len(train), 1, say)
    set_threads(devices["threads"], one_by_one=devices["device"] == "cpu")
    from bioclass.devices import contexts
    from bioclass.fit.heads import Backbone, head_task
    from bioclass.fit.loop import State

    backbone = Backbone.of(_weights(request) if run is None else None, run)
    context = contexts(devices["device"])[0]
    task, weights = head_task(request.recipe, card, samples, train, backbone, devices["device"], context, say)

    def begin(trainer: Any) -> tuple[dict[str, Any], Any]:
        return weights, ({**trainer.tensors(), **task.kept}, State().document())

    return _Ready(task, np.flatnonzero(parts == "validation"), devices, begin)


def _reopen(request: Request) -> Run:
    run = open_run(request.run)
    refuse_other_recipe(run.path, run.recipe, request.recipe)
    device, workers = run.environment["device"], run.environment["workers"]
    # "gpu" and "gpu:0" are one device.
    other_device = request.device != "auto" and parse(request.device) != parse(device)
    other_workers = request.workers not in (None, workers)
    for name, other, was, wish in (
        ("--device", other_device, device, request.device),
        ("--workers", other_workers, workers, request.workers),
    ):
        if other:
            raise RunError(
                f"The run {run.path} was started with {name} {was}; with {wish} it would not continue exactly. "
                f"Leave {name} out, or start a new run with --run."
            )
    return run


def _devices(
    request: Request, run: Run | None, images: int, values: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Choose contexts, worker processes and threads: as recorded, as asked for, or what measures best."""
    if run is not None:
        # The run may have come from another machine: a device that is not here is said before MXNet aborts on it.
        choose(run.environment["device"])
        return {key: run.environment[key] for key in ("device", "workers", "threads")}
    device, reason = choose(request.device)
    if request.device == "auto":
        say(f"Computing on {device}: {reason}")
    cores = available_cores()
    if device != "cpu":
        if request.workers not in (None, 1):
            raise DeviceError(f"--workers goes with --device cpu. Got --device {device}.")
        return {"device": device, "workers": 1, "threads": cores}
    workers = request.workers or best_workers(request.recipe, cores, images, values)
    if workers > request.recipe.fit.batch_size:
        raise DeviceError(
            f"{workers} workers cannot share a batch of {request.recipe.fit.batch_size}: lower --workers."
        )
    return {"device": device, "workers": workers, "threads": 1}


def best_workers(recipe: Recipe, cores: int, images: int, values: int) -> int:
    """Return how many processes should share a batch: one a core, if each has enough to do.

    Args:
        recipe: batch size and length of the training.
        cores: processors to use.
        images: number of training images.
        values: values in one image.
    """
    fit = recipe.fit
    total = (fit.iterations * fit.batch_size if fit.iterations else (fit.epochs or 1) * images) * values
    if total < SHARED_VALUES:
        return 1
    return max(1, min(cores, fit.batch_size // LEAST_PART))


def _weights(request: Request) -> Any:
    network = request.recipe.network
    if network.weights is None:
        return None
    from bioclass.fit.weights import load_weights

    return load_weights(network, request.recipe_folder)


def _normalised(plan: Any, weights: Any) -> Any:
    from bioclass.fit.channels import normalised

    return normalised(plan, weights.normalisation)


def _begin(task: Any, weights: Any, say: Callable[[str], None], trainer: Any) -> tuple[dict[str, Any], Any] | None:
    if weights is None:
        return None
    from bioclass.fit.loop import State
    from bioclass.fit.start import begin

    start = begin(task, trainer, weights)
    say(start.words())
    return start.document(), (trainer.tensors(), State().document())


def _create(
    request: Request,
    card: Card,
    samples: Samples,
    parts: Any,
    plan: Any,
    root: Path,
    devices: dict[str, Any],
    start: tuple[dict[str, Any], Any] | None,
) -> Run:
    own = {"started": utc_now(), "seed": request.recipe.seed, "root": str(root.resolve())}
    environment = {**describe_environment(), **devices, **own}
    if request.allow_leaks:
        environment["allow_leaks"] = True
    checkpoint = None
    if start is not None:
        # With them in the run folder it never needs their file again, whenever the fit is stopped.
        environment["weights"], checkpoint = start
    return create_run(request.run, request.recipe, card, samples, parts, plan, environment, checkpoint)


def _trainer(task: Any, devices: dict[str, Any]) -> Any:
    from bioclass.devices import contexts
    from bioclass.fit.contexts import ContextsTrainer
    from bioclass.fit.team import TeamTrainer

    # Wrong class weights and steps are said here, before there is a run folder.
    _ = task.image_weights, task.augmenter
    on = contexts(devices["device"])
    if task.recipe.fit.precision == "bfloat16":
        from bioclass.networks.bfloat16 import check_bfloat16

        for context in on:
            check_bfloat16(context)
    snapshots = task.recipe.fit.snapshots
    if (snapshots or 1) > task.stream.iterations:
        raise RecipeError(
            f"fit.snapshots = {snapshots} are more than the {task.stream.iterations} iterations of the training: "
            "ask for fewer, or train longer."
        )
    if devices["device"] == "cpu":
        return TeamTrainer(task, devices["workers"])
    return ContextsTrainer(task, on)
