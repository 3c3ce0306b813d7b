"""One image file to an array that keeps its bit depth and its channels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import BioclassError, ImageError
from bioclass.images.pillow import is_deep, read_deep, read_pillow
from bioclass.images.pixels import LIMIT_MEGAPIXELS, at_most, check_size
from bioclass.images.tiff import read_tiff
from bioclass.storage import npy_header

__all__ = [
    "LIMIT_MEGAPIXELS",
    "SUFFIXES",
    "at_most",
    "channels_of",
    "decoding",
    "find_images",
    "is_tiff",
    "read_image",
    "stored",
    "to_channels",
]

Array = npt.NDArray[Any]

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".pbm", ".pnm", ".npy")
)
"""Suffixes of the files that are taken as images, lower-case."""

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_KINDS = {1: " (gray)", 2: " (gray, alpha)", 3: " (RGB)", 4: " (RGB, alpha)"}


def read_image(path: Path) -> Array:
    """Read one image file as it was stored, (H, W, C) of uint8, uint16 or float32.

    The content decides the format, not the suffix. Palettes are expanded, the EXIF orientation is applied, 1-bit
    images become 0 and 255, and an alpha channel is kept unless it is opaque everywhere. Signed and 32-bit
    integers and other floats become float32.

    Raises:
        ImageError: missing, empty, not an image, damaged, above 200 megapixels, several images in one file, or
            of a colour space that is neither gray nor RGB.
        MissingDependency: a 16-bit colour image, and OpenCV is not installed.
    """
    head = _head(path)
    with decoding(path):
        if head.startswith(b"\x93NUMPY"):
            pixels = _read_npy(path)
        elif head.startswith(_TIFF_MAGIC):
            pixels = read_tiff(path)
        elif is_deep(head):
            pixels = read_deep(path, head)
        else:
            pixels = read_pillow(path)
    return np.ascontiguousarray(stored(pixels if pixels.ndim == 3 else pixels[..., None], path))


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises of a file into ImageError; what bioclass raises is passed on."""
    try:
        yield
    except BioclassError:
        raise
    except MemoryError:
        raise ImageError(
            f"{path} asks for more memory than there is: it is damaged, or too large for this machine."
        ) from None
    except Exception as problem:  # Decoders answer damaged bytes with exceptions of every kind.
        reason = str(problem).strip().split("\n")[0].rstrip(".") or type(problem).__name__
        raise ImageError(
            f"{path} is damaged or cut short and cannot be decoded ({reason}): copy it again from its source."
        ) from None


def is_tiff(path: Path) -> bool:
    """Whether a file is TIFF, by its content; ImageError where it cannot be read."""
    return _head(path).startswith(_TIFF_MAGIC)


def channels_of(image_channels: int) -> str:
    """Return a number of channels as messages show it, such as "4 channel(s) (RGB, alpha)"."""
    return f"{image_channels} channel(s){_KINDS.get(image_channels, '')}"


def to_channels(image: Array, channels: int, path: Path) -> Array:
    """Return the image (H, W, C) with the channels that a model expects.

    Gray that was stored as RGB, all three channels equal, is reduced to one. Nothing else is converted.

    Raises:
        ImageError: another number of channels; colours are never made up or thrown away.
    """
    found = image.shape[2]
    if found == channels:
        return image
    if channels == 1 and found == 3 and not np.any(image != image[..., :1]):
        return image[..., :1]
    raise ImageError(
        f"{path} has {channels_of(found)}, but {channels}{_KINDS.get(channels, '')} "
        "are expected: convert the file, or leave it out."
    )


def find_images(folder: Path) -> list[Path]:
    """Return the image files below a folder, by suffix in any case, sorted; hidden files are left out."""
    found: list[Path] = []
    for above, folders, files in os.walk(folder):
        # "._name" and "__MACOSX" come with archives made on macOS; they hold no images.
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        found.extend(
            Path(above, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122
        )
    return sorted(found, key=Path.as_posix)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except FileNotFoundError:
        raise ImageError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder; an image file is wanted.") from None
    except OSError as problem:
        raise ImageError(
            f"{path} cannot be read ({problem.strerror}): check the file and its permissions."
        ) from None
    if not head:
        raise ImageError(f"{path} is empty (0 bytes): copy it again from its source.")
    return head


def stored(pixels: Array, path: Path) -> Array:
    """Bring any pixel type to uint8, uint16 or float32 without losing a value; ImageError where that cannot be."""
    kind, size = pixels.dtype.kind, pixels.dtype.itemsize
    if kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if kind == "u" and size <= 2:
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if kind not in "uif":
        raise ImageError(f"{path} holds {pixels.dtype} values: save it with an integer or float type.")
    with np.errstate(over="ignore"):  # What float32 cannot hold becomes infinite, which is refused later.
        out = pixels.astype(np.float32)
    if kind != "f" and size > 2 and np.any(out.astype(np.float64) != pixels):
        raise ImageError(
            f"{path} holds {pixels.dtype} values above 2**24, which float32 cannot keep apart: scale them down to "
            "16 bits first."
        )
    return out


def _read_npy(path: Path) -> Array:
    with path.open("rb") as file:
        shape, _, dtype = npy_header(file)
    if dtype.hasobject:
        raise ImageError(f"{path} holds Python objects, which could run code: save a plain array of numbers.")
    if len(shape) not in (2, 3):
        raise ImageError(f"{path} has the shape {shape}: save one image a file, (H, W) or (H, W, C).")
    check_size(path, *shape)
    # The map compares the header with the length of the file before anything is allocated.
    return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
