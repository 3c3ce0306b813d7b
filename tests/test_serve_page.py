"""The page of ``bioclass serve`` in a real browser: images are given and drawn, and a table is made."""

from __future__ import annotations

import asyncio
import csv
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from browser import Visit, barriers, faint, overflow, snap, twins
from conftest import fit, pictures, run_cli, write_folder, write_recipe

from bioclass.backend import mx
from bioclass.serve.app import app
from bioclass.serve.limits import Limits
from bioclass.serve.models import load_models, open_sources
from bioclass.serve.server import address, listen, server
from bioclass.serve.service import Service
from bioclass.serve.worker import Worker
from bioclass.shelf import Shelf


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Two models on images of 28 x 28, and where they are served."""
    home = tmp_path_factory.mktemp("page")
    data = write_folder(home / "pics", pictures(each=30, shape=(28, 28)))
    lenet = 'name = "lenet"\nfc1 = 16'
    a = fit(write_recipe(home / "a.toml", "pics", network=lenet, extra="[split]\nvalidation = 0.3"), home / "a")
    b = fit(write_recipe(home / "b.toml", "pics"), home / "<b>")
    assert run_cli("evaluate", a, "--calibrate", "--error-rate", 0.2).status == 0
    worker = Worker()
    models = load_models(open_sources([a, b]), mx.cpu(), Shelf.of(()), None, worker)
    started = threading.Event()
    with listen("127.0.0.1", 0) as listening:
        serving = server(app(Service(models, worker, Limits())), started.set)
        thread = threading.Thread(target=asyncio.run, args=(serving.serve(sockets=[listening]),))
        thread.start()
        assert started.wait(30)
        files = sorted(data.rglob("*.png"))
        yield SimpleNamespace(home=home, at=address(listening), data=data, files=files, run=a, models=models)
        serving.should_exit = True
        thread.join(30)


def draw(page: Any, places: list[tuple[float, float]]) -> None:
    box = page.locator("#canvas").bounding_box()
    where = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*where[0])
    page.mouse.down()
    for x, y in where[1:]:
        page.mouse.move(x, y, steps=4)
    page.mouse.up()


@pytest.mark.parametrize(("scheme", "phone"), [("light", False), ("dark", False), ("light", True)])
def test_images_are_given_and_drawn(home: SimpleNamespace, visit: Visit, scheme: str, phone: bool) -> None:
    page = visit(home.at, scheme=scheme, phone=phone)
    page.set_input_files("#files", home.files[45])
    answer = page.locator(".result", has_text=home.files[45].name)
    answer.locator(".near").first.wait_for()
    shown = answer.locator(".class").all_inner_texts()
    # The mean, and each of the two.
    assert len(shown) == 3 and all(text.startswith("class") and text.endswith("%") for text in shown)
    assert answer.locator(".near li").count() == 12 and answer.locator(".pair img").count() == 4
    assert answer.locator("h4").all_inner_texts() == ["Mean of 2 models", "a", "<b>"]
    assert "error rate of 20 %" in answer.inner_text()
    # Each model with how good it is, and the mean, of which nobody measured that.
    merits = answer.locator(".class + .merit").all_inner_texts()
    assert (
        "was not measured" in merits[0]
        and "on 18 test images" in merits[1]
        and "95 % interval" in merits[1].replace("\xa0", " ")
    )
    assert merits[2].endswith(f"Give bioclass evaluate '{home.home}/<b>' and serve it again.")
    assert "Similarity to the " in answer.inner_text() and "less is unusual" in answer.inner_text()
    draw(page, [(0.5, 0.2), (0.5, 0.8)])
    drawing = page.locator(".result", has_text="Your drawing")
    drawing.locator(".near").first.wait_for()
    assert page.locator(".result").count() == 2
    assert page.locator(".said").inner_text().startswith("drawing.png: class")
    page.get_by_text("What the similarities mean").click()
    assert (overflow(page), faint(page), barriers(page), twins(page)) == ([], [], [], [])
    snap(page, f"serve-{scheme}{'-phone' if phone else ''}")
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Remove all").click()
    assert page.locator("#results").is_hidden()


def test_an_image_of_the_training_is_no_test(home: SimpleNamespace, visit: Visit) -> None:
    parts = {row["id"]: row["part"] for row in csv.DictReader((home.run / "split.csv").read_text().splitlines())}
    page = visit(home.at)
    for part, told in (("train", 1), ("test", 0)):
        name = next(name for name in parts if parts[name] == part)
        page.set_input_files("#files", home.data / name)
        # Of one name, as both files are, the second is told apart.
        answer = page.locator(".result").first
        model = answer.locator(".answer").filter(has=page.get_by_role("heading", name="a", exact=True))
        model.locator(".near").wait_for()
        notice = model.locator(".notice.warn")
        assert notice.count() == told
        if told:
            assert (
                notice.inner_text() == f"This image is one of the training images ({name}): the answer is no test."
            )
    page.set_input_files("#files", home.data / name)
    page.get_by_role("article", name=f"{Path(name).name} (2)").locator(".near").first.wait_for()
    assert twins(page) == []


def test_what_is_told_of_training_images_comes_when_they_are_read(
    home: SimpleNamespace, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit(home.at)
    for model in home.models:
        for _ in range(600):
            if model.neighbours.trained.complete:
                break
            page.wait_for_timeout(50)
    with monkeypatch.context() as early:
        for model in home.models:
            early.setattr(model.neighbours, "_ready", None)
            early.setattr(model.neighbours.trained, "complete", False)
        page.set_input_files("#files", home.files[0])
        page.get_by_text("Training images are still being read").first.wait_for()
        assert page.locator(".near").count() == 0
    page.locator(".near").first.wait_for()
    assert page.locator(".result").count() == 1 and page.get_by_text("still being read").count() == 0


def test_without_its_script_the_page_names_the_api(home: SimpleNamespace, visit: Visit) -> None:
    page = visit(home.at, javascript=False)
    said = page.locator("noscript")
    assert "need this page's script" in said.inner_text() and "JSON API" in said.inner_text()
    page.get_by_role("link", name="From a program").click()
    assert "http://HOST:PORT/api/predict?model=a" in page.locator("pre").inner_text()
    labels = page.locator("label.choose").all_inner_texts()
    assert labels == ["Choose images to classify", "Choose images for the table"]


def test_what_cannot_be_used_is_said_once_and_stays_text(
    home: SimpleNamespace, visit: Visit, tmp_path: Path
) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>.png"
    hostile.write_bytes(b"no image")
    page = visit(home.at)
    page.set_input_files("#files", hostile)
    page.locator(".notice.bad").wait_for()
    assert page.locator(".notice.bad").count() == 1
    assert page.locator(".notice.bad").inner_text().startswith(f"{hostile.name} is not an image")
    assert page.locator(".result img").count() == 0
    # Chromium notes every refusal.
    visit.expect("422")


def test_dropped_images_are_classified(home: SimpleNamespace, visit: Visit) -> None:
    page = visit(home.at)
    page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(28, 28);
          canvas.getContext("2d").fillRect(0, 0, 28, 28);
          const dropped = new DataTransfer();
          dropped.items.add(new File([await canvas.convertToBlob()], "dropped.png"));
          const drop = new DragEvent("drop", { dataTransfer: dropped, bubbles: true });
          document.getElementById("drop").dispatchEvent(drop);
        }"""
    )
    page.locator(".result", has_text="dropped.png").locator(".class").first.wait_for()


