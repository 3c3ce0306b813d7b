"""From a run or folds to the labels that are probably wrong: a list, a table, and pictures in the same order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bioclass.card import Card
from bioclass.check.confident import Suspect, suspects
from bioclass.errors import RunError
from bioclass.evaluate import HeldOut, held_out
from bioclass.evaluate.tables import table_csv
from bioclass.files import write_atomic
from bioclass.report.pictures import draw_samples
from bioclass.shelf import Shelf

FOLDER, NAME = "check", "suspects"
PAGE = re.compile(rf"{NAME}(-\d+)?\.png")


@dataclass(frozen=True)
class Doubt:
    """An image whose label is probably wrong: its id, the given and the likely class, and how clear it is."""

    id: str
    given: str
    likely: str
    margin: float
    """How much more probable the likely class is than the given one, 0 to 1."""


@dataclass(frozen=True)
class Doubts:
    """The labels of a model's dataset that are probably wrong.

    Attributes:
        model: the run folder or the folder of folds.
        card: of the dataset.
        part: by which images: "validation" of a run, what folds held out ("test" or "fold").
        judged: how many images that are.
        images: how many the dataset has.
        agreed: the share of the judged images whose label the model gives itself. The smaller it is, the more of
            the suspects are mistakes of the model.
        suspects: the most suspect first.
        files: a table, and pictures if there are suspects.
    """

    model: Path
    card: Card
    part: str
    judged: int
    images: int
    agreed: float
    suspects: tuple[Doubt, ...]
    files: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready."""
        return {
            "model": str(self.model),
            "synthetic": self.card.synthetic,
            "part": self.part,
            "judged": self.judged,
            "images": self.images,
            "agreed": self.agreed,
            "suspects": [asdict(each) for each in self.suspects],
            "files": [str(file) for file in self.files],
        }


def doubt_labels(
    path: Path,
    shelf: Shelf,
    *,
    root: Path | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda text: None,
) -> Doubts:
    """Find labels that are probably wrong, by confident learning, and write them into ``check/`` of the folder.

    Args:
        path: a run folder, whose validation part is judged, or a folder of folds, which judge all they held out.
        shelf: where adapters are found.
        root: the folder of the data; by default where the run was fitted on it.
        device: as in ``fit``.
        say: told what is being done.

    Raises:
        RunError: the folder is damaged or incomplete, has no validation part, or cannot be written into.
    """
    held = held_out(path, shelf, root=root, device=device, say=say)
    samples, classes = held.samples, held.run.classes
    labels = samples.labels[held.rows]
    agreed = float((held.probabilities.argmax(axis=1) == labels).mean())
    found = suspects(held.probabilities, labels)
    if samples.also is not None:
        # A label is not wrong for a likely class that is right too.
        found = [each for each in found if not samples.also[held.rows[each.row], each.likely]]
    doubts = tuple(
        Doubt(str(samples.ids[held.rows[each.row]]), classes[each.label], classes[each.likely], each.margin)
        for each in found
    )
    try:
        files = _write(path / FOLDER, held, found, doubts, agreed)
    except OSError as problem:
        raise RunError(f"The suspects cannot be written into {path / FOLDER}: {problem.strerror}.") from None
    return Doubts(path, held.run.card, held.part, len(held.rows), len(samples), agreed, doubts, files)


def _write(
    folder: Path, held: HeldOut, found: Sequence[Suspect], doubts: Sequence[Doubt], agreed: float
) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    pictures = _draw(folder / f"{NAME}.png", held, found, agreed) if found else []
    for old in set(folder.iterdir()) - set(pictures):
        # Pages of a check before this one, which found others.
        if PAGE.fullmatch(old.name):
            old.unlink()
    table = folder / f"{NAME}.csv"
    rows = ([rank, each.id, each.given, each.likely, each.margin] for rank, each in enumerate(doubts, 1))
    write_atomic(table, table_csv(["rank", "id", "given", "likely", "margin"], rows))
    return (table, *pictures)


def _draw(file: Path, held: HeldOut, found: Sequence[Suspect], agreed: float) -> list[Path]:
    card = held.run.card
    titles = [item.title or item.name for item in card.classes]
    captions = [
        (f"#{rank}", f"{titles[each.label]} → {titles[each.likely]}", f"{each.margin:.2f}")
        for rank, each in enumerate(found, 1)
    ]
    note = (
        f"{len(found):,} of {len(held.rows):,} {card.images()} ({card.title}) have a label that is in doubt, "
        "the most suspect first: rank, given class → likely class, and how much more probable that is. The model "
        f"gives {100 * agreed:.1f} % of the labels itself: in the others it may be the one that errs."
    )
    rows = held.rows[[each.row for each in found]]
    return draw_samples(held.samples, held.run.plan.input, rows, captions, note, file)[1]
