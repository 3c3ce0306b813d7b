"""Steps that change values, not places."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.augment.draws import Keys, bits, uniform
from bioclass.augment.geometric import Stage, between
from bioclass.geometry import clipped, cv2
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
    out = np.empty_like(images)
    weighted = cv2().addWeighted
    for image, factor, shift, target in zip(images, gain.tolist(), offset.tolist(), out, strict=True):
        weighted(image, factor, image, 0.0, shift, dst=target)
    return out if largest == 255 else np.minimum(out, np.uint8(largest))


def _means(images: Array) -> npt.NDArray[np.float64]:
    if images.dtype == np.uint8:
        mean = cv2().mean
        return np.array([mean(image)[0] for image in images.reshape(len(images), images.shape[1], -1)])
    return np.array([image.mean(dtype=np.float64) for image in images])


def _noisy(images: Array, step: Noise, stage: Stage, keys: Keys, largest: float) -> Array:
    values = images[0].size
    words = bits(keys, stage.stream, -(-values // 4))
    # Two bytes a value; the sum of two draws, of 256 quantiles each, reaches four deviations.
    halves = cv2().LUT(words.view(np.uint8), quantiles(step.deviation * largest))
    noise = halves[:, :values] + halves[:, values : 2 * values]
    out = _typed(images + noise.reshape(images.shape), images.dtype, largest)
    if stage.choice is not None:
        out[stage.choice == 0] = images[stage.choice == 0]
    return out


@lru_cache(maxsize=8)
def quantiles(deviation: float) -> Floats:
    """Return 256 equally likely values, (256,): the sum of two draws is nearly normal (kurtosis 2.96)."""
    values = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)])
    out: Floats = (deviation * values / np.sqrt(2 * np.mean(values**2))).astype(np.float32)
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
    """Return values as a type; those of whole numbers are rounded in place."""
    if dtype.kind == "f":
        return values.astype(dtype)
    np.rint(values, out=values)
    return clipped(values.reshape(len(values), -1), largest).astype(dtype).reshape(values.shape)
