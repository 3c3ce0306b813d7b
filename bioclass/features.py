"""Features that a backbone makes of all images of a dataset: computed once, and kept on disk for all who want them.

An entry of the cache is a folder named by the digest of all that the features depend on: the weights and how images
are normalised for them, the preprocessing and the variants, the content of the image files, and the versions of the
packages that read and compute. It appears whole. A lock beside it, which ends with its process, lets one process
compute what several want; the others wait.
"""

from __future__ import annotations

import fcntl
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass import preprocess
from bioclass.answers import Probabilities, batch_of, batch_size, softmax
from bioclass.augment import Augmenter
from bioclass.backend import mx
from bioclass.card import Card
from bioclass.checkpoint import Kept
from bioclass.environment import package_version
from bioclass.errors import InputError, RunError
from bioclass.files import file_digest, read_sealed, sha256, verify_file, write_atomic, write_sealed
from bioclass.networks.cut import Head, tail_of
from bioclass.predict import Scorer, in_batches, input_shape, weights_of
from bioclass.preprocess import Plan
from bioclass.recipe import Recipe
from bioclass.run import Run
from bioclass.run.create import whole_folder
from bioclass.samples import Samples
from bioclass.storage import cache_folder, create_npy

VERSION = 1
PACKAGES = ("mxnet", "mxnet-cu112", "gluoncv", "numpy", "pillow", "tifffile", "scikit-image")

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Entry:
    """Features, and what is needed to make a whole network of them.

    Attributes:
        features: (N V, ...) memory-mapped: V variants of each image one after the other, the image itself first.
        plan: how the images were prepared.
        backbone: the file of its parameters.
        weights: what the run folder tells of the weights.
    """

    features: Floats
    plan: Plan
    backbone: Kept
    weights: dict[str, Any]


def entry_key(model: str, recipe: Recipe, card: Card, samples: Samples, device: str) -> str:
    """Return the name of an entry.

    Args:
        model: digest of the weights and of how images are normalised for them.
        recipe: its network, preprocessing and enumerated variants.
        card: of the dataset.
        samples: all images, in their order.
        device: "cpu", or a GPU's, whose last digits differ.
    """
    augment = recipe.augment
    facts = {
        "version": VERSION,
        "model": model,
        "network": recipe.network.model_dump(mode="json", exclude={"weights"}),
        "preprocess": recipe.preprocess.model_dump(mode="json"),
        "augment": augment.model_dump(mode="json") if augment.steps else None,
        "card": [card.channels, card.bit_depth],
        "images": samples.content,
        "device": device.partition(":")[0],
        "packages": {name: found for name in PACKAGES if (found := package_version(name))},
    }
    return sha256(json.dumps(facts, sort_keys=True).encode())


def find_entry(key: str) -> Entry | None:
    """Return an entry of the cache; None where there is none, or it is damaged."""
    folder = _folder(key)
    try:
        about = read_sealed(folder / "entry.json")
        backbone = Kept(folder / "backbone.safetensors", about["backbone"])
        verify_file(backbone.path, backbone.sha256)
        features = np.load(folder / "features.npy", mmap_mode="r", allow_pickle=False)
        if list(features.shape) != about["shape"] or features.dtype != np.float32:
            return None
        if file_digest(folder / "features.npy") != about["features"]:
            return None
        plan = Plan.from_json(json.dumps(about["plan"]))
        return Entry(features, plan, backbone, about["weights"])
    except (InputError, OSError, ValueError, KeyError, TypeError):
        return None


def entry_of(run: Run, samples: Samples) -> Entry | None:
    """Return the entry with which a run's head gives what its network gives, up to rounding; None where none does.

    Args:
        run: a run of a head.
        samples: all images of its dataset.
    """
    if run.recipe.predict.tta != "none":
        return None
    try:
        model = str(run.environment["weights"]["model"])
    except (KeyError, TypeError):
        return None
    entry = find_entry(entry_key(model, run.recipe, run.card, samples, run.environment["device"]))
    return entry if entry is not None and entry.plan == run.plan else None


