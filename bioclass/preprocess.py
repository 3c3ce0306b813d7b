"""Deterministic steps, the same in training and in prediction: read, resize, divide, standardise, channel-first."""

from __future__ import annotations

import importlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from bioclass.card import Card
from bioclass.errors import DatasetError, ImageError, RunError
from bioclass.images import read_image, to_channels
from bioclass.recipe import Positive, Preprocess
from bioclass.samples import Samples
from bioclass.storage import allocate
from bioclass.validation import Strict, validate

Array = npt.NDArray[Any]
Size = tuple[int, int]

_SHOWN = 5
_CHUNK_VALUES = 1 << 22


class Input(Strict):
    """What images are before they are prepared; ``bit_depth`` is None for floats."""

    channels: Positive
    dtype: str
    bit_depth: Positive | None


class Plan(Strict):
    """The steps with every value resolved: enough to treat a new image exactly as those of the training.

    ``size`` is (height, width) in pixels. ``resize`` is None where images must have that size already. ``mean``
    and ``std`` have one value a channel and are those of the divided values; 0 and 1 leave them alone.
    """

    input: Input
    size: tuple[Positive, Positive]
    resize: Literal["stretch", "pad"] | None
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


def prepare(samples: Samples, recipe: Preprocess, card: Card) -> tuple[Array, Plan]:
    """Return all images (N, H, W, C), of one size and still of their stored type, and the plan without statistics.

    An array that needs no step is returned as it is. Files are read by several threads, straight into place.

    Args:
        samples: ``checked`` samples.
        recipe: the chosen steps.
        card: facts that the data must agree with.

    Raises:
        DatasetError: images that cannot be read, that differ in size (without ``recipe.size``), channels or type,
            that hold NaN or infinite pixels, or that are not what the card says.
    """
    if recipe.size is not None:
        # Before threads start: modules that load their parts lazily are not safe to import by several at once.
        importlib.import_module("skimage.transform")
    if isinstance(samples.images, np.ndarray):
        source = _source(samples.images, card)
        images = _from_array(samples.images, samples.ids, source, recipe)
    else:
        images, source = _from_paths(samples.images, recipe, card)
    channels = source.channels
    plan = Plan(
        input=source,
        size=(images.shape[1], images.shape[2]),
        resize=None if recipe.size is None else recipe.resize,
        divisor=_divisor(recipe, source),
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        channels=channels,
    )
    return images, plan


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
    for part in _chunks(len(order), images):
        values = images[order[part]].reshape(-1, plan.channels).astype(np.float64)
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
    """Return prepared images (N, H, W, C) as the network takes them: divided, standardised, float32 (N, C, H, W).

    ``out``, float32 (N, C, H, W), is written in place where it is given.

    Raises:
        DatasetError: images of another size or number of channels than the plan's.
    """
    if images.ndim != 4 or images.shape[1:] != (*plan.size, plan.channels):
        raise DatasetError(
            f"The plan is for images (N, H, W, C) with (H, W, C) = {(*plan.size, plan.channels)}. "
            f"Got the shape {images.shape}: prepare them with this plan."
        )
    if out is None:
        out = np.empty((len(images), plan.channels, *plan.size), np.float32)
    scale, shift = _affine(plan.divisor, plan.mean, plan.std)
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


def read_for(plan: Plan, path: Path) -> Array:
    """Read a new image as those of the training were read: (H, W, C) of the stored type, resized as planned.

    Raises:
        ImageError: it cannot be read, or its channels, type, range or size are not those of the training.
    """
    image = _as_trained(to_channels(read_image(path), plan.channels, path), plan, path)
    _check_pixels(image, plan.input.bit_depth, path)
    if plan.resize is not None:
        return _resized(image, plan.size, plan.resize)
    if image.shape[:2] != plan.size:
        raise ImageError(
            f"{path} has the size {_by(image.shape)}, but the model was trained on {_by(plan.size)} without "
            "resizing: crop it to that size, or train with preprocess.size."
        )
    return image


