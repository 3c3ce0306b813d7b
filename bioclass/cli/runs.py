"""``bioclass runs``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import Json, print_json, say
from bioclass.cli.tables import Align, Cell, Two, print_table
from bioclass.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from bioclass.report.listing import Listed

Filter = str | None

STATES: dict[str, Callable[[Listed], bool]] = {
    "finished": lambda run: run.finished,
    "unfinished": lambda run: not run.finished,
    "evaluated": lambda run: run.evaluated,
    "unevaluated": lambda run: not run.evaluated,
}

SORTS: dict[str, Callable[[Listed], float | str | None]] = {
    "name": lambda run: str(run.path),
    "dataset": lambda run: run.dataset,
    "network": lambda run: run.recipe.network.name,
    "accuracy": lambda run: _descending(run, "accuracy"),
    "balanced": lambda run: _descending(run, "balanced_accuracy"),
    "time": lambda run: run.seconds,
    "date": lambda run: None if run.saved is None else -run.saved.timestamp(),
}
"""What comes first is least; what has no value, None, comes last."""


def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder that holds run folders.")] = Path(
        "runs"
    ),
    dataset: Annotated[
        Filter,
        typer.Option("--dataset", metavar="NAME", help="Only runs on this dataset; mnist* is all of a kind."),
    ] = None,
    network: Annotated[
        Filter,
        typer.Option("--network", metavar="NAME", help="Only runs of this network; resnet* is all of a kind."),
    ] = None,
    state: Annotated[
        Filter, typer.Option("--state", metavar="STATE", help=f"Only {', '.join(STATES)} runs.")
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            help=f"{', '.join(SORTS)}: the best, the fastest or the newest first.",
        ),
    ] = "name",
    as_json: Json = False,
) -> None:
    """List the runs in a folder, and in those in it, with their state and how they do on the test part.

    Intervals are 95 %. Folds of a cross-validation are one run, with what they held out; name their folder to list
    each. The time is that of the training, the date when a run was saved last.
    """
    for option, given, known in (("--state", state, STATES), ("--sort", sort, SORTS)):
        if given is not None and given not in known:
            hint = did_you_mean(given, known)
            raise InputError(f"{option} is one of {', '.join(known)}. Got {given!r}{hint or '.'}")
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Fit something first, or name the folder of your runs.")
    from bioclass.report.listing import find_runs

    there = list(find_runs(folder, lambda problem: say(f"bioclass: {problem}")))
    found = [run for run in there if _wanted(run, dataset, network, state)]
    found.sort(key=lambda run: _last_without(SORTS[sort](run)))
    if as_json:
        print_json([run.as_dict() for run in found])
    elif found:
        _print(found, folder)
    elif there:
        kinds = sorted({f"{run.dataset} {run.recipe.network.name}" for run in there})
        say(f"None of the {len(there)} runs in {folder} is of this kind: there are {', '.join(kinds)}.")
    else:
        say(f"{folder} holds no runs.")


def _wanted(run: Listed, dataset: Filter, network: Filter, state: Filter) -> bool:
    from fnmatch import fnmatchcase

    return (
        (dataset is None or fnmatchcase(run.dataset, dataset))
        and (network is None or fnmatchcase(run.recipe.network.name, network))
        and (state is None or STATES[state](run))
    )


def _descending(run: Listed, name: str) -> float | None:
    figure = run.figures[name]
    return None if figure is None else -figure["value"]


def _last_without(value: float | str | None) -> tuple[bool, float | str]:
    return value is None, 0.0 if value is None else value


def _print(found: list[Listed], folder: Path) -> None:
    rows: list[list[Cell]] = [
        [
            str(run.path if run.path == folder else run.path.relative_to(folder)),
            Two(f"{run.dataset} (synthetic)" if run.synthetic else run.dataset, run.recipe.network.name, "{}, {}"),
            str(run.recipe.seed),
            run.state,
            *(_figure(run, name) for name in run.figures),
            _when(run),
        ]
        for run in found
    ]
    columns: list[Cell] = [
        "run",
        Two("dataset", "network", "{}, {}"),
        "seed",
        "state",
        Two("accuracy", "%"),
        Two("balanced", "accuracy %"),
        Two("saved", "time", "{}, {}"),
    ]
    align: list[Align] = ["left", "left", "right", "left", "right", "right", "left"]
    print_table(f"{len(found)} runs in {folder}" if len(found) > 1 else f"1 run in {folder}", columns, rows, align)


def _figure(run: Listed, name: str) -> Cell:
    found = run.figures[name]
    if found is None:
        return "-"
    value, low, high = (100 * found[key] for key in ("value", "low", "high"))
    return Two(f"{value:.2f}", f"{low:.1f}-{high:.1f}", "{} ({})")


def _when(run: Listed) -> Cell:
    from bioclass.cli.progress import duration

    if run.saved is None:
        return "-"
    return Two(f"{run.saved:%Y-%m-%d}", "" if run.seconds is None else duration(run.seconds), "{}, {}")
