"""One copy of the network on one context: gradients of a part of a batch, and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.backend import mx
from bioclass.fit.flat import Layout, bind
from bioclass.fit.task import Task
from bioclass.networks import build
from bioclass.predict import input_shape


class _Loss(mx.gluon.HybridBlock):  # type: ignore[misc]
    """Network and loss as one block, so that a step is one call into MXNet each way.

    The loss is the sum over the images of weight x cross entropy; the weights carry the class weight and
    1 / batch size, so that the parts of a batch add up.
    """

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def hybrid_forward(self, F: Any, x: Any, labels: Any, weights: Any) -> Any:  # noqa: N803 - Gluon's name
        """Return the loss, (1,)."""
        log_probabilities = F.log_softmax(self.net(x), axis=-1)
        return -F.sum(F.pick(log_probabilities, labels, axis=-1) * weights)


class Replica:
    """A network whose parameters on ``context`` lie in flat buffers, numpy arrays or NDArrays."""

    def __init__(self, net: Any, layout: Layout, weights: Any, gradients: Any, context: Any) -> None:
        self.net = net
        self.context = context
        self.weights = weights
        self.gradients = gradients
        bind(net, layout, layout.views(weights), layout.views(gradients), context)
        self._loss = _Loss(net)
        self._loss.hybridize(static_alloc=True, static_shape=True)

    def gradient(self, x: Any, labels: Any, weights: Any) -> Any:
        """Start computing the gradients of a part of a batch; return its loss, (1,), which is not waited for.

        Args:
            x: NDArray (B, C, H, W) float32.
            labels: NDArray (B,) float32, the classes.
            weights: NDArray (B,) float32, the weight of each image in the loss.
        """
        with mx.autograd.record():
            loss = self._loss(x, labels, weights)
        loss.backward()
        return loss

    def scores(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the scores (B, K) of images (B, C, H, W), as in prediction."""
        scores: npt.NDArray[np.float32] = self.net(mx.nd.array(x, ctx=self.context)).asnumpy()
        return scores


def new_network(task: Task, contexts: list[Any]) -> Any:
    """Return the task's network on these contexts, with the weights that its seed gives."""
    net = build(task.recipe.network, input_shape(task.plan), len(task.classes))
    mx.random.seed(task.seed_at(0, 0))
    net.initialize(ctx=contexts)
    return net