@lru_cache(maxsize=8)
def _affine(
    divisor: float, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """``(x / divisor - mean) / std`` as ``x * scale + shift``, each (C, 1, 1)."""
    scale = 1 / (divisor * np.array(std))
    shift = -np.array(mean) / np.array(std)
    column = (len(mean), 1, 1)
    return scale.astype(np.float32).reshape(column), shift.astype(np.float32).reshape(column) if any(mean) else None


def _source(images: Array, card: Card) -> Input:
    """What the images (..., C) are, after they agreed with the card."""
    channels, dtype = images.shape[-1], images.dtype
    if card.channels not in (None, channels):
        hint = " (they look channel-first: move that axis last)" if card.channels in images.shape[1:-1] else ""
        raise DatasetError(
            f"The card of {card.name!r} says channels = {card.channels}, but the images have {channels}{hint}: "
            "correct the card or the data."
        )
    depth = card.bit_depth
    bits = dtype.itemsize * 8
    if dtype.kind == "f":
        if depth not in (None, bits, 32, 64):
            raise DatasetError(
                f"The card of {card.name!r} says bit_depth = {depth}, but the images are {dtype.name}: leave "
                "bit_depth out, and set preprocess.divisor if they are to be divided."
            )
        return Input(channels=channels, dtype=dtype.name, bit_depth=None)
    if depth is not None and depth > bits:
        raise DatasetError(
            f"The card of {card.name!r} says bit_depth = {depth}, but the images are {dtype.name}: correct the "
            "card, or take the images in their full depth."
        )
    known = bits if dtype.name in ("uint8", "uint16") else None
    return Input(channels=channels, dtype=dtype.name, bit_depth=depth or known)


def _divisor(recipe: Preprocess, source: Input) -> float:
    if recipe.divisor != "range":
        return recipe.divisor
    if source.dtype.startswith("float"):
        return 1.0
    if source.bit_depth is None:
        raise DatasetError(
            f"The images are {source.dtype}, and their range is not known: set bit_depth in the card, or "
            "preprocess.divisor to a number."
        )
    return 2.0**source.bit_depth - 1


def _pixel_problem(pixels: Array, bit_depth: int | None) -> str | None:
    if pixels.dtype.kind == "f":
        return None if np.isfinite(pixels).all() else "holds NaN or infinite pixels: replace them, or leave it out"
    if bit_depth is None or bit_depth >= pixels.dtype.itemsize * 8 or pixels.size == 0:
        return None
    largest = int(pixels.max())
    if largest < 2**bit_depth:
        return None
    spread = "; files of fewer than 8 bits are read spread over 0 to 255" if bit_depth < 8 else ""
    return f"holds the value {largest}, which does not fit into the card's bit_depth = {bit_depth}{spread}"


def _check_pixels(image: Array, bit_depth: int | None, path: Path) -> None:
    problem = _pixel_problem(image, bit_depth)
    if problem is not None:
        raise ImageError(f"{path} {problem}.")


def _chunks(n: int, images: Array) -> Iterator[slice]:
    step = max(1, _CHUNK_VALUES // max(1, int(np.prod(images.shape[1:]))))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _from_array(images: Array, ids: Sequence[str], source: Input, recipe: Preprocess) -> Array:
    for part in _chunks(len(images), images):
        if _pixel_problem(images[part], source.bit_depth) is not None:
            for i in range(part.start, part.stop):
                problem = _pixel_problem(images[i], source.bit_depth)
                if problem is not None:
                    raise DatasetError(f"The image {str(ids[i])!r} {problem}.")
    size = recipe.size
    if size is None or images.shape[1:3] == size:
        return images
    out = allocate((len(images), *size, source.channels), images.dtype.newbyteorder("="))

    def one(row: int) -> None:
        out[row] = _resized(images[row], size, recipe.resize)

    _each(one, len(images))
    return out


class _Read(NamedTuple):
    """What was found in one file: its shape and type, or why it cannot be used."""

    shape: tuple[int, ...] = ()
    dtype: str = ""
    problem: str = ""


def _from_paths(paths: Sequence[Path], recipe: Preprocess, card: Card) -> tuple[Array, Input]:
    first = _first_readable(paths, card)
    source = _source(first, card)
    size = recipe.size or (first.shape[0], first.shape[1])
    out = allocate((len(paths), *size, source.channels), first.dtype)

    def one(row: int) -> _Read:
        try:
            image = _load(paths[row], card)
            if image.dtype == out.dtype:  # Another type is refused as such, not for its values.
                _check_pixels(image, source.bit_depth, paths[row])
        except ImageError as problem:
            return _Read(problem=str(problem))
        alike = image.dtype == out.dtype and image.shape[2] == source.channels
        if alike and (recipe.size is not None or image.shape[:2] == size):
            out[row] = _resized(image, size, recipe.resize)
        return _Read(image.shape, image.dtype.name)

    found = _each(one, len(paths))
    _refuse_unusable([read.problem for read in found if read.problem], len(paths))
    _refuse_mixed(paths, found)
    if recipe.size is None:
        _refuse_sizes(Counter(read.shape[:2] for read in found))
    return out, source


def _load(path: Path, card: Card) -> Array:
    image = read_image(path)
    return image if card.channels is None else to_channels(image, card.channels, path)


def _first_readable(paths: Sequence[Path], card: Card) -> Array:
    problems = []
    for path in paths:
        try:
            return _load(path, card)
        except ImageError as problem:
            problems.append(str(problem))
    _refuse_unusable(problems, len(paths))
    raise DatasetError("The dataset holds no images.")


def _refuse_unusable(problems: Sequence[str], n: int) -> None:
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        lines = "".join(f"\n  - {line}" for line in [*problems[:_SHOWN], *more])
        raise DatasetError(f"{len(problems)} of {n} images cannot be used:{lines}")


def _refuse_mixed(paths: Sequence[Path], found: Sequence[_Read]) -> None:
    for path, read in zip(paths, found, strict=True):
        if (read.shape[2], read.dtype) != (found[0].shape[2], found[0].dtype):
            raise DatasetError(
                f"The images differ in channels or type: {paths[0]} has {found[0].shape[2]} channel(s) of "
                f"{found[0].dtype}, {path} has {read.shape[2]} of {read.dtype}: convert them to be alike, or set "
                "channels = 1 in the card where gray images are stored as RGB."
            )


def _refuse_sizes(sizes: Counter[tuple[int, ...]]) -> None:
    if len(sizes) > 1:
        common = sizes.most_common(_SHOWN)
        shown = ", ".join(f"{_by(size)} ({count} image{'s' * (count > 1)})" for size, count in common)
        more = f" and {len(sizes) - _SHOWN} more sizes" if len(sizes) > _SHOWN else ""
        raise DatasetError(
            f"The images differ in size (height x width): {shown}{more}. Set preprocess.size = [H, W] in the "
            f"recipe, for example {list(common[0][0])}."
        )


def _each(work: Callable[[int], Any], n: int) -> list[Any]:
    """The results of ``work(row)`` for all rows, in order, by as many threads as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, range(n)))


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


def _resized(image: Array, size: Size, mode: Literal["stretch", "pad"]) -> Array:
    """The image (H, W, C) in another size, in its type."""
    height, width = image.shape[:2]
    if (height, width) == size or mode == "stretch":
        return _scaled(image, size)
    scale = min(size[0] / height, size[1] / width)
    inner = (min(size[0], max(1, round(height * scale))), min(size[1], max(1, round(width * scale))))
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    out = np.empty((*size, image.shape[2]), image.dtype)
    out[...] = _typed(np.median(border.astype(np.float64), axis=0), image.dtype)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    out[top : top + inner[0], left : left + inner[1]] = _scaled(image, inner)
    return out


def _scaled(image: Array, size: Size) -> Array:
    """Bilinear, with a Gaussian against aliasing along the axes that shrink."""
    if image.shape[:2] == size:
        return image
    resize: Any = importlib.import_module("skimage.transform").resize

    # float32 is exact for 16 bits and takes half the time.
    work = np.float32 if image.dtype.itemsize <= 2 or image.dtype == np.float32 else np.float64
    shrinks = size[0] < image.shape[0] or size[1] < image.shape[1]
    scaled = resize(image.astype(work), size, order=1, anti_aliasing=shrinks, preserve_range=True)
    return _typed(scaled, image.dtype)


def _typed(values: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.rint(values).clip(limits.min, limits.max).astype(dtype)


def _by(size: Sequence[int]) -> str:
    return f"{size[0]} x {size[1]}"
