"""A run's weights and images to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass import preprocess
from bioclass.answers import Answers, Probabilities, answer_files, batch_size, softmax
from bioclass.augment import copied
from bioclass.backend import mx
from bioclass.checkpoint import Tensors
from bioclass.errors import RunError
from bioclass.networks import build
from bioclass.networks.bfloat16 import check_bfloat16, in_bfloat16
from bioclass.networks.blocks import use_blocks, vector_block
from bioclass.networks.fusion import for_prediction
from bioclass.networks.parameters import parameters
from bioclass.preprocess import Plan
from bioclass.run import Run


class Scorer:
    """A network that only predicts, on one context, with weights of its own.

    In prediction oneDNN may store a weight again, in place, in an order that suits it; memory that training
    reads too must not be given to it. With ``bfloat16`` it computes in that; DeviceError where that cannot be.
    """

    def __init__(self, net: Any, context: Any, *, bfloat16: bool = False) -> None:
        if bfloat16:
            check_bfloat16(context)
        self.context = context
        self.net = net
        self._bfloat16 = bfloat16
        self.net.initialize(ctx=context)
        if context.device_type == "cpu":
            use_blocks(self.net, vector_block())
        self.net.hybridize(static_alloc=True, static_shape=True)
        self._compute: Callable[[Any], Any] | None = None

    def load(self, weights: Tensors, source: Path) -> None:
        """Take over named weights, or raise RunError, as :func:`set_weights`."""
        set_weights(self.net, weights, source)
        self._compute = None

    def __call__(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the scores (B, K) of images (B, C, H, W)."""
        images = mx.nd.array(x, ctx=self.context)
        if self._compute is None:
            low = self._bfloat16
            self._compute = in_bfloat16(self.net, images) if low else for_prediction(self.net, self.context)
        scores: npt.NDArray[np.float32] = self._compute(images).asnumpy()
        return scores


class Predictor:
    """A run's best weights, or those of one of its snapshots (counted from 1), on one context.

    Raises:
        RunError: the run has no such weights, or they do not fit its network.
        DeviceError: ``bfloat16`` is wanted, and the context does not compute in it.
    """

    def __init__(self, run: Run, context: Any, snapshot: int | None = None, *, bfloat16: bool = False) -> None:
        self.run = run
        net = build(run.recipe.network, input_shape(run.plan), len(run.classes))
        self._scorer = Scorer(net, context, bfloat16=bfloat16)
        self._scorer.load(*weights_of(run, snapshot))

    def probabilities(
        self, images: npt.NDArray[Any], rows: npt.NDArray[np.intp] | None = None, batch: int | None = None
    ) -> Probabilities:
        """Return the probabilities (N, K) of stored images (N, H, W, C), or of these rows of them.

        They are the mean over the copies of each image that the recipe's ``predict.tta`` names. An image's last
        digits depend on the size of its batch; one size for all gives all the same digits.
        """
        rows = np.arange(len(images)) if rows is None else rows
        size = batch or min(batch_size(self.run.plan), max(1, len(rows)))
        copies = copied(images, self.run.recipe.predict.copies)
        found = [infer(self._scorer, self.run.plan, each, rows, size) for each in copies]
        mean: Probabilities = np.mean(found, axis=0)
        return mean

    def files(self, paths: Sequence[Path]) -> Answers:
        """Yield every file with its probabilities (K,), or with the error for which it could not be used."""
        return _files(self, self.run.plan, paths)


