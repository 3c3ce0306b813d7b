"""Find a card, a recipe or an adapter by name or by path.

Three shelves, in this order: folders that the user names (``--path`` or the environment variable
BIOCLASS_PATH), installed packages with an entry point in the group ``bioclass.adapters``, and what ships with
bioclass. Code is run from these three only: a card given by its path is read, but code beside it stays unread
until its folder is named.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from bioclass.card import PARTS, Card, Class, ImageFolder, load_card
from bioclass.errors import CardError, DatasetError, InputError, RecipeError, StudyError, did_you_mean
from bioclass.samples import Samples
from bioclass.validation import read_toml

Adapter = Callable[[Card, Path], Samples]
ENTRY_POINTS = "bioclass.adapters"


@dataclass(frozen=True)
class Shelf:
    """Where cards, recipes and adapters are looked for; ``folders`` are those that the user named."""

    folders: tuple[Path, ...] = ()

    @classmethod
    def of(cls, named: Sequence[Path] = ()) -> Shelf:
        """Return the shelf of these folders and those of BIOCLASS_PATH.

        Raises:
            InputError: a named folder that is not one.
        """
        more = [Path(text) for text in os.environ.get("BIOCLASS_PATH", "").split(os.pathsep) if text]
        folders = tuple(path.expanduser().resolve() for path in (*named, *more))
        for folder in folders:
            if not folder.is_dir():
                raise InputError(f"{folder} is not a folder: --path and BIOCLASS_PATH name folders of your own.")
        return cls(folders)

    def cards(self) -> dict[str, Path]:
        """Return the file of every card in reach, by name."""
        return {path.stem: path for path in self._files("datasets", "classes")}

    def recipes(self) -> dict[str, Path]:
        """Return the file of every recipe in reach, by name."""
        return {path.stem: path for path in self._files("recipes", "dataset")}

    def studies(self) -> dict[str, Path]:
        """Return the file of every study in reach, by name."""
        return {path.stem: path for path in self._files("studies", "axes")}

    def card(self, reference: str, beside: Path | None = None) -> Card:
        """Return a card by name, by the path of its file, or made from a folder of class folders."""
        return self.find(reference, beside)[0]

    def find(self, reference: str, beside: Path | None = None) -> tuple[Card, Path | None]:
        """Return a card, as ``card`` does, and the folder of its images if the reference itself names it.

        A relative path is looked for from the folder ``beside`` (that of the recipe) and from here.
        """
        known = self.cards()
        if reference in known:
            return load_card(known[reference]), None
        for start in (beside, Path()) if reference else ():
            path = (start or Path()) / Path(reference).expanduser()
            if path.is_file() and path.suffix == ".toml":
                return load_card(path), None
            if path.is_dir():
                return card_of_folder(path), path
        raise DatasetError(
            f"There is no dataset {reference!r}{did_you_mean(reference, known)}. "
            f"Known: {', '.join(sorted(known))}. "
            "Or give the path of a card or of a folder with one folder a class, "
            "or name the folder of your own cards with --path."
        )

    def recipe(self, reference: str, beside: Path | None = None) -> Path:
        """Return the file of a recipe, by name or by path, from the folder ``beside`` or from here."""
        return _file("recipe", reference, self.recipes(), beside, RecipeError)

    def study(self, reference: str) -> Path:
        """Return the file of a study, by name or by path."""
        return _file("study", reference, self.studies(), None, StudyError)

    def adapter(self, card: Card) -> Adapter:
        """Return the function ``load(card, root)`` that reads a card's data.

        Raises:
            DatasetError: there is none, or it cannot be imported, or it has no ``load``.
        """
        if card.format is not None:
            from bioclass.formats import read_format

            return read_format
        name = card.adapter or card.name
        for folder in [place for named in self.folders for place in (named, named / "datasets")]:
            if (folder / f"{name}.py").is_file():
                return _function(_module(name, folder / f"{name}.py"), folder / f"{name}.py")
        installed = _entry_points().get(name)
        if installed is not None:
            return _installed(installed)
        shipped = shipped_folder("datasets") / f"{name}.py"
        if shipped.is_file():
            return _function(_module(name, shipped), shipped)
        raise DatasetError(
            f"No adapter {name!r} for the dataset {card.name!r}: put {name}.py with load(card, root) beside its "
            f"card and name that folder with --path (or BIOCLASS_PATH), install a package with an entry point in "
            f"{ENTRY_POINTS}, or give the card a [format]."
        )

    def _files(self, kind: str, key: str) -> Iterator[Path]:
        """The TOML files with this key, the least of the shelves first, so that a user's own wins."""
        yield from sorted(shipped_folder(kind).glob("*.toml"))
        for point in _entry_points().values():
            beside = _package_file(point, f"{point.name}.toml")
            if kind == "datasets" and beside is not None:
                yield beside
        for folder in reversed(self.folders):
            for path in [*sorted((folder / kind).glob("*.toml")), *sorted(folder.glob("*.toml"))]:
                if path.parent.name == kind or _has_key(path, key):
                    yield path


