"""What Pillow reads, and the deep PNG and PNM files that OpenCV reads in its place."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import ImageError, MissingDependency
from bioclass.images.pixels import check_size, colour_space, oriented, several, without_opaque_alpha

if TYPE_CHECKING:
    from PIL import Image

Array = npt.NDArray[Any]

_PILLOW_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
_opening = threading.Lock()


def read_pillow(path: Path) -> Array:
    """Read a file with Pillow, upright."""
    with _open(path) as image:
        frames = getattr(image, "n_frames", 1)
        # MPO is what some cameras write for JPEG: the further frames are previews.
        if frames > 1 and image.format not in ("MPO", "TIFF"):
            raise several(path, f"{frames} frames")
        image.load()
        return oriented(_pillow_pixels(image, path), _orientation(image))


def is_deep(head: bytes) -> bool:
    """Whether Pillow would cut this PNG or PNM silently to 8 bits, or spread its values over 16."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        depth, colour = head[24:25], head[25:26]
        return depth == b"\x10" and colour != b"\0"
    netpbm = re.match(rb"P[2356]\s+\d+\s+\d+\s+(\d+)\s", re.sub(rb"#[^\n]*\n", b"\n", head))
    return netpbm is not None and int(netpbm[1]) > 255


def read_deep(path: Path, head: bytes) -> Array:
    """Read a file that ``is_deep`` with OpenCV, upright."""
    with _open(path) as image:
        code = _orientation(image) if "exif" in image.info else 1
        image.verify()  # OpenCV fills what is cut off with zeros; this reads every chunk's checksum.
    pixels = cv2_pixels(path)
    if pixels.shape[2:] == (4,) and head[25:26] == b"\4":
        pixels = pixels[..., [0, 3]]  # Gray with alpha, which OpenCV makes colour.
    return oriented(without_opaque_alpha(pixels), code)


def cv2_pixels(path: Path) -> Array:
    """Read a file with OpenCV as it was stored, colours in the order RGB."""
    try:
        import cv2
    except ImportError:
        raise MissingDependency(
            f"{path} is a 16-bit image of a kind that OpenCV reads: pip install opencv-python-headless."
        ) from None
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV could not decode it")
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(pixels.shape[2] if pixels.ndim == 3 else 1)
    return pixels if order is None else pixels[..., order]


def _open(path: Path) -> Image.Image:
    """Open with Pillow and check the size, before anything is decoded."""
    from PIL import Image, UnidentifiedImageError

    # Pillow's own limit warns, and is one for the whole process; it is out of the way only while a header is read.
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(path, formats=_PILLOW_FORMATS)
        except UnidentifiedImageError:
            raise ImageError(
                f"{path} is not an image that bioclass reads (PNG, JPEG, TIFF, BMP, GIF, WebP, PNM or .npy), or "
                "its header is damaged: convert it, for example to PNG."
            ) from None
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    try:
        check_size(path, image.height, image.width)
    except ImageError:
        image.close()
        raise
    return image


def _pillow_pixels(image: Image.Image, path: Path) -> Array:
    if image.mode == "1":
        return np.asarray(image)
    if image.mode in ("P", "PA", "L", "RGB") and "transparency" in image.info:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    elif image.mode in ("P", "PA"):
        opaque = image.mode == "P" and (image.palette is None or image.palette.mode == "RGB")
        image = image.convert("RGB" if opaque else "RGBA")
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return without_opaque_alpha(np.asarray(image))
    if image.mode.startswith("I"):  # 16-bit gray: "I;16", or "I" in Pillow before 11.
        return np.asarray(image).astype(np.uint16)
    raise colour_space(path, image.mode)


def _orientation(image: Image.Image) -> int:
    try:
        code = image.getexif().get(0x0112, 1)
    except Exception:  # A damaged EXIF block says nothing against the pixels.
        return 1
    return code if isinstance(code, int) else 1
