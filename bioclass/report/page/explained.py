"""What ``bioclass explain`` left in a run's folder, as a part of the report: figures, and maps of the images."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bioclass.report.page.subject import Subject

FOLDER, FILE = "explanation", "explanation.json"
FORMAT, VERSION = "bioclass explanation", 1
ROOM = 2_500_000
"""Bytes that the figures may take in a page; those that do not fit stay files."""
WIDEST = 1400
"""Pixels of a figure in a page."""


class Figure(NamedTuple):
    """A figure as the page has it: an address with its content, or None where there was no room for it."""

    source: str | None
    alt: str
    caption: str
    file: str


class Section(NamedTuple):
    """Figures under one title."""

    title: str
    text: str
    figures: list[Figure]


@dataclass(frozen=True)
class Explained:
    """The explanation of a run; ``stale`` is one of other weights, of which nothing is shown."""

    sections: list[Section] = field(default_factory=list)
    maps: list[dict[str, Any]] = field(default_factory=list)
    stale: bool = False

    @property
    def bytes(self) -> int:
        """The size of its figures."""
        sources = (figure.source or "" for section in self.sections for figure in section.figures)
        return sum(3 * len(source) // 4 for source in sources)

    def numbered(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the maps, each point with its number among the images of these ids, -1 where it is none."""
        number = {name: place for place, name in enumerate(ids)}
        return [{**each, "number": [number.get(name, -1) for name in each["id"]]} for each in self.maps]


def explanation_of(subject: Subject) -> Explained | None:
    """Return the explanation of a report's run; None where there is none that can be read."""
    folder = subject.path / FOLDER
    document = _read(folder / FILE)
    if document is None or len(subject.runs) != 1:
        return None
    if document.get("weights") != subject.run.best_digest():
        return Explained(stale=True)
    try:
        return Explained(list(_sections(folder, document)), list(_maps(folder, document, subject)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error):
        # The folder may be anyone's; a report is whole without it.
        return None


def _read(file: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(document, dict) and (document.get("format"), document.get("version")) == (FORMAT, VERSION)
    return document if known else None


def _sections(folder: Path, document: dict[str, Any]) -> Iterator[Section]:
    left = ROOM
    # The page has the maps of images itself, where one can point at them.
    mapped = {Path(each["file"]).stem for each in document.get("embeddings", ())}
    for section in document.get("sections", ()):
        shown = [figure for figure in section["figures"] if Path(figure["file"]).stem not in mapped]
        if not shown:
            continue
        figures = []
        for figure in shown:
            data = _picture(_inside(folder, figure["file"]))
            fits = len(data) <= left
            left -= len(data) if fits else 0
            source = f"data:image/webp;base64,{base64.b64encode(data).decode()}" if fits else None
            figures.append(Figure(source, str(figure["alt"]), str(figure["caption"]), str(figure["file"])))
        yield Section(str(section["title"]), str(section["text"]), figures)


def _maps(folder: Path, document: dict[str, Any], subject: Subject) -> Iterator[dict[str, Any]]:
    classes = {name: place for place, name in enumerate(subject.card.class_names)}
    for each in document.get("embeddings", ()):
        with _inside(folder, each["file"]).open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if row["true"] in classes]
        yield {
            "method": str(each["method"]),
            "explained": [float(share) for share in each.get("explained") or ()],
            "id": [row["id"] for row in rows],
            "true": [classes[row["true"]] for row in rows],
            "predicted": [classes.get(row["predicted"], -1) for row in rows],
            "x": [round(float(row["x"]), 4) for row in rows],
            "y": [round(float(row["y"]), 4) for row in rows],
        }


def _inside(folder: Path, name: str) -> Path:
    """Return a file of the folder; ValueError where the name leads out of it."""
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise ValueError(name)
    return file


def _picture(file: Path) -> bytes:
    """Return a figure as a page takes it, WebP and not wider than is seen."""
    from PIL import Image

    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, max(1, round(picture.height * WIDEST / picture.width))))
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=85, method=3)
    return out.getvalue()