def _file(kind: str, reference: str, known: dict[str, Path], beside: Path | None, error: type[InputError]) -> Path:
    if reference in known:
        return known[reference]
    for start in [beside, Path()] if beside is not None else [Path()]:
        path = start / Path(reference).expanduser()
        if path.is_file():
            return path
    if reference.endswith(".toml"):
        raise error(f"There is no {kind} file {reference}.")
    raise error(
        f"There is no {kind} {reference!r}{did_you_mean(reference, known)}. "
        f"Known: {', '.join(sorted(known))}; or give the path of a .toml file."
    )


def shipped_folder(kind: str) -> Path:
    """Return the folder of the shipped "datasets", "recipes" or "studies": in the wheel, or in a checkout."""
    package = Path(__file__).parent
    if kind == "studies":
        return shipped_folder("recipes") / kind
    inside = package / "_shipped" / kind
    return inside if inside.is_dir() else package.parent / kind


def card_of_folder(folder: Path) -> Card:
    """Return the card that a folder of class folders implies: its classes are the folders' names, sorted.

    Raises:
        DatasetError: fewer than two class folders.
    """
    names = _class_folders(folder)
    parts = set(names) <= set(PARTS) and "train" in names
    if parts:
        names = _class_folders(folder / "train")
    if len(names) < 2:
        raise DatasetError(
            f"{folder} holds {len(names)} class folder(s); a dataset needs one folder of images for each of "
            "at least two classes."
        )
    stem = re.sub("[^A-Za-z0-9._-]", "-", folder.resolve().name)
    return Card(
        name=stem.strip("._-") or "folder",
        title=f"Images of the folder {folder.name}",
        classes=tuple(Class(name=name) for name in names),
        format=ImageFolder(parts=parts),
    )


def _class_folders(folder: Path) -> list[str]:
    return sorted(
        item.name
        for item in folder.iterdir()
        if item.is_dir() and not item.name.startswith(".") and item.name != "__MACOSX"
    )


def _has_key(path: Path, key: str) -> bool:
    try:
        return key in read_toml(path, CardError)
    except CardError:
        # A broken file is still found by its name, so that its own error is reported when it is asked for.
        return True


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _package_file(point: EntryPoint, name: str) -> Path | None:
    """A file beside an entry point's module, found without running the module or the packages above it."""
    package, *inner = point.module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = [Path(place, *inner) for place in spec.submodule_search_locations or ()]
    if spec.origin is not None and not places:
        places = [Path(spec.origin)]
    found = [(place if place.is_dir() else place.parent) / name for place in places]
    return next((path for path in found if path.is_file()), None)


def _installed(point: EntryPoint) -> Adapter:
    try:
        found = point.load()
    except Exception as problem:
        raise DatasetError(
            f"The installed adapter {point.name!r} ({point.value}) fails when it is imported: {problem!r}."
        ) from problem
    return found if callable(found) else _function(found, point.value)


def _module(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"bioclass_adapter_{name}", path)
    if spec is None or spec.loader is None:
        raise DatasetError(f"The adapter {path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    # As import does; dataclasses and pickle look a class's module up there.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        del sys.modules[spec.name]
        raise DatasetError(f"The adapter {path} fails when it is imported: {problem!r}.") from problem
    return module


def _function(module: Any, path: Path | str) -> Adapter:
    load = getattr(module, "load", None)
    if not callable(load):
        raise DatasetError(f"The adapter {path} has no function load(card, root).")
    found: Adapter = load
    return found
