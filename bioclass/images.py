"""One image file to an array that keeps its bit depth and its channels."""

from __future__ import annotations

import logging
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import BioclassError, ImageError, MissingDependency
from bioclass.storage import npy_header

if TYPE_CHECKING:
    from PIL import Image

Array = npt.NDArray[Any]

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".pbm", ".pnm", ".npy")
)
"""Suffixes of the files that are taken as images, lower-case."""

LIMIT_MEGAPIXELS = 200
_PILLOW_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# TIFF photometric interpretations (TIFF 6.0, section 8, and later supplements).
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_KINDS = {1: " (gray)", 2: " (gray, alpha)", 3: " (RGB)", 4: " (RGB, alpha)"}
_opening = threading.Lock()
# Without a handler Python prints tifffile's log lines on stderr; what matters in them becomes our one sentence.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


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
    try:
        if head.startswith(b"\x93NUMPY"):
            pixels = _read_npy(path)
        elif head.startswith(_TIFF_MAGIC):
            pixels = _read_tiff(path)
        elif _is_deep(head):
            pixels = _read_deep(path, head)
        else:
            pixels = _read_pillow(path)
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
    return np.ascontiguousarray(_stored(pixels if pixels.ndim == 3 else pixels[..., None], path))


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
        f"{path} has {found} channel(s){_KINDS.get(found, '')}, but {channels}{_KINDS.get(channels, '')} "
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


def _check_size(path: Path, height: int, width: int, channels: int = 1) -> None:
    if height * width * channels == 0:
        raise ImageError(f"{path} holds no pixels (height {height}, width {width}): leave it out.")
    # Four channels are the largest that a plain image has; deeper ones count by their values.
    if height * width * max(1.0, channels / 4) > LIMIT_MEGAPIXELS * 1e6:
        raise ImageError(
            f"{path} is too large ({width} x {height} pixels, {channels} channel(s); the limit is "
            f"{LIMIT_MEGAPIXELS} megapixels): cut it into tiles or scale it down first."
        )


def _stored(pixels: Array, path: Path) -> Array:
    """Bring any pixel type to uint8, uint16 or float32 without losing a value."""
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


def _without_opaque_alpha(pixels: Array) -> Array:
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4) and pixels.dtype.kind == "u":
        alpha = pixels[..., -1]
        if (alpha == np.iinfo(pixels.dtype).max).all():
            return pixels[..., :-1]
    return pixels


def _oriented(pixels: Array, code: int) -> Array:
    """Turn and mirror pixels as the EXIF (and TIFF) orientation tag says, 1 to 8."""
    if code in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if code in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if code in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


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
        _check_size(path, image.height, image.width)
    except ImageError:
        image.close()
        raise
    return image


def _read_pillow(path: Path) -> Array:
    with _open(path) as image:
        frames = getattr(image, "n_frames", 1)
        # MPO is what some cameras write for JPEG: the further frames are previews.
        if frames > 1 and image.format not in ("MPO", "TIFF"):
            raise _several(path, f"{frames} frames")
        image.load()
        return _oriented(_pillow_pixels(image, path), _orientation(image))


def _pillow_pixels(image: Image.Image, path: Path) -> Array:
    if image.mode == "1":
        return np.asarray(image)
    if image.mode in ("P", "PA", "L", "RGB") and "transparency" in image.info:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    elif image.mode in ("P", "PA"):
        opaque = image.mode == "P" and (image.palette is None or image.palette.mode == "RGB")
        image = image.convert("RGB" if opaque else "RGBA")
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return _without_opaque_alpha(np.asarray(image))
    if image.mode.startswith("I"):  # 16-bit gray: "I;16", or "I" in Pillow before 11.
        return np.asarray(image).astype(np.uint16)
    raise _colour_space(path, image.mode)


def _orientation(image: Image.Image) -> int:
    try:
        code = image.getexif().get(0x0112, 1)
    except Exception:  # A damaged EXIF block says nothing against the pixels.
        return 1
    return code if isinstance(code, int) else 1


