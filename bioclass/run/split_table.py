"""``split.csv``: which image is in which part."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioclass.card import PARTS
from bioclass.errors import RunError
from bioclass.samples import Samples

RUN_PARTS = (*PARTS, "fold")
"""The parts of a run: "fold" is what a fold holds out where the dataset has an official test part besides."""


@dataclass(frozen=True)
class SplitTable:
    """Ids (N,), parts (N,), labels (N,) as indices of the classes, and groups (N,) where the dataset has any."""

    ids: npt.NDArray[np.str_]
    parts: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.str_] | None = None

    @classmethod
    def read(cls, data: bytes, classes: tuple[str, ...], run: Path) -> SplitTable:
        """Read the table of a run.

        Raises:
            RunError: it is not one for these classes.
        """
        index = {name: i for i, name in enumerate(classes)}
        try:
            reader = csv.DictReader(io.StringIO(data.decode(), newline=""))
            rows = list(reader)
            grouped = "group" in (reader.fieldnames or ())
            return cls(
                np.array([row["id"] for row in rows], dtype=np.str_),
                np.array([check_part(row["part"]) for row in rows], dtype=np.str_),
                np.array([index[row["label"]] for row in rows], dtype=np.int64),
                np.array([row["group"] for row in rows], dtype=np.str_) if grouped else None,
            )
        except (ValueError, KeyError, csv.Error, RunError) as problem:
            # Its digest is right, so it was not bioclass that wrote it.
            raise RunError(f"{run / 'split.csv'} is not a split of this run's dataset: {problem}.") from None

    def match(self, samples: Samples, run: Path) -> npt.NDArray[np.str_]:
        """Return the part of each of these samples, (N,).

        Raises:
            RunError: the data is not the data that the run was fitted on.
        """
        if len(samples) == len(self.ids) and np.array_equal(samples.ids, self.ids):
            if not np.array_equal(samples.labels, self.labels):
                changed = np.flatnonzero(samples.labels != self.labels)
                raise RunError(
                    f"{len(changed)} label(s) are not those that {run} was fitted on, the first that of "
                    f"{samples.ids[changed[0]]!r}: give the original data with --root, or fit again."
                )
            return self.parts
        missing = sorted(set(self.ids.tolist()) - set(samples.ids.tolist()))
        added = sorted(set(samples.ids.tolist()) - set(self.ids.tolist()))
        example = f"{missing[0]!r} is missing" if missing else f"{added[0]!r} is new" if added else "order"
        raise RunError(
            f"The data is not what {run} was fitted on: {len(missing)} images are missing and "
            f"{len(added)} are new ({example}). Give the original data with --root; "
            "to classify new images use `bioclass predict`."
        )


def split_csv(samples: Samples, parts: npt.NDArray[np.str_], classes: tuple[str, ...]) -> str:
    """Return the table as CSV, with a column for the groups if there are any."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "part", "label", *(["group"] if samples.groups is not None else [])])
    columns = [samples.ids, parts, [classes[label] for label in samples.labels]]
    if samples.groups is not None:
        columns.append(samples.groups)
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()


def check_part(part: str) -> str:
    """Return the name of a part, or raise RunError."""
    if part not in RUN_PARTS:
        raise RunError(f"A part is one of {', '.join(RUN_PARTS)}. Got {part!r}.")
    return part
