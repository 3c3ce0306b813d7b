"""From the bytes that were sent to images as models take them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from bioclass.errors import BioclassError
from bioclass.images import at_most, read_image
from bioclass.preprocess import Plan, adapted
from bioclass.serve.digit import FRAME, as_mnist, drawable
from bioclass.serve.upload import Sent

Array = npt.NDArray[Any]


class Read(NamedTuple):
    """One file, and for every plan the image (H, W, C) that it is, or the sentence for which it is none."""

    name: str
    images: list[Array | str]


def read(sent: Sent, plans: Sequence[Plan], megapixels: int) -> Read:
    """Return the image of a file for several plans, as ``preprocess.read_for`` reads files.

    While it is decoded it lies in a folder that is this process's alone: what its sender calls it is shown, never
    used.
    """
    with tempfile.TemporaryDirectory(prefix="bioclass-") as folder, at_most(megapixels):
        path = Path(folder, "image")
        path.write_bytes(sent.data)
        return Read(sent.name, _read(sent, path, plans))


def _read(sent: Sent, path: Path, plans: Sequence[Plan]) -> list[Array | str]:
    try:
        image = read_image(path)
        if sent.field == "drawing":
            image = as_mnist(image, path)
    except BioclassError as problem:
        return [_told(problem, path, sent.name)] * len(plans)
    return [_for(plan, image, path, sent) for plan in plans]


def _for(plan: Plan, image: Array, path: Path, sent: Sent) -> Array | str:
    if sent.field == "drawing" and not drawable(plan):
        return f"Drawings are for models of 8-bit gray images of {FRAME} x {FRAME} pixels, and this is none."
    try:
        return adapted(plan, image, path)
    except BioclassError as problem:
        return _told(problem, path, sent.name)


def _told(problem: BioclassError, path: Path, name: str) -> str:
    """What is wrong with a file, under its sender's name."""
    return str(problem).replace(str(path), name)
