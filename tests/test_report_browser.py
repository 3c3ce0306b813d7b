"""A report in a browser, as its readers meet it: from disk, by mouse and keyboard, on a phone and on paper."""

import csv
import json
import re

import numpy as np
import pytest
from browser import barriers, effort, faint, overflow, small, snap
from conftest import fit, run_cli, write_png, write_recipe

from bioclass.run import open_run

NAMES = ("dark", "grey", "bright")
CARD = """name = "beads"
title = "Beads"
classes = ["dark", "grey", "bright"]
group = "slide"
[format]
name = "npz"
groups = "groups"
"""


def held_out(run):
    """The ids and classes of the images of the test part."""
    with (run / "split.csv").open(encoding="utf-8") as file:
        return [(row["id"], NAMES[int(row["id"]) % 3]) for row in csv.DictReader(file) if row["part"] == "test"]


def write_explanation(run):
    """Write what ``bioclass explain`` would: a figure, and a map of nine images in three rows."""
    folder = run / "explanation"
    folder.mkdir()
    write_png(folder / "filters.png", np.zeros((40, 60), np.uint8))
    rows = [f"{name},{kind},{kind},test,{i % 3},{i // 3}" for i, (name, kind) in enumerate(held_out(run)[:9])]
    (folder / "pca.csv").write_text("\n".join(["id,true,predicted,part,x,y", *rows, ""]), encoding="utf-8")
    figures = [{"file": "filters.png", "alt": "Twenty filters", "caption": "The filters of the first layer."}]
    document = {
        "format": "bioclass explanation",
        "version": 1,
        "weights": open_run(run).best_digest(),
        "sections": [{"title": "First layer", "text": "What it looks for.", "figures": figures}],
        "embeddings": [{"method": "PCA", "file": "pca.csv", "explained": [0.6, 0.2]}],
    }
    (folder / "explanation.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was evaluated on more images than a report shows, of three classes that it confuses."""
    home = tmp_path_factory.mktemp("beads")
    rng = np.random.default_rng(3)
    labels = np.arange(13_000) % 3
    images = rng.normal(50 + 70 * labels, 25)[:, None, None] + rng.normal(0, 12, (len(labels), 8, 8))
    slides = np.char.add("S", (np.arange(len(labels)) % 40).astype("U2"))
    np.savez(home / "data.npz", images=images.clip(0, 255).astype("uint8"), labels=labels, groups=slides)
    (home / "beads.toml").write_text(CARD, encoding="utf-8")
    recipe = write_recipe(home / "r.toml", "beads", extra="[split]\ntest = 0.8")
    place = fit(recipe, home / "run", "--root", home, "--path", home)
    write_explanation(place)
    result = run_cli("evaluate", place, "--root", home, "--path", home, report=True)
    assert result.status == 0, result.err
    return place


@pytest.fixture
def report(run):
    return run / "evaluation" / "test" / "report.html"


@pytest.fixture
def predictions(run):
    """What the run said of each image, by its id, and the slide that it is on."""
    with (run / "evaluation" / "test" / "predictions.csv").open(encoding="utf-8") as file:
        return {row["id"]: {**row, "slide": f"S{int(row['id']) % 40}"} for row in csv.DictReader(file)}


def cards(page):
    """The ids of the images that the gallery shows at first, in their order."""
    labels = page.eval_on_selector_all("#gallery-grid button", "all => all.map((each) => each.ariaLabel)")
    return [label.split(":")[0] for label in labels]


def shown(page):
    """The ids of all images that the gallery shows when one asks for more."""
    more = page.get_by_role("button", name=re.compile("^Show more"))
    while more.is_visible():
        more.click()
    return cards(page)


def values(page, table, column):
    return page.eval_on_selector_all(
        f"#{table} tbody tr",
        f"rows => rows.map((row) => row.cells[{column}].dataset.sort ?? row.cells[{column}].innerText)",
    )


def test_ten_thousand_images_open_at_once_and_are_decoded_when_they_are_seen(visit, report):
    assert report.stat().st_size < 15e6
    page = visit(report)
    assert effort(page) < 3
    lit = "[...document.querySelectorAll('.thumb')].filter((each) => each.style.backgroundImage)"
    assert page.evaluate(f"{lit}.length") == 0, "no image is in sight yet"
    assert "10,000 of 10,400 images are here" in page.locator("#images").inner_text()
    page.locator("#images").scroll_into_view_if_needed()
    page.locator(".thumb[style*=blob]").first.wait_for()
    sheets = page.evaluate(f"[...new Set({lit}.map((each) => each.style.backgroundImage))].length")
    total = page.locator("script[id^=sheet-], [id^=sheet-]").count()
    assert 1 <= sheets < total, f"{sheets} of {total} sheets are decoded"


def test_classes_are_sorted_by_mouse_and_by_keyboard(visit, report):
    page = visit(report)
    table = page.locator("#class-table")
    heads = table.locator("thead th").all_inner_texts()
    recall = next(number for number, head in enumerate(heads) if head.startswith("recall"))
    button = table.get_by_role("button", name="recall")
    button.click()
    assert table.locator("thead th").nth(recall).get_attribute("aria-sort") == "descending"
    found = [float(value) for value in values(page, "class-table", recall)]
    assert found == sorted(found, reverse=True) and len(set(found)) == 3
    button.press("Enter")
    assert table.locator("thead th").nth(recall).get_attribute("aria-sort") == "ascending"
    assert [float(value) for value in values(page, "class-table", recall)] == sorted(found)
    table.get_by_role("button", name="Class").press("Space")
    assert values(page, "class-table", 0) == ["bright", "dark", "grey"]


def test_a_cell_of_the_confusion_matrix_opens_its_images_and_no_other(visit, report, predictions):
    page = visit(report)
    cell = page.get_by_label("of “dark” taken for “grey”")
    count = int(cell.inner_text().replace(",", ""))
    cell.click()
    wanted = {name for name, row in predictions.items() if (row["true"], row["predicted"]) == ("dark", "grey")}
    assert page.locator("#count").inner_text().startswith(f"{count:,} images")
    assert page.evaluate("document.activeElement.closest('#gallery-grid') !== null"), (
        "the focus goes where one looks"
    )
    assert page.get_by_role("combobox", name="True class").input_value() == "0"
    found = shown(page)
    assert set(found) == wanted and len(found) == count > 120
    snap(page, "report-cell", whole=False)


def test_cells_tell_counts_or_rates(visit, report):
    page = visit(report)
    cell = page.get_by_label("of “dark” taken for “grey”")
    count = int(cell.inner_text().replace(",", ""))
    page.get_by_role("button", name="% of the row").click()
    dark = sum(
        int(text.split()[0].replace(",", ""))
        for text in page.eval_on_selector_all(
            "#matrix tbody tr:first-child [aria-label]", "all => all.map((each) => each.ariaLabel)"
        )
    )
    assert float(cell.inner_text()) == pytest.approx(100 * count / dark, abs=0.06)


def test_the_gallery_is_filtered_by_answer_class_and_group(visit, report, predictions):
    page = visit(report)
    # Errors first, and of these the most confident.
    first = page.locator("#gallery-grid button").first.get_attribute("aria-label")
    wrong = [row for row in predictions.values() if row["true"] != row["predicted"]]
    surest = max(wrong, key=lambda row: float(row[f"p_{row['predicted']}"]))
    assert f"true {surest['true']}, answer {surest['predicted']}" in first
    page.get_by_role("combobox", name="Show").select_option(label="wrong answers")
    slide = wrong[0]["slide"]
    page.get_by_label("Slide").fill(slide)
    page.get_by_label("Slide").press("Enter")
    wanted = {
        name for name, row in predictions.items() if row["slide"] == slide and row["true"] != row["predicted"]
    }
    assert set(shown(page)) == wanted and wanted
    page.get_by_role("combobox", name="Answer").select_option(label="bright")
    assert set(shown(page)) == {name for name in wanted if predictions[name]["predicted"] == "bright"}
    page.get_by_label("Slide").fill("no such slide")
    assert shown(page) == []
    assert "No image" in page.locator("#count").inner_text()
    page.get_by_role("button", name="Reset").click()
    page.get_by_text("10,000 images").wait_for()
    # A slide in the table of groups leads to its images.
    group = page.locator("#group-table tbody th > *").first
    name = group.inner_text()
    group.click()
    assert {predictions[each]["slide"] for each in shown(page)} == {name}


def test_an_image_is_looked_at_by_keyboard_alone(visit, report, predictions):
    page = visit(report, scheme="dark")
    card = page.locator("#gallery-grid button").first
    ids = cards(page)
    card.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.is_visible()
    assert ids[0] in dialog.inner_text() and "wrong" in dialog.inner_text()
    shares = [float(text.strip("<>% ")) for text in dialog.locator(".bars .number").all_inner_texts()]
    assert len(shares) == 3 and sum(shares) == pytest.approx(100, abs=0.3)
    assert shares == sorted(shares, reverse=True)
    assert barriers(page) == faint(page) == []
    snap(page, "report-dialog-dark", whole=False)
    page.keyboard.press("ArrowRight")
    assert ids[1] in dialog.inner_text()
    for _ in range(5):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('dialog') !== null"), "the focus stays inside"
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.dataset.number") == "0", "the focus returns to where it was"
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.number") == "1"


@pytest.mark.parametrize("phone", [False, True], ids=["screen", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(visit, report, scheme, phone):
    page = visit(report, scheme=scheme, phone=phone)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 26)")
    # Figures follow the theme: they are written in its ink.
    inks = page.eval_on_selector_all("figure svg text", "all => all.map((each) => getComputedStyle(each).fill)")
    assert page.evaluate("getComputedStyle(document.body).color") in inks
    snap(page, f"report-{scheme}-{'phone' if phone else 'screen'}")
    assert faint(page) == barriers(page) == overflow(page) == small(page, 7) == []


def test_paper_has_every_section_open_and_no_control(visit, report):
    page = visit(report, scheme="dark", size=(700, 1000))
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    sections = page.locator("main > section")
    assert sections.count() >= 9
    for section in sections.all():
        assert section.is_visible() and section.get_by_role("heading").first.is_visible()
    assert page.locator("details:not([open])").count() == 0
    for control in ("#filters", "nav", ".copy", ".switch", "#more"):
        assert not page.locator(control).first.is_visible(), control
    thumbs = "[...document.querySelectorAll('.thumb')].filter((each) => each.checkVisibility())"
    assert page.evaluate(f"{thumbs}.length") > 20
    dim = f"{thumbs}.filter((each) => !each.style.backgroundImage)"
    assert page.evaluate(f"{dim}.length") == 0, "what was not yet in sight is printed too"
    assert faint(page) == overflow(page) == []
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_scripts_all_is_there_but_the_gallery(visit, report):
    page = visit(report, javascript=False)
    for figure in page.locator("figure svg").all():
        assert figure.is_visible()
    assert page.locator("figure svg").count() >= 5
    for table in ("#matrix", "#class-table", "#group-table"):
        assert page.locator(table).is_visible()
    assert "scripts are off" in page.locator("noscript").inner_text()
    assert page.locator("details summary").count() >= 1


def test_a_map_of_the_images_is_read_by_mouse_and_by_keyboard(visit, report, run):
    page = visit(report)
    canvas = page.locator("#explained canvas")
    canvas.scroll_into_view_if_needed()
    wide, high = canvas.bounding_box()["width"], canvas.bounding_box()["height"]
    hint = page.locator("#explained .hint")
    # The first image is at the lower left, the last at the upper right.
    first, last = held_out(run)[0], held_out(run)[8]
    canvas.hover(position={"x": 14, "y": high - 14})
    assert f"{first[0]}: true {first[1]}" in hint.inner_text()
    assert hint.locator(".thumb[style*=blob]").count() == 1
    canvas.hover(position={"x": wide - 14, "y": 14})
    assert f"{last[0]}: true {last[1]}" in hint.inner_text()
    canvas.click(position={"x": wide - 14, "y": 14})
    assert last[0] in page.get_by_role("dialog").inner_text()
    page.keyboard.press("Escape")
    # From one to its neighbour; and a class can be taken away.
    page.mouse.move(0, 0)
    canvas.focus()
    page.keyboard.press("ArrowRight")
    before = page.get_by_role("status").inner_text()
    page.keyboard.press("ArrowUp")
    assert ": true " in before and page.get_by_role("status").inner_text() != before
    page.get_by_role("checkbox", name=first[1]).uncheck()
    canvas.hover(position={"x": 14, "y": high - 14})
    assert not hint.is_visible()
    assert page.get_by_alt_text("Twenty filters").is_visible()
