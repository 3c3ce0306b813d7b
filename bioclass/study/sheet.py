"""A table as it is written: cells for people, records for machines, and the notes under it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioclass.files import write_atomic

Text = str | tuple[str, str]
"""A cell; two halves stand side by side, or one above the other where there is little room."""


@dataclass(frozen=True)
class Sheet:
    """A table. ``records`` hold plain numbers: shares in percent, times in seconds, None where there is nothing."""

    name: str
    title: str
    columns: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    labels: int
    """How many columns, from the left, are words."""
    records: Sequence[dict[str, Any]]
    notes: Sequence[str]

    def markdown(self) -> str:
        """Return the table in Markdown, its notes as a list."""
        lines = [f"# {self.title}", "", _line(self.columns)]
        lines.append("|" + "|".join([" :-- "] * self.labels + [" --: "] * (len(self.columns) - self.labels)) + "|")
        lines += [_line(row) for row in self.rows]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Return the records as CSV; what holds several values is left to JSON."""
        out = io.StringIO()
        keys = (
            [key for key, value in self.records[0].items() if not isinstance(value, list)] if self.records else []
        )
        writer = csv.DictWriter(out, keys, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self.records)
        return out.getvalue()

    def document(self) -> dict[str, Any]:
        """Return records and notes, JSON-ready."""
        return {"name": self.name, "title": self.title, "rows": list(self.records), "notes": list(self.notes)}

    def write(self, folder: Path) -> None:
        """Write ``<name>.md``, ``<name>.csv`` and ``<name>.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / f"{self.name}.md", self.markdown())
        write_atomic(folder / f"{self.name}.csv", self.csv())
        text = json.dumps(self.document(), indent=2, ensure_ascii=False, allow_nan=False)
        write_atomic(folder / f"{self.name}.json", text + "\n")


def _line(cells: Sequence[Text]) -> str:
    texts = [cell if isinstance(cell, str) else " ".join(half for half in cell if half) for cell in cells]
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
