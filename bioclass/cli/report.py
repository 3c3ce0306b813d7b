"""``bioclass report``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import Json, Paths, Root, number, percent, print_json, say
from bioclass.cli.tables import Cell, Two, print_table, print_text
from bioclass.errors import InputError

if TYPE_CHECKING:
    from bioclass.report.comparison.board import Board


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Run folders, folders of folds, or folders of runs, such as a study's."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The page of a comparison, by default comparison.html; its figures go into a folder beside it.",
        ),
    ] = None,
    root: Root = None,
    path: Paths = None,
    part: Annotated[
        str | None,
        typer.Option("--part", help="train, validation or test; by default test, and of folds what each held out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare runs that were evaluated: leaderboard, tests, curves, and what their recipes differ in, on a page.

    Of one run, or one folder of folds, write its own report again: from what `bioclass evaluate` left in it, and
    with what `bioclass explain` found since.
    """
    from bioclass.report.comparison.entrants import is_single

    if len(runs) == 1 and out is None and is_single(runs[0]):
        _rebuild(runs[0], part, root, path, as_json)
        return
    for name, given in (("--root", root is not None), ("--path", path is not None)):
        if given:
            raise InputError(f"{name} is for the report of one run: a comparison reads no images, so leave it out.")
    from bioclass.report.comparison import compare_paths
    from bioclass.report.comparison.words import cautions, findings

    out = out or Path("comparison.html")
    written = compare_paths(runs, out, part, _command(runs, out, part))
    if as_json:
        print_json({**written.board.as_dict(), "files": [str(file) for file in written.files]})
        return
    for text in cautions(written.board):
        say(text)
    _print_board(written.board)
    print()
    for text in findings(written.board):
        print_text(text)
    print(f"\nReport: {written.files[0]}")


def _rebuild(run: Path, part: str | None, root: Path | None, path: list[Path] | None, as_json: bool) -> None:
    from bioclass.report.page import rebuild_report
    from bioclass.shelf import Shelf

    file = rebuild_report(run, Shelf.of(path or ()), part=part, root=root, say=say)
    if as_json:
        print_json({"reports": [str(file)]})
    else:
        print(f"Report: {file}")


def _command(runs: list[Path], out: Path, part: str | None) -> str:
    words = ["bioclass", "report", *map(str, runs), *(["--part", part] if part else []), "--out", str(out)]
    return shlex.join(words)


def _print_board(board: Board) -> None:
    from bioclass.report.terms import p_value

    several = len(board.sets) > 1
    heads: list[Cell] = ["", *(["images"] if several else []), "accuracy %", Two("balanced", "%"), "log loss"]
    rows: list[list[Cell]] = []
    for place in board.places:
        figures = place.figures
        images = [f"{len(place.entrant.answers.ids)}, set {place.images}"] if several else []
        name = Two(place.entrant.name, place.entrant.made, "{} ({})") if place.entrant.kind != "run" else ""
        rows.append(
            [
                name or place.entrant.name,
                *images,
                percent(figures["accuracy"]),
                percent(figures["balanced_accuracy"]),
                number(figures["log_loss"]),
            ]
        )
    print_table(f"{len(board.places)} models compared, {board.first.part} part", heads, rows)
    if not board.pairs:
        return
    print()
    pairs: list[list[Cell]] = [
        [
            Two(pair.a, pair.b, "{} - {}"),
            percent(pair.value),
            p_value(pair.p),
            p_value(pair.p_holm),
            "yes" if pair.differs else "not shown",
        ]
        for pair in board.pairs
    ]
    print_table("Do they differ?", ["pair", "difference %", "p", "p (Holm)", "differ"], pairs)
