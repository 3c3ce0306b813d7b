"""Large images by bands of rows: as they are as a whole, and without taking the memory for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from bioclass.errors import ImageError
from bioclass.images import read_image
from bioclass.images.bands import open_bands

RNG = np.random.default_rng(11)
RGB = {"photometric": "rgb"}
GRAY = {"photometric": "minisblack"}
PLANES = {"photometric": "rgb", "planarconfig": "separate"}
TILED = {"tile": (16, 32)}
ZLIB = {"compression": "zlib"}


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything be large from 1,000 pixels on, but for what has been read as a whole before."""
    monkeypatch.setattr("bioclass.images.pixels.LIMIT_MEGAPIXELS", 0.001)


def banded(path: Path, step: int) -> np.ndarray:
    with open_bands(path) as bands:
        parts = [bands.read(top, min(top + step, bands.height)) for top in range(0, bands.height, step)]
        assert all(part.shape[1] == bands.width for part in parts)
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("shape", "dtype", "settings"),
    [
        ((50, 70), "uint8", GRAY),
        ((50, 70), "uint8", {"photometric": "miniswhite"}),
        ((50, 70), ">u2", {**GRAY, **TILED, "byteorder": ">"}),
        ((50, 70, 3), "uint8", RGB),
        ((50, 70, 3), "uint8", {**RGB, **TILED}),
        ((50, 70, 3), "uint8", {**RGB, **TILED, **ZLIB, "predictor": True}),
        ((50, 70, 3), "uint16", {**RGB, **ZLIB, "rowsperstrip": 7}),
        ((3, 50, 70), "uint8", {**PLANES, **TILED}),
        ((3, 50, 70), "uint8", {**PLANES, **ZLIB, "rowsperstrip": 7}),
        ((5, 50, 70), "uint16", {**GRAY, **ZLIB, "rowsperstrip": 7, "metadata": {"axes": "CYX"}}),
        ((5, 50, 70), "float32", {**GRAY, "metadata": {"axes": "CYX"}}),
        ((5, 50, 70), "uint8", {**GRAY, **TILED, "metadata": {"axes": "CYX"}, "ome": True}),
    ],
)
@pytest.mark.parametrize("step", [1, 13, 50])
def test_bands_are_the_rows_of_the_whole_image(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, settings: dict[str, object], step: int, request
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RNG.integers(0, 250, shape).astype(dtype), **settings)
    whole = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(banded(tmp_path / "a.tif", step), whole)
    request.getfixturevalue("small_limit")
    with pytest.raises(ImageError, match="too large"):
        read_image(tmp_path / "a.tif")
    found = banded(tmp_path / "a.tif", step)
    assert found.dtype == whole.dtype
    np.testing.assert_array_equal(found, whole)


def test_an_opaque_alpha_is_left_out(tmp_path: Path, small_limit: None) -> None:
    image = RNG.integers(0, 250, (40, 60, 4), dtype=np.uint8)
    image[:20, :, 3] = 255
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(16, 16), photometric="rgb", extrasamples=["unassalpha"])
    with open_bands(tmp_path / "a.tif") as bands:
        np.testing.assert_array_equal(bands.read(3, 20), image[3:20, :, :3])
        np.testing.assert_array_equal(bands.read(3, 21), image[3:21])


def test_tiles_that_were_never_written_are_empty(tmp_path: Path, small_limit: None) -> None:
    image = RNG.integers(1, 250, (32, 64), dtype=np.uint8)
    image[16:, 32:] = 0
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(16, 32), compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tiff:
        counts = tiff.pages[0].tags["TileByteCounts"]
        counts.overwrite((*counts.value[:3], 0))
    np.testing.assert_array_equal(banded(tmp_path / "a.tif", 32)[..., 0], image)


@pytest.mark.parametrize("subsampling", [None, (2, 2)])
def test_jpeg_in_tiles_as_slides_have_it(
    tmp_path: Path, subsampling: tuple[int, int] | None, small_limit: None
) -> None:
    pytest.importorskip("imagecodecs", reason="without imagecodecs no JPEG in TIFF is read by parts")
    smooth = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
    image = np.stack([smooth, 255 - smooth, np.full_like(smooth, 90)], axis=-1)
    jpeg = {"compression": "jpeg", "compressionargs": {"level": 95}, "subsampling": subsampling}
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", tile=(16, 32), **jpeg)
    found = banded(tmp_path / "a.tif", 20)
    assert np.abs(found.astype(int) - image).max() < 12


# What is refused


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught, open_bands(path) as bands:
        bands.read(0, bands.height)
    text = str(caught.value)
    assert str(path) in text and "\n" not in text
    return text


def test_other_large_files_are_refused_as_before(tmp_path: Path, small_limit: None) -> None:
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "a.png")
    assert "a TIFF is read by parts" in refusal(tmp_path / "a.png")
    assert "There is no file" in refusal(tmp_path / "b.tif")


@pytest.mark.parametrize(
    ("shape", "settings", "words"),
    [
        ((40, 60), {"compression": "zlib", "rowsperstrip": 40}, "compressed as a whole"),
        ((40, 60), {"extratags": [(274, "H", 1, 6, True)]}, "orientation 6"),
        ((40, 60), {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}, "PALETTE of 8 bits"),
        ((2, 40, 60), {"photometric": "minisblack", "metadata": None}, "more than one image"),
    ],
)
def test_a_tiff_that_parts_would_not_give_as_it_is(
    tmp_path: Path, shape: tuple[int, ...], settings: dict[str, object], words: str, small_limit: None
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), **settings)
    assert words in refusal(tmp_path / "a.tif")


def test_a_damaged_tile(tmp_path: Path, small_limit: None) -> None:
    image = RNG.integers(1, 250, (64, 64), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(16, 16), compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        place = tiff.pages[0].dataoffsets[5]
    with (tmp_path / "a.tif").open("r+b") as file:
        file.seek(place)
        file.write(b"damaged!")
    assert "is damaged or cut short" in refusal(tmp_path / "a.tif")


MEMORY = """
import resource, sys
from bioclass.images.bands import open_bands
with open_bands(__import__("pathlib").Path(sys.argv[1])) as bands:
    low = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = sum(int(bands.read(top, top + 250)[::50, ::50].sum()) for top in range(0, bands.height, 250))
    print(total, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - low) // 1024)
"""


def test_a_large_image_takes_little_memory(tmp_path: Path) -> None:
    """256 megapixels, above the true limit, of which a band of 250 rows is 4 MB."""
    tiles = (np.full((1600, 1600), 3, np.uint8) for _ in range(100))
    settings = {"shape": (16000, 16000), "dtype": np.uint8, "tile": (1600, 1600), "compression": "zlib"}
    tifffile.imwrite(tmp_path / "a.tif", tiles, **settings)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "a.tif")], capture_output=True, text=True, check=True
    )
    total, mebibytes = map(int, done.stdout.split())
    assert total == 3 * 320 * 320
    assert mebibytes < 150
