"""Which images are in which batch: a pure function of the seed and the iteration, so that a run can resume.

Training draws from one endless stream: every image once in random order, a pass, then all again in another order,
cut into full batches that may cross from one pass into the next. The batch of iteration t is therefore known
without having gone through those before it, and all batches have one size. Where each image has V variants, V
passes are an epoch, in which each image shows every variant once; nothing is kept for a variant.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.recipe import Fit

Rows = npt.NDArray[np.intp]


class Draw(NamedTuple):
    """What a batch is made of."""

    rows: Rows
    """(B,) rows of the training part."""
    variants: Rows
    """(B,) which variant of each, from 0, the image itself."""
    positions: Rows
    """(B,) places in the stream, all different."""

    def take(self, places: Rows) -> Draw:
        """Return what some images of the batch are made of."""
        return Draw(*(each[places] for each in self))


class Stream:
    """The endless stream of training images.

    Args:
        labels: (N,) labels of the training part.
        fit: batch size, length and sampling.
        seed: of the order.
        variants: of every image in an epoch.
    """

    def __init__(self, labels: npt.NDArray[np.int64], fit: Fit, seed: int, variants: int = 1) -> None:
        self.labels = labels
        self.batch_size = fit.batch_size
        self.balanced = fit.sampling == "balanced"
        self.seed = seed
        self.variants = variants
        n = len(labels)
        self.epoch = n * variants
        """Images of an epoch, the variants among them."""
        self.iterations = (
            fit.iterations if fit.iterations is not None else -(-(fit.epochs or 1) * self.epoch // self.batch_size)
        )
        # Two passes are in play at a time: a batch may straddle them, a small dataset's batch several.
        self.order = lru_cache(maxsize=2 + -(-self.batch_size // n))(self._order)
        self.turns = lru_cache(maxsize=2)(self._turns)

    def rows(self, iteration: int) -> Rows:
        """Return the rows of the training part that make the batch of this iteration, (batch_size,)."""
        n = len(self.labels)
        start = iteration * self.batch_size
        taken: list[Rows] = []
        while (missing := self.batch_size - sum(map(len, taken))) > 0:
            number, offset = divmod(start, n)
            taken.append(self.order(number)[offset : offset + missing])
            start += len(taken[-1])
        return taken[0] if len(taken) == 1 else np.concatenate(taken)

    def draw(self, iteration: int) -> Draw:
        """Return the rows of a batch and their variants."""
        rows = self.rows(iteration)
        positions = iteration * self.batch_size + np.arange(self.batch_size)
        if self.variants == 1:
            return Draw(rows, np.zeros_like(rows), positions)
        if self.balanced:
            # An image of a rare class is drawn several times in a pass: its variants come at random.
            rng = np.random.default_rng([self.seed, iteration, 1])
            return Draw(rows, rng.integers(self.variants, size=len(rows)), positions)
        # Each image goes through the variants in the epoch's order, from a start of its own.
        number = positions // len(self.labels)
        turn = number % self.variants
        variants = np.empty_like(rows)
        for epoch in np.unique(number // self.variants).tolist():
            starts, order = self.turns(epoch)
            here = number // self.variants == epoch
            variants[here] = order[(starts[rows[here]] + turn[here]) % self.variants]
        return Draw(rows, variants, positions)

    def pass_end(self, iteration: int) -> int:
        """Return the first iteration, after this one, at which a pass is complete or the training ends."""
        n = len(self.labels)
        number = iteration * self.batch_size // n
        end = -(-(number + 1) * n // self.batch_size)
        return min(end, self.iterations)

    def epochs_at(self, iteration: int) -> float:
        """Return how many epochs have gone by at an iteration."""
        return iteration * self.batch_size / self.epoch

    def _turns(self, epoch: int) -> tuple[Rows, Rows]:
        rng = np.random.default_rng([self.seed, epoch, 2])
        return rng.integers(self.variants, size=len(self.labels)), rng.permutation(self.variants)

    def _order(self, number: int) -> Rows:
        rng = np.random.default_rng([self.seed, number])
        n = len(self.labels)
        if not self.balanced:
            return rng.permutation(n)
        present = np.unique(self.labels)
        share = -(-n // len(present))
        draws = []
        for label in present:
            members = np.flatnonzero(self.labels == label)
            rounds = -(-share // len(members))
            draws.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:share])
        return rng.permutation(np.concatenate(draws))[:n]


def class_weights(fit: Fit, labels: npt.NDArray[np.int64], classes: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """Return the weight of each class in the loss, (K,) float32.

    Raises:
        RecipeError: weights by name that do not name every class.
    """
    from bioclass.errors import RecipeError, did_you_mean

    if fit.class_weights == "none":
        return np.ones(len(classes), dtype=np.float32)
    if fit.class_weights == "balanced":
        counts = np.bincount(labels, minlength=len(classes))
        return (len(labels) / (len(classes) * np.maximum(counts, 1))).astype(np.float32)
    unknown = [name for name in fit.class_weights if name not in classes]
    missing = [name for name in classes if name not in fit.class_weights]
    if unknown or missing:
        hint = did_you_mean(unknown[0], classes) if unknown else "."
        raise RecipeError(
            f"fit.class_weights must give a number for every class of the card. "
            f"Missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}{hint}"
        )
    return np.array([fit.class_weights[name] for name in classes], dtype=np.float32)
