"""What every page is made of: its template, its escaping, and that it asks nothing of a network."""

import base64
import hashlib
import json
import re

import pytest
from jinja2 import DictLoader

from bioclass.report.page import html, package_text, render

HOSTILE = "</script><b>\u2028&amp;\"'"
PAGE = """{% extends "base.html.jinja" %}{% block title %}{{ word }}{% endblock %}
{% block content %}<p title="{{ word }}">{{ word }}</p>{% endblock %}
{% block data %}{{ json_script("facts", {"word": word}) }}{% endblock %}"""


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(html.environment(html.HERE), "loader", DictLoader({"page": PAGE} | shared()))
    return render("page", {"word": HOSTILE}, scripts=["const more = 1;"], styles=["b{color:red}"])


def shared():
    return {"base.html.jinja": package_text("templates/base.html.jinja")}


def test_what_comes_from_outside_is_text(page):
    assert "<b>" not in page and page.count("<p title=") == 1
    assert "&lt;/script&gt;&lt;b&gt;" in page
    # The shared script, the one that was given, and the data: nothing opened or ended another.
    assert page.count("<script") == page.count("</script>") == 3


def test_data_comes_back_as_it_was(page):
    text = re.search(r'<script type="application/json" id="facts">(.*?)</script>', page).group(1)
    assert json.loads(text) == {"word": HOSTILE}


def test_the_page_runs_its_own_scripts_and_fetches_nothing(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1).replace("&#39;", "'")
    for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'") and "connect-src" not in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert not re.search(r"(?:src|href)=\"?(?:https?:)?//", page)
    assert "url(" not in page and "@import" not in page


def test_a_page_of_a_server_may_ask_it(monkeypatch):
    monkeypatch.setattr(html.environment(html.HERE), "loader", DictLoader({"page": PAGE} | shared()))
    assert "connect-src &#39;self&#39;" in render("page", {"word": ""}, connect=True)


def test_a_script_that_ends_its_own_element_is_refused():
    with pytest.raises(ValueError, match="its own end"):
        render("base.html.jinja", {}, scripts=["'</script>'"])
