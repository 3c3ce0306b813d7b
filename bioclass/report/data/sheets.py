"""Contact sheets: some images of each class, as they are stored."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from bioclass.card import Card
from bioclass.report.data.chosen import EACH, Seen, by_class, spread_rows
from bioclass.report.display import display_of
from bioclass.report.pictures import Manner, draw_samples, place_of
from bioclass.samples import Samples


def draw_sheets(samples: Samples, card: Card, seen: Seen, folder: Path, seed: int = 0) -> dict[Path, str]:
    """Draw a sheet for each class that has images, and return the caption of each file.

    All show their images in one way, so that classes compare.

    Args:
        samples: ``checked`` samples.
        card: of the dataset.
        seen: the images to choose from.
        folder: for the files.
        seed: of the choice.
    """
    labels = samples.labels[seen.rows]
    places = by_class(labels, len(card.classes))
    display = display_of([values[:, None] for values in seen.values], seen.source)
    digits = len(str(len(card.classes)))
    captions = {}
    for number, (item, place) in enumerate(zip(card.classes, places, strict=True), start=1):
        if not len(place):
            continue
        rows = spread_rows(samples, seen.rows[place], EACH, seed)
        file = folder / f"class-{number:0{digits}}-{_plain(item.name)}.png"
        total = int((samples.labels == number - 1).sum())
        if len(rows) == total:
            some = f"all {total:,} {card.images()}" if total > 1 else f"the only one of the {card.images()}"
        else:
            spread = "" if samples.groups is None else f", spread over {card.group or 'group'}s"
            some = f"{len(rows):,} of {total:,} {card.images()}, chosen by chance{spread}"
        note = f"{item.title or item.name}: {some}."
        texts = [(PurePath(str(samples.ids[row])).stem,) for row in rows]
        shapes = seen.facts.shape[place, :2].tolist()
        manner = Manner(display, place_of((height, width) for height, width in shapes))
        captions[file] = draw_samples(samples, seen.source, rows, texts, note, file, manner)[0]
    return captions


def _plain(name: str) -> str:
    """A class's name as a part of a file's; the number before it tells it from all others."""
    return re.sub("[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "class"
