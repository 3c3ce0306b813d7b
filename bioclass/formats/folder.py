"""One folder a class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bioclass.card import PARTS, Card, ImageFolder
from bioclass.errors import DatasetError, did_you_mean
from bioclass.formats import Refuse, missing_files, raise_it
from bioclass.images import SUFFIXES, find_images
from bioclass.samples import Samples


def read_folder(card: Card, layout: ImageFolder, root: Path, refuse: Refuse = raise_it) -> Samples:
    """Return the paths of all images below the class folders, by class and then by name; ids are the paths.

    Raises:
        DatasetError: folders that do not match the card's classes or parts, or that hold no images; images that
            are not called as the card says.
    """
    wanted = [folder for name in card.class_names for folder in layout.folders_of(name)]
    if not root.is_dir():
        raise missing_files(card, root, [f"a folder of images for each of {', '.join(wanted)}"])
    parts = _parts(root, refuse) if layout.parts else [""]
    paths: list[Path] = []
    labels: list[str] = []
    groups: list[str] = []
    official: list[str] = []
    for part in parts:
        above = root / part
        present = _folders(above)
        _match(present, wanted, above, card, refuse)
        for name in card.class_names:
            folders = [folder for folder in layout.folders_of(name) if folder in present]
            found = [path for folder in folders for path in _images(above / folder, layout, name, refuse)]
            paths += found
            labels += [name] * len(found)
            official += [part] * len(found)
            groups += [_group(path, layout, above, card, refuse) for path in found] if layout.match else []
    return Samples(
        images=paths,
        labels=np.array(labels),
        ids=np.array([path.relative_to(root).as_posix() for path in paths]),
        groups=np.array(groups) if re.compile(layout.match).groupindex else None,
        parts=np.array(official) if layout.parts else None,
    )


def _images(folder: Path, layout: ImageFolder, name: str, refuse: Refuse) -> list[Path]:
    """The images of one class folder, without those that the card ignores."""
    found = find_images(folder)
    if layout.ignore:
        ignored = re.compile(layout.ignore)
        found = [path for path in found if not ignored.fullmatch(path.relative_to(folder.parent).as_posix())]
    if not found:
        refuse(
            DatasetError(
                f"{folder} holds no images: put the images of the class {name!r} there "
                f"({', '.join(sorted(SUFFIXES))})."
            )
        )
    return found


def _group(path: Path, layout: ImageFolder, above: Path, card: Card, refuse: Refuse) -> str:
    text = path.relative_to(above).as_posix()
    match = re.fullmatch(layout.match, text)
    if match is None:
        refuse(
            DatasetError(
                f"{path} is not called as the card of {card.name!r} says ({layout.match}), so its "
                f"{card.group or 'name'} is unknown: rename it, move it away, or change format.match in a card of "
                "your own."
            )
        )
        return text
    return "/".join(value or "" for value in match.groupdict().values())


def _parts(root: Path, refuse: Refuse) -> list[str]:
    found = _folders(root)
    for name in found:
        if name not in PARTS:
            refuse(
                DatasetError(
                    f"{root / name} is none of the parts {', '.join(PARTS)}{did_you_mean(name, PARTS)}: rename it, "
                    "or move it away."
                )
            )
    if "train" not in found:
        raise DatasetError(
            f"{root} holds no folder 'train': this card's images are in train/CLASS/ and test/CLASS/."
        )
    return [part for part in PARTS if part in found]


def _folders(above: Path) -> list[str]:
    return sorted(
        item.name
        for item in above.iterdir()
        if item.is_dir() and not item.name.startswith(".") and item.name != "__MACOSX"
    )


def _match(found: Sequence[str], wanted: Sequence[str], above: Path, card: Card, refuse: Refuse) -> None:
    by_case: dict[str, str] = {}
    for name in found:
        other = by_case.setdefault(name.casefold(), name)
        if other != name:
            refuse(
                DatasetError(
                    f"The folders {other!r} and {name!r} of {above} differ only in case, so other systems take "
                    "them for one: merge or rename them."
                )
            )
    for name in found:
        if name not in wanted:
            refuse(
                DatasetError(
                    f"The folder {name!r} of {above} is not a class of the card of {card.name!r}"
                    f"{did_you_mean(name, wanted)}: rename it, move it away, or add the class to a card of your "
                    "own."
                )
            )
    missing = [name for name in wanted if name not in found]
    if missing:
        refuse(
            DatasetError(
                f"{above} lacks a folder for {', '.join(map(repr, missing))}: {card.name!r} wants one a class."
            )
        )
