"""The layers the networks are made of, and the sizes they give."""

from __future__ import annotations

from typing import Any, Literal

from bioclass.backend import mx
from bioclass.errors import InputError
from bioclass.networks.masks import masked_product

# A convolution (side of the square kernel, padding) with stride 1, followed by 2x2 max pooling with stride 2.
Stage = tuple[int, int]


def xavier() -> mx.init.Initializer:
    """Caffe's "xavier" filler: uniform in +-sqrt(3 / fan_in), so that variance is 1 / fan_in."""
    return mx.init.Xavier(rnd_type="uniform", factor_type="in", magnitude=3)


def convolution(stage: Stage, channels: int, in_channels: int, name: str) -> mx.gluon.nn.Conv2D:
    """Return a convolution with stride 1 and no activation, (N, in_channels, H, W) to (N, channels, H', W')."""
    kernel, padding = stage
    return mx.gluon.nn.Conv2D(
        channels,
        kernel_size=kernel,
        padding=padding,
        in_channels=in_channels,
        weight_initializer=xavier(),
        prefix=f"{name}_",
    )


def pooling(name: str) -> mx.gluon.nn.MaxPool2D:
    """Return 2x2 max pooling with stride 2; an odd last row or column is left out."""
    return mx.gluon.nn.MaxPool2D(pool_size=2, strides=2, prefix=f"{name}_")


class GlobalAverage(mx.gluon.HybridBlock):  # type: ignore[misc]
    """The mean of every channel over the image, (N, C, H, W) to (N, C).

    Not Gluon's GlobalAvgPool2D: for most shapes the gradient of oneDNN's is a hundred times as slow.
    """

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803
        """Compute (N, C) from (N, C, H, W)."""
        return F.flatten(F.contrib.AdaptiveAvgPooling2D(x, output_size=1))


def dense(units: int, in_units: int, name: str, activation: str | None = None) -> mx.gluon.nn.Dense:
    """Return a fully connected layer, (N, ...) with in_units values each to (N, units)."""
    return mx.gluon.nn.Dense(
        units, in_units=in_units, activation=activation, weight_initializer=xavier(), prefix=f"{name}_"
    )


def pooled_size(height: int, width: int, stages: tuple[Stage, ...], network: str) -> tuple[int, int]:
    """Return (height, width) in pixels after the stages.

    Raises:
        InputError: nothing would be left; the sentence names the smallest size that works.
    """
    after = tuple(_pooled_side(side, stages) for side in (height, width))
    if min(after) < 1:
        least = next(side for side in range(1, 10_000) if _pooled_side(side, stages) >= 1)
        raise InputError(
            f"Images of {height}x{width} pixels are too small for the network {network!r}, which needs at least "
            f"{least}x{least}: set preprocess.size, for example to [{max(height, least)}, {max(width, least)}]."
        )
    return after[0], after[1]


def _pooled_side(side: int, stages: tuple[Stage, ...]) -> int:
    for kernel, padding in stages:
        side = max(0, side + 2 * padding - kernel + 1) // 2
    return side


class TwoGraphs(mx.gluon.HybridBlock):  # type: ignore[misc]
    """A block that computes something else in training than in prediction.

    A hybridized block traces its graph once, in the mode of its first call, and would then compute that graph
    in both modes. This one keeps a graph for each mode. Inside a larger hybridized block the larger one's
    graph counts, so that one must be a ``TwoGraphs`` too. What is kept are private attributes of HybridBlock;
    MXNet 1.9.1 is its last release, so they stay.
    """

    _TRACE = ("_cached_graph", "_cached_op", "_cached_op_args", "_in_format", "_out_format")

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix=prefix)
        self._traces: dict[bool, dict[str, Any]] = {}
        self._traced_training = False

    def _clear_cached_op(self) -> None:
        super()._clear_cached_op()
        self._traces = {}
        self._traced_training = False

    def forward(self, x: Any) -> Any:
        """Compute in the mode that autograd is in."""
        training = bool(mx.autograd.is_training())
        if training != self._traced_training:
            self._traces[self._traced_training] = {name: getattr(self, name) for name in self._TRACE}
            super()._clear_cached_op()
            for name, value in self._traces.pop(training, {}).items():
                setattr(self, name, value)
            self._traced_training = training
        return super().forward(x)


