"""What is wrong with a study beyond its types: axes, levels and rows that do not exist or do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from bioclass.errors import did_you_mean
from bioclass.recipe import changes_of
from bioclass.study.model import FIGURES, Ensembles, Study, Table, Where, levels

LENGTH = ("fit", "epochs or iterations")


def mistakes(study: Study) -> list[str]:
    """Return every mistake in words."""
    found = [f"seeds name {seed} twice" for seed in _twice(study.seeds)]
    found += [f"{name!r} names two tables" for name in _twice(item.name for item in _all(study))]
    if not study.comparisons:
        found.append("there are no tables and no ensembles: say what to compare")
    found += _axes(study)
    for table in study.tables:
        found += [f"table {table.name!r}: {line}" for line in _table(study, table)]
    for ensembles in study.ensembles:
        found += [f"ensembles {ensembles.name!r}: {line}" for line in _ensembles(study, ensembles)]
    return found


def _all(study: Study) -> Iterator[Table | Ensembles]:
    yield from study.tables
    yield from study.ensembles


def _twice(items: Iterable[object]) -> list[object]:
    return [item for item, count in Counter(items).items() if count > 1]


def _axes(study: Study) -> Iterator[str]:
    """A key that two axes set would be that of the later one without a word."""
    setters: dict[tuple[str, ...], str] = {}
    for axis, named in study.axes.items():
        if axis in FIGURES:
            yield f"the axis {axis!r} is called as a column of every table: name it otherwise"
        for level, change in named.items():
            if not isinstance(change.get("recipe", ""), str):
                yield f"axes.{axis}.{level}.recipe must be the name of a recipe. Got {change['recipe']!r}"
            for item in changes_of(change, ""):
                key = LENGTH if item.key in (("fit", "epochs"), ("fit", "iterations")) else item.key
                if key == ("seed",):
                    yield f"axes.{axis}.{level} sets seed: the study's seeds do"
                other = setters.setdefault(key, axis)
                if other != axis:
                    yield f"the axes {other!r} and {axis!r} both set {'.'.join(key)} (axes.{axis}.{level})"


def _table(study: Study, table: Table) -> list[str]:
    found = [f"rows name {axis!r} twice" for axis in _twice(table.rows)]
    found += _unknown_axes(study, "rows", table.rows)
    found += _where(study, table.where, "where")
    if found:
        return found
    found += _unpinned(study, table.where, table.rows)
    for axis, level in table.baseline.items():
        if axis not in table.rows:
            found.append(f"baseline names {axis!r}, which is not an axis of its rows ({', '.join(table.rows)})")
        elif level not in levels(study, table.where, axis):
            known = levels(study, table.where, axis)
            found.append(f"baseline {axis} = {level!r} is not among its rows{did_you_mean(level, known)}")
    return [*found, *_paper(study, table)]


def _paper(study: Study, table: Table) -> Iterator[str]:
    rows = [(figure.row,) if isinstance(figure.row, str) else figure.row for figure in table.paper]
    if rows and study.publication is None:
        yield "it has figures of a paper: say in [publication] what is cited, and of how many test images"
    for row in _twice(rows):
        yield f"paper has the row {row} twice"
    for row in rows:
        if len(row) != len(table.rows):
            yield f"paper row {list(row)} must name a level of {', '.join(table.rows)}"
            continue
        for axis, level in zip(table.rows, row, strict=True):
            known = levels(study, table.where, axis)
            if level not in known:
                yield f"paper row {list(row)}: {level!r} is not among its rows{did_you_mean(level, known)}"


def _ensembles(study: Study, item: Ensembles) -> list[str]:
    found = [*_unknown_axes(study, "members", [item.members]), *_unknown_axes(study, "columns", [item.columns])]
    if item.members == item.columns:
        found.append(f"members and columns are both {item.members!r}")
    found += _where(study, item.where, "where")
    for name, protocol in item.protocols.items():
        found += _where(study, protocol.where, f"protocols.{name}.where")
        if item.columns in protocol.where:
            found.append(f"protocols.{name}.where names {item.columns!r}: all protocols share the columns")
    if found:
        return found
    for protocol in item.protocols.values():
        where = {**item.where, **protocol.where}
        found += _unpinned(study, where, (item.members, item.columns))
        members = levels(study, where, item.members)
        found += [f"size {n} is more than the {len(members)} members" for n in item.sizes if n > len(members)]
    found += _ensemble_paper(study, item)
    return list(dict.fromkeys(found))


def _ensemble_paper(study: Study, item: Ensembles) -> Iterator[str]:
    if item.paper and study.publication is None:
        yield "it has figures of a paper: say in [publication] what is cited, and of how many test images"
    for cell in _twice((figure.column, figure.size, figure.rule) for figure in item.paper):
        yield f"paper has {cell} twice"
    known = levels(study, item.where, item.columns)
    for figure in item.paper:
        if figure.column not in known:
            yield f"paper column {figure.column!r} is not among its columns{did_you_mean(figure.column, known)}"
        if figure.size not in item.sizes or figure.rule not in item.rules:
            yield f"paper has {figure.rule} of {figure.size}, which is not among its rules and sizes"


def _unknown_axes(study: Study, where: str, axes: Iterable[str]) -> Iterator[str]:
    for axis in axes:
        if axis not in study.axes:
            yield f"{where} names the axis {axis!r}, which does not exist{_known(axis, study.axes)}"


def _where(study: Study, where: Where, name: str) -> Iterator[str]:
    for axis in where:
        if axis not in study.axes:
            yield from _unknown_axes(study, name, [axis])
            continue
        picked = levels(study, where, axis)
        for level in picked:
            if level not in study.axes[axis]:
                hint = _known(level, study.axes[axis])
                yield f"{name}.{axis} names the level {level!r}, which does not exist{hint}"
        for twice in _twice(picked):
            yield f"{name}.{axis} names the level {twice!r} twice"


def _unpinned(study: Study, where: Where, spread: Iterable[str]) -> Iterator[str]:
    for axis in study.axes.keys() - set(spread):
        picked = levels(study, where, axis)
        if len(picked) > 1:
            yield f"where must pick one level of {axis!r}, which is not in its rows. Got {len(picked)} levels"


def _known(word: str, known: Iterable[str]) -> str:
    return did_you_mean(word, known) or f"; known: {', '.join(known)}"
