"""A dataset card: facts about a dataset and how its files are read, in TOML."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import AfterValidator, Field, field_validator, model_validator

from bioclass.errors import CardError, did_you_mean
from bioclass.validation import Strict, read_toml, validate


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as problem:
        raise ValueError(f"{pattern!r} is not a regular expression: {problem}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
"""The parts that images are split into."""


class ImageFolder(Strict):
    """One folder a class, or, with ``parts``, ``train/``, ``test/`` (and ``validation/``) above them.

    The patterns are regular expressions for the whole path of an image from the folder above the class folders,
    with "/", as in ``normal_columnar/1-2-001.bmp``.
    """

    name: Literal["folder"] = "folder"
    parts: bool = False
    folders: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    """The folders of a class where they are not one of its own name; several are merged."""
    ignore: Pattern = ""
    """Images that are no samples, such as masks beside them."""
    match: Pattern = ""
    """What all other images are called. Its named parts, joined by "/", are the group of an image."""

    def folders_of(self, label: str) -> tuple[str, ...]:
        """Return the folders of a class."""
        return self.folders.get(label, (label,))


class Table(Strict):
    """A CSV or TSV file with a row an image; the values are the names of its columns.

    Paths are relative to the folder of the table. The label column holds class names.
    """

    name: Literal["table"] = "table"
    file: str = "labels.csv"
    path: str = "path"
    label: str = "label"
    group: str | None = None
    part: str | None = None
    id: str | None = None


class Npz(Strict):
    """A numpy archive; the values are the names of its arrays.

    Images are (N, H, W) or (N, H, W, C); labels (N,) integers that index the card's classes, or class names.
    With ``{part}`` in a name, as in MedMNIST's ``{part}_images``, there is one array a part.
    """

    name: Literal["npz"] = "npz"
    file: str = "data.npz"
    images: str = "images"
    labels: str = "labels"
    groups: str | None = None
    ids: str | None = None
    parts: dict[str, Part] = {}


class Idx(Strict):
    """IDX files as MNIST has them, raw or gzipped: images (N, H, W) or (N, H, W, C) and labels (N,) by part."""

    name: Literal["idx"] = "idx"
    images: dict[Part, str]
    labels: dict[Part, str]
    transpose: bool = False
    """Images were stored column by column, (N, W, H), as EMNIST's are."""
    first_label: int = 0
    """The label of the first class."""


Format = Annotated[ImageFolder | Table | Npz | Idx, Field(discriminator="name")]


class Class(Strict):
    """A class: the name that the data uses, and a readable title."""

    name: Annotated[str, Field(min_length=1)]
    title: str = ""


class PixelSize(Strict):
    """The side of one pixel and its unit, for example 0.201 micrometre."""

    value: Annotated[float, Field(gt=0)]
    unit: str


class File(Strict):
    """One file of the dataset; ``sha256`` is that of the content, decompressed if the name ends in .gz."""

    name: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    download: str = ""
    """Name at the mirrors, where it differs; a .gz there is kept as it comes."""

    @field_validator("name")
    @classmethod
    def _below_the_root(cls, name: str) -> str:
        # A card may be a stranger's, and a download writes under this name.
        path = PurePosixPath(name)
        if path.is_absolute() or not path.name or ".." in path.parts or "\\" in name or "\0" in name:
            raise ValueError(f"a file is named from the dataset's folder and lies in it. Got {name!r}")
        return name


class Card(Strict):
    """The facts of one dataset. A ``format`` reads it without code; else ``adapter`` names the code."""

    name: Name
    title: str
    summary: str = ""
    licence: str = ""
    citation: str = ""
    homepage: str = ""
    synthetic: bool = False
    """Whether no image is of a real thing. Every figure and picture of such images says so."""
    classes: Annotated[tuple[Class, ...], Field(min_length=2)]
    channels: Annotated[int, Field(ge=1)] | None = None
    bit_depth: Annotated[int, Field(ge=1, le=64)] | None = None
    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    """Height and width in pixels, where all images have one size."""
    pixel_size: PixelSize | None = None
    group: str | None = None
    """What a group is (slide, finger, patient, photo): images of one group never part."""
    counts: dict[Literal["all", "train", "validation", "test"], Annotated[int, Field(ge=0)]] = {}
    format: Format | None = None
    adapter: Name | None = None
    mirrors: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    notes: tuple[str, ...] = ()
    """Pitfalls that a user should know."""

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        names = [item.name for item in self.classes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"classes must differ. Got twice: {', '.join(twice)}")
        if self.format is not None and self.adapter is not None:
            raise ValueError("give a format or an adapter, not both")
        if isinstance(self.format, ImageFolder):
            _check_folders(self.format, names)
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in order, as the data names them."""
        return tuple(item.name for item in self.classes)

    def images(self, part: str = "") -> str:
        """Return what the images, or those of a part, are called: ``images``, ``synthetic test images``."""
        return " ".join(filter(None, ("synthetic" if self.synthetic else "", part, "images")))

    def to_toml(self) -> str:
        """Return the card as TOML."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def _check_folders(layout: ImageFolder, classes: list[str]) -> None:
    for label in layout.folders:
        if label not in classes:
            raise ValueError(f"format.folders names {label!r}, which is no class{did_you_mean(label, classes)}")
    owner: dict[str, str] = {}
    for label in classes:
        for folder in layout.folders_of(label):
            if "/" in folder or "\\" in folder or folder in ("", ".", ".."):
                raise ValueError(f"format.folders are names of folders, not paths. Got {folder!r} for {label!r}")
            if owner.setdefault(folder, label) != label:
                raise ValueError(f"the folder {folder!r} belongs to two classes, {owner[folder]!r} and {label!r}")


def load_card(path: Path) -> Card:
    """Read a card. A class may be a plain string where it has no title.

    Raises:
        CardError: with every mistake of the file.
    """
    return parse_card(read_toml(path, CardError), f"Card {path.name}")


def parse_card(data: dict[str, Any], source: str) -> Card:
    """Validate a card's data; ``source`` names it in errors."""
    classes = data.get("classes")
    if isinstance(classes, list):
        data = {**data, "classes": [{"name": item} if isinstance(item, str) else item for item in classes]}
    return validate(Card, data, source, CardError)
