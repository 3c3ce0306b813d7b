"""A comparison in a real browser: nothing is wrong with it in either theme or on a phone, and its tables sort."""

import shutil

import pytest
from browser import barriers, faint, overflow, snap
from conftest import run_cli


@pytest.fixture(scope="module")
def page_file(tiny, tmp_path_factory):
    home = tmp_path_factory.mktemp("compared")
    runs = [
        shutil.copytree(run, home / f"a rather long name of run {number}") for number, run in enumerate(tiny.runs)
    ]
    assert run_cli("evaluate", *runs, "--root", tiny.data).status == 0
    assert run_cli("report", *runs, "--out", home / "page.html").status == 0
    return home / "page.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_fault_in_either_theme(visit, page_file, scheme):
    page = visit(page_file, scheme=scheme)
    assert page.get_by_role("heading", level=1).text_content() == "3 models compared"
    assert barriers(page) == [] and overflow(page) == [] and faint(page) == []
    snap(page, f"comparison-{scheme}")


def test_the_page_fits_a_phone(visit, page_file):
    page = visit(page_file, phone=True)
    assert overflow(page) == []
    snap(page, "comparison-phone")


def test_the_leaderboard_is_sorted_by_what_is_pressed(visit, page_file):
    page = visit(page_file)
    table = page.locator("#result table")
    losses = table.locator("tbody tr td:nth-child(6)")
    before = [float(text.split()[0]) for text in losses.all_text_contents()]
    table.get_by_role("button", name="log loss").press("Enter")
    after = [float(text.split()[0]) for text in losses.all_text_contents()]
    assert sorted(before) == sorted(after) and after == sorted(after, reverse=True)


def test_the_page_is_whole_without_scripts(visit, page_file):
    page = visit(page_file, javascript=False)
    assert page.locator("#curves svg").count() == 3
    assert page.locator("#differences tbody tr").count() == 3