class MeanPredictor:
    """Several runs as one model, on one context: the mean of their probabilities, as MPS votes.

    Raises:
        RunError: a run has no weights, or the runs do not have the same classes and images.
        DeviceError: ``bfloat16`` is wanted, and the context does not compute in it.
    """

    def __init__(self, runs: Sequence[Run], context: Any, *, bfloat16: bool = False) -> None:
        first = runs[0]
        for run in runs[1:]:
            if run.classes != first.classes:
                raise RunError(f"{first.path} and {run.path} have different classes: they are not one model.")
            if (run.plan.input, run.plan.size) != (first.plan.input, first.plan.size):
                raise RunError(f"{first.path} and {run.path} were fitted on other images: they are not one model.")
        self._plan = first.plan
        self._members = [Predictor(run, context, bfloat16=bfloat16) for run in runs]

    def probabilities(
        self, images: npt.NDArray[Any], rows: npt.NDArray[np.intp] | None = None, batch: int | None = None
    ) -> Probabilities:
        """Return the mean probabilities (N, K) of stored images (N, H, W, C), or of these rows of them."""
        mean: Probabilities = np.mean([each.probabilities(images, rows, batch) for each in self._members], axis=0)
        return mean

    def files(self, paths: Sequence[Path]) -> Answers:
        """Yield every file with its mean probabilities (K,), or with the error for which it could not be used."""
        return _files(self, self._plan, paths)


def weights_of(run: Run, snapshot: int | None = None, kept: bool = True) -> tuple[Tensors, Path]:
    """Return a run's best weights, or those of one of its snapshots, and their folder.

    Without ``kept``, those that the fit kept as they came are left out.

    Raises:
        RunError: the run has no such weights.
    """
    checkpoint = run.best(kept) if snapshot is None else run.snapshot(snapshot, kept)
    source = run.path / "best" if snapshot is None else run.snapshot_path(snapshot)
    weights = checkpoint.tensors.get("weights")
    if weights is None:
        raise RunError(f"{source} holds no weights: it is not a checkpoint of bioclass.")
    return weights, source


def input_shape(plan: Plan) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of what the network sees."""
    return (plan.channels, *plan.output_size)


def infer(
    scores: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
    plan: Plan,
    images: npt.NDArray[Any],
    rows: npt.NDArray[np.intp],
    size: int,
) -> Probabilities:
    """Return the probabilities (N, K) of some rows of stored images, through batches of one fixed size.

    One size, the last batch filled up, keeps the network's memory plan; softmax is taken in float64, so that the
    log loss of a confident network is not that of a rounded zero.
    """
    out = list(in_batches(lambda chunk: scores(preprocess.apply(plan, images[chunk])), rows, size))
    return softmax(np.concatenate(out)) if out else np.zeros((0, 0))


def in_batches(
    compute: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float32]], rows: npt.NDArray[np.intp], size: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield what ``compute`` makes of some rows, which it gets ``size`` at a time, the last of them filled up."""
    for start in range(0, len(rows), size):
        chunk = rows[start : start + size]
        yield compute(np.resize(chunk, size))[: len(chunk)]


def get_weights(net: Any) -> Tensors:
    """Return a network's parameters by their structural name, as numpy arrays."""
    return {name: value.data(value.list_ctx()[0]).asnumpy() for name, value in parameters(net).items()}


def set_weights(net: Any, weights: Tensors, source: Path) -> None:
    """Set every parameter of a network.

    Raises:
        RunError: a parameter is missing, unknown, or of another shape or type; the message names it, and the
            network is as it was.
    """
    own = parameters(net)
    missing, unknown = sorted(set(own) - set(weights)), sorted(set(weights) - set(own))
    if missing or unknown:
        raise RunError(
            f"{source} does not fit its network: missing {missing or 'none'}, unknown {unknown or 'none'}."
        )
    for name, parameter in own.items():
        if tuple(parameter.shape) != weights[name].shape:
            raise RunError(
                f"{source} does not fit its network: {name} is {weights[name].shape}, not {tuple(parameter.shape)}."
            )
        if weights[name].dtype != np.float32:
            raise RunError(f"{source} does not fit its network: {name} is {weights[name].dtype}, not float32.")
    for name, parameter in own.items():
        parameter.set_data(mx.nd.array(weights[name]))


def _files(predictor: Predictor | MeanPredictor, plan: Plan, paths: Sequence[Path]) -> Answers:
    # One size for all batches: an image's last digits depend on it.
    size = batch_size(plan)
    return answer_files(partial(predictor.probabilities, batch=min(size, len(paths))), plan, paths, size)
