"""All images of a dataset in one array, or one sentence that says why not."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.card import Card
from bioclass.errors import DatasetError, ImageError
from bioclass.images import channels_of, read_image, to_channels
from bioclass.preprocess.plan import Input, Plan, check_pixels, chunks, pixel_problem
from bioclass.preprocess.resize import by, resized
from bioclass.recipe import Preprocess
from bioclass.samples import Samples
from bioclass.storage import allocate, keep_memory

Array = npt.NDArray[Any]

_SHOWN = 5


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
        importlib.import_module("scipy.sparse")
    if isinstance(samples.images, np.ndarray):
        source = source_of(samples.images, card)
        images = _from_array(samples.images, samples.ids, source, recipe)
    else:
        images, source = _from_paths(samples.images, recipe, card)
    channels = source.channels
    plan = Plan(
        input=source,
        size=(images.shape[1], images.shape[2]),
        resize=None if recipe.size is None else recipe.resize,
        center=recipe.center,
        divisor=_divisor(recipe, source),
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        channels=channels,
    )
    return images, plan


def source_of(images: Array, card: Card) -> Input:
    """Return what images (..., C) are; DatasetError where the card says something else."""
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


def _from_array(images: Array, ids: Sequence[str], source: Input, recipe: Preprocess) -> Array:
    for part in chunks(len(images), images):
        if pixel_problem(images[part], source.bit_depth) is not None:
            for i in range(part.start, part.stop):
                problem = pixel_problem(images[i], source.bit_depth)
                if problem is not None:
                    raise DatasetError(f"The image {str(ids[i])!r} {problem}.")
    size = recipe.size
    if size is None or images.shape[1:3] == size:
        return images
    out = allocate((len(images), *size, source.channels), images.dtype.newbyteorder("="))

    def one(row: int) -> None:
        out[row] = resized(images[row], size, recipe.resize)

    _each(one, len(images))
    return out


class _Read(NamedTuple):
    """What was found in one file: its shape and type, or why it cannot be used."""

    shape: tuple[int, ...] = ()
    dtype: str = ""
    problem: str = ""


def _from_paths(paths: Sequence[Path], recipe: Preprocess, card: Card) -> tuple[Array, Input]:
    first = _first_readable(paths, card)
    source = source_of(first, card)
    size = recipe.size or (first.shape[0], first.shape[1])
    out = allocate((len(paths), *size, source.channels), first.dtype)

    def one(row: int) -> _Read:
        try:
            image = _load(paths[row], card)
            if image.dtype == out.dtype:  # Another type is refused as such, not for its values.
                check_pixels(image, source.bit_depth, paths[row])
        except ImageError as problem:
            return _Read(problem=str(problem))
        alike = image.dtype == out.dtype and image.shape[2] == source.channels
        if alike and (recipe.size is not None or image.shape[:2] == size):
            out[row] = resized(image, size, recipe.resize)
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
    first = found[0]
    for path, read in zip(paths, found, strict=True):
        if (read.shape[2], read.dtype) != (first.shape[2], first.dtype):
            gray = {read.shape[2], first.shape[2]} == {1, 3}
            raise DatasetError(
                f"The images differ in channels or type: {paths[0]} has {channels_of(first.shape[2])} of "
                f"{first.dtype}, {path} has {channels_of(read.shape[2])} of {read.dtype}: convert them to be alike"
                f"{', or set channels = 1 in the card where gray images are stored as RGB' if gray else ''}."
            )


def _refuse_sizes(sizes: Counter[tuple[int, ...]]) -> None:
    if len(sizes) > 1:
        common = sizes.most_common(_SHOWN)
        shown = ", ".join(f"{by(size)} ({count} image{'s' * (count > 1)})" for size, count in common)
        more = f" and {len(sizes) - _SHOWN} more sizes" if len(sizes) > _SHOWN else ""
        raise DatasetError(
            f"The images differ in size (height x width): {shown}{more}. Set preprocess.size = [H, W] in the "
            f"recipe, for example {list(common[0][0])}."
        )


def _each(work: Callable[[int], Any], n: int) -> list[Any]:
    """The results of ``work(row)`` for all rows, in order, by as many threads as there are processors."""
    keep_memory()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, range(n)))
