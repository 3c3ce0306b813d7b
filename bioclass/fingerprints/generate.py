"""Fingers and their impressions, each from its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bioclass.errors import InputError, did_you_mean
from bioclass.fingerprints.contact import draw_contact
from bioclass.fingerprints.pattern import CLASSES, FREQUENCIES, Array, Pattern, draw_pattern
from bioclass.fingerprints.ridges import REACH, SIDE, grow_ridges
from bioclass.fingerprints.styles import SHARES, STYLES, Picture, draw_picture

SIZE = 256
"""Pixels of a side. The ridges of a print that fills the picture are then 6 to 10 pixels apart, as at 500 dpi."""


@dataclass(frozen=True)
class Finger:
    """A finger: its pattern, and its ridges (SIDE, SIDE) on the square [-REACH, REACH]."""

    seed: int
    number: int
    pattern: Pattern
    ridges: Array


def draw_names(count: int, seed: int = 0, frequencies: Sequence[float] = FREQUENCIES) -> list[str]:
    """Draw the classes of ``count`` fingers, with frequencies in the order of CLASSES; by default natural ones."""
    shares = np.asarray(frequencies, float)
    if shares.shape != (len(CLASSES),) or (shares < 0).any() or not shares.sum() > 0:
        raise InputError(
            f"Frequencies must be {len(CLASSES)} numbers from 0 on, not all 0. Got {list(frequencies)}."
        )
    drawn = np.random.default_rng(seed).random(count)
    places = np.searchsorted(np.cumsum(shares / shares.sum()), drawn, side="right")
    return [CLASSES[min(place, len(CLASSES) - 1)] for place in places]


def grow_finger(name: str, seed: int, number: int) -> Finger:
    """Return finger ``number`` of a seed, of the class ``name``; it does not depend on any other."""
    rng = _random(seed, number, 0)
    pattern = draw_pattern(name, rng)
    return Finger(seed, number, pattern, grow_ridges(pattern, rng))


def draw_impression(finger: Finger, number: int, size: int = SIZE, style: str | None = None) -> Picture:
    """Return impression ``number`` of a finger, (size, size).

    The style is drawn too, unless one of STYLES is named. Ridge maps are more often cut from the middle of a print.

    Raises:
        InputError: there is no such style.
    """
    from scipy.ndimage import map_coordinates

    if style is not None and style not in STYLES:
        raise InputError(f"There is no style {style!r}{did_you_mean(style, STYLES)}. Known: {', '.join(STYLES)}.")
    rng = _random(finger.seed, finger.number, 1 + number)
    drawn = str(rng.choice(STYLES, p=SHARES))
    style = style or drawn
    cropped = bool(rng.random() < (0.3 if style in ("gray", "inverted") else 0.6))
    contact = draw_contact(finger.pattern, size, cropped, rng)
    scale = SIDE / (2 * REACH)
    places = np.stack([SIDE / 2 - 0.5 - contact.y * scale, contact.x * scale + SIDE / 2 - 0.5])
    ridges = map_coordinates(finger.ridges, places, order=3, mode="mirror", output=np.float32)
    return draw_picture(ridges, contact, style, rng)


def _random(*numbers: int) -> np.random.Generator:
    seed, *key = numbers
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
