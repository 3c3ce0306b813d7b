"""The tables of a comparison: cells for a page and for a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bioclass.errors import RunError
from bioclass.evaluate.tables import table_csv
from bioclass.metrics import Estimate
from bioclass.report.comparison.board import Board, Pair
from bioclass.report.curves.drawing import told
from bioclass.report.terms import OVERALL, p_value

SHOWN = 8
"""Entrants whose classes stand beside each other."""
RANKED = {key: OVERALL[key] for key in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece")}
"""The figures that stand beside each other."""


@dataclass(frozen=True)
class Cell:
    """A cell of a page's table: its text, a note after it, and what it is sorted by, if it is a number."""

    text: str
    note: str = ""
    sort: float | None = None


@dataclass(frozen=True)
class Table:
    """Heads of columns, and rows; the first ``labels`` cells of a row are words."""

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    labels: int = 1

    def csv(self) -> str:
        """Return the table as CSV."""
        rows = ([f"{cell.text} {cell.note}".strip() for cell in row] for row in self.rows)
        return table_csv(list(self.heads), rows)


@dataclass(frozen=True)
class StudyTable:
    """A table as a study wrote it into a file."""

    file: str
    title: str
    table: Table
    notes: Sequence[str]


def leaderboard(board: Board) -> Table:
    """Return the entrants with their figures."""
    several = len(board.sets) > 1
    heads = ["", "made of", *(["images"] if several else []), *(term.head for term in RANKED.values()), "fit, s"]
    rows = []
    for place in board.places:
        entrant = place.entrant
        count = len(entrant.answers.ids)
        cells = [Cell(entrant.name), Cell(entrant.made)]
        cells += [Cell(f"{count:,}", f"set {place.images}", count)] if several else []
        cells += [estimate_cell(place.figures[key], term.scale, term.digits) for key, term in RANKED.items()]
        seconds = entrant.seconds
        cells.append(Cell("-") if seconds is None else Cell(f"{seconds:,.0f}", "", seconds))
        rows.append(cells)
    return Table(heads, rows, 2)


def estimate_cell(estimate: Estimate, scale: float, digits: int) -> Cell:
    """Return an estimate with its interval as a note."""
    if estimate.value is None:
        return Cell("-")
    text, _, note = told(estimate, digits, scale).partition(" ")
    return Cell(text, note, estimate.value)


def differences(board: Board) -> Table:
    """Return the pairs that are told, with their tests and what they come to."""
    heads = ["pair", "finding", "difference, points", "p", "p (Holm)", "test"]
    return Table(heads, [_pair(pair) for pair in board.pairs], 2)


def _pair(pair: Pair) -> list[Cell]:
    low, high = pair.value.low, pair.value.high
    limits = "" if low is None or high is None else f"({_points(low)} to {_points(high)})"
    return [
        Cell(f"{pair.a} − {pair.b}"),
        Cell(finding(pair)),
        Cell(_points(pair.value.value or 0.0), limits, pair.value.value),
        Cell(p_value(pair.p), "", pair.p),
        Cell(p_value(pair.p_holm), "", pair.p_holm),
        Cell("exact McNemar" if pair.test == "McNemar" else "paired"),
    ]


def finding(pair: Pair) -> str:
    """Return what a pair comes to."""
    return "differ" if pair.differs else "no difference shown"


def _points(share: float) -> str:
    # No minus before 0.00.
    return f"{round(100 * share, 2) + 0.0:+.2f}".replace("-", "−")


def classes(board: Board) -> Table:
    """Return the sensitivity of the best entrants for each class, in percent: the share of its images found."""
    shown = [place.entrant for place in board.places[:SHOWN]]
    run = shown[0].runs[0]
    rows = []
    for k, item in enumerate(run.card.classes):
        cells = [Cell(item.title or item.name)]
        for entrant in shown:
            of_class = entrant.answers.labels == k
            value = float(entrant.answers.right[:, of_class].mean()) if of_class.any() else None
            cells.append(estimate_cell(Estimate(value, None, None), 100, 1))
        rows.append(cells)
    return Table(["class", *(entrant.name for entrant in shown)], rows)


def recipes(board: Board) -> Table:
    """Return the choices in which the entrants differ, a column each."""
    columns = list(board.choices.values())
    rows = [
        [Cell(place.entrant.name), *(_value(column[number]) for column in columns)]
        for number, place in enumerate(board.places)
    ]
    return Table(["model", *board.choices], rows, len(columns) + 1)


def _value(text: str) -> Cell:
    return Cell(text, "", float(text)) if re.fullmatch(r"-?\d+(\.\d+)?([eE]-?\d+)?", text) else Cell(text)


def study_tables(folder: Path) -> list[StudyTable]:
    """Return the tables that studies wrote into a folder of runs.

    Raises:
        RunError: one is not as a study writes it.
    """
    return [_study_table(file) for file in sorted((folder / "tables").glob("*/*.md"))]


def _study_table(file: Path) -> StudyTable:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    bars = [line for line in lines if line.startswith("|")]
    # The line below the heads says which columns are words.
    aligned, rows = "".join(bars[1:2]), [_split(line) for line in bars[:1] + bars[2:]]
    notes = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    if not lines or not lines[0].startswith("# ") or len(rows) < 2 or len({len(row) for row in rows}) > 1:
        raise RunError(f"{file} is not a table of a study: write it again with bioclass study --tables.")
    cells = [[_study_cell(text) for text in row] for row in rows[1:]]
    return StudyTable(
        f"{file.parent.name}/{file.name}",
        lines[0].removeprefix("# "),
        Table(rows[0], cells, aligned.count(":-- ")),
        notes,
    )


def _split(line: str) -> list[str]:
    """The cells of a line of a Markdown table, in which a bar of a text has a backslash."""
    return [text.strip().replace("\\|", "|") for text in re.split(r"(?<!\\)\|", line)[1:-1]]


def _study_cell(text: str) -> Cell:
    number = re.match(r"[^\d+-]?([+-]?\d+(\.\d+)?)(?![\w-])", text)
    return Cell(text, "", float(number[1]) if number else None)
