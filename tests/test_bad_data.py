"""What people have on disk and cannot be trained on: ``bioclass fit`` names it and the mend in one sentence."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import pictures, refused, write_folder, write_png, write_recipe
from PIL import Image

Bad = Callable[[Path], Path]
COLOUR = np.random.default_rng(5).integers(0, 255, (12, 12, 3), dtype=np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of three classes of RGB images that can be trained on."""
    return write_folder(tmp_path / "data", pictures(shape=(12, 12, 3)))


def fit_refused(data: Path, *more: str) -> str:
    recipe = write_recipe(data.parent / "recipe.toml", "data")
    run = data.parent / "run"
    error = refused("fit", recipe, "--run", run, *more)
    assert not run.exists()
    return error


def text(folder: Path) -> Path:
    path = folder / "page.jpg"
    path.write_text("<html>404</html>")
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.png"
    path.touch()
    return path


def huge(folder: Path) -> Path:
    """A header of 50,000 x 50,000 pixels in colour, 7.5 GB if anyone believed it."""
    path = folder / "huge.png"
    write_png(path, COLOUR)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 50_000, 50_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    path.write_bytes(content)
    return path


def alpha(folder: Path) -> Path:
    path = folder / "alpha.png"
    write_png(path, np.dstack([COLOUR, np.full((12, 12), 128, np.uint8)]))
    return path


def cmyk(folder: Path) -> Path:
    path = folder / "print.jpg"
    Image.fromarray(COLOUR).convert("CMYK").save(path)
    return path


def stack(folder: Path) -> Path:
    path = folder / "stack.tif"
    tifffile.imwrite(path, np.zeros((5, 12, 12), np.uint16), photometric="minisblack")
    return path


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (text, ["is not an image", "convert it"]),
        (empty, ["is empty (0 bytes)", "copy it again"]),
        (huge, ["is too large (50000 x 50000 pixels", "cut it into tiles or scale it down"]),
        (alpha, ["3 channel(s) (RGB)", "4 channel(s) (RGB, alpha)", "convert them to be alike."]),
        (cmyk, ["the colour space CMYK", "convert it to gray or RGB"]),
        (stack, ["holds more than one image (5 pages", "save one image a file"]),
    ],
)
def test_one_bad_image_among_good_ones(data: Path, write: Bad, words: list[str]) -> None:
    path = write(data / "class1")
    error = fit_refused(data)
    for word in (path.name, *words):
        assert word in error, error
    # One sentence, or a head and one sentence for the one file.
    assert len(error.splitlines()) <= 2


def test_a_label_table_with_a_missing_file(data: Path) -> None:
    rows = [f"class{c}/{i:02}.png,class{c}\n" for c in range(3) for i in range(13)]
    (data / "labels.csv").write_text("path,label\n" + "".join(rows))
    card = data.parent / "cells.toml"
    card.write_text(
        'name = "cells"\ntitle = "Cells"\nclasses = ["class0", "class1", "class2"]\n[format]\nname = "table"\n'
    )
    error = fit_refused(data, "--set", f"dataset={card}", "--root", str(data))
    assert "3 of the 39 images" in error and "class0/12.png" in error and "complete the images" in error


def test_a_class_with_one_example(data: Path) -> None:
    for path in sorted((data / "class2").iterdir())[1:]:
        path.unlink()
    error = fit_refused(data)
    assert "The class 'class2' has one image" in error and "\n" not in error


def test_two_classes_that_differ_in_case(data: Path) -> None:
    (data / "class2").rename(data / "Class1")
    error = fit_refused(data)
    assert "'Class1' and 'class1'" in error and "merge or rename them" in error


def test_two_labels_of_a_table_that_differ_in_case(data: Path) -> None:
    (data / "labels.csv").write_text("path,label\nclass0/00.png,class0\nclass1/00.png,Class1\n")
    card = data.parent / "cells.toml"
    card.write_text('name = "cells"\ntitle = "Cells"\nclasses = ["class0", "class1"]\n[format]\nname = "table"\n')
    error = fit_refused(data, "--set", f"dataset={card}", "--root", str(data))
    assert "'Class1'" in error and "did you mean 'class1'?" in error
