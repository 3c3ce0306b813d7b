"""Figures of errors: which images, in what order, what is said of each, on how many pages."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bioclass.ensemble import combine
from bioclass.errors import InputError
from bioclass.report.from_runs import Ensemble, parse_ensemble
from bioclass.report.gallery import Layout, draw_gallery
from bioclass.report.misclassified import captions, misclassified, sentence, table_csv
from bioclass.report.predictions import Predictions, is_evaluated, read_probabilities, voted
from bioclass.report.sheet import DPI, HEIGHT, WIDTH, measured
from bioclass.run import open_run

CLASSES = ("cat", "dog", "newt")
#                  0  1  2  3  4  5  6
LABELS = np.array([2, 0, 0, 1, 0, 2, 1])
NET = Predictions("Net", 5, "MV", np.array([0, 0, 1, 1, 1, 2, 2]), np.array([0.9, 1, 0.6, 1, 0.8, 1, 1]))
DC = Predictions("DC", 1, "MV", np.array([0, 2, 0, 1, 2, 2, 1]), np.ones(7))


def test_the_errors_are_those_of_the_first_by_class_and_the_surest_first() -> None:
    assert misclassified(LABELS, [NET]).tolist() == [4, 2, 6, 0]
    assert misclassified(LABELS, [NET, DC]).tolist() == [4, 2, 6, 0]
    assert misclassified(LABELS, [DC, NET]).tolist() == [1, 4, 0]
    assert misclassified(LABELS, [NET, DC], both=True).tolist() == [4, 0]


def test_an_asterisk_marks_what_the_second_gets_wrong_too() -> None:
    rows = misclassified(LABELS, [NET, DC])
    assert captions(rows, LABELS, [NET, DC], CLASSES) == [
        ("cat", "Net(dog)", "DC(newt)*"),
        ("cat", "Net(dog)", "DC(cat)"),
        ("dog", "Net(newt)", "DC(dog)"),
        ("newt", "Net(cat)", "DC(cat)*"),
    ]
    both = misclassified(LABELS, [NET, DC], both=True)
    assert captions(both, LABELS, [NET, DC], CLASSES, both=True)[0] == ("cat", "Net(dog)", "DC(newt)")
    assert captions(rows[:1], LABELS, [NET], CLASSES) == [("cat", "Net(dog)")]


def test_the_sentence_counts() -> None:
    rows = misclassified(LABELS, [NET, DC])
    assert sentence(rows, LABELS, [NET], "test images (Pets)") == (
        "4 of 7 test images (Pets) are misclassified by Net (5 runs, MV): true class, Net(predicted)."
    )
    text = sentence(rows, LABELS, [NET, DC], "test images (Pets)")
    assert text.endswith("Net(predicted), DC(predicted). * 2 are also misclassified by DC (1 run).")
    both = misclassified(LABELS, [NET, DC], both=True)
    text = sentence(both, LABELS, [NET, DC], "images", both=True)
    assert text.startswith("2 of 7 images are misclassified by both Net (5 runs, MV) and DC (1 run): ")


def test_the_list_has_every_image_in_the_order_of_the_figure() -> None:
    rows = misclassified(LABELS, [NET, DC])
    ids = np.array([f"slide, {number}" for number in range(7)])
    table = list(csv.DictReader(io.StringIO(table_csv(rows, LABELS, ids, [NET, DC], CLASSES))))
    assert [row["id"] for row in table] == ["slide, 4", "slide, 2", "slide, 6", "slide, 0"]
    assert table[0] == {"id": "slide, 4", "true": "cat", "Net": "dog", "p_Net": "0.8", "DC": "newt", "p_DC": "1.0"}


def test_ensembles_vote_as_combine_does() -> None:
    members = np.random.default_rng(0).dirichlet(np.ones(3), (3, 50))
    for method in ("MV", "MPS", "MP"):
        vote, found = combine(members, method), voted("Net", list(members), method)
        assert np.array_equal(found.predicted, vote.predicted)
        assert np.array_equal(found.confidence, vote.probabilities[np.arange(50), vote.predicted])
    assert found.members == "3 runs, MP"


# The user's words


def test_an_ensemble_is_a_name_and_runs() -> None:
    assert parse_ensemble("Net = runs/a, runs/b=2") == Ensemble("Net", (Path("runs/a"), Path("runs/b=2")))


@pytest.mark.parametrize("text", ["runs/a", "=runs/a", "Net=", "Net=runs/a,,runs/b"])
def test_a_malformed_ensemble_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"NAME=RUN,RUN.*Got "):
        parse_ensemble(text)


def test_a_run_votes_once() -> None:
    with pytest.raises(InputError, match=r"Net: the run runs/\.\./runs/a is given twice"):
        parse_ensemble("Net=runs/a,runs/../runs/a")


# What runs left in their folders


@pytest.fixture
def run(tiny: SimpleNamespace, tmp_path: Path) -> Path:
    return shutil.copytree(tiny.run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation"))


def write_predictions(folder: Path, changes: dict[int, str] | None = None) -> Path:
    """Write the table of an evaluation of a run that is sure and right, but for the rows in ``changes``."""
    opened = open_run(folder)
    rows = np.flatnonzero(opened.split.parts == "test")
    lines = ["id,true,predicted," + ",".join(f"p_{name}" for name in opened.classes)]
    for place, row in enumerate(rows):
        true = opened.classes[opened.split.labels[row]]
        predicted = (changes or {}).get(place, true)
        shares = ",".join("0.9" if name == predicted else "0.05" for name in opened.classes)
        lines.append(f"{opened.split.ids[row]},{true},{predicted},{shares}")
    file = folder / "evaluation" / "test" / "predictions.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_predictions_are_read_from_a_run(run: Path) -> None:
    opened = open_run(run)
    assert not is_evaluated(opened, "test") and read_probabilities(opened, "test") is None
    file = write_predictions(run, {2: "class2"})
    found = read_probabilities(opened, "test")
    labels = opened.split.labels[opened.split.parts == "test"]
    assert found is not None and found.shape == (len(labels), 3)
    assert np.flatnonzero(found.argmax(axis=1) != labels).tolist() == [2]
    assert is_evaluated(opened, "test") and not is_evaluated(opened, "validation")
    weights = (run / "best" / "manifest.json").stat().st_mtime
    os.utime(file, (weights - 60, weights - 60))
    assert not is_evaluated(opened, "test")


@pytest.mark.parametrize("damage", ["other id", "other label", "cut", "no number", "other column", "bytes"])
def test_a_table_of_something_else_is_not_taken(run: Path, damage: str) -> None:
    file = write_predictions(run)
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    changed = {
        "other id": text.replace(lines[1].split(",")[0], "class0/other.png"),
        "other label": text.replace(",class0,class0", ",class1,class0", 1),
        "cut": "\n".join(lines[:-1]),
        "no number": text.replace("0.9", "much", 1),
        "other column": text.replace("p_class1", "p_class9"),
    }
    assert read_probabilities(open_run(run), "test") is not None
    file.write_bytes(b"\xff\xfe\x00" if damage == "bytes" else changed[damage].encode())
    assert read_probabilities(open_run(run), "test") is None


# The page


def layout(texts: list[tuple[str, ...]], shape: tuple[int, int] = (28, 28), note: str = "A note.") -> Layout:
    return Layout(texts, shape, note)


def test_a_short_caption_is_one_line_and_a_long_one_a_line_for_each_part() -> None:
    assert layout([("5", "Net(3)", "DC(3)*")]).captions == ["5, Net(3), DC(3)*"]
    long = layout([("carcinoma_in_situ", "Net(severe_dysplastic)", "DropConnect(severe_dysplastic)*")])
    assert long.captions[0].split("\n")[:2] == ["carcinoma_in_situ,", "Net(severe_dysplastic),"]
    assert max(measured(line, 6.5) for line in long.captions[0].split("\n")) <= long.cell
    assert long.step > layout([("5", "Net(3)")]).step


def test_pages_are_a_journals_and_hold_everything() -> None:
    for count in (1, 3, 13, 89, 400):
        for text in [("5", "Net(3)")], [("normal_columnar", "Net(normal_intermediate)")]:
            for shape in (28, 28), (2000, 3000), (300, 90), (8, 8):
                found = layout(text * count, shape)
                rows = -(-min(count, found.each_page) // found.columns)
                assert found.width <= WIDTH and rows * found.step + found.note_height <= HEIGHT + 0.2
                assert found.pages * found.each_page >= count > (found.pages - 1) * found.each_page
                assert found.tile <= found.cell + 1e-9


def test_rows_of_a_single_page_are_about_as_full() -> None:
    found = layout([("5", "Net(3)", "DC(3)*")] * 13)
    assert found.pages == 1 and found.columns == 7
    assert layout([("5", "Net(3)")]).columns == 1


def test_every_picture_is_drawn_once_with_its_caption(tmp_path: Path) -> None:
    asked = []
    pixels = np.random.default_rng(0).integers(0, 256, (45, 40, 40, 3), dtype=np.uint8)

    def picture(number: int) -> np.ndarray:
        asked.append(number)
        return pixels[number]

    texts = [(f"true number {i}", f"Net(false number {i})", "DropConnect(something)") for i in range(45)]
    files = draw_gallery(picture, texts, (40, 40), tmp_path / "errors.svg", "45 errors.")
    assert [file.name for file in files] == ["errors-1.svg", "errors-2.svg"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["errors-1.svg", "errors-2.svg"]
    assert asked == list(range(45))
    pages = [file.read_text(encoding="utf-8") for file in files]
    assert sum(page.count("<image ") for page in pages) == 45
    for i in range(45):
        assert sum(page.count(f"<!-- Net(false number {i}), -->") for page in pages) == 1
    end = pages[0].count("<image ")
    assert f"<!-- 45 errors. Page 1 of 2: 1 to {end}. -->" in pages[0]
    assert f"<!-- 45 errors. Page 2 of 2: {end + 1} to 45. -->" in pages[1]


def test_one_page_keeps_the_name(tmp_path: Path) -> None:
    pixels = np.full((9, 9, 3), (200, 30, 77), np.uint8)
    files = draw_gallery(lambda number: pixels, [("5", "Net(3)")] * 2, (9, 9), tmp_path / "e.png", "2 errors.")
    assert files == [tmp_path / "e.png"]
    with Image.open(files[0]) as image:
        page = np.asarray(image.convert("RGB"))
        assert image.info["Description"] == "2 errors."
    side = round(layout([("5", "Net(3)")] * 2, (9, 9)).tile * DPI)
    assert side % 9 == 0 and (page == (200, 30, 77)).all(axis=2).sum() == 2 * side * side