def _is_deep(head: bytes) -> bool:
    """Whether Pillow would cut this PNG or PNM silently to 8 bits, or spread its values over 16."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        depth, colour = head[24:25], head[25:26]
        return depth == b"\x10" and colour != b"\0"
    netpbm = re.match(rb"P[2356]\s+\d+\s+\d+\s+(\d+)\s", re.sub(rb"#[^\n]*\n", b"\n", head))
    return netpbm is not None and int(netpbm[1]) > 255


def _read_deep(path: Path, head: bytes) -> Array:
    with _open(path) as image:
        code = _orientation(image) if "exif" in image.info else 1
        image.verify()  # OpenCV fills what is cut off with zeros; this reads every chunk's checksum.
    pixels = _cv2_pixels(path)
    if pixels.shape[2:] == (4,) and head[25:26] == b"\4":
        pixels = pixels[..., [0, 3]]  # Gray with alpha, which OpenCV makes colour.
    return _oriented(_without_opaque_alpha(pixels), code)


def _cv2_pixels(path: Path) -> Array:
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


def _read_npy(path: Path) -> Array:
    with path.open("rb") as file:
        shape, _, dtype = npy_header(file)
    if dtype.hasobject:
        raise ImageError(f"{path} holds Python objects, which could run code: save a plain array of numbers.")
    if len(shape) not in (2, 3):
        raise ImageError(f"{path} has the shape {shape}: save one image a file, (H, W) or (H, W, C).")
    _check_size(path, *shape)
    # The map compares the header with the length of the file before anything is allocated.
    return np.array(np.load(path, mmap_mode="r", allow_pickle=False))


def _read_tiff(path: Path) -> Array:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = [item for item in tiff.series if not item.keyframe.is_reduced] or list(tiff.series)
        axes, page = series[0].axes, series[0].keyframe
        if len(series) > 1 or sorted(axes.replace("S", "C")) not in (["X", "Y"], ["C", "X", "Y"]):
            raise _several(path, f"{len(tiff.pages)} pages, axes {' and '.join(item.axes for item in series)}")
        size: dict[str, int] = dict(zip(axes.replace("S", "C"), series[0].shape, strict=True))
        _check_size(path, size["Y"], size["X"], size.get("C", 1))
        if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR):
            raise _colour_space(path, page.photometric.name)
        if page.bitspersample < 8 or page.photometric in (_PALETTE, _YCBCR):
            return _read_pillow(path)
        try:
            pixels = series[0].asarray(maxworkers=1)
        except ValueError as problem:
            if "imagecodecs" not in str(problem):
                raise
            return _read_compressed(path, page)
        tag = page.tags.get(274)
    return _tiff_pixels(pixels, axes, page, 1 if tag is None else int(tag.value))


def _tiff_pixels(pixels: Array, axes: str, page: Any, orientation: int) -> Array:
    order = [axes.index("Y"), axes.index("X"), *(i for i, letter in enumerate(axes) if letter in "SC")]
    pixels = pixels.transpose(order)
    if page.photometric == _WHITE_IS_ZERO and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    if page.extrasamples and page.extrasamples[-1] in (1, 2):
        pixels = _without_opaque_alpha(pixels)
    return _oriented(pixels, orientation)


def _read_compressed(path: Path, page: Any) -> Array:
    """Read what tifffile leaves to imagecodecs (LZW, JPEG, CCITT), which bioclass does not depend on."""
    if page.extrasamples in ((), (2,)):  # 2: alpha that the colours were not multiplied with.
        if page.bitspersample == 8:
            return _read_pillow(path)
        upright = 274 not in page.tags or page.tags[274].value == 1
        if page.bitspersample in (16, 32) and upright and page.photometric != _WHITE_IS_ZERO:
            return _without_opaque_alpha(_cv2_pixels(path))
    raise ImageError(
        f"{path} is compressed with {page.compression.name}: pip install imagecodecs, or save it uncompressed."
    )


def _colour_space(path: Path, name: str) -> ImageError:
    return ImageError(f"{path} has the colour space {name}: convert it to gray or RGB, for example to PNG.")


def _several(path: Path, found: str) -> ImageError:
    return ImageError(
        f"{path} holds more than one image ({found}): save one image a file; if these are the channels of one "
        "image, save them with the axes CYX or as .npy (H, W, C)."
    )
