"""The digits inside scikit-learn: real data that needs no download."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from bioclass.card import Card
from bioclass.samples import Samples


def load(card: Card, root: Path) -> Samples:
    """Return the 1,797 digits, (1797, 8, 8) uint8; ``root`` is not used."""
    bunch = load_digits()
    # 17 grey levels, 0 to 16, on the 8-bit scale.
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return Samples(images=images, labels=bunch.target)
