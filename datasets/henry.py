"""Synthetic fingerprints of Henry's five classes: data that needs no download."""

from pathlib import Path

from bioclass.card import Card
from bioclass.environment import available_cores
from bioclass.fingerprints import CLASSES, draw_fingerprints
from bioclass.samples import Samples

FINGERS = 600
IMPRESSIONS = 2


def load(card: Card, root: Path) -> Samples:
    """Draw the 1,200 fingerprints, (1200, 256, 256) uint8; ``root`` is not used."""
    names = [CLASSES[finger % len(CLASSES)] for finger in range(FINGERS)]
    prints = [(finger, impression) for finger in range(FINGERS) for impression in range(IMPRESSIONS)]
    return Samples(
        images=draw_fingerprints(names, IMPRESSIONS, processes=available_cores()),
        labels=[names[finger] for finger, _ in prints],
        ids=[f"{finger:03d}-{impression}" for finger, impression in prints],
        groups=[f"{finger:03d}" for finger, _ in prints],
    )
