"""The folds of ``bioclass fit``: every fold that is missing is trained, each in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bioclass.cli.common import asked_to_stop, print_json, say
from bioclass.errors import BioclassError, Stopped

if TYPE_CHECKING:
    from pathlib import Path

    from bioclass.fit.session import Request
    from bioclass.run import Folds
    from bioclass.shelf import Shelf


def fit_folds(request: Request, shelf: Shelf, jobs: int | None, as_json: bool) -> None:
    """Train the folds of a recipe into the folder ``request.run``; ``jobs`` at a time, by default one a core.

    Raises:
        InputError: something that the user gave is wrong; nothing was written then.
        BioclassError: a fold could not be trained.
    """
    from bioclass.devices import choose
    from bioclass.environment import available_cores
    from bioclass.study.folds import make_folds, reopen_folds

    device, reason = choose(request.device)
    if request.device == "auto":
        say(f"Computing on {device}: {reason}")
    if request.resume and request.run.exists():
        folds = reopen_folds(request.recipe, request.run)
    else:
        folder = request.recipe_folder or request.run.parent
        folds = make_folds(request.recipe, folder, request.run, request.root, shelf, say)
    # Folds that shared a GPU would only wait for each other.
    failures = _run(folds, request, shelf, jobs or (available_cores() if device == "cpu" else 1))
    if failures:
        lines = "\n".join(f"  - {name}: {reason}" for name, reason in failures.items())
        raise BioclassError(f"{len(failures)} of {len(folds.folds)} folds failed:\n{lines}")
    if as_json:
        print_json({"folds": str(folds.path), "runs": [str(folds.path / name) for name in folds.names]})
        return
    print(f"Finished. All {len(folds.folds)} folds are in {folds.path}.")
    print(f"Evaluate them on the images that each of them held out with: bioclass evaluate {folds.path}")


def _run(folds: Folds, request: Request, shelf: Shelf, jobs: int) -> dict[str, str]:
    from bioclass.cli.progress import watcher
    from bioclass.study.folds import fold_cells
    from bioclass.study.pool import Pool
    from bioclass.study.runner import run_cells

    cells, pool = fold_cells(folds, request.recipe_folder or folds.path.parent), Pool(folds.path)
    done = sum(pool.state(cell) == "finished" for cell in cells)
    if done == len(cells):
        return {}
    root = _root(folds, request)
    say(
        f"{len(cells) - done} of {len(cells)} folds to train, into {folds.path}, "
        f"{min(jobs, len(cells) - done)} at a time"
    )
    with asked_to_stop("Stopping: every fold saves its state...") as stop, watcher(len(cells), done) as watch:
        try:
            return run_cells(
                cells, pool, shelf, dict.fromkeys(folds.names, root), jobs, watch, stop, request.device
            )
        except Stopped:
            raise Stopped(
                f"Stopped. The folds can be resumed: give the same command with --resume (folder {folds.path})."
            ) from None


def _root(folds: Folds, request: Request) -> Path | None:
    """The folder of the data: as it is given now, else where it was when the folds were made."""
    return request.root or folds.recorded_root()
