"""Training a head alone, on features that the cache keeps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.augment import Augmenter
from bioclass.backend import mx
from bioclass.batches import Draw
from bioclass.card import Card
from bioclass.checkpoint import BACKBONE, Tensors, pack
from bioclass.environment import available_cores, set_threads
from bioclass.errors import RunError
from bioclass.features import Entry, entry_key, find_entry, head_probabilities, held, make_entry
from bioclass.files import sha256
from bioclass.fit.channels import normalised
from bioclass.fit.start import start_from, start_words
from bioclass.fit.task import Rows, Scores, Task
from bioclass.fit.weights import Weights
from bioclass.networks import build
from bioclass.networks.cut import Head, backbone_of, cut, tail_of
from bioclass.networks.fusion import for_prediction
from bioclass.networks.masks import random_bits
from bioclass.networks.parameters import head
from bioclass.predict import get_weights, input_shape, set_weights
from bioclass.preprocess import prepare
from bioclass.recipe import Features, Recipe
from bioclass.run import Run
from bioclass.samples import Samples

Words = Callable[[str], None]


@dataclass(frozen=True)
class HeadTask(Task):
    """A task whose images are features (N V, ...): V variants of each image one after the other."""

    def network(self) -> Any:
        """Return the head, not initialized."""
        network: Any = self.recipe.network
        return Head(tail_of(network, input_shape(self.plan), len(self.classes)))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the features of one image."""
        return self.images.shape[1:]

    def infer(self, scores: Scores, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) that a head gives to some rows of the images."""
        return head_probabilities(scores, self.images, rows * self.recipe.augment.variants)

    def _images(self, draw: Draw, out: npt.NDArray[np.float32]) -> None:
        places = self.train[draw.rows] * self.recipe.augment.variants + draw.variants
        np.take(self.images, places, axis=0, out=out, mode="clip")  # numpy copies twice where it may have to raise
        transfer = self.recipe.fit.transfer
        assert isinstance(transfer, Features)
        if transfer.dropout:
            out *= self._kept(draw, transfer.dropout)

    def _kept(self, draw: Draw, rate: float) -> npt.NDArray[np.float32]:
        """Return what dropout multiplies the features of a draw with, as a function of their place in the stream.

        Drawn here, and not in the graph, since that takes MXNet longer than all the rest of a head.
        """
        batch, values = self.recipe.fit.batch_size, math.prod(self.input_shape)
        iteration = int(draw.positions[0]) // batch
        width = -(-values // 8)  # no byte has features of two images
        bits = random_bits(np.random.SFC64([self.recipe.seed, iteration, 4]), rate, batch * width)
        own = bits.reshape(batch, width)[draw.positions % batch]
        kept = np.unpackbits(own, axis=-1, count=values).reshape(-1, *self.input_shape)
        return kept * np.float32(1 / (1 - rate))


@dataclass(frozen=True)
class Backbone:
    """Where features come from: weights, or the run that started from them.

    ``model`` is the digest of the weights and of how images are normalised for them.
    """

    model: str
    weights: Weights | None
    run: Run | None

    @classmethod
    def of(cls, weights: Weights | None, run: Run | None) -> Backbone:
        """Return that of weights that were just read, or else that of a run."""
        if weights is not None:
            about = [weights.sha256, weights.normalisation]
            return cls(sha256(json.dumps(about).encode()), weights, None)
        assert run is not None
        try:
            return cls(str(run.environment["weights"]["model"]), None, run)
        except (KeyError, TypeError):
            raise RunError(f"{run.path / 'environment.json'} does not say what features it is of.") from None


def head_task(
    recipe: Recipe,
    card: Card,
    samples: Samples,
    train: Rows,
    backbone: Backbone,
    device: str,
    context: Any,
    say: Words,
) -> tuple[HeadTask, dict[str, Any]]:
    """Return the task of training a head, and what the run folder tells of the weights.

    Args:
        recipe: of the fit.
        card: of the dataset.
        samples: all of it, so that every split finds its features in one entry.
        train: the rows to train on.
        backbone: where features come from.
        device: on which they are computed, if they are not there.
        context: that device's.
        say: told what is being done.

    Raises:
        WeightsError: the weights are of another network.
        InputError: the images or the cache folder cannot be used.
    """
    key = entry_key(backbone.model, recipe, card, samples, device)
    entry = cached = find_entry(key)
    if entry is None:
        with held(key):
            entry = find_entry(key) or _compute(key, recipe, card, samples, backbone, context, say)
    weights = {**entry.weights, "model": backbone.model}
    if backbone.weights is not None:
        weights["source"] = backbone.weights.source
    if cached is not None:
        say(f"The features of all {card.images()} are in the cache. {start_words(weights)}")
    images: Any = entry.features
    task = HeadTask(recipe, entry.plan, card.class_names, images, samples.labels, train, {BACKBONE: entry.backbone})
    return task, weights


def _compute(
    key: str, recipe: Recipe, card: Card, samples: Samples, backbone: Backbone, context: Any, say: Words
) -> Entry:
    images, plan = prepare(samples, recipe.preprocess, card)
    if backbone.weights is not None:
        plan = normalised(plan, backbone.weights.normalisation)
    elif backbone.run is not None:
        plan = backbone.run.plan
    shape = input_shape(plan)
    net = build(recipe.network, shape, len(card.class_names))
    mx.random.seed(recipe.seed)
    net.initialize(ctx=context)
    tensors, weights = _tensors(net, card, backbone, say)
    features = cut(net, shape)[0]
    body = for_prediction(backbone_of(net, features), context)
    augmenter = Augmenter(recipe.augment, plan) if recipe.augment.steps else None
    say(f"Computing the features of {len(samples) * recipe.augment.variants} {card.images()}")
    kept = pack({name: value for name, value in tensors.items() if name not in head(net)})
    with _threads_for(features, context):
        return make_entry(key, body, plan, images, augmenter, kept, weights, context)


@contextmanager
def _threads_for(features: Any, context: Any) -> Iterator[None]:
    """Let a processor's cores share the pass, where it gives the same bits with any number of them.

    Convolutions are shared out by what they give, fully connected layers also by what they sum. A run that goes on
    after the cache was emptied must find what it had, with however many cores.
    """
    shared = context.device_type == "cpu" and "FullyConnected" not in features.tojson()
    if shared:
        set_threads(available_cores())
    try:
        yield
    finally:
        if shared:
            set_threads(1)


def _tensors(net: Any, card: Card, backbone: Backbone, say: Words) -> tuple[Tensors, dict[str, Any]]:
    """Set the parameters of a network; return them, and what the run folder is to tell of them."""
    if backbone.weights is not None:
        start = start_from(backbone.weights, net, get_weights(net), card.class_names)
        start = start.with_new_head(head(net))
        say(start.words())
        tensors, weights, source = start.tensors, start.document(), backbone.weights.path
    else:
        assert backbone.run is not None
        last_saved = backbone.run.last()
        assert last_saved is not None  # it was there before the run folder was
        tensors, source = last_saved.tensors["weights"], backbone.run.path
        weights = backbone.run.environment["weights"]
    set_weights(net, tensors, source)
    return tensors, weights
