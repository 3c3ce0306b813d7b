"""Pages that open from disk, without a network: the report of an evaluation, and what other pages are made of.

``report_runs``, ``report_folds`` and ``rebuild_report`` write reports: ``whole`` is the way through, ``subject`` is
what a report is of, ``stored`` reads it back from files; ``sentences``, ``tables``, ``drawings``, ``gallery`` (with
``sprites``), ``explained`` and ``background`` are what stands in it.

``render``, in ``html``, turns a template and values into one self-contained HTML file. The template
``base.html.jinja``, ``style.css`` and ``script.js`` are shared by every page.
"""

from __future__ import annotations

from bioclass.report.page.html import package_text, policy, render
from bioclass.report.page.whole import rebuild_report, report_folds, report_runs

__all__ = ["package_text", "policy", "rebuild_report", "render", "report_folds", "report_runs"]
