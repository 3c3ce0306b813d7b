"""Images cut into tiles: where they lie, and that each is answered as a file would be, of large ones too."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from conftest import fit, fit_folds, pictures, refused, run_cli, write_folder, write_png, write_recipe

from bioclass.answers import batch_size
from bioclass.errors import ImageError
from bioclass.run import open_run
from bioclass.tiles import Tiling, answer_tiles

NAMES = ("class0", "class1", "class2")


def patchwork(rows: int, columns: int, side: int = 12) -> np.ndarray:
    """Return a gray image of patches of this side, one of a class each, in turn."""
    patches = pictures(each=2, shape=(side, side))
    return np.block([[patches[2 * ((r + c) % 3) + r % 2] for c in range(columns)] for r in range(rows)])


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def chances(row: dict[str, str]) -> list[float]:
    return [float(row[f"p_{name}"]) for name in NAMES]


# Where tiles lie


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.25, 0.5, 0.7, 0.99])
@pytest.mark.parametrize("length", [10, 11, 19, 20, 21, 57, 100])
def test_tiles_cover_the_image_evenly_and_overlap_enough(length: int, overlap: float) -> None:
    rows, columns = Tiling(10, 10, overlap).places(length, length)
    assert rows == columns and rows[0] == 0 and rows[-1] == length - 10
    steps = np.diff(rows)
    assert (steps > 0).all() and steps.max(initial=0) <= max(1, round(10 * (1 - overlap)))
    assert steps.max(initial=0) - steps.min(initial=10) <= 1
    # One tile fewer would leave a gap, or overlap less.
    assert (len(rows) - 2) * max(1, int(10 - 10 * overlap + 1e-6)) < length - 10 or len(rows) == 1


def test_tiles_by_hand() -> None:
    assert Tiling(10, 20).places(30, 50) == ([0, 10, 20], [0, 15, 30])
    assert Tiling(10, 10, 0.7).places(16, 10) == ([0, 3, 6], [0])
    assert Tiling(10, 10).places(9, 10) == ([], [0])


# The table


def test_every_tile_is_answered_as_a_file_with_its_pixels(tiny: SimpleNamespace, tmp_path: Path) -> None:
    image = patchwork(2, 3)
    write_png(tmp_path / "large.png", image)
    result = run_cli("predict", tiny.run, tmp_path / "large.png", "--tiles", 12, "--overlap", 0.5)
    assert result.status == 0 and result.err == ""
    *tiles, whole = table(result.out)
    assert [*whole][:8] == ["path", "region", "x", "y", "width", "height", "class", "probability"]
    assert [(int(row["x"]), int(row["y"])) for row in tiles] == [
        (x, y) for y in (0, 6, 12) for x in range(0, 25, 6)
    ]
    assert {(row["region"], row["width"], row["height"]) for row in tiles} == {("tile", "12", "12")}
    (tmp_path / "tiles").mkdir()
    for number, row in enumerate(tiles):
        x, y = int(row["x"]), int(row["y"])
        write_png(tmp_path / "tiles" / f"{number:02}.png", image[y : y + 12, x : x + 12])
    alone = table(run_cli("predict", tiny.run, tmp_path / "tiles").out)
    np.testing.assert_allclose([chances(row) for row in tiles], [chances(row) for row in alone], rtol=1e-5)
    assert [row["class"] for row in tiles] == [row["class"] for row in alone]
    assert (whole["region"], whole["x"], whole["y"], whole["width"], whole["height"]) == (
        "image",
        "0",
        "0",
        "36",
        "24",
    )
    np.testing.assert_allclose(chances(whole), np.mean([chances(row) for row in tiles], axis=0), rtol=1e-12)
    assert whole["class"] == NAMES[int(np.argmax(chances(whole)))]


@pytest.mark.parametrize("mode", ["stretch", "pad"])
def test_tiles_are_resized_as_the_images_of_the_training_were(tmp_path: Path, mode: str) -> None:
    data = write_folder(tmp_path / "data", pictures(shape=(24, 16, 3)))
    recipe = write_recipe(tmp_path / "r.toml", "data", f'[preprocess]\nsize = [12, 12]\nresize = "{mode}"\n')
    run = fit(recipe, tmp_path / "run")
    image = np.concatenate([pictures(shape=(24, 16, 3))[i] for i in (0, 15, 30)], axis=1)
    write_png(tmp_path / "large.png", image)
    tiles = table(run_cli("predict", run, tmp_path / "large.png", "--tiles", "24,16").out)[:-1]
    files = [data / f"class{k}" / f"{name}.png" for k, name in enumerate(("00", "03", "06"))]
    alone = table(run_cli("predict", run, *files).out)
    np.testing.assert_allclose([chances(row) for row in tiles], [chances(row) for row in alone], rtol=1e-5)


def test_json_tells_images_from_tiles(tiny: SimpleNamespace, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_png(tmp_path / f"{name}.png", patchwork(1, 2))
    write_png(tmp_path / "small.png", patchwork(1, 1)[:, :11])
    result = run_cli("predict", tiny.run, tmp_path, "--tiles", 12, "--json")
    document = json.loads(result.out)
    assert [Path(row["path"]).name for row in document["images"]] == ["a.png", "b.png"]
    assert [(Path(row["path"]).name, row["x"]) for row in document["tiles"]] == [
        (f"{name}.png", x) for name in ("a", "b") for x in (0, 12)
    ]
    assert [Path(each["path"]).name for each in document["failed"]] == ["small.png"]
    assert "small.png has 12 x 11 pixels and is smaller than a tile of 12 x 12" in result.err
    assert "1 of 3 could not be used" in result.err


def test_folds_are_one_model(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folds = fit_folds(tiny.recipe, tmp_path / "folds", "split.folds=2")
    image = tmp_path / "large.png"
    write_png(image, patchwork(1, 2))
    together = table(run_cli("predict", folds, image, "--tiles", 12).out)
    each = [table(run_cli("predict", folds / f"fold-{k}", image, "--tiles", 12).out) for k in range(2)]
    means = np.mean([[chances(row) for row in rows] for rows in each], axis=0)
    np.testing.assert_allclose([chances(row) for row in together], means, rtol=1e-5)


def test_an_exported_model_cuts_tiles_too(tiny: SimpleNamespace, tmp_path: Path) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="the extra bioclass[onnx] is not installed")
    image, model = tmp_path / "large.png", tmp_path / "model.onnx"
    write_png(image, patchwork(2, 2))
    assert run_cli("export", tiny.run, "--output", model).status == 0
    ours, theirs = (table(run_cli("predict", each, image, "--tiles", 12).out) for each in (model, tiny.run))
    assert len(ours) == 5 and [row["y"] for row in ours] == [row["y"] for row in theirs]
    np.testing.assert_allclose([chances(row) for row in ours], [chances(row) for row in theirs], atol=1e-6)


# Large images


def test_a_large_tiff_is_answered_as_the_same_pixels_in_memory(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = patchwork(4, 5)
    tifffile.imwrite(tmp_path / "large.tif", image, tile=(16, 32), compression="zlib")
    command = ("predict", tiny.run, tmp_path / "large.tif", "--tiles", 12, "--overlap", 0.3)
    expected = run_cli(*command).out
    monkeypatch.setattr("bioclass.images.pixels.LIMIT_MEGAPIXELS", 0.001)
    assert run_cli(*command).out == expected
    write_png(tmp_path / "large.png", image)
    refusal = run_cli("predict", tiny.run, tmp_path / "large.png", "--tiles", 12)
    assert refusal.status == 2 and "a TIFF is read by parts" in refusal.err


def test_batches_are_as_full_as_they_may_be(tiny: SimpleNamespace, tmp_path: Path) -> None:
    plan, sizes = open_run(tiny.run).plan, []
    write_png(tmp_path / "large.png", np.zeros((12 * 20, 12 * 20), np.uint8))

    def answer(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return np.full((len(images), 3), 1 / 3)

    tiled = answer_tiles(answer, plan, tmp_path / "large.png", Tiling(12, 12))
    assert sizes == [batch_size(plan), 400 - batch_size(plan)] and tiled.probabilities.shape == (400, 3)


def test_too_many_tiles(tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioclass.tiles.MOST", 5)
    write_png(tmp_path / "large.png", patchwork(2, 3))
    with pytest.raises(ImageError, match="which are 6 tiles of 12 x 12, more than 5"):
        answer_tiles(np.zeros, open_run(tiny.run).plan, tmp_path / "large.png", Tiling(12, 12))


# Mistakes


def test_mistakes(tiny: SimpleNamespace, tmp_path: Path) -> None:
    image = tmp_path / "large.png"
    write_png(image, patchwork(2, 2))
    command = ("predict", tiny.run, image)
    for size in ("0", "12,", "a", "-3", "12,12,1", "1.5"):
        assert f"Got '{size}'" in refused(*command, f"--tiles={size}")
    for overlap in (1, -0.1, "nan"):
        assert "from 0 to below 1" in refused(*command, "--tiles", 12, f"--overlap={overlap}")
    assert "--overlap is the one of tiles" in refused(*command, "--overlap", 0.5)
    wanted = "trained on images of 12 x 12 pixels without resizing: its tiles are --tiles 12. Got 20 x 12"
    assert wanted in refused(*command, "--tiles", "20,12")
    for option in ("--answers", "--decide"):
        assert f"{option} was fitted for images as they are" in refused(*command, "--tiles", 12, option)
