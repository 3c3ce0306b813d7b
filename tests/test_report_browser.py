"""The report in a real browser: confusion cells, filters, the dialog, maps, both themes, a phone and paper."""

import json
from types import SimpleNamespace

import pytest
from browser import barriers, faint, overflow
from conftest import fit, pictures, run_cli, write_folder, write_recipe

from bioclass.run import open_run


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a run that makes mistakes, with a map of its images."""
    home = tmp_path_factory.mktemp("browser")
    write_folder(home / "pics", pictures(each=60))
    recipe = write_recipe(home / "r.toml", "pics", network='name = "mlp"\nhidden = [2]')
    run = fit(recipe, home / "run", "--set", "fit.epochs=1", "--set", "split.test=0.5")
    assert run_cli("evaluate", run, report=True).status == 0
    folder = run / "evaluation" / "test"
    split = open_run(run).split
    ids = split.ids[split.parts == "test"].tolist()
    (run / "explanation").mkdir()
    rows = [f"{name},{name.split('/')[0]},class0,test,{place % 9},{place // 9}" for place, name in enumerate(ids)]
    (run / "explanation" / "map.csv").write_text("\n".join(["id,true,predicted,part,x,y", *rows]))
    told = {
        "format": "bioclass explanation",
        "version": 1,
        "weights": open_run(run).best_digest(),
        "sections": [],
        "embeddings": [{"method": "PCA", "file": "map.csv", "explained": [0.6, 0.3]}],
    }
    (run / "explanation" / "explanation.json").write_text(json.dumps(told))
    assert run_cli("report", run).status == 0
    metrics = json.loads((folder / "metrics.json").read_text())
    return SimpleNamespace(file=folder / "report.html", confusion=metrics["confusion"], n=metrics["n"], ids=ids)


def cards(page):
    return page.locator("#gallery-grid button")


def test_a_cell_of_the_matrix_shows_its_images(report, visit):
    page = visit(report.file)
    cell = page.locator("#matrix td.wrong button").first
    true, predicted = (int(cell.get_attribute(f"data-{name}")) for name in ("true", "predicted"))
    cell.click()
    assert cards(page).count() == report.confusion[true][predicted] > 0
    # The focus is where the images are, and its label says what they are.
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert f"true class{true}, answer class{predicted}" in label
    page.get_by_role("button", name="Reset").click()
    cards(page).nth(min(96, report.n) - 1).wait_for()


def test_counts_and_rates(report, visit):
    page = visit(report.file)
    cell = page.locator("#matrix td.right button").first
    assert cell.inner_text() == str(max(report.confusion[int(cell.get_attribute("data-true"))]))
    page.get_by_role("button", name="% of the row").click()
    assert "." in cell.inner_text()


def test_filters_and_orders(report, visit):
    page = visit(report.file)
    wrong = report.n - sum(report.confusion[k][k] for k in range(3))
    page.locator("select[name=answer]").select_option("wrong")
    assert f"{wrong} image" in page.locator("#count").inner_text()
    page.locator("select[name=answer]").select_option("right")
    page.locator("select[name=order]").select_option("least")
    said = [label.split(", ")[-1] for label in cards(page).evaluate_all("all => all.map(c => c.ariaLabel)")]
    sure = [100.0 if each.startswith(">") else float(each.split()[0]) for each in said]
    assert sure == sorted(sure)
    page.locator("select[name=true]").select_option(label="class1")
    assert all(
        "true class1, answer class1" in each for each in cards(page).evaluate_all("a => a.map(c => c.ariaLabel)")
    )


def test_the_dialog_by_keyboard(report, visit):
    page = visit(report.file)
    cards(page).first.focus()
    page.keyboard.press("ArrowRight")
    name = page.evaluate("document.activeElement.ariaLabel").split(":")[0]
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("heading", name=name).is_visible()
    assert dialog.locator(".bars .bar").count() == 3 and dialog.get_by_role("img").is_visible()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.keyboard.press("ArrowRight")
    assert f"3 of {report.n}" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.ariaLabel").startswith(name)


def test_thumbnails_are_decoded_when_they_are_seen(report, visit):
    page = visit(report.file)
    lit = page.locator(".thumb[style*='blob:']")
    assert lit.count() == 0
    page.locator("#images").scroll_into_view_if_needed()
    lit.first.wait_for()


def test_points_of_a_map_show_their_images(report, visit):
    page = visit(report.file)
    canvas = page.locator("canvas")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    hint = page.locator(".hint")
    name = hint.inner_text().split(":")[0]
    assert name in report.ids and hint.locator(".thumb").is_visible()
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").get_by_role("heading", name=name).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_both_themes(report, visit, scheme):
    page = visit(report.file, scheme=scheme)
    assert barriers(page) == []
    assert faint(page) == []
    assert overflow(page) == []


def test_it_can_be_read_on_a_phone(report, visit):
    page = visit(report.file, phone=True)
    assert barriers(page) == []
    assert overflow(page) == []


def test_without_scripts_the_words_and_figures_are_there(report, visit):
    page = visit(report.file, javascript=False)
    assert page.get_by_text("Always answering").first.is_visible()
    assert page.locator("noscript p").is_visible()
    assert page.locator("figure svg").count() >= 5


def test_paper_has_the_images_and_all_that_is_folded(report, visit, tmp_path):
    page = visit(report.file, scheme="dark")
    page.pdf(path=tmp_path / "report.pdf", print_background=True)
    assert (tmp_path / "report.pdf").stat().st_size > 50_000
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.get_by_text("batch_size = 8").is_visible() and not page.locator("#filters").is_visible()
    assert cards(page).first.locator(".thumb").evaluate("t => t.style.backgroundImage") != ""
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
