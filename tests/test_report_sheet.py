"""The figure under all figures: where things are, the same bytes each time, and no trace outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from bioclass.errors import InputError
from bioclass.report.sheet import DPI, check_target, measured, plain, sheet, wrapped


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def draw(path: Path, pixels: np.ndarray, width: float = 1.0, height: float = 1.0) -> Path:
    with sheet(1.5, 1.5) as page:
        page.picture(pixels, 0.1, 0.2, width, height)
        page.text("two\nlines", 0.75, 0.02, 6)
        page.rule(0.1, 1.4, 0.19)
        page.save(path, "What is seen: −16°, ×2.")
    return path


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_a_small_picture_is_magnified_to_whole_squares(tmp_path: Path) -> None:
    pixels = noise(20, 25)
    seen = pixels_of(draw(tmp_path / "a.png", pixels))
    assert seen.shape == (450, 450, 3)
    # 1 inch of 300 dots by 25 pixels; 240 dots high, in the middle of 300.
    squares = pixels.repeat(12, axis=0).repeat(12, axis=1)
    assert np.array_equal(seen[60 + 30 : 60 + 30 + 240, 30 : 30 + 300], squares)


def test_a_large_picture_is_averaged_not_thinned(tmp_path: Path) -> None:
    pixels = np.zeros((1200, 1200, 3), np.uint8)
    pixels[:, ::4] = 255
    inside = pixels_of(draw(tmp_path / "a.png", pixels))[80:340, 50:310]
    # Every fourth column is white: thinned to a quarter, all or none of them would be left.
    assert inside.min() > 40 and inside.max() < 90


@pytest.mark.parametrize("suffix", [".png", ".svg", ".PNG"])
def test_the_same_figure_gives_the_same_bytes_whatever_the_settings(tmp_path: Path, suffix: str) -> None:
    import matplotlib

    first = draw(tmp_path / f"a{suffix}", noise(9, 9)).read_bytes()
    strange = {"font.size": 30.0, "savefig.facecolor": "red", "figure.dpi": 50.0, "font.family": ["serif"]}
    with matplotlib.rc_context(strange):
        before = dict(matplotlib.rcParams)
        second = draw(tmp_path / f"b{suffix}", noise(9, 9)).read_bytes()
        assert dict(matplotlib.rcParams) == before
    assert first == second


def test_the_caption_is_in_the_file(tmp_path: Path) -> None:
    with Image.open(draw(tmp_path / "a.png", noise(9, 9))) as image:
        assert image.info["Description"] == "What is seen: −16°, ×2."
        assert "Software" not in image.info
    text = draw(tmp_path / "a.svg", noise(9, 9)).read_text(encoding="utf-8")
    assert "What is seen: −16°, ×2." in text and "<dc:date>" not in text
    assert "<!-- lines -->" in text


@pytest.mark.parametrize("name", ["a$b$", "x\ny\x07", "--> <b>", "肝 \u0301", "\udcff", "𝔛\U000e0001", ""])
def test_any_name_can_be_written(tmp_path: Path, name: str) -> None:
    with sheet(1, 1) as page:
        page.text(plain(name), 0.5, 0.5, 7)
        page.save(tmp_path / "a.svg", "x")
        page.save(tmp_path / "a.png", "x")
    ElementTree.parse(tmp_path / "a.svg")
    assert plain(name).isprintable()


def test_what_cannot_be_drawn_is_an_escape() -> None:
    assert plain("naïve β ≥ 5 µm") == "naïve β ≥ 5 µm"
    assert plain("a\tb\x00\udcff") == "a\\tb\\x00\\udcff"


def test_text_is_as_wide_as_measured(tmp_path: Path) -> None:
    text = "Net(severe_dysplastic), DC(7)* 59 of 10,000"
    with sheet(4, 0.5) as page:
        page.text(text, 0.5, 0.1, 7, across="left")
        page.save(tmp_path / "a.png", "x")
    dark = np.flatnonzero((pixels_of(tmp_path / "a.png") < 128).any(axis=(0, 2)))
    assert dark[0] / DPI == pytest.approx(0.5, abs=0.02)
    assert (dark[-1] - dark[0]) / DPI == pytest.approx(measured(text, 7), abs=0.03)


def test_text_is_broken_where_it_may_be() -> None:
    text = "rotation-elastic-centering of severe_dysplastic"
    lines = wrapped(text, 7, 0.6).split("\n")
    assert lines == ["rotation-", "elastic-", "centering of", "severe_", "dysplastic"]
    assert max(measured(line, 7) for line in lines) <= 0.6
    assert wrapped("a\nb", 7, 5) == "a\nb"
    letters = wrapped("Pneumonoultramicroscopic", 7, 0.3).split("\n")
    assert "".join(letters) == "Pneumonoultramicroscopic" and max(measured(line, 7) for line in letters) <= 0.3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("figure.pdf", "PNG or SVG"),
        ("figure", "PNG or SVG"),
        ("nowhere/figure.png", "make it first"),
        ("folder.png", "is a folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=said):
        check_target(tmp_path / name)


SCRIPT = """
import sys
from pathlib import Path
from bioclass.report.sheet import sheet
with sheet(1, 1) as page:
    page.text("x", 0.5, 0.5, 7)
    page.save(Path(sys.argv[1]), "x")
assert "matplotlib" in sys.modules
sys.exit("matplotlib.pyplot" in sys.modules)
"""


def test_nothing_is_ever_shown(tmp_path: Path) -> None:
    """Without pyplot there is no window, and no figure that is kept."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path / "a.png"], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
