"""From figures to the sheets that people read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bioclass.study.cells import Plan
from bioclass.study.compare import Comparison, Row, compare_table
from bioclass.study.ensembles import EnsembleComparison, EnsembleRow, Side, compare_ensembles
from bioclass.study.pool import Pool
from bioclass.study.sheet import Sheet, Text
from bioclass.study.words import (
    DOUBT,
    MARKS,
    OUTSIDE,
    finding_cells,
    finding_record,
    findings_note,
    interval_note,
    mark,
    origin_notes,
    paper_notes,
    scores_cells,
    scores_record,
    title,
)


def sheets(plan: Plan, pool: Pool) -> list[Sheet]:
    """Return every wanted table of a study, from the runs that are finished.

    Raises:
        RunError: a run is damaged.
    """
    tables = [table_sheet(plan, compare_table(plan, pool, table)) for table in plan.study.tables]
    return tables + [ensemble_sheet(plan, compare_ensembles(plan, pool, item)) for item in plan.study.ensembles]


def table_sheet(plan: Plan, found: Comparison) -> Sheet:
    """Return a table as a sheet; columns for which there is nothing to say are left out."""
    table = found.table
    columns: list[Text] = [*table.rows, ("mean %", "(95 %)"), ("best", "(spread)"), "seeds"]
    timed = any(figure.seconds is not None for figure in table.paper)
    columns += ["time s"]
    if table.baseline:
        columns += [("difference", "(p, Holm)"), "finding"]
    if table.paper:
        columns += [("paper: average", "(best)"), "time s"] if timed else ["paper"]
    rows = [_table_row(plan, found, row, timed) for row in found.rows]
    records = [_table_record(plan, found, row) for row in found.rows]
    notes = [*_table_notes(plan, found), *origin_notes(plan, table.name, found.results)]
    return Sheet(
        table.name, title(plan, table.title, found.results), columns, rows, len(table.rows), records, notes
    )


def _table_row(plan: Plan, found: Comparison, row: Row, timed: bool) -> list[Text]:
    cells: list[Text] = [*row.levels, *scores_cells(row.scores, mark(row.rank))]
    cells.append(f"{len(row.scores.seeds) if row.scores else 0}/{len(plan.seeds)}")
    cells.append("-" if row.seconds is None else f"{row.seconds:.0f}")
    if found.table.baseline:
        cells += finding_cells(row.finding)
    if found.table.paper and row.paper is None:
        cells += ["-"] * (2 if timed else 1)
    elif row.paper is not None:
        signs = (OUTSIDE if row.differs else "") + (DOUBT if row.paper.doubt else "")
        average = f"{mark(row.paper.mark)}{row.paper.average:.2f}{signs and ' ' + signs}"
        best = "" if row.paper.best is None else f"({row.paper.best:.2f})"
        cells.append((average, best) if best else average)
        if timed:
            cells.append("-" if row.paper.seconds is None else f"{row.paper.seconds:.0f}")
    return cells


def _table_record(plan: Plan, found: Comparison, row: Row) -> dict[str, Any]:
    paper = row.paper
    record: dict[str, Any] = dict(zip(found.table.rows, row.levels, strict=True))
    record.update(scores_record(row.scores, len(plan.seeds)))
    record.update({"rank": row.rank, "seconds": None if row.seconds is None else round(row.seconds, 1)})
    record.update(finding_record(row.finding))
    if found.table.paper:
        record.update({f"paper_{key}": getattr(paper, key, None) for key in ("average", "best", "seconds", "mark")})
        record.update({"outside_both": row.differs, "doubt": paper.doubt if paper is not None else ""})
    return record


def _table_notes(plan: Plan, found: Comparison) -> Iterable[str]:
    table = found.table
    finished = [row for row in found.rows if row.scores]
    if len(finished) < len(found.rows):
        yield f"{len(found.rows) - len(finished)} of {len(found.rows)} rows have no finished run yet."
    if not finished:
        return
    yield interval_note(found.images, found.spread, found.grouped)
    if table.baseline:
        base = ", ".join(f"{axis} {level!r}" for axis, level in table.baseline.items())
        yield (
            f"difference: in percentage points, to {base}; p adjusted by Holm's method over the table. "
            f"{findings_note([(' / '.join(row.levels), row.finding) for row in found.rows])}"
        )
    if table.top:
        marked = " and as the paper marks them" if any(figure.mark for figure in table.paper) else ""
        yield f"{MARKS[0]} to {MARKS[table.top - 1]}: the best rows, by our mean{marked}."
    if table.paper:
        yield from paper_notes(plan, table.paper, [row.differs for row in found.rows])
        for row in found.rows:
            if row.paper is not None and row.paper.doubt:
                yield f"{DOUBT} {' / '.join(row.levels)}: not to be trusted in the paper: {row.paper.doubt}."


def ensemble_sheet(plan: Plan, found: EnsembleComparison) -> Sheet:
    """Return a table of ensembles as a sheet, its protocols side by side."""
    item = found.item
    columns: list[Text] = [item.columns, "ensemble"]
    for name in item.protocols:
        columns += [(f"{name}: mean %", "(95 %)"), ("best", "(spread)"), ("gain", "(p, Holm)"), "finding"]
    columns += ["paper"] if item.paper else []
    rows = [_ensemble_row(found, row) for row in found.rows]
    records = [_ensemble_record(plan, found, row) for row in found.rows]
    notes = [*_ensemble_notes(plan, found), *origin_notes(plan, item.name, found.results)]
    return Sheet(item.name, title(plan, item.title, found.results), columns, rows, 2, records, notes)


def _ensemble_row(found: EnsembleComparison, row: EnsembleRow) -> list[Text]:
    label = row.rule if row.size == 1 else f"{row.size}, {row.rule}"
    cells: list[Text] = [row.column, label]
    for name in found.item.protocols:
        side = row.sides.get(name)
        sign = f" {OUTSIDE}" if side is not None and side.differs else ""
        cells += scores_cells(side.scores if side else None, "", sign)
        cells += finding_cells(side.finding if side else None)
    if found.item.paper:
        doubt = f" {DOUBT}" if row.paper is not None and row.paper.doubt else ""
        cells.append("-" if row.paper is None else f"{row.paper.accuracy:.2f}{doubt}")
    return cells


def _ensemble_record(plan: Plan, found: EnsembleComparison, row: EnsembleRow) -> dict[str, Any]:
    record: dict[str, Any] = {"column": row.column, "size": row.size, "rule": row.rule}
    for name in found.item.protocols:
        side: Side | None = row.sides.get(name)
        chosen = [member.level for member in found.members.get((name, row.column), [])[: row.size]]
        figures = {
            "members": ", ".join(chosen),
            **scores_record(side.scores if side else None, len(plan.seeds)),
            **finding_record(side.finding if side else None),
            "outside_both": side is not None and side.differs,
        }
        record.update({f"{name}_{key}": value for key, value in figures.items()})
    if found.item.paper:
        record["paper_accuracy"] = row.paper.accuracy if row.paper is not None else None
    return record


def _ensemble_notes(plan: Plan, found: EnsembleComparison) -> Iterable[str]:
    yield from (f"{gap}." for gap in found.gaps)
    if not found.rows:
        return
    for name, protocol in found.item.protocols.items():
        if name in found.spread:
            words = (
                "by their mean accuracy on the validation part; the test part has no say"
                if protocol.choose == "validation"
                else "by their mean accuracy on the TEST part, so its figures lean upward; it stands for comparison"
            )
            note = interval_note(found.images, found.spread[name], found.grouped)
            yield f"{name}: members are chosen {words}. {note}"
    for (name, column), members in found.members.items():
        order = ", ".join(
            f"{member.level} {100 * member.accuracy:.2f}" for member in members[: max(found.item.sizes)]
        )
        yield f"Members, {column}, {name}: {order}."
    yield (
        "An ensemble is made of one seed's runs at a time. gain: in percentage points, over the best single member "
        "that the same protocol chooses; p adjusted by Holm's method over a protocol's columns."
    )
    if found.item.paper:
        marks = [side.differs for row in found.rows for side in row.sides.values()]
        yield from paper_notes(plan, found.item.paper, marks)
