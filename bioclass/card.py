"""A dataset card: facts about a dataset and how its files are read, in TOML."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, field_validator, model_validator

from bioclass.errors import CardError
from bioclass.validation import Strict, read_toml, validate

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
"""The parts that images are split into."""


class ImageFolder(Strict):
    """One folder a class, or, with ``parts``, ``train/``, ``test/`` (and ``validation/``) above them."""

    name: Literal["folder"] = "folder"
    parts: bool = False


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
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in order, as the data names them."""
        return tuple(item.name for item in self.classes)

    def to_toml(self) -> str:
        """Return the card as TOML."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


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
