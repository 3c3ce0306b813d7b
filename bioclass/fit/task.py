"""What a fit trains on, the same for every way of sharing the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bioclass import preprocess
from bioclass.answers import batch_size
from bioclass.augment import Augmenter, Mixing, draw_mixing, mix_images
from bioclass.batches import Draw, Stream, class_weights
from bioclass.checkpoint import Kept, Tensors
from bioclass.fit.schedule import cycle_at, learning_rate
from bioclass.networks import build
from bioclass.predict import infer, input_shape
from bioclass.preprocess import Plan
from bioclass.recipe import Recipe

Rows = npt.NDArray[np.intp]
Scores = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Images (B, C, H, W), their classes (L,) and the weights (L,) of these in the loss.

L is B; of mixed images it is 2 B: the classes of the images themselves, then those of what each is mixed with.
"""


@dataclass(frozen=True)
class Task:
    """Images (N, H, W, C) as stored, labels (N,), the rows to train on, and the recipe's choices."""

    recipe: Recipe
    plan: Plan
    classes: tuple[str, ...]
    images: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    train: Rows
    kept: Mapping[str, Kept] = field(default_factory=dict)
    """Parameters that are saved with those that are trained, and are not of :meth:`network`."""

    def network(self) -> Any:
        """Return the network to train, not initialized."""
        return build(self.recipe.network, input_shape(self.plan), len(self.classes))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of what the network takes for one image."""
        return input_shape(self.plan)

    def infer(self, scores: Scores, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) that a network gives to some rows of the images."""
        return infer(scores, self.plan, self.images, rows, batch_size(self.plan))

    @cached_property
    def stream(self) -> Stream:
        """The endless stream of training images."""
        variants = self.recipe.augment.variants
        return Stream(self.labels[self.train], self.recipe.fit, self.recipe.seed, variants)

    @cached_property
    def augmenter(self) -> Augmenter | None:
        """Makes variants of the training images; None where they are taken as they are.

        Raises:
            RecipeError: a step that these images cannot take.
        """
        augment = self.recipe.augment
        return Augmenter(augment, self.plan, self.recipe.seed) if augment.steps else None

    @cached_property
    def image_weights(self) -> npt.NDArray[np.float32]:
        """The weight of each class in the summed loss, over the batch size, (K,)."""
        weights = class_weights(self.recipe.fit, self.labels[self.train], self.classes)
        return weights / np.float32(self.recipe.fit.batch_size)

    @cached_property
    def segment(self) -> int:
        """Iterations between two points at which the random numbers are seeded anew and a fit may stop.

        About 2.5 million input values, half a second of LeNet: often enough to stop soon, rarely enough to cost
        nothing. It follows from the recipe and the images alone, so a resumed fit has the same points.
        """
        values = self.recipe.fit.batch_size * int(np.prod(self.input_shape))
        return int(np.clip(2_500_000 // values, 1, 50))

    def part(self, rows: Rows, index: int, parts: int) -> Rows:
        """Return part ``index`` of ``parts`` of a batch's rows."""
        return rows[index * len(rows) // parts : (index + 1) * len(rows) // parts]

    def shapes(self, index: int, parts: int) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of the three arrays of a part of a batch."""
        size = len(self.part(np.arange(self.recipe.fit.batch_size), index, parts))
        terms = size if self.recipe.augment.mix is None else 2 * size
        return (size, *self.input_shape), (terms,), (terms,)

    def fill(self, batch: Batch, iteration: int, index: int, parts: int) -> None:
        """Write a part of a batch into arrays of the shapes that it has."""
        x, labels, weights = batch
        draw, mixing = self.stream.draw(iteration), self._mixing(iteration)
        own = self.part(np.arange(len(draw.rows)), index, parts)
        self._images(draw.take(own), x)
        places = own
        if mixing is not None:
            following = (own + 1) % len(draw.rows)
            after = np.empty((1, *x.shape[1:]), np.float32)
            self._images(draw.take(following[-1:]), after)
            mix_images(x, after[0], mixing.take(own))
            places = np.concatenate([own, following])
        classes = self.labels[self.train[draw.rows[places]]]
        labels[:] = classes
        weights[:] = self.image_weights[classes]
        if mixing is not None:
            shares = mixing.shares[own]
            weights *= np.concatenate([shares, 1 - shares])

    def _images(self, draw: Draw, out: npt.NDArray[np.float32]) -> None:
        """Write the images of a draw, as the network takes them, into (B, C, H, W)."""
        rows = self.train[draw.rows]
        if self.augmenter is None:
            preprocess.apply(self.plan, self.images[rows], out=out)
        elif self.recipe.augment.mode == "enumerated":
            made = self.augmenter.enumerated(self.images[rows], rows, draw.variants)
            preprocess.scaled(self.plan, made, out=out)
        else:
            preprocess.scaled(self.plan, self.augmenter.random(self.images[rows], draw.positions), out=out)

    def _mixing(self, iteration: int) -> Mixing | None:
        augment = self.recipe.augment
        if augment.mix is None:
            return None
        # The stream's own draws are those of [seed, iteration] with 0, 1 and 2.
        seed = [self.recipe.seed, iteration, 3, augment.seed]
        return draw_mixing(augment.mix, seed, self.recipe.fit.batch_size, self.plan.output_size)

    def batch(self, iteration: int, index: int, parts: int) -> Batch:
        """Return a part of a batch as new arrays."""
        x, labels, weights = (np.empty(shape, np.float32) for shape in self.shapes(index, parts))
        self.fill((x, labels, weights), iteration, index, parts)
        return x, labels, weights

    def lr(self, iteration: int) -> float:
        """Return the learning rate of an iteration."""
        fit = self.recipe.fit
        cycle = cycle_at(iteration, self.stream.iterations, fit.snapshots or 1)
        return learning_rate(fit.schedule, fit.optimizer.lr, iteration - cycle.start, cycle.end - cycle.start)

    def seed_at(self, iteration: int, part: int) -> int:
        """Return the seed of the network's random numbers from an iteration on; each part has its own."""
        state = np.random.SeedSequence([self.recipe.seed, iteration, part]).generate_state(1)
        return int(state[0] >> 1)


class Trainer(Protocol):
    """Trains a task, in one of the ways of sharing the work; deterministic for one way on one machine."""

    def train(self, start: int, end: int) -> float:
        """Train the iterations from ``start`` up to ``end``; return the sum of their losses."""

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (N, K) of some rows of the task's images, as in prediction."""

    def result(self) -> Tensors:
        """Return copies of the weights to predict with, by name: their moving average where one is kept."""

    def tensors(self) -> dict[str, Tensors]:
        """Return copies of the "weights" by name, of the "optimizer" state and of the "average", if one is kept."""

    def restore(self, tensors: dict[str, Tensors]) -> None:
        """Go back to what :meth:`tensors` returned."""

    def close(self) -> None:
        """Let go of processes and memory."""
