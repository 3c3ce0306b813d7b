"""Folds in ``bioclass fit`` and ``bioclass evaluate``: trained in processes of their own, and pooled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bioclass.cli.common import (
    asked_to_stop,
    number,
    percent,
    print_files,
    print_json,
    print_metrics,
    reported,
    say,
)
from bioclass.cli.tables import Cell, Two, print_table, print_text
from bioclass.errors import BioclassError, RunError, Stopped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bioclass.evaluate import CrossValidated, CrossValidation
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
    card = folds.finished()[0].card
    if as_json:
        runs = [str(folds.path / name) for name in folds.names]
        print_json({"folds": str(folds.path), "synthetic": card.synthetic, "runs": runs})
        return
    print(f"Finished. All {len(folds.folds)} folds are in {folds.path}.")
    print(f"Evaluate them on the {card.images()} that each of them held out with: bioclass evaluate {folds.path}")


def _run(folds: Folds, request: Request, shelf: Shelf, jobs: int) -> dict[str, str]:
    from bioclass.cli.progress import watcher
    from bioclass.study.folds import fold_cells
    from bioclass.study.pool import Pool
    from bioclass.study.prepare import find_weights
    from bioclass.study.runner import run_cells

    cells, pool = fold_cells(folds, request.recipe_folder or folds.path.parent), Pool(folds.path)
    done = sum(pool.state(cell) == "finished" for cell in cells)
    if done == len(cells):
        return {}
    if request.resume:  # of new folds they were found before there was a folder
        find_weights((cell.recipe, cell.folder) for cell in cells if pool.state(cell) == "missing")
    roots = dict.fromkeys(folds.names, request.root or folds.recorded_root())
    say(
        f"{len(cells) - done} of {len(cells)} folds to train, into {folds.path}, "
        f"{min(jobs, len(cells) - done)} at a time"
    )
    with asked_to_stop("Stopping: every fold saves its state...") as stop, watcher(len(cells), done) as watch:
        try:
            return run_cells(cells, pool, shelf, roots, jobs, watch, stop, request.device)
        except Stopped:
            raise Stopped(
                f"Stopped. The folds can be resumed: give the same command with --resume (folder {folds.path})."
            ) from None


def pools(paths: Sequence[Path], part: str | None) -> bool:
    """Return whether an evaluation is of folders of folds, on what each fold held out.

    Raises:
        RunError: runs and folds are mixed, or folds are wanted on a part that they do not have in common.
    """
    from bioclass.run import check_part, held_out_part, holds_folds, open_folds

    if part is not None:
        check_part(part)
    folders = [path for path in paths if holds_folds(path)]
    if not folders:
        return False
    if part in ("train", "validation"):
        raise RunError(
            f"The folds in {folders[0]} have different {part} parts: leave --part out, or name one of its runs."
        )
    held = {held_out_part(open_folds(path).runs()) for path in folders}
    if part == "test" and held == {"fold"}:
        return False
    alone = [path for path in paths if path not in folders]
    if alone:
        raise RunError(
            f"{folders[0]} holds folds and {alone[0]} does not: what they held out is not the same. Give folders "
            "of folds, or runs; where there is an official test part, --part test judges both by it."
        )
    return True


def evaluate_pooled(
    paths: Sequence[Path], shelf: Shelf, root: Path | None, device: str, as_json: bool, report: bool
) -> None:
    """Evaluate folders of folds on what each fold held out, print it, and write a report of each."""
    from bioclass.evaluate import evaluate_folds
    from bioclass.report.page import report_folds

    result = evaluate_folds(paths, shelf, root=root, device=device, say=say)
    reports = report_folds(result, shelf, root=root, say=say) if report else []
    if as_json:
        print_json({**result.as_dict(), **reported(reports)})
        return
    for model in result.models:
        _print_pooled(model, reports)
    if result.comparisons:
        _print_comparisons(result)


def _print_pooled(model: CrossValidated, reports: Sequence[Path]) -> None:
    from bioclass.report.terms import BY_FOLD

    if sentence := model.folds.recipe.predict.sentence():
        print_text(sentence)
        print()
    repeats = model.folds.repeats
    grouped = f" in {model.metrics.groups} groups" if model.grouped else ""
    often = f", each tested {repeats} times" if repeats > 1 else ""
    counted = f"{model.images} {model.scored.card.images()}{grouped}{often}"
    print_metrics(f"{model.name}, {len(model.by_fold)} folds pooled", model.scored, counted)
    print()
    rows: list[list[Cell]] = [
        [run if fold.group is None else f"{run}: {fold.group}", str(n), *_cells(figures)]
        for run, fold, n, figures in model.rows()
    ]
    over = model.over_folds()
    rows += [[name, "", *_cells({key: over[key][name] for key in over})] for name in ("mean", "deviation")]
    heads: list[Cell] = [Two(term.name, term.unit) for term in BY_FOLD.values()]
    print_table("Each fold alone", ["fold", "images", *heads], rows)
    print_files(model.folder, reports)
    print()


def _cells(figures: Mapping[str, float | None]) -> list[str]:
    """The figures of a fold, or over folds, as a row has them."""
    from bioclass.report.terms import BY_FOLD

    return [term.value(figures[key]) for key, term in BY_FOLD.items()]


def _print_comparisons(result: CrossValidation) -> None:
    from bioclass.report.terms import p_value

    rows: list[list[Cell]] = [
        [model.name, percent(model.metrics.overall["accuracy"]), number(model.metrics.overall["log_loss"])]
        for model in result.models
    ]
    images = result.models[0].scored.card.images()
    print_table(f"The same {images}, held out by the folds of each", ["", "accuracy %", "log loss"], rows)
    print()
    pairs: list[list[Cell]] = [
        [
            Two(pair.a, pair.b, "{} - {}"),
            percent(pair.difference),
            *(p_value(p) for p in (pair.p, pair.p_holm)),
        ]
        for pair in result.comparisons
    ]
    grouped = any(model.grouped for model in result.models)
    note = " (the interval respects groups, McNemar's test does not)" if grouped else ""
    print_table(f"Do they differ?{note}", ["pair", "difference %", "p (McNemar)", "p (Holm)"], pairs)