def test_many_images_become_the_table_of_predict(home: SimpleNamespace, visit: Visit, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    page = visit(home.at)
    page.set_input_files("#many", [*home.files[:5], bad])
    page.get_by_role("button", name="Make the table").click()
    with page.expect_download() as download:
        page.locator("#save").click()
    download.value.save_as(tmp_path / "served.csv")
    assert page.locator("#told").inner_text() == "5 of 6 images were classified."
    assert page.locator("#failed li").count() == 1 and "bad.png" in page.locator("#failed").inner_text()
    # The batch that was computed had six places, for the one that is no image too.
    assert run_cli("predict", home.run, *home.files[:5], bad, "--answers", "--out", tmp_path / "t.csv").status == 0
    tables = [(tmp_path / name).read_text().splitlines() for name in ("served.csv", "t.csv")]
    served, told = (list(csv.DictReader(lines)) for lines in tables)
    assert [row["path"] for row in served] == [path.name for path in home.files[:5]]
    assert [{**row, "path": ""} for row in served] == [{**row, "path": ""} for row in told]


def test_a_drawing_is_answered_stroke_by_stroke(home: SimpleNamespace, visit: Visit) -> None:
    page = visit(home.at)
    draw(page, [(0.3, 0.2), (0.7, 0.2), (0.4, 0.8)])
    taken = page.get_by_alt_text("The image as the model takes it").first
    first = taken.get_attribute("src")
    draw(page, [(0.35, 0.5), (0.65, 0.5)])
    page.wait_for_function("(first) => document.querySelector('.pair img').src !== first", arg=first)
    assert page.locator(".result").count() == 1, "it is the same drawing, with one stroke more"
    images = page.locator(".result img")
    assert images.evaluate_all("all => all.every((each) => each.complete && each.naturalWidth > 0)")
    shares = [float(text.strip("<>% ")) for text in page.locator(".mean .number").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.3)
    page.get_by_role("button", name="Clear").click()
    ink = "[...document.getElementById('canvas').getContext('2d').getImageData(0, 0, 280, 280).data]"
    assert page.evaluate(f"{ink}.filter((value, place) => place % 4 < 3 && value).length") == 0
