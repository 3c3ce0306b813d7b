"""One run's network, asked what it looks at."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass import preprocess
from bioclass.answers import Probabilities, batch_size, softmax
from bioclass.backend import mx
from bioclass.errors import InputError
from bioclass.explain.heat import Heat, patches, scaled, spread, to_stored
from bioclass.networks import build
from bioclass.networks.graph import Graph, Point
from bioclass.predict import in_batches, input_shape, set_weights, weights_of
from bioclass.run import Run

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

LEAST_DROP = 0.01
"""Of a probability, for the full colour of an occlusion map: less would show rounding as if it were a finding."""


class Explainer:
    """The best weights of a run on one context: what they compute on the way, and which places of an image count.

    Images are stored ones, (H, W, C) as ``preprocess.read_for`` and ``prepare`` give them, and heat is in their
    frame, from 0 to 1.

    Raises:
        RunError: the run has no weights, or they do not fit its network.
    """

    def __init__(self, run: Run, context: Any) -> None:
        self.run, self.plan, self.context = run, run.plan, context
        self.shape = input_shape(run.plan)
        net = build(run.recipe.network, self.shape, len(run.classes))
        net.initialize(ctx=context)
        set_weights(net, *weights_of(run))
        self.net = net
        self.graph = Graph(net, self.shape)
        self._blocks: dict[tuple[Point, ...], Any] = {}

    def prepared(self, images: Array) -> Floats:
        """Return stored images (N, H, W, C) as the network takes them, (N, C, h, w)."""
        return preprocess.apply(self.plan, images)

    def outputs(self, x: Floats, points: tuple[Point, ...] = ()) -> list[Floats]:
        """Return the tensors at some points, each (N, ...), and the scores (N, K), of prepared images."""
        found = self.block(points)(mx.nd.array(x, ctx=self.context))
        return [each.asnumpy() for each in (found if isinstance(found, list) else [found])]

    def probabilities(self, images: Array) -> Probabilities:
        """Return the probabilities (N, K) of stored images (N, H, W, C), not of copies as ``predict.tta`` has."""
        return softmax(np.concatenate(list(self._batches(images, lambda x: self.outputs(x)[-1]))))

    def embed(self, images: Array) -> Floats:
        """Return what the last layer takes of stored images (N, H, W, C), (N, D).

        Where that has places still, as in squeezenet, it is the mean over them.
        """
        return np.concatenate(list(self._batches(images, self.embedded)))

    def embedded(self, x: Floats) -> Floats:
        """Return ``embed`` of prepared images (N, C, h, w), (N, D)."""
        return self.pooled(self.outputs(x, (self.graph.features,))[0])

    def pooled(self, features: Floats) -> Floats:
        """Return the tensor that the last layer takes, (N, ...), as vectors (N, D)."""
        if self.graph.features.spatial:
            features = features.mean(axis=(2, 3))
        return features.reshape(len(features), -1)

    @property
    def batch(self) -> int:
        """How many images are computed at a time."""
        return batch_size(self.plan)

    def gradcam(self, image: Array, target: int | None = None) -> Heat:
        """Return where the evidence for a class lies, (H, W): Grad-CAM (Selvaraju et al. 2017, equations 1 and 2).

        The feature maps of the last convolution are weighted by the gradient of the class's score, summed, and what
        speaks against the class is cut off; the largest value becomes 1. It is all zero where nothing speaks for
        the class.

        The gradient is its mean over the places. Where fully connected layers tell places apart (lenet, network3,
        dropconnect, alexnet, vgg11 to vgg19), that mean mixes them and can point at places that the network does
        not use; there each place keeps its own gradient (HiResCAM, Draelos and Carin 2020). For all other networks
        but squeezenet the two are the same.

        Args:
            image: stored, (H, W, C).
            target: index of the class; by default the most probable.

        Raises:
            InputError: the network has no convolution.
        """
        point = self.graph.seen
        if point is None:
            raise InputError(
                f"The network {self.run.recipe.network.name!r} has no convolution, so there is no Grad-CAM of it: "
                "an occlusion map needs none."
            )
        x = mx.nd.array(self.prepared(image[None]), ctx=self.context)
        maps, scores = self.block((point,))(x)
        maps = maps.copy()
        target = int(scores.asnumpy().argmax()) if target is None else target
        maps.attach_grad()
        with mx.autograd.record():
            score = self._after(maps, x)[:, target]
        score.backward()
        weights = maps.grad.asnumpy()
        if not self.graph.tells_places_apart:
            weights = weights.mean(axis=(2, 3), keepdims=True)
        evidence = np.maximum((weights * maps.asnumpy()).sum(axis=1)[0], 0)
        return to_stored(scaled(spread(evidence, point.field, self.shape[1:])), self.plan, image)

    def occlusion(self, image: Array, target: int | None = None) -> Heat:
        """Return where covering an image lowers a class's probability, (H, W), the largest drop scaled to 1.

        It is ``drops`` without what is below 0; drops below 1 % in all stay pale.
        """
        return scaled(self.drops(image, target), LEAST_DROP)

    def drops(self, image: Array, target: int | None = None) -> Floats:
        """Return how much a class's probability falls where an image is covered, (H, W) (Zeiler and Fergus 2014).

        A patch of a fifth of the side, in the median colour of the image's border, covers what the network sees at
        one place after another; a pixel has the mean over the patches that covered it.

        Args:
            image: stored, (H, W, C).
            target: index of the class; by default the most probable.
        """
        (x,) = self.prepared(image[None])
        edges = [x[:, 0], x[:, -1], x[:, 1:-1, 0], x[:, 1:-1, -1]]
        empty = np.median(np.concatenate(edges, axis=1), axis=1)[:, None, None]
        places = list(patches(self.shape[1:]))
        covered = np.repeat(x[None], 1 + len(places), axis=0)
        for one, (rows, columns) in zip(covered[1:], places, strict=True):
            one[:, rows, columns] = empty
        found = in_batches(
            lambda which: self.outputs(covered[which])[-1], np.arange(len(covered)), min(self.batch, len(covered))
        )
        probabilities = softmax(np.concatenate(list(found)))
        target = int(probabilities[0].argmax()) if target is None else target
        sums, counts = np.zeros((2, *self.shape[1:]))
        for (rows, columns), probability in zip(places, probabilities[1:, target], strict=True):
            sums[rows, columns] += probabilities[0, target] - probability
            counts[rows, columns] += 1
        return to_stored((sums / counts).astype(np.float32), self.plan, image)

    def _batches(self, images: Array, compute: Any) -> Any:
        rows = np.arange(len(images))
        return in_batches(lambda chunk: compute(self.prepared(images[chunk])), rows, min(self.batch, len(images)))

    def first_weights(self) -> tuple[Floats, bool]:
        """Return the weights of the first layer, (units, C, h, w), and whether it is a convolution."""
        name, convolution = self.graph.first_weight()
        weights: Floats = self.net.collect_params()[name].data(self.context).asnumpy()
        return (weights if convolution else weights.reshape(-1, *self.shape)), convolution

    def block(self, points: tuple[Point, ...]) -> Any:
        """Return what computes the tensors at some points, and the scores, of an NDArray of prepared images."""
        if points not in self._blocks:
            self._blocks[points] = self.graph.outputs(points)
        return self._blocks[points]

    @cached_property
    def _after(self) -> Any:
        assert self.graph.seen is not None
        return self.graph.after(self.graph.seen)
