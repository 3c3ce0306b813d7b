"""The steps with every value resolved, measured on training images and applied to any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from bioclass.errors import DatasetError, ImageError, RunError
from bioclass.images import read_image, to_channels
from bioclass.preprocess.center import centred
from bioclass.preprocess.resize import by, resized
from bioclass.recipe import Center, Positive
from bioclass.validation import Strict, validate

Array = npt.NDArray[Any]

_CHUNK_VALUES = 1 << 22


class Input(Strict):
    """What images are before they are prepared; ``bit_depth`` is None for floats."""

    channels: Positive
    dtype: str
    bit_depth: Positive | None


class Plan(Strict):
    """The steps with every value resolved: enough to treat a new image exactly as those of the training.

    ``size`` is (height, width) in pixels. ``resize`` is None where images must have that size already. ``center``
    comes next, where it is wanted. ``mean`` and ``std`` have one value a channel and are those of the divided
    values; 0 and 1 leave them alone.
    """

    input: Input
    size: tuple[Positive, Positive]
    resize: Literal["stretch", "pad"] | None
    center: Center | None = None
    divisor: Annotated[float, Field(gt=0)]
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    channels: Positive

    @model_validator(mode="after")
    def _consistent(self) -> Plan:
        if not len(self.mean) == len(self.std) == self.channels == self.input.channels:
            raise ValueError(
                f"channels, mean and std must agree. Got {self.channels} and {self.input.channels} channels, "
                f"{len(self.mean)} means, {len(self.std)} standard deviations"
            )
        if self.input.dtype not in _DTYPES:
            raise ValueError(f"input.dtype must be one of {', '.join(_DTYPES)}. Got {self.input.dtype!r}")
        return self

    @property
    def output_size(self) -> tuple[int, int]:
        """(height, width) in pixels of what the network sees."""
        return self.size if self.center is None else self.center.size

    @property
    def largest(self) -> float:
        """The largest value that images can hold; for floats, what they are divided by."""
        return self.divisor if self.input.bit_depth is None else 2.0**self.input.bit_depth - 1

    def to_json(self) -> str:
        """Return the plan as JSON; floats come back exactly."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Return the plan of a text that ``to_json`` wrote.

        Raises:
            RunError: the text is malformed.
        """
        try:
            data = json.loads(text)
        except ValueError as problem:
            raise RunError(f"preprocess.json is not valid JSON ({problem}): copy the run folder again.") from None
        if not isinstance(data, dict):
            raise RunError("preprocess.json does not hold a table of steps: copy the run folder again.")
        return validate(cls, data, "preprocess.json", RunError)


_DTYPES = (
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
)


def fit_statistics(plan: Plan, images: Array, rows: npt.NDArray[Any]) -> Plan:
    """Return the plan with the mean and standard deviation per channel of the divided values of some rows.

    ``images`` (N, H, W, C) are those of ``prepare``, ``rows`` the indices of the training part. A channel without
    variation gets the standard deviation 1. The sums are in float64 (Chan, Golub and LeVeque 1983) and in the
    order of the rows' indices, so that they do not depend on how rows are shuffled.

    Raises:
        DatasetError: no rows.
    """
    if len(rows) == 0:
        raise DatasetError("There are no training images to measure the mean and standard deviation on.")
    order = np.sort(np.asarray(rows))
    count, mean, squares = 0, np.zeros(plan.channels), np.zeros(plan.channels)
    for part in chunks(len(order), images):
        values = _in_place(plan, images[order[part]]).reshape(-1, plan.channels).astype(np.float64)
        n, here = len(values), values.mean(axis=0)
        squares += np.square(values - here).sum(axis=0) + (here - mean) ** 2 * (count * n / (count + n))
        mean += (here - mean) * (n / (count + n))
        count += n
    std = np.sqrt(squares / count)
    # Below the resolution of float32 a deviation is rounding, not variation.
    std = np.where(std <= np.finfo(np.float32).eps * np.abs(mean), plan.divisor, std)
    fitted = {"mean": tuple((mean / plan.divisor).tolist()), "std": tuple((std / plan.divisor).tolist())}
    return plan.model_copy(update=fitted)


def apply(plan: Plan, images: Array, out: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float32]:
    """Return stored images (N, H, W, C) as the network takes them: centred, divided, standardised, channel-first.

    ``out``, float32 (N, C, h, w), is written in place where it is given.

    Raises:
        DatasetError: images of another size or number of channels than the plan's.
    """
    if images.ndim != 4 or images.shape[1:] != (*plan.size, plan.channels):
        raise DatasetError(
            f"The plan is for images (N, H, W, C) with (H, W, C) = {(*plan.size, plan.channels)}. "
            f"Got the shape {images.shape}: prepare them with this plan."
        )
    return scaled(plan, _in_place(plan, images), out)


def scaled(plan: Plan, images: Array, out: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float32]:
    """Return images (N, h, w, C) that are in place already as float32 (N, C, h, w), divided and standardised."""
    if out is None:
        out = np.empty((len(images), plan.channels, *plan.output_size), np.float32)
    scale, shift = affine(plan.divisor, plan.mean, plan.std)
    if plan.channels == 1:
        np.multiply(images.reshape(out.shape), scale, out=out, casting="same_kind")
        if shift is not None:
            out += shift
        return out
    # Image by image the values are still in the cache for the second step.
    for image, target in zip(images, out, strict=True):
        np.multiply(image.transpose(2, 0, 1), scale, out=target, casting="same_kind")
        if shift is not None:
            target += shift
    return out


def _in_place(plan: Plan, images: Array) -> Array:
    return images if plan.center is None else centred(images, plan.center, plan.largest)


def read_for(plan: Plan, path: Path) -> Array:
    """Read a new image as those of the training were read: (H, W, C) of the stored type, resized as planned.

    Raises:
        ImageError: it cannot be read, or its channels, type, range or size are not those of the training.
    """
    return adapted(plan, read_image(path), path)


def adapted(plan: Plan, image: Array, path: Path) -> Array:
    """Return an image (H, W, C) of a file as those of the training, as ``read_for`` does and with its errors."""
    image = _as_trained(to_channels(image, plan.channels, path), plan, path)
    check_pixels(image, plan.input.bit_depth, path)
    if plan.resize is not None:
        return resized(image, plan.size, plan.resize)
    if image.shape[:2] != plan.size:
        raise ImageError(
            f"{path} has the size {by(image.shape)}, but the model was trained on {by(plan.size)} without "
            "resizing: crop it to that size, or train with preprocess.size."
        )
    return image


def pixel_problem(pixels: Array, bit_depth: int | None) -> str | None:
    """Return what is wrong with the values of some pixels, if anything is."""
    if pixels.dtype.kind == "f":
        return None if np.isfinite(pixels).all() else "holds NaN or infinite pixels: replace them, or leave it out"
    if bit_depth is None or bit_depth >= pixels.dtype.itemsize * 8 or pixels.size == 0:
        return None
    largest = int(pixels.max())
    if largest < 2**bit_depth:
        return None
    spread = "; files of fewer than 8 bits are read spread over 0 to 255" if bit_depth < 8 else ""
    return f"holds the value {largest}, which does not fit into the card's bit_depth = {bit_depth}{spread}"


def check_pixels(image: Array, bit_depth: int | None, path: Path) -> None:
    """Refuse an image with values that cannot be used.

    Raises:
        ImageError: NaN or infinite pixels, or values that do not fit into ``bit_depth``.
    """
    problem = pixel_problem(image, bit_depth)
    if problem is not None:
        raise ImageError(f"{path} {problem}.")


def chunks(n: int, images: Array) -> Iterator[slice]:
    """Return slices that cover ``n`` images, each with a bounded number of values."""
    step = max(1, _CHUNK_VALUES // max(1, int(np.prod(images.shape[1:]))))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


@lru_cache(maxsize=8)
def affine(
    divisor: float, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Return ``(x / divisor - mean) / std`` as ``x * scale + shift``, each (C, 1, 1); no shift where it is zero."""
    scale = 1 / (divisor * np.array(std))
    shift = -np.array(mean) / np.array(std)
    column = (len(mean), 1, 1)
    return scale.astype(np.float32).reshape(column), shift.astype(np.float32).reshape(column) if any(mean) else None


def _as_trained(image: Array, plan: Plan, path: Path) -> Array:
    """The image in the type of the training, if that changes no value."""
    wanted = np.dtype(plan.input.dtype)
    if image.dtype == wanted or (image.dtype.kind == wanted.kind == "f"):
        return image.astype(wanted, copy=False)
    # Types that no image file has (int16, int64) came from an array; a file holds the same values otherwise.
    if wanted.kind in "iu" and wanted.name not in ("uint8", "uint16"):
        with np.errstate(invalid="ignore"):
            out = image.astype(wanted)
        if np.array_equal(out, image):
            return out
    raise ImageError(
        f"{path} holds {image.dtype.name} values, but the model was trained on {wanted.name}: save it with that "
        "depth, in the same range of values."
    )
