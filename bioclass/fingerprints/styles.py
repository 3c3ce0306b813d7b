"""From ridges and a contact to a picture: a gray print on paper, or a ridge map, binary or thinned."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bioclass.fingerprints.contact import Contact, smooth_noise
from bioclass.fingerprints.pattern import Array

Picture = npt.NDArray[np.uint8]

STYLES = ("gray", "inverted", "binary", "thinned", "thinned light")
"""Gray prints dark on light, and light on dark; ridge maps dark on light; ridges one pixel wide, dark and light."""
SHARES = (0.45, 0.08, 0.12, 0.2, 0.15)
"""How often a picture has each style."""


def draw_picture(ridges: Array, contact: Contact, style: str, rng: np.random.Generator) -> Picture:
    """Return a picture (size, size) of ridges (size, size), from -1 in valleys to 1 on ridges, in a style."""
    is_map = style not in ("gray", "inverted")
    pressed = _press(ridges, contact, rng, grain=0.25 if is_map else 0.35)
    if not is_map:
        return _inked(pressed, ridges, contact, rng, inverted=style == "inverted")
    marked = (pressed > 0) & (contact.inside > 0)
    if style == "binary":
        return np.where(marked, np.uint8(0), np.uint8(255))
    from skimage.morphology import skeletonize

    thin: npt.NDArray[np.bool_] = skeletonize(marked)  # type: ignore[no-untyped-call]
    return np.where(thin == (style == "thinned"), np.uint8(0), np.uint8(255))


def _press(ridges: Array, contact: Contact, rng: np.random.Generator, grain: float) -> Array:
    """Ridges above the pressure that they need: dry fingers leave thin, broken ones, wet ones fill the valleys."""
    size = len(ridges)
    dryness = rng.uniform(-0.4, 0.4)
    needed = smooth_noise(size, 5, rng.uniform(0.08, 0.3), rng)
    needed += smooth_noise(size, size // 3, grain * rng.uniform(0.3, 1), rng)
    # At the edge the finger hardly presses.
    needed += np.float32(dryness) + np.float32(0.6) * np.exp(contact.inside.clip(-0.05) / np.float32(-0.08))
    pressed = ridges - needed
    for _ in range(rng.poisson(1.0)):
        _scratch(pressed, rng)
    return pressed


def _scratch(pressed: Array, rng: np.random.Generator) -> None:
    """Take the ridges away along a straight line."""
    size = len(pressed)
    row, column = rng.uniform(0.1, 0.9, 2) * size
    angle, length, width = rng.uniform(0, np.pi), rng.uniform(0.08, 0.35) * size, rng.uniform(0.4, 1.3)
    steps = np.arange(-length, length, 0.5)
    for side in np.arange(-width, width + 0.5, 0.5):
        rows = np.rint(row - np.sin(angle) * steps + np.cos(angle) * side).astype(np.intp)
        columns = np.rint(column + np.cos(angle) * steps + np.sin(angle) * side).astype(np.intp)
        there = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
        pressed[rows[there], columns[there]] = -1.5


def _inked(pressed: Array, ridges: Array, contact: Contact, rng: np.random.Generator, inverted: bool) -> Picture:
    size = len(pressed)
    ink = np.clip(pressed * np.float32(rng.uniform(0.7, 2.0)) + np.float32(0.5), 0, 1)
    if rng.random() < 0.5:
        _pores(ink, ridges, rng)
    ink *= np.clip(contact.inside * np.float32(12) + np.float32(0.5), 0, 1)
    ink *= np.float32(1) - np.abs(smooth_noise(size, 4, rng.uniform(0, 0.2), rng)).clip(0, 0.7)
    paper, dark = rng.uniform(190, 255), rng.uniform(5, 100)
    light = np.float32(paper) + smooth_noise(size, 2, rng.uniform(0, 12), rng)
    picture = light - (light - np.float32(dark)) * ink
    picture += rng.standard_normal((size, size), dtype=np.float32) * np.float32(rng.uniform(1, 12))
    if inverted:
        picture = 255 - picture
    found: Picture = np.clip(picture, 0, 255).astype(np.uint8)
    return found


def _pores(ink: Array, ridges: Array, rng: np.random.Generator) -> None:
    """Sweat pores: light dots of about two pixels in the middle of ridges."""
    size = len(ink)
    rows, columns = rng.integers(0, size - 1, (2, size * size // 60))
    on = ridges[rows, columns] > 0.8
    rows, columns = rows[on], columns[on]
    for down, across, left in ((0, 0, 0.2), (0, 1, 0.5), (1, 0, 0.5), (1, 1, 0.7)):
        ink[rows + down, columns + across] *= np.float32(left)
