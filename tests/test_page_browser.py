"""What every page can do, in a browser: tables sort and filter, views switch, commands are copied, print works."""

import re

import pytest
from browser import barriers, faint, overflow

from bioclass.report.page.html import HERE, environment, package_text, render

ROWS = [("beta", 0.5, "10"), ("Alpha", 0.975, "2"), ("gamma 10", None, "7"), ("gamma 2", 1.0, "33")]
TEMPLATE = """{% extends "base.html.jinja" %}
{% block title %}A page{% endblock %}
{% block navigation %}<nav class="sections" aria-label="Sections"><ul>
<li><a href="#one">One</a></li><li><a href="#two">Two</a></li></ul></nav>{% endblock %}
{% block content %}
<header class="top"><h1>A page</h1></header>
<section id="one"><h2>One</h2>
<label>Filter <input type="search" data-filter="rows"></label>
<div class="switch" data-for="rows" role="group" aria-label="View">
<button value="counts" aria-pressed="true">Counts</button>
<button value="rates" aria-pressed="false">Rates</button></div>
<table class="sortable" id="rows"><caption>Rows</caption>
<thead><tr><th>name</th><th>share</th><th>images</th><th data-unsorted>note</th></tr></thead><tbody>
{% for name, share, images in rows %}<tr><th>{{ name }}</th>
<td data-sort="{{ share if share is not none }}">{{ '-' if share is none else '%.1f %%' % (100 * share) }}</td>
<td>{{ images }}</td><td>note</td></tr>{% endfor %}</tbody></table></section>
<section id="two"><h2>Two</h2><pre id="command">bioclass fit</pre>
<button class="copy" data-copy="command">Copy</button>
<details><summary>More</summary><p>Within</p></details>{{ hostile }}</section>
{% endblock %}
{% block data %}{{ json_script("data", document) }}{% endblock %}"""
HOSTILE = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"


@pytest.fixture
def tables(visit, tmp_path, monkeypatch):
    """Open a page with a table, made as every page of bioclass."""
    from jinja2 import ChoiceLoader, DictLoader

    made = environment(HERE)
    monkeypatch.setattr(made, "loader", ChoiceLoader([DictLoader({"page.html.jinja": TEMPLATE}), made.loader]))
    values = {"rows": ROWS, "hostile": HOSTILE, "document": {"text": HOSTILE}}
    path = tmp_path / "page.html"
    path.write_text(render("page.html.jinja", values), encoding="utf-8")
    return lambda **how: visit(path, **how)


def names(page):
    return page.locator("#rows tbody tr:visible th").all_text_contents()


def sorted_by(page):
    return page.eval_on_selector_all("#rows th", "all => all.map((th) => th.getAttribute('aria-sort'))")[:4]


def test_a_table_is_sorted_by_click_and_by_keyboard(tables):
    page = tables()
    share = page.get_by_role("button", name="share")
    share.click()
    # Numbers from the largest on; what has no value stays last.
    assert names(page) == ["gamma 2", "Alpha", "beta", "gamma 10"]
    assert sorted_by(page) == [None, "descending", None, None]
    share.click()
    assert names(page) == ["beta", "Alpha", "gamma 2", "gamma 10"]
    assert sorted_by(page) == [None, "ascending", None, None]
    assert page.get_by_role("status").text_content() == "Sorted by share, ascending"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    # Names from the first on, however they are written, and by the numbers in them.
    assert names(page) == ["Alpha", "beta", "gamma 2", "gamma 10"]
    assert sorted_by(page) == ["ascending", None, None, None]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert names(page) == ["gamma 2", "beta", "gamma 10", "Alpha"], "33, 10, 7, 2: as numbers, not as text"
    assert page.get_by_role("button", name="note").count() == 0


def test_a_filter_hides_the_rows_that_lack_its_words(tables):
    page = tables()
    page.get_by_label("Filter").fill("33 GAMMA")
    assert names(page) == ["gamma 2"]
    assert page.get_by_role("status").text_content().startswith("1 row")
    page.get_by_label("Filter").fill("")
    assert len(names(page)) == 4


def test_a_view_is_switched(tables):
    page = tables()
    rows = page.locator("#rows")
    assert rows.get_attribute("data-view") == "counts"
    page.get_by_role("button", name="Rates").press("Enter")
    assert rows.get_attribute("data-view") == "rates"
    assert page.get_by_role("button", name="Rates").get_attribute("aria-pressed") == "true"
    assert page.get_by_role("button", name="Counts").get_attribute("aria-pressed") == "false"


def test_a_command_is_copied_or_at_least_selected(tables):
    page = tables()
    copy = page.get_by_role("button", name="Copy")
    copy.click()
    page.wait_for_function("document.querySelector('.said').textContent")
    if page.get_by_role("status").text_content() == "Selected":
        assert page.evaluate("getSelection().toString()") == "bioclass fit"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copy.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "bioclass fit"


def test_text_of_a_user_stays_text_and_scripts_of_others_do_not_run(tables, visit):
    page = tables()
    assert page.title() == "A page"
    assert HOSTILE in page.locator("#two").text_content()
    assert page.evaluate("bioclass.data('data').text") == HOSTILE
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('img'), {src: 'https://example.org/x'}))"
    )
    page.wait_for_timeout(50)
    visit.expect("error: .*Content Security Policy")
    visit.expect("asked for https://example.org/x")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_legible_and_its_themes_differ(tables, scheme):
    page = tables(scheme=scheme, phone=True)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 26)")
    assert faint(page) == barriers(page) == overflow(page) == []


def test_on_paper_everything_is_open_and_light(tables):
    page = tables(scheme="dark")
    assert not page.get_by_text("Within").is_visible()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.get_by_text("Within").is_visible()
    assert not page.get_by_role("navigation").is_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper')") == "#ffffff"
    assert faint(page) == []
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details").get_attribute("open") is None


def test_every_variable_that_the_style_uses_is_set():
    style = package_text("style.css")
    used, given = set(re.findall(r"var\((--[\w-]+)\)", style)), set(re.findall(r"(--[\w-]+):", style))
    assert used <= given
