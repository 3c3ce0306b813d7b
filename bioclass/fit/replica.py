"""One copy of the network on one context: gradients of a part of a batch, and scores."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass import recipe
from bioclass.backend import mx
from bioclass.checkpoint import Tensors
from bioclass.fit.flat import Layout, bind
from bioclass.fit.task import Rows, Task
from bioclass.networks.bfloat16 import trained_in_bfloat16
from bioclass.networks.fusion import for_training
from bioclass.networks.parameters import parameters
from bioclass.predict import Scorer

TINY = 1e-6
"""The least share of focal loss's factor 1 - p, near float32's resolution."""


class WeightedLoss(mx.gluon.HybridBlock):  # type: ignore[misc]
    """Network and loss as one block, so that a step is one call into MXNet each way.

    It is the sum over the images of weight x loss; the weights carry the class weight and 1 / batch size, so that
    the parts of a batch add up. Images that are ``mixed`` have two classes each, and a weight for each.
    """

    def __init__(self, net: Any, loss: recipe.Loss, mixed: bool = False) -> None:
        super().__init__()
        self.net = net
        self._mixed = mixed
        self._gamma = loss.gamma if isinstance(loss, recipe.Focal) else None
        self._smoothing = loss.label_smoothing if isinstance(loss, recipe.CrossEntropy) else 0.0

    def hybrid_forward(self, F: Any, x: Any, labels: Any, weights: Any) -> Any:  # noqa: N803 - Gluon's name
        """Return the loss, (1,)."""
        of_all = F.log_softmax(self.net(x), axis=-1)
        if self._mixed:
            of_all = F.concat(of_all, of_all, dim=0)
        of_truth = F.pick(of_all, labels, axis=-1)
        if self._smoothing:
            of_truth = (1 - self._smoothing) * of_truth + self._smoothing * F.mean(of_all, axis=-1)
        if self._gamma is not None:
            # Away from zero, where a power below one has no gradient.
            weights = weights * F.clip(1 - F.exp(of_truth), TINY, 1) ** self._gamma
        return -F.sum(of_truth * weights)


class Replica:
    """A network whose parameters on ``context`` lie in flat buffers, numpy arrays or NDArrays.

    ``weights`` and ``gradients`` are (L,), ``statistics`` (M,), in the order of ``layout``.
    """

    def __init__(
        self,
        task: Task,
        net: Any,
        layout: Layout,
        weights: Any,
        gradients: Any,
        statistics: Any,
        context: Any,
    ) -> None:
        self.context = context
        self.weights = weights
        self.gradients = gradients
        self.statistics = statistics
        self._task, self._net, self._layout = task, net, layout
        self._begins = sorted({rate.begin for rate in layout.rates.values()})
        self._begun = -1
        self._loss: WeightedLoss | None = None
        self.reach(0)

    def reach(self, iteration: int) -> None:
        """Compute from now on what this iteration wants: gradients of no more than what it trains."""
        begun = sum(begin <= iteration for begin in self._begins)
        if begun == self._begun:
            return
        self._begun = begun
        if self._loss is not None:
            # A graph keeps the memory of its activations, and Gluon's blocks are circles: left to itself, it stays.
            # The network, too, remembers the block in whose scope it was traced.
            self._loss = None
            self._net._scope._old_scope = None
            gc.collect()
        net, layout, fit = self._net, self._layout, self._task.recipe.fit
        bind(net, layout, self.weights, self.gradients, self.statistics, self.context, iteration)
        if layout.rates:
            keep_statistics(net, {name for name, rate in layout.rates.items() if iteration < rate.begin})
        low = fit.precision == "bfloat16"
        computing = trained_in_bfloat16(net) if low else for_training(net, self.context)
        self._loss = WeightedLoss(computing, fit.loss, self._task.recipe.augment.mix is not None)
        self._loss.hybridize(static_alloc=True, static_shape=True)

    def gradient(self, x: Any, labels: Any, weights: Any) -> Any:
        """Start computing the gradients of a part of a batch; return its loss, (1,), which is not waited for.

        Args:
            x: NDArray (B, C, H, W) float32.
            labels: NDArray (L,) float32, the classes; L is B, or 2 B of mixed images, as in
                :data:`~bioclass.fit.task.Batch`.
            weights: NDArray (L,) float32, the weight of each in the loss.
        """
        assert self._loss is not None
        with mx.autograd.record():
            loss = self._loss(x, labels, weights)
        loss.backward()
        # The caller's value shall not keep the graph.
        return loss.detach()


def keep_statistics(net: Any, kept: set[str]) -> None:
    """Let batch normalisation with one of these names normalise with its running statistics, and keep them.

    Without it, MXNet normalises a batch with its own statistics wherever gradients are recorded.
    """
    names = {id(parameter): name for name, parameter in parameters(net).items()}

    def set_mode(block: Any) -> None:
        running = getattr(block, "running_mean", None)
        if running is not None:
            block._kwargs["use_global_stats"] = names[id(running)] in kept

    net.apply(set_mode)


def new_network(task: Task, contexts: list[Any]) -> Any:
    """Return the task's network on these contexts, with the weights that its seed gives."""
    net = task.network()
    mx.random.seed(task.seed_at(0, 0))
    net.initialize(ctx=contexts)
    return net


def new_scorer(task: Task, context: Any) -> Scorer:
    """Return a network of the task's for prediction; see :class:`~bioclass.predict.Scorer` on why it is another."""
    return Scorer(task.network(), context)


def probabilities(task: Task, scorer: Scorer, weights: Tensors, rows: Rows) -> npt.NDArray[np.float64]:
    """Return the probabilities (N, K) that these weights give to some rows of the task's images."""
    scorer.load(weights, Path("the training"))
    return task.infer(scorer, rows)
