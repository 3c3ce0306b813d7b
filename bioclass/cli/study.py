"""``bioclass study``."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import Json, Paths, Root, asked_to_stop, print_json, say
from bioclass.cli.tables import Align, Cell, Two, print_table
from bioclass.errors import BioclassError, InputError, Stopped

if TYPE_CHECKING:
    from bioclass.shelf import Shelf
    from bioclass.study.cells import Plan
    from bioclass.study.pool import Pool

Several = list[str] | None


def study(
    name: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="A study's name (see --list) or the path of its file.")
    ] = None,
    only: Annotated[
        Several, typer.Option("--only", metavar="TABLE", help="Only this table; several times.")
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", help="Instead of the study's seeds; several times.")
    ] = None,
    settings: Annotated[
        Several,
        typer.Option("--set", metavar="KEY=VALUE", help="Set any value of every recipe; KEY= leaves it out."),
    ] = None,
    runs: Annotated[
        Path, typer.Option("--runs", help="The folder of runs; studies that share it share their runs.")
    ] = Path("runs/studies"),
    out: Annotated[
        Path | None, typer.Option("--out", help="Where tables go; by default RUNS/tables/STUDY.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", help="Runs at a time, a process each; by default one a core.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="ADDRESS", help="Run on the workers of a Dask scheduler.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which runs are there and which not.")
    ] = False,
    tables: Annotated[bool, typer.Option("--tables", help="Only write the tables, from what is there.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="List the studies in reach.")] = False,
    root: Root = None,
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Run what is missing of a study, and write its tables.

    Killed or stopped at any moment, the same command goes on from there and repeats nothing.
    """
    from bioclass.shelf import Shelf

    shelf = Shelf.of(path or ())
    if list_all or name is None:
        if not list_all:
            raise InputError("Name a study; bioclass study --list shows those in reach.")
        _list(shelf, as_json)
        return
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs wants a number of processes, at least 1. Got {jobs}.")
    if jobs is not None and cluster is not None:
        raise InputError("--jobs is for this machine; how many run on a cluster, its workers decide: leave it out.")
    from bioclass.study.cells import plan_study
    from bioclass.study.pool import Pool

    plan = plan_study(shelf.study(name), shelf, only=only or (), seeds=seeds or (), settings=settings or ())
    pool = Pool(runs)
    if dry_run:
        _print_cells(plan, pool, as_json)
        return
    failures = {} if tables else _run(plan, pool, shelf, root, jobs, cluster)
    _write_tables(plan, pool, out, as_json)
    if failures:
        lines = "\n".join(f"  - {cell}: {reason}" for cell, reason in failures.items())
        raise BioclassError(f"{len(failures)} of {len(plan.runs())} runs failed:\n{lines}")


def _list(shelf: Shelf, as_json: bool) -> None:
    from bioclass.errors import StudyError
    from bioclass.study.model import load_study

    found = []
    for name, file in sorted(shelf.studies().items()):
        try:
            found.append((name, load_study(file)))
        except StudyError as problem:
            say(f"bioclass: {problem}")
    if as_json:
        print_json([{"name": name, "title": item.title, "tables": list(item.comparisons)} for name, item in found])
        return
    rows = [[name, ", ".join(item.comparisons), item.title] for name, item in found]
    print_table("", ["name", "tables", "title"], rows, ["left"] * 3)


def _print_cells(plan: Plan, pool: Pool, as_json: bool) -> None:
    cells = [(cell, pool.state(cell)) for cell in plan.runs()]
    if as_json:
        print_json([{"run": str(pool.path(cell)), "state": state} for cell, state in cells])
        return
    print_table("", ["run", "state"], [[cell.name, state] for cell, state in cells], ["left", "left"])
    counts = Counter(state for _, state in cells)
    words = [f"{counts[state]} {state}" for state in ("finished", "started", "missing") if counts[state]]
    say(f"{len(cells)} runs in {pool.folder}: {', '.join(words)}.")


def _run(
    plan: Plan, pool: Pool, shelf: Shelf, root: Path | None, jobs: int | None, cluster: str | None
) -> dict[str, str]:
    from bioclass.cli.progress import watcher
    from bioclass.environment import available_cores
    from bioclass.study.prepare import find_data, find_weights
    from bioclass.study.runner import run_cells

    cells = plan.runs()
    done = sum(pool.state(cell) == "finished" for cell in cells)
    roots = find_data(cells, pool, shelf, root)
    if done == len(cells):
        say(f"All {done} runs are there, in {pool.folder}.")
        return {}
    find_weights((cell.recipe, cell.folder) for cell in cells if pool.state(cell) == "missing")
    at_once = jobs or available_cores()
    say(
        f"{len(cells) - done} of {len(cells)} runs to do, in {pool.folder}, "
        + (f"on {cluster}" if cluster is not None else f"{min(at_once, len(cells) - done)} at a time")
    )
    with asked_to_stop("Stopping: every run saves its state...") as stop, watcher(len(cells), done) as watch:
        try:
            if cluster is not None:
                from bioclass.study.cluster import run_on_cluster

                return run_on_cluster(cells, pool, shelf, roots, cluster, watch, stop)
            return run_cells(cells, pool, shelf, roots, at_once, watch, stop)
        except Stopped as problem:
            raise Stopped(f"{problem} Finished runs are in {pool.folder}.") from None


def _write_tables(plan: Plan, pool: Pool, out: Path | None, as_json: bool) -> None:
    from bioclass.study.report import sheets

    folder = out or pool.folder / "tables" / _folder_name(plan)
    made = sheets(plan, pool)
    for sheet in made:
        sheet.write(folder)
    if as_json:
        print_json([sheet.document() for sheet in made])
        return
    for sheet in made:
        cells = [[_cell(text) for text in row] for row in (sheet.columns, *sheet.rows)]
        aligned: list[Align] = ["left" if i < sheet.labels else "right" for i in range(len(sheet.columns))]
        print_table(sheet.title, cells[0], cells[1:], aligned)
        print("\n".join(f"- {note}" for note in sheet.notes), end="\n\n")
    print(f"Files: {folder}")


def _folder_name(plan: Plan) -> str:
    """The folder of a study's tables: other settings are another study."""
    settings = [re.sub("[^A-Za-z0-9._]+", "-", text).strip("-") for text in plan.settings]
    return ",".join([plan.name, *settings])


def _cell(text: str | tuple[str, str]) -> Cell:
    return text if isinstance(text, str) else Two(*text)
