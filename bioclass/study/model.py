"""A study: a base recipe, axes along which it changes, seeds, and the tables to write. Read from TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from bioclass.ensemble import Method
from bioclass.errors import StudyError
from bioclass.recipe import Positive
from bioclass.validation import Strict, read_toml, validate

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Percent = Annotated[float, Field(ge=0, le=100)]
FIGURES = ("mean", "low", "high", "best", "lowest", "rank", "seeds", "seconds", "difference", "finding", "doubt")
"""Columns of a written table, which no axis can be called."""

Where = dict[str, str | Annotated[tuple[str, ...], Field(min_length=1)]]


class Figure(Strict):
    """What a publication has in one row of a table: accuracies in percent, time in seconds.

    ``row`` is the level of the table's axis, or one of each of its axes; ``mark`` the rank that it prints;
    ``doubt`` why the figures are not to be trusted.
    """

    row: str | tuple[str, ...]
    average: Percent
    best: Percent | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None
    mark: Annotated[int, Field(ge=1, le=9)] | None = None
    doubt: str = ""


class Table(Strict):
    """One comparison: a row for every level of the axes ``rows``, each the mean over the seeds.

    ``where`` picks levels: one of every axis that is not in the rows, some of those that are. ``baseline`` names
    the level, of one or more axes, with which each row is compared. The ``top`` best rows get their rank as a
    mark.
    """

    name: Name
    title: str
    rows: Annotated[tuple[str, ...], Field(min_length=1)]
    where: Where = {}
    baseline: dict[str, str] = {}
    top: Annotated[int, Field(ge=0, le=9)] = 0
    paper: tuple[Figure, ...] = ()


class Protocol(Strict):
    """How the members of an ensemble are chosen, and of which runs."""

    choose: Literal["validation", "test"]
    where: Where = {}


class EnsembleFigure(Strict):
    """A publication's accuracy, in percent, of an ensemble."""

    column: str
    size: Positive
    rule: Method
    accuracy: Percent
    doubt: str = ""


class Ensembles(Strict):
    """Ensembles of the best levels of the axis ``members``, for every level of the axis ``columns``.

    The best ``sizes`` of the members, by the mean accuracy over the seeds on the part that a protocol names, are
    combined by each of the ``rules`` (see ``bioclass.ensemble``), once for every seed. Without protocols, members
    are chosen on the validation part.
    """

    name: Name
    title: str
    members: str
    columns: str
    where: Where = {}
    sizes: Annotated[tuple[Positive, ...], Field(min_length=1)] = (5, 3)
    rules: Annotated[tuple[Method, ...], Field(min_length=1)] = ("MV", "MPS", "MP")
    protocols: Annotated[dict[str, Protocol], Field(min_length=1)] = {"clean": Protocol(choose="validation")}
    paper: tuple[EnsembleFigure, ...] = ()


class Publication(Strict):
    """Whose figures stand beside ours, and the number of test images that they are of."""

    citation: str
    images: Positive


class Study(Strict):
    """A whole study. ``axes`` holds, by axis and level, the part of the recipe that the level changes.

    A level may name another base recipe by ``recipe``. Every cell of a table is one recipe with one of the
    ``seeds``.
    """

    title: str
    recipe: str
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    axes: Annotated[dict[str, Annotated[dict[str, dict[str, Any]], Field(min_length=1)]], Field(min_length=1)]
    publication: Publication | None = None
    tables: tuple[Table, ...] = ()
    ensembles: tuple[Ensembles, ...] = ()

    @property
    def comparisons(self) -> dict[str, Table | Ensembles]:
        """Everything that can be written, by name."""
        named: dict[str, Table | Ensembles] = {item.name: item for item in self.tables}
        named.update({item.name: item for item in self.ensembles})
        return named


def load_study(path: Path) -> Study:
    """Read a study.

    Raises:
        StudyError: with every mistake of the file.
    """
    from bioclass.study.check import mistakes

    study = validate(Study, read_toml(path, StudyError), f"Study {path.name}", StudyError)
    found = mistakes(study)
    if found:
        head = f"Study {path.name} has {len(found)} mistake{'s' if len(found) > 1 else ''}:"
        raise StudyError("\n".join([head, *(f"  - {line}" for line in found)]))
    return study


def levels(study: Study, where: Where, axis: str) -> tuple[str, ...]:
    """Return the levels of an axis that ``where`` picks: all if it does not name the axis."""
    picked = where.get(axis, tuple(study.axes[axis]))
    return (picked,) if isinstance(picked, str) else picked
