"""Maps of tiles: each place has the class that its tiles give it, and a table that is another one is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import pictures, refused, run_cli, write_png
from PIL import Image

from bioclass.report.tiles import SIDE, Tiles, class_map, colours

HEAD = "path,region,x,y,width,height,class,probability,p_a,p_b\n"


def tiles(size: tuple[int, int], places: list[list[int]], first: list[float]) -> Tiles:
    p = np.array(first)
    return Tiles("a.png", size, np.array(places), np.stack([p, 1 - p], axis=1), ("a", "b"))


def test_a_place_has_the_class_of_the_mean_of_its_tiles() -> None:
    best, probability = class_map(tiles((2, 6), [[0, 0, 4, 2], [2, 0, 4, 2]], [0.9, 0.3]))
    assert best.tolist() == [[0, 0, 0, 0, 1, 1]] * 2
    np.testing.assert_allclose(probability, [[0.9, 0.9, 0.6, 0.6, 0.7, 0.7]] * 2)


def test_a_large_image_is_seen_smaller_and_whole() -> None:
    side = 10 * SIDE
    places = [[x, y, 7, 7] for y in range(0, 7 * 20, 7) for x in range(0, side, 7)]
    best, probability = class_map(tiles((7 * 20, side), places, [0.2] * len(places)))
    assert best.shape == (14, SIDE) and (best == 1).all()
    np.testing.assert_allclose(probability, 0.8)


def test_a_map_of_very_many_classes_is_coarser() -> None:
    many = Tiles(
        "a.png", (800, 800), np.array([[0, 0, 800, 800]]), np.eye(1, 1000, 7), tuple(map(str, range(1000)))
    )
    best, _ = class_map(many)
    assert best.shape == (200, 200) and (best == 7).all()


@pytest.mark.parametrize("count", [2, 10, 11, 20, 26])
def test_every_class_has_a_colour_of_its_own(count: int) -> None:
    assert len({tuple(colour) for colour in colours(count)}) == count


def test_maps_from_a_table(tiny: SimpleNamespace, tmp_path: Path) -> None:
    patches = pictures(each=1)
    for name, order in (("one", (0, 1, 2, 0)), ("two", (2, 2, 1, 1))):
        write_png(tmp_path / f"{name}.png", np.concatenate([patches[k] for k in order], axis=1))
    images = [tmp_path / "one.png", tmp_path / "two.png"]
    assert run_cli("predict", tiny.run, *images, "--tiles", 12, "--out", tmp_path / "t.csv").status == 0
    result = run_cli("draw", "tiles", tmp_path / "t.csv", "--out", tmp_path / "map.png")
    assert result.status == 0
    assert result.out.split() == [str(tmp_path / f"map-{number}.png") for number in (1, 2)]
    drawn = Image.open(tmp_path / "map-1.png")
    assert "one.png: 12 x 48 pixels, 4 tiles of 12 x 12" in drawn.text["Description"]
    assert run_cli("predict", tiny.run, images[0], "--tiles", 12, "--out", tmp_path / "t.csv").status == 0
    result = run_cli("draw", "tiles", tmp_path / "t.csv", "--out", tmp_path / "map.svg")
    assert result.out.split() == [str(tmp_path / "map.svg")]
    assert b"svg" in (tmp_path / "map.svg").read_bytes()[:300]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no table of tiles"),
        ("path,class,p_a\nx.png,a,1\n", "is no table of tiles"),
        (HEAD, "is no table of tiles"),
        (HEAD + "x.png,tile,0,0,2,2,a,1,1,0\n", "Predict again"),
        (HEAD + "x.png,image,0,0,2,2,a,1,1,0\n", "Predict again"),
        (HEAD + "x.png,tile,0,0,2,2,a,1,1,?\nx.png,image,0,0,2,2,a,1,1,0\n", "Predict again"),
        (HEAD + "x.png,tile,0,0,2,2,a,1,1,0\nx.png,image,0,0,0,0,a,1,1,0\n", "Predict again"),
        (HEAD + "x.png,tile,-1,0,2,2,a,1,1,0\nx.png,image,0,0,2,2,a,1,1,0\n", "Predict again"),
        (HEAD + "x.png,tile,0,0,2,2,a,1,1,nan\nx.png,image,0,0,2,2,a,1,1,0\n", "Predict again"),
        (HEAD + "x.png,tile,0\nx.png,image,0,0,2,2,a,1,1,0\n", "Predict again"),
    ],
)
def test_another_table(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert words in refused("draw", "tiles", tmp_path / "t.csv", "--out", tmp_path / "map.png")
    assert not (tmp_path / "map.png").exists()


def test_no_table(tmp_path: Path) -> None:
    assert "cannot be read as a table" in refused("draw", "tiles", tmp_path / "no.csv", cwd=tmp_path)
    assert "PNG or SVG" in refused("draw", "tiles", tmp_path / "no.csv", "--out", tmp_path / "map.gif")
