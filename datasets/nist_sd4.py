"""NIST Special Database 4: figs_0 ... figs_7 with f0001_01.png, s0001_01.png and a text file beside each."""

import re
from pathlib import Path

from bioclass.card import Card
from bioclass.errors import DatasetError
from bioclass.samples import Samples

PRINT = re.compile(r"[fs](?P<finger>\d{4})_\d{2}\.png", re.IGNORECASE)
CLASS = re.compile(r"^\s*Class:\s*([ALRTW])\b", re.MULTILINE)
# The name of a file, one or two letters for its classes, and that of another: NIST's own programs write them so
# (sd4_ihead_to_nistcom in nistcom.c of NBIS). The first letter is that of "Class:".
SECOND = re.compile(r"^\s*History:\s*\S+\s+[ALRTW]([ALRTW])\b", re.MULTILINE)


def load(card: Card, root: Path) -> Samples:
    """Return the paths of all prints below ``root``, their classes, and their fingers as groups.

    A print's second class is right too. Where the card has no class T, tented arches are arches (A).

    Raises:
        DatasetError: no prints, or one without its class.
    """
    paths = sorted(
        path for path in root.rglob("*") if PRINT.fullmatch(path.name) and path.parent.name[:5] == "figs_"
    )
    if not paths:
        raise DatasetError(
            f"{root} holds no prints of {card.name!r}: name the folder above figs_0 ... figs_7, with "
            "f0001_01.png and f0001_01.txt in them, with --root."
        )
    found = [_classes(path) for path in paths]
    if "T" not in card.class_names:
        found = [["A" if label == "T" else label for label in labels] for labels in found]
    return Samples(
        images=paths,
        labels=[labels[0] for labels in found],
        ids=[path.relative_to(root).as_posix() for path in paths],
        groups=[path.name[1:5] for path in paths],
        also=[labels[1:] for labels in found],
    )


def _classes(path: Path) -> list[str]:
    """The class of a print, and its second class if it has one."""
    file = path.with_suffix(".txt")
    if not file.is_file():
        raise DatasetError(f"{path} has no {file.name} beside it, which names its class: copy both again.")
    text = file.read_text(encoding="utf-8", errors="replace")
    first, second = CLASS.search(text), SECOND.search(text)
    if first is None:
        raise DatasetError(f"{file} has no line 'Class: ' with A, L, R, T or W: copy it again from its source.")
    return [first[1], *([second[1]] if second else [])]
