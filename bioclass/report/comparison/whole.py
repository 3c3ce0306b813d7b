"""From what the user named to the page and the files beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioclass.errors import InputError
from bioclass.files import write_atomic
from bioclass.report.comparison import figures, tables, words
from bioclass.report.comparison.board import Board, make_board
from bioclass.report.comparison.entrants import find_entrants, is_single
from bioclass.report.curves import Drawing, inks_css
from bioclass.report.page.html import render

STYLE = """
.scroll th, .scroll td { overflow-wrap: normal; }
.scroll thead th, .scroll tbody th { white-space: nowrap; }
.scroll .tight thead th { white-space: normal; min-width: 6rem; }
.scroll .pairs tbody th { white-space: normal; min-width: 12rem; }
.scroll .pairs td { white-space: nowrap; }
.tight td small { display: block; }
.figures { grid-template-columns: repeat(auto-fit, minmax(min(100%, 33rem), 1fr)); }
figure .scroll { margin: 0; }
figure .scroll svg { max-width: none; }
"""


@dataclass(frozen=True, eq=False)
class Written:
    """A comparison, and its files, the page first."""

    board: Board
    files: list[Path]


def compare_paths(paths: Sequence[Path], out: Path, part: str | None, command: str) -> Written:
    """Compare what was evaluated, and write a page, with its figures and tables in a folder beside it.

    Args:
        paths: run folders, folders of folds, and folders of runs, such as a study's.
        out: the page's file, ``.html``; the folder beside it is called after it.
        part: of the data; by default the test part, and of folds what each held out.
        command: that makes the page again.

    Raises:
        InputError: there is no place for the page.
        RunError: something named is damaged, not evaluated, or not to be compared.
    """
    _check_target(out)
    board = make_board(find_entrants(paths, part))
    studied = [table for path in paths if not is_single(path) for table in tables.study_tables(path)]
    accuracies, curves = figures.accuracies(board), figures.curves(board)
    beside = out.with_name(f"{out.stem}-files")
    beside.mkdir(exist_ok=True)
    files = [*_tables(board, beside), *_figures([accuracies, *curves], beside)]
    write_atomic(out, _page(board, accuracies, curves, studied, command, beside.name))
    return Written(board, [out, *files])


def _check_target(out: Path) -> None:
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {out}: the comparison is a page; let the name end in .html.")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder: name a file in it.")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}; make it first.")


def _tables(board: Board, folder: Path) -> list[Path]:
    texts = {
        "leaderboard.csv": tables.leaderboard(board).csv(),
        "differences.csv": tables.differences(board).csv(),
        "classes.csv": tables.classes(board).csv(),
        "recipes.csv": tables.recipes(board).csv(),
        "comparison.json": json.dumps(board.as_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    for name, text in texts.items():
        write_atomic(folder / name, text)
    return [folder / name for name in texts]


def _figures(drawn: Sequence[Drawing], folder: Path) -> list[Path]:
    files = [folder / f"{figure.name}{suffix}" for figure in drawn for suffix in (".png", ".svg")]
    for figure in drawn:
        for suffix in (".png", ".svg"):
            figure.save(folder / f"{figure.name}{suffix}")
    return files


def _page(
    board: Board,
    accuracies: Drawing,
    curves: Sequence[Drawing],
    studied: Sequence[tables.StudyTable],
    command: str,
    beside: str,
) -> str:
    first = board.first
    values: dict[str, Any] = {
        "card": first.runs[0].card,
        "count": len(board.places),
        "images": f"{len(first.answers.ids):,} {first.runs[0].card.images()}" if len(board.sets) == 1 else "",
        "part": first.part,
        "findings": list(words.findings(board)),
        "cautions": list(words.cautions(board)),
        "intervals": words.intervals(board),
        "method": words.method(board) if board.pairs else "",
        "leaderboard": tables.leaderboard(board),
        "differences": tables.differences(board),
        "classes": tables.classes(board),
        "recipes": tables.recipes(board),
        "studied": studied,
        "accuracies": accuracies,
        "curves": curves,
        "command": command,
        "beside": beside,
    }
    return render("comparison.html.jinja", values, styles=[inks_css(), STYLE], package="bioclass.report.comparison")
