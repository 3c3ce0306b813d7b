"""Runs beside each other: who is ahead, by how much, whether that is more than chance, and what they do otherwise.

``entrants`` opens what the user named, ``answers`` reads what each said of its images, ``board`` ranks and tests,
``words`` says what came out, ``figures`` draws, ``whole`` goes the whole way to the page and the files beside it.
"""

from __future__ import annotations

from bioclass.report.comparison.entrants import is_single
from bioclass.report.comparison.whole import Written, compare_paths

__all__ = ["Written", "compare_paths", "is_single"]