@contextmanager
def held(key: str) -> Iterator[None]:
    """Be the one process that computes an entry; wait for one that does.

    Raises:
        InputError: the cache folder cannot be used.
    """
    try:
        _folder(key).parent.mkdir(parents=True, exist_ok=True)
        lock = _folder(key).with_suffix(".lock").open("w")
    except OSError as problem:
        raise InputError(
            f"The cache folder {cache_folder()} cannot be used ({problem.strerror or problem}): set BIOCLASS_CACHE "
            "to a folder that you may write to."
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_entry(
    key: str,
    body: Any,
    plan: Plan,
    images: npt.NDArray[Any],
    augmenter: Augmenter | None,
    backbone: bytes,
    weights: Mapping[str, Any],
    context: Any,
) -> Entry:
    """Compute the features of all images and keep them; hold the key.

    Args:
        key: of the entry.
        body: a block from images (N, C, H, W) to features, on the context.
        plan: how images (N, H, W, C), as stored, become what it takes.
        images: of the whole dataset.
        augmenter: makes their variants; None for none.
        backbone: the safetensors file of the parameters of ``body``.
        weights: what a run folder is to tell of them.
        context: where to compute.

    Raises:
        BioclassError: the disk is too small.
        InputError: it cannot be written.
    """
    folder = _folder(key)
    # What a killed process left, or what is damaged: the lock says that nobody writes here.
    for left in (folder, *folder.parent.glob(f".{folder.name}.*.tmp")):
        shutil.rmtree(left, ignore_errors=True)
    with whole_folder(folder, "folder of features") as temporary:
        shape = _write_features(temporary / "features.npy", body, plan, images, augmenter, context)
        write_atomic(temporary / "backbone.safetensors", backbone)
        about: dict[str, Any] = {
            "shape": shape,
            "features": file_digest(temporary / "features.npy"),
            "backbone": sha256(backbone),
        }
        about |= {"plan": json.loads(plan.to_json()), "weights": dict(weights)}
        write_sealed(temporary / "entry.json", about)
    found = find_entry(key)
    if found is None:
        raise InputError(f"{folder} cannot be read again after it was written: set BIOCLASS_CACHE to another disk.")
    return found


class HeadPredictor:
    """A run's head on features that the cache has, in place of the whole network on images."""

    def __init__(self, run: Run, entry: Entry, context: Any, snapshot: int | None = None) -> None:
        weights, source = weights_of(run, snapshot, kept=False)
        network: Any = run.recipe.network
        tail = tail_of(network, input_shape(run.plan), len(run.classes))
        missing = [name for name in tail.parameters if name not in weights]
        if missing:
            raise RunError(f"{source} does not fit its network: missing {missing}, unknown none.")
        self._features, self._variants = entry.features, run.recipe.augment.variants
        self._scorer = Scorer(Head(tail), context)
        self._scorer.load({name: weights[name] for name in tail.parameters}, source)

    def probabilities(self, rows: Rows) -> Probabilities:
        """Return the probabilities (N, K) of images of the dataset; rows counts them from 0."""
        return head_probabilities(self._scorer, self._features, rows * self._variants)


def head_probabilities(scores: Any, features: Floats, places: Rows) -> Probabilities:
    """Return the probabilities (N, K) that a head gives to features at these places."""
    out = list(in_batches(lambda chunk: scores(features[chunk]), places, batch_of(math.prod(features.shape[1:]))))
    return softmax(np.concatenate(out)) if out else np.zeros((0, 0))


def _write_features(
    path: Path, body: Any, plan: Plan, images: npt.NDArray[Any], augmenter: Augmenter | None, context: Any
) -> list[int]:
    """Write the features of all images and variants; return their shape."""
    variants = 1 if augmenter is None else augmenter.augment.variants

    def compute(places: Rows) -> Floats:
        rows, which = np.divmod(places, variants)
        if augmenter is None:
            x = preprocess.apply(plan, images[rows])
        else:
            x = preprocess.scaled(plan, augmenter.enumerated(images[rows], rows, which))
        values: Floats = body(mx.nd.array(x, ctx=context)).asnumpy()
        return values

    out, start = None, 0
    for values in in_batches(compute, np.arange(len(images) * variants), batch_size(plan)):
        if out is None:
            out = create_npy(path, (len(images) * variants, *values.shape[1:]), np.float32)
        out[start : start + len(values)] = values
        start += len(values)
    assert out is not None
    return list(out.shape)


def _folder(key: str) -> Path:
    return cache_folder() / "features" / key[:32]
