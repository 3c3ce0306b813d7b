"""Pages that open from disk, without a network: the report of an evaluation, and what other pages are made of.

``render`` turns a template and values into one self-contained HTML file. ``templates/base.html.jinja``,
``style.css`` and ``script.js`` are shared by every page.
"""

from __future__ import annotations

from bioclass.report.page.html import package_text, policy, render

__all__ = ["package_text", "policy", "render"]