class DropConnectDense(TwoGraphs):
    """A fully connected layer with drop-connect and ReLU (Wan et al., ICML 2013), (N, ...) to (N, units).

    In training (section 3.1) every example has a Bernoulli mask of its own on the weights and on the biases:
    ``relu((M * W) v + m * b)``. Departure from the paper: what is kept is divided by the probability of being
    kept, as dropout does today, so that W is the mean weight and needs no factor in prediction.

    In prediction (section 3.2) the pre-activation is taken as a Gaussian with the mean ``mu = W v + b`` and the
    variance ``s^2 = rate / (1 - rate) ((W * W) (v * v) + b * b)`` that the masks give it. The paper averages
    the ReLU of 1,000 draws from it; here ("gaussian") the limit of that average is computed in closed form,
    ``E[relu(u)] = mu Phi(mu / s) + s phi(mu / s)``, so that prediction has no chance in it. "mean" is
    ``relu(mu)``, dropout's usual approximation.

    Memory in training: on the processor, where the masks are made a few units at a time and not kept, at most
    50 bytes x N x in_units (7 MB for N = 128 and in_units = 1024); on a GPU several arrays of N x units x in_units
    float32 (79 MB each for 128 x 150 x 1024).
    """

    def __init__(
        self, units: int, in_units: int, rate: float, inference: Literal["mean", "gaussian"], prefix: str
    ) -> None:
        super().__init__(prefix=prefix)
        self.units, self.in_units, self.rate, self.inference = units, in_units, rate, inference
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(units, in_units), init=xavier())
            self.bias = self.params.get("bias", shape=(units,), init="zeros")

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any) -> Any:  # noqa: N803
        """Compute (N, units) from (N, ...) with in_units values each."""
        x = F.flatten(x)
        if self.rate > 0 and mx.autograd.is_training():
            return F.relu(self._masked(F, x, weight, bias))
        mean = F.FullyConnected(x, weight, bias, num_hidden=self.units)
        if self.rate == 0 or self.inference == "mean":
            return F.relu(mean)
        spread = F.FullyConnected(F.square(x), F.square(weight), F.square(bias), num_hidden=self.units)
        return expected_relu(F, mean, spread * (self.rate / (1 - self.rate)))

    def _masked(self, F: Any, x: Any, weight: Any, bias: Any) -> Any:  # noqa: N803
        """Pre-activation (N, units) with a fresh mask per example."""
        ones = F.ones_like(F.slice_axis(x, axis=1, begin=0, end=1))
        if self._on_processor():
            # The seed comes from MXNet's generator, so that mx.random.seed decides on these masks too.
            sums = masked_product(F, x, weight, F.random.uniform_like(bias), self.rate)
        else:
            copies = F.dot(ones, F.reshape(weight, (1, -1)))  # of all weights, for every example
            kept = copies * F.BlockGrad(F.random.uniform_like(copies) >= self.rate)
            kept = F.reshape(kept, (-1, self.units, self.in_units))
            sums = F.reshape(F.batch_dot(kept, F.expand_dims(x, axis=2)), (0, -1)) / (1 - self.rate)
        return sums + F.Dropout(F.dot(ones, F.reshape(bias, (1, -1))), p=self.rate)

    def _on_processor(self) -> bool:
        """Whether the layer's weights are there, and not on a GPU, from which every array would have to come."""
        return bool(self.weight.list_ctx()[0].device_type == "cpu")


def expected_relu(F: Any, mean: Any, variance: Any) -> Any:  # noqa: N803
    """Return E[max(0, u)] for Gaussian u, elementwise: mean Phi(mean / s) + s phi(mean / s), s^2 the variance."""
    s = F.sqrt(variance + 1e-12)  # an input of zeros has no variance; the gradient of sqrt(0) is not finite
    z = mean / s
    cumulative = 0.5 * (1 + F.erf(z * 0.7071067811865476))  # 1 / sqrt(2)
    density = 0.3989422804014327 * F.exp(-0.5 * F.square(z))  # 1 / sqrt(2 pi)
    return mean * cumulative + s * density
