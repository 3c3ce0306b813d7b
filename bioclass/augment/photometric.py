"""Steps that change values, not places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.augment.draws import Keys, uniform
from bioclass.augment.geometric import Stage, between
from bioclass.geometry import cv2
from bioclass.recipe import Brightness, Contrast, Noise, Stain

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

# Ruifrok and Johnston 2001: optical densities in red, green and blue of haematoxylin, eosin and DAB.
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
STAINS = STAINS / np.linalg.norm(STAINS, axis=1, keepdims=True)


def recoloured(images: Array, stages: Sequence[Stage], keys: Keys, largest: float) -> Array:
    """Return images (B, H, W, C) of the same type after photometric stages, in their order.

    Values stay in [0, largest]; those of floating-point images are not limited.
    """
    pending: list[Stage] = []
    for stage in stages:
        if isinstance(stage.step, Brightness | Contrast):
            pending.append(stage)
            continue
        images, pending = _toned(images, pending, keys, largest), []
        if isinstance(stage.step, Noise):
            images = _noisy(images, stage.step, stage, keys, largest)
        elif isinstance(stage.step, Stain):
            images = _stained(images, stage.step, stage, keys, largest)
    return _toned(images, pending, keys, largest)


def _toned(images: Array, stages: Sequence[Stage], keys: Keys, largest: float) -> Array:
    """Brightness and contrast in a row are one linear change of the values, x * gain + offset."""
    if not stages:
        return images
    batch = len(images)
    mean = _means(images) if any(isinstance(stage.step, Contrast) for stage in stages) else np.zeros(batch)
    gain, offset = np.ones(batch), np.zeros(batch)
    for stage in stages:
        if isinstance(stage.step, Brightness):
            offset += largest * between(stage.step.shifts, 0.0, stage, keys)
        elif isinstance(stage.step, Contrast):
            factor = between(stage.step.factors, 1.0, stage, keys)
            now = gain * mean + offset
            gain, offset = gain * factor, offset * factor + (1 - factor) * now
    if images.dtype != np.uint8:
        column = (batch, 1, 1, 1)
        values = images * gain.reshape(column).astype(np.float32) + offset.reshape(column).astype(np.float32)
        return _typed(values, images.dtype, largest)
    codes = gain[:, None] * np.arange(256) + offset[:, None]
    tables = np.rint(codes).clip(0, largest).astype(np.uint8)
    out = np.empty_like(images)
    lookup = cv2().LUT
    for image, table, target in zip(images, tables, out, strict=True):
        lookup(image, table, dst=target)
    return out


def _means(images: Array) -> npt.NDArray[np.float64]:
    if images.dtype == np.uint8:
        mean = cv2().mean
        return np.array([mean(image)[0] for image in images.reshape(len(images), images.shape[1], -1)])
    return np.array([image.mean(dtype=np.float64) for image in images])


def _noisy(images: Array, step: Noise, stage: Stage, keys: Keys, largest: float) -> Array:
    seeds = (uniform(keys, stage.stream, 1)[:, 0] * 2**24).astype(np.int64)
    library = cv2()
    out = np.empty_like(images)
    noise = np.empty(images.shape[1:], np.float32)
    for i, seed in enumerate(seeds.tolist()):
        if stage.choice is not None and stage.choice[i] == 0:
            out[i] = images[i]
            continue
        library.setRNGSeed(seed)
        library.randn(noise, 0.0, step.deviation * largest)
        out[i] = _typed(images[i] + noise, images.dtype, largest)
    return out


def _stained(images: Array, step: Stain, stage: Stage, keys: Keys, largest: float) -> Array:
    """OD = -log((x + 1) / (largest + 1)); with stains s = OD M^-1, s becomes s (1 + a) + b, and OD = s M."""
    draws = (2.0 * uniform(keys, stage.stream, 6) - 1) * step.strength
    if stage.choice is not None:
        draws *= (stage.choice > 0)[:, None]
    inverse = np.linalg.inv(STAINS)
    out = np.empty_like(images)
    transform = cv2().transform
    for image, (a, b), target in zip(images, draws.reshape(-1, 2, 3), out, strict=True):
        change = (inverse @ np.diag(1 + a) @ STAINS).T
        density = np.log(image.astype(np.float32) + 1)
        density -= np.float32(np.log(largest + 1))
        # The logarithm's sign stays out: linear in the density, and -b instead of b.
        density = transform(density, np.column_stack([change, -b @ STAINS]).astype(np.float32))
        values = np.exp(density, out=density)
        values *= np.float32(largest + 1)
        values -= 1
        target[:] = _typed(values, images.dtype, largest)
    return out


def _typed(values: Array, dtype: np.dtype[Any], largest: float) -> Array:
    if dtype.kind == "f":
        return values.astype(dtype)
    return np.rint(values).clip(0, largest).astype(dtype)
