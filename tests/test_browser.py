"""The browser that tests look through sees what is wrong with a page: else a test of a good page shows nothing."""

import pytest
from browser import Visit, barriers, faint, overflow, small, snap

GOOD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<style>:root {{ color-scheme: light dark; color: #222; background: #fff }}
@media (prefers-color-scheme: dark) {{ :root {{ color: #ddd; background: #111 }} }}</style>
<main><h1>A page</h1><p>Text.</p>{}</main></html>"""


@pytest.fixture
def write(tmp_path):
    """Write a page with something in it, and return its path."""

    def written(body=""):
        path = tmp_path / "page.html"
        path.write_text(GOOD.format(body), encoding="utf-8")
        return path

    return written


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_good_page_has_no_fault_in_either_theme(visit, write, scheme):
    page = visit(write('<svg role="img" aria-label="a box"><rect width="9" height="9"/></svg>'), scheme=scheme)
    assert page.evaluate("getComputedStyle(document.documentElement).color") == (
        "rgb(34, 34, 34)" if scheme == "light" else "rgb(221, 221, 221)"
    )
    assert faint(page) == barriers(page) == overflow(page) == []


def test_what_a_page_complains_of_or_asks_for_fails_the_test(chromium, write):
    visitor = Visit(chromium)
    visitor(
        write(
            """<script>console.error("no"); alert("hello"); nothing()</script>
            <img alt="" src="https://example.org/a.png"><img alt="" src="beside.png">"""
        )
    )
    with pytest.raises(AssertionError):
        visitor.close()
    for said in (
        "^error: no$",
        "^alert: hello$",
        "^raised: nothing is not defined$",
        "^asked for https://example.org/a.png$",
        "^asked for file:.*/beside.png$",
    ):
        visitor.expect(said)
    # The two pictures that are not there.
    visitor.expect("^error: Failed to load resource")
    visitor.close()


def test_a_test_may_expect_a_complaint_but_only_one_that_came(visit, write):
    page = visit(write())
    with pytest.raises(AssertionError, match="no complaint matches 'refused'"):
        visit.expect("refused")
    page.evaluate("console.error('refused')")
    visit.expect("refused")


def test_faint_text_is_found(visit, write):
    page = visit(write())
    found = {
        '<p class="pale" style="color: #999">pale</p>': ['2.85: p.pale "pale"'],
        '<p style="color: #999; background: #000">on black</p>': [],
        '<div style="opacity: 0.4"><p>faded</p></div>': ['2.42: p. "faded"'],
        '<p style="color: #fff; display: none">hidden</p><p style="color: transparent">not to be seen</p>': [],
        # In a drawing, what was drawn below the text counts.
        '<svg role="img" aria-label="x" width="99" height="40"><rect width="99" height="40" fill="#222"/>'
        '<text y="20" fill="#222">dark</text><text y="20" x="50" fill="#fff">light</text></svg>': [
            '1.00: text. "dark"'
        ],
    }
    for body in found:
        page.set_content(GOOD.format(body))
        assert faint(page) == found[body]


def test_what_shuts_readers_out_is_found(visit, write):
    page = visit(write())
    found = {
        "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>": "a picture without alt",
        "<svg><rect/></svg>": "a drawing without a name",
        "<svg role='img'><title>A box</title><rect/></svg>": "",
        "<input type='text'>": "a control without a label",
        "<label for='a'>A</label><input id='a'>": "",
        "<button></button>": "a button or link without a name",
        "<button><img alt='Go' src='data:,'></button>": "",
        "<h3>Deep</h3>": "heading 3 after 1: Deep",
        "<table><caption>T</caption><tr><td>1</td></tr></table>": "a table without headers",
        "<table><tr><th>1</th></tr></table>": "a table without a caption",
        "<div role='region' aria-label='T'><table><tr><th>1</th></tr></table></div>": "",
        "<dialog aria-labelledby='later'></dialog>": "",
        "<dialog open></dialog>": "a dialog or navigation without a name",
        "<div onclick='0'>press</div>": "a thing to press that says nothing",
        "<p id='a'></p><p id='a'></p>": "the id a occurs twice",
        "<a href='#there'>there</a>": "a link to nothing: #there",
    }
    for body in found:
        page.set_content(GOOD.format(body))
        said = barriers(page)
        assert len(said) == bool(found[body]), said
        assert all(each.startswith(found[body]) for each in said), said


def test_a_page_wider_than_a_phone_is_found_and_a_table_that_scrolls_by_itself_is_not(visit, write):
    wide = '<div class="wide" style="width: 600px">wide</div>'
    assert overflow(visit(write(wide), phone=True)) == ["the page is 608 px wide in 390 px", "div.wide"]
    assert overflow(visit(write(f'<div style="overflow-x: auto">{wide}</div>'), phone=True)) == []


def test_text_of_a_drawing_that_is_shrunk_too_far_is_found(visit, write):
    drawing = """<svg role="img" aria-label="x" viewBox="0 0 {} 20" width="100">
        <text y="9" font-size="12">text</text></svg>"""
    assert small(visit(write(drawing.format(100)))) == []
    assert small(visit(write(drawing.format(200)))) == ['6.0 px: "text"']


def test_pictures_are_left_only_where_a_folder_is_named(visit, write, tmp_path, monkeypatch):
    page = visit(write())
    snap(page, "page")
    assert list(tmp_path.glob("*.png")) == []
    monkeypatch.setenv("BIOCLASS_TEST_SCREENSHOTS", str(tmp_path))
    snap(page, "page")
    assert (tmp_path / "page.png").stat().st_size > 1000
