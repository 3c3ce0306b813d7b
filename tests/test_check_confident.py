"""Labels that are probably wrong."""

from __future__ import annotations

import numpy as np
import pytest

from bioclass.check.confident import Suspect, suspects
from bioclass.errors import InputError


def test_by_hand():
    """Thresholds are 0.65 for class 0 (mean of 0.9, 0.8, 0.25) and 0.75 for class 1 (mean of 0.7, 0.8)."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.25, 0.75], [0.3, 0.7], [0.2, 0.8]])
    assert suspects(probabilities, np.array([0, 0, 0, 1, 1])) == [Suspect(2, 0, 1, 0.5)]


def test_labels_that_were_changed_are_found_in_order():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 1000)
    scores = rng.normal(size=(1000, 4)) + 4 * np.eye(4)[truth]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = truth.copy()
    changed = rng.choice(1000, 50, replace=False)
    labels[changed] = (truth[changed] + rng.integers(1, 4, 50)) % 4
    found = suspects(probabilities, labels)
    rows = {each.row for each in found}
    right = len(rows & set(changed.tolist()))
    assert right >= 35 and right / len(rows) > 0.9
    assert all(truth[each.row] == each.likely for each in found[:30])
    margins = [each.margin for each in found]
    assert margins == sorted(margins, reverse=True)


def test_a_network_that_is_unsure_of_all_suspects_none():
    assert suspects(np.full((6, 3), 1 / 3), np.array([0, 1, 2, 0, 1, 2])) == []


def test_a_class_without_images():
    assert suspects(np.array([[0.1, 0.1, 0.8], [0.2, 0.7, 0.1]]), np.array([0, 1])) == []


@pytest.mark.parametrize(
    ("probabilities", "labels", "words"),
    [
        (np.ones(3), [0, 0, 0], r"\(N, K\)"),
        (np.full((2, 2), 0.5), [0], r"Got \(2, 2\) and \(1,\)"),
        (np.full((2, 2), 0.5), [0, 2], "from 0 to 1"),
        (np.full((2, 2), 0.5), [0.0, 1.0], "whole numbers"),
        (np.full((2, 2), 0.6), [0, 1], "sum up to 1"),
        (np.full((2, 2), np.nan), [0, 1], "finite"),
        (np.array([[1.5, -0.5], [0.5, 0.5]]), [0, 1], "negative. Got -0.5"),
    ],
)
def test_wrong_input(probabilities, labels, words):
    with pytest.raises(InputError, match=words):
        suspects(probabilities, np.array(labels))
