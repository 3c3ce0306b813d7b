"""``bioclass fit``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioclass.cli.common import Device, Json, Paths, Root, Settings, asked_to_stop, print_json, say
from bioclass.errors import InputError, Stopped

if TYPE_CHECKING:
    from bioclass.recipe import Recipe


def fit(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's name (see `recipes list`) or the path of its file.")
    ],
    root: Root = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", help="The run folder; by default runs/RECIPE, with -seedN, and -folds for a folder of folds."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the training.")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the run exactly where it was saved; start it if it is not there."),
    ] = False,
    settings: Settings = None,
    device: Device = "auto",
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Processes that share each batch on a CPU; by default the fit chooses."),
    ] = None,
    folds: Annotated[
        str | None,
        typer.Option("--folds", metavar="K", help="Cross-validate: train K folds, or `groups` to leave each out."),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option("--repeats", help="Cross-validate so often, each time with other folds.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", help="Folds at a time, a process each; by default one a core.")
    ] = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Train although the official split leaks; the test part flatters.")
    ] = False,
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Train a recipe and keep the best weights in a run folder, or one run for every fold."""
    for name, given in (("--workers", workers), ("--jobs", jobs)):
        if given is not None and given < 1:
            raise InputError(f"{name} wants a number of processes, at least 1. Got {given}.")
    from bioclass.fit.session import Request, open_session
    from bioclass.recipe import load_recipe
    from bioclass.shelf import Shelf

    shelf = Shelf.of(path or ())
    file = shelf.recipe(recipe)
    options = {"seed": seed, "split.folds": folds, "split.repeats": repeats}
    chosen = [f"{key}={value}" for key, value in options.items() if value is not None]
    loaded = load_recipe(file, [*(settings or []), *chosen])
    folder = run or Path("runs") / _name(file.stem, loaded)
    if loaded.split.folds is not None and loaded.split.fold is None:
        from bioclass.cli.folds import fit_folds

        if workers is not None:
            raise InputError("--workers shares one run; folds run side by side, so give --jobs, or leave it out.")
        if allow_leaks:
            raise InputError("--allow-leaks is for an official split; folds are dealt by group: leave it out.")
        fit_folds(Request(loaded, file.parent, folder, root, resume, device), shelf, jobs, as_json)
        return
    if jobs is not None:
        raise InputError("--jobs is for folds: give --folds, or leave it out.")
    request = Request(loaded, file.parent, folder, root, resume, device, workers, allow_leaks)
    with open_session(request, shelf, say) as session:
        records = _train(session, folder)
    _report(session, records, folder, as_json)


def _name(stem: str, recipe: Recipe) -> str:
    """The usual name of a run's folder, or of that of its folds."""
    name = stem if recipe.seed == 0 else f"{stem}-seed{recipe.seed}"
    if recipe.split.folds is None:
        return name
    return f"{name}-folds" if recipe.split.fold is None else f"{name}-fold{recipe.split.fold}"


def _train(session: Any, folder: Path) -> list[dict[str, Any]]:
    from bioclass.fit.loop import fit as train

    task, environment, card = session.task, session.run.environment, session.run.card
    shared = f"{environment['workers']} processes" if environment["workers"] > 1 else "1 process"
    say(
        f"{'Continuing' if session.resumed else 'Training'} {task.recipe.network.name} on {len(task.train)} "
        f"{card.images()} ({len(session.validation)} for validation), {task.stream.iterations} iterations of "
        f"{task.recipe.fit.batch_size}, on {environment['device']} in {shared}, into {folder}"
    )
    answer = "Stopping at the next point that can be resumed..."
    with asked_to_stop(answer) as stop, _progress(task.stream.iterations) as (advance, line):
        try:
            for record in train(session.run, task, session.trainer, session.validation, advance, stop):
                line(_line(record))
        except Stopped as problem:
            raise Stopped(
                f"{problem} The run can be resumed: give the same command with --resume (run {folder})."
            ) from None
    history: list[dict[str, Any]] = session.run.history()
    return history


def _line(record: dict[str, Any]) -> str:
    """One epoch in at most 80 columns."""
    text = f"epoch {record['epoch']:>3}  iteration {record['iteration']:>5}  loss {record['train_loss']:.4f}"
    if "validation_loss" in record:
        right = f"{100 * record['validation_accuracy']:.2f} % right"
        text += f"  validation {record['validation_loss']:.4f}, {right}{'  best' if record['best'] else ''}"
    return text


def _report(session: Any, records: list[dict[str, Any]], folder: Path, as_json: bool) -> None:
    best = next(record for record in reversed(records) if record["best"])
    finished = session.run.last(kept=False).state["finished"]
    card = session.run.card
    if as_json:
        print_json(
            {
                "run": str(folder),
                "synthetic": card.synthetic,
                "finished": finished,
                "best": best,
                "epochs": len(records),
            }
        )
        return
    print(f"Finished ({finished}). The weights of epoch {best['epoch']} are in {folder}.")
    print(f"Evaluate them on the test part with: bioclass evaluate {folder}")


@contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[int, float], None], Callable[[str], None]]]:
    """A progress bar on a terminal; in a log plain lines, one an epoch."""
    if not sys.stderr.isatty():
        yield (lambda iteration, loss: None), say
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("iteration {task.completed}/{task.total}"), BarColumn(), TaskProgressColumn())
    with Progress(
        *columns, TimeRemainingColumn(), TextColumn("loss {task.fields[loss]:.4f}"), console=console
    ) as bar:
        shown = bar.add_task("fit", total=total, loss=float("nan"))
        yield (
            (lambda iteration, loss: bar.update(shown, completed=iteration, loss=loss)),
            (lambda text: console.print(text, highlight=False)),
        )
