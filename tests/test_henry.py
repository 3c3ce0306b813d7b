"""The shipped synthetic fingerprints."""

import sys

import numpy as np
import pytest

from bioclass.dataset import load_samples
from bioclass.shelf import Shelf


@pytest.fixture
def henry(monkeypatch, tmp_path):
    monkeypatch.delenv("BIOCLASS_PATH", raising=False)
    return Shelf.of(), Shelf.of().card("henry")


def test_the_card_says_that_they_are_synthetic(henry):
    _, card = henry
    assert card.synthetic and card.group == "finger"
    assert "Synthetic" in card.title and card.notes[0].startswith("Synthetic")


def test_fingers_are_groups_and_classes_are_even(henry, monkeypatch, tmp_path):
    shelf, card = henry
    load = shelf.adapter(card)
    monkeypatch.setattr(sys.modules[load.__module__], "FINGERS", 10)
    samples = load(card, tmp_path).checked(card.class_names)
    assert samples.images.shape == (20, 256, 256, 1) and samples.images.dtype == np.uint8
    assert np.bincount(samples.labels).tolist() == [4] * 5
    assert samples.groups[:4].tolist() == ["000", "000", "001", "001"]
    assert samples.ids[[0, 1, -1]].tolist() == ["000-0", "000-1", "009-1"]
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_all(henry, tmp_path):
    shelf, card = henry
    samples = load_samples(card, tmp_path, shelf)
    assert np.bincount(samples.labels).tolist() == [240] * 5
    assert len({image.tobytes() for image in samples.images}) == 1200
