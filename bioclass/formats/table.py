"""A CSV or TSV file with a row an image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bioclass.card import Card, Table
from bioclass.errors import DatasetError, did_you_mean
from bioclass.formats import Refuse, check_digest, damaged, missing_files, raise_it
from bioclass.samples import Samples

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5


def read_table(card: Card, layout: Table, root: Path, refuse: Refuse = raise_it) -> Samples:
    """Return the paths, labels, groups and parts of a table, in the order of its rows.

    Ids are the paths from ``root``, or those of the id column.

    Raises:
        DatasetError: a table that is missing or damaged, columns or image files that are not there, paths that
            leave ``root``.
    """
    file = root / layout.file
    if not file.is_file():
        raise missing_files(card, root, [layout.file])
    check_digest(card, file)
    frame = _read(file)
    keys = ("path", "label", "group", "part", "id")
    columns = {key: _column(frame, getattr(layout, key), key, file) for key in keys if getattr(layout, key)}
    for key, values in columns.items():
        _refuse_blank(values, getattr(layout, key), file, refuse)
    whole = np.flatnonzero(np.all([values != "" for values in columns.values()], axis=0))
    places = [_inside(root, file.parent, text, file, refuse) for text in columns["path"][whole]]
    inside = [(row, path) for row, path in zip(whole, places, strict=True) if path is not None]
    absent = [path for _, path in inside if not path.is_file()]
    if absent:
        names = ", ".join(path.relative_to(root).as_posix() for path in absent[:_SHOWN])
        refuse(
            DatasetError(
                f"{len(absent)} of the {len(inside)} images of {file} are not below {root}: {names}"
                f"{' and more' if len(absent) > _SHOWN else ''}; complete the images, or correct the table."
            )
        )
        inside = [(row, path) for row, path in inside if path.is_file()]
    paths = [path for _, path in inside]
    rows = np.array([row for row, _ in inside], dtype=np.intp)
    columns = {key: values[rows] for key, values in columns.items()}
    return Samples(
        images=paths,
        labels=columns["label"],
        ids=columns.get("id", np.array([path.relative_to(root).as_posix() for path in paths])),
        groups=columns.get("group"),
        parts=columns.get("part"),
    )


def _read(file: Path) -> pd.DataFrame:
    import pandas as pd

    separator = "\t" if file.suffix.lower() in (".tsv", ".tab") else ","
    try:
        # Strings stay strings: a class may be called NA, and a slide 0012.
        frame = pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except pd.errors.EmptyDataError:
        raise DatasetError(f"{file} is empty: a table with a header line is wanted.") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{file} is not text in UTF-8: save it as CSV in UTF-8.") from None
    except (pd.errors.ParserError, ValueError) as problem:
        raise damaged(file, problem) from None
    # Rows longer than the header would have become an index, and moved every value by one column.
    if not isinstance(frame.index, pd.RangeIndex):
        raise DatasetError(f"{file} has rows with more values than its header: give every column a name.")
    return frame


def _column(frame: pd.DataFrame, name: str, key: str, file: Path) -> np.ndarray[Any, Any]:
    if name not in frame.columns:
        known = [str(column) for column in frame.columns]
        raise DatasetError(
            f"{file} has no column {name!r} for the {key}{did_you_mean(name, known)}. It has: {', '.join(known)}. "
            "Name the columns in the card's [format]; they are parted by commas in .csv and tabs in .tsv."
        )
    return np.array(frame[name].fillna("").tolist(), dtype=np.str_)


def _refuse_blank(values: np.ndarray[Any, Any], name: str, file: Path, refuse: Refuse) -> None:
    blank = np.flatnonzero(values == "")
    if len(blank):
        refuse(
            DatasetError(
                f"{file} has no value for {name!r} in row {blank[0] + 1} below its header ({len(blank)} such "
                "row(s)): fill it in, or leave the row out."
            )
        )


def _inside(root: Path, above: Path, text: str, file: Path, refuse: Refuse) -> Path | None:
    """The path of an image as root / relative; links are not followed, so that images may be linked in."""
    relative = os.path.relpath(os.path.abspath(above / text), os.path.abspath(root))  # noqa: PTH100
    if relative == os.pardir or relative.startswith(os.pardir + os.sep) or os.path.isabs(relative):  # noqa: PTH117
        refuse(
            DatasetError(
                f"The path {text!r} in {file} leaves {root}: move the image below it, or name a folder above both "
                "with --root."
            )
        )
        return None
    return root / relative
