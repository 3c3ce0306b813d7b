"""The figures of a report: curves and matrices, each with its words, as a file or inside a page.

``learning`` draws the epochs of runs, ``confusion`` the matrix of truth and answers, ``ranking`` the ROC and
precision-recall curves, ``calibration`` confidence against accuracy, ``rejection`` accuracy against the share left
out; ``compared`` draws several models over each other. ``drawing`` is what each of them returns, ``inks`` holds the
colours of both themes.
"""

from __future__ import annotations

from bioclass.report.curves.calibration import reliability_diagram
from bioclass.report.curves.compared import compared_accuracies, compared_rejection, compared_roc
from bioclass.report.curves.confusion import confusion_matrix
from bioclass.report.curves.drawing import Drawing
from bioclass.report.curves.inks import inks_css
from bioclass.report.curves.learning import compared_learning, learning_curves
from bioclass.report.curves.ranking import precision_recall_curves, roc_curves
from bioclass.report.curves.rejection import rejection_curve

__all__ = [
    "Drawing",
    "compared_accuracies",
    "compared_learning",
    "compared_rejection",
    "compared_roc",
    "confusion_matrix",
    "inks_css",
    "learning_curves",
    "precision_recall_curves",
    "rejection_curve",
    "reliability_diagram",
    "roc_curves",
]
